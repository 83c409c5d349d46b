"""XGBoost: a Booster, or one of the estimators around it, as ``model.ubj``.

KServe's server loads a Booster and answers what ``Booster.predict`` does: of a classifier the probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import InvalidInputError
from ..ml import JSON, Signature
from .base import check_one_file, head, installed, lineage, top_level
from .features import attribute, listed, tabular

if TYPE_CHECKING:
    from xgboost import Booster, XGBModel

_SUFFIXES = (".ubj", ".json", ".bst")
_DTYPES = {"int": "int64", "i": "int64", "float": "float64", "q": "float64", "c": "category"}
_READ_WHOLE = 64 << 20


class _XGBoost:
    name = "xgboost"
    title = "XGBoost"
    aliases = ("xgb",)
    suffixes = _SUFFIXES

    def matches(self, obj: object) -> bool:
        return bool({"xgboost.core.Booster", "xgboost.sklearn.XGBModel"} & lineage(obj)) and not isinstance(obj, type)

    def matches_path(self, path: Path) -> bool:
        return any(_is_xgboost(p) for p in top_level(path, _SUFFIXES))

    def file_name(self, path: Path) -> str:
        return path.name

    def save(self, obj: object, directory: Path) -> None:
        # By way of bytes: XGBoost's own writing does not tell of a full disk in every case.
        (directory / "model.ubj").write_bytes(_booster(obj).save_raw("ubj"))

    def packages(self, obj: object | None) -> tuple[str, ...]:
        return (installed("xgboost", "xgboost-cpu"), "numpy")

    def signature(self, obj: object) -> Signature | None:
        booster = _booster(obj)
        return _signature(
            booster.num_features(), listed(booster.feature_names), listed(booster.feature_types), _outputs(booster)
        )

    def details(self, obj: object) -> Mapping[str, JSON]:
        return {"estimator": type(obj).__name__}

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, _SUFFIXES, self.title)

    def path_signature(self, directory: Path) -> Signature | None:
        """From a model in JSON; one in UBJSON or the old binary form says nothing here."""
        for path in top_level(directory, (".json",)):
            if path.stat().st_size <= _READ_WHOLE:
                return _json_signature(path)
        return None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        return {}


FORMAT = _XGBoost()


def _booster(obj: object) -> Booster:
    import xgboost

    if isinstance(obj, xgboost.Booster):
        return obj
    estimator = cast("XGBModel", obj)
    try:
        booster = estimator.get_booster()
    except ValueError as error:  # scikit-learn's NotFittedError
        raise InvalidInputError(
            f"This {type(obj).__name__} is not fitted yet.", hint="Call its fit() first.", field="model"
        ) from error
    best = attribute(estimator, "best_iteration")
    if isinstance(best, int) and estimator.booster != "gblinear":
        # After early stopping the estimator predicts with the best trees alone; a bare Booster takes all it has.
        return booster[: best + 1]
    return booster


def _outputs(booster: Booster) -> int:
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] == "multi:softmax":  # which answers the class itself
        return 1
    parameters = learner["learner_model_param"]
    return max(int(parameters.get("num_class", "0")), int(parameters.get("num_target", "1")))


def _signature(count: int, names: list[object], types: list[object], outputs: int) -> Signature:
    dtypes = [_DTYPES.get(str(t), "float64") for t in types]
    known: dict[str | int, tuple[str, JSON]] = {
        i: (dtype, 0.0 if dtype == "float64" else 0) for i, dtype in enumerate(dtypes)
    }
    size: list[str | int] = ["batch_size", outputs] if outputs > 1 else ["batch_size"]
    return tabular(count, [str(n) for n in names], known, output_size=size, output_dtype="float32")


def _is_xgboost(path: Path) -> bool:
    start = head(path)
    if path.suffix.lower() == ".json":
        return start.lstrip().startswith(b"{") and b'"learner"' in start
    return start.startswith((b"{L", b"{\x00", b"binf")) or b'"learner"' in start or b"learner{" in start


def _json_signature(path: Path) -> Signature | None:
    try:
        learner = json.loads(path.read_bytes())["learner"]
        parameters = learner["learner_model_param"]
        return _signature(
            int(parameters["num_feature"]),
            list(learner.get("feature_names", [])),
            list(learner.get("feature_types", [])),
            max(int(parameters.get("num_class", "0")), int(parameters.get("num_target", "1"))),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # not a model after all: the server will say so
        return None
