"""Makes signatures from what models know: a number of features, perhaps their names, perhaps some values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

from ..ml import JSON, Column, Signature

MAX_SAMPLED = 20_000
"""Features above which no sample row is made up: the record has no room for it."""


@runtime_checkable
class _ToList(Protocol):
    def tolist(self) -> object: ...


@runtime_checkable
class _ToText(Protocol):
    def isoformat(self) -> str: ...


def tabular(
    count: int,
    names: Sequence[str] = (),
    known: Mapping[str | int, tuple[str, JSON]] | None = None,
    *,
    dtype: str = "float64",
    output_size: Sequence[str | int] = (),
    output_dtype: str = "",
) -> Signature:
    """The signature of a model of ``count`` features.

    Args:
        count: how many there are.
        names: of all of them, or empty.
        known: dtype and a good value of single features, by name or position; the others are 0 of ``dtype``.
        dtype: of the others.
        output_size: with the batch first; empty where it is not known.
        output_dtype: likewise.
    """
    known = known or {}
    names = names if len(names) == count else ()
    features = [
        known.get(names[i] if names else i, known.get(i, (dtype, 0.0 if dtype.startswith("float") else 0)))
        for i in range(count)
    ]
    values = [value for _, value in features] if count <= MAX_SAMPLED else None
    dtypes = {d for d, _ in features}
    return Signature(
        input_size=["batch_size", count],
        output_size=list(output_size),
        input_dtype=dtypes.pop() if len(dtypes) == 1 else "object",
        output_dtype=output_dtype,
        columns=tuple(Column(name, d) for name, (d, _) in zip(names, features, strict=True)) if names else (),
        sample=dict(zip(names, values, strict=True)) if names and values is not None else values,
    )


def json_value(value: object) -> JSON:
    """A cell of a table as JSON: numpy's numbers as Python's, times as ISO 8601, what is missing as None."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, _ToList):
        return json_value(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    if isinstance(value, _ToText):
        return value.isoformat()
    return str(value)


def attribute(obj: object, name: str) -> object:
    """An attribute that fitting makes; None before it, and where a Pipeline's steps do not have it."""
    try:
        return cast(object, getattr(obj, name, None))
    except Exception:  # properties of other people's estimators raise what they like when there is nothing to tell
        return None


def listed(value: object) -> list[object]:
    """A list, tuple or array as a list; empty for anything else."""
    if isinstance(value, _ToList):
        value = value.tolist()
    return list(value) if isinstance(value, list | tuple) else []
