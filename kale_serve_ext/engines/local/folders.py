"""The services of one namespace in their state folders. Everything here blocks: call it on a thread."""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...config import Settings
from ...errors import BackendUnavailableError, ConflictError, InvalidNameError, NotFoundError, StorageFullError
from ...records import ServiceRef
from ..base import Manifest, ServiceState
from . import eventlog, starter
from .home import Home, make_folder, services_dir, write_json
from .processes import kill_all
from .state import SILENT_AFTER, CorruptStateError, Spec, Status, compose, corrupt, read_spec, read_status

CONTEXT = "localhost"
_DELETE_SECONDS = 20.0
_TRUST_SECONDS = 0.5
"""For how long a supervisor that was seen alive is taken to live on."""


class Folders:
    """What callers do to services: they change the description under a lock, the supervisor does the rest."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._seen: dict[str, _Seen] = {}

    def apply(self, name: str, manifest: Manifest) -> None:
        """Make the manifest what is wanted, in a new service or the one of this name.

        Raises:
            ConflictError: the service belongs to another machine, or its folder is damaged.
            StorageFullError: there is no room for the description; nothing has changed.
        """
        home = Home.of(self._settings, self._namespace, name)
        with home.locked(), _room(home):
            before = self._changeable(home)
            now = time.time()
            if before is None:
                self._create(home, Spec(manifest, 1, now, now))
                return
            if before.manifest != manifest:
                revision = before.revision + (0 if _same_but_paused(before.manifest, manifest) else 1)
                write_json(home.spec, replace(before, manifest=manifest, revision=revision, updated=now).to_json())
                if revision != before.revision:
                    eventlog.record(home.events, "Normal", "Applied", f"Revision {revision} is wanted.")
            self._tell(home)

    def set_paused(self, name: str, paused: bool) -> None:
        home = self.known_home(name)
        with home.locked(), _room(home):
            before = self._changeable(home)
            if before is None:
                raise self.missing(name)
            if before.paused != paused:
                write_json(home.spec, before.with_paused(paused, time.time()).to_json())
                eventlog.record(home.events, "Normal", "Paused" if paused else "Resumed", "As asked for.")
            self._tell(home)

    def look(self, name: str) -> ServiceState | None:
        """The service, None where there is none; one whose supervisor died on this boot gets a new one."""
        home = self.known_home(name)
        ref = self._ref(name)
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

    def look_at_all(self) -> list[ServiceState]:
        folder = services_dir(self._settings, self._namespace)
        found = []
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not entry.is_dir():
                continue
            try:
                state = self.look(entry.name)
            except NotFoundError:
                # A folder of somebody else's making.
                continue
            if state is not None:
                found.append(state)
        return found

    def delete(self, name: str) -> None:
        """Remove the service; returns when its processes, folder and sockets are gone."""
        home = self.known_home(name)
        if not home.folder.is_dir():
            raise self.missing(home.name)
        with home.locked():
            if not home.folder.is_dir():
                raise self.missing(home.name)
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
            home.lock.unlink(missing_ok=True)

    def lately(self, home: Home) -> Status | None:
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

    def known_home(self, name: str) -> Home:
        """Where the service would be; a name that none can have is not found."""
        try:
            return Home.of(self._settings, self._namespace, name)
        except InvalidNameError as exc:
            raise self.missing(name[:80]) from exc

    def missing(self, name: str) -> NotFoundError:
        return NotFoundError(
            f"There is no service {name} in the namespace {self._namespace} of this machine.",
            hint="The Services list shows those that there are.",
        )

    def _create(self, home: Home, spec: Spec) -> None:
        make_folder(home)
        try:
            write_json(home.spec, spec.to_json())
            eventlog.record(home.events, "Normal", "Applied", "Revision 1 is wanted.")
            self._tell(home)
        except (BackendUnavailableError, OSError):
            self._finish_delete(home, None)
            raise

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

    def _finish_delete(self, home: Home, status: Status | None) -> None:
        """Wait for the supervisor to end, then remove what is left. The lock is held."""
        if status is not None and status.supervisor.is_here:
            starter.end(status.supervisor, wait=_DELETE_SECONDS)
            # Its model servers die with it where the system sees to that.
            kill_all(status.children)
        # Out of sight at once: a folder half removed would be a damaged service.
        doomed = home.folder.with_name(f".{home.name}.{time.time_ns()}")
        with contextlib.suppress(FileNotFoundError):
            home.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        home.socket.unlink(missing_ok=True)

    def _ref(self, name: str) -> ServiceRef:
        return ServiceRef("local", CONTEXT, self._namespace, name)


@dataclass(frozen=True)
class _Seen:
    """A status as it was read: of which file, and until when its supervisor is taken to live on."""

    key: tuple[int, int]
    until: float
    status: Status


@contextlib.contextmanager
def _room(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFullError(
            f"There is no room left in {home.folder.parent} for the service {home.name}.", hint="Free some space there."
        ) from exc


def _same_but_paused(one: Manifest, other: Manifest) -> bool:
    now = 0.0
    return Spec(one, 0, now, now).with_paused(False, now) == Spec(other, 0, now, now).with_paused(False, now)


def _salvaged(home: Home) -> Status | None:
    """What can be read of the status of a damaged service: its processes have to go too."""
    try:
        return read_status(home)
    except CorruptStateError:
        return None
