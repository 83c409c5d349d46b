"""``Signature`` and ``TensorSpec``: what goes into a model and what comes out (importable as ``kale.ml``)."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

from typing_extensions import TypeAliasType

from .errors import InvalidInputError

JSON = TypeAliasType("JSON", "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None")
"""A value that ``json.dumps`` takes."""


INPUT_KINDS = ("pandas", "polars", "numpy", "sparse", "texts", "objects")
"""What a model's ``predict`` is given: a data frame, an array, a sparse matrix, a list of texts or of dicts."""


@dataclass(frozen=True)
class Column:
    """One named input of a model, as the table had it that the model was trained on or shown with.

    Args:
        name: the column's.
        dtype: what the table's library calls it: ``float64``, ``Int64``, ``boolean``, ``str``, ``object``,
            ``category``, ``datetime64[ns, UTC]``, ``timedelta64[ns]``, polars' ``Float64``.
        categories: of a categorical column, in order; None where they are not known. Times are in ISO 8601.
        category_dtype: the dtype of these.
        ordered: whether they have an order.
        missing: what a missing value is: ``nan``, ``none``, ``na`` (pandas' NA) or ``nat``; empty where none was seen.
        values: what an ``object`` column holds that is told apart by more than its form in JSON: ``bool``, ``date``,
            ``datetime``, ``time`` or ``decimal``; empty for texts, numbers and mixtures.
    """

    name: str
    dtype: str = "float64"
    categories: tuple[JSON, ...] | None = None
    category_dtype: str = ""
    ordered: bool = False
    missing: str = ""
    values: str = ""

    def to_dict(self) -> dict[str, JSON]:
        """As JSON; what is not known is left out."""
        told: dict[str, JSON] = {"name": self.name, "dtype": self.dtype}
        if self.categories is not None:
            told |= {"categories": list(self.categories), "category_dtype": self.category_dtype}
        rest: dict[str, JSON] = {"ordered": self.ordered, "missing": self.missing, "values": self.values}
        return told | {key: value for key, value in rest.items() if value}

    @classmethod
    def from_dict(cls, value: Mapping[str, JSON]) -> Column:
        """The reverse of :meth:`to_dict`."""
        categories = value.get("categories")
        listed = isinstance(categories, Sequence) and not isinstance(categories, str)
        return cls(
            name=str(value["name"]),
            dtype=str(value.get("dtype") or "object"),
            categories=tuple(categories) if listed and isinstance(categories, Sequence) else None,
            category_dtype=str(value.get("category_dtype") or ""),
            ordered=value.get("ordered") is True,
            missing=str(value.get("missing") or ""),
            values=str(value.get("values") or ""),
        )


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor that a model takes or gives.

    Args:
        name: as the model calls it, and as requests by v2 do.
        dtype: numpy's name of a number's type (``float32``, ``uint8``, ``bool``), ``str`` for texts, or ``bytes``.
        shape: dimensions, the batch first where there is one: a whole number; -1 where it may be any; or a name, where
            it may be any and is the same wherever the name stands.

    Raises:
        InvalidInputError: a name that is no text or empty, or a dtype or shape that is none.
    """

    name: str
    dtype: str = "float32"
    shape: Sequence[str | int] = ()

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name:
            hint = 'Write TensorSpec("image", "uint8", [-1, 224, 224, 3]).'
            raise InvalidInputError(f"The tensor's name is {name!r:.100}.", hint=hint, field="name")
        given: object = self.shape
        if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
            given = [-1 if d is None else d for d in given]
        object.__setattr__(self, "shape", tuple(_checked_size("shape", given)))
        object.__setattr__(self, "dtype", _checked_dtype("dtype", self.dtype))

    def to_dict(self) -> dict[str, JSON]:
        """As JSON."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, value: Mapping[str, JSON]) -> TensorSpec:
        """The reverse of :meth:`to_dict`; null stands for a dimension that may be any, too."""
        shape = value.get("shape")
        listed = [-1 if d is None else d for d in shape] if isinstance(shape, Sequence) else None
        return cls(name=str(value["name"]), dtype=str(value.get("dtype") or ""), shape=tuple(_size(listed)))


