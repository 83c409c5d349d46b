"""The metadata engine's own environment: made once, on first use, and used only when it is whole.

A virtual environment has absolute paths in it, so it is built where it stays, under a lock, and its last file is a
marker. Without the marker, or with the marker of another release, it is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config import Settings, make_dir
from ..errors import MetadataUnavailableError
from ..locks import is_locked, locked_async
from .pythons import FoundPython, find_python, find_uv, wheel_for, why_none

MAKING = 900.0
"""Seconds that making the environment may take."""
UV_PYTHON = "3.11"
"""The Python that uv is asked for where the machine has none that fits; every system with wheels has one for it."""
_SMOKE = "import grpc, ml_metadata, ml_metadata.metadata_store.metadata_store; print(ml_metadata.__version__)"


@dataclass(frozen=True)
class Making:
    """How far the environment is."""

    state: str
    """``ready``, ``installing``, ``missing`` or ``failed``."""
    message: str = ""
    hint: str = ""


async def ensure_environment(settings: Settings, progress: Callable[[str], None] | None = None) -> str:
    """The path of a Python that can run the engine; its environment is made where there is none.

    Raises:
        MetadataUnavailableError: it cannot be made here, and what to do.
    """
    ready = ready_python(settings)
    if ready:
        return ready
    folder = environment_dir(settings)
    make_dir(folder.parent)
    told = progress or (lambda _: None)

    def tell(message: str) -> None:
        _note(folder, {"message": message})
        told(message)

    try:
        waiting = "Waiting for another process that installs the metadata engine"
        async with locked_async(_lock(folder), timeout=MAKING, waiting=lambda: told(waiting)) as lock:
            ready = ready_python(settings)
            if ready:
                return ready
            try:
                return await _make(folder, tell, lock)
            except MetadataUnavailableError as error:
                with contextlib.suppress(OSError):  # On a full disk the error itself is what counts.
                    _note(folder, {"message": error.message, "hint": error.hint, "failed": "yes"})
                raise
    except TimeoutError as error:
        raise MetadataUnavailableError(
            f"Another process has been installing the metadata engine for {MAKING:g} s.", hint=f"See {folder}."
        ) from error
    except OSError as error:
        raise MetadataUnavailableError(
            f"The metadata engine could not be installed in {folder}: {error.strerror or error}.",
            hint="Free about 70 MB there, check that the folder is writable, then try again.",
        ) from error


def ready_python(settings: Settings) -> str | None:
    """The engine's Python without making anything, or None. Touches a few files at most.

    Raises:
        MetadataUnavailableError: ``settings.metadata_python`` names no program.
    """
    if settings.metadata_python:
        # Made absolute and not resolved: a virtual environment's interpreter is known by its link's place.
        named = Path(settings.metadata_python).expanduser().absolute()
        if not os.access(named, os.X_OK) or named.is_dir():
            raise MetadataUnavailableError(
                f"The metadata engine's Python, {named}, does not exist.",
                hint="Correct KALE_SERVE_METADATA_PYTHON, or leave it empty.",
            )
        return str(named)
    if importlib.util.find_spec("ml_metadata") is not None:
        return sys.executable
    folder = environment_dir(settings)
    try:
        marker = json.loads((folder / "complete.json").read_text("utf-8"))
        version = str(marker["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    python = folder / "bin" / "python"
    return str(python) if marker == _marker(version) and os.access(python, os.X_OK) else None


def making(settings: Settings) -> Making:
    """How far the environment is, whichever process makes it."""
    if ready_python(settings):
        return Making("ready")
    folder = environment_dir(settings)
    note = _read_note(folder)
    if is_locked(_lock(folder)):
        return Making("installing", note.get("message") or "Installing the metadata engine")
    if note.get("failed"):
        return Making("failed", note.get("message", ""), note.get("hint", ""))
    return Making("missing")


def environment_dir(settings: Settings) -> Path:
    """Where the environment is; named by the platform, since machines of several kinds may share a home."""
    return settings.data_dir / "metadata" / f"environment-{sys.platform}-{platform.machine().lower()}"


async def _make(folder: Path, tell: Callable[[str], None], lock: int) -> str:
    base, running = await find_python()
    uv = find_uv()
    if base is None and (uv is None or not _uv_would_do(running)):
        message, hint = why_none(running)
        raise MetadataUnavailableError(message, hint=hint)
    tell("Installing the metadata engine: making its environment (once, about 70 MB)")
    with contextlib.suppress(FileNotFoundError):
        # What an interrupted attempt left, or an older release made: thousands of files, while the loop runs on.
        await asyncio.to_thread(shutil.rmtree, folder)
    python = folder / "bin" / "python"
    if base is not None:
        # Without pip: ensurepip takes longer than all the rest, and Debian's Python does not have it.
        await _run(lock, "make its environment", base.path, "-I", "-m", "venv", "--without-pip", str(folder))
    else:
        await _run(lock, "get a Python by uv", str(uv), "venv", "--no-project", "--python", UV_PYTHON, str(folder))
    tell("Installing the metadata engine: fetching ml-metadata")
    await _install(lock, python, _requirement(base), uv)
    tell("Installing the metadata engine: checking it")
    version = (await _run(lock, "import ml-metadata", str(python), "-I", "-c", _SMOKE)).strip().splitlines()[-1]
    partial = folder / "complete.json.part"
    partial.write_text(json.dumps(_marker(version)), "utf-8")
    partial.replace(folder / "complete.json")
    _notefile(folder).unlink(missing_ok=True)
    return str(python)


async def _install(lock: int, python: Path, requirement: str, uv: str | None) -> None:
    """By the running environment's pip, whose configuration (index, proxy) the user's other packages came by, or by
    uv; where there is neither, by the pip that Python carries with it. The first failure is the one that is told."""
    options = ["--only-binary=:all:", requirement]
    quiet = ["--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=20", "--progress-bar=off"]
    ways: list[list[list[str]]] = []
    if _pip_installs_elsewhere():
        ways.append([[sys.executable, "-m", "pip", "--python", str(python), "install", *quiet, *options]])
    if uv is not None:
        ways.append([[uv, "pip", "install", "--python", str(python), *options]])
    if not ways:
        ways.append([[str(python), "-m", "ensurepip"], [str(python), "-m", "pip", "install", *quiet, *options]])
    failure: MetadataUnavailableError | None = None
    for way in ways:
        try:
            for command in way:
                await _run(lock, "fetch ml-metadata", *command)
        except MetadataUnavailableError as error:
            failure = failure or error
        else:
            return
    if failure is not None:
        raise failure


async def _run(lock: int, what: str, *command: str) -> str:
    """Run one step to its end, in a process group that an interrupt takes down whole; gives what it printed.

    It inherits the lock: should this process be killed, nobody begins anew while an orphan still installs.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environ(),
        pass_fds=[lock],
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), MAKING)
    except asyncio.TimeoutError as error:
        raise _failed(what, f"it took longer than {MAKING:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    text = output.decode("utf-8", "replace")
    if process.returncode:
        raise _failed(what, _reason(text) or f"exit code {process.returncode}")
    return text


def _pip_installs_elsewhere() -> bool:
    """Whether this environment has a pip, and one that knows ``--python``."""
    try:
        version = importlib.metadata.version("pip").split(".")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(part) for part in version[:2] if part.isdigit()) >= (22, 3)


