"""Stands between the supervisor and a foreign program: starts it, and sees to it that nothing of it outlives either.

What dies with its parent (prctl(2), PR_SET_PDEATHSIG) are children alone, so that a supervisor that is killed would
leave the workers of its servers behind. This process has nothing that can fail but to wait: when the program has ended,
or the supervisor is gone, it ends all that came of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
PATIENCE = 5.0
"""Seconds until what is killed has to be gone."""


def main(argv: Sequence[str]) -> None:
    """Run the program that is told over the inherited socket whose number is the first argument: one line of JSON with
    ``argv``, ``cwd``, ``env`` and ``leaves``. Ends as the program does."""
    channel = socket.socket(fileno=int(argv[0]))
    told = b""
    while not told.endswith(b"\n"):
        piece = channel.recv(65536)
        if not piece:
            raise SystemExit("The supervisor is gone.")
        told += piece
    task = json.loads(told)
    _adopt()
    mine = os.getpid()
    child = os.fork()
    if not child:
        channel.close()
        _become(task["argv"], task["cwd"], task["env"], mine)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        # Passed on to the program itself; the process that keeps it waits for what comes of that.
        signal.signal(number, _passing_on(child))
    code = _wait(child, channel)
    _end_all()
    remove(task["leaves"])
    if code == -signal.SIGKILL:
        # With the whole group, which it leads: elsewhere than on Linux no more is known of what the program started.
        os.killpg(mine, signal.SIGKILL)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(mine, -code)
    os._exit(code if code >= 0 else 128 - code)


def remove(patterns: Sequence[str]) -> None:
    """Remove the files of these patterns. Whoever is left of the keeper and the supervisor does."""
    for pattern in patterns:
        for path in Path(pattern).parent.glob(Path(pattern).name):
            with contextlib.suppress(OSError):
                path.unlink()


def _adopt() -> None:
    """Become the parent of whatever loses its own, where the system can do that (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(argv: list[str], cwd: str, env: dict[str, str], parent: int) -> None:
    """Become the program, which ends with its parent also where that is killed. Does not return."""
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            # Python ignores these, and what is ignored stays so in the program.
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        os.execve(argv[0], argv, env)  # noqa: S606  # the point of it
    except Exception as error:  # whatever it is, the log has to say it
        sys.stderr.write(f"{argv[0]} cannot be started: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(127)


def _passing_on(child: int) -> Callable[[int, FrameType | None], None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    return pass_on


def _wait(child: int, channel: socket.socket) -> int:
    """The program's exit code, or minus the signal that ended it; it is killed when the supervisor is gone."""
    ended, ends = os.pipe()
    os.set_blocking(ends, False)
    signal.set_wakeup_fd(ends)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if not pid:
                break
            if pid == child:
                return os.waitstatus_to_exitcode(status)
        ready, _, _ = select.select([ended, channel.fileno()], [], [])
        if ended in ready:
            os.read(ended, 4096)
        if channel.fileno() in ready and not channel.recv(4096):
            return -signal.SIGKILL


def _end_all() -> None:
    """Kill what is left of the program: its group, and on Linux also what has left that."""
    mine = os.getpid()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = _descendants(mine)
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        if not found:
            return
        time.sleep(0.01)


def _descendants(root: int) -> list[int]:
    """What came of a process, where the system tells (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in ("Z", "X"):
                parents[int(entry.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {root})
