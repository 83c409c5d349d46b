"""Models in the servers that KServe's runtimes run, laid out as these want them: each answers as the model does here.

Triton and MLServer are the real programs, in images that are built for the tests; the image names are upstream's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Use
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.fields import mapping, mappings, text
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


def has_image(kube: Kube, runtime: str) -> bool:
    """Whether the cluster has an image for one of KServe's runtimes."""
    (container,) = mappings(mapping(kube.get(RUNTIMES.format(runtime))["spec"])["containers"])
    return container["image"] in os.environ.get(IMAGES, "").split()


def start(model: Model, name: str, **more: str) -> Endpoint:
    """A service of the model, made by a plan without errors; it goes with the namespace."""
    made = serve(model.submit_artifact(), name=name, serve_config=SMALL, wait=False, **more)  # type: ignore[arg-type]
    assert made.plan is not None
    assert made.plan.ok
    assert not {"StockDiffers", "OutOfReach", "ImageLacks"} & {check.code for check in made.plan.checks}
    return made


@pytest.fixture(scope="module")
def services(workspace: Settings, kube_admin: Kube) -> Mapping[str, Endpoint]:
    """All of them, which start at the same time; of KServe's runtimes those whose images the cluster has."""
    features, target = load_iris(return_X_y=True)
    regression = Model(LinearRegression().fit(features, target), name="regression", example=features[:3])
    made = {}
    if has_image(kube_admin, "kserve-tritonserver"):
        made["triton"] = start(Model(scores(), name="scores", example=FED), "scores")
    # Its outputs are sequences of maps, which Triton cannot load.
    made["own"] = start(Model(classifier(), name="iris-onnx", example=IRIS[:7]), "iris-onnx")
    if has_image(kube_admin, "kserve-mlserver"):
        made["mlserver"] = start(regression, "regression", runtime="kserve-mlserver")
    return made


def ready(services: Mapping[str, Endpoint], which: str) -> Endpoint:
    if which not in services:
        pytest.skip(f"needs the image of KServe's {which} in the cluster (not in ${IMAGES})")
    return services[which].wait(timeout=TIMEOUT)


@pytest.fixture(scope="module")
def triton(services: Mapping[str, Endpoint]) -> Endpoint:
    return ready(services, "triton")


def test_triton_is_chosen_and_answers_as_onnx_runtime_does(triton: Endpoint) -> None:
    service = triton.service
    assert (service.runtime, service.protocol, service.phase) == ("kserve-tritonserver", "v2", "Ready")
    expected = answers(scores(), **FED)
    for protocol in V2:
        answer = triton.predict(FED, protocol=protocol)
        assert isinstance(answer, dict)
        np.testing.assert_array_equal(answer["scores"], np.asarray(expected["scores"]), protocol)
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


def test_a_model_repository_answers_under_the_service_s_name(triton: Endpoint, tmp_path: Path) -> None:
    # Its model's weights lie in a file of their own, beside it.
    linear = with_external_data(tmp_path / "repository" / "under-its-own-name" / "1")
    model = linear.rename(linear.with_name("model.onnx"))
    lines = [
        'name: "under-its-own-name"',
        'backend: "onnxruntime"',
        'input { name: "x" data_type: TYPE_FP32 dims: [-1, 64] }',
        'output { name: "y" data_type: TYPE_FP32 dims: [-1, 2] }',
    ]
    (model.parents[1] / "config.pbtxt").write_text("\n".join(lines))
    repository = Model(name="repository", artifact_uri=str(model.parents[2])).submit_artifact()
    triton.update(repository, timeout=TIMEOUT)
    rows = np.arange(128, dtype=np.float32).reshape(2, 64)
    for protocol in V2:
        answer = triton.predict(rows, protocol=protocol)
        got = answer["y"] if isinstance(answer, dict) and "y" in answer else answer
        np.testing.assert_allclose(np.asarray(got), np.asarray(answers(model, x=rows)["y"]))


def test_the_plan_says_what_triton_expects_of_files_elsewhere(workspace: Settings, kube_admin: Kube) -> None:
    there = Artifact(MODEL, "elsewhere", "1", f"s3://{BUCKET}/somewhere/", format="onnx")
    stored = run(session.metadata().put_artifact(there, provenance=here()))
    request = ServeRequest(model_id=stored.id, name="elsewhere", runtime="kserve-tritonserver")
    plan = run(make_plan(request, session.engine(), session.metadata()))
    (told,) = [check for check in plan.checks if check.code == "LayoutExpected"]
    assert told.level == "info"
    assert there.uri in told.message
    assert "config.pbtxt" in told.message


def test_this_package_s_image_answers_for_onnx(services: Mapping[str, Endpoint]) -> None:
    own = ready(services, "own")
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


def test_mlserver_answers_for_scikit_learn(services: Mapping[str, Endpoint]) -> None:
    mlserver = ready(services, "mlserver")
    assert (mlserver.service.runtime, mlserver.service.protocol) == ("kserve-mlserver", "v2")
    features, target = load_iris(return_X_y=True)
    expected = LinearRegression().fit(features, target).predict(features[::30])
    for protocol in ("v2", "grpc-v2"):
        answer = mlserver.predict(features[::30], protocol=protocol)
        got = per_row(cast("JSON", answer), expected.tolist())
        assert compare(expected.tolist(), got) == [], protocol
