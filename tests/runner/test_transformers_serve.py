"""What stands before ``transformers serve``: KServe's paths, one model, OpenAI's form. The server here is tiny."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kale_serve_ext.runner import transformers_serve
from kale_serve_ext.runner.transformers_serve import Front


async def chat(request: Request) -> Response:
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(iter(["data: 1\n\n", "data: 2\n\n"]), media_type="text/event-stream")
    if body.get("refuse"):
        return JSONResponse({"detail": "Unexpected fields"}, 422)
    if body.get("fail"):
        raise RuntimeError("no memory")
    return JSONResponse({"said": body["messages"]})


async def anything(request: Request) -> Response:
    return JSONResponse({"path": request.url.path})


def ask(method: str, path: str, body: object = None) -> httpx.Response:
    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        *(Route(path, anything, methods=["GET", "POST"]) for path in ("/v1/models", "/load_model", "/v1/responses")),
    ]
    front = Front(Starlette(routes=routes), "writer")

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://x") as client:
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            return await client.request(method, path, content=content)

    return asyncio.run(asked())


def test_the_routes_are_where_kserve_has_them() -> None:
    assert ask("GET", "/openai/v1/models").json() == {"path": "/v1/models"}
    told = ask("POST", "/openai/v1/chat/completions", {"model": "writer", "messages": [1]})
    assert told.json() == {"said": [1]}
    assert ask("GET", "/v2/models/writer/ready").json() == {"name": "writer", "ready": True}


@pytest.mark.parametrize(
    "path", ["/load_model", "/v1/models", "/v1/responses", "/openai/v1/responses", "/openai/v1", "/v2/models/x/ready"]
)
def test_nothing_else_is_answered(path: str) -> None:
    for method in ("GET", "POST"):
        assert ask(method, path, {"model": "writer"} if method == "POST" else None).status_code == 404


def test_a_stream_has_the_event_that_ends_it() -> None:
    told = ask("POST", "/openai/v1/chat/completions", {"model": "writer", "stream": True})
    assert told.text == "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "not an object"),
        ({}, 404, "There is no model 'None' here: it serves writer."),
        ({"model": "other"}, 404, "There is no model 'other' here"),
        ({"model": "writer", "refuse": True}, 422, "Unexpected fields"),
        ({"model": "writer", "fail": True}, 500, "no memory"),
    ],
)
def test_refusals_have_openais_form(body: object, status: int, said: str) -> None:
    told = ask("POST", "/openai/v1/chat/completions", body)
    assert told.status_code == status
    assert said in told.json()["error"]["message"]


def test_a_body_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_serve, "MOST_BYTES", 100)
    assert ask("POST", "/openai/v1/chat/completions", {"model": "writer", "messages": "x" * 200}).status_code == 413
