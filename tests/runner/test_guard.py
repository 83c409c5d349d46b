"""Connections of other users do not use up a model server's files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from kale_serve_ext.runner import guard
from kale_serve_ext.runner.access import Access

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
SURPLUS = 20


class Nobody(Access):
    def refuse_peer(self, peer: object, here: object) -> str:
        return "no"


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("a refused connection's request came through")


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    guard.watch_connections(config, Nobody())
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        task = asyncio.create_task(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await task


def test_no_more_are_held_than_can_be_afforded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REFUSED_SECONDS", 600.0)
    asyncio.run(_connect_too_often())


def test_one_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REFUSED_SECONDS", 0.1)
    asyncio.run(_say_nothing())


async def _connect_too_often() -> None:
    async with serving() as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(guard.MAX_REFUSED + SURPLUS)]
        reads = [asyncio.create_task(reader.read()) for reader, _ in opened]
        while sum(read.done() for read in reads) < SURPLUS:
            await asyncio.wait([r for r in reads if not r.done()], timeout=60, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(reads, timeout=0.1)
        held = [read for read in reads if not read.done()]
        assert len(held) == guard.MAX_REFUSED
        # Those that are held are told why, and make room.
        _, writer = opened[reads.index(held[0])]
        writer.write(REQUEST)
        assert (await asyncio.wait_for(held[0], 60)).startswith(b"HTTP/1.1 403 ")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 403 ")
        for each in (writer, *(one for _, one in opened)):
            each.close()
        await asyncio.gather(*reads, return_exceptions=True)


async def _say_nothing() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
