"""Every way to a model that runs in the cluster, and what is said where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster.credentials import find_place, load
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.cluster.pods import is_ready
from kale_serve_ext.engines.fields import annotations_of, mapping, mappings, name_of, text
from kale_serve_ext.errors import (
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    PredictionError,
)
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.client import PredictionClient
from kale_serve_ext.serving.predict import predict
from kale_serve_ext.sync import loop, run
from tests.cluster.conftest import KNATIVE, manifest, told

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

IMAGE = "kale/sklearnserver:local"
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
ANSWER = {"predictions": [0, 2]}
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/"
PROXY = {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get", "create"]}
FORWARD = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
READ = [
    {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["get", "list"]},
    {"apiGroups": ["", "apps"], "resources": ["pods", "events", "deployments", "replicasets"], "verbs": ["list"]},
]
# It answers with what it was sent, as bytes, and speaks no gRPC.
ECHO = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = int(self.headers["Inference-Header-Content-Length"])
        [tensor] = json.loads(body[:at])["inputs"]
        head = json.dumps({"model_name": "echo", "outputs": [{**tensor, "name": "output-0"}]}).encode()
        self.send_response(200)
        self.send_header("Inference-Header-Content-Length", str(len(head)))
        self.send_header("Content-Length", str(len(head + body[at:])))
        self.end_headers()
        self.wfile.write(head + body[at:])
HTTPServer(("", 8080), Echo).serve_forever()
"""


@pytest.fixture(scope="module")
def model(workspace: Settings) -> Model:
    features, target = load_iris(return_X_y=True)
    return Model(LogisticRegression(max_iter=500).fit(features, target), name="iris", version="1").submit_artifact()


@pytest.fixture(scope="module")
def endpoint(model: Model, kube_admin: Kube, namespace: str) -> Endpoint:
    """Three services that start together: a model, the same behind a batcher, and a program without gRPC."""
    # The batcher itself would take half a minute to end.
    batched = {"predictor": {"batcher": {"maxBatchSize": 4, "maxLatency": 50}, "terminationGracePeriodSeconds": 1}}
    container: JSON = {"name": "kserve-container", "image": IMAGE, "command": ["python3", "-uc", ECHO]}
    program: dict[str, JSON] = {"predictor": {"containers": [container]}}
    serve(model.id, name="batched", runtime="kale-sklearn", serve_config=batched, wait=False)
    run(session.engine().apply(manifest(namespace, "echo", program)))
    made = serve(model.id, name="iris", runtime="kale-sklearn", timeout=120)
    for name in ("batched", "echo"):
        Endpoint(name).wait(120)
    return made


@pytest.fixture
def user(
    endpoint: Endpoint, kube_admin: Kube, namespace: str, workspace: Settings, tmp_path: Path
) -> Iterator[Callable[..., PredictionClient]]:
    """Gives a client of a service for an account that may only read, and what is granted to it beside."""
    engines: list[ClusterEngine] = []

    def make(service: str, *granted: JSON) -> PredictionClient:
        name = f"user-{len(engines)}-{os.urandom(2).hex()}"
        subject: JSON = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        role: JSON = {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        metadata: JSON = {"name": name}
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        kube_admin.create(accounts, {"metadata": metadata})
        kube_admin.create(RBAC.format(namespace) + "roles", {"metadata": metadata, "rules": [*READ, *granted]})
        kube_admin.create(
            RBAC.format(namespace) + "rolebindings", {"metadata": metadata, "roleRef": role, "subjects": [subject]}
        )
        made = kube_admin.create(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 600}})
        token = text(mapping(made.get("status")).get("token"))
        path = tmp_path / name
        path.write_text(kubeconfig(token))
        engines.append(ClusterEngine(replace(workspace, kubeconfig=str(path))))
        return PredictionClient(engines[-1], service)

    yield make
    for engine in engines:
        run(engine.close())


def kubeconfig(token: str) -> str:
    known = load(find_place()).config
    cluster = {"server": known.host, "certificate-authority": known.ssl_ca_cert}
    made = {
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "one", "user": {"token": token}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }
    return json.dumps(made)


def output(endpoint: Endpoint, protocol: str, rows: np.ndarray = ROWS) -> Mapping[str, JSON]:
    [only] = mappings(mapping(cast("JSON", endpoint.predict(rows, protocol=protocol))).get("outputs"))
    return only


def forwards(settings: Settings) -> list[Path]:
    return list(settings.sockets.glob("forward-*"))


def test_arrays_go_by_grpc_from_outside(endpoint: Endpoint, workspace: Settings) -> None:
    assert endpoint.predict(ROWS.tolist()) == ANSWER
    assert forwards(workspace) == []
    assert endpoint.predict(ROWS) == ANSWER
    [socket] = forwards(workspace)
    assert socket.is_socket()
    assert socket.parent.stat().st_mode & 0o077 == 0
    assert output(endpoint, "grpc-v2")["data"] == [0, 2]
    assert session.engine().info.grpc


