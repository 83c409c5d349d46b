"""What is applied to services that others have made, who stands against it, and what modes allow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.deployment_mode import about_mode, answering, check_pause
from kale_serve_ext.engines.cluster.field_ownership import conflict, to_apply
from kale_serve_ext.engines.fields import mapping
from kale_serve_ext.errors import ConflictError, InvalidInputError
from kale_serve_ext.ml import JSON

MODE = "serving.kserve.io/deploymentMode"


def service(spec: JSON = None, owned: JSON = None, *, mode: str = "", status: JSON = None, **labels: str) -> Manifest:
    """A service of which we own the fields of ``owned``, in the words of ``managedFields``."""
    managed: JSON = [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:predictor": {"f:model": {}}}}},
        {"manager": "kale-serve-ext", "operation": "Apply", "fieldsV1": owned},
    ]
    notes: JSON = {MODE: mode} if mode else {}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "labels": {**labels}, "annotations": notes, "managedFields": managed},
        "spec": spec,
        "status": status,
    }


LIVE: Mapping[str, JSON] = {
    "predictor": {"minReplicas": 1, "maxReplicas": 3, "model": {"storageUri": "s3://a", "args": ["--x"]}}
}


@pytest.mark.parametrize(
    ("owned", "wanted", "applied"),
    [
        ({}, {"predictor": {**LIVE["predictor"], "minReplicas": 2}}, {"predictor": {"minReplicas": 2}}),  # type: ignore[dict-item]
        ({}, LIVE, {}),
        (
            {},
            {"predictor": {"model": {"storageUri": "s3://b", "args": ["--x"]}}},
            {"predictor": {"model": {"storageUri": "s3://b"}}},
        ),
        ({}, {"predictor": {"model": {"args": ["--x", "--y"]}}}, {"predictor": {"model": {"args": ["--x", "--y"]}}}),
        # What is ours by an earlier change goes along, or it would be taken for given back.
        (
            {"f:spec": {"f:predictor": {"f:minReplicas": {}}}},
            {"predictor": {"minReplicas": 1, "maxReplicas": 3, "model": {"storageUri": "s3://b"}}},
            {"predictor": {"minReplicas": 1, "model": {"storageUri": "s3://b"}}},
        ),
        ({"f:spec": {"f:predictor": {"f:minReplicas": {}}}}, {"predictor": {"maxReplicas": 3}}, {}),
    ],
    ids=["a field", "nothing", "a deep field", "a list is one value", "what is ours", "what is given back"],
)
def test_of_anothers_service_only_what_changes_is_applied(owned: JSON, wanted: JSON, applied: JSON) -> None:
    made = to_apply(service(dict(LIVE), owned), service(wanted))
    assert made["spec"] == applied
    assert made["metadata"] == {"name": "iris"}


def test_our_own_service_is_applied_whole() -> None:
    labels = {"app.kubernetes.io/managed-by": "kale-serve-ext"}
    wanted = service({"predictor": {}}, **labels)
    assert to_apply(service(dict(LIVE), **labels), wanted) is wanted


def test_a_version_beside_another_goes_whoever_made_it() -> None:
    beside: JSON = [{"predictor": {"name": "next"}, "trafficPercent": 20}]
    for labels in ({}, {"app.kubernetes.io/managed-by": "kale-serve-ext"}):
        live: Manifest = {"metadata": {"labels": labels}, "spec": {"predictor": {}, "canary": beside}}
        alone: Manifest = {"metadata": {"labels": labels}, "spec": {"predictor": {}}}
        assert mapping(to_apply(live, alone)["spec"])["canary"] == []
        assert to_apply(alone, alone)["spec"] == ({"predictor": {}} if labels else {})


def cause(manager: str, field: str, reason: str = "FieldManagerConflict") -> JSON:
    message = f'conflict with "{manager}" using serving.kserve.io/v1beta1'
    return {"reason": reason, "message": message, "field": field}


def test_a_conflict_is_told_by_manager_and_field() -> None:
    causes: JSON = [cause("argocd", ".spec.a"), cause("kubectl", ".spec.b"), cause("argocd", ".spec.c")]
    told = conflict({"details": {"causes": causes}})
    assert told is not None
    assert "argocd has set spec.a, spec.c; kubectl has set spec.b." in told.message
    assert conflict({"details": {"causes": [cause("x", ".y", "Other")]}}) is None
    assert conflict({"message": "the object has been modified"}) is None


SHARED: JSON = {"predictor": {"canaryTrafficPercent": 20}}


@pytest.mark.parametrize(
    ("stored", "before", "codes"),
    [
        (service(SHARED, mode="Standard"), None, ["CanaryIgnored"]),
        (service(SHARED, mode="RawDeployment"), None, ["CanaryIgnored"]),
        (service(SHARED, mode="Knative"), None, []),
        (service({"predictor": {}}, mode="Standard"), None, []),
        (
            service({**SHARED, "transformer": {"a": 1}}, mode="Knative"),  # type: ignore[dict-item]
            service({"transformer": {"a": 1}}),
            [],
        ),
        (
            service({**SHARED, "transformer": {"a": 2}}, mode="Knative"),  # type: ignore[dict-item]
            service({"transformer": {"a": 1}}),
            ["TransformerAtOnce"],
        ),
    ],
)
def test_what_a_mode_makes_of_a_share(stored: Manifest, before: Manifest | None, codes: list[str]) -> None:
    assert [check.code for check in about_mode(stored, before, has_knative=True, has_gateway=True)] == codes


def test_a_mode_that_the_cluster_lacks_is_refused() -> None:
    assert [c.code for c in about_mode(service({}, mode="Knative"), None, has_knative=False, has_gateway=False)] == [
        "NoKnative"
    ]


def knative(percents: Mapping[str, int]) -> JSON:
    traffic: JSON = [{"revisionName": name, "percent": percent} for name, percent in percents.items()]
    own: JSON = {"latestCreatedRevision": "r2", "latestReadyRevision": "r2", "traffic": traffic}
    return {"deploymentMode": "Knative", "components": {"predictor": own}}


@pytest.mark.parametrize(
    ("percents", "asked"),
    [({"r2": 100}, "r2"), ({"r2": 20, "r1": 80}, "r1"), ({"r2": 50, "r1": 50}, "r1"), ({"r1": 100}, "r1"), ({}, "r2")],
)
def test_who_can_ask_but_one_asks_the_version_that_gets_most(percents: Mapping[str, int], asked: str) -> None:
    assert answering(service({}, status=knative(percents)), "predictor") == asked
    assert answering(service({}, status={"deploymentMode": "Standard"}), "predictor") == ""


def test_a_pause_that_would_surprise_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"older than 0\.16"):
        check_pause(service({}, status={"deploymentMode": "RawDeployment"}))
    with pytest.raises(ConflictError, match="the newest would get all requests"):
        check_pause(service(SHARED, status=knative({"r2": 20, "r1": 80})))
    check_pause(service(SHARED, status=knative({"r2": 100})))
    check_pause(service({}, status={"deploymentMode": "Standard"}))
