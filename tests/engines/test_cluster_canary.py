"""Predictors beside a service's own in Standard mode: which answer, who gets the requests, and what is told of it.

The routes are as KServe 0.21 would write them: no such version was there to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.deployment_mode import about_mode, answering, check_pause, own_deployment
from kale_serve_ext.engines.cluster.service_objects import Objects
from kale_serve_ext.engines.cluster.state import service_state
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Service

OWN, BESIDE = "iris-predictor", "iris-canary-predictor"
LABELS = {"serving.kserve.io/inferenceservice": "iris", "component": "predictor"}
DAY = "2026-01-01T00:00:00Z"


def service(percent: int = 20, *, mode: str = "Standard", listed: bool = True, code: bool = False) -> Manifest:
    kind: dict[str, JSON] = {"containers": []} if code else {"model": {}}
    beside: JSON = {"predictor": {"name": "canary", **kind}, "trafficPercent": percent}
    spec: dict[str, JSON] = {"predictor": {"model": {}}, **({"canary": [beside]} if listed else {})}
    metadata: JSON = {"name": "iris", "namespace": "team", "generation": 2}
    return {"metadata": metadata, "spec": spec, "status": {"deploymentMode": mode}}


def deployment(name: str, replicas: int = 1) -> Manifest:
    template: JSON = {"spec": {"containers": [{"image": name}]}}
    return {
        "metadata": {"name": name, "labels": {**LABELS, "app": f"isvc.{name}"}},
        "spec": {"replicas": replicas, "template": template},
    }


def replicaset(name: str, image: str = "") -> Manifest:
    template: JSON = {"spec": {"containers": [{"image": image or name}]}}
    owners: JSON = [{"name": name, "controller": True}]
    made = f"{name}-{image or 'now'}"
    return {"metadata": {"name": made, "labels": LABELS, "ownerReferences": owners}, "spec": {"template": template}}


def pod(name: str, version: str, *, ready: bool = True, image: str = "") -> Manifest:
    notes: JSON = {"kale-serve-ext/model-name": "iris", "kale-serve-ext/model-version": version}
    state: JSON = {"running": {"startedAt": DAY}} if ready else {"terminated": {"exitCode": 1, "reason": "Error"}}
    return {
        "metadata": {
            "name": f"{name}-x",
            "creationTimestamp": DAY,
            "labels": {**LABELS, "app": f"isvc.{name}"},
            "annotations": notes,
            "ownerReferences": [{"name": f"{name}-{image or 'now'}", "controller": True}],
        },
        "spec": {"containers": [{"name": "kserve-container", "readinessProbe": {"tcpSocket": {}}}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "kserve-container", "ready": ready, "state": state}],
        },
    }


def route(**weights: int) -> Manifest:
    """A route of the Gateway API with the weights of Services by name."""
    backends: JSON = [
        {"name": name.replace("_", "-"), "port": 80, "weight": weight} for name, weight in weights.items()
    ]
    return {"metadata": {"name": "iris"}, "spec": {"rules": [{"backendRefs": backends}]}}


def objects(given: Manifest | None = None, *pods: Manifest, routes: Sequence[Manifest] | None = ()) -> Objects:
    return Objects(
        given or service(),
        deployments=[deployment(OWN), deployment(BESIDE)],
        replicasets=[replicaset(OWN), replicaset(BESIDE), replicaset(BESIDE, "before")],
        pods=pods or [pod(OWN, "1"), pod(BESIDE, "2")],
        routes=routes,
    )


def told(given: Objects, *, has_gateway: bool = True) -> Service:
    return describe(service_state(given, context="kind", has_gateway=has_gateway, now=2e9))


@pytest.mark.parametrize(
    ("routes", "shares", "reason"),
    [
        (
            [route(iris_predictor=80, iris_canary_predictor=20)],
            [(BESIDE, 20), (OWN, 80)],
            "Of the requests 20 % go to version 2 and 80 % go to version 1.",
        ),
        # What was asked for may not be so yet.
        (
            [route(iris_predictor=1), route(iris_predictor=3, iris_canary_predictor=1)],
            [(BESIDE, 25), (OWN, 75)],
            "Of the requests 25 % go to version 2 and 75 % go to version 1.",
        ),
        ([route(iris_predictor=1)], [(BESIDE, 0), (OWN, 100)], "All requests go to version 1; version 2 gets none."),
        ([], [(BESIDE, 0), (OWN, 100)], "All requests go to version 1; version 2 gets none."),
        (
            None,
            [(BESIDE, 20), (OWN, 80)],
            "Of the requests 20 % go to version 2 and 80 % go to version 1, as was asked for: "
            "what they get may not be read.",
        ),
    ],
    ids=["split", "split otherwise", "not split", "no route", "routes that may not be read"],
)
def test_who_gets_the_requests_is_read_from_the_routes(
    routes: Sequence[Manifest] | None, shares: list[tuple[str, int]], reason: str
) -> None:
    found = told(objects(routes=routes))
    assert (found.phase, found.revision, found.serving_revision, found.replicas_ready) == ("Ready", 2, 2, 2)
    assert [(s.revision, s.percent) for s in found.shares] == shares
    assert [s.newest for s in found.shares] == [True, False]
    assert [s.model.version for s in found.shares if s.model] == ["2", "1"]
    assert {s.assumed for s in found.shares} == {routes is None}
    assert found.reason == reason


@pytest.mark.parametrize(
    ("pods", "phase"),
    [
        ([pod(OWN, "1"), pod(BESIDE, "2", ready=False)], "Degraded"),
        ([pod(OWN, "1")], "Loading"),
        # One that was there before is no sign of the one that comes.
        ([pod(OWN, "1"), pod(BESIDE, "0", image="before")], "Loading"),
    ],
    ids=["it fails", "it is not there yet", "it replaces another"],
)
def test_the_one_beside_is_the_newest_version(pods: list[Manifest], phase: str) -> None:
    found = told(objects(None, *pods))
    assert (found.phase, found.serving_revision) == (phase, 1)


def test_it_answers_nothing_for_the_one_that_has_the_address() -> None:
    dead = told(objects(None, pod(OWN, "1", ready=False), pod(BESIDE, "2")))
    assert (dead.phase, dead.serving_revision) == ("Failed", 0)
    # After a pause both come, and one of them first.
    assert told(objects(None, pod(BESIDE, "2"))).phase == "Loading"


def test_one_without_a_share_is_told_too() -> None:
    found = told(objects(service(0)))
    assert (found.phase, [s.percent for s in found.shares]) == ("Ready", [0, 100])


def test_what_is_left_of_one_that_was_promoted_or_taken_back_does_not_count() -> None:
    alone = service(listed=False)
    rolled = [replicaset(OWN), replicaset(OWN, "before")]
    left = replace(objects(alone, pod(OWN, "1", image="before"), pod(BESIDE, "2")), replicasets=rolled)
    found = told(left)
    assert (found.phase, found.serving_revision, found.replicas_wanted, found.shares) == ("Loading", 1, 1, ())
    # Its Deployment may go before its pods.
    assert told(replace(left, deployments=[deployment(OWN)])).phase == "Loading"


def test_a_deployment_without_pods_waits_for_nobody() -> None:
    alone = Objects(service(listed=False), deployments=[deployment(OWN, 0)])
    assert told(alone).phase != "Idle"


def test_requests_go_by_the_address_and_a_pause_keeps_both() -> None:
    assert (answering(service(), "predictor"), own_deployment(service(), "predictor")) == ("", OWN)
    named: Manifest = {**service(), "spec": {"predictor": {"name": "main"}, "transformer": {"name": "x"}}}
    assert own_deployment(named, "predictor") == "iris-main-predictor"
    assert own_deployment(named, "transformer") == "iris-transformer"
    spec: JSON = {"predictor": {"canaryTrafficPercent": 20}, "canary": [{"predictor": {"name": "canary"}}]}
    check_pause({**service(), "spec": spec})


def test_routes_that_no_cluster_has_are_none_that_may_not_be_read() -> None:
    [newest, own] = told(objects(routes=None), has_gateway=False).shares
    assert (newest.percent, own.percent, newest.assumed) == (0, 100, False)


@pytest.mark.parametrize(
    ("given", "has_gateway", "expected"),
    [
        (service(listed=False), True, True),
        (service(listed=False), False, False),
        ({**service(), "spec": {"predictor": {"model": {}}, "transformer": {}}}, True, False),
        ({**service(), "spec": {"predictor": {"containers": []}}}, True, False),
        (service(mode="Knative"), False, True),
        (service(mode=""), True, False),
    ],
)
def test_where_a_share_can_be_given(given: Manifest, has_gateway: bool, expected: bool) -> None:
    assert told(Objects(given), has_gateway=has_gateway).can_split is expected


@pytest.mark.parametrize(
    ("stored", "before", "has_gateway", "codes"),
    [
        (service(), None, False, ["NoGateway"]),
        (service(), None, True, ["CanaryUnverified"]),
        (service(code=True), None, True, ["NoModelToShare"]),
        ({**service(), "spec": {**service()["spec"], "transformer": {}}}, None, True, ["PastTransformer"]),  # type: ignore[dict-item]
        # What somebody has set already is not in the way of other changes.
        (service(), service(), False, []),
        (service(), service(30), False, ["NoGateway"]),
        (service(listed=False), service(), False, []),
    ],
)
def test_what_is_said_of_it_beforehand(
    stored: Manifest, before: Manifest | None, has_gateway: bool, codes: list[str]
) -> None:
    checks = about_mode(stored, before, has_knative=False, has_gateway=has_gateway)
    assert [check.code for check in checks] == codes
