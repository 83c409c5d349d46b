"""Which modules a folder of code imports from elsewhere: read from its text, starting at the module that is served."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from .own import CODE
from .statements import Import, imports

_PACKAGE = "folder"
"""The folder as a package, in names: code in it may say ``from .helpers import x``."""
_MAX_SOURCE = 4 << 20
_MOST_FILES = 2000


@dataclass(frozen=True)
class Needs:
    """Top-level names of modules that are not in the folder; those of Python itself are among them."""

    certain: frozenset[str] = frozenset()
    """Without them the module cannot be imported."""
    possible: frozenset[str] = frozenset()
    """Imported in a function, under ``if`` or under ``try``: it may do without them."""


def needs_of(folder: Path, module: str) -> Needs:
    """What ``module`` imports, directly and by way of other modules of the folder. Nothing is imported or run.

    Args:
        folder: on the path where it is served, and a package too; so is its folder ``code``.
        module: as it is imported with the folder on the path. Modules that it does not reach do not count.
    """
    reading = _Reading(folder)
    reading.follow(Import(module))
    while reading.pending:
        reading.read(*reading.pending.pop())
    certain = frozenset(name for name, is_certain in reading.outside.items() if is_certain)
    return Needs(certain, frozenset(reading.outside) - certain)


class _Reading:
    def __init__(self, folder: Path) -> None:
        self.outside: dict[str, bool] = {}
        self.pending: list[tuple[Path, str, bool]] = []
        self._folder = folder
        self._roots = [folder, folder / CODE]
        self._read: dict[Path, bool] = {}

    def follow(self, one: Import) -> None:
        """Find what an import statement names: in the folder, or elsewhere."""
        if one.module == _PACKAGE or one.module.startswith(f"{_PACKAGE}."):
            roots, parts = [self._folder], one.module.split(".")[1:]
            prefix = _PACKAGE
        else:
            roots, parts = self._roots, one.module.split(".")
            prefix = ""
        root = next((r for r in roots if not parts or _exists(r / parts[0])), None)
        if root is None:
            if not prefix:
                self.outside[parts[0]] = self.outside.get(parts[0], False) or one.certain
            return
        paths = [parts[:end] for end in range(1, len(parts) + 1)]
        # What is taken may be a module or a name in one: where there is such a file, it is the file.
        for path in [*paths, *([*parts, name] for name in one.names)]:
            self._queue(root.joinpath(*path), ".".join([*([prefix] if prefix else []), *path]), one.certain)

    def read(self, file: Path, name: str, certain: bool) -> None:
        """Follow the imports of one file of the folder."""
        try:
            tree = ast.parse(file.read_bytes()) if file.stat().st_size <= _MAX_SOURCE else ast.Module([], [])
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
            return  # told where the folder is read to be logged, and when it is loaded
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        # A module at the top of the folder is also one of the folder as a package.
        for one in imports(tree, package or _PACKAGE):
            self.follow(Import(one.module, one.names, one.certain and certain))

    def _queue(self, place: Path, name: str, certain: bool) -> None:
        package = place / "__init__.py"
        file = package if package.is_file() else place.with_name(f"{place.name}.py")
        if not file.is_file() or len(self._read) > _MOST_FILES:
            return
        if file not in self._read or (certain and not self._read[file]):
            self._read[file] = certain
            self.pending.append((file, name, certain))


def _exists(place: Path) -> bool:
    return place.is_dir() or place.with_name(f"{place.name}.py").is_file()
