"""Knative mode on a real cluster: versions that share the requests, scaling to zero, and what goes wrong there."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import httpx
import pytest

from kale_serve_ext import Endpoint, Model, ServeConfig, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.errors import ConflictError, InvalidInputError, NotFoundError, PlanError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.types import Service
from kale_serve_ext.sync import run
from tests.cluster.conftest import BEFORE_PAUSE, KNATIVE, STANDARD, manifest, told

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
PODS = "/api/v1/namespaces/{}/pods"
MODE = "serving.kserve.io/deploymentMode"
IN_KNATIVE: Mapping[str, str] = {MODE: KNATIVE}
IMAGE = "kale/sklearnserver:local"
# Knative's proxy waits for as long as a request may take before it lets a pod end.
QUICK: Mapping[str, JSON] = {"timeout": 5}
ROW = [[5.1, 3.5, 1.4, 0.2]]
# Answers with the variable V, or through a predictor with what that answers.
SERVE = """
import os, signal, sys, urllib.request
from http.server import *
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        host = sys.argv[sys.argv.index("--predictor_host") + 1] if "--predictor_host" in sys.argv else ""
        body = urllib.request.urlopen(f"http://{host}/").read() if host else os.environ["V"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module", autouse=True)
def ingress(kube_admin: Kube) -> str:
    """Where Knative's hosts answer."""
    try:
        kube_admin.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/services.serving.knative.dev")
    except NotFoundError:
        pytest.skip("needs Knative Serving in the cluster (it has no services.serving.knative.dev)")
    if not os.environ.get("KALE_INGRESS"):
        pytest.skip("needs the address of Knative's ingress ($KALE_INGRESS not set)")
    return os.environ["KALE_INGRESS"]


def container(value: str, **more: JSON) -> dict[str, JSON]:
    """A component that is a program."""
    env: JSON = [{"name": "V", "value": value}]
    made: JSON = {"name": "kserve-container", "image": IMAGE, "command": ["python3", "-uc", SERVE], "env": env, **more}
    return {"containers": [made]}


def program(namespace: str, name: str, value: str = "1", *, mode: str = KNATIVE, **spec: JSON) -> Manifest:
    predictor = {**container(value), **QUICK, **spec.pop("predictor", {})}  # type: ignore[dict-item]  # a mapping in these tests
    return manifest(namespace, name, {"predictor": predictor, **spec}, mode)


def shares(service: Service) -> list[int]:
    """What the newest version gets, and the others after it."""
    return [share.percent for share in service.shares]


def host(kube_admin: Kube, namespace: str, name: str, component: str = "predictor") -> str:
    found = kube_admin.get(f"{SERVICES.format(namespace)}/{name}")
    url: str = found["status"]["components"][component]["url"]  # type: ignore[call-overload,index,assignment]
    return url.removeprefix("http://")


def predicts(endpoint: Endpoint, value: int) -> None:
    """The endpoint's own requests, which go to one version only without an ingress, do so within seconds."""
    end = time.monotonic() + 10
    while endpoint.predict(ROW) != {"predictions": [value]}:
        assert time.monotonic() < end
        time.sleep(0.5)


def ask(ingress: str, host: str, count: int, body: JSON = None, path: str = "/") -> Counter[str]:
    """The answers to so many requests, as a client outside of the cluster gets them."""
    with httpx.Client(base_url=ingress, headers={"Host": host}, timeout=60, trust_env=False) as client:
        answers = [client.request("POST" if body else "GET", path, json=body) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    return Counter(answer.text for answer in answers)


@pytest.fixture(scope="module", autouse=True)
def swept(workspace: Settings, kube_admin: Kube, namespace: str) -> Iterator[None]:
    """All services go at once in the end, and their pods before the namespace."""
    yield
    for service in kube_admin.list(SERVICES.format(namespace)):
        remove(kube_admin, namespace, str(service["metadata"]["name"]))  # type: ignore[call-overload,index]
    end = time.monotonic() + 60
    while kube_admin.list(PODS.format(namespace)):
        assert time.monotonic() < end
        time.sleep(0.5)


def remove(kube_admin: Kube, namespace: str, name: str) -> None:
    """Begin to remove a service."""
    kube_admin.delete(f"{SERVICES.format(namespace)}/{name}")


@pytest.fixture(scope="module")
def asleep(engine: ClusterEngine, namespace: str) -> str:
    """A service that may scale to zero, made before the others so that it has time to."""
    run(engine.apply(program(namespace, "asleep", predictor={"minReplicas": 0})))
    return "asleep"


@pytest.fixture(scope="module")
def endpoint(asleep: str, versions: list[Model]) -> Endpoint:
    config = ServeConfig(annotations=IN_KNATIVE, predictor=QUICK)
    return serve(versions[0].id, name="shared", runtime="kale-sklearn", serve_config=config, timeout=120)


def test_a_new_version_gets_its_share_and_is_rolled_back_or_promoted(
    endpoint: Endpoint, versions: list[Model], kube_admin: Kube, namespace: str, ingress: str
) -> None:
    name = host(kube_admin, namespace, "shared")

    def measured(count: int) -> int:
        """How many of so many requests the second version answered."""
        answers = ask(ingress, name, count, {"instances": ROW}, "/v1/models/shared:predict")
        assert set(answers) <= {'{"predictions":[1]}', '{"predictions":[2]}'}
        return answers['{"predictions":[2]}']

    assert (endpoint.phase, endpoint.service.mode) == ("Ready", "Knative")
    with pytest.raises(ConflictError, match="no earlier version"):
        endpoint.rollback()

    endpoint.update(versions[1].id, canary=20, timeout=120)
    service = endpoint.service
    assert shares(service) == [20, 80]
    assert [s.model.version for s in service.shares if s.model] == ["2", "1"]
    assert service.reason == "Of the requests 20 % go to version 2 and 80 % go to version 1."
    assert (service.replicas_ready, service.replicas_wanted) == (2, 2)
    # Four standard deviations around 40 of 200.
    assert 17 <= measured(200) <= 63

    refused = InvalidInputError if BEFORE_PAUSE else ConflictError
    with pytest.raises(refused, match=r"after a pause the newest would get all requests|cannot pause a service"):
        endpoint.pause()

    endpoint.update(canary=70)
    assert shares(endpoint.service) == [70, 30]

    endpoint.rollback()
    assert endpoint.reason == "All requests go to version 1; version 2 gets none."
    assert measured(30) == 0
    predicts(endpoint, 1)

    endpoint.promote()
    assert shares(endpoint.service) == [100, 0]
    assert measured(30) == 30
    predicts(endpoint, 2)

    # What had all requests can be left for the one before, too.
    endpoint.rollback()
    assert shares(endpoint.service) == [0, 100]
    assert measured(30) == 0

    # Nor does the one that was rolled back get requests while the next one comes.
    endpoint.update(versions[0].id, wait=False)
    assert measured(100) == 0
    endpoint.wait(120)
    assert shares(endpoint.service) == [0, 100]


def test_serving_again_keeps_the_mode(endpoint: Endpoint, versions: list[Model]) -> None:
    served = serve(versions[1].id, name="shared", runtime="kale-sklearn", timeout=120)
    assert (served.phase, served.service.mode) == ("Ready", "Knative")


def test_a_transformer_stands_before_both_versions(
    engine: ClusterEngine, kube_admin: Kube, namespace: str, ingress: str
) -> None:
    transformer: JSON = container("-")
    run(engine.apply(program(namespace, "chain", "1", transformer=transformer)))
    told(engine, "chain", "Ready")
    changed = program(namespace, "chain", "2", predictor={"canaryTrafficPercent": 50}, transformer=container("+"))
    [check] = [c for c in run(engine.dry_run(changed)) if c.level != "ok"]
    assert (check.level, check.code) == ("warning", "TransformerAtOnce")
    run(engine.apply(program(namespace, "chain", "2", predictor={"canaryTrafficPercent": 50}, transformer=transformer)))
    told(engine, "chain", "Ready", "Of the requests 50 % go to .*")
    answers = ask(ingress, host(kube_admin, namespace, "chain", "transformer"), 60)
    assert set(answers) == {"1", "2"}
    assert 14 <= answers["2"] <= 46
    remove(kube_admin, namespace, "chain")


def test_standard_mode_ignores_a_share_and_so_it_is_refused(
    engine: ClusterEngine, kube_admin: Kube, namespace: str, workspace: Settings
) -> None:
    run(engine.apply(program(namespace, "standard", "1", mode=STANDARD)))
    assert told(engine, "standard", "Ready").mode == "Standard"
    # What it has for that mode is for models only, and older ones do not know it.
    with pytest.raises(PlanError, match=r"canary requires a stable predictor with a model|does not know spec\.canary"):
        Endpoint("standard").update(canary=20)
    second = program(namespace, "standard", "2", mode=STANDARD, predictor={"canaryTrafficPercent": 20})
    assert [c.code for c in run(engine.dry_run(second)) if c.level == "error"] == ["CanaryIgnored"]

    # That is so: applied all the same, the second version gets everything.
    run(engine.apply(second))
    told(engine, "standard", "Ready")
    seen = {_through_the_api_server(kube_admin, namespace, "standard-predictor") for _ in range(30)}
    assert seen == {"2"}


def _through_the_api_server(kube_admin: Kube, namespace: str, service: str) -> str:
    # The answer is a number, which is JSON too.
    return str(kube_admin.get(f"/api/v1/namespaces/{namespace}/services/{service}:80/proxy/"))


FAULTS = {
    "unknown-image": (
        {"image": "registry.invalid/none:1"},
        r'The predictor cannot start: Unable to fetch image "registry\.invalid/none:1": .*',
    ),
    "no-image": ({"image": "kale/none:1"}, r"The predictor cannot start: Failed to pull image .*"),
    "crash": (
        {"command": ["python3", "-uc", "import time\ntime.sleep(1)\nraise ValueError('no such column')"]},
        r"The predictor ended with exit code 1: ValueError: no such column\..*",
    ),
}


def test_faults_are_told_with_their_causes(engine: ClusterEngine, kube_admin: Kube, namespace: str) -> None:
    for name, (change, _) in FAULTS.items():
        run(engine.apply(program(namespace, name, predictor=container("1", **change))))  # type: ignore[arg-type]
    for name, (_, reason) in FAULTS.items():
        service = told(engine, name, "Failed", reason)
        assert (service.replicas_ready, service.serving_revision) == (0, 0)
        remove(kube_admin, namespace, name)


def test_a_failed_update_leaves_the_version_before_answering(
    engine: ClusterEngine, kube_admin: Kube, namespace: str, ingress: str
) -> None:
    run(engine.apply(program(namespace, "update")))
    told(engine, "update", "Ready")
    broken = container("2", image="registry.invalid/none:1")
    run(engine.apply(program(namespace, "update", predictor=broken)))
    service = told(engine, "update", "Degraded", r"Revision 2 fails, revision 1 still answers\. .*Unable to fetch .*")
    assert shares(service) == [0, 100]
    assert ask(ingress, host(kube_admin, namespace, "update"), 5) == {"1": 5}


def test_a_share_is_a_percentage(endpoint: Endpoint) -> None:
    with pytest.raises(InvalidInputError, match="0 to 100"):
        endpoint.update(canary=101)


def test_scaled_to_zero_is_idle_and_the_next_request_wakes_it(
    asleep: str, engine: ClusterEngine, kube_admin: Kube, namespace: str, ingress: str
) -> None:
    idle = told(engine, asleep, "Idle", r"Scaled to zero; the next request starts it\.", within=100)
    assert (idle.replicas_ready, idle.replicas_wanted) == (0, 0)
    assert ask(ingress, host(kube_admin, namespace, asleep), 1) == {"1": 1}
    awake = told(engine, asleep, "Ready")
    assert awake.replicas_ready == 1
    # Nobody who waits for it is told of a failure.
    assert run(deploy.update(asleep, engine=engine, metadata=session.metadata(), provenance=here())).phase == "Ready"
