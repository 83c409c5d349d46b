"""Where a server runs: its named environment, or its packages beside the model's own interpreter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ....config import Settings
from ....environments import Base, by_name, ensure, ready, state
from ....errors import EnvironmentUnavailableError
from ...base import Setup
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
    base = await base_of(python) if server.overlay else None
    found = await asyncio.to_thread(ready, settings, by_name(server.needs), base)
    if found is None:
        return None
    return Place(found.python, found.folder if server.overlay else None)


async def lacking(server: Server, python: str, settings: Settings) -> Setup | None:
    """What has to be installed before the server can run; None where nothing has to, or where the plan tells that the
    interpreter does not run.

    Raises:
        NotFoundError: nobody has registered an environment of this name.
    """
    if not server.needs:
        return None
    env = by_name(server.needs)
    try:
        base = await base_of(python) if server.overlay else None
    except EnvironmentUnavailableError:
        return None
    found = await asyncio.to_thread(state, settings, env, base)
    if found.state == "ready":
        return None
    return Setup(
        env.name,
        env.title,
        found.megabytes,
        found.state,
        found.message,
        found.hint,
        python=base.python if base else "",
        python_version=env.beside(base),
        command=env.command(base),
    )


async def install(server: Server, python: str, settings: Settings, on_progress: Callable[[str], None] | None) -> None:
    """Install the server's environment, if it has one that is not there.

    Raises:
        EnvironmentUnavailableError: it cannot be installed here, and what to do.
    """
    if server.needs:
        base = await base_of(python) if server.overlay else None
        await ensure(settings, by_name(server.needs), on_progress, base)


async def command(server: Server, python: str) -> str:
    """What sets the server up from a terminal.

    Raises:
        NotFoundError: nobody has registered an environment of this name.
        EnvironmentUnavailableError: an overlay cannot be laid beside the interpreter, which does not run.
    """
    return by_name(server.needs).command(await base_of(python) if server.overlay else None)


async def base_of(python: str) -> Base:
    """What an overlay is laid beside.

    Raises:
        EnvironmentUnavailableError: the interpreter does not run.
    """
    found = await inspect(python)
    if not found.ok:
        raise EnvironmentUnavailableError(found.message)
    major, minor, *_ = found.version.split(".")
    return Base(python, (int(major), int(minor)))
