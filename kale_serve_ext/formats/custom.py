"""Custom code: a folder with a subclass of ``kserve.Model``, or such a class of a notebook written out to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ..errors import InvalidInputError
from ..estimators import lineage
from ..ml import JSON
from ..source.folder import ModelClass, imports_of, model_classes, read_modules
from ..source.functional import write_module
from ..source.objects import Definition
from . import smallfiles
from .base import Format, Server, distributions

_MODULE = "model"
_REQUIREMENTS = "requirements.txt"
_LARGEST = 1 << 20
"""Bytes of a list of requirements."""


class _Custom(Format):
    name = "custom"
    title = "custom code"
    aliases = ("kserve", "python")
    needs = (("kserve",),)
    server = Server("kserve-customserver", "KServe custom server")
    is_code = True

    def matches(self, obj: object) -> bool:
        known = {"kserve.model.Model", "kserve.Model"}
        return bool(known & (lineage(obj) - {_full_name(obj)}))

    def matches_path(self, path: Path) -> bool:
        """Whether this file or folder is such code."""
        if path.is_file() and path.suffix != ".py":
            return False
        try:
            return bool(_classes(path))
        except InvalidInputError:  # not Python: then not this
            return False

    def save(self, obj: object, directory: Path) -> None:
        """Write the class out. Of an instance too only the class: its ``load()`` runs anew where it is served."""
        cls = obj if isinstance(obj, type) else type(obj)
        write_module(directory, _MODULE, {cls.__name__: cast(Definition, cls)}, {}, assets_field="transformer_assets")

    def packages_in(self, path: Path, obj: object | None) -> tuple[str, ...]:
        return code_packages(path.parent if path.is_file() else path)

    def check(self, directory: Path) -> list[str]:
        try:
            found = _classes(directory)
        except InvalidInputError as error:
            return [error.message]
        if not found:
            return ["There is no subclass of kserve.Model in the .py files at the top of the folder."]
        if len(found) > 1:
            names = ", ".join(f"{c.module_name}.{c.class_name}" for c in found)
            return [f"There are several subclasses of kserve.Model ({names}): keep one, or put it in model.py."]
        return []

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        (found,) = _classes(directory)
        return {
            "module_name": found.module_name,
            "class_name": found.class_name,
            "requirements": list(_requirements(directory / _REQUIREMENTS)),
        }


FORMAT = _Custom()


def code_packages(directory: Path) -> tuple[str, ...]:
    """The distributions that a folder of code needs: kserve, what it imports here, and what it requires by name."""
    pickled = ["cloudpickle"] if (directory / "assets").is_dir() else []
    needed = {"kserve", "numpy", *distributions(imports_of(directory)), *requirements_of(directory), *pickled}
    return tuple(sorted(needed))


def requirements_of(directory: Path) -> tuple[str, ...]:
    """The names of the distributions in the folder's ``requirements.txt``; none where it has no such file."""
    named = (re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in _requirements(directory / _REQUIREMENTS))
    return tuple(name for name in named if name)


def _full_name(obj: object) -> str:
    return f"{obj.__module__}.{obj.__qualname__}" if isinstance(obj, type) else ""


def _classes(path: Path) -> list[ModelClass]:
    """The candidates; the one in model.py where that has exactly one."""
    folder = path if path.is_dir() else path.parent
    modules = [m for m in read_modules(folder) if path.is_dir() or m.name == path.stem]
    found = model_classes(modules)
    preferred = [c for c in found if c.module_name == _MODULE]
    return preferred if len(preferred) == 1 else found


def _requirements(path: Path) -> list[str]:
    """The lines that name a distribution. Options are left out: an index's address may hold a password."""
    try:
        lines = smallfiles.content(path, _LARGEST).decode().splitlines()
    except (OSError, ValueError):
        return []
    bare = (line.partition(" #")[0].strip() for line in lines)
    return [line for line in bare if line and not line.startswith(("#", "-")) and "://" not in line]
