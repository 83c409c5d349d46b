"""The cluster engine: InferenceServices of one namespace, applied to and read from a Kubernetes API server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from ...config import Settings
from ...entities import Artifact
from ...errors import (
    BackendUnavailableError,
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
)
from ..base import (
    AS_LOGGED,
    Check,
    Component,
    Connection,
    EngineInfo,
    LogEvent,
    Manifest,
    OnProgress,
    Revision,
    Runtime,
    ServiceEvent,
    ServiceState,
    Staged,
    Use,
    Version,
)
from ..fields import mapping, mappings, name_of
from ..kserve import KNATIVE, OWN_RUNTIME, STOP, canaries_of
from ..metrics import read_metrics
from . import api_objects as paths
from . import own_image, runtimes
from .api import Api
from .api_objects import read_all, read_one
from .applying import Apply, find
from .credentials import IN_CLUSTER, Place, find_place
from .deployment_mode import GATEWAY_API, KNATIVE_API, about_mode, check_pause, mode_of
from .eventlog import log_events
from .field_ownership import to_apply
from .logs import stream
from .poddefaults import labels_from
from .reach.connections import ClusterConnections
from .service_objects import Objects
from .state import service_state, wanted_log
from .storage.staging import Staging
from .watching import watch_all

log = logging.getLogger(__name__)

_DELETED_WITHIN = 120.0
_LOG_LINES = 20
_LOG_BYTES = 1 << 18
_MOST_LOGS = 500
_GROUPS_FOR = 60.0
"""Seconds for which it is believed what kinds the cluster has."""


def info(place: Place, namespace: str) -> EngineInfo:
    # Whether requests can be split is another question for each service.
    return EngineInfo(kind="cluster", context=place.context, namespace=namespace or place.namespace, canary=True)


class ClusterEngine:
    """The :class:`~kale_serve_ext.engines.base.Engine` of one namespace of one cluster. Use it from one loop."""

    def __init__(self, settings: Settings, context: str = "", namespace: str = "") -> None:
        self._settings = settings
        self._place = find_place(settings.kubeconfig, context or settings.context)
        self._info = info(self._place, namespace or settings.namespace)
        self._namespace = self._info.namespace
        self._api = Api(self._place)
        self._logs: dict[str, tuple[str, str]] = {}
        self._groups: dict[str, tuple[float, bool]] = {}
        self._staging = Staging(settings, self._place, self._namespace, self._api)
        self._connections = ClusterConnections(settings, self._place, self._namespace, self._api)

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def runtimes(self, artifact: Artifact | None = None) -> list[Runtime]:
        from ... import __version__

        namespaced, _ = await self._api.list(paths.RUNTIMES.format(self._namespace))
        cluster_wide: list[Manifest] | None
        try:
            cluster_wide, _ = await self._api.list(paths.CLUSTER_RUNTIMES)
        except PermissionDeniedError:
            # As for the account of a Kubeflow notebook.
            cluster_wide = None
        image = self._settings.cluster_image or f"{OWN_RUNTIME}/predictor:{__version__}"
        return runtimes.in_order(namespaced, cluster_wide, image, artifact.format if artifact else "")

    async def check(self, artifact: Artifact, runtime: Runtime, name: str = "") -> list[Check]:
        found = await self._staging.check(artifact, Use(runtime.server, name))
        if runtime.name == OWN_RUNTIME:
            found += own_image.about(artifact.format, runtime.image)
        if runtime.assumed:
            message = f"{runtime.name} is assumed to be here: the cluster's runtimes may not be read."
            hint = "The right to list clusterservingruntimes would tell."
            found.append(Check("warning", "RuntimeAssumed", message, hint, "runtime"))
        return found

    async def lacks(self, runtime: Runtime) -> None:
        """Images are the cluster's to get."""

    async def install(self, runtime: Runtime, on_progress: Callable[[str], None] | None = None) -> None:
        """Nothing has to be installed."""

    async def address(self, artifact: Artifact, use: Use = AS_LOGGED) -> Staged:
        return await self._staging.address(artifact, use)

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        return await self._staging.stage(artifact, on_progress, use)

    async def unstage(self, staged: Staged) -> None:
        for one in staged.owned:
            with contextlib.suppress(KaleServeError):
                await self._staging.discard(one)

    async def dry_run(self, manifest: Manifest, *, force: bool = False) -> list[Check]:
        try:
            path = self._path_of(manifest)
            live = await find(self._api, path)
            body = to_apply(live, manifest)
            stored = await self._api.apply(path, body, dry_run=True, force=force)
            has_knative = mode_of(stored) != KNATIVE or await self._has(KNATIVE_API)
            has_gateway = not canaries_of(stored) or await self._has(GATEWAY_API)
        except (InvalidInputError, ConflictError, PermissionDeniedError) as error:
            return [Check("error", f"Cluster{error.reason}", error.message, error.hint)]
        except BackendUnavailableError as error:
            return [Check("error", "ClusterRefuses", error.message, error.hint)]
        accepted = Check("ok", "Accepted", f"The cluster {self._place.context!r} would accept it.")
        return [accepted, *about_mode(stored, live, has_knative=has_knative, has_gateway=has_gateway)]

    async def apply(
        self,
        manifest: Manifest,
        staged: Sequence[Staged] = (),
        *,
        force: bool = False,
        over: Version | None = None,
        by: str = "",
        back_to: int = 0,
    ) -> ServiceState:
        owned = [o for s in staged for o in s.owned]
        work = Apply(self._api, self._staging, self._path_of(manifest), manifest, owned, force=force)
        stored = await work.carry_out(over)
        try:
            return await self.get(name_of(stored))
        except asyncio.CancelledError:
            await work.take_back(is_given_up=True)
            raise

    async def revisions(self, name: str) -> list[Revision]:
        state = await self.get(name)
        return [Revision(state.revision, state.manifest, state.updated)]

    async def set_paused(self, name: str, paused: bool) -> ServiceState:
        if paused:
            check_pause((await self._objects(name)).service)
        note = {STOP: "true" if paused else None}
        await self._api.patch(paths.service(self._namespace, name), {"metadata": {"annotations": note}})
        return await self.get(name)

    async def get(self, name: str) -> ServiceState:
        return await self._told(await self._objects(name), await self._has_gateway())

    async def services(self) -> list[ServiceState]:
        found = await read_all(self._api, self._namespace)
        has_gateway = await self._has_gateway()
        return list(await asyncio.gather(*(self._told(o, has_gateway) for o in found.values())))

    async def watch(self) -> AsyncGenerator[ServiceEvent, None]:
        known: dict[str, ServiceState] = {}
        async with contextlib.aclosing(watch_all(self._api, self._namespace)) as readings:
            async for reading in readings:
                has_gateway = await self._has_gateway()
                for name in known.keys() - reading.keys():
                    gone = known.pop(name)
                    yield ServiceEvent("deleted", gone.ref, None)
                for name, found in reading.items():
                    state = await self._told(found, has_gateway)
                    before = known.get(name)
                    if state != before:
                        known[name] = state
                        yield ServiceEvent("modified" if before else "added", state.ref, state)

    async def delete(self, name: str) -> None:
        path = paths.service(self._namespace, name)
        try:
            # In the foreground: it is there until what was made for it is gone.
            await self._api.delete(path, "Foreground")
        except NotFoundError as error:
            raise self._missing(name) from error
        end = time.monotonic() + _DELETED_WITHIN
        while time.monotonic() < end:
            try:
                await self._api.get(path)
            except NotFoundError:
                return
            await asyncio.sleep(0.5)
        raise DeadlineExceededError(
            f"{name!r} is still being deleted after {_DELETED_WITHIN:g} s.", hint="Look at its events."
        )

    async def logs(
        self,
        name: str,
        component: Component = "predictor",
        *,
        tail: int = 200,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncGenerator[str, None]:
        found = await self._objects(name)
        pieces = stream(self._api, self._namespace, found, component, tail=tail, previous=previous, follow=follow)
        async with contextlib.aclosing(pieces) as text:
            async for piece in text:
                yield piece

    async def events(self, name: str) -> list[LogEvent]:
        found = await self._objects(name)
        if not found.events:
            # Where it is the right to see them that lacks, this says so.
            await self._api.get(paths.EVENTS.format(self._namespace), limit="1")
        return log_events(found)

    async def metrics(self, name: str, component: Component = "predictor") -> str:
        return await read_metrics(self, name, component)

    def connect(self, name: str, component: Component | None = None) -> AbstractAsyncContextManager[Connection]:
        return self._connections.open(name, component)

    async def pod_labels(self) -> dict[str, str]:
        if self._place.context != IN_CLUSTER:
            return {}
        return await labels_from(self._api, self._place.namespace, socket.gethostname())

    async def close(self) -> None:
        await self._connections.close()
        await self._api.close()
        self._staging.close()

    async def _has(self, group: str) -> bool:
        """Whether the cluster has a group of kinds, by its path; as of a minute ago."""
        known = self._groups.get(group)
        if known is None or time.monotonic() > known[0]:
            try:
                await self._api.get(group)
                found = True
            except NotFoundError:
                found = False
            known = self._groups[group] = (time.monotonic() + _GROUPS_FOR, found)
        return known[1]

    async def _objects(self, name: str) -> Objects:
        try:
            return await read_one(self._api, self._namespace, name)
        except NotFoundError as error:
            raise self._missing(name) from error

    async def _has_gateway(self) -> bool:
        """Whether requests could be split in Standard mode; not, where that may not be known."""
        try:
            return await self._has(GATEWAY_API)
        except KaleServeError:
            self._groups[GATEWAY_API] = (time.monotonic() + _GROUPS_FOR, False)
            return False

    async def _told(self, found: Objects, has_gateway: bool) -> ServiceState:
        logs = await self._last_lines(found)
        told = service_state(found, context=self._place.context, logs=logs, has_gateway=has_gateway)
        # With an ingress, requests go by the external address.
        return replace(told, url=told.external_url, external_url="") if self._settings.cluster_ingress else told

    async def _last_lines(self, found: Objects) -> dict[str, str]:
        """The failing container's last lines by pod, read once for each of its runs."""
        wanted = wanted_log(found)
        if wanted is None:
            return {}
        pod, container, previous = wanted
        run = f"{container} {previous} {_restarts(found, pod)}"
        if self._logs.get(pod, ("", ""))[0] != run:
            path = f"{paths.PODS.format(self._namespace)}/{pod}/log"
            query = {
                "container": container,
                "tailLines": str(_LOG_LINES),
                "limitBytes": str(_LOG_BYTES),
                "previous": str(previous).lower(),
            }
            try:
                async with contextlib.aclosing(self._api.stream(path, query)) as pieces:
                    text = "".join([piece async for piece in pieces])
            except KaleServeError:
                return {}  # the pod has gone meanwhile, or its log may not be read
            if len(self._logs) >= _MOST_LOGS:
                self._logs.clear()  # most are of pods that are gone
            self._logs[pod] = (run, text)
        return {pod: self._logs[pod][1]}

    def _missing(self, name: str) -> NotFoundError:
        where = f"the namespace {self._namespace!r} of {self._place.context!r}"
        return NotFoundError(f"There is no service {name[:100]!r} in {where}.", hint="%services lists them.")

    def _path_of(self, manifest: Manifest) -> str:
        given = mapping(manifest.get("metadata")).get("namespace")
        if given not in (None, self._namespace):
            raise InvalidNameError(
                f"The manifest is for the namespace {given!r}.",
                hint=f"This engine serves in {self._namespace!r}.",
                field="namespace",
            )
        return paths.service(self._namespace, name_of(manifest))


def _restarts(found: Objects, pod: str) -> str:
    status = next((mapping(p.get("status")) for p in found.pods if name_of(p) == pod), {})
    kinds = ("initContainerStatuses", "containerStatuses")
    return " ".join(str(one.get("restartCount")) for kind in kinds for one in mappings(status.get(kind)))
