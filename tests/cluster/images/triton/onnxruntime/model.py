"""In the place of Triton's backend for ONNX Runtime, which no package registry has: the same library under the same
name, for models with a configuration that is complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """What Triton asks for by this name."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        name = config["default_model_filename"] or "model.onnx"
        file = Path(args["model_repository"], args["model_version"], name)
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        fed = {tensor.name(): _decoded(tensor.as_numpy()) for tensor in request.inputs()}
        names = list(request.requested_output_names())
        try:
            found = zip(names, self._session.run(names, fed), strict=True)
        except Exception as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        return triton.InferenceResponse([triton.Tensor(name, _encoded(values)) for name, values in found])


def _decoded(values: np.ndarray) -> np.ndarray:
    return (
        np.array([each.decode() for each in values.ravel()], object).reshape(values.shape) if _texts(values) else values
    )


def _encoded(values: np.ndarray) -> np.ndarray:
    return (
        np.array([each.encode() for each in values.ravel()], object).reshape(values.shape) if _texts(values) else values
    )


def _texts(values: np.ndarray) -> bool:
    return values.dtype.kind == "O"
