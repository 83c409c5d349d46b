"""Which Python on this machine an environment can be made from."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .record import Environment, Minor, Platform

PROBE_TIME = 20.0
"""Seconds that an interpreter may take to say what it is."""

_PROBE = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": list(sys.version_info[:2]),
    "implementation": sys.implementation.name,
    "system": platform.system(),
    "machine": platform.machine().lower(),
    "libc": list(platform.libc_ver()),
    "macos": platform.mac_ver()[0],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True)
class FoundPython:
    """What decides whether packages fit."""

    path: str
    version: Minor
    system: str
    """``Linux``, ``Darwin`` or ``Windows``."""
    machine: str
    """In lower case: ``x86_64``, ``arm64``, ``aarch64``, ``amd64``."""
    implementation: str = "cpython"
    libc: tuple[str, str] = ("", "")
    """Such as ``("glibc", "2.36")``; a name other than ``glibc`` is a system without these wheels."""
    macos: str = ""
    free_threaded: bool = False


@dataclass(frozen=True)
class Choice:
    """What an environment is made from."""

    python: FoundPython | None
    """An interpreter of this machine; None where uv is to get one."""
    fetched: str = ""
    """The version of Python that uv is to get, such as ``3.11``; empty where one was found."""
    only_uv: bool = False
    """Whether pip would refuse the packages for this Python."""


def platform_of(env: Environment, python: FoundPython) -> Platform | None:
    """The record's first platform that is this interpreter's system and has its version; None where there is none."""
    wanted = (one for one in systems_of(env, python) if python.version in (*one.minors, *one.by_uv))
    return next(wanted, None)


def systems_of(env: Environment, python: FoundPython) -> list[Platform]:
    """The record's platforms that are this interpreter's system, whatever its version."""
    if python.implementation != "cpython" or python.free_threaded:
        return []
    if python.system == "Linux":
        level = _numbers(python.libc[1]) if python.libc[0] == "glibc" else ()
    else:
        level = _numbers(python.macos)
    return [
        one
        for one in env.platforms
        if (one.system, python.machine in one.machines) == (python.system, True) and level >= one.at_least
    ]


async def choose(env: Environment, uv: str | None) -> tuple[Choice | None, FoundPython]:
    """What to make the environment from, and the running interpreter; None where there is nothing.

    The running one comes first, then the others of this machine in the record's order, then those that only uv
    installs for, then one that uv gets.
    """
    running = await probe(sys.executable)
    if running is None:
        running = FoundPython(sys.executable, (sys.version_info[0], sys.version_info[1]), sys.platform.capitalize(), "")
    found = [running]
    if _is_declared(env, running):
        return Choice(running), running
    for path in candidates(env):
        other = await probe(path)
        if other is None:
            continue
        if _is_declared(env, other):
            return Choice(other), running
        found.append(other)
    if uv is None:
        return None, running
    for one in found:
        if platform_of(env, one):
            return Choice(one, only_uv=True), running
    systems = systems_of(
        env, FoundPython("", (0, 0), running.system, running.machine, "cpython", running.libc, running.macos)
    )
    if not systems:
        return None, running
    return Choice(None, fetched=_dotted(systems[0].minors[0])), running


def why_none(env: Environment, running: FoundPython) -> tuple[str, str]:
    """The sentence, and what to do, where an environment can be made neither with ``running`` nor with another Python.
    Also for an overlay that does not fit ``running``."""
    here = FoundPython("", (0, 0), running.system, running.machine, "cpython", running.libc, running.macos)
    systems = systems_of(env, here)
    if not systems:
        where = f"{running.system} on {running.machine}"
        if running.system == "Linux":
            where += " with glibc {1}".format(*running.libc) if running.libc[0] == "glibc" else " without glibc"
        return f"{env.capitalized} cannot run here: there are no wheels for {where}.", env.instead
    minors = sorted({minor for one in systems for minor in one.minors})
    span = f"{_dotted(minors[0])} to {_dotted(minors[-1])}" if len(minors) > 1 else _dotted(minors[0])
    libc = f" ({' '.join(running.libc)})" if running.libc[0] else ""
    if env.kind == "overlay":
        return (
            f"{env.capitalized} cannot run with {running.path}: that is Python {_dotted(running.version)}, and it has"
            f" wheels for Python {span} on this system{libc}.",
            env.instead,
        )
    preferred = _dotted(systems[0].minors[0])
    return (
        f"{env.capitalized} cannot run with the Pythons found here: there are no wheels for Python"
        f" {_dotted(running.version)} on this system{libc}, nor is there another Python ({span}) or uv to get one.",
        f"Install Python {preferred}, or uv, and run `{env.command()}`. {env.instead}".rstrip(),
    )


def candidates(env: Environment) -> Iterator[str]:
    """Other interpreters of this machine, in the record's order of preference, each file once."""
    roots = [
        *(Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p),
        Path(sys.base_prefix, "bin"),
        *(Path(p) for p in ("/usr/local/bin", "/usr/bin", "/opt/conda/bin", "/opt/homebrew/bin")),
        *_installations(Path(os.environ.get("PYENV_ROOT", "") or Path.home() / ".pyenv") / "versions"),
        *_installations(Path.home() / ".local/share/uv/python"),
    ]
    minors = [*(m for one in env.platforms for m in one.minors), *(m for one in env.platforms for m in one.by_uv)]
    seen = {os.path.realpath(sys.executable)}
    for name in [*(f"python{_dotted(minor)}" for minor in dict.fromkeys(minors)), "python3"]:
        for root in roots:
            path = shutil.which(name, path=str(root))
            if path is not None and os.path.realpath(path) not in seen:
                seen.add(os.path.realpath(path))
                yield str(Path(path).absolute())


async def probe(path: str) -> FoundPython | None:
    """Ask an interpreter what it is; None where it does not answer, as a pyenv shim without a version does."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(path, "-I", "-c", _PROBE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        text, _ = await asyncio.wait_for(process.communicate(), PROBE_TIME)
        told = json.loads(text)
    except (asyncio.TimeoutError, ValueError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return FoundPython(
        path=path,
        version=(told["version"][0], told["version"][1]),
        system=told["system"],
        machine=told["machine"],
        implementation=told["implementation"],
        libc=(told["libc"][0], told["libc"][1]),
        macos=told["macos"],
        free_threaded=told["free_threaded"],
    )


def _is_declared(env: Environment, python: FoundPython) -> bool:
    return any(python.version in one.minors for one in systems_of(env, python))


def _installations(folder: Path) -> list[Path]:
    return sorted((p / "bin" for p in folder.glob("*/") if p.is_dir()), reverse=True)


def _dotted(minor: Minor) -> str:
    return f"{minor[0]}.{minor[1]}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
