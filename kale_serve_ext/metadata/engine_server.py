"""The metadata engine's process: serves the ``ml-metadata`` wheel's engine by gRPC. Started by file, never imported.

It runs under the interpreter of an environment of its own, so it may use that environment's Python (3.9 or later),
``grpc`` and ``ml_metadata``, and nothing of this project. One process owns the SQLite file: it holds one lock in the
machine's runtime folder and one, with a heartbeat, beside the data, which other machines may share. On a disk that is
full or read-only it serves what is there, refuses writes, and ends once the disk can be written to again.

On stdout it says one line: ``ready ADDRESS``, ``busy`` (another engine serves this socket), or ``error …``.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
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
import urllib.parse
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
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
NO_ROOM = "database or disk is full"
"""SQLite's words for it, which the client knows."""
STUCK = "Transaction already open"
"""The wheel's words once a transaction of its has failed to end."""
ROOM = 256 * 1024
"""Bytes that have to fit on the disk for SQLite to open the file for writing: its shared memory, a piece of its log."""


def main() -> None:
    options = _options()
    database = Path(options.database)
    if options.wal or options.checkpoint:
        _sqlite(database, "PRAGMA journal_mode=WAL" if options.wal else "PRAGMA wal_checkpoint(TRUNCATE)")
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
        engine = _open(database, Path(options.lock).with_suffix(".copy"))
        owner.tell(engine.listen(options.listen))
    except Exception as error:
        traceback.print_exc()
        owner.release()
        _end("error " + " ".join(str(error).split()))
    with contextlib.suppress(OSError):
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
    parser.add_argument("--checkpoint", action="store_true", help="only bring what is in the file's log into the file")
    return parser.parse_args()


_Method = Callable[[object, bytes], "tuple[bytes, bytes | str, int]"]
"""A function of the wheel: takes its store and a request, gives the answer, or a message and a code that is not 0."""


class _Store(Protocol):
    """What is used of the wheel's store."""

    _metadata_store: object


class _Context(Protocol):
    """What is used of gRPC's context, whose types this interpreter need not have."""

    def abort(self, code: object, details: str) -> NoReturn: ...


class WheelEngine:
    """The wheel's engine on one SQLite file, its methods served as they are: bytes in, bytes out.

    ``refused`` is the number of the system's error that keeps the file from being written to; 0: it can be.
    """

    def __init__(self, uri: str, refused: int = 0) -> None:
        self.grpc = importlib.import_module("grpc")
        wheel = importlib.import_module("ml_metadata.metadata_store.metadata_store")
        messages = importlib.import_module("ml_metadata.proto.metadata_store_pb2")
        services = importlib.import_module("ml_metadata.proto.metadata_store_service_pb2")
        binding = importlib.import_module("ml_metadata.metadata_store.pywrap.metadata_store_extension")
        config = messages.ConnectionConfig()
        config.sqlite.filename_uri = uri
        config.sqlite.connection_mode = messages.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._open: Callable[[], _Store] = lambda: wheel.MetadataStore(config)
        self._store = self._open()
        self.refused = refused
        self.broken = False
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

    def _reopen(self) -> None:
        """Begin anew after a failed write: SQLite has ended the transaction, and the wheel does not know.

        The new connection opens before the old one closes: with the last one SQLite removes files that a full disk
        could not take again.
        """
        try:
            self._store = self._open()
        except Exception:
            self.broken = True
            raise

    def _handler(self, function: _Method) -> Callable[[bytes, _Context], bytes]:
        def handle(request: bytes, context: _Context) -> bytes:
            with self._count:
                self._running += 1
            try:
                with self._one_at_a_time:
                    answer, message, code = function(self._store._metadata_store, request)
                    if code and STUCK in _text(message):
                        self._reopen()
                        answer, message, code = function(self._store._metadata_store, request)
            finally:
                with self._count:
                    self._running -= 1
                    self._last = time.monotonic()
            if code:
                text = _text(message)
                if self.refused in FULL and "readonly database" in text:
                    text = NO_ROOM
                context.abort(self._codes[code], text[:4000])
            return bytes(answer)

        return handle


def _text(message: bytes | str) -> str:
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


def _open(database: Path, copy: Path) -> WheelEngine:
    """The engine on the file, or, where the disk is full or read-only, on what is in the file now.

    Without its log and its shared memory beside it SQLite opens a file only as one that never changes. What is still
    in the log would be missing then, so it is read from a ``copy``, on the disk of the sockets.
    """
    shutil.rmtree(str(copy), ignore_errors=True)  # An earlier engine's.
    refused = _refused(database.parent)
    try:
        return WheelEngine(str(database), refused)
    except Exception:
        if not refused:
            raise
        if not database.exists() or not database.stat().st_size:
            raise OSError(refused, os.strerror(refused), str(database)) from None
    log = database.with_name(database.name + "-wal")
    if log.exists() and log.stat().st_size:
        copy.mkdir(mode=0o700)
        for file in (database, log):
            shutil.copyfile(str(file), str(copy / file.name))
        _by_sqlite(copy / database.name, "--checkpoint")
        database = copy / database.name
    return WheelEngine(f"file:{urllib.parse.quote(str(database))}?immutable=1", refused)


