"""Snapshots as the image of a runtime wants them: folders of hard links into them, with generated files beside.

Such a folder has a digest of its own and is brought to the pods like any snapshot. It lies beside the snapshots, in
``arranged/<hex of the snapshot>/<hex of its own>``, so that it is on the same claim; it goes when the next one is made
after the snapshot has gone. Of snapshots that lie in no store it is below the data folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from ....config import Settings
from ....digest import digest_of_file, digest_of_files
from ....entities import Artifact
from ....errors import SnapshotError
from ....formats.torcharchive import MANIFEST, manifest_of
from ...base import Use
from ...local.servers.layout import Layout, Snapshot, as_json, look
from ..layouts import layout_of
from .strategies import folder_of

Files: TypeAlias = Mapping[str, Path | bytes]
"""What is to lie in a folder, by its path there: the content of a file, or this content."""

_SNAPSHOTS = "sha256"
_ARRANGED = "arranged"
_ELSEWHERE = "arranged-elsewhere"
_ABANDONED = 3600.0
"""Seconds after which an unfinished folder is taken for that of a killed process."""


class Arranging:
    """Use it from one loop.

    Args:
        uploads: where folders are made.
    """

    def __init__(self, settings: Settings, uploads: Executor) -> None:
        self._settings = settings
        self._uploads = uploads
        # Of its own: plans must not wait for uploads that hang. A plan takes one of them at a time, however many files
        # its model has.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kale-serve-plans")
        self._known: dict[tuple[str, str], str] = {}
        """Digests of files, by their snapshot's digest and their path in it."""
        self._reading: dict[tuple[str, str], asyncio.Future[str]] = {}
        """Those that are being worked out."""

    async def files(self, artifact: Artifact, use: Use) -> Files | None:
        """What is to lie where for the server; None where the files are right as they are.

        Raises:
            InvalidInputError: the snapshot holds nothing that the server loads.
            OSError: it cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, files_for, artifact, use)

    async def address(self, artifact: Artifact, use: Use) -> Artifact:
        """The artifact with the address and digest that its files will have; nothing is made.

        Raises:
            InvalidInputError: the snapshot holds nothing that the server loads.
            SnapshotError: it cannot be read.
        """
        with _told(artifact, use):
            return (await self._planned(artifact, use))[0]

    async def make(self, artifact: Artifact, use: Use) -> Artifact:
        """The same, with the folder made, unless it is there."""
        with _told(artifact, use):
            placed, files = await self._planned(artifact, use)
            if files is not None:
                made = partial(self._make, files, folder_of(artifact), folder_of(placed))
                await asyncio.get_running_loop().run_in_executor(self._uploads, made)
        return placed

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _planned(self, artifact: Artifact, use: Use) -> tuple[Artifact, Files | None]:
        files = await self.files(artifact, use) if is_arranged(artifact, use) else None
        if files is None:
            return artifact, None
        digest = digest_of_files({name: await self._digest(artifact, content) for name, content in files.items()})
        folder = folder_of(artifact)
        place = self._root(folder) / folder.name / digest.removeprefix("sha256:")
        return replace(artifact, uri=place.as_uri(), digest=digest), files

    async def _digest(self, artifact: Artifact, content: Path | bytes) -> str:
        """Of one file, which is read once, however many ask at the same time and for whatever service."""
        if isinstance(content, bytes):
            return hashlib.sha256(content).hexdigest()
        key = artifact.digest, content.relative_to(folder_of(artifact)).as_posix()
        if key in self._known:
            return self._known[key]
        if key not in self._reading:
            started = asyncio.get_running_loop().run_in_executor(self._threads, digest_of_file, content)
            self._reading[key] = started
            started.add_done_callback(partial(self._keep, key))
        # Who gives up waiting does not take it from the others.
        return await asyncio.shield(self._reading[key])

    def _keep(self, key: tuple[str, str], found: asyncio.Future[str]) -> None:
        del self._reading[key]
        if not found.cancelled() and found.exception() is None:
            self._known[key] = found.result()

    def _make(self, files: Files, snapshot: Path, place: Path) -> None:
        _sweep(self._root(snapshot), snapshot.parent)
        _make(files, place)

    def _root(self, snapshot: Path) -> Path:
        """The folder of what is made of the snapshots that lie where this one does, and of no others."""
        if snapshot.parent.name == _SNAPSHOTS:
            return snapshot.parent.parent / _ARRANGED
        source = hashlib.sha256(os.fsencode(snapshot.parent)).hexdigest()[:16]
        return self._settings.data_dir / _ELSEWHERE / source


@contextmanager
def _told(artifact: Artifact, use: Use) -> Iterator[None]:
    try:
        yield
    except SnapshotError:
        raise
    except OSError as error:
        raise SnapshotError(
            f"The files of {artifact.name!r} could not be laid out as {use.server} wants them: {error}.",
            hint="Check the disk and the store's permissions, or move the store with KALE_SERVE_STORE.",
        ) from error


def is_arranged(artifact: Artifact, use: Use) -> bool:
    """Whether the server wants a layout of its own, and there are files here to be laid out."""
    if layout_of(use.server) is None or urlsplit(artifact.uri).scheme != "file" or not artifact.digest:
        return False
    return folder_of(artifact).is_dir()


def files_for(artifact: Artifact, use: Use) -> Files | None:
    """What is to lie where for the server; None where the files are right as they are.

    Raises:
        InvalidInputError: the snapshot holds nothing that the server loads.
        OSError: it cannot be read.
    """
    lay_out = layout_of(use.server)
    if lay_out is None:
        return None
    folder = folder_of(artifact)
    seen = look(use.name, artifact.format, folder)
    archives = [name for name in seen.files if name.endswith(".mar")]
    manifests = {f"{name}/{MANIFEST}": as_json(dict(manifest_of(folder / name))) for name in archives}
    signature = seen.signature or (artifact.signature if artifact.signature and artifact.signature.inputs else None)
    snapshot = replace(seen, in_cluster=True, signature=signature, texts={**seen.texts, **manifests})
    found = _expanded(lay_out(snapshot), snapshot, folder)
    return None if found == {name: folder / name for name in snapshot.files} else found


def _expanded(layout: Layout, snapshot: Snapshot, folder: Path) -> dict[str, Path | bytes]:
    """Every file of a layout, those in linked folders too."""
    found: dict[str, Path | bytes] = {}
    for path, target in layout.links.items():
        if target in snapshot.files:
            found[path] = folder / target
            continue
        below = f"{target}/" if target else ""
        inside = [name for name in snapshot.files if name.startswith(below)]
        found |= {f"{path}/{name.removeprefix(below)}": folder / name for name in inside}
    return found | {path: content.encode() for path, content in layout.files.items()}


def _make(files: Files, place: Path) -> None:
    """The folder, whole or not at all."""
    if _is_whole(files, place):
        return
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        made = temporary / "made"
        for name, content in files.items():
            path = made / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
                path.chmod(0o444)
            else:
                _link(content, path)
        if place.exists():  # damaged
            place.rename(temporary / "damaged")
        try:
            made.rename(place)
        except OSError:  # somebody else was quicker
            if not _is_whole(files, place):
                raise
    finally:
        shutil.rmtree(temporary)


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # another disk, one that has no such links, or somebody else's file
        shutil.copyfile(source, path)
        path.chmod(0o444)


def _is_whole(files: Files, place: Path) -> bool:
    try:
        return all(
            (place / name).read_bytes() == content
            if isinstance(content, bytes)
            else (place / name).stat().st_size == content.stat().st_size
            for name, content in files.items()
        )
    except FileNotFoundError:
        return False


def _sweep(root: Path, snapshots: Path) -> None:
    """Remove what was made of snapshots that have gone, and what killed processes have left."""
    if not root.is_dir():
        return
    for of_one in root.iterdir():
        if not (snapshots / of_one.name).is_dir():
            shutil.rmtree(of_one, ignore_errors=True)
            continue
        for left in of_one.glob(".*"):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
