"""Places that keep immutable snapshots: one file each."""

from __future__ import annotations

from ..config import Settings
from ..errors import InvalidInputError
from .base import Snapshot, Store
from .file import FileStore

__all__ = ["Snapshot", "Store", "open_store"]


def open_store(settings: Settings) -> Store:
    """The store that ``settings.store`` names; touches nothing yet.

    Raises:
        InvalidInputError: no store knows this URI.
    """
    if settings.store_folder is not None:
        return FileStore(settings.store_folder)
    raise InvalidInputError(
        f"Unknown kind of store: {settings.store!r}.",
        hint="Use file: (a folder in the data directory) or file:///some/folder.",
        field="store",
    )
