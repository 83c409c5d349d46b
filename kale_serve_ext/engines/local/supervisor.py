"""The process that watches over one service: it keeps the description and the processes in step, and says how they do.

There is one for each service, detached from whoever started it. It imports nothing that weighs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TextIO

from ...config import Settings
from ...errors import BackendUnavailableError, InvalidInputError, KaleServeError
from ...runner.access import Access
from ...runner.task import ACTIVITY_PERIOD
from . import eventlog
from .command_process import clear
from .conditions import conditions, trouble
from .environ import inherited
from .home import Home, make_folder, write_json
from .launch import Launch, idle_limit, launches, unknown_runtime
from .processes import Identity, kill_all
from .replica import Places
from .rollout import Rollout
from .servers.environment import place
from .state import Spec, StateError, Status, read_spec, read_status, write_spec

HEARTBEAT = 60.0
"""Seconds between signs of life for other machines that share the folder, and between looks at the description: whoever
changed it may have died before telling."""
_MAX_COMMAND = 4096


def main(argv: Sequence[str]) -> None:
    """Watch over the service in ``--folder`` until it is deleted; tell ``--ready-fd`` when that began, or why not."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext supervisor")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--access", type=json.loads)
    given = parser.parse_args(argv)
    # Whoever started this is not kept waiting, and has no corpse to bury when it ends.
    if os.fork():
        os._exit(0)
    os.setsid()
    # Who has no setting for it does not tell, nor do kernels that began before an upgrade.
    access = None if given.access is None else Access.from_json(given.access)
    home = Home(given.folder.parent.name, given.folder.name, given.folder, given.runtime, access)
    with os.fdopen(given.ready_fd, "w") as starter:
        try:
            asyncio.run(_watch_over(home, starter))
        except (OSError, KaleServeError, StateError) as exc:
            if not starter.closed:
                starter.write(str(exc) or repr(exc))
            raise


async def _watch_over(home: Home, starter: TextIO) -> None:
    spec = read_spec(home)
    if spec is None:
        raise FileNotFoundError(f"The service's description {home.spec} is gone.")
    supervisor = Supervisor(home, spec, read_status(home))
    await supervisor.run(starter)


