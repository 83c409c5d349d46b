"""What a pickle says of itself: its opcodes are read, and none is carried out.

A pickle is a program for a stack machine. Here the stack holds notes instead of objects: names of classes, short texts,
numbers, and who was called with what. joblib writes arrays between the opcodes; they are stepped over.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, cast

from .boosterfiles import xgboost_version
from .streams import CutError, Stream

MOST_OPCODES = 200_000
"""Those of one file that are looked at: about a second."""
_LONGEST_TEXT = 200
_MOST_KEYS = 20
_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
BY_VALUE = "__main__."
"""In front of the name of a class that is in the pickle itself."""
_MADE_BY = ("copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__", "copy_reg.__newobj__")


@dataclass(frozen=True)
class Pickle:
    """What was seen."""

    outermost: str = ""
    """The object's class, such as ``sklearn.pipeline.Pipeline`` or ``builtins.dict``; empty where it is not told."""
    complete: bool = False
    """All of it was read, to its last opcode."""
    truncated: bool = False
    """It ends before its last opcode."""
    broken: bool = False
    """It has what no pickle has."""
    names: frozenset[str] = frozenset()
    """Classes and functions that it refers to, as ``module.name``."""
    keys: tuple[str, ...] = ()
    """Of a dict, its first keys that are texts."""
    sklearn: str = ""
    """scikit-learn's version that made it."""
    xgboost: str = ""
    """XGBoost's version that made a booster in it."""
    magic: int = 0
    """A number that stands in the place of an object, as some programs mark their files."""


@dataclass
class _Called:
    """An object: a class or function that was called."""

    name: str
    arguments: list[object] = field(default_factory=list)
    state: object = None


@dataclass
class _Named:
    name: str


@dataclass
class _Dict:
    items: dict[str, object] = field(default_factory=dict)


@dataclass
class _Plain:
    """A list, set, number or text that is too long to keep."""

    kind: str


class _Mark:
    pass


def read(stream: Stream) -> Pickle:
    """Go through a pickle, as far as :data:`MOST_OPCODES` and the stream's own limit."""
    machine = _Machine(stream, MOST_OPCODES)
    ended = truncated = broken = False
    try:
        ended = machine.run()
    except CutError:
        pass
    except EOFError:
        truncated = True
    except (ValueError, IndexError, KeyError, OverflowError, TypeError) as error:
        truncated = any(words in str(error) for words in _SHORT)
        broken = not truncated
    return machine.seen(ended, truncated, broken)


_SHORT = ("not enough data", "exhausted before", "but only", "no newline found")
"""What pickletools says where the bytes end too early."""


