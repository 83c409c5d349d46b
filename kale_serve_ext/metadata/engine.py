"""The embedded engine seen from outside: where it listens, and how to start it, once, whoever asks."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

from ..config import Settings, make_dir
from ..errors import MetadataUnavailableError
from ..locks import is_locked, locked_async
from . import environment

SCRIPT = Path(__file__).with_name("engine_server.py")
START = 60.0
"""Seconds that the engine may take to answer."""


def folder(settings: Settings) -> Path:
    """Where the database, the engine's environment and its log are."""
    return settings.data_dir / "metadata"


def socket_path(settings: Settings) -> Path:
    return settings.sockets / "metadata.sock"


class EmbeddedEngine:
    """Starts the engine's process when nobody answers on its socket.

    One process per ``data_dir`` however many ask at once: askers queue at a lock, and the engine holds another.
    """

    def __init__(self, settings: Settings, *, progress: Callable[[str], None], background: bool) -> None:
        self._settings = settings
        self._progress = progress
        self._background = background
        self._making: asyncio.Task[str] | None = None

    async def start(self, *, wait: bool = False) -> None:
        """Return when the engine listens.

        Args:
            wait: for its environment too, where that is still to be made and is otherwise left to the background.

        Raises:
            MetadataUnavailableError: it cannot be started: what is missing, and what to do.
        """
        if await self.listens():
            return
        python = await self._python(wait)
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
        try:
            making = environment.making(self._settings)
        except MetadataUnavailableError as error:
            return "error", error.message, error.hint
        if making.state == "ready":
            if is_locked(self._settings.sockets / "metadata.start"):
                return "starting", "The metadata engine is starting.", ""
            return "ready", "The metadata engine starts when it is needed.", ""
        if making.state == "missing":
            hint = "It is installed on first use; `kale-serve-ext setup` does so ahead of time."
            return "missing", "The metadata engine is not installed yet.", hint
        return "error" if making.state == "failed" else making.state, making.message, making.hint

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
            said, complaints = "", f"it said nothing for {START:g} s"
        if said.startswith(("ready", "busy")) or await self._adopt():
            return
        reason = said.removeprefix("error ").strip() or _last_line(complaints)
        raise MetadataUnavailableError(
            f"The metadata engine did not start: {reason}", hint=_hint(reason, python, self._log)
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


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def _hint(reason: str, python: str, log: Path) -> str:
    if "No module named" in reason:
        return (
            f"{python} has no ml-metadata. Run `kale-serve-ext setup`, or let KALE_SERVE_METADATA_PYTHON name a Python"
            " that has it."
        )
    if "is in use by the engine on" in reason:
        return "End the services and notebooks there, or wait half a minute if that machine is gone."
    return f"See {log}."
