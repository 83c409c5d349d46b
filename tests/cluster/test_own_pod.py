"""Finding the claim that a notebook's own folder lies on, from inside a real pod."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, TypeAlias

import pytest

from kale_serve_ext import __version__
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.ml import JSON
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

Told: TypeAlias = dict[str, tuple[str, str, list[str]]]
"""Address, node and checks, by folder and setting."""

WITHIN = 90.0
SCRIPT = """
import asyncio, json, sys
from dataclasses import replace
from pathlib import Path
from kale_serve_ext.config import Settings
from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.errors import KaleServeError
from kale_serve_ext.entities import Artifact

async def main():
    told = {}
    for top in ("/home/work", "/shared", "/tmp"):
        folder = Path(top, "store", "sha256", "0" * 64)
        folder.mkdir(parents=True)
        (folder / "model.joblib").write_bytes(b"weights")
        artifact = Artifact("kale.Model", "m", "1", folder.as_uri(), digest_of(folder), format="sklearn")
        for way in ("", "claim:", "clone:", "snapshot:"):
            engine = ClusterEngine(Settings(data_dir=Path("/tmp/data"), engine="cluster", cluster_storage=way))
            try:
                staged = await engine.address(artifact)
                checks = [check.code for check in await engine._staging.check(artifact)]
                told[top + " " + way] = [staged.storage_uri, staged.node, checks]
            except KaleServeError as error:
                told[top + " " + way] = [error.reason, error.message, []]
            await engine.close()
    print(json.dumps(told), flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def told(kube_admin: Kube, namespace: str) -> Told:
    """What a pod finds out about three folders of its own."""
    core, rbac = f"/api/v1/namespaces/{namespace}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    for name, modes in (("home", ["ReadWriteOnce"]), ("many", ["ReadWriteMany"])):
        spec: JSON = {"accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}}}
        claim: Manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}}
        kube_admin.create(f"{core}/persistentvolumeclaims", {**claim, "spec": spec})
    account: Manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default-editor"}}
    kube_admin.create(f"{core}/serviceaccounts", account)
    binding: Manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "default-editor", "namespace": namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    }
    kube_admin.create(f"{rbac}/rolebindings", binding)
    container: JSON = {
        "name": "notebook",
        "image": f"kale-serve-ext/transformer:{__version__}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SCRIPT],
        "volumeMounts": [
            {"name": "home", "mountPath": "/home/work", "subPath": "users/me"},
            {"name": "many", "mountPath": "/shared"},
        ],
    }
    volumes: JSON = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in ("home", "many")]
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "nb-0"},
        "spec": {
            "serviceAccountName": "default-editor",
            "restartPolicy": "Never",
            "securityContext": {"fsGroup": 1000},
            "containers": [container],
            "volumes": volumes,
        },
    }
    kube_admin.create(f"{core}/pods", pod)
    end = time.monotonic() + WITHIN
    while True:
        found = kube_admin.get(f"{core}/pods/nb-0")
        status, spec = found["status"], found["spec"]
        assert isinstance(status, dict)
        assert isinstance(spec, dict)
        if status.get("phase") in ("Succeeded", "Failed"):
            break
        assert time.monotonic() < end, f"not done after {WITHIN:g} s: {status}"
        time.sleep(0.5)
    log = run(read(kube_admin, f"{core}/pods/nb-0/log"))
    assert status["phase"] == "Succeeded", log
    made: Told = {key: (uri, node, checks) for key, (uri, node, checks) in json.loads(log.splitlines()[-1]).items()}
    return {**made, "node": ("", str(spec["nodeName"]), [])}


async def read(kube: Kube, path: str) -> str:
    return "".join([piece async for piece in kube.api.stream(path, {})])


def test_a_folder_on_a_claim_of_one_node_is_served_there_from_it(told: Told) -> None:
    _, node, _ = told["node"]
    place = (f"pvc://home/users/me/store/sha256/{'0' * 64}", node, ["KeptToNode"])
    assert told["/home/work "] == place
    assert told["/home/work claim:"] == place


def test_a_claim_of_all_nodes_needs_no_node(told: Told) -> None:
    assert told["/shared "] == (f"pvc://many/store/sha256/{'0' * 64}", "", [])


def test_copies_are_of_the_claim_that_it_lies_on(told: Told) -> None:
    uri, node, checks = told["/home/work clone:"]
    assert uri.startswith("pvc://kale-clone-")
    assert uri.endswith(f"/users/me/store/sha256/{'0' * 64}")
    assert not node
    assert not checks
    # As in Kubeflow: a notebook may not make snapshots.
    uri, _, checks = told["/home/work snapshot:"]
    assert uri.startswith("pvc://kale-snapshot-")
    assert set(checks) == {"RightMissing"}


def test_a_folder_on_no_claim_is_uploaded(told: Told) -> None:
    uri, node, checks = told["/tmp "]
    assert uri.startswith("pvc://kale-")
    assert not node
    assert not checks
    reason, message, _ = told["/tmp claim:"]
    assert reason == "InvalidInput"
    assert "do not lie on a claim" in message