def _refused(folder: Path) -> int:
    """The number of the error that a write of some size in ``folder`` meets; 0 where it meets none."""
    probe = folder / f"room.{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            os.fsync(file.fileno())
    except OSError as error:
        return (error.errno or 0) if error.errno in FULL | READ_ONLY else 0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return 0


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
        self._noted = False
        self._before: dict[str, object] | None = None

    def claim(self) -> None:
        """Become the owner, or raise with the name of the machine that is."""
        try:
            self._lock = _lock(self._folder / "owner.lock", PATIENCE)
        except OSError as error:
            if error.errno not in FULL | READ_ONLY:
                raise
            self._lock = os.open(str(self._folder), os.O_RDONLY | os.O_CLOEXEC)  # Nobody can make the file.
        other = self._before = self._read()
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
        self._noted = False
        self.beat()

    def beat(self) -> None:
        """A sign of life. That the disk takes none is no reason to end: it takes no other owner's either."""
        partial = self._note.with_name(f"owner.{os.getpid()}")
        try:
            if self._noted:
                os.utime(str(self._note))  # Needs no room.
                return
            partial.write_text(json.dumps(self._me), "utf-8")
            partial.replace(self._note)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
        else:
            self._noted = True

    def lost(self) -> bool:
        """Whether somebody else owns the file by now, as after this machine slept for long."""
        note = self._read()
        if not self._noted and note == self._before:
            return False
        return any((note or {}).get(key) != self._me[key] for key in ("host", "boot", "pid"))

    def release(self) -> None:
        if self._mine and self._noted and not self.lost():
            with contextlib.suppress(OSError):
                self._note.unlink()

    def _read(self) -> dict[str, object] | None:
        try:
            note = json.loads(self._note.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return note if isinstance(note, dict) else None

    def _age(self) -> float:
        """Seconds since the note was written, by the file system's clock: machines' own clocks differ."""
        probe = self._folder / f"clock.{os.getpid()}"
        try:
            probe.write_text("", "utf-8")
            now = probe.stat().st_mtime
        except OSError:
            now = time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        try:
            return now - self._note.stat().st_mtime
        except FileNotFoundError:
            return float("inf")


def _watch(engine: WheelEngine, owner: Owner, options: argparse.Namespace) -> None:
    """Beat until told to end, or unused, or cut off from the clients or from the file."""
    database = Path(options.database)
    opened = database.stat()
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    while not select.select([told], [], [], min(HEARTBEAT, options.idle or HEARTBEAT))[0]:
        unreachable = engine.address.startswith("unix:") and not Path(engine.address[5:]).exists()
        if unreachable or owner.lost() or 0 < options.idle <= engine.idle():
            break
        if engine.broken or _replaced(database, opened):
            break
        if engine.refused and not _refused(database.parent):
            break  # The next call starts one that writes.
        owner.beat()
        if options.log:
            _limit(Path(options.log))
    if engine.address.startswith("unix:"):
        # Before the server stops: who comes now starts a new engine, which waits for this one's lock.
        Path(engine.address[5:]).unlink(missing_ok=True)
    engine.stop()


def _replaced(path: Path, opened: os.stat_result) -> bool:
    """Whether the name means another file than the one that was opened, or none."""
    try:
        return not os.path.samestat(path.stat(), opened)
    except FileNotFoundError:
        return True
    except OSError:
        return False


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
    _by_sqlite(database, "--wal")


def _by_sqlite(database: Path, what: str) -> None:
    command = [sys.executable, "-I", __file__, what, "--database", str(database)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=30)


def _sqlite(database: Path, statement: str) -> None:
    import sqlite3

    connection = sqlite3.connect(str(database), timeout=10)
    connection.execute(statement)
    connection.close()


def _redirect(log: Path) -> None:
    """From here on what is written goes to the log, where it takes it, and the caller's pipes are closed."""
    _limit(log)
    try:
        handle = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        handle = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    sys.stdout.flush()
    for standard in (1, 2):
        os.dup2(handle, standard)
    os.close(handle)
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    with contextlib.suppress(OSError):
        os.write(1, f"{now} engine {os.getpid()} serves {sys.version.split()[0]}\n".encode())


def _limit(log: Path) -> None:
    """Keep at most one old log and this one, each of a bounded size; where there is no room for the old one, none."""
    old = log.with_name(log.name + ".1")
    with contextlib.suppress(OSError):
        if log.stat().st_size <= LARGEST_LOG:
            return
        try:
            shutil.copyfile(str(log), str(old))
        except OSError:
            old.unlink()
        os.truncate(str(log), 0)


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
