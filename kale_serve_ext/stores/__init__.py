"""Places that keep immutable snapshots: one file each."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

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
    parts = urlsplit(settings.store)
    if parts.scheme == "file" and not parts.netloc and not parts.query and not parts.fragment:
        folder = url2pathname(parts.path)
        if not folder:
            return FileStore(settings.data_dir / "snapshots")
        if Path(folder).is_absolute():
            return FileStore(Path(folder))
    raise InvalidInputError(
        f"The store {settings.store!r} is of no kind that is known.",
        hint="Use file: (a folder in the data directory) or file:///some/folder.",
        field="store",
    )
