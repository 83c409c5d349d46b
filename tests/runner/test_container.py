"""The program of the images: a process that loads code from a folder, and answers as KServe's servers do."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from sklearn.datasets import load_iris

from kale_serve_ext import formats
from kale_serve_ext.digest import digest_of
from kale_serve_ext.runner.asgi_guard import MAX_REQUEST_BYTES
from kale_serve_ext.runner.versions import skews
from tests.onnx_models import answers, scores

Start = Callable[..., "Served"]

PREDICTOR = """
import kserve
from kserve import InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput

class Sums(kserve.Model):
    async def load(self):
        self.ready = True
        return True

    async def predict(self, payload, headers=None):
        if not isinstance(payload, InferRequest):
            if not payload["instances"]:
                raise InvalidInput("There is nothing to add.")
            return {"predictions": [sum(row) for row in payload["instances"]]}
        sums = payload.inputs[0].as_numpy().sum(axis=1)
        output = InferOutput("sums", list(sums.shape), "FP64", data=sums.tolist())
        return InferResponse(payload.id or "", self.name, [output])
"""
TRANSFORMER = """
from helper import FACTOR

def _scaled(request):
    if "instances" in request:
        return {"instances": [[FACTOR * v for v in row] for row in request["instances"]]}
    tensor = request["inputs"][0]
    return {"inputs": [{**tensor, "data": [FACTOR * v for v in tensor["data"]]}]}

def preprocess(request):
    return _scaled(request)

def postprocess(answer):
    if "predictions" in answer:
        return {"predictions": [f"sum {v:g}" for v in answer["predictions"]]}
    (output,) = answer["outputs"]
    return {"outputs": [{**output, "data": [v + 1 for v in output["data"]]}]}
"""
STOCK = f"""
import sys
from kserve import ModelServer
{PREDICTOR}
model = Sums(sys.argv[sys.argv.index("--model_name") + 1])
model.ready = True
ModelServer().start([model])
"""
TENSORS = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}]}


class Served:
    """A process that listens on two ports of its own."""

    def __init__(self, command: Sequence[str | Path], log: Path, environ: dict[str, str]) -> None:
        self.http, self.grpc = _free_port(), _free_port()
        self._log = log
        ports = ["--http_port", str(self.http), "--grpc_port", str(self.grpc)]
        words = [sys.executable, *map(str, command), "--model_name", "m", *ports]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                words, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ}, cwd=log.parent
            )

    def log(self) -> str:
        return self._log.read_text()

    def wait_ready(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("/v2/health/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"It does not answer:\n{self.log()}")

    def ask(self, path: str, body: object = None, content_type: str = "application/json") -> tuple[int, object]:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", raw, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the program on a folder of tmp_path, or another one, and waits until it is ready."""
    started: list[Served] = []

    def start_one(*command: str | Path, wait: bool = True, **environ: str) -> Served:
        program = command if str(command[0]).endswith(".py") else ["-m", "kale_serve_ext.runner.container", *command]
        served = Served(program, tmp_path / f"log{len(started)}.txt", environ)
        started.append(served)
        if wait:
            served.wait_ready()
        return served

    yield start_one
    for served in started:
        served.process.kill()
        served.process.wait()


