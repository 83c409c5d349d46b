"""Manifests of models with this package's server or with KServe's: how each is told what answers, and how one gives way
to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Manifest, Staged, Use
from kale_serve_ext.engines.kserve import canaries_of
from kale_serve_ext.entities import MODEL, Artifact, Environment
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.answering import method_of, verify_of
from kale_serve_ext.serving.config import normalise
from kale_serve_ext.serving.manifest import ServedArtifact, Wanted, build
from kale_serve_ext.serving.manifest_view import has_v2_grpc, serves_format, variables
from kale_serve_ext.serving.status import protocol_of, runtime_of

IRIS = Artifact(MODEL, "iris", "2", uri="file:///s/sha256/aa", format="sklearn", id=12)
CUSTOM = Artifact(MODEL, "own", "1", uri="file:///s/sha256/cc", format="custom", id=14, details={"class_name": "C"})


def part(artifact: Artifact) -> ServedArtifact:
    return ServedArtifact(artifact, Staged(artifact.uri))


def wanted(**changes: object) -> Wanted:
    """A model of scikit-learn with KServe's server."""
    made = Wanted("iris", "default", "v1", model=part(IRIS), runtime="kserve-sklearnserver", image_tag="0.1.0")
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of Wanted, by name


def predictor_of(manifest: Manifest) -> Mapping[str, JSON]:
    spec = manifest["spec"]
    assert isinstance(spec, dict)
    found = spec["predictor"]
    assert isinstance(found, dict)
    return found


def server_of(manifest: Manifest) -> Mapping[str, JSON]:
    """The predictor's model, or its container."""
    predictor = predictor_of(manifest)
    containers = predictor.get("containers")
    found = containers[0] if isinstance(containers, list) else predictor["model"]
    assert isinstance(found, dict)
    return found


NETWORK = replace(IRIS, format="tensorflow")


@pytest.mark.parametrize(
    ("runtime", "server", "is_so"),
    [
        ("kserve-tensorflow-serving", "tensorflow-serving", False),
        ("our-tf", "tensorflow-serving", False),
        ("tensorflow-serving-by-triton", "tritonserver", True),
        ("kserve-tensorflow-serving", "", False),
        ("our-own", "", True),
    ],
)
def test_whose_grpc_a_runtime_speaks_is_told_by_its_program(runtime: str, server: str, is_so: bool) -> None:
    given = ServedArtifact(NETWORK, Staged(NETWORK.uri), use=Use(server, "iris"))
    manifest = build(wanted(model=given, runtime=runtime))
    assert has_v2_grpc(manifest) is is_so
    # What comes next is another program's, of which nothing is known.
    assert has_v2_grpc(build(wanted(model=part(NETWORK), runtime="our-own", onto=manifest)))


BOOSTER = replace(
    IRIS, format="xgboost", environment=Environment(python_version="3.11.7", packages={"xgboost-cpu": "3.2.0"})
)
OF_OWN = {"STORAGE_URI": "file:///s/sha256/aa", "PROTOCOL": "v2", "KALE_SERVE_KIND": "xgboost"}


def own(**changes: object) -> Wanted:
    """A model of XGBoost with this package's server."""
    return wanted(**{"model": part(BOOSTER), "runtime": "kale-serve-ext", "protocol": "v2", **changes})


def test_a_model_with_this_package_s_server_is_a_container() -> None:
    made = build(own(method="predict_proba", verify="require"))
    assert server_of(made) == {
        "name": "kserve-container",
        "image": "kale-serve-ext/predictor:0.1.0",
        "args": ["--model_name", "iris"],
        "env": [
            {"name": "STORAGE_URI", "value": "file:///s/sha256/aa"},
            {"name": "PROTOCOL", "value": "v2"},
            {"name": "KALE_SERVE_KIND", "value": "xgboost"},
            {"name": "KALE_SERVE_PACKAGES", "value": "python==3.11.7 xgboost-cpu==3.2.0"},
            {"name": "KALE_SERVE_METHOD", "value": "predict_proba"},
            {"name": "KALE_SERVE_VERIFY", "value": "require"},
        ],
    }
    assert (runtime_of(made), protocol_of(made), method_of(made)) == ("kale-serve-ext", "v2", "predict_proba")
    assert serves_format(made)
    assert verify_of(made) == "require"
    assert method_of(build(own())) == "predict"


