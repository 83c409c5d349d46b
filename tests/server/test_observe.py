"""What may not be read is told as such, before anything else is said."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext.engines.cluster import credentials

if TYPE_CHECKING:
    from tests.conftest import ApiServer

Fetch = Callable[..., Awaitable[HTTPResponse]]

NAMESPACE = "/api/v1/namespaces/team-a"
SERVICE = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/iris"
IRIS = {"metadata": {"name": "iris", "namespace": "team-a", "uid": "1"}, "spec": {"predictor": {"model": {}}}}
POD = {
    "metadata": {
        "name": "iris-1",
        "uid": "2",
        "labels": {"serving.kserve.io/inferenceservice": "iris", "component": "predictor"},
    },
    "spec": {"containers": [{"name": "kserve-container"}]},
    "status": {"phase": "Running"},
}


@pytest.fixture(autouse=True)
def cluster(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Has one service with a pod, whose log, and whose events, may not be read."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    others = api_server.answer

    def answer(path: str, body: dict[str, dict[str, dict[str, str]]]) -> tuple[int, object]:
        if path == SERVICE:
            return 200, IRIS
        if path == f"{NAMESPACE}/pods":
            return 200, {"kind": "PodList", "items": [POD], "metadata": {"resourceVersion": "1"}}
        if path in (f"{NAMESPACE}/pods/iris-1/log", f"{NAMESPACE}/events"):
            what = path.removeprefix(NAMESPACE)
            return 403, {"kind": "Status", "apiVersion": "v1", "message": f"may not get {what}", "code": 403}
        return others(path, body)

    monkeypatch.setattr(api_server, "answer", answer)
    credentials.find_place.cache_clear()
    yield api_server
    credentials.find_place.cache_clear()


@pytest.fixture
def app_config() -> dict[str, object]:
    return {"engine": ""}


@pytest.mark.parametrize(
    ("asked", "named"), [("logs", "/pods/iris-1/log"), ("logs?follow=true", "/pods/iris-1/log"), ("events", "/events")]
)
async def test_what_may_not_be_read_is_an_error_and_no_empty_answer(fetch_raw: Fetch, asked: str, named: str) -> None:
    with pytest.raises(HTTPClientError) as told:
        await fetch_raw(f"services/cluster/one/team-a/iris/{asked}")

    assert told.value.response is not None
    assert told.value.code == 403
    body = json.loads(told.value.response.body)
    assert body["reason"] == "PermissionDenied"
    assert f"may not get {named}" in body["message"]
