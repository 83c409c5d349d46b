"""What answers in place of a model server is not brought down by connections that say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys

import pytest

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
