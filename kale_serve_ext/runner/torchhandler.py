"""TorchServe's handler of a program that this package has saved: tensors by name in, tensors by name out.

This file lies in the model archive, and runs in TorchServe's worker, where this package is not: it needs torch alone.
A request's body is what :func:`pack` has made, and its answer too; or KServe's JSON by v1 or v2, for a TorchServe that
nothing of ours stands before. TorchServe calls :func:`handle`, with no data to have the model loaded.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

SIGNATURE = "signature.json"
"""Beside this file: the model's inputs and outputs, where they are known."""
DESCRIBE = "describe"
_INSIDE = "kale-signature.json"
_DTYPES = {
    "BOOL": "bool",
    **{f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
}
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
    return b"".join([b"KALE", len(head).to_bytes(4, "little"), head, *bodies])


def unpack(data: bytes) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """The reverse of :func:`pack`."""
    at = 8 + int.from_bytes(data[4:8], "little")
    message = json.loads(bytes(data[8:at]))
    arrays = {}
    for one in message.pop("tensors"):
        dtype, shape = np.dtype(one["dtype"]), tuple(one["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        # A copy: a module may write to what it is given.
        arrays[one["name"]] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += count * dtype.itemsize
    return message, arrays


def handle(data: Sequence[Mapping[str, object]] | None, context: _Context) -> list[object]:
    """Answers to the bodies of requests; loads the model where there are none.

    Raises:
        PredictionException: what a model says of an input that it does not take.
    """
    global _program
    if data is None:
        _program = _Program(context.system_properties["model_dir"], context.manifest["model"])
        return []
    return [_answered(one.get("data") or one.get("body"), _program) for one in data]


class _Program:
    """A program that is loaded, and what it takes.

    Args:
        folder: the model archive's.
        manifest: what the archive's says of the model.
    """

    def __init__(self, folder: str, manifest: Mapping[str, str]) -> None:
        import torch

        path = os.path.join(folder, manifest["serializedFile"])
        self.name = manifest["modelName"]
        if _is_exported(path):
            self._module = torch.export.load(path).module()
        else:
            self._module = torch.jit.load(path, map_location="cpu")
            self._module.eval()
        self.signature = _signature(os.path.join(folder, SIGNATURE), path)
        if not self.signature.get("inputs"):
            arguments = list(self._module.forward.schema.arguments)[1:]
            names = [one.name for one in arguments if not one.has_default_value()] or [arguments[0].name]
            self.signature = {"inputs": [{"name": n, "dtype": "float32", "shape": ["..."]} for n in names]}
        if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
            torch.set_num_threads(int(threads))

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

    def specs(self) -> Sequence[Mapping[str, object]]:
        inputs = self.signature["inputs"]
        return inputs if isinstance(inputs, list) else []


_program: _Program


def _answered(body: object, program: _Program) -> object:
    if isinstance(body, (bytes, bytearray)) and body[:4] == b"KALE":
        message, arrays = unpack(bytes(body))
        if message.get("do") == DESCRIBE:
            return pack(program.signature, {})
        try:
            return pack({}, program.run(arrays))
        except ValueError as error:
            return pack({"refused": str(error)}, {})
    told = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    if not isinstance(told, dict) or not ({"instances", "inputs"} & set(told)):
        raise _refused('The request has neither "instances" nor "inputs".')
    dtypes = {str(spec["name"]): str(spec["dtype"]) for spec in program.specs()}
    if "instances" in told:
        return _by_v1(told["instances"], dtypes, program)
    return _by_v2(told, dtypes, program)


def _by_v1(rows: Sequence[object], dtypes: Mapping[str, str], program: _Program) -> object:
    by_name = all(isinstance(row, dict) and set(row) == set(dtypes) for row in rows)
    if not by_name and len(dtypes) != 1:
        raise _refused(f"An instance is an object with {', '.join(dtypes)}.")
    columns = {name: [row[name] if isinstance(row, dict) and by_name else row for row in rows] for name in dtypes}
    outputs = program.run({name: np.array(column, dtype=dtypes[name]) for name, column in columns.items()})
    lists = {name: one.tolist() for name, one in outputs.items()}
    if len(lists) == 1:
        return {"predictions": next(iter(lists.values()))}
    return {"predictions": [dict(zip(lists, row)) for row in zip(*lists.values())]}


def _by_v2(told: Mapping[str, Sequence[Mapping[str, object]]], dtypes: Mapping[str, str], program: _Program) -> object:
    arrays = {}
    for one in told["inputs"]:
        name = next(iter(dtypes)) if len(dtypes) == 1 else str(one["name"])
        if name not in dtypes:
            raise _refused(f"The model has no input {name!r}; it takes {', '.join(dtypes)}.")
        arrays[name] = np.array(one["data"], dtype=dtypes[name]).reshape(one["shape"])
    outputs = program.run(arrays)
    types = {numpy: datatype for datatype, numpy in _DTYPES.items()}
    return {
        "model_name": program.name,
        "outputs": [
            {"name": name, "datatype": types[one.dtype.name], "shape": list(one.shape), "data": one.ravel().tolist()}
            for name, one in outputs.items()
        ],
    }


def _refused(why: str) -> Exception:
    from ts.utils.util import PredictionException

    made: Exception = PredictionException(why, 400)
    return made


def _is_exported(path: str) -> bool:
    with zipfile.ZipFile(path) as file:
        names = {name.rpartition("/")[2] for name in file.namelist()}
    return bool(names & {"archive_format", "serialized_exported_program.json"})


def _signature(beside: str, path: str) -> dict[str, object]:
    if os.path.exists(beside):
        with open(beside, encoding="utf-8") as file:
            return dict(json.load(file))
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if n.endswith("/extra/" + _INSIDE)), "")
        return dict(json.loads(archive.read(name))) if name else {}


def _named(answer: object, name: str = "") -> Iterator[tuple[str, object]]:
    """A name for each tensor, as the record of the model has them."""
    if isinstance(answer, dict):
        parts = [(f"{name}__{key}" if name else str(key), value) for key, value in answer.items()]
    elif isinstance(answer, tuple) and hasattr(answer, "_fields"):
        parts = [(f"{name}__{key}" if name else key, value) for key, value in zip(answer._fields, answer)]
    elif isinstance(answer, (list, tuple)):
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
