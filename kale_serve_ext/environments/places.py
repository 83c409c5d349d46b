"""Where an environment is, and how far: read from a few small files, without making or starting anything.

A virtual environment has absolute paths in it, so it is built where it stays, under a lock, and its last file is a
marker. Without the marker, or with one of another revision, it is made anew.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import Settings
from ..errors import EnvironmentUnavailableError
from ..locks import is_locked
from .record import Base, Environment, Ready

Word = Literal["ready", "installing", "missing", "outdated", "failed"]


@dataclass(frozen=True)
class State:
    """How far an environment is, whichever process makes it."""

    state: Word
    """``outdated`` is one that another release has made: it is made anew when it is next needed. ``failed`` stays
    until it is tried again."""
    message: str = ""
    """What is being done, or what has failed."""
    hint: str = ""
    """What to do about a failure."""
    version: str = ""
    """Of what is installed, where it is known."""
    megabytes: int = 0
    """What it takes on the disk, roughly; of one that is not there, what it will take."""


def folder(settings: Settings, env: Environment, base: Base | None = None) -> Path:
    """Where the environment is, named by the platform too: machines of several kinds may share a home.

    An overlay's is that for ``base``, by default the running interpreter.
    """
    parts = [env.place or f"environments/{env.name}"]
    if env.kind == "overlay":
        parts.append("cp{}{}".format(*(base or Base.running()).version))
    return settings.data_dir / "-".join([*parts, sys.platform, platform.machine().lower()])


def folders(settings: Settings, env: Environment) -> list[Path]:
    """Where something of it is on this platform: of an overlay, for whichever version of Python."""
    first = folder(settings, env)
    if env.kind == "private":
        return [first] if first.exists() or _note_file(first).exists() else []
    every = folder(settings, env, Base("", (0, 0))).name.replace("cp00", "cp[0-9]*")
    notes = (path.with_suffix("") for path in first.parent.glob(f"{every}.json"))
    return sorted({*(path for path in first.parent.glob(every) if path.is_dir()), *notes})


def ready(settings: Settings, env: Environment, base: Base | None = None) -> Ready | None:
    """The environment if it can be used as it is, else None. Touches a few files at most, and starts nothing.

    Args:
        base: what an overlay is laid beside; the running interpreter by default.

    Raises:
        EnvironmentUnavailableError: the settings name one that does not exist.
    """
    given = env.installed(settings)
    if given is not None:
        return given
    place = folder(settings, env, base)
    marker = read_marker(place)
    if marker is None or marker.revision != env.revision:
        return None
    python = interpreter(place, env, base)
    return Ready(python, place, marker.version, marker.megabytes) if os.access(python, os.X_OK) else None


def state(settings: Settings, env: Environment, base: Base | None = None) -> State:
    """How far it is. Reads a few files, and starts nothing."""
    try:
        found = ready(settings, env, base)
    except EnvironmentUnavailableError as error:
        return State("failed", error.message, error.hint, megabytes=env.megabytes)
    if found is not None:
        return State("ready", version=found.version, megabytes=found.megabytes or env.megabytes)
    place = folder(settings, env, base)
    note = read_note(place)
    if is_worked_on(place):
        return State("installing", note.message or f"Installing {env.subject}", megabytes=env.megabytes)
    if note.is_failure:
        return State("failed", note.message, note.hint, megabytes=env.megabytes)
    marker = read_marker(place)
    if marker is not None and marker.revision != env.revision:
        return State("outdated", version=marker.version, megabytes=marker.megabytes or env.megabytes)
    return State("missing", megabytes=env.megabytes)


def interpreter(place: Path, env: Environment, base: Base | None) -> str:
    """The Python of an environment at ``place``, be it there or not."""
    return (base or Base.running()).python if env.kind == "overlay" else str(place / "bin" / "python")


@dataclass(frozen=True)
class Marker:
    """The last file of an environment that is whole."""

    version: str
    revision: str
    megabytes: int = 0


@dataclass(frozen=True)
class Note:
    """What the process that makes it said last."""

    message: str = ""
    hint: str = ""
    is_failure: bool = False


def read_marker(place: Path) -> Marker | None:
    made = _read(_marker_file(place))
    version, revision, size = made.get("version"), made.get("layout"), made.get("megabytes", 0)
    if not isinstance(version, str) or not isinstance(revision, str) or not isinstance(size, int):
        return None
    return Marker(version, revision, size)


def write_marker(place: Path, marker: Marker) -> None:
    _write(_marker_file(place), {"version": marker.version, "layout": marker.revision, "megabytes": marker.megabytes})


def remove_marker(place: Path) -> None:
    """From now on nobody uses what is there."""
    _marker_file(place).unlink(missing_ok=True)


def read_note(place: Path) -> Note:
    said = _read(_note_file(place))
    return Note(str(said.get("message", "")), str(said.get("hint", "")), bool(said.get("failed")))


def write_note(place: Path, note: Note) -> None:
    _write(_note_file(place), {"message": note.message, "hint": note.hint, "failed": note.is_failure})


def remove_note(place: Path) -> None:
    _note_file(place).unlink(missing_ok=True)


def lock_file(place: Path) -> Path:
    """Is held by whoever makes or removes what is at ``place``, and inherited by the programs that it starts."""
    return place.with_name(f"{place.name}.lock")


def is_worked_on(place: Path) -> bool:
    """Whether some process makes or removes what is there."""
    try:
        return is_locked(lock_file(place))
    except OSError:  # On a disk that is read-only, or in a folder that is none, nobody does.
        return False


def _marker_file(place: Path) -> Path:
    return place / "complete.json"


def _note_file(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, value: dict[str, object]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value), "utf-8")
    partial.replace(path)
