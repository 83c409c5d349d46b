"""The cluster engine: InferenceServices of one namespace, applied to and read from a Kubernetes API server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...config import Settings
from ...errors import (
    BackendUnavailableError,
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    ServiceNotReadyError,
)
from ...records import Artifact
from ..base import (
    Check,
    Component,
    Connection,
    EngineInfo,
    LogEvent,
    Manifest,
    Runtime,
    ServiceEvent,
    ServiceState,
    Staged,
)
from . import objects as paths
from . import reach, runtimes
from .api import STRATEGIC, Api
from .credentials import IN_CLUSTER, Place, find_place
from .eventlog import log_events
from .fields import mapping, mappings, name_of, notes_of
from .logs import stream
from .objects import read_all, read_one, watch_all
from .s3 import upload
from .s3_server import S3Target, access_secret
from .state import STOP, Objects, service_state, wanted_log

if TYPE_CHECKING:
    import httpx

STORAGE_NOTE = "serving.kserve.io/storageSecretName"
_READ_BY_PODS = ("s3", "pvc", "gs", "hf", "https", "oci")
_DELETED_WITHIN = 120.0
_LOG_LINES = 20
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def info(place: Place, namespace: str) -> EngineInfo:
    # gRPC needs a port-forward from outside, which is not there yet.
    return EngineInfo(kind="cluster", context=place.context, namespace=namespace or place.namespace, grpc=False)


class ClusterEngine:
    """The :class:`~kale_serve_ext.engines.base.Engine` of one namespace of one cluster. Use it from one loop."""

    def __init__(self, settings: Settings, context: str = "", namespace: str = "") -> None:
        self._settings = settings
        self._place = find_place(settings.kubeconfig, context or settings.context)
        self._info = info(self._place, namespace or settings.namespace)
        self._namespace = self._info.namespace
        self._api = Api(self._place)
        self._services = paths.SERVICES.format(self._namespace)
        self._logs: dict[str, tuple[str, str]] = {}
        # Threads of its own: uploads to a storage that hangs must not wait in front of anybody else's work.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kale-serve-cluster")
        self._clients: dict[str, httpx.AsyncClient] = {}

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
        return runtimes.in_order(namespaced, cluster_wide, __version__, artifact.format if artifact else "")

    async def check(self, artifact: Artifact, runtime: Runtime) -> list[Check]:
        if urlsplit(artifact.uri).scheme == "file" and not _folder(artifact).is_dir():
            message = f"The files of {artifact.name!r} are not on this machine: there is no {_folder(artifact)}."
            return [
                Check("error", "SnapshotMissing", message, "Serve it where it was logged, or log it again.", "version")
            ]
        if runtime.assumed:
            message = f"{runtime.name} is assumed to be here: the cluster's runtimes may not be read."
            hint = "The right to list clusterservingruntimes would tell."
            return [Check("warning", "RuntimeAssumed", message, hint, "runtime")]
        return []

    async def address(self, artifact: Artifact) -> Staged:
        target = self._storage(artifact)
        image = self._settings.cluster_image
        if target is None:
            return Staged(artifact.uri, image=image)
        return Staged(target.uri(artifact.digest), {STORAGE_NOTE: target.secret}, image)

    async def stage(self, artifact: Artifact) -> Staged:
        target = self._storage(artifact)
        addressed = await self.address(artifact)
        if target is None:
            return addressed
        loop = asyncio.get_running_loop()
        given_up = threading.Event()

        def go_on(done: int, total: int) -> None:
            if given_up.is_set():
                raise CancelledError

        try:
            await loop.run_in_executor(self._threads, upload, _folder(artifact), artifact.digest, target, go_on)
        finally:
            # A thread cannot be cancelled: it is told at its next piece.
            given_up.set()
        secret = await loop.run_in_executor(self._threads, access_secret, target, self._namespace)
        return replace(addressed, owned=(secret,))

    async def dry_run(self, manifest: Manifest) -> list[Check]:
        try:
            await self._api.apply(self._path_of(manifest), manifest, dry_run=True)
        except (InvalidInputError, ConflictError, PermissionDeniedError) as error:
            return [Check("error", f"Cluster{error.reason}", error.message, error.hint)]
        except BackendUnavailableError as error:
            return [Check("error", "ClusterRefuses", error.message, error.hint)]
        return [Check("ok", "Accepted", f"The cluster {self._place.context!r} would accept it.")]

    async def apply(self, manifest: Manifest, staged: Sequence[Staged] = ()) -> ServiceState:
        owned = [o for s in staged for o in s.owned]
        made = [path for o in owned if (path := await self._make(o))]
        try:
            stored = await self._api.apply(self._path_of(manifest), manifest)
        except BaseException:
            for path in made:
                with contextlib.suppress(KaleServeError):
                    await self._api.delete(path)
            raise
        for one in owned:
            await self._own(one, stored)
        return await self.get(name_of(stored))

    async def set_paused(self, name: str, paused: bool) -> ServiceState:
        note = {STOP: "true" if paused else None}
        await self._api.patch(f"{self._services}/{_checked(name)}", {"metadata": {"annotations": note}})
        return await self.get(name)

    async def get(self, name: str) -> ServiceState:
        try:
            found = await read_one(self._api, self._namespace, _checked(name))
        except NotFoundError as error:
            raise self._missing(name) from error
        return await self._told(found)

    async def services(self) -> list[ServiceState]:
        found = await read_all(self._api, self._namespace)
        return list(await asyncio.gather(*(self._told(o) for o in found.values())))

    async def watch(self) -> AsyncGenerator[ServiceEvent, None]:
        known: dict[str, ServiceState] = {}
        async with contextlib.aclosing(watch_all(self._api, self._namespace)) as readings:
            async for reading in readings:
                for name in known.keys() - reading.keys():
                    gone = known.pop(name)
                    yield ServiceEvent("deleted", gone.ref, None)
                for name, found in reading.items():
                    state = await self._told(found)
                    before = known.get(name)
                    if state != before:
                        known[name] = state
                        yield ServiceEvent("modified" if before else "added", state.ref, state)

    async def delete(self, name: str) -> None:
        path = f"{self._services}/{_checked(name)}"
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
            f"{name!r} is being deleted, and still there after {_DELETED_WITHIN:g} s.", hint="Look at its events."
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
        return log_events(await self._objects(name))

    async def metrics(self, name: str, component: Component = "predictor") -> str:
        import httpx

        async with self.connect(name, component) as connection:
            try:
                answer = await connection.http.get("/metrics")
            except httpx.HTTPError as error:
                raise BackendUnavailableError(
                    f"The {component} of {name} gives no metrics: {error}", hint="Look at its logs, or try again."
                ) from error
        if not answer.is_success:
            raise BackendUnavailableError(f"The {component} of {name} gives no metrics (HTTP {answer.status_code}).")
        return answer.text

    @contextlib.asynccontextmanager
    async def connect(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        manifest = await self._api.get(f"{self._services}/{_checked(name)}")
        parts = mapping(manifest.get("spec"))
        wanted = component or ("transformer" if "transformer" in parts else "predictor")
        if wanted not in parts:
            raise NotFoundError(f"The service {name} has no {wanted}.", hint="Ask its predictor.")
        if str(notes_of(manifest).get(STOP, "")).lower() == "true":
            raise ServiceNotReadyError(f"The service {name} is paused.", phase="Paused", hint="Resume it.")
        http, url = await self._client_of(f"{name}-{wanted}")
        yield Connection(http=http, grpc=None, url=url)

    async def close(self) -> None:
        # They share the API's connections, which it closes itself.
        self._clients.clear()
        await self._api.close()
        self._threads.shutdown(wait=False)

    async def _client_of(self, service: str) -> tuple[httpx.AsyncClient, str]:
        import httpx

        inside = self._place.context == IN_CLUSTER
        server = await self._api.client()
        url = (
            reach.direct(self._namespace, service)
            if inside
            else reach.proxied(str(server.base_url), self._namespace, service)
        )
        if service not in self._clients:
            transport = None if inside else reach.ProxyTransport(self._api, server, service)
            timeout = httpx.Timeout(60.0, connect=5.0)
            self._clients[service] = httpx.AsyncClient(
                base_url=url, transport=transport, timeout=timeout, trust_env=False
            )
        return self._clients[service], url

    def _storage(self, artifact: Artifact) -> S3Target | None:
        """Where the artifact's files have to be brought first; None where pods can read them as they are."""
        scheme = urlsplit(artifact.uri).scheme
        if scheme in _READ_BY_PODS:
            return None
        if scheme != "file" or not artifact.digest:
            raise InvalidInputError(
                f"The snapshot of {artifact.name} is {artifact.uri[:200]!r}, which no pod can read.",
                hint="Log it again with a store of this package.",
                field="version",
            )
        if not self._settings.cluster_storage:
            raise InvalidInputError(
                f"The files of {artifact.name!r} are on this machine only, where no pod can read them.",
                hint="Set KALE_SERVE_CLUSTER_STORAGE to s3://BUCKET/FOLDER?endpoint=http://HOST:PORT.",
                field="version",
            )
        return S3Target.parse(self._settings.cluster_storage)

    async def _make(self, wanted: Manifest) -> str:
        """Apply an object that services share; its path where it is new."""
        path = f"{paths.SECRETS.format(self._namespace)}/{name_of(wanted)}"
        try:
            await self._api.get(path)
            new = False
        except NotFoundError:
            new = True
        await self._api.apply(path, wanted)
        return path if new else ""

    async def _own(self, owned: Manifest, service: Manifest) -> None:
        """Make the service one of the object's owners: with the last of them it goes."""
        owner: Manifest = {
            "apiVersion": service.get("apiVersion"),
            "kind": service.get("kind"),
            "name": name_of(service),
            "uid": mapping(service.get("metadata")).get("uid"),
        }
        path = f"{paths.SECRETS.format(self._namespace)}/{name_of(owned)}"
        await self._api.patch(path, {"metadata": {"ownerReferences": [owner]}}, STRATEGIC)

    async def _objects(self, name: str) -> Objects:
        try:
            return await read_one(self._api, self._namespace, _checked(name))
        except NotFoundError as error:
            raise self._missing(name) from error

    async def _told(self, found: Objects) -> ServiceState:
        return service_state(found, context=self._place.context, logs=await self._last_lines(found))

    async def _last_lines(self, found: Objects) -> dict[str, str]:
        """The failing container's last lines by pod, read once for each of its runs."""
        wanted = wanted_log(found)
        if wanted is None:
            return {}
        pod, container, previous = wanted
        run = f"{container} {previous} {_restarts(found, pod)}"
        if self._logs.get(pod, ("", ""))[0] != run:
            path = f"{paths.PODS.format(self._namespace)}/{pod}/log"
            query = {"container": container, "tailLines": str(_LOG_LINES), "previous": str(previous).lower()}
            try:
                async with contextlib.aclosing(self._api.stream(path, **query)) as pieces:
                    text = "".join([piece async for piece in pieces])
            except KaleServeError:
                return {}  # the pod has gone meanwhile, or its log may not be read
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
        return f"{self._services}/{_checked(name_of(manifest))}"


def _restarts(found: Objects, pod: str) -> str:
    status = next((mapping(p.get("status")) for p in found.pods if name_of(p) == pod), {})
    kinds = ("initContainerStatuses", "containerStatuses")
    return " ".join(str(one.get("restartCount")) for kind in kinds for one in mappings(status.get(kind)))


def _folder(artifact: Artifact) -> Path:
    """Where this machine has the artifact's snapshot."""
    return Path(url2pathname(urlsplit(artifact.uri).path))


def _checked(name: str) -> str:
    """A name that is safe in a path.

    Raises:
        InvalidNameError: it is no DNS label.
    """
    if not _LABEL.fullmatch(name):
        raise InvalidNameError(
            f"{name[:100]!r} cannot be the name of a service.", hint="Use small letters, digits and '-'.", field="name"
        )
    return name
