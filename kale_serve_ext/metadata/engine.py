"""The embedded engine seen from outside: where it listens, and how to start it, once, whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config import Settings, make_dir
from ..errors import ConflictError, KaleServeError, MetadataUnavailableError
from ..locks import is_locked, locked, locked_async
from . import environment

SCRIPT = Path(__file__).with_name("engine_server.py")
START = 60.0
"""Seconds that the engine may take to answer."""
SILENT = 30.0
"""Seconds without a sign of life after which an engine is gone, whatever its machine's clock."""
RESTORE = "Restore a backup with `kale-serve-ext restore FILE`."
ROOM = 256 * 1024
"""Bytes below which a disk is full for the engine."""


def folder(settings: Settings) -> Path:
    """Where the database, the engine's environment and its log are."""
    return settings.data_dir / "metadata"


def socket_path(settings: Settings) -> Path:
    return settings.sockets / "metadata.sock"


@contextlib.contextmanager
def nobody_serves(settings: Settings, timeout: float = 30.0) -> Iterator[None]:
    """End the engine that runs and let none start meanwhile, so that its files can be exchanged. Blocks.

    It is ended by taking its socket away, never by a signal: in a container its number may be another process's.

    Raises:
        ConflictError: the engine of another machine uses them.
        MetadataUnavailableError: the engine did not end within ``timeout`` seconds.
    """
    data = folder(settings)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(settings.sockets / "metadata.start", timeout=timeout))
            owner = _owner(data)
            if owner is not None and owner.host != socket.gethostname():
                raise ConflictError(
                    f"The metadata in {data} is in use by the machine {owner.host}.",
                    hint="Do it there, or stop the services and notebooks there and wait half a minute.",
                )
            if is_locked(data / "owner.lock"):
                _unlink_socket(socket_path(settings))
                if owner is not None and owner.address.startswith("unix:"):
                    _unlink_socket(Path(owner.address.removeprefix("unix:")))
            held.enter_context(locked(data / "owner.lock", timeout=timeout))
        except TimeoutError as error:
            raise MetadataUnavailableError(
                f"The metadata engine did not exit within {timeout:g} s.",
                hint="Stop whatever is logging models, then try again.",
            ) from error
        yield


@dataclass(frozen=True)
class _Owner:
    host: str
    address: str
    """Where it listens, as ``unix:/PATH``; empty where it has not said yet."""


