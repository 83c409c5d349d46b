"""Locks between processes, waited for without blocking the loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

POLL = 0.05
"""Seconds between two looks at a lock that another process holds."""


@asynccontextmanager
async def locked(path: Path, *, timeout: float, waiting: Callable[[], None] | None = None) -> AsyncIterator[int]:
    """Hold the lock on ``path``; the system lets go of it should this process die.

    Gives the file's descriptor. A child process that inherits it holds the lock too, for as long as it lives.

    Args:
        path: a file, made where it is missing, that exists for this lock alone.
        timeout: seconds to wait for another holder.
        waiting: called once when there is another holder.

    Raises:
        TimeoutError: the other holder kept it for longer.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while not _take(handle):
            if waiting is not None:
                waiting()
                waiting = None
            if loop.time() > end:
                raise TimeoutError(f"{path} is locked by another process")
            await asyncio.sleep(POLL)
        yield handle
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on ``path`` now."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
