"""In the place of Triton's backend for ONNX Runtime, which no package registry has: the same library under the same
name, for models with a configuration that is complete."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import onnxruntime


class _Tensor(Protocol):
    def name(self) -> str: ...
    def as_numpy(self) -> np.ndarray: ...


class _Request(Protocol):
    def inputs(self) -> Sequence[_Tensor]: ...
    def requested_output_names(self) -> Sequence[str]: ...


class _Utilities(Protocol):
    """Triton's module of this purpose."""

    def Tensor(self, name: str, array: np.ndarray) -> object: ...
    def TritonError(self, message: str) -> object: ...
    def InferenceResponse(self, tensors: Sequence[object] = (), error: object = None) -> object: ...


_triton = cast("_Utilities", importlib.import_module("triton_python_backend_utils"))


class TritonPythonModel:
    """What Triton asks for by this name."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        name = config["default_model_filename"] or "model.onnx"
        file = Path(args["model_repository"], args["model_version"], name)
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def execute(self, requests: Sequence[_Request]) -> list[object]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: _Request) -> object:
        fed = {tensor.name(): _decoded(tensor.as_numpy()) for tensor in request.inputs()}
        names = list(request.requested_output_names())
        try:
            found = dict(zip(names, self._session.run(names, fed), strict=True))
        except Exception as error:
            return _triton.InferenceResponse(error=_triton.TritonError(str(error)))
        return _triton.InferenceResponse([_triton.Tensor(name, _encoded(values)) for name, values in found.items()])


def _decoded(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return values
    return np.array([each.decode() for each in values.ravel()], object).reshape(values.shape)


def _encoded(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return values
    return np.array([each.encode() for each in values.ravel()], object).reshape(values.shape)
