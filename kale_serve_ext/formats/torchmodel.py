"""A network of PyTorch that answers by name: how its answer gets names, and how arrays become tensors and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from ..ml import TensorSpec
from .tensors import chosen

if TYPE_CHECKING:
    import numpy as np

FIRST_OUTPUT = "output__0"
"""The name of an only output: what Triton's PyTorch backend calls those that have none."""
_OUTPUT = "output"
_NO_ROOM = ("not enough memory", "out of memory", "OutOfMemoryError")
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
"""What torch and numpy call alike, and the protocols have a form for."""

Call = Callable[[Mapping[str, object]], object]
"""Asks a module: the tensors of its arguments, by name."""


class Tensor(Protocol):
    """As much of ``torch.Tensor`` as is asked for here."""

    dtype: object

    @property
    def shape(self) -> Sequence[int]: ...
    def detach(self) -> Tensor: ...
    def cpu(self) -> Tensor: ...
    def float(self) -> Tensor: ...
    def numpy(self) -> np.ndarray: ...


class Network:
    """A module that is asked with arrays by name; a :class:`~kale_serve_ext.formats.tensors.TensorModel`.

    Args:
        call: asks it.
        inputs: its arguments.
        outputs: what it gives; empty where that is not known before it is asked.
    """

    def __init__(self, call: Call, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self._call = call
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        import torch

        try:
            with torch.inference_mode():
                answer = self._call({name: tensor_of(array) for name, array in tensors.items()})
        except (RuntimeError, IndexError, AssertionError) as error:
            words = in_words(error)
            if any(one in f"{type(error).__name__} {words}" for one in _NO_ROOM):
                raise
            # Of the number of dimensions and the dtype the caller has made sure; what else does not fit, torch says.
            raise ValueError(words) from error
        found = {name: array_of(value, name) for name, value in named(answer)}
        return chosen(found, wanted)


def use_threads() -> None:
    """Keep to the CPU limit of the service: as many threads as the environment names."""
    import torch

    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal() and int(threads):
        torch.set_num_threads(int(threads))


def named(answer: object, name: str = "") -> Iterator[tuple[str, object]]:
    """What a module has answered, with a name for each tensor: the keys of a dict, the fields of a named tuple, numbers
    in a list or tuple (``output__0``, ``output__1``), and for what lies inside of another both (``boxes__0``)."""
    if isinstance(answer, Mapping):
        parts = [(f"{name}__{key}" if name else str(key), value) for key, value in answer.items()]
    elif isinstance(answer, tuple) and (fields := getattr(answer, "_fields", ())):
        parts = [(f"{name}__{key}" if name else str(key), value) for key, value in zip(fields, answer, strict=True)]
    elif isinstance(answer, list | tuple):
        parts = [(f"{name or _OUTPUT}__{number}", value) for number, value in enumerate(answer)]
    else:
        yield name or FIRST_OUTPUT, answer
        return
    for part, value in parts:
        yield from named(value, part)


def is_flat(names: Sequence[str]) -> bool:
    """Whether these are :func:`named`'s names for a tensor, or for a tuple or list of tensors."""
    return [*names] == [f"{_OUTPUT}__{number}" for number in range(len(names))]


def tensor_of(array: np.ndarray) -> object:
    """The array as a tensor; copied only where torch could not have it."""
    import numpy as np
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def array_of(value: object, name: str) -> np.ndarray:
    """One output as an array.

    Raises:
        TypeError: it is neither a tensor nor a number, or of a dtype that the protocols have no form for.
    """
    import numpy as np
    import torch

    if isinstance(value, bool | int | float):
        return np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"The module's output {name!r} is a {type(value).__name__}, which is no tensor.")
    tensor = cast("Tensor", value)
    if dtype_of(tensor) == "bfloat16":  # which numpy does not have; nothing is lost
        tensor = tensor.float()
    if dtype_of(tensor) not in DTYPES:
        raise TypeError(
            f"The module's output {name!r} is of the dtype {dtype_of(tensor)}, which KServe's protocols have no form "
            "for."
        )
    return tensor.detach().cpu().numpy()


def dtype_of(tensor: Tensor) -> str:
    """Such as ``float32``."""
    return str(tensor.dtype).removeprefix("torch.")


def in_words(error: Exception) -> str:
    """What torch says, without the traceback of TorchScript that it puts before it."""
    text = str(error).strip()
    return text.rpartition("RuntimeError: ")[2].strip() if "TorchScript" in text else text
