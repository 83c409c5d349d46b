"""What a way for an artifact's files to get to the pods is, and which one the setting ``cluster_storage`` names."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ....config import Settings
from ....entities import Artifact
from ....errors import InvalidInputError
from ...base import Check, Staged
from ..access_review import Right, missing
from ..credentials import Place

if TYPE_CHECKING:
    from ..api import Api

Kind = Literal["", "s3", "pvc", "upload", "claim", "clone", "snapshot"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_HINT = (
    "It may be empty, s3://BUCKET/FOLDER?endpoint=URL, pvc://CLAIM/FOLDER, upload:, upload:STORAGE_CLASS, claim:, "
    "clone:, snapshot: or snapshot:SNAPSHOT_CLASS."
)


@dataclass(frozen=True)
class Site:
    """The namespace that the files are to get to, and what is needed for that. Use it from one loop."""

    settings: Settings
    place: Place
    namespace: str
    api: Api
    threads: Executor


class Strategy(Protocol):
    """How the files of one artifact get to its pods."""

    async def address(self) -> Staged:
        """What :meth:`stage` would give, without doing anything."""
        ...

    async def checks(self) -> list[Check]:
        """What speaks against it here."""
        ...

    async def stage(self) -> Staged:
        """Bring them there."""
        ...


TELL_EVERY = 1.0
"""Seconds after which it is told how far an upload is."""


@dataclass(frozen=True)
class Storage:
    """The setting, taken apart."""

    kind: Kind
    name: str = ""
    """A claim, or a class; of S3, the whole address."""
    folder: str = ""
    """In the claim; without slash at its ends."""

    @classmethod
    def parse(cls, setting: str) -> Storage:
        """Read ``cluster_storage``.

        Raises:
            InvalidInputError: it is none of the ways.
        """
        if setting.startswith("s3:"):
            return cls("s3", setting)
        if setting.startswith("pvc://"):
            name, _, folder = setting.removeprefix("pvc://").partition("/")
            folder = folder.strip("/")
            legal = folder.isprintable() and not set("?#%") & set(folder)
            if _NAME.fullmatch(name) and legal and not (folder and {"", ".", ".."} & set(folder.split("/"))):
                return cls("pvc", name, folder)
        kind, colon, name = setting.partition(":")
        named = ("upload", "snapshot") if name else ("upload", "snapshot", "claim", "clone")
        if not setting or (colon and kind in named and (not name or _NAME.fullmatch(name))):
            return cls(cast("Kind", kind), name)
        shown = re.sub("//.*@", "//…@", setting, flags=re.DOTALL)[:200]
        raise InvalidInputError(f"cluster_storage is {shown!r}, which is not a known kind of storage.", hint=_HINT)


def folder_of(artifact: Artifact) -> Path:
    """Where this machine has the artifact's snapshot."""
    return Path(url2pathname(urlsplit(artifact.uri).path))


async def lacking(site: Site, rights: list[Right], way_out: str) -> list[Check]:
    """An error for each of these rights that this account has not."""
    return [
        Check("error", "RightMissing", f"This account may not {right} in the namespace {site.namespace}.", way_out)
        for right in await missing(site.api, site.namespace, rights)
    ]
