"""A Jupyter server of one's own, for measuring."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

START = 60.0
"""Seconds that a server may take to answer."""


@dataclass(frozen=True)
class Server:
    """A running server: a client with its token, its process, and how long it took to answer."""

    url: str
    token: str
    client: httpx.Client
    process: psutil.Process
    seconds: float


@contextmanager
def server(folder: Path, *, extension: bool = True, lab: bool = False) -> Iterator[Server]:
    """Start one and stop it again; without the extension nothing of ours is loaded. ``lab`` is one with pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab" if lab else "jupyter_server",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
    ]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [
        f"--ServerApp.jpserver_extensions={{'kale_serve_ext': {extension}}}",
        f"--IdentityProvider.token={token}",
    ]
    environ = {**os.environ, "HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "jupyter")}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    client = httpx.Client(base_url=url, headers={"Authorization": f"token {token}"}, timeout=120)
    try:
        _wait(client, start)
        yield Server(url, token, client, psutil.Process(process.pid), time.perf_counter() - start)
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait(client: httpx.Client, start: float) -> None:
    while True:
        try:
            if client.get("/api").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            if time.perf_counter() - start > START:
                raise
        time.sleep(0.01)
