"""Starting a service's supervisor and talking to it. Everything here blocks: call it on a thread."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from ...errors import BackendUnavailableError
from ...runner import task as runner_task
from .environ import inherited
from .home import Home, make_folder
from .processes import Identity, kill_all
from .state import Status

START_SECONDS = 30.0
COMMAND_SECONDS = 10.0
_PROMPT_SECONDS = 1.0
"""How long whoever only looks waits for a supervisor."""
_LOG_BYTES = 1024 * 1024
_BOOT = Path(runner_task.__file__).with_name("boot.py")


def start(home: Home) -> None:
    """Start a supervisor; returns when it holds the service's addresses. The lock has to be held.

    Raises:
        BackendUnavailableError: it could not start; says why.
    """
    make_folder(home)
    read_end, write_end = os.pipe()
    log = home.logs / "supervisor.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    command = [sys.executable, str(_BOOT), "engines.local.supervisor"]
    command += ["--folder", str(home.folder), "--runtime", str(home.runtime), "--ready-fd", str(write_end)]
    if home.access is not None:
        command += ["--access", json.dumps(asdict(home.access))]
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(write_end,),
                start_new_session=True,
                cwd=home.work,
                env=inherited(),
            )
        os.close(write_end)
        write_end = -1
        # It forks at once, and its child is not ours.
        process.wait(START_SECONDS)
        said = _read_all(read_end, START_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BackendUnavailableError(f"The supervisor of {home.name} could not be started: {exc}") from exc
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)
    if said != "ready":
        raise BackendUnavailableError(
            f"The supervisor of {home.name} could not start: {said or 'it exited without output'}.", hint=f"See {log}."
        )


def answers(home: Home) -> bool:
    """Whether a supervisor listens for commands: on a full disk there may be one whose status is not written."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PROMPT_SECONDS)
            connection.connect(str(home.socket))
    except (TimeoutError, BlockingIOError):
        # One that is frozen: nobody takes the connections that wait for it.
        return True
    except OSError:
        return False
    return True


def sync(home: Home, status: Status | None) -> None:
    """Have the supervisor read the description again; one that hangs, or is of a release that cannot read it, is
    replaced. The lock has to be held.

    Raises:
        BackendUnavailableError: one listens that does not follow, and which process it is was not written down.
    """
    path = status.socket if status is not None and status.supervisor.is_alive else str(home.socket)
    try:
        _command(path, {"do": "sync", **_access(home)}, COMMAND_SECONDS)
    except OSError:
        if status is not None and status.supervisor.is_alive:
            end(status.supervisor, wait=0.0)
        elif answers(home):
            raise BackendUnavailableError(
                f"The supervisor of {home.name} does not answer, and no status says which process it is.",
                hint=f"It applies the change when it resumes. If it does not, end the process that listens on "
                f"{home.socket}, and try again.",
            ) from None
        start(home)


def compare(path: str) -> None:
    """Have the supervisor behind the socket ``path`` follow the description, where it follows an earlier one, and end
    where there is none. One that hangs is left alone."""
    with contextlib.suppress(OSError):
        _command(path, {"do": "compare"}, _PROMPT_SECONDS)


def _access(home: Home) -> dict[str, object]:
    return {} if home.access is None else {"access": asdict(home.access)}


def _command(path: str, command: dict[str, object], seconds: float) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(json.dumps(command).encode() + b"\n")
        if not connection.makefile().readline():
            raise ConnectionError("it could not be followed")


def end(supervisor: Identity, wait: float) -> None:
    """Wait for a supervisor to end, and kill it after ``wait`` seconds; its processes die with it."""
    limit = time.monotonic() + wait
    while supervisor.is_alive and time.monotonic() < limit:
        time.sleep(0.02)
    kill_all([supervisor])


def _read_all(fd: int, timeout: float) -> str:
    end_at = time.monotonic() + timeout
    text = b""
    while select.select([fd], [], [], max(0.0, end_at - time.monotonic()))[0]:
        piece = os.read(fd, 4096)
        if not piece:
            return text.decode(errors="replace")
        text += piece
    return text.decode(errors="replace")
