"""When what a server says of its tensors is kept, and when it is asked again."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

import pytest

from kale_serve_ext.engines.base import Component, ComponentState, Connection, Engine, Manifest, ServiceState
from kale_serve_ext.engines.local.connections import LocalConnections
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import DeadlineExceededError
from kale_serve_ext.serving.asking import AskingClient
from kale_serve_ext.sync import run

MANIFEST: Manifest = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "m", "namespace": "default"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "custom"}, "protocolVersion": "v2"}}},
}
TOLD = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}], "outputs": []}'


class Gateway:
    """What stands in front of a server: it answers with a status of its own until that is None."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""
        self.headers: dict[str, str] = {}
        self.open = threading.Event()
        self.open.set()
        self.posted = 0
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gateway.posted += 1
                self.send_response(500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                gateway.open.wait(30)
                content = TOLD if gateway.status is None else gateway.body
                self.send_response(gateway.status or 200)
                for name, value in gateway.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


class Place:
    """As much of an engine as a client asks for: one service."""

    def __init__(self, url: str, ready: int) -> None:
        self._url = url
        self._ready = ready
        self._connections = LocalConnections()

    async def get(self, name: str) -> ServiceState:
        ref = ServiceRef("local", "localhost", "default", "m")
        return ServiceState(ref, MANIFEST, 1, self._ready, (ComponentState("predictor", 1, self._ready),))

    @asynccontextmanager
    async def connect(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        yield Connection(http=self._connections.http(self._url, 1), url=self._url)

    async def close(self) -> None:
        await self._connections.close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.open.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


@pytest.fixture(params=[1])
def client(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[AskingClient]:
    place = Place(gateway.url, request.param)
    made = AskingClient(cast("Engine", place), "m")
    yield made
    run(made.close())
    run(place.close())


def names(client: AskingClient) -> list[str]:
    takes = run(client.takes())
    return takes.names if takes else []


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_what_a_gateway_says_is_not_kept(gateway: Gateway, client: AskingClient, status: int) -> None:
    gateway.status = status
    assert names(client) == []
    gateway.status = None
    assert names(client) == ["x"]
    gateway.status = status
    assert names(client) == ["x"]


def test_an_answer_that_cannot_be_unpacked_is_not_kept(gateway: Gateway, client: AskingClient) -> None:
    gateway.status, gateway.body, gateway.headers = 200, b"no gzip", {"Content-Encoding": "gzip"}
    assert names(client) == []
    gateway.status, gateway.headers = None, {}
    assert names(client) == ["x"]


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_what_asking_takes_is_part_of_the_time_that_a_call_has(
    gateway: Gateway, client: AskingClient, way: str
) -> None:
    def ask() -> object:
        rows = [[1.0, 2.0]]
        return client.ask_blocking(rows, timeout=0.4) if way == "blocking" else run(client.ask(rows, timeout=0.4))

    gateway.open.clear()
    with pytest.raises(DeadlineExceededError, match=r"did not answer within 0\.4 s"):
        ask()
    assert gateway.posted == 0
    gateway.open.set()
    assert names(client) == ["x"]


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_server_that_knows_no_such_request_is_asked_once(gateway: Gateway, client: AskingClient, status: int) -> None:
    gateway.status = status
    assert names(client) == []
    gateway.status = None
    assert names(client) == []


@pytest.mark.parametrize("client", [0], indirect=True)
def test_a_service_that_is_not_ready_is_asked_again(gateway: Gateway, client: AskingClient) -> None:
    gateway.status = 404
    assert names(client) == []
    gateway.status = None
    assert names(client) == ["x"]
