"""What the tests of the metadata share: values to log, and the engine's process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.metadata.engine import SCRIPT
from kale_serve_ext.metadata.provenance import Provenance

NOTEBOOK = Provenance("notebook", "iris/train.ipynb", run="8c1f")


def model(name: str = "iris", version: str = "", digest: str = "sha256:aa", **more: object) -> Artifact:
    """A model that nothing is known of but its name and content."""
    return Artifact(MODEL, name, version, uri=f"file:///snapshots/{digest[7:]}", digest=digest, **more)  # type: ignore[arg-type]  # by name


def engine_pid(settings: Settings) -> int:
    """The process that serves these settings' metadata."""
    return int((settings.sockets / "metadata.lock").read_text())


def until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is only not yet fetched by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is frozen for a while."""
    import signal

    os.kill(pid, signal.SIGSTOP)
    # The signal is on its way for as long as the process gets no processor.
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def server(tmp_path: Path, metadata_python: str) -> Iterator[str]:
    """An MLMD server on TCP, as others run it: the same wheel, on loopback. Gives ``grpc://HOST:PORT``."""
    process = subprocess.Popen(
        [
            *(metadata_python, "-I", str(SCRIPT), "--foreground", "--listen", "127.0.0.1:0"),
            *("--database", str(tmp_path / "remote" / "mlmd.db"), "--lock", str(tmp_path / "remote.lock")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    word, _, address = process.stdout.readline().strip().partition(" ")
    assert word == "ready"
    yield f"grpc://{address}"
    process.terminate()
    process.wait(30)
    process.stdout.close()


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process of the product, with this one's settings from the environment."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
