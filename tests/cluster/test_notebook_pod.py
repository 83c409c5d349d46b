"""A notebook server of Kubeflow, as a real pod: nothing is set but where the metadata is, and everything is found."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import pytest
import yaml

from kale_serve_ext.engines.fields import labels_of
from kale_serve_ext.errors import KaleServeError
from kale_serve_ext.sync import run
from tests.cluster.conftest import kind

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

IMAGES = ("KALE_TEST_NOTEBOOK_IMAGE", "KALE_TEST_METADATA_IMAGE")
pytestmark = pytest.mark.skipif(
    not all(os.environ.get(name) for name in IMAGES), reason=f"needs the images that {' and '.join(IMAGES)} name"
)

HERE = Path(__file__).parent
PLURALS = {
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDefault": "poddefaults",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}
WITHIN = 150.0


@pytest.fixture
def poddefaults(kube_admin: Kube) -> Iterator[None]:
    """Kubeflow's kind of that name, which the cluster may have already."""
    with kind(kube_admin, "kubeflow.org", "v1alpha1", "PodDefault", "poddefaults"):
        yield


@pytest.fixture
def notebook(kube_admin: Kube, namespace: str, poddefaults: None) -> str:
    """The path of a pod with the rights, the claim and the variables that Kubeflow gives a notebook server."""
    text = (HERE / "notebook.yaml").read_text()
    notebook, metadata = (os.environ[name] for name in IMAGES)
    made = Template(text).substitute(namespace=namespace, notebook=notebook, metadata=metadata)
    job = {"job.py": (HERE / "job.py").read_text()}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job"}, "data": job}
    for one in (config, *yaml.safe_load_all(made)):
        group = "api/v1" if one["apiVersion"] == "v1" else f"apis/{one['apiVersion']}"
        kube_admin.create(f"/{group}/namespaces/{namespace}/{PLURALS[one['kind']]}", one)
    return f"/api/v1/namespaces/{namespace}/pods/nb-0"


def test_the_published_lines_run_and_the_panel_shows_what_they_made(
    kube_admin: Kube, namespace: str, notebook: str
) -> None:
    end = time.monotonic() + WITHIN
    panel = f"{notebook}:8888/proxy/notebook/team/nb/kale-serve-ext"
    # The server starts once the lines have ended well.
    while not (health := text_of(kube_admin, f"{panel}/health")):
        status = kube_admin.get(notebook)["status"]
        log = text_of(kube_admin, f"{notebook}/log")
        assert isinstance(status, dict)
        assert status.get("phase") in ("Pending", "Running"), log
        assert time.monotonic() < end, f"{status}\n{log}"
        time.sleep(0.5)

    log = text_of(kube_admin, f"{notebook}/log")
    told = json.loads(next(line for line in log.splitlines() if line.startswith('{"uri"')))
    assert told["phase"] == "Ready"
    assert told["with_transformer"] == {"predictions": [0, 2]}
    assert told["by_grpc"] == [0, 2]
    assert told["by_rest"] == {"predictions": [0, 2]}
    assert told["url"] == f"http://{told['service']}-transformer.{namespace}.svc.cluster.local"

    engine = json.loads(health)["engine"]
    assert (engine["kind"], engine["context"], engine["namespace"]) == ("cluster", "in-cluster", namespace)
    services = json.loads(text_of(kube_admin, f"{panel}/services"))["items"]
    given, _ = run(kube_admin.api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector="access-ml-pipeline"))
    assert {labels_of(pod).get("component") for pod in given} == {None, "predictor", "transformer"}
    assert {s["ref"]["name"]: s["phase"] for s in services} == {told["service"]: "Ready", "alone": "Ready"}
    models = json.loads(text_of(kube_admin, f"{panel}/models"))["items"]
    assert [(m["latest"]["name"], m["versions"]) for m in models] == [("LogisticRegression", 1)]


def text_of(kube: Kube, path: str) -> str:
    """What is there; nothing while it cannot be had."""

    async def read() -> str:
        return "".join([piece async for piece in kube.api.stream(path, {})])

    try:
        return run(read())
    except KaleServeError:
        return ""
