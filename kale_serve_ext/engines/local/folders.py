"""The services of one namespace in their state folders. Everything here blocks: call it on a thread."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass, replace

from ...config import Settings
from ...entities import ServiceRef
from ...errors import (
    BackendUnavailableError,
    ChangedMeanwhileError,
    ConflictError,
    InvalidNameError,
    KaleServeError,
    NotFoundError,
)
from ...locks import locked
from ..base import ComponentState, Manifest, Replica, Revision, ServiceState, Version, previous
from ..durations import in_words
from . import eventlog, revisions, starter
from .home import Home, make_folder, services_dir
from .info import CONTEXT
from .processes import kill_all, this_boot
from .state import (
    CorruptStateError,
    NewerStateError,
    Spec,
    StateError,
    Status,
    compose,
    elsewhere,
    read_spec,
    read_status,
    unreadable,
    write_spec,
)
from .writing import marked, writable

_DELETE_SECONDS = 20.0
_PATIENCE = 5.0
"""Seconds that whoever looks at one service waits for another process that is changing it."""
_DOOMED = re.compile(r"\.[-a-z0-9]+\.\d+")
"""Name of a folder that is being removed."""
_TRUST_SECONDS = 0.5
"""For how long a supervisor that was seen alive is taken to live on."""


class Folders:
    """What callers do to services: they change the description under a lock, the supervisor does the rest."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._seen: dict[str, _Seen] = {}
        self._busy: dict[str, float] = {}
        """Since when another process is seen to hold the lock of a service that nothing runs."""
        self._earlier: dict[str, tuple[tuple[float, int, int], Manifest | None, bool]] = {}

    def apply(self, name: str, manifest: Manifest, over: Version | None = None, by: str = "", back_to: int = 0) -> None:
        """Make the manifest what is wanted, in a new service or the one of this name.

        Args:
            over: what the service has to be still; None changes whatever is there.
            by: who asks for it, for the record.
            back_to: the revision whose manifest it is; 0 for a new one.

        Raises:
            ChangedMeanwhileError: the service is not ``over`` any more.
            ConflictError: the service belongs to another machine, or its folder is damaged.
            StorageFullError: there is no room for the description; nothing has changed.
        """
        home = Home.of(self._settings, self._namespace, name)
        with writable(home), home.locked():
            before = self._changeable(home)
            found = Version(before.created, before.revision, before.paused) if before else Version()
            if over is not None and over != found:
                raise ChangedMeanwhileError(
                    f"The service {name} was changed by somebody else in the meantime.",
                    hint="Review it and try again.",
                    field="name",
                )
            now = time.time()
            if before is None:
                self._create(home, Spec(manifest, 1, now, now), by)
                return
            if before.manifest != manifest:
                revision = before.revision + (0 if _same_but_paused(before.manifest, manifest) else 1)
                if revision != before.revision:
                    revisions.keep_before(home, before)
                    revisions.keep(home, Revision(revision, manifest, now, by, back_to))
                write_spec(home, replace(before, manifest=manifest, revision=revision, updated=now))
                if revision != before.revision:
                    eventlog.record(home.events, "Normal", "Applied", f"Revision {revision} is wanted.")
            self._tell(home)

    def revisions(self, name: str) -> list[Revision]:
        """The last revisions, the newest first."""
        home = self.known_home(name)
        try:
            spec = read_spec(home)
        except StateError as exc:
            raise _unusable(home, exc) from exc
        if spec is None:
            raise self.missing(name)
        return revisions.read(home, spec)

    def set_paused(self, name: str, paused: bool) -> None:
        home = self.known_home(name)
        with writable(home), home.locked():
            before = self._changeable(home)
            if before is None:
                raise self.missing(name)
            if before.paused != paused:
                write_spec(home, before.with_paused(paused, time.time()))
                eventlog.record(home.events, "Normal", "Paused" if paused else "Resumed", "As asked for.")
            self._tell(home)

    def look(self, name: str, patience: float = _PATIENCE) -> ServiceState | None:
        """The service, None where there is none.

        What was left undone by a process that died is done now: the service gets a supervisor where none lives, which
        is told of its description, or it is removed.

        Args:
            patience: seconds to wait for another process that is changing the service; then it is shown as it is known.
        """
        home = self.known_home(name)
        ref = self._ref(name)
        try:
            spec, status = read_spec(home), read_status(home)
            if spec is None:
                return None
            if not _is_undone(spec, status):
                self._busy.pop(name, None)
                return self._with_revisions(home, spec, compose(ref, spec, status))
            return self._repaired(home, ref, patience)
        except CorruptStateError as exc:
            return unreadable(ref, home, f"{exc} Delete the service and serve the model again.")
        except NewerStateError as exc:
            return unreadable(ref, home, str(exc))
        except OSError as exc:
            return unreadable(ref, home, f"It cannot be looked at: {exc}")

    def look_at_all(self) -> list[ServiceState]:
        folder = services_dir(self._settings, self._namespace)
        found = []
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not entry.is_dir():
                continue
            if _DOOMED.fullmatch(entry.name):
                # Whoever deleted it died before all of it was gone, or is still at it.
                shutil.rmtree(entry, ignore_errors=True)
                continue
            try:
                state = self.look(entry.name, patience=0.0)
            except NotFoundError:
                # A folder of somebody else's making.
                continue
            except KaleServeError as exc:
                state = unreadable(self._ref(entry.name), self.known_home(entry.name), str(exc))
            if state is not None:
                found.append(state)
        return found

    def delete(self, name: str) -> None:
        """Remove the service; returns when its processes, folder and sockets are gone."""
        home = self.known_home(name)
        if not home.folder.is_dir():
            raise self.missing(home.name)
        with writable(home), home.locked():
            if not home.folder.is_dir():
                raise self.missing(home.name)
            try:
                spec, status = read_spec(home), read_status(home)
            except NewerStateError as exc:
                # Which processes would have to end is not known.
                raise _unusable(home, exc) from exc
            except CorruptStateError:
                spec, status = None, _salvaged(home)
            self._refuse_foreign(home, spec, status)
            is_marked = spec is not None and marked(home, spec)
            if spec is not None and status is not None and status.supervisor.is_alive:
                if is_marked:
                    starter.sync(home, status)
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(status.supervisor.pid, signal.SIGTERM)
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
        except (FileNotFoundError, StateError):
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

    def _with_revisions(self, home: Home, spec: Spec, state: ServiceState) -> ServiceState:
        """The state with what it takes to name the revision that answers, and to go back to one."""
        if state.deleting or not state.ours:
            return state
        key = (spec.created, spec.revision, state.serving_revision)
        known = self._earlier.get(home.name)
        if known is None or known[0] != key:
            # Read once for each: there may be many services, looked at every other second.
            found = revisions.read(home, spec)
            serving = next((r.manifest for r in found[1:] if r.number == state.serving_revision), None)
            known = self._earlier[home.name] = (key, serving, previous(found, state.serving_revision) is not None)
        return replace(state, serving_manifest=known[1], can_roll_back=known[2])

    def _create(self, home: Home, spec: Spec, by: str) -> None:
        make_folder(home)
        try:
            revisions.keep(home, Revision(spec.revision, spec.manifest, spec.created, by))
            write_spec(home, spec)
            eventlog.record(home.events, "Normal", "Applied", "Revision 1 is wanted.")
            self._tell(home)
        except (BackendUnavailableError, OSError):
            self._finish_delete(home, None)
            raise

    def _tell(self, home: Home) -> None:
        """Let the supervisor know of a new description; start one where there is none."""
        status = read_status(home)
        if (status is not None and status.supervisor.is_alive) or starter.answers(home):
            starter.sync(home, status)
        else:
            starter.start(home)

    def _changeable(self, home: Home) -> Spec | None:
        """The description, where this machine may change it."""
        try:
            spec, status = read_spec(home), read_status(home)
        except StateError as exc:
            raise _unusable(home, exc) from exc
        self._refuse_foreign(home, spec, status)
        if spec is not None and spec.deleting:
            self._finish_delete(home, status)
            return None
        return spec

    def _refuse_foreign(self, home: Home, spec: Spec | None, status: Status | None) -> None:
        host = elsewhere(spec, status)
        if host:
            raise ConflictError(
                f"The service {home.name} belongs to the machine {host}, which shares this home folder and runs it.",
                hint="Change it there, or use another name.",
                field="name",
            )

    def _repaired(self, home: Home, ref: ServiceRef, patience: float) -> ServiceState | None:
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(home.lock, timeout=patience))
            except TimeoutError:
                return self._busy_state(home, ref)
            self._busy.pop(home.name, None)
            return self._repair(home, ref)

    def _repair(self, home: Home, ref: ServiceRef) -> ServiceState | None:
        """Do what was left undone. The lock is held: nobody is about to do it."""
        spec, status = read_spec(home), read_status(home)
        if spec is None:
            return None
        if _is_undone(spec, status):
            if status is not None and status.supervisor.is_alive:
                starter.compare(status.socket)
            elif starter.answers(home):
                # Its status could not be written, as on a full disk.
                starter.compare(str(home.socket))
            elif spec.deleting:
                self._finish_delete(home, status)
                home.lock.unlink(missing_ok=True)
                return None
            else:
                try:
                    starter.start(home)
                except BackendUnavailableError as exc:
                    return replace(compose(ref, spec, status), serving_revision=0, components=(), failure=str(exc))
            status = read_status(home)
        return self._with_revisions(home, spec, compose(ref, spec, status))

    def _busy_state(self, home: Home, ref: ServiceRef) -> ServiceState | None:
        """What is known of a service that another process holds the lock of."""
        spec, status = read_spec(home), read_status(home)
        if spec is None:
            return None
        state = compose(ref, spec, status)
        if status is not None and status.supervisor.is_alive:
            return self._with_revisions(home, spec, state)
        since = self._busy.setdefault(home.name, time.monotonic())
        lasted = time.monotonic() - since
        if lasted < starter.START_SECONDS:
            waiting = Replica(
                f"{home.name}-predictor", spec.revision, "Waiting", message="Another process starts or changes it."
            )
            return replace(state, serving_revision=0, components=(ComponentState("predictor", 1, 0, (waiting,)),))
        failure = (
            f"Another process has been starting or changing it for {in_words(lasted)}; if this persists, look for "
            "a hung process of yours."
        )
        return replace(state, serving_revision=0, components=(), failure=failure)

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
        # One that could not write down that it lives ends when it sees that the folder is gone.
        end = time.monotonic() + _DELETE_SECONDS
        while starter.answers(home) and time.monotonic() < end:
            starter.compare(str(home.socket))
            time.sleep(0.05)
        shutil.rmtree(doomed, ignore_errors=True)
        shutil.rmtree(home.sockets, ignore_errors=True)
        home.socket.unlink(missing_ok=True)

    def _ref(self, name: str) -> ServiceRef:
        return ServiceRef("local", CONTEXT, self._namespace, name)


