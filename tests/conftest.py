"""Fixtures shared by all tests: settings of their own, so that no test sees the user's data, and a real metadata
engine whose environment is made once, by the product itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.environment import ensure_environment
from kale_serve_ext.metadata.store import Metadata


@pytest.fixture(scope="session")
def metadata_python(pytestconfig: pytest.Config) -> str:
    """A Python with ml-metadata: the one that the environment names, or one made here and kept between runs."""
    given = Settings.from_environ()
    folder = pytestconfig.rootpath / ".pytest_cache" / "metadata-engine"
    return asyncio.run(ensure_environment(replace(given, data_dir=folder), print))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata_python: str) -> Iterator[Settings]:
    """Settings with folders of this test only; also in the environment, for the processes that it starts."""
    # Unix sockets need a short path, which pytest's tmp_path is not.
    runtime = tempfile.mkdtemp(prefix="ks-")
    made = replace(
        Settings.from_environ(), data_dir=tmp_path / "data", runtime_dir=runtime, metadata_python=metadata_python
    )
    for name, value in made.to_environ().items():
        monkeypatch.setenv(name, value)
    yield made
    for lock in Path(runtime).rglob("metadata.lock"):
        # The engine is nobody's child; it would end by itself when its socket is gone, a little later.
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(lock.read_text()), signal.SIGTERM)
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """A real, empty MLMD; its engine starts on the first call."""
    opened = open_metadata(settings)
    yield opened
    asyncio.run(opened.close())
