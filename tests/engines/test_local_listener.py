"""What answers in place of a model server is not brought down by connections that say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from kale_serve_ext.engines.local.edge import exchange
from kale_serve_ext.engines.local.edge.backends import Backend
from kale_serve_ext.engines.local.listener import Listener
from kale_serve_ext.runner.access import Access

FILES = 64
LISTEN = """
import asyncio, resource, sys, time
from kale_serve_ext.engines.local.listener import Listener
from kale_serve_ext.runner.access import Access

if sys.argv[1] != "0":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)

async def main():
    listener = Listener(None, lambda: {"phase": "Loading"}, Access)
    listener.answer(True)
    begun = time.monotonic()
    print(listener.ports.http, flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    listener.close()
    print(time.monotonic() - begun)

asyncio.run(main())
"""


@pytest.mark.parametrize(("files", "idle"), [(FILES, FILES + 20), (0, 300)], ids=["no files left", "many connections"])
def test_idle_connections_cost_a_pause_and_no_more(files: int, idle: int) -> None:
    command = [sys.executable, "-c", LISTEN, str(files)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with contextlib.ExitStack() as opened:
            for _ in range(idle):
                opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            asking.request("GET", "/")
        # They have gone: whoever waited behind them is answered.
        assert asking.getresponse().status == 503
        asking.close()
        out, log = process.communicate(timeout=60)
    lines = log.decode().splitlines()
    assert len(lines) <= float(out) + 1, log[:2000]
    assert all(line.startswith("Not accepting connections for now") for line in lines)
    assert bool(lines) == bool(files)


class Nobody(Access):
    def refuse_peer(self, peer: object, here: object) -> str:
        return "no"


def test_who_is_refused_is_told_without_being_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kale_serve_ext.engines.local.listener._HEAD_SECONDS", 600.0)
    assert asyncio.run(_connect()).startswith(b"HTTP/1.1 403 ")


async def _connect() -> bytes:
    listener = Listener(None, dict, Nobody)
    listener.answer(True)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports.http)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer
    finally:
        listener.close()


class Counting:
    """A server that answers requests without a body by the number of the connection, or ends that instead."""

    def __init__(self) -> None:
        self.connections = 0
        self.ends = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answer = f"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{self.connections}".encode()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n") and not self.ends:
                writer.write(answer)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def reached(self) -> AsyncIterator[tuple[Listener, asyncio.StreamReader, asyncio.StreamWriter]]:
        """Its address, and a connection there."""
        listener = Listener(None, dict, Access)
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            listener.lead_to(Backend(server.sockets[0].getsockname()[1], None, lambda: None))
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports.http)
            yield listener, reader, writer
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            listener.close()


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    return f"{head.split()[1].decode()} {(await reader.readexactly(1)).decode()}"


@pytest.mark.parametrize(("seconds", "answers"), [(600.0, ["200 1", "200 1"]), (-1.0, ["200 1", "200 2"])])
def test_a_connection_that_has_rested_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, seconds: float, answers: list[str]
) -> None:
    monkeypatch.setattr(exchange, "REUSED_SECONDS", seconds)

    async def run() -> list[str]:
        async with Counting().reached() as (_, reader, writer):
            return [await _asked(reader, writer) for _ in range(2)]

    assert asyncio.run(run()) == answers


def test_connections_that_are_passed_on_are_limited_and_end_when_they_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kale_serve_ext.engines.local.listener.MAX_FORWARDED", 1)
    monkeypatch.setattr(exchange, "REST_SECONDS", 0.5)

    async def run() -> None:
        async with Counting().reached() as (listener, reader, writer):
            assert await _asked(reader, writer) == "200 1"
            # In the queue until the first one, which says nothing more, is ended.
            second = await asyncio.open_connection("127.0.0.1", listener.ports.http)
            assert await _asked(*second) == "200 2"
            assert await asyncio.wait_for(reader.read(), 60) == b""
            second[1].close()

    asyncio.run(run())


def test_what_is_passed_on_ends_with_the_address() -> None:
    async def run() -> None:
        async with Counting().reached() as (listener, reader, writer):
            assert await _asked(reader, writer) == "200 1"
            # One that has not asked for anything, and so is led to no process.
            other, silent = await asyncio.open_connection("127.0.0.1", listener.ports.http)
            silent.write(b"GET / ")
            await silent.drain()
            # Asked after it, and so answered when that one has been accepted.
            third = await asyncio.open_connection("127.0.0.1", listener.ports.http)
            assert await _asked(*third) == "200 2"
            listener.close()
            for ends in (reader, other, third[0]):
                assert await asyncio.wait_for(ends.read(), 5) == b""
            third[1].close()
            silent.close()

    asyncio.run(run())


def test_a_server_that_ends_a_connection_under_a_request_is_passed_on_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "REUSED_SECONDS", 600.0)

    async def run() -> None:
        server = Counting()
        async with server.reached() as (_, reader, writer):
            assert await _asked(reader, writer) == "200 1"
            server.ends = True
            with pytest.raises(asyncio.IncompleteReadError) as ended:
                await _asked(reader, writer)
            assert ended.value.partial == b""
        async with server.reached() as (_, reader, writer):
            # The first one on a connection has been taken: its server has failed.
            assert (await _asked(reader, writer)).startswith("502 ")

    asyncio.run(run())
