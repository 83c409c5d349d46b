"""The metadata engine's process: serves the ``ml-metadata`` wheel's engine by gRPC. Started by file, never imported.

It runs under the interpreter of an environment of its own, so it may use that environment's Python (3.9 or later),
``grpc`` and ``ml_metadata``, and nothing of this project. One process owns the SQLite file: it holds one lock in the
machine's runtime folder and one, with a heartbeat, beside the data, which other machines may share.

On stdout it says one line: ``ready ADDRESS``, ``busy`` (another engine serves this socket), or ``error …``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn, Protocol

SERVICE = "ml_metadata.MetadataStoreService"
HEARTBEAT = 2.0
"""Seconds between two signs of life beside the data."""
STALE = 15.0
"""Seconds without a sign of life after which another machine's engine counts as gone."""
LARGEST_LOG = 1024 * 1024
LARGEST_MESSAGE = 256 * 1024 * 1024
PATIENCE = 5.0
"""Seconds to wait for a predecessor on this machine to let go."""


def main() -> None:
    options = _options()
    database = Path(options.database)
    if options.wal:
        _set_wal(database)
        return
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ensure_wal(database)
    if not options.foreground and os.fork():
        # The caller has only this short-lived process to wait for; the engine is nobody's child.
        os._exit(0)
    lock = _lock(Path(options.lock), PATIENCE)
    if lock is None:
        _end("busy")
    owner = Owner(database.parent)
    try:
        owner.claim()
        engine = Engine(database)
        owner.tell(engine.listen(options.listen))
    except Exception as error:
        traceback.print_exc()
        owner.release()
        _end("error " + " ".join(str(error).split()))
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    with contextlib.suppress(BrokenPipeError):  # Who asked for the engine may be gone; others will come.
        print("ready " + engine.address, flush=True)
    if options.log:
        _redirect(Path(options.log))
    _watch(engine, owner, options)
    owner.release()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True, help="the SQLite file")
    parser.add_argument("--listen", help="unix:/PATH or HOST:PORT; port 0 is any free one")
    parser.add_argument("--lock", help="file that one engine at a time holds")
    parser.add_argument("--log", default="", help="file for what the engine says once it serves")
    parser.add_argument("--idle", type=float, default=0.0, help="end after so many seconds without a call; 0: never")
    parser.add_argument("--foreground", action="store_true", help="stay the caller's child")
    parser.add_argument("--wal", action="store_true", help="only set the file's journal mode")
    return parser.parse_args()


_Method = Callable[[object, bytes], "tuple[bytes, bytes | str, int]"]
"""A function of the wheel: takes its store and a request, gives the answer, or a message and a code that is not 0."""


class _Context(Protocol):
    """What is used of gRPC's context, whose types this interpreter need not have."""

    def abort(self, code: object, details: str) -> NoReturn: ...


class Engine:
    """The wheel's engine on one SQLite file, its methods served as they are: bytes in, bytes out."""

    def __init__(self, database: Path) -> None:
        self.grpc = importlib.import_module("grpc")
        wheel = importlib.import_module("ml_metadata.metadata_store.metadata_store")
        messages = importlib.import_module("ml_metadata.proto.metadata_store_pb2")
        services = importlib.import_module("ml_metadata.proto.metadata_store_service_pb2")
        binding = importlib.import_module("ml_metadata.metadata_store.pywrap.metadata_store_extension")
        config = messages.ConnectionConfig()
        config.sqlite.filename_uri = str(database)
        config.sqlite.connection_mode = messages.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._store = wheel.MetadataStore(config)
        self._codes = {code.value[0]: code for code in self.grpc.StatusCode}
        self._one_at_a_time = threading.Lock()
        self._count = threading.Lock()
        self._running = 0
        self._last = time.monotonic()
        self.address = ""
        handlers = {}
        for method in services.DESCRIPTOR.services_by_name["MetadataStoreService"].methods:
            function = getattr(binding.metadata_store, method.name, None)
            if function is not None:
                handlers[method.name] = self.grpc.unary_unary_rpc_method_handler(self._handler(function))
        self._server = self.grpc.server(
            ThreadPoolExecutor(8),
            handlers=[self.grpc.method_handlers_generic_handler(SERVICE, handlers)],
            options=[
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
                ("grpc.so_reuseport", 0),
            ],
        )

    def listen(self, address: str) -> str:
        """Serve on ``address`` and give it with the port it got. A socket left by a predecessor is replaced."""
        if address.startswith("unix:"):
            Path(address[5:]).unlink(missing_ok=True)
        port = self._server.add_insecure_port(address)
        self.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
        if address.startswith("unix:"):
            Path(address[5:]).chmod(0o600)
        self._server.start()
        return self.address

    def idle(self) -> float:
        """Seconds since the last call ended; 0 while one runs."""
        with self._count:
            return 0.0 if self._running else time.monotonic() - self._last

    def stop(self) -> None:
        """Finish the calls that run, refuse new ones, close the file."""
        self._server.stop(2).wait()

    def _handler(self, function: _Method) -> Callable[[bytes, _Context], bytes]:
        def handle(request: bytes, context: _Context) -> bytes:
            with self._count:
                self._running += 1
            try:
                with self._one_at_a_time:
                    answer, message, code = function(self._store._metadata_store, request)
            finally:
                with self._count:
                    self._running -= 1
                    self._last = time.monotonic()
            if code:
                text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
                context.abort(self._codes[code], text[:4000])
            return bytes(answer)

        return handle