class _Machine:
    def __init__(self, stream: Stream, left: int) -> None:
        self._stream = stream
        self._left = left
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._names: set[str] = set()
        self._sklearn = self._xgboost = ""
        self._magic = 0

    def seen(self, ended: bool, truncated: bool, broken: bool) -> Pickle:
        bottom = next((item for item in self._stack if not isinstance(item, _Mark)), None)
        if isinstance(bottom, _Named) and not ended and len(self._stack) > 1:
            # Its arguments were being put together.
            after = self._stack[1:]
            inner = next((i.name for i in after if isinstance(i, _Named)), "") if bottom.name in _MADE_BY else ""
            bottom = _Called(inner or bottom.name)
        return Pickle(
            outermost=_class_of(bottom),
            complete=ended,
            truncated=truncated,
            broken=broken,
            names=frozenset(self._names),
            keys=tuple(bottom.items) if isinstance(bottom, _Dict) else (),
            sklearn=self._sklearn,
            xgboost=self._xgboost,
            magic=self._magic,
        )

    def run(self) -> bool:
        """Whether it came to the last opcode; more than are looked at are left alone."""
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", self._stream)):
            if opcode.name == "STOP":
                return True
            self._left -= 1
            if self._left < 0:
                return False
            self.take(opcode, argument)
        return False

    def take(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        if isinstance(argument, bytes | bytearray) and not self._xgboost:
            self._xgboost = xgboost_version(argument)
        special = _SPECIAL.get(opcode.name)
        if special is not None:
            special(self, argument)
        elif opcode.stack_after and opcode.stack_after[0] in _SCALARS:
            self._drop(opcode)
            self._stack.append(_kept(argument, opcode.stack_after[0].name))
        else:
            self._drop(opcode)
            for one in opcode.stack_after:
                self._stack.append(_Mark() if one is pickletools.markobject else _Plain(one.name))

    def _drop(self, opcode: pickletools.OpcodeInfo) -> None:
        before = list(opcode.stack_before)
        if pickletools.stackslice in before:
            self._slice()
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            self._stack.pop()

    def _slice(self) -> list[object]:
        """What lies above the topmost mark, which goes too."""
        for position in range(len(self._stack) - 1, -1, -1):
            if isinstance(self._stack[position], _Mark):
                above = self._stack[position + 1 :]
                del self._stack[position:]
                return above
        raise ValueError("there is no mark on the stack")

    def _name(self, module: object, name: object) -> None:
        known = f"{module}.{name}".replace("__builtin__.", "builtins.")
        self._names.add(known)
        self._stack.append(_Named(known))

    def _global(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self._name(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module if isinstance(module, str) else "?", name if isinstance(name, str) else "?")

    def _inst(self, argument: object) -> None:
        arguments = self._slice()
        self._global(argument)
        self._call(self._stack.pop(), arguments)

    def _obj(self, _: object) -> None:
        first, *arguments = self._slice()
        self._call(first, arguments)

    def _reduce(self, _: object) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _newobj_ex(self, _: object) -> None:
        self._stack.pop()
        self._reduce(None)

    def _call(self, function: object, arguments: object) -> None:
        name = function.name if isinstance(function, _Named) else "?"
        if isinstance(function, _Called) and function.name.endswith("_make_skeleton_class"):
            # cloudpickle's way of taking a class along: its second argument is the name.
            told = function.arguments[1:2]
            name = f"{BY_VALUE}{told[0]}" if told and isinstance(told[0], str) else "?"
        if name in _MADE_BY and isinstance(arguments, list) and arguments and isinstance(arguments[0], _Named):
            name = arguments[0].name
        self._stack.append(_Called(name, arguments if isinstance(arguments, list) else []))

    def _build(self, _: object) -> None:
        state = self._stack.pop()
        made = self._stack[-1]
        if isinstance(made, _Called):
            made.state = state
            if made.name == _ARRAY:
                self._array(made)

    def _array(self, wrapper: _Called) -> None:
        """Step over the array that joblib writes behind its wrapper.

        Raises:
            CutError: its length is not given here.
        """
        told = wrapper.state.items if isinstance(wrapper.state, _Dict) else {}
        shape, dtype = told.get("shape"), told.get("dtype")
        if isinstance(dtype, _Called) and dtype.arguments and str(dtype.arguments[0]).endswith("O8"):
            nested = _Machine(self._stream, self._left)  # objects are a pickle of their own
            if not nested.run():
                raise CutError
            self._left = nested._left
            self._names |= nested._names
            return
        size = _item_size(dtype)
        if not size or not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise CutError
        if told.get("numpy_array_alignment_bytes") is not None:
            (padding,) = self._stream.read(1) or (0,)
            self._stream.skip(padding)
        self._stream.skip(size * math.prod(n for n in shape if isinstance(n, int)))

    def _tuple(self, count: int) -> None:
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        self._stack.append(taken)

    def _setitems(self, pairs: Sequence[object]) -> None:
        target = self._stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=False):
            if key == "_sklearn_version" and isinstance(value, str) and not self._sklearn:
                self._sklearn = value
            few = isinstance(target, _Dict) and len(target.items) < _MOST_KEYS
            if few and isinstance(target, _Dict) and isinstance(key, str):
                target.items[key] = value

    def _setitem(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._setitems((key, value))

    def _forget(self, count: int) -> None:
        del self._stack[len(self._stack) - count :]

    def _long(self, argument: object) -> None:
        if isinstance(argument, int) and not self._stack and not self._magic:
            self._magic = argument
        self._stack.append(argument)

    def _put(self, argument: object) -> None:
        self._memo[int(str(argument))] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, argument: object) -> None:
        self._stack.append(self._memo[int(str(argument))])


_SCALARS = (
    pickletools.pyint,
    pickletools.pylong,
    pickletools.pyinteger_or_bool,
    pickletools.pybool,
    pickletools.pyunicode,
    pickletools.pystring,
    pickletools.pybytes_or_str,
)
_SPECIAL: dict[str, Callable[[_Machine, object], object]] = {
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "INST": _Machine._inst,
    "OBJ": _Machine._obj,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._reduce,
    "NEWOBJ_EX": _Machine._newobj_ex,
    "BUILD": _Machine._build,
    "EMPTY_TUPLE": lambda m, _: m._stack.append([]),
    "TUPLE1": lambda m, _: m._tuple(1),
    "TUPLE2": lambda m, _: m._tuple(2),
    "TUPLE3": lambda m, _: m._tuple(3),
    "TUPLE": lambda m, _: m._stack.append(m._slice()),
    "EMPTY_DICT": lambda m, _: m._stack.append(_Dict()),
    "DICT": lambda m, _: _dict(m),
    "APPEND": lambda m, _: m._forget(1),
    "APPENDS": lambda m, _: m._slice(),
    "ADDITEMS": lambda m, _: m._slice(),
    "SETITEM": _Machine._setitem,
    "SETITEMS": lambda m, _: m._setitems(m._slice()),
    "LONG1": _Machine._long,
    "PUT": _Machine._put,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
}


def _dict(machine: _Machine) -> None:
    pairs = machine._slice()
    machine._stack.append(_Dict())
    machine._setitems(pairs)


def _kept(argument: object, kind: str) -> object:
    if isinstance(argument, int) or (isinstance(argument, str) and len(argument) <= _LONGEST_TEXT):
        return argument
    return _Plain(kind)


def _class_of(item: object) -> str:
    if isinstance(item, _Called):
        return item.name
    if isinstance(item, _Named):
        return "builtins.type"
    if isinstance(item, _Dict):
        return "builtins.dict"
    if isinstance(item, list):
        return "builtins.tuple"
    if isinstance(item, _Plain):
        return f"builtins.{_KINDS.get(item.kind, item.kind)}"
    return f"builtins.{type(item).__name__}" if item is not None else ""


_KINDS = {"None": "NoneType", "any": "object", "bytes_or_str": "str", "frozenset": "frozenset"}


def _item_size(dtype: object) -> int:
    """Bytes of one item of a pickled numpy.dtype; 0 where it is not a plain one."""
    if not isinstance(dtype, _Called) or not dtype.arguments:
        return 0
    match = re.fullmatch(r"[<>|=]?([biufcSUMmV])(\d+)", str(dtype.arguments[0]))
    if match is None:
        return 0
    return int(match[2]) * (4 if match[1] == "U" else 1)
