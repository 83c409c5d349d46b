"""Reads small files that others wrote, in a process that must not hang or run out of memory over them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ..ml import JSON

MOST_JSON = 16 << 20
"""A larger file is no configuration."""


class TooLargeError(ValueError):
    """A file has more bytes than its kind has."""


def beginning(path: Path, size: int) -> bytes:
    """The first bytes of a file. A pipe is not waited for, and a device not read, whatever link leads to it.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no regular file")
        return file.read(size)


def content(path: Path, most: int) -> bytes:
    """The whole file.

    Args:
        most: bytes that it may have.

    Raises:
        TooLargeError: it has more.
        OSError: it cannot be read, or is no regular file.
    """
    found = beginning(path, most + 1)
    if len(found) > most:
        raise TooLargeError(f"{path.name} is larger than {most:,} bytes")
    return found


def settings(path: Path) -> Mapping[str, JSON] | None:
    """What a file of JSON says; None where it is not there, or is no object."""
    told = parsed(path)
    return told if isinstance(told, Mapping) else None


def parsed(path: Path) -> JSON:
    """The value in a file of JSON; None where it is not there, or is no JSON."""
    try:
        told: JSON = json.loads(content(path, MOST_JSON))
    except (OSError, ValueError, RecursionError):
        return None
    return told
