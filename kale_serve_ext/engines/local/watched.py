"""The memory of a process and of all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psutil

_PERIOD = 0.1
"""Seconds between two looks."""
_LOST_PERIOD = 1.0


async def until_lost(pid: int, period: float = _LOST_PERIOD) -> None:
    """Wait until a process that a server had started has ended and nobody asks how, at two looks in a row.

    What that process has started itself does not count: a model may leave its own children unasked.

    Args:
        pid: of the server's keeper, whose first child the server is.
        period: seconds between two looks.
    """
    alive: set[psutil.Process] = set()
    seen: set[psutil.Process] = set()
    while True:
        ended: set[psutil.Process] = set()
        for one, is_over in _started_by_server(pid):
            (ended if is_over else alive).add(one)
        ended &= alive
        if ended & seen:
            return
        seen = ended
        await asyncio.sleep(period)


def _started_by_server(pid: int) -> Iterator[tuple[psutil.Process, bool]]:
    """What the server has started, and whether it has ended."""
    with contextlib.suppress(psutil.Error):
        # What was left alone becomes the keeper's too, later than the server.
        server = min(psutil.Process(pid).children(), key=psutil.Process.create_time, default=None)
        for child in server.children() if server else ():
            with contextlib.suppress(psutil.Error):
                yield child, child.status() == psutil.STATUS_ZOMBIE


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