def _failed(what: str, reason: str) -> MetadataUnavailableError:
    return MetadataUnavailableError(
        f"The metadata engine could not be installed (to {what}): {reason}",
        hint="With a connection to a package index, run `kale-serve-ext setup`; or let KALE_SERVE_METADATA_PYTHON (the"
        " server's trait metadata_python) name a Python that has ml-metadata.",
    )


def _reason(output: str) -> str:
    """The line of pip's or uv's output that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if line.lower().startswith(("error", "×", "failed"))]
    return (wrong or lines or [""])[-1][:500]


def _environ() -> dict[str, str]:
    """The user's environment, index and proxy included, without what would send the packages elsewhere."""
    drop = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in drop}


def _requirement(base: FoundPython | None) -> str:
    version = wheel_for(base) if base is not None else None
    return f"ml-metadata=={version}" if version else "ml-metadata>=1.17.1,<1.22"


def _uv_would_do(running: FoundPython) -> bool:
    wanted = (int(UV_PYTHON.split(".")[0]), int(UV_PYTHON.split(".")[1]))
    libc, macos = running.libc, running.macos
    return wheel_for(FoundPython("", wanted, running.system, running.machine, "cpython", libc, macos)) is not None


def _marker(version: str) -> dict[str, str]:
    return {"version": version, "layout": "1"}


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _notefile(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _note(folder: Path, note: dict[str, str]) -> None:
    partial = folder.with_name(f"{folder.name}.json.{os.getpid()}")
    partial.write_text(json.dumps(note), "utf-8")
    partial.replace(_notefile(folder))


def _read_note(folder: Path) -> dict[str, str]:
    try:
        note = json.loads(_notefile(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
