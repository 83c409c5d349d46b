"""Every format: this package's own, and those that other packages bring by entry points.

A package brings one with an entry point of the group :data:`GROUP` that names an object of a subclass of
:class:`~kale_serve_ext.formats.base.Format`. They are read when they are needed first, not on import. One that cannot
be loaded, or takes long for it, is named in the log and left out.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from . import (
    catboost,
    clusteronly,
    custom,
    function,
    huggingface,
    lightgbm,
    mlflow,
    onnx,
    pmml,
    pytorch,
    sklearn,
    tensorflow,
    triton,
    xgboost,
)
from .base import Content, Format

CODE: Format = custom.FORMAT
"""What anything else can be served as."""
GROUP = "kale_serve_ext.formats"
_OWN: tuple[Format, ...] = (
    sklearn.FORMAT,
    xgboost.FORMAT,
    lightgbm.FORMAT,
    catboost.FORMAT,
    onnx.FORMAT,
    pmml.FORMAT,
    mlflow.FORMAT,
    # Before what takes any module of PyTorch, or anything that can be called.
    huggingface.FORMAT,
    # A Keras model may be a PyTorch module too, by its backend.
    tensorflow.FORMAT,
    pytorch.FORMAT,
    triton.FORMAT,
    function.FORMAT,
    custom.FORMAT,
)
_LAST = (sklearn.FORMAT, custom.FORMAT, function.FORMAT)
"""Asked after all others: what wraps a library's model as an estimator is one of scikit-learn's too."""
_WITHIN = 5.0
"""Seconds that the formats of other packages have for loading, all together."""

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: tuple[tuple[str, ...], dict[str, Format], dict[str, str]] | None = None
"""The search path that was looked at, the formats found there by name, and the distributions that bring them."""

_T = TypeVar("_T")


def every() -> tuple[Format, ...]:
    """The formats that can be logged, in the order in which people are told of them."""
    return (*_OWN[:-1], *_others()[0].values(), _OWN[-1])


def known(name: str) -> Format | None:
    """The format of this name or alias, in any case; also one that only a cluster's runtimes serve."""
    wanted = name.strip().lower()
    if not wanted:
        return None
    # Other packages are imported only for a name that is not one of this package's own.
    if found := _named_so(_OWN, wanted):
        return found
    return _named_so((*_others()[0].values(), *clusteronly.FORMATS), wanted)


def can_be_logged(one: Format) -> bool:
    """Whether it is more than a name that a cluster's runtimes know."""
    return one not in clusteronly.FORMATS


def with_names() -> tuple[Format, ...]:
    """Every format, those too that only a cluster's runtimes serve."""
    logged = every()
    taken = {one.name for one in logged}
    return (*logged, *(one for one in clusteronly.FORMATS if one.name not in taken))


def served() -> tuple[str, ...]:
    """Names of the formats that this package's own model server loads; code is not among them."""
    return tuple(one.name for one in every() if one.server and not one.is_code)


def brought_by(one: Format) -> str:
    """The distribution of the package that brings the format; empty for this package's own."""
    return "" if one in _OWN or one in clusteronly.FORMATS else _others()[1].get(one.name, "")


def same_library(distribution: str) -> tuple[str, ...]:
    """The other distributions that bring the same library as this one."""
    groups = (group for one in every() for group in one.needs if distribution in group)
    return tuple(dict.fromkeys(name for group in groups for name in group if name != distribution))


def matching(obj: object) -> Format | None:
    """The format that saves this object."""
    return next((one for one in _by_precedence() if _asked(one, partial(one.matches, obj), False)), None)


def matching_path(path: Path) -> Format | None:
    """The format of which this file or folder as a whole is a model."""
    last = (custom.FORMAT, *(one for one in every() if one is not custom.FORMAT))
    return next((one for one in last if _asked(one, partial(one.matches_path, path), False)), None)


def recognised(path: Path, head: bytes) -> Content | None:
    """What a file is that is neither a pickle nor an archive, by the first format that knows its bytes."""
    for one in _by_precedence():
        nothing: Content | None = None
        if found := _asked(one, partial(one.recognise, path, head), nothing):
            return found
    return None


def of_library(module: str) -> Format | None:
    """The format of the pickled objects of a library, given by its top-level module."""
    return next((one for one in every() if module and module in one.libraries), None)


def _named_so(formats: Iterable[Format], wanted: str) -> Format | None:
    return next((one for one in formats if wanted == one.name or wanted in one.aliases), None)


def _by_precedence() -> Iterator[Format]:
    yield from (one for one in _OWN if one not in _LAST)
    yield from _others()[0].values()
    yield from _LAST


def _asked(one: Format, question: Callable[[], _T], otherwise: _T) -> _T:
    """The answer of a format; of another package's that fails, ``otherwise``."""
    if one in _OWN:
        return question()
    try:
        return question()
    except Exception as error:
        _log.warning("The model format %s of %s failed: %r", one.name, brought_by(one) or "another package", error)
        return otherwise


def _others() -> tuple[dict[str, Format], dict[str, str]]:
    """The formats of other packages; looked for again where the search path has changed."""
    global _loaded
    path = tuple(sys.path)
    with _lock:
        if _loaded is None or _loaded[0] != path:
            _loaded = (path, *_load())
        return _loaded[1:]


def _load() -> tuple[dict[str, Format], dict[str, str]]:
    made: dict[str, object] = {}
    points = list({(one.name, one.value): one for one in entry_points(group=GROUP)}.values())
    workers = [threading.Thread(target=_into, args=(made, one), daemon=True) for one in points]
    for worker in workers:
        worker.start()
    end = time.monotonic() + _WITHIN
    formats: dict[str, Format] = {}
    distributions: dict[str, str] = {}
    taken = {name for one in _OWN for name in (one.name, *one.aliases)}
    for point, worker in zip(points, workers, strict=True):
        worker.join(max(0.0, end - time.monotonic()))
        found = made.get(point.value, TimeoutError(f"it takes longer than {_WITHIN:.0f} s to load"))
        problem = _problem(found, taken)
        if problem or not isinstance(found, Format):
            _log.warning("The model format %s is left out: %s", _named(point), problem)
            continue
        formats[found.name] = found
        taken |= {found.name, *found.aliases}
        distributions[found.name] = point.dist.name if point.dist else ""
    return formats, distributions


def _into(made: dict[str, object], point: EntryPoint) -> None:
    try:
        made[point.value] = point.load()
    except BaseException as error:  # whatever its code raises when it is imported
        made[point.value] = error


def _problem(found: object, taken: set[str]) -> str:
    if isinstance(found, BaseException):
        return f"{type(found).__name__}: {found}" if not isinstance(found, TimeoutError) else str(found)
    if not isinstance(found, Format):
        return f"it is of the type {type(found).__name__}, and no object of {Format.__module__}.Format."
    told: list[object] = [found.name, found.title]
    if not all(isinstance(one, str) and one for one in told):
        return "it has no name or no title."
    if twice := taken & {found.name, *found.aliases}:
        return f"there is a format {sorted(twice)[0]!r} already."
    return ""


def _named(point: EntryPoint) -> str:
    return f"{point.name} ({point.value}) of {point.dist.name}" if point.dist else f"{point.name} ({point.value})"
