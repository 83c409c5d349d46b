"""Ways in which frameworks save a model: one file each, with all that this package knows of it.

A new format is a new file with one object of a subclass of :class:`~kale_serve_ext.formats.base.Format`, named in
:mod:`~kale_serve_ext.formats.registry`, or another package's, named by an entry point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UnsupportedModelError
from . import registry
from .base import Content, Format
from .content import can_be, file_name, files_of, look, models_in
from .registry import brought_by, every, known, same_library, served, with_names

__all__ = [
    "Content",
    "Format",
    "Saved",
    "brought_by",
    "by_name",
    "detect",
    "detect_path",
    "every",
    "find",
    "known",
    "names",
    "same_library",
    "served",
    "with_names",
]

_MOST_NAMED = 5
_CUSTOM_WAY = (
    "Anything else can be served as custom code: a folder with a subclass of kserve.Model that loads and calls it, "
    'logged with Model(model_type="custom", artifact_uri="FOLDER").'
)


def names() -> tuple[str, ...]:
    """Every format's name."""
    return tuple(sorted(f.name for f in every()))


def by_name(name: str) -> Format:
    """The format of this name, or of one of its aliases, in any case.

    Raises:
        UnsupportedModelError: there is none.
    """
    found = known(name)
    if found and registry.can_be_logged(found):
        return found
    raise UnsupportedModelError(
        f"Unknown model format {name[:100]!r}.", hint=f"Known formats: {', '.join(names())}.", field="format"
    )


def detect(obj: object) -> Format:
    """The format that saves this object, known by its class, without importing any framework.

    Raises:
        UnsupportedModelError: none does.
    """
    if found := registry.matching(obj):
        return found
    if isinstance(obj, (str, Path)):
        raise UnsupportedModelError(
            f"{str(obj)[:200]!r} is a path, not a model.",
            hint=f"For a saved model: Model(artifact_uri={str(obj)[:200]!r}).",
            field="model",
        )
    cls = obj if isinstance(obj, type) else type(obj)
    raise UnsupportedModelError(
        f"A {cls.__module__}.{cls.__qualname__} cannot be saved as a model. Supported are {_titles()}.",
        hint=_CUSTOM_WAY,
        field="model",
    )


@dataclass(frozen=True)
class Saved:
    """A model that was saved already."""

    format: Format
    file: Path | None = None
    """The model's file; None for a folder of code."""
    content: Content = field(default_factory=Content)
    name: str = ""
    """What that file has to be called for a model server to find it."""


def detect_path(path: Path) -> Format:
    """The format of a model that was saved already; see :func:`find`."""
    return find(path).format


def find(path: Path, model_type: str = "") -> Saved:
    """The model that is in a file or folder, detected by content, not by names; nothing is loaded.

    Args:
        path: it exists.
        model_type: a format's name, if it was given; detected from the content when empty.

    Raises:
        UnsupportedModelError: there is none, or more than one; says what there is instead.
    """
    wanted = by_name(model_type) if model_type else None
    whole = wanted if wanted and not wanted.files else None
    if whole or (wanted is None and (whole := registry.matching_path(path))):
        return Saved(whole)  # whatever else lies beside code is what that code loads
    found = models_in(path)
    if wanted is not None:
        found = {file: content for file, content in found.items() if can_be(content, wanted)}
    formats = {wanted.name if wanted else content.format for content in found.values()}
    if not found:
        raise _no_model(path, wanted)
    if len(formats) > 1:
        raise UnsupportedModelError(
            f"{path} holds models of several formats: {', '.join(by_name(f).title for f in sorted(formats))}.",
            hint="Choose the file, or name the format.",
            field="format",
        )
    if len(found) > 1:
        listed = ", ".join(file.name for file in list(found)[:_MOST_NAMED])
        raise UnsupportedModelError(
            f"{path} holds {len(found)} model files ({listed}).", hint="Choose one of them.", field="path"
        )
    ((file, content),) = found.items()
    return Saved(by_name(formats.pop()), file, content, file_name(file, content))


def _no_model(path: Path, wanted: Format | None) -> UnsupportedModelError:
    """The error for what is no model, or none of the format that was named: it says what it is."""
    files = [path] if path.is_file() else files_of(path)
    known = {file: look(file) for file in files}
    if wanted is not None and any(content.format for content in known.values()):
        titles = ", ".join(sorted({by_name(content.format).title for content in known.values() if content.format}))
        return UnsupportedModelError(
            f"The format of {path} is {titles}, not {wanted.title}.",
            hint="Omit the format: it is detected from the file.",
            field="format",
        )
    if path.suffix == ".py":
        return UnsupportedModelError(
            f"{path} is not a custom model. {' '.join(registry.CODE.check(path))}",
            hint="Define a subclass of kserve.Model in it.",
            field="path",
        )
    if path.is_file():
        content = known[path]
        return UnsupportedModelError(f"{path} is {content.what}.", hint=content.hint, field="path")
    # What is called like a model comes first.
    usual = {ending for one in every() for ending in one.endings}
    called = sorted(files, key=lambda file: (not file.name.startswith("model"), file.suffix not in usual, file.name))
    told = "; ".join(f"{file.name} is {known[file].what}" for file in called[:_MOST_NAMED])
    return UnsupportedModelError(
        f"{path} holds no model that can be served: {told or 'it has no files'}.",
        hint=known[called[0]].hint if called else "Choose the model's own file or folder.",
        field="path",
    )


def _titles() -> str:
    *most, last = (f.title for f in every())
    return f"{', '.join(most)} and {last}"
