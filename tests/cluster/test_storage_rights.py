"""Bringing files to a cluster with the rights of a Kubeflow notebook, in a namespace that takes only confined pods."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext import session
from kale_serve_ext.config import Settings
from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.credentials import find_place, load
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import PermissionDeniedError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

RBAC = "rbac.authorization.k8s.io"
ACCOUNT = "default-editor"
NOTEBOOK_ROLES = ("edit", "kale-profile-kserve-edit")
SNAPSHOTS_ROLE = "kale-profile-snapshots"


def bind(kube: Kube, namespace: str, role: str) -> None:
    try:
        kube.get(f"/apis/{RBAC}/v1/clusterroles/{role}")
    except LookupError:
        pytest.skip(f"needs a cluster with the role {role}")
    binding: Manifest = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{role}-{secrets.token_hex(2)}"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
    }
    kube.create(f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings", binding)


@pytest.fixture(scope="module")
def kubeconfig(kube_admin: Kube, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """That of an account of the namespace with what Kubeflow gives notebooks."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    kube_admin.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}})
    for role in NOTEBOOK_ROLES:
        bind(kube_admin, namespace, role)
    asked: Manifest = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    status = kube_admin.create(f"{accounts}/{ACCOUNT}/token", asked)["status"]
    assert isinstance(status, dict)
    admin = load(find_place(Settings.from_environ().kubeconfig)).config
    cluster: JSON = {"server": str(admin.host), "certificate-authority": str(admin.ssl_ca_cert)}
    context: JSON = {"cluster": "c", "user": "u", "namespace": namespace}
    path = tmp_path_factory.mktemp("kube") / "config.yaml"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": status["token"]}}],
                "contexts": [{"name": "notebook", "context": context}],
                "current-context": "notebook",
            }
        )
    )
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, kubeconfig: str, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    with new_workspace(replace(settings, kubeconfig=kubeconfig, namespace="", cluster_storage="")) as made:
        yield made


@pytest.fixture(scope="module")
def on_claim(workspace: Settings, kube_admin: Kube, namespace: str) -> Artifact:
    """An artifact on a claim of the namespace."""
    spec: JSON = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim: Manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    kube_admin.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", claim)
    artifact = Artifact(MODEL, "on a claim", "1", "pvc://data/models/iris", format="sklearn")
    return run(session.metadata().put_artifact(artifact, provenance=here()))


def test_an_upload_needs_no_more_than_a_notebook_has(
    workspace: Settings, kube_admin: Kube, namespace: str, tmp_path: Path
) -> None:
    level: JSON = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube_admin.patch_merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": level}})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.joblib").write_bytes(b"weights")
    digest = digest_of(tmp_path / "model")
    artifact = Artifact(MODEL, "model", "1", (tmp_path / "model").as_uri(), digest, format="sklearn")
    staged = run(session.engine().stage(artifact))
    assert staged.storage_uri.endswith(digest.removeprefix("sha256:"))


def test_the_missing_right_to_snapshots_is_named_and_enough(
    workspace: Settings, on_claim: Artifact, kube_admin: Kube, namespace: str
) -> None:
    engine = ClusterEngine(replace(workspace, cluster_storage="snapshot:"))
    request = ServeRequest(model_id=on_claim.id, name="snap", runtime="kale-sklearn")

    def told() -> list[str]:
        return [c.message for c in run(make_plan(request, engine, session.metadata())).checks if c.level == "error"]

    assert told()[0] == (
        f"This account may not create volumesnapshots (snapshot.storage.k8s.io) in the namespace {namespace}."
    )
    with pytest.raises(PermissionDeniedError, match="volumesnapshots") as refused:
        run(engine.stage(on_claim))
    assert "clone:" in refused.value.hint
    bind(kube_admin, namespace, SNAPSHOTS_ROLE)
    assert told() == []
    staged = run(engine.stage(on_claim))
    assert [one["kind"] for one in staged.owned] == ["VolumeSnapshot", "PersistentVolumeClaim"]
    run(engine.close())
