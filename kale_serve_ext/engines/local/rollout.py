"""The processes of one service: brought up, replaced, scaled and stopped so that requests are answered throughout.

A component whose description did not change keeps its processes through a rollout, as a Deployment does. The new
processes of the others take over together, once all have loaded; the old ones answer until then, and drain after.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

from ...runner.access import Access
from ..base import Component, ComponentState
from ..durations import in_words
from ..kserve import OLD_KEPT
from . import servers
from .command_process import CommandProcess
from .launch import Launch
from .listener import Listener
from .logfiles import prune
from .replica import Places, Process
from .runner_process import RunnerProcess
from .servers.environment import Find
from .state import Ports

Event = Callable[[str, Literal["Normal", "Warning"], str, str], None]
"""Records an event: what it is about, type, reason, message."""

ROLLOUT_IDLE = 5.0
"""Seconds that an old revision keeps idle connections for one more request."""
GRACE = 30.0
"""Seconds that running requests may take when their process is replaced."""
PROGRESS_SECONDS = 600.0
"""Seconds after which a revision that has not replaced the one before is told as late: a Deployment's default too."""
HURRY = 5.0
"""The same when the service is paused or deleted."""


def _message(processes: list[Process]) -> str:
    return next((v.message for p in processes if not p.loaded and (v := p.view()).message), "")


class ComponentRollout:
    """One component: the processes that serve, those that are to replace them, and those on their way out."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.current: list[Process] = []
        self.next: list[Process] = []
        self.retiring: list[Process] = []
        self.began = 0.0
        """When the newest revision's processes were first started, on the monotonic clock."""

    @property
    def processes(self) -> list[Process]:
        return [*self.current, *self.next, *self.retiring]

    @property
    def answering(self) -> list[Process]:
        return [p for p in (*self.current, *self.retiring) if p.ready]


