"""Ways in which frameworks save a model: one file each.

A new format is a new file with one object that satisfies :class:`~kale_serve_ext.formats.base.Format`, named in
``_ALL`` here.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import UnsupportedModelError
from . import custom, lightgbm, sklearn, xgboost
from .base import Format

__all__ = ["Format", "by_name", "detect", "detect_path", "names"]

# The wrappers of XGBoost and LightGBM are scikit-learn estimators too, so scikit-learn is asked after them.
_ALL: tuple[Format, ...] = (xgboost.FORMAT, lightgbm.FORMAT, sklearn.FORMAT, custom.FORMAT)

_CUSTOM_WAY = (
    "Anything else can be served as custom code: a folder with a subclass of kserve.Model that loads and calls it, "
    'logged with Model(model_type="custom", artifact_uri="FOLDER").'
)


def names() -> tuple[str, ...]:
    """Every format's name."""
    return tuple(sorted(f.name for f in _ALL))


def by_name(name: str) -> Format:
    """The format of this name, or of one of its aliases, in any case.

    Raises:
        UnsupportedModelError: there is none.
    """
    wanted = name.strip().lower()
    for format_ in _ALL:
        if wanted == format_.name or wanted in format_.aliases:
            return format_
    raise UnsupportedModelError(
        f"There is no model format {name[:100]!r}.", hint=f"The formats are {', '.join(names())}.", field="format"
    )


def detect(obj: object) -> Format:
    """The format that saves this object, told by its class and without importing any framework.

    Raises:
        UnsupportedModelError: none does.
    """
    for format_ in _ALL:
        if format_.matches(obj):
            return format_
    if isinstance(obj, (str, Path)):
        raise UnsupportedModelError(
            f"{str(obj)[:200]!r} is a path, not a model.",
            hint=f"For a model that is saved already: Model(artifact_uri={str(obj)[:200]!r}).",
            field="model",
        )
    cls = obj if isinstance(obj, type) else type(obj)
    raise UnsupportedModelError(
        f"A {cls.__module__}.{cls.__qualname__} cannot be saved as a model. Supported are {_titles()}.",
        hint=_CUSTOM_WAY,
        field="model",
    )


def detect_path(path: Path) -> Format:
    """The format of a model that was saved already, told by names and first bytes; nothing is loaded.

    Raises:
        UnsupportedModelError: none, or more than one in the same folder.
    """
    found = [f for f in _ALL if f.matches_path(path)]
    if custom.FORMAT in found:  # whatever else lies beside the code is what that code loads
        return custom.FORMAT
    if len(found) == 1:
        return found[0]
    if found:
        raise UnsupportedModelError(
            f"{path} holds models of several formats: {', '.join(f.title for f in found)}.",
            hint="Choose the file, or name the format.",
            field="format",
        )
    raise UnsupportedModelError(
        f"{path} does not look like a saved model. Known are scikit-learn (.joblib, .pkl), "
        "XGBoost (.ubj, .json, .bst), LightGBM (.bst, .txt) and custom code (a .py with a subclass of kserve.Model).",
        hint="Choose the model's own file or folder, or save the model again in one of these forms.",
        field="path",
    )


def _titles() -> str:
    *most, last = (f.title for f in _ALL)
    return f"{', '.join(most)} and {last}"
