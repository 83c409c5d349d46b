"""One model server process: started, listened to, limited, started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ...runner import task as runner_task
from ..base import Replica
from ..durations import in_words
from .environ import for_runner
from .launch import Launch
from .listener import Listener
from .logfiles import LogFile
from .processes import Identity, ended, kill_group, of_process
from .resources import in_mib, limit_cpu
from .watched import Watched

BOOT = Path(runner_task.__file__).with_name("boot.py")
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


class Process:
    """A place in a component: the process that fills it now, and the ones before.

    Args:
        listener: the component's address, whose socket the process inherits.
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
        folders: tuple[Path, Path],
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
        self._service = service
        self._listener = listener
        self._predictor_host = predictor_host
        self._environment = environment
        self._work = folders[1]
        self._log = LogFile(folders[0], launch.component, revision, index)
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
        self._commands: asyncio.StreamWriter | None = None
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
                self._command({"do": "accept"})

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
            self._command({"do": "drain", "idle": idle, "grace": grace})
            await asyncio.wait([self._task], timeout=idle + grace + 2.0)
        if self._process is not None:
            kill_group(self._process.pid)
        await asyncio.wait([self._task])
        self._task.result()

    async def _live(self) -> None:
        while True:
            try:
                code = await self._run()
            except OSError as exc:
                code, self._failed_with = None, f"{self.launch.python} cannot be started: {exc}"
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

    async def _run(self) -> int:
        """One run, from start to end; returns the exit code."""
        ours, theirs = socket.socketpair()
        self._failed_with = self._killed_because = ""
        try:
            self._log.begin()
            command = [self.launch.python, str(BOOT), "runner.main", "--channel", str(theirs.fileno())]
            process = await asyncio.create_subprocess_exec(
                *command,
                "--service",
                self._service,
                "--component",
                self.launch.component,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(), self._listener.http.fileno()),
                start_new_session=True,
                cwd=self._work,
                env=for_runner(self._environment, self.launch.env, self.launch.cpu_limit),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process = process
        tasks = [asyncio.create_task(self._pump(process.stdout))]
        try:
            if self._is_ending():
                # Stopped while it was being started: nobody else knows of it yet.
                kill_group(process.pid)
            limit_cpu(process.pid, self.launch.cpu_limit)
            self._started = time.time()
            self._does(f"The {self.launch.component}'s Python is starting")
            self._slowness = asyncio.get_running_loop().call_later(SLOW_AFTER, self._told_slow, SLOW_AFTER)
            self._state = "Running"
            self._changed()
            reader, self._commands = await asyncio.open_connection(sock=ours)
            self._commands.write(self._task_line() + b"\n")
            tasks.append(asyncio.create_task(self._reports(reader, process.pid)))
            watch = asyncio.create_task(self._watch_memory(process.pid))
            try:
                return await process.wait()
            finally:
                watch.cancel()
        finally:
            # Whatever the process started goes with it, and lets go of the log's pipe.
            kill_group(process.pid)
            await process.wait()
            await asyncio.wait(tasks, timeout=2.0)
            for task in tasks:
                task.cancel()
            if self._commands is None:
                ours.close()
            else:
                self._commands.close()
            self._listen_for_silence(False)
            self._end_slowness()
            self._process = self._commands = None
            self.loaded = self.ready = False

    def _task_line(self) -> bytes:
        return (
            runner_task.Task(
                name=self._service,
                component=self.launch.component,
                kind=self.launch.kind,
                path=self.launch.path,
                parent=os.getpid(),
                http_fd=self._listener.http.fileno(),
                grpc_port=self._listener.ports.grpc,
                digest=self.launch.digest,
                protocol=self.launch.protocol,
                module_name=self.launch.module_name,
                class_name=self.launch.class_name,
                predictor_host=self._predictor_host,
                args=self.launch.args,
                access=self._listener.access,
            )
            .to_json()
            .encode()
        )

    def _command(self, command: Mapping[str, object]) -> None:
        if self._commands is not None:
            self._commands.write(json.dumps(command).encode() + b"\n")

    async def _reports(self, reader: asyncio.StreamReader, pid: int) -> None:
        try:
            await self._follow(reader)
        except Exception as exc:  # its code is the model's own, and can write there too
            self._failed_with = f"What it reports cannot be understood: {type(exc).__name__}: {exc}"
            kill_group(pid)

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            report = json.loads(line)
            event = report["event"]
            if event == "alive" and self._reason not in (UNRESPONSIVE, MODEL_NOT_READY):
                self._listen_for_silence(self.ready)
                continue
            if event == "loading":
                self._does(f"The {self.launch.component} is loading")
            elif event == "loaded":
                self.loaded = True
                self._does(f"The {self.launch.component} has loaded")
                if self.accepting:
                    self._command({"do": "accept"})
            elif event == "ready":
                self._told_ready()
            elif event == "unready":
                self._told_unready(str(report["message"]))
            elif event in ("active", "alive"):
                if event == "active":
                    self.last_active = time.time()
                if self._reason == MODEL_NOT_READY:
                    self._told_ready()
            elif event == "draining":
                self.ready = False
            elif event == "failed":
                self._failed_with = str(report["message"])
            self._listen_for_silence(self.ready)
            self._changed()

    def _does(self, what: str) -> None:
        """What it is at before it is ready. After a failure, how that came stays said until it has come right."""
        self._doing = what
        if not self._exit_code:
            self._message = f"{what}."

    def _told_slow(self, after: float) -> None:
        """The process runs and does not listen, ``after`` seconds since it was started."""
        if self.loaded and not self.accepting:
            # It would: those that take over with it are not so far.
            pass
        elif not self._exit_code:
            port = self._listener.ports.http
            last = self._log.last_lines(1, 300).strip()
            self._message = (
                f"{self._doing}, but nothing of it listens on port {port}, {in_words(after)} after it was started: its "
                "process runs and has not reported that it is ready. "
                + (f"Its last output: {last}" if last else "It has written nothing.")
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
