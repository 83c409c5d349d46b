"""The command ``kale-serve-ext``: ``setup`` makes environments ahead of time, ``health`` tells the state,
``backup`` and ``restore`` keep models and their records safe."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .config import Settings
from .errors import EnvironmentUnavailableError, InvalidInputError, KaleServeError

if TYPE_CHECKING:
    from .backup import Report
    from .environments import Base, Environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="kale-serve-ext", description="Log, serve and test models in JupyterLab, with KServe."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    setup = commands.add_parser(
        "setup",
        help="make the environments of the metadata engine and of model servers now instead of on first use",
        description="Makes the environments named, by default that of the metadata engine, which it also starts once to"
        " check that it works.",
    )
    setup.add_argument("names", metavar="ENVIRONMENT", nargs="*", help="`setup --list` shows what there is")
    setup.add_argument(
        "--python",
        metavar="PATH",
        help="the interpreter to lay an overlay beside, such as that of the model's kernel; by default the one that"
        " runs this command",
    )
    what = setup.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the environments, their state and size")
    what.add_argument("--remove", action="store_true", help="remove the environments named")
    setup.set_defaults(work=_setup)
    health = commands.add_parser("health", help="show the health of metadata, snapshot store and engine")
    health.set_defaults(work=_health)
    backup = commands.add_parser(
        "backup",
        help="write the metadata and the snapshots of all models to a file",
        description="Writes metadata and snapshots to a tar file, even while models are being logged. Local services "
        "are not included: serve the models again.",
    )
    backup.add_argument("file", metavar="FILE", type=Path, help="where to write it")
    backup.add_argument("--without-snapshots", action="store_true", help="only the metadata, not the models' files")
    backup.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    backup.set_defaults(work=_backup)
    restore = commands.add_parser(
        "restore",
        help="restore what `backup` wrote",
        description="Restores metadata and snapshots from a backup and restarts the metadata engine.",
    )
    restore.add_argument("file", metavar="FILE", type=Path, help="a file that `backup` wrote")
    restore.add_argument(
        "--overwrite", action="store_true", help="even if models are recorded already; their database is kept aside"
    )
    restore.set_defaults(work=_restore)
    options = parser.parse_args(arguments)
    work: Callable[[Settings, argparse.Namespace], Awaitable[int]] = options.work
    try:
        return asyncio.run(_run(work, options))
    except KaleServeError as error:
        print(error, file=sys.stderr)
        return 1


async def _run(work: Callable[[Settings, argparse.Namespace], Awaitable[int]], options: argparse.Namespace) -> int:
    return await work(Settings.from_environ(), options)


async def _backup(settings: Settings, options: argparse.Namespace) -> int:
    from .backup import back_up

    file: Path = options.file.expanduser().absolute()
    made = back_up(settings, file, snapshots=not options.without_snapshots, overwrite=options.overwrite)
    size = f"{made.size / 1e6:,.1f} MB"
    print(f"Backed up {made.artifacts} artifacts and {made.snapshots} snapshots to {file} ({size}).")
    _tell_missing(made)
    return 0


async def _restore(settings: Settings, options: argparse.Namespace) -> int:
    from .backup import restore

    made = restore(settings, options.file.expanduser().absolute(), overwrite=options.overwrite)
    print(f"Restored {made.artifacts} artifacts and {made.snapshots} snapshots.")
    if made.kept is not None:
        print(f"The previous database is kept in {made.kept}.")
    _tell_missing(made)
    return 0


def _tell_missing(made: Report) -> None:
    if made.damaged:
        print(f"Left out, since their snapshots are damaged: {', '.join(made.damaged)}. Log these models again.")
    if made.missing:
        print(
            f"The snapshots of {made.missing} artifacts are damaged or not on this machine: those models cannot be"
            " served from here."
        )


async def _setup(settings: Settings, options: argparse.Namespace) -> int:
    from . import environments

    names: list[str] = options.names
    named = list({env.name: env for env in map(_environment, names)}.values())
    if options.remove and not named:
        raise InvalidInputError("No environment is named.", hint="`kale-serve-ext setup --list` shows what there is.")
    wanted = named or (environments.all() if options.list else [environments.by_name("metadata")])
    base = await _base(options, wanted) if options.python is not None else None
    if options.list:
        _list_environments(settings, wanted, base)
        return 0
    for env in wanted:
        if options.remove:
            environments.check_unused(settings, env)
            removed = await environments.remove(settings, env)
            print(f"{env.name}: removed." if removed else f"{env.name}: there was nothing to remove.")
        elif env.name == "metadata":
            if not await _setup_metadata(settings):
                return 1
        else:
            made = await environments.ensure(settings, env, _say, base)
            print(f"{env.name}: ready. {env.title} {made.version} is in {made.folder} ({made.megabytes} MB).")
    return 0


def _environment(name: str) -> Environment:
    """The environment of this name, or that of the runtime's server."""
    from . import environments
    from .engines.local import servers

    if any(one.name == name for one in environments.all()):
        return environments.by_name(name)
    server = servers.of_runtime(name)
    return environments.by_name(server.needs if server and server.needs else name)


async def _base(options: argparse.Namespace, wanted: Sequence[Environment]) -> Base:
    """The interpreter that overlays are to be laid beside.

    Raises:
        InvalidInputError: it does not run, or nothing is to be laid beside it.
    """
    from .engines.local.servers.environment import base_of

    if options.remove:
        hint = "Leave --python out: an environment is removed for every version of Python."
        raise InvalidInputError("`--remove` takes no interpreter.", hint=hint)
    others = [env.name for env in wanted if env.kind != "overlay"]
    if others and not options.list:
        hint = "Leave --python out, or name overlays alone."
        raise InvalidInputError(f"{others[0]} is an environment of its own, with a Python of its own.", hint=hint)
    try:
        return await base_of(_program(options.python))
    except EnvironmentUnavailableError as error:
        hint = "Give the path of a Python interpreter, such as the kernel's `sys.executable`."
        raise InvalidInputError(error.message, hint=hint) from error


def _program(given: str) -> str:
    """The path of a program that is named as in a shell."""
    path = str(Path(given).expanduser())
    return str(Path(shutil.which(path) or path).absolute())


async def _setup_metadata(settings: Settings) -> bool:
    from .metadata import open_metadata

    metadata = open_metadata(settings, progress=_say)
    try:
        await metadata.prepare()
        state, message, hint = await metadata.health()
    finally:
        await metadata.close()
    print(f"metadata: {state}. {message} {hint}".rstrip())
    return state == "ready"


def _list_environments(settings: Settings, listed: Sequence[Environment], base: Base | None) -> None:
    from . import environments

    found = [(env, environments.state(settings, env, base)) for env in listed]
    rows = [("NAME", "TITLE", "STATE", "SIZE")]
    for env, state in found:
        is_there = state.state in ("ready", "outdated")
        rows.append((env.name, env.title, state.state, f"{'' if is_there else 'about '}{state.megabytes} MB"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for env, state in found:
        if state.message:
            print(f"{env.name}: {state.message} {state.hint}".rstrip())


def _say(text: str) -> None:
    print(text, flush=True)


async def _health(settings: Settings, _: argparse.Namespace) -> int:
    from .engines import open_engine
    from .engines.selection import decide
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
