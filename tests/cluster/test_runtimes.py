"""Models in the servers that KServe's runtimes run, laid out as these want them: each answers as the model does here.

Triton and MLServer are the real programs, in images that are built for the tests; the image names are upstream's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
import numpy as np
import onnx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Use
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.fields import mapping, text
from kale_serve_ext.engines.kserve import OWN_RUNTIME
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import compare
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.serving.verify import per_row
from kale_serve_ext.sync import run
from tests.cluster.conftest import BUCKET
from tests.onnx_models import IRIS, answers, classifier, scores, with_external_data

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

RUNTIMES = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes/{}"
IMAGES = "KALE_TEST_RUNTIME_IMAGES"
"""The images of KServe's runtimes that the cluster has, with spaces between them."""
SMALL: JSON = {"requests": {"cpu": "50m", "memory": "256Mi"}}
TIMEOUT = 150.0
V2 = ("v2", "v2-binary", "grpc-v2")
FED = {
    "matrix": np.array([[1.5, 2, 3], [0, -1, 2]], dtype=np.float32),
    "offset": np.array([[10], [-3]]),
    "texts": np.array(["eins", "zwölf"], dtype=object),
}


def require(kube: Kube, runtime: str) -> None:
    """Skip where the cluster has no image for one of KServe's runtimes."""
    spec = kube.get(RUNTIMES.format(runtime))["spec"]
    assert isinstance(spec, dict)
    assert isinstance(spec["containers"], list)
    (container,) = spec["containers"]
    assert isinstance(container, dict)
    if container["image"] not in os.environ.get(IMAGES, "").split():
        pytest.skip(f"needs the image {container['image']} in the cluster (not in ${IMAGES})")


def started(model: Model, name: str, **more: str) -> Iterator[Endpoint]:
    """A service of the model, made by a plan without errors, and deleted afterwards: two cores hold few at a time."""
    endpoint = serve(model, name=name, serve_config=SMALL, timeout=TIMEOUT, **more)  # type: ignore[arg-type]
    assert endpoint.plan is not None
    assert endpoint.plan.ok
    assert not {"StockDiffers", "OutOfReach"} & {check.code for check in endpoint.plan.checks}
    yield endpoint
    endpoint.delete()


@pytest.fixture(scope="module")
def triton(workspace: Settings, kube_admin: Kube) -> Iterator[Endpoint]:
    require(kube_admin, "kserve-tritonserver")
    yield from started(Model(scores(), name="scores", example=FED).submit_artifact(), "scores")


def test_triton_is_chosen_and_speaks_its_own_protocol(triton: Endpoint) -> None:
    service = triton.service
    assert (service.runtime, service.protocol, service.phase) == ("kserve-tritonserver", "v2", "Ready")


@pytest.mark.parametrize("protocol", V2)
def test_triton_answers_as_onnx_runtime_does(triton: Endpoint, protocol: str) -> None:
    expected = answers(scores(), **FED)
    answer = triton.predict(FED, protocol=protocol)
    assert isinstance(answer, dict)
    np.testing.assert_array_equal(answer["scores"], np.asarray(expected["scores"]))
    assert list(answer["same"]) == ["eins", "zwölf"]


def test_nothing_is_uploaded_twice(triton: Endpoint, workspace: Settings) -> None:
    def objects() -> dict[str, object]:
        client = boto3.client("s3", endpoint_url=os.environ["KALE_S3_ENDPOINT"], region_name="us-east-1")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{workspace.namespace}/")
        return {one["Key"]: one["LastModified"] for page in pages for one in page.get("Contents", ())}

    before = objects()
    assert [key.partition("/sha256/")[2].partition("/")[2] for key in before if key.endswith("config.pbtxt")] == [
        "scores/config.pbtxt"
    ]
    assert triton.service.model is not None
    triton.update(triton.service.model.id, timeout=TIMEOUT)
    assert objects() == before


def test_a_claim_is_filled_with_the_same_folder(triton: Endpoint, workspace: Settings) -> None:
    assert triton.service.model is not None
    scores = run(session.metadata().artifact(triton.service.model.id))
    engine = ClusterEngine(replace(workspace, cluster_storage="upload:"))
    use = Use("tritonserver", triton.name)
    staged = run(engine.stage(scores, use=use))
    try:
        assert staged == replace(run(engine.address(scores, use)), owned=staged.owned)
        # The pod has compared what has arrived with the folder's own hash, as S3's address has it too.
        predictor = mapping(mapping(triton.service.manifest["spec"])["predictor"])
        uri = text(mapping(predictor["model"])["storageUri"])
        assert staged.storage_uri.startswith("pvc://")
        assert staged.storage_uri.rpartition("/")[2] == uri.rpartition("/")[2]
    finally:
        run(engine.unstage(staged))
        run(engine.close())


