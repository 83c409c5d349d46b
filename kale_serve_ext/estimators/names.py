"""What a model does with the names of columns: some look at them, and some go by position alone."""

from __future__ import annotations

from collections.abc import Iterator

from .boosters import is_lightgbm
from .catboost import is_catboost, own_names
from .features import attribute, listed
from .sklearn import steps

_INNER = ("estimator", "estimator_", "best_estimator_", "base_estimator_")
_SEVERAL = ("estimators_", "estimators")


def rewritten(name: str) -> str:
    """A column's name as LightGBM writes it."""
    return "".join("_" if c.isspace() else c for c in name)


def checks_names(estimator: object) -> bool:
    """Whether a model refuses a table with other columns by itself. One that was fitted on an array goes by position;
    of one that tells nothing, such as a step of the user's own, the columns are its own business."""
    if listed(attribute(estimator, "feature_names_in_")):
        return True
    if is_catboost(estimator):
        return bool(own_names([str(name) for name in listed(attribute(estimator, "feature_names_"))]))
    return not isinstance(attribute(estimator, "n_features_in_"), int)


def is_read_by_lightgbm(estimator: object) -> bool:
    """Whether the input goes to LightGBM as it is: it writes underscores for spaces in names, and looks at none."""
    return any(is_lightgbm(one) for one in _readers(estimator))


def _readers(estimator: object) -> Iterator[object]:
    """The estimators that see the input itself: the first step of a pipeline, and those inside of others."""
    for first in steps(estimator)[:1]:
        yield first
        if is_lightgbm(first):
            return
        for name in _INNER:
            inner = attribute(first, name)
            if inner is not None:
                yield from _readers(inner)
        for name in _SEVERAL:
            for inner in listed(attribute(first, name)):
                yield from _readers(inner[-1] if isinstance(inner, tuple) else inner)
