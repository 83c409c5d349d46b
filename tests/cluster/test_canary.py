"""A new version beside the one before in Standard mode, as far as a cluster without a gateway shows it.

KServe 0.20 runs it and sends it nothing. The routes that a later one would write are written here, to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from kale_serve_ext import Endpoint, Model, ServeConfig, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.fields import mapping, mappings
from kale_serve_ext.engines.kserve import canaries_of
from kale_serve_ext.errors import ConflictError
from kale_serve_ext.ml import JSON
from kale_serve_ext.sync import run
from tests.cluster.conftest import CRDS, STANDARD, kind, manifest, told

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
MODE: Mapping[str, str] = {"serving.kserve.io/deploymentMode": STANDARD}
ROW = [[5.1, 3.5, 1.4, 0.2]]
ONLY_OLD = "All requests go to version 1; version 2 gets none."


@pytest.fixture(scope="module", autouse=True)
def known(kube_admin: Kube) -> None:
    """KServe's own word for it."""
    definition = kube_admin.get(f"{CRDS}/inferenceservices.serving.kserve.io")
    found = [v for v in mappings(mapping(definition["spec"]).get("versions")) if v.get("name") == "v1beta1"]
    for key in ("schema", "openAPIV3Schema", "properties", "spec", "properties"):
        found = [mapping(v.get(key)) for v in found]
    if not any("canary" in fields for fields in found):
        pytest.skip("needs a KServe that knows spec.canary (this one is older than 0.20)")


@pytest.fixture(scope="module")
def routes(kube_admin: Kube, known: None) -> Iterator[None]:
    """The kind of the Gateway API's routes, with nobody who acts on them."""
    with kind(kube_admin, "gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"):
        yield


@pytest.fixture(scope="module")
def endpoint(routes: None, versions: list[Model]) -> Endpoint:
    config = ServeConfig(annotations=MODE)
    return serve(versions[0].id, name="split", runtime="kale-sklearn", serve_config=config, timeout=120)


def answers(endpoint: Endpoint, count: int = 20) -> set[str]:
    return {str(endpoint.predict(ROW)) for _ in range(count)}


def served_from(versions: list[Model]) -> list[bool]:
    """Whether the metadata says of each that the service is made from it."""
    return [bool(run(session.metadata().deployments(model.id or 0))) for model in versions]


def of_canary(kube_admin: Kube, namespace: str) -> JSON:
    """What the version beside answers under its own name."""
    path = f"/api/v1/namespaces/{namespace}/services/split-canary-predictor:80/proxy/v1/models/split:predict"
    return kube_admin.create(path, {"instances": ROW})["predictions"]


def route(kube_admin: Kube, namespace: str, percent: int) -> None:
    """As a KServe would write it that splits requests."""
    backends: JSON = [
        {"name": "split-predictor", "port": 80, "weight": 100 - percent},
        {"name": "split-canary-predictor", "port": 80, "weight": percent},
    ]
    service = kube_admin.get(f"{SERVICES.format(namespace)}/split")
    owner: JSON = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "name": "split",
        "uid": service["metadata"]["uid"],  # type: ignore[call-overload,index]
        "controller": True,
    }
    made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    metadata: JSON = {"name": "split", "ownerReferences": [owner]}
    spec: JSON = {"rules": [{"backendRefs": backends}]}
    kube_admin.create(ROUTES.format(namespace), {**made, "metadata": metadata, "spec": spec})


def test_without_a_gateway_it_is_refused(kube_admin: Kube, settings: Settings, namespace: str) -> None:
    """Before there are routes, in this module."""
    if kube_admin.has(f"{CRDS}/httproutes.gateway.networking.k8s.io"):
        pytest.skip("needs a cluster without the Gateway API")
    model: JSON = {"modelFormat": {"name": "sklearn"}, "runtime": "kale-sklearn", "storageUri": "s3://none/1"}
    beside: JSON = {"predictor": {"name": "canary", "model": model}, "trafficPercent": 20}
    engine = ClusterEngine(settings)
    checks = run(engine.dry_run(manifest(namespace, "refused", {"predictor": {"model": model}, "canary": [beside]})))
    run(engine.close())
    assert [(c.level, c.code) for c in checks] == [("ok", "Accepted"), ("error", "NoGateway")]


def test_a_new_version_runs_beside_the_one_before_and_takes_its_place_or_goes(
    endpoint: Endpoint, versions: list[Model], engine: ClusterEngine, kube_admin: Kube, namespace: str
) -> None:
    assert (endpoint.service.mode, endpoint.service.can_split) == ("Standard", True)
    with pytest.raises(ConflictError, match="no earlier version"):
        endpoint.rollback()
    with pytest.raises(ConflictError, match="no earlier version"):
        endpoint.update(canary=20)

    endpoint.update(versions[1].id, canary=20, timeout=120)
    service = told(engine, "split", "Ready", ONLY_OLD)
    assert [(s.percent, s.newest, s.assumed) for s in service.shares] == [(0, True, False), (100, False, False)]
    assert (service.replicas_ready, service.replicas_wanted) == (2, 2)
    assert service.model
    assert service.model.version == "1"
    assert answers(endpoint) == {"{'predictions': [1]}"}
    # Nor by gRPC, which goes to a pod.
    given = [cast("JSON", endpoint.predict(np.array(ROW), protocol="grpc-v2")) for _ in range(10)]
    by_grpc = [mapping(one).get("outputs") for one in given]
    assert [output.get("data") for outputs in by_grpc for output in mappings(outputs)] == [[1]] * 10
    assert of_canary(kube_admin, namespace) == [2]
    assert served_from(versions) == [True, True]

    route(kube_admin, namespace, 20)
    told(engine, "split", "Ready", "Of the requests 20 % go to version 2 and 80 % go to version 1.")

    endpoint.update(canary=50)
    assert canaries_of(endpoint.service.manifest)[0]["trafficPercent"] == 50
    endpoint.rollback()
    assert endpoint.service.shares == ()
    assert served_from(versions) == [True, False]
    assert answers(endpoint, 5) == {"{'predictions': [1]}"}

    endpoint.update(versions[1].id, canary=20, timeout=120)
    endpoint.promote()
    service = endpoint.service
    assert (service.phase, service.shares) == ("Ready", ())
    assert service.model
    assert service.model.version == "2"
    assert served_from(versions) == [False, True]
    assert answers(endpoint) == {"{'predictions': [2]}"}


def test_one_that_fails_leaves_the_one_before_answering(
    endpoint: Endpoint, versions: list[Model], engine: ClusterEngine, kube_admin: Kube, namespace: str
) -> None:
    serve(versions[1].id, name="split", runtime="kale-sklearn", timeout=120)
    entry: JSON = {
        "predictor": {"name": "canary", "model": {"image": "registry.invalid/none:1"}},
        "trafficPercent": 20,
    }
    # As somebody else: what others have set is taken back only where that is wished.
    kube_admin.patch_merge(f"{SERVICES.format(namespace)}/split", {"spec": {"canary": [entry]}})
    told(engine, "split", "Degraded", r"Revision \d+ fails, revision \d+ still answers\. .*image.*", within=90)
    assert answers(endpoint, 5) == {"{'predictions': [2]}"}
    with pytest.raises(ConflictError, match=r"has set spec\.canary"):
        endpoint.rollback()
    endpoint.rollback(force=True)
    assert (told(engine, "split", "Ready").shares, answers(endpoint, 5)) == ((), {"{'predictions': [2]}"})
