"""Recorded rows, sent to services by the server for the panel."""

from __future__ import annotations

import time

import httpx
import pytest

SERVICE = "services/local/localhost/default/{}"


@pytest.fixture(scope="module")
def server(empty_server: httpx.Client) -> httpx.Client:
    return empty_server


def serve(server: httpx.Client, name: str, **body: object) -> None:
    made = server.post("services", json={"name": name, **body})
    assert made.status_code == 201, made.text
    end = time.monotonic() + 120
    while (service := server.get(SERVICE.format(name)).json())["phase"] != "Ready":
        assert service["phase"] in ("Pending", "Loading"), service
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_rows_that_differ_are_told(server: httpx.Client) -> None:
    made = server.post("models", json={"path": "recorded", "name": "recorded", "kernel": "python3"})
    assert made.status_code == 201, made.text
    serve(server, "recorded", model_id=made.json()["artifact"]["id"])

    verdict = server.post(f"{SERVICE.format('recorded')}/verify").json()

    assert verdict == {
        "component": "predictor",
        "rows": 2,
        "different": 1,
        "differences": [{"row": 1, "expected": 5, "got": 1}],
        "ok": False,
        "skipped": "",
        "error": "",
        "recorded": True,
    }


def test_it_is_said_where_nothing_is_recorded(server: httpx.Client, model_id: int) -> None:
    serve(server, "plain", model_id=model_id, verify="require")

    verdict = server.post(f"{SERVICE.format('plain')}/verify").json()

    assert (verdict["ok"], verdict["skipped"], verdict["component"]) == (False, "no rows are recorded", None)


def test_the_plan_tells_what_would_hold_where_that_is_left_out(server: httpx.Client, model_id: int) -> None:
    plans = [server.post("plan", json={"model_id": model_id, "name": name}).json() for name in ("plain", "new")]

    assert [(plan["exists"], plan["verify"]) for plan in plans] == [(True, "require"), (False, "warn")]


def test_a_service_that_is_not_there_is_told(server: httpx.Client) -> None:
    assert server.post(f"{SERVICE.format('nowhere')}/verify").status_code == 404


@pytest.mark.parametrize("body", [{"verify": "always"}, {"verify": 1}, {"method": "x\0"}, {"method": "x" * 300}])
def test_what_cannot_be_asked_for_is_refused(server: httpx.Client, model_id: int, body: dict[str, object]) -> None:
    (field,) = body
    refused = server.post("plan", json={"model_id": model_id, **body})

    assert (refused.status_code, refused.json()["field"]) == (400, field)


def test_a_method_that_the_model_lacks_is_a_check_at_that_field(server: httpx.Client, model_id: int) -> None:
    plan = server.post("plan", json={"model_id": model_id, "method": "transform"}).json()

    assert [(check["level"], check["field"]) for check in plan["checks"] if check["level"] == "error"] == [
        ("error", "method")
    ]
    assert plan["methods"][0] == "predict"
