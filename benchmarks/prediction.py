"""``Endpoint.predict`` of 1000 rows by gRPC, against a bare HTTP echo that moves as many bytes."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from report import Row
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, serve

ROUNDS = 5
CALLS = 200
ROWS = 1000
ECHO = """
import socket
import sys
import uvicorn

ANSWER = b"a" * int(sys.argv[2])

async def app(scope, receive, send):
    more = scope["type"] == "http"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", sys.argv[2].encode())]})
    await send({"type": "http.response.body", "body": ANSWER})

# With fd= uvicorn would take the socket for a unix one, and each answer would wait for a delayed acknowledgement.
config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


def measure(folder: Path) -> list[Row]:
    rows = np.random.default_rng(0).normal(size=(ROWS, 4))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    artifact = Model(model, name="rows", version="1").submit_artifact()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        # One answer has an int64 for each row.
        command = [sys.executable, "-c", ECHO, str(listener.fileno()), str(8 * ROWS)]
        echo = subprocess.Popen(command, pass_fds=[listener.fileno()])
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    endpoint = serve(artifact.id, name="rows", protocol="v2")
    try:
        with httpx.Client() as client:
            body = rows.tobytes()
            pairs = [
                (
                    _median(lambda: endpoint.predict(rows, protocol="grpc-v2")),
                    _median(lambda: client.post(address, content=body)),
                )
                for _ in range(ROUNDS + 1)
            ][1:]
    finally:
        endpoint.delete()
        echo.terminate()
        echo.wait(30)
    ours, anchor = min(pairs, key=lambda pair: abs(pair[0] / pair[1] - statistics.median(p[0] / p[1] for p in pairs)))
    return [Row("predict 1000×4, gRPC, p50", ours, "ms", "uvicorn echo, p50", anchor, limit=1.6, limits_ratio=True)]


def _median(call: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)
