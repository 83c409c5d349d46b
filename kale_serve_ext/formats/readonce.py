"""Reads a file once for all who look at a model, as long as the file stays the same."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_MOST = 16
"""Files that are kept for each reader."""


def once_per_file(fault: type[Exception]) -> Callable[[Callable[[Path], _T]], Callable[[Path], _T]]:
    """For a function that reads a file: what it has found, or why nothing is to be found, which may take as long.

    Args:
        fault: what it raises about the content. Whatever else it raises is not kept.
    """

    def kept(read: Callable[[Path], _T]) -> Callable[[Path], _T]:
        @functools.lru_cache(maxsize=_MOST)
        def found(path: Path, _modified: int, _size: int) -> _T | Exception:
            try:
                return read(path)
            except fault as error:
                return error.with_traceback(None)

        @functools.wraps(read)
        def of_file(path: Path) -> _T:
            known = path.stat()
            told = found(path, known.st_mtime_ns, known.st_size)
            if isinstance(told, Exception):
                raise type(told)(*told.args)
            return told

        return of_file

    return kept
