"""One service from its plan to its end, through the REST API of a real server, with a real model server behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import httpx
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.engines.local.state import read_status
from kale_serve_ext.server.watcher import SCHEMA_ID

IRIS = "services/local/localhost/default/iris"
FORBIDDEN = {"kserve", "pandas", "joblib", "cloudpickle", "sklearn", "xgboost", "lightgbm", "ml_metadata", "kubernetes"}


@pytest.fixture(scope="module")
def server(empty_server: httpx.Client) -> httpx.Client:
    return empty_server


@pytest.fixture(scope="module")
def iris(server: httpx.Client, model_id: int) -> int:
    """The model's id, once its service is ready."""
    made = server.post("services", json={"model_id": model_id})
    assert made.status_code == 201, made.text
    assert made.json()["ref"] == {"engine": "local", "context": "localhost", "namespace": "default", "name": "iris"}
    until(server, lambda service: service["phase"] == "Ready")
    return model_id


def until(client: httpx.Client, seen: Callable[[dict[str, object]], bool], seconds: float = 90) -> dict[str, object]:
    """The service once it is as wanted."""
    end = time.monotonic() + seconds
    while True:
        service: dict[str, object] = client.get(IRIS).json()
        if seen(service):
            return service
        assert time.monotonic() < end, service
        assert service.get("phase") != "Failed", service
        time.sleep(0.1)


def test_a_plan_tells_what_would_be_applied(server: httpx.Client, model_id: int) -> None:
    plan = server.post("plan", json={"model_id": model_id, "name": "planned"}).json()
    assert plan["ok"], plan["checks"]
    assert plan["manifest"]["kind"] == "InferenceService"
    assert (plan["name"], plan["protocol"], plan["exists"]) == ("planned", "v1", False)
    assert server.get("services/local/localhost/default/planned").status_code == 404


def test_the_runtime_that_fits_is_chosen_and_the_others_say_why_not(server: httpx.Client, model_id: int) -> None:
    items = server.get("runtimes", params={"model_id": model_id}).json()["items"]
    assert [item["name"] for item in items if item["chosen"]] == ["kserve-sklearnserver"]
    misfits = [item for item in items if not item["fits"]]
    assert misfits
    assert all(item["reason"] for item in misfits)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"model_id": 10**9}, 404, None),
        ({"name": "x"}, 400, None),
        ({"name": "Not A Name"}, 400, "name"),
        ({"name": "x" * 64}, 400, "name"),
        ({"runtime": "kserve-torchserve"}, 422, "runtime"),
        ({"config": {"predictor": "nonsense"}}, 400, "config"),
    ],
)
def test_what_cannot_be_served_is_refused_and_leaves_nothing(
    body: dict[str, object], status: int, field: str | None, server: httpx.Client, model_id: int
) -> None:
    request = body if body == {"name": "x"} else {"model_id": model_id, **body}
    before = server.get("services").json()
    refused = server.post("services", json=request)
    assert refused.status_code == status, refused.text
    told = refused.json()
    assert told["message"]
    if field:
        assert told["field"] == field
    assert [s["ref"] for s in server.get("services").json()["items"]] == [s["ref"] for s in before["items"]]


def test_a_service_is_listed_where_people_look_for_it(server: httpx.Client, iris: int) -> None:
    (listed,) = server.get("services").json()["items"]
    assert listed == until(server, lambda service: True) | {"updated": listed["updated"]}
    assert listed["model"] == {"id": iris, "name": "iris", "version": "1"}
    detail = server.get(f"models/{iris}").json()
    assert [service["ref"]["name"] for service in detail["services"]] == ["iris"]
    deployments = [step for step in detail["lineage"]["consumed_by"] if step["service"] == listed["ref"]]
    # Other tests on this server may have served it before.
    assert [d["type"] for d in deployments if d["state"] == "RUNNING"] == ["kale.Deployment"]
    (made,) = detail["lineage"]["produced_by"]
    assert made["context"] == "JupyterLab"


