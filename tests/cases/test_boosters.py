"""Situations of public reports about XGBoost's and LightGBM's models behind a server."""

from __future__ import annotations

from collections.abc import Callable

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from kale_serve_ext.errors import PredictionError
from tests.cases.conftest import Served

Serve = Callable[..., Served]
EVERY_ROUTE = ("v1", "v2", "v2-binary", "grpc-v2")


def ports(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series[float]]:
    """A table with a column of categories, which decides what is to be predicted."""
    names = rng.choice(["malmo", "turku", "gdansk"], 200)
    table = pd.DataFrame({"port": pd.Categorical(names), "draught": rng.random(200)})
    return table, (table["port"] == "malmo") * 5.0 + table["draught"]


def lgbm() -> lightgbm.LGBMRegressor:
    return lightgbm.LGBMRegressor(n_estimators=12, min_child_samples=5, verbose=-1, n_jobs=1)


def xgb() -> xgboost.XGBRegressor:
    return xgboost.XGBRegressor(n_estimators=12, enable_categorical=True, n_jobs=1)


@pytest.mark.parametrize("with_example", [True, False], ids=["with an example", "without one"])
@pytest.mark.parametrize("make", [lgbm, xgb])
def test_categories_of_texts(
    served: Serve, rng: np.random.Generator, make: Callable[[], object], with_example: bool
) -> None:
    """LightGBM #5244, kserve PR #2208, MLServer #631 and #1197, mlflow #3849, dmlc/xgboost #7854."""
    table, target = ports(rng)
    model = make().fit(table, target)  # type: ignore[attr-defined]
    example = {"example": table.head(4)} if with_example else {}
    service = served(model, **example)

    service.assert_answers(table.head(4), model.predict(table.head(4)))
    service.assert_answers(table.iloc[[2]], model.predict(table.iloc[[2]]))
    objects = [{"draught": float(row.draught), "port": str(row.port)} for row in table.head(4).itertuples()]
    service.assert_answers(objects, model.predict(table.head(4)))


@pytest.mark.parametrize("with_example", [True, False], ids=["with an example", "without one"])
@pytest.mark.parametrize("make", [lgbm, xgb])
def test_categories_of_whole_numbers(
    served: Serve, rng: np.random.Generator, make: Callable[[], object], with_example: bool
) -> None:
    """dmlc/xgboost #9676, #11160 and #8431: the codes of zones 5, 15 and 25 are not the zones."""
    zone = rng.choice([5, 15, 25], 300)
    table = pd.DataFrame({"zone": pd.Categorical(zone), "load": rng.random(300)})
    model = make().fit(table, np.select([zone == 5, zone == 15], [3.0, 80.0], 20.0) + table["load"])  # type: ignore[attr-defined]
    service = served(model, **({"example": table.head(5)} if with_example else {}))

    service.assert_answers(table.head(5), model.predict(table.head(5)))
    service.assert_answers(table.iloc[[1]], model.predict(table.iloc[[1]]))


@pytest.mark.parametrize("make", [lgbm, xgb])
def test_a_missing_number_alone(served: Serve, rng: np.random.Generator, make: Callable[[], object]) -> None:
    """mlflow #5207, Hugging Face api-inference-community #82: nothing in the request tells that null is a number."""
    table = pd.DataFrame({"gust": rng.random(240), "sun": rng.random(240)})
    table.loc[::3, "gust"] = np.nan
    model = make().fit(table, table["gust"].fillna(7) + table["sun"])  # type: ignore[attr-defined]
    service = served(model)
    asked = pd.DataFrame({"gust": [np.nan], "sun": [0.25]})

    service.assert_answers(asked, model.predict(asked))
    service.assert_answers(asked.to_numpy(), model.predict(asked), EVERY_ROUTE)
    both = pd.concat([asked, table.iloc[[1]]])
    service.assert_answers(both, model.predict(both))


def test_names_with_spaces_in_any_order(served: Serve, rng: np.random.Generator) -> None:
    """LightGBM #2165, #7338 (spaces become underlines) and #4102 (the order of columns)."""
    table = pd.DataFrame({"gross weight": rng.random(200) * 90, "deck area": rng.random(200)})
    model = lgbm().fit(table, table["gross weight"])
    service = served(model)
    wanted = model.predict(table.head(3))

    service.assert_answers(table.head(3), wanted)
    service.assert_answers(table.head(3)[["deck area", "gross weight"]], wanted)
    service.assert_answers([dict(reversed(row.items())) for row in table.head(3).to_dict("records")], wanted)
    with pytest.raises(PredictionError):
        service.by("v1", table.head(3).assign(berth=4))
    with pytest.raises(PredictionError):
        service.by("v1", table.head(3)[["deck area"]])


def test_labels_are_those_of_the_notebook(served: Serve, rng: np.random.Generator) -> None:
    """LightGBM #1248, MLServer #475, dmlc/xgboost #477: a bare booster answers probabilities."""
    rows = rng.random((200, 2))
    label = np.where(rows[:, 0] > 0.4, "late", "in time")
    ours = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(rows, label)
    theirs = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(rows, (label == "late").astype(int))
    for model in (ours, theirs):
        served(model).assert_answers(rows[:4], model.predict(rows[:4]), EVERY_ROUTE)
        likely = served(model, method="predict_proba")
        likely.assert_answers(rows[:4], model.predict_proba(rows[:4]), EVERY_ROUTE)


# LightGBM 4.7 has other arguments for it, which 4.5 does not know.
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_the_best_iteration_after_early_stopping(served: Serve, rng: np.random.Generator) -> None:
    """dmlc/xgboost #273, #5209 and #4052: a bare booster predicts with all its trees."""
    rows, others = rng.random((200, 3)), rng.random((60, 3))
    target, held = rows[:, 1] + rng.random(200), others[:, 1] + rng.random(60)
    ours = xgboost.XGBRegressor(n_estimators=150, early_stopping_rounds=4, learning_rate=0.4, n_jobs=1)
    ours.fit(rows, target, eval_set=[(others, held)], verbose=False)
    stop = lightgbm.early_stopping(4, verbose=False)
    theirs = lightgbm.LGBMRegressor(n_estimators=150, learning_rate=0.4, verbose=-1, n_jobs=1)
    theirs.fit(rows, target, eval_set=[(others, held)], callbacks=[stop])
    assert ours.best_iteration < 140 > theirs.best_iteration_

    for model in (ours, theirs):
        served(model).assert_answers(others[:4], model.predict(others[:4]), EVERY_ROUTE)


def test_a_pipeline_that_makes_the_category_itself(served: Serve, rng: np.random.Generator) -> None:
    """LightGBM #5244: what a user could do about it before."""
    table, target = ports(rng)
    table["port"] = table["port"].astype(object)
    known = ["gdansk", "malmo", "turku"]
    cast = FunctionTransformer(lambda given: given.assign(port=pd.Categorical(given["port"], categories=known)))
    model = make_pipeline(cast, lgbm()).fit(table, target)
    service = served(model)

    service.assert_answers(table.head(3), model.predict(table.head(3)))
    service.assert_answers(table.iloc[0], model.predict(table.head(1)))
