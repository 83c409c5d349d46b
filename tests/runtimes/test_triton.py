"""Triton, laid beside the running interpreter: asked by each protocol, with models of each kind, and made to fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from tritonclient import grpc as triton_grpc  # type: ignore[import-untyped]  # it has no types
from tritonclient import http as triton_http

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Replica
from kale_serve_ext.errors import PlanError, PredictionError, ServeFailedError
from kale_serve_ext.sync import run
from tests.runtimes.conftest import Running, Serving, check_gone

RUNTIME = "kserve-tritonserver"
ROWS = np.array([[1, 2, 3], [0, 1, 0]], dtype=np.float32)
WEIGHTS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
ANSWERS = ROWS @ WEIGHTS
SHARED = Path("/dev/shm")
DOUBLES = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("doubled", x * 2)]))
        return answers
"""
DOUBLE = """
name: "double"
backend: "python"
max_batch_size: 8
input [ { name: "x", data_type: TYPE_FP32, dims: [ 3 ] } ]
output [ { name: "doubled", data_type: TYPE_FP32, dims: [ 3 ] } ]
"""
BOTH = """
name: "both"
platform: "ensemble"
max_batch_size: 8
input [ { name: "x", data_type: TYPE_FP32, dims: [ 3 ] } ]
output [ { name: "y", data_type: TYPE_FP32, dims: [ 2 ] } ]
ensemble_scheduling { step [
  { model_name: "double" model_version: -1
    input_map { key: "x" value: "x" } output_map { key: "doubled" value: "between" } },
  { model_name: "linear" model_version: -1
    input_map { key: "x" value: "between" } output_map { key: "y" value: "y" } }
] }
"""
LINEAR = """
platform: "onnxruntime_onnx"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 3 }
output { name: "y" data_type: TYPE_FP32 dims: 2 }
"""


