"""What PodDefaults gave a notebook's pod is found in its labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.poddefaults import chosen_by, labels_from
from kale_serve_ext.errors import BackendUnavailableError, NotFoundError
from kale_serve_ext.ml import JSON
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KIND: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "poddefaults.kubeflow.org"},
    "spec": {
        "group": "kubeflow.org",
        "scope": "Namespaced",
        "names": {"kind": "PodDefault", "plural": "poddefaults", "singular": "poddefault"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def poddefault(name: str, selector: JSON) -> Manifest:
    return {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "PodDefault",
        "metadata": {"name": name},
        "spec": {"selector": selector, "desc": name},
    }


@pytest.fixture
def notebook(kube_admin: Kube, namespace: str) -> str:
    """The name of a pod that is labelled as a notebook server's is; it need not run."""
    labels: JSON = {"notebook-name": "nb", "access-ml-pipeline": "true", "access-rok": "false"}
    container: JSON = {"name": "nb", "image": "registry.invalid/none:1"}
    pod: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nb-0", "labels": labels}}
    kube_admin.create(f"/api/v1/namespaces/{namespace}/pods", {**pod, "spec": {"containers": [container]}})
    return "nb-0"


@pytest.fixture
def kind(kube_admin: Kube) -> Iterator[None]:
    """Kubeflow's kind of PodDefaults, which the cluster may have already."""
    try:
        kube_admin.get(f"{CRDS}/poddefaults.kubeflow.org")
    except NotFoundError:
        kube_admin.create(CRDS, KIND)
        yield
        kube_admin.delete(f"{CRDS}/poddefaults.kubeflow.org")
    else:
        yield


def test_a_notebooks_labels_are_found(kube_admin: Kube, namespace: str, notebook: str, kind: None) -> None:
    path = f"/apis/kubeflow.org/v1alpha1/namespaces/{namespace}/poddefaults"
    end = time.monotonic() + 30
    while True:
        try:
            kube_admin.list(path)
            break
        except (NotFoundError, BackendUnavailableError):  # 404 at first, then "storage is (re)initializing"
            assert time.monotonic() < end, "the new kind is not served"
            time.sleep(0.2)
    for name, label in (("access-ml-pipeline", "access-ml-pipeline"), ("rok-auth", "access-rok")):
        kube_admin.create(path, poddefault(name, {"matchLabels": {label: "true"}}))
    found = run(labels_from(kube_admin.api, namespace, notebook))
    assert found == {"access-ml-pipeline": "true"}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"matchLabels": {"a": "1"}}, {"a": "1"}),
        ({"matchLabels": {"a": "1", "b": "3"}}, {}),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "1"}),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"b": "2"}),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}, {"a": "1"}),
        ({}, {}),
    ],
)
def test_a_selector_chooses_as_in_kubernetes(selector: JSON, found: dict[str, str]) -> None:
    assert chosen_by([poddefault("one", selector)], {"a": "1", "b": "2"}) == found
