"""A place in a component, and the processes that fill it one after the other: limited, and started again when they end.

How a process is started and spoken to is its kind's: ``runner_process.py``, ``command_process.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ...errors import KaleServeError
from ...runner import task as runner_task
from ..base import Replica
from ..durations import in_words
from .launch import Launch
from .listener import Listener
from .logfiles import LogFile
from .processes import Identity, ended, kill_group, of_process
from .resources import in_mib
from .servers.environment import Find, Place, command
from .servers.record import Server
from .watched import Watched

LONGEST_DELAY = 300.0
"""Seconds between restarts of a process that keeps failing, in the end."""
_LONGEST_POWER = 10
STABLE_AFTER = 60.0
"""Seconds of being ready after which earlier failures no longer count for the delay."""
SILENT_AFTER = 3 * runner_task.ACTIVITY_PERIOD
"""Seconds without a report after which a ready process is told as silent."""
SLOW_AFTER = 30.0
"""Seconds without being ready after which a process that runs is told as not listening; said anew whenever it has been
twice as long."""
UNRESPONSIVE = "Unresponsive"
MODEL_NOT_READY = "ModelNotReady"
MEMORY_PERIOD = 0.25
"""Seconds between looks at a limited process's memory."""


class Places(NamedTuple):
    """The folders of a service that its processes use."""

    logs: Path
    work: Path
    sockets: Path
    """For the user alone, with a path that is short enough for unix sockets; made when it is needed."""


class CannotStartError(Exception):
    """Why a process cannot be started, for people."""


