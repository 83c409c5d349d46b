"""CatBoost's and MLflow's models, by this package's own server and by MLServer."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import catboost
import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model
from kale_serve_ext.errors import PredictionError
from tests.runtimes.conftest import Serving

FLOWERS, KINDS = load_iris(return_X_y=True)
ROWS = FLOWERS[::40]
TABLE = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 5, "city": ["oslo", "rome", "oslo", "bonn"] * 5})
SETTINGS = {"iterations": 5, "verbose": 0, "allow_writing_files": False}
PROTOCOLS = ("v2", "grpc-v2")


def values(answer: object) -> np.ndarray:
    """The only output, or v1's predictions, as a flat array."""
    assert isinstance(answer, dict)
    if "predictions" in answer:
        return np.asarray(answer["predictions"]).ravel()
    if "outputs" in answer:
        [output] = answer["outputs"]
        return np.asarray(output["data"]).ravel()
    [found] = answer.values()
    return np.asarray(found).ravel()


def flat(answer: object) -> np.ndarray:
    return values(answer) if isinstance(answer, dict) else np.asarray(answer).ravel()


def test_catboosts_classes_from_a_table_with_categories(workspace: object, serving: Serving) -> None:
    fitted = catboost.CatBoostClassifier(**SETTINGS).fit(TABLE, ["no", "yes"] * 10, cat_features=["city"])
    model = Model(fitted, name="towns", example=TABLE[:4]).submit_artifact()
    assert model.id is not None
    with serving(model.id, "towns") as running:
        for protocol in (None, "v1", *PROTOCOLS):
            got = flat(running.endpoint.predict(TABLE[:4], protocol=protocol))
            assert got.tolist() == fitted.predict(TABLE[:4]).tolist(), protocol
        with pytest.raises(PredictionError):
            running.endpoint.predict(TABLE[:4].assign(age="old"))
    with serving(model.id, "chances", method="predict_proba") as running:
        got = flat(running.endpoint.predict(TABLE[:4]))
        assert got == pytest.approx(fitted.predict_proba(TABLE[:4]).ravel())


def test_a_catboost_of_no_kind_answers_as_it_was_logged(workspace: object, serving: Serving) -> None:
    fitted = catboost.CatBoost({**SETTINGS, "loss_function": "MultiClass"}).fit(FLOWERS, KINDS)
    model = Model(fitted, name="raw", example=ROWS).submit_artifact()
    assert model.id is not None
    with serving(model.id, "raw") as running:
        assert flat(running.endpoint.predict(ROWS)) == pytest.approx(fitted.predict(ROWS).ravel())
        assert running.endpoint.verify().ok


def test_catboosts_file_and_mlserver(
    workspace: object, needs: Callable[..., object], serving: Serving, tmp_path: Path
) -> None:
    needs("mlserver")
    fitted = catboost.CatBoostClassifier(**SETTINGS).fit(FLOWERS, KINDS)
    fitted.save_model(str(tmp_path / "irises.cbm"))
    model = Model(artifact_uri=tmp_path / "irises.cbm", name="irises").submit_artifact()
    assert model.id is not None
    for runtime in (None, "kserve-mlserver"):
        with serving(model.id, "irises", runtime=runtime) as running:
            for protocol in PROTOCOLS:
                got = flat(running.endpoint.predict(ROWS, protocol=protocol))
                assert got.tolist() == fitted.predict(ROWS).ravel().tolist(), (runtime, protocol)


def test_an_mlflow_folder_by_both(
    workspace: object, needs: Callable[..., object], serving: Serving, tmp_path: Path
) -> None:
    needs("mlserver")
    frame = pd.DataFrame(FLOWERS, columns=["a", "b", "c", "d"])
    fitted = LogisticRegression(max_iter=500).fit(frame, KINDS)
    folder = tmp_path / "models" / "m-1" / "artifacts"
    signature = mlflow.models.infer_signature(frame, KINDS)
    mlflow.sklearn.save_model(fitted, folder, signature=signature, pip_requirements=["scikit-learn", "skops"])
    model = Model(artifact_uri=folder, name="flowers").submit_artifact()
    assert model.id is not None
    rows = frame[::40]
    wanted = fitted.predict(rows).tolist()
    with serving(model.id, "flowers") as running:
        for protocol in (None, "v1", *PROTOCOLS):
            assert flat(running.endpoint.predict(rows, protocol=protocol)).tolist() == wanted, protocol
    with serving(model.id, "flowers", runtime="kserve-mlserver") as running:
        assert running.ports() == set()
        for data in (rows, rows.to_dict("list"), rows.to_dict("records"), rows.to_numpy()):
            for protocol in PROTOCOLS:
                assert flat(running.endpoint.predict(data, protocol=protocol)).tolist() == wanted, protocol
        address = running.endpoint.url
        body = json.dumps({"dataframe_split": rows.to_dict("split")}).encode()
        request = urllib.request.Request(  # the service's own address
            f"{address}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # as above
            assert json.loads(answer.read())["predictions"] == wanted
