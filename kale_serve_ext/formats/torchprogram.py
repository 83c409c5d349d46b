"""Programs of torch that are asked by name: TorchScript, and those of ``torch.export``."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..ml import Signature, TensorSpec
from ..modelmeta import read
from . import torcharchive
from .tensors import ANY_SHAPE
from .torcharguments import BATCH, arguments_of
from .torchmodel import DTYPES, Call, Network, Tensor, dtype_of, named, use_threads

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram


class _Called(Protocol):
    def __call__(self, **tensors: object) -> object: ...


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Without torch's word that TorchScript is deprecated: it is what KServe's servers load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def called_by_name(module: object) -> Call:
    """Asks a module with its arguments by name."""
    function = cast("_Called", module)
    return lambda tensors: function(**tensors)


def load(path: Path) -> Network:
    """The program in a file, which answers by name.

    What it takes is said, the first of these that says it, by the record that lies beside it, by the signature inside
    of it, and by the program itself: one of ``torch.export`` knows all, TorchScript the names of its arguments.

    Raises:
        RuntimeError: it is a model archive, which only TorchServe serves; or whatever torch says of the file.
    """
    import torch

    kind = torcharchive.kind_of(path)
    if kind == torcharchive.MAR:
        raise RuntimeError(f"{path.name} is a model archive, whose handler runs in TorchServe only.")
    use_threads()
    meta = read(path.parent)
    known = (meta and meta.signature) or torcharchive.signature_in(path)
    if kind == torcharchive.PT2:
        return network_of(_on_cpu(torch.export.load(path)), known)
    with _unwarned():
        program = torch.jit.load(path, map_location="cpu")
    program.eval()
    return _of_script(program, known)


def elsewhere(tensors: Iterable[object]) -> str:
    """The device of the first of these that is not on the CPU, such as ``cuda:0``; empty where there is none."""
    devices = (str(getattr(one, "device", "cpu")) for one in tensors)
    return next((device for device in devices if device != "cpu"), "")


def _on_cpu(program: ExportedProgram) -> ExportedProgram:
    """The program where its inputs are: it keeps the device that it was exported on."""
    from torch.export.passes import move_to_device_pass

    tensors = (*program.state_dict.values(), *program.constants.values())
    return move_to_device_pass(program, "cpu") if elsewhere(tensors) else program


def save(program: object, path: Path, kind: str, signature: Signature) -> None:
    """Write a program, with what it takes and gives inside."""
    import torch

    told = {torcharchive.SIGNATURE: json.dumps(signature.to_dict())}
    with _unwarned():
        if kind == torcharchive.PT2:
            torch.export.save(program, path, extra_files=told)
        else:
            torch.jit.save(program, str(path), _extra_files=told)


def network_of(program: ExportedProgram, known: Signature | None = None) -> Network:
    """A program of ``torch.export``, described by its graph."""
    from torch.utils import _pytree as pytree

    module, signature = program.module(), program.graph_signature
    takes = [name for name in signature.user_inputs if isinstance(name, str)]
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    shape_of = program.call_spec.in_spec
    if shape_of is None or len(takes) != shape_of.num_leaves:
        raise TypeError("The program takes something else than tensors, which KServe's protocols have no form for.")

    def call(tensors: Mapping[str, object]) -> object:
        args, kwargs = pytree.tree_unflatten([tensors[name] for name in takes], shape_of)
        return module(*args, **kwargs)

    if known is not None and {spec.name for spec in known.inputs} == set(takes):
        return Network(call, known.inputs, known.outputs)
    inputs = [_symbolic(name, values[name], DTYPES) for name in takes]
    gives = [values.get(name) if isinstance(name, str) else name for name in signature.user_outputs]
    answered = dict(named(pytree.tree_unflatten(gives, program.call_spec.out_spec)))
    # What numpy does not have becomes float32 in an answer.
    outputs = [_symbolic(name, value, (*DTYPES, "bfloat16")) for name, value in answered.items()]
    return Network(call, inputs, outputs)


def _of_script(program: nn.Module, known: Signature | None) -> Network:
    call = called_by_name(program)
    if known is not None and known.inputs:
        return Network(call, known.inputs, known.outputs)
    floats = [dtype_of(cast("Tensor", one)) for one in program.parameters() if one.dtype.is_floating_point]
    dtype = floats[0] if floats and floats[0] in ("float16", "float64") else "float32"
    required, others, _ = arguments_of(program)
    return Network(call, [TensorSpec(name, dtype, ANY_SHAPE) for name in required or others[:1]], ())


def _symbolic(name: str, value: object, dtypes: Sequence[str]) -> TensorSpec:
    """What the graph knows of a tensor; what it leaves open may be any.

    Raises:
        TypeError: it is none, or of another dtype.
    """
    if not hasattr(value, "shape"):
        raise TypeError(f"The program's {name!r} is no tensor, which KServe's protocols have no form for.")
    tensor = cast("Tensor", value)
    if dtype_of(tensor) not in dtypes:
        raise TypeError(f"The program's {name!r} is {dtype_of(tensor)}, which KServe's protocols have no form for.")
    sizes: Sequence[object] = tensor.shape
    dims = [size if type(size) is int else (BATCH if n == 0 else -1) for n, size in enumerate(sizes)]
    dtype = dtype_of(tensor)
    return TensorSpec(name, "float32" if dtype == "bfloat16" else dtype, dims)