def linear() -> onnx.ModelProto:
    """``y = x @ WEIGHTS``, and ``total``, a single number."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("ReduceSum", ["y"], ["total"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("total", TensorProto.FLOAT, []),
        ],
        [helper.make_tensor("w", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS.ravel().tolist())],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def logged(model: Model) -> int:
    made = model.submit_artifact()
    assert made.id is not None
    return made.id


def assert_near(found: object, wanted: np.ndarray) -> None:
    answer = np.asarray(found)
    assert answer.shape == wanted.shape
    assert np.allclose(answer, wanted, rtol=1e-6)


@pytest.fixture(scope="module")
def set_up(workspace: Settings, needs: Callable[..., object]) -> None:
    needs("triton")


@pytest.fixture(scope="module")
def model(set_up: None) -> int:
    return logged(Model(model=linear(), name="linear"))


@pytest.fixture(scope="module")
def running(serving: Serving, model: int) -> Iterator[Running]:
    with serving(model, "linear", runtime=RUNTIME) as found:
        yield found


def addresses(endpoint: Endpoint) -> tuple[str, str]:
    """Host and port for HTTP, and for gRPC."""
    state = run(session.engine().get(endpoint.name))
    return state.url.removeprefix("http://").rstrip("/"), state.grpc_url


@pytest.mark.parametrize("protocol", [None, "v2", "v2-binary", "grpc-v2"])
def test_it_answers_by_every_protocol(running: Running, protocol: str | None) -> None:
    answer = running.endpoint.predict(ROWS, protocol=protocol)
    assert isinstance(answer, dict)
    assert_near(answer["y"], ANSWERS)
    assert_near(answer["total"], np.array([ANSWERS.sum()]))


def test_tritons_own_client_is_answered_in_binary_form(running: Running) -> None:
    http, _ = addresses(running.endpoint)
    client = triton_http.InferenceServerClient(http)
    fed = triton_http.InferInput("x", ROWS.shape, "FP32")
    fed.set_data_from_numpy(ROWS, binary_data=True)
    assert_near(client.infer("linear", [fed]).as_numpy("y"), ANSWERS)
    client.close()


def test_tritons_own_client_is_answered_by_grpc(running: Running) -> None:
    _, grpc = addresses(running.endpoint)
    client = triton_grpc.InferenceServerClient(grpc)
    fed = triton_grpc.InferInput("x", ROWS.shape, "FP32")
    fed.set_data_from_numpy(ROWS)
    answer = client.infer("linear", [fed], outputs=[triton_grpc.InferRequestedOutput("y")])
    assert_near(answer.as_numpy("y"), ANSWERS)
    assert answer.as_numpy("total") is None
    assert list(client.get_model_metadata("linear").inputs[0].shape) == [-1, 3]
    client.close()


def test_a_request_that_does_not_fit_is_refused(running: Running) -> None:
    http, _ = addresses(running.endpoint)
    url = f"http://{http}/v2/models/linear/infer"
    wrong = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    answer = httpx.post(url, json=wrong)
    assert answer.status_code == 400
    assert "unexpected shape for input 'x'" in answer.json()["error"]
    assert httpx.get(f"http://{http}/v2/models/another").status_code == 404


def test_no_request_loads_or_unloads_a_model(running: Running) -> None:
    http, grpc = addresses(running.endpoint)
    for what in ("load", "unload"):
        answer = httpx.post(f"http://{http}/v2/repository/models/linear/{what}", json={})
        assert answer.status_code >= 400
        assert "not allowed" in answer.json()["error"]
    client = triton_grpc.InferenceServerClient(grpc)
    for ask in (client.load_model, client.unload_model):
        with pytest.raises(triton_grpc.InferenceServerException, match="not allowed"):
            ask("linear")
    client.close()
    assert isinstance(running.endpoint.predict(ROWS), dict)


def test_it_listens_on_unix_sockets_of_this_user_alone(running: Running) -> None:
    assert running.ports() == set()
    sockets = running.unix_sockets()
    assert {path.name for path in sockets} == {"h", "g:1"}
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in sockets)
    shared = regions(running)
    assert shared
    assert all(path.stat().st_mode & 0o077 == 0 for path in shared)


def test_one_instance_runs_under_the_models_own_python(running: Running) -> None:
    stubs = [each for each in running.processes() if "triton_python_backend_stub" in each.name()]
    assert len(stubs) == 1


def regions(running: Running) -> set[Path]:
    """The shared memory of the processes that run models, by which it is named on their command line."""
    stubs = [each for each in running.processes() if "triton_python_backend_stub" in each.name()]
    return {SHARED / each.cmdline()[2] for each in stubs}


def until(wanted: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_starts_anew_when_the_process_of_a_model_is_killed(serving: Serving, model: int) -> None:
    """Triton itself would go on, ready, and answer every request with an error."""

    def replica() -> Replica:
        return run(session.engine().get("killed")).components[0].replicas[0]

    with serving(model, "killed", runtime=RUNTIME) as running:
        [stub] = [each for each in running.processes() if "triton_python_backend_stub" in each.name()]
        before = regions(running)
        stub.kill()
        until(lambda: replica().restarts == 1 and replica().ready)
        events = run(session.engine().events("killed"))
        assert any("A process that Triton ran the model in has ended" in event.message for event in events)
        assert isinstance(running.endpoint.predict(ROWS), dict)
        assert not any(path.exists() for path in before)
        left = regions(running)
    assert not any(path.exists() for path in left)


def test_nothing_outlives_a_pause_or_the_supervisor(serving: Serving, model: int) -> None:
    with serving(model, "ends", runtime=RUNTIME) as running:
        before = regions(running)
        assert all(path.exists() for path in before)
        started = running.processes()
        running.supervisor().kill()
        check_gone(started)
        until(lambda: not any(path.exists() for path in before))
        running.endpoint.wait(60)  # whoever looks first starts the next one
        assert isinstance(running.endpoint.predict(ROWS), dict)
        started, left = running.processes(), regions(running)
        running.endpoint.pause()
        check_gone(started)
        assert not any(path.exists() for path in left)
        running.endpoint.resume()
        running.endpoint.wait(60)
        assert isinstance(running.endpoint.predict(ROWS), dict)


def repository(folder: Path, *models: str) -> Path:
    """Triton's model repository with these of ``double``, ``linear`` and their ensemble ``both``."""
    for name in models:
        (folder / name / "1").mkdir(parents=True)
    if "double" in models:
        (folder / "double" / "1" / "model.py").write_text(DOUBLES)
        (folder / "double" / "config.pbtxt").write_text(DOUBLE)
    if "linear" in models:
        graph = linear()
        del graph.graph.output[1], graph.graph.node[1]
        onnx.save(graph, folder / "linear" / "1" / "model.onnx")
        (folder / "linear" / "config.pbtxt").write_text(LINEAR)
    if "both" in models:
        (folder / "both" / "config.pbtxt").write_text(BOTH)
    return folder


