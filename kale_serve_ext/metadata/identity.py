"""Which database the snapshots of a store are recorded in: a note beside them names the artifact recorded last.

A database that does not have it was emptied, replaced, or lost what was written last. Its ids would begin anew, and
what they name would not be what lineage, services and notebooks mean by them.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..config import Settings
from ..errors import MetadataUnavailableError


@dataclass(frozen=True)
class Recorded:
    """An artifact by what no two databases have in common."""

    id: int
    created: float
    """Seconds since the epoch, by the database's clock, to the millisecond."""


class Identity:
    """The note of one store about one database."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.store_folder
        self.note = _note(settings)
        self._causes = "emptied, replaced or damaged"
        self._way_back = "Restore a backup with `kale-serve-ext restore FILE`."
        if settings.metadata != "embedded":
            self._causes += ", or the address leads to another server now"
            self._way_back = f"Check where {settings.metadata} leads, or restore the database there."

    def read(self) -> Recorded | None:
        """The artifact recorded last; None where nothing is known of any."""
        if self.note is None:
            return None
        try:
            value = json.loads(self.note.read_text("utf-8"))
            return Recorded(int(value["id"]), float(value["created"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, recorded: Recorded) -> None:
        """Note that it is recorded, where there is a store to be kept in step with and no later one is noted. A disk
        that does not take it keeps the note before, which is as true."""
        if self.note is None or self._root is None or not self._root.is_dir():
            return
        last = self.read()
        if last is not None and recorded.id <= last.id:
            return  # What was logged before may be logged again.
        partial = self.note.with_name(f"{self.note.name}.{os.getpid()}")
        try:
            self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps({"id": recorded.id, "created": recorded.created}), "utf-8")
            partial.replace(self.note)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()

    def forget(self) -> None:
        """Know of no artifact any more: another database is to take the place of the one that is noted.

        Raises:
            OSError: the disk does not take it.
        """
        if self.note is not None:
            self.note.unlink(missing_ok=True)

    def another(self, recorded: Recorded) -> MetadataUnavailableError:
        """What to say of a database that does not have the artifact ``recorded``."""
        return MetadataUnavailableError(
            f"The metadata database has lost records: artifact {recorded.id}, whose snapshot is in {self._root}, is not"
            f" in it. It was {self._causes}, so nothing is recorded in it.",
            hint=f"{self._way_back} To go on with the database as it is, remove {self.note}.",
        )


def _note(settings: Settings) -> Path | None:
    """The file of the note; None where there can be none.

    A store outside of ``data_dir`` may be shared by users whose data directories have one path, each in a container of
    their own: the note is beside the database then. A port of this machine may be forwarded to any server, and tells
    nothing of the database behind it.
    """
    store = settings.store_folder
    if store is None or _is_loopback(settings.metadata):
        return None
    name = f"recorded-{hashlib.sha256(settings.metadata.encode()).hexdigest()[:10]}.json"
    return (store if store.is_relative_to(settings.data_dir) else settings.data_dir) / name


def _is_loopback(metadata: str) -> bool:
    try:
        host = urlsplit(metadata).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
