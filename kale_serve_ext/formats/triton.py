"""Triton: a model repository as it is, with one model or several, or one model's folder out of such."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..ml import JSON, Signature
from . import smallfiles
from .base import Content, Format
from .textproto import MalformedError
from .tritonmodels import CONFIG, ENSEMBLE, TritonModel, entry_of, models_of, said

_DEEPEST = 32
_MOST_FILES = 10_000
_LONGEST = 1 << 20
"""Bytes of a configuration."""
_LAYOUT = f"A repository holds NAME/{CONFIG} and NAME/1/ with the model's file, such as model.onnx, for each model."


class _Triton(Format):
    name = "triton"
    title = "Triton"
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-tritonserver",)

    def matches_path(self, path: Path) -> bool:
        if not path.is_dir():
            return False
        try:
            return bool(models_in(path))
        except MalformedError:  # which check() tells of
            return True

    def opens(self, content: Content) -> bool:
        # Only Triton does that.
        return False

    def check(self, directory: Path) -> list[str]:
        try:
            found = models_in(directory)
        except MalformedError as error:
            return [f"{error}."]
        if not found:
            return [f"There is no model in it. {_LAYOUT}"]
        return [problem for one in found if (problem := _problem(one))]

    def path_signature(self, directory: Path) -> Signature | None:
        """Of the model that answers, where that does not depend on the service's name."""
        entry = entry_of(models_in(directory))
        return entry.signature if entry else None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        return {"models": {one.name: one.backend for one in models_in(directory)}}


FORMAT = _Triton()


def models_in(directory: Path) -> list[TritonModel]:
    """The models of a folder.

    Raises:
        MalformedError: a configuration is none; says which.
    """
    files = _files(directory)
    return models_of(files, texts_in(directory, files))


def texts_in(directory: Path, files: Sequence[str]) -> dict[str, str]:
    """The configurations among a folder's files.

    Raises:
        MalformedError: one is none; says which.
    """
    found = {}
    for path in files:
        if path.rpartition("/")[2] == CONFIG and path.count("/") < 2:
            try:
                found[path] = smallfiles.content(directory / path, _LONGEST).decode()
            except (OSError, ValueError) as error:
                raise MalformedError(f"{path} cannot be read: {error}") from error
    return found


def _files(directory: Path) -> list[str]:
    """Paths below a folder, in order: no more, and none deeper, than a repository may have."""
    found: list[str] = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(folders) if len(Path(folder).relative_to(directory).parts) < _DEEPEST else []
        found += [(Path(folder) / name).relative_to(directory).as_posix() for name in sorted(names)]
        if len(found) > _MOST_FILES:
            break
    return sorted(found)


def _problem(model: TritonModel) -> str:
    where = f"The model {model.name!r}" if model.name else "The model"
    has_version = any(file.partition("/")[0].isdecimal() for file in model.files)
    if not has_version and model.backend != ENSEMBLE:
        return f"{where} has no folder of a version, such as 1. {_LAYOUT}"
    if not model.backend:
        return f"{where} names no backend in its {CONFIG}, and its file has none of the usual names."
    told = said(model.config, "name")
    if model.name and told not in ("", model.name):
        return f"{where} is called {told!r} in its {CONFIG}; Triton wants its folder's name there."
    return ""
