"""What boosters of XGBoost and LightGBM, and the estimators around them, tell of their input and output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from ..ml import JSON, Column, Signature
from .features import Known, attribute, lineage, listed, tabular

if TYPE_CHECKING:
    from xgboost import Booster

_XGBOOST = {"xgboost.core.Booster", "xgboost.sklearn.XGBModel"}
_LIGHTGBM = {"lightgbm.basic.Booster", "lightgbm.sklearn.LGBMModel"}
_DTYPES = {"int": "int64", "i": "int64", "float": "float64", "q": "float64", "c": "category"}


def is_xgboost(obj: object) -> bool:
    """Whether this is a booster of XGBoost, or an estimator around one."""
    return not isinstance(obj, type) and not lineage(obj).isdisjoint(_XGBOOST)


def is_lightgbm(obj: object) -> bool:
    """Whether this is a booster of LightGBM, or an estimator around one."""
    return not isinstance(obj, type) and not lineage(obj).isdisjoint(_LIGHTGBM)


def is_wrapper(obj: object) -> bool:
    """Whether this is an estimator around a booster: it knows class names, and what is missing, which boosters do
    not."""
    return (is_xgboost(obj) or is_lightgbm(obj)) and "sklearn.base.BaseEstimator" in lineage(obj)


def parameters_of(obj: object) -> dict[str, JSON]:
    """An estimator's own parameters that change its answers, where they are not the usual ones."""
    told: dict[str, JSON] = {}
    missing = attribute(obj, "missing")
    if isinstance(missing, int | float) and missing == missing:
        told["missing"] = float(missing)
    objective = attribute(obj, "objective")
    if isinstance(objective, str):
        told["objective"] = objective
    return told


def signature_of(obj: object) -> Signature | None:
    """Names, dtypes, categories and number of the features, and the outputs' shape; None of anything else."""
    if is_xgboost(obj):
        found = attribute(obj, "get_booster")
        booster = cast("Booster", found() if callable(found) else obj)
        return of_xgboost(
            booster.num_features(),
            listed(booster.feature_names),
            listed(booster.feature_types),
            _outputs(obj, booster),
            xgboost_categories(booster),
            _labels(obj),
        )
    if is_lightgbm(obj):
        inner = attribute(obj, "booster_")
        return _of_lightgbm(inner if inner is not None else obj, _labels(obj))
    return None


def of_xgboost(
    count: int,
    names: Sequence[object],
    types: Sequence[object],
    outputs: int,
    categories: Mapping[int, Column] | None = None,
    labels: str = "",
) -> Signature:
    """The signature of a model of XGBoost. ``labels`` is the dtype of the classes that it answers, if it does."""
    known: dict[str | int, Known] = {}
    for i in range(count):
        dtype = _DTYPES.get(str(types[i]), "float64") if i < len(types) else "float64"
        column = (categories or {}).get(i, Column("", dtype))
        known[str(names[i]) if len(names) == count else i] = Known(column, _first(column))
    size: list[str | int] = ["batch_size", outputs] if outputs > 1 and not labels else ["batch_size"]
    return tabular(count, [str(n) for n in names], known, output_size=size, output_dtype=labels or "float32")


def xgboost_categories(booster: Booster) -> dict[int, Column]:
    """The categories by feature that the model itself keeps, since XGBoost 3.1; empty before."""
    if "c" not in listed(booster.feature_types):
        return {}
    return categories_in(json.loads(booster.save_raw("json")))


def categories_in(model: JSON) -> dict[int, Column]:
    """The same, from a model's JSON."""
    inner: JSON = model
    for key in ("learner", "gradient_booster"):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    if isinstance(inner, Mapping) and isinstance(inner.get("gbtree"), Mapping):  # inside of dart
        inner = inner["gbtree"]
    inner = inner.get("model") if isinstance(inner, Mapping) else None
    cats = inner.get("cats") if isinstance(inner, Mapping) else None
    encoded = cats.get("enc") if isinstance(cats, Mapping) else None
    found: dict[int, Column] = {}
    for i, one in enumerate(encoded if isinstance(encoded, Sequence) else ()):
        values = _category_values(one) if isinstance(one, Mapping) else []
        if values:
            kinds = {type(v) for v in values}
            dtype = "object" if str in kinds else "float64" if float in kinds else "int64"
            found[i] = Column("", "category", tuple(values), dtype)
    return found


def _category_values(encoded: Mapping[str, JSON]) -> list[JSON]:
    values = encoded.get("values")
    offsets = encoded.get("offsets")
    if not isinstance(values, Sequence):
        return []
    if not isinstance(offsets, Sequence):
        return list(values)
    text = bytes(v & 0xFF for v in values if isinstance(v, int))  # signed characters
    ends = [o for o in offsets if isinstance(o, int)]
    return [text[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]


def own_names(names: Sequence[str]) -> Sequence[str]:
    """The names of LightGBM's features; empty where it has made them up."""
    return [] if all(name == f"Column_{i}" for i, name in enumerate(names)) else names


def _of_lightgbm(booster: object, labels: str) -> Signature:
    def told(name: str) -> object:
        found = attribute(booster, name)
        return found() if callable(found) else found

    names = [str(n) for n in listed(told("feature_name"))]
    parameters = told("params")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    objective = str(parameters.get("objective") or "")
    outputs = told("num_model_per_iteration")
    own = own_names(names)
    placed = listed(parameters.get("categorical_column", parameters.get("categorical_feature")))
    kept = listed(told("pandas_categorical"))
    columns: dict[str | int, Known] = {}
    if len(placed) == len(kept):  # else some were named by number alone, and their values are codes
        for place, values in zip(sorted(p for p in placed if isinstance(p, int)), kept, strict=False):
            column = _pandas_column(listed(values))
            columns[names[place] if own else place] = Known(column, _first(column))
    several = isinstance(outputs, int) and outputs > 1 and objective != "lambdarank" and not labels
    size: list[str | int] = ["batch_size", outputs] if several and isinstance(outputs, int) else ["batch_size"]
    count = len(names)
    return tabular(count, own, columns, output_size=size, output_dtype=labels or "float64")


def _pandas_column(values: list[object]) -> Column:
    plain = tuple(v for v in values if isinstance(v, bool | int | float | str))
    kinds = {type(v) for v in plain}
    dtype = "object" if str in kinds else "bool" if kinds == {bool} else "float64" if float in kinds else "int64"
    return Column("", "category", plain, dtype)


def _first(column: Column) -> JSON:
    if column.categories:
        return column.categories[0]
    return 0.0 if column.dtype == "float64" else 0


def _labels(obj: object) -> str:
    """The dtype of the classes of a classifier; empty of anything else."""
    if "sklearn.base.ClassifierMixin" not in lineage(obj):
        return ""
    classes = attribute(obj, "classes_")
    dtype = str(attribute(classes, "dtype") or "")
    return "object" if dtype.startswith(("<U", "str", "object")) else dtype


def _outputs(obj: object, booster: Booster) -> int:
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] == "multi:softmax":  # which answers the class itself
        return 1
    parameters = learner["learner_model_param"]
    return max(int(parameters.get("num_class", "0")), int(parameters.get("num_target", "1")))
