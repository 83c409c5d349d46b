"""Whom a service of this machine answers, and that nobody stops its model behind the supervisor's back."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from kale_serve_ext import sync
from kale_serve_ext.engines.base import ServiceState
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.engines.local.state import Ports
from kale_serve_ext.ml import JSON
from kale_serve_ext.runner import peers
from kale_serve_ext.serving.predict import as_curl

if TYPE_CHECKING:
    from tests.engines.conftest import Bench

NAME = "guarded"
PREDICT = f"/v1/models/{NAME}:predict"
BODY = {"instances": [[1.0]]}
MODEL = """
import os
from pathlib import Path

from kserve import Model

class Moody(Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def healthy(self):
        return not Path(os.environ["UNREADY"]).exists()

    def predict(self, payload, headers=None):
        return {"predictions": payload["instances"]}
"""
TRANSFORMER = """
def preprocess(request):
    return request
"""
OTHER_USER = """
import copy, encodings.idna, http.client, json, os, sys
import grpc

# The second user may not be able to read this interpreter's files: what is imported late has been by now.
with grpc.insecure_channel("127.0.0.1:1") as channel:
    try:
        channel.unary_unary("/none/none")(b"", timeout=30)
    except grpc.RpcError:
        pass

os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = []
for http_port, grpc_port in json.loads(sys.argv[1]):
    for method, path in (("GET", "/v2/models"), ("GET", "/metrics"), ("POST", sys.argv[2]), ("HEAD", "/")):
        connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=30)
        body = json.dumps({"instances": [[1.0]]}) if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found.append([answer.status, answer.read().decode()])
    if grpc_port:
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            for method in ("ServerLive", "ModelInfer"):
                try:
                    channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(b"", timeout=30)
                    found.append(["OK", ""])
                except grpc.RpcError as error:
                    found.append([error.code().name, error.details()])
print(json.dumps(found))
"""
HAS_SECOND_USER = peers.AVAILABLE and os.geteuid() == 0


@pytest.fixture(scope="module")
def moods(bench: Bench) -> Path:
    """While this file is there, the model says that it is not ready."""
    return bench.models / "unready"


@pytest.fixture(scope="module")
def served(bench: Bench, moods: Path) -> Iterator[ServiceState]:
    model, transformer = bench.models / "moody", bench.models / "same"
    for folder, code in ((model, MODEL), (transformer, TRANSFORMER)):
        folder.mkdir()
        (folder / f"{'model' if folder is model else 'transformer'}.py").write_text(code)
    variables = {"STORAGE_URI": model.as_uri(), "KALE_SERVE_MODULE": "model", "KALE_SERVE_CLASS": "Moody"}
    container: JSON = {
        "name": "kserve-container",
        "image": "kale-serve-ext/predictor:test",
        "env": [{"name": k, "value": v} for k, v in {**variables, "UNREADY": str(moods)}.items()],
    }
    manifest = {**bench.manifest(NAME, model), "spec": {"predictor": {"containers": [container]}}}
    bench.apply(bench.with_transformer(manifest, transformer))
    yield bench.until_ready(NAME)
    sync.run(bench.engine.delete(NAME))


def ports(bench: Bench) -> list[Ports]:
    """Those of the transformer and of the predictor behind it."""
    return [bench.status(NAME).ports[key] for key in ("entry", "predictor")]


def as_another_user(addresses: list[Ports], grpc_too: bool = True) -> list[tuple[int | str, str]]:
    """How the requests of another user of this machine end, and what they are told."""
    given = json.dumps([[each.http, each.grpc if grpc_too else 0] for each in addresses])
    command = [sys.executable, "-c", OTHER_USER, given, PREDICT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return [(status, told) for status, told in json.loads(done.stdout)]


def test_models_are_not_loaded_or_unloaded_by_request(bench: Bench, served: ServiceState) -> None:
    for each in ports(bench):
        with httpx.Client(base_url=f"http://127.0.0.1:{each.http}", trust_env=False, timeout=30) as client:
            for verb in ("unload", "load"):
                refused = client.post(f"/v2/repository/models/{NAME}/{verb}")
                assert (refused.status_code, "pause and resume" in refused.json()["error"]) == (501, True)
        with grpc.insecure_channel(f"127.0.0.1:{each.grpc}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            for call, request in (
                (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name=NAME)),
                (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name=NAME)),
            ):
                with pytest.raises(grpc.RpcError) as told:
                    call(request, timeout=30)
                assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED
                assert "pause and resume" in str(told.value.details())
            assert stub.ModelReady(pb.ModelReadyRequest(name=NAME), timeout=30).ready
    assert bench.post(served, PREDICT, BODY).json() == {"predictions": [[1.0]]}


def test_a_model_that_says_it_is_not_ready_is_shown_so(bench: Bench, served: ServiceState, moods: Path) -> None:
    before = bench.status(NAME).children
    moods.touch()
    try:
        told = bench.until(NAME, lambda s: s.components[0].replicas[0].reason == "ModelNotReady")
    finally:
        moods.unlink()
    assert told.components[0].replicas[0].message == "The predictor says that it is not ready."
    assert (told.components[0].ready, told.components[1].ready, told.serving_revision) == (0, 1, 0)
    assert {c.type: c.status for c in told.conditions}["PredictorReady"] == "False"
    bench.until_ready(NAME)
    assert bench.status(NAME).children == before
    assert "ModelNotReady" in [e.reason for e in sync.run(bench.engine.events(NAME))]
    assert bench.post(served, PREDICT, BODY).json() == {"predictions": [[1.0]]}


def test_requests_that_a_page_can_send_are_refused(bench: Bench, served: ServiceState) -> None:
    for each in ports(bench):
        with httpx.Client(base_url=f"http://127.0.0.1:{each.http}", trust_env=False, timeout=30) as client:
            form = client.post(PREDICT, content=json.dumps(BODY), headers={"content-type": "text/plain"})
            assert (form.status_code, "application/json" in form.json()["error"]) == (415, True)
            for headers in (
                {"host": "evil.example"},
                {"origin": "https://evil.example"},
                {"sec-fetch-site": "cross-site"},
            ):
                for answer in (
                    client.get("/v2/models", headers=headers),
                    client.post(PREDICT, json=BODY, headers=headers),
                ):
                    assert (answer.status_code, "KALE_SERVE_LOCAL_HOSTNAMES" in answer.json()["error"]) == (403, True)
            # The connection of one that was refused serves no other request, and the next one is answered.
            assert client.post(PREDICT, json=BODY, headers={"host": f"localhost:{each.http}"}).is_success


def test_the_panel_s_command_is_answered(served: ServiceState) -> None:
    command = as_curl(served.url)(PREDICT, json.dumps(BODY))
    assert command.startswith("curl ")
    # As curl sends it, where there is no curl: by the headers that are written down.
    words = shlex.split(command)
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    content = words[words.index("-d") + 1]
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.post(words[2], content=content, headers=headers).json() == {"predictions": [[1.0]]}


def test_a_large_body_that_is_refused_is_answered(served: ServiceState) -> None:
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=60)
    connection.request("POST", PREDICT, bytes(32 * 2**20), {"Content-Type": "text/plain"})
    assert connection.getresponse().status == 415
    connection.close()


def test_calls_at_a_time_on_one_connection_have_a_limit(bench: Bench, served: ServiceState) -> None:
    """As the server's first frame says, its settings: an identifier of 2 bytes and a value of 4 each."""
    empty_settings = bytes(3) + b"\x04" + bytes(5)
    for each in ports(bench):
        with socket.create_connection(("127.0.0.1", each.grpc), timeout=60) as client, client.makefile("rb") as answer:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + empty_settings)
            head = answer.read(9)
            pairs = dict(struct.iter_unpack("!HI", answer.read(int.from_bytes(head[:3], "big"))))
        assert head[3] == 4
        assert pairs[3] == 128


