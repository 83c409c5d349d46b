"""What is told of KServe's own servers, seen in what they do: their functions in the SDK, on the model's own file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from kserve import InferInput, InferRequest
from kserve.utils.utils import get_predict_input, get_predict_response
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kale_serve_ext import formats
from kale_serve_ext.artifacts.signature import complete
from kale_serve_ext.engines.base import Runtime
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import compare
from kale_serve_ext.serving.differences import differences_of
from kale_serve_ext.serving.protocols import dumps, encode_v1
from kale_serve_ext.serving.tables import to_cells

FEATURES, TARGET = load_iris(return_X_y=True)
TABLE = pd.DataFrame(FEATURES, columns=["a", "b", "c", "d"])
NAMES = np.array(["setosa", "versicolor", "virginica"])[TARGET]
SPACED = TABLE.rename(columns={"a": "a a"})
GAPS = FEATURES.copy()
GAPS[::3, 2] = -1.0
COLOURED = TABLE.assign(a=pd.Categorical(np.where(FEATURES[:, 0] > 5.5, "red", "blue")))
CODED = TABLE.assign(a=pd.Categorical(np.where(FEATURES[:, 0] > 5.5, 10, 20)))
HOLES = pd.DataFrame({"a": ["x", None, "y"] * 50, "b": FEATURES[:, 1]})
HOLES["a"] = HOLES["a"].astype(object).where(HOLES["a"].notna(), np.nan)


class _Estimator(Protocol):
    def fit(self, rows: object, target: object) -> _Estimator: ...
    def predict(self, rows: object) -> np.ndarray: ...


def stock(format_: str, folder: Path) -> Callable[[object], np.ndarray]:
    """The function of KServe's server for a format from what it makes of a request to what the model answers."""
    if format_ == "sklearn":
        return joblib.load(folder / "model.joblib").predict  # type: ignore[no-any-return]
    if format_ == "xgboost":
        booster = xgboost.Booster(model_file=bytearray((folder / "model.ubj").read_bytes()))
        return lambda rows: booster.predict(xgboost.DMatrix(rows))
    return lightgbm.Booster(model_file=str(folder / "model.bst")).predict  # type: ignore[return-value]


CASES: dict[str, tuple[object, object, object, bool]] = {
    # estimator, rows that it was fitted on, target, whether KServe's server answers otherwise
    "sklearn, numbers": (LinearRegression(), FEATURES, TARGET, False),
    "sklearn, table of numbers": (LogisticRegression(max_iter=500), TABLE, TARGET, False),
    "xgboost, numbers": (xgboost.XGBRegressor(n_estimators=5), FEATURES, TARGET, False),
    "lightgbm, numbers": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), FEATURES, TARGET, False),
    "lightgbm, table of numbers": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), TABLE, TARGET, False),
    "xgboost, classes": (xgboost.XGBClassifier(n_estimators=5), FEATURES, TARGET, True),
    "xgboost, two classes": (xgboost.XGBClassifier(n_estimators=5), FEATURES, TARGET > 0, True),
    "xgboost, missing": (xgboost.XGBRegressor(n_estimators=5, missing=-1.0), GAPS, TARGET, True),
    "xgboost, names": (xgboost.XGBRegressor(n_estimators=5), TABLE, TARGET, True),
    "xgboost, categories": (xgboost.XGBRegressor(n_estimators=5, enable_categorical=True), CODED, TARGET, True),
    "lightgbm, class names": (lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), FEATURES, NAMES, True),
    "lightgbm, categories": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), COLOURED, TARGET, True),
    "lightgbm, categories of numbers": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), CODED, TARGET, True),
    "lightgbm, spaces in names": (lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), SPACED, TARGET, True),
    "sklearn, missing texts": (
        make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["a"]),
                remainder="passthrough",
            ),
            LogisticRegression(max_iter=500),
        ),
        HOLES,
        TARGET,
        True,
    ),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(("estimator", "rows", "target", "changed"), CASES.values(), ids=CASES)
def test_what_is_told_is_what_it_does(
    estimator: _Estimator, rows: object, target: object, changed: bool, tmp_path: Path
) -> None:
    fitted = estimator.fit(rows, target)
    expected = fitted.predict(rows).tolist()
    format_ = formats.detect(fitted)
    format_.save(fitted, tmp_path)
    signature = complete(None, format_.signature(fitted), example=rows, features=None, targets=None)
    artifact = Artifact(MODEL, "m", format=format_.name, signature=signature, details={**format_.details(fitted)})
    told = differences_of(artifact, Runtime("kserve-server", "KServe", (format_.name,), ("v1", "v2")))
    predict = stock(format_.name, tmp_path)
    names = (
        lightgbm.Booster(model_file=str(tmp_path / "model.bst")).feature_name() if format_.name == "lightgbm" else None
    )

    def answers(payload: dict[str, object]) -> JSON:
        try:
            told: JSON = get_predict_response(payload, predict(get_predict_input(payload, names)), "m")["predictions"]
            return told
        except Exception as refused:
            return str(refused)

    table = json.loads(dumps(encode_v1(to_cells(rows), transformer=False)))
    lists = json.loads(dumps({"instances": np.asarray(rows, dtype=object).tolist()}))
    same = not compare(expected, answers(table)) and not compare(expected, answers(lists))
    assert (not same, bool(told)) == (changed, changed)


def test_names_of_classes_fail_by_v2() -> None:
    fitted = LogisticRegression(max_iter=500).fit(FEATURES, NAMES)
    request = InferRequest("m", [InferInput("input-0", [1, 4], "FP64", data=FEATURES[:1].ravel().tolist())])
    answer = fitted.predict(get_predict_input(request))
    with pytest.raises(TypeError):
        get_predict_response(request, answer, "m")
    assert get_predict_response({"instances": []}, answer, "m") == {"predictions": ["setosa"]}
