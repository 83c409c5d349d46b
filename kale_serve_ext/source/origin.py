"""Where a module comes from: Python, an installed distribution, or the user's own folder."""

from __future__ import annotations

import importlib.machinery
import sys
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from .installed import is_installed

_SOURCE = ".py"
_CYTHON = "_cython_"


@dataclass(frozen=True)
class Origin:
    """A module that exists here."""

    name: str
    own: bool
    """Whether it is the user's: of no distribution and not of Python. ``__main__`` is."""
    file: Path | None = None
    """Its source, where that is a file; of a package its ``__init__.py``."""
    package: bool = False
    compiled: Path | None = None
    """The file of a module that is an extension in machine code."""
    places: tuple[Path, ...] = ()
    """The folders that the modules of a package are looked for in."""

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def origin(name: str) -> Origin | None:
    """Where the module comes from, as it is loaded, or as it would be found. Nothing is imported; None: not found."""
    if name == "__main__":
        return Origin(name, own=True)
    if not all(name.split(".")):
        return None
    module = sys.modules.get(name)
    if isinstance(module, ModuleType):
        spec = getattr(module, "__spec__", None)
        path = getattr(module, "__file__", None) or (spec.origin if spec and spec.has_location else None)
        places = _places(getattr(module, "__path__", None))
        # A module may be found by several names, as posixpath is by os.path.
        real = module.__name__ if sys.modules.get(module.__name__) is module else name
        return replace(_origin(real, path, places, made=spec is None or spec.loader is None), name=name)
    spec = _find(name)
    if spec is None:
        return None
    return _origin(name, spec.origin if spec.has_location else None, _places(spec.submodule_search_locations))


def is_own(name: str) -> bool:
    """Whether the module is the user's: neither of Python nor of an installed distribution."""
    found = origin(name)
    return found is not None and found.own


def of_cython(name: str) -> bool:
    """Whether a module is one that compiled code makes for the types that its functions share, ``_cython_3_2_4``."""
    return name.startswith(_CYTHON)


def _origin(name: str, path: object, places: tuple[Path, ...] | None, *, made: bool = False) -> Origin:
    package = places is not None
    known = places or ()
    if not isinstance(path, str):
        if known:  # a package without __init__.py: of whoever all its folders are of
            own = not all(is_installed(name, place, _root(name, place)) for place in known)
            return Origin(name, own, package=True, places=known)
        # Built into Python, or made as a program ran: of whoever has made the package that it is in.
        top, dot, _ = name.partition(".")
        own = is_own(top) if dot else made and top not in sys.stdlib_module_names and not of_cython(top)
        return Origin(name, own, package=package)
    file = Path(path)
    own = not is_installed(name, file, _root(name, file.parent if package else file.with_suffix("")))
    if any(path.endswith(ending) for ending in importlib.machinery.EXTENSION_SUFFIXES):
        return Origin(name, own, package=package, compiled=file, places=known)
    source = file if file.suffix == _SOURCE and file.is_file() else None
    return Origin(name, own, source, package, places=known)


def _root(name: str, place: Path) -> Path:
    """The folder on the path, from the module's own file without its ending, or the package's folder."""
    for _ in name.split("."):
        place = place.parent
    return place


def _places(found: object) -> tuple[Path, ...] | None:
    if found is None:
        return None
    try:
        return tuple(Path(str(place)) for place in found)  # type: ignore[attr-defined]  # a list, or what acts like one
    except (TypeError, KeyError):  # of a package whose parent is gone
        return ()


def _find(name: str) -> ModuleSpec | None:
    """The spec, without importing the parents, which ``importlib.util.find_spec`` would."""
    parent, _, _ = name.rpartition(".")
    path: list[str] | None = None
    if parent:
        above = origin(parent)
        if above is None or not above.places:
            return None
        path = [str(place) for place in above.places]
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(name, path, None) if find else None
        except Exception:  # noqa: S112  # a finder of anybody's: what it cannot say, the next one may
            continue
        if isinstance(spec, ModuleSpec):
            return spec
    return None
