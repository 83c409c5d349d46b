"""From a module and an example of its input to a program that runs without the module's code.

TorchScript comes first, by scripting and then by tracing: it is what KServe's images load. What neither can express
becomes a program of ``torch.export``. Whichever it is has to give what the module gives, for every size that may be any
and for other values, before it is taken.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..errors import InvalidInputError
from ..ml import Signature
from . import torcharchive
from .strangers import CUSTOM
from .torcharguments import BATCH, tensors_of
from .torchmodel import Call, Network, in_words
from .torchprogram import called_by_name, elsewhere, network_of
from .torchtrial import Trial

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

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
        InvalidInputError: there is no example, it does not fit, the signature leaves a size open that the module does
            not, or torch cannot export the module.
    """
    import torch

    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        return _taken(module, said, name)
    network = cast("nn.Module", module)
    name = str(getattr(network, "original_name", name))
    if not isinstance(network, torch.jit.ScriptModule):
        _check_mode(network, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated
        network = _on_cpu(network, name)
        with _as_served(network):
            trial = Trial(network, name, tensors_of(network, name, said, example), said)
            if not isinstance(network, torch.jit.ScriptModule):
                return _exported(network, name, trial)
            answers = Network(called_by_name(network), trial.inputs, trial.outputs)
            return Exported(torcharchive.TORCHSCRIPT, "scripted", network, answers, name)


def _taken(program: ExportedProgram, said: Signature | None, name: str) -> Exported:
    """A program as it is.

    Raises:
        InvalidInputError: it is not on the CPU, or the signature leaves a size open that the program has fixed.
    """
    if device := elsewhere(program.state_dict.values()):
        raise InvalidInputError(
            f"The program is on the device {device}, and models are served on the CPU.",
            hint='Pass torch.export.passes.move_to_device_pass(program, "cpu").',
            field="model",
        )
    network = network_of(program)
    known = {spec.name: spec.shape for spec in network.inputs}
    for spec in said.inputs if said else ():
        for n, (asked, size) in enumerate(zip(spec.shape, known.get(spec.name, ()), strict=False)):
            if (isinstance(asked, str) or asked == -1) and isinstance(size, int) and size != -1:
                raise InvalidInputError(
                    f"The signature leaves dimension {n} of {spec.name!r} open, and the program takes {size} there.",
                    hint=f"Write {size} there, or export the module with dynamic_shapes.",
                    field="signature",
                )
    return Exported(torcharchive.PT2, "exported", program, network, name)


def _on_cpu(network: nn.Module, name: str) -> nn.Module:
    """The module where it is on the CPU, or a copy of it there: it stays where it is.

    Raises:
        InvalidInputError: it cannot be copied.
    """
    device = elsewhere((*network.parameters(), *network.buffers()))
    if not device:
        return network
    try:
        return copy.deepcopy(network).cpu()
    except Exception as error:  # of whatever it holds
        raise InvalidInputError(
            f"The {name} is on the device {device}, and no copy can be made on the CPU, where models are served. "
            f"{type(error).__name__}: {in_words(error)}",
            hint="Pass it as module.cpu().",
            field="model",
        ) from error


def _check_mode(network: nn.Module, name: str) -> None:
    if network.training:
        warnings.warn(
            f"The {name} is in training mode. It is exported and served in evaluation mode, as after eval(): dropout "
            "is off, and normalization uses what it has learned.",
            stacklevel=2,
        )


def _exported(network: nn.Module, name: str, trial: Trial) -> Exported:
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


def _in_short(reason: str) -> str:
    return " ".join(reason.split())[:_LONGEST].rstrip(".")


def _script(network: nn.Module, trial: Trial) -> tuple[object, Call]:
    import torch

    program = torch.jit.script(network)
    return program, called_by_name(program)


def _trace(network: nn.Module, trial: Trial) -> tuple[object, Call]:
    """
    Raises:
        TracerWarning: the tracer has kept something of the example that another input may have otherwise.
    """
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", torch.jit.TracerWarning)
        torch.jit.TracerWarning.ignore_lib_warnings()
        program = torch.jit.trace(network, example_kwarg_inputs=dict(trial.given), strict=False, check_trace=False)
    for one in told:
        if issubclass(one.category, torch.jit.TracerWarning):
            raise torch.jit.TracerWarning(str(one.message))
    return program, called_by_name(program)


def _export(network: nn.Module, trial: Trial) -> tuple[object, Call]:
    import torch

    given = dict(trial.roomy())
    batch = torch.export.Dim(BATCH)
    sizes = {**dict.fromkeys(trial.open, torch.export.Dim.AUTO), **dict.fromkeys(trial.batch, batch)}
    shapes = {name: {n: size for (one, n), size in sizes.items() if one == name} for name in given}
    program = torch.export.export(network, (), given, dynamic_shapes=shapes)
    return program, called_by_name(program.module())


_Way = Callable[["nn.Module", Trial], tuple[object, Call]]
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
