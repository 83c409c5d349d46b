"""The local engine: InferenceServices as supervised processes of this machine.

All of a service is in its state folder, so every process of the user sees the same; what has to happen to it is done
by its supervisor, which whoever looks first starts again when it died.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

from ...config import Settings
from ...errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    ServiceNotReadyError,
)
from ...records import Artifact, ServiceRef
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
from . import checks, eventlog, interpreters, starter
from .connections import Connections
from .home import Home, check_name, make_folder, services_dir, write_json
from .launch import launches
from .runtimes import runtimes
from .state import (
    SILENT_AFTER,
    CorruptStateError,
    Ports,
    Spec,
    Status,
    compose,
    corrupt,
    mapping,
    read_spec,
    read_status,
)
from .tail import stream
from .watch import watch_services

T = TypeVar("T")
CONTEXT = "localhost"
_DELETE_SECONDS = 20.0
_TRUST_SECONDS = 0.5


def info(namespace: str) -> EngineInfo:
    return EngineInfo(kind="local", context=CONTEXT, namespace=namespace)


@dataclass(frozen=True)
class _Seen:
    """A status as it was read: of which file, and until when its supervisor is taken to live on."""

    key: tuple[int, int]
    until: float
    status: Status


class LocalEngine:
    """The :class:`~kale_serve_ext.engines.base.Engine` of this machine, for one namespace."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._namespace = check_name(namespace, "namespace")
        self._connections = Connections()
        self._seen: dict[str, _Seen] = {}
        # Threads of its own: files and processes of one's own home must not wait behind anybody else's slow calls.
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="kale-serve-local")

    @property
    def info(self) -> EngineInfo:
        return info(self._namespace)

    async def runtimes(self, artifact: Artifact | None = None) -> list[Runtime]:
        return runtimes(artifact, await interpreters.kernels())

    async def check(self, artifact: Artifact, runtime: Runtime) -> list[Check]:
        found = [*checks.check_format(artifact), *checks.check_files(artifact)]
        if runtime.python:
            found += checks.check_interpreter(artifact, runtime, await interpreters.inspect(runtime.python))
        return found

    async def stage(self, artifact: Artifact) -> Staged:
        parts = urlsplit(artifact.uri)
        if parts.scheme != "file":
            raise InvalidInputError(
                f"The snapshot of {artifact.name} is {artifact.uri[:200]!r}, which is not on this machine.",
                hint="Log the artifact here, or serve it on a cluster.",
                field="version",
            )
        return Staged(artifact.uri)

    async def dry_run(self, manifest: Manifest) -> list[Check]:
        return await self._in_thread(checks.check_manifest, manifest)

    async def apply(self, manifest: Manifest, staged: Sequence[Staged] = ()) -> ServiceState:
        metadata = mapping(manifest.get("metadata"))
        name = str(metadata.get("name") or "")
        if str(metadata.get("namespace") or self._namespace) != self._namespace:
            raise InvalidNameError(
                f"The manifest is for the namespace {metadata.get('namespace')!r}.", field="namespace"
            )
        home = self._home(name)
        launches(manifest)
        await self._in_thread(self._apply, home, manifest)
        return await self.get(name)

    async def set_paused(self, name: str, paused: bool) -> ServiceState:
        home = self._known_home(name)
        await self._in_thread(self._set_paused, home, paused)
        return await self.get(name)

    async def get(self, name: str) -> ServiceState:
        state = await self._in_thread(self._look, self._known_home(name))
        if state is None:
            raise self._missing(name)
        return state

    async def services(self) -> list[ServiceState]:
        return await self._in_thread(self._look_at_all)

    async def watch(self) -> AsyncGenerator[ServiceEvent, None]:
        folder = services_dir(self._settings, self._namespace)
        async with contextlib.aclosing(watch_services(folder, self.services)) as changes:
            async for event in changes:
                yield event

    async def delete(self, name: str) -> None:
        await self._in_thread(self._delete, self._known_home(name))

    async def logs(
        self,
        name: str,
        component: Component = "predictor",
        *,
        tail: int = 200,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncGenerator[str, None]:
        home = self._known_home(name)
        if not home.folder.is_dir():
            raise self._missing(name)
        async with contextlib.aclosing(stream(home.logs, component, tail, previous, follow, self._in_thread)) as text:
            async for piece in text:
                yield piece

    async def events(self, name: str) -> list[LogEvent]:
        home = self._known_home(name)
        if not home.folder.is_dir():
            raise self._missing(name)
        return await self._in_thread(eventlog.read, home.events)

    async def metrics(self, name: str, component: Component = "predictor") -> str:
        import httpx

        async with self.connect(name, component) as connection:
            try:
                answer = await connection.http.get("/metrics")
            except httpx.HTTPError as exc:
                raise BackendUnavailableError(f"The {component} of {name} gives no metrics: {exc}") from exc
        if answer.status_code == 503:
            raise ServiceNotReadyError(
                f"The {component} of {name} is not running: {answer.json().get('reason', '')}",
                phase=str(answer.json().get("phase", "")),
            )
        return answer.text

    @contextlib.asynccontextmanager
    async def connect(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        ports = await self._ports(name, component)
        url, address = f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}"
        yield Connection(
            http=self._connections.http(url),
            grpc=self._connections.grpc(address) if ports.grpc else None,
            url=url,
            blocking_grpc=(lambda: self._connections.blocking_grpc(address)) if ports.grpc else None,
        )

    async def close(self) -> None:
        await self._connections.close()
        self._threads.shutdown(wait=False)

    async def _ports(self, name: str, component: Component | None) -> Ports:
        home = self._known_home(name)
        status = self._lately(home)
        if status is None:
            state = await self.get(name)
            if not state.supervised or state.failure:
                phase = "Failed" if state.failure else "Stopped"
                why = state.failure or "Nothing runs it since the machine was restarted."
                raise ServiceNotReadyError(f"The service {name} is not running: {why}", phase=phase)
            status = await self._in_thread(read_status, home)
        has_transformer = status is not None and any(c.component == "transformer" for c in status.components)
        if component == "explainer" or (component == "transformer" and not has_transformer):
            raise NotFoundError(f"The service {name} has no {component}.")
        key = "predictor" if component == "predictor" and has_transformer else "entry"
        ports = status.ports.get(key) if status else None
        if ports is None:
            raise ServiceNotReadyError(f"The service {name} has no address yet.", phase="Pending")
        return ports

    def _lately(self, home: Home) -> Status | None:
        """The status of a service with a living supervisor. On the way of every prediction, so looked at sparingly."""
        try:
            found = home.status.stat()
            key = (found.st_ino, found.st_mtime_ns)
            seen = self._seen.get(home.name)
            if seen and seen.key == key and time.monotonic() < seen.until:
                return seen.status
            status = read_status(home)
        except (FileNotFoundError, CorruptStateError):
            return None
        if status is None or not status.supervisor.is_alive:
            return None
        self._seen[home.name] = _Seen(key, time.monotonic() + _TRUST_SECONDS, status)
        return status

    def _apply(self, home: Home, manifest: Manifest) -> None:
        with home.locked():
            before = self._changeable(home)
            now = time.time()
            if before is None:
                make_folder(home)
                spec = Spec(manifest, 1, now, now)
            else:
                unchanged = before.manifest == manifest
                revision = before.revision + (0 if _same_but_paused(before.manifest, manifest) else 1)
                spec = before if unchanged else replace(before, manifest=manifest, revision=revision, updated=now)
            write_json(home.spec, spec.to_json())
            if before is None or spec.revision != before.revision:
                eventlog.record(home.events, "Normal", "Applied", f"Revision {spec.revision} is wanted.")
            self._tell(home)

    def _set_paused(self, home: Home, paused: bool) -> None:
        with home.locked():
            before = self._changeable(home)
            if before is None:
                raise self._missing(home.name)
            if before.paused != paused:
                write_json(home.spec, before.with_paused(paused, time.time()).to_json())
                eventlog.record(home.events, "Normal", "Paused" if paused else "Resumed", "As asked for.")
            self._tell(home)

    def _tell(self, home: Home) -> None:
        """Let the supervisor know of a new description; start one where there is none."""
        status = read_status(home)
        if status is not None and status.supervisor.is_alive:
            starter.sync(home, status)
        else:
            starter.start(home)

    def _changeable(self, home: Home) -> Spec | None:
        """The description, where this machine may change it."""
        try:
            spec, status = read_spec(home), read_status(home)
        except CorruptStateError as exc:
            raise ConflictError(
                f"The service {home.name} has a damaged state folder: {exc}", hint="Delete it first.", field="name"
            ) from exc
        if status is not None:
            self._refuse_foreign(home, status)
        if spec is not None and spec.deleting:
            self._finish_delete(home, status)
            return None
        return spec

    def _refuse_foreign(self, home: Home, status: Status) -> None:
        if not status.supervisor.is_here and time.time() - status.updated < SILENT_AFTER:
            raise ConflictError(
                f"The service {home.name} belongs to the machine {status.supervisor.host}, "
                "which shares this home folder and has it running.",
                hint="Change it there, or use another name.",
                field="name",
            )

    def _look(self, home: Home) -> ServiceState | None:
        """The service; one whose supervisor died on this boot gets a new one."""
        ref = self._ref(home.name)
        try:
            spec, status = read_spec(home), read_status(home)
            if spec is None:
                return None
            state = compose(ref, spec, status)
            if state.supervised and status is not None and status.supervisor.is_here and not status.supervisor.is_alive:
                return self._revive(home, ref)
        except CorruptStateError as exc:
            return corrupt(ref, home, str(exc))
        return state

    def _revive(self, home: Home, ref: ServiceRef) -> ServiceState | None:
        with home.locked():
            spec, status = read_spec(home), read_status(home)
            if spec is None:
                return None
            if spec.deleting:
                self._finish_delete(home, status)
                return None
            try:
                starter.ensure(home)
            except BackendUnavailableError as exc:
                return replace(compose(ref, spec, status), serving_revision=0, components=(), failure=str(exc))
            return compose(ref, spec, read_status(home))

    def _look_at_all(self) -> list[ServiceState]:
        folder = services_dir(self._settings, self._namespace)
        found = []
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not entry.is_dir():
                continue
            try:
                state = self._look(self._home(entry.name))
            except InvalidNameError:
                # A folder of somebody else's making.
                continue
            if state is not None:
                found.append(state)
        return found

    def _delete(self, home: Home) -> None:
        if not home.folder.is_dir():
            raise self._missing(home.name)
        with home.locked():
            if not home.folder.is_dir():
                raise self._missing(home.name)
            try:
                spec, status = read_spec(home), read_status(home)
            except CorruptStateError:
                spec, status = None, _salvaged(home)
            if status is not None:
                self._refuse_foreign(home, status)
            if spec is not None:
                write_json(home.spec, replace(spec, deleting=True).to_json())
            if spec is not None and status is not None and status.supervisor.is_alive:
                starter.sync(home, status)
                status = read_status(home) or status
            self._finish_delete(home, status)

    def _finish_delete(self, home: Home, status: Status | None) -> None:
        """Wait for the supervisor to end, then remove what is left. The lock is held."""
        if status is not None and status.supervisor.is_here:
            starter.end(status.supervisor, wait=_DELETE_SECONDS)
            starter.bury(status)
        # Out of sight at once: a folder half removed would be a damaged service.
        doomed = home.folder.with_name(f".{home.name}.{time.time_ns()}")
        with contextlib.suppress(FileNotFoundError):
            home.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        home.socket.unlink(missing_ok=True)
        home.lock.unlink(missing_ok=True)

    def _home(self, name: str) -> Home:
        return Home.of(self._settings, self._namespace, name)

    def _known_home(self, name: str) -> Home:
        try:
            return self._home(name)
        except InvalidNameError as exc:
            raise self._missing(name[:80]) from exc

    def _ref(self, name: str) -> ServiceRef:
        return ServiceRef("local", CONTEXT, self._namespace, name)

    def _missing(self, name: str) -> NotFoundError:
        return NotFoundError(
            f"There is no service {name} in the namespace {self._namespace} of this machine.",
            hint="The Services list shows those that there are.",
        )

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _same_but_paused(one: Manifest, other: Manifest) -> bool:
    now = 0.0
    return Spec(one, 0, now, now).with_paused(False, now) == Spec(other, 0, now, now).with_paused(False, now)


def _salvaged(home: Home) -> Status | None:
    """What can be read of the status of a damaged service: its processes have to go too."""
    try:
        return read_status(home)
    except CorruptStateError:
        return None
