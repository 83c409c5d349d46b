"""The real TorchServe, over this interpreter's torch and behind this package's model server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
import torch
from tritonclient import grpc as triton_grpc  # type: ignore[import-untyped]  # it has no types

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import KaleServeError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import Plan, ServeRequest
from kale_serve_ext.sync import run

from .conftest import GONE_WITHIN, Running, Serving, check_gone

RUNTIME = "kserve-torchserve"
WITHIN = 120.0
HANDLER = """
from ts.torch_handler.base_handler import BaseHandler
import torch


class Doubling(BaseHandler):
    def preprocess(self, data):
        return torch.tensor(data, dtype=torch.float32)

    def postprocess(self, found):
        return found.tolist()
"""


class Pair(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)
        self.table = torch.nn.Embedding(10, 2)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.linear(x) + self.table(ids), "twice": ids * 2}


def plan(**request: object) -> Plan:
    return run(make_plan(ServeRequest(**request), session.engine(), session.metadata()))  # type: ignore[arg-type]  # by name


def example(rows: int = 3) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(rows)
    return {"x": draw.normal(size=(rows, 4)).astype(np.float32), "ids": np.arange(rows)}


def answers(module: Pair, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        found = module(**{name: torch.from_numpy(one) for name, one in given.items()})
    return {name: one.numpy() for name, one in found.items()}


@pytest.fixture(scope="module", autouse=True)
def _set_up(needs: Callable[..., object], workspace: Settings) -> None:
    needs("torchserve")


@pytest.fixture(scope="module")
def module() -> Pair:
    torch.manual_seed(5)
    made = Pair()
    made.eval()
    return made


@pytest.fixture(scope="module")
def linear() -> torch.nn.Linear:
    made = torch.nn.Linear(3, 2)
    made.eval()
    return made


@pytest.fixture(scope="module")
def logged(workspace: Settings, module: Pair) -> Model:
    model = Model(module, name="pair", example=example())
    model.submit_artifact()
    return model


@pytest.fixture(scope="module")
def running(serving: Serving, logged: Model) -> Iterator[Running]:
    with serving(logged.id, "pair", runtime=RUNTIME) as found:
        yield found


@pytest.mark.parametrize("protocol", ["v1", "v2", "v2-binary", "grpc-v2"])
def test_the_answers_are_the_modules(running: Running, module: Pair, protocol: str) -> None:
    given = example(5)
    found = running.endpoint.predict(given, protocol=protocol)
    assert isinstance(found, dict)
    for name, expected in answers(module, given).items():
        assert (found[name].dtype, found[name].shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_tritons_client_is_answered_too(running: Running, module: Pair) -> None:
    given = example(2)
    inputs = []
    for name, array in given.items():
        one = triton_grpc.InferInput(name, list(array.shape), "FP32" if name == "x" else "INT64")
        one.set_data_from_numpy(array)
        inputs.append(one)
    with triton_grpc.InferenceServerClient(running.endpoint.grpc_url.rpartition("/")[2]) as asked:
        found = asked.infer("pair", inputs)
        np.testing.assert_allclose(found.as_numpy("scores"), answers(module, given)["scores"], rtol=1e-6)
        assert [one.name for one in asked.get_model_metadata("pair").outputs] == ["scores", "twice"]


def test_what_torch_refuses_is_told_as_the_clients_fault(running: Running) -> None:
    body = {
        "inputs": [
            {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]},
            {"name": "ids", "shape": [1], "datatype": "INT64", "data": [99]},
        ]
    }
    answer = httpx.post(f"{running.endpoint.url}/v2/models/pair/infer", json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "index out of range in self"})


def test_nothing_listens_but_for_the_supervisor_and_grpc_that_wants_a_token(running: Running) -> None:
    sockets = {path.name for path in running.unix_sockets()}
    assert {"h", "g", "i", "m", ".ts.sock.9000"} <= sockets
    java = {psutil.Process(one.pid).name() for one in running.processes()}
    assert "java" in java
    ports = running.ports()
    assert len(ports) == 2
    management = "/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels"
    inference = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    codes = set()
    for host, port in ports:
        assert host.removeprefix("::ffff:") == "127.0.0.1"
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for method in (management, inference):
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary(method, bytes, bytes)(b"", timeout=10)
                codes.add(caught.value.code())
    # Each has one of the two, and asks for a token.
    assert codes == {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED}


def test_the_plan_tells_that_it_is_not_maintained(logged: Model) -> None:
    told = plan(model_id=logged.id, name="pair-plan", runtime=RUNTIME)
    said = " ".join(check.message for check in told.checks)
    assert "no longer maintained" in said
    own = plan(model_id=logged.id, name="pair-plan")
    assert own.runtime != RUNTIME


def test_a_paused_service_answers_after_it_is_resumed(running: Running, module: Pair) -> None:
    started = running.processes()
    running.endpoint.pause()
    check_gone(started)
    running.endpoint.resume()
    found = running.endpoint.predict(example(1))
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["scores"], answers(module, example(1))["scores"], rtol=1e-6)


def answered(endpoint: Endpoint) -> dict[str, np.ndarray]:
    """Its answer, once it is ready again."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            found = endpoint.predict(example(1))
        except KaleServeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
            continue
        assert isinstance(found, dict)
        return found


