"""What cannot be read is refused with a sentence, and never with an internal error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext.server.extension import KaleServeApp

Fetch = Callable[..., Awaitable[HTTPResponse]]

LONG = "x" * 1_000_000


@pytest.fixture
def app_config() -> dict[str, object]:
    return {"max_request_bytes": 2_000_000}


async def refused(fetch: Fetch, path: str, **request: object) -> tuple[int, dict[str, str]]:
    with pytest.raises(HTTPClientError) as error:
        await fetch(path, **request)
    assert error.value.response is not None
    assert error.value.response.headers["Content-Type"] == "application/json"
    body = json.loads(error.value.response.body)
    assert set(body) == {"message", "reason", "hint", "field", "request"}
    assert body["message"]
    assert "Traceback" not in json.dumps(body)
    return error.value.code, body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ("\udcff".encode("utf-8", "surrogatepass"), ""),
        (b"\xff\xfe", ""),
        ('{"path": "a\\ud800b"}', ""),
        ('{"path": "a\\u0000b"}', "path"),
        ('{"path": 7}', "path"),
        ('{"path": ""}', "path"),
        ("{}", "path"),
        ('{"path": "a", "nmae": "typo"}', "nmae"),
        (json.dumps({"path": "a", "name": LONG}), "name"),
        (json.dumps({"path": LONG}), "path"),
        (json.dumps({"path": "a", "tags": {LONG: "v"}}), None),
        ('{"path": "a", "tags": {"k": ["v"]}}', "tags.k"),
        ('{"path": ' + "[" * 5000 + "]" * 5000 + "}", ""),
    ],
)
async def test_a_bad_body_is_a_400_that_names_the_field(body: str | bytes, field: str | None, api: Fetch) -> None:
    status, told = await refused(api, "models", method="POST", body=body)
    assert (status, told["reason"]) == (400, "InvalidInput")
    assert len(told["message"]) <= 1000
    if field is not None:
        assert told["field"] == field


@pytest.mark.parametrize("config", ['{"a": NaN}', '{"a": [1e999]}', '{"a": {"b\\u0000": 1}}', "[]"])
async def test_a_config_that_no_manifest_can_hold_is_refused(config: str, api: Fetch) -> None:
    status, told = await refused(api, "plan", method="POST", body=f'{{"model_id": 1, "config": {config}}}')
    assert (status, told["field"]) == (400, "config")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"search": "x" * 3000}, "search"),
        ({"search": "a\0b"}, "search"),
        ({"cursor": "x" * 3000}, "cursor"),
    ],
)
async def test_a_bad_query_is_a_400_that_names_the_parameter(params: dict[str, str], field: str, api: Fetch) -> None:
    status, told = await refused(api, "models", params=params)
    assert (status, told["reason"], told["field"]) == (400, "InvalidInput", field)


async def test_a_request_over_the_limit_is_a_413(api: Fetch) -> None:
    status, told = await refused(api, "models", method="POST", body=json.dumps({"path": LONG * 3}))
    assert (status, told["reason"]) == (413, "TooLarge")
    assert "max_request_bytes" in told["hint"]


async def test_a_path_that_does_not_exist_is_a_json_404(api: Fetch) -> None:
    status, told = await refused(api, "modells")
    assert (status, told["reason"]) == (404, "NotFound")


async def test_a_verb_that_a_path_has_not_is_a_405_that_lists_those_it_has(api: Fetch) -> None:
    with pytest.raises(HTTPClientError) as error:
        await api("plan", method="DELETE")
    assert error.value.code == 405
    assert error.value.response is not None
    assert set(error.value.response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    "ref",
    [
        ("cluster", "localhost", "default", "iris"),
        ("local", "elsewhere", "default", "iris"),
        ("local", "localhost", "other", "iris"),
        ("local", "localhost", "default", "..%2F..%2Fetc"),
        ("local", "localhost", "default", "a%00b"),
        ("local", "localhost", "default", "Iris"),
        ("local", "localhost", "default", "x" * 300),
        ("local", "localhost", "default", "iris"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_a_service_that_cannot_be_is_a_404(ref: tuple[str, ...], verb: str, fetch_raw: Fetch) -> None:
    status, told = await refused(fetch_raw, "/".join(("services", *ref)), method=verb)
    assert (status, told["reason"]) == (404, "NotFound")


async def test_an_unforeseen_error_keeps_its_text_to_the_log(
    api: Fetch, app: KaleServeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(type(app.backends), "fresh_index")
    status, told = await refused(api, "models")
    assert (status, told["reason"]) == (500, "Internal")
    assert "fresh_index" not in json.dumps(told)


async def test_a_polling_panel_is_no_activity(api: Fetch, app: KaleServeApp) -> None:
    settings = app.server.web_app.settings
    settings["api_last_activity"] = "long ago"
    await api("openapi.json", params={"no_track_activity": "1"})
    assert settings["api_last_activity"] == "long ago"
    await api("openapi.json")
    assert settings["api_last_activity"] != "long ago"


async def test_bodies_under_way_are_bounded_together(api: Fetch, app: KaleServeApp) -> None:
    held = app.bodies.limit - 1000
    assert app.bodies.take(held)
    with pytest.raises(HTTPClientError) as error:
        await api("plan", method="POST", body=json.dumps({"name": "x" * 2000}))
    assert error.value.response is not None
    assert (error.value.code, error.value.response.headers["Retry-After"]) == (503, "1")
    assert "too large together" in json.loads(error.value.response.body)["message"]
    app.bodies.give_back(held)
    status, _ = await refused(api, "plan", method="POST", body=json.dumps({"name": "x" * 2000}))
    assert status == 400
    assert app.bodies.held == 0


async def test_a_request_over_the_limit_for_all_together_is_a_413(api: Fetch, app: KaleServeApp) -> None:
    app.bodies.limit = 1000
    status, told = await refused(api, "plan", method="POST", body=json.dumps({"name": "x" * 2000}))
    assert (status, told["reason"]) == (413, "TooLarge")
    assert told["message"] == "The request is larger than 1,000 bytes."
    assert "max_body_bytes" in told["hint"]
    assert app.bodies.held == 0
