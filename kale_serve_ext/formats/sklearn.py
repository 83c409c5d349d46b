"""scikit-learn: any estimator or Pipeline, as ``model.joblib``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import InvalidInputError
from ..estimators import lineage
from ..estimators.sklearn import signature_of, steps
from ..ml import JSON, Signature
from .base import check_one_file
from .estimator import details_of, estimator_packages, pickle_estimator

_SUFFIXES = (".joblib", ".pkl", ".pickle")


class _Sklearn:
    name = "sklearn"
    title = "scikit-learn"
    aliases = ("scikit-learn", "scikit_learn")
    suffixes = _SUFFIXES

    def matches(self, obj: object) -> bool:
        return "sklearn.base.BaseEstimator" in lineage(obj) and not isinstance(obj, type)

    def save(self, obj: object, directory: Path) -> None:
        _check_fitted(obj)
        pickle_estimator(obj, directory / "model.joblib")

    def packages(self, obj: object | None) -> tuple[str, ...]:
        return estimator_packages(obj)

    def signature(self, obj: object) -> Signature | None:
        return signature_of(obj)

    def details(self, obj: object) -> Mapping[str, JSON]:
        return details_of(obj)

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
