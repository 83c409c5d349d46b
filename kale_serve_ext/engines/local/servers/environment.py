"""Where a server runs: its named environment, or its packages beside the model's own interpreter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ....config import Settings
from ....environments import Base, by_name, ready
from ....errors import EnvironmentUnavailableError
from ..interpreters import inspect
from .record import Server


class Place(NamedTuple):
    """What a server is started with."""

    python: str
    overlay: Path | None = None


Find = Callable[[Server, str], Awaitable[Place | None]]
""":func:`place` with the settings of this user."""


async def place(server: Server, python: str, settings: Settings) -> Place | None:
    """Where the server runs; None where its environment is not set up.

    Args:
        python: the model's own interpreter.

    Raises:
        NotFoundError: nobody has registered an environment of this name.
        EnvironmentUnavailableError: an overlay cannot be laid beside the interpreter, which does not run.
    """
    if not server.needs:
        return Place(python)
    base = await _base(python) if server.overlay else None
    found = await asyncio.to_thread(ready, settings, by_name(server.needs), base)
    if found is None:
        return None
    return Place(found.python, found.folder if server.overlay else None)


async def _base(python: str) -> Base:
    found = await inspect(python)
    if not found.ok:
        raise EnvironmentUnavailableError(found.message)
    major, minor, *_ = found.version.split(".")
    return Base(python, (int(major), int(minor)))
