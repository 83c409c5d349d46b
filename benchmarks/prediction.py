"""``Endpoint.predict`` of 1000 rows: by gRPC against a bare HTTP echo that moves as many bytes, and as a table whose
columns are recorded with the model against the same model without a record. And what the check of connections costs."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import joblib
import numpy as np
import pandas as pd
from report import Row
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, serve
from kale_serve_ext.runner import peers

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
    return [*_by_grpc(), *_as_tables(folder), _whose_connection()]


def _by_grpc() -> list[Row]:
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
    ours, anchor = _middle(pairs)
    return [Row("predict 1000×4, gRPC, p50", ours, "ms", "uvicorn echo, p50", anchor, limit=1.6, limits_ratio=True)]


def _as_tables(folder: Path) -> list[Row]:
    """What making the recorded table again adds to a request. Both models get a data frame: they know their columns."""
    rows = np.random.default_rng(0).normal(size=(ROWS, 4))
    table = pd.DataFrame(rows, columns=["a", "b", "c", "d"])
    model = LogisticRegression().fit(table, rows[:, 0] > 0)
    file = folder / "model.joblib"
    joblib.dump(model, file)
    recorded = Model(model, name="recorded", version="1", example=table.head()).submit_artifact()
    bare = Model(name="bare", version="1", artifact_uri=file).submit_artifact()
    with_record, without = serve(recorded.id, name="recorded"), serve(bare.id, name="bare")
    made: list[Row] = []
    try:
        for protocol, data in (("grpc-v2", rows), ("v1", table)):
            pairs = [
                (
                    _median(partial(with_record.predict, data, protocol=protocol)),
                    _median(partial(without.predict, data, protocol=protocol)),
                )
                for _ in range(ROUNDS + 1)
            ][1:]
            what = f"predict 1000×4 with its record, {protocol}, p50"
            ours, anchor = _middle(pairs)
            made.append(Row(what, ours, "ms", "without one, p50", anchor, limit=1.05, limits_ratio=True))
    finally:
        with_record.delete()
        without.delete()
    return made


def _whose_connection() -> Row:
    """What it takes to ask whose a connection is: once for one by HTTP, with each call by gRPC."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:

        def connect() -> None:
            with socket.create_connection(listener.getsockname()), listener.accept()[0]:
                pass

        opened = _median(connect)
        client.connect(listener.getsockname())
        with listener.accept()[0] as connection:
            asked = _median(partial(peers.owner, client.getsockname(), connection.getsockname()))
    return Row("whose a connection is, p50", asked, "ms", "opening and closing one, p50", opened, 1.0, True)


def _middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The pair with the median ratio."""
    middle = statistics.median(ours / anchor for ours, anchor in pairs)
    return min(pairs, key=lambda pair: abs(pair[0] / pair[1] - middle))


def _median(call: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)