class Process(ABC):
    """A place in a component: the process that fills it now, and the ones before.

    Args:
        listener: the component's address.
        predictor_host: ``host:port`` of the predictor, for a transformer.
        find: gives where a server runs, beside the model's interpreter or not; None where it is not set up.
        changed: called after every change of what :meth:`view` shows.
        event: records an event: type, reason, message.
    """

    def __init__(
        self,
        service: str,
        launch: Launch,
        revision: int,
        index: int,
        listener: Listener,
        predictor_host: str,
        environment: Mapping[str, str],
        find: Find,
        places: Places,
        changed: Callable[[], None],
        event: Callable[[Literal["Normal", "Warning"], str, str], None],
    ) -> None:
        self.launch = launch
        self.revision = revision
        self.index = index
        self.name = f"{service}-{launch.component}-{revision:05d}-{index}"
        self.loaded = False
        self.ready = False
        self.accepting = False
        self.restarts = 0
        self.last_active = time.time()
        self.service = service
        self.listener = listener
        self._predictor_host = predictor_host
        self._environment = environment
        self._find = find
        self._places = places
        self._log = LogFile(places.logs, launch.component, revision, index)
        self._changed = changed
        self._event = event
        self._state: Literal["Waiting", "Running", "Terminated"] = "Waiting"
        self._reason = ""
        self._message = f"The {launch.component} is about to start."
        self._exit_code: int | None = None
        self._last_log = ""
        self._started = 0.0
        self._ready_since = 0.0
        self._failures = 0
        self._retry_now = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._failed_with = ""
        self._killed_because = ""
        self._ending = False
        self._silence: asyncio.TimerHandle | None = None
        self._slowness: asyncio.TimerHandle | None = None
        self._doing = ""
        self._task = asyncio.create_task(self._live())

    @property
    def identity(self) -> Identity | None:
        """The running process, to be found again by another supervisor."""
        if self._process is None:
            return None
        return of_process(self._process.pid)

    async def _place(self, server: Server) -> Place:
        """Where the server runs.

        Raises:
            CannotStartError: it is not set up, or there is no such interpreter.
        """
        try:
            found = await self._find(server, self.launch.python)
            run = "" if found else await command(server, self.launch.python)
        except KaleServeError as exc:
            raise CannotStartError(f"{exc.message} {exc.hint}".rstrip()) from exc
        if found is None:
            raise CannotStartError(f"{server.title} is not set up on this machine. Run: {run}")
        return found

    def view(self) -> Replica:
        return Replica(
            name=self.name,
            revision=self.revision,
            state=self._state,
            ready=self.ready,
            reason=self._reason,
            message=self._message,
            exit_code=self._exit_code,
            restarts=self.restarts,
            started=self._started,
            last_log=self._last_log,
        )

    def accept(self) -> None:
        """Let the process take connections, now or as soon as it has loaded."""
        if not self.accepting:
            self.accepting = True
            if self.loaded:
                self._accept()

    def retry(self) -> None:
        """Start again now where a delay is running."""
        self._failures = 0
        self._retry_now.set()

    async def stop(self, idle: float, grace: float) -> None:
        """End the process; one that answers requests drains first.

        Args:
            idle: seconds that open connections without a request are kept for the next one.
            grace: seconds that running requests may take.
        """
        self._ending = True
        self._retry_now.set()
        if self._process is not None and (self.ready or self._reason == MODEL_NOT_READY):
            await self._drain(idle, grace)
        if self._process is not None:
            await self._kill(self._process)
        await asyncio.wait([self._task])
        self._task.result()

    async def _live(self) -> None:
        while True:
            try:
                code = await self._run()
            except CannotStartError as exc:
                code, self._failed_with = None, str(exc)
            except Exception as exc:  # whatever it is, it must not leave the service waiting without a word
                code, self._failed_with = None, f"It cannot be started: {type(exc).__name__}: {exc}"
                traceback.print_exc()
            if self._is_ending():
                break
            self._told_end(code)
            await self._pause()
            if self._is_ending():
                break
        self._state, self.ready, self.loaded = "Terminated", False, False

    @abstractmethod
    async def _run(self) -> int:
        """One run, from start to end; returns the exit code.

        Raises:
            CannotStartError: there is none.
        """

    @abstractmethod
    def _accept(self) -> None:
        """Have the process that has loaded take connections."""

    @abstractmethod
    async def _drain(self, idle: float, grace: float) -> None:
        """Have the process answer what it has, and end. It is killed after that."""

    @abstractmethod
    def _still_missing(self, lasted: str) -> str:
        """What keeps the process from being ready, ``lasted`` after it was started, as a sentence's second half."""

    def _begin(self) -> None:
        """The process runs."""
        self._started = time.time()
        self._slowness = asyncio.get_running_loop().call_later(SLOW_AFTER, self._told_slow, SLOW_AFTER)
        self._state = "Running"
        self._changed()

    async def _end(self, process: asyncio.subprocess.Process, tasks: list[asyncio.Task[None]]) -> None:
        """Whatever the process started goes with it, and lets go of the log's pipe."""
        await self._kill(process)
        await process.wait()
        await asyncio.wait(tasks, timeout=2.0)
        for task in tasks:
            task.cancel()
        self._listen_for_silence(False)
        self._end_slowness()
        self._process = None
        self.loaded = self.ready = False

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        kill_group(process.pid)

    def _does(self, what: str) -> None:
        """What it is at before it is ready. After a failure, how that came stays said until it has come right."""
        self._doing = what
        if self._exit_code is None:
            self._message = f"{what}."

    def _told_slow(self, after: float) -> None:
        """The process runs and does not listen, ``after`` seconds since it was started."""
        if self.loaded and not self.accepting:
            # It would: those that take over with it are not so far.
            pass
        elif self._exit_code is None:
            last = self._log.last_lines(1, 300).strip()
            self._message = f"{self._doing}, but {self._still_missing(in_words(after))} " + (
                f"Its last output: {last}" if last else "It has written nothing."
            )
            if after == SLOW_AFTER:
                self._event("Warning", "Unhealthy", f"{self.name}: {self._message}")
            self._changed()
        self._slowness = asyncio.get_running_loop().call_later(after, self._told_slow, 2 * after)

    def _end_slowness(self) -> None:
        if self._slowness is not None:
            self._slowness.cancel()
            self._slowness = None

    def _listen_for_silence(self, on: bool) -> None:
        """From now on again: what is ready speaks up every few seconds."""
        if self._reason == UNRESPONSIVE:
            self._reason = self._message = ""
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(SILENT_AFTER, self._told_silent) if on else None

    def _told_silent(self) -> None:
        # Not ended for it: a model that computes for long keeps its server from speaking too.
        self._reason = UNRESPONSIVE
        self._message = (
            f"The {self.launch.component} has said nothing for {SILENT_AFTER:.0f} s: it is frozen, or busy with a long "
            "request."
        )
        self._changed()

    def _told_unready(self, message: str) -> None:
        """The process listens and its model is not ready: it goes on running, and is ready when the model says so."""
        if self._reason != MODEL_NOT_READY:
            self._event("Warning", MODEL_NOT_READY, f"{self.name}: {message}")
        self.ready = False
        self._reason, self._message = MODEL_NOT_READY, message

    def _told_ready(self) -> None:
        self._end_slowness()
        self.ready = True
        self._ready_since = self.last_active = time.time()
        self._reason = self._message = self._last_log = ""
        self._exit_code = None
        self._event("Normal", "Ready", f"{self.name} is ready after {time.time() - self._started:.1f} s.")

    def _told_end(self, code: int | None) -> None:
        was_ready_for = time.time() - self._ready_since if self._ready_since else 0.0
        self._ready_since = 0.0
        self._failures = 1 if was_ready_for > STABLE_AFTER else self._failures + 1
        self._last_log = self._log.last_lines()
        self._exit_code = 128 - code if code is not None and code < 0 else code
        if self._killed_because:
            self._state, self._reason, self._message = "Terminated", "OOMKilled", self._killed_because
        else:
            self._state, self._reason = "Waiting", "CrashLoopBackOff"
            self._message = self._failed_with or ended(code)
        self._event("Warning", "OOMKilled" if self._killed_because else "Error", f"{self.name}: {self._message}")
        self._changed()

    async def _pause(self) -> None:
        delay = min(LONGEST_DELAY, 2.0 ** min(self._failures - 1, _LONGEST_POWER))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._retry_now.wait(), delay)
        self._retry_now.clear()
        if not self._is_ending():
            self.restarts += 1

    def _is_ending(self) -> bool:
        return self._ending

    async def _pump(self, output: asyncio.StreamReader | None) -> None:
        while output and (data := await output.read(65536)):
            self._log.write(data)

    async def _watch_memory(self, pid: int) -> None:
        limit = self.launch.memory_limit
        if not limit:
            return
        watched = Watched(pid, limit, MEMORY_PERIOD)
        used = await watched.until_over()
        self._killed_because = f"It used {in_mib(used)} of {in_mib(limit)}."
        watched.kill()
        kill_group(pid)