class Owner:
    """The claim of one engine, on one machine, to the SQLite file in ``folder``.

    Two engines on one file would corrupt it where the file system's locks do not reach from machine to machine, so
    beside the lock there is a note with a heartbeat that any machine can read.
    """

    def __init__(self, folder: Path) -> None:
        self._note = folder / "owner.json"
        self._folder = folder
        self._lock: int | None = None
        self._me = {"host": socket.gethostname(), "boot": _boot_id(), "pid": os.getpid()}
        self._mine = False

    def claim(self) -> None:
        """Become the owner, or raise with the name of the machine that is."""
        self._lock = _lock(self._folder / "owner.lock", PATIENCE)
        other = self._read()
        here = other is None or (other.get("host"), other.get("boot")) == (self._me["host"], self._me["boot"])
        if self._lock is None or not (here or self._age() > STALE):
            raise RuntimeError(
                f"the metadata in {self._folder} is in use by the engine on {(other or self._me).get('host')}"
                f" (process {(other or {}).get('pid', 'unknown')}); only one machine at a time can use it"
            )
        self.beat()
        self._mine = True

    def tell(self, address: str) -> None:
        """Note where the engine listens, for those on this machine with another runtime folder."""
        self._me["address"] = address
        self.beat()

    def beat(self) -> None:
        """A sign of life."""
        partial = self._note.with_name(f"owner.{os.getpid()}")
        partial.write_text(json.dumps(self._me), "utf-8")
        partial.replace(self._note)

    def lost(self) -> bool:
        """Whether somebody else owns the file by now, as after this machine slept for long."""
        note = self._read() or {}
        return any(note.get(key) != self._me[key] for key in ("host", "boot", "pid"))

    def release(self) -> None:
        if self._mine and not self.lost():
            self._note.unlink(missing_ok=True)

    def _read(self) -> dict[str, object] | None:
        try:
            note = json.loads(self._note.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return note if isinstance(note, dict) else None

    def _age(self) -> float:
        """Seconds since the note was written, by the file system's clock: machines' own clocks differ."""
        probe = self._folder / f"clock.{os.getpid()}"
        probe.write_text("", "utf-8")
        try:
            return probe.stat().st_mtime - self._note.stat().st_mtime
        except FileNotFoundError:
            return float("inf")
        finally:
            probe.unlink(missing_ok=True)


def _watch(engine: Engine, owner: Owner, options: argparse.Namespace) -> None:
    """Beat until told to end, or unused, or cut off from the clients or from the file."""
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    while not select.select([told], [], [], min(HEARTBEAT, options.idle or HEARTBEAT))[0]:
        unreachable = engine.address.startswith("unix:") and not Path(engine.address[5:]).exists()
        if unreachable or owner.lost() or 0 < options.idle <= engine.idle():
            break
        owner.beat()
        if options.log:
            _limit(Path(options.log))
    if engine.address.startswith("unix:"):
        # Before the server stops: who comes now starts a new engine, which waits for this one's lock.
        Path(engine.address[5:]).unlink(missing_ok=True)
    engine.stop()


def _lock(path: Path, patience: float) -> int | None:
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(handle)
                return None
            time.sleep(0.05)
        except OSError:
            return handle  # A file system without locks: the note with its heartbeat has to do.


def _ensure_wal(database: Path) -> None:
    """Readers never wait for a writer in WAL mode. Set in a process of its own: the wheel has an SQLite of its own,
    and two of them in one process do not see each other's locks."""
    try:
        with database.open("rb") as file:
            if file.read(20)[18:20] == b"\x02\x02":
                return
    except FileNotFoundError:
        pass
    command = [sys.executable, "-I", __file__, "--wal", "--database", str(database)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=30)


def _set_wal(database: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(str(database), timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _redirect(log: Path) -> None:
    """From here on what is written goes to the log, and the caller's pipes are closed."""
    _limit(log)
    handle = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    sys.stdout.flush()
    for standard in (1, 2):
        os.dup2(handle, standard)
    os.close(handle)
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), "engine", os.getpid(), "serves", sys.version.split()[0], flush=True)


def _limit(log: Path) -> None:
    """Keep at most one old log and this one, each of a bounded size."""
    try:
        if log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(str(log), str(log) + ".1")
            os.truncate(str(log), 0)
    except FileNotFoundError:
        return


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _end(line: str) -> NoReturn:
    print(line, flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