def _owner(data: Path) -> _Owner | None:
    """The engine, of this machine or another, that has given a sign of life lately."""
    note = data / "owner.json"
    try:
        value = json.loads(note.read_text("utf-8"))
        lately = _now(data) - note.stat().st_mtime < SILENT
        return _Owner(str(value["host"]), str(value.get("address", ""))) if lately else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _now(folder: Path) -> float:
    """Seconds since the epoch by the clock of the folder's file system: machines' own clocks differ."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()


def _unlink_socket(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISLNK(mode):
            path.unlink()


class EmbeddedEngine:
    """Starts the engine's process when nobody answers on its socket.

    One process per ``data_dir`` however many ask at once: askers queue at a lock, and the engine holds another.
    """

    def __init__(self, settings: Settings, *, progress: Callable[[str], None], background: bool) -> None:
        self._settings = settings
        self._progress = progress
        self._background = background
        self._making: asyncio.Task[str] | None = None
        self._failure: KaleServeError | None = None

    async def start(self, *, wait: bool = False) -> None:
        """Return when the engine listens.

        Args:
            wait: for its environment too, where that is still to be made and is otherwise left to the background.

        Raises:
            MetadataUnavailableError: it cannot be started: what is missing, and what to do.
        """
        if await self.listens():
            self._failure = None
            return
        python = await self._python(wait)
        try:
            await self._start(python)
        except KaleServeError as error:
            self._failure = error
            raise
        except OSError as error:
            self._failure = _unusable(self._settings.sockets, error)
            raise self._failure from error
        self._failure = None

    async def _start(self, python: str) -> None:
        try:
            async with locked_async(self._settings.sockets / "metadata.start", timeout=START):
                if not await self.listens() and not await self._adopt():
                    self._progress("Starting the metadata engine")
                    await self._spawn(python)
        except TimeoutError as error:
            raise MetadataUnavailableError(
                f"The metadata engine did not start within {START:g} s: another process that starts it is stuck.",
                hint=f"See {self._log}.",
            ) from error

    async def listens(self) -> bool:
        """Whether some process has the socket open. It need not be answering."""
        return await _listens(socket_path(self._settings))

    @property
    def _log(self) -> Path:
        return folder(self._settings) / "engine.log"

    async def unready(self) -> tuple[str, str, str] | None:
        """Why it cannot be asked for its health now: state, sentence, what to do. None when it can."""
        if await self.listens():
            return None
        making = environment.making(self._settings)
        if making.state == "ready":
            if is_locked(self._settings.sockets / "metadata.start"):
                return "starting", "The metadata engine is starting.", ""
            if self._failure is not None:
                return "error", self._failure.message, self._failure.hint
            return "ready", "The metadata engine starts on demand.", ""
        if making.state in ("missing", "outdated"):
            hint = "It is installed on first use; `kale-serve-ext setup` does so ahead of time."
            return "missing", "The metadata engine is not installed yet.", hint
        return "error" if making.state == "failed" else making.state, making.message, making.hint

    async def refused(self) -> tuple[str, str] | None:
        """Why nothing can be recorded though the engine answers, and what to do; None where something can."""
        data = folder(self._settings)
        try:
            disk = await asyncio.to_thread(os.statvfs, data)
        except OSError:
            return None
        if disk.f_flag & os.ST_RDONLY:
            return f"The disk of {data} is read-only: models are listed, none can be logged.", "Make it writable."
        if disk.f_bavail * disk.f_frsize < ROOM:
            return f"The disk of {data} is full: models are listed, none can be logged.", "Free some space there."
        return None

    async def _python(self, wait: bool) -> str:
        ready = environment.ready_python(self._settings)
        if ready:
            return ready
        if wait or not self._background:
            return await environment.ensure_environment(self._settings, self._progress)
        if self._making is None or self._making.done():
            self._making = asyncio.ensure_future(environment.ensure_environment(self._settings, self._progress))
            # Its failure is in the state that health reads; nobody awaits the task.
            self._making.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise MetadataUnavailableError(
            "The metadata engine is being installed.", hint="This is done once; try again in a minute."
        )

    async def _adopt(self) -> bool:
        """Reach an engine of this machine that was started with another runtime folder, as from a shell without
        ``XDG_RUNTIME_DIR``: its socket gets a second name in ours."""
        try:
            note = json.loads((folder(self._settings) / "owner.json").read_text("utf-8"))
            host, address = str(note["host"]), str(note["address"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        theirs, ours = Path(address.removeprefix("unix:")), socket_path(self._settings)
        if host != socket.gethostname() or theirs == ours or not address.startswith("unix:"):
            return False
        if not await _listens(theirs):
            return False
        ours.unlink(missing_ok=True)
        ours.symlink_to(theirs)
        return True

    async def _spawn(self, python: str) -> None:
        data = folder(self._settings)
        make_dir(data)
        process = await asyncio.create_subprocess_exec(
            *(python, "-I", str(SCRIPT)),
            *("--database", str(data / "mlmd.db")),
            *("--listen", f"unix:{socket_path(self._settings)}"),
            *("--lock", str(self._settings.sockets / "metadata.lock")),
            *("--log", str(self._log)),
            *("--idle", str(self._settings.metadata_idle)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=_environ(),
            start_new_session=True,
        )
        try:
            said, complaints = await asyncio.wait_for(_first_words(process), START)
        except asyncio.TimeoutError:
            said, complaints = "", f"no output for {START:g} s"
        if said.startswith(("ready", "busy")) or await self._adopt():
            return
        reason = said.removeprefix("error ").strip() or _last_line(complaints)
        if any(words in reason for words in _FULL):
            reason = f"the disk of {data} is full."
        raise MetadataUnavailableError(
            f"The metadata engine did not start: {reason}", hint=_hint(reason, python, self._log)
        )


def _unusable(place: Path, error: OSError) -> MetadataUnavailableError:
    return MetadataUnavailableError(
        f"The metadata engine did not start: {place} cannot be used: {error.strerror or error}.",
        hint="Free some space there and check that it is writable, or set KALE_SERVE_RUNTIME_DIR to another folder.",
    )


async def _listens(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except BlockingIOError:
        return True  # Its queue is full.
    except OSError:
        return False
    writer.close()
    return True


async def _first_words(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """The engine's one line, and what it complained of. The pipes close when it serves, or has failed."""
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the engine was started without pipes")
    said, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
    await process.wait()
    return said.decode("utf-8", "replace").strip(), complaints.decode("utf-8", "replace")


def _environ() -> dict[str, str]:
    """The environment without what would steer the engine's interpreter or its gRPC elsewhere."""
    drop = ("PYTHON", "GRPC_", "KALE_SERVE_", "JPY_", "JUPYTER")
    return {name: value for name, value in os.environ.items() if not name.startswith(drop)}


_FULL = ("No space left on device", "Disk quota exceeded", "disk is full")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it exited without output"


def _hint(reason: str, python: str, log: Path) -> str:
    if "No module named" in reason:
        return (
            f"{python} has no ml-metadata. Run `kale-serve-ext setup`, or let KALE_SERVE_METADATA_PYTHON name a Python"
            " that has it."
        )
    if reason.endswith("is full."):
        return "Free some space there, then try again."
    if "malformed" in reason or "not a database" in reason:
        return RESTORE
    if "is in use by the engine on" in reason:
        return "Stop the services and notebooks there, or wait half a minute if that machine is gone."
    return f"See {log}."