@dataclass(frozen=True)
class _Seen:
    """A status as it was read: of which file, and until when its supervisor is taken to live on."""

    key: tuple[int, int]
    until: float
    status: Status


def _is_undone(spec: Spec, status: Status | None) -> bool:
    """Whether something died before all was done that the description asks for."""
    if elsewhere(spec, status):
        return False
    if status is None:
        return spec.deleting or spec.writer is None or spec.writer.is_here
    supervisor = status.supervisor
    if supervisor.is_alive:
        return bool(status.follows) and status.follows != spec.mark
    # After a restart of the machine nothing is started by looking.
    return spec.deleting or supervisor.boot == this_boot()


def _unusable(home: Home, exc: StateError) -> ConflictError:
    if isinstance(exc, NewerStateError):
        return ConflictError(f"The service {home.name} cannot be changed by this release: {exc}", field="name")
    return ConflictError(
        f"The service {home.name} has a damaged state folder: {exc}", hint="Delete it first.", field="name"
    )


def _same_but_paused(one: Manifest, other: Manifest) -> bool:
    now = 0.0
    return Spec(one, 0, now, now).with_paused(False, now) == Spec(other, 0, now, now).with_paused(False, now)


def _salvaged(home: Home) -> Status | None:
    """What can be read of the status of a damaged service: its processes have to go too."""
    try:
        return read_status(home)
    except CorruptStateError:
        return None
