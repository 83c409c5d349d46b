"""TensorFlow Serving's JSON: requests by row and by column as arrays, and arrays as answers. Pure.

By https://www.tensorflow.org/tfx/serving/api_rest, with the messages of tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

import numpy as np

from ..ml import JSON, TensorSpec
from .tfrefusal import Refusal

_INSTANCES, _INPUTS = "instances", "inputs"
_BASE64 = "b64"
_BYTES = "_bytes"
"""What the names of texts end in that are bytes: these are always answered in base64."""
_LONGEST = 200
_DEEPEST = 31
"""Lists within each other: some numpys have no arrays of more than 32 dimensions."""
_NAMES = {"float32": "float", "float64": "double", "float16": "half", "str": "string"}
"""What TensorFlow calls dtypes where numpy has another word."""
_WHOLE_IN_FLOAT = {"float16": 11, "float32": 24, "float64": 53}
"""Bits of a whole number that a float holds."""

Inputs = Mapping[str, TensorSpec]
"""A signature's inputs by name."""


def parsed(body: bytes) -> Mapping[str, JSON]:
    """The request's object.

    Raises:
        Refusal: it is none.
    """
    if not body.strip():
        raise Refusal("JSON Parse error: The document is empty")
    try:
        found: JSON = json.loads(body)
    except RecursionError as error:
        raise Refusal("JSON Parse error: The document is nested too deep") from error
    except ValueError as error:
        where = f" at offset: {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Refusal(f"JSON Parse error: {what}{where}") from error
    if not isinstance(found, Mapping):
        raise Refusal(f"JSON Value: {_shown(found)} Is not object")
    return found


