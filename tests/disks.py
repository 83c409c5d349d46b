"""Disks of a few megabytes, to be filled and made read-only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own at ``folder``, of a size as ``4m``; skips the test where nothing can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a full disk needs the right to mount a small one: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: processes that were told to end may hold it for a moment.
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on the disk. Gives the file that takes it."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@contextmanager
def read_only(disk: Path, folder: Path | None = None) -> Iterator[None]:
    """The disk, or only a ``folder`` of it while processes write elsewhere on it, made read-only for a while."""
    if folder is not None:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        command = ["mount", "-o", "remount,bind,ro" if folder else "remount,ro", str(folder or disk)]
        end = time.monotonic() + 30
        # The threads of a process that was killed may have files open for a moment still.
        while (tried := subprocess.run(command, check=False, capture_output=True, text=True)).returncode:
            assert time.monotonic() < end, tried.stderr
            time.sleep(0.05)
        yield
    finally:
        subprocess.run(["umount", str(folder)] if folder else ["mount", "-o", "remount,rw", str(disk)], check=True)