def test_a_functional_transformer_stands_in_front_of_a_predictor(start: Start, tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text(STOCK)
    code = _folder(tmp_path, **{"transformer.py": TRANSFORMER, "helper.py": "FACTOR = 10\n"})
    predictor = start(tmp_path / "stock.py", wait=False)
    host = f"127.0.0.1:{predictor.http}"
    # As KServe calls the image: the role is not among the arguments.
    for_v2 = start("--model_dir", code, "--predictor_host", host, "--predictor_protocol", "v2", wait=False)
    for_v1 = start("transformer", "--model_dir", code, "--predictor_host", host, "--workers", "3", wait=False)
    for served in (predictor, for_v1, for_v2):
        served.wait_ready()

    assert for_v1.ask("/v1/models/m:predict", {"instances": [[1, 2], [3, 4]]}) == (
        200,
        {"predictions": ["sum 30", "sum 70"]},
    )
    # The predictor's own refusal comes through as it is.
    assert for_v1.ask("/v1/models/m:predict", {"instances": []}) == (400, {"error": "There is nothing to add."})
    status, answer = for_v2.ask("/v2/models/m/infer", TENSORS)
    assert status == 200
    assert isinstance(answer, dict)
    assert answer["outputs"][0]["data"] == [31.0, 71.0]

    predictor.end()
    status, answer = for_v1.ask("/v1/models/m:predict", {"instances": [[1, 2]]})
    assert status == 503
    assert "The predictor cannot be reached" in str(answer)
    assert "Ignoring --workers=3: a container runs one process" in for_v1.log()
    assert sorted(path.name for path in code.iterdir()) == ["helper.py", "transformer.py"]


def test_a_custom_predictor_answers_every_protocol_and_ends_when_told(start: Start, tmp_path: Path) -> None:
    code = _folder(tmp_path, **{"model.py": PREDICTOR, "requirements.txt": "numpy\n"})
    logged = digest_of(code)
    served = start("--model_dir", code, PROTOCOL="v2", KALE_SERVE_CLASS="Sums", KALE_SERVE_DIGEST=logged)

    body = json.dumps({"instances": [[1, 2], [3, 4]]}).encode()
    assert served.ask("/v1/models/m:predict", body, "application/x-www-form-urlencoded") == (
        200,
        {"predictions": [3, 7]},
    )
    status, answer = served.ask("/v2/models/m/infer", TENSORS)
    assert status == 200
    assert isinstance(answer, dict)
    assert answer["outputs"][0]["data"] == [3.0, 7.0]
    assert asyncio.run(_over_grpc(served.grpc)) == [3.0, 7.0]

    status, answer = served.ask("/v2/models/m/infer", b"{")
    assert status == 400
    assert "The request is not JSON" in str(answer)
    assert served.ask("/v1/models/other:predict", body)[0] == 404
    assert _status_of_a_request_of(MAX_REQUEST_BYTES + 1, served.http) == 413

    assert digest_of(code) == logged
    assert served.end() == 0


@pytest.mark.parametrize(
    ("role", "files", "environ", "words"),
    [
        ("transformer", None, {}, "There is no folder"),
        ("transformer", {}, {}, "holds no module transformer."),
        ("predictor", {"a.py": "", "b.py": ""}, {}, "holds 2 modules, and none is called model.py."),
        ("predictor", {"model.py": PREDICTOR}, {"KALE_SERVE_DIGEST": "sha256:00"}, "is not what was logged"),
        ("transformer", {"transformer.py": "import nowhere\n"}, {}, "ModuleNotFoundError: No module named 'nowhere'"),
        ("predictor", {"model.py": "raise RuntimeError('first\\nsecond')\n"}, {}, "RuntimeError: first second"),
    ],
)
def test_what_cannot_be_loaded_ends_the_process_with_the_reason(
    start: Start, tmp_path: Path, role: str, files: dict[str, str] | None, environ: dict[str, str], words: str
) -> None:
    code = tmp_path / "code" if files is None else _folder(tmp_path, **files)

    served = start(role, "--model_dir", code, wait=False, **environ)

    assert served.process.wait(60) == 1
    lines = served.log().splitlines()
    assert lines[-1].startswith(f"The {role} m cannot be served: ")
    assert words in lines[-1]
    assert "Traceback (most recent call last):" in lines


def test_an_estimator_answers_with_its_own_method(start: Start, tmp_path: Path) -> None:
    features, target = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[target]
    fitted = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(features, names)
    folder = _folder(tmp_path)
    formats.by_name("lightgbm").save(fitted, folder)
    made_with = f"lightgbm==1.0.0 numpy=={np.__version__} python==3.1.4"
    settings = {"KALE_SERVE_KIND": "lightgbm", "KALE_SERVE_PACKAGES": made_with}
    rows = features[::60].tolist()
    classes = start("predictor", "--model_dir", folder, wait=False, **settings)
    shares = start("predictor", "--model_dir", folder, wait=False, KALE_SERVE_METHOD="predict_proba", **settings)
    cannot = start("predictor", "--model_dir", folder, wait=False, KALE_SERVE_METHOD="transform", **settings)
    for served in (classes, shares):
        served.wait_ready()

    asked = {"instances": rows}
    assert classes.ask("/v1/models/m:predict", asked) == (
        200,
        {"predictions": np.asarray(fitted.predict(features[::60])).tolist()},
    )
    status, answer = shares.ask("/v1/models/m:predict", asked)
    assert status == 200
    assert isinstance(answer, dict)
    assert np.allclose(answer["predictions"], fitted.predict_proba(features[::60]))

    differs = f"made with lightgbm 1.0.0 (here: {lightgbm.__version__}), python 3.1.4 (here: 3."
    assert f"m was {differs}" in classes.log()
    assert cannot.process.wait(60) == 1
    last = cannot.log().splitlines()[-1]
    assert "has no method transform" in last
    assert f"It was {differs}" in last


def test_a_model_of_named_tensors_answers_rows(start: Start, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    formats.by_name("onnx").save(scores(), folder)
    served = start("predictor", "--model_dir", folder, KALE_SERVE_KIND="onnx")
    rows = [{"matrix": [1.0, 2.0, 3.0], "offset": [5], "texts": "a"}]
    matrix, offset = np.array([[1, 2, 3]], dtype=np.float32), np.array([[5]])
    expected = answers(scores(), matrix=matrix, offset=offset, texts=np.array(["a"], dtype=object))
    told = [{"scores": np.asarray(expected["scores"])[0].tolist(), "same": "a"}]
    assert served.ask("/v1/models/m:predict", {"instances": rows}) == (200, {"predictions": told})


@pytest.mark.parametrize(
    ("made_with", "here", "told"),
    [
        ("", {}, []),
        ("scikit-learn==1.9.1 python==3.11.7", {"scikit-learn": "1.9.0", "python": "3.11.2"}, []),
        ("scikit-learn==1.9.1", {"scikit-learn": "1.10.1"}, ["scikit-learn 1.9.1 (here: 1.10.1)"]),
        ("joblib==1.4 polars==1.2", {"joblib": "1.4.2"}, ["polars 1.2 (here: none)"]),
        ("xgboost-cpu==3.2.0", {"xgboost": "3.2.1"}, []),
        ("xgboost==3.2.0", {"xgboost-cpu": "2.1"}, ["xgboost 3.2.0 (here: 2.1)"]),
    ],
)
def test_other_versions_are_told_by_their_numbers(made_with: str, here: dict[str, str], told: list[str]) -> None:
    assert skews(made_with, lambda name: here.get(name, "")) == told


def test_a_kind_that_does_not_exist_is_refused(start: Start, tmp_path: Path) -> None:
    served = start("predictor", "--model_dir", _folder(tmp_path), wait=False, KALE_SERVE_KIND="paddle")
    assert served.process.wait(60) == 2
    assert "KALE_SERVE_KIND is 'paddle': it may be one of custom, sklearn, xgboost, lightgbm, catboost," in served.log()


def test_it_ends_at_once_while_it_loads(start: Start, tmp_path: Path) -> None:
    slow = "import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(60)\n"
    served = start("predictor", "--model_dir", _folder(tmp_path, **{"model.py": slow}), wait=False)
    _wait_for(tmp_path / "loading")

    assert served.end() == 128 + signal.SIGTERM


def test_a_request_under_way_is_answered_before_it_ends(start: Start, tmp_path: Path) -> None:
    slow = """
import asyncio, pathlib
import kserve

class Slow(kserve.Model):
    def load(self):
        self.ready = True
        return True

    async def predict(self, payload, headers=None):
        pathlib.Path("asked").touch()
        await asyncio.sleep(1)
        return {"predictions": [1]}
"""
    served = start("predictor", "--model_dir", _folder(tmp_path, **{"model.py": slow}))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(served.ask, "/v1/models/m:predict", {"instances": [1]})
        _wait_for(tmp_path / "asked")

        assert served.end() == 0
        assert answer.result() == (200, {"predictions": [1]})


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come."
        time.sleep(0.05)


async def _over_grpc(port: int) -> list[float]:
    client = InferenceGRPCClient(f"127.0.0.1:{port}")
    rows = InferInput("x", [2, 2], "FP64")
    rows.set_data_from_numpy(np.array([[1.0, 2.0], [3.0, 4.0]]))
    answer = await client.infer(InferRequest("m", [rows]))
    await client.close()
    values: list[float] = answer.outputs[0].as_numpy().tolist()
    return values


def _status_of_a_request_of(size: int, port: int) -> int:
    """What a client gets that asks first whether it may send so much."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/v1/models/m:predict")
    connection.putheader("Content-Length", str(size))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def _folder(parent: Path, **files: str) -> Path:
    folder = parent / "code"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port
