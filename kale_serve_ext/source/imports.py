"""Which import statement gives a name that a function uses."""

from __future__ import annotations

import ast
import keyword
import linecache
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

from .origin import origin


def import_line(name: str, value: object, seen: Mapping[str, object], used: frozenset[str]) -> str:
    """The statement that binds ``name`` to ``value`` in a fresh process; empty when there is none.

    Args:
        name: as the function calls it.
        value: what it stands for here.
        seen: the function's globals: the cells of a notebook and the module's own file are looked up there.
        used: dotted names that the function uses, so that ``scipy.sparse`` is imported where ``scipy`` alone is bound.
    """
    if isinstance(value, ModuleType):
        if not _is_there(value.__name__):
            return ""
        if value.__name__ != name:
            return f"import {value.__name__} as {name}"
        return "\n".join(f"import {module}" for module in sorted({name, *_submodules(used, name)}))
    for module, attribute in (*_written(name, seen), *_homes(name, value)):
        home = sys.modules.get(module)
        if home is not None and _is_there(module) and vars(home).get(attribute, seen) is value:
            return f"from {module} import {attribute}" + ("" if attribute == name else f" as {name}")
    return ""


def dotted_names(source: str) -> frozenset[str]:
    """Every ``a.b.c`` in the source."""
    return frozenset(
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and all(part.isidentifier() for part in ast.unparse(node).split("."))
    )


def _is_there(module: str) -> bool:
    """Whether the module can be imported elsewhere: it is installed, or the user's own and in a file."""
    found = origin(module)
    return found is not None and (not found.own or found.file is not None or bool(found.places))


def _submodules(used: frozenset[str], name: str) -> set[str]:
    return {u for u in used if u.startswith(f"{name}.") and isinstance(sys.modules.get(u), ModuleType)}


def _written(name: str, seen: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Statements of the user's that bind the name: in the notebook's cells so far, or in the module's file."""
    cells = seen.get("In")
    file = seen.get("__file__")
    texts = [c for c in cells if isinstance(c, str)] if isinstance(cells, list) else []
    if isinstance(file, str):
        texts.append("".join(linecache.getlines(file)))
    for text in reversed(texts):
        if name not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield from ((node.module, alias.name) for alias in node.names if (alias.asname or alias.name) == name)


def _homes(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Where a class or function says that it lives; the shortest, most public name first."""
    parts = str(getattr(value, "__module__", None) or "").split(".")
    names = [n for n in (getattr(value, "__name__", None), name) if isinstance(n, str)]
    for length in range(1, len(parts) + 1):
        for candidate in names:
            if candidate.isidentifier() and not keyword.iskeyword(candidate):
                yield ".".join(parts[:length]), candidate
