"""The v2 protocol over gRPC, as lean as kserve's servicer allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import kserve.protocol.grpc.grpc_predict_v2_pb2 as pb
import numpy as np
from kserve.errors import InvalidInput, ModelNotReady
from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.utils.numpy_codec import to_np_dtype
from starlette.exceptions import HTTPException

from . import tensors
from .asgi_guard import MAX_REQUEST_BYTES
from .calls import answered
from .models import FrameworkModel

if TYPE_CHECKING:
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension

    from .access import Access

    Context = grpc.aio.ServicerContext[object, object]


MAX_STREAMS = 128
"""Calls at a time on one connection; more wait with the client, where HTTP/2 would have no limit."""
IDLE = 30.0
"""Seconds for which a connection is kept without a call: who is refused calls does not hold a file for longer. Clients
connect again by themselves."""
_HANDSHAKE = 10.0


class LoopbackGRPCServer(GRPCServer):  # type: ignore[misc]  # kserve has no types
    """kserve's gRPC server on 127.0.0.1, started when it may accept and stopped by draining."""

    servicer: Servicer
    access: Access

    async def start(self, max_workers: int) -> None:
        """Listen; returns at once, unlike kserve's."""
        here = ("127.0.0.1", self._port)
        self.servicer = GuardedServicer(self._data_plane, self._model_repository_extension, self.access, here)
        self._server = grpc.aio.server(
            ThreadPoolExecutor(max_workers=max_workers),
            options=[
                ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.max_connection_idle_ms", int(IDLE * 1000)),
                ("grpc.server_handshake_timeout_ms", int(_HANDSHAKE * 1000)),
                # The next revision binds the same port while this one still drains.
                ("grpc.so_reuseport", 1),
            ],
        )
        add_GRPCInferenceServiceServicer_to_server(self.servicer, self._server)
        self._server.add_insecure_port(f"{here[0]}:{here[1]}")
        await self._server.start()

    async def drain(self, grace: float) -> None:
        """Send clients away, and let calls that run end within ``grace`` seconds."""
        await self._server.stop(grace)


class Servicer(InferenceServicer):  # type: ignore[misc]  # kserve has no types
    """kserve's servicer, with a short way for raw tensors to models in a framework's format."""

    def __init__(self, data_plane: DataPlane, repository: ModelRepositoryExtension) -> None:
        super().__init__(data_plane, repository)
        self.requests = 0
        self._observers: dict[str, Callable[[float], None]] = {}

    def admit(self, context: Context) -> None:
        """Called before each call.

        Raises:
            HTTPException: the client is not answered. In a cluster it is for others to say who is.
        """

    @answered
    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:  # the protocol's name
        self.requests += 1
        model = self._data_plane.model_registry.get_model(request.model_name)
        short = isinstance(model, FrameworkModel) and len(request.inputs) == 1 == len(request.raw_input_contents)
        # kserve would load a model that is not ready, where by REST it says so.
        if not await self._data_plane.model_ready(request.model_name, True):
            raise ModelNotReady(request.model_name)
        if short and request.inputs[0].datatype != "BYTES" and not request.parameters:
            return self._infer_raw(model, request)
        for tensor in request.inputs:
            if to_np_dtype(tensor.datatype) is None:
                raise _unknown(tensor)
        return await super().ModelInfer(request, context)

    ServerLive = answered(InferenceServicer.ServerLive)
    ServerReady = answered(InferenceServicer.ServerReady)
    ServerMetadata = answered(InferenceServicer.ServerMetadata)
    ModelReady = answered(InferenceServicer.ModelReady)
    ModelMetadata = answered(InferenceServicer.ModelMetadata)
    RepositoryModelLoad = answered(InferenceServicer.RepositoryModelLoad)
    RepositoryModelUnload = answered(InferenceServicer.RepositoryModelUnload)

    def _infer_raw(self, model: FrameworkModel, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        tensor = request.inputs[0]
        dtype = to_np_dtype(tensor.datatype)
        if dtype is None:
            raise _unknown(tensor)
        try:
            # A copy that may be written to: models change their input as they may in a notebook.
            rows = np.frombuffer(bytearray(request.raw_input_contents[0]), dtype).reshape(tuple(tensor.shape))
        except ValueError as exc:
            raise InvalidInput(f"The input {tensor.name!r} does not fit its shape and datatype: {exc}") from exc
        begun = time.perf_counter()
        try:
            result = model.apply(model.named(rows))
        finally:
            self._observe(model.name, time.perf_counter() - begun)
        response = pb.ModelInferResponse(id=request.id, model_name=request.model_name)
        for one in tensors.outputs(result):
            kind = tensors.datatype(one.values)
            output = response.outputs.add(name=one.name, datatype=kind, shape=one.values.shape)
            if one.is_json:
                output.parameters["content_type"].string_param = "json"
            response.raw_output_contents.append(tensors.raw(one.values, kind))
        return response

    def _observe(self, name: str, seconds: float) -> None:
        observe = self._observers.get(name)
        if observe is None:
            observe = self._observers[name] = PREDICT_HIST_TIME.labels(**get_labels(name)).observe
        observe(seconds)


class GuardedServicer(Servicer):
    """A servicer that answers those whom ``access`` names.

    The owner of a connection is asked for with every call, which takes microseconds: gRPC does not tell when a
    connection ends, and what was kept of it would hold for whoever connects from its port next.

    Args:
        here: the address that clients connect to.
    """

    def __init__(
        self, data_plane: DataPlane, repository: ModelRepositoryExtension, access: Access, here: tuple[str, int]
    ) -> None:
        super().__init__(data_plane, repository)
        self._access = access
        self._here = here

    def admit(self, context: Context) -> None:
        host, _, port = context.peer().removeprefix("ipv4:").rpartition(":")
        why = self._access.refuse_peer((host, int(port)) if port.isdecimal() else None, self._here)
        if why:
            raise HTTPException(403, why)


def _unknown(tensor: pb.ModelInferRequest.InferInputTensor) -> InvalidInput:
    return InvalidInput(f"The input {tensor.name!r} has the datatype {tensor.datatype!r}, which is not one of v2.")