def test_a_repository_answers_by_its_ensemble(serving: Serving, set_up: None, tmp_path: Path) -> None:
    """One of a python model, an ONNX model and an ensemble of both; without a runtime being named."""
    found = logged(Model(artifact_uri=repository(tmp_path, "double", "linear", "both"), name="pipeline"))
    with serving(found, "pipeline") as running:
        for protocol in (None, "grpc-v2"):
            assert_near(running.endpoint.predict(ROWS, protocol=protocol), 2 * ANSWERS)
        http, _ = addresses(running.endpoint)
        [doubled] = httpx.post(
            f"http://{http}/v2/models/double/infer",
            json={"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": ROWS.ravel().tolist()}]},
        ).json()["outputs"]
        assert doubled["data"] == (2 * ROWS).ravel().tolist()
        texts = {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1, 3], "data": ["a", "b", "c"]}]}
        assert httpx.post(f"http://{http}/v2/models/double/infer", json=texts).status_code == 400


def test_the_model_of_the_services_name_answers(serving: Serving, set_up: None, tmp_path: Path) -> None:
    found = logged(Model(artifact_uri=repository(tmp_path, "double", "linear"), name="several"))
    with pytest.raises(PlanError, match="several models \\(double, linear\\)"):
        serve(found, name="neither")
    with serving(found, "double") as running:
        assert_near(running.endpoint.predict(ROWS), 2 * ROWS)


def test_a_model_without_a_configuration_is_asked_what_it_takes(serving: Serving, set_up: None, tmp_path: Path) -> None:
    folder = repository(tmp_path, "linear")
    (folder / "linear" / "config.pbtxt").unlink()
    with serving(logged(Model(artifact_uri=folder, name="bare")), "renamed") as running:
        assert_near(running.endpoint.predict(ROWS), ANSWERS)


def test_a_model_that_fails_at_start_tells_why(set_up: None, tmp_path: Path) -> None:
    folder = repository(tmp_path, "double")
    (folder / "double" / "1" / "model.py").write_text("import no_such_framework\n" + DOUBLES)
    found = logged(Model(artifact_uri=folder, name="fails"))
    with pytest.raises(ServeFailedError, match="ModuleNotFoundError: No module named 'no_such_framework'"):
        serve(found, name="fails", timeout=60)
    Endpoint("fails").delete()


def test_an_error_of_a_model_is_the_answer(serving: Serving, set_up: None, tmp_path: Path) -> None:
    folder = repository(tmp_path, "double")
    (folder / "double" / "1" / "model.py").write_text(DOUBLES.replace("x * 2", "x / (1 // 0)"))
    with serving(logged(Model(artifact_uri=folder, name="raises")), "raises") as running:
        with pytest.raises(PredictionError, match=r"ZeroDivisionError: .* by zero"):
            running.endpoint.predict(ROWS)
        assert all(each.status() != psutil.STATUS_ZOMBIE for each in running.processes())


def test_a_python_function_answers(serving: Serving, set_up: None) -> None:
    def weighed(x: np.ndarray) -> np.ndarray:
        return x @ WEIGHTS

    with serving(logged(Model(model=weighed, example=ROWS)), "weighed", runtime=RUNTIME) as running:
        for protocol in (None, "grpc-v2"):
            assert_near(running.endpoint.predict(ROWS, protocol=protocol), ANSWERS)
        assert running.endpoint.verify().ok


def test_a_pytorch_module_is_run_by_the_models_own_torch(serving: Serving, set_up: None) -> None:
    import torch  # here, as it takes 10 s and most of these tests do without

    layer = torch.nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(WEIGHTS.T.copy()))
    found = logged(Model(model=layer, name="layer", example=ROWS))
    with serving(found, "layer", runtime=RUNTIME) as running:
        for protocol in (None, "grpc-v2"):
            assert_near(running.endpoint.predict(ROWS, protocol=protocol), ANSWERS)
        assert running.endpoint.verify().ok


def test_a_tensorflow_module_is_run_by_the_models_own_tensorflow(serving: Serving, set_up: None) -> None:
    tf = pytest.importorskip("tensorflow")

    def call(self: object, x: object) -> object:
        return {"y": tf.matmul(x, WEIGHTS)}

    given = [tf.TensorSpec([None, 3], tf.float32, name="x")]
    made = type("Linear", (tf.Module,), {"__call__": tf.function(call, input_signature=given)})
    with serving(logged(Model(model=made(), name="module")), "module", runtime=RUNTIME) as running:
        for protocol in (None, "grpc-v2"):
            assert_near(running.endpoint.predict(ROWS, protocol=protocol), ANSWERS)
