"""Changing a state folder on a disk that may be full or read-only. Everything here blocks."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import replace

from ...errors import PermissionDeniedError, StorageFullError
from .home import Home
from .state import Spec, write_spec

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def marked(home: Home, spec: Spec) -> bool:
    """Write down that the service is being deleted. False where there is no room to: deleting is what makes room."""
    try:
        write_spec(home, replace(spec, deleting=True))
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        return False
    return True


@contextlib.contextmanager
def writable(home: Home) -> Iterator[None]:
    """Tell what a disk says that is full or read-only.

    Raises:
        PermissionDeniedError: it is read-only, or not the user's to write.
        StorageFullError: there is no room.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in _FORBIDDEN:
            raise PermissionDeniedError(
                f"The service {home.name} cannot be changed: {home.folder.parent} is read-only or not writable.",
                hint="Make the disk writable, or change the folder's permissions.",
            ) from exc
        if exc.errno not in _FULL:
            raise
        raise StorageFullError(
            f"No space is left in {home.folder.parent} for the service {home.name}.", hint="Free some space there."
        ) from exc
