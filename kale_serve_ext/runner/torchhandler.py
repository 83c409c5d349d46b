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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

SIGNATURE = "signature.json"
"""Beside this file: the model's inputs and outputs, where they are known."""
DESCRIBE, REFUSED = "describe", "refused"
"""Keys of messages: a question for the inputs and outputs; why an input was not taken."""
_NO_ROOM = ("not enough memory", "out of memory")


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
            if _is_exported(path):
                self._module = torch.export.load(path).module()
            else:
                self._module = torch.jit.load(path, map_location="cpu")
                self._module.eval()
        beside = folder / SIGNATURE
        self.signature = json.loads(beside.read_text("utf-8")) if beside.exists() else self._told()

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name.

        Raises:
            ValueError: what torch says of an input that it does not take.
        """
        import torch

        try:
            with torch.inference_mode():
                answer = self._module(**{name: torch.from_numpy(one) for name, one in arrays.items()})
        except (RuntimeError, IndexError, AssertionError) as error:
            words = str(error).strip()
            words = words.rpartition("RuntimeError: ")[2].strip() if "TorchScript" in words else words
            if any(one in words for one in _NO_ROOM):
                raise
            raise ValueError(" ".join(words.split())) from error
        return {name: _array(value) for name, value in _named(answer)}

    def _told(self) -> dict[str, object]:
        """What the program itself tells of what it takes: names, of TorchScript."""
        arguments = list(self._module.forward.schema.arguments)[1:]
        names = [one.name for one in arguments if not one.has_default_value()] or [arguments[0].name]
        return {"inputs": [{"name": name, "dtype": "float32", "shape": ["..."]} for name in names]}


_program: _Program


def _answered(body: bytes, program: _Program) -> bytes:
    message, arrays = unpack(body)
    if DESCRIBE in message:
        return pack(program.signature, {})
    try:
        return pack({}, program.run(arrays))
    except ValueError as error:
        return pack({REFUSED: str(error)}, {})


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
