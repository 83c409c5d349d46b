"""A Jupyter server with the extension, on folders of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from traitlets.config import Config

from kale_serve_ext.config import Settings
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.routes import NAME_SPACE

Fetch = Callable[..., Awaitable[HTTPResponse]]

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """Settings of this test only; whatever service it started with them is ended with it."""
    yield settings
    started = [one for one in psutil.process_iter() if one.pid != os.getpid() and _belongs(one, settings)]
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def _belongs(process: psutil.Process, settings: Settings) -> bool:
    """Whether the process was told of this test's data, by its arguments or its environment."""
    try:
        said = [*process.cmdline(), *process.environ().values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(str(settings.data_dir) in text for text in said)


@pytest.fixture
def app_config() -> dict[str, object]:
    """Traits of the extension; a test module overrides it."""
    return {}


@pytest.fixture
def jp_server_config(settings: Settings, app_config: dict[str, object]) -> Config:
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"kale_serve_ext": True},
                "allow_unauthenticated_access": False,
            },
            "KaleServeApp": app_config,
        }
    )


@pytest.fixture
def app(jp_serverapp: ServerApp) -> KaleServeApp:
    """The running extension."""
    found = jp_serverapp.extension_manager.extension_points["kale_serve_ext"].app
    assert isinstance(found, KaleServeApp)
    return found


@pytest.fixture
def api(jp_fetch: Fetch) -> Fetch:
    """A request to a path of the API, with the server's token."""

    def fetch(path: str, **request: object) -> Awaitable[HTTPResponse]:
        return jp_fetch(NAME_SPACE, path, **request)

    return fetch


@pytest.fixture
def fetch_raw(http_server_client: AsyncHTTPClient, jp_base_url: str, jp_auth_header: dict[str, str]) -> Fetch:
    """Like ``jp_fetch``, for a path below the API's that is percent-encoded already."""

    def fetch(path: str, **request: object) -> Awaitable[HTTPResponse]:
        return http_server_client.fetch(f"{jp_base_url}{NAME_SPACE}/{path}", headers=jp_auth_header, **request)  # type: ignore[arg-type]

    return fetch


@pytest.fixture
def root(jp_root_dir: Path) -> Path:
    """The folder that the file browser shows."""
    return jp_root_dir
