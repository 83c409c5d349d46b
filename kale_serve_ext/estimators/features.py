"""Makes signatures from what models know: a number of features, perhaps their names, perhaps some values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Known:
    """What is known of one feature: its column, and a value that the model accepts."""

    column: Column
    value: JSON


def lineage(obj: object) -> frozenset[str]:
    """``module.Class`` of an object's class and all it derives from; of a class itself, when ``obj`` is one."""
    cls = obj if inspect.isclass(obj) else type(obj)
    return frozenset(f"{c.__module__}.{c.__qualname__}" for c in cls.__mro__)


def tabular(
    count: int,
    names: Sequence[str] = (),
    known: Mapping[str | int, Known] | None = None,
    *,
    dtype: str = "float64",
    output_size: Sequence[str | int] = (),
    output_dtype: str = "",
) -> Signature:
    """The signature of a model of ``count`` features.

    Args:
        count: how many there are.
        names: of all of them, or empty.
        known: of single features, by name or position; the others are 0 of ``dtype``.
        dtype: of the others.
        output_size: with the batch first; empty where it is not known.
        output_dtype: likewise.
    """
    known = known or {}
    names = names if len(names) == count else ()
    usual = Known(Column("", dtype), 0.0 if dtype.startswith("float") else 0)
    features = [known.get(names[i] if names else i, known.get(i, usual)) for i in range(count)]
    values = [feature.value for feature in features] if count <= MAX_SAMPLED else None
    dtypes = {feature.column.dtype for feature in features}
    return Signature(
        input_size=["batch_size", count],
        output_size=list(output_size),
        input_dtype=dtypes.pop() if len(dtypes) == 1 else "object",
        output_dtype=output_dtype,
        columns=tuple(replace(f.column, name=name) for name, f in zip(names, features, strict=True)) if names else (),
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
