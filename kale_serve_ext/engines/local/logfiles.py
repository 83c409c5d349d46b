"""The logs of a service's processes: written with rotation, the run before kept, read across both."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..base import Component

MAX_BYTES = 4 * 1024 * 1024
"""Size at which a log is rotated; the piece before is kept, so that a run has twice this at most."""
KEPT_REVISIONS = 3
"""Of how many revisions logs are kept."""
_NAME = re.compile(r"(?P<component>[a-z]+)-(?P<revision>\d{5,})-(?P<index>\d+)\.log")
_READ_AT_MOST = 1024 * 1024


class LogFile:
    """The log of one replica: the run that is on, ``.1`` its earlier part, ``.previous`` the run before."""

    def __init__(self, folder: Path, component: Component, revision: int, index: int) -> None:
        self.path = folder / f"{component}-{revision:05d}-{index}.log"
        self._size = 0

    def begin(self) -> None:
        """Start the log of a new run; the one before becomes the previous."""
        older = _suffixed(self.path, ".1")
        if self.path.exists():
            self.path.replace(_suffixed(self.path, ".previous"))
            if older.exists():
                older.replace(_suffixed(self.path, ".previous.1"))
            else:
                _suffixed(self.path, ".previous.1").unlink(missing_ok=True)
        self.path.touch(mode=0o600)
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append; what a full disk does not take is lost, for the process must not wait for room."""
        with contextlib.suppress(OSError):
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > MAX_BYTES and self._size:
            self.path.replace(_suffixed(self.path, ".1"))
            self.path.touch(mode=0o600)
            self._size = 0
        with self.path.open("ab") as file:
            file.write(data)
        self._size += len(data)

    def last_lines(self, count: int = 60, size: int = 8000) -> str:
        """The end of the current run's log."""
        return tail([_suffixed(self.path, ".1"), self.path], count, size)


@dataclass(frozen=True)
class Run:
    """The files of one run of one replica, oldest first."""

    replica: str
    files: tuple[Path, ...]


def runs(folder: Path, component: Component, previous: bool) -> list[Run]:
    """The runs to show: those of the newest revision, or the ones before them.

    Where a replica of the newest revision was not restarted, the run before it is the revision before.
    """
    by_revision = _by_revision(folder, component)
    if not by_revision:
        return []
    newest, *older = sorted(by_revision, reverse=True)
    if not previous:
        return [_current(path) for path in by_revision[newest]]
    found = [_previous(path) for path in by_revision[newest] if _suffixed(path, ".previous").exists()]
    if not found and older:
        found = [_current(path) for path in by_revision[older[0]]]
    return found


def prune(folder: Path, component: Component) -> None:
    """Remove the logs of old revisions."""
    by_revision = _by_revision(folder, component)
    for revision in sorted(by_revision, reverse=True)[KEPT_REVISIONS:]:
        for path in by_revision[revision]:
            for suffix in ("", ".1", ".previous", ".previous.1"):
                _suffixed(path, suffix).unlink(missing_ok=True)


def tail(files: Iterator[Path] | list[Path] | tuple[Path, ...], count: int, size: int = _READ_AT_MOST) -> str:
    """The last lines of several files that continue one another."""
    text = b""
    for path in reversed(list(files)):
        if len(text) < size and text.count(b"\n") <= count:
            text = _end_of(path, size) + text
    lines = text[-size:].decode(errors="replace").splitlines(keepends=True)
    return "".join(lines[-count:]) if count > 0 else ""


def _end_of(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read(size)
    except FileNotFoundError:
        return b""


def _by_revision(folder: Path, component: Component) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.glob(f"{component}-*.log")):
        match = _NAME.fullmatch(path.name)
        if match:
            found.setdefault(int(match["revision"]), []).append(path)
    return found


def _current(path: Path) -> Run:
    return Run(path.stem, (_suffixed(path, ".1"), path))


def _previous(path: Path) -> Run:
    return Run(path.stem, (_suffixed(path, ".previous.1"), _suffixed(path, ".previous")))


def _suffixed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
