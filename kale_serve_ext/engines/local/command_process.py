"""Any program as a process: it gets a folder and addresses of its own, and the service's address leads to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import socket
import sys
import time
from pathlib import Path

from ...errors import KaleServeError
from ...runner.load import check_digest
from ...runner.task import ACTIVITY_PERIOD
from . import servers
from .edge.backends import Backend
from .environ import for_runner, inherited
from .processes import kill_group
from .replica import MODEL_NOT_READY, CannotStartError, Process
from .resources import limit_cpu
from .servers import layout
from .servers.environment import Place
from .servers.keeper import PATIENCE, remove
from .servers.launcher import launched
from .servers.probe import Said, ask, check_owner
from .servers.record import Command, Program, Seat, Server
from .watched import until_lost

RUNS = "run-"
"""What the names of the folders of runs begin with, in the service's work folder."""
_FIRST_PERIOD = 0.05
_LONGEST_PERIOD = 0.5
"""Seconds between questions whether the model is ready, before it is for the first time."""
_LOG_LINES, _LOG_BYTES = 400, 65536
"""Of the end of a log, in which the reason of a failure is looked for: some servers print tables behind it."""
_NOT_EXECUTED = 127
_numbers = itertools.count()
_taken: set[int] = set()
"""Numbers of folders of sockets. They are used again: a socket's path has to stay short."""


