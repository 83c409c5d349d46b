"""The main job with the rights of a Kubeflow notebook: one namespace, and no cluster-wide runtimes to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import PermissionDeniedError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

EDITOR = os.environ.get("KALE_EDITOR_KUBECONFIG", "")

pytestmark = pytest.mark.skipif(not EDITOR, reason="needs a notebook user's kubeconfig ($KALE_EDITOR_KUBECONFIG)")


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    # The namespace is the one that the kubeconfig names.
    with new_workspace(replace(settings, kubeconfig=EDITOR, namespace="")) as made:
        yield made


@pytest.fixture(scope="module")
def model(workspace: Settings) -> Model:
    features, target = load_iris(return_X_y=True)
    return Model(LogisticRegression(max_iter=500).fit(features, target), name="rights", version="1").submit_artifact()


def test_the_namespace_is_that_of_the_context(workspace: Settings) -> None:
    assert session.engine().info.namespace == os.environ["KALE_NAMESPACE"]


def test_runtimes_that_cannot_be_read_are_assumed(model: Model) -> None:
    plan = run(make_plan(ServeRequest(model_id=model.id, name="rights"), session.engine(), session.metadata()))
    assert plan.ok
    assert plan.runtime == "kserve-sklearnserver"
    assert next(r for r in plan.runtimes if r.chosen).assumed
    assert "RuntimeAssumed" in {check.code for check in plan.checks}


def test_a_named_runtime_serves_though_it_cannot_be_read(model: Model) -> None:
    endpoint = serve(model.id, name="rights", runtime="kale-sklearn", timeout=120)
    assert endpoint.predict([[5.1, 3.5, 1.4, 0.2]]) == {"predictions": [0]}
    assert endpoint.logs().strip()
    endpoint.delete()


def test_a_missing_right_is_named(workspace: Settings) -> None:
    with pytest.raises(PermissionDeniedError, match=r'inferenceservices.*cannot get resource.*namespace "kube-system"'):
        Endpoint("rights", namespace="kube-system")
