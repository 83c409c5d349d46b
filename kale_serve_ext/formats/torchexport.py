"""From a module and an example of its input to a program that runs without the module's code.

TorchScript comes first, by scripting and then by tracing: it is what KServe's images load. What neither can express
becomes a program of ``torch.export``. Whichever it is has to give what the module gives, for more than one size of
batch, before it is taken.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..errors import InvalidInputError
from ..ml import Signature, TensorSpec
from . import torcharchive
from .strangers import CUSTOM
from .torcharguments import BATCH, Tensors, first_rows, outcome, specs_of, tensors_of, variations
from .torchmodel import Call, Network, in_words
from .torchprogram import called_by_name, network_of, network_of_script

if TYPE_CHECKING:
    from torch import nn

_CLOSE = 1e-4
"""How far answers may be apart, of the larger one: other kernels add up in another order."""
_LONGEST = 300


@dataclass(frozen=True)
class Exported:
    """What is saved and served in the place of a module."""

    kind: str
    """``torchscript`` or ``pt2``."""
    how: str
    """``scripted``, ``traced`` or ``exported``."""
    program: object
    network: Network
    estimator: str
    """The module's class."""

    @property
    def signature(self) -> Signature:
        return Signature(input_dtype="", inputs=self.network.inputs, outputs=self.network.outputs)


def export(module: object, said: Signature | None, example: object) -> Exported:
    """The module as a program.

    Args:
        module: an ``nn.Module``, scripted or not, or an ``ExportedProgram``.
        said: the signature that the user gave; dimensions that it leaves open are kept open.
        example: rows of the input: an array, or one for each argument by name.

    Raises:
        InvalidInputError: there is no example, it does not fit, or torch cannot export the module.
    """
    import torch

    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        return Exported(torcharchive.PT2, "exported", module, network_of(module), name)
    network = cast("nn.Module", module)
    name = str(getattr(network, "original_name", name))
    if not isinstance(network, torch.jit.ScriptModule):
        _check_mode(network, name)
    with _as_served(network), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated, and what a tracer cannot follow
        given = tensors_of(network, name, said, example)
        if isinstance(network, torch.jit.ScriptModule):
            return Exported(torcharchive.TORCHSCRIPT, "scripted", network, network_of_script(network, given), name)
        return _exported(network, name, given, said)


def _check_mode(network: nn.Module, name: str) -> None:
    if network.training:
        warnings.warn(
            f"The {name} is in training mode. It is exported and served in evaluation mode, as after eval(): dropout "
            "is off, and normalization uses what it has learned.",
            stacklevel=2,
        )


def _exported(network: nn.Module, name: str, given: Tensors, said: Signature | None) -> Exported:
    trial = _Trial(network, name, given, said)
    why: dict[str, str] = {}
    for how, kind, way in _WAYS:
        try:
            program, call = way(network, trial)
            why[how] = trial.differs(call)
        except Exception as error:  # whatever torch's compilers say
            why[how] = f"{type(error).__name__}: {in_words(error)}"
        if not why[how]:
            return Exported(kind, how, program, Network(call, trial.inputs, trial.outputs), name)
    told = " ".join(f"It cannot be {how}: {_in_short(reason)}." for how, reason in why.items())
    raise InvalidInputError(
        f"torch cannot export the {name}. {told}",
        hint=f"Change its forward() as torch says. {CUSTOM}",
        field="model",
    )


