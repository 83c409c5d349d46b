"""What a pickle of an object refers to: seen by pickling it into nothing.

Imported only where something is pickled: it needs cloudpickle.
"""

from __future__ import annotations

import dis
import io
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import cloudpickle

from .origin import of_cython
from .statements import Import, resolved


class Spy(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Goes through all that cloudpickle would go through; large arrays are not copied."""

    def __init__(self) -> None:
        # With a callback that answers None, arrays stay out of the stream.
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)
        self.named: set[str] = set()
        """Modules whose classes and functions the pickle would hold by name."""
        self.by_value: set[str] = set()
        """Modules whose classes and functions would go into the pickle themselves."""
        self.imports: list[Import] = []
        """Import statements in the bodies of the latter."""
        self.read: set[str] = set()
        """Names and attributes that their bodies read."""
        self.holds_module = False
        """Whether a module itself is held, which plain pickle refuses."""

    def reducer_override(self, obj: object) -> object:
        reduced = super().reducer_override(obj)
        if isinstance(obj, ModuleType):
            self.named.add(obj.__name__)
            self.holds_module = True
        elif not isinstance(obj, type | FunctionType | BuiltinFunctionType):
            self._note(self.named, obj if of_cython(type(obj).__module__) else type(obj))
        elif reduced is NotImplemented or (isinstance(obj, type) and obj.__module__ == "builtins"):
            # Classes such as NoneType have no name to be found by; pickle knows them all the same.
            self._note(self.named, obj)
        else:
            self._note(self.by_value, obj)
            if isinstance(obj, FunctionType):
                package = obj.__globals__.get("__package__")
                self.imports += imports_of_code(obj.__code__, package if isinstance(package, str) else "")
                self.read |= names_in_code(obj.__code__)
        return reduced

    @staticmethod
    def _note(modules: set[str], obj: object) -> None:
        name = getattr(obj, "__module__", None)
        # What exec has made has no module.
        modules.add(name if isinstance(name, str) and name else "__main__")


def imports_of_code(code: CodeType, package: str) -> Iterator[Import]:
    """The import statements of a function and of the functions inside it, read from their byte code."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for place, step in enumerate(steps):
        if step.opname != "IMPORT_NAME":
            continue
        level, names = (before.argval for before in steps[place - 2 : place])
        taken = tuple(str(name) for name in names) if isinstance(names, tuple) else ()
        if full := resolved(str(step.argval), level if isinstance(level, int) else 0, package):
            yield Import(full, taken, certain=False)
    called = {"import_module", "__import__"} & set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from imports_of_code(constant, package)
        elif called and isinstance(constant, str) and all(part.isidentifier() for part in constant.split(".")):
            yield Import(constant, certain=False)


def names_in_code(code: CodeType) -> set[str]:
    """The names and attributes that a function and the functions inside it use."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(names_in_code, inner))


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return memoryview(data).nbytes  # type: ignore[arg-type]  # a pickler writes bytes
