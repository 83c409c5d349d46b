"""Serves models that take and give tensors by name, such as those of ONNX: by v1 row by row, by v2 as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput
from kserve.utils.utils import generate_uuid

from ..errors import InvalidInputError
from ..formats.tensors import DTYPES, TensorModel, answers_of, check_dims, fitted, in_short, of_objects, of_rows
from ..ml import JSON, TensorSpec
from . import tensors

_DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}


class NamedTensorModel(Model):  # type: ignore[misc]  # kserve has no types
    """A model whose inputs and outputs have names.

    Args:
        name: name on the wire.
        model: the object that was loaded.
    """

    def __init__(self, name: str, model: TensorModel) -> None:
        super().__init__(name)
        self.model = model
        self._inputs = {spec.name: spec for spec in model.inputs}
        self.ready = True

    def predict(
        self,
        payload: dict[str, object] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, object] | InferResponse:
        """v1: an answer for each of the instances; v2: the outputs that were asked for, or all."""
        if isinstance(payload, InferRequest):
            return self._infer(payload)
        rows = payload.get("instances", payload.get("inputs")) if isinstance(payload, dict) else None
        if not isinstance(rows, list):
            raise InvalidInput('The request has no list "instances".')
        return {"predictions": self.answers(rows)}

    def answers(self, rows: Sequence[JSON]) -> JSON:
        """What it answers to rows in v1's form: one item for each.

        Raises:
            InvalidInput, InferenceError: as :meth:`run`.
        """
        try:
            fed = of_rows(self.model.inputs, rows)
            return answers_of(self.run(fed), len(rows))
        except InvalidInputError as error:
            raise InvalidInput(error.message) from error

    def run(self, fed: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        """The model's outputs.

        Raises:
            InvalidInput: dimensions that belong together differ, or the model refuses the input.
            InferenceError: it failed.
        """
        try:
            check_dims(self.model.inputs, fed)
            return self.model.run(fed, wanted)
        except InvalidInputError as error:
            raise InvalidInput(error.message) from error
        except (ValueError, TypeError) as error:
            raise InvalidInput(in_short(error)) from error
        except Exception as error:
            # Of ONNX Runtime's own errors this one is about what was sent.
            kind = InvalidInput if type(error).__name__ == "InvalidArgument" else InferenceError
            raise kind(f"{type(error).__name__}: {in_short(error)}") from error

    def get_input_types(self) -> list[dict[str, object]]:
        """v2 metadata."""
        return [_described(spec) for spec in self.model.inputs]

    def get_output_types(self) -> list[dict[str, object]]:
        """v2 metadata."""
        return [_described(spec) for spec in self.model.outputs]

    def _infer(self, request: InferRequest) -> InferResponse:
        wanted = [output.name for output in request.request_outputs or ()]
        known = [spec.name for spec in self.model.outputs]
        # Some models know only once they have answered.
        if known and (unknown := [name for name in wanted if name not in known]):
            raise InvalidInput(f"The model has no output {unknown[0]!r}; it gives {_listed(known)}.")
        found = self.run(self._fed(request.inputs), wanted)
        binary = bool(request.use_binary_outputs)
        by_json = not binary and not request.from_grpc
        outputs = [_output(name, values, binary, by_json) for name, values in found.items()]
        return InferResponse(
            model_name=self.name,
            infer_outputs=outputs,
            response_id=request.id or generate_uuid(),
            use_binary_outputs=binary,
            requested_outputs=request.request_outputs,
        )

    def _fed(self, sent: Sequence[InferInput]) -> dict[str, np.ndarray]:
        names = [one.name for one in sent]
        if len(set(names)) < len(names):
            raise InvalidInput("The request has two inputs of one name.")
        if len(sent) == 1 == len(self._inputs):  # whatever the client calls it
            (spec,) = self._inputs.values()
            return {spec.name: _array(sent[0], spec)}
        for name in names:
            if name not in self._inputs:
                raise InvalidInput(f"The model has no input {name!r}; it takes {_listed(self._inputs)}.")
        for name in self._inputs:
            if name not in names:
                raise InvalidInput(f"The input {name!r} is missing; the model takes {_listed(self._inputs)}.")
        return {one.name: _array(one, self._inputs[one.name]) for one in sent}


def _array(sent: InferInput, spec: TensorSpec) -> np.ndarray:
    """What was sent as an array of the input's dtype.

    Raises:
        InvalidInput: it has another shape or values of another kind, or does not hold what its shape says.
    """
    try:
        if sent.datatype == "BYTES":
            texts = tensors.values_of(sent)
            values = np.empty(len(texts), dtype=object)
            values[:] = texts
            return fitted(spec, values.reshape(tuple(sent.shape)))
        numbers = tensors.rows(sent)
        if not isinstance(numbers, list):
            return fitted(spec, numbers)
        found = of_objects(np.array(numbers, dtype=object).reshape(tuple(sent.shape)), spec.dtype)
        if found is None:
            raise InvalidInput(f"The input {spec.name!r} has a null, or a number that is too large.")
        return fitted(spec, found)
    except InvalidInputError as error:
        raise InvalidInput(error.message) from error
    except ValueError as error:
        raise InvalidInput(f"The input {spec.name!r} does not fit its shape and datatype: {error}") from error


def _output(name: str, values: object, binary: bool, by_json: bool) -> InferOutput:
    """One output as v2 has it.

    What a classifier gives as an object of class to number for each row becomes a table of the numbers; the classes
    stand in its parameter ``classes``, as JSON.
    """
    parameters: dict[str, str] = {}
    if isinstance(values, list) and values and all(isinstance(row, Mapping) for row in values):
        classes = list(values[0])
        if all(list(row) == classes for row in values):
            parameters["classes"] = json.dumps(classes, ensure_ascii=False)
            values = np.array([list(row.values()) for row in values], dtype=np.float32)
    [made] = tensors.outputs(values) if not isinstance(values, list) else [_of_list(values)]
    # v2 has no form for half a float in JSON.
    array = made.values.astype(np.float32) if by_json and made.values.dtype == np.float16 else made.values
    output = InferOutput(name=name, shape=list(array.shape), datatype=tensors.datatype(array))
    output.set_data_from_numpy(array, binary_data=binary or array.dtype == np.float16)
    if made.is_json:
        parameters["content_type"] = "json"
    if parameters:
        output.parameters = {**(output.parameters or {}), **parameters}
    return output


def _of_list(values: list[object]) -> tensors.Output:
    """A sequence of unlike things: each as JSON text."""
    from ..estimators.answers import plain

    texts = np.empty(len(values), dtype=object)
    texts[:] = [json.dumps(plain(value), ensure_ascii=False) for value in values]
    return tensors.Output("", texts, is_json=True)


def _described(spec: TensorSpec) -> dict[str, object]:
    shape = [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": _DATATYPES[spec.dtype], "shape": shape}


def _listed(names: Sequence[str] | Mapping[str, TensorSpec]) -> str:
    return ", ".join(repr(name) for name in names)
