"""How a Python function is called with arrays by name, and what it returned as arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from ..ml import JSON, TensorSpec
from .tensors import DTYPES, chosen

if TYPE_CHECKING:
    import numpy as np

Function = Callable[..., object]
Given = Literal["array", "unicode", "list"]
"""What a function is given for an input: an array, one of numpy's texts instead of objects, or nested lists."""


@runtime_checkable
class _Tensor(Protocol):
    """As much of a tensor of torch as numpy needs help with."""

    def detach(self) -> _Tensor: ...
    def cpu(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Input:
    """One argument of a function."""

    spec: TensorSpec
    given: Given = "array"
    is_positional: bool = False
    """Whether it cannot be passed by its name."""


@dataclass(frozen=True)
class Call:
    """What a function takes and gives."""

    inputs: tuple[Input, ...]
    outputs: tuple[TensorSpec, ...] = ()
    """Empty where they are not known."""

    def to_dict(self) -> dict[str, JSON]:
        """As JSON, the way it lies beside the function's code."""
        inputs: list[JSON] = [
            {**one.spec.to_dict(), "given": one.given, "is_positional": one.is_positional} for one in self.inputs
        ]
        return {"inputs": inputs, "outputs": [spec.to_dict() for spec in self.outputs]}

    @classmethod
    def from_dict(cls, value: Mapping[str, JSON]) -> Call:
        """The reverse of :meth:`to_dict`."""
        inputs = []
        for one in _mappings(value.get("inputs")):
            given: Given = "list" if one.get("given") == "list" else "array"
            given = "unicode" if one.get("given") == "unicode" else given
            inputs.append(Input(TensorSpec.from_dict(one), given, one.get("is_positional") is True))
        return cls(tuple(inputs), tuple(TensorSpec.from_dict(one) for one in _mappings(value.get("outputs"))))


class FunctionModel:
    """A function with what it takes; a :class:`~kale_serve_ext.formats.tensors.TensorModel`."""

    def __init__(self, function: Function, call: Call) -> None:
        self.function = function
        self.call = call
        self.inputs = tuple(one.spec for one in call.inputs)
        self.outputs = call.outputs

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        """The outputs by name.

        Raises:
            InvalidInputError: an output is wanted that it has not returned.
            RuntimeError: it returned something else than the outputs that are known, or what is no array.
            Exception: whatever the function raises.
        """
        args = [_argument(one, tensors[one.spec.name]) for one in self.call.inputs if one.is_positional]
        named = {
            one.spec.name: _argument(one, tensors[one.spec.name]) for one in self.call.inputs if not one.is_positional
        }
        names = [spec.name for spec in self.outputs]
        found = outputs_of(self.function(*args, **named), names)
        if names and list(found) != names:
            if set(found) != set(names):
                raise RuntimeError(f"The function returned {listed(found)}, and not {listed(names)}.")
            found = {name: found[name] for name in names}
        return chosen(found, wanted)


def outputs_of(result: object, names: Sequence[str] = ()) -> dict[str, object]:
    """What a function returned, as arrays by name.

    A dict has names, and so has a named tuple; others get ``names``, or are called ``output-0`` and so on.

    Raises:
        RuntimeError: it is no array of numbers or texts, nor several.
    """
    if isinstance(result, Mapping):
        return {str(name): _output(str(name), value) for name, value in result.items()}
    several = result if isinstance(result, tuple) else (result,)
    own = getattr(result, "_fields", ()) if isinstance(result, tuple) else ()
    called = [*(own or names), *(f"output-{i}" for i in range(len(own or names), len(several)))]
    return {name: _output(name, value) for name, value in zip(called, several, strict=False)}


def _argument(one: Input, values: np.ndarray) -> object:
    if one.given == "list":
        return values.tolist()
    return values.astype(str) if one.given == "unicode" else values


def as_array(value: object) -> np.ndarray:
    """An array of numpy's, of a tensor of torch or whatever numpy makes one of.

    Raises:
        ValueError: lists of unequal lengths.
    """
    import numpy as np

    return np.asarray(value.detach().cpu() if isinstance(value, _Tensor) else value)


def holds_texts(array: np.ndarray) -> bool:
    """Whether its values are texts."""
    return array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(v, str) for v in array.ravel()))


def _output(name: str, value: object) -> np.ndarray:
    array = as_array(value)
    if holds_texts(array):
        return array.astype(object)
    if array.dtype.name not in DTYPES.values():
        kind = type(value).__name__
        raise RuntimeError(f"What it returned for {name!r} is of the type {kind}, and no array of numbers or texts.")
    return array


def _mappings(value: JSON) -> list[Mapping[str, JSON]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, Sequence) else []


def listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
