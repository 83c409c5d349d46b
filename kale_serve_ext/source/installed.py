"""What is installed: which distribution brings which top-level module, those installed in editable mode too."""

from __future__ import annotations

import json
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def distributions_of_modules() -> Mapping[str, list[str]]:
    """Distributions by the top-level modules that they bring."""
    return _known(_stamps())[0]


def is_installed(module: str, file: Path, root: Path) -> bool:
    """Whether a module is of a distribution or of Python.

    The folder counts, not the name alone: a file beside the notebook may have the name of a library.

    Args:
        module: its full name.
        file: where it lies.
        root: the folder on the path by which it is found.
    """
    real = file.resolve()
    if any(real.is_relative_to(place) or file.is_relative_to(place) for place in _places()):
        return True
    return (module.partition(".")[0], str(root.resolve())) in _known(_stamps())[1]


@lru_cache(maxsize=4)
def _known(_stamps: tuple[tuple[str, int], ...]) -> tuple[Mapping[str, list[str]], frozenset[tuple[str, str]]]:
    """Distributions by module; and (module, folder) of those that lie outside of Python's own folders."""
    known = {module: list(names) for module, names in metadata.packages_distributions().items()}
    outside: set[tuple[str, str]] = set()
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if not name:
            continue
        place = Path(str(one.locate_file(""))).resolve()
        found = dict.fromkeys(_editable(one), str(name))
        outside |= set(found)
        modules = {module for module, _ in found}
        if place not in _places() and one.read_text("RECORD") is not None:  # pip install --target
            outside |= {(module, str(place)) for module in _modules(one)}
        # Before 3.11 Python told only of distributions with a top_level.txt, which many build tools do not write.
        if sys.version_info < (3, 11) and not one.read_text("top_level.txt"):
            modules |= set(_modules(one))
        for module in modules:
            if name not in known.setdefault(module, []):
                known[module].append(name)
    return known, frozenset(outside)


def _modules(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        if len(file.parts) > 1:
            yield file.parts[0]
        elif file.suffix in (".py", ".so", ".pyd"):
            yield file.name.partition(".")[0]


def _editable(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """(module, folder) that a distribution in editable mode brings from its project."""
    project = _project(distribution)
    if project is None:
        return
    name = re.sub(r"[-_.]+", "_", str(distribution.metadata["Name"])).lower()
    named = {name, *(distribution.read_text("top_level.txt") or "").split()}
    for file in distribution.files or ():
        if file.suffix == ".py" and file.name.startswith("__editable__"):  # setuptools' table of what is where
            mapping = getattr(sys.modules.get(file.stem), "MAPPING", None)
            for module, place in (mapping if isinstance(mapping, dict) else {}).items():
                yield str(module).partition(".")[0], str(Path(str(place)).resolve().parent)
        elif file.suffix == ".pth":
            for root in _folders(Path(str(distribution.locate_file(file)))):
                # Beside a package at the top of its project lie notebooks and scripts, which it does not bring.
                tops = named if root == project else {*named, *(p.stem for p in root.iterdir())}
                yield from ((top, str(root)) for top in tops)


def _project(distribution: metadata.Distribution) -> Path | None:
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not told.get("dir_info", {}).get("editable"):
            return None
        return Path(url2pathname(urlsplit(str(told["url"])).path)).resolve()
    except (ValueError, KeyError, AttributeError):  # whoever wrote the file
        return None


def _folders(pth: Path) -> Iterator[Path]:
    """The folders that a ``.pth`` file adds to the path."""
    try:
        lines = pth.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        folder = pth.parent / line.strip()
        if line.strip() and not line.startswith(("import ", "import\t", "#")) and folder.is_dir():
            yield folder.resolve()


@lru_cache(maxsize=1)
def _places() -> frozenset[Path]:
    """The folders of Python's own library and of what is installed into it."""
    paths = sysconfig.get_paths()
    found = [paths[key] for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    found += [str(Path(os.__file__).parent), *site.getsitepackages(), site.getusersitepackages()]
    return frozenset(Path(p).resolve() for p in found if p)


def _stamps() -> tuple[tuple[str, int], ...]:
    """What changes when something is installed; a notebook's own folder changes all the time."""
    made = []
    for place in sys.path:
        path = Path(place)
        try:
            made.append((place, path.stat().st_mtime_ns if path.resolve() in _places() else 0))
        except OSError:
            made.append((place, 0))
    return tuple(made)
