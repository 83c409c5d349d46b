"""TorchServe's handler of a program that this package has saved: tensors by name in, tensors by name out.

This file lies in the model archive, and runs in TorchServe's worker, where this package is not: it needs torch alone.
A request's body is what :func:`pack` has made, and so is its answer. TorchServe calls :func:`handle`, once without data
to have the model loaded.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

SIGNATURE = "signature.json"
"""Beside this file: the model's inputs and outputs, where they are known."""
DESCRIBE, REFUSED = "describe", "refused"
"""Keys of messages: a question for the inputs and outputs; why an input was not taken."""
_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
_NO_ROOM = ("not enough memory", "out of memory")


_Call = Callable[[Mapping[str, object]], object]


class _Context(Protocol):
    """As much of TorchServe's as is asked for."""

    system_properties: Mapping[str, str]
    manifest: Mapping[str, Mapping[str, str]]


def pack(message: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> bytes:
    """A message, as JSON, and arrays by name, as their bytes."""
    told = [{"name": name, "dtype": one.dtype.str, "shape": list(one.shape)} for name, one in arrays.items()]
    head = json.dumps({**message, "tensors": told}).encode()
    bodies = (np.ascontiguousarray(one).tobytes() for one in arrays.values())
    return b"".join([len(head).to_bytes(4, "little"), head, *bodies])


def unpack(data: bytes) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """The reverse of :func:`pack`."""
    at = 4 + int.from_bytes(data[:4], "little")
    message = json.loads(bytes(data[4:at]))
    arrays = {}
    for one in message.pop("tensors"):
        dtype, shape = np.dtype(one["dtype"]), tuple(one["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        # A copy: a module may write to what it is given.
        arrays[one["name"]] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += count * dtype.itemsize
    return message, arrays


def handle(data: Sequence[Mapping[str, bytes]] | None, context: _Context) -> list[bytes]:
    """Answers to the bodies of requests; loads the model where there are none."""
    global _program
    if data is None:
        _program = _Program(Path(context.system_properties["model_dir"]), context.manifest["model"])
        return []
    return [_answered(bytes(one.get("data") or one["body"]), _program) for one in data]


class _Program:
    """A program that is loaded, and what it takes.

    Args:
        folder: the model archive's.
        manifest: what the archive's says of the model.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, str]) -> None:
        import torch

        path = folder / manifest["serializedFile"]
        if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
            torch.set_num_threads(int(threads))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is deprecated
            self._call, told = _exported(path) if _is_exported(path) else _scripted(path)
        beside = folder / SIGNATURE
        self.signature = json.loads(beside.read_text("utf-8")) if beside.exists() else told

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name.

        Raises:
            ValueError: what torch says of an input that it does not take.
        """
        import torch

        try:
            with torch.inference_mode():
                answer = self._call({name: torch.from_numpy(one) for name, one in arrays.items()})
        except (RuntimeError, IndexError, AssertionError) as error:
            words = str(error).strip()
            words = words.rpartition("RuntimeError: ")[2].strip() if "TorchScript" in words else words
            if any(one in words for one in _NO_ROOM):
                raise
            raise ValueError(" ".join(words.split())) from error
        return {name: _array(value) for name, value in _named(answer)}


_program: _Program


def _answered(body: bytes, program: _Program) -> bytes:
    message, arrays = unpack(body)
    if DESCRIBE in message:
        return pack(program.signature, {})
    try:
        return pack({}, program.run(arrays))
    except ValueError as error:
        return pack({REFUSED: str(error)}, {})


def _scripted(path: Path) -> tuple[_Call, dict[str, object]]:
    """TorchScript, and what it tells of what it takes: names."""
    import torch

    module = torch.jit.load(path, map_location="cpu")
    module.eval()
    floats = [str(one.dtype).removeprefix("torch.") for one in module.parameters() if one.dtype.is_floating_point]
    dtype = floats[0] if floats and floats[0] in ("float16", "float64") else "float32"
    arguments = list(module.forward.schema.arguments)[1:]
    names = [one.name for one in arguments if not one.has_default_value()] or [arguments[0].name]
    inputs = [{"name": name, "dtype": dtype, "shape": ["..."]} for name in names]
    return lambda tensors: module(**tensors), {"inputs": inputs}


def _exported(path: Path) -> tuple[_Call, dict[str, object]]:
    """A program of ``torch.export`` on the CPU, and what its graph tells of what it takes.

    Raises:
        TypeError: it takes something that has no form in the protocols.
    """
    import torch
    from torch.export.passes import move_to_device_pass
    from torch.utils import _pytree as pytree

    program = torch.export.load(path)
    held = (*program.state_dict.values(), *program.constants.values())
    if any(isinstance(one, torch.Tensor) and one.device.type != "cpu" for one in held):
        program = move_to_device_pass(program, "cpu")
    module, form = program.module(), program.call_spec.in_spec
    takes = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    if form is None or len(takes) != form.num_leaves or not all(hasattr(values[name], "shape") for name in takes):
        raise TypeError("The program takes something else than tensors, which KServe's protocols have no form for.")

    def call(tensors: Mapping[str, object]) -> object:
        args, kwargs = pytree.tree_unflatten([tensors[name] for name in takes], form)
        return module(*args, **kwargs)

    return call, {"inputs": [_symbolic(name, values[name]) for name in takes]}


def _symbolic(name: str, value: torch.Tensor) -> dict[str, object]:
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise TypeError(f"The program's {name!r} is {dtype}, which KServe's protocols have no form for.")
    dims = [size if type(size) is int else ("batch" if n == 0 else -1) for n, size in enumerate(value.shape)]
    return {"name": name, "dtype": dtype, "shape": dims}


def _is_exported(path: Path) -> bool:
    with zipfile.ZipFile(path) as file:
        names = {name.rpartition("/")[2] for name in file.namelist()}
    return bool(names & {"archive_format", "serialized_exported_program.json"})


def _named(answer: object, name: str = "") -> Iterator[tuple[str, object]]:
    """A name for each tensor, as the record of the model has them."""
    if isinstance(answer, dict):
        parts = [(f"{name}__{key}" if name else str(key), value) for key, value in answer.items()]
    elif isinstance(answer, tuple) and (fields := getattr(answer, "_fields", ())):
        parts = [(f"{name}__{key}" if name else str(key), value) for key, value in zip(fields, answer, strict=True)]
    elif isinstance(answer, list | tuple):
        parts = [(f"{name or 'output'}__{number}", value) for number, value in enumerate(answer)]
    else:
        yield name or "output__0", answer
        return
    for part, value in parts:
        yield from _named(value, part)


def _array(value: object) -> np.ndarray:
    import torch

    if not isinstance(value, torch.Tensor):
        return np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
    tensor = value.float() if value.dtype == torch.bfloat16 else value
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
