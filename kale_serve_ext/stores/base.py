"""What a store is: a place that keeps immutable snapshots of folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Snapshot:
    """An immutable folder in a store."""

    uri: str
    digest: str
    """``sha256:<hex>`` over the names and bytes in it (see :func:`kale_serve_ext.digest.digest_of`)."""
    size: int
    """Bytes in all its files together."""
    stamp: int = 0
    """For :meth:`Store.discard`: tells that this call made the snapshot. 0 where it was there before."""


class Store(Protocol):
    """All methods block: call them in a thread where a loop runs."""

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty folder to write files in that :meth:`put` can adopt; removed when the block ends, also by a crash.

        Raises:
            StorageFullError: also out of the block, when what is written there meets a full disk.
        """
        ...

    def put(
        self,
        source: Path,
        *,
        adopt: bool = False,
        name: str = "",
        of: str = "",
        beside: Mapping[str, bytes] = ...,
        along: Sequence[str] = ...,
        below: str = "",
        stopped: Callable[[], bool] = ...,
    ) -> Snapshot:
        """Keep a copy of a folder, or of one file in a folder of its own; content that is there is not kept twice.

        ``adopt`` takes the files themselves instead of a copy; only for a folder in a :meth:`workspace` of this store.
        ``name`` is what a single file shall be called in there, its own name when empty; of a folder's files ``of``.
        ``beside`` are files that are added at the top, by name; they replace those of that name.
        ``along`` are files that are kept with a single file: paths relative to its folder, which they keep.
        ``below`` is the folder of the snapshot that a folder's content goes into; the snapshot itself when empty.
        ``stopped`` is asked while copying whether to give up.

        Raises:
            CancelledError: ``stopped`` said so; nothing of it stays behind.
            NotFoundError: ``source`` does not exist, or a file in it vanished meanwhile.
            InvalidInputError: it holds what cannot be kept: links to outside, sockets, devices.
            TooLargeError: it holds too many files to be a model.
            StorageFullError: no room left; nothing of it stays behind.
        """
        ...

    def discard(self, snapshot: Snapshot) -> None:
        """Take back a :meth:`put` whose artifact could not be recorded; snapshots others have put too stay."""
        ...

    def path(self, uri: str) -> Path:
        """The snapshot's folder.

        Raises:
            NotFoundError: there is no such snapshot.
            InvalidInputError: the URI is not one of this kind of store.
        """
        ...

    def verify(self, uri: str, digest: str) -> None:
        """Check that the snapshot's content is what was put there.

        Raises:
            SnapshotError: it is not.
            NotFoundError: there is no such snapshot.
        """
        ...

    def health(self) -> tuple[str, str, str]:
        """State (``ready`` or ``error``), message and hint."""
        ...
