"""The user's own code in services: transformers, environments of their own, models that fail or take too much."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from sklearn.preprocessing import FunctionTransformer

from kale_serve_ext import sync
from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.base import Runtime
from kale_serve_ext.engines.local import interpreters
from kale_serve_ext.entities import MODEL, Artifact, Environment
from kale_serve_ext.ml import JSON

if TYPE_CHECKING:
    from tests.engines.conftest import Bench

FUNCTIONAL = """
import json
from pathlib import Path

NAMES = json.loads((Path(__file__).parent / "assets" / "names.json").read_text())

async def preprocess(request):
    return {**request, "instances": [[row[k] for k in ("a", "b", "c", "d")] for row in request["rows"]]}

def postprocess(answer):
    return {"species": [NAMES[i] for i in answer["predictions"]]}
"""
SUBCLASS = """
import kserve
from scaling import FACTOR

class Scale(kserve.Model):
    def __init__(self, name, predictor_host):
        super().__init__(name)
        self.ready = True

    def preprocess(self, payload, headers=None):
        tensor = payload.inputs[0]
        values = tensor.as_numpy() * FACTOR
        made = kserve.InferInput(tensor.name, list(values.shape), tensor.datatype)
        made.set_data_from_numpy(values, binary_data=False)
        return kserve.InferRequest(model_name=self.name, infer_inputs=[made])
"""


@pytest.fixture(scope="module")
def functional(bench: Bench) -> Path:
    folder = bench.models / "functional"
    (folder / "assets").mkdir(parents=True)
    (folder / "transformer.py").write_text(FUNCTIONAL)
    (folder / "assets" / "names.json").write_text('["setosa", "versicolor", "virginica"]')
    return folder


@pytest.fixture(scope="module")
def subclass(bench: Bench) -> Path:
    folder = bench.models / "subclass"
    folder.mkdir()
    (folder / "transformer.py").write_text(SUBCLASS)
    (folder / "scaling.py").write_text("FACTOR = 0.1")
    return folder


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment of its own, as a notebook's kernel has: kserve and scikit-learn, without this package."""
    folder = tmp_path_factory.mktemp("kernel") / "env"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})["purelib"])
    # The libraries of this environment; a .pth file in them (which an editable install is) does not count there.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    (site / "kale_serve_ext.py").write_text("raise ModuleNotFoundError('not in this environment')")
    question = "import importlib.util as u; assert u.find_spec('kserve') and u.find_spec('sklearn')"
    subprocess.run([python, "-c", question], check=True)
    return str(python)


def test_a_functional_transformer_gets_the_whole_request_and_its_assets(
    bench: Bench, iris_model: Path, functional: Path
) -> None:
    before = digest_of(functional)
    manifest = bench.with_transformer(bench.manifest("named", iris_model), functional)
    bench.apply(manifest)
    state = bench.until_ready("named")
    assert [c.component for c in state.components] == ["predictor", "transformer"]
    row = {"a": 6.7, "b": 3.0, "c": 5.2, "d": 2.3}
    answer = bench.post(state, "/v1/models/named:predict", {"rows": [row]})
    assert answer.json() == {"species": ["virginica"]}
    # Errors of both sides reach the client in their own words.
    missing = bench.post(state, "/v1/models/named:predict", {"rows": [{"a": 1}]})
    assert missing.status_code == 500
    assert missing.json()["error"] == "The transformer's preprocess failed: KeyError: 'b'"
    refused = bench.post(state, "/v1/models/named:predict", {"rows": [{**row, "d": "much"}]})
    assert refused.status_code == 400
    assert "could not convert string to float: 'much'" in refused.json()["error"]

    async def predictor() -> int:
        async with bench.engine.connect("named", "predictor") as connection:
            body = {"instances": [[6.7, 3.0, 5.2, 2.3]]}
            return int((await connection.http.post("/v1/models/named:predict", json=body)).json()["predictions"][0])

    assert sync.run(predictor()) == 2
    assert digest_of(functional) == before, "running it changed the snapshot"
    sync.run(bench.engine.delete("named"))


