"""One row over a service's address that leads to a server behind it, against the same request to the server itself."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from prediction import ECHO
from report import Row

ROUNDS = 5
CALLS = 400
LIMIT = 0.2
"""Milliseconds that the way over the address may add."""
BODY = b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1,4],"data":[5.1,3.5,1.4,0.2]}]}'
HEAD = (
    "POST /v2/models/m/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    f"content-length: {len(BODY)}\r\n\r\n"
)
ANSWER = 150
"""Bytes of an answer's body, as one of one row has."""
EDGE = """
import asyncio
import sys
from kale_serve_ext.engines.local.edge.backends import Backend
from kale_serve_ext.engines.local.listener import Listener
from kale_serve_ext.runner.access import Access

async def main():
    listener = Listener(None, dict, Access)
    listener.lead_to(Backend(int(sys.argv[1]), None, lambda: None))
    print(listener.ports.http, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def measure(folder: Path) -> list[Row]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        server = [sys.executable, "-c", ECHO, str(listener.fileno()), str(ANSWER)]
        with subprocess.Popen(server, pass_fds=(listener.fileno(),)) as echo:
            edge = subprocess.Popen([sys.executable, "-c", EDGE, str(port)], stdout=subprocess.PIPE, text=True)
            try:
                assert edge.stdout is not None
                return _compared(port, int(edge.stdout.readline()))
            finally:
                for process in (edge, echo):
                    process.kill()
                edge.communicate()


def _compared(direct: int, through: int) -> list[Row]:
    """In turns, so that whatever else the machine does is spread over both."""
    with _connected(direct) as there, _connected(through) as led:
        for connection in (there, led):
            _asked(connection)
        rounds = []
        for _ in range(ROUNDS):
            times = [(_asked(there), _asked(led)) for _ in range(CALLS)]
            plain, passed = (1000 * statistics.median(column) for column in zip(*times, strict=True))
            rounds.append((passed - plain, passed, plain))
    added, passed, plain = sorted(rounds)[ROUNDS // 2]
    anchor = "the server itself, p50"
    return [
        Row("one row led to a server, p50", passed, "ms", anchor, plain),
        Row("what leading it there adds, p50", added, "ms", anchor, plain, limit=LIMIT),
    ]


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _asked(connection: socket.socket) -> float:
    """Seconds until the whole answer is there."""
    began = time.perf_counter()
    connection.sendall(HEAD.encode() + BODY)
    answer = b""
    while not answer.endswith(b"a" * ANSWER):
        answer += connection.recv(65536)
    return time.perf_counter() - began
