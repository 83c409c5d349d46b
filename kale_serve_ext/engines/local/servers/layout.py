"""The folder that a server wants, planned from what a snapshot holds. Pure, but for :func:`make`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ....errors import InvalidInputError
from ....formats import known
from ....formats.textproto import MalformedError
from ....formats.triton import texts_in
from ....ml import JSON, Signature


@dataclass(frozen=True)
class Snapshot:
    """What there is to be served."""

    name: str
    """The InferenceService's, which is the model's name on the wire."""
    format: str
    files: tuple[str, ...]
    """What lies in it, as paths with slashes, in order."""
    signature: Signature | None = None
    """As far as the files tell it without being loaded."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The contents of the configurations among them."""
    in_cluster: bool = False
    """Whether KServe's image loads it, and not a program of this machine."""


@dataclass(frozen=True)
class Layout:
    """A folder: links into the snapshot and generated files, by their path in it."""

    links: Mapping[str, str] = field(default_factory=dict)
    """Path → path in the snapshot; an empty one is the whole snapshot."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path → content."""


def the_whole(snapshot: Snapshot) -> Layout:
    """The snapshot as it is, under the model's name."""
    return Layout(links={snapshot.name: ""})


def the_file(snapshot: Snapshot, endings: tuple[str, ...], server: str) -> str:
    """The one file at the top of the snapshot with one of these endings.

    Raises:
        InvalidInputError: there is none, or several.
    """
    top = [name for name in snapshot.files if "/" not in name]
    found = [name for name in top if PurePosixPath(name).suffix in endings]
    if len(found) == 1:
        return found[0]
    holds = f"It holds {', '.join(top[:5])}." if top else "It is empty."
    if not found:
        raise InvalidInputError(
            f"{server} finds no {snapshot.format} model in the snapshot: no file at its top ends in "
            f"{' or '.join(endings)}. {holds}",
            hint="Choose another runtime, or log the model in a format that this one loads.",
            field="runtime",
        )
    raise InvalidInputError(
        f"{server} takes one model file, and the snapshot holds {len(found)}: {', '.join(found[:5])}.",
        hint="Log the model with one file, or choose another runtime.",
        field="runtime",
    )


def as_json(value: JSON) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def look(name: str, model_format: str, folder: Path) -> Snapshot:
    """What lies in a snapshot on this machine.

    Raises:
        FileNotFoundError: it is not there.
        InvalidInputError: a configuration of Triton in it is none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"The snapshot {folder} is gone.")
    found = (path for path in folder.rglob("*") if path.is_file())
    files = tuple(sorted(path.relative_to(folder).as_posix() for path in found))
    format_ = known(model_format)
    signature = format_.path_signature(folder) if format_ and format_.name != "triton" else None
    try:
        texts = texts_in(folder, files) if model_format == "triton" else {}
    except MalformedError as error:
        raise InvalidInputError(f"Triton cannot read {error}.", field="version") from error
    return Snapshot(name, model_format, files, signature, texts)


def make(layout: Layout, snapshot: Path, folder: Path) -> None:
    """Make what is planned in ``folder``, which is new. Nothing is copied.

    Raises:
        ValueError: the plan leads out of the folder.
    """
    folder.mkdir(mode=0o700)
    for path, target in layout.links.items():
        place = _place(folder, path)
        place.symlink_to(snapshot / target if target else snapshot)
    for path, content in layout.files.items():
        place = _place(folder, path)
        place.write_text(content, "utf-8")


def _place(folder: Path, path: str) -> Path:
    place = Path(os.path.normpath(folder / path))
    if not place.is_relative_to(folder) or place == folder:
        raise ValueError(f"{path!r} is not in the folder.")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place
