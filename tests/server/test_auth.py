"""Nobody gets anything without being known and allowed."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar

import pytest
from jupyter_server.auth import AllowAllAuthorizer, Authorizer, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse
from tornado.web import RequestHandler
from traitlets.config import Config

from kale_serve_ext.server import openapi
from kale_serve_ext.server.handler import AUTH_RESOURCE
from kale_serve_ext.server.routes import HANDLERS, NAME_SPACE

Fetch = Callable[..., Awaitable[HTTPResponse]]


class Denier(Authorizer):
    """Allows nothing, and remembers what it was asked."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def is_authorized(self, handler: JupyterHandler, user: User, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return False


@pytest.fixture
def jp_server_config(jp_server_config: Config) -> Config:
    # What is tested is who may ask; a request that lacks the XSRF token would be refused before that.
    jp_server_config.ServerApp.disable_check_xsrf = True
    jp_server_config.ServerApp.authorizer_class = Denier
    return jp_server_config


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    Denier.asked.clear()
    yield
    Denier.asked.clear()


def _request(route: openapi.Route) -> tuple[str, str, str | None]:
    path = re.sub(r"\{\w+\}", "1", route.path)
    return route.verb.upper(), path.lstrip("/"), "{}" if route.verb in {"post", "patch"} else None


@pytest.mark.parametrize("route", openapi.ROUTES, ids=lambda route: route.operation_id)
async def test_a_stranger_is_refused(
    route: openapi.Route, jp_serverapp: ServerApp, http_server_client: AsyncHTTPClient, jp_base_url: str
) -> None:
    method, path, body = _request(route)
    with pytest.raises(HTTPClientError) as refused:
        await http_server_client.fetch(f"{jp_base_url}{NAME_SPACE}/{path}", method=method, body=body)
    assert refused.value.code == 403
    assert refused.value.response is not None
    assert json.loads(refused.value.response.body)["reason"] == "PermissionDenied"
    assert Denier.asked == []


@pytest.mark.parametrize("route", openapi.ROUTES, ids=lambda route: route.operation_id)
async def test_the_authorizer_is_asked_about_our_resource(route: openapi.Route, jp_fetch: Fetch) -> None:
    method, path, body = _request(route)
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch(NAME_SPACE, *path.split("/"), method=method, body=body)
    assert refused.value.code == 403
    action = "read" if method == "GET" else "write"
    assert Denier.asked == [(action, AUTH_RESOURCE)]


def test_no_verb_lacks_a_rule(jp_serverapp: ServerApp) -> None:
    """The server itself warns of verbs without one; it looks at what is added to it."""

    class Open(RequestHandler):
        def get(self) -> None:
            self.write("for all")

    def warned(handlers: list[tuple[str, type[RequestHandler]]]) -> bool:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            jp_serverapp.web_app.add_handlers(".*$", [(path, handler) for path, handler in handlers])  # type: ignore[no-untyped-call]
        return any(issubclass(one.category, JupyterServerAuthWarning) for one in told)

    assert warned([("/open", Open)])
    assert not warned(list(HANDLERS))


class TestCookies:
    """A browser is known by its cookie, and another site's page could send it too."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: Config) -> Config:
        jp_server_config.ServerApp.disable_check_xsrf = False
        jp_server_config.ServerApp.authorizer_class = AllowAllAuthorizer
        return jp_server_config

    async def test_a_cookie_alone_changes_nothing(
        self,
        jp_serverapp: ServerApp,
        http_server_client: AsyncHTTPClient,
        jp_base_url: str,
        jp_auth_header: dict[str, str],
    ) -> None:
        url = f"{jp_base_url}{NAME_SPACE}"
        known = await http_server_client.fetch(f"{url}/openapi.json", headers=jp_auth_header)
        cookies = {"Cookie": "; ".join(one.partition(";")[0] for one in known.headers.get_list("Set-Cookie"))}
        assert (await http_server_client.fetch(f"{url}/openapi.json", headers=cookies)).code == 200
        with pytest.raises(HTTPClientError) as refused:
            await http_server_client.fetch(f"{url}/plan", method="POST", body="{}", headers=cookies)
        assert refused.value.code == 403
        assert refused.value.response is not None
        assert "_xsrf" in json.loads(refused.value.response.body)["message"]
