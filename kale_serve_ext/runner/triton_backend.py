"""A backend of Triton, written in Python, for models that a format of this package loads.

Runs in the stub of Triton's Python backend, under the model's own interpreter; Triton makes one object of the class for
each instance of a model, and asks it from one thread.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from ..errors import InvalidInputError
from ..formats import by_name
from ..formats.tensors import TensorModel, check_dims, in_short
from ..formats.tritonmodels import FILES, TYPES
from ..ml import TensorSpec
from .own_code import use_code
from .triton import FORMATS


class _Tensor(Protocol):
    def name(self) -> str: ...
    def as_numpy(self) -> np.ndarray: ...


class _Request(Protocol):
    def inputs(self) -> Sequence[_Tensor]: ...
    def requested_output_names(self) -> Sequence[str]: ...


class _Config(Protocol):
    def as_dict(self) -> Mapping[str, object]: ...
    def add_input(self, told: Mapping[str, object]) -> None: ...
    def add_output(self, told: Mapping[str, object]) -> None: ...
    def set_max_batch_size(self, size: int) -> None: ...


class _TritonError(Protocol):
    INVALID_ARG: object
    INTERNAL: object

    def __call__(self, message: str, code: object) -> object: ...


class _Utilities(Protocol):
    """Triton's module of this purpose."""

    TritonError: _TritonError

    def Tensor(self, name: str, array: np.ndarray) -> object: ...
    def InferenceResponse(self, tensors: Sequence[object] = (), error: object = None) -> object: ...


# The stub has made it when it loads a backend.
_triton = cast("_Utilities", importlib.import_module("triton_python_backend_utils"))


class TritonPythonModel:
    """What Triton asks for by this name."""

    @staticmethod
    def auto_complete_config(config: _Config) -> _Config:
        """Fill in the inputs and outputs of a model without a configuration of its own."""
        told = config.as_dict()
        if told["input"] and told["output"]:
            return config
        # Triton does not tell the place; it is the first argument of the stub.
        place = Path(Path("/proc/self/cmdline").read_bytes().split(b"\0")[1].decode())
        model = _loaded(str(told["backend"]), place)
        config.set_max_batch_size(0)
        for spec in model.inputs:
            config.add_input(_described(spec))
        for spec in model.outputs:
            config.add_output(_described(spec))
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        backend = config["backend"]
        default = next((name for name, known in FILES.items() if known == backend), backend)
        self._model = _loaded(backend, folder / (config["default_model_filename"] or default))
        inputs = _matched([one["name"] for one in config["input"]], [spec.name for spec in self._model.inputs])
        specs = {spec.name: spec for spec in self._model.inputs}
        self._inputs = {name: specs[own] for name, own in inputs.items()}
        self._outputs = [one["name"] for one in config["output"]]

    def execute(self, requests: Sequence[_Request]) -> list[object]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: _Request) -> object:
        try:
            fed = dict(self._array(tensor) for tensor in request.inputs())
            check_dims(self._model.inputs, fed)
            found = self._model.run(fed)
            asked = set(request.requested_output_names())
            outputs = {name: found[own] for name, own in _matched(self._outputs, list(found)).items() if name in asked}
            return _triton.InferenceResponse([_tensor(name, values) for name, values in outputs.items()])
        except InvalidInputError as error:
            return _failure(error.message, _triton.TritonError.INVALID_ARG)
        except (ValueError, TypeError) as error:
            return _failure(in_short(error), _triton.TritonError.INVALID_ARG)
        except Exception as error:
            # Of ONNX Runtime's own errors this one is about what was sent.
            is_input = type(error).__name__ == "InvalidArgument"
            code = _triton.TritonError.INVALID_ARG if is_input else _triton.TritonError.INTERNAL
            return _failure(f"{type(error).__name__}: {in_short(error)}", code)

    def _array(self, tensor: _Tensor) -> tuple[str, np.ndarray]:
        """An input under the model's own name."""
        values = tensor.as_numpy()
        spec = self._inputs[tensor.name()]
        if spec.dtype == "str":
            texts = np.empty(values.size, dtype=object)
            texts[:] = [each.decode("utf-8") if isinstance(each, bytes) else each for each in values.ravel()]
            values = texts.reshape(values.shape)
        # Triton has no scalars: its configuration says [1].
        return spec.name, values.reshape(()) if not spec.shape and values.shape == (1,) else values


def _matched(configured: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """The model's own name for each that the configuration has: the same, or the one at its place, as Triton's PyTorch
    backend takes them.

    Raises:
        ValueError: the model has fewer.
    """
    if set(configured) <= set(own):
        return {name: name for name in configured}
    if len(configured) > len(own):
        raise ValueError(f"The configuration names {', '.join(configured)}; the model has {', '.join(own) or 'none'}.")
    return dict(zip(sorted(configured, key=_place), own, strict=False))


def _place(name: str) -> int:
    """The number at the end of ``NAME__0``, by which PyTorch's tensors are told apart."""
    number = name.rpartition("__")[2]
    return int(number) if number.isdecimal() else 0


def _loaded(backend: str, place: Path) -> TensorModel:
    # A link's target, with what lies beside it and with its own ending.
    path = place.resolve()
    for folder in (path.parent, path):
        use_code(folder)
    model = by_name(FORMATS[backend]).load(path)
    if not isinstance(model, TensorModel):
        raise TypeError(f"{path} is no model that takes tensors by name.")
    return model


def _described(spec: TensorSpec) -> dict[str, object]:
    sizes = [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "data_type": TYPES[spec.dtype], "dims": sizes or [1]}


def _tensor(name: str, values: object) -> object:
    if isinstance(values, list):
        raise RuntimeError(
            f"The output {name!r} is a sequence of objects, which Triton has no form for. Of a classifier that was "
            "converted with skl2onnx, leave them out by the option zipmap=False."
        )
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind in "OUS":
        texts = np.empty(array.size, dtype=object)
        texts[:] = [each.encode("utf-8") if isinstance(each, str) else each for each in array.ravel()]
        array = texts.reshape(array.shape)
    return _triton.Tensor(name, array)


def _failure(message: str, code: object) -> object:
    return _triton.InferenceResponse(error=_triton.TritonError(message, code))
