"""Backups of what cannot be made anew: the metadata database and the snapshots that it names, in one tar file.

The database is copied by SQLite's own online backup, so models may be logged meanwhile; the snapshots that it names
are there before it names them and never change. A restore takes nothing from the archive but files under names that it
makes itself, leaves out snapshots that are not what their hash says, and puts the database in its place last, by one
rename.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from . import __version__
from .config import Settings, make_dir
from .digest import digest_of
from .errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    StorageFullError,
)
from .locks import is_locked
from .metadata.engine import folder as metadata_folder
from .metadata.engine import nobody_serves
from .metadata.identity import Identity, Recorded
from .stores import Store, open_store

LAYOUT = 1
"""Of the archive; a release reads its own and older ones."""
_MANIFEST = "kale-serve-ext.json"
_DATABASE = "mlmd.db"
_SNAPSHOTS = "snapshots"
_LARGEST_MANIFEST = 1 << 20
_CHUNK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ROOM = "database or disk is full"
"""SQLite's words."""
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Report:
    """What was backed up or restored."""

    artifacts: int
    snapshots: int
    missing: int
    """Artifacts whose snapshot is not on this machine, or only damaged."""
    size: int
    """Bytes of the archive."""
    damaged: tuple[str, ...] = ()
    """Artifacts, as ``iris 1.0.0``, whose snapshot was left out: its content is not what its hash says."""
    kept: Path | None = None
    """Where the database is that was replaced."""


def back_up(settings: Settings, file: Path, *, snapshots: bool = True, overwrite: bool = False) -> Report:
    """Write a backup to ``file``, whole or not at all. Blocks; others may log models meanwhile.

    Args:
        snapshots: with the models' files. Without them a restore finds them only where they are now.
        overwrite: replace a file that is there.

    Raises:
        ConflictError: the file is there.
        NotFoundError: there is no metadata yet, or no folder for the file.
        BackendUnavailableError: the database is damaged or cannot be read.
        StorageFullError: no room for the backup; nothing of it stays behind.
    """
    _check_embedded(settings)
    database = metadata_folder(settings) / _DATABASE
    if not database.exists():
        raise NotFoundError(f"There is no metadata in {database.parent} to back up.", hint="Log a model first.")
    if not file.parent.is_dir():
        raise NotFoundError(f"The folder {file.parent} does not exist.", hint="Create it, or name another file.")
    if file.exists() and not overwrite:
        raise ConflictError(f"{file} exists already.", hint="Name another file, or replace it with --overwrite.")
    with _own_errors(file), tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as work:
        copy = Path(work, _DATABASE)
        _copy_database(database, copy)
        uris = _uris(copy)
        found = {path for uri in uris if (path := _snapshot_path(uri)) and path.is_dir()} if snapshots else set()
        kept = _intact(found)
        damaged = {path.name for path in found} - kept.keys()
        partial = Path(work, "archive")
        with partial.open("xb") as stream:
            partial.chmod(0o600)
            _write(stream, copy, kept)
            stream.flush()
            os.fsync(stream.fileno())
        size = partial.stat().st_size
        names = _names(copy, damaged)
        partial.replace(file)
    return Report(len(uris), len(kept), _missing(uris, damaged), size, names)


