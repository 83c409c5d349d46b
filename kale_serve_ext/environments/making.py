"""Making an environment and removing it: by one process at a time, wholly or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import Settings, make_dir
from ..errors import ConflictError, EnvironmentUnavailableError
from ..locks import locked_async
from . import installers, places, pythons, steps, usage
from .places import Marker, Note
from .record import Base, Environment, Ready

Progress = Callable[[str], None]

LIMIT = 900.0
"""Seconds that one step of making an environment may take, and as long is waited for another process that makes it;
longer for a large one."""
_SLOWEST = 6.0
"""Seconds for each megabyte of a large one."""
_REMOVING = 5.0
"""Seconds to wait for a lock that somebody only looks at."""
_CHECK = "import it"


async def ensure(
    settings: Settings, env: Environment, progress: Progress | None = None, base: Base | None = None
) -> Ready:
    """The environment, made where there is none. However many ask at once, in whichever process, it is made once.

    An outdated one is made anew in its place, once nothing runs in it any more.

    Args:
        progress: told a few words on what is being done.
        base: what an overlay is laid beside; the running interpreter by default.

    Raises:
        EnvironmentUnavailableError: it cannot be made here, and what to do.
        BackendUnavailableError: the data directory cannot be made.
    """
    found = places.ready(settings, env, base)
    if found is not None:
        return found
    place = places.folder(settings, env, base).absolute()
    make_dir(place.parent)
    told = progress or (lambda _: None)
    limit = max(LIMIT, _SLOWEST * env.megabytes)

    def waiting() -> None:
        told(f"Waiting for another process that installs {env.subject}")

    try:
        async with locked_async(places.lock_file(place), timeout=limit, waiting=waiting) as lock:
            found = places.ready(settings, env, base)
            if found is not None:
                return found
            await asyncio.to_thread(_check_left, env, place, base)
            return await _Making(env, place, base, told, lock, limit).made()
    except TimeoutError as error:
        raise EnvironmentUnavailableError(
            f"Another process has been installing {env.subject} for {limit:g} s.", hint=f"See {place}."
        ) from error
    except OSError as error:
        raise _unwritable(env, place, error) from error


async def remove(settings: Settings, env: Environment) -> bool:
    """Remove what was made of it; of an overlay, for every version of Python. Says whether there was anything.

    Whether something still runs in it is for the caller to know. What is left of a removal that was interrupted is
    without a marker, so nobody uses it.

    Raises:
        ConflictError: it is being installed or removed by another process.
        EnvironmentUnavailableError: it could not be removed.
    """
    found = False
    for place in places.folders(settings, env):
        lock = places.lock_file(place)
        try:
            async with locked_async(lock, timeout=_REMOVING):
                places.remove_marker(place)
                if place.exists():
                    await asyncio.to_thread(shutil.rmtree, place)
                places.remove_note(place)
                lock.unlink(missing_ok=True)
                found = True
        except TimeoutError as error:
            raise ConflictError(
                f"{env.capitalized} is being installed or removed by another process.",
                hint="Wait until that is done, then try again.",
            ) from error
        except OSError as error:
            raise EnvironmentUnavailableError(
                f"{env.capitalized} could not be removed from {place}: {error.strerror or error}.",
                hint="Check that the folder is writable, then try again.",
            ) from error
    return found


@dataclass(frozen=True)
class _Plan:
    """How an environment is begun, and what its packages are installed into."""

    begin: tuple[str, Sequence[str]]
    """What makes the empty environment: what it is for, and the command."""
    target: installers.Target
    only_uv: bool = False
    """Whether pip would refuse the packages for this Python."""


@dataclass
class _Making:
    """One environment that this process makes, under its lock."""

    env: Environment
    place: Path
    base: Base | None
    progress: Progress
    lock: int
    limit: float

    async def made(self) -> Ready:
        """Make it. What fails is noted for others to see, and nothing of it is left."""
        try:
            return await self._make()
        except (EnvironmentUnavailableError, steps.StepError, OSError) as error:
            failure = self._shaped(error)
            with contextlib.suppress(OSError):  # On a disk that is full or read-only the error itself is what counts.
                await self._clear()
                places.write_note(self.place, Note(failure.message, failure.hint, is_failure=True))
            if failure is error:
                raise
            raise failure from error
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                await self._clear()
            raise

    async def _make(self) -> Ready:
        plan = await (self._plan_overlay() if self.env.kind == "overlay" else self._plan_private())
        ways = await installers.ways(
            self.env,
            plan.target,
            only_uv=plan.only_uv,
            ask=lambda c: self._run("ask pip", c),
        )
        failure: steps.StepError | None = None
        for way in ways:
            self._tell(f"making its environment (once, about {self.env.megabytes} MB)")
            # What an interrupted attempt left, an older release made, or the way before: to an installer a package that
            # is there in part is there.
            await self._clear()
            await self._run(*plan.begin)
            self._tell("fetching its packages")
            try:
                for command in way.commands:
                    await self._run("fetch its packages", command, way)
            except steps.StepError as error:
                failure = failure or error
                if error.is_full:
                    break
            else:
                return await self._checked(plan.target)
        # The first failure is the one that is told.
        raise failure or RuntimeError("there is always a way")

    async def _checked(self, target: installers.Target) -> Ready:
        self._tell("checking it")
        version = await self._smoke(target)
        size = await asyncio.to_thread(_megabytes, self.place)
        places.write_marker(self.place, Marker(version, self.env.revision, size))
        places.remove_note(self.place)
        return Ready(target.python, self.place, version, size)

    async def _plan_private(self) -> _Plan:
        uv = installers.find_uv()
        choice, running = await pythons.choose(self.env, uv)
        if choice is None:
            raise self._unfit(running)
        target = installers.Target(str(self.place / "bin" / "python"))
        if choice.python is None:
            venv = [str(uv), "venv", "--no-project", "--python", choice.fetched, str(self.place)]
            return _Plan(("get a Python by uv", venv), target)
        # Without pip: ensurepip takes longer than all the rest, and Debian's Python does not have it.
        venv = [choice.python.path, "-I", "-m", "venv", "--without-pip", str(self.place)]
        return _Plan(("make its environment", venv), target, choice.only_uv)

    async def _plan_overlay(self) -> _Plan:
        base = self.base or Base.running()
        beside = await pythons.probe(base.python)
        if beside is None:
            raise EnvironmentUnavailableError(
                f"{base.python} does not answer as a Python interpreter.", hint="Choose another one."
            )
        fits = pythons.platform_of(self.env, beside)
        if fits is None:
            raise self._unfit(beside)
        make = [base.python, "-I", "-c", "import os, sys; os.mkdir(sys.argv[1])", str(self.place)]
        target = installers.Target(base.python, self.place)
        return _Plan(("make its folder", make), target, beside.version in fits.by_uv)

    async def _smoke(self, target: installers.Target) -> str:
        program = self.env.smoke
        if target.folder is not None:
            program = f"import sys\nsys.path.insert(0, sys.argv[1])\n{program}"
        said = await self._run(_CHECK, [target.python, "-I", "-c", program, str(self.place)])
        return (said.strip().splitlines() or [""])[-1]

    async def _run(self, what: str, command: Sequence[str], way: installers.Way | None = None) -> str:
        return await steps.run(
            what,
            command,
            environ=way.environ if way else installers.environ(),
            # Not the user's folder: Python would take a file there for a module of pip's, and uv read its settings.
            cwd=self.place.parent,
            seconds=self.limit,
            lock=self.lock,
            on_line=self._heard if way else None,
        )

    def _heard(self, line: str) -> None:
        """Tell which package an installer is at."""
        found = re.match(r"Downloading (\S+?)(?:-[0-9][^ ]*)? \((.+)\)$", line)
        if found and not line.endswith("kB)"):
            self._tell(f"downloading {found[1]} ({found[2]})")

    def _tell(self, doing: str) -> None:
        message = f"Installing {self.env.subject}: {doing}"
        places.write_note(self.place, Note(message))
        self.progress(message)

    async def _clear(self) -> None:
        """Leave nothing in the environment's place; the marker goes first."""
        with contextlib.suppress(FileNotFoundError):
            places.remove_marker(self.place)
            await asyncio.to_thread(shutil.rmtree, self.place)

    def _unfit(self, python: pythons.FoundPython) -> EnvironmentUnavailableError:
        message, hint = pythons.why_none(self.env, python)
        return EnvironmentUnavailableError(message, hint=hint)

    def _shaped(self, error: EnvironmentUnavailableError | steps.StepError | OSError) -> EnvironmentUnavailableError:
        """What failed, as a sentence about the environment, and the way out."""
        env, command = self.env, self.env.command(self.base)
        if isinstance(error, EnvironmentUnavailableError):
            return error
        if isinstance(error, OSError):
            return _unwritable(env, self.place, error)
        if error.is_full:
            hint = (
                f"Free about {env.megabytes} MB in {self.place.parent}, and as much in {tempfile.gettempdir()}, then"
                f" run `{command}`."
            )
        elif error.what == _CHECK:
            hint = f"Correct that on this system, then run `{command}`. {env.instead}".rstrip()
        else:
            otherwise = f"; or {env.otherwise}" if env.otherwise else ""
            hint = f"With a connection to a package index, run `{command}`{otherwise}."
        return EnvironmentUnavailableError(f"{env.capitalized} could not be installed {error}", hint=hint)


def _check_left(env: Environment, place: Path, base: Base | None) -> None:
    """Refuse to make one anew that something runs in: it would fail at whatever it imports next."""
    running = usage.users(place) if places.read_marker(place) else ""
    if running:
        raise EnvironmentUnavailableError(
            f"{env.capitalized} has to be installed anew for this release, and is in use by {running}.",
            hint=f"Stop the services and notebooks that use it, then run `{env.command(base)}`.",
        )


def _unwritable(env: Environment, place: Path, error: OSError) -> EnvironmentUnavailableError:
    return EnvironmentUnavailableError(
        f"{env.capitalized} could not be installed in {place}: {error.strerror or error}.",
        hint=f"Free about {env.megabytes} MB there, check that the folder is writable, then try again.",
    )


def _megabytes(folder: Path) -> int:
    """What a folder takes on the disk, in units of a million bytes."""
    taken = 0
    for parent, _, names in os.walk(folder):
        taken += sum(os.lstat(os.path.join(parent, name)).st_blocks for name in names)  # noqa: PTH118  # many files
    return round(taken * 512 / 1e6)
