"""What a module takes: the names of its arguments, and an example of them as tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ..errors import InvalidInputError
from ..ml import Signature, TensorSpec
from .torchmodel import DTYPES, Call, Tensor, array_of, dtype_of, named

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = "batch"
"""What a dimension is called that may be any, and is the same in all inputs."""
_HINT = "Pass some rows of its input: Model(module, example=x), of several inputs a dict of name to array."

_STEPS = (1, -1, 10, 100)
"""By how much whole numbers are changed: a module may go another way where they are large."""

Tensors = Mapping[str, "torch.Tensor"]
Place = tuple[str, int]
"""An input, and one of its dimensions."""


def tensors_of(network: nn.Module, name: str, said: Signature | None, example: object) -> Tensors:
    """The example as tensors by the names of the module's arguments, the batch first.

    Args:
        name: the module's class, for messages.
        said: a signature, whose inputs stand for an example where there is none.

    Raises:
        InvalidInputError: there is none, or it is not what the module takes.
    """
    required, others, is_open = arguments_of(network)
    if example is None:
        if said is None or not said.inputs:
            raise InvalidInputError(
                f"A {name} does not tell the shapes and dtypes of its input.", hint=_HINT, field="example"
            )
        example = {spec.name: _zeros(spec) for spec in said.inputs}
    known = (*required, *others)
    if not isinstance(example, Mapping):
        if len(required) > 1 or not known:
            raise InvalidInputError(
                f"forward() of the {name} takes {_listed(known) or 'no argument by name'}, and the example is one "
                "array.",
                hint="Pass a dict of name to array.",
                field="example",
            )
        example = {known[0]: example}
    given = {str(key): _tensor(value, str(key), network) for key, value in example.items()}
    odd = [key for key in given if key not in known and not is_open]
    lacking = [key for key in required if key not in given]
    if odd or lacking or not given:
        what = f"has no {lacking[0]!r}" if lacking else (f"has {odd[0]!r}" if odd else "is empty")
        raise InvalidInputError(
            f"forward() of the {name} takes {_listed(known) or 'nothing'}, and the example {what}.",
            hint="Pass a dict with one array for each.",
            field="example",
        )
    for key, tensor in given.items():
        if not tensor.ndim or not len(tensor):
            raise InvalidInputError(
                f"The example's {key!r} has no rows: its shape is {list(tensor.shape)}.",
                hint="Put the batch first, of one row at least.",
                field="example",
            )
    order = [key for key in known if key in given]
    return {key: given[key] for key in (*order, *(key for key in given if key not in order))}


def arguments_of(network: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The arguments of ``forward`` that are needed, those that have a default, and whether it takes any others."""
    schema = getattr(getattr(network, "forward", None), "schema", None)
    if schema is not None:
        told = [(str(one.name), bool(one.has_default_value())) for one in list(schema.arguments)[1:]]
        return tuple(n for n, default in told if not default), tuple(n for n, default in told if default), False
    found = list(inspect.signature(network.forward).parameters.values())
    plain = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    is_open = any(one.kind is one.VAR_KEYWORD for one in found)
    required = tuple(one.name for one in plain if one.default is one.empty)
    return required, tuple(one.name for one in plain if one.name not in required), is_open


def resized(given: Tensors, places: Sequence[Place], size: int) -> Tensors:
    """The tensors with another size in some dimensions: the first values, and again from the first where it takes
    more."""
    import torch

    found = dict(given)
    for name, dimension in places:
        tensor = found[name]
        found[name] = tensor.index_select(dimension, torch.arange(size) % tensor.shape[dimension])
    return found


def variations(given: Tensors) -> list[tuple[str, Tensors]]:
    """The example with other values, and what they are: first all fractions, then each input of whole numbers or truth
    values by itself. Which of them the module takes is not known."""
    found: list[tuple[str, Tensors]] = []
    if any(tensor.is_floating_point() for tensor in given.values()):
        for factor, offset in ((1.75, 0.25), (-1.0, 0.0)):
            varied = {k: one * factor + offset if one.is_floating_point() else one for k, one in given.items()}
            found.append(("other fractions", varied))
    for name, tensor in given.items():
        if not tensor.is_floating_point():
            found += [(f"other values of {name!r}", {**given, name: other}) for other in _others(tensor)]
    return found


def _others(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Other whole numbers near by and further off, or other truth values, in the same shape."""
    import torch

    if tensor.dtype == torch.bool:
        made = [~tensor, torch.zeros_like(tensor), torch.ones_like(tensor)]
    else:
        made = [torch.full_like(tensor, int(one)) for one in (tensor.min(), tensor.max())] if tensor.numel() else []
        made += [tensor + step for step in _STEPS]
    return [other for other in (tensor.flip(0), *made) if not torch.equal(other, tensor)]


def outcome(call: Call, given: Tensors) -> dict[str, object]:
    """The arrays that it answers, by name."""
    # Copies: a module may change what it is given.
    answer = call({name: tensor.clone() for name, tensor in given.items()})
    found = {name: array_of(value, name).copy() for name, value in named(answer)}
    if not found:
        raise TypeError("It answers nothing.")
    return cast("dict[str, object]", found)


def specs_of(found: Mapping[str, object], rows: int) -> tuple[TensorSpec, ...]:
    """What describes them, with a first dimension of this size left open."""
    return tuple(
        TensorSpec(
            name,
            dtype_of(cast("Tensor", value)),
            [BATCH if n == 0 and size == rows else size for n, size in enumerate(cast("Tensor", value).shape)],
        )
        for name, value in found.items()
    )


def _zeros(spec: TensorSpec) -> object:
    import numpy as np

    return np.zeros([size if isinstance(size, int) and size > 0 else 2 for size in spec.shape], dtype=spec.dtype)


def _tensor(value: object, name: str, network: nn.Module) -> torch.Tensor:
    """One input of the example as a tensor.

    Raises:
        InvalidInputError: it is no array of numbers, or its dtype has no form in the protocols.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
    else:
        to_numpy = getattr(value, "to_numpy", None)  # a data frame
        try:
            array = np.ascontiguousarray(to_numpy() if callable(to_numpy) else value)
        except ValueError:  # lists of unequal lengths
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "biuf":
            raise InvalidInputError(f"The example's {name!r} is no array of numbers.", hint=_HINT, field="example")
        # Fractions that are nobody's choice are float64 in numpy, and hardly ever in a network.
        floats = {one.dtype for one in network.parameters() if one.dtype.is_floating_point}
        tensor = torch.from_numpy(array.copy())
        if tensor.dtype == torch.float64 and floats:
            tensor = tensor.to(torch.float64 if torch.float64 in floats else torch.float32)
    if dtype_of(cast("Tensor", tensor)) not in DTYPES:
        raise InvalidInputError(
            f"The example's {name!r} is of the dtype {dtype_of(cast('Tensor', tensor))}, which KServe's protocols have "
            "no form for.",
            hint="Have forward() take float32 and convert it.",
            field="example",
        )
    return tensor


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
