"""Answers to requests of named tensors, as arrays: one, or one for each output by name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from typing_extensions import TypeAliasType

from ..engines.sync_http import Answer
from ..errors import PredictionError
from ..formats.tensors import DTYPES, of_objects
from ..ml import JSON, TensorSpec
from . import binary, protocols, tensors
from .described import TEXTS, Described
from .messages import Response

if TYPE_CHECKING:
    import numpy as np

Outputs = TypeAliasType("Outputs", "np.ndarray | dict[str, np.ndarray] | JSON")
"""One array, or one for each of several outputs by name; JSON where the model answers in a form of its own."""


def of_rest(answer: Answer, takes: Described) -> Outputs:
    """The arrays of a good answer by REST, by whichever protocol it is."""
    length = answer.headers.get(binary.LENGTH, "")
    parsed = binary.parsed(answer.content, length) if length else protocols.decode(answer.content)
    if not isinstance(parsed, Mapping):
        return parsed
    told = parsed.get("outputs")
    if isinstance(told, list) and all(isinstance(one, Mapping) and "datatype" in one for one in told):
        contents = binary.contents_of(parsed, answer.content, length)
        return _single({str(o["name"]): _of_v2(o, c) for o, c in zip(_objects(told), contents, strict=True)})
    if "predictions" not in parsed:
        return parsed
    return _of_v1(parsed["predictions"], takes)


def of_grpc(response: Response) -> Outputs:
    """The arrays of an answer by gRPC."""
    found: dict[str, np.ndarray] = {}
    for index, output in enumerate(response.outputs):
        raw = response.raw_output_contents
        if output.datatype == "BYTES":
            texts = [*output.contents.bytes_contents] if len(raw) <= index else _pieces(raw[index])
            flat = _objects_of(texts, is_json=tensors.is_json(output))
        else:
            flat = tensors.flat(output, index, response)
        found[output.name] = _shaped(flat, output.name, output.shape)
    return _single(found)


def _single(found: dict[str, np.ndarray]) -> Outputs:
    return next(iter(found.values())) if len(found) == 1 else found


def _objects(told: Sequence[JSON]) -> list[Mapping[str, JSON]]:
    return [one for one in told if isinstance(one, Mapping)]


def _of_v2(output: Mapping[str, JSON], content: bytes | None) -> np.ndarray:
    """One output by REST; its values are raw where there is content."""
    import numpy as np

    name, datatype, shape = str(output["name"]), str(output["datatype"]), output.get("shape")
    sizes = [n for n in shape if isinstance(n, int)] if isinstance(shape, list) else []
    if datatype not in DTYPES:
        raise PredictionError(f"The output {name!r} has the datatype {datatype!r}, which cannot be read.")
    if datatype == "BYTES":
        parameters = output.get("parameters")
        is_json = isinstance(parameters, Mapping) and parameters.get("content_type") == "json"
        texts: Sequence[object] = _leaves(output.get("data")) if content is None else _pieces(content)
        return _shaped(_objects_of(texts, is_json=is_json), name, sizes)
    if content is not None:
        values = tensors.of_raw(content, datatype)
        if values is None:
            raise PredictionError(f"The output {name!r} of {len(content)} bytes cannot be read as {datatype}.")
        return _shaped(values, name, sizes)
    leaves = _leaves(output.get("data"))
    plain = [float("nan") if v is None else v for v in leaves] if datatype.startswith("FP") else leaves
    try:
        return _shaped(np.array(plain, dtype=DTYPES[datatype]), name, sizes)
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError(f"The output {name!r} has values that are not {datatype}: {error}.") from error


def _of_v1(predictions: JSON, takes: Described) -> Outputs:
    """v1's predictions: nested lists, an object for each row, or one object of lists."""
    specs = {spec.name: spec for spec in takes.outputs}
    if isinstance(predictions, Mapping):
        return _single({str(k): _of_list(v, specs.get(k)) for k, v in predictions.items()})
    if not isinstance(predictions, list):
        return predictions
    only = takes.outputs[0] if len(takes.outputs) == 1 else None
    if only and _is_table(predictions, only):
        return _of_list(predictions, only)
    rows = _objects(predictions)
    if rows and len(rows) == len(predictions) and all(row.keys() == rows[0].keys() for row in rows):
        if rows[0].keys() == {"b64"}:
            return predictions
        return _single({str(k): _of_list([row[k] for row in rows], specs.get(k)) for k in rows[0]})
    return _of_list(predictions, only)


