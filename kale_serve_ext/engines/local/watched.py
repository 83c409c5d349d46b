"""The memory of a process and of all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psutil

_PERIOD = 0.1
"""Seconds between two looks."""
_LOST_PERIOD = 1.0


async def until_lost(pid: int) -> None:
    """Wait until a child of a process's children has ended and nobody has asked how, at two looks in a row."""
    seen: set[int] = set()
    while True:
        ended = set(_ended(pid))
        if ended & seen:
            return
        seen = ended
        await asyncio.sleep(_LOST_PERIOD)


def _ended(pid: int) -> Iterator[int]:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.status() == psutil.STATUS_ZOMBIE and child.ppid() != pid:
                    yield child.pid


class Watched:
    """A process and all that it has started, also what has left its group."""

    def __init__(self, pid: int, memory: float, period: float = _PERIOD) -> None:
        self._memory = memory
        self._period = period
        self._known: set[psutil.Process] = set()
        with contextlib.suppress(psutil.Error):
            self._known.add(psutil.Process(pid))
        self._first = next(iter(self._known), None)

    async def until_over(self) -> int:
        """Wait until they use more memory than they may; returns how much."""
        while True:
            used = self._used()
            if used > self._memory:
                return used
            await asyncio.sleep(self._period)

    def kill(self) -> None:
        for one in self._known:
            with contextlib.suppress(psutil.Error):
                one.kill()

    def _used(self) -> int:
        with contextlib.suppress(psutil.Error):
            if self._first is not None:
                self._known.update(self._first.children(recursive=True))
        used = 0
        for one in list(self._known):
            try:
                used += one.memory_info().rss
            except psutil.NoSuchProcess:
                # It has ended meanwhile, as what a process starts does all the time.
                self._known.discard(one)
            except psutil.Error:
                continue
        return used
