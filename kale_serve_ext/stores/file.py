"""Snapshots in a folder of this machine: ``file:///ROOT/sha256/<hex>``, one read-only folder for each content.

A snapshot is made in ``ROOT/staging`` and gets its name by one rename once every byte of it is on disk, so it is there
whole or not at all. What a killed process left in ``staging`` the next one clears away: a lock tells it apart from work
in progress. Read-only modes keep honest programs out and stop nobody who is root; the hash, checked at load, does.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..digest import digest_of
from ..errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
)
from ..locks import locked, locked_if_free
from .base import Snapshot
from .copying import copy, copy_file, never, reading

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_LOW_ROOM = 64 << 20
_MOVE = "move the store to another folder with KALE_SERVE_STORE=file:///some/folder"


class FileStore:
    """A :class:`~kale_serve_ext.stores.Store` under the folder ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._kept = self.root / "sha256"
        self._staging = self.root / "staging"

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        with ExitStack() as cleaning:
            with self._own_errors():
                for part in (self.root, self._kept, self._staging):
                    part.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._clear_leftovers()
                folder = self._staging / uuid.uuid4().hex
                lock = folder.with_suffix(".lock")
                cleaning.enter_context(locked(lock))
                cleaning.callback(lock.unlink, missing_ok=True)
                cleaning.callback(_remove, folder)
                folder.mkdir(mode=0o700)
            try:
                yield folder
            except OSError as error:
                if error.errno in _FULL:
                    raise self._explained(error) from error
                raise

    def put(
        self,
        source: Path,
        *,
        adopt: bool = False,
        name: str = "",
        of: str = "",
        beside: Mapping[str, bytes] = MappingProxyType({}),
        along: Sequence[str] = (),
        below: str = "",
        stopped: Callable[[], bool] = never,
    ) -> Snapshot:
        with reading(source):
            real = source.resolve()
        if not adopt and self.root.is_relative_to(real):
            raise InvalidInputError(
                f"{source} contains the store itself ({self.root}).", hint="Choose the folder that holds the model."
            )
        with self.workspace() as folder, self._own_errors():
            tree = source
            if not adopt:
                tree = folder / "tree"
                if below:
                    tree.mkdir()
                copy(source, tree / below, name, of, stopped)
                for one in along:
                    copy_file(source.parent / one, tree / one, stopped)
            for own, content in beside.items():
                (tree / own).unlink(missing_ok=True)
                (tree / own).write_bytes(content)
            size = _seal(tree)
            return self._publish(tree, digest_of(tree), size, aside=folder / "damaged")

    def discard(self, snapshot: Snapshot) -> None:
        if not snapshot.stamp:
            return
        path = self._path(snapshot.uri)
        with self.workspace() as folder, self._own_errors(), locked(self.root / "lock"):
            # Whoever put the same content since then has moved its time on: see _publish.
            if path.is_dir() and path.stat().st_mtime_ns == snapshot.stamp:
                _move(path, folder / "discarded")

    def path(self, uri: str) -> Path:
        path = self._path(uri)
        if not path.is_dir():
            raise NotFoundError(
                f"The snapshot {uri} is not there.",
                hint="It was removed, or is on another machine. Log the artifact again, or bring the folder back.",
            )
        return path

    def verify(self, uri: str, digest: str) -> None:
        path = self.path(uri)
        try:
            found = digest_of(path)
        except (OSError, ValueError) as error:
            raise SnapshotError(
                f"The snapshot {uri} cannot be read: {error}.", hint="Log the artifact again."
            ) from error
        if found != digest:
            raise SnapshotError(
                f"The snapshot {uri} was changed after it was created: its content is {found}, recorded is {digest}.",
                hint="Log the artifact again; logging the same content repairs the snapshot.",
            )

    def health(self) -> tuple[str, str, str]:
        try:
            with self.workspace():
                free = shutil.disk_usage(self.root).free
        except KaleServeError as error:
            return "error", error.message, error.hint
        if free < _LOW_ROOM:
            return (
                "error",
                f"The disk of {self.root} is full.",
                "Remove files, or move the store with KALE_SERVE_STORE.",
            )
        return "ready", "", ""

    def _publish(self, tree: Path, digest: str, size: int, *, aside: Path) -> Snapshot:
        path = self._kept / digest.removeprefix("sha256:")
        with locked(self.root / "lock"):
            if _intact(path, digest):
                then = path.stat()
                os.utime(path, ns=(then.st_atime_ns, max(time.time_ns(), then.st_mtime_ns + 2_000_000_000)))
                return Snapshot(path.as_uri(), digest, size)
            if path.exists():
                _move(path, aside)
            _move(tree, path)
            _sync_folder(self._kept)
            return Snapshot(path.as_uri(), digest, size, stamp=path.stat().st_mtime_ns)

    def _path(self, uri: str) -> Path:
        """The folder that a URI means. It may be of a store elsewhere: settings change, recorded URIs do not."""
        parts = urlsplit(uri)
        path = Path(url2pathname(parts.path))
        name = path.name
        if (
            parts.scheme != "file"
            or parts.netloc not in ("", "localhost")
            or not path.is_absolute()
            or ".." in path.parts
            or path.parent.name != "sha256"
            or len(name) != 64
            or not set(name) <= set("0123456789abcdef")
        ):
            raise InvalidInputError(
                f"{uri!r} is not the URI of a snapshot in a folder.", hint="It looks like file:///…/sha256/<64 digits>."
            )
        return path

    def _clear_leftovers(self) -> None:
        for lock in self._staging.glob("*.lock"):
            with locked_if_free(lock) as free:
                if free:
                    _remove(lock.with_suffix(""))
                    lock.unlink(missing_ok=True)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, KaleServeError):
                raise
            raise self._explained(error) from error

    def _explained(self, error: OSError) -> KaleServeError:
        if error.errno in _FULL:
            return StorageFullError(
                f"No space is left for the snapshot in {self.root}; nothing was kept.",
                hint=f"Free some space or raise the quota, or {_MOVE}.",
            )
        if error.errno in _FORBIDDEN:
            return PermissionDeniedError(
                f"The store {self.root} is not writable: {error}.",
                hint=f"Change its permissions, or {_MOVE}.",
            )
        return BackendUnavailableError(f"The store {self.root} cannot be used: {error}.", hint=f"Check it, or {_MOVE}.")


def _seal(tree: Path) -> int:
    """Make files and inner folders read-only and get them onto the disk; returns the bytes in all files."""
    size = 0
    for folder, _, names in os.walk(tree, topdown=False):
        for name in names:
            path = Path(folder, name)
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                size += os.fstat(fd).st_size
                os.fsync(fd)
            finally:
                os.close(fd)
            path.chmod(0o444)
        _sync_folder(Path(folder))
        if Path(folder) != tree:  # the top is still to be moved, which writes to it
            Path(folder).chmod(0o555)
    return size


def _intact(path: Path, digest: str) -> bool:
    try:
        return digest_of(path) == digest
    except (OSError, ValueError):
        return False


def _move(source: Path, target: Path) -> None:
    if source.is_dir():
        source.chmod(0o700)  # a folder that changes its parent is written to
    source.rename(target)
    if target.is_dir():
        target.chmod(0o555)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _remove(path: Path) -> None:
    if not path.exists():
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, stat.S_IRWXU)  # noqa: PTH101  # os.walk gives text
    shutil.rmtree(path)