def test_a_transformer_class_works_on_tensors_and_over_grpc(bench: Bench, iris_model: Path, subclass: Path) -> None:
    manifest = bench.manifest("scaled", iris_model, protocolVersion="v2")
    bench.apply(bench.with_transformer(manifest, subclass, "--predictor_protocol", "v2"))
    state = bench.until_ready("scaled")
    values = (np.array([[6.7, 3.0, 5.2, 2.3]]) * 10).tolist()
    tensor: dict[str, JSON] = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": values}
    assert bench.post(state, "/v2/models/scaled/infer", {"inputs": [tensor]}).json()["outputs"][0]["data"] == [2]
    with grpc.insecure_channel(state.grpc_url) as channel:
        request = pb.ModelInferRequest(model_name="scaled", raw_input_contents=[np.array(values).tobytes()])
        request.inputs.add(name="x", datatype="FP64", shape=[1, 4])
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30)
    assert list(answer.outputs[0].contents.int64_contents) == [2]
    sync.run(bench.engine.delete("scaled"))


def test_a_model_runs_in_an_environment_without_this_package(bench: Bench, iris_model: Path, other_python: str) -> None:
    notes = {"kale-serve-ext/predictor-python": other_python, "kale-serve-ext/model-digest": digest_of(iris_model)}
    bench.apply(bench.manifest("elsewhere", iris_model, annotations=notes))
    state = bench.until_ready("elsewhere")
    answer = bench.post(state, "/v1/models/elsewhere:predict", {"instances": [[6.7, 3.0, 5.2, 2.3]]})
    assert answer.json() == {"predictions": [2]}
    child = bench.status("elsewhere").children[0].pid
    assert Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode() == other_python
    sync.run(bench.engine.delete("elsewhere"))


def test_the_check_names_what_an_interpreter_lacks(bench: Bench, tmp_path: Path, other_python: str) -> None:
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False)
    made_with = Environment(other_python, "3.9.1", "here", {"scikit-learn": "0.24.2"})
    artifact = Artifact(MODEL, "m", uri="file:///nowhere", format="sklearn", environment=made_with)

    def check(python: str) -> dict[str, tuple[str, str]]:
        runtime = Runtime("r", "R", ("sklearn",), ("v1",), python=python)
        return {c.code: (c.level, c.message + c.hint) for c in sync.run(bench.engine.check(artifact, runtime))}

    level, text = check(str(empty / "bin" / "python"))["PackageMissing"]
    assert level == "error"
    assert "-m pip install 'kserve>=0.20,<0.22' 'scikit-learn==0.24.2' 'joblib'" in text
    assert check(str(tmp_path / "gone"))["InterpreterMissing"][0] == "error"
    assert {k: v[0] for k, v in check(other_python).items()} == {"VersionSkew": "warning", "PythonSkew": "warning"}
    found = sync.run(interpreters.inspect(sys.executable))
    assert found.ok
    assert found.packages["kserve"]


def test_models_that_cannot_run_say_why(bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = bench.snapshot("changed", FunctionTransformer())
    hungry = bench.models / "hungry"
    hungry.mkdir()
    (hungry / "model.py").write_text(
        "import kserve\nclass Hungry(kserve.Model):\n    def load(self):\n        self.kept = b'x' * (3 << 30)\n"
    )
    notes = {"kale-serve-ext/model-digest": "sha256:" + "0" * 64}
    bench.apply(bench.manifest("changed", changed, annotations=notes))
    manifest = bench.manifest("hungry", hungry)
    container: dict[str, JSON] = {
        "name": "kserve-container",
        "image": "kale-serve-ext/predictor:test",
        "env": [{"name": "STORAGE_URI", "value": hungry.as_uri()}],
        "resources": {"limits": {"memory": "700Mi"}},
    }
    bench.apply({**manifest, "spec": {"predictor": {"containers": [container]}}})
    refused = bench.until("changed", lambda s: s.components[0].replicas[0].exit_code).components[0].replicas[0]
    assert "is not what was logged" in refused.message
    assert refused.exit_code == 1
    killed = bench.until("hungry", lambda s: s.components[0].replicas[0].reason == "OOMKilled")
    replica = killed.components[0].replicas[0]
    assert replica.exit_code == 137
    assert "of 700 MiB" in replica.message
    # Neither what waits for its next start nor what is starting holds a delete up: nobody has to be killed for it.
    killed_from_here: list[int] = []
    monkeypatch.setattr("kale_serve_ext.engines.local.processes.kill_group", killed_from_here.append)
    for name in ("changed", "hungry"):
        supervisor = bench.status(name).supervisor
        sync.run(bench.engine.delete(name))
        assert not supervisor.is_alive
    assert killed_from_here == []
