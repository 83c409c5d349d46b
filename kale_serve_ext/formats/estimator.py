"""The estimator itself as a pickle, and what the record says of it: shared by the formats that keep one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import InvalidInputError
from ..estimators import describe
from ..estimators.boosters import is_wrapper, parameters_of
from ..ml import JSON
from ..modelmeta import ESTIMATOR
from ..source.own import CODE
from ..source.pickled import pack, parts_of
from .base import distributions


def pickle_estimator(obj: object, path: Path) -> None:
    """Write the estimator with joblib, and the user's own modules that it needs into ``code`` beside it.

    Raises:
        InvalidInputError: it cannot be pickled, or needs what cannot travel.
        OSError: about the files.
    """
    import joblib

    try:
        parts = parts_of(obj)
        if parts.own or parts.needs_cloudpickle:
            pack(obj, path, path.parent / CODE)
        else:
            joblib.dump(obj, path)
    except (OSError, InvalidInputError):  # the disk's, not the model's; or said already
        raise
    except Exception as error:
        raise InvalidInputError(
            f"This {type(obj).__name__} cannot be pickled: {error}.",
            hint="Remove what cannot be copied from it, such as open files, locks or connections.",
            field="model",
        ) from error


def save_beside(obj: object, directory: Path) -> None:
    """Keep the estimator around a booster beside the booster's own file; a bare booster has none."""
    if is_wrapper(obj):
        pickle_estimator(obj, directory / ESTIMATOR)


def estimator_packages(obj: object | None) -> tuple[str, ...]:
    """The distributions that loading the pickled estimator needs, beyond its framework's own."""
    if obj is None:
        return ("joblib", "numpy", "scikit-learn")
    parts = parts_of(obj)
    known = {"joblib", "numpy", "scikit-learn", *distributions(parts.modules)}
    return tuple(sorted(known | ({"cloudpickle"} if parts.needs_cloudpickle else set())))


def booster_packages(obj: object | None) -> tuple[str, ...]:
    """The distributions that a booster needs beside its framework: an estimator around it needs scikit-learn."""
    return estimator_packages(obj) if obj is not None and is_wrapper(obj) else ("numpy",)


def details_of(obj: object) -> Mapping[str, JSON]:
    """What the record says of an estimator beside its signature."""
    told = describe(obj)
    details: dict[str, JSON] = {"estimator": told.estimator, "methods": list(told.methods)}
    if parameters := parameters_of(obj):
        details["parameters"] = parameters
    if told.sklearn_config:
        details["sklearn_config"] = told.sklearn_config
    return details