def test_its_image_can_be_named_by_the_setting_and_by_the_config() -> None:
    staged = ServedArtifact(BOOSTER, Staged(BOOSTER.uri, image="registry/models:1"))
    assert server_of(build(own(model=staged)))["image"] == "registry/models:1"
    config = normalise({"predictor": {"image": "registry/models:2"}})
    assert server_of(build(own(model=staged, config=config)))["image"] == "registry/models:2"


@pytest.mark.parametrize(
    ("method", "verify", "env"),
    [
        ("", "", {}),
        ("predict", "warn", {}),
        (
            "predict_proba",
            "off",
            {"KALE_SERVE_METHOD": "predict_proba", "PREDICT_PROBA": "true", "KALE_SERVE_VERIFY": "off"},
        ),
    ],
)
def test_a_stock_server_is_told_the_method_too(method: str, verify: str, env: Mapping[str, str]) -> None:
    made = build(wanted(method=method, verify=verify))
    assert variables(predictor_of(made)) == env
    assert "env" in server_of(made) or not env
    assert (method_of(made), verify_of(made)) == (method or "predict", verify or "warn")


def test_the_method_counts_before_variables_of_the_config() -> None:
    config = normalise({"env": [{"name": "PREDICT_PROBA", "value": "true"}, {"name": "A", "value": "1"}]})
    assert variables(predictor_of(build(wanted(method="predict", config=config)))) == {"A": "1"}
    # People's own code may read whatever it likes.
    assert variables(predictor_of(build(wanted(model=part(CUSTOM), config=config))))["PREDICT_PROBA"] == "true"


def test_an_update_changes_the_server_and_keeps_what_was_set() -> None:
    resources: JSON = {"limits": {"memory": "1Gi"}}
    mine: JSON = [{"name": "A", "value": "1"}]
    config = normalise({"env": mine, "predictor": {"resources": resources, "min_replicas": 2}})
    stock = build(wanted(config=config, method="predict_proba"))
    there = build(own(onto=stock, method="predict"))
    assert "model" not in predictor_of(there)
    assert predictor_of(there)["minReplicas"] == 2
    assert server_of(there)["resources"] == resources
    assert variables(predictor_of(there)) == {
        "A": "1",
        **OF_OWN,
        "KALE_SERVE_PACKAGES": "python==3.11.7 xgboost-cpu==3.2.0",
    }
    back = build(wanted(onto=there))
    assert "containers" not in predictor_of(back)
    assert variables(predictor_of(back)) == {"A": "1"}
    assert (server_of(back)["resources"], runtime_of(back)) == (resources, "kserve-sklearnserver")
    assert back == build(wanted(config=config))


def test_an_update_leaves_no_method_of_the_version_before() -> None:
    for before in (build(wanted(method="predict_proba")), build(own(method="predict_proba", verify="off"))):
        for after in (wanted(onto=before), own(onto=before), wanted(model=part(CUSTOM), runtime="", onto=before)):
            assert variables(predictor_of(build(after))).keys().isdisjoint(("KALE_SERVE_METHOD", "KALE_SERVE_VERIFY"))
    kept = build(wanted(onto=build(wanted(method="predict_proba")), method="predict_proba"))
    assert method_of(kept) == "predict_proba"


def test_another_version_beside_this_package_s_server_has_its_own_method() -> None:
    before = build(own(mode="Standard"))
    both = build(own(method="predict_proba", canary=20, canary_of=before))
    assert predictor_of(both) == predictor_of(before)
    [entry] = canaries_of(both)
    assert variables(entry["predictor"])["KALE_SERVE_METHOD"] == "predict_proba"  # type: ignore[arg-type]
