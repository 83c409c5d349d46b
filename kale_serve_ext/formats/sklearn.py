"""scikit-learn: any estimator or Pipeline, as ``model.joblib``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import lineage
from ..estimators.sklearn import signature_of, steps
from ..ml import JSON, Signature
from .base import PICKLED, PICKLES, SKOPS, Format, Server, check_one_file
from .differing import named, texts
from .estimator import details_of, estimator_packages, pickle_estimator

_OF_STOCK = frozenset(
    ("python", "kserve", "numpy", "pandas", "scipy", "joblib", "threadpoolctl", "scikit-learn", "narwhals")
)
"""The distributions in the image of KServe's server."""
_TEXTS = ("object", "str", "string")


class _Sklearn(Format):
    name = "sklearn"
    title = "scikit-learn"
    aliases = ("scikit-learn", "scikit_learn")
    suffixes = PICKLES
    files = (PICKLES, (SKOPS,))
    kinds = PICKLED
    endings = (*PICKLES, ".sav", SKOPS)
    libraries = ("sklearn",)
    needs = (("scikit-learn",), ("joblib",))
    runtimes = ("kserve-sklearnserver", "kserve-predictiveserver", "kserve-mlserver")
    server = Server("kserve-sklearnserver", "KServe sklearn server")
    has_methods = True
    stock_methods = ("predict", "predict_proba")
    stock_takes_texts = True

    def matches(self, obj: object) -> bool:
        return "sklearn.base.BaseEstimator" in lineage(obj) and not isinstance(obj, type)

    def save(self, obj: object, directory: Path) -> None:
        _check_fitted(obj)
        pickle_estimator(obj, directory / "model.joblib")

    def load(self, path: Path) -> object:
        import joblib

        return joblib.load(path)

    def packages(self, obj: object | None) -> tuple[str, ...]:
        return estimator_packages(obj)

    def signature(self, obj: object) -> Signature | None:
        return signature_of(obj)

    def details(self, obj: object) -> Mapping[str, JSON]:
        return details_of(obj)

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, PICKLES, self.title)

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        details = model.details
        output = model.signature.output_dtype if model.signature else ""
        if own := texts(details.get("own_code")):
            yield f"It cannot load the model, which needs your own code ({named(own)})."
        if absent := sorted(set(model.environment.packages) - _OF_STOCK):
            yield f"It cannot load the model, which needs {named(absent)}: KServe's image has scikit-learn alone."
        if settings := details.get("sklearn_config"):
            names = named(sorted(settings)) if isinstance(settings, Mapping) else "its settings"
            yield f"It leaves scikit-learn's global settings as they are by default ({names})."
        if method == "predict_proba" and _outputs(model) > 1:
            yield "It has no form for the probabilities of several outputs."
        if method == "predict" and output.startswith(_TEXTS):
            # Only those that lie in numpy as objects have a form there.
            yield "It may fail to answer texts, such as the names of classes, by v2 and gRPC."


FORMAT = _Sklearn()


def _outputs(model: Artifact) -> int:
    size = model.signature.output_size if model.signature else []
    last = size[-1] if len(size) > 1 else 1
    return last if isinstance(last, int) else 1


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
