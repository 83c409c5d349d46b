"""Models of Kubeflow Pipelines: in its own store, with the secret that every profile's namespace has."""

from __future__ import annotations

import io
import ipaddress
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Check, Manifest
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run
from tests.cluster.conftest import BUCKET

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

ROW = [[5.1, 3.5, 1.4, 0.2]]
STORE = "minio-service"


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    with new_workspace(replace(settings, cluster_storage="")) as made:
        yield made


@pytest.fixture(scope="module")
def store(kube_admin: Kube) -> Iterator[None]:
    """The name that Kubeflow gives its store, as another name of the tests' S3."""
    server = urlsplit(os.environ["KALE_S3_ENDPOINT"])
    try:
        ipaddress.ip_address(server.hostname or "")
    except ValueError:
        pytest.skip("needs an S3 whose address is a number ($KALE_S3_ENDPOINT)")
    try:
        kube_admin.get("/api/v1/namespaces/kubeflow")
    except NotFoundError:
        pass
    else:
        pytest.skip("needs a cluster without Kubeflow, whose store has other credentials")
    namespace: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}}
    kube_admin.create("/api/v1/namespaces", namespace)
    ports: JSON = [{"port": 9000, "targetPort": server.port}]
    service: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": STORE}, "spec": {"ports": ports}}
    kube_admin.create("/api/v1/namespaces/kubeflow/services", service)
    slice_: Manifest = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": STORE, "labels": {"kubernetes.io/service-name": STORE}},
        "addressType": "IPv4",
        "ports": [{"port": server.port}],
        "endpoints": [{"addresses": [server.hostname]}],
    }
    kube_admin.create("/apis/discovery.k8s.io/v1/namespaces/kubeflow/endpointslices", slice_)
    yield
    kube_admin.delete("/api/v1/namespaces/kubeflow")


@pytest.fixture(scope="module")
def run_output(namespace: str) -> str:
    """Where a run has put a model into a folder, and one more as a bare file beside it."""
    import boto3

    features, target = load_iris(return_X_y=True)
    file = io.BytesIO()
    joblib.dump(LogisticRegression(max_iter=500).fit(features, target), file)
    client = boto3.client("s3", endpoint_url=os.environ["KALE_S3_ENDPOINT"], region_name="us-east-1")
    prefix = f"{namespace}/v2/artifacts/train/run-42"
    for key in ("model/model.joblib", "bare"):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=file.getvalue())
    return f"minio://{BUCKET}/{prefix}"


def checks(artifact: Artifact, engine: ClusterEngine) -> list[Check]:
    request = ServeRequest(model_id=artifact.id, name="run", runtime="kale-sklearn")
    return [c for c in run(make_plan(request, engine, session.metadata())).checks if c.level != "ok"]


def test_a_model_of_a_run_is_served_with_the_secret_of_the_profile(
    workspace: Settings, store: None, run_output: str, kube_admin: Kube, namespace: str
) -> None:
    artifact = Artifact(MODEL, "of a run", "1", f"{run_output}/model", format="sklearn")
    stored = run(session.metadata().put_artifact(artifact, provenance=here()))
    [missing] = checks(stored, run_engine := ClusterEngine(workspace))
    assert (missing.level, missing.code) == ("error", "CredentialsMissing")
    assert "mlpipeline-minio-artifact" in missing.message
    run(run_engine.close())
    keys: JSON = {"accesskey": os.environ["AWS_ACCESS_KEY_ID"], "secretkey": os.environ["AWS_SECRET_ACCESS_KEY"]}
    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlpipeline-minio-artifact"}}
    kube_admin.create(f"/api/v1/namespaces/{namespace}/secrets", {**secret, "stringData": keys})
    served = serve(stored.id, name="run", runtime="kale-sklearn", timeout=120)
    assert served.predict(ROW) == {"predictions": [0]}
    assert f"{run_output.replace('minio:', 's3:')}/model" in str(served.service.manifest["spec"])
    served.delete()


def test_the_setting_s_own_bucket_needs_no_secret_of_pipelines(
    workspace: Settings, settings: Settings, run_output: str
) -> None:
    engine = ClusterEngine(replace(workspace, cluster_storage=settings.cluster_storage))
    artifact = Artifact(MODEL, "in the bucket", "1", f"{run_output}/model", format="sklearn")
    staged = run(engine.stage(artifact))
    assert staged.storage_uri == f"{run_output.replace('minio:', 's3:')}/model"
    assert [one["kind"] for one in staged.owned] == ["Secret"]
    run(engine.close())


def test_a_file_without_an_ending_is_found_before_it_is_served(
    workspace: Settings, settings: Settings, run_output: str
) -> None:
    engine = ClusterEngine(replace(workspace, cluster_storage=settings.cluster_storage))
    found = {}
    for name in ("bare", "model"):
        artifact = Artifact(MODEL, name, "1", f"{run_output}/{name}", format="sklearn")
        found[name] = [
            c.code for c in checks(run(session.metadata().put_artifact(artifact, provenance=here())), engine)
        ]
    assert found == {"bare": ["ModelFile"], "model": []}
    run(engine.close())
