"""What a Python function takes: by the user's signature, by an example that it is run on, by its annotations."""

from __future__ import annotations

import copy
import functools
import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import InvalidInputError
from ..ml import JSON, Signature, TensorSpec
from .calling import Call, Function, FunctionModel, Given, Input, as_array, holds_texts, listed
from .tensors import DTYPES

if TYPE_CHECKING:
    import numpy as np

_LEAVES: Mapping[object, str] = {str: "str", float: "float64", int: "int64", bool: "bool"}
_MANY: tuple[object, ...] = (list, tuple, Sequence, Iterable)


@runtime_checkable
class _Frame(Protocol):
    @property
    def columns(self) -> Sequence[object]: ...


@dataclass(frozen=True)
class _Shown:
    """An input as the example has it."""

    input: Input
    values: np.ndarray


def call_of(function: Function, said: Signature | None, example: object) -> tuple[Call, JSON]:
    """What a function takes and gives, and an example of its input: one row of each.

    Args:
        function: it is run on the example.
        said: the user's signature, which wins; of a function of one input also a table's size and dtype.
        example: arrays or nested lists by parameter, the batch first; or the only parameter's.

    Raises:
        InvalidInputError: not enough is known of an input, or the function fails on the example.
    """
    parameters = _parameters(function)
    arrays = _arrays(example, parameters) if example is not None else {}
    specs = {spec.name: spec for spec in _said_inputs(said, parameters)}
    _check_names({**arrays, **specs}, parameters, _name_of(function))
    hints = _hints(function)
    inputs: list[Input] = []
    for name in _taken(parameters, [*specs, *arrays]):
        parameter = next((one for one in parameters or () if one.name == name), None)
        seen = arrays.get(name)
        told = by_annotation(name, hints[name]) if name in hints else None
        known = seen.input if seen else told
        spec = specs.get(name) or (known.spec if known else None)
        if spec is None:
            raise InvalidInputError(
                f"It is not known what {_name_of(function)} takes for {name!r}.",
                hint=f'Pass example={{"{name}": array}}, with the batch first, or signature=Signature('
                f'inputs=[TensorSpec("{name}", "float64", [-1, 4])]).',
                field="example",
            )
        is_positional = parameters is None or (
            parameter is not None and parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        )
        given = told.given if told else known.given if known else "array"
        inputs.append(Input(spec, given, is_positional))
    if not inputs:
        raise InvalidInputError(
            f"{_name_of(function)} takes no arguments.", hint="A model is a function of its input.", field="model"
        )
    call = Call(tuple(inputs), said.outputs if said else ())
    if not arrays:
        named = hints.get("return")
        result = by_annotation("output-0", named) if named is not None and not call.outputs else None
        return (Call(call.inputs, (result.spec,)) if result else call), None
    outputs = _tried(function, call, {name: one.values for name, one in arrays.items()})
    sample: dict[str, JSON] = {name: one.values[:1].tolist() for name, one in arrays.items()}
    return Call(call.inputs, call.outputs or outputs), sample


def by_annotation(name: str, hint: object) -> Input | None:
    """What an annotation says: ``list[str]``, ``list[list[float]]``, ``np.ndarray[tuple[int, int], np.dtype[…]]``.

    Returns:
        None where it leaves the dtype or the number of dimensions open, as ``NDArray`` does.
    """
    depth, inner = 0, hint
    while (origin := typing.get_origin(inner)) in _MANY:
        arguments = typing.get_args(inner)
        if len(arguments) != 1 and arguments[1:] != (...,):
            return None
        depth, inner = depth + 1, arguments[0]
    if depth and inner in _LEAVES:
        return Input(TensorSpec(name, _LEAVES[inner], [-1] * depth), "list")
    import numpy as np

    if depth or origin is not np.ndarray:
        return None
    # The dtype may be left out.
    shape, dtype, *_ = (*typing.get_args(inner), None, None)
    sizes = typing.get_args(shape)
    (kind,) = typing.get_args(dtype) or (None,)
    # numpy.floating, for one, is any of several.
    is_open = not sizes or ... in sizes or kind not in np.sctypeDict.values()
    called = "" if is_open or not isinstance(kind, type) else np.dtype(kind).name
    if called.startswith("str"):
        return Input(TensorSpec(name, "str", [-1] * len(sizes)), "unicode")
    return Input(TensorSpec(name, called, [-1] * len(sizes))) if called in DTYPES.values() else None


def _parameters(function: Function) -> list[inspect.Parameter] | None:
    """The arguments that have names; None where that is not known, as of what is written in C."""
    try:
        listed = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None
    if any(one.kind is one.VAR_KEYWORD for one in listed):
        return [one for one in listed if one.kind is not one.VAR_POSITIONAL]
    named = [one for one in listed if one.kind is not one.VAR_POSITIONAL]
    return named if named or not listed else None


