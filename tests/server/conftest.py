"""A Jupyter server with the extension, on folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import joblib
import psutil
import pytest
from jupyter_server.serverapp import ServerApp

# Here rather than as a plugin, which would change how every test of the project is run.
from pytest_jupyter.jupyter_server import *  # noqa: F403
from sklearn.linear_model import LogisticRegression
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from traitlets.config import Config

from kale_serve_ext import modelmeta
from kale_serve_ext.config import Settings
from kale_serve_ext.modelmeta import ModelMeta, Recorded
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.routes import NAME_SPACE

Fetch = Callable[..., Awaitable[HTTPResponse]]


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


@pytest.fixture  # type: ignore[no-redef]  # takes the place of the imported one
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


TOKEN = "for-these-tests-only"
QUOTA = 2

PEEK = '''
"""Tells which modules the server has loaded."""

import sys

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated


class Peek(APIHandler):
    @authenticated
    def get(self):
        self.finish({"modules": sorted(sys.modules)})


def _jupyter_server_extension_points():
    return [{"module": "peek"}]


def _load_jupyter_server_extension(server):
    server.web_app.add_handlers(".*$", [(url_path_join(server.base_url, "peek"), Peek)])
'''


@pytest.fixture(scope="session")
def real_settings(tmp_path_factory: pytest.TempPathFactory, metadata_python: str) -> Iterator[Settings]:
    """Settings of the real server. At the end no process may be left of it but the metadata engine, which is ended."""
    with tempfile.TemporaryDirectory(prefix="ks-") as runtime:
        data = tmp_path_factory.mktemp("real") / "data"
        own = replace(Settings.from_environ(), data_dir=data, runtime_dir=runtime, metadata_python=metadata_python)
        yield own
        left = [one for one in psutil.process_iter() if _belongs(one, own)]
        surplus = [said for one in left if "engine_server.py" not in (said := " ".join(one.cmdline()))]
        for one in left:
            one.kill()
        assert not surplus


@pytest.fixture(scope="session")
def real_server(real_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a Jupyter server in a process of its own. At the end every service is deleted.

    ``model.joblib`` is under its root, and so is the folder ``recorded``, whose model has recorded rows. Its route
    ``/peek`` tells which modules it has imported.
    """
    home = tmp_path_factory.mktemp("home")
    process = _start(home, real_settings)
    try:
        base_url = f"{_address(home, process)}{NAME_SPACE}/"
        with httpx.Client(base_url=base_url, headers={"Authorization": f"token {TOKEN}"}, timeout=120) as client:
            yield client
            delete_services(client)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def empty_server(real_server: httpx.Client) -> Iterator[httpx.Client]:
    """The real server, whose services are deleted when the module is done."""
    yield real_server
    delete_services(real_server)


@pytest.fixture(scope="session")
def model_id(real_server: httpx.Client) -> int:
    """A scikit-learn model with two features, registered from a file."""
    made = real_server.post("models", json={"path": "model.joblib", "name": "iris", "kernel": "python3"})
    assert made.status_code == 201, made.text
    return int(made.json()["artifact"]["id"])


def _start(home: Path, own: Settings) -> subprocess.Popen[bytes]:
    for folder in ("config", "root", "modules"):
        (home / folder).mkdir()
    (home / "modules" / "peek.py").write_text(PEEK)
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    joblib.dump(model, home / "root" / "model.joblib")
    (home / "root" / "recorded").mkdir()
    joblib.dump(model, home / "root" / "recorded" / "model.joblib")
    # The second of its recorded answers is not the model's own.
    rows = Recorded(([0.0, 1.0], [1.0, 0.0]), (0, 5))
    modelmeta.write(home / "root" / "recorded", ModelMeta(methods=("predict",), recorded=rows))
    config = {
        "ServerApp": {
            "jpserver_extensions": {"kale_serve_ext": True, "peek": True},
            "allow_unauthenticated_access": False,
            "root_dir": str(home / "root"),
        },
        "KaleServeApp": {
            "max_services": QUOTA,
            "max_request_bytes": 1_000_000,
            "max_log_streams": 2,
            "predict_timeout": 6.0,
            "chat_timeout": 4.0,
        },
    }
    (home / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
    environ = {
        **os.environ,
        **own.to_environ(),
        "KUBECONFIG": str(home / "no-kubeconfig"),
        "JUPYTER_TOKEN": TOKEN,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "PYTHONPATH": os.pathsep.join([str(home / "modules"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
    }
    command = [sys.executable, "-m", "jupyter_server", "--ServerApp.port=0", "--no-browser", "--allow-root"]
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, env=environ, cwd=home, stdout=subprocess.DEVNULL, stderr=log)


def _address(home: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        for told in (home / "runtime").glob("jpserver-*.json"):
            url = json.loads(told.read_text() or "{}").get("url")
            if url:
                return str(url)
        time.sleep(0.05)
    raise AssertionError(f"The server did not start:\n{(home / 'log').read_text()}")


def delete_services(client: httpx.Client) -> None:
    """Delete every service; that none is left is part of it."""
    for service in client.get("services").json()["items"]:
        path = "/".join(quote(part, safe="") for part in service["ref"].values())
        assert client.delete(f"services/{path}").status_code == 204
    assert client.get("services").json()["items"] == []
