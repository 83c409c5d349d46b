"""Fixtures shared by all tests: settings of their own, so that no test sees the user's data, and a real metadata
engine whose environment is made once, by the product itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kale_serve_ext import session, sync
from kale_serve_ext.config import Settings
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.environment import ensure_environment
from kale_serve_ext.metadata.store import Metadata
from tests.kept import KEPT, require

# Whatever cluster this machine knows: a test means the local engine, unless it says another.
os.environ["KALE_SERVE_ENGINE"] = "local"


@pytest.fixture(scope="session")
def metadata_python() -> str:
    """A Python with ml-metadata: the one that the environment names, or one made here and kept between runs."""
    return asyncio.run(ensure_environment(replace(Settings.from_environ(), data_dir=KEPT), print))


@pytest.fixture(scope="session")
def mlserver() -> Path:
    """The folder ``environments`` of a data directory, with MLServer's: made here, and kept between runs."""
    require("mlserver")
    return KEPT / "environments"


@pytest.fixture(scope="session")
def new_workspace(
    tmp_path_factory: pytest.TempPathFactory, metadata_python: str
) -> Callable[[Settings], AbstractContextManager[Settings]]:
    """Makes workspaces for whole test modules: settings with folders of their own, also in the environment.

    What is served by them goes with them.
    """

    @contextmanager
    def workspace(like: Settings) -> Iterator[Settings]:
        with _runtime_dir() as runtime, pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("workspace") / "data"
            made = replace(like, data_dir=folder, runtime_dir=runtime, metadata_python=metadata_python)
            for name, value in made.to_environ().items():
                patch.setenv(name, value)
            yield made
            engine = session.engine()
            for state in sync.run(engine.services()):
                sync.run(engine.delete(state.ref.name))
            sync.run(session.close())

    return workspace


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata_python: str) -> Iterator[Settings]:
    """Settings with folders of this test only; also in the environment, for the processes that it starts."""
    with _runtime_dir() as runtime:
        made = replace(
            Settings.from_environ(), data_dir=tmp_path / "data", runtime_dir=runtime, metadata_python=metadata_python
        )
        for name, value in made.to_environ().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """A real, empty MLMD; its engine starts on the first call."""
    opened = open_metadata(settings)
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def short_dir() -> Iterator[str]:
    """A runtime folder whose path is short enough for sockets, wherever the tests' own folders are."""
    with _runtime_dir() as folder:
        yield folder


@contextmanager
def _runtime_dir() -> Iterator[str]:
    """A runtime folder; the metadata engine that was started for it ends with it."""
    # Unix sockets need a short path, which pytest's tmp_path is not.
    folder = tempfile.mkdtemp(prefix="ks-")
    yield folder
    for lock in Path(folder).rglob("metadata.lock"):
        # The engine is nobody's child; it would end by itself when its socket is gone, a little later.
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(lock.read_text()), signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class ApiServer:
    """As much of a Kubernetes API server as finding and choosing a namespace asks for."""

    url: str = ""
    status: int = 200
    """What it answers to whatever it is asked."""
    kinds: list[str] = field(default_factory=lambda: ["inferenceservices"])
    namespaces: list[str] = field(default_factory=lambda: ["team-a", "team-b", "theirs"])
    lists: bool = True
    """Whether namespaces may be listed."""
    allowed: set[str] = field(default_factory=lambda: {"team-a", "team-b"})
    """Namespaces in which inferenceservices may be created."""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, dict[str, dict[str, str]]]) -> tuple[int, object]:
        self.asked.append(path)
        if self.status != 200:
            return self.status, {"message": "for a reason"}
        if path == "/apis/serving.kserve.io/v1beta1":
            return (200, {"resources": [{"name": kind} for kind in self.kinds]}) if self.kinds else (404, {})
        if path == "/api/v1/namespaces":
            items = [{"metadata": {"name": name}} for name in self.namespaces]
            return (200, {"kind": "NamespaceList", "items": items}) if self.lists else (403, {})
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            return (200, {}) if path.rpartition("/")[2] in self.namespaces else (404, {})
        if path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            assert (asked["verb"], asked["resource"]) == ("create", "inferenceservices")
            return 201, {"status": {"allowed": asked["namespace"] in self.allowed}}
        return 200, {"items": [], "metadata": {"resourceVersion": "1"}}


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that ``KUBECONFIG`` names: its contexts ``one`` (of the namespace team-a) and ``two``; ``away`` has
    a server that nobody runs."""
    made = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = made.answer(self.path.partition("?")[0], body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", made.url)))
        yield made
        server.shutdown()


def write_kubeconfig(path: Path, url: str) -> Path:
    contexts = [("one", "c", "team-a"), ("two", "c", ""), ("away", "away", "")]
    made = {
        "current-context": "one",
        "clusters": [
            {"name": "c", "cluster": {"server": url}},
            {"name": "away", "cluster": {"server": "http://[::1]:9"}},
        ],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [
            {"name": name, "context": {"cluster": cluster, "user": "u", "namespace": namespace}}
            for name, cluster, namespace in contexts
        ],
    }
    path.write_text(json.dumps(made))
    return path
