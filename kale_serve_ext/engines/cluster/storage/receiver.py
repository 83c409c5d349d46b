"""Runs in a short-lived pod: takes one snapshot as a tar stream and puts it on the claim that is mounted there.

The pod's command is the text of this file and of :mod:`kale_serve_ext.digest`, in an image that this package did not
make: the standard library alone, of Python 3.8 or newer. A snapshot is received beside its place and gets there by one
rename once its content is verified and on disk, so ``sha256/<hex>`` is there whole or not at all. A lock keeps several
of these from filling the claim with the same files, and tells what a killed one left behind from work in progress.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

PORT = 8080
TOKEN = "X-Kale-Token"  # noqa: S105  # the header's name
_IDLE = 60.0
"""Seconds without a request, or without a byte of one, after which nobody is taken to be there any more."""
_STRANGER = 5.0
"""The same of a connection that has not shown the token yet: requests are taken one after the other."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Readable(Protocol):
    """What the stream is read from."""

    def read(self, size: int = ..., /) -> bytes: ...


class Receiver:
    """What becomes of one snapshot: ``free`` or ``busy`` (not there), ``there``, or the word for why not."""

    def __init__(self, folder: Path, digest: str, digest_of: Callable[[Path], str]) -> None:
        address = digest.rpartition(":")[2]
        self.place = folder / "sha256" / address
        self._incoming = folder / "incoming" / address
        self._digest = digest
        self._digest_of = digest_of
        self._lock: IO[str] | None = None
        self._failure = ""
        self.why = ""
        """What went wrong, in the system's words."""

    def state(self) -> str:
        try:
            if self.place.is_dir():
                return "there"
            return self._failure or ("free" if self._locked() else "busy")
        except OSError as error:
            return self._failed(error)

    def receive(self, body: Readable) -> str:
        """The state after the stream has been read: ``there`` when all went well."""
        if self.state() != "free":
            return self.state()
        try:
            tree = self._incoming / "tree"
            tree.mkdir()
            _extract(body, tree)
            if self._digest_of(tree) != self._digest:
                self.close()
                self._failure = "changed"
                return self._failure
            _sync(tree)
            self.place.parent.mkdir(parents=True, exist_ok=True)
            tree.rename(self.place)
            _sync_one(self.place.parent)
        except (OSError, ValueError, tarfile.TarError) as error:
            return self._failed(error)
        return self.state()

    def close(self) -> None:
        """Let go of the lock; what was received in part goes."""
        if self._lock:
            shutil.rmtree(self._incoming, ignore_errors=True)
            self._lock.close()
            self._lock = None

    def _locked(self) -> bool:
        """Whether the claim's place for this snapshot is this process's to fill."""
        if self._lock:
            return True
        self._incoming.parent.mkdir(parents=True, exist_ok=True)
        lock = self._incoming.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()
        return True

    def _failed(self, error: Exception) -> str:
        self.why = f"{type(error).__name__}: {error}"
        number = getattr(error, "errno", None)
        self.close()
        self._failure = "full" if number in _FULL else "denied" if number in _DENIED else "failed"
        return self._failure


def main(digest_of: Callable[[Path], str], folder: str, digest: str, token_digest: str) -> None:
    """Answer until the snapshot is there or nobody asks any more.

    Args:
        token_digest: SHA-256 of what the header ``X-Kale-Token`` has to hold. The pod's description can be read by
            everybody in the namespace: it does not tell the token itself.
    """
    os.umask(0o022)
    # The first process of a container is not ended by this signal unless it says so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    receiver = Receiver(Path(folder), digest, digest_of)
    asked = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        timeout = _STRANGER

        def do_GET(self) -> None:
            self._answer(receiver.state)

        def do_PUT(self) -> None:
            self._answer(lambda: receiver.receive(_Body(self.rfile, int(self.headers["Content-Length"]))))

        def log_message(self, *_: object) -> None:
            pass  # a line for each request says nothing that the state does not

        def _answer(self, state: Callable[[], str]) -> None:
            nonlocal asked
            given = hashlib.sha256(self.headers.get(TOKEN, "").encode()).hexdigest()
            if not hmac.compare_digest(given, token_digest):
                self.send_error(403)
                return
            self.connection.settimeout(_IDLE)
            body = json.dumps({"state": state(), "why": receiver.why}).encode()
            asked = time.monotonic()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    try:
        with HTTPServer(("", PORT), Handler) as server:
            server.timeout = 1.0
            while not receiver.place.is_dir() and time.monotonic() - asked < _IDLE:
                server.handle_request()
            server.handle_request()  # who is waiting behind the one that brought it
    finally:
        receiver.close()
    if not receiver.place.is_dir():
        sys.exit(receiver.why or "Nobody brought the files.")


class _Body:
    """As much of a connection as belongs to the request."""

    def __init__(self, connection: Readable, length: int) -> None:
        self._connection = connection
        self._left = length

    def read(self, size: int = -1) -> bytes:
        piece = self._connection.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(piece)
        return piece


def _extract(body: Readable, tree: Path) -> None:
    """Files and folders of the stream, readable by all: the pods that serve run as other users."""
    with tarfile.open(mode="r|", fileobj=cast("IO[bytes]", body)) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"{member.name!r} leads out of the snapshot")
            if member.isdir():
                (tree / name).mkdir(parents=True, exist_ok=True)
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                raise ValueError(f"{member.name!r} is neither a file nor a folder")
            with (tree / name).open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
    while body.read(1 << 16):
        pass  # what follows the archive's end: with bytes left unread the answer would be lost


def _sync(tree: Path) -> None:
    for folder, _, names in os.walk(tree, topdown=False):
        for name in names:
            _sync_one(Path(folder, name))
        _sync_one(Path(folder))


def _sync_one(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
