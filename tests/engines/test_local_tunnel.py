"""gRPC through a service's address to a server that does not listen there itself: real servers and clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from kale_serve_ext.engines.local.edge.backends import Backend
from kale_serve_ext.engines.local.edge.http2 import PREFACE, Frames, going_away
from kale_serve_ext.engines.local.listener import Listener
from kale_serve_ext.runner.access import Access

METHOD = "/test.Server/Ask"
STREAM = "/test.Server/Tell"


class Server:
    """Answers with its name, once it may."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.may = asyncio.Event()
        self.may.set()
        self.asked = asyncio.Event()

    async def ask(self, request: bytes, context: object) -> bytes:
        self.asked.set()
        await self.may.wait()
        return self.name.encode() + request

    async def tell(self, request: bytes, context: object) -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"{self.name}{number}".encode()
            self.asked.set()
            await self.may.wait()

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[Backend]:
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Ask": grpc.unary_unary_rpc_method_handler(self.ask),
            "Tell": grpc.unary_stream_rpc_method_handler(self.tell),
        }
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Server", handlers),))
        path = folder / f"{self.name}.sock"
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        try:
            yield Backend(str(folder / "none"), str(path), lambda: None)
        finally:
            await server.stop(0)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener, grpc.aio.Channel]]:
    listener = Listener(None, dict, Access)
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.ports.grpc}", options=options) as channel:
            yield listener, channel
    finally:
        listener.close()


@pytest.fixture
def folder(short_dir: str) -> Path:
    return Path(short_dir)


def test_calls_go_over_to_another_server_without_one_that_fails(folder: Path) -> None:
    async def run() -> None:
        old, new = Server("old"), Server("new")
        async with old.running(folder) as first, new.running(folder) as second, listening() as (listener, channel):
            listener.lead_to(first)
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            tell: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(STREAM)
            assert await ask(b"!", timeout=60) == b"old!"
            old.may.clear()
            old.asked.clear()
            slow = asyncio.ensure_future(ask(b"?", timeout=60))
            streamed = tell(b"", timeout=60)
            assert await streamed.read() == b"old0"
            await old.asked.wait()
            listener.lead_to(second)
            listener.leave(first)
            draining = asyncio.create_task(first.drain(5.0, 60.0))
            # The client has heard of it when a call is answered, which the old one does not do for now.
            more: list[asyncio.Future[bytes]] = []
            while not any(one.done() for one in more):
                more.append(asyncio.ensure_future(ask(b"", timeout=60)))
                await asyncio.wait(more, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            assert await ask(b"!", timeout=60) == b"new!"
            assert not draining.done()
            old.may.set()
            assert await slow == b"old?"
            assert {await one for one in more} <= {b"old", b"new"}
            assert [await streamed.read(), await streamed.read()] == [b"old1", b"old2"]
            await asyncio.wait_for(draining, 30)
            assert not first.links

    asyncio.run(run())


def test_large_messages_pass(folder: Path) -> None:
    async def run() -> None:
        server = Server("s")
        async with server.running(folder) as backend, listening() as (listener, channel):
            listener.lead_to(backend)
            large = bytes(range(256)) * 8000
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            assert await ask(large, timeout=60) == b"s" + large

    asyncio.run(run())


def test_others_get_no_connection_and_the_reason_on_the_wire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "refuse_peer", lambda *_: "This service answers only the user who runs it.")

    async def run() -> None:
        server = Server("s")
        async with server.running(folder) as backend, listening() as (listener, channel):
            listener.lead_to(backend)
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await ask(b"", timeout=60)
            assert told.value.code() is grpc.StatusCode.UNAVAILABLE
            # What gRPC makes of it: a call that was never made.
            assert "failed to connect" in str(told.value.details())
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports.grpc)
            assert b"answers only the user who runs it" in await asyncio.wait_for(reader.read(), 60)
            writer.close()
            assert not server.asked.is_set()

    asyncio.run(run())


def test_frames_are_told_apart_in_whatever_pieces_they_come() -> None:
    def frame(kind: int, flags: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes((kind, flags, 0, 0, 0, 1)) + payload

    # Settings, then headers that go on in another frame, then data.
    sent = PREFACE + frame(4, 0, b"x" * 12) + frame(1, 0, b"h") + frame(9, 4, b"") + frame(0, 1, b"body")
    ends = [len(PREFACE) + 21, len(PREFACE) + 40, len(sent)]
    for size in (1, 2, 7, len(sent)):
        frames, found, at = Frames(skip=len(PREFACE)), set(), 0
        for start in range(0, len(sent), size):
            piece = sent[start : start + size]
            place = frames.feed(piece)
            if place >= 0:
                found.add(at + place)
            at += len(piece)
        assert found <= set(ends)
        assert max(found) == len(sent)
        assert (frames.seen, frames.at_boundary, frames.opened, frames.ended) == (4, True, {1}, {1})
    assert going_away().hex() == "000008070000000000" + "7fffffff" + "00000000"
