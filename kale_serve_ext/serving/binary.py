"""v2 by REST with the values as raw bytes behind the JSON: its Binary Tensor Data extension. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import PredictionError
from ..ml import JSON
from . import protocols, tensors
from .tables import Cells, Table

if TYPE_CHECKING:
    import numpy as np

LENGTH = "Inference-Header-Content-Length"
"""The header with the number of bytes of JSON, of requests and of answers."""


def encode(array: np.ndarray) -> tuple[bytes, int]:
    """The body with one input, and how many bytes of it are JSON. An array of one dimension is one row."""
    datatype, shape = tensors.form(array)
    tensor: dict[str, JSON] = {"name": "input-0", "shape": list(shape), "datatype": datatype}
    tensor["parameters"] = {"binary_data_size": array.nbytes}
    head = protocols.dumps({"parameters": {"binary_data_output": True}, "inputs": [tensor]})
    return b"".join((head, tensors.raw(array))), len(head)


def as_json(array: np.ndarray) -> JSON:
    """The same request with its values as JSON: the array keeps its datatype, which its numbers alone do not tell."""
    datatype, shape = tensors.form(array)
    data: JSON = array.ravel().tolist()
    return {"inputs": [{"name": "input-0", "shape": list(shape), "datatype": datatype, "data": data}]}


def encode_cells(cells: Cells, *, own: bool) -> tuple[bytes, int]:
    """The same of rows of any kind: one tensor, or one for each column.

    Raises:
        InvalidInputError: as :func:`tensors.pack_cells`.
    """
    inputs: list[JSON] = []
    contents: list[bytes] = []
    for name, shape, packed in tensors.pack_cells(cells, own=own):
        parameters: dict[str, JSON] = {"binary_data_size": len(packed.content)}
        if packed.is_json:
            parameters["content_type"] = "json"
        inputs.append({"name": name, "shape": shape, "datatype": packed.datatype, "parameters": parameters})
        contents.append(packed.content)
    whole: dict[str, JSON] = {"binary_data_output": True}
    if isinstance(cells, Table):
        whole["content_type"] = "pd"
    head = protocols.dumps({"parameters": whole, "inputs": inputs})
    return b"".join((head, *contents)), len(head)


def decode(content: bytes, length: str) -> JSON:
    """The answer as v2's plain form tells it; data are flat.

    Args:
        length: the answer's :data:`LENGTH` header; empty where it is JSON alone, which servers may answer with.

    Raises:
        PredictionError: it is neither.
    """
    if not length:
        return tensors.with_json(protocols.decode(content))
    answer = parsed(content, length)
    read: list[JSON] = []
    for output, raw in zip(_outputs(answer), contents_of(answer, content, length), strict=True):
        read.append(output if raw is None else _with_data(output, raw))
    return {**answer, "outputs": read}


def parsed(content: bytes, length: str) -> Mapping[str, JSON]:
    """The JSON of an answer in binary form.

    Raises:
        PredictionError: it has no such part, or that has no outputs.
    """
    answer = protocols.decode(content[: max(_end(length), 0)])
    if not isinstance(answer, Mapping) or not isinstance(answer.get("outputs"), list):
        raise PredictionError("The model's answer has no outputs.", hint="Look at the service's logs.")
    return answer


def contents_of(answer: Mapping[str, JSON], content: bytes, length: str) -> list[bytes | None]:
    """The raw values of each output of a :func:`parsed` answer; None for one that has its values in the JSON.

    Raises:
        PredictionError: there are fewer bytes than it says.
    """
    at = _end(length)
    found: list[bytes | None] = []
    for output in _outputs(answer):
        parameters = output.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
        if not isinstance(size, int):
            found.append(None)
            continue
        raw = content[at : at + size]
        if len(raw) != size:
            raise _unreadable(output, size)
        found.append(raw)
        at += size
    return found


def _outputs(answer: Mapping[str, JSON]) -> list[Mapping[str, JSON]]:
    outputs = answer.get("outputs")
    return [one if isinstance(one, Mapping) else {} for one in outputs] if isinstance(outputs, list) else []


def _end(length: str) -> int:
    """Where the JSON ends."""
    return int(length) if length.isdecimal() and len(length) < 20 else -1


def _unreadable(output: Mapping[str, JSON], size: int) -> PredictionError:
    told = f"The output {output.get('name')!r} of {size} bytes with the datatype {str(output.get('datatype'))!r}"
    return PredictionError(f"{told} cannot be read.")


def _with_data(output: Mapping[str, JSON], content: bytes) -> JSON:
    values = tensors.of_raw(content, str(output.get("datatype")))
    if values is None:
        raise _unreadable(output, len(content))
    parameters = output.get("parameters")
    if isinstance(parameters, Mapping) and parameters.get("content_type") == "json":
        values = tensors.of_json(values)
    data = tensors.listed(values)
    return {**{k: v for k, v in output.items() if k != "parameters"}, "data": data}
