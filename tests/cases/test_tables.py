"""Situations of public reports about tables of several types, which JSON and the v2 protocol do not tell apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from kale_serve_ext.errors import KaleServeError
from tests.cases.conftest import Served
from tests.runner.sweep import asked

Serve = Callable[..., Served]


def encoded(column: str, *, before: object = None) -> object:
    """A tree behind a one-hot encoding of a column; a category that is not known is nothing."""
    encoder = OneHotEncoder(handle_unknown="ignore")
    step = encoder if before is None else make_pipeline(before, encoder)
    return make_pipeline(
        ColumnTransformer([("encoded", step, [column])], remainder="passthrough"),
        DecisionTreeRegressor(max_depth=4, random_state=0),
    )


def test_a_missing_text(served: Serve, rng: np.random.Generator) -> None:
    """mlflow #4827, scikit-learn #17625, evalml #540: JSON's null is None, which SimpleImputer passes over."""
    table = pd.DataFrame(
        {"fuel": rng.choice(["oil", "coal"], 200, p=[0.8, 0.2]).astype(object), "area": rng.random(200)}
    )
    table.loc[::4, "fuel"] = np.nan
    model = encoded("fuel", before=SimpleImputer(strategy="most_frequent"))
    model.fit(table, np.where(table["fuel"] == "coal", 50.0, 1.0) + table["area"])  # type: ignore[attr-defined]
    rows = pd.DataFrame({"fuel": np.array([np.nan, "oil"], dtype=object), "area": [0.5, 0.5]})

    for service in (served(model), served(model, example=table.head(9))):
        service.assert_answers(rows, model.predict(rows))  # type: ignore[attr-defined]
        service.assert_answers(rows.head(1), model.predict(rows.head(1)))  # type: ignore[attr-defined]


def test_a_missing_number_that_is_a_category(served: Serve, rng: np.random.Generator) -> None:
    """mlflow #5207, kserve #3377: the same row is to be answered alike alone and beside another."""
    table = pd.DataFrame({"deck": rng.choice([3.0, 4.0, np.nan], 200), "fare": rng.random(200)})
    model = encoded("deck").fit(table, table["deck"].fillna(60) + table["fare"])  # type: ignore[attr-defined]
    rows = pd.DataFrame({"deck": [np.nan, 3.0], "fare": [0.5, 0.5]})

    for service in (served(model), served(model, example=table.head(9))):
        service.assert_answers(rows, model.predict(rows))
        service.assert_answers(rows.head(1), model.predict(rows)[:1])


def test_a_missing_boolean(served: Serve, rng: np.random.Generator) -> None:
    """mlflow PR #10727, #25593: missing is not False, by v2 either."""
    flags = rng.choice(np.array([True, False, None], dtype=object), 200)
    table = pd.DataFrame({"insured": pd.Series(flags, dtype=object), "age": rng.random(200)})
    model = encoded("insured").fit(table, table["insured"].map({True: 4.0, False: 9.0}).fillna(70.0))  # type: ignore[attr-defined]
    rows = pd.DataFrame({"insured": pd.Series([True, False, None], dtype=object), "age": [0.5] * 3})

    for service in (served(model), served(model, example=table.head(9))):
        service.assert_answers(rows, model.predict(rows))
        service.assert_answers(rows.tail(1), model.predict(rows.tail(1)))


def test_an_array_of_texts_and_numbers(served: Serve, rng: np.random.Generator) -> None:
    """seldon-core #461: numbers beside texts are not texts."""
    rows = np.array(
        [[rng.choice(["x", "y"]), int(rng.integers(1, 5)), float(rng.random())] for _ in range(150)], object
    )
    columns = [("c", OneHotEncoder(handle_unknown="ignore"), [0, 1]), ("n", "passthrough", [2])]
    model = make_pipeline(ColumnTransformer(columns), DecisionTreeRegressor(random_state=0))
    model.fit(rows, rows[:, 1].astype(float) * 8)

    for service in (served(model), served(model, example=rows[:9])):
        service.assert_answers(rows[:5], model.predict(rows[:5]), ["v1"])
        try:
            got = service.by("v2", rows[:5])
        except KaleServeError:
            continue  # v2 has no tensor of several types: to refuse is right too
        assert asked.same(model.predict(rows[:5]).tolist(), got)


