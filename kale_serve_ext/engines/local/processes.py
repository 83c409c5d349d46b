"""Telling processes apart: ids are used again, homes are shared between machines, and machines are restarted."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_KILL_SECONDS = 10.0
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""Linux gives the one that is not a container's this number."""


@dataclass(frozen=True)
class Identity:
    """One process of one machine since one boot: the id alone would name another process later."""

    pid: int
    started: str
    boot: str
    host: str
    """The machine's name, for people: it may be another one by now, and two machines may have the same."""
    machine: str = ""
    """What tells two machines of one name apart; empty where nothing does."""

    @classmethod
    def mine(cls) -> Identity:
        pid = os.getpid()
        return of_process(pid)

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine.

        Of this boot, it surely is. Of an earlier one, or of another container, the name has to be the same: the id of
        an installation alone is not enough, since machines that were cloned have the same one.
        """
        if self.boot == this_boot():
            return True
        machine = this_machine()
        return self.host == this_host() and (not (self.machine and machine) or self.machine == machine)

    @property
    def is_alive(self) -> bool:
        """Whether it runs on this machine now."""
        return self.boot == this_boot() and bool(self.started) and started(self.pid) == self.started


def of_process(pid: int) -> Identity:
    """The identity of a process of this machine."""
    return Identity(pid, started(pid), this_boot(), this_host(), this_machine())


def this_host() -> str:
    return socket.gethostname()


def this_boot() -> str:
    """What changes with every boot, and with every start of a container: processes do not outlive it."""
    if sys.platform != "linux":
        import psutil

        return str(int(psutil.boot_time()))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def this_machine() -> str:
    """The installation's own id; empty where there is none, and in a container, where it is the image's."""
    try:
        if Path("/proc/self/ns/pid").readlink().name != _FIRST_PID_NAMESPACE:
            return ""
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> str:
    """When the process started, in the system's own unit; empty when there is none (or only its corpse)."""
    if sys.platform != "linux":
        import psutil

        try:
            return str(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, start_time = fields[0], fields[19]
    return "" if state in ("Z", "X") else start_time


def ended(code: int | None) -> str:
    """How a process ended, in a sentence; None where it never began."""
    if code is None:
        return "It could not be started."
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"It was killed by {name}."
    return f"It ended with exit code {code}."


def kill_group(pid: int) -> None:
    """Kill a process that leads a session of its own, with everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_all(processes: Iterable[Identity]) -> None:
    """Kill these, their groups, and what has come of them and left these; returns when they are gone, or after some
    seconds. Blocks."""
    end = time.monotonic() + _KILL_SECONDS
    for process in processes:
        while process.is_alive and time.monotonic() < end:
            # First: once a process is gone, what it has started is nobody's.
            _kill_descendants(process.pid)
            kill_group(process.pid)
            time.sleep(0.02)


def _kill_descendants(pid: int) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                each.kill()
