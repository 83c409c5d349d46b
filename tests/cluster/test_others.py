"""Services that other programs have made: managed here too, without taking from them what is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.api import Api
from kale_serve_ext.errors import ConflictError, NotFoundError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
ROW = [[5.1, 3.5, 1.4, 0.2]]
NOWHERE = "s3://nope/model"


def applied(api: Api, namespace: str, manager: str, spec: JSON) -> Manifest:
    """A service as ``kubectl apply --server-side --field-manager`` makes and changes it."""

    async def send() -> Manifest:
        client, token = await api.client(), await api.authorization()
        headers = {"Content-Type": "application/apply-patch+yaml", **({"Authorization": token} if token else {})}
        body = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "spec": spec}
        answer = await client.patch(
            f"{SERVICES.format(namespace)}/theirs",
            params={"fieldManager": manager},
            headers=headers,
            content=json.dumps({**body, "metadata": {"name": "theirs", "labels": {"team": "blue"}}}),
        )
        assert answer.is_success, answer.text
        found: Manifest = answer.json()
        return found

    return run(send())


def predictor(**more: JSON) -> JSON:
    model: JSON = {"modelFormat": {"name": "sklearn"}, "runtime": "kale-sklearn", "storageUri": NOWHERE}
    return {"predictor": {"minReplicas": 1, "model": model, **more}}


@pytest.fixture(scope="module")
def constant(workspace: Settings) -> Model:
    model = DummyClassifier(strategy="constant", constant=2).fit(*load_iris(return_X_y=True))
    return Model(model=model, name="constant", version="1").submit_artifact()


@pytest.fixture
def theirs(constant: Model, kube_admin: Kube, namespace: str) -> Iterator[Endpoint]:
    """A service that others made, whose model is not there; without pods until it is resumed."""
    applied(kube_admin.api, namespace, "argocd", predictor())
    yield Endpoint("theirs")
    with suppress(NotFoundError):
        Endpoint("theirs").delete()


def live(kube_admin: Kube, namespace: str) -> Manifest:
    return kube_admin.get(f"{SERVICES.format(namespace)}/theirs")


def test_it_is_paused_resumed_and_deleted(theirs: Endpoint, kube_admin: Kube, namespace: str) -> None:
    assert theirs.service.ours is False
    theirs.pause()
    assert theirs.phase == "Paused"
    theirs.resume(wait=False)
    assert Endpoint("theirs").phase != "Paused"
    theirs.delete()
    with pytest.raises(NotFoundError):
        live(kube_admin, namespace)


def test_a_name_that_is_taken_is_still_a_mistake(theirs: Endpoint, constant: Model) -> None:
    with pytest.raises(ConflictError, match="was not made here") as told:
        serve(constant.id, name="theirs", wait=False)
    assert "Endpoint('theirs').update" in told.value.hint


def test_a_container_of_their_own_is_not_replaced_by_a_model(
    theirs: Endpoint, constant: Model, kube_admin: Kube, namespace: str
) -> None:
    container: JSON = {"name": "kserve-container", "image": "kale/sklearnserver:local", "args": ["--model_name", "a"]}
    applied(kube_admin.api, namespace, "argocd", {"predictor": {"containers": [container]}})
    with pytest.raises(ConflictError, match="runs a container of its own"):
        theirs.update(constant.id, force=True, wait=False)


def test_a_conflict_names_the_fields_and_who_has_set_them(
    theirs: Endpoint, constant: Model, kube_admin: Kube, namespace: str
) -> None:
    before = live(kube_admin, namespace)
    with pytest.raises(ConflictError) as told:
        theirs.update(constant.id, wait=False)
    assert "argocd has set spec.predictor.model.storageUri" in told.value.message
    assert "Nothing was changed" in told.value.message
    assert "force" in told.value.hint
    with pytest.raises(ConflictError, match=r"argocd has set spec\.predictor\.minReplicas\. "):
        theirs.update(replicas=2, wait=False)
    after = live(kube_admin, namespace)
    for part in ("spec", "generation", "annotations", "labels"):
        assert _part(after, part) == _part(before, part)


def test_an_update_that_takes_the_fields_over_leaves_the_others_alone(
    theirs: Endpoint, constant: Model, kube_admin: Kube, namespace: str
) -> None:
    request = ServeRequest(model_id=constant.id, name="theirs", update=True, force=True)
    plan = run(make_plan(request, session.engine(), session.metadata()))
    assert plan.ok
    [warning] = [c for c in plan.checks if c.level == "warning"]
    assert warning.code == "NotMadeHere"
    assert "spec.predictor.model.storageUri" in {d.path for d in plan.differences}

    theirs.update(constant.id, force=True, timeout=120)
    assert theirs.predict(ROW) == {"predictions": [2]}
    service = theirs.service
    assert service.ours is False
    assert service.model is not None
    assert service.model.id == constant.id
    # What nobody asked for is not ours now: who made the service changes it without being told of a conflict.
    labels = {"app": "iris"}
    changed = applied(
        kube_admin.api, namespace, "argocd", {"predictor": {"minReplicas": 1, "maxReplicas": 3, "labels": labels}}
    )
    assert _part(changed, "spec")["predictor"]["maxReplicas"] == 3  # type: ignore[call-overload,index]

    # And what is ours by now stays so with the next change.
    theirs.update(replicas=2, force=True, wait=False)
    spec = _part(live(kube_admin, namespace), "spec")["predictor"]  # type: ignore[call-overload,index]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 3)  # type: ignore[call-overload,index]
    assert spec["model"]["storageUri"] != NOWHERE  # type: ignore[call-overload,index]


def _part(service: Manifest, name: str) -> JSON:
    metadata = service["metadata"]
    assert isinstance(metadata, dict)
    return service["spec"] if name == "spec" else metadata.get(name)
