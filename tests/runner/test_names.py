"""Which models look at the names of columns, and what is done where they do not."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from kserve.errors import InvalidInput
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from kale_serve_ext.artifacts.example import from_rows
from kale_serve_ext.artifacts.signature import complete
from kale_serve_ext.estimators import describe, question
from kale_serve_ext.modelmeta import ModelMeta
from kale_serve_ext.runner.models import FrameworkModel

TABLE = pd.DataFrame(np.random.default_rng(0).random((60, 2)), columns=["a", "b c"])
TARGET = TABLE["a"] * 3
LIGHT = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=5, verbose=-1)
BY_POSITION = [
    LIGHT,
    make_pipeline(LIGHT),
    GridSearchCV(LIGHT, {"n_estimators": [5]}, cv=2),
    VotingRegressor([("l", LIGHT)]),
]


def served(model: BaseEstimator) -> FrameworkModel:
    signature = complete(None, describe(model).signature, example=TABLE)
    return FrameworkModel("m", model, "predict", ModelMeta(signature=signature))


@pytest.mark.parametrize("model", BY_POSITION, ids=lambda m: type(m).__name__)
def test_where_lightgbm_reads_the_input_other_names_are_refused(model: BaseEstimator) -> None:
    made = served(model.fit(TABLE, TARGET))
    expected = model.predict(TABLE.head(2)).tolist()
    for names in (["a", "b c"], ["b c", "a"], ["b_c", "a"]):
        rows = [
            dict(zip(names, TABLE.rename(columns={"b c": "b_c"} if "b_c" in names else {}).loc[i, names], strict=True))
            for i in (0, 1)
        ]
        assert made.answers(rows) == expected
    for wrong in ({"a": 1.0, "other": 1.0}, {"a": 1.0}, {"a": 1.0, "b c": 1.0, "c": 1.0}):
        with pytest.raises(InvalidInput, match="was trained with the columns 'a', 'b c'"):
            made.answers([wrong])


def test_a_model_that_was_fitted_on_an_array_goes_by_position() -> None:
    made = served(LinearRegression().fit(TABLE.to_numpy(), TARGET))
    with pytest.raises(InvalidInput, match="was trained with the columns"):
        made.answers([{"b c": 1.0, "c": 1.0}])


def test_scikit_learn_looks_at_names_itself_and_knows_no_underscores() -> None:
    made = served(LinearRegression().fit(TABLE, TARGET))
    with pytest.raises(InvalidInput, match="feature names"):
        made.answers([{"a": 1.0, "b_c": 1.0}])


def test_what_picks_its_columns_by_name_takes_more_of_them() -> None:
    picking = ColumnTransformer([("s", StandardScaler(), ["a"])])
    for first in (picking, FunctionTransformer(lambda t: t[["a"]])):
        model = make_pipeline(first, LIGHT).fit(TABLE, TARGET)
        made = served(model)
        row = {**TABLE.loc[0].to_dict(), "more": 1.0}
        assert made.answers([row]) == model.predict(TABLE.head(1)).tolist()


def test_a_booster_has_no_method_but_predict() -> None:
    booster = xgboost.XGBClassifier(n_estimators=2).fit(TABLE[["a"]], TARGET > 1).get_booster()
    with pytest.raises(TypeError, match="no method predict_proba"):
        question(booster, "predict_proba")


def test_what_a_model_does_to_its_input_stays_with_it() -> None:
    """Arrays that come as raw bytes can be written to."""

    def filled(values: np.ndarray) -> np.ndarray:
        values[np.isnan(values)] = 0
        return values

    model = make_pipeline(FunctionTransformer(filled), LinearRegression()).fit(np.eye(2), [1.0, 2.0])
    made = FrameworkModel("m", model, "predict", ModelMeta(signature=from_rows(np.eye(2))))
    assert made.answers([[None, 1.0]]) == model.predict(np.array([[0.0, 1.0]])).tolist()
