"""The committed document is the one that the code makes, and the one that the handlers follow."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

from tornado.httpclient import HTTPResponse

from kale_serve_ext import errors
from kale_serve_ext.server import openapi
from kale_serve_ext.server.handler import Handler, MissingHandler
from kale_serve_ext.server.routes import HANDLERS, NAME_SPACE

Fetch = Callable[..., Awaitable[HTTPResponse]]


def test_the_committed_document_is_up_to_date() -> None:
    assert openapi.DOCUMENT.read_text(encoding="utf-8") == openapi.text(), (
        "openapi.json is stale: run python -m kale_serve_ext.server.openapi"
    )


def test_every_route_has_a_handler_and_every_handler_a_route() -> None:
    handled = set()
    for pattern, handler in HANDLERS:
        if handler is MissingHandler:
            continue
        for verb in ("get", "head", "post", "put", "patch", "delete"):
            if getattr(handler, verb) is not getattr(Handler, verb):
                handled.add((verb, pattern.removeprefix(NAME_SPACE)))

    def pattern_of(path: str) -> str:
        return re.sub(r"\{\w+\}", "([^/]+)", path.replace("{id}", r"(\d+)").replace(".", r"\."))

    assert handled == {(route.verb, pattern_of(route.path)) for route in openapi.ROUTES}


def test_operation_ids_are_unique() -> None:
    ids = [route.operation_id for route in openapi.ROUTES]
    assert len(ids) == len(set(ids))


def test_every_status_of_the_error_tree_is_described() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    internal = {errors.KaleServeError.status}
    assert {kind.status for kind in kinds} - internal <= set(openapi.ERRORS)  # type: ignore[attr-defined]


def test_answers_have_all_their_fields_and_requests_only_some() -> None:
    components = json.loads(openapi.text())["components"]["schemas"]
    assert set(components["Artifact"]["required"]) == set(components["Artifact"]["properties"])
    assert components["RegisterBody"]["required"] == ["path"]


async def test_the_server_answers_with_it(jp_fetch: Fetch) -> None:
    answer = await jp_fetch(NAME_SPACE, "openapi.json")
    assert json.loads(answer.body) == json.loads(openapi.text())
    assert answer.headers["Content-Type"] == "application/json"
