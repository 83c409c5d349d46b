"""The end of the module ``triton_python_backend_utils``, which the stub of Triton's Python backend loads first.

It keeps the tensors in shared memory from other users, and numpy 2 from giving wrong numbers: the stub is built for
numpy 1, and under numpy 2 it takes an array's first number for all of them, and makes tensors without content. DLPack,
which it speaks too, holds with either. Texts have no form in DLPack, and would end the stub.
"""

import contextlib
import ctypes
import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np

_TEXTS = "texts (TYPE_STRING) need numpy<2 in the model's Python, for which Triton's Python backend is built."


class _Tensor(Protocol):
    """The stub's class."""

    as_numpy: object

    def __init__(self, name: str, array: np.ndarray) -> None: ...
    def name(self) -> str: ...
    def __dlpack__(self) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    @classmethod
    def from_dlpack(cls, name: str, array: object) -> "_Tensor": ...


class _Unreadable:
    """In the place of an array of texts."""

    def __init__(self, encoded: object) -> None:
        pass

    def reshape(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.empty(shape, dtype=object)


def _checked(tensor: type[_Tensor]) -> type[_Tensor]:
    """The stub's class with numbers that are right."""

    def as_numpy(self: _Tensor) -> np.ndarray:
        try:
            # They stand anywhere in the shared memory, and need not begin at a multiple of their size.
            return np.array(np.from_dlpack(self))  # type: ignore[arg-type]  # it takes no more arguments
        except Exception as error:
            raise TypeError(f"{self.name()}: {_TEXTS}") from error

    def made(cls: type, name: str, array: np.ndarray) -> _Tensor:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name}: {_TEXTS}")
        if not array.size:
            # The stub takes some of these for uncontiguous, and there is no number that could be wrong.
            return tensor(name, array)
        return tensor.from_dlpack(name, _capsule(array))

    tensor.as_numpy = as_numpy
    return cast("type[_Tensor]", type("Tensor", (tensor,), {"__new__": made}))


def _capsule(array: np.ndarray) -> object:
    """The array by DLPack. The stub takes it over under a name that numpy does not know as such, and would complain of
    when the capsule goes."""
    capsule = np.ascontiguousarray(array).__dlpack__()
    ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)
    return capsule


class _Utilities(ModuleType):
    """The module, which gets its ``Tensor`` from the stub once it is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        is_tensor = name == "Tensor" and isinstance(value, type)
        super().__setattr__(name, _checked(cast("type[_Tensor]", value)) if is_tensor else value)


# The stub's second argument is the name of its region, which is made readable for everybody, whatever the umask.
with contextlib.suppress(OSError):
    Path("/dev/shm", Path("/proc/self/cmdline").read_bytes().split(b"\0")[2].decode()).chmod(0o600)  # noqa: S108

if int(np.__version__.partition(".")[0]) > 1:
    sys.modules[__name__].__class__ = _Utilities
    globals()["deserialize_bytes_tensor"] = _Unreadable
