"""Files beside a module that it reads by way of ``__file__`` or its package's resources: tables and the like."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_LONGEST = 200
_MOST_ROUNDS = 20
_HERE = PurePosixPath()
_RESOURCES = frozenset({"pkgutil", "importlib.resources", "importlib_resources"})
_FOLDER_OF = frozenset({"dirname"})
_SAME = frozenset({"Path", "PurePath", "str", "fspath", "abspath", "realpath", "normpath", "resolve", "absolute"})
_JOIN = frozenset({"join", "joinpath"})
_SECRETS = ("*.pem", "*.key", "id_*")

Place = PurePosixPath
"""A path below the folder of the module."""


def data_files(tree: ast.Module, file: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """The files that a module reads from beside itself, each by its path from the module's folder; ``.py`` are none.

    Only what is put together from the module's own place counts: a bare ``open("train.csv")`` means the current folder,
    which is another one where the code is served. Hidden files and keys are never included.

    Args:
        tree: the module's text.
        file: where it lies.
    """
    try:
        reading = _Reading(tree, file.name)
        places = sorted(set().union(*(reading.named(node) for node in ast.walk(tree))))
    except RecursionError:  # an expression of thousands of parts
        return
    for place in places:
        if place.suffix == ".py" or _is_secret(place):
            continue
        try:
            if (file.parent / place).is_file():
                yield place, file.parent / place
        except (OSError, ValueError):  # a text that is no path
            continue


def _is_secret(place: Place) -> bool:
    return any(part.startswith(".") for part in place.parts) or any(place.match(pattern) for pattern in _SECRETS)


class _Reading:
    """Which places expressions stand for, as far as the text alone tells."""

    def __init__(self, tree: ast.Module, file_name: str) -> None:
        self._own = PurePosixPath(file_name)
        self._resources = {
            alias.asname or alias.name.rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if _is_of_resources(node, alias)
        }
        self._known: dict[str, set[Place]] = {}
        given = [pair for node in ast.walk(tree) for pair in _given(node)]
        for _ in range(_MOST_ROUNDS):  # one name is made from another, in whatever order they stand
            before = sum(map(len, self._known.values()))
            for target, value in given:
                self._known.setdefault(target, set()).update(self.places(value))
            if sum(map(len, self._known.values())) == before:
                break

    def named(self, node: ast.AST) -> set[Place]:
        """The places that an expression names, and hands to a function in parts: ``read(HERE, "x.csv")``."""
        if not isinstance(node, ast.expr):
            return set()
        found = self.places(node)
        if isinstance(node, ast.Call):
            texts = [text for one in node.args if (text := _text(one))]
            if self._is_resource(node.func):
                found |= {below for text in texts for below in _below({_HERE}, text)}
            elif node.args:
                found |= _below(self.places(node.args[0]), *texts)
        return found

    def places(self, node: ast.expr | None) -> set[Place]:
        """The places that an expression stands for; none where it is something else."""
        if isinstance(node, ast.Name | ast.Attribute):
            known = self._known.get(ast.unparse(node), set())
            if known or isinstance(node, ast.Name):
                return {self._own} if isinstance(node, ast.Name) and node.id == "__file__" else set(known)
            return _up(self.places(node.value)) if node.attr == "parent" else set()
        if isinstance(node, ast.Subscript):
            return self._item(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Add):
            return _below(self.places(node.left), _text(node.right))
        if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.FormattedValue):
            return _below(self.places(node.values[0].value), *map(_text, node.values[1:]))
        return self._made(node) if isinstance(node, ast.Call) else set()

    def _item(self, node: ast.Subscript) -> set[Place]:
        """``__path__[0]`` and ``Path(__file__).parents[0]``."""
        if ast.unparse(node) == "__path__[0]":
            return {_HERE}
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            return _up(self.places(node.value.value)) if ast.unparse(node.slice) == "0" else set()
        return set()

    def _made(self, node: ast.Call) -> set[Place]:
        name = _name(node.func)
        if name == "files" and self._is_resource(node.func):
            return {_HERE}
        method = self.places(node.func.value) if isinstance(node.func, ast.Attribute) else set()
        subject, rest = (method, node.args) if method else (self.places(next(iter(node.args), None)), node.args[1:])
        if name in _SAME:
            return subject
        if name in _FOLDER_OF:
            return _up(subject)
        if name in _JOIN:
            return _below(subject, *map(_text, rest))
        if name == "with_name" and rest:
            return _below(_up(subject), _text(rest[0]))
        if name == "with_suffix" and rest and (suffix := _text(rest[0])):
            return {place.with_suffix(suffix) for place in subject if place.name and suffix.startswith(".")}
        return set()

    def _is_resource(self, function: ast.expr) -> bool:
        parts = ast.unparse(function).split(".") if isinstance(function, ast.Name | ast.Attribute) else [""]
        return parts[0] in self._resources or ".".join(parts[:-1]) in _RESOURCES


def _is_of_resources(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    if isinstance(node, ast.Import):
        return alias.name in _RESOURCES and (bool(alias.asname) or "." not in alias.name)
    return node.module in _RESOURCES or f"{node.module}.{alias.name}" in _RESOURCES


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """What an assignment binds, and to which expression."""
    if isinstance(node, ast.Assign):
        yield from ((ast.unparse(one), node.value) for one in node.targets if isinstance(one, ast.Name | ast.Attribute))
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name | ast.Attribute):
        yield ast.unparse(node.target), node.value


def _up(places: set[Place]) -> set[Place]:
    """The folders that they are in; what lies above the module's folder is none of its files."""
    return {place.parent for place in places if place.parts}


def _below(places: set[Place], *texts: str) -> set[Place]:
    """The places with these texts behind; none where one is not known, or leads out of them."""
    below = PurePosixPath(*(text.lstrip("/") for text in texts)) if texts and all(texts) else _HERE
    return {place / below for place in places} if below.parts and ".." not in below.parts else set()


def _text(node: ast.expr) -> str:
    known = isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= _LONGEST
    return str(node.value) if known and isinstance(node, ast.Constant) else ""


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
