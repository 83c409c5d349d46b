"""One service through its life. The tests share it, because each start of a model server takes seconds."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import numpy as np
import psutil
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from sklearn.dummy import DummyClassifier

from kale_serve_ext import sync
from kale_serve_ext.engines.base import ServiceState
from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.ml import JSON

if TYPE_CHECKING:
    from tests.engines.conftest import Bench

NAME = "iris"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
PREDICT = f"/v1/models/{NAME}:predict"
INFER = f"/v2/models/{NAME}/infer"


@pytest.fixture(scope="module")
def served(bench: Bench, iris_model: Path) -> ServiceState:
    accepted = bench.apply(bench.manifest(NAME, iris_model))
    assert accepted.revision == 1
    assert accepted.serving_revision == 0
    # Whoever asks while it loads is answered at once, with the reason.
    early = bench.post(accepted, PREDICT, {"instances": ROWS})
    assert early.status_code == 503
    assert early.json()["phase"] == "Loading"
    state = bench.until_ready(NAME)
    assert state.url == accepted.url
    return state


@pytest.fixture
def ready(bench: Bench, served: ServiceState) -> ServiceState:
    return bench.until_ready(NAME)


def test_v1_v2_and_grpc_give_the_model_s_answers(bench: Bench, ready: ServiceState) -> None:
    assert bench.post(ready, PREDICT, {"instances": ROWS}).json() == {"predictions": [0, 2]}

    tensor: dict[str, JSON] = {"name": "x", "shape": [2, 4], "datatype": "FP64", "data": ROWS}
    answer = bench.post(ready, INFER, {"inputs": [tensor]}).json()
    assert answer["outputs"][0]["data"] == [0, 2]

    raw = np.array(ROWS).tobytes()
    described = {"name": "x", "shape": [2, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": False}}).encode()
    headers = {"content-type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    with httpx.Client(trust_env=False, timeout=30) as client:
        binary = client.post(ready.url + INFER, content=head + raw, headers=headers)
    assert binary.json()["outputs"][0]["data"] == [0, 2]

    with grpc.insecure_channel(ready.grpc_url) as channel:
        stub = GRPCInferenceServiceStub(channel)
        request = pb.ModelInferRequest(model_name=NAME, raw_input_contents=[raw])
        request.inputs.add(name="x", datatype="FP64", shape=[2, 4])
        assert list(np.frombuffer(stub.ModelInfer(request, timeout=30).raw_output_contents[0], np.int64)) == [0, 2]
        typed = pb.ModelInferRequest(model_name=NAME)
        added = typed.inputs.add(name="x", datatype="FP64", shape=[2, 4])
        added.contents.fp64_contents.extend(np.ravel(ROWS))
        assert list(stub.ModelInfer(typed, timeout=30).outputs[0].contents.int64_contents) == [0, 2]
        request.inputs[0].shape[:] = [4, 2]
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expecting 4 features" in str(refused.value.details())


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (PREDICT, {"instances": [[1.0, 2.0]]}, 400, "expecting 4 features"),
        (PREDICT, b"{nope", 400, "format"),
        (PREDICT, {"rows": ROWS}, 400, "instances"),
        (PREDICT, {"instances": [[1.0], [1.0, 2.0]]}, 400, "table"),
        (INFER, b"{nope", 400, "not JSON"),
        (INFER, {"inputs": []}, 400, "inputs"),
        (INFER, {"inputs": [{"name": "x", "shape": [1], "datatype": "FP99", "data": [1]}]}, 400, "FP99"),
        (INFER, {"inputs": [{"name": "x", "shape": [3, 4], "datatype": "FP64", "data": [1.0]}]}, 400, "shape"),
        ("/v1/models/other:predict", {"instances": ROWS}, 404, "other"),
        (f"/v1/models/{NAME}:explain", {"instances": ROWS}, 501, "explainer"),
    ],
)
def test_a_bad_request_gets_the_reason(
    bench: Bench, ready: ServiceState, path: str, body: JSON | bytes, status: int, words: str
) -> None:
    answer = bench.post(ready, path, body)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


def test_it_listens_on_the_loopback_only(bench: Bench, ready: ServiceState) -> None:
    status = bench.status(NAME)
    pids = [status.supervisor.pid, *(c.pid for c in status.children)]
    listening = [c.laddr for pid in pids for c in psutil.Process(pid).connections("inet") if c.status == "LISTEN"]
    # grpc shows an IPv4 address in its IPv6 form.
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {status.ports["entry"].http, status.ports["entry"].grpc}


def test_metadata_metrics_and_conditions(bench: Bench, ready: ServiceState) -> None:
    with httpx.Client(base_url=ready.url, trust_env=False, timeout=30) as client:
        assert client.get(f"/v2/models/{NAME}").json()["inputs"][0]["shape"] == [-1, 4]
    assert "request_predict_seconds" in sync.run(bench.engine.metrics(NAME))
    assert {c.type: c.status for c in ready.conditions} == {
        "PredictorReady": "True",
        "IngressReady": "True",
        "Ready": "True",
        "Stopped": "False",
    }


def test_a_frozen_predictor_is_told_and_left_alone(bench: Bench, ready: ServiceState) -> None:
    (child,) = bench.status("iris").children
    os.kill(child.pid, signal.SIGSTOP)
    try:
        frozen = bench.until("iris", lambda s: s.components[0].replicas[0].reason == "Unresponsive")
    finally:
        os.kill(child.pid, signal.SIGCONT)
    assert "frozen, or busy" in frozen.components[0].replicas[0].message
    after = bench.until("iris", lambda s: not s.components[0].replicas[0].reason)
    assert (after.components[0].ready, after.components[0].replicas[0].restarts) == (1, 0)
    assert bench.post(after, "/v1/models/iris:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]}).status_code == 200


def test_a_killed_predictor_is_told_and_started_again(bench: Bench, ready: ServiceState) -> None:
    os.kill(bench.status(NAME).children[0].pid, signal.SIGKILL)
    told = bench.until(NAME, lambda s: s.components[0].replicas[0].exit_code == 137)
    assert told.serving_revision == 0
    assert told.components[0].ready == 0
    assert {c.type: c.status for c in told.conditions}["Ready"] == "False"
    refused = bench.post(told, PREDICT, {"instances": ROWS})
    assert refused.status_code == 503
    assert "SIGKILL" in refused.json()["reason"]
    again = bench.until_ready(NAME)
    assert again.components[0].replicas[0].restarts == 1
    assert again.url == ready.url
    assert bench.post(again, PREDICT, {"instances": ROWS}).json() == {"predictions": [0, 2]}
    assert "Error" in [e.reason for e in sync.run(bench.engine.events(NAME))]


def test_an_update_fails_no_request(bench: Bench, ready: ServiceState, iris: tuple[np.ndarray, np.ndarray]) -> None:
    ones = bench.snapshot("ones", DummyClassifier(strategy="constant", constant=1).fit(*iris))
    stop = threading.Event()
    seen: list[list[tuple[int, str]]] = [[] for _ in range(4)]

    def ask(answers: list[tuple[int, str]]) -> None:
        # One open connection, used without a pause, as a browser or a service does.
        with httpx.Client(base_url=ready.url, trust_env=False, timeout=30) as client:
            while not stop.is_set():
                answer = client.post(PREDICT, json={"instances": ROWS})
                answers.append((answer.status_code, answer.text))
                time.sleep(0.005)

    threads = [threading.Thread(target=ask, args=(answers,)) for answers in seen]
    for thread in threads:
        thread.start()
    bench.apply(bench.manifest(NAME, ones))
    after = bench.until_ready(NAME, revision=ready.revision + 1)
    settled = [len(answers) for answers in seen]
    end = time.monotonic() + 20
    while any(len(answers) < n + 20 for answers, n in zip(seen, settled, strict=True)) and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert after.url == ready.url
    for answers in seen:
        assert {status for status, _ in answers} == {200}
        assert answers[0][1] == '{"predictions":[0,2]}'
        assert answers[-1][1] == '{"predictions":[1,1]}'


def test_an_update_that_fails_leaves_the_old_one_serving(bench: Bench, ready: ServiceState, iris_model: Path) -> None:
    broken = bench.models / "broken"
    broken.mkdir()
    (broken / "model.joblib").write_bytes(b"this is no pickle")
    bench.apply(bench.manifest(NAME, broken))
    failed = bench.until(NAME, lambda s: any(r.exit_code == 1 for r in s.components[0].replicas))
    assert failed.serving_revision == ready.revision
    assert failed.revision == ready.revision + 1
    assert bench.post(failed, PREDICT, {"instances": ROWS}).json() == {"predictions": [1, 1]}
    replica = next(r for r in failed.components[0].replicas if r.exit_code == 1)
    assert "Traceback" in replica.last_log
    assert replica.reason == "CrashLoopBackOff"
    assert "Traceback" in "".join(sync.run(_logs(bench)))
    # Back to what works: the running processes already are what is wanted.
    bench.apply(ready.manifest)
    back = bench.until_ready(NAME)
    assert back.serving_revision == ready.revision + 2
    assert [r.name for r in back.components[0].replicas] == [r.name for r in ready.components[0].replicas]


def test_the_death_of_its_supervisor_is_noticed_by_whoever_looks(bench: Bench, ready: ServiceState) -> None:
    before = bench.status(NAME)
    os.kill(before.supervisor.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while any(c.is_alive for c in before.children):
        assert time.monotonic() < end, "the model server outlived its supervisor"
        time.sleep(0.02)
    # Not at the first look: for a moment a process that was seen is taken to live on.
    bench.until(NAME, lambda _: bench.status(NAME).supervisor != before.supervisor)
    again = bench.until_ready(NAME)
    assert again.url == ready.url
    assert again.grpc_url == ready.grpc_url
    assert bench.post(again, PREDICT, {"instances": ROWS}).status_code == 200


def test_pause_answers_at_once_and_resume_serves_again(bench: Bench, ready: ServiceState) -> None:
    children = bench.status(NAME).children
    sync.run(bench.engine.set_paused(NAME, True))
    paused = bench.until(NAME, lambda s: not s.components[0].replicas)
    assert not any(c.is_alive for c in children)
    assert {c.type: c.status for c in paused.conditions}["Stopped"] == "True"
    assert paused.revision == ready.revision
    answer = bench.post(paused, PREDICT, {"instances": ROWS})
    assert (answer.status_code, answer.json()["phase"]) == (503, "Paused")
    with grpc.insecure_channel(paused.grpc_url) as channel, pytest.raises(grpc.RpcError) as away:
        GRPCInferenceServiceStub(channel).ServerReady(pb.ServerReadyRequest(), timeout=30)
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE
    sync.run(bench.engine.set_paused(NAME, False))
    resumed = bench.until_ready(NAME)
    assert resumed.url == ready.url


def test_more_replicas_share_the_address_without_a_new_start(bench: Bench, ready: ServiceState) -> None:
    manifest = json.loads(json.dumps(ready.manifest))
    manifest["spec"]["predictor"]["minReplicas"] = 2
    bench.apply(manifest)
    two = bench.until(NAME, lambda s: s.components[0].ready == 2)
    first = ready.components[0].replicas[0]
    assert first.started in [r.started for r in two.components[0].replicas]
    assert len(bench.status(NAME).children) == 2


def test_a_service_that_nobody_asks_rests(bench: Bench, ready: ServiceState) -> None:
    manifest = json.loads(json.dumps(ready.manifest))
    manifest["metadata"]["annotations"]["kale-serve-ext/idle-limit"] = "1"
    processes = {r.name for r in ready.components[0].replicas}
    assert {r.name for r in bench.apply(manifest).components[0].replicas} == processes
    bench.until(NAME, lambda s: "serving.kserve.io/stop" in str(s.manifest) and not s.components[0].replicas)
    assert "Idle" in [e.reason for e in sync.run(bench.engine.events(NAME))]


def test_delete_leaves_nothing(bench: Bench, served: ServiceState) -> None:
    status = bench.status(NAME)
    sync.run(bench.engine.delete(NAME))
    assert not status.supervisor.is_alive
    assert not any(c.is_alive for c in status.children)
    assert not list((bench.settings.data_dir / "services" / "default").iterdir())
    assert not list(bench.settings.sockets.iterdir())
    with pytest.raises(httpx.ConnectError):
        bench.post(served, PREDICT, {"instances": ROWS})
    with pytest.raises(NotFoundError):
        bench.get(NAME)
    with pytest.raises(NotFoundError):
        sync.run(bench.engine.delete(NAME))


async def _logs(bench: Bench) -> list[str]:
    return [piece async for piece in bench.engine.logs(NAME)]
