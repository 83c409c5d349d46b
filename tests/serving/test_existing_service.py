"""What a plan says of a service that is there already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Manifest, RevisionShare, ServiceState
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.existing_service import about_name, about_share
from kale_serve_ext.serving.types import ServeRequest

OLDER = RevisionShare("r1", 80, newest=False)


def manifest(percent: int | None = None, *, own: bool = False) -> Manifest:
    share = {} if percent is None else {"canaryTrafficPercent": percent}
    return {"metadata": {}, "spec": {"predictor": {**share, **({"containers": []} if own else {"model": {}})}}}


def service(percent: int | None = None, *shares: RevisionShare, ours: bool = True, own: bool = False) -> ServiceState:
    ref = ServiceRef("cluster", "kale", "team", "iris")
    return ServiceState(ref, manifest(percent, own=own), 1, 1, (), shares=shares, ours=ours)


def with_canary(percent: int) -> ServiceState:
    """With another version in Standard mode, which nobody has routed to."""
    entry: JSON = {"predictor": {"name": "next"}, "trafficPercent": percent}
    made: Manifest = {"metadata": {}, "spec": {"predictor": {"model": {}}, "canary": [entry]}}
    return replace(service(), manifest=made, mode="Standard")


@pytest.mark.parametrize(
    ("asked", "current", "codes"),
    [
        (None, None, []),
        (100, None, []),
        (20, None, ["FirstVersion"]),
        (20, service(), ["Canary"]),
        (None, service(20, RevisionShare("r2", 20, newest=True), OLDER), ["ShareLost"]),
        (100, service(0, RevisionShare("r2", 0, newest=True), OLDER), ["ShareLost"]),
        (20, service(0, RevisionShare("r2", 0, newest=True), OLDER), ["Canary"]),
        # While it loads, a version that is to get everything gets nothing: there is no share to lose.
        (None, service(None, RevisionShare("r2", 0, newest=True), OLDER), []),
        (None, service(20, RevisionShare("r2", 100, newest=True)), []),
        (None, with_canary(20), ["ShareLost"]),
        (None, with_canary(100), ["ShareLost"]),
    ],
)
def test_what_a_share_will_mean(asked: int | None, current: ServiceState | None, codes: list[str]) -> None:
    assert [check.code for check in about_share(manifest(asked), current)] == codes


@pytest.mark.parametrize(("percent", "level"), [(20, "ok"), (0, "warning")])
def test_a_version_that_gets_no_requests_is_warned_of(percent: int, level: str) -> None:
    """As after a rollback, whose share of 0 % stays until the next promotion."""
    (told,) = about_share(manifest(percent), service(0, RevisionShare("r2", 0, newest=True), OLDER))
    assert (told.level, told.code) == (level, "Canary")


@pytest.mark.parametrize(
    ("update", "current", "told"),
    [
        (False, None, ("ok", "NameFree")),
        (False, service(ours=False), ("error", "NotMadeHere")),
        (True, service(ours=False), ("warning", "NotMadeHere")),
        (True, service(), None),
        (True, None, ("ok", "NameFree")),
    ],
)
def test_a_name_that_is_taken(update: bool, current: ServiceState | None, told: tuple[str, str] | None) -> None:
    checks = about_name(ServeRequest(name="iris", update=update), "iris", current, None)
    assert [(check.level, check.code) for check in checks] == ([told] if told else [])