def test_a_worker_that_is_killed_is_replaced(running: Running, module: Pair) -> None:
    [worker] = [one for one in running.processes() if "model_service_worker" in " ".join(one.cmdline())]
    worker.kill()
    worker.wait(GONE_WITHIN)
    found = answered(running.endpoint)
    np.testing.assert_allclose(found["scores"], answers(module, example(1))["scores"], rtol=1e-6)


def mar(folder: Path, module: torch.nn.Module, handler: str) -> Path:
    from torch.jit import script

    script(module).save(str(folder / "net.pt"))
    manifest = {
        "createdOn": "",
        "runtime": "python",
        "archiverVersion": "0.12.0",
        "model": {"modelName": "net", "modelVersion": "1.0", "serializedFile": "net.pt", "handler": "doubling.py"},
    }
    path = folder / "net.mar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        file.writestr("doubling.py", handler)
        file.write(folder / "net.pt", "net.pt")
    return path


@pytest.fixture(scope="module")
def archive(workspace: Settings, linear: torch.nn.Linear, tmp_path_factory: pytest.TempPathFactory) -> Model:
    model = Model(artifact_uri=mar(tmp_path_factory.mktemp("mar"), linear, HANDLER), name="net")
    model.submit_artifact()
    return model


@pytest.fixture(scope="module")
def archived(workspace: Settings, archive: Model) -> Iterator[Running]:
    """Somebody's archive, served; a test may kill its supervisor."""
    running = Running(serve(archive, name="net", runtime=RUNTIME, timeout=WITHIN), workspace)
    try:
        yield running
    finally:
        running.endpoint.delete()


def values_of(answer: object) -> np.ndarray:
    """The numbers of a reply of v1, or of the first output of one of v2."""
    assert isinstance(answer, dict)
    if "predictions" in answer:
        return np.asarray(answer["predictions"])
    [output] = answer["outputs"]
    return np.reshape(output["data"], output["shape"])


def test_somebodys_archive_answers_by_its_own_handler(
    archived: Running, archive: Model, linear: torch.nn.Linear
) -> None:
    rows = np.array([[1.0, 2, 3], [-1, 0, 1]])
    with torch.no_grad():
        expected = linear(torch.from_numpy(rows).float()).numpy()
    for protocol in ("v1", "v2", "grpc-v2"):
        answer = archived.endpoint.predict(rows, protocol=protocol)
        np.testing.assert_allclose(values_of(answer), expected, rtol=1e-5)
    said = " ".join(check.message for check in plan(model_id=archive.id, name="other", runtime="torch-server").checks)
    assert "only TorchServe loads" in said


def test_an_archive_is_unpacked_beside_the_services_files(archived: Running) -> None:
    [link] = {path.parent for path in archived.unix_sockets() if path.name == ".ts.sock.9000"}
    assert link.is_symlink()
    assert (link / "models").is_dir()
    assert link.resolve().is_relative_to(archived.home.folder.resolve())


def test_a_handler_that_fails_is_told_with_its_reason(workspace: Settings, tmp_path: Path) -> None:
    model = Model(artifact_uri=mar(tmp_path, torch.nn.Linear(3, 2), "import nowhere_to_be_found\n"), name="broken")
    model.submit_artifact()
    try:
        with pytest.raises(KaleServeError, match="No module named 'nowhere_to_be_found'"):
            serve(model, name="broken", runtime=RUNTIME, timeout=120)
    finally:
        Endpoint("broken").delete()


def test_nothing_outlives_a_supervisor_that_is_killed(archived: Running) -> None:
    started = archived.processes()
    supervisor = archived.supervisor()
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait(GONE_WITHIN)
    check_gone(started)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert not [line for line in left.splitlines() if "org.pytorch.serve" in line and str(archived.home.folder) in line]
