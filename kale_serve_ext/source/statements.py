"""What a module's text imports, read with ``ast``: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

_CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True)
class Import:
    """One import statement, or a call of ``import_module`` with a text."""

    module: str
    """Its full name; a relative one is resolved."""
    names: tuple[str, ...] = ()
    """What is taken from it: its attributes or modules; ``*`` for all."""
    certain: bool = True
    """Whether it runs, and has to succeed, whenever the module is imported: not in a function, not under ``try``."""


def imports(tree: ast.AST, package: str) -> list[Import]:
    """All import statements of a module, those in function bodies too.

    Args:
        tree: the parsed module.
        package: the full name of the package that it is in; of a package itself its own. Empty for a top-level module.
    """
    return list(_found(tree, package, certain=True))


def as_imported(tree: ast.Module) -> ast.Module:
    """The module without what runs only where it is the program: ``if __name__ == "__main__"``."""
    body = [one for node in tree.body for one in (node.orelse if _only_as_program(node) else [node])]
    return ast.Module(body, [])


def resolved(module: str, level: int, package: str) -> str:
    """The full name that ``from <level dots><module> import …`` means in ``package``; empty where there is none."""
    if not level:
        return module
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def _found(node: ast.AST, package: str, *, certain: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, (), certain) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if full := resolved(node.module or "", node.level, package):
            yield Import(full, tuple(alias.name for alias in node.names), certain)
    elif isinstance(node, ast.Call):
        if called := _called(node, package):
            yield Import(called, (), certain=False)
        yield from _each(ast.iter_child_nodes(node), package, certain)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        yield from _each(ast.iter_child_nodes(node), package, False)
    elif isinstance(node, ast.If):
        if not _only_for_types(node.test):
            yield from _each(node.body, package, False)
        yield from _each(node.orelse, package, False)
    elif isinstance(node, ast.Try):
        caught = any(_catches(handler) for handler in node.handlers)
        yield from _each(node.body, package, certain and not caught)
        yield from _each([*node.handlers, *node.orelse], package, False)
        yield from _each(node.finalbody, package, certain)
    else:
        yield from _each(ast.iter_child_nodes(node), package, certain)


def _each(nodes: Sequence[ast.AST] | Iterator[ast.AST], package: str, certain: bool) -> Iterator[Import]:
    for node in nodes:
        yield from _found(node, package, certain=certain)


def _only_for_types(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


def _only_as_program(node: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(one).rpartition(".")[2] in _CAUGHT for one in types)


def _called(node: ast.Call, package: str) -> str:
    """The module that ``importlib.import_module("name")`` or ``__import__("name")`` is called with."""
    name = ast.unparse(node.func)
    if name not in ("importlib.import_module", "import_module", "__import__") or not node.args:
        return ""
    first = node.args[0]
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return ""
    bare = first.value.lstrip(".")
    return resolved(bare, len(first.value) - len(bare), package)
