"""Locks between processes, which the system lets go of when their holder dies, however it dies.

A lock is named by a file that exists for it alone, made where it is missing. A child process that inherits the
descriptor holds the lock too, for as long as it lives.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from pathlib import Path

POLL = 0.02
"""Seconds between two looks at a lock that somebody else holds."""


@contextmanager
def locked(path: Path, *, timeout: float = inf) -> Iterator[int]:
    """Hold the lock, waiting for its other holder for up to ``timeout`` seconds. Blocks. Gives the descriptor.

    Raises:
        TimeoutError: the other holder kept it for longer.
    """
    end = time.monotonic() + timeout
    while (fd := _taken(path)) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{path} is locked by another process")
        time.sleep(POLL)
    try:
        yield fd
    finally:
        os.close(fd)


@asynccontextmanager
async def locked_async(path: Path, *, timeout: float, waiting: Callable[[], None] | None = None) -> AsyncIterator[int]:
    """:func:`locked` for a loop, which runs on meanwhile. ``waiting`` is called once when there is another holder."""
    end = time.monotonic() + timeout
    while (fd := _taken(path)) is None:
        if waiting is not None:
            waiting()
            waiting = None
        if time.monotonic() > end:
            raise TimeoutError(f"{path} is locked by another process")
        await asyncio.sleep(POLL)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock if nobody else does; says whether."""
    fd = _taken(path)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now. Makes no file."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _take(fd)
    finally:
        os.close(fd)


def _taken(path: Path) -> int | None:
    """The descriptor of the file, locked; None while somebody else has it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            held = _take(fd)
            # Its last holder may have removed the file between our open and our lock: then this is a lock on nothing.
            real = held and _is_file(fd, path)
        except BaseException:
            os.close(fd)
            raise
        if real:
            return fd
        os.close(fd)
        if not held:
            return None


def _is_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _take(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _take(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
