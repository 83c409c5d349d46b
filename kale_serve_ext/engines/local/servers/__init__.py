"""Model servers of this machine: a file each, and what other packages add by the entry point group
``kale_serve_ext.servers``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points

from . import kserve, mlserver, tfserving, torchserve, transformers_serve, triton
from .record import Server

GROUP = "kale_serve_ext.servers"


def ours() -> tuple[Server, ...]:
    """In the order in which they are offered."""
    return (
        kserve.server(),
        *kserve.with_overlays(),
        mlserver.SERVER,
        triton.SERVER,
        tfserving.SERVER,
        torchserve.SERVER,
        transformers_serve.SERVER,
    )


def of_runtime(runtime: str) -> Server | None:
    """The server that takes the place of a runtime, whose name may be followed by ``--KERNEL``; None where none does.

    Those of other packages are loaded when it is none of ours.
    """
    name = runtime.partition("--")[0]
    known = next((one for one in ours() if one.stands_for(name)), None)
    return known or next((one for one in _added()[0].values() if one.stands_for(name)), None)


def named(name: str) -> Server:
    """The server of this name, which a launch has."""
    return next((one for one in ours() if one.name == name), None) or _added()[0][name]


def everyone() -> list[Server]:
    return [*ours(), *_added()[0].values()]


def broken() -> Mapping[str, str]:
    """Those of other packages that cannot be used, by the name of their entry point, and why."""
    return _added()[1]


def forget() -> None:
    """Look for those of other packages again."""
    _added.cache_clear()


@functools.cache
def _added() -> tuple[dict[str, Server], dict[str, str]]:
    """What other packages bring, by name, and what of it is left out."""
    found: dict[str, Server] = {}
    faults: dict[str, str] = {}
    taken = {name for one in ours() for name in (one.name, *(each.name for each in one.runtimes))}
    for point in entry_points(group=GROUP):
        try:
            made = point.load()
        except Exception as error:  # whatever somebody else's module does when it is imported
            faults[point.name] = f"{type(error).__name__}: {error}"
            continue
        if not isinstance(made, Server):
            faults[point.name] = f"{point.value} is no kale_serve_ext Server."
            continue
        names = {made.name, *(one.name for one in made.runtimes)}
        if names & taken:
            faults[point.name] = f"The name {sorted(names & taken)[0]} is taken."
            continue
        taken |= names
        found[made.name] = made
    for name, why in faults.items():
        sys.stderr.write(f"The model server {name} is left out: {why}\n")
    return found, faults
