"""Whether the server that loads a model will find its file, as far as names tell it. Nothing is loaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..engines.base import Check
from ..entities import KFP_MODEL, Artifact
from ..errors import UnsupportedModelError
from ..formats import Format, by_name, with_names
from ..formats.base import the_file
from ..formats.content import FILE_KIND

_OBJECTS = ("s3", "minio", "gs", "https", "http")
"""Addresses that may be those of single files."""


def check_layout(model: Artifact) -> list[Check]:
    """What keeps the server from finding the model: of a snapshot on this machine exactly, else by its address."""
    try:
        known = by_name(model.format)
    except UnsupportedModelError:
        return []  # another server's business
    parts = urlsplit(model.uri)
    if parts.scheme == "file":
        folder = Path(url2pathname(parts.path))
        found = _of_folder(model, known, folder) if folder.is_dir() else []
        return [Check("error", "ModelFile", message, "Log the model again.", "version") for message in found]
    if parts.scheme not in _OBJECTS or not known.suffixes or parts.path.endswith("/"):
        return []
    return _of_address(model, known, PurePosixPath(parts.path))


def _of_folder(model: Artifact, known: Format, folder: Path) -> list[str]:
    if not model.details.get(FILE_KIND) or not known.files:
        return known.check(folder)
    try:  # KServe's own servers look for other files, which the choice of the server goes by
        the_file(folder, known.files)
    except RuntimeError as error:
        return [str(error)]
    return []


def _of_address(model: Artifact, known: Format, path: PurePosixPath) -> list[Check]:
    ending = path.suffix.lower()
    if ending in known.suffixes:
        return []
    accepted = ", ".join(known.suffixes)
    hint = f"Write the model to a file that ends in {accepted}; the artifact's address names that file or its folder."
    takes = f"the {known.title} server loads a file that ends in {accepted}"
    # What tells a file from a folder. Archives are not among them: KServe unpacks those.
    if ending in {one for each in with_names() for one in each.endings}:
        return [Check("error", "ModelFile", f"{path.name!r} is not what is loaded: {takes}.", hint, "version")]
    if model.type == KFP_MODEL:
        # Pipelines name files and folders alike, by the output: which of them it is cannot be seen here.
        message = f"If {path.name!r} is a file, it will not be found: {takes}."
        return [Check("warning", "ModelFile", message, hint, "version")]
    return []
