"""What passes through a service's address to a server that does not listen there itself."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kale_serve_ext import sync
from kale_serve_ext.engines.base import ServiceState
from kale_serve_ext.runner import peers
from tests.engines.tiny import Tiny, ask, connection, infer, numbers, raw, read_all, read_until, statuses, until

HEAD = "POST /v2/models/edge/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HAS_SECOND_USER = peers.AVAILABLE and os.geteuid() == 0
HIDDEN = "GET /environ HTTP/1.1\r\nHost: evil.example\r\n\r\n"


@pytest.fixture(scope="module")
def served(tiny_server: Tiny) -> Iterator[ServiceState]:
    yield tiny_server.serve("edge")
    sync.run(tiny_server.bench.engine.delete("edge"))


def test_each_head_on_a_kept_connection_is_checked(served: ServiceState) -> None:
    to = connection(served)
    assert numbers(ask(to, "edge")) == [20.0, 50.0]
    kept = to.sock
    assert numbers(ask(to, "edge")) == [20.0, 50.0]
    assert to.sock is kept
    for headers, expected, words in (
        ({"Origin": "http://evil.example"}, 403, "another origin"),
        ({"Host": "evil.example"}, 403, "is not allowed"),
        ({"Content-Type": "text/plain"}, 415, "is not supported"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "another origin"),
    ):
        assert ask(to, "edge")[0] == 200
        status, said = ask(to, "edge", headers)
        assert (status, words in str(said["error"])) == (expected, True)


@pytest.mark.parametrize(
    "given",
    [
        f"{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
        f"{HEAD}Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
        f"{HEAD}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}Content-Length: +5\r\n\r\nhello",
        "GET /environ HTTP/1.1\nHost: localhost\n\nGET / HTTP/1.1\r\n\r\n",
        "GET /environ HTTP/1.1\r\nHost: localhost\r\n folded: 1\r\n\r\n",
        "GET http://evil.example/environ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        f"GET /environ HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 70000}\r\n\r\n",
    ],
    ids=["lengths", "twice", "codings", "blank", "sign", "feeds", "folded", "absolute", "proxy", "http2", "long"],
)
def test_what_could_be_cut_in_two_ways_is_refused(served: ServiceState, given: str) -> None:
    with raw(served) as to:
        to.sendall(given.encode())
        assert read_all(to).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "chunks", ["5\nhello\r\n0\r\n\r\n", "5\r\nhello!\r\n0\r\n\r\n", "x\r\n", "1\r\na\r\n0\r\nno\r\n"]
)
def test_chunks_that_are_none_end_the_connection(served: ServiceState, chunks: str) -> None:
    with raw(served) as to:
        to.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}".encode())
        try:
            assert b"HTTP/1.1 200" not in read_all(to)
        except ConnectionResetError:
            return


def test_requests_in_a_row_are_answered_in_order_and_each_is_checked(served: ServiceState) -> None:
    """Sent at once, as a program may: what follows a refused one is not looked at."""
    good = "GET /v2/models/edge/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with raw(served) as to:
        to.sendall(f"{good}{good}{HIDDEN}{good}".encode())
        answers = read_all(to)
    assert statuses(answers) == [b"200", b"200", b"403"]
    assert b"evil.example" in answers.rpartition(b"\r\n\r\n")[2]


def test_chunks_pass_in_whatever_pieces_they_come(served: ServiceState) -> None:
    given = f"{HEAD.replace('/v2/models/edge/infer', '/digest')}Transfer-Encoding: chunked\r\n\r\n"
    given += "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    with raw(served) as to:
        to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in given.encode():
            to.sendall(bytes((byte,)))
        to.sendall(HIDDEN.encode())
        answers = read_all(to)
    assert hashlib.sha256(b"hello world").hexdigest().encode() in answers
    assert statuses(answers) == [b"200", b"403"]


@pytest.mark.parametrize("half", ["", "Content-Length: 100\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"])
def test_a_client_that_goes_in_the_middle_of_a_request_leaves_nothing(
    tiny_server: Tiny, served: ServiceState, half: str
) -> None:
    supervisor = psutil.Process(tiny_server.bench.status("edge").supervisor.pid)
    with raw(served) as to:
        here = to.getsockname()
        to.sendall(f"{HEAD}{half}".encode())
        until(lambda: any(each.raddr == here for each in supervisor.connections("tcp")))
    until(lambda: not any(each.raddr == here for each in supervisor.connections("tcp")))


def test_half_a_request_is_not_waited_for(served: ServiceState) -> None:
    with raw(served) as to:
        to.sendall(f"{HEAD}Content-Length: 100\r\n\r\nhello".encode())
        to.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(to) == b""


def test_a_client_that_sends_no_more_is_answered(served: ServiceState) -> None:
    given = f"{HEAD.replace('/v2/models/edge/infer', '/digest')}Content-Length: 5\r\n\r\nhello"
    with raw(served) as to:
        to.sendall(given.encode())
        to.shutdown(socket.SHUT_WR)
        assert hashlib.sha256(b"hello").hexdigest().encode() in read_all(to)


def test_a_large_body_passes_both_ways(served: ServiceState) -> None:
    body = os.urandom(1 << 20) * 64
    to = connection(served)
    for _ in range(2):
        to.request("POST", "/digest", body, {"Content-Type": "application/octet-stream"})
        said = json.loads(to.getresponse().read())
        assert said == {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    many = [float(n) for n in range(200_000)]
    assert numbers(infer(served, inputs=[{"name": "x", "data": many}])) == [20 * n for n in many]


def test_a_stream_is_passed_on_piece_by_piece(tiny_services: Tiny, tmp_path: Path) -> None:
    to = connection(tiny_services.serve("streams", STEP=str(tmp_path)))
    to.request("GET", "/stream")
    answer = to.getresponse()
    for number in range(3):
        assert answer.readline() == f"{number}\n".encode()
        (tmp_path / f"{number}.seen").touch()
    assert answer.read() == b""


def test_a_websocket_is_led_through_and_its_origin_checked(served: ServiceState) -> None:
    key = base64.b64encode(b"0" * 16).decode()
    head = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
    start = "GET /echo HTTP/1.1\r\nHost: localhost\r\n"
    with raw(served) as to:
        to.sendall(f"{start}{head}\r\n".encode())
        assert read_until(to, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        for said in (b"\x81\x05hello", b"\0" * 300_000):
            to.sendall(said)
            assert read_until(to, said[-1:], len(said)) == said
    with raw(served) as to:
        to.sendall(f"{start}Origin: http://evil.example\r\n{head}\r\n".encode())
        assert read_all(to).startswith(b"HTTP/1.1 403 ")
    with raw(served) as to:
        # It is not agreed upon: what follows is a request like any other.
        to.sendall(f"{start}{head.replace('websocket', 'h2c')}\r\n{HIDDEN}".encode())
        answers = read_all(to)
    assert statuses(answers) == [b"404", b"403"]


@pytest.mark.skipif(not HAS_SECOND_USER, reason="needs root, to be another user")
def test_other_users_are_not_answered(served: ServiceState) -> None:
    program = f"""
import encodings.idna, http.client, os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
to = http.client.HTTPConnection("127.0.0.1", {served.url.rpartition(":")[2]}, timeout=30)
to.request("GET", "/environ")
answer = to.getresponse()
print(answer.status, answer.read().decode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("403 ")
    assert "answers only the user who runs it" in done.stdout
