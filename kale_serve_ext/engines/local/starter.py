"""Starting a service's supervisor and talking to it. Everything here blocks: call it on a thread."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from ...errors import BackendUnavailableError
from ...runner import task as runner_task
from .environ import inherited
from .home import Home, make_folder
from .processes import Identity, kill_all
from .state import Status, read_status

START_SECONDS = 30.0
COMMAND_SECONDS = 10.0
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
            f"The supervisor of {home.name} could not start: {said or 'it ended without a word'}.", hint=f"See {log}."
        )


def ensure(home: Home) -> None:
    """Start a supervisor where there is none. The lock has to be held."""
    status = read_status(home)
    if status is None or not status.supervisor.is_alive:
        start(home)


def sync(home: Home, status: Status) -> None:
    """Have the supervisor read the description again; one that hangs is replaced. The lock has to be held."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(COMMAND_SECONDS)
            connection.connect(status.socket)
            connection.sendall(json.dumps({"do": "sync"}).encode() + b"\n")
            connection.makefile().readline()
    except OSError:
        end(status.supervisor, wait=0.0)
        start(home)


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