def _taken(parameters: list[inspect.Parameter] | None, told: Sequence[str]) -> list[str]:
    """The names of the inputs: the arguments without a default, and those that somebody told of."""
    names = list(dict.fromkeys(told))
    if parameters is None:
        return names
    own = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
    taken = [one.name for one in own if one.default is one.empty or one.name in names]
    return [*taken, *(name for name in names if name not in taken)]


def _check_names(told: Mapping[str, object], parameters: list[inspect.Parameter] | None, function: str) -> None:
    if parameters is None or any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    own = [one.name for one in parameters]
    if unknown := [name for name in told if name not in own]:
        raise InvalidInputError(
            f"{function} has no parameter {unknown[0]!r}.",
            hint=f"Its parameters are {listed(own)}." if own else "",
            field="example",
        )


def _said_inputs(said: Signature | None, parameters: list[inspect.Parameter] | None) -> Sequence[TensorSpec]:
    if said is None or said.inputs or len(said.input_size) < 1 or not said.input_dtype:
        return said.inputs if said else ()
    sizes = [size if isinstance(size, int) else -1 for size in said.input_size]
    return (TensorSpec(_first_of(parameters), said.input_dtype, sizes),)


def _first_of(parameters: list[inspect.Parameter] | None) -> str:
    """The argument that is meant where no name is given."""
    own = [one for one in parameters or () if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return own[0].name if own else "input-0"


def _arrays(example: object, parameters: list[inspect.Parameter] | None) -> dict[str, _Shown]:
    """The example's arrays by parameter.

    Raises:
        InvalidInputError: it is a data frame, or what is no array.
    """
    if isinstance(example, _Frame) and not isinstance(example, Mapping):
        raise InvalidInputError(
            "The example is a data frame; functions are served with arrays.",
            hint='Write a parameter for each column, and pass example={"age": frame["age"].to_numpy()}.',
            field="example",
        )
    if not isinstance(example, Mapping):
        required = [one for one in parameters or () if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
        if len(required) > 1:
            names = listed(one.name for one in required)
            raise InvalidInputError(
                f"The example is one array; the function takes {names}.",
                hint="Pass a dict of parameter to array.",
                field="example",
            )
        example = {_first_of(required or parameters): example}
    return {str(name): _shown(str(name), value) for name, value in example.items()}


def _shown(name: str, value: object) -> _Shown:
    try:
        array = as_array(value)
    except ValueError as error:  # lists of unequal lengths
        raise InvalidInputError(f"The example for {name!r} is no array: {error}.", field="example") from error
    dtype = "str" if holds_texts(array) else array.dtype.name
    if dtype not in DTYPES.values() or not array.ndim:
        raise InvalidInputError(
            f"The example for {name!r} is {array.dtype.name} with {array.ndim} dimensions.",
            hint="Pass an array of numbers or texts, or nested lists of them, with the batch first.",
            field="example",
        )
    # A list of texts is what tokenizers take; numbers are taken for an array, unless an annotation says otherwise.
    as_list = dtype == "str" and isinstance(value, list | tuple)
    given: Given = "list" if as_list else "unicode" if array.dtype.kind == "U" else "array"
    return _Shown(Input(TensorSpec(name, dtype, (-1, *array.shape[1:])), given), array)


def _tried(function: Function, call: Call, arrays: Mapping[str, np.ndarray]) -> tuple[TensorSpec, ...]:
    """The outputs, by running the function."""
    import numpy as np

    batch = len(next(iter(arrays.values())))
    try:
        copied = {name: copy.deepcopy(array) for name, array in arrays.items()}
        found = FunctionModel(function, call).run(copied)
    except Exception as error:
        raise InvalidInputError(
            f"{_name_of(function)} fails on the example: {type(error).__name__}: {error}",
            hint="Pass what it takes, with the batch first, and have it return arrays.",
            field="example",
        ) from error
    specs = []
    for name, value in found.items():
        array = np.asarray(value)
        dims = (-1 if array.ndim and array.shape[0] == batch else size for size in array.shape[:1])
        specs.append(
            TensorSpec(name, "str" if array.dtype.kind == "O" else array.dtype.name, (*dims, *array.shape[1:]))
        )
    return tuple(specs)


def _hints(function: Function) -> Mapping[str, object]:
    """The annotations; none where they name what is not there any more."""
    inner: object = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    try:
        return typing.get_type_hints(inner)
    except Exception:  # they are anybody's expressions
        return {}


def _name_of(function: Function) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
