"""Whether a text is still what the functions in memory were made of: a file may have been edited since its import."""

from __future__ import annotations
import __future__

import ast
import dis
import functools
from collections.abc import Hashable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import cast

_PLAIN = (bool, int, float, complex, str, bytes, tuple)
_CACHED = type(functools.lru_cache(len))
_MOST_DECORATORS = 100
_OF_CONSTANTS = frozenset(dis.hasconst)
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


def says(text: str | bytes, functions: Mapping[str, FunctionType]) -> list[str]:
    """Names of the functions that the text does not define as they are; places, comments and docstrings do not count.

    Args:
        text: Python code.
        functions: by the name to tell them by.
    """
    if not functions:
        return []
    flags = next(iter(functions.values())).__code__.co_flags & _FUTURE
    try:
        whole = compile(text, "<text>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return list(functions)
    known = {_print(code) for code in _codes(whole)}
    return [name for name, function in functions.items() if _print(function.__code__) not in known]


def other_constants(tree: ast.Module, space: Mapping[str, object]) -> list[str]:
    """Names that the text binds once, to a plain number, text or the like, and that stand for another one by now.

    Names that a function of the module binds itself are its own affair, as counters are; so is what is None in the
    text, which waits to be set.
    """
    bound = [name for node in ast.walk(tree) for name in _bound(node)]
    moving = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    if any(isinstance(node, ast.Name) and node.id == "globals" for node in ast.walk(tree)):
        return []
    found = []
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if not isinstance(target, ast.Name) or not isinstance(node, ast.Assign) or target.id in moving:
            continue
        try:
            said = cast(object, ast.literal_eval(node.value))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if said is None or not isinstance(said, _PLAIN):
            continue
        here = space.get(target.id, said)
        if bound.count(target.id) == 1 and (type(here), repr(here)) != _shown(said):
            found.append(target.id)
    return found


def names_read(tree: ast.AST) -> set[str]:
    """Names, attributes and imported names that a text reads, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)  # getattr(settings, "LIMIT")
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]


def _shown(value: object) -> tuple[type, str]:
    return type(value), repr(value)


def functions_of(space: Mapping[str, object], file: str) -> dict[str, FunctionType]:
    """The functions and methods among the values that the code in this file has made, by dotted name."""
    members = [member for name, value in list(space.items()) for member in _members(name, value)]
    found = {name: bare(value) for name, value in members}
    return {name: f for name, f in found.items() if f is not None and f.__code__.co_filename == file}


def bare(value: object) -> FunctionType | None:
    """The function that was written, inside of what decorators have made of it."""
    for _ in range(_MOST_DECORATORS):
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, FunctionType | _CACHED) and "__wrapped__" in vars(value):
            value = vars(value)["__wrapped__"]
        else:
            break
    return value if isinstance(value, FunctionType) else None


def _members(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, type):
        yield from ((f"{name}.{member}", inner) for member, inner in list(vars(value).items()))
    else:
        yield name, value


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _print(code: CodeType) -> Hashable:
    """All of it but where it stands and what it says of itself."""
    return (
        code.co_name,
        tuple(_steps(code)),
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_argcount,
        code.co_kwonlyargcount,
    )


def _steps(code: CodeType) -> Iterator[Hashable]:
    """What it does, with the constants that it uses: a docstring is used by nothing, and moves the others about."""
    high = 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = high | low
        high = argument << 8 if operation == dis.EXTENDED_ARG else 0
        if operation in _OF_CONSTANTS:
            yield operation, _constant(code.co_consts[argument])
        elif operation != dis.EXTENDED_ARG:
            yield operation, argument


def _constant(value: object) -> Hashable:
    if isinstance(value, CodeType):
        return _print(value)
    if isinstance(value, tuple):
        return tuple(_constant(one) for one in value)
    if isinstance(value, frozenset):  # in no order
        return frozenset(_constant(one) for one in value)
    return type(value).__name__, repr(value)