class Rollout:
    """What runs of a service. :meth:`want` says what should, :meth:`step` takes the next steps towards it.

    Args:
        ports: addresses from before, to be had again.
        find: gives where a server runs, beside the model's interpreter or not; None where it is not set up.
        changed: called when a process changed: time for a :meth:`step`.
    """

    def __init__(
        self,
        service: str,
        places: Places,
        environment: Mapping[str, str],
        find: Find,
        ports: Mapping[str, Ports],
        changed: Callable[[], None],
        event: Event,
        why: Callable[[], dict[str, str]],
        access: Callable[[], Access],
    ) -> None:
        self._service = service
        self._places = places
        self._environment = environment
        self._find = find
        self._ports = dict(ports)
        self._changed = changed
        self._event = event
        self._why = why
        self._access = access
        self._parts: dict[Component, ComponentRollout] = {}
        self._wanted: list[Launch] = []
        self._revision = 0
        self._listeners: dict[str, Listener] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._ending: list[Process] = []

    @property
    def ports(self) -> dict[str, Ports]:
        return dict(self._ports)

    @property
    def processes(self) -> list[Process]:
        """Every process that is still there."""
        return [p for part in self._parts.values() for p in part.processes] + self._ending

    @property
    def is_stopped(self) -> bool:
        return not self._stopping and not self.processes

    @property
    def serving_revision(self) -> int:
        """The oldest revision among the components that answer together; 0 while one of them has nobody who answers.

        These are the components that took over last: one that is still to be added does not count, as the others answer
        without it until it has loaded.
        """
        serving = [part.answering for part in self._parts.values() if part.current or part.retiring]
        if not self._wanted or not serving or not all(serving):
            return 0
        return min(max(p.revision for p in found) for found in serving)

    @property
    def last_active(self) -> float:
        """When the last request came, or the last process became ready."""
        return max((p.last_active for p in self.processes), default=time.time())

    def want(self, wanted: list[Launch], revision: int) -> None:
        """What should run; an empty list is nothing. Waiting processes are started again without further delay."""
        self._wanted = wanted
        self._revision = revision
        for process in self.processes if wanted else ():
            process.retry()

    def listen(self, keys: Iterable[str]) -> None:
        """Hold these addresses."""
        for key in keys:
            if key not in self._listeners:
                self._listeners[key] = self._listener(key)

    def step(self) -> None:
        """Do what can be done now. Cheap, and without effect when nothing changed."""
        self.listen(w.listener for w in self._wanted)
        for launch in self._wanted:
            self._prepare(self._parts.setdefault(launch.component, ComponentRollout(launch)), launch)
        self._take_over()
        self._retire()
        for key, listener in list(self._listeners.items()):
            users = [p for part in self._parts.values() for p in part.processes if p.launch.listener == key]
            if users or key == "entry" or key in {w.listener for w in self._wanted}:
                listener.answer(not any(p.ready for p in users))
            else:
                listener.close()
                del self._listeners[key]

    def states(self, wanted: list[Launch]) -> tuple[ComponentState, ...]:
        """The components as they are; ``wanted`` are those to tell about also when nothing runs."""
        made = []
        for launch in wanted:
            part = self._parts.get(launch.component, ComponentRollout(launch))
            shown = [*part.current, *part.next] or [
                p for p in (*part.retiring, *self._ending) if p.launch.component == launch.component
            ]
            views = tuple(p.view() for p in shown)
            # Of those that answer, the newest count: the old ones that are kept beside them would hide one that fails.
            ready = sum(p.ready for p in part.current) or len(part.answering)
            made.append(ComponentState(launch.component, launch.replicas, ready, views))
        return tuple(made)

    def late(self) -> dict[Component, tuple[str, str]]:
        """Reason and message for each component whose newest revision has not replaced the one before for long."""
        found: dict[Component, tuple[str, str]] = {}
        for component, part in self._parts.items():
            old = part.retiring or (part.current if part.next else [])
            lasted = time.monotonic() - part.began
            if not old or lasted < PROGRESS_SECONDS:
                continue
            before, after = max(p.revision for p in old), self._revision
            if part.retiring:
                what = (
                    f"Revision {before} still answers beside revision {after}, whose processes have not all been ready"
                )
                found[component] = OLD_KEPT, f"{what} at one time for {in_words(lasted)}."
            else:
                message = _message(part.next)
                what = f"Revision {after} has not loaded for {in_words(lasted)}{': ' if message else '.'}{message}"
                found[component] = "ProgressDeadlineExceeded", what
        return found

    async def close(self) -> None:
        """Stop everything and give the addresses back."""
        self.want([], self._revision)
        self._take_over()
        self._retire()
        while self._stopping:
            await asyncio.wait(self._stopping)
        for listener in self._listeners.values():
            listener.close()

    def _prepare(self, part: ComponentRollout, launch: Launch) -> None:
        part.launch = launch
        if part.current and part.current[0].launch.fingerprint == launch.fingerprint:
            self._stop(part.next, idle=0.0, grace=0.0)
            part.next = []
            self._scale(part.current, launch)
            for process in part.current:
                process.accept()
        else:
            if part.next and part.next[0].launch.fingerprint != launch.fingerprint:
                self._stop(part.next, idle=0.0, grace=0.0)
                part.next = []
            if not part.next:
                part.began = time.monotonic()
            self._scale(part.next, launch)

    def _scale(self, processes: list[Process], launch: Launch) -> None:
        for process in processes:
            process.revision = self._revision
        surplus = processes[launch.replicas :]
        del processes[launch.replicas :]
        self._stop(surplus, ROLLOUT_IDLE, GRACE)
        for index in range(len(processes), launch.replicas):
            processes.append(self._start(launch, index))
        if surplus or not processes:
            prune(self._places.logs, launch.component)

    def _start(self, launch: Launch, index: int) -> Process:
        predictor = next((w for w in self._wanted if w.component == "predictor"), launch)
        host = f"127.0.0.1:{self._listeners[predictor.listener].ports.http}"
        kind = CommandProcess if servers.named(launch.server).program else RunnerProcess
        process = kind(
            service=self._service,
            launch=launch,
            revision=self._revision,
            index=index,
            listener=self._listeners[launch.listener],
            predictor_host=host if launch.component == "transformer" else "",
            environment=self._environment,
            find=self._find,
            places=self._places,
            changed=self._changed,
            event=partial(self._event, launch.component),
        )
        prune(self._places.logs, launch.component)
        return process

    def _take_over(self) -> None:
        """Switch to the new processes when all have loaded; components that are not wanted any more go with it."""
        kept = {w.component for w in self._wanted}
        dropped = [c for c in self._parts if c not in kept]
        arriving = [p for c, part in self._parts.items() if c in kept for p in part.next]
        if not all(p.loaded for p in arriving) or not (arriving or dropped):
            return
        for component in dropped:
            part = self._parts.pop(component)
            # Beside a component that takes its place it drains; without one there is nothing to wait for.
            self._stop(part.processes, *((ROLLOUT_IDLE, GRACE) if kept else (0.0, HURRY)))
        for part in self._parts.values():
            if part.next:
                part.retiring += part.current
                part.current, part.next = part.next, []
                for process in part.current:
                    process.accept()

    def _retire(self) -> None:
        """Stop the old processes once the new ones answer."""
        if all(p.ready for part in self._parts.values() for p in part.current):
            for part in self._parts.values():
                self._stop(part.retiring, ROLLOUT_IDLE, GRACE)
                part.retiring = []

    def _stop(self, processes: Iterable[Process], idle: float, grace: float) -> None:
        for process in processes:
            self._ending.append(process)
            task = asyncio.get_running_loop().create_task(process.stop(idle, grace))
            self._stopping.add(task)
            task.add_done_callback(partial(self._stopped, process))

    def _stopped(self, process: Process, task: asyncio.Task[None]) -> None:
        self._stopping.discard(task)
        self._ending.remove(process)
        self._changed()

    def _listener(self, key: str) -> Listener:
        wanted = self._ports.get(key)
        try:
            made = Listener(wanted, self._why, self._access)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or wanted is None:
                raise
            made = Listener(None, self._why, self._access)
            text = f"Port {wanted.http} or {wanted.grpc} is taken by another program; it moved to {made.ports.http}."
            self._event(key, "Warning", "PortTaken", text)
        self._ports[key] = made.ports
        return made