def clear(work: Path, sockets: Path) -> None:
    """Remove what runs have left whose supervisor was killed."""
    for folder in work.glob(f"{RUNS}*"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(sockets, ignore_errors=True)


class CommandProcess(Process):
    """A process of a server that has a program."""

    _backend: Backend | None = None
    _channel: socket.socket | None = None
    _last_said = ""

    @property
    def _server(self) -> Server:
        return servers.named(self.launch.server)

    def _accept(self) -> None:
        if self._backend and not self._backend.draining:
            self.listener.lead_to(self._backend)
            self._told_ready()
            self._changed()

    async def _drain(self, idle: float, grace: float) -> None:
        process, backend, program = self._process, self._backend, self._server.program
        if process is None or backend is None or program is None:
            return
        self.ready = False
        self.listener.leave(backend)
        self._changed()
        await backend.drain(idle, grace)
        if self._process is process:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(program.stop)
            await asyncio.wait([self._task], timeout=program.stops_within)

    def _still_missing(self, lasted: str) -> str:
        return f"its model is not ready {lasted} after it was started. {self._last_said}".rstrip()

    async def _run(self) -> int:
        self._failed_with = self._killed_because = self._last_said = ""
        server = self._server
        if server.program is None:
            raise CannotStartError(f"{server.title} has no program.")
        self._log.begin()
        folder = self._places.work / f"{RUNS}{next(_numbers)}"
        number = next(each for each in itertools.count() if each not in _taken)
        _taken.add(number)
        sockets = self._places.sockets / str(number)
        try:
            place = await self._place(server)
            with contextlib.ExitStack() as held:
                made = await asyncio.to_thread(self._prepare, place, server.program, folder, sockets, held)
                return await self._run_command(server, server.program, *made)
        finally:
            for each in (folder, sockets):
                await asyncio.to_thread(shutil.rmtree, each, ignore_errors=True)
            _taken.discard(number)

    def _prepare(
        self, place: Place, program: Program, folder: Path, sockets: Path, held: contextlib.ExitStack
    ) -> tuple[Seat, Command]:
        """Check the snapshot and make the folder. Blocks."""
        launch = self.launch
        try:
            snapshot = Path(launch.path)
            found = layout.look(self.service, launch.kind, snapshot)
            if launch.digest:
                check_digest(snapshot, launch.digest)
            temporary = folder / "tmp"
            folder.mkdir(mode=0o700)
            temporary.mkdir(mode=0o700)
            layout.make(program.layout(found), snapshot, folder / "served")
            http, grpc = _sockets(sockets) if program.unix else _ports(held)
            seat = Seat(
                name=self.service,
                format=launch.kind,
                python=place.python,
                folder=folder / "served",
                temporary=temporary,
                http=http,
                grpc=grpc,
                given=launch.env,
                args=launch.args,
                overlay=place.overlay,
                memory=launch.memory_limit,
            )
            return seat, program.command(seat)
        except KaleServeError as exc:
            raise CannotStartError(f"{exc.message} {exc.hint}".rstrip()) from exc
        except (OSError, RuntimeError, ValueError) as exc:
            raise CannotStartError(str(exc)) from exc

    async def _run_command(self, server: Server, program: Program, seat: Seat, command: Command) -> int:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *launched(sys.executable, "engines.local.servers.keeper"),
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd=seat.temporary,
                env=inherited(),
            )
        except OSError as exc:
            ours.close()
            raise CannotStartError(f"{sys.executable} cannot be started: {exc}") from exc
        finally:
            theirs.close()
        self._process, self._channel = process, ours
        tasks = [asyncio.create_task(self._pump(process.stdout))]
        self._backend = backend = Backend(seat.http, seat.grpc if program.grpc else None, self._told_active)
        try:
            if self._is_ending():
                await self._kill(process)
            # Before it has started anything, which would run on all cores.
            limit_cpu(process.pid, self.launch.cpu_limit)
            self._does(f"{server.title} is starting")
            self._begin()
            await asyncio.get_running_loop().sock_sendall(_unblocked(ours), self._task_line(seat, command))
            watch = [
                asyncio.create_task(self._watch_memory(process.pid)),
                asyncio.create_task(self._watch_model(program, seat, process.pid)),
            ]
            if program.loses_workers:
                watch.append(asyncio.create_task(self._watch_workers(server, process.pid)))
            try:
                code = await process.wait()
            finally:
                for task in watch:
                    task.cancel()
            self._failed_with = self._failed_with or self._why_ended(program, code)
            return code
        finally:
            self.listener.leave(backend)
            backend.cut()
            self._backend = None
            await self._end(process, tasks)
            await asyncio.to_thread(remove, command.leaves)
            self._channel = None
            ours.close()

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        """The keeper, which learns that it is to end by the channel, knows what has left its group and kills it."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE + 1.0)
        await super()._kill(process)

    def _task_line(self, seat: Seat, command: Command) -> bytes:
        env = for_runner(self._environment, self.launch.env, self.launch.cpu_limit)
        env |= {"TMPDIR": str(seat.temporary), **command.env}
        task = {"argv": command.argv, "cwd": str(seat.temporary), "env": env, "leaves": command.leaves}
        return json.dumps(task).encode() + b"\n"

    def _why_ended(self, program: Program, code: int) -> str:
        """What its log says; what killed it is nothing that it could write."""
        if code < 0:
            return ""
        log = self._log.last_lines(_LOG_LINES, _LOG_BYTES)
        last = log.strip().rpartition("\n")[2]
        return last if code == _NOT_EXECUTED else program.reason(log)

    def _told_active(self) -> None:
        self.last_active = time.time()

    async def _watch_model(self, program: Program, seat: Seat, pid: int) -> None:
        """Ask for the model, often until it is ready for the first time, and now and then from there on."""
        path = program.ready.format(name=self.service)
        period = _FIRST_PERIOD
        while True:
            try:
                said = await ask(seat.http, path, ACTIVITY_PERIOD)
                if program.grpc and not self.loaded and isinstance(seat.grpc, int):
                    # Before anybody is led there.
                    check_owner(seat.grpc)
                self._heed(said)
            except PermissionError as exc:
                self._failed_with = str(exc)
                kill_group(pid)
                return
            except OSError as exc:
                self._heed(Said(False, f"It does not accept connections: {exc.strerror or exc}."))
            except asyncio.TimeoutError:
                # Busy, or frozen: told after a while, as nothing has been heard of it.
                self._last_said = f"{path} was not answered within {ACTIVITY_PERIOD:.0f} s."
            await asyncio.sleep(ACTIVITY_PERIOD if self.loaded else period)
            period = min(2 * period, _LONGEST_PERIOD)

    async def _watch_workers(self, server: Server, pid: int) -> None:
        """End the server once a process of it has ended that nobody waits for."""
        await until_lost(pid)
        self._failed_with = f"A process that {server.title} ran the model in has ended, or was killed."
        kill_group(pid)

    def _heed(self, said: Said) -> None:
        self._last_said = said.message
        if self._is_ending():
            # Whatever its model says, no new requests are for it.
            return
        if not self.loaded:
            if not said.ready:
                return
            self.loaded = True
            self._does(f"The {self.launch.component} has loaded")
            if self.accepting:
                self._accept()
        elif said.ready and self._reason == MODEL_NOT_READY:
            self._accept()
        elif not said.ready and self.ready and self._backend:
            self.listener.leave(self._backend)
            self._told_unready(said.message)
        self._listen_for_silence(self.ready)
        self._changed()


def _sockets(folder: Path) -> tuple[str, str]:
    # What an earlier process could not remove.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return str(folder / "h"), str(folder / "g")


def _ports(held: contextlib.ExitStack) -> tuple[int, int]:
    """Two ports that are held until a server of this user listens on them: one that is bound and does not listen is in
    nobody's way who may share it, and keeps the system from giving the port to others."""

    def hold() -> int:
        made = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])

    return hold(), hold()


def _unblocked(made: socket.socket) -> socket.socket:
    made.setblocking(False)
    return made
