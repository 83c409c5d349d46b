"""Loading and predicting in the frameworks' own formats, as a model server does it."""

from __future__ import annotations

from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from kserve import InferInput, InferRequest, InferResponse
from kserve.errors import InvalidInput
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kale_serve_ext.runner.models import FrameworkModel, load_model
from kale_serve_ext.runner.task import Task

X, Y = load_iris(return_X_y=True)
ROW = [6.7, 3.0, 5.2, 2.3]


def loaded(kind: str, folder: Path) -> FrameworkModel:
    return load_model(Task("m", "predictor", kind, str(folder), parent=0, http_fd=0, grpc_port=0))


def sklearn(folder: Path, estimator: object) -> FrameworkModel:
    joblib.dump(estimator, folder / "model.joblib")
    return loaded("sklearn", folder)


def v1(model: FrameworkModel, instances: object) -> list[object]:
    answer = model.predict({"instances": instances})
    assert isinstance(answer, dict)
    predictions = answer["predictions"]
    assert isinstance(predictions, list)
    return predictions


def v2(model: FrameworkModel, *inputs: InferInput) -> np.ndarray:
    answer = model.predict(InferRequest("m", list(inputs)))
    assert isinstance(answer, InferResponse)
    return np.asarray(answer.outputs[0].as_numpy())


def table() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"size": [1.0, 2.0, 8.0, 9.0], "colour": ["red", "red", "blue", "blue"]})
    return made


def test_sklearn_answers_arrays(tmp_path: Path) -> None:
    model = sklearn(tmp_path, LogisticRegression(max_iter=1000).fit(X, Y))
    assert v1(model, [ROW]) == [2]
    assert list(v2(model, InferInput("x", [1, 4], "FP64", ROW))) == [2]
    assert model.get_input_types() == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}]
    with pytest.raises(InvalidInput, match="expecting 4 features"):
        v1(model, [[1.0]])


def test_a_pipeline_that_selects_columns_gets_a_table(tmp_path: Path) -> None:
    columns = ColumnTransformer([("a", StandardScaler(), ["size"]), ("b", OneHotEncoder(), ["colour"])])
    model = sklearn(tmp_path, make_pipeline(columns, LogisticRegression()).fit(table(), ["no", "no", "yes", "yes"]))
    assert v1(model, [[9.0, "blue"], [1.0, "red"]]) == ["yes", "no"]
    assert v1(model, [{"colour": "blue", "size": 9.0}]) == ["yes"]
    size = InferInput("size", [2], "FP64", [1.0, 9.0])
    colour = InferInput("colour", [2], "BYTES", ["red", "blue"])
    assert list(v2(model, colour, size)) == ["no", "yes"]
    with pytest.raises(InvalidInput):
        v1(model, [{"size": 9.0}])


def test_a_model_of_texts_gets_texts(tmp_path: Path) -> None:
    texts = make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good fine", "bad poor"], [1, 0])
    model = sklearn(tmp_path, texts)
    assert v1(model, ["fine", "poor poor"]) == [1, 0]
    assert list(v2(model, InferInput("t", [2], "BYTES", ["fine", "poor"]))) == [1, 0]
    assert list(v2(model, InferInput("t", [2, 1], "BYTES", ["fine", "poor"]))) == [1, 0]


def test_probabilities_by_the_variable_of_kserve_s_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICT_PROBA", "true")
    (row,) = np.asarray(v1(sklearn(tmp_path, LogisticRegression(max_iter=1000).fit(X, Y)), [ROW]))
    assert float(row.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("named", [False, True])
def test_xgboost(tmp_path: Path, named: bool) -> None:
    features = pd.DataFrame(X, columns=["a", "b", "c", "d"]) if named else X
    xgboost.XGBClassifier(n_estimators=5).fit(features, Y).save_model(tmp_path / "model.json")
    model = loaded("xgboost", tmp_path)
    (row,) = np.asarray(v1(model, [ROW]))
    assert int(np.argmax(row)) == 2
    assert int(np.argmax(v2(model, InferInput("x", [1, 4], "FP64", ROW)))) == 2
    with pytest.raises(InvalidInput, match=r"(?i)feature"):
        v1(model, [[1.0, 2.0]])


def test_lightgbm(tmp_path: Path) -> None:
    settings = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(X, Y), 5).save_model(tmp_path / "model.bst")
    model = loaded("lightgbm", tmp_path)
    (row,) = np.asarray(v1(model, [ROW]))
    assert int(np.argmax(row)) == 2
    with pytest.raises(InvalidInput, match="features"):
        v1(model, [[1.0, 2.0]])


def test_a_folder_has_one_model_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no model file"):
        loaded("sklearn", tmp_path)
    (tmp_path / "a.pkl").touch()
    (tmp_path / "b.joblib").touch()
    with pytest.raises(RuntimeError, match=r"a\.pkl, b\.joblib"):
        loaded("sklearn", tmp_path)


def test_what_is_no_estimator_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="dict"):
        sklearn(tmp_path, {"a": 1})
