"""The Python interpreters that can run models: what they are, what they have installed, which kernels use them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ...config import Settings
from ...errors import KaleServeError
from ...locks import locked_async
from ...ml import JSON
from .environ import inherited
from .home import write_json

_SECONDS = 60.0
_WAIT_SECONDS = 1.5 * _SECONDS
"""How long an answer is waited for that another process or thread asks for."""
_QUESTION = """
import importlib.metadata, json, os, sys, sysconfig
found = {}
for d in importlib.metadata.distributions():
    name = d.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-").replace(".", "-"), d.version)
places = [p for p in sys.path if p]
name = "libpython%d.%d.so.1.0" % sys.version_info[:2]
folder = sysconfig.get_config_var("LIBDIR") or ""
library = [p for p in (os.path.join(folder, sub, name) for sub in ("", sysconfig.get_config_var("MULTIARCH") or ""))
           if os.path.isfile(p)][:1]
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "packages": found, "places": places,
                  "library": "".join(library)}))
"""

_FINDING = """
import importlib.util, json, sys
sys.path = [p for p in sys.path if p]
missing = []
for name in json.load(sys.stdin):
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is None:
        missing.append(name)
print(json.dumps(missing))
"""


@dataclass(frozen=True)
class Interpreter:
    """One interpreter. ``packages`` holds versions by normalised distribution name (lower case, hyphens)."""

    python: str
    version: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    library: str = ""
    """The path of its shared library; empty where it has none."""
    ok: bool = True
    message: str = ""
    """Why it cannot be used, where it cannot."""


@dataclass
class _Known:
    """What an interpreter has said, and the state of its files then."""

    interpreter: Interpreter
    places: tuple[str, ...]
    stamps: tuple[tuple[str, int, int], ...]
    lacks: dict[str, bool] = field(default_factory=dict)
    """Which modules were asked for, and whether it lacked them."""

    @property
    def holds(self) -> bool:
        return self.stamps == _stamps(self.interpreter.python, self.places)

    def to_json(self) -> dict[str, JSON]:
        found = self.interpreter
        stamps: JSON = [list(stamp) for stamp in self.stamps]
        return {
            "version": found.version,
            "packages": dict(found.packages),
            "places": list(self.places),
            "library": found.library,
            "stamps": stamps,
            "lacks": dict(self.lacks),
        }


_known: dict[str, _Known] = {}
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kale-serve-interpreters")


async def inspect(python: str) -> Interpreter:
    """What the interpreter is and has: asked once for all of the user's processes, and again when its files change."""
    known = _known.get(python)
    if known and known.holds:
        return known.interpreter
    if not _is_program(python):
        return Interpreter(python, ok=False, message=f"There is no Python interpreter {python}.")
    began = time.time()
    async with _alone(python) as answer:
        found: _Known | Interpreter | None = _read(python, answer)
        if found is None:
            failure = _read_failure(answer, since=began)
            found = Interpreter(python, ok=False, message=failure) if failure else await _ask(python)
            _write(answer, {"failure": found.message} if isinstance(found, Interpreter) else found.to_json())
    if isinstance(found, Interpreter):
        return found
    _known[python] = found
    return found.interpreter


async def missing_modules(python: str, names: Iterable[str]) -> list[str]:
    """Those of the top-level modules that the interpreter does not find; nothing is imported.

    Remembered as :func:`inspect` does. Empty where the interpreter cannot be asked, which that tells.
    """
    wanted = sorted({name for name in names if name.isidentifier()})
    found = await inspect(python)
    known = _known.get(python)
    if not found.ok or known is None:
        return []
    if any(name not in known.lacks for name in wanted):
        async with _alone(python) as answer:
            said = _read(python, answer)
            known.lacks |= said.lacks if said and said.stamps == known.stamps else {}
            asked = [name for name in wanted if name not in known.lacks]
            if asked:
                try:
                    told = json.loads((await _run(python, _FINDING, json.dumps(asked).encode()))[0])
                except (OSError, asyncio.TimeoutError, ValueError):
                    return []
                known.lacks |= {name: name in told for name in asked}
                _write(answer, known.to_json())
    return [name for name in wanted if known.lacks[name]]


