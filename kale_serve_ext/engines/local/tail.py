"""Reading logs while they are written, rotated and begun anew."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..base import Component
from .logfiles import Run, runs, tail

_PERIOD = 0.3
_PIECE = 65536
InThread = Callable[..., Awaitable[object]]


async def stream(
    folder: Path, component: Component, lines: int, previous: bool, follow: bool, in_thread: InThread
) -> AsyncGenerator[str, None]:
    """The last ``lines`` lines of each replica, then, with ``follow``, what is added until the reader goes away."""
    follower = _Follower(folder, component)
    follow = follow and not previous
    if follow:
        text = await in_thread(follower.begin, lines)
    else:
        text = await in_thread(_last_lines, folder, component, lines, previous)
    yield str(text)
    while follow:
        await asyncio.sleep(_PERIOD)
        text = await in_thread(follower.more)
        if text is None:
            return
        if text:
            yield str(text)


def _last_lines(folder: Path, component: Component, lines: int, previous: bool) -> str:
    found = runs(folder, component, previous)
    return "".join(_headed(run, found) + tail(run.files, lines) for run in found)


def _headed(run: Run, among: list[Run]) -> str:
    return f"==> {run.replica} <==\n" if len(among) > 1 else ""


@dataclass
class _Position:
    inode: int
    offset: int


@dataclass
class _Follower:
    """Remembers how far each file was read; a file that was moved away is read to its end under its new name."""

    folder: Path
    component: Component
    _at: dict[str, _Position] = field(default_factory=dict)

    def begin(self, lines: int) -> str:
        text = _last_lines(self.folder, self.component, lines, False)
        for run in runs(self.folder, self.component, False):
            found = _stat(run.files[-1])
            if found:
                self._at[run.replica] = _Position(found.st_ino, found.st_size)
        return text

    def more(self) -> str | None:
        """What was added since; None when the service is gone."""
        if not self.folder.is_dir():
            return None
        found = runs(self.folder, self.component, False)
        return "".join(self._more_of(run, found) for run in found)

    def _more_of(self, run: Run, among: list[Run]) -> str:
        path = run.files[-1]
        now = _stat(path)
        if now is None:
            return ""
        at = self._at.get(run.replica)
        text = b""
        if at is not None and at.inode != now.st_ino:
            moved = next((f for f in _moved(path) if (s := _stat(f)) and s.st_ino == at.inode), None)
            text = _read(moved, at.offset)[0] if moved else b""
            at = None
        start = at.offset if at and at.offset <= now.st_size else 0
        added, end = _read(path, start)
        self._at[run.replica] = _Position(now.st_ino, end)
        text += added
        return _headed(run, among) + text.decode(errors="replace") if text else ""


def _moved(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in (".1", ".previous", ".previous.1")]


def _read(path: Path, offset: int) -> tuple[bytes, int]:
    """Whole lines from ``offset``, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(16 * _PIECE)
    except FileNotFoundError:
        return b"", offset
    whole = data[: data.rfind(b"\n") + 1] or (data if len(data) >= _PIECE else b"")
    return whole, offset + len(whole)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
