"""All that functions and classes of a notebook use, sorted by how it gets into a file of its own."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from ..errors import InvalidInputError
from .imports import dotted_names, import_line
from .objects import Definition, globals_of, open_names, source_of
from .origin import is_own
from .statements import imports
from .unchanged import bare, says


@dataclass
class Captured:
    """What is to be written, by the name that the file gives it."""

    texts: dict[str, str] = field(default_factory=dict)
    """Source text of functions and classes; what a definition needs to be made comes before it."""
    made: dict[str, Definition] = field(default_factory=dict)
    """The functions and classes of ``texts``."""
    imports: set[str] = field(default_factory=set)
    """Statements that bind other names."""
    values: dict[str, object] = field(default_factory=dict)
    """Objects to keep as a literal or as a pickle: data, and functions that have no text."""
    users: dict[str, str] = field(default_factory=dict)
    """By the name of such an object, which function uses it; empty for what the caller gave."""


def capture(roles: Mapping[str, object], assets: Mapping[str, object], *, assets_field: str) -> Captured:
    """Go through all that the roles and assets use.

    Args:
        roles: functions, classes and other callables, by the name that the file shall give them.
        assets: what they use, where that is not what the name stands for here.
        assets_field: the argument that assets come by, for messages.

    Raises:
        InvalidInputError: they use names that nothing gives: all of them are listed.
    """
    work = _Capturing(assets)
    for name, value in (*assets.items(), *roles.items()):
        work.add(name, value, user="")
    if work.missing:
        raise _missing(work.missing, assets_field)
    return work.found


class _Capturing:
    def __init__(self, assets: Mapping[str, object]) -> None:
        self.found = Captured()
        self.missing: dict[str, set[str]] = {}
        self._assets = assets
        self._begun: set[str] = set()

    def add(self, name: str, value: object, user: str) -> None:
        """Take the object in under this name, with all that it uses."""
        if name in self._begun:
            return
        self._begun.add(name)
        text = _text(value) if isinstance(value, FunctionType | type) and (not user or value.__name__ == name) else ""
        line = self._import(name, value, text)
        if line:
            self.found.imports.update(line.splitlines())
        elif text and isinstance(value, FunctionType | type) and self._stands_alone(value, text):
            self._begun.add(value.__name__)
            self._add_used(name, value, text)
            self.found.texts[name], self.found.made[name] = text, value
        else:
            self._add_value(name, value, user)

    def _import(self, name: str, value: object, text: str) -> str:
        """The statement that binds the name, where the object lives in a module and all that it uses is there too."""
        if not isinstance(value, ModuleType | FunctionType | type):
            return ""
        line = import_line(name, value, {}, frozenset())
        if not line or isinstance(value, ModuleType) or not is_own(value.__module__):
            return line
        if set(self._assets) & (open_names(text) if text else _used(value)):
            return ""
        # A function of a file beside the notebook that needs nothing of that file is written out without it.
        if text and self._stands_alone(value, text):
            return ""
        if isinstance(value, FunctionType):
            self._note_unbound(name, value)
        return line

    def _stands_alone(self, value: Definition, text: str) -> bool:
        """Whether the text says all about it that the assets and installed libraries do not."""
        tree = ast.parse(text)
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree)):
            return False
        if value.__module__ == "__main__" or not is_own(value.__module__):
            return True
        if any(is_own(one.module) for one in imports(tree, "")):
            return False
        seen, used = globals_of(value), dotted_names(text)
        for name in open_names(text) - {value.__name__} - set(self._assets):
            line = import_line(name, seen.get(name), seen, used)
            if not line or any(is_own(one.module) for one in imports(ast.parse(line), "")):
                return False
        return True

    def _add_used(self, user: str, value: Definition, text: str) -> None:
        """Take in what the names stand for that a text leaves open."""
        seen, used = globals_of(value), dotted_names(text)
        for name in sorted(open_names(text) - self._begun):
            if name in self._assets:
                self.add(name, self._assets[name], user="")
            elif name not in seen:
                self.missing.setdefault(user, set()).add(name)
            elif line := import_line(name, seen[name], seen, used):
                self._begun.add(name)
                self.found.imports.update(line.splitlines())
            else:
                self.add(name, seen[name], user)

    def _add_value(self, name: str, value: object, user: str) -> None:
        if isinstance(value, FunctionType):
            value = self._seeing_assets(value)
            self._note_unbound(name, value)
        self.found.values[name] = value
        self.found.users[name] = user

    def _note_unbound(self, name: str, function: FunctionType) -> None:
        known = {*function.__globals__, *_loaded(function.__code__, "STORE_GLOBAL"), *dir(builtins)}
        if unbound := set(_loaded(function.__code__)) - known:
            self.missing.setdefault(name, set()).update(unbound)

    def _seeing_assets(self, function: FunctionType) -> FunctionType:
        """The function with the assets among its globals, where it uses any: a pickle takes it from there."""
        if not set(self._assets) & set(_loaded(function.__code__)):
            return function
        made = FunctionType(
            function.__code__,
            {**function.__globals__, **self._assets},
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        made.__kwdefaults__ = function.__kwdefaults__
        made.__qualname__ = function.__qualname__
        return made


def _text(value: FunctionType | type) -> str:
    """The source, where it says all about a function or class; else empty."""
    functions = _functions(value)
    if not value.__name__.isidentifier() or any(set(f.__code__.co_freevars) - {"__class__"} for f in functions):
        return ""  # a lambda, or a closure
    try:
        text = source_of(value)
    except InvalidInputError:
        return ""
    return "" if any(_has_changed(function) for function in functions) else text


def _has_changed(function: FunctionType) -> bool:
    """Whether its file says something else by now; cells of a notebook stay as they were."""
    try:
        whole = Path(function.__code__.co_filename).read_bytes()
    except (OSError, ValueError):  # no file
        return False
    return bool(says(whole, {function.__name__: function}))


def _used(value: FunctionType | type) -> set[str]:
    return {name for function in _functions(value) for name in _loaded(function.__code__)}


def _functions(value: FunctionType | type) -> list[FunctionType]:
    found = [value] if isinstance(value, FunctionType) else list(vars(value).values())
    return [function for one in found if (function := bare(one)) is not None]


def _loaded(code: CodeType, operation: str = "LOAD_GLOBAL") -> Iterator[str]:
    """The globals that a function, and those inside it, read, or have another operation done to."""
    for step in dis.get_instructions(code):
        if step.opname == operation:
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _loaded(constant, operation)


def _missing(missing: Mapping[str, set[str]], field_name: str) -> InvalidInputError:
    names = sorted(set().union(*missing.values()))
    told = "; ".join(f"{user} uses {', '.join(sorted(used))}" for user, used in missing.items())
    example = ", ".join(f'"{name}": {name}' for name in names)
    return InvalidInputError(
        f"Some names are not defined here: {told}.",
        hint=f"Define or import them first, or pass them: {field_name}={{{example}}}.",
        field=field_name,
    )
