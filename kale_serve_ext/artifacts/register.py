"""A saved model becomes an artifact without anybody loading it: what the server's "register" does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Settings
from ..errors import InvalidInputError
from ..records import MODEL, Artifact, Environment
from ..stores import Snapshot, open_store
from .base import REFUSALS, Written
from .environment import other_environment
from .fields import LONGEST_DESCRIPTION, check_name, check_tags, check_text, check_version
from .model import name_of, path_written
from .signature import complete

if TYPE_CHECKING:
    from ..metadata.store import Metadata
    from ..metadata.where import Where

# Threads of its own: however many large folders are being copied, nobody else waits for a thread.
_copying = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kale-serve-register")


async def register_path(
    path: Path,
    *,
    settings: Settings,
    metadata: Metadata,
    where: Where,
    name: str = "",
    version: str = "",
    description: str = "",
    author: str = "",
    tags: Mapping[str, str] | None = None,
    format: str = "",
    python: str = "",
) -> Artifact:
    """Keep a saved model's file or folder as a snapshot and record it.

    Nothing in it is loaded: its format is told by names and first bytes.

    Args:
        path: the file or folder; the caller has made sure that it may be read.
        settings: they name the store.
        metadata: where it is recorded.
        where: where that is done, for lineage.
        name: that of the file or folder when empty.
        version: the next integer when empty.
        description, author, tags: for people.
        format: a format's name; told by the files when empty.
        python: the interpreter that can load the model, which is recorded with its libraries; none when empty.

    Raises:
        NotFoundError: nothing is at ``path``.
        InvalidInputError: a field that cannot be kept, no model, or an interpreter that cannot be used.
        ConflictError: this name and version exist with other content.
        StorageFullError: no room left; nothing was kept.
    """
    file_name = name_of(path)
    record = Artifact(
        type=MODEL,
        name=check_name(name or file_name),
        version=check_version(version) if version else "",
        description=check_text(description, "description", LONGEST_DESCRIPTION),
        author=check_text(author, "author"),
        tags=check_tags(tags),
    )
    store = open_store(settings)
    given_up = threading.Event()

    def keep() -> tuple[Written, Snapshot]:
        written = path_written(path, record, format)
        return written, store.put(written.source, name=written.file_name, stopped=given_up.is_set)

    def forget(kept: Future[tuple[Written, Snapshot]]) -> None:
        if not kept.cancelled() and kept.exception() is None:
            _copying.submit(store.discard, kept.result()[1])

    environment = await _environment(python, ())  # refuses before anything is copied
    keeping = _copying.submit(keep)
    try:
        written, snapshot = await asyncio.wrap_future(keeping)
    except asyncio.CancelledError:  # a deadline: the thread does not see it by itself
        given_up.set()
        keeping.add_done_callback(forget)
        raise
    try:
        if python:
            environment = await _environment(python, written.packages)
        draft = replace(
            written.record,
            signature=complete(None, written.record.signature),
            uri=snapshot.uri,
            digest=snapshot.digest,
            environment=environment,
        )
        return await metadata.put_artifact(draft, where=where)
    except REFUSALS:
        await asyncio.get_running_loop().run_in_executor(_copying, store.discard, snapshot)
        raise


async def _environment(python: str, packages: tuple[str, ...]) -> Environment:
    if not python:
        return Environment()
    from ..engines.local.interpreters import inspect

    found = await inspect(python)
    if not found.ok:
        raise InvalidInputError(found.message, hint="Choose another kernel.", field="kernel")
    return other_environment(python, found.version, found.packages, packages)