async def _ask(python: str) -> _Known | Interpreter:
    """What the interpreter says, or why it does not."""
    try:
        out, err = await _run(python, _QUESTION, b"")
    except OSError as exc:
        return Interpreter(python, ok=False, message=f"{python} cannot be started: {exc}")
    except asyncio.TimeoutError:
        return Interpreter(python, ok=False, message=f"{python} did not answer within {_SECONDS:.0f} seconds.")
    try:
        said = json.loads(out)
        made = Interpreter(python, str(said["version"]), dict(said["packages"]), str(said["library"]))
        places = tuple(map(str, said["places"]))
    except (ValueError, KeyError, TypeError):
        last = err.decode(errors="replace").strip().rpartition("\n")[2][:200]
        return Interpreter(python, ok=False, message=f"{python} is not a usable Python interpreter: {last}")
    return _Known(made, places, _stamps(python, places))


@contextlib.asynccontextmanager
async def _alone(python: str) -> AsyncIterator[Path | None]:
    """Ask this interpreter while no other process or thread of the user does; gives the file for its answer.

    None where there is no place for one: then it is asked as often as somebody wants to know.
    """
    try:
        folder = Settings.from_environ().sockets
    except (KaleServeError, OSError):
        yield None
        return
    answer: Path | None = None
    path = folder / f"python-{hashlib.sha256(python.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
    async with contextlib.AsyncExitStack() as held:
        try:
            await held.enter_async_context(locked_async(path.with_suffix(".lock"), timeout=_WAIT_SECONDS))
            answer = path
        except OSError:
            # Whoever holds it hangs, or the folder cannot be written to: nothing is shared then.
            pass
        yield answer


def _read(python: str, answer: Path | None) -> _Known | None:
    """What another process was told, where it still holds."""
    try:
        said = json.loads(answer.read_bytes()) if answer else {}
        known = _Known(
            Interpreter(python, str(said["version"]), dict(said["packages"]), str(said["library"])),
            tuple(map(str, said["places"])),
            tuple((str(path), int(changed), int(size)) for path, changed, size in said["stamps"]),
            {str(name): bool(lacks) for name, lacks in said["lacks"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return known if known.holds else None


def _read_failure(answer: Path | None, since: float) -> str:
    """Why another process, that asked while this one waited, got no answer: it is not asked by each of them anew."""
    try:
        if answer is None or answer.stat().st_mtime < since:
            return ""
        return str(json.loads(answer.read_bytes())["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write(answer: Path | None, said: dict[str, JSON]) -> None:
    if answer is not None:
        with contextlib.suppress(OSError):
            write_json(answer, said)


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


async def _run(python: str, program: str, given: bytes) -> tuple[bytes, bytes]:
    """What a program writes to its output and error when it reads ``given``.

    Raises:
        OSError: it cannot be started.
        asyncio.TimeoutError: it takes too long.
    """
    process = await asyncio.create_subprocess_exec(
        python,
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Its current folder is on a script's path: it must hold nothing.
        cwd=str(Path(python).parent),
        env=inherited(),
    )
    try:
        return await asyncio.wait_for(process.communicate(given), _SECONDS)
    finally:
        if process.returncode is None:  # late, or nobody waits for the answer any more
            process.kill()
            await process.wait()


def _is_program(path: str) -> bool:
    return bool(path) and Path(path).is_file() and os.access(path, os.X_OK)


def _resolved(command: str) -> str:
    """The interpreter that a kernel's command names; a bare ``python`` is this one, as Jupyter has it."""
    if Path(command).name.startswith("python") and not Path(command).is_absolute():
        exact = shutil.which(command)
        return sys.executable if command in ("python", "python3") or exact is None else exact
    return command if Path(command).is_absolute() and "python" in Path(command).name else ""


def _stamps(python: str, places: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    """Path, time of the last change and size of the interpreter's own files and of its package folders."""
    own = [python, os.path.realpath(python), str(Path(python).parent.parent / "pyvenv.cfg")]
    made = []
    for place in (*own, *places):
        try:
            found = Path(place).stat()
            made.append((place, found.st_mtime_ns, found.st_size))
        except OSError:
            made.append((place, 0, 0))
    return tuple(made)
