"""Copies a file or folder of the user's into a folder of the store's, bit by bit and never by hard link."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from ..errors import InvalidInputError, KaleServeError, NotFoundError, PermissionDeniedError, TooLargeError

DERIVED = frozenset({"__pycache__", ".ipynb_checkpoints"})
"""Folders that tools make anew by themselves: they are left out, or every import would make another content."""
MAX_ENTRIES = 20_000
"""Files and folders in one snapshot. Above it somebody chose a home directory, or links that multiply."""

DEEPEST = 100
"""Folders in one another in one snapshot. Far below it no model lies, and Python's own stack ends somewhere."""

_CHUNK = 1 << 20
_FICLONE = 0x40049409
"""Linux' ioctl that makes a file share another's blocks until one of them is written to (btrfs, XFS, …)."""


def never() -> bool:
    """For a copy that nobody stops."""
    return False


def copy(source: Path, target: Path, name: str = "", of: str = "", stopped: Callable[[], bool] = never) -> None:
    """Copy a folder to ``target``, or a file into it; ``target`` must not exist.

    ``name`` is what the file is called there, or ``of`` at the top of the folder; their own names when empty.

    Links that stay inside the folder become what they point to. Nothing but files and folders is taken. ``stopped`` is
    asked before each file and piece of a file.

    Raises:
        CancelledError: ``stopped`` said so.
        NotFoundError, PermissionDeniedError, InvalidInputError, TooLargeError: about the source.
        OSError: about the target.
    """
    with reading(source):
        real = source.resolve(strict=True)
        mode = real.stat().st_mode
    target.mkdir()
    if stat.S_ISDIR(mode):
        _Copy(real, stopped, {of: name} if of else {}).folder(real, target, above=())
    else:
        _Copy(real, stopped).file(real, target / (name or source.name), named=source)


def copy_file(source: Path, target: Path, stopped: Callable[[], bool] = never) -> None:
    """Copy one file to ``target``, whose folders are made.

    Raises:
        CancelledError: ``stopped`` said so.
        NotFoundError, PermissionDeniedError, InvalidInputError: about the source.
        OSError: about the target.
    """
    with reading(source):
        real = source.resolve(strict=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _Copy(real.parent, stopped).file(real, target, named=source)


class _Copy:
    def __init__(self, root: Path, stopped: Callable[[], bool], renamed: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.stopped = stopped
        self.renamed = renamed or {}
        self.entries = 0

    def folder(self, source: Path, target: Path, above: tuple[Path, ...]) -> None:
        """Copy what is in ``source`` into ``target``. ``above`` are the real folders that led here."""
        if len(above) > DEEPEST:
            raise InvalidInputError(
                f"{self.root} is nested more than {DEEPEST} folders deep.",
                hint="Point to the folder that holds the model and nothing else.",
            )
        with reading(source), os.scandir(source) as found:
            names = sorted(entry.name for entry in found)
        for name in names:
            if self.stopped():
                raise CancelledError
            self.entries += 1
            if self.entries > MAX_ENTRIES:
                raise TooLargeError(
                    f"{self.root} holds more than {MAX_ENTRIES:,} files and folders.",
                    hint="Point to the folder that holds the model and nothing else.",
                )
            path = source / name
            with reading(path):
                real = self._inside(path) if path.is_symlink() else path
                mode = real.lstat().st_mode
            if stat.S_ISDIR(mode):
                if name in DERIVED:
                    continue
                if real in (*above, source):
                    raise InvalidInputError(
                        f"The link {path} points to a folder that contains it.", hint="Remove the link."
                    )
                (target / name).mkdir()
                self.folder(real, target / name, (*above, source))
            else:
                self.file(real, target / (name if above else self.renamed.get(name, name)), named=path)

    def file(self, source: Path, target: Path, *, named: Path) -> None:
        """Copy one file. ``named`` is what messages call it."""
        with reading(named):
            # Without O_NONBLOCK the opening of a pipe would wait for a writer.
            fd = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(fd, "rb", buffering=0) as reader:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise _irregular(named)
            with target.open("xb", buffering=0) as writer:
                if not _clone(fd, writer.fileno()):
                    self._stream(reader, writer, before.st_size, named)
            after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InvalidInputError(
                f"{named} changed while it was being copied.", hint="Try again once it is complete."
            )

    def _inside(self, link: Path) -> Path:
        real = link.resolve(strict=True)
        if self.root not in real.parents:
            raise InvalidInputError(
                f"The link {link} points to {real}, outside of {self.root}.",
                hint="A snapshot holds the files themselves. Copy the folder with its links resolved (`cp -rL`) and "
                "log the copy.",
            )
        return real

    def _stream(self, reader: FileIO, writer: FileIO, size: int, named: Path) -> None:
        view = memoryview(bytearray(_CHUNK))
        for start, end in _data(reader.fileno(), size):
            reader.seek(start)
            writer.seek(start)
            left = end - start
            while left:
                if self.stopped():
                    raise CancelledError
                with reading(named):
                    read = reader.readinto(view[:left])
                if not read:  # it became shorter, which the caller will see
                    return
                _write_all(writer, view[:read])
                left -= read
        writer.truncate(size)


def _clone(source: int, target: int) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # Another file system, or one that cannot share blocks; a full disk shows in the copying then.
        return False
    return True


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that hold data: a hole is neither read nor filled."""
    end = 0
    while end < size:
        start = end
        end = size
        if hasattr(os, "SEEK_DATA"):
            try:
                start = os.lseek(fd, start, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole up to the end
                return
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, end


def _write_all(writer: FileIO, view: memoryview) -> None:
    while view:
        view = view[writer.write(view) :]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors of the user's files as the user should read them."""
    try:
        yield
    except KaleServeError:  # says it already; some are a ValueError or an OSError too
        raise
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{_short(path)} does not exist, or vanished while it was being copied.",
            hint="Check the path and try again.",
        ) from error
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{path} cannot be read: permission denied.",
            hint="Change its permissions, or copy it to a folder of your own.",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links up to Python 3.12; a NUL in the path
        if isinstance(error, OSError) and error.errno == errno.ENXIO:  # opening a socket
            raise _irregular(path) from error
        raise InvalidInputError(f"{_short(path)} cannot be read: {error}.", hint="Check the file.") from error


def _irregular(path: Path) -> InvalidInputError:
    return InvalidInputError(
        f"{path} is neither a file nor a folder (a socket, pipe or device).", hint="Remove it from the folder."
    )


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 1000 else f"{text[:1000]}…"
