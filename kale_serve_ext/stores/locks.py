"""Locks that the system lets go of when their holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _acquire(fd: int, wait: bool) -> None:
        msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _acquire(fd: int, wait: bool) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock named by a file, which is made when it is not there. Yields whether it is held.

    Without ``wait`` a lock that somebody else holds gives False at once.
    """
    fd = _open_and_acquire(path, wait)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def _open_and_acquire(path: Path, wait: bool) -> int | None:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(fd, wait)
        except OSError:
            os.close(fd)
            if wait:
                raise
            return None
        except BaseException:
            os.close(fd)
            raise
        # Its last holder may have removed the file between our open and our lock: then this is a lock on nothing.
        try:
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)