class Supervisor:
    def __init__(self, home: Home, spec: Spec, before: Status | None) -> None:
        self._home = home
        self._spec = spec
        self._before = before
        self._access = (before.access if before else None) or Access()
        self._me = Identity.mine()
        self._wake = asyncio.Event()
        self._leaving = False
        self._failure = ""
        self._fault = ""
        self._launches: list[Launch] = []
        self._written: Status | None = None
        self._written_at = 0.0
        self._compared_at = time.monotonic()
        self._conditions = {c.type: c for c in before.conditions} if before else {}
        self._rollout = Rollout(
            service=home.name,
            places=Places(home.logs, home.work, home.sockets),
            environment=inherited(),
            find=lambda server, python: place(server, python, Settings(data_dir=home.data_dir)),
            ports=before.ports if before else {},
            changed=self._wake.set,
            event=self._event,
            why=self._why,
            access=lambda: self._access,
        )

    async def run(self, starter: TextIO) -> None:
        """Until the service is deleted, or this process is asked to end."""
        make_folder(self._home)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        if self._before:
            # What an earlier supervisor left behind holds the addresses.
            await asyncio.to_thread(kill_all, self._before.children)
        await asyncio.to_thread(clear, self._home.work, self._home.sockets)
        self._answer(self._home.access or self._access)
        warning = self._access.warning()
        if warning:
            self._event("", "Warning", "ClientsUnknown", warning)
        self._home.socket.unlink(missing_ok=True)
        control = await asyncio.start_unix_server(self._obey, self._home.socket, limit=_MAX_COMMAND)
        try:
            self._rollout.listen(["entry"])
            self._want()
            self._step()
            with contextlib.suppress(BrokenPipeError):
                # Whoever waited for it may be gone; the service is wanted all the same.
                starter.write("ready")
                starter.close()
            while not (self._leaving or (self._spec.deleting and self._rollout.is_stopped)):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._period())
                self._wake.clear()
                if time.monotonic() - self._compared_at >= HEARTBEAT:
                    self._compare()
                self._step()
        finally:
            await self._rollout.close()
            control.close()
            self._home.socket.unlink(missing_ok=True)
            clear(self._home.work, self._home.sockets)

    def _step(self) -> None:
        if not self._home.spec.exists():
            # Somebody removed the folder: there is nothing to serve, and no way to say so.
            self._leave()
            return
        try:
            self._rest_if_idle()
            self._rollout.step()
            self._fault = ""
        except Exception as exc:  # said, and tried again at the next step: what serves must not end for it
            self._fault = self._told_error(exc, self._fault)
        self._write_status()

    def _compare(self) -> None:
        """Take over a description that is another than the one that is followed."""
        self._compared_at = time.monotonic()
        try:
            spec = read_spec(self._home)
        except (StateError, OSError):
            # Whoever looks at the service is told.
            return
        if spec is not None and spec.mark != self._spec.mark:
            self._spec = spec
            self._want()

    def _want(self) -> None:
        """Take over what the description says."""
        self._failure = ""
        try:
            self._launches = launches(self._spec.manifest, stays=True)
            if unknown := unknown_runtime(self._spec.manifest):
                message = f"There is no runtime {unknown[:100]!r} on this machine: KServe's server takes its place."
                self._event("", "Warning", "RuntimeUnknown", message)
        except InvalidInputError as exc:
            self._launches = []
            self._failure = exc.message
        except Exception as exc:
            self._launches = []
            self._failure = self._told_error(exc)
        self._rollout.want([] if self._spec.paused or self._spec.deleting else self._launches, self._spec.revision)

    def _told_error(self, exc: Exception, before: str = "") -> str:
        """What people are told of an error that nobody foresaw; the log has all of it, once."""
        what = f"Its supervisor met an error: {type(exc).__name__}: {exc}"
        if what != before:
            traceback.print_exception(exc)
        return what

    def _write_status(self) -> None:
        now = time.time()
        states = self._rollout.states(self._launches)
        self._conditions = conditions(states, self._spec.paused, self._conditions, now, self._rollout.late())
        status = Status(
            supervisor=self._me,
            socket=str(self._home.socket),
            ports=self._rollout.ports,
            serving_revision=self._rollout.serving_revision,
            components=states,
            conditions=tuple(self._conditions.values()),
            children=tuple(i for p in self._rollout.processes if (i := p.identity)),
            failure=self._failure or self._fault,
            access=self._access,
            follows=self._spec.mark,
        )
        if status == self._written and now - self._written_at < HEARTBEAT and self._home.status.exists():
            return
        try:
            write_json(self._home.status, replace(status, updated=now).to_json())
        except OSError as exc:
            # A full disk must not end what serves; the next step tries again.
            sys.stderr.write(f"The status could not be written: {exc}\n")
        else:
            self._written, self._written_at = status, now

    def _why(self) -> dict[str, str]:
        """Phase and reason, for a client that connects while no model server can answer."""
        phase, reason = self._phase()
        return {"error": f"The service {self._home.name} is not ready: {reason}", "phase": phase, "reason": reason}

    def _phase(self) -> tuple[str, str]:
        if self._spec.deleting or self._leaving:
            return "Terminating", "It is being deleted."
        if self._failure or self._fault:
            return "Failed", self._failure or self._fault
        if self._spec.paused:
            return "Paused", "It is paused; resume it to send requests."
        states = self._rollout.states(self._launches)
        failed = trouble(states)
        if failed:
            return "Failed", failed.message or failed.reason
        waiting = next((r for c in states if not c.ready for r in c.replicas if r.message), None)
        return "Loading", waiting.message if waiting else "It is starting."

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """``sync``: read the description again, for whom new processes have access. ``compare``: only if it is another
        than the one that is followed. Answered when that has begun."""
        try:
            line = await reader.readline()
            if not line:
                # Somebody looked whether anybody listens.
                return
            command = json.loads(line)
            if command.get("do") == "sync":
                if "access" in command:
                    self._answer(Access.from_json(command["access"]))
                spec = read_spec(self._home)
                if spec is not None:
                    self._spec = spec
                    self._want()
                self._step()
                self._wake.set()
            elif command.get("do") == "compare":
                self._compare()
                self._step()
                self._wake.set()
            writer.write(b'{"ok": true}\n')
            await writer.drain()
        except Exception as exc:  # whoever asks finds no answer, and what serves goes on
            sys.stderr.write(f"A command failed: {exc}\n")
        finally:
            writer.close()

    def _answer(self, access: Access) -> None:
        """From now on, where that is another than before."""
        before, self._access = self._access, access
        if access != before and (self._before or self._written):
            self._event("", "Normal", "AccessChanged", f"Processes that start from now on answer {access}.")

    def _rest_if_idle(self) -> None:
        limit = idle_limit(self._spec.manifest) if self._launches else 0.0
        if not limit or self._spec.paused or self._spec.deleting or not self._rollout.serving_revision:
            return
        # Requests are told about every so often only.
        if time.time() - self._rollout.last_active < limit + ACTIVITY_PERIOD:
            return
        try:
            with self._home.locked(timeout=0.0):
                spec = read_spec(self._home)
                if spec is None or spec.deleting or spec != self._spec:
                    return
                self._spec = spec.with_paused(True, time.time())
                write_spec(self._home, self._spec)
        except (BackendUnavailableError, StateError, OSError):
            # Somebody is changing the service right now, so it is not idle; or the disk is full, and it stays up.
            return
        self._event("", "Normal", "Idle", f"No request came for {limit:.0f} s: the service pauses.")
        self._want()

    def _period(self) -> float:
        return min(HEARTBEAT, max(1.0, idle_limit(self._spec.manifest) / 4)) if self._launches else HEARTBEAT

    def _event(self, about: str, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        try:
            eventlog.record(self._home.events, kind, reason, message, about)
        except OSError as exc:
            sys.stderr.write(f"An event could not be written: {reason}: {message}: {exc}\n")

    def _leave(self) -> None:
        self._leaving = True
        self._wake.set()
