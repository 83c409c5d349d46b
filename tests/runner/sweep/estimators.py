"""Every estimator that can answer, with what it needs to be made, and fitted on a table that suits it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Protocol, TypeAlias, cast

import lightgbm
import numpy as np
import xgboost
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators, get_tags

from . import tables

Fit: TypeAlias = "Callable[[object], object]"
METHODS = ("predict", "predict_proba", "decision_function", "transform")

NUMBER = np.asarray(tables.A + tables.B)
LABEL = np.where(tables.A > 2.5, "yes", "no")
THREE = tables.WORDS
TWO_NUMBERS = np.stack([tables.A, tables.C], axis=1)

# Set where an estimator has such a parameter: small data are soon learned.
_SMALL: dict[str, object] = {
    "n_estimators": 3,
    "n_clusters": 2,
    "n_neighbors": 3,
    "cv": 2,
    "max_iter": 20,
    "n_iter": 5,
    "n_init": 1,
    "n_components": 2,
    "batch_size": 20,
    "max_trials": 5,
    "max_subpopulation": 50,
    "min_samples_leaf": 5,
    "n_features": 16,
    "n_jobs": None,
    "random_state": 0,
}
_MADE: dict[str, Callable[[], dict[str, object]]] = {
    "ClassifierChain": lambda: {"estimator": LogisticRegression()},
    "ColumnTransformer": lambda: {"transformers": [("t", StandardScaler(), [0])], "remainder": "passthrough"},
    "FeatureUnion": lambda: {"transformer_list": [("t", StandardScaler())]},
    "FixedThresholdClassifier": lambda: {"estimator": LogisticRegression(), "pos_label": "yes"},
    "FrozenEstimator": lambda: {"estimator": Ridge().fit(tables.array(), NUMBER)},
    "GridSearchCV": lambda: {"estimator": Ridge(), "param_grid": {"alpha": [0.1, 1.0]}},
    "LinearDiscriminantAnalysis": lambda: {"n_components": 1},
    "LocalOutlierFactor": lambda: {"novelty": True},
    "MultiOutputClassifier": lambda: {"estimator": LogisticRegression()},
    "MultiOutputRegressor": lambda: {"estimator": Ridge()},
    "OneVsOneClassifier": lambda: {"estimator": LogisticRegression()},
    "OneVsRestClassifier": lambda: {"estimator": LogisticRegression()},
    "OrthogonalMatchingPursuitCV": lambda: {"max_iter": None},
    "OutputCodeClassifier": lambda: {"estimator": LogisticRegression()},
    "PatchExtractor": lambda: {"patch_size": (2, 2), "max_patches": 1},
    "Pipeline": lambda: {"steps": [("scale", StandardScaler()), ("model", LogisticRegression())]},
    "RFE": lambda: {"estimator": Ridge(), "n_features_to_select": 1},
    "RFECV": lambda: {"estimator": Ridge()},
    "RadiusNeighborsClassifier": lambda: {"radius": 100.0},
    "RadiusNeighborsRegressor": lambda: {"radius": 100.0},
    "RadiusNeighborsTransformer": lambda: {"radius": 1.0},
    "RandomizedSearchCV": lambda: {"estimator": Ridge(), "param_distributions": {"alpha": [0.1, 1.0]}, "n_iter": 2},
    "RegressorChain": lambda: {"estimator": Ridge()},
    "SelectFromModel": lambda: {"estimator": Ridge()},
    "SelectKBest": lambda: {"k": 1},
    "SelfTrainingClassifier": lambda: {"estimator": LogisticRegression()},
    "SequentialFeatureSelector": lambda: {"estimator": Ridge(), "n_features_to_select": 1},
    "SparseCoder": lambda: {"dictionary": np.eye(3)},
    "StackingClassifier": lambda: {"estimators": [("t", DecisionTreeClassifier(max_depth=2, random_state=0))]},
    "StackingRegressor": lambda: {"estimators": [("t", DecisionTreeRegressor(max_depth=2, random_state=0))]},
    "TunedThresholdClassifierCV": lambda: {"estimator": LogisticRegression()},
    "VotingClassifier": lambda: {"estimators": [("t", DecisionTreeClassifier(max_depth=2, random_state=0))]},
    "VotingRegressor": lambda: {"estimators": [("t", DecisionTreeRegressor(max_depth=2, random_state=0))]},
}
_TABLES = {"LabelBinarizer": "labels", "LabelEncoder": "labels", "MultiLabelBinarizer": "label sets"}
"""Those that take what no tag tells of."""
_BY_DTYPE = {
    *("ColumnTransformer", "DecisionTreeClassifier", "FunctionTransformer", "HistGradientBoostingClassifier"),
    *("HistGradientBoostingRegressor", "LogisticRegression", "MissingIndicator", "OneHotEncoder", "OrdinalEncoder"),
    *("Pipeline", "RandomForestRegressor", "SimpleImputer", "TargetEncoder"),
}
"""Those that look at more than numbers, and some that do not: they are tried with every table."""


class NotAnswered(Exception):
    """The estimator does not take this table in the notebook either."""


_CLASSES: dict[str, Callable[..., object]] = dict(all_estimators())


def names() -> list[str]:
    """All subjects: scikit-learn's estimators that can answer, the boosters', and pipelines."""
    own = [name for name, cls in _CLASSES.items() if any(hasattr(cls, method) for method in METHODS)]
    return [*own, *_others()]


def tables_of(name: str) -> list[str]:
    """The tables to be tried with a subject."""
    if name in _others():
        # LightGBM ends the whole process where a table of polars has texts or categories.
        return [
            t for t in (*tables.NUMBERS, *tables.MIXED) if not (name.startswith("LGBM") and t.startswith("polars "))
        ]
    if name in _TABLES:
        return [_TABLES[name]]
    takes = get_tags(_made(name)).input_tags
    flat = [*tables.NUMBERS, *tables.MIXED] if name in _BY_DTYPE else [*tables.OF_EACH_KIND]
    found = ["kernel"] if takes.pairwise else flat if takes.two_d_array else []
    found += ["one dimension"] if takes.one_d_array else []
    found += ["images"] if takes.three_d_array else []
    found += ["records"] if takes.dict else []
    return found + (["sentences"] if takes.string and not takes.two_d_array else [])


def goes_by_dtype(name: str) -> bool:
    """Whether the subject looks at more than numbers, so that it is tried with everything there is."""
    return name in _BY_DTYPE or name in _others()


def fitted(name: str, table: object) -> object:
    """The subject of this name, fitted.

    Raises:
        NotAnswered: it refuses the table.
    """
    if fit := _others().get(name):
        try:
            return _quietly(fit, table)
        except Exception as error:
            raise NotAnswered(str(error)) from error
    refusals: list[str] = []
    for target in _targets(_made(name)):
        try:
            return _quietly(_made(name).fit, table, *target)
        except Exception as error:
            refusals.append(str(error))
    raise NotAnswered("; ".join(refusals))


def answers(estimator: object, rows: object) -> dict[str, object]:
    """What each of its methods answers; without those that cannot."""
    found: dict[str, object] = {}
    for method in METHODS:
        try:
            found[method] = _quietly(getattr(estimator, method), rows)
        except Exception:  # no such method, or not for these rows
            continue
    return found


def _made(name: str):  # type: ignore[no-untyped-def]  # scikit-learn has no types
    cls = _CLASSES[name]
    given = _MADE.get(name, dict)()
    taken = inspect.signature(cls).parameters
    return cls(**{**{k: v for k, v in _SMALL.items() if k in taken}, **given})


def _targets(estimator: object) -> Iterator[tuple[object, ...]]:
    """What to fit it with beside the table; the first that it takes is right."""
    tags = get_tags(estimator)
    needs = tags.target_tags
    if needs.multi_output and not needs.single_output:
        yield (TWO_NUMBERS,)
    if tags.estimator_type == "classifier":
        numbers = (LABEL == "yes").astype(int)
        yield from ((LABEL,), (numbers,), (np.stack([LABEL, THREE], axis=1),), (np.stack([tables.FLAGS, numbers], 1),))
    elif needs.required or tags.estimator_type == "regressor":
        yield from ((NUMBER,), (TWO_NUMBERS,), (LABEL,))
    else:
        yield from ((), (NUMBER,), (LABEL,), (TWO_NUMBERS,))


def _quietly(call: Callable[..., object], *arguments: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


@cache
def _others() -> dict[str, Fit]:
    return {**_boosters(), **_pipelines()}


def _boosters() -> dict[str, Fit]:
    """XGBoost's and LightGBM's estimators, each as a function that fits one."""
    groups = [20, 20, 20]
    queries = np.repeat([0, 1, 2], 20)
    return {
        "XGBRegressor": lambda t: _xgb(xgboost.XGBRegressor).fit(t, NUMBER),
        "XGBRegressor missing=-1": lambda t: _xgb(xgboost.XGBRegressor, missing=-1.0).fit(t, NUMBER),
        "XGBRegressor gblinear": lambda t: xgboost.XGBRegressor(n_estimators=4, booster="gblinear").fit(t, NUMBER),
        "XGBRegressor of two": lambda t: _xgb(xgboost.XGBRegressor).fit(t, TWO_NUMBERS),
        "XGBClassifier": lambda t: _xgb(xgboost.XGBClassifier).fit(t, LABEL == "yes"),
        "XGBClassifier of three": lambda t: _xgb(xgboost.XGBClassifier).fit(t, tables.B),
        "XGBRanker": lambda t: _xgb(xgboost.XGBRanker).fit(t, tables.B, qid=queries),
        "XGBRFRegressor": lambda t: _xgb(xgboost.XGBRFRegressor).fit(t, NUMBER),
        "XGBRFClassifier": lambda t: _xgb(xgboost.XGBRFClassifier).fit(t, LABEL == "yes"),
        "LGBMRegressor": lambda t: _lgb(lightgbm.LGBMRegressor).fit(t, NUMBER),
        "LGBMClassifier": lambda t: _lgb(lightgbm.LGBMClassifier).fit(t, LABEL),
        "LGBMClassifier of three": lambda t: _lgb(lightgbm.LGBMClassifier).fit(t, THREE),
        "LGBMRanker": lambda t: _lgb(lightgbm.LGBMRanker).fit(t, tables.B, group=groups),
    }


class _Fits(Protocol):
    def fit(self, table: object, target: np.ndarray, **more: object) -> object: ...


def _xgb(kind: Callable[..., object], **more: float) -> _Fits:
    made = kind(n_estimators=4, n_jobs=1, enable_categorical=True, tree_method="hist", **more)
    return cast("_Fits", made)


def _lgb(kind: Callable[..., object]) -> _Fits:
    return cast("_Fits", kind(n_estimators=4, n_jobs=1, min_child_samples=5, verbose=-1))


def _pipelines() -> dict[str, Fit]:
    """Pipelines for tables of several dtypes, as people make them."""
    others = make_column_selector(dtype_exclude=["number"])
    numeric = make_column_selector(dtype_include=["number"])

    def first_column(encoder: object) -> object:
        return make_column_transformer((encoder, others), remainder="passthrough")

    def hours(table):  # type: ignore[no-untyped-def]
        stamps = table.iloc[:, 0].dt
        return np.stack([stamps.hour, stamps.dayofweek], axis=1)

    def one_hot() -> object:
        return OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    def tree() -> object:
        return DecisionTreeRegressor(max_depth=4, random_state=0)

    filled = make_column_transformer((SimpleImputer(), numeric), (one_hot(), others))
    return {
        "one-hot": lambda t: make_pipeline(first_column(one_hot()), tree()).fit(t, NUMBER),
        "one-hot, classes": lambda t: make_pipeline(
            first_column(one_hot()), DecisionTreeClassifier(max_depth=3, random_state=0)
        ).fit(t, LABEL),
        "ordinal": lambda t: make_pipeline(
            first_column(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
            HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5),
        ).fit(t, NUMBER),
        "most frequent": lambda t: make_pipeline(
            first_column(make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot())), tree()
        ).fit(t, NUMBER),
        "filled": lambda t: make_pipeline(filled, tree()).fit(t, NUMBER),
        "hours": lambda t: make_pipeline(FunctionTransformer(hours), tree()).fit(t, NUMBER),
        "one-hot to a table": lambda t: first_column(one_hot()).set_output(transform="pandas").fit(t),  # type: ignore[attr-defined]
    }