def _of_list(values: JSON, spec: TensorSpec | None) -> np.ndarray:
    """Nested lists as an array: of the output's dtype where that is known and holds them."""
    import numpy as np

    if spec and isinstance(values, list) and _is_table(values, spec):
        # By v2 the server makes the same of them.
        values = [list(row.values()) for row in _objects(values)]
    leaves = _leaves(values)
    is_float = spec is not None and spec.dtype.startswith("float")
    numeric = all(v is None or isinstance(v, int | float) for v in leaves)
    numeric = numeric and (is_float or any(v is not None for v in leaves))
    if not _is_even(values) or not (numeric or not leaves):
        return np.array(values, dtype=object) if _is_even(values) else _flat_objects(values)
    if (whole := _whole(values, leaves, spec)) is not None:
        return whole
    found = np.array(_nan(values))
    wanted = spec.dtype if spec and spec.dtype in DTYPES.values() and spec.dtype not in TEXTS else None
    if wanted is None or found.dtype.kind not in "biuf":
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        made = found.astype(wanted)
    return made if made.dtype.kind == "f" or bool((made == found).all()) else found


def _is_table(values: Sequence[JSON], spec: TensorSpec) -> bool:
    """Whether these are rows of a classifier, objects of class to number, and the output is a table of numbers."""
    rows = _objects(values)
    if len(spec.shape) != 2 or not spec.dtype.startswith("float") or not rows or len(rows) != len(values):
        return False
    classes = list(rows[0])
    return classes != [spec.name] and all(
        list(row) == classes and all(v is None or isinstance(v, int | float) for v in row.values()) for row in rows
    )


def _whole(values: JSON, leaves: Sequence[JSON], spec: TensorSpec | None) -> np.ndarray | None:
    """Whole numbers of 64 bits, which numpy would make fractions where only some of them need the last bit.

    Returns:
        None where there is anything else among them, or the output is of another dtype.
    """
    import numpy as np

    if not leaves or {type(value) for value in leaves} != {int}:
        return None
    numbers = [value for value in leaves if isinstance(value, int)]
    unknown = ("uint64" if max(numbers) >= 2**63 else "") if spec is None else spec.dtype
    return of_objects(np.array(values, dtype=object), unknown) if unknown in ("int64", "uint64") else None


def _nan(values: JSON) -> JSON:
    """Nulls as not-a-number."""
    if isinstance(values, list):
        return [_nan(value) for value in values]
    return float("nan") if values is None else values


def _is_even(values: JSON) -> bool:
    """Whether nested lists have one shape."""
    if not isinstance(values, list) or not any(isinstance(v, list) for v in values):
        return True
    widths = {len(v) if isinstance(v, list) else -1 for v in values}
    return len(widths) == 1 and all(_is_even(v) for v in values)


def _flat_objects(values: JSON) -> np.ndarray:
    """One object for each item of the outermost list."""
    import numpy as np

    items = values if isinstance(values, list) else [values]
    made = np.empty(len(items), dtype=object)
    made[:] = items
    return made


def _leaves(data: JSON) -> list[JSON]:
    """The values of data that are flat or nested, in order."""
    if not isinstance(data, list):
        return [data]
    return [leaf for item in data for leaf in (_leaves(item) if isinstance(item, list) else [item])]


def _pieces(raw: bytes) -> list[bytes]:
    """BYTES: each value behind its length in four bytes."""
    found: list[bytes] = []
    at = 0
    while at + 4 <= len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        found.append(bytes(raw[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def _objects_of(values: Sequence[object], *, is_json: bool) -> np.ndarray:
    """Values of BYTES as objects: texts; bytes, all of them, where one is no text; or what JSON texts say."""
    try:
        told: Sequence[object] = [v.decode() if isinstance(v, bytes) else v for v in values]
    except UnicodeDecodeError:
        told = values
    import numpy as np

    made = np.empty(len(told), dtype=object)
    made[:] = list(told)
    return tensors.of_json(made) if is_json else made


def _shaped(flat: np.ndarray, name: str, shape: Sequence[int]) -> np.ndarray:
    """The array, which can be written to."""
    try:
        found = flat.reshape(tuple(shape))
        return found if found.flags.writeable else found.copy()
    except ValueError as error:
        raise PredictionError(
            f"The model's output {name!r} has {flat.size} values, and the shape {list(shape)}.",
            hint="Look at the predictor's logs.",
        ) from error
