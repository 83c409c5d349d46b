"""Asks with tensorflow-serving-api's own stubs: runs under the environment's interpreter, which has them.

``tf_client.py ADDRESS``; a line of JSON on standard input is a list of calls, and the answers come as one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TypedDict

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


class Call(TypedDict, total=False):
    """A request: arrays are pairs of dtype and lists."""

    method: str
    name: str
    signature: str
    inputs: dict[str, tuple[str, Sequence[object]]]
    outputs: list[str]
    examples: list[list[float]]
    fields: list[str]


def main() -> None:
    calls: list[Call] = json.loads(sys.stdin.readline())
    with grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_http_proxy", 0)]) as channel:
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        answers: list[object] = []
        for call in calls:
            try:
                answers.append(ask(call, predictions, models))
            except grpc.RpcError as error:
                answers.append({"code": error.code().name, "details": error.details()})
    print(json.dumps(answers))


def ask(
    call: Call,
    predictions: prediction_service_pb2_grpc.PredictionServiceStub,
    models: model_service_pb2_grpc.ModelServiceStub,
) -> object:
    spec = {"name": call.get("name", ""), "signature_name": call.get("signature", "")}
    match call["method"]:
        case "predict":
            request = predict_pb2.PredictRequest(model_spec=spec, output_filter=call.get("outputs", []))
            for name, (dtype, given) in call["inputs"].items():
                array = np.array(given, dtype=object if dtype == "str" else dtype)
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            found = predictions.Predict(request, timeout=60)
            outputs = {name: tf.make_ndarray(one) for name, one in found.outputs.items()}
            told = {name: [str(one.dtype), one.astype(str).tolist()] for name, one in outputs.items()}
            return {"outputs": told, "version": found.model_spec.version.value, "by": found.model_spec.signature_name}
        case "classify" | "regress":
            kind = classification_pb2.ClassificationRequest if call["method"] == "classify" else None
            request = (kind or regression_pb2.RegressionRequest)(model_spec=spec)
            for values in call["examples"]:
                example = request.input.example_list.examples.add()
                example.features.feature["x"].float_list.value.extend(values)
            if kind:
                rows = predictions.Classify(request, timeout=60).result.classifications
                return [[[one.label, one.score] for one in row.classes] for row in rows]
            return [one.value for one in predictions.Regress(request, timeout=60).result.regressions]
        case "metadata":
            request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=call["fields"])
            found = predictions.GetModelMetadata(request, timeout=60)
            signatures = get_model_metadata_pb2.SignatureDefMap()
            found.metadata["signature_def"].Unpack(signatures)
            return {name: sorted(one.inputs) for name, one in signatures.signature_def.items()}
        case "status":
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            states = models.GetModelStatus(request, timeout=60).model_version_status
            return [[one.version, one.State.Name(one.state)] for one in states]
        case _:
            return models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=60)


main()
