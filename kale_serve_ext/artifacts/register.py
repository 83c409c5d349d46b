"""A saved model becomes an artifact: what the server's "register" does. It is loaded in a process of its own, once."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Settings
from ..engines.local.interpreters import inspect
from ..entities import MODEL, Artifact, Environment
from ..errors import InvalidInputError
from ..formats import by_name
from ..stores import Snapshot, open_store
from .base import REFUSALS, Written
from .environment import made_with, other_environment
from .fields import LONGEST_DESCRIPTION, check_name, check_tags, check_text, check_version
from .meta import with_meta
from .opening import absent, not_opened, open_written, with_opened
from .saved import CUSTOM, name_of, path_written
from .signature import complete
from .trial import is_certain, is_required

if TYPE_CHECKING:
    from ..metadata.provenance import Provenance
    from ..metadata.store import Metadata

FILE = "file"
"""The key of a record's details with the file or folder that the model was registered from, as people know it."""

# Threads of its own: however many large folders are being copied, nobody else waits for a thread.
_copying = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kale-serve-register")


async def register_path(
    path: Path,
    *,
    settings: Settings,
    metadata: Metadata,
    provenance: Provenance,
    name: str = "",
    version: str = "",
    description: str = "",
    author: str = "",
    tags: Mapping[str, str] | None = None,
    format: str = "",
    python: str = "",
    shown_as: str = "",
) -> Artifact:
    """Keep a saved model's file or folder as a snapshot and record it.

    Its format is detected from its bytes. It is then opened once, in a separate process under the interpreter that can
    load it: what that reports is recorded, and what cannot be loaded or is no model is refused. Without an interpreter
    it is opened with this one where it has the libraries; the record says where it was not opened.

    Args:
        path: the file or folder; the caller has made sure that it may be read.
        settings: they name the store.
        metadata: where it is recorded.
        where: where that is done, for lineage.
        name: that of the file or folder when empty.
        version: the next integer when empty.
        description, author, tags: for people.
        format: a format's name; detected from the files when empty.
        python: the interpreter that can load the model, which is recorded with its libraries; none when empty.
        shown_as: what people know the file by, which is recorded; nothing is when empty.

    Raises:
        NotFoundError: nothing is at ``path``.
        InvalidInputError: a field that cannot be kept, an interpreter that cannot be used, no model, or one that the
            interpreter cannot load.
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

    environment = await _environment(python, ())  # refuses before anything is read
    loop = asyncio.get_running_loop()
    written = await loop.run_in_executor(_copying, path_written, path, record, format)
    if shown_as:
        written = replace(written, record=replace(written.record, details={**written.record.details, FILE: shown_as}))
    written = await _opened(written, python)
    written = with_meta(written, replace(written.record, signature=complete(None, written.record.signature)))

    def keep() -> Snapshot:
        return store.put(
            written.source,
            name=written.file_name,
            of=written.renamed,
            beside=written.beside,
            along=written.along,
            below=written.below,
            stopped=given_up.is_set,
        )

    def forget(kept: Future[Snapshot]) -> None:
        if not kept.cancelled() and kept.exception() is None:
            _copying.submit(store.discard, kept.result())

    keeping = _copying.submit(keep)
    try:
        snapshot = await asyncio.wrap_future(keeping)
    except asyncio.CancelledError:  # a deadline: the thread does not see it by itself
        given_up.set()
        keeping.add_done_callback(forget)
        raise
    try:
        if python:
            environment = await _environment(python, written.packages)
        draft = replace(
            written.record,
            uri=snapshot.uri,
            digest=snapshot.digest,
            environment=made_with(environment, written.record.details),
        )
        return await metadata.put_artifact(draft, provenance=provenance)
    except REFUSALS:
        await loop.run_in_executor(_copying, store.discard, snapshot)
        raise


async def _opened(written: Written, python: str) -> Written:
    """What is ready for the store, with what opening it tells.

    Raises:
        InvalidInputError: the chosen interpreter cannot load it, or it is no model.
    """
    if not written.opens:
        return written
    if python:
        opened = await open_written(written, python)
        if not opened.ok and opened.missing and by_name(written.record.format).overlay:
            return not_opened(written, opened.message)  # what it lacks is beside the interpreter where it is served
        certain = is_certain(opened) and not is_required(written.source, opened.missing)
        if written.record.format == CUSTOM and not opened.ok and not certain:
            # What it needs may be there where it is served, such as a variable of its environment.
            return not_opened(written, opened.message)
        return with_opened(written, opened, python, kernels=True)
    here = await inspect(sys.executable)
    if lacking := absent(written.packages, here.packages):
        why = f"No kernel was chosen, and the Python of the Jupyter server lacks {', '.join(lacking)}."
        return not_opened(written, why)
    opened = await open_written(written, sys.executable)
    if not opened.ok:
        # Another interpreter may well load it.
        return not_opened(written, f"No kernel was chosen, and the Python of the Jupyter server says: {opened.message}")
    return with_opened(written, opened, sys.executable, kernels=True)


async def _environment(python: str, packages: tuple[str, ...]) -> Environment:
    if not python:
        return Environment()
    found = await inspect(python)
    if not found.ok:
        raise InvalidInputError(found.message, hint="Choose another kernel.", field="kernel")
    return other_environment(python, found.version, found.packages, packages)
