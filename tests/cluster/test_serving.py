"""The main job on a real cluster, by the same calls as on one machine."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import ConflictError, NotFoundError, PredictionError, ServiceNotReadyError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

ROW = [[5.1, 3.5, 1.4, 0.2]]
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"


def classifier(regularisation: float = 1.0) -> LogisticRegression:
    features, target = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=500, C=regularisation).fit(features, target)


@pytest.fixture(scope="module")
def iris(workspace: Settings) -> Model:
    return Model(model=classifier(), name="iris", version="1").submit_artifact()


@pytest.fixture(scope="module")
def endpoint(iris: Model) -> Endpoint:
    return serve(iris.id, name="iris", runtime="kale-sklearn", timeout=120)


def test_a_logged_model_answers(endpoint: Endpoint, namespace: str) -> None:
    assert endpoint.phase == "Ready"
    assert endpoint.predict(ROW) == {"predictions": [0]}
    assert endpoint.service.ref.engine == "cluster"
    assert endpoint.service.ref.namespace == namespace
    assert endpoint.predict(np.array(ROW)) == {"predictions": [0]}


def test_the_service_is_what_was_asked_for(endpoint: Endpoint, iris: Model) -> None:
    service = endpoint.service
    assert service.model is not None
    assert (service.model.id, service.model.version) == (iris.id, "1")
    assert (service.runtime, service.protocol, service.ours) == ("kale-sklearn", "v1", True)
    assert (service.replicas_ready, service.replicas_wanted) == (1, 1)


def test_a_plan_of_what_runs_changes_nothing(endpoint: Endpoint, iris: Model) -> None:
    request = ServeRequest(model_id=iris.id, name="iris", runtime="kale-sklearn")
    plan = run(make_plan(request, session.engine(), session.metadata()))
    assert plan.ok
    assert plan.differences == ()
    assert {"Update", "Accepted"} <= {check.code for check in plan.checks}


def test_the_cluster_s_refusal_is_in_the_plan(endpoint: Endpoint, iris: Model) -> None:
    # Admission looks at it before anything is applied: more is asked for than is allowed.
    config = {"predictor": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "many"}}}}
    request = ServeRequest(model_id=iris.id, name="refused", runtime="kale-sklearn", config=config)
    plan = run(make_plan(request, session.engine(), session.metadata()))
    assert not plan.ok
    assert [c.level for c in plan.checks if c.code.startswith("Cluster")] == ["error"]
    with pytest.raises(NotFoundError):
        Endpoint("refused")


def test_every_change_is_seen_by_a_watch(endpoint: Endpoint) -> None:
    async def watch() -> list[tuple[str, bool]]:
        seen: list[tuple[str, bool]] = []
        async for event in session.engine().watch():
            if event.ref.name == "iris":
                paused = event.state is not None and describe(event.state).phase == "Paused"
                seen.append((event.kind, paused))
                if len(seen) == 1:
                    await session.engine().set_paused("iris", True)
                if paused:
                    await session.engine().set_paused("iris", False)
                    return seen
        return seen

    seen = run(asyncio.wait_for(watch(), 30))
    assert seen[0] == ("added", False)
    assert seen[-1] == ("modified", True)
    endpoint.wait(120)


def test_the_model_says_what_is_wrong_with_a_request(endpoint: Endpoint) -> None:
    with pytest.raises(PredictionError, match="features"):
        endpoint.predict([[1.0]])


def test_logs_events_and_metrics_are_there(endpoint: Endpoint) -> None:
    assert endpoint.logs().strip()
    engine = session.engine()
    reasons = {event.reason for event in run(engine.events("iris"))}
    assert "Started" in reasons
    assert "request_predict_seconds" in run(engine.metrics("iris"))


def test_an_update_keeps_answering(endpoint: Endpoint, workspace: Settings) -> None:
    second = Model(model=classifier(0.1), name="iris", version="2").submit_artifact()
    ended = threading.Event()
    failures: list[str] = []
    answered = 0

    def ask() -> None:
        nonlocal answered
        while not ended.is_set():
            try:
                endpoint.predict(ROW)
                answered += 1
            except Exception as error:
                failures.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        endpoint.update(second.id, timeout=120)
    finally:
        ended.set()
        asking.join()
    assert failures == []
    assert answered > 10
    service = endpoint.service
    assert service.model is not None
    assert service.model.version == "2"


def test_a_paused_service_says_so_and_comes_back(endpoint: Endpoint) -> None:
    endpoint.pause()
    assert endpoint.phase == "Paused"
    with pytest.raises(ServiceNotReadyError) as told:
        endpoint.predict(ROW)
    assert told.value.phase == "Paused"
    endpoint.resume(timeout=120)
    assert endpoint.predict(ROW) == {"predictions": [0]}


def test_a_service_of_somebody_else_is_listed_and_not_overwritten(
    iris: Model, endpoint: Endpoint, kube_admin: Kube, namespace: str
) -> None:
    path = SERVICES.format(namespace)
    manifest = endpoint.service.manifest
    theirs = {**manifest, "metadata": {"name": "theirs"}}
    kube_admin.create(path, theirs)
    try:
        found = {s.ref.name: s for s in run(session.engine().services())}
        assert found["theirs"].ours is False
        with pytest.raises(ConflictError):
            serve(iris.id, name="theirs", wait=False)
    finally:
        kube_admin.delete(f"{path}/theirs")


def test_secrets_go_with_the_last_service(endpoint: Endpoint, kube_admin: Kube, namespace: str) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    [made] = [s for s in kube_admin.list(secrets) if "kale-serve-ext" in str(s["metadata"])]
    assert "ownerReferences" in str(made)
    endpoint.delete()
    with pytest.raises(NotFoundError):
        Endpoint("iris")
    # The namespace's own deletion would take it too: it has to be gone by itself.
    for _ in range(200):
        if not [s for s in kube_admin.list(secrets) if "kale-serve-ext" in str(s["metadata"])]:
            return
        threading.Event().wait(0.1)
    pytest.fail("the secret is still there")
