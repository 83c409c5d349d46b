"""A model that was saved already, made ready for the store by its bytes alone: nothing in it is loaded here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import modelmeta
from ..entities import Artifact
from ..errors import InvalidInputError, NotFoundError
from ..formats import Format, Saved, brought_by, by_name, detect, find
from ..formats.content import FILE_KIND, files_of
from ..ml import JSON
from .base import Written
from .environment import MADE_WITH

CUSTOM = "custom"
"""The format that is code."""


def path_written(path: Path, record: Artifact, model_type: str, model: object = None) -> Written:
    """A saved model as it goes to the store.

    Args:
        path: the file or folder; it exists.
        record: the common fields.
        model_type: a format's name; detected from the files when empty.
        model: the object that was saved there, where the caller has it: it tells the signature and its class.

    Raises:
        UnsupportedModelError: there is no model, or several; says what there is.
        InvalidInputError: its layout is not what the format's server needs.
    """
    if not (path.is_file() or path.is_dir()):
        raise InvalidInputError(
            f"{path} is neither a file nor a folder (a socket, pipe or device).",
            hint="Choose the file or folder that holds the model.",
            field="path",
        )
    saved = find(path, model_type)
    format_ = saved.format
    if model is not None and not format_.matches(model):
        format_ = format_of(model, model_type or format_.name)
    if saved.file is None and (problems := format_.check(path)):
        raise InvalidInputError(
            f"{path} cannot be served as a {format_.title} model. {' '.join(problems)}",
            hint="Point to the folder or file that holds only the model.",
            field="path",
        )
    if saved.file is not None and path.is_dir():
        _check_alone(saved, saved.file, path)
    along = format_.companions(saved.file) if saved.file is not None else ()
    renamed = saved.file is not None and saved.name != saved.file.name
    told = format_.path_signature(saved.file or path) if model is None else format_.signature(model)
    details = {
        **({} if model is None else format_.details(model)),
        **format_.path_details(saved.file or path),
        **_details(saved),
        **_known(path),
    }
    return Written(
        replace(record, format=format_.name, signature=told, details=details),
        path,
        tuple(sorted({*packages_of(format_, model, path), *saved.content.packages})),
        file_name=saved.name if path.is_file() or renamed else "",
        along=along if path.is_file() else (),
        below=format_.below(path) if path.is_dir() and saved.file is None else "",
        opens=format_.opens(saved.content),
        renamed=saved.file.name if renamed and saved.file is not None and path.is_dir() else "",
    )


def name_of(path: Path) -> str:
    """The name that an artifact gets from its path: without the ending, where it is a file.

    Raises:
        NotFoundError: nothing is there.
        InvalidInputError: it is no path at all.
    """
    try:
        real = path.resolve(strict=True)
        return real.stem if real.is_file() else real.name
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file or folder {path}.", hint="Check the path.", field="path") from error
    except (OSError, RuntimeError, ValueError) as error:  # too long; a loop of links; a NUL byte
        raise InvalidInputError("The path cannot be used.", hint="Check it.", field="path") from error


def packages_of(format_: Format, model: object, path: Path) -> tuple[str, ...]:
    """The distributions that a model needs; of code, those that it imports."""
    return (*format_.packages_in(path, model), *filter(None, (brought_by(format_),)))


def format_of(model: object, model_type: str | None) -> Format:
    """The format of an object, which has to be the one that was named.

    Raises:
        UnsupportedModelError: no format knows it.
        InvalidInputError: another was named.
    """
    found = detect(model)
    if model_type and by_name(model_type) is not found:
        raise InvalidInputError(
            f"The format of the model is {found.title}, not {by_name(model_type).title}.",
            hint="Omit model_type: it is detected from the model.",
            field="model_type",
        )
    return found


def _check_alone(saved: Saved, file: Path, folder: Path) -> None:
    """Refuse a folder in which a server would not know which file to take.

    Raises:
        InvalidInputError: another file is called like a model of the format.
    """
    taken: set[str] = set()
    for group in saved.format.files:
        taken.update(group)
        if saved.name.endswith(group):
            break
    others = [p.name for p in files_of(folder) if p != file and p.suffix in taken]
    if others:
        names = ", ".join((file.name, *others[:4]))
        raise InvalidInputError(
            f"{folder} holds {len(others) + 1} files named like a {saved.format.title} model ({names}).",
            hint="Choose the model's own file.",
            field="path",
        )


def _known(path: Path) -> dict[str, JSON]:
    """What the record that lies in a folder, as in a snapshot, adds."""
    meta = modelmeta.read(path)
    return {"recorded_rows": len(meta.recorded.rows)} if meta and meta.recorded else {}


def _details(saved: Saved) -> dict[str, JSON]:
    content = saved.content
    details: dict[str, JSON] = {}
    suffixes = saved.format.suffixes
    if content.kind and suffixes and not set(saved.format.kinds.get(content.kind, suffixes)) & set(suffixes):
        details[FILE_KIND] = content.kind
    if content.made_with:
        details[MADE_WITH] = dict(content.made_with)
    return details
