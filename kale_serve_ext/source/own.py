"""The user's own modules as files that travel: what is reached from some of them, and a copy of it."""

from __future__ import annotations

import ast
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path, PurePosixPath

from ..errors import InvalidInputError
from .datafiles import data_files
from .origin import Origin, origin
from .statements import Import, as_imported, imports
from .unchanged import functions_of, names_read, other_constants, says

CODE = "code"
"""The folder, beside a model or transformer, that holds the user's own modules. It is on the path where they run."""
_LARGEST = 4 << 20
_MOST_BYTES = 64 << 20
_MOST_MODULES = 2000
_INSTALL = "or install it as a package (pip install)"


@dataclass(frozen=True)
class OwnCode:
    """The user's own modules that something needs."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Where each module's source lies, by its full name; a package's is its ``__init__.py``."""
    packages: frozenset[str] = frozenset()
    """Which of them are packages."""
    data: Mapping[PurePosixPath, Path] = field(default_factory=dict)
    """Files that they read by way of ``__file__``, by where they lie among the modules."""
    modules: frozenset[str] = frozenset()
    """Top-level modules of Python and of installed distributions that they import."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))


def gather(start: Iterable[Import], read: Set[str] = frozenset()) -> OwnCode:
    """The own modules among ``start``, with all of the user's own that they import, in whatever part of their text.

    Imports that lead nowhere are left out: whether one is needed shows where the code is loaded.

    Args:
        start: what the code imports that travels otherwise, such as functions of a notebook.
        read: the names that this code reads.

    Raises:
        InvalidInputError: one has no source to copy, is no Python, or there is too much of it.
    """
    found = _Gathering()
    for one in start:
        found.follow(one)
    while found.pending:
        found.read(found.pending.pop())
    found.check_constants(read)
    return OwnCode(found.files, frozenset(found.packages), found.data, frozenset(found.outside))


def copy(code: OwnCode, folder: Path) -> None:
    """Copy the modules into ``folder``, which becomes a folder to put on the path; not made where there are none."""
    for name, file in code.files.items():
        target = folder.joinpath(*name.split("."))
        target = target / "__init__.py" if name in code.packages else target.with_name(f"{target.name}.py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for place, file in code.data.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def modules_in(folder: Path) -> tuple[str, ...]:
    """Full names of the modules in a folder that ``copy`` made, in order; none where there is no such folder."""
    files = (file.relative_to(folder) for file in folder.rglob("*.py"))
    names = (file.parent if file.name == "__init__.py" else file.with_suffix("") for file in files)
    return tuple(sorted(".".join(name.parts) for name in names))


class _Gathering:
    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.packages: set[str] = set()
        self.data: dict[PurePosixPath, Path] = {}
        self.outside: set[str] = set()
        self.pending: list[Origin] = []
        self._seen: dict[str, Origin | None] = {}
        self._bytes = 0
        self._read: set[str] = set()
        self._set_here: list[tuple[str, Path, list[str]]] = []

    def follow(self, one: Import) -> None:
        """Take what an import statement names, and the packages that it lies in."""
        module = self._take(one.module)
        if module is None or not module.own:
            return
        taken = _all_of(module) if "*" in one.names else one.names
        for name in taken:
            if module.package:
                self._take(f"{one.module}.{name}")

    def read(self, module: Origin) -> None:
        """Follow the imports in a module's text.

        Raises:
            InvalidInputError: it is no Python, or not what was imported here.
        """
        file = module.file
        if file is None:
            return
        package = module.name if module.package else module.name.rpartition(".")[0]
        tree = self._parsed(file, module.name)
        functions, constants = _differences(module.name, file, tree)
        if functions:
            raise _changed(module.name, file, functions + constants)
        if constants:
            self._set_here.append((module.name, file, constants))
        self._read |= names_read(tree)
        imported = as_imported(tree)
        for place, data in data_files(imported, file):
            if (size := data.stat().st_size) > _LARGEST:
                _warn_of_size(data, size)
                continue
            self._count(size, f"the file {data}")
            self.data[PurePosixPath(*package.split(".")) / place] = data
        for one in imports(imported, package):
            self.follow(one)

    def check_constants(self, read: Set[str]) -> None:
        """Constants that were set as a program ran make a difference where what travels reads them.

        Raises:
            InvalidInputError: they are read, in the modules or by one of these names.
        """
        for name, file, constants in self._set_here:
            if changed := set(constants) & (self._read | read):
                raise _changed(name, file, changed)

    def _take(self, name: str) -> Origin | None:
        if name in self._seen:
            return self._seen[name]
        parent = name.rpartition(".")[0]
        if parent:
            self._take(parent)
        found = self._seen[name] = origin(name)
        if found is None or name == "__main__":
            return None
        if not found.own:
            self.outside.add(found.top)
            return found
        if found.file is None and not found.places:
            raise _without_source(found)
        if found.file is not None:
            self.files[name] = found.file
            if found.package:
                self.packages.add(name)
            self.pending.append(found)
        return found

    def _parsed(self, file: Path, name: str) -> ast.Module:
        try:
            if file.stat().st_size > _LARGEST:
                raise InvalidInputError(
                    f"The module {name} cannot be included: {file} is larger than {_mib(_LARGEST)}.",
                    hint=f"Keep data in a file of its own or in the model, {_INSTALL}.",
                )
            text = file.read_bytes()
            self._count(len(text), f"{name} ({file})")
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(
                f"The module {name} cannot be included: {file} is not Python code: {error}.",
                hint="Fix it and try again.",
            ) from error

    def _count(self, size: int, what: str) -> None:
        self._bytes += size
        hint = f"Import less where the model's functions are defined, {_INSTALL}."
        if self._bytes > _MOST_BYTES:
            raise InvalidInputError(
                f"Your own modules and their files exceed {_mib(_MOST_BYTES)} in total; the last is {what}.",
                hint=hint,
            )
        if len(self.files) > _MOST_MODULES:
            raise InvalidInputError(
                f"More than {_MOST_MODULES} modules of your own would be included; the last is {what}.", hint=hint
            )


def _all_of(module: Origin) -> Iterator[str]:
    """The names in the ``__all__`` of a package: a star import imports the modules among them."""
    if module.file is None:
        return
    try:
        tree = ast.parse(module.file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return  # told when it is read itself
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _differences(name: str, file: Path, tree: ast.Module) -> tuple[list[str], list[str]]:
    """Functions and constants of a module in memory that are others than its file says."""
    module = sys.modules.get(name)
    if module is None or type(getattr(module, "__loader__", None)) is not SourceFileLoader:
        return [], []  # others, such as pytest's, change the code as they load it
    made = functions_of(vars(module), str(module.__file__))
    return says(file.read_bytes(), made), other_constants(tree, vars(module))


def _changed(name: str, file: Path, changed: Iterable[str]) -> InvalidInputError:
    """A copy of a file that says something else than what is in memory would answer otherwise than the notebook."""
    return InvalidInputError(
        f"{file} no longer matches the module {name} in memory: {_differ(changed)}.",
        hint="The file was edited since its import, or the module was changed here. Bring the file up to date, "
        "restart the kernel, or reload the module (importlib.reload), and run what uses it again.",
    )


def _differ(names: Iterable[str]) -> str:
    told = sorted(names)[:5]
    return f"{', '.join(told)} {'differs' if len(told) == 1 else 'differ'}"


def _warn_of_size(file: Path, size: int) -> None:
    warnings.warn(
        f"{file} ({_mib(size)}) is not included with the code that reads it: it is larger than {_mib(_LARGEST)}. "
        "Load it in the notebook and keep what is needed of it in the model, or use a folder.",
        stacklevel=2,
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.3g} MiB"


def _without_source(module: Origin) -> InvalidInputError:
    if module.compiled is not None:
        return InvalidInputError(
            f"The module {module.name} cannot be included: {module.compiled} is compiled for this machine.",
            hint="Install it as a package in the environment that serves the model.",
        )
    return InvalidInputError(
        f"The module {module.name} cannot be included: it has no source file.",
        hint=f"Write it to a file beside the notebook and import it from there, {_INSTALL}.",
    )
