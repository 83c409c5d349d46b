"""Which Python on this machine can run the metadata engine: one for which there is an ``ml-metadata`` wheel.

The wheels that exist (https://pypi.org/project/ml-metadata/#files): 1.17.1 for CPython 3.9-3.11 on x86-64 Linux with
glibc 2.17 or later; 1.21.0 for CPython 3.10-3.13 on x86-64 Linux with glibc 2.39 or later, and on arm64 macOS 11 or
later.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MINORS = (13, 12, 11, 10, 9)
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
    """What decides whether a wheel fits."""

    path: str
    version: tuple[int, int]
    system: str
    """``Linux``, ``Darwin`` or ``Windows``."""
    machine: str
    """In lower case: ``x86_64``, ``arm64``, ``aarch64``, ``amd64``."""
    implementation: str = "cpython"
    libc: tuple[str, str] = ("", "")
    """Such as ``("glibc", "2.36")``; a name other than ``glibc`` is a system without these wheels."""
    macos: str = ""
    free_threaded: bool = False


def wheel_for(python: FoundPython) -> str | None:
    """The newest version of ``ml-metadata`` that has a wheel for this interpreter, or None."""
    if python.implementation != "cpython" or python.free_threaded:
        return None
    if python.system == "Linux" and python.machine in ("x86_64", "amd64") and python.libc[0] == "glibc":
        glibc = _numbers(python.libc[1])
        if glibc >= (2, 39) and (3, 10) <= python.version <= (3, 13):
            return "1.21.0"
        if glibc >= (2, 17) and (3, 9) <= python.version <= (3, 11):
            return "1.17.1"
    if python.system == "Darwin" and python.machine == "arm64" and _numbers(python.macos) >= (11,):
        return "1.21.0" if (3, 10) <= python.version <= (3, 13) else None
    return None


def why_none(running: FoundPython) -> tuple[str, str]:
    """The sentence, and what to do, where ``running`` and no other interpreter found has a wheel."""
    remote = "Use an MLMD server instead: set KALE_SERVE_METADATA=grpc://HOST:PORT"
    where = f"{running.system} on {running.machine}"
    if not any(
        wheel_for(FoundPython("", (3, m), running.system, running.machine, "cpython", running.libc, running.macos))
        for m in MINORS
    ):
        libc = "" if running.system != "Linux" or running.libc[0] == "glibc" else " without glibc"
        return (
            f"The embedded metadata engine cannot run here: ml-metadata has no wheel for {where}{libc}.",
            f"{remote}.",
        )
    return (
        "The embedded metadata engine cannot run with the Pythons found here: ml-metadata has no wheel for"
        f" Python {running.version[0]}.{running.version[1]} on this system ({' '.join(running.libc)}), nor is there an"
        " older Python (3.9 to 3.11) or uv to get one.",
        f"Install Python 3.11, or uv, and run `kale-serve-ext setup`. {remote}.",
    )


async def find_python() -> tuple[FoundPython | None, FoundPython]:
    """The interpreter to make the engine's environment from (the running one where it will do), and the running one.

    The first is None where none was found.
    """
    running = await probe(sys.executable)
    if running is None:
        running = FoundPython(sys.executable, sys.version_info[:2], sys.platform.capitalize(), "")
    if wheel_for(running):
        return running, running
    for path in candidates():
        found = await probe(path)
        if found is not None and wheel_for(found):
            return found, running
    return None, running


def candidates() -> Iterator[str]:
    """Other interpreters of this machine, the newest first, each file once."""
    roots = [
        *(Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p),
        Path(sys.base_prefix, "bin"),
        *(Path(p) for p in ("/usr/local/bin", "/usr/bin", "/opt/conda/bin", "/opt/homebrew/bin")),
        *_installations(Path(os.environ.get("PYENV_ROOT", "") or Path.home() / ".pyenv") / "versions"),
        *_installations(Path.home() / ".local/share/uv/python"),
    ]
    seen = {os.path.realpath(sys.executable)}
    for name in [*(f"python3.{minor}" for minor in MINORS), "python3"]:
        for root in roots:
            path = shutil.which(name, path=str(root))
            if path is not None and os.path.realpath(path) not in seen:
                seen.add(os.path.realpath(path))
                yield path


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


def find_uv() -> str | None:
    """uv, beside the running interpreter or on PATH."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def _installations(folder: Path) -> list[Path]:
    return sorted((p / "bin" for p in folder.glob("*/") if p.is_dir()), reverse=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
