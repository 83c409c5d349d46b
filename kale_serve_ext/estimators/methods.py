"""Which of a model's methods answer rows, and the library's settings that change what they answer."""

from __future__ import annotations

import sys

from ..ml import JSON
from .features import lineage

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score_samples",
)
"""What can be asked of an estimator, the usual one first."""
_OTHERWISE = ("transform_output", "enable_metadata_routing", "array_api_dispatch")
"""The settings of scikit-learn that change what a method answers, or whether it does."""
BOOSTERS = ("xgboost.core.Booster", "lightgbm.basic.Booster")
"""Classes that have no method but ``predict``."""


def methods_of(obj: object) -> tuple[str, ...]:
    """The names of the methods that answer rows; of a bare booster ``predict`` alone."""
    if not lineage(obj).isdisjoint(BOOSTERS):
        return ("predict",)
    return tuple(name for name in METHODS if _has(obj, name))


def settings_of(obj: object) -> dict[str, JSON]:
    """scikit-learn's global settings of this moment that change answers, where they are not the default."""
    sklearn = sys.modules.get("sklearn")
    if sklearn is None or "sklearn.base.BaseEstimator" not in lineage(obj):
        return {}
    usual = {"transform_output": "default"}
    now: dict[str, JSON] = sklearn.get_config()
    return {name: now[name] for name in _OTHERWISE if name in now and now[name] != usual.get(name, False)}


def _has(obj: object, name: str) -> bool:
    try:
        return callable(getattr(obj, name, None))
    except Exception:  # a property of somebody's own that raises what it likes when there is nothing to give
        return False
