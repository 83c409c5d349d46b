"""What goes over the wire by REST: requests encoded, answers and error bodies read. Pure.

v1 is ``{"instances": …}`` → ``{"predictions": …}``; v2 is the Open Inference Protocol. A service speaks one of them,
the same at the transformer and at the predictor.

Rows with named columns travel differently to the two: a transformer gets one object per row, the way people write
them; KServe's own servers make a data frame only of columns, so a predictor gets one object with a list per column
(v1) or one input per column with the content type ``pd`` (v2).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import TypeGuard

from ..errors import InvalidInputError, PredictionError
from ..ml import JSON
from . import images
from .tables import Cells, Table, scalar, to_cells
from .values import as_json, datatype

_LONGEST = 2000


def encode(data: object, protocol: str, *, transformer: bool = False) -> bytes:
    """The body of a request.

    Args:
        data: JSON text or bytes, or a dict, sent as they are; or rows: lists, a numpy array, a pandas or polars
            DataFrame, one row of any of these.
        protocol: ``v1`` or ``v2``.
        transformer: whether the body goes to a transformer.

    Raises:
        InvalidInputError: text that is not JSON, or a kind of data that has no rows.
    """
    if isinstance(data, (str, bytes, bytearray, memoryview)):
        text = bytes(data) if isinstance(data, (bytearray, memoryview)) else data
        parsed = _parse_request(text)
        if isinstance(parsed, Mapping):
            return text.encode() if isinstance(text, str) else text
        data = parsed
    if isinstance(data, Mapping):
        return dumps(data)
    cells = to_cells(data)
    return dumps(encode_v1(cells, transformer) if protocol == "v1" else encode_v2(cells))


def cells_of(data: object) -> Cells:
    """The rows of what people pass, where a whole request is none.

    Raises:
        InvalidInputError: it is a whole request, or has no rows.
    """
    if isinstance(data, (Mapping, str, bytes, bytearray, memoryview)):
        raise InvalidInputError(
            "This protocol takes rows, not a complete request.",
            hint="Pass lists, an array or a data frame, or omit protocol=.",
        )
    return to_cells(data)


def encode_v1(cells: Cells, transformer: bool) -> JSON:
    """Rows as v1's ``instances``."""
    if not isinstance(cells, Table):
        return {"instances": cells}
    return {"instances": cells.rows() if transformer else [dict(cells.columns)]}


def encode_v2(cells: Cells) -> JSON:
    """Rows as v2's ``inputs``: one tensor, or one per column."""
    if isinstance(cells, Table):
        inputs: list[JSON] = []
        for name, values in cells.columns.items():
            kind = datatype(values)
            inputs.append({"name": name, "shape": [len(values)], "datatype": kind, "data": as_json(values, kind)})
        return {"parameters": {"content_type": "pd"}, "inputs": inputs}
    shape, flat = flatten(cells)
    kind = datatype(flat)
    tensor: dict[str, JSON] = {"name": "input-0", "shape": list(shape), "datatype": kind, "data": as_json(flat, kind)}
    return {"inputs": [tensor]}


def path(protocol: str, model: str, verb: str = "predict") -> str:
    """The path of a model's endpoint: ``/v1/models/iris:predict``, ``/v2/models/iris/infer``."""
    if protocol in ("v2", "v2-binary"):
        return f"/v2/models/{model}/{'infer' if verb == 'predict' else verb}"
    return f"/v1/models/{model}:{verb}"


def decode(body: bytes) -> JSON:
    """The parsed answer of a request that went well by its HTTP status.

    Raises:
        PredictionError: it is not JSON, or it is a batcher's report of a failure (which comes with status 200).
    """
    try:
        answer: JSON = json.loads(body)
    except (ValueError, RecursionError) as error:
        shown = error_message(200, "", body)
        message = f"The model's answer is not JSON: {shown}" if shown else "The model's answer is empty."
        raise PredictionError(message, hint="Look at the service's logs.") from error
    if isinstance(answer, Mapping) and answer.get("message") and answer.get("predictions", 0) is None:
        told = error_message(200, "", str(answer["message"]).encode())
        raise PredictionError(f"The model failed: {told}", hint="Its logs may say more.", answer_status=200)
    return answer