@pytest.mark.skipif(not HAS_SECOND_USER, reason="only Linux tells whose a connection is, and a second user takes root")
def test_another_user_is_not_answered(bench: Bench, served: ServiceState) -> None:
    found = as_another_user(ports(bench))
    assert [status for status, _ in found] == 2 * [403, 403, 403, 403, "PERMISSION_DENIED", "PERMISSION_DENIED"]
    told = {json.loads(text)["error"] if text.startswith("{") else text for _, text in found if text}
    assert len(told) == 1
    assert "KALE_SERVE_LOCAL_ACCESS=machine" in told.pop()
    # The owner's own connections go on.
    assert bench.post(served, PREDICT, BODY).is_success


def test_a_supervisor_keeps_to_it_too_and_the_settings_open_it(bench: Bench, served: ServiceState) -> None:
    sync.run(bench.engine.set_paused(NAME, True))
    paused = bench.until(NAME, lambda s: not s.components[0].replicas)
    with httpx.Client(base_url=paused.url, trust_env=False, timeout=30) as client:
        assert client.get("/v2").json()["phase"] == "Paused"
        assert client.get("/v2", headers={"host": "evil.example"}).status_code == 403
        assert client.get("/v2", headers={"origin": "https://evil.example"}).status_code == 403
        assert client.post("/v2", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    if HAS_SECOND_USER:
        told = as_another_user(ports(bench)[:1], grpc_too=False)
        assert {status for status, _ in told} == {403}
        assert not any("Paused" in text for _, text in told)

    opened = LocalEngine(replace(bench.settings, local_access="machine", local_hostnames="hub.example"), "default")
    try:
        sync.run(opened.set_paused(NAME, False))
    finally:
        sync.run(opened.close())
    state = bench.until_ready(NAME)
    assert bench.post(state, PREDICT, BODY, host="hub.example").is_success
    assert bench.post(state, PREDICT, BODY, host="evil.example").status_code == 403
    if HAS_SECOND_USER:
        found = as_another_user(ports(bench)[:1])
        assert [status for status, _ in found] == [200, 200, 200, 200, "OK", "NOT_FOUND"]
