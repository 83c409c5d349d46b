"""The command ``kale-serve-ext``: ``setup`` prepares the metadata engine ahead of time, ``health`` tells the state."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from . import __version__
from .config import Settings
from .errors import KaleServeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="kale-serve-ext", description="Log, serve and test models in JupyterLab, with KServe."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    setup = commands.add_parser(
        "setup",
        help="make the metadata engine's environment now instead of on first use",
        description="Makes the metadata engine's environment and starts the engine once, to prove that it works.",
    )
    setup.set_defaults(work=_setup)
    health = commands.add_parser("health", help="say how metadata, snapshot store and engine are doing")
    health.set_defaults(work=_health)
    work: Callable[[Settings], Awaitable[int]] = parser.parse_args(arguments).work
    try:
        return asyncio.run(_run(work))
    except KaleServeError as error:
        print(error, file=sys.stderr)
        return 1


async def _run(work: Callable[[Settings], Awaitable[int]]) -> int:
    return await work(Settings.from_environ())


async def _setup(settings: Settings) -> int:
    from .metadata import open_metadata

    metadata = open_metadata(settings, progress=lambda text: print(text, flush=True))
    try:
        await metadata.prepare()
        state, message, hint = await metadata.health()
    finally:
        await metadata.close()
    print(f"metadata: {state}. {message} {hint}".rstrip())
    return 0 if state == "ready" else 1


async def _health(settings: Settings) -> int:
    from .engines import open_engine
    from .engines.choice import decide
    from .metadata import open_metadata
    from .stores import open_store

    metadata = open_metadata(settings)
    decision = await asyncio.to_thread(decide, settings)
    info = decision.info
    engine = open_engine(settings, kind=info.kind, context=info.context, namespace=info.namespace)
    try:
        found = {"metadata": await metadata.health(), "store": await asyncio.to_thread(open_store(settings).health)}
        services = await engine.services()
        found["engine"] = ("ready", f"{info.kind}, {len(services)} services in {info.namespace}.", decision.reason)
    finally:
        await metadata.close()
        await engine.close()
    for name, (state, message, hint) in found.items():
        print(f"{name}: {state}. {message} {hint}".rstrip())
    return 0 if all(state != "error" for state, _, _ in found.values()) else 1