def error_message(status: int, content_type: str, body: bytes) -> str:
    """What an error's body says, whoever wrote it.

    KServe writes ``{"error": text}``, FastAPI ``{"detail": [{"loc", "msg"}]}``, the supervisor and the batcher
    ``{"message": text}``, gateways HTML or plain text.
    """
    text = body[:200_000].decode(errors="replace").strip()
    try:
        parsed: JSON = json.loads(text)
    except (ValueError, RecursionError):
        if "html" in content_type or text[:200].lstrip().lower().startswith(("<!doctype", "<html")):
            return _cut(_of_html(text))
        return _cut(text) or f"HTTP status {status} without a text"
    return _cut(_of_json(parsed)) or f"HTTP status {status} without a text"


def phase_of(body: bytes) -> tuple[str, str]:
    """The service's phase and its reason, where the supervisor answered in place of the model; else empty."""
    try:
        parsed: JSON = json.loads(body)
    except ValueError:
        return "", ""
    return (
        (str(parsed.get("phase") or ""), str(parsed.get("reason") or "")) if isinstance(parsed, Mapping) else ("", "")
    )


def checked_json(text: str) -> bytes:
    """A body given as text, if it is JSON.

    Raises:
        InvalidInputError: it is not; says where.
    """
    check(text)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The request holds a lone surrogate ({error.object[error.start]!r}), which UTF-8 cannot encode.",
            field="raw",
        ) from error


def check(text: str | bytes) -> None:
    """See that a request's body is JSON.

    Raises:
        InvalidInputError: it is not; says where.
    """
    _parse_request(text)


def dumps(value: object) -> bytes:
    """JSON of a request. Not-a-number becomes ``null`` (servers read it as missing).

    Raises:
        InvalidInputError: an infinity, which JSON cannot carry, or an object that has no form in JSON.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=scalar).encode()
    except ValueError:
        return json.dumps(_without_nan(value), allow_nan=False, separators=(",", ":"), default=scalar).encode()


def _parse_request(text: str | bytes) -> JSON:
    if isinstance(text, bytes) and (kind := images.kind_of(text)):
        raise InvalidInputError(f"These bytes are a {kind} image, not a request.", hint=images.HINT, field="raw")
    try:
        parsed: JSON = json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        message = "The request is not JSON: it is not text in UTF-8."
        raise InvalidInputError(message, hint=images.HINT, field="raw") from error
    except RecursionError as error:
        raise InvalidInputError("The request is JSON that is nested too deeply.", field="raw") from error
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"The request is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            hint='Send JSON such as {"instances": [[1.0, 2.0]]}.',
            field="raw",
        ) from error
    return parsed


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise InvalidInputError("The data holds an infinity, which JSON cannot represent.", hint="Use a finite number.")
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    plain = scalar(value) if not isinstance(value, (str, int, float, bool, type(None))) else value
    return _without_nan(plain) if plain is not value else value


def flatten(cells: Sequence[JSON]) -> tuple[list[int], list[JSON]]:
    """Shape and flat values of nested lists.

    Raises:
        InvalidInputError: the rows are of different lengths, or hold objects.
    """
    shape: list[int] = []
    level: list[JSON] = list(cells)
    while True:
        shape.append(len(level) if not shape else _width(level))
        if shape and len(shape) > 1:
            level = [item for row in level if _is_list(row) for item in row]
        if not any(_is_list(item) for item in level):
            break
    if any(isinstance(item, Mapping) for item in level):
        raise InvalidInputError(
            "Rows of objects with different keys or nested values cannot be represented in protocol v2.",
            hint="Give every row the same columns with plain values, or pass a dict in v2's own form.",
        )
    return shape, level


def _width(level: Sequence[JSON]) -> int:
    widths = {len(item) if _is_list(item) else -1 for item in level}
    if len(widths) != 1 or -1 in widths:
        raise InvalidInputError("The rows are not all of the same length.", hint="Every row needs the same columns.")
    return widths.pop()


def _is_list(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, (list, tuple))


def _of_json(parsed: JSON) -> str:
    if isinstance(parsed, str):
        return parsed
    if isinstance(parsed, Sequence):
        return "; ".join(filter(None, (_of_json(item) for item in parsed[:10])))
    if not isinstance(parsed, Mapping):
        return "" if parsed is None else str(parsed)
    if "msg" in parsed:
        where = parsed.get("loc")
        place = ".".join(str(p) for p in where) if isinstance(where, Sequence) and not isinstance(where, str) else ""
        return f"{place}: {parsed['msg']}" if place else str(parsed["msg"])
    for key in ("error", "detail", "message", "reason"):
        if parsed.get(key):
            return _of_json(parsed[key])
    return json.dumps(parsed)


def _of_html(text: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.IGNORECASE | re.DOTALL)
    shown = title[1] if title and title[1].strip() else re.sub(r"<[^>]*>", " ", bare)
    return " ".join(unescape(shown).split())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
