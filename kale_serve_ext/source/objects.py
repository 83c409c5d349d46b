"""The source text of functions and classes, those of a notebook's cells too, and the names that they leave open."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import symtable
import textwrap
from collections.abc import Callable
from types import FunctionType

from ..errors import InvalidInputError

Definition = Callable[..., object]
"""A function written with ``def``, or a class."""


def check_callable(function: object, what: str) -> Definition:
    """The function, or another thing to call that can be written out; a class is none.

    Args:
        function: what was passed.
        what: how to call it in the message: ``preprocess``.

    Raises:
        InvalidInputError: it cannot be called.
    """
    if callable(function) and not isinstance(function, type):
        return function
    raise InvalidInputError(
        f"{what} is a {type(function).__name__}, not a function.",
        hint=f"Write def {what}(inputs): ... and pass the function.",
        field=what,
    )


def source_of(definition: Definition) -> str:
    """The dedented source text.

    Raises:
        InvalidInputError: there is none, as for what was typed at a bare prompt or made by ``exec``.
    """
    name = definition.__name__
    try:
        text = textwrap.dedent(inspect.getsource(definition))
        ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        text = _class_in_cell(definition) if isinstance(definition, type) else ""
    if not text:
        raise InvalidInputError(
            f"The source of {name} cannot be found.",
            hint="Define it in a notebook's cell or in a module, not at a bare prompt or with exec.",
        )
    return text.rstrip() + "\n"


def open_names(source: str) -> frozenset[str]:
    """Global names that running the source needs, builtins left out. Annotations do not count: they are not run."""
    tree = _Bare().visit(ast.parse(source))
    table = symtable.symtable(ast.unparse(ast.fix_missing_locations(tree)), "<source>", "exec")
    defined = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    return frozenset(_globals(table) - defined - set(dir(builtins)) - {"__name__", "__file__"})


def globals_of(definition: Definition) -> dict[str, object]:
    """The names that the definition sees."""
    if isinstance(definition, FunctionType):
        return definition.__globals__
    for member in vars(definition).values():
        inner = inspect.unwrap(member) if callable(member) else getattr(member, "__func__", None)
        if isinstance(inner, FunctionType) and inner.__module__ == definition.__module__:
            return inner.__globals__
    return vars(inspect.getmodule(definition)) if inspect.getmodule(definition) else {}


def _globals(table: symtable.SymbolTable) -> set[str]:
    found = {
        s.get_name()
        for s in table.get_symbols()
        if s.is_global() or (table.get_type() == "module" and s.is_referenced())
    }
    return found.union(*(_globals(child) for child in table.get_children()))


class _Bare(ast.NodeTransformer):
    """Takes annotations away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        value = node.value or ast.Constant(None)
        return ast.Assign([node.target], self.visit(value))


def _class_in_cell(cls: type) -> str:
    """A class of ``__main__`` in a notebook: Python looks for a file; its methods know the cell."""
    for member in vars(cls).values():
        function = getattr(member, "__func__", member)
        if not isinstance(function, FunctionType):
            continue
        lines = linecache.getlines(function.__code__.co_filename)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    return ""