def test_the_ways_end_with_the_connection(endpoint: Endpoint, workspace: Settings) -> None:
    threads = threading.active_count()
    before = forwards(workspace)
    client = PredictionClient(session.engine(), "batched")
    run(client.call(ROWS, protocol="grpc-v2"))
    assert len(forwards(workspace)) == len(before) + 1
    run(client.close())
    assert forwards(workspace) == before
    assert threading.active_count() == threads


def test_requests_by_rest_need_no_loop(endpoint: Endpoint) -> None:
    asked = [(ROWS.tolist(), "v1"), (ROWS.tolist(), "v2"), (ROWS, "v2-binary"), ([[1.0]], "v1"), ("{", "v1")]
    wanted = [_told(run, endpoint._client.call(data, protocol=kind)) for data, kind in asked]
    run(endpoint._client.target())
    over = threading.Event()
    in_time: list[bool] = []
    loop().call_soon_threadsafe(lambda: in_time.append(over.wait(60)))
    told = [_told(cast("Callable[..., JSON]", endpoint.predict), data, protocol=kind) for data, kind in asked]
    over.set()
    run(asyncio.sleep(0))
    assert in_time == [True]
    assert told == wanted


def _told(ask: Callable[..., JSON], *arguments: object, **options: str) -> JSON:
    """The answer without its identifier, or the error's message."""
    try:
        return {**mapping(ask(*arguments, **options)), "id": ""}
    except KaleServeError as error:
        return error.message


def test_a_login_that_was_renewed_is_not_noticed(user: Callable[..., PredictionClient]) -> None:
    client = user("iris", PROXY)
    assert run(client.call(ROWS.tolist())) == ANSWER
    assert isinstance(client._engine, ClusterEngine)
    client._engine._api._token = "Bearer expired"
    assert client.call_blocking(ROWS.tolist()) == ANSWER
    assert client._engine._api._token != "Bearer expired"


def test_every_protocol_gives_the_same(endpoint: Endpoint) -> None:
    told = {"name": "output-0", "shape": [2], "datatype": "INT64", "data": [0, 2]}
    for protocol in ("v2", "v2-binary", "grpc-v2"):
        assert told.items() <= output(endpoint, protocol).items()


def test_bytes_pass_the_proxy_both_ways(endpoint: Endpoint) -> None:
    rows = ROWS.astype("f4")
    told = {"name": "output-0", "shape": [2, 4], "datatype": "FP32", "data": rows.ravel().tolist()}
    assert output(Endpoint("echo"), "v2-binary", rows) == told


def test_a_program_without_grpc_says_so_and_what_to_use(endpoint: Endpoint) -> None:
    with pytest.raises(InvalidInputError, match=r"does not answer by gRPC: nothing listens on port 8081") as told:
        Endpoint("echo").predict(ROWS, protocol="grpc-v2")
    assert "v2" in told.value.hint


def test_a_failure_that_the_batcher_hides_is_told(endpoint: Endpoint) -> None:
    batched = Endpoint("batched")
    # Past the batcher the rows would not be batched: it goes by REST.
    answer = batched.predict(ROWS)
    assert isinstance(answer, dict)
    assert answer["predictions"] == [0, 2]
    assert "batchId" in answer
    with pytest.raises(PredictionError, match=r"The model failed: ValueError: X has 1 features") as told:
        batched.predict([[1.0]])
    assert told.value.answer_status == 200


def test_without_the_proxy_http_goes_by_port_forward(user: Callable[..., PredictionClient]) -> None:
    client = user("iris", FORWARD)
    for _ in range(2):
        assert run(client.call(ROWS.tolist())) == ANSWER
        assert client.call_blocking(ROWS.tolist()) == ANSWER
    assert run(client.call(ROWS)) == ANSWER


def test_without_port_forward_arrays_go_by_rest(user: Callable[..., PredictionClient]) -> None:
    client = user("iris", PROXY)
    assert run(client.call(ROWS)) == ANSWER
    with pytest.raises(PermissionDeniedError, match=r'cannot get resource "pods/portforward"'):
        run(client.call(ROWS, protocol="grpc-v2"))


def test_without_any_way_both_rights_are_named(user: Callable[..., PredictionClient]) -> None:
    client = user("iris")
    for _ in range(2):
        with pytest.raises(PermissionDeniedError) as told:
            run(client.call(ROWS.tolist()))
        assert 'cannot create resource "services/proxy"' in told.value.message
        assert 'cannot get resource "pods/portforward"' in told.value.message
        assert "get and create services/proxy, or pods/portforward" in told.value.hint


def test_a_copied_command_works_as_it_is(endpoint: Endpoint) -> None:
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl on PATH")
    told = run(predict(session.engine(), "iris", raw='{"instances": [[5.1, 3.5, 1.4, 0.2]], "it\'s": "$HOME %s"}'))
    made = subprocess.run(["sh", "-c", told.command], capture_output=True, text=True, timeout=30, check=True)
    assert made.stdout == '{"predictions":[0]}'