def test_a_test_request_tells_answer_latency_and_the_same_call_as_code(server: httpx.Client, iris: int) -> None:
    told = server.post(f"{IRIS}/predict", json={"rows": [[0.0, 1.0], [1.0, 0.0]]}).json()
    assert told["answer"] == '{"predictions":[0,1]}'
    assert told["latency_ms"] > 0
    assert told["request"] == '{"instances":[[0.0,1.0],[1.0,0.0]]}'
    assert told["url"] in told["command"]
    assert "iris" in told["python"]
    raw = server.post(f"{IRIS}/predict", json={"raw": told["request"]}).json()
    assert raw["answer"] == told["answer"]
    text = server.post(f"{IRIS}/predict", json={"rows": "[[0.0, 1.0], [1.0, 0.0]]"}).json()
    assert text["request"] == told["request"]


def test_a_model_of_tables_has_no_tensors_to_test_with(server: httpx.Client, iris: int) -> None:
    assert server.get(f"{IRIS}/predict").json() == {"inputs": [], "outputs": []}
    assert server.get(f"{IRIS}/predict", params={"component": "transformer"}).status_code == 404
    assert server.get(f"{IRIS}/predict", params={"component": "explainer"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "rows"),
        ({"rows": [[1, 2]], "raw": {}}, 400, "rows"),
        ({"raw": "{not json"}, 400, "JSON"),
        ({"rows": "[[0.0, 1e400]]"}, 400, "1e400"),
        ({"rows": "{}"}, 400, "list"),
        ({"rows": [[1.0, 2.0, 3.0]]}, 502, "features"),
        ({"raw": {"wrong": 1}}, 502, "instances"),
        ({"rows": [[0.0, 1.0]], "component": "transformer"}, 404, "transformer"),
    ],
)
def test_a_bad_test_request_gets_the_reason(
    body: dict[str, object], status: int, said: str, server: httpx.Client, iris: int
) -> None:
    refused = server.post(f"{IRIS}/predict", json=body)
    assert refused.status_code == status, refused.text
    assert said in refused.json()["message"]
    # What reached the service is told, as it was sent.
    sent = refused.json()["request"]
    assert (json.loads(sent) if sent else None) == (
        body.get("raw", {"instances": body.get("rows")}) if status == 502 else None
    )


def test_logs_events_and_metrics_are_there(server: httpx.Client, iris: int) -> None:
    log = server.get(f"{IRIS}/logs", params={"tail": 5})
    assert log.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert log.headers["X-Content-Type-Options"] == "nosniff"
    assert 0 < len(log.text.splitlines()) <= 5
    assert server.get(f"{IRIS}/logs", params={"tail": 0}).text == ""
    assert server.get(f"{IRIS}/logs", params={"component": "sidecar"}).status_code == 400
    assert server.get(f"{IRIS}/logs", params={"component": "transformer"}).status_code == 404
    assert server.get(f"{IRIS}/events").json()["items"]
    assert "# TYPE" in server.get(f"{IRIS}/metrics").json()["text"]


def test_a_followed_log_grows_while_the_client_stays(server: httpx.Client, iris: int) -> None:
    with server.stream("GET", f"{IRIS}/logs", params={"follow": True, "tail": 0}) as log:
        pieces = log.iter_text()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(next, pieces)
            # Whatever is written comes through at once, with the stream still open.
            for _ in range(100):
                server.post(f"{IRIS}/predict", json={"rows": [[0.0, 1.0]]})
                if first.done():
                    break
            assert first.result(timeout=30)


