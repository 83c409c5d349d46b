"""A forwarded port, by the API server's protocol for it, over a WebSocket on this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

from kale_serve_ext.engines.cluster.reach.portforward import PROTOCOL, Forward, PortClosed
from kale_serve_ext.engines.cluster.reach.transports import ForwardTransport
from kale_serve_ext.errors import ServiceNotReadyError

PORT = (8081).to_bytes(2, "little")


class Pod(WebSocketHandler):
    """Echoes what is no HTTP; ``bye`` ends it, and ``closed`` is a port on which nothing listens."""

    held: ClassVar[set[Pod]] = set()
    """Those that were sent a request, which is not answered."""

    @classmethod
    def end_all(cls) -> None:
        while cls.held:
            cls.held.pop().close()

    def select_subprotocol(self, subprotocols: list[str]) -> str:
        assert subprotocols == [PROTOCOL]
        return PROTOCOL

    async def open(self) -> None:
        for channel in (b"\0", b"\1"):
            await self.write_message(channel + PORT, binary=True)

    async def on_message(self, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        assert message[:1] == b"\0"
        if message[1:] == b"bye":
            self.close()
        elif message[1:].endswith(b"closed"):
            await self.write_message(b"\1connection refused", binary=True)
        elif message[1:].endswith(b"broken"):
            await self.write_message(b"\1write: broken pipe", binary=True)
        elif message[1:].endswith(b"ended"):
            self.close()
        elif message[1:].startswith(b"POST") or self in self.held:
            self.held.add(self)
        else:
            await self.write_message(message, binary=True)


@asynccontextmanager
async def forwarded(folder: Path) -> AsyncIterator[Forward]:
    socket, port = bind_unused_port()
    server = HTTPServer(Application([("/", Pod)]))
    server.add_socket(socket)

    async def dial() -> WebSocketClientConnection:
        return await websocket_connect(f"ws://127.0.0.1:{port}/", subprotocols=[PROTOCOL])

    forward = Forward(dial, folder)
    await forward.start()
    yield forward
    await forward.close()
    server.stop()
    await server.close_all_connections()


def test_what_is_sent_comes_back_however_much(tmp_path: Path) -> None:
    async def ask() -> None:
        async with forwarded(tmp_path) as forward:
            sent = os.urandom(5 << 20)
            for _ in range(2):
                reader, writer = await asyncio.open_unix_connection(forward.path)
                writer.write(sent)
                assert await reader.readexactly(len(sent)) == sent
                writer.close()
            assert forward.trouble is None

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_its_end_is_seen_and_the_next_connection_is_a_new_one(tmp_path: Path) -> None:
    async def ask() -> None:
        async with forwarded(tmp_path) as forward:
            for word in (b"bye", b"closed", b"bye"):
                reader, writer = await asyncio.open_unix_connection(forward.path)
                writer.write(word)
                assert await reader.read() == b""
                writer.close()
                assert isinstance(forward.trouble, PortClosed) == (word == b"closed")
            writer.close()

    asyncio.run(asyncio.wait_for(ask(), 30))


@pytest.mark.parametrize(
    ("what", "kind"), [(b"closed", httpx.ConnectError), (b"broken", httpx.ReadError), (b"ended", httpx.ReadError)]
)
def test_only_what_reached_no_pod_is_told_so(tmp_path: Path, what: bytes, kind: type[Exception]) -> None:
    async def ask() -> None:
        async with forwarded(tmp_path) as forward, httpx.AsyncClient(transport=ForwardTransport(forward)) as client:
            with pytest.raises((httpx.NetworkError, httpx.ProtocolError)) as told:
                await client.post("http://pod/", content=what)
            assert isinstance(told.value, httpx.ConnectError) == (kind is httpx.ConnectError)

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_another_connection_that_finds_no_pod_says_nothing_of_what_was_sent(tmp_path: Path) -> None:
    async def ask() -> None:
        async with forwarded(tmp_path) as forward, httpx.AsyncClient(transport=ForwardTransport(forward)) as client:
            sent = asyncio.create_task(client.post("http://pod/", content=b"held"))
            while not forward._carrying:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.01)  # nothing tells
            reader, writer = await asyncio.open_unix_connection(forward.path)
            writer.write(b"closed")
            assert await reader.read() == b""
            assert isinstance(forward.trouble, PortClosed)
            writer.close()
            Pod.end_all()
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await sent

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_why_there_is_no_pod_is_kept(tmp_path: Path) -> None:
    async def dial() -> WebSocketClientConnection:
        raise ServiceNotReadyError("No pod is ready.", phase="")

    async def ask() -> None:
        forward = Forward(dial, tmp_path)
        await forward.start()
        reader, writer = await asyncio.open_unix_connection(forward.path)
        assert await reader.read() == b""
        writer.close()
        assert isinstance(forward.trouble, ServiceNotReadyError)
        await forward.close()

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    async def ask() -> None:
        before = asyncio.all_tasks()
        async with forwarded(tmp_path) as forward:
            reader, writer = await asyncio.open_unix_connection(forward.path)
            writer.write(b"open")
            assert await reader.readexactly(4) == b"open"
            assert forward.path.is_socket()
            await forward.close()
            assert await reader.read() == b""
            writer.close()
            assert not forward.path.exists()
            with pytest.raises(OSError, match="No such file"):
                await asyncio.open_unix_connection(forward.path)
        # The test's own server lets go of its side a moment later.
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left)

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_sockets_of_processes_that_ended_are_removed(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = tmp_path / f"forward-{int(ended.stdout)}-0"
    others = [tmp_path / f"forward-{os.getpid()}-x", tmp_path / "forward-x-y", tmp_path / "metadata.sock"]
    for path in (left, *others):
        path.touch()

    async def ask() -> None:
        async with forwarded(tmp_path):
            assert not left.exists()

    asyncio.run(ask())
    assert sorted(tmp_path.iterdir()) == sorted(others)
