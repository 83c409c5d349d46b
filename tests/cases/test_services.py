"""Situations of public reports that need a service of the local engine, or its plan."""

from __future__ import annotations

import json
import os
import time
import warnings
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from kserve import Model as KServeModel
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression

from kale_serve_ext import Endpoint, Model, Transformer, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import DeadlineExceededError, KaleServeError, PredictionError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

pytestmark = pytest.mark.usefixtures("workspace")


class Ways(KServeModel):  # type: ignore[misc]  # kserve has no types
    """A custom model with a way for each situation."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    def predict(self, payload: dict[str, object], headers: object = None) -> dict[str, object]:
        kind, value = payload["kind"], payload.get("value")
        if kind == "inverse":
            return {"predictions": [100 / value]}  # type: ignore[operator]
        if kind == "slow":
            time.sleep(float(str(value)))
            return {"predictions": [os.getpid()]}
        made = {
            "array": np.ones((1, 2)),
            "scalars": [np.float32(2.5), np.int64(3)],
            "not a number": [float("nan")],
            "text": ["東京"],
            "table": pd.DataFrame({"a": [1], "b": ["c"]}),
        }
        return {"predictions": made[str(kind)]}


@pytest.fixture(scope="module")
def ways(workspace: Settings) -> Endpoint:
    return serve(Model(Ways, name="ways").submit_artifact(), name="ways")


def asked(ways: Endpoint, kind: str, value: object = None, timeout: float = 60.0) -> object:
    answer = ways.predict({"instances": [], "kind": kind, "value": value}, timeout=timeout)
    assert isinstance(answer, dict)
    return answer["predictions"]


def test_only_the_bad_row_fails(ways: Endpoint) -> None:
    """encode/httpx #96, open-webui/terminals #24: a server closes a kept connection after a 500."""
    answered: list[object] = []
    for value in (4, 0, 5, 0, 2):
        try:
            answered.append(asked(ways, "inverse", value))
        except PredictionError as error:
            answered.append(error.message.rpartition(": ")[2])
    assert answered == [[25.0], "division by zero", [20.0], "division by zero", [50.0]]


def test_numpy_in_a_custom_answer(ways: Endpoint) -> None:
    """kserve #2556."""
    assert asked(ways, "array") == [[1.0, 1.0]]
    assert asked(ways, "scalars") == [2.5, 3]
    assert asked(ways, "not a number") == [None]
    assert asked(ways, "text") == ["東京"]
    try:
        table = asked(ways, "table")
    except PredictionError as error:
        table = "DataFrame" in error.message
    assert table in (True, [{"a": 1, "b": "c"}])


def test_a_slow_model_is_neither_cut_off_nor_restarted(ways: Endpoint) -> None:
    """kserve PR #925, seldon-core #4348: probes end pods that are busy."""
    before = asked(ways, "slow", 0)
    with pytest.raises(DeadlineExceededError):
        asked(ways, "slow", 2, timeout=0.5)
    assert asked(ways, "slow", 12) == before
    assert ways.phase == "Ready"


def test_a_model_with_transform_alone_and_one_without_any_method(workspace: Settings) -> None:
    """rikai #477 (PCA), docker-packing-box #47 (DBSCAN), MLServer #997: nothing is started that cannot answer."""
    rows = np.random.default_rng(11).random((50, 3))
    reducing = Model(PCA(2).fit(rows), name="reducing").submit_artifact()
    for method in ("", "predict"):
        made = run(make_plan(ServeRequest(model_id=reducing.id, method=method), session.engine(), session.metadata()))
        assert made.ok or any(check.level == "error" and "transform" in check.message for check in made.checks)
    made = run(make_plan(ServeRequest(model_id=reducing.id, method="transform"), session.engine(), session.metadata()))
    assert made.ok
    with pytest.raises(KaleServeError, match="DBSCAN"):
        serve(Model(DBSCAN().fit(rows), name="grouping").submit_artifact())


def test_what_this_machine_leaves_out_is_said(workspace: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """kserve #6260: a secret's value and a GPU, which the local engine has not; and mlflow #694: a folder of MLflow."""
    folder = workspace.data_dir.parent / "mlflow" / "model"
    folder.mkdir(parents=True)
    rows = np.random.default_rng(11).random((60, 2))
    model = LogisticRegression().fit(rows, (rows[:, 0] > 0.5).astype(int))
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    (folder / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    (folder / "requirements.txt").write_text("scikit-learn\n")
    logged = Model(None, name="of-mlflow", artifact_uri=folder).submit_artifact()
    secret = {"name": "LEDGER_KEY", "valueFrom": {"secretKeyRef": {"name": "ledger", "key": "key"}}}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        endpoint = serve(logged, serve_config={"env": [secret], "limits": {"nvidia.com/gpu": "1"}})

    said = capsys.readouterr()
    told = "".join([said.out, said.err, *(str(w.message) for w in warned)])
    assert "LEDGER_KEY" in told
    assert "nvidia.com/gpu" in told
    assert endpoint.predict(rows[:3]) == {"predictions": model.predict(rows[:3]).tolist()}


def test_a_transformer_folder_with_a_relative_import_and_a_file(workspace: Settings, tmp_path: Path) -> None:
    """kubeflow/kale #385, kserve #940: it turns texts into numbers, and has a variable of its config."""
    folder = tmp_path / "coding"
    folder.mkdir()
    (folder / "codes.json").write_text(json.dumps({"green": 3.0, "black": 4.0}))
    (folder / "tables.py").write_text(
        "import json\nimport pathlib\n\n"
        "CODES = json.loads(pathlib.Path(__file__).with_name('codes.json').read_text())\n"
    )
    (folder / "transformer.py").write_text(
        "import os\n\nfrom .tables import CODES\n\n\ndef preprocess(request):\n    times = float(os.environ['TIMES'])\n"
        "    return {'instances': [[CODES[row['hull']] * times, row['length']] for row in request['instances']]}\n"
    )
    rows = np.random.default_rng(11).random((40, 2))
    model = Model(LinearRegression().fit(rows, rows.sum(axis=1)), name="lengths").submit_artifact()
    before = Transformer(name="coding", transformer_dir=str(folder)).submit_artifact()
    config = {"transformer": {"env": [{"name": "TIMES", "value": "10"}]}}
    endpoint = serve(model.id, before.id, name="coded", serve_config=config)

    answer = endpoint.predict([{"hull": "black", "length": 2.0}])
    assert isinstance(answer, dict)
    assert np.allclose(answer["predictions"], [42.0])
    with pytest.raises(PredictionError, match="red"):
        endpoint.predict([{"hull": "red", "length": 2.0}])
