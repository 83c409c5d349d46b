"""What an environment is: one record that says all that making it, and telling of it, needs to know."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..config import Settings

Minor = tuple[int, int]
"""A version of Python, such as ``(3, 12)``."""


@dataclass(frozen=True)
class Platform:
    """A kind of system that has wheels of all the packages, and for which Pythons."""

    system: str
    """``Linux`` or ``Darwin``."""
    machines: tuple[str, ...]
    """In lower case, as ``platform.machine()`` has them."""
    at_least: tuple[int, ...]
    """The lowest glibc on Linux, the lowest macOS on Darwin."""
    minors: tuple[Minor, ...]
    """The Pythons, the preferred one first."""
    by_uv: tuple[Minor, ...] = ()
    """More of them, that the packages run with and whose metadata excludes them by an upper bound: pip keeps to that,
    uv does not."""


@dataclass(frozen=True)
class Base:
    """The interpreter that an overlay is laid beside."""

    python: str
    version: Minor

    @classmethod
    def running(cls) -> Base:
        """This process's own."""
        return cls(sys.executable, (sys.version_info[0], sys.version_info[1]))

    @property
    def dotted(self) -> str:
        """Its version, such as ``3.12``."""
        return "{}.{}".format(*self.version)


@dataclass(frozen=True)
class Ready:
    """An environment that is whole."""

    python: str
    """The interpreter to start programs with: the environment's own; for an overlay, the one that it lies beside."""
    folder: Path
    """The environment; for an overlay, what goes on ``PYTHONPATH``."""
    version: str = ""
    """What the smoke test has printed; empty for an environment that was made elsewhere."""
    megabytes: int = 0
    """Its size as it was made, where that is known."""


def _nothing(_: Settings) -> Ready | None:
    return None


@dataclass(frozen=True)
class Environment:
    """An environment that can be made. A program that brings one of its own calls ``environments.register``."""

    name: str
    """Such as ``mlserver``: what ``kale-serve-ext setup`` is given, and the folder's name."""
    title: str
    """Such as ``MLServer``, for a list."""
    purpose: str
    """What it is for: a sentence."""
    platforms: tuple[Platform, ...]
    """The first that fits a Python counts."""
    megabytes: int
    """Roughly what it takes on the disk, told before it is made."""
    smoke: str
    """A program that imports what matters and prints the version. An overlay's finds its packages by ``sys.path``, and
    every one its folder as ``sys.argv[1]``."""
    revision: str
    """Raise it when environments that an earlier release made must not be used any more: they are made anew."""
    requirements: tuple[str, ...] = ()
    """With bounds and, where needed, markers; installed with what they depend on."""
    without_dependencies: tuple[str, ...] = ()
    """Installed after those, and alone: all of an overlay's, and packages that depend on what is not wanted."""
    kind: Literal["private", "overlay"] = "private"
    """``private`` is a virtual environment of its own. ``overlay`` is a folder of packages for a given interpreter, one
    folder for each version of Python."""
    place: str = ""
    """The folder below the data directory, without the platform's name; ``environments/NAME`` where it is empty."""
    phrase: str = ""
    """The title inside of a sentence, where it is another, such as ``the metadata engine``."""
    installed: Callable[[Settings], Ready | None] = field(default=_nothing, compare=False)
    """An environment that is there without being made: one that the settings name, or the running one. It may raise
    ``EnvironmentUnavailableError``."""
    otherwise: str = ""
    """What else helps where the packages cannot be fetched; continues "Run … with a connection; or"."""
    instead: str = ""
    """What to do on a system that it cannot run on: a sentence."""

    @property
    def subject(self) -> str:
        """The title inside of a sentence."""
        return self.phrase or self.title

    @property
    def capitalized(self) -> str:
        """The title at the beginning of a sentence."""
        return self.subject[:1].upper() + self.subject[1:]

    def beside(self, base: Base | None = None) -> str:
        """The version of Python that an overlay beside ``base`` is for, such as ``3.12``: there is one folder for each.
        By default the running one's; empty for an environment of its own."""
        return (base or Base.running()).dotted if self.kind == "overlay" else ""

    def command(self, base: Base | None = None) -> str:
        """The command that makes it, with the interpreter where an overlay is for another version of Python than the
        running one."""
        made = f"kale-serve-ext setup {self.name}"
        if base is None or self.beside(base) == self.beside():
            return made
        return f"{made} --python {shlex.quote(base.python)}"