def hours(table: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = table["seen"].dt.hour.to_frame()
    return found


@pytest.mark.parametrize("zone", [None, "Europe/Lisbon"])
def test_dates_stay_dates(served: Serve, rng: np.random.Generator, zone: str | None) -> None:
    """mlflow #3684, PR #4241 and PR #6244: over the wire a time is a text."""
    seen = pd.date_range("2023-06-01", periods=100, freq="h", tz=zone)
    table = pd.DataFrame({"seen": seen, "load": rng.random(100)})
    columns = ColumnTransformer([("hour", FunctionTransformer(hours), ["seen"])], remainder="passthrough")
    model = make_pipeline(columns, LinearRegression()).fit(table, table["seen"].dt.hour)

    service = served(model, example=table.head(3))
    service.assert_answers(table.iloc[5:9], model.predict(table.iloc[5:9]))
    service.assert_answers(table.iloc[[5]], model.predict(table.iloc[[5]]))


def test_objects_for_a_model_of_objects(served: Serve, rng: np.random.Generator) -> None:
    """scikit-learn #8247: DictVectorizer reads objects, not tables."""
    rows = [{"tariff": str(rng.choice(["night", "day"])), "years": int(rng.integers(1, 9))} for _ in range(90)]
    model = make_pipeline(DictVectorizer(), LogisticRegression()).fit(rows, [row["tariff"] for row in rows])

    for service in (served(model), served(model, example=rows[:4])):
        service.assert_answers(rows[:4], model.predict(rows[:4]), ["v1"])
        service.assert_answers(rows[:1], model.predict(rows[:1]), ["v1"])


def test_a_table_for_a_model_of_texts(served: Serve) -> None:
    """scikit-learn #15588 and #10631: a vectorizer reads a table's column names, and answers once for each."""
    texts = ["buy cheap now", "cheap watches here", "minutes of monday", "see you monday"] * 6
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["junk", "junk", "mail", "mail"] * 6)
    service = served(model)
    rows = ["cheap monday", "minutes here"]

    service.assert_answers(rows, model.predict(rows))
    service.assert_answers(rows[:1], model.predict(rows[:1]))
    for route in ("v1", "v2"):
        try:
            got = service.by(route, pd.DataFrame({"text": rows}))
        except KaleServeError:
            continue
        assert got == model.predict(rows).tolist()


class Ratio(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A first step that goes by column names, and that nobody can ask for them."""

    def fit(self, table: pd.DataFrame, target: object = None) -> Ratio:
        return self

    def transform(self, table: pd.DataFrame) -> pd.DataFrame:
        made: pd.DataFrame = table[["fish", "ships"]].assign(each=table["fish"] / (table["ships"] + 1))
        return made


def test_lists_for_a_first_step_that_wants_names(served: Serve, rng: np.random.Generator) -> None:
    """kserve #1799 and #1912: the example has the names."""
    table = pd.DataFrame(rng.random((50, 2)), columns=["fish", "ships"])
    model = make_pipeline(Ratio(), LinearRegression()).fit(table, table["fish"])
    service = served(model, example=table.head(3))

    service.assert_answers(table.head(3), model.predict(table.head(3)))
    service.assert_answers(table.head(3).to_numpy().tolist(), model.predict(table.head(3)))


@pytest.mark.parametrize(
    "step",
    [
        ("t", TfidfVectorizer(), "body"),
        ("t", ColumnTransformer([("inner", OneHotEncoder(handle_unknown="ignore"), ["body"])]), ["body"]),
        ("t", TargetEncoder(), ["body"]),
    ],
    ids=["vectorizer", "nested", "target encoder"],
)
def test_the_sample_of_the_test_form_is_one_that_the_model_takes(
    served: Serve, rng: np.random.Generator, step: tuple[str, object, object]
) -> None:
    """kserve #1799: what the product makes up for a text column is a text."""
    table = pd.DataFrame({"body": ["clear sky", "grey sky", "no sky"] * 15, "n": rng.random(45)})
    model = make_pipeline(ColumnTransformer([step], remainder="passthrough"), LinearRegression()).fit(table, table["n"])
    service = served(model)

    assert service.record.signature is not None
    sample = service.record.signature.sample
    assert isinstance(sample, dict)
    assert list(sample) == ["body", "n"]
    service.assert_answers([sample], model.predict(pd.DataFrame([sample])))


def test_texts_numbers_and_booleans_in_any_order(served: Serve, rng: np.random.Generator) -> None:
    """kserve #1799, PR #2789, MLServer #1313: names with spaces and signs, one row or many, by both protocols."""
    names = ["Größe in €", "net weight", "new"]
    table = pd.DataFrame(
        {names[0]: rng.choice(["s", "m"], 80), names[1]: rng.random(80), names[2]: rng.random(80) > 0.5}
    )
    columns = [("c", OneHotEncoder(), names[:1]), ("n", StandardScaler(), names[1:2])]
    forest = RandomForestRegressor(5, random_state=0)
    model = make_pipeline(ColumnTransformer(columns, remainder="passthrough"), forest).fit(table, table["net weight"])
    wanted = model.predict(table.head(3))
    backwards = table.head(3)[names[::-1]]

    for service in (served(model), served(model, example=table.head(5))):
        service.assert_answers(table.head(3), wanted)
        service.assert_answers(backwards, wanted)
        service.assert_answers(backwards.to_dict("records"), wanted)
        service.assert_answers(table.iloc[0], wanted[:1])
        service.assert_answers(table.head(3).to_numpy().tolist(), wanted, ["v1"])
