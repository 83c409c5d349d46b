"""What logging a Model, a Transformer and a Dataset have in common: write, snapshot, record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from typing_extensions import Self

from .. import session
from ..config import Settings
from ..entities import Artifact
from ..errors import ConflictError, InvalidInputError, NotFoundError
from ..metadata.provenance import here
from ..stores import open_store
from ..sync import run
from .environment import made_with, this_environment
from .fields import LONGEST_DESCRIPTION, check_name, check_tags, check_text, check_version
from .trial import check_loads, needs_trial

REFUSALS = (InvalidInputError, ConflictError, NotFoundError)
"""Errors after which it is certain that nothing was recorded; after others the answer alone may have been lost."""


@dataclass(frozen=True)
class Written:
    """Files that are ready for the store, and what there is to say about them."""

    record: Artifact
    """Without id, URI, digest and environment."""
    source: Path
    packages: tuple[str, ...] = ()
    """Distributions that loading it needs."""
    adopt: bool = False
    """The files are in the store's workspace already."""
    file_name: str = ""
    """What a single file has to be called, or ``renamed``; its own name when empty."""
    renamed: str = ""
    """Which file at the top of a folder that is."""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Files that lie beside them in the snapshot, by name."""
    along: tuple[str, ...] = ()
    """Files that travel with a single file: paths relative to its folder, which they keep."""
    below: str = ""
    """The folder of the snapshot that a folder's content goes into; the snapshot itself when empty."""
    opens: bool = True
    """Whether this package's own model server loads such a file, so that it can be opened."""
    opened: bool = False
    """It was loaded once in a process of its own already."""
    inputs: tuple[int, ...] = ()
    """Ids of the artifacts that it was made from."""


class Loggable(ABC):
    """Base of Model, Transformer and Dataset.

    ``id`` and ``uri`` are None until :meth:`submit_artifact`; ``name`` and ``version``, where they were left out, too.
    """

    TYPE: ClassVar[str]

    def __init__(
        self,
        name: str | None,
        description: str | None,
        version: str | None,
        author: str | None,
        tags: Mapping[str, str] | None,
    ) -> None:
        self.name = name
        self.description = description
        self.version = version
        self.author = author
        self.tags = tags
        self.id: int | None = None
        self.uri: str | None = None
        self._numbered: str | None = None
        self._check_fields()

    def submit_artifact(self) -> Self:
        """Keep the files as an immutable snapshot and record it in ML Metadata, with where it came from.

        Without a version it becomes the next integer. The same name, version and content again give the same id.

        Returns:
            This object, with ``id``, ``uri``, ``name`` and ``version``.

        Raises:
            InvalidInputError: what was given cannot be logged; the message says why.
            ConflictError: this name and version exist with other content.
            StorageFullError: no room left; nothing was kept.
            MetadataUnavailableError: ML Metadata cannot be reached.
        """
        self._check_fields()
        settings = Settings.from_environ()
        metadata = session.metadata()
        run(metadata.prepare())  # before anything is written
        store = open_store(settings)
        with store.workspace() as workspace:
            written = self._write(workspace)
            snapshot = store.put(
                written.source,
                adopt=written.adopt,
                name=written.file_name,
                of=written.renamed,
                beside=written.beside,
                along=written.along,
                below=written.below,
            )
        try:
            if not written.opened and needs_trial(written.record, written.packages):
                check_loads(store.path(snapshot.uri), written.record)
        except BaseException:
            store.discard(snapshot)
            raise
        draft = replace(
            written.record,
            uri=snapshot.uri,
            digest=snapshot.digest,
            environment=made_with(this_environment(written.packages), written.record.details),
        )
        try:
            recorded = run(metadata.put_artifact(draft, provenance=here(), inputs=written.inputs))
        except REFUSALS:
            store.discard(snapshot)
            raise
        self._numbered = recorded.version if not draft.version else None
        self.id, self.uri, self.name, self.version = recorded.id, recorded.uri, recorded.name, recorded.version
        return self

    @abstractmethod
    def _write(self, workspace: Path) -> Written:
        """Prepare the files, in a folder of ``workspace`` unless they exist already."""

    def _record(self, name: str) -> Artifact:
        """The record's part that is the same for all; ``name`` is the one to take when none was given."""
        return Artifact(
            type=self.TYPE,
            name=check_name(self.name or name),
            # A number that the last submit gave is not one that the user asked for.
            version="" if self.version in (None, self._numbered) else check_version(self.version),
            description=check_text(self.description, "description", LONGEST_DESCRIPTION),
            author=check_text(self.author, "author"),
            tags=check_tags(self.tags),
        )

    def _check_fields(self) -> None:
        if self.name is not None:
            check_name(self.name)
        self._record("any")

    def _facts(self) -> dict[str, str]:
        version = f" {self.version}" if self.version else ""
        facts = {"name": f"{self.name or '(no name yet)'}{version}", "id": str(self.id or "not submitted")}
        return facts | ({"uri": self.uri} if self.uri else {})

    def __repr__(self) -> str:
        told = ", ".join(f"{key}={value!r}" for key, value in self._facts().items())
        return f"{type(self).__name__}({told})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(key)}</th><td style="text-align: left">{escape(value)}</td></tr>'
            for key, value in self._facts().items()
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"


def local_path(path: object, field: str) -> Path:
    """A path of this machine, given as text, as a Path or as a ``file:`` URI.

    Raises:
        InvalidInputError: it is something else.
    """
    if not isinstance(path, str | PathLike) or not str(path):
        raise InvalidInputError(f"{field} is not a path.", hint="Pass the path of a file or folder.", field=field)
    text = str(path)
    parts = urlsplit(text) if "://" in text[:32] or text.startswith("file:") else None
    if parts is None:
        return Path(text).expanduser()
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InvalidInputError(
            f"{text[:200]!r} is not a path on this machine.", hint="Download it first, then pass its path.", field=field
        )
    return Path(url2pathname(parts.path))
