"""kserve.ModelServer on two unix sockets that only the user can reach, for what stands before another program."""

from __future__ import annotations

import asyncio
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import kserve.model_server
from kserve import Model, ModelServer
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.server import GRPCServer

from .asgi_guard import MAX_REQUEST_BYTES
from .rpc import MAX_STREAMS, Servicer
from .server import GRACE, FixedRepository, InheritedRESTServer

if TYPE_CHECKING:
    from collections.abc import Callable

_BACKLOG = 128


def serve(model: Model, http: str, rpc: str, ending: Callable[[asyncio.Event], None]) -> None:
    """Serve a model until SIGTERM, or until somebody sets what ``ending`` is given.

    Args:
        http: the path of the socket for REST, which is made.
        rpc: the same for gRPC.
        ending: called once in the loop that serves, with the event that ends it.
    """
    kserve.model_server.RESTServer = InheritedRESTServer
    kserve.model_server.GRPCServer = _SocketGRPCServer
    kserve.model_server.ModelRepositoryExtension = FixedRepository
    _SocketModelServer(http, rpc, ending).start([model])


class _SocketModelServer(ModelServer):  # type: ignore[misc]  # kserve has no types
    """A ModelServer whose clients were looked at by whoever connects them."""

    def __init__(self, http: str, rpc: str, ending: Callable[[asyncio.Event], None]) -> None:
        super().__init__(http_port=0, grpc_port=0, workers=1)
        self._http = http
        self._rpc = rpc
        self._ending = ending

    def register_signal_handler(self) -> None:
        """Nothing yet: kserve's handlers would unload the models under running requests."""

    def setup_event_loop(self) -> None:
        """Nothing yet: the loop is made by ``asyncio.run``, after this is called."""

    async def _serve(self) -> None:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        for unused in self.servers:
            unused.close()
        rest: InheritedRESTServer = self._rest_server
        rest.prepare(None)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self._http)
        listening.listen(_BACKLOG)
        await self._grpc_server.start_on(self._rpc, self.max_threads)
        running = asyncio.create_task(rest.run_on(listening.detach()))
        await rest.accepting.wait()
        self._ending(ended)
        await ended.wait()
        # Nobody new is led here any more.
        await asyncio.gather(rest.drain(0.0, GRACE), self._grpc_server.drain(GRACE))
        await running


class _SocketGRPCServer(GRPCServer):  # type: ignore[misc]  # kserve has no types
    """kserve's gRPC server with this package's servicer."""

    async def start(self, max_workers: int) -> None:
        """Nothing: it is told where by :meth:`start_on`."""

    async def start_on(self, path: str, max_workers: int) -> None:
        self._server = grpc.aio.server(
            ThreadPoolExecutor(max_workers=max_workers),
            options=[
                ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
            ],
        )
        servicer = Servicer(self._data_plane, self._model_repository_extension)
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def drain(self, grace: float) -> None:
        await self._server.stop(grace)