def restore(settings: Settings, file: Path, *, overwrite: bool = False) -> Report:
    """Bring back the metadata and the snapshots of a backup. Blocks; the metadata engine is ended, and starts anew.

    Args:
        overwrite: also where artifacts are recorded; their database is kept aside.

    Raises:
        NotFoundError: no such file.
        InvalidInputError: it is no backup, or one of a newer release; nothing has changed.
        ConflictError: artifacts are recorded here, or another machine uses the metadata.
        StorageFullError: no room; the metadata has not changed.
    """
    _check_embedded(settings)
    store = open_store(settings)
    home = metadata_folder(settings)
    if not overwrite and (count := _recorded(home / _DATABASE)):
        what = f"{count} artifacts" if count > 0 else "a database that cannot be read"
        raise ConflictError(
            f"There are {what} in {home / _DATABASE} already.",
            hint="To put the backup in their place, add --overwrite; the database that is there is kept aside.",
        )
    make_dir(home)
    with _own_errors(home), _opened(file) as archive, tempfile.TemporaryDirectory(dir=home, prefix="restore-") as work:
        members = _members(archive, file)
        copy = Path(work, _DATABASE)
        _extract(archive, members.database, copy)
        _check_database(copy, file)
        put = {hash_: _keep(archive, hash_, parts, store) for hash_, parts in members.snapshots.items()}
        moved = {hash_: uri for hash_, uri in put.items() if uri is not None}
        _rewrite_uris(copy, moved)
        uris, last = _uris(copy), _last(copy)
        damaged = put.keys() - moved.keys()
        # One that is here already is as good as the backup's.
        damaged -= _intact(path for path in filter(None, map(_snapshot_path, uris)) if path.name in damaged).keys()
        names, identity = _names(copy, damaged), Identity(settings)
        with nobody_serves(settings):
            # First: a note of what is not in the database would keep anything from being recorded.
            identity.forget()
            kept = _swap(copy, home)
            if last is not None:
                identity.write(last)
    return Report(len(uris), len(moved), _missing(uris, damaged), file.stat().st_size, names, kept)


# The archive


@dataclass
class _Members:
    """What an archive holds, by what it is for."""

    database: tarfile.TarInfo
    snapshots: dict[str, list[tuple[tuple[str, ...], tarfile.TarInfo]]]
    """By hash: the path in the snapshot, and the member."""


