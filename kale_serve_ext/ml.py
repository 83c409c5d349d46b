"""``Signature``: what goes into a model and what comes out (importable as ``kale.ml``)."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

from typing_extensions import TypeAliasType

from .errors import InvalidInputError

JSON = TypeAliasType("JSON", "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None")
"""A value that ``json.dumps`` takes."""


@dataclass(frozen=True)
class Column:
    """One named input or output of a model with named columns; ``dtype`` is numpy's name for it, or ``object``."""

    name: str
    dtype: str = "float64"


@dataclass(frozen=True)
class Signature:
    """Shapes and dtypes of a model's input and output.

    Args:
        input_size: dimensions of the input, the symbolic batch first: ``["batch_size", 4]``.
        output_size: the same of the output: ``["batch_size", 1]``; empty where it is not known.
        input_dtype: numpy's name, such as ``"float64"``.
        output_dtype: the same of the output; empty where it is not known.
        columns: the input's columns where they have names, in order.
        sample: one row that the model accepts: a list of values, an object of column name to value, or a text.

    Raises:
        InvalidInputError: a dimension that is neither a name nor a whole number of at least -1, or a dtype that is no
            text or numpy dtype.
    """

    input_size: list[str | int] = field(default_factory=list)
    output_size: list[str | int] = field(default_factory=list)
    input_dtype: str = "float64"
    output_dtype: str = ""
    columns: tuple[Column, ...] = ()
    sample: JSON = None

    def __post_init__(self) -> None:
        for name in ("input_size", "output_size"):
            object.__setattr__(self, name, _checked_size(name, getattr(self, name)))
        for name in ("input_dtype", "output_dtype"):
            object.__setattr__(self, name, _checked_dtype(name, getattr(self, name)))
        object.__setattr__(self, "columns", tuple(self.columns))

    def to_dict(self) -> dict[str, JSON]:
        """As JSON, the way it is recorded with the artifact."""
        return {
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "input_dtype": self.input_dtype,
            "output_dtype": self.output_dtype,
            "columns": [{"name": c.name, "dtype": c.dtype} for c in self.columns],
            "sample": self.sample,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, JSON]) -> Signature:
        """The reverse of :meth:`to_dict`; unknown keys are passed over, so that newer records can be read."""
        columns = value.get("columns")
        if not isinstance(columns, Sequence):
            columns = ()
        return cls(
            input_size=_size(value.get("input_size")),
            output_size=_size(value.get("output_size")),
            input_dtype=str(value.get("input_dtype") or ""),
            output_dtype=str(value.get("output_dtype") or ""),
            columns=tuple(
                Column(str(c["name"]), str(c.get("dtype") or "object"))
                for c in columns
                if isinstance(c, Mapping) and "name" in c
            ),
            sample=value.get("sample"),
        )


def _size(value: JSON) -> list[str | int]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [d if isinstance(d, int) and d >= -1 else str(d) for d in value]


def _checked_size(name: str, size: object) -> list[str | int]:
    if isinstance(size, Iterable) and not isinstance(size, str | bytes | Mapping):
        found = [_whole(d) for d in size]
        if all(isinstance(d, str) or d >= -1 for d in found):
            return found
    raise InvalidInputError(
        f"{name} is {size!r:.100}, which is no list of dimensions.",
        hint='Write names and whole numbers, the batch first: ["batch_size", 4].',
        field=name,
    )


def _whole(dimension: object) -> str | int:
    """A dimension, numpy's integers as Python's; -2, which is none, for anything else."""
    if isinstance(dimension, str):
        return dimension
    return operator.index(dimension) if isinstance(dimension, SupportsIndex) else -2


def _checked_dtype(name: str, dtype: object) -> str:
    """Numpy's name, also of numpy's types and dtypes themselves."""
    text = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    if dtype is None or isinstance(text, str):
        return text or ""
    raise InvalidInputError(f"{name} is {dtype!r:.100}, which is no dtype.", hint='Write "float64".', field=name)
