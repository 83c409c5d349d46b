"""MLServer on unix sockets: its own command listens on ports, which every user of a machine can ask.

Runs under MLServer's interpreter: ``boot.py runner.mlserver FOLDER HTTP GRPC``. Metrics are answered beside the models,
where its own command opens a third port for them.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from mlserver.cli.serve import load_settings
from mlserver.errors import MLServerError
from mlserver.grpc import GRPCServer
from mlserver.handlers import ModelRepositoryHandlers
from mlserver.metrics.prometheus import PrometheusEndpoint
from mlserver.rest import RESTServer
from mlserver.server import MLServer
from mlserver.settings import Settings

_FIXED = "A local service's model is not loaded or unloaded by request: pause and resume the service."
_METRICS = "/metrics"


def main(argv: Sequence[str]) -> None:
    """Serve the models of ``FOLDER`` on the sockets ``HTTP`` and ``GRPC`` until told to end by a signal."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext mlserver")
    for name in ("folder", "http", "grpc"):
        parser.add_argument(name)
    given = parser.parse_args(argv)
    asyncio.run(_serve(given.folder, given.http, given.grpc))


async def _serve(folder: str, http: str, grpc: str) -> None:
    settings, models = await load_settings(folder)
    for one in models:
        place = Path(folder, one.name, one.parameters.uri) if one.parameters and one.parameters.uri else None
        if place is not None and place.is_dir():
            # MLflow refuses a folder that is a link.
            one.parameters.uri = str(place.resolve())
    server = SocketServer(settings, http, grpc)
    await server.start(models)
    if server.is_empty:
        # It has written why, and would end as if all were well.
        raise SystemExit(1)


class SocketServer(MLServer):  # type: ignore[misc]  # mlserver is not there when this is checked
    """MLServer with other addresses, without a server for metrics alone."""

    def __init__(self, settings: Settings, http: str, grpc: str) -> None:
        self._http = http
        self._grpc = grpc
        self.is_empty = False
        """Whether a model could not be loaded."""
        super().__init__(settings)

    def _create_servers(self) -> None:
        handlers = FixedRepository(repository=self._model_repository, model_registry=self._model_registry)
        self._rest_server = SocketRESTServer(self._settings, self._data_plane, handlers)
        self._rest_server.socket = self._http
        self._rest_server.add_metrics()
        # "unix:PATH" is what it makes of these two.
        grpc = self._settings.model_copy(update={"host": "unix", "grpc_port": self._grpc})
        self._grpc_server = GRPCServer(grpc, self._data_plane, handlers)
        self._metrics_server = self._kafka_server = None

    async def stop(self, sig: int | None = None) -> None:
        # Without a signal it is because of a model.
        self.is_empty = self.is_empty or sig is None
        await super().stop(sig)


class SocketRESTServer(RESTServer):  # type: ignore[misc]  # as above
    socket: str

    def add_metrics(self) -> None:
        self._app.add_route(_METRICS, PrometheusEndpoint(self._settings).handle_metrics)

    def _get_config(self) -> uvicorn.Config:
        config: uvicorn.Config = super()._get_config()
        config.uds = self.socket
        return config


class FixedRepository(ModelRepositoryHandlers):  # type: ignore[misc]  # as above
    """MLServer's, without what would stop or restart the model behind the supervisor's back."""

    async def load(self, name: str) -> bool:
        raise MLServerError(_FIXED, 501)

    async def unload(self, name: str) -> bool:
        raise MLServerError(_FIXED, 501)
