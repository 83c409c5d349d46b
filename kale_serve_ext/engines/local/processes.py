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


@dataclass(frozen=True)
class Identity:
    """One process of one machine since one boot: the id alone would name another process later."""

    pid: int
    started: str
    boot: str
    host: str

    @classmethod
    def mine(cls) -> Identity:
        pid = os.getpid()
        return cls(pid, started(pid), this_boot(), this_host())

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == this_host()

    @property
    def is_alive(self) -> bool:
        """Whether it runs on this machine now."""
        return self.is_here and self.boot == this_boot() and bool(self.started) and started(self.pid) == self.started


def this_host() -> str:
    return socket.gethostname()


def this_boot() -> str:
    """What changes with every boot, and with every start of a container: processes do not outlive it."""
    if sys.platform != "linux":
        import psutil

        return str(int(psutil.boot_time()))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


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


def kill_group(pid: int) -> None:
    """Kill a process that leads a session of its own, with everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_all(processes: Iterable[Identity]) -> None:
    """Kill these and their groups; returns when they are gone, or after some seconds. Blocks."""
    end = time.monotonic() + _KILL_SECONDS
    for process in processes:
        while process.is_alive and time.monotonic() < end:
            kill_group(process.pid)
            time.sleep(0.02)