def test_a_reader_who_leaves_makes_room_for_another(server: httpx.Client, iris: int) -> None:
    def follow() -> AbstractContextManager[httpx.Response]:
        return server.stream("GET", f"{IRIS}/logs", params={"follow": True})

    with follow() as first, follow() as second:
        assert first.status_code == second.status_code == 200
        with follow() as third:
            assert third.status_code == 503
    end = time.monotonic() + 20
    while server.get(f"{IRIS}/logs").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_browsers_hear_of_changes_and_paused_services_answer_at_once(server: httpx.Client, iris: int) -> None:
    async def story() -> None:
        async with events(server) as told:
            await asyncio.to_thread(server.patch, IRIS, json={"paused": True})
            await heard(told, "Paused")
            # A process that is being stopped may still answer.
            await asyncio.to_thread(until, server, lambda service: str(service["reason"]).startswith("It is paused"))
            refused = await asyncio.to_thread(server.post, f"{IRIS}/predict", json={"rows": [[0.0, 1.0]]})
            assert (refused.status_code, refused.json()["reason"]) == (503, "ServiceNotReady")
            assert "Paused" in refused.json()["message"]
            await asyncio.to_thread(server.patch, IRIS, json={"paused": False})
            ready = await heard(told, "Ready")
        assert (ready["name"], ready["phase"], ready["reason"]) == ("iris", "Ready", "")

    try:
        asyncio.run(story())
    finally:
        server.patch(IRIS, json={"paused": False})
    assert server.post(f"{IRIS}/predict", json={"rows": [[0.0, 1.0]]}).status_code == 200


def test_a_frozen_model_keeps_nobody_else_waiting(server: httpx.Client, real_settings: Settings, iris: int) -> None:
    with frozen(real_settings), ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(server.post, f"{IRIS}/predict", json={"rows": [[0.0, 1.0]]}) for _ in range(40)]
        for path in ("services", "models", IRIS, "openapi.json", f"{IRIS}/logs"):
            assert server.get(path).status_code == 200
        assert not any(one.done() for one in asked)
        for one in asked:
            assert (one.result().status_code, one.result().json()["reason"]) == (504, "DeadlineExceeded")
    assert server.post(f"{IRIS}/predict", json={"rows": [[0.0, 1.0]]}).status_code == 200


def test_a_patch_that_asks_for_nothing_is_refused(server: httpx.Client, iris: int) -> None:
    assert server.patch(IRIS, json={}).status_code == 400
    assert server.patch(IRIS, json={"replicas": 0}).json()["field"] == "replicas"
    assert server.patch(IRIS, json={"model_id": 10**9}).status_code == 404


def test_a_share_of_the_requests_is_refused_where_they_cannot_be_split(server: httpx.Client, iris: int) -> None:
    before = server.get(IRIS).json()["manifest"]
    refused = server.patch(IRIS, json={"canary": 20})
    assert (refused.status_code, refused.json()["field"]) == (422, "canary")
    assert "one version at a time" in refused.json()["message"]
    assert server.patch(IRIS, json={"canary": 101}).status_code == 400
    assert server.get(IRIS).json()["manifest"] == before


def test_another_version_is_rolled_out(server: httpx.Client, iris: int) -> None:
    file = {"path": "model.joblib", "kernel": "python3"}
    again = server.post("models", json={**file, "name": "iris", "version": "2.0"})
    assert again.status_code == 201, again.text
    newer = again.json()["artifact"]["id"]
    assert server.patch(IRIS, json={"model_id": newer}).json()["model"]["version"] == "2.0"
    service = until(server, lambda service: service["phase"] == "Ready" and service["serving_revision"] == 2)
    assert service["model"] == {"id": newer, "name": "iris", "version": "2.0"}
    assert server.get(f"models/{iris}").json()["services"] == []


