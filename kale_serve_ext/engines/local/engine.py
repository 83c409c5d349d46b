"""The local engine: InferenceServices as supervised processes of this machine.

All of a service is in its state folder, so every process of the user sees the same; what has to happen to it is done
by its supervisor, which whoever looks first starts again when it died.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from ...config import Settings
from ...entities import Artifact
from ...errors import (
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    ServiceNotReadyError,
)
from ...source.installed import distributions_of_modules
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
    Setup,
    Staged,
    Use,
    Version,
)
from ..fields import mapping
from ..metrics import read_metrics
from . import checks, eventlog, foreign, interpreters, servers
from .connections import LocalConnections
from .folders import Folders
from .home import check_name, services_dir
from .imports import check_modules, needs_of_artifact
from .info import info
from .launch import launches
from .runtimes import runtimes
from .servers.environment import install, lacking, place
from .servers.record import Server
from .state import Ports, read_status
from .tail import stream
from .watch import watch_services

if TYPE_CHECKING:
    import grpc.aio

T = TypeVar("T")

_WAIT = "Wait until it is ready, resume it if it is paused, or look at its logs."


class LocalEngine:
    """The :class:`~kale_serve_ext.engines.base.Engine` of this machine, for one namespace."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._namespace = check_name(namespace, "namespace")
        self._connections = LocalConnections()
        self._folders = Folders(settings, self._namespace)
        # Threads of its own: files and processes of one's own home must not wait behind anybody else's slow calls.
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="kale-serve-local")

    @property
    def info(self) -> EngineInfo:
        return info(self._namespace)

    async def runtimes(self, artifact: Artifact | None = None) -> list[Runtime]:
        return runtimes(artifact, await interpreters.kernels())

    async def check(self, artifact: Artifact, runtime: Runtime, name: str = "") -> list[Check]:
        server = servers.of_runtime(runtime.name)
        if server is not None and server.program is not None:
            return await self._check_foreign(artifact, runtime, server)
        found = [*checks.check_format(artifact), *checks.check_files(artifact)]
        if runtime.python:
            found += checks.check_interpreter(artifact, runtime, await interpreters.inspect(runtime.python))
            found += await self._imports(artifact, runtime.python)
        return found

    async def lacks(self, runtime: Runtime) -> Setup | None:
        server = servers.of_runtime(runtime.name)
        return await lacking(server, runtime.python, self._settings) if server else None

    async def install(self, runtime: Runtime, on_progress: Callable[[str], None] | None = None) -> None:
        if server := servers.of_runtime(runtime.name):
            await install(server, runtime.python, self._settings, on_progress)

    async def address(self, artifact: Artifact, use: Use = AS_LOGGED) -> Staged:
        return Staged(artifact.uri)

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        parts = urlsplit(artifact.uri)
        if parts.scheme != "file":
            raise InvalidInputError(
                f"The snapshot of {artifact.name} is {artifact.uri[:200]!r}, which is not on this machine.",
                hint="Log the artifact here, or serve it on a cluster.",
                field="version",
            )
        return Staged(artifact.uri)

    async def unstage(self, staged: Staged) -> None:
        """Nothing is made: the files are served from where they are."""

    async def dry_run(self, manifest: Manifest, *, force: bool = False) -> list[Check]:
        found = await self._in_thread(checks.check_manifest, manifest)
        if not any(one.level == "error" for one in found):
            found += await self._in_thread(foreign.check_name, manifest)
        return found

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
        metadata = mapping(manifest.get("metadata"))
        name = str(metadata.get("name") or "")
        if str(metadata.get("namespace") or self._namespace) != self._namespace:
            raise InvalidNameError(
                f"The manifest is for the namespace {metadata.get('namespace')!r}.",
                hint=f"This engine serves in {self._namespace!r}.",
                field="namespace",
            )
        check_name(name)
        launches(manifest)
        await self._in_thread(self._folders.apply, name, manifest, over, by, back_to)
        return await self.get(name)

    async def revisions(self, name: str) -> list[Revision]:
        return await self._in_thread(self._folders.revisions, name)

    async def set_paused(self, name: str, paused: bool) -> ServiceState:
        await self._in_thread(self._folders.set_paused, name, paused)
        return await self.get(name)

    async def get(self, name: str) -> ServiceState:
        state = await self._in_thread(self._folders.look, name)
        if state is None:
            raise self._folders.missing(name)
        return state

    async def services(self) -> list[ServiceState]:
        return await self._in_thread(self._folders.look_at_all)

    async def watch(self) -> AsyncGenerator[ServiceEvent, None]:
        folder = services_dir(self._settings, self._namespace)
        async with contextlib.aclosing(watch_services(folder, self.services)) as changes:
            async for event in changes:
                yield event

    async def delete(self, name: str) -> None:
        await self._in_thread(self._folders.delete, name)

    async def logs(
        self,
        name: str,
        component: Component = "predictor",
        *,
        tail: int = 200,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncGenerator[str, None]:
        home = self._folders.known_home(name)
        if not home.folder.is_dir():
            raise self._folders.missing(name)
        async with contextlib.aclosing(stream(home.logs, component, tail, previous, follow, self._in_thread)) as text:
            async for piece in text:
                yield piece

    async def events(self, name: str) -> list[LogEvent]:
        home = self._folders.known_home(name)
        if not home.folder.is_dir():
            raise self._folders.missing(name)
        return await self._in_thread(eventlog.read, home.events)

    async def metrics(self, name: str, component: Component = "predictor") -> str:
        return await read_metrics(self, name, component)

    @contextlib.asynccontextmanager
    async def connect(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        ports, revision = await self._ports(name, component)
        url, address = f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}"

        async def channel() -> grpc.aio.Channel:
            return self._connections.grpc(address)

        yield Connection(
            http=self._connections.http(url, revision),
            url=url,
            grpc=channel if ports.grpc else None,
            arrays_by_grpc=bool(ports.grpc),
            blocking_grpc=(lambda: self._connections.blocking_grpc(address)) if ports.grpc else None,
            blocking_http=self._connections.blocking_http(url, revision),
        )

    async def pod_labels(self) -> dict[str, str]:
        return {}

    async def close(self) -> None:
        await self._connections.close()
        self._threads.shutdown(wait=False)

    async def _check_foreign(self, artifact: Artifact, runtime: Runtime, server: Server) -> list[Check]:
        found = [*checks.check_files(artifact), *await self._in_thread(foreign.check_folder, artifact, server)]
        if not server.environment:
            own = await interpreters.inspect(runtime.python)
            found += checks.check_interpreter(artifact, runtime, own, by_kserve=server.by_kserve)
            return [*found, *server.checks(artifact, own)] if own.ok else found
        there = await place(server, "", self._settings)
        if not there:
            return found  # what :meth:`lacks` tells
        return [*found, *foreign.check_environment(artifact, server, await interpreters.inspect(there.python))]

    async def _imports(self, artifact: Artifact, python: str) -> list[Check]:
        needs = await self._in_thread(needs_of_artifact, artifact)
        missing = await interpreters.missing_modules(python, needs.certain | needs.possible)
        if not missing:
            return []
        return check_modules(artifact, python, needs, missing, await self._in_thread(distributions_of_modules))

    async def _ports(self, name: str, component: Component | None) -> tuple[Ports, int]:
        """Where the component is, and the revision that answers there."""
        home = self._folders.known_home(name)
        status = self._folders.lately(home)
        if status is None:
            state = await self.get(name)
            if not state.supervised or state.failure:
                phase = "Failed" if state.failure else "Stopped"
                why = state.failure or "Nothing runs it since the machine was restarted."
                raise ServiceNotReadyError(f"The service {name} is not running: {why}", phase=phase, hint=_WAIT)
            status = await self._in_thread(read_status, home)
        # One that is still to come stands before nothing: the predictor goes on as the entry.
        has_transformer = status is not None and any(
            c.component == "transformer" and (c.ready or not status.serving_revision) for c in status.components
        )
        if component == "explainer" or (component == "transformer" and not has_transformer):
            raise NotFoundError(f"The service {name} has no {component}.", hint="Ask its predictor.")
        key = "predictor" if component == "predictor" and has_transformer else "entry"
        ports = status.ports.get(key) if status else None
        if status is None or ports is None:
            raise ServiceNotReadyError(f"The service {name} has no address yet.", phase="Pending", hint=_WAIT)
        return ports, status.serving_revision

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
