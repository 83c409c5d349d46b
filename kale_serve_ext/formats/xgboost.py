"""XGBoost: a Booster, or one of the estimators around it, as ``model.ubj``.

KServe's server loads a Booster and answers what ``Booster.predict`` does: of a classifier the probabilities. So an
estimator lies beside it as a whole, for this package's server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import attribute, describe
from ..estimators.boosters import categories_in, is_xgboost, of_xgboost
from ..ml import JSON, Signature
from . import boosterfiles, strangers
from .base import PICKLED, PICKLES, SKOPS, Content, Format, Server, check_one_file, installed, top_level
from .differing import fields, is_classifier
from .estimator import booster_packages, details_of, save_beside

if TYPE_CHECKING:
    from xgboost import Booster, XGBModel

_SUFFIXES = (".ubj", ".json", ".bst")
_READ_WHOLE = 64 << 20


class _XGBoost(Format):
    name = "xgboost"
    title = "XGBoost"
    aliases = ("xgb",)
    suffixes = _SUFFIXES
    files = ((".bst", ".json", ".ubj"), PICKLES, (SKOPS,))
    kinds = MappingProxyType({**PICKLED, "json": (".json",), "ubjson": (".ubj", ".bst"), "binary": (".bst",)})
    endings = (*_SUFFIXES, ".model")
    libraries = ("xgboost",)
    needs = (("xgboost", "xgboost-cpu"),)
    needs_same_python = False
    runtimes = ("kserve-xgbserver", "kserve-predictiveserver", "kserve-mlserver")
    server = Server("kserve-xgbserver", "KServe XGBoost server")
    has_methods = True
    stock_categories = "texts, which it refuses, or numbers, which it takes for codes"

    def matches(self, obj: object) -> bool:
        return is_xgboost(obj)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        form = boosterfiles.xgboost_form(head)
        if not form:
            return None
        tail = boosterfiles.tail(path)
        if form in ("json", "ubjson") and not tail.rstrip().endswith(b"}"):
            return Content(what="a truncated XGBoost model", hint=strangers.AGAIN)
        version = boosterfiles.xgboost_version(head if form == "binary" else head + tail)
        return Content(self.name, form, made_with={"xgboost": version} if version else {})

    def save(self, obj: object, directory: Path) -> None:
        # By way of bytes: XGBoost's own writing does not tell of a full disk in every case.
        (directory / "model.ubj").write_bytes(_booster(obj).save_raw("ubj"))
        save_beside(obj, directory)

    def load(self, path: Path) -> object:
        import xgboost

        return xgboost.Booster(model_file=str(path))

    def packages(self, obj: object | None) -> tuple[str, ...]:
        return (installed(*self.needs[0]), *booster_packages(obj))

    def signature(self, obj: object) -> Signature | None:
        _booster(obj)  # which refuses one that is not fitted
        return describe(obj).signature

    def details(self, obj: object) -> Mapping[str, JSON]:
        return details_of(obj)

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, _SUFFIXES, self.title)

    def path_signature(self, directory: Path) -> Signature | None:
        """From a model in JSON; one in UBJSON or the old binary form says nothing here."""
        for path in top_level(directory, (".json",)):
            if path.stat().st_size <= _READ_WHOLE:
                return _json_signature(path)
        return None

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        parameters = fields(model.details.get("parameters"))
        if is_classifier(model) and parameters.get("objective") != "multi:softmax":
            yield "It answers probabilities instead of classes."
        missing = parameters.get("missing")
        if isinstance(missing, int | float):
            yield f"It treats {missing:g} as a number; to the model it is a missing value."
        if model.signature and model.signature.columns:
            yield "It refuses rows without the names of their columns."


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


def _json_signature(path: Path) -> Signature | None:
    try:
        model = json.loads(path.read_bytes())
        learner = model["learner"]
        parameters = learner["learner_model_param"]
        return of_xgboost(
            int(parameters["num_feature"]),
            list(learner.get("feature_names", [])),
            list(learner.get("feature_types", [])),
            max(int(parameters.get("num_class", "0")), int(parameters.get("num_target", "1"))),
            categories_in(model),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # not a model after all: the server will say so
        return None
