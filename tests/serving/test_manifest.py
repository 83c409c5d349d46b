"""The manifests: written in full, changed without losing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Manifest, Staged
from kale_serve_ext.engines.kserve import canaries_of, share_asked
from kale_serve_ext.entities import MODEL, TRANSFORMER, Artifact
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.canary import artifact_ids, changed, reshared
from kale_serve_ext.serving.changes import differences
from kale_serve_ext.serving.config import normalise
from kale_serve_ext.serving.containers import has_container
from kale_serve_ext.serving.manifest import ServedArtifact, Wanted, build
from kale_serve_ext.serving.manifest_view import serves_format, wire_name
from kale_serve_ext.serving.overlay import overlay
from kale_serve_ext.serving.status import protocol_of, runtime_of

IRIS = Artifact(MODEL, "iris", "2", uri="file:///s/sha256/aa", digest="sha256:aa", format="sklearn", id=12)
CUSTOM = Artifact(
    MODEL,
    "own",
    "1",
    uri="file:///s/sha256/cc",
    format="custom",
    id=14,
    details={"module_name": "m", "class_name": "C"},
)
SCALE = Artifact(TRANSFORMER, "scale", "1", uri="file:///s/sha256/bb", digest="sha256:bb", format="functional", id=13)


def part(artifact: Artifact, python: str = "/opt/a/bin/python") -> ServedArtifact:
    return ServedArtifact(artifact, Staged(artifact.uri), python)


def wanted(**changes: object) -> Wanted:
    made = Wanted(
        name="iris",
        namespace="default",
        protocol="v1",
        model=part(IRIS),
        runtime="kserve-sklearnserver",
        image_tag="0.1.0",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of Wanted, by name


def notes(manifest: Manifest) -> dict[str, JSON]:
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    found = metadata["annotations"]
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if not name.startswith("kale-serve-ext/")}


def test_kserves_own_annotations_are_the_services() -> None:
    given = {"serving.kserve.io/deploymentMode": "Knative", "sidecar.istio.io/inject": "false"}
    made = build(wanted(config=normalise({"annotations": given})))
    assert notes(made) == {"serving.kserve.io/deploymentMode": "Knative"}
    assert made["spec"]["predictor"]["annotations"] == {"sidecar.istio.io/inject": "false"}  # type: ignore[call-overload,index]


def test_a_mode_is_kept_unless_another_is_asked_for() -> None:
    mode = "serving.kserve.io/deploymentMode"
    assert notes(build(wanted(mode="Knative"))) == {mode: "Knative"}
    asked = normalise({"annotations": {mode: "Standard"}})
    assert notes(build(wanted(mode="Knative", config=asked))) == {mode: "Standard"}


def test_an_update_asks_for_a_share_and_leaves_whose_the_service_is() -> None:
    theirs: Manifest = {
        "metadata": {"name": "iris", "labels": {"team": "a"}},
        "spec": {"predictor": {"minReplicas": 2}},
    }
    made = build(wanted(onto=theirs, canary=20, replicas=3))
    assert made["metadata"]["labels"] == {"team": "a", "kale-serve-ext/model-id": "12"}  # type: ignore[call-overload,index]
    predictor = made["spec"]["predictor"]  # type: ignore[call-overload,index]
    assert (predictor["canaryTrafficPercent"], predictor["minReplicas"]) == (20, 3)  # type: ignore[call-overload,index]
    ours = build(wanted())
    assert build(wanted(onto=ours))["metadata"]["labels"] == ours["metadata"]["labels"]  # type: ignore[call-overload,index]


def test_a_version_beside_another_says_all_for_itself_and_can_take_its_place() -> None:
    config = normalise({"predictor": {"min_replicas": 2, "max_replicas": 3, "node_selector": {"disk": "fast"}}})
    before = build(wanted(config=config, mode="Standard"))
    newer = part(replace(IRIS, version="3", id=21, digest="sha256:dd", uri="file:///s/sha256/dd"), "/opt/b/bin/python")
    both = build(wanted(model=newer, config=config, canary=20, canary_of=before))
    # The service goes on as it was.
    assert both["metadata"] == before["metadata"]
    assert both["spec"]["predictor"] == before["spec"]["predictor"]  # type: ignore[call-overload,index]
    assert canaries_of(both) == [
        {
            "trafficPercent": 20,
            "predictor": {
                "name": "canary",
                "labels": {"kale-serve-ext/model-id": "21"},
                "annotations": {
                    "kale-serve-ext/model-name": "iris",
                    "kale-serve-ext/model-version": "3",
                    "kale-serve-ext/model-digest": "sha256:dd",
                    "kale-serve-ext/predictor-python": "/opt/b/bin/python",
                },
                "nodeSelector": {"disk": "fast"},
                "model": {
                    "modelFormat": {"name": "sklearn"},
                    "runtime": "kserve-sklearnserver",
                    "protocolVersion": "v1",
                    "storageUri": "file:///s/sha256/dd",
                },
            },
        }
    ]
    assert share_asked(reshared(both, 50)) == 50
    assert reshared(both, 0) == before
    # Promoted, it is what an update to it would have made, with the replicas that the service had.
    assert reshared(both, 100) == build(wanted(model=newer, config=config, mode="Standard"))
    assert build(wanted(model=newer, onto=both)) == build(wanted(model=newer, onto=before))


def test_a_version_without_a_share_is_promoted_with_the_replicas_of_the_service() -> None:
    before = build(wanted(config=normalise({"predictor": {"min_replicas": 3}})))
    both = build(wanted(canary=0, canary_of=before))
    assert share_asked(both) == 0
    assert reshared(both, 100) == before


def test_what_goes_along_with_a_version_beside_another() -> None:
    secret = "serving.kserve.io/storageSecretName"
    pinned = build(wanted(model=ServedArtifact(IRIS, Staged("pvc://own/iris", node="n1"))))
    newer = ServedArtifact(replace(IRIS, id=21), Staged("s3://b/iris", {secret: "keys"}))
    both = build(wanted(model=newer, canary_of=pinned, canary=20, transformer=part(SCALE)))
    assert secret not in annotations_of(both["metadata"])
    [entry] = canaries_of(both)
    assert annotations_of(entry["predictor"])[secret] == "keys"
    assert artifact_ids(both) == [12, 21]
    # With a transformer the engine refuses it, and for that has to see it.
    assert "transformer" in both["spec"]  # type: ignore[operator]
    promoted = reshared(build(wanted(model=newer, canary_of=pinned, canary=20)), 100)
    assert annotations_of(promoted["metadata"])[secret] == "keys"
    # Its files lie elsewhere.
    assert "nodeSelector" not in promoted["spec"]["predictor"]  # type: ignore[call-overload,index,operator]
    assert artifact_ids(promoted) == [21]


def test_the_newest_of_several_versions_is_the_one_that_goes() -> None:
    several: Manifest = {
        "metadata": {"name": "iris"},
        "spec": {
            "predictor": {"name": "canary"},
            "canary": [{"predictor": {"name": n}, "trafficPercent": 10} for n in ("a", "b")],
        },
    }
    assert [c["predictor"] for c in canaries_of(reshared(several, 0))] == [{"name": "a"}]
    assert share_asked(reshared(several, 30)) == 30
    # KServe wants names of their own.
    [entry] = canaries_of(build(wanted(canary_of=several, canary=20)))
    assert entry["predictor"]["name"] == "canary-2"  # type: ignore[call-overload,index]


def annotations_of(one: JSON) -> dict[str, JSON]:
    assert isinstance(one, dict)
    found = one["annotations"]
    assert isinstance(found, dict)
    return found


def test_a_version_beside_another_that_others_made_is_merged_as_kserve_does() -> None:
    entry: JSON = {"name": "next", "model": {"storageUri": "s3://b/2"}, "annotations": {"a": "2"}}
    theirs: Manifest = {
        "metadata": {"name": "iris", "labels": {"kale-serve-ext/model-id": "12"}},
        "spec": {
            "predictor": {"model": {"storageUri": "s3://b/1", "runtime": "r"}, "minReplicas": 2},
            "canary": [{"predictor": entry, "trafficPercent": 10}],
        },
    }
    promoted = reshared(theirs, 100)
    assert promoted["spec"] == {
        "predictor": {
            "model": {"storageUri": "s3://b/2", "runtime": "r"},
            "minReplicas": 2,
            "annotations": {"a": "2"},
        }
    }


def test_a_models_manifest_leaves_nothing_to_kserve() -> None:
    assert build(wanted()) == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "iris",
            "namespace": "default",
            "labels": {"app.kubernetes.io/managed-by": "kale-serve-ext", "kale-serve-ext/model-id": "12"},
            "annotations": {
                "kale-serve-ext/model-name": "iris",
                "kale-serve-ext/model-version": "2",
                "kale-serve-ext/model-digest": "sha256:aa",
                "kale-serve-ext/predictor-python": "/opt/a/bin/python",
            },
        },
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "sklearn"},
                    "runtime": "kserve-sklearnserver",
                    "protocolVersion": "v1",
                    "storageUri": "file:///s/sha256/aa",
                }
            }
        },
    }


def test_kserves_server_is_told_the_task_that_it_does_not_find_out() -> None:
    def args(details: dict[str, JSON], runtime: str, config: Mapping[str, object] | None = None) -> JSON:
        model = replace(IRIS, format="huggingface", details=details)
        made = build(wanted(model=part(model), runtime=runtime, config=normalise(config or {})))
        found: JSON = made["spec"]["predictor"]["model"].get("args")  # type: ignore[call-overload,index,union-attr]
        return found

    encoder: dict[str, JSON] = {"task": "feature-extraction", "architecture": "BertModel"}
    classifier: dict[str, JSON] = {"task": "text-classification", "architecture": "BertForSequenceClassification"}
    writer: dict[str, JSON] = {"task": "text-generation", "architecture": "GPT2LMHeadModel"}
    stock = "kserve-huggingfaceserver"
    assert args(encoder, stock) == ["--task=text_embedding"]
    assert args({**encoder, "task": "fill-mask"}, stock) == ["--task=fill_mask"]
    assert [args(one, stock) for one in (classifier, writer, {})] == [None, None, None]
    assert args(encoder, "huggingface-server") is None
    asked = {"predictor": {"args": ["--return_probabilities"]}}
    assert args(encoder, stock, asked) == ["--task=text_embedding", "--return_probabilities"]
    said = {"predictor": {"args": ["--task=fill_mask"]}}
    assert args(encoder, stock, said) == ["--task=fill_mask"]


def test_a_transformer_is_told_of_v2() -> None:
    v1 = build(wanted(transformer=part(SCALE)))
    v2 = build(wanted(transformer=part(SCALE), protocol="v2"))

    assert container(v1, "transformer") == {
        "name": "kserve-container",
        "image": "kale-serve-ext/transformer:0.1.0",
        "args": ["--model_name", "iris"],
        "env": [{"name": "STORAGE_URI", "value": "file:///s/sha256/bb"}],
    }
    assert container(v2, "transformer")["args"] == ["--model_name", "iris", "--predictor_protocol", "v2"]
    assert protocol_of(v2) == "v2"


def test_code_runs_from_the_image_that_the_engine_names() -> None:
    theirs = {"transformer": {"container": {"image": "mine:2"}}}
    code = ServedArtifact(SCALE, Staged("s3://b/scale", image="registry/code:1"))

    assert container(build(wanted(transformer=code)), "transformer")["image"] == "registry/code:1"
    assert container(build(wanted(transformer=code, config=theirs)), "transformer")["image"] == "mine:2"


def test_custom_code_is_a_container_of_its_own() -> None:
    made = build(wanted(model=part(CUSTOM), runtime="", protocol="v2"))

    assert container(made, "predictor") == {
        "name": "kserve-container",
        "image": "kale-serve-ext/predictor:0.1.0",
        "args": ["--model_name", "iris"],
        "env": [
            {"name": "STORAGE_URI", "value": "file:///s/sha256/cc"},
            {"name": "PROTOCOL", "value": "v2"},
            {"name": "KALE_SERVE_MODULE", "value": "m"},
            {"name": "KALE_SERVE_CLASS", "value": "C"},
        ],
    }
    assert (runtime_of(made), protocol_of(made), serves_format(made)) == ("", "v2", False)


def test_the_config_reaches_both_components() -> None:
    config = normalise(
        {
            "env": [{"name": "A", "value": "1"}, {"name": "STORAGE_URI", "value": "mine"}],
            "limits": {"memory": "1Gi"},
            "node_selector": {"zone": "a"},
            "labels": {"team": "x"},
            "predictor": {"min_replicas": 2, "limits": {"memory": "2Gi"}, "args": ["--workers", "2"]},
            "transformer": {"service_account_name": "me"},
        }
    )
    made = build(wanted(transformer=part(SCALE), config=config))

    predictor, transformer = component(made, "predictor"), component(made, "transformer")
    model = predictor["model"]
    assert isinstance(model, dict)
    assert model["resources"] == {"limits": {"memory": "2Gi"}}
    assert model["env"][0] == {"name": "A", "value": "1"}
    assert model["args"] == ["--workers", "2"]
    assert (predictor["minReplicas"], predictor["nodeSelector"]) == (2, {"zone": "a"})
    assert (transformer["serviceAccountName"], transformer["labels"]) == ("me", {"team": "x"})
    assert container(made, "transformer")["resources"] == {"limits": {"memory": "1Gi"}}
    # What the snapshot is comes from the artifact, whatever the config says.
    assert variables(made, "transformer")["STORAGE_URI"] == "file:///s/sha256/bb"


def test_an_image_goes_into_the_model_and_its_name_does_not() -> None:
    config = normalise({"predictor": {"container": {"name": "container", "image": "a/b:1"}}})
    model = component(build(wanted(config=config)), "predictor")["model"]

    assert isinstance(model, dict)
    assert model["image"] == "a/b:1"
    assert "name" not in model


@pytest.mark.parametrize(
    "spelling", [{"container": {"image": "a/b:1"}}, {"containers": [{"image": "a/b:1"}, {"name": "x"}]}]
)
def test_a_predictor_of_ones_own_needs_no_model(spelling: dict[str, object]) -> None:
    config = normalise({"predictor": spelling})
    made = build(wanted(model=None, runtime="", config=config))

    assert has_container(config, "predictor")
    assert container(made, "predictor")["image"] == "a/b:1"
    assert container(made, "predictor")["args"] == ["--model_name", "iris"]
    assert len(component(made, "predictor")["containers"]) == (2 if "containers" in spelling else 1)  # type: ignore[arg-type]


def test_the_name_on_the_wire_is_the_entrys_model_name() -> None:
    config = normalise({"transformer": {"args": ["--model_name=other"]}})
    made = build(wanted(transformer=part(SCALE), config=config))

    assert wire_name(build(wanted()), "predictor") == "iris"
    assert wire_name(made, "predictor") == "iris"
    # A second --model_name is not added in a form that the first one hides.
    assert wire_name(made, "transformer") == "other"


def test_an_update_changes_what_is_served_and_nothing_else() -> None:
    config = normalise(
        {"env": [{"name": "A", "value": "1"}], "limits": {"memory": "1Gi"}, "predictor": {"minReplicas": 2}}
    )
    before = build(wanted(transformer=part(SCALE), config=config))
    before["metadata"]["annotations"]["serving.kserve.io/stop"] = "true"  # type: ignore[call-overload,index]
    newer = replace(IRIS, version="3", uri="file:///s/sha256/dd", digest="", id=15)

    after = overlay(before, build(wanted(model=part(newer))))

    assert {(d.path, d.before, d.after) for d in differences(before, after)} == {
        ("metadata.annotations.kale-serve-ext/model-digest", "sha256:aa", None),
        ("metadata.annotations.kale-serve-ext/model-version", "2", "3"),
        ("metadata.labels.kale-serve-ext/model-id", "12", "15"),
        ("spec.predictor.model.storageUri", "file:///s/sha256/aa", "file:///s/sha256/dd"),
    }


def test_settings_are_laid_over_those_that_are_there() -> None:
    before = build(
        wanted(
            transformer=part(SCALE),
            protocol="v2",
            config=normalise(
                {
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
                    "env_from": [{"secretRef": {"name": "s"}}],
                    "limits": {"memory": "1Gi"},
                    "predictor": {"min_replicas": 2, "node_selector": {"disk": "fast"}, "args": ["--workers", "2"]},
                    "transformer": {"image": "mine/t:1", "args": ["--quick"]},
                }
            ),
        )
    )
    config = normalise(
        {
            "env": [{"name": "B", "value": "2"}],
            "env_from": [{"secretRef": {"name": "s"}}, {"secretRef": {"name": "t"}}],
            "limits": {"cpu": "1"},
            "predictor": {"max_replicas": 4, "node_selector": {"zone": "a"}},
            "transformer": {"image": "mine/t:2"},
        }
    )

    after = build(wanted(transformer=part(SCALE), config=config, onto=before))
    again = build(wanted(transformer=part(SCALE), config=config, onto=after))

    spec = after["spec"]
    assert isinstance(spec, dict)
    predictor, transformer = spec["predictor"], spec["transformer"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 4)
    assert predictor["nodeSelector"] == {"disk": "fast", "zone": "a"}
    model = predictor["model"]
    assert model["args"] == ["--workers", "2"]
    assert model["resources"] == {"limits": {"memory": "1Gi", "cpu": "1"}}
    assert model["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    assert model["envFrom"] == [{"secretRef": {"name": "s"}}, {"secretRef": {"name": "t"}}]
    container = transformer["containers"][0]
    # It speaks the protocol of now, whatever else it was given.
    assert (container["image"], container["args"]) == ("mine/t:2", ["--model_name", "iris", "--quick"])
    assert again == after


def test_an_update_with_the_transformer_keeps_all_about_it() -> None:
    config = normalise({"env": [{"name": "A", "value": "1"}], "transformer": {"image": "mine/t:1"}})
    before = build(wanted(transformer=part(SCALE), config=config))
    newer = replace(SCALE, uri="file:///s/sha256/ee")

    after = overlay(before, build(wanted(transformer=part(newer))))

    assert [(d.path, d.after) for d in differences(before, after)] == [
        ("spec.transformer.containers[kserve-container].env[STORAGE_URI].value", "file:///s/sha256/ee")
    ]


def test_from_a_framework_to_custom_code_the_users_settings_come_along() -> None:
    config = normalise({"env": [{"name": "A", "value": "1"}], "limits": {"memory": "1Gi"}})
    before = build(wanted(config=config))

    there = overlay(before, build(wanted(model=part(CUSTOM), runtime="")))
    back = overlay(there, build(wanted()))

    assert "model" not in component(there, "predictor")
    assert container(there, "predictor")["resources"] == {"limits": {"memory": "1Gi"}}
    assert variables(there, "predictor")["A"] == "1"
    assert component(back, "predictor") == component(before, "predictor")


def test_replicas_raise_the_ceiling() -> None:
    made = changed(build(wanted(config=normalise({"predictor": {"max_replicas": 2}}))), replicas=3)

    assert component(made, "predictor")["minReplicas"] == 3
    assert component(made, "predictor")["maxReplicas"] == 3


@pytest.mark.parametrize(
    ("predictor", "protocol"),
    [
        ({"model": {"modelFormat": {"name": "sklearn"}}}, "v1"),
        ({"model": {"runtime": "kserve-mlserver"}}, "v2"),
        ({"model": {"runtime": "kserve-tritonserver"}}, "v2"),
        ({"model": {"runtime": "kserve-tritonserver", "protocolVersion": "grpc-v2"}}, "v2"),
        ({"containers": [{"env": [{"name": "PROTOCOL", "value": "v2"}]}]}, "v2"),
        ({"containers": [{}]}, "v1"),
        ({}, "v1"),
    ],
)
def test_a_manifest_of_others_is_read_as_kserve_reads_it(predictor: JSON, protocol: str) -> None:
    assert protocol_of({"spec": {"predictor": predictor}}) == protocol


def component(manifest: Manifest, name: str) -> dict[str, JSON]:
    spec = manifest["spec"]
    assert isinstance(spec, dict)
    found = spec[name]
    assert isinstance(found, dict)
    return found


def container(manifest: Manifest, name: str) -> dict[str, JSON]:
    containers = component(manifest, name)["containers"]
    assert isinstance(containers, list)
    first = containers[0]
    assert isinstance(first, dict)
    return first


def variables(manifest: Manifest, name: str) -> dict[str, JSON]:
    """The container's variables by name; each is there once."""
    given = container(manifest, name)["env"]
    assert isinstance(given, list)
    found = {str(v["name"]): v["value"] for v in given if isinstance(v, dict)}
    assert len(found) == len(given)
    return found


def test_pods_are_kept_to_the_node_that_has_the_files_until_they_need_it_no_more() -> None:
    near = ServedArtifact(IRIS, Staged("pvc://home/iris", node="n1"))
    config = normalise({"node_selector": {"disk": "fast"}})
    before = build(wanted(model=near, config=config))
    assert "'nodeSelector': {'kubernetes.io/hostname': 'n1', 'disk': 'fast'}" in str(before["spec"])
    # The user's own word counts more.
    own = normalise({"predictor": {"node_selector": {"kubernetes.io/hostname": "n2"}}})
    assert "n2" in str(build(wanted(model=near, config=own))["spec"])
    moved = overlay(before, build(wanted(model=ServedArtifact(IRIS, Staged("s3://b/iris")))))
    assert "'nodeSelector': {'disk': 'fast'}" in str(moved["spec"])
    elsewhere = overlay(before, build(wanted(model=ServedArtifact(IRIS, Staged("pvc://home/iris", node="n3")))))
    assert "'kubernetes.io/hostname': 'n3'" in str(elsewhere["spec"])
