"""The v2 protocol over gRPC, as lean as kserve's servicer allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import grpc
import httpx
import kserve.protocol.grpc.grpc_predict_v2_pb2 as pb
import numpy as np
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady
from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.utils.numpy_codec import to_np_dtype

from . import tensors
from .answers import message_of
from .edge import MAX_REQUEST_BYTES
from .models import FrameworkModel

if TYPE_CHECKING:
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension

    Context = grpc.aio.ServicerContext[object, object]

T = TypeVar("T")
log = logging.getLogger("kserve")


class LoopbackGRPCServer(GRPCServer):  # type: ignore[misc]  # kserve has no types
    """kserve's gRPC server on 127.0.0.1, started when it may accept and stopped by draining."""

    servicer: Servicer

    async def start(self, max_workers: int) -> None:
        """Listen; returns at once, unlike kserve's."""
        self.servicer = Servicer(self._data_plane, self._model_repository_extension)
        self._server = grpc.aio.server(
            ThreadPoolExecutor(max_workers=max_workers),
            options=[
                ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                # The next revision binds the same port while this one still drains.
                ("grpc.so_reuseport", 1),
            ],
        )
        add_GRPCInferenceServiceServicer_to_server(self.servicer, self._server)
        self._server.add_insecure_port(f"127.0.0.1:{self._port}")
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

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:  # the protocol's name
        self.requests += 1
        model = self._data_plane.model_registry.get_model(request.model_name)
        short = isinstance(model, FrameworkModel) and len(request.inputs) == 1 == len(request.raw_input_contents)
        try:
            if short and request.inputs[0].datatype != "BYTES" and not request.parameters:
                return self._infer_raw(model, request)
            return await super().ModelInfer(request, context)
        except Exception as exc:
            return await _abort(context, exc)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        return await _answered(super().ModelReady(request, context), context)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        return await _answered(super().ModelMetadata(request, context), context)

    def _infer_raw(self, model: FrameworkModel, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        tensor = request.inputs[0]
        dtype = to_np_dtype(tensor.datatype)
        if dtype is None:
            raise InvalidInput(
                f"The input {tensor.name!r} has the datatype {tensor.datatype!r}, which is not one of v2."
            )
        try:
            rows = np.frombuffer(request.raw_input_contents[0], dtype).reshape(tuple(tensor.shape))
        except ValueError as exc:
            raise InvalidInput(f"The input {tensor.name!r} does not fit its shape and datatype: {exc}") from exc
        begun = time.perf_counter()
        try:
            result = model.apply(model.named(rows))
        finally:
            self._observe(model.name, time.perf_counter() - begun)
        response = pb.ModelInferResponse(id=request.id, model_name=request.model_name)
        for name, values in tensors.outputs(result):
            kind = tensors.datatype(values)
            response.outputs.add(name=name, datatype=kind, shape=values.shape)
            response.raw_output_contents.append(tensors.raw(values, kind))
        return response

    def _observe(self, name: str, seconds: float) -> None:
        observe = self._observers.get(name)
        if observe is None:
            observe = self._observers[name] = PREDICT_HIST_TIME.labels(**get_labels(name)).observe
        observe(seconds)


async def _answered(work: Awaitable[T], context: Context) -> T:
    try:
        return await work
    except Exception as exc:
        return await _abort(context, exc)


async def _abort(context: Context, exc: Exception) -> T:
    code = next((c for kind, c in _CODES.items() if isinstance(exc, kind)), grpc.StatusCode.INTERNAL)
    text = message_of(exc)
    if isinstance(exc, httpx.HTTPStatusError):
        code = grpc.StatusCode.INVALID_ARGUMENT if exc.response.is_client_error else grpc.StatusCode.INTERNAL
        text = exc.response.text
    if code is grpc.StatusCode.INTERNAL:
        log.error("grpc %s", exc, exc_info=exc)
    else:
        log.warning("grpc %s", text)
    await context.abort(code, text)
    raise AssertionError("abort always raises")


_CODES = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFound: grpc.StatusCode.NOT_FOUND,
    NotImplementedError: grpc.StatusCode.UNIMPLEMENTED,
    ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    ServerNotLive: grpc.StatusCode.UNAVAILABLE,
    ServerNotReady: grpc.StatusCode.UNAVAILABLE,
    httpx.TransportError: grpc.StatusCode.UNAVAILABLE,
}