def signature_name(request: Mapping[str, JSON]) -> str:
    """The signature that the request names; empty where it names none.

    Raises:
        Refusal: it is no text.
    """
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise Refusal(
            f"JSON Value: {_shown(request)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def is_by_row(request: Mapping[str, JSON]) -> bool:
    """Whether a request to predict has ``instances``, and not ``inputs``.

    Raises:
        Refusal: it has both, or neither.
    """
    if _INSTANCES in request and _INPUTS in request:
        raise Refusal(
            f"JSON Value: {_shown(request)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if _INSTANCES not in request and _INPUTS not in request:
        raise Refusal("Missing 'inputs' or 'instances' key")
    return _INSTANCES in request


def arrays_of(request: Mapping[str, JSON], inputs: Inputs) -> dict[str, np.ndarray]:
    """The arrays that a request to predict sends, texts as bytes.

    Raises:
        Refusal: they are not what the signature takes.
    """
    if not is_by_row(request):
        return _by_column(request[_INPUTS], inputs)
    rows = request[_INSTANCES]
    if not isinstance(rows, list):
        raise Refusal(f"JSON Value: {_shown(request)} Excepting 'instances' to be an list/array")
    if not rows:
        raise Refusal(f"JSON Value: {_shown(request)} No values in 'instances' array")
    return _by_row(rows, inputs)


def answer(outputs: Mapping[str, np.ndarray], *, by_row: bool) -> bytes:
    """The answer to a request to predict.

    Raises:
        Refusal: an output has no row for each of the others', and rows were asked for.
    """
    names = sorted(outputs)
    if not by_row:
        columns = {name: listed(name, outputs[name]) for name in names}
        return dumps({"outputs": columns[names[0]] if len(names) == 1 else columns})
    size = -1
    for name in names:
        if not outputs[name].ndim:
            raise Refusal(f"Tensor name: {name} has no shape information ")
        if size not in (-1, len(outputs[name])):
            raise Refusal(
                f"Tensor name: {name} has inconsistent batch size: {len(outputs[name])} expecting: {size}",
            )
        size = len(outputs[name])
    lists = [_rows(listed(name, outputs[name])) for name in names]
    if len(names) == 1:
        return dumps({"predictions": lists[0]})
    return dumps({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]})


def listed(name: str, values: np.ndarray) -> JSON:
    """An array as JSON: fractions with no more digits than their dtype has; bytes that are no text in base64."""
    found: JSON
    if values.dtype.kind == "O":
        found = _texts(values.tolist(), always=name.endswith(_BYTES))
    elif values.dtype.kind == "f" and values.dtype.itemsize < 8:
        found = values.astype(str).astype(np.float64).tolist()
    else:
        found = values.tolist()
    return found


def dumps(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def is_base64(value: JSON) -> bool:
    """Whether it stands for bytes: an object with ``b64`` alone."""
    return isinstance(value, Mapping) and list(value) == [_BASE64] and isinstance(value[_BASE64], str)


def unpacked(value: JSON) -> bytes:
    """The bytes that an object with ``b64`` stands for.

    Raises:
        Refusal: it is another object, or not base64.
    """
    if not isinstance(value, Mapping) or not is_base64(value):
        raise Refusal(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
    text = str(value[_BASE64])
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if {"-", "_"} & set(text) else None)
    except (binascii.Error, ValueError) as error:
        raise Refusal("Unable to base64 decode") from error


def _rows(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, list) else []


def _by_column(value: JSON, inputs: Inputs) -> dict[str, np.ndarray]:
    if not isinstance(value, Mapping) or is_base64(value):
        if len(inputs) > 1:
            raise Refusal(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        (spec,) = inputs.values()
        return {spec.name: array_of(value, spec.dtype)}
    for name in inputs:
        if name not in value:
            raise Refusal(f"Missing named input: {name} in 'inputs' object.")
    return {name: array_of(value[name], spec.dtype) for name, spec in inputs.items()}


def _by_row(rows: Sequence[JSON], inputs: Inputs) -> dict[str, np.ndarray]:
    is_named = isinstance(rows[0], Mapping) and not is_base64(rows[0])
    if not isinstance(rows[0], Mapping) and len(inputs) > 1:
        raise Refusal(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if not is_named:
        for number, row in enumerate(rows):
            if isinstance(row, Mapping) and not is_base64(row):
                raise Refusal(f"Expecting value/list but got object at item {number} of input list")
        if len(inputs) > 1:
            raise Refusal(_keys(0, rows[0], inputs))
        (spec,) = inputs.values()
        return {spec.name: _column(rows, spec, "")}
    columns: dict[str, list[JSON]] = {name: [] for name in inputs}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or is_base64(row):
            raise Refusal(f"Expecting object but got list at item {number} of input list")
        for name, value in row.items():
            if name not in columns:
                raise Refusal(
                    f"Failed to process element: {number} key: {name} of 'instances' list. Error: INVALID_ARGUMENT: "
                    f"JSON object: does not have named input: {name}"
                )
            columns[name].append(value)
        if len(row) != len(inputs):
            raise Refusal(_keys(number, row, inputs))
    return {name: _column(columns[name], spec, f" key: {name}") for name, spec in inputs.items()}


def _keys(number: int, row: JSON, inputs: Inputs) -> str:
    wanted = ",".join(sorted(inputs))
    return (
        f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(row)} keys must be equal to: "
        f"{wanted}"
    )


def _column(values: Sequence[JSON], spec: TensorSpec, key: str) -> np.ndarray:
    """One value for each instance as one array.

    Raises:
        Refusal: one is of another form than the first; names it.
    """
    found = _at_once(values, spec.dtype)
    if found is not None:
        return found
    made: list[np.ndarray] = []
    for number, value in enumerate(values):
        try:
            one = array_of(value, spec.dtype)
            if made and one.size != made[0].size:
                raise Refusal(f"Expecting tensor size: {made[0].size} but got: {one.size}")
            if made and one.shape != made[0].shape:
                raise Refusal(f"Expecting shape {_dims(made[0].shape)} but got: {_dims(one.shape)}")
        except Refusal as error:
            raise Refusal(
                f"Failed to process element: {number}{key} of 'instances' list. Error: {error.code}: {error.message}"
            ) from error
        made.append(one)
    return np.stack(made)


def array_of(value: JSON, dtype: str) -> np.ndarray:
    """A value, or lists of lists of them, as an array.

    Raises:
        Refusal: it has values of another type, or lists of unequal lengths.
    """
    if dtype != "str" and _kind(dtype) not in "biuf":
        raise Refusal(f"Values of the type {_NAMES.get(dtype, dtype)} have no form in JSON")
    found = _at_once(value, dtype)
    if found is not None:
        return found
    shape = tuple(_shape(value))
    if len(shape) > _DEEPEST:
        raise Refusal(f"JSON Value: {_shown(value)} has lists at {len(shape)} levels, more than {_DEEPEST}")
    flat = list(_leaves(value, 0, shape, dtype))
    array = np.empty(len(flat), dtype=object if dtype == "str" else dtype)
    array[:] = flat
    return array.reshape(shape)


def _at_once(value: object, dtype: str) -> np.ndarray | None:
    """An array of numbers, where all of them are of one type, and that is the right one; None where they have to be
    looked at one by one."""
    if dtype == "str":
        return None
    try:
        found = np.array(value)
        wanted = np.dtype(dtype)
    except (ValueError, TypeError, OverflowError):
        return None
    if found.ndim > _DEEPEST or len(set(map(type, _flat(value, found.ndim)))) > 1:
        return None
    kind = found.dtype.kind
    if kind == wanted.kind == "b":
        return found
    if wanted.kind in "iu" and kind in "iu":
        limits = np.iinfo(wanted)
        fits = not found.size or (int(found.min()) >= limits.min and int(found.max()) <= limits.max)
        return found.astype(wanted) if fits else None
    if wanted.kind == "f" and kind in "iu":
        fits = not found.size or max(abs(int(found.min())), abs(int(found.max()))) < 1 << _WHOLE_IN_FLOAT[dtype]
        return found.astype(wanted) if fits else None
    if wanted.kind == "f" and kind == "f":
        with np.errstate(over="ignore"):
            made = found.astype(wanted)
        return None if (np.isinf(made) & np.isfinite(found)).any() else made
    return None


def _flat(value: object, depth: int) -> Iterable[object]:
    """The values in lists within each other, all of the same depth."""
    flat = cast("Iterable[object]", value if depth else (value,))
    for _ in range(depth - 1):
        flat = chain.from_iterable(cast("Iterable[Iterable[object]]", flat))
    return flat


def _kind(dtype: str) -> str:
    """numpy's letter for what a dtype holds; ``O`` for one that numpy does not know."""
    try:
        return np.dtype(dtype).kind
    except TypeError:
        return "O"


def _shape(value: JSON) -> Iterator[int]:
    while isinstance(value, list):
        yield len(value)
        if not value:
            return
        value = value[0]


def _leaves(value: JSON, level: int, shape: tuple[int, ...], dtype: str) -> Iterator[object]:
    if not isinstance(value, list):
        if level != len(shape):
            raise Refusal(
                f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        yield _leaf(value, dtype)
        return
    if level >= len(shape):
        raise Refusal(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise Refusal(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for one in value:
        yield from _leaves(one, level + 1, shape, dtype)


def _leaf(value: JSON, dtype: str) -> object:
    if dtype == "str":
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, Mapping):
            return unpacked(value)
    elif dtype == "bool":
        if isinstance(value, bool):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        wanted = np.dtype(dtype)
        if wanted.kind == "f":
            return _fraction(value, dtype)
        if isinstance(value, int) and np.iinfo(wanted).min <= value <= np.iinfo(wanted).max:
            return value
    raise Refusal(
        f"JSON Value: {_shown(value)} Type: {_type(value)} is not of expected type: {_NAMES.get(dtype, dtype)}"
    )


def _fraction(value: int | float, dtype: str) -> float:
    if isinstance(value, int):
        fits = abs(value) < 1 << _WHOLE_IN_FLOAT[dtype]
    else:
        fits = not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    if not fits:
        raise Refusal(
            f"Cannot convert JSON value: {_shown(value)} to {_NAMES.get(dtype, dtype)} without loss of precision."
        )
    return float(value)


def _texts(value: object, *, always: bool) -> JSON:
    if isinstance(value, list):
        return [_texts(one, always=always) for one in value]
    content = value if isinstance(value, bytes) else str(value).encode()
    try:
        if not always:
            return content.decode()
    except UnicodeDecodeError:  # the real one sends JSON then that is none
        pass
    return {_BASE64: base64.b64encode(content).decode()}


def _type(value: JSON) -> str:
    if isinstance(value, bool):
        return str(value)
    if value is None:
        return "Null"
    if isinstance(value, str):
        return "String"
    return "Object" if isinstance(value, Mapping) else "Number"


def _shown(value: JSON) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "with lists that are nested too deep"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _dims(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
