"""What a pickle of an object would refer to, found out without writing one.

A pickle holds classes and functions by name. What is defined in a notebook, or in a file beside it, has no name in the
process that loads the model: it has to go into the pickle itself, by value.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import IO, cast

from .installed import distributions_of_modules


@dataclass(frozen=True)
class PickledParts:
    """The modules whose classes and functions an object is made of."""

    modules: frozenset[str]
    """Top-level names of those that can be imported anywhere."""
    by_value: frozenset[str]
    """Full names of those that only exist here: ``__main__`` and files beside the notebook."""


def parts_of(obj: object) -> PickledParts:
    """Go through all that pickling ``obj`` would go through; large arrays are not copied.

    Raises:
        Exception: whatever the object raises when it is pickled.
    """
    spy = _Spy()
    spy.dump(obj)
    local = frozenset(name for name in spy.modules if is_local(name))
    return PickledParts(frozenset(n.partition(".")[0] for n in spy.modules - local), local)


def is_local(module: str) -> bool:
    """Whether a module is of this process or folder alone: neither of Python nor of an installed distribution."""
    if module == "__main__":
        return True
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if top in sys.stdlib_module_names or not file:
        return False
    paths = sysconfig.get_paths()
    if any(Path(file).is_relative_to(paths[key]) for key in ("purelib", "platlib", "stdlib", "platstdlib")):
        return False
    return top not in distributions_of_modules()


def dump(obj: object, path: Path) -> frozenset[str]:
    """Pickle to a file, by value what only exists here.

    Returns:
        The top-level modules that loading it imports.

    Raises:
        OSError: about the file.
        Exception: whatever the object raises when it is pickled.
    """
    parts = parts_of(obj)
    with path.open("wb") as file:
        if parts.by_value:
            dump_by_value(obj, file, parts.by_value)
            return parts.modules | {"cloudpickle"}
        pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)
    return parts.modules


def dump_by_value(obj: object, file: IO[bytes], modules: frozenset[str]) -> None:
    """Pickle with the classes and functions of these modules inside, so that it loads where they are not.

    Loading needs cloudpickle, and nothing else of this process.
    """
    import cloudpickle

    local = [sys.modules[name] for name in sorted(modules - {"__main__"})]  # which it always takes by value
    for module in local:
        cloudpickle.register_pickle_by_value(module)
    try:
        cloudpickle.dump(obj, file)
    finally:
        for module in local:
            cloudpickle.unregister_pickle_by_value(module)


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return memoryview(data).nbytes  # type: ignore[arg-type]  # a pickler writes bytes


class _Spy(pickle.Pickler):
    def __init__(self) -> None:
        # With a callback that answers None, arrays stay out of the stream.
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)
        self.modules: set[str] = set()

    def reducer_override(self, obj: object) -> tuple[type, tuple[()]]:
        named = isinstance(obj, type | FunctionType | BuiltinFunctionType)
        module = str(getattr(obj if named else type(obj), "__module__", "") or "builtins")
        self.modules.add(module)
        if not named or not is_local(module):
            return cast("tuple[type, tuple[()]]", NotImplemented)  # which means: as usual
        for function in (obj, *vars(obj).values()) if isinstance(obj, type) else (obj,):
            if isinstance(function, FunctionType):
                self.modules.update(_used_modules(function))
        return str, ()  # in the place of what has no name that the real pickler could find


def _used_modules(function: FunctionType) -> set[str]:
    used = (inspect.unwrap(function).__globals__.get(name) for name in function.__code__.co_names)
    return {value.__name__ for value in used if isinstance(value, ModuleType)}
