"""A request that ends its server is sent to no other: by each way in which requests are sent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import grpc
import numpy as np
import pytest
from kserve.utils.inference_client_factory import InferenceClientFactory

from kale_serve_ext.engines.base import Component, ComponentState, Connection, Engine, Manifest, ServiceState
from kale_serve_ext.engines.local.connections import LocalConnections
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import BackendUnavailableError, PredictionError
from kale_serve_ext.runner.predictor_client import OnceFactory
from kale_serve_ext.serving.client import PredictionClient
from kale_serve_ext.sync import run

MANIFEST: Manifest = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "m", "namespace": "default"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "protocolVersion": "v1"}}},
}
REF = ServiceRef("local", "localhost", "default", "m")
DEADLINE = 30.0


class Place:
    """As much of an engine as a client asks for: one service, at a port."""

    def __init__(self, port: int, kind: str) -> None:
        self._port = port
        self._kind = kind
        self._connections = LocalConnections()

    async def get(self, name: str) -> ServiceState:
        return ServiceState(REF, MANIFEST, 1, 1, (ComponentState("predictor", 1, 1),), supervised=True)

    @asynccontextmanager
    async def connect(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        address = f"127.0.0.1:{self._port}"

        async def channel() -> grpc.aio.Channel:
            return self._connections.grpc(address)

        by_grpc = self._kind == "grpc"
        yield Connection(
            http=self._connections.http(f"http://{address}", 1),
            url=f"http://{address}",
            grpc=channel if by_grpc else None,
            blocking_grpc=(lambda: self._connections.blocking_grpc(address)) if by_grpc else None,
            blocking_http=self._connections.blocking_http(f"http://{address}", 1),
        )

    async def close(self) -> None:
        await self._connections.close()


class Deadly:
    """The server, and what it was asked."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._asked = folder / "asked"
        self.port = int((folder / "port").read_text())
        self.place = Place(self.port, kind)
        self.client = PredictionClient(cast("Engine", self.place), "m")

    @property
    def asked(self) -> int:
        return len(self._asked.read_text()) if self._asked.exists() else 0

    def until_up(self, ask: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                ask()
            except (BackendUnavailableError, PredictionError):
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                return


@contextmanager
def running(folder: Path, kind: str) -> Iterator[None]:
    words = [sys.executable, "-m", "tests.serving.deadly", kind, str(folder)]
    process = subprocess.Popen(words, start_new_session=True)
    try:
        end = time.monotonic() + DEADLINE
        while not (folder / "port").exists():
            assert time.monotonic() < end, "it does not start"
            time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module", params=["http", "grpc"])
def deadly(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deadly]:
    folder = tmp_path_factory.mktemp("deadly")
    with running(folder, request.param):
        made = Deadly(folder, request.param)
        yield made
        run(made.client.close())
        run(made.place.close())


def good(deadly: Deadly) -> object:
    return np.zeros((1, 4)) if deadly.place._kind == "grpc" else {"instances": []}


def fatal(deadly: Deadly) -> object:
    return [["end"]] if deadly.place._kind == "grpc" else {"instances": ["end"]}


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_request_that_ends_its_server_is_sent_once(deadly: Deadly, way: str) -> None:
    protocol = "grpc-v2" if deadly.place._kind == "grpc" else None

    def ask(data: object) -> object:
        if way == "blocking":
            return deadly.client.call_blocking(data, protocol=protocol, timeout=DEADLINE)
        return run(deadly.client.call(data, protocol=protocol, timeout=DEADLINE))

    # Over a connection that is kept, as over one that is made for it.
    for _ in range(2):
        deadly.until_up(lambda: ask(good(deadly)))
        before = deadly.asked
        with pytest.raises(PredictionError, match="ended before it answered") as told:
            ask(fatal(deadly))
        assert deadly.asked == before + 1
        assert "not sent again" in told.value.message
    # What is refused a connection, as while the server starts again, is.
    deadly.until_up(lambda: ask(good(deadly)))


def test_a_transformer_asks_its_predictor_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InferenceClientFactory, "_instance", None)

    async def ask(port: int) -> None:
        # As kserve does where transformers are told to ask whether their predictor is ready.
        health = InferenceClientFactory().get_grpc_client(f"127.0.0.1:{port}", retries=3)
        client = OnceFactory().get_grpc_client(f"127.0.0.1:{port}", retries=3)
        infer = client._channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        await infer(b"", timeout=DEADLINE, wait_for_ready=True)
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await infer(b"end", timeout=DEADLINE)
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE
        await client.close()
        await health.close()

    with running(tmp_path, "grpc"):
        asyncio.run(ask(int((tmp_path / "port").read_text())))
        assert (tmp_path / "asked").read_text() == "x"