def test_copied_python_names_where_the_service_is(endpoint: Endpoint, namespace: str) -> None:
    told = run(predict(session.engine(), "iris", rows=ROWS.tolist()))
    space: dict[str, object] = {}
    exec(told.python.replace("endpoint.predict", "answer = endpoint.predict"), space)
    assert space["answer"] == ANSWER
    assert f"engine='cluster', namespace={namespace!r}" in told.python


@contextmanager
def gateway() -> Iterator[ThreadingHTTPServer]:
    """A gateway that wants a token, and answers with the host that was asked for."""

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != "Bearer letmein":
                self.send_response(302)
                self.send_header("Location", "https://login.example.com/dex/auth?state=secret")
                self.end_headers()
                return
            body = b'{"predictions": ["%s"]}' % self.headers["Host"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_ingress_is_used_with_host_and_token(
    endpoint: Endpoint, workspace: Settings, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("expired\n")
    end = time.monotonic() + 30
    while not (service := endpoint.service).external_url:
        assert time.monotonic() < end, "KServe gives it no external address"
        time.sleep(0.2)
    assert namespace in service.url
    assert service.external_url not in service.url
    assert f"external, not verified: {service.external_url}" in repr(endpoint)
    assert f"<code>{service.external_url}</code> <small>not verified" in endpoint._repr_html_()
    assert 'href="' not in endpoint._repr_html_()
    with gateway() as server:
        base = f"http://127.0.0.1:{server.server_port}"
        engine = ClusterEngine(replace(workspace, cluster_ingress=base, cluster_ingress_token_file=str(file)))
        client = PredictionClient(engine, "iris")
        with pytest.raises(PermissionDeniedError, match=r"requires a login \(at login.example.com/dex/auth\)") as told:
            run(client.call(ROWS.tolist()))
        assert "secret" not in str(told.value)
        # It is renewed in place.
        file.write_text("letmein\n")
        host = service.external_url.removeprefix("http://")
        assert run(client.call(ROWS.tolist())) == client.call_blocking(ROWS.tolist()) == {"predictions": [host]}
        state = run(engine.get("iris"))
        assert (state.url, state.external_url) == (service.external_url, "")
        copied = run(predict(engine, "iris", rows=ROWS.tolist())).command
        assert "letmein" not in copied
        made = subprocess.run(["sh", "-c", copied], capture_output=True, text=True, timeout=30, check=True)
        assert host in made.stdout
        run(engine.close())


@pytest.fixture(scope="module")
def knative(endpoint: Endpoint, kube_admin: Kube, namespace: str) -> bool:
    """Whether a service in Knative mode was started, which is ready later."""
    try:
        kube_admin.get("/apis/serving.knative.dev/v1")
    except NotFoundError:
        return False
    like = endpoint.service.manifest
    predictor = mapping(mapping(like.get("spec")).get("predictor"))
    storage = {key: value for key, value in annotations_of(like).items() if "storage" in key}
    # With Knative a pod is given as long to end as a request may take.
    spec: JSON = {"predictor": {**predictor, "minReplicas": 1, "timeout": 2}}
    run(session.engine().apply(manifest(namespace, "knative", spec, KNATIVE, storage)))
    return True


@pytest.mark.usefixtures("knative")
def test_a_restarted_pod_is_not_noticed(endpoint: Endpoint, kube_admin: Kube, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"

    def own() -> list[str]:
        return [name_of(pod) for pod in kube_admin.list(pods) if name_of(pod).startswith("iris-")]

    # The one that the channel leads to goes, once there is another.
    assert endpoint.predict(ROWS) == ANSWER
    [first] = own()
    endpoint.update(replicas=2, timeout=120)
    end = time.monotonic() + 60
    while len(ready := [pod for pod in kube_admin.list(pods) if is_ready(pod) and name_of(pod) in own()]) < 2:
        assert time.monotonic() < end, f"only {len(ready)} pods are ready"
        time.sleep(0.2)
    kube_admin.delete(f"{pods}/{first}")
    end = time.monotonic() + 60
    while first in own():
        assert time.monotonic() < end, "the pod is still there"
        assert endpoint.predict(ROWS, protocol="grpc-v2")
    for _ in range(20):
        assert endpoint.predict(ROWS, protocol="grpc-v2")


def test_in_knative_mode_a_model_is_reached_by_proxy_and_ingress(knative: bool, workspace: Settings) -> None:
    ingress = os.environ.get("KALE_INGRESS")
    if not knative or not ingress:
        pytest.skip("needs Knative, and the address of its gateway ($KALE_INGRESS)")
    proxied, outside = ClusterEngine(workspace), ClusterEngine(replace(workspace, cluster_ingress=ingress))
    told(proxied, "knative", "Ready", within=90)
    for engine in (proxied, outside):
        assert run(asyncio.wait_for(PredictionClient(engine, "knative").call(ROWS), 60)) == ANSWER
        run(engine.close())