@dataclass(frozen=True)
class Signature:
    """Shapes and dtypes of a model's input and output: of a table's columns, or of named tensors.

    Args:
        input_size: dimensions of the input, the symbolic batch first: ``["batch_size", 4]``.
        output_size: the same of the output: ``["batch_size", 1]``; empty where it is not known.
        input_dtype: numpy's name, such as ``"float64"``.
        output_dtype: the same of the output; empty where it is not known.
        columns: the input's columns where they have names, in order.
        sample: one row that the model accepts: a list of values, an object of column name to value, or a text.
        input_kind: one of :data:`INPUT_KINDS`; empty where it is not known.
        input_missing: what a missing value is in an input of objects without columns, as for :class:`Column`.
        inputs: the tensors that the model takes, where it takes tensors by name rather than rows of a table. The sample
            is then an object of name to nested lists, with a batch of one.
        outputs: the tensors that it gives; empty where they are not known.

    Raises:
        InvalidInputError: a dimension that is neither a name nor a whole number of at least -1, a dtype that is no
            text or numpy dtype, another kind of input, or two tensors of one name.
    """

    input_size: list[str | int] = field(default_factory=list)
    output_size: list[str | int] = field(default_factory=list)
    input_dtype: str = "float64"
    output_dtype: str = ""
    columns: tuple[Column, ...] = ()
    sample: JSON = None
    input_kind: str = ""
    input_missing: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def __post_init__(self) -> None:
        if self.input_kind not in ("", *INPUT_KINDS):
            hint = f"Leave it out, or use one of: {', '.join(INPUT_KINDS)}."
            raise InvalidInputError(f"input_kind is {self.input_kind!r:.100}.", hint=hint, field="input_kind")
        for name in ("input_size", "output_size"):
            object.__setattr__(self, name, _checked_size(name, getattr(self, name)))
        for name in ("input_dtype", "output_dtype"):
            object.__setattr__(self, name, _checked_dtype(name, getattr(self, name)))
        object.__setattr__(self, "columns", tuple(self.columns))
        for name in ("inputs", "outputs"):
            object.__setattr__(self, name, _checked_tensors(name, getattr(self, name)))

    def to_dict(self) -> dict[str, JSON]:
        """As JSON, the way it is recorded with the artifact. Tensors are left out where there are none."""
        told: dict[str, JSON] = {
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "input_dtype": self.input_dtype,
            "output_dtype": self.output_dtype,
            "columns": [c.to_dict() for c in self.columns],
            "sample": self.sample,
            "input_kind": self.input_kind,
            "input_missing": self.input_missing,
        }
        tensors: dict[str, JSON] = {
            "inputs": [t.to_dict() for t in self.inputs],
            "outputs": [t.to_dict() for t in self.outputs],
        }
        return told | {key: listed for key, listed in tensors.items() if listed}

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
            columns=tuple(Column.from_dict(c) for c in columns if isinstance(c, Mapping) and "name" in c),
            sample=value.get("sample"),
            input_kind=kind if (kind := str(value.get("input_kind") or "")) in INPUT_KINDS else "",
            input_missing=str(value.get("input_missing") or ""),
            inputs=_tensors(value.get("inputs")),
            outputs=_tensors(value.get("outputs")),
        )


def _tensors(value: JSON) -> tuple[TensorSpec, ...]:
    if not isinstance(value, Sequence):
        return ()
    return tuple(TensorSpec.from_dict(t) for t in value if isinstance(t, Mapping) and t.get("name"))


def _checked_tensors(name: str, given: object) -> tuple[TensorSpec, ...]:
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping) else (None,)
    hint = f'Write {name}=[TensorSpec("image", "uint8", [-1, 224, 224, 3])].'
    if not all(isinstance(t, TensorSpec) for t in found):
        raise InvalidInputError(f"{name} is not a list of TensorSpec.", hint=hint, field=name)
    counts = Counter(t.name for t in found if t is not None)
    if twice := next((n for n, count in counts.items() if count > 1), None):
        raise InvalidInputError(f"{name} has two tensors named {twice!r}.", hint=hint, field=name)
    return tuple(t for t in found if t is not None)


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
        f"{name} is {size!r:.100}, which is not a list of dimensions.",
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
    raise InvalidInputError(f"{name} is {dtype!r:.100}, which is not a dtype.", hint='Write "float64".', field=name)
