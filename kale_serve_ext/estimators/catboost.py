"""What models of CatBoost tell of their input and output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ..ml import JSON, Column, Signature
from .features import Known, attribute, lineage, listed, tabular

CLASS = "catboost.core.CatBoost"
RANKING = frozenset(
    {
        *("YetiRank", "YetiRankPairwise", "PairLogit", "PairLogitPairwise", "StochasticRank", "LambdaMart"),
        *("QueryRMSE", "QuerySoftMax", "QueryCrossEntropy"),
    }
)
"""The loss functions of which CatBoost makes rankers."""


def is_catboost(obj: object) -> bool:
    """Whether this is one of CatBoost's models."""
    return not isinstance(obj, type) and CLASS in lineage(obj)


def signature_of(obj: object) -> Signature | None:
    """Names, kinds and number of the features, and the outputs' shape; None of anything else, and before fitting."""
    if not is_catboost(obj):
        return None
    names = [str(name) for name in listed(attribute(obj, "feature_names_"))]
    if not names:
        return None
    own = own_names(names)
    places = [*_places(obj, "get_cat_feature_indices"), *_places(obj, "get_text_feature_indices")]
    # Values of categories are not kept by the model: it takes any, those too that it has never seen.
    text = Known(Column("", "object"), "some text")
    known: dict[str | int, Known] = {(own[place] if own else place): text for place in places if place < len(names)}
    size, dtype = _output(obj)
    return tabular(len(names), own, known, output_size=size, output_dtype=dtype)


def own_names(names: Sequence[str]) -> Sequence[str]:
    """The names of the features; empty where CatBoost has made them up."""
    return [] if all(name == str(i) for i, name in enumerate(names)) else names


def class_of(metadata: Mapping[str, str]) -> str:
    """The class of CatBoost that a model's own metadata tell of: that of the one that was fitted, as far as answers go.

    Args:
        metadata: texts by name: ``class_params``, where it has classes, and ``params``, both JSON.
    """
    classes = _json(metadata.get("class_params")).get("class_names")
    if isinstance(classes, Sequence) and classes:
        return "CatBoostClassifier"
    loss = _json(metadata.get("params")).get("loss_function")
    kind = loss.get("type") if isinstance(loss, Mapping) else loss
    return "CatBoostRanker" if str(kind).partition(":")[0] in RANKING else "CatBoostRegressor"


def _output(obj: object) -> tuple[list[str | int], str]:
    classes = listed(attribute(obj, "classes_"))
    if not classes or f"{CLASS}Classifier" not in lineage(obj):
        return ["batch_size"], "float64"
    dtype = (
        "object"
        if any(isinstance(one, str) for one in classes)
        else str(attribute(attribute(obj, "classes_"), "dtype"))
    )
    # Of more than two classes it answers a column.
    return (["batch_size"] if len(classes) < 3 else ["batch_size", 1]), dtype


def _places(obj: object, name: str) -> list[int]:
    found = attribute(obj, name)
    return [place for place in listed(found()) if isinstance(place, int)] if callable(found) else []


def _json(text: str | None) -> Mapping[str, JSON]:
    try:
        told: JSON = json.loads(text or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, Mapping) else {}
