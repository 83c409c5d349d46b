"""How a model is asked: the function from rows to answers, and how many answers it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from .boosters import own_names
from .catboost import CLASS as CATBOOST
from .catboost import own_names as own_names_of_catboost
from .features import attribute, lineage, listed
from .methods import BOOSTERS

if TYPE_CHECKING:
    from xgboost import Booster


@runtime_checkable
class _Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Question:
    """A model's method, ready to be called.

    ``refusals`` are the errors of its library that say that the rows are wrong.
    """

    function: Callable[[object], object]
    columns: tuple[str, ...]
    """Names of the features, where the model has them."""
    features: int
    """Their number; 0 where it is not known."""
    refusals: tuple[type[Exception], ...] = ()


def question(obj: object, method: str = "predict") -> Question:
    """How ``obj`` is asked by this method.

    Raises:
        TypeError: it has none of that name.
    """
    kinds = lineage(obj)
    if not kinds.isdisjoint(BOOSTERS) and method != "predict":
        raise TypeError(f"A {type(obj).__name__} has no method {method}.")
    if "xgboost.core.Booster" in kinds:
        return _of_booster(cast("Booster", obj))
    function = attribute(obj, method)
    if not callable(function):
        raise TypeError(f"A {type(obj).__name__} has no method {method}.")
    names = tuple(str(name) for name in listed(attribute(obj, "feature_names_in_")))
    count = attribute(obj, "n_features_in_")
    if "lightgbm.basic.Booster" in kinds:
        names, count = _of_lightgbm(obj)
    if CATBOOST in kinds:
        told = [str(name) for name in listed(attribute(obj, "feature_names_"))]
        names, count = tuple(own_names_of_catboost(told)), len(told)
    return Question(function, names, count if isinstance(count, int) else 0, _refusals(kinds))


def rows_of(answers: object) -> int:
    """To how many rows these are the answers: of several outputs the first counts. -1 where they are none."""
    if isinstance(answers, list) and answers and all(isinstance(a, _Shaped) and a.shape for a in answers):
        answers = answers[0]  # one array for each output
    if isinstance(answers, _Shaped):
        return answers.shape[0] if answers.shape else -1
    return len(answers) if isinstance(answers, list | tuple) else -1


def _of_booster(booster: Booster) -> Question:
    import xgboost

    names = tuple(booster.feature_names or ())
    features = int(booster.num_features())

    def predict(rows: object) -> object:
        shape = rows.shape if isinstance(rows, _Shaped) else ()
        count = shape[1] if len(shape) == 2 else 0
        if count != features:
            # XGBoost takes absent columns for missing values, and answers.
            raise ValueError(f"Feature shape mismatch, expected: {features}, got {count}")
        named = hasattr(rows, "columns")
        matrix = xgboost.DMatrix(
            rows,
            feature_names=None if named or not names else list(names),
            enable_categorical=named,
        )
        return booster.predict(matrix)

    return Question(predict, names, features, (xgboost.core.XGBoostError,))


def _of_lightgbm(booster: object) -> tuple[tuple[str, ...], int]:
    told = attribute(booster, "feature_name")
    names = [str(n) for n in listed(told())] if callable(told) else []
    return tuple(own_names(names)), len(names)


def _refusals(kinds: frozenset[str]) -> tuple[type[Exception], ...]:
    if any(kind.startswith("xgboost.") for kind in kinds):
        import xgboost

        return (xgboost.core.XGBoostError,)
    if any(kind.startswith("lightgbm.") for kind in kinds):
        import lightgbm

        return (lightgbm.basic.LightGBMError,)
    if CATBOOST in kinds:
        from catboost import CatBoostError

        return (CatBoostError,)
    return ()
