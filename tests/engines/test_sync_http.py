"""Requests from threads: connections that are kept, and what is told when there is no answer."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile

import httpx
import pytest

from kale_serve_ext.engines import sync_http
from kale_serve_ext.engines.sync_http import Answer, Poster

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"


class Server:
    """Counts connections and requests, and answers each request with what it was told to: slow ones when it may."""

    def __init__(self, answer: bytes, *, closes: bool) -> None:
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self.requests: list[bytes] = []
        self.may_answer = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self._closes = closes

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/at"

    def run(self) -> None:
        with ThreadPoolExecutor(16) as threads:
            while True:
                try:
                    connection, _ = self.listener.accept()
                except OSError:
                    return
                self.connections += 1
                threads.submit(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        self._answer_all(connection)
        self.closed.release()

    def _answer_all(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while head := b"".join(takewhile(lambda line: line != b"\r\n", lines)):
                lines.read(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                self.requests.append(head)
                if b"slow" in head:
                    self.may_answer.wait(30)
                connection.sendall(self._answer)
                if self._closes:
                    return


@contextmanager
def serving(answer: bytes, *, closes: bool = False) -> Iterator[tuple[Server, Poster]]:
    server = Server(answer, closes=closes)
    thread = threading.Thread(target=server.run)
    thread.start()
    poster = Poster(server.url)
    try:
        yield server, poster
    finally:
        poster.close()
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


def post(poster: Poster, *, path: str = "/v1/models/iris:predict", timeout: float = 30.0, largest: int = 100) -> Answer:
    return poster(path, b"{}", {"X-Kind": "test"}, timeout=timeout, largest=largest)


def test_a_connection_is_used_again() -> None:
    with serving(GOOD) as (server, poster):
        answers = [post(poster) for _ in range(3)]

    assert [(answer.status, answer.content) for answer in answers] == [(200, b"done")] * 3
    assert answers[0].headers["content-length"] == "4"
    assert server.connections == 1
    assert len(server.requests) == 3
    assert server.requests[0].startswith(b"POST /at/v1/models/iris:predict HTTP/1.1\r\n")
    assert b"X-Kind: test\r\n" in server.requests[0]


def test_one_that_the_other_side_closed_is_not() -> None:
    with serving(GOOD, closes=True) as (server, poster):
        for _ in range(3):
            assert post(poster).content == b"done"
            assert server.closed.acquire(timeout=30)

    assert server.connections == 3


def test_one_that_has_rested_is_not_either() -> None:
    with serving(GOOD) as (server, _):
        poster = Poster(server.url, rests=0.0)
        for _ in range(2):
            assert post(poster).content == b"done"
        poster.close()

    assert server.connections == 2


def test_many_threads_share_it() -> None:
    with serving(GOOD) as (server, poster), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(poster), range(200)))

    assert {answer.content for answer in answers} == {b"done"}
    assert server.connections <= 8
    assert len(server.requests) == 200


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "wait"


def test_who_waits_for_a_connection_gets_one_that_gets_free_after_a_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_http, "_CONNECTIONS", 1)
    with serving(GOOD) as (server, poster), ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        slow = one.submit(post, poster, path="/slow")
        until(lambda: server.requests)
        thread = other.submit(threading.current_thread).result()
        waiting = other.submit(post, poster, timeout=10.0)
        until(lambda: waits(thread))
        poster.close()
        assert len(server.requests) == 1
        server.may_answer.set()
        assert slow.result(30).content == waiting.result(30).content == b"done"


def test_answers_that_are_too_large_use_up_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_http, "_CONNECTIONS", 1)
    with serving(GOOD) as (_, poster):
        for largest in (2, 2, 100):
            assert post(poster, timeout=10.0, largest=largest).status == 200


def test_a_request_that_lasts_is_no_rest() -> None:
    closed = []

    class Seen(Poster):
        def close(self) -> None:
            closed.append(time.monotonic())
            super().close()

    async def ask(server: Server) -> None:
        poster = Seen(server.url, rests=0.05, loop=asyncio.get_running_loop())
        slow = asyncio.create_task(asyncio.to_thread(post, poster, path="/slow"))
        await asyncio.to_thread(until, lambda: server.requests)
        await asyncio.to_thread(post, poster)
        await asyncio.sleep(0.3)
        assert not closed
        server.may_answer.set()
        assert (await slow).content == b"done"
        await asyncio.to_thread(until, lambda: closed)

    with serving(GOOD) as (server, _):
        asyncio.run(ask(server))


def test_no_more_than_asked_for_is_read() -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"a" * 99999) as (server, poster):
        for _ in range(2):
            assert post(poster, largest=10).content == b"a" * 11

    assert server.connections == 2


def test_a_redirect_is_an_answer() -> None:
    with serving(b"HTTP/1.1 302 Found\r\nLocation: /at/login\r\nContent-Length: 0\r\n\r\n") as (server, poster):
        assert post(poster).status == 302

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndo", httpx.ReadError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndo", httpx.ReadError),
        (b"SSH-2.0-OpenSSH\r\n", httpx.ReadError),
    ],
    ids=["nothing", "a part", "a part of a chunk", "another protocol"],
)
def test_an_answer_that_is_broken_off_is_told_and_not_asked_for_again(answer: bytes, kind: type[Exception]) -> None:
    with serving(answer, closes=True) as (server, poster), pytest.raises(kind):
        post(poster)

    assert len(server.requests) == 1


def test_no_answer_in_time_is_told() -> None:
    with (
        serving(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n") as (_, poster),
        pytest.raises(httpx.TimeoutException),
    ):
        post(poster, timeout=0.2)


def test_where_nobody_listens_nothing_was_delivered() -> None:
    with serving(GOOD) as (_, poster):
        pass

    with pytest.raises(httpx.ConnectError):
        post(poster)
    with pytest.raises(httpx.ConnectError):
        post(Poster("http://127.0.0.1:1"))
