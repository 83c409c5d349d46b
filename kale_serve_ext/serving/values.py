"""Plain values as tensors of the v2 protocol, which has neither null nor mixtures of types. Pure.

By JSON both simply stand in the data. As raw bytes a missing number is NaN, and texts with a null or a number among
them go as JSON texts, with the parameter ``content_type: json``, which this package's server understands.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InvalidInputError
from ..ml import JSON

_CODES = {"FP64": "d", "INT64": "q", "UINT64": "Q"}


@dataclass(frozen=True)
class Packed:
    """A tensor's values as they go over the wire in binary form."""

    datatype: str
    content: bytes
    is_json: bool = False
    """Whether each value is JSON, for want of another form."""


def datatype(values: Sequence[JSON]) -> str:
    """v2's name for the type that holds all the values.

    Raises:
        InvalidInputError: a whole number that no type holds.
    """
    kinds = {type(v) for v in values}
    missing = type(None) in kinds
    kinds.discard(type(None))
    if dict in kinds:
        raise InvalidInputError(
            "Bytes that are no text, and other objects, cannot be represented in protocol v2.",
            hint="Use v1, or send text that the model's code decodes, such as base64.",
        )
    if kinds == {bool}:
        # As a number beside nulls: a server that knows no null would take it for False.
        return "FP64" if missing else "BOOL"
    if kinds and kinds <= {bool, int} and not missing:
        numbers = [v for v in values if isinstance(v, int)]
        least, most = min(numbers), max(numbers)
        if least < -(2**63) or most >= 2**64 or (least < 0 and most >= 2**63):
            raise InvalidInputError(
                f"The whole number {most if most >= 2**63 else least} cannot be represented in protocol v2.",
                hint="Send it as text or as a float, or use v1.",
            )
        return "UINT64" if most >= 2**63 else "INT64"
    return "FP64" if kinds <= {bool, int, float} else "BYTES"


def as_json(values: Sequence[JSON], kind: str) -> list[JSON]:
    """The values as they stand in JSON, for this datatype: booleans that go as numbers are numbers."""
    if kind == "FP64" and any(isinstance(v, bool) for v in values):
        return [float(v) if isinstance(v, bool) else v for v in values]
    return list(values)


def pack(values: Sequence[JSON], *, own: bool) -> Packed:
    """The values as raw bytes, little-endian.

    Args:
        own: whether the server is this package's.

    Raises:
        InvalidInputError: nulls or numbers among texts, and the server is another.
    """
    kind = datatype(values)
    if kind == "FP64" and any(isinstance(v, int) and (own or abs(v) > 2**53) for v in values):
        kind = "BYTES"  # what is no float is to arrive as it is
    if kind == "BYTES":
        plain = all(isinstance(v, str) for v in values)
        if not plain and not own:
            raise InvalidInputError(
                "Texts with missing values or numbers among them, and whole numbers beyond 2**53 with missing ones, "
                "cannot be sent as raw bytes.",
                hint="Omit protocol=, or use v1 or v2.",
            )
        texts = (str(v) if plain else json.dumps(v, ensure_ascii=False) for v in values)
        encoded = [text.encode() for text in texts]
        return Packed(kind, b"".join(struct.pack("<I", len(e)) + e for e in encoded), is_json=not plain)
    if kind == "BOOL":
        return Packed(kind, bytes(bool(v) for v in values))
    if kind != "FP64":
        return Packed(kind, _raw(_CODES[kind], [int(v) for v in values if isinstance(v, int)]))
    return Packed(kind, _raw("d", [float(v) if isinstance(v, int | float) else float("nan") for v in values]))


def _raw(code: str, numbers: list[int] | list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}{code}", *numbers)
