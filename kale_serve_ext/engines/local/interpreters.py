"""The Python interpreters that can run models: what they are, what they have installed, which kernels use them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .environ import inherited

_SECONDS = 20.0
_QUESTION = """
import importlib.metadata, json, sys
found = {}
for d in importlib.metadata.distributions():
    name = d.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-").replace(".", "-"), d.version)
places = [p for p in sys.path if p]
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "packages": found, "places": places}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One interpreter. ``packages`` holds versions by normalised distribution name (lower case, hyphens)."""

    python: str
    version: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    ok: bool = True
    message: str = ""
    """Why it cannot be used, where it cannot."""


@dataclass(frozen=True)
class _Known:
    interpreter: Interpreter
    stamps: tuple[tuple[str, int], ...]


_known: dict[str, _Known] = {}
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kale-serve-interpreters")


async def inspect(python: str) -> Interpreter:
    """What the interpreter is and has. Remembered until one of its package folders changes."""
    known = _known.get(python)
    if known and _stamps(path for path, _ in known.stamps) == known.stamps:
        return known.interpreter
    if not _is_program(python):
        return Interpreter(python, ok=False, message=f"There is no Python interpreter {python}.")
    try:
        process = await asyncio.create_subprocess_exec(
            python,
            "-c",
            _QUESTION,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Its current folder is on a script's path: it must hold nothing.
            cwd=str(Path(python).parent),
            env=inherited(),
        )
    except OSError as exc:
        return Interpreter(python, ok=False, message=f"{python} cannot be started: {exc}")
    try:
        out, err = await asyncio.wait_for(process.communicate(), _SECONDS)
    except asyncio.TimeoutError:
        return Interpreter(python, ok=False, message=f"{python} did not answer within {_SECONDS:.0f} seconds.")
    finally:
        if process.returncode is None:  # late, or nobody waits for the answer any more
            process.kill()
            await process.wait()
    try:
        said = json.loads(out)
        made = Interpreter(python, str(said["version"]), dict(said["packages"]))
    except (ValueError, KeyError, TypeError):
        last = err.decode(errors="replace").strip().rpartition("\n")[2][:200]
        return Interpreter(python, ok=False, message=f"{python} is not a usable Python interpreter: {last}")
    _known[python] = _Known(made, _stamps([python, *said["places"]]))
    return made


async def kernels() -> list[tuple[str, str, str]]:
    """The installed Python kernels: name, displayed name, interpreter."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _kernels)


def _kernels() -> list[tuple[str, str, str]]:
    from jupyter_client.kernelspec import KernelSpecManager

    found = []
    for name, entry in KernelSpecManager().get_all_specs().items():
        spec = entry.get("spec", {})
        argv = spec.get("argv") or []
        if not argv or spec.get("language", "python").lower() != "python":
            continue
        python = _resolved(argv[0])
        if python:
            found.append((name, str(spec.get("display_name") or name), python))
    # The kernel of this very environment first: it is what people mean when they have no other.
    return sorted(found, key=lambda k: (k[2] != sys.executable, k[1]))


def _is_program(path: str) -> bool:
    return bool(path) and Path(path).is_file() and os.access(path, os.X_OK)


def _resolved(command: str) -> str:
    """The interpreter that a kernel's command names; a bare ``python`` is this one, as Jupyter has it."""
    if Path(command).name.startswith("python") and not Path(command).is_absolute():
        exact = shutil.which(command)
        return sys.executable if command in ("python", "python3") or exact is None else exact
    return command if Path(command).is_absolute() and "python" in Path(command).name else ""


def _stamps(places: Iterable[str]) -> tuple[tuple[str, int], ...]:
    made = []
    for place in places:
        try:
            made.append((place, Path(place).stat().st_mtime_ns))
        except OSError:
            made.append((place, 0))
    return tuple(made)
