"""Whether the server that loads a model will find its file, as far as names tell it. Nothing is loaded."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..engines.base import Check
from ..errors import UnsupportedModelError
from ..formats import Format, by_name
from ..records import KFP_MODEL, Artifact

_OBJECTS = ("s3", "minio", "gs", "https", "http")
"""Addresses that may be those of single files."""
_ENDING = re.compile(
    r"\.(joblib|pkl|pickle|sav|ubj|json|bst|txt|model|onnx|pt|pth|h5|keras|pb|pmml|cbm|bin|safetensors)", re.IGNORECASE
)
"""What tells a file from a folder. Archives are not among them: KServe unpacks those."""


def check_layout(model: Artifact) -> list[Check]:
    """What keeps the server from finding the model: of a snapshot on this machine exactly, else by its address."""
    try:
        known = by_name(model.format)
    except UnsupportedModelError:
        return []  # another server's business
    parts = urlsplit(model.uri)
    if parts.scheme == "file":
        folder = Path(url2pathname(parts.path))
        found = known.check(folder) if folder.is_dir() else []
        return [Check("error", "ModelFile", message, "Log the model again.", "version") for message in found]
    if parts.scheme not in _OBJECTS or not known.suffixes or parts.path.endswith("/"):
        return []
    return _of_address(model, known, PurePosixPath(parts.path))


def _of_address(model: Artifact, known: Format, path: PurePosixPath) -> list[Check]:
    ending = path.suffix.lower()
    if ending in known.suffixes:
        return []
    accepted = ", ".join(known.suffixes)
    hint = f"Write the model to a file that ends in {accepted}; the artifact's address names that file or its folder."
    takes = f"the {known.title} server loads a file that ends in {accepted}"
    if _ENDING.fullmatch(ending):
        return [Check("error", "ModelFile", f"{path.name!r} is not what is loaded: {takes}.", hint, "version")]
    if model.type == KFP_MODEL:
        # Pipelines name files and folders alike, by the output: which of them it is cannot be seen here.
        message = f"If {path.name!r} is a file, it will not be found: {takes}."
        return [Check("warning", "ModelFile", message, hint, "version")]
    return []
