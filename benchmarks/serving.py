"""From ``serve`` to the first correct prediction, against a hand-written model server that is started cold."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
import joblib
from report import Row
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, serve

ROUNDS = 5
LIMIT = 120.0
"""Seconds that a start may take."""
BY_HAND = """
import sys
import joblib
import kserve

class Iris(kserve.Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.model = joblib.load(path)
        self.ready = True

    def predict(self, payload, headers=None):
        return {"predictions": self.model.predict(payload["instances"]).tolist()}

kserve.ModelServer(http_port=int(sys.argv[2]), grpc_port=int(sys.argv[3])).start([Iris("iris", sys.argv[1])])
"""


def measure(folder: Path) -> list[Row]:
    iris = load_iris()
    model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
    path = folder / "model.joblib"
    joblib.dump(model, path)
    row = iris.data[:1].tolist()
    wanted = {"predictions": model.predict(row).tolist()}
    artifact = Model(model, name="iris", version="1").submit_artifact()

    ours: list[float] = []
    by_hand: list[float] = []
    for number in range(ROUNDS + 1):
        ours.append(_ours(artifact.id, f"iris-{number}", row, wanted))
        by_hand.append(_by_hand(path, row, wanted))
    # The first round fills the disk cache for both.
    values = statistics.median(ours[1:]), statistics.median(by_hand[1:])
    what = "serve to first correct prediction"
    return [Row(what, values[0], "s", "hand-written kserve.ModelServer", values[1], limit=1.3, limits_ratio=True)]


def _ours(model_id: int | None, name: str, row: list[list[float]], wanted: object) -> float:
    start = time.perf_counter()
    endpoint = serve(model_id, name=name)
    try:
        if endpoint.predict(row) != wanted:
            raise SystemExit("The service predicted something else.")
        return time.perf_counter() - start
    finally:
        endpoint.delete()


def _by_hand(path: Path, row: list[list[float]], wanted: object) -> float:
    http, grpc = _free_port(), _free_port()
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", BY_HAND, str(path), str(http), str(grpc)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - start < LIMIT:
            try:
                answer = httpx.post(f"http://127.0.0.1:{http}/v1/models/iris:predict", json={"instances": row})
            except httpx.TransportError:
                time.sleep(0.01)
                continue
            if answer.json() == wanted:
                return time.perf_counter() - start
        raise SystemExit("The hand-written server did not come up.")
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
