"""``Signature``: what goes into a model and what comes out (importable as ``kale.ml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import TypeAliasType

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
        sample: one row that the model accepts: a list of values, or an object of column name to value.
    """

    input_size: list[str | int] = field(default_factory=list)
    output_size: list[str | int] = field(default_factory=list)
    input_dtype: str = "float64"
    output_dtype: str = ""
    columns: tuple[Column, ...] = ()
    sample: JSON = None

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
                Column(str(c["name"]), str(c.get("dtype") or "object")) for c in columns if isinstance(c, Mapping)
            ),
            sample=value.get("sample"),
        )


def _size(value: JSON) -> list[str | int]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [d if isinstance(d, int) else str(d) for d in value]