def test_an_update_brings_another_layout(triton: Endpoint, tmp_path: Path) -> None:
    # Its weights lie in a file of their own, beside it.
    linear = with_external_data(tmp_path / "linear")
    triton.update(Model(name="linear", artifact_uri=str(linear)).submit_artifact(), timeout=TIMEOUT)
    rows = np.arange(128, dtype=np.float32).reshape(2, 64)
    answer = triton.predict(rows)
    got = answer["y"] if isinstance(answer, dict) and "y" in answer else answer
    np.testing.assert_allclose(np.asarray(got), np.asarray(answers(linear, x=rows)["y"]))


def test_a_model_repository_answers_under_the_service_s_name(triton: Endpoint, tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "under-its-own-name"
    (folder / "1").mkdir(parents=True)
    onnx.save_model(scores(), folder / "1" / "model.onnx")
    tensors = (
        ("input", "matrix", "FP32", "-1, 3"),
        ("input", "offset", "INT64", "-1, 1"),
        ("input", "texts", "STRING", "-1"),
        ("output", "scores", "FP32", "-1, 2"),
        ("output", "same", "STRING", "-1"),
    )
    lines = [f'{role} {{ name: "{name}" data_type: TYPE_{kind} dims: [{dims}] }}' for role, name, kind, dims in tensors]
    (folder / "config.pbtxt").write_text("\n".join(['name: "under-its-own-name"', 'backend: "onnxruntime"', *lines]))
    repository = Model(name="repository", artifact_uri=str(folder.parent)).submit_artifact()
    triton.update(repository, timeout=TIMEOUT)
    for protocol in V2:
        answer = triton.predict(FED, protocol=protocol)
        assert isinstance(answer, dict)
        np.testing.assert_array_equal(answer["scores"], np.asarray(answers(scores(), **FED)["scores"]))


def test_the_plan_says_what_triton_expects_of_files_elsewhere(workspace: Settings, kube_admin: Kube) -> None:
    there = Artifact(MODEL, "elsewhere", "1", f"s3://{BUCKET}/somewhere/", format="onnx")
    stored = run(session.metadata().put_artifact(there, provenance=here()))
    request = ServeRequest(model_id=stored.id, name="elsewhere", runtime="kserve-tritonserver")
    plan = run(make_plan(request, session.engine(), session.metadata()))
    (told,) = [check for check in plan.checks if check.code == "LayoutExpected"]
    assert told.level == "info"
    assert there.uri in told.message
    assert "config.pbtxt" in told.message


@pytest.fixture
def own(workspace: Settings, kube_admin: Kube) -> Iterator[Endpoint]:
    # Its outputs are sequences of maps, which Triton cannot load.
    yield from started(Model(classifier(), name="iris-onnx", example=IRIS[:7]).submit_artifact(), "iris-onnx")


def test_this_package_s_image_answers_for_onnx(own: Endpoint) -> None:
    assert own.service.runtime == OWN_RUNTIME
    rows = IRIS[::30]
    expected = answers(classifier(), X=rows)
    maps = expected["output_probability"]
    assert isinstance(maps, list)
    for protocol in ("v1", *V2):
        answer = own.predict(rows, protocol=protocol)
        assert isinstance(answer, dict)
        assert list(answer["output_label"]) == list(np.asarray(expected["output_label"]))
        wanted = np.array([list(one.values()) for one in maps], dtype=np.float32)
        np.testing.assert_allclose(np.asarray(answer["output_probability"]), wanted, rtol=1e-6)


@pytest.fixture
def mlserver(workspace: Settings, kube_admin: Kube) -> Iterator[Endpoint]:
    require(kube_admin, "kserve-mlserver")
    features, target = load_iris(return_X_y=True)
    model = Model(LinearRegression().fit(features, target), name="regression", example=features[:3]).submit_artifact()
    yield from started(model, "regression", runtime="kserve-mlserver")


def test_mlserver_answers_for_scikit_learn(mlserver: Endpoint) -> None:
    assert (mlserver.service.runtime, mlserver.service.protocol) == ("kserve-mlserver", "v2")
    features, target = load_iris(return_X_y=True)
    expected = LinearRegression().fit(features, target).predict(features[::30])
    for protocol in ("v2", "grpc-v2"):
        answer = mlserver.predict(features[::30], protocol=protocol)
        got = per_row(cast("JSON", answer), expected.tolist())
        assert compare(expected.tolist(), got) == [], protocol
