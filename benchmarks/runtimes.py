"""Foreign model servers as services of the local engine, against the same servers started by hand.

By hand is what their own documentation says: the server's command, on ports of the loopback address. The same model is
asked by the same client with the same JSON of the v2 protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from report import Row
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, environments, serve
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.local.servers import mlserver, triton
from kale_serve_ext.engines.local.servers.layout import Layout, Snapshot, look, make
from kale_serve_ext.runner.triton import prepared

STARTS = 3
ROUNDS = 5
CALLS = 100
ROWS = 1000
LIMIT = 180.0
"""Seconds that a start may take."""
KEPT = Path(__file__).resolve().parents[1] / ".cache" / "tests"
"""Where the tests keep the environments that they have made."""


@dataclass(frozen=True)
class ByHand:
    """A command that listens on a port."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    port: int


@dataclass(frozen=True)
class Measured:
    """A server, and a model that it serves."""

    title: str
    runtime: str
    model_id: int
    by_hand: Callable[[Path], ByHand]
    """Derives it from a new folder of its own."""


def lacks() -> str:
    """What is missing for it."""
    return "" if importlib.util.find_spec("skl2onnx") else "this Python has no skl2onnx"


def measure(folder: Path) -> list[Row]:
    kept = replace(Settings.from_environ(), data_dir=KEPT)
    for name in ("mlserver", "triton"):
        asyncio.run(environments.ensure(kept, environments.by_name(name), lambda told: None))
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "environments").symlink_to(KEPT / "environments")
    rows = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    return [row for each in _measured(model, rows, kept) for row in _measure(each, rows, folder)]


def _measured(model: LogisticRegression, rows: np.ndarray, kept: Settings) -> Iterator[Measured]:
    from skl2onnx import to_onnx

    logged = Model(model, name="plain", version="1").submit_artifact()
    yield Measured("MLServer", "kserve-mlserver", _id(logged), lambda folder: _mlserver(folder, logged, kept))
    converted = to_onnx(model, rows[:1], options={"zipmap": False})
    as_onnx = Model(converted, name="converted", version="1").submit_artifact()
    yield Measured("Triton", "kserve-tritonserver", _id(as_onnx), lambda folder: _triton(folder, as_onnx, kept))


def _measure(each: Measured, rows: np.ndarray, folder: Path) -> list[Row]:
    starts: list[tuple[float, float]] = []
    one, many = (_body(rows[:count]) for count in (1, ROWS))
    for number in range(STARTS + 1):
        with _ours(each, one) as (_, ours), _started(each, folder / f"{each.runtime}-{number}", one) as (_, theirs):
            starts.append((ours, theirs))
    calls: dict[bytes, list[tuple[float, float]]] = {one: [], many: []}
    with (
        _ours(each, one) as (ours_at, _),
        _started(each, folder / each.runtime, one) as (theirs_at, _),
        httpx.Client() as client,
    ):
        for _ in range(ROUNDS + 1):
            for body, pairs in calls.items():
                pairs.append((_asked(client, ours_at, body), _asked(client, theirs_at, body)))
    # The first of each fills caches.
    rows_of = [(f"{each.title}: start to first answer", "s", starts[1:], 1.15)]
    rows_of += [(f"{each.title}: one row, p50", "ms", calls[one][1:], 1.2)]
    rows_of += [(f"{each.title}: {ROWS} rows, p50", "ms", calls[many][1:], 1.1)]
    return [
        Row(what, *_middle(pairs)[:1], unit, "by hand", _middle(pairs)[1], limit, limits_ratio=True)
        for what, unit, pairs, limit in rows_of
    ]


@contextlib.contextmanager
def _ours(each: Measured, body: bytes) -> Iterator[tuple[str, float]]:
    """The service's address for requests, and the seconds until it has answered one."""
    begun = time.perf_counter()
    endpoint = serve(each.model_id, name="measured", runtime=each.runtime, protocol="v2")
    try:
        address = f"{endpoint.url}/v2/models/measured/infer"
        _first(address, body)
        yield address, time.perf_counter() - begun
    finally:
        endpoint.delete()


@contextlib.contextmanager
def _started(each: Measured, folder: Path, body: bytes) -> Iterator[tuple[str, float]]:
    folder.mkdir()
    found = each.by_hand(folder)
    begun = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            found.argv, env=found.environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        address = f"http://127.0.0.1:{found.port}/v2/models/measured/infer"
        _first(address, body)
        yield address, time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(60)


def _mlserver(folder: Path, logged: Model, kept: Settings) -> ByHand:
    ready = environments.ready(kept, environments.by_name("mlserver"))
    assert ready is not None
    _laid_out(mlserver.layout, logged, "sklearn", folder / "models")
    http, grpc, metrics = (_free_port() for _ in range(3))
    environ = {
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_ENVIRONMENTS_DIR": str(folder / "environments"),
        "MLSERVER_METRICS_DIR": str(folder / "metrics"),
    }
    program = str(Path(ready.python).with_name("mlserver"))
    return ByHand([program, "start", str(folder / "models")], {**os.environ, **environ}, http)


def _triton(folder: Path, logged: Model, kept: Settings) -> ByHand:
    overlay = environments.ready(kept, environments.by_name("triton"))
    assert overlay is not None
    _laid_out(triton.layout, logged, "onnx", folder / "models")
    http, grpc = _free_port(), _free_port()
    program, environ = prepared(overlay.folder, folder / "backends")
    options = [
        f"--model-repository={folder / 'models'}",
        f"--backend-directory={folder / 'backends'}",
        "--http-address=127.0.0.1",
        f"--http-port={http}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc}",
        "--allow-metrics=false",
        f"--backend-config=python,shm-region-prefix-name=by-hand-{http}-",
    ]
    return ByHand([str(program), *options], environ, http)


def _laid_out(layout: Callable[[Snapshot], Layout], logged: Model, model_format: str, folder: Path) -> None:
    files = Path(urlsplit(str(logged.uri)).path)
    make(layout(look("measured", model_format, files)), files, folder)


def _body(rows: np.ndarray) -> bytes:
    tensor = {"name": "X", "datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def _first(address: str, body: bytes) -> None:
    """Ask until there is an answer.

    Raises:
        SystemExit: there is none.
    """
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.post(address, content=body, headers=_JSON, timeout=LIMIT).status_code == httpx.codes.OK:
                return
        time.sleep(0.01)
    raise SystemExit(f"{address} did not answer within {LIMIT:.0f} s.")


_JSON = {"Content-Type": "application/json"}


def _asked(client: httpx.Client, address: str, body: bytes) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        answer = client.post(address, content=body, headers=_JSON)
        times.append(1e3 * (time.perf_counter() - begun))
        answer.raise_for_status()
    return statistics.median(times)


def _middle(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The pair with the median ratio."""
    middle = statistics.median(ours / theirs for ours, theirs in pairs)
    return min(pairs, key=lambda pair: abs(pair[0] / pair[1] - middle))


def _id(logged: Model) -> int:
    assert logged.id is not None
    return logged.id


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
