"""Whether something runs in an environment, before it is removed or made anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..config import Settings
from ..errors import ConflictError
from . import places
from .record import Environment

_SHOWN = 3


def check_unused(settings: Settings, env: Environment) -> None:
    """Look through this user's processes on this machine. Blocks for some milliseconds.

    Raises:
        ConflictError: it is being installed, or a process runs in it.
    """
    folders = places.folders(settings, env)
    if any(map(places.is_worked_on, folders)):
        raise ConflictError(
            f"{env.capitalized} is being installed or removed by another process.",
            hint="Wait until that is done, then try again.",
        )
    found = users(*folders)
    if found:
        raise ConflictError(
            f"{env.capitalized} is in use by {found}.",
            hint="Stop the services and notebooks that use it, then try again.",
        )


def users(*folders: Path) -> str:
    """The processes of this user that were started from one of the folders, or have it on their path: for a sentence,
    empty where there is none. Blocks for some milliseconds."""
    found = [user for folder in folders for user in _users(folder)]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def _users(folder: Path) -> list[str]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and _runs_in(folder, process.cmdline(), process.environ()):
                found.append(f"process {process.pid} ({process.name()})")
        except psutil.Error:  # it has ended, or is another user's
            continue
    return found


def _runs_in(folder: Path, command: list[str], environ: Mapping[str, str]) -> bool:
    # The program, or the script that an interpreter was given.
    is_started = any(part.startswith(f"{folder}{os.sep}") for part in command[:2])
    return is_started or str(folder) in environ.get("PYTHONPATH", "").split(os.pathsep)
