"""scikit-learn: any estimator or Pipeline, as ``model.joblib``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import InvalidInputError
from ..ml import JSON, Signature
from ..source.pickled import dump_by_value, parts_of
from .base import check_one_file, distributions, lineage, top_level
from .sklearn_signature import signature_of, steps

_SUFFIXES = (".joblib", ".pkl", ".pickle")


class _Sklearn:
    name = "sklearn"
    title = "scikit-learn"
    aliases = ("scikit-learn", "scikit_learn")
    suffixes = _SUFFIXES

    def matches(self, obj: object) -> bool:
        return "sklearn.base.BaseEstimator" in lineage(obj) and not isinstance(obj, type)

    def matches_path(self, path: Path) -> bool:
        return bool(top_level(path, _SUFFIXES))

    def file_name(self, path: Path) -> str:
        return path.name

    def save(self, obj: object, directory: Path) -> None:
        import joblib

        _check_fitted(obj)
        path = directory / "model.joblib"
        try:
            parts = parts_of(obj)
            if parts.by_value:
                with path.open("wb") as file:  # joblib reads it like one of its own
                    dump_by_value(obj, file, parts.by_value)
            else:
                joblib.dump(obj, path)
        except OSError:  # the disk's, not the model's
            raise
        except Exception as error:
            raise InvalidInputError(
                f"This {type(obj).__name__} cannot be pickled: {error}.",
                hint="Remove what cannot be copied from it, such as open files, locks or connections.",
                field="model",
            ) from error

    def packages(self, obj: object | None) -> tuple[str, ...]:
        base = {"scikit-learn", "joblib", "numpy"}
        if obj is not None:
            parts = parts_of(obj)
            base.update(distributions(parts.modules), ["cloudpickle"] if parts.by_value else [])
        return tuple(sorted(base))

    def signature(self, obj: object) -> Signature | None:
        return signature_of(obj)

    def details(self, obj: object) -> Mapping[str, JSON]:
        return {"estimator": type(obj).__name__}

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, _SUFFIXES, self.title)

    def path_signature(self, directory: Path) -> Signature | None:
        return None  # a pickle tells nothing without being run

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        return {}


FORMAT = _Sklearn()


def _check_fitted(estimator: object) -> None:
    last = steps(estimator)[-1:]
    # Other people's estimators need not follow the convention by which this is told.
    if not last or not type(last[0]).__module__.startswith("sklearn."):
        return
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InvalidInputError(
            f"This {type(estimator).__name__} is not fitted yet.", hint="Call its fit() first.", field="model"
        ) from error