def test_what_it_was_is_shown_and_can_be_had_again(server: httpx.Client, iris: int) -> None:
    newest, oldest = server.get(f"{IRIS}/revisions").json()["items"]
    assert (newest["number"], newest["newest"], newest["answers"], newest["model"]["version"]) == (2, True, True, "2.0")
    assert newest["changes"] == ["model iris 1 → 2.0"]
    assert (oldest["number"], oldest["answers"], oldest["model"]["id"]) == (1, False, iris)
    assert "JupyterLab" in newest["by"]
    assert "manifest" not in newest
    unknown = server.post(f"{IRIS}/rollback", json={"revision": 7})
    assert (unknown.status_code, unknown.json()["field"]) == (409, "revision")

    back = server.post(f"{IRIS}/rollback", json={})
    assert (back.status_code, back.json()["model"]["id"], back.json()["can_roll_back"]) == (200, iris, False)
    until(server, lambda service: service["phase"] == "Ready" and service["serving_revision"] == 3)
    # As the tests after this one expect it.
    assert server.post(f"{IRIS}/rollback", json={"revision": 2}).json()["model"]["version"] == "2.0"
    until(server, lambda service: service["phase"] == "Ready" and service["serving_revision"] == 4)


def test_a_name_that_another_model_has_is_taken(server: httpx.Client, iris: int) -> None:
    other = server.post("models", json={"path": "model.joblib", "name": "other", "kernel": "python3"})
    refused = server.post("services", json={"model_id": other.json()["artifact"]["id"], "name": "iris"})
    assert (refused.status_code, refused.json()["field"]) == (409, "name")


def test_no_more_services_than_allowed(server: httpx.Client, iris: int) -> None:
    assert server.post("services", json={"model_id": iris, "name": "second"}).status_code == 201
    refused = server.post("services", json={"model_id": iris, "name": "third"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "PermissionDenied")
    assert server.delete("services/local/localhost/default/second").status_code == 204
    assert server.get("services/local/localhost/default/second").status_code == 404


def test_a_corrupt_state_folder_is_told_and_can_be_deleted(server: httpx.Client, real_settings: Settings) -> None:
    home = Home.of(real_settings, "default", "broken")
    home.folder.mkdir(parents=True)
    home.spec.write_text('{"manifest": [')
    told = {service["ref"]["name"]: service for service in server.get("services").json()["items"]}
    assert told["broken"]["phase"] == "Failed"
    assert "spec.json" in told["broken"]["reason"]
    for asked in ("", "/logs", "/events"):
        assert server.get(f"services/local/localhost/default/broken{asked}").status_code == 200
    assert server.get("services/local/localhost/default/broken/metrics").status_code == 503
    assert server.delete("services/local/localhost/default/broken").status_code == 204
    assert not home.folder.exists()


def test_after_all_this_the_server_has_loaded_nothing_that_unpickles(server: httpx.Client, iris: int) -> None:
    modules = set(server.get(server.base_url.join("../peek")).json()["modules"])
    assert "kale_serve_ext.serving.predict" in modules
    assert not {name.partition(".")[0] for name in modules} & FORBIDDEN


@asynccontextmanager
async def events(client: httpx.Client) -> AsyncIterator[asyncio.Queue[dict[str, object]]]:
    """Our events, as a browser gets them."""
    url = client.base_url.join("../api/events/subscribe").copy_with(scheme="ws")
    request = HTTPRequest(str(url), headers={"Authorization": client.headers["Authorization"]})
    connection = await websocket_connect(request)
    told: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def listen() -> None:
        while (message := await connection.read_message()) is not None:
            event = json.loads(message)
            if event["schema_id"] == SCHEMA_ID:
                told.put_nowait(event)

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        connection.close()
        await task


async def heard(told: asyncio.Queue[dict[str, object]], phase: str) -> dict[str, object]:
    """The first event that tells of this phase."""
    while True:
        event = await asyncio.wait_for(told.get(), 60)
        if event["phase"] == phase:
            return event


@contextmanager
def frozen(settings: Settings) -> Iterator[None]:
    """The service's predictor stands still."""
    status = read_status(Home.of(settings, "default", "iris"))
    assert status is not None
    pids = [child.pid for child in status.children]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
