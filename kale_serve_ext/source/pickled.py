"""Pickles that load elsewhere.

A pickle holds classes and functions by name. Those of a notebook (``__main__``) have no name in the process that loads
it: they go into the pickle itself, by value. Those of the user's own modules are found by name there too, as the files
of these modules travel beside the pickle. What installed distributions bring is recorded.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import own
from .origin import is_own, origin
from .own import OwnCode
from .statements import Import


@dataclass(frozen=True)
class PickledParts:
    """The modules whose classes and functions an object is made of."""

    modules: frozenset[str]
    """Top-level names of those that distributions bring, with what the own modules import."""
    by_value: frozenset[str]
    """Full names of those that only exist here, such as ``__main__``."""
    own: tuple[str, ...] = ()
    """Full names of the user's own modules that have to travel with it."""
    needs_cloudpickle: bool = False
    """Whether plain pickle cannot hold it."""


@dataclass(frozen=True)
class Packed:
    """A pickle that was written, with the own modules beside it."""

    modules: frozenset[str]
    """Top-level modules of distributions that loading it imports."""
    own: tuple[str, ...]
    """Full names of the user's own modules that were copied."""
    needs_cloudpickle: bool


def parts_of(obj: object) -> PickledParts:
    """Go through all that pickling ``obj`` would go through; large arrays are not copied.

    Raises:
        InvalidInputError: it needs a module of the user's own that cannot travel.
        Exception: whatever the object raises when it is pickled.
    """
    return _parts(_survey(obj))


def pack(obj: object, file: Path, code: Path) -> Packed:
    """Pickle to a file that ``pickle.load`` and ``joblib.load`` read, and copy the own modules that it needs.

    Args:
        obj: anything that can be pickled.
        file: where the pickle goes.
        code: the folder for the modules, to be on ``sys.path`` before the pickle is loaded. It is not made where
            there are none.

    Raises:
        InvalidInputError: it needs a module of the user's own that cannot travel.
        OSError: about the files.
        Exception: whatever the object raises when it is pickled.
    """
    seen = _survey(obj)
    parts = _parts(seen)
    with file.open("wb") as stream:
        if parts.needs_cloudpickle:
            dump_by_value(obj, stream, seen.registered)
        else:
            pickle.dump(obj, stream, protocol=pickle.HIGHEST_PROTOCOL)
    own.copy(seen.code, code)
    return Packed(parts.modules, parts.own, parts.needs_cloudpickle)


def dump(obj: object, path: Path) -> frozenset[str]:
    """Pickle to one file alone, by value what only exists here, own modules among it.

    Returns:
        The top-level modules that loading it imports.

    Raises:
        OSError: about the file.
        Exception: whatever the object raises when it is pickled.
    """
    seen = _survey(obj, alone=True)
    parts = _parts(seen)
    with path.open("wb") as file:
        if parts.needs_cloudpickle:
            dump_by_value(obj, file, seen.registered)
        else:
            pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)
    return parts.modules


@dataclass(frozen=True)
class _Survey:
    named: frozenset[str]
    by_value: frozenset[str]
    registered: frozenset[str]
    """Modules that cloudpickle has to be told to take by value."""
    code: OwnCode
    needs_cloudpickle: bool


def _survey(obj: object, *, alone: bool = False) -> _Survey:
    """What a pickle refers to; with ``alone`` own modules go by value instead of travelling as files."""
    from .spy import Spy

    registered: frozenset[str] = frozenset()
    while True:
        spy = Spy()
        with _by_value(registered):
            spy.dump(obj)
        more = {name for name in spy.named - registered if _goes_by_value(name, alone)}
        if not more:
            break
        registered |= more
    wanted = [Import(name) for name in sorted(spy.named - registered)]
    code = OwnCode() if alone else own.gather([*wanted, *spy.imports], spy.read)
    return _Survey(
        frozenset(spy.named),
        frozenset(spy.by_value | registered),
        registered,
        code,
        bool(spy.by_value) or bool(registered) or spy.holds_module,
    )


def _parts(seen: _Survey) -> PickledParts:
    named = {name.partition(".")[0] for name in seen.named if not is_own(name)}
    modules = (named | seen.code.modules) - sys.stdlib_module_names
    if seen.needs_cloudpickle:
        modules.add("cloudpickle")
    return PickledParts(frozenset(modules), seen.by_value, seen.code.names, seen.needs_cloudpickle)


def _goes_by_value(name: str, alone: bool) -> bool:
    found = origin(name)
    if found is None or not found.own or found.compiled is not None or name == "__main__":
        return False
    return alone or (found.file is None and not found.places)


def dump_by_value(obj: object, file: IO[bytes], modules: Set[str]) -> None:
    """Pickle with the classes and functions of ``__main__`` and of these modules inside.

    Loading needs cloudpickle, and nothing else of this process.
    """
    import cloudpickle

    with _by_value(modules):
        cloudpickle.dump(obj, file)


@contextmanager
def _by_value(modules: Set[str]) -> Iterator[None]:
    import cloudpickle

    already = cloudpickle.list_registry_pickle_by_value()  # by the user
    ours = [sys.modules[n] for n in sorted(modules - already) if n in sys.modules and n != "__main__" and is_own(n)]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)