def _write(stream: IO[bytes], database: Path, snapshots: dict[str, Path]) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as archive:
        manifest = Path(database.parent, _MANIFEST)
        about = {"layout": LAYOUT, "version": __version__, "created": time.time(), "snapshots": sorted(snapshots)}
        manifest.write_text(json.dumps(about), "utf-8")
        archive.add(manifest, _MANIFEST, filter=_anonymous)
        archive.add(database, _DATABASE, filter=_anonymous)
        for hash_, folder in sorted(snapshots.items()):
            archive.add(folder, f"{_SNAPSHOTS}/{hash_}", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the user's name and id, which say nothing elsewhere."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    if not file.is_file():
        raise NotFoundError(f"There is no file {file}.", hint="Name a file that `kale-serve-ext backup` wrote.")
    try:
        # Not compressed: what it takes on the disk is what it takes in the archive.
        with tarfile.open(file, "r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInputError(
            f"{file} is damaged or not a Kale Serve backup: {error}.", hint="Use another backup."
        ) from error


def _members(archive: tarfile.TarFile, file: Path) -> _Members:
    """What is in the archive, each member under a name that a backup gives; none is written anywhere by its own."""
    first = archive.next()
    if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _LARGEST_MANIFEST:
        raise InvalidInputError(f"{file} is not a Kale Serve backup.", hint="Name one that `backup` wrote.")
    try:
        about = json.loads(_reader(archive, first).read())
        layout = int(about["layout"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{file} is damaged: its description is missing.", hint="Use another backup."
        ) from error
    if layout > LAYOUT:
        raise InvalidInputError(
            f"{file} was written by a newer release, {str(about.get('version'))[:40]}; this is {__version__}.",
            hint="Update kale-serve-ext, then restore.",
        )
    database = None
    snapshots: dict[str, list[tuple[tuple[str, ...], tarfile.TarInfo]]] = {}
    for member in archive:
        top, *rest = member.name.split("/")
        if member.name == _MANIFEST:
            continue
        if member.name == _DATABASE and member.isreg():
            database = member
        elif (
            top == _SNAPSHOTS
            and (member.isdir() or (member.isreg() and not member.issparse()))
            and rest
            and _HASH.fullmatch(rest[0])
            and (len(rest) > 1 or member.isdir())
            and not {"", ".", ".."} & set(rest)
            and "\0" not in member.name
        ):
            snapshots.setdefault(rest[0], []).append((tuple(rest[1:]), member))
        else:
            raise InvalidInputError(
                f"{file} holds {member.name[:200]!r}, which does not belong in a backup; nothing was restored.",
                hint="Use an unmodified backup.",
            )
    if database is None or sorted(snapshots) != about.get("snapshots"):
        raise InvalidInputError(f"{file} is incomplete.", hint="Use another backup.")
    return _Members(database, snapshots)


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", archive.extractfile(member))


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    with _reader(archive, member) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _keep(
    archive: tarfile.TarFile, hash_: str, parts: list[tuple[tuple[str, ...], tarfile.TarInfo]], store: Store
) -> str | None:
    """Put a snapshot into the store. Gives its URI there; None where its content is not what its hash says, and nothing
    of it is kept."""
    with store.workspace() as workspace:
        tree = workspace / "tree"
        tree.mkdir()
        for names, member in parts:
            path = tree.joinpath(*names)
            (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
            if member.isreg():
                _extract(archive, member, path)
        snapshot = store.put(tree, adopt=True)
    if snapshot.digest != f"sha256:{hash_}":
        store.discard(snapshot)
        return None
    return snapshot.uri


# The database


def _copy_database(database: Path, copy: Path) -> None:
    """A consistent copy of a database that others may write to."""
    try:
        try:
            _online_backup(f"file:{quote(str(database))}?mode=ro", copy)
        except sqlite3.OperationalError:
            if not _is_at_rest(database):
                raise
            # On a disk that is full or read-only SQLite reads only what it is told will not change.
            _online_backup(f"file:{quote(str(database))}?immutable=1", copy)
        found = _query(copy, "PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        if _NO_ROOM in str(error):
            raise
        raise _unreadable(database, str(error)) from error
    if found != [("ok",)]:
        raise _unreadable(database, str(found[0][0]), damaged=True)


def _is_at_rest(database: Path) -> bool:
    """Whether all of it is in its one file, and no engine serves it."""
    logs = [Path(f"{database}{suffix}") for suffix in ("-wal", "-journal")]
    if any(log.exists() and log.stat().st_size for log in logs):
        return False
    try:
        return not is_locked(database.with_name("owner.lock"))
    except OSError:
        return True  # A read-only disk: who holds it cannot write either.


def _online_backup(uri: str, copy: Path) -> None:
    source = sqlite3.connect(uri, uri=True, timeout=30)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # One file, without a log beside it.


def _unreadable(database: Path, reason: str, *, damaged: bool = False) -> BackendUnavailableError:
    # What the disk fails to read may be whole: a restore would replace it by what is older.
    hint = "Check the disk and its free space, then try again."
    if damaged or "malformed" in reason or "not a database" in reason:
        hint = "It is damaged: restore an earlier backup with `kale-serve-ext restore FILE`."
    return BackendUnavailableError(f"The metadata database {database} cannot be backed up: {reason}.", hint=hint)


def _query(database: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def _check_database(copy: Path, file: Path) -> None:
    try:
        whole = _query(copy, "PRAGMA quick_check(1)") == [("ok",)] and _query(copy, "SELECT 1 FROM MLMDEnv")
    except sqlite3.Error:
        whole = False
    if not whole:
        raise InvalidInputError(f"The database in {file} is damaged.", hint="Use another backup.")


def _recorded(database: Path) -> int:
    """How many artifacts a database has; -1 where it is none that can be read, 0 where there is none."""
    if not database.exists() or not database.stat().st_size:
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'Artifact'").fetchall():
                return 0
            return int(connection.execute("SELECT count(*) FROM Artifact").fetchone()[0])
    except sqlite3.Error:
        return -1


def _uris(database: Path) -> list[str]:
    """The URI of each artifact, empty where it has none."""
    return [str(uri or "") for (uri,) in _query(database, "SELECT uri FROM Artifact")]


def _names(database: Path, hashes: Set[str]) -> tuple[str, ...]:
    """Name and version of each artifact that has one of these snapshots."""
    if not hashes:
        return ()
    rows = _query(
        database,
        "SELECT uri, a.name, n.string_value, v.string_value FROM Artifact a"
        " LEFT JOIN ArtifactProperty n ON n.artifact_id = id AND n.name = 'name' AND NOT n.is_custom_property"
        " LEFT JOIN ArtifactProperty v ON v.artifact_id = id AND v.name = 'version' AND NOT v.is_custom_property"
        " ORDER BY id",
    )
    return tuple(
        f"{name} {version or ''}".strip() if name else str(own or uri)
        for uri, own, name, version in rows
        if (path := _snapshot_path(str(uri or ""))) is not None and path.name in hashes
    )


def _last(database: Path) -> Recorded | None:
    newest = _query(database, "SELECT id, create_time_since_epoch FROM Artifact ORDER BY id DESC LIMIT 1")
    return Recorded(int(str(newest[0][0])), int(str(newest[0][1])) / 1000) if newest else None


def _rewrite_uris(database: Path, moved: dict[str, str]) -> None:
    """Let artifacts name their snapshots where they are now: the store may be in another folder."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for id_, uri in connection.execute("SELECT id, uri FROM Artifact").fetchall():
            path = _snapshot_path(str(uri or ""))
            now = moved.get(path.name) if path is not None else None
            if now is not None and now != uri:
                connection.execute("UPDATE Artifact SET uri = ? WHERE id = ?", (now, id_))


def _swap(copy: Path, home: Path) -> Path | None:
    """Put the database in its place. Gives the folder that what was there went to."""
    # A log that stayed behind would be rolled into the new file.
    there = [path for suffix in ("", "-wal", "-shm", "-journal") if (path := home / f"{_DATABASE}{suffix}").exists()]
    kept = home / f"replaced-{time.strftime('%Y-%m-%dT%H-%M-%S')}-{os.getpid()}"
    if there:
        kept.mkdir(mode=0o700)
    for path in there:
        path.rename(kept / path.name)
    copy.rename(home / _DATABASE)
    for folder in (home, *([kept] if there else [])):
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    return kept if there else None


# Elsewhere


def _check_embedded(settings: Settings) -> None:
    if settings.metadata != "embedded":
        raise InvalidInputError(
            f"The metadata is on the server {settings.metadata}, which keeps it in a database of its own.",
            hint="Back up and restore that database with its own tools.",
        )


def _snapshot_path(uri: str) -> Path | None:
    """The folder of a snapshot of a store on this machine; None for any other URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = Path(url2pathname(parts.path))
    known = parts.scheme == "file" and path.is_absolute() and path.parent.name == "sha256"
    return path if known and _HASH.fullmatch(path.name) else None


def _missing(uris: list[str], damaged: Set[str]) -> int:
    paths = filter(None, map(_snapshot_path, uris))
    return sum(path.name in damaged or not path.is_dir() for path in paths)


def _intact(snapshots: Iterable[Path]) -> dict[str, Path]:
    """By hash: those whose content is what their hash says."""
    found = {}
    for path in snapshots:
        with contextlib.suppress(OSError, ValueError):
            if path.name not in found and digest_of(path) == f"sha256:{path.name}":
                found[path.name] = path
    return found


@contextlib.contextmanager
def _own_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except KaleServeError:
        raise
    except (sqlite3.Error, OSError) as error:
        if _NO_ROOM in str(error) or (isinstance(error, OSError) and error.errno in _FULL):
            raise StorageFullError(f"No space is left for {place}.", hint="Free some space, then try again.") from error
        raise BackendUnavailableError(f"{place} cannot be used: {error}.", hint="Check the disk.") from error
