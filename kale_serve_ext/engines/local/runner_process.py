"""This package's own runner as a process: it inherits the service's socket, and reports over a socket pair."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Mapping

from ...runner import task as runner_task
from . import servers
from .environ import for_runner
from .processes import kill_group
from .replica import MODEL_NOT_READY, UNRESPONSIVE, CannotStartError, Process
from .resources import limit_cpu
from .servers.launcher import launched


class RunnerProcess(Process):
    """kserve.ModelServer with a model that this package opens."""

    _commands: asyncio.StreamWriter | None = None

    def _accept(self) -> None:
        self._command({"do": "accept"})

    async def _drain(self, idle: float, grace: float) -> None:
        self._command({"do": "drain", "idle": idle, "grace": grace})
        await asyncio.wait([self._task], timeout=idle + grace + 2.0)

    def _still_missing(self, lasted: str) -> str:
        return (
            f"nothing of it listens on port {self.listener.ports.http}, {lasted} after it was started: its process "
            "runs and has not reported that it is ready."
        )

    async def _run(self) -> int:
        self._failed_with = self._killed_because = ""
        place = await self._place(servers.named(self.launch.server))
        environ = for_runner(self._environment, self.launch.env, self.launch.cpu_limit)
        ours, theirs = socket.socketpair()
        try:
            self._log.begin()
            process = await asyncio.create_subprocess_exec(
                *launched(place.python, "runner.main"),
                "--channel",
                str(theirs.fileno()),
                "--service",
                self.service,
                "--component",
                self.launch.component,
                *(("--overlay", str(place.overlay)) if place.overlay is not None else ()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(), self.listener.http.fileno()),
                start_new_session=True,
                cwd=self._places.work,
                env=environ,
            )
        except OSError as exc:
            ours.close()
            raise CannotStartError(f"{self.launch.python} cannot be started: {exc}") from exc
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
            self._does(f"The {self.launch.component}'s Python is starting")
            self._begin()
            reader, self._commands = await asyncio.open_connection(sock=ours)
            self._commands.write(self._task_line() + b"\n")
            tasks.append(asyncio.create_task(self._reports(reader, process.pid)))
            watch = asyncio.create_task(self._watch_memory(process.pid))
            try:
                return await process.wait()
            finally:
                watch.cancel()
        finally:
            await self._end(process, tasks)
            if self._commands is None:
                ours.close()
            else:
                self._commands.close()
            self._commands = None

    def _task_line(self) -> bytes:
        return (
            runner_task.Task(
                name=self.service,
                component=self.launch.component,
                kind=self.launch.kind,
                path=self.launch.path,
                parent=os.getpid(),
                http_fd=self.listener.http.fileno(),
                grpc_port=self.listener.ports.grpc,
                digest=self.launch.digest,
                protocol=self.launch.protocol,
                module_name=self.launch.module_name,
                class_name=self.launch.class_name,
                predictor_host=self._predictor_host,
                args=self.launch.args,
                access=self.listener.access,
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
