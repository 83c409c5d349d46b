"""No socket stays open to a service that is gone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import psutil
import pytest

from kale_serve_ext.engines.local import connections
from kale_serve_ext.engines.local.connections import LocalConnections
from kale_serve_ext.engines.resting import RestingTransport
from kale_serve_ext.runner import rpc
from kale_serve_ext.runner.access import Access


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def sockets_to(port: int) -> list[str]:
    return [c.status for c in psutil.Process().connections("tcp") if c.raddr[1:] == (port,)]


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["loop", "thread"])
def test_sockets_go_when_nobody_asks_any_more(
    server: ThreadingHTTPServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESTS", 0.5)
    port = server.server_port

    async def ask() -> None:
        opened = LocalConnections()
        url = f"http://127.0.0.1:{port}"
        for revision in (1, 2):
            if way == "loop":
                answer = await opened.http(url, revision).post("/", content=b"{}")
                assert answer.status_code == 200
            else:
                post = opened.blocking_http(url, revision)
                with ThreadPoolExecutor(1) as threads:
                    work = threads.submit(post, "/", b"{}", {}, timeout=30.0, largest=10)
                    assert (await asyncio.wrap_future(work)).status == 200
        await until(lambda: not sockets_to(port))
        # And the next request makes another.
        assert (await opened.http(url, 2).post("/", content=b"{}")).status_code == 200
        await opened.close()

    asyncio.run(ask())
    assert not sockets_to(port)


def test_a_long_answer_is_not_cut_by_it() -> None:
    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            for _ in range(5):
                await asyncio.sleep(0.05)
                assert not transport.is_resting
                yield b"x"

    class Inner(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Slow())

    transport = RestingTransport(Inner, 0.01)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get("http://x/")).content == b"xxxxx"
            await until(lambda: transport.is_resting)

    asyncio.run(ask())


def test_idle_connections_by_grpc_are_closed_by_the_model_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused calls holds no file of the server for longer."""
    monkeypatch.setattr(rpc, "IDLE", 1.0)

    async def hold() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = rpc.LoopbackGRPCServer(port, None, None, {})
        server.access = Access()
        await server.start(1)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await asyncio.wait_for(channel.channel_ready(), 30)
        await until(lambda: not sockets_to(port))
        await channel.close()
        await server.drain(0.0)

    asyncio.run(hold())
