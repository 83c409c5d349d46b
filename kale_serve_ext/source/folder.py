"""What a folder of Python code defines, read from its source: nothing in it is imported or run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInputError
from .own import CODE

_MODEL = frozenset({"kserve.Model", "kserve.model.Model"})
_MAX_SOURCE = 4 << 20


@dataclass(frozen=True)
class Module:
    """One ``.py`` file."""

    name: str
    """As it is imported with the folder on the path: ``transformer``, ``inner.model``."""
    classes: dict[str, tuple[str, ...]]
    """Top-level classes, with their bases as dotted names."""
    names: frozenset[str]
    """All that is bound at the top level."""
    imports: frozenset[str]
    """Top-level names of the modules that it imports, its own folder's left out."""
    protocol: str = ""
    """The text assigned to ``protocol``, where there is one."""


@dataclass(frozen=True)
class ModelClass:
    """A subclass of ``kserve.Model``."""

    module_name: str
    class_name: str


def read_module(folder: Path, name: str) -> Module:
    """Parse the module ``name`` of a folder: a file, or a package's ``__init__.py``.

    Raises:
        InvalidInputError: there is no such file, or it is not Python.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidInputError(
            f"{name[:200]!r} is not the name of a module.",
            hint='Write "module" or "package.module".',
            field="module_name",
        )
    relative = Path(*name.split("."))
    found = [p for p in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py") if p.is_file()]
    if not found:
        raise InvalidInputError(
            f"The folder {folder} holds no module {name} (no {relative.with_suffix('.py')}).",
            hint="Check module_name and the folder.",
        )
    return _parse(found[0], name)


def read_modules(folder: Path, *, strict: bool = True) -> list[Module]:
    """Parse every module at the top of a folder; those that are no Python are left out unless ``strict``.

    Raises:
        InvalidInputError: one is no Python.
    """
    return list(_parsed(sorted(folder.glob("*.py")), strict))


def imports_of(folder: Path) -> frozenset[str]:
    """Top-level modules that the folder's code imports from elsewhere, those of Python itself left out."""
    modules = list(_parsed(sorted(folder.rglob("*.py")), strict=False))
    beside = folder / CODE
    own = {path.stem for place in (folder, beside) if place.is_dir() for path in place.iterdir()}
    used = {name for module in modules for name in module.imports}
    return frozenset(used - own - sys.stdlib_module_names)


def model_classes(modules: Sequence[Module]) -> list[ModelClass]:
    """The subclasses of ``kserve.Model`` that no other class of these modules is derived from."""
    bases = {
        f"{module.name}.{name}": [b if "." in b else f"{module.name}.{b}" for b in named]
        for module in modules
        for name, named in module.classes.items()
    }
    own = [full for full in bases if _is_model(full, bases, ())]
    derived_from = {base for full in own for base in bases[full]}
    return [ModelClass(*full.rpartition(".")[::2]) for full in own if full not in derived_from]


def _parsed(paths: Sequence[Path], strict: bool) -> Iterator[Module]:
    for path in paths:
        try:
            if path.is_file():
                yield _parse(path, path.stem)
        except InvalidInputError:
            if strict:
                raise


def _is_model(name: str, bases: dict[str, list[str]], seen: tuple[str, ...]) -> bool:
    if name in _MODEL:
        return True
    return name not in seen and any(_is_model(base, bases, (*seen, name)) for base in bases.get(name, ()))


def _parse(path: Path, name: str) -> Module:
    try:
        if path.stat().st_size > _MAX_SOURCE:
            raise InvalidInputError(f"{path} is too large to be Python code.", hint="Check the folder.")
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{path} is not Python code: {error}.", hint="Fix it and try again.") from error
    top = list(_top_level(tree.body))
    known = dict(_imported(tree))
    stars = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and _is_star(node)]
    return Module(
        name=name,
        classes={
            node.name: tuple(_full(ast.unparse(base), known, stars) for base in node.bases)
            for node in top
            if isinstance(node, ast.ClassDef)
        },
        names=frozenset(bound for node in top for bound in _bound(node)),
        imports=frozenset(_outside(tree)),
        protocol=_text(top, "protocol"),
    )


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those under ``if`` and ``try`` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _top_level(node.body)
            if not isinstance(node, ast.With):
                yield from _top_level(node.orelse)
            if isinstance(node, ast.Try):
                yield from _top_level([s for handler in node.handlers for s in handler.body])


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that imports bind, with what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}" if node.module else alias.name


def _full(name: str, known: dict[str, str], stars: Sequence[str | None]) -> str:
    first, dot, rest = name.partition(".")
    if first in known:
        return f"{known[first]}{dot}{rest}"
    return f"kserve.{name}" if name == "Model" and "kserve" in stars else name


def _is_star(node: ast.ImportFrom) -> bool:
    return any(alias.name == "*" for alias in node.names)


def _outside(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _text(top: Sequence[ast.stmt], name: str) -> str:
    for node in reversed(top):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) and name in set(_bound(node)) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""