class _Trial:
    """What a module answers, for the sizes of batch that it takes."""

    def __init__(self, network: nn.Module, name: str, given: Tensors, said: Signature | None) -> None:
        self.given = given
        self.open = {spec.name: _open_in(spec) for spec in (said.inputs if said else ())}
        """The dimensions after the first that may be any, by what the user has said."""
        self._ask = called_by_name(network)
        self.rows = min(len(tensor) for tensor in given.values())
        """The example's."""
        try:
            first = outcome(self._ask, given)
        except Exception as error:
            raise InvalidInputError(
                f"The {name} does not take its example. {type(error).__name__}: {in_words(error)}",
                hint="Pass rows as you would to the module itself, with the dtype that it takes.",
                field="example",
            ) from error
        self._expected = {self.rows: first}
        self._varied: list[tuple[Tensors, Mapping[str, object]]] = []
        """Other values, with the answers to them: a tracer keeps the way that the example's values went."""
        again = outcome(self._ask, given)
        self._is_certain = not _difference(first, again)
        """Whether it answers the same twice; of one that does not only names, shapes and dtypes are compared."""
        # One more row is another batch for whoever has taken the first one's size for fixed; of one alone torch
        # may squeeze the dimension away.
        for rows in (self.rows + 1, 1):
            if rows not in self._expected and len({len(tensor) for tensor in given.values()}) == 1:
                with contextlib.suppress(Exception):  # it takes only the size that it is made for
                    self._expected[rows] = outcome(self._ask, first_rows(given, rows))
        for varied in variations(given):
            with contextlib.suppress(Exception):  # it takes only some numbers
                self._varied.append((varied, outcome(self._ask, varied)))
        self.is_free = self.rows + 1 in self._expected
        """Whether the batch may be of any size."""
        self.inputs = specs_of(given, self.rows if self.is_free else -1)
        self.outputs = self._output_specs(first)

    def differs(self, call: Call) -> str:
        """How an exported program's answers differ from the module's; empty where they do not."""
        sizes = [(first_rows(self.given, rows), expected) for rows, expected in self._expected.items()]
        for given, expected in (*sizes, *self._varied):
            if found := _difference(expected, outcome(call, given), values=self._is_certain):
                rows = min(len(tensor) for tensor in given.values())
                return f"with {rows} row{'' if rows == 1 else 's'}, {found}"
        return ""

    def _output_specs(self, first: Mapping[str, object]) -> tuple[TensorSpec, ...]:
        specs = specs_of(first, -1)
        other = self._expected.get(self.rows + 1)
        if other is None:
            return specs
        return tuple(
            TensorSpec(spec.name, spec.dtype, _free(spec.shape, more.shape, self.rows))
            for spec, more in zip(specs, specs_of(other, -1), strict=True)
        )


def _free(shape: Sequence[str | int], more: Sequence[str | int], rows: int) -> list[str | int]:
    """A shape, with what another size of batch changes left open."""
    if len(shape) != len(more):
        return list(shape)
    pairs = zip(shape, more, strict=True)
    return [a if a == b else (BATCH if (a, b) == (rows, rows + 1) else -1) for a, b in pairs]


def _open_in(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(n for n, size in enumerate(spec.shape) if n and (isinstance(size, str) or size == -1))


def _in_short(reason: str) -> str:
    return " ".join(reason.split())[:_LONGEST].rstrip(".")


def _difference(expected: Mapping[str, object], got: Mapping[str, object], *, values: bool = True) -> str:
    import numpy as np

    if list(expected) != list(got):
        return f"it gives {', '.join(got)}, and the module {', '.join(expected)}."
    for name in expected:
        wanted, found = np.asarray(expected[name]), np.asarray(got[name])
        if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
            return (
                f"its output {name!r} is {found.dtype} {list(found.shape)}, and the module's {wanted.dtype} "
                f"{list(wanted.shape)}."
            )
        if values and not np.allclose(wanted, found, rtol=_CLOSE, atol=_CLOSE * _scale(wanted), equal_nan=True):
            return f"its output {name!r} has other numbers than the module's."
    return ""


def _scale(array: object) -> float:
    import numpy as np

    values = np.abs(np.asarray(array, dtype=np.float64))
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _script(network: nn.Module, trial: _Trial) -> tuple[object, Call]:
    import torch

    program = torch.jit.script(network)
    return program, called_by_name(program)


def _trace(network: nn.Module, trial: _Trial) -> tuple[object, Call]:
    import torch

    program = torch.jit.trace(network, example_kwarg_inputs=dict(trial.given), strict=False, check_trace=False)
    return program, called_by_name(program)


def _export(network: nn.Module, trial: _Trial) -> tuple[object, Call]:
    import torch

    # A batch of one would be taken for a fixed size.
    given = dict(first_rows(trial.given, max(2, trial.rows)) if trial.is_free else trial.given)
    first = {0: torch.export.Dim(BATCH)} if trial.is_free else {}
    shapes = {name: {**first, **dict.fromkeys(trial.open.get(name, ()), torch.export.Dim.AUTO)} for name in given}
    program = torch.export.export(network, (), given, dynamic_shapes=shapes)
    return program, called_by_name(program.module())


_Way = Callable[["nn.Module", _Trial], tuple[object, Call]]
_WAYS: tuple[tuple[str, str, _Way], ...] = (
    ("scripted", torcharchive.TORCHSCRIPT, _script),
    ("traced", torcharchive.TORCHSCRIPT, _trace),
    ("exported", torcharchive.PT2, _export),
)


@contextlib.contextmanager
def _as_served(network: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, each of its parts as before afterwards."""
    import torch

    modes = {part: part.training for part in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training
