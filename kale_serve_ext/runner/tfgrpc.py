"""TensorFlow Serving's gRPC: PredictionService and ModelService."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn, Protocol, TypeVar

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from . import tfexamples
from .answering import in_thread
from .tfrefusal import Refusal
from .tfservable import Servable

LARGEST = 256 * 1024 * 1024
"""Bytes of a message."""
_FIXED = "A local service's models are not loaded or unloaded by request: pause and resume the service."

_log = logging.getLogger("tfserving")
_T = TypeVar("_T")


class _Context(Protocol):
    """What gRPC gives with a call."""

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn: ...


def server(model: Servable, address: str) -> grpc.aio.Server:
    """The server, not started.

    Args:
        address: the path of a unix socket.

    Raises:
        RuntimeError: nothing can listen there.
    """
    sizes = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", -1)]
    made = grpc.aio.server(options=sizes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(model), made)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(model), made)
    if not made.add_insecure_port(f"unix:{address}"):
        raise RuntimeError(f"gRPC cannot listen at {address}.")
    return made


def status(model: Servable) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of the model, which is loaded."""
    found = get_model_status_pb2.GetModelStatusResponse()
    found.model_version_status.add(version=model.version, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    found.model_version_status[0].status.error_code = 0
    return found


def metadata(model: Servable) -> get_model_metadata_pb2.SignatureDefMap:
    """Its signatures."""
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.definitions.items():
        found.signature_def[name].CopyFrom(definition)
    return found


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]  # no types
    def __init__(self, model: Servable) -> None:
        self._model = model

    async def Predict(self, request: predict_pb2.PredictRequest, context: _Context) -> predict_pb2.PredictResponse:
        return await _answered(context, partial(self._predict, request))

    async def Classify(
        self, request: classification_pb2.ClassificationRequest, context: _Context
    ) -> classification_pb2.ClassificationResponse:
        return await _answered(context, partial(self._classify, request))

    async def Regress(
        self, request: regression_pb2.RegressionRequest, context: _Context
    ) -> regression_pb2.RegressionResponse:
        return await _answered(context, partial(self._regress, request))

    async def MultiInference(self, request: inference_pb2.MultiInferenceRequest, context: _Context) -> NoReturn:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Several inferences in one request are not served here.")

    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: _Context
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        return await _answered(context, partial(self._metadata, request), at_once=True)

    def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        spec = request.model_spec
        _check(self._model, spec)
        fed = {name: _array(name, one) for name, one in request.inputs.items()}
        found = self._model.predict(spec.signature_name, fed, list(request.output_filter))
        made = predict_pb2.PredictResponse()
        self._tell(made.model_spec, spec)
        for name, values in found.items():
            made.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return made

    def _classify(self, request: classification_pb2.ClassificationRequest) -> classification_pb2.ClassificationResponse:
        _check(self._model, request.model_spec)
        found = tfexamples.classify(self._model, request.model_spec.signature_name, _examples(request.input))
        made = classification_pb2.ClassificationResponse()
        self._tell(made.model_spec, request.model_spec)
        for row in found:
            classes = made.result.classifications.add().classes
            for one in row:
                classes.add(label=one.label, score=one.score)
        return made

    def _regress(self, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
        _check(self._model, request.model_spec)
        found = tfexamples.regress(self._model, request.model_spec.signature_name, _examples(request.input))
        made = regression_pb2.RegressionResponse()
        self._tell(made.model_spec, request.model_spec)
        for value in found:
            made.result.regressions.add(value=value)
        return made

    def _metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        if not request.HasField("model_spec"):
            raise Refusal("Missing ModelSpec")
        if not request.metadata_field:
            raise Refusal("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := [name for name in request.metadata_field if name != "signature_def"]:
            raise Refusal(f"Metadata field {unknown[0]} is not supported")
        _check(self._model, request.model_spec)
        made = get_model_metadata_pb2.GetModelMetadataResponse()
        made.model_spec.name = self._model.name
        made.model_spec.version.value = self._model.version
        made.metadata["signature_def"].Pack(metadata(self._model))
        return made

    def _tell(self, told: model_pb2.ModelSpec, asked: model_pb2.ModelSpec) -> None:
        told.name = self._model.name
        told.version.value = self._model.version
        told.signature_name = asked.signature_name or "serving_default"


class _Models(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]  # no types
    def __init__(self, model: Servable) -> None:
        self._model = model

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: _Context
    ) -> get_model_status_pb2.GetModelStatusResponse:
        return await _answered(context, partial(self._status, request), at_once=True)

    async def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: _Context
    ) -> NoReturn:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, _FIXED)

    def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = request.model_spec
        self._model.check_status(spec.name, spec.version.value if spec.HasField("version") else None)
        return status(self._model)


def _check(model: Servable, spec: model_pb2.ModelSpec) -> None:
    model.check(spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label)


def _array(name: str, tensor: object) -> np.ndarray:
    try:
        found: np.ndarray = tf.make_ndarray(tensor)
    except (ValueError, TypeError) as error:
        raise Refusal(f"tensor parsing error: {name}") from error
    return found


def _examples(given: input_pb2.Input) -> Sequence[bytes]:
    if given.WhichOneof("kind") == "example_list_with_context":
        context = given.example_list_with_context.context.SerializeToString()
        return [context + one.SerializeToString() for one in given.example_list_with_context.examples]
    return [one.SerializeToString() for one in given.example_list.examples]


async def _answered(context: _Context, work: Callable[[], _T], *, at_once: bool = False) -> _T:
    """The answer of a thread, or the error as gRPC tells it.

    Args:
        at_once: it does not stand in line behind predictions.
    """
    try:
        return await (asyncio.to_thread(work) if at_once else in_thread(work))
    except Refusal as error:
        await context.abort(grpc.StatusCode[error.code], error.message)
    except Exception as error:
        _log.exception("A request by gRPC failed")
        await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
