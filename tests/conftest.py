"""Fixtures shared by all tests: settings of their own, so that no test sees the user's data, and a real metadata
engine whose environment is made once, by the product itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext import session, sync
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


@pytest.fixture(scope="session")
def new_workspace(
    tmp_path_factory: pytest.TempPathFactory, metadata_python: str
) -> Callable[[Settings], AbstractContextManager[Settings]]:
    """Makes workspaces for whole test modules: settings with folders of their own, also in the environment.

    What is served by them goes with them.
    """

    @contextmanager
    def workspace(like: Settings) -> Iterator[Settings]:
        with _runtime_dir() as runtime, pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("workspace") / "data"
            made = replace(like, data_dir=folder, runtime_dir=runtime, metadata_python=metadata_python)
            for name, value in made.to_environ().items():
                patch.setenv(name, value)
            yield made
            engine = session.engine()
            for state in sync.run(engine.services()):
                sync.run(engine.delete(state.ref.name))
            sync.run(session.close())

    return workspace


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata_python: str) -> Iterator[Settings]:
    """Settings with folders of this test only; also in the environment, for the processes that it starts."""
    with _runtime_dir() as runtime:
        made = replace(
            Settings.from_environ(), data_dir=tmp_path / "data", runtime_dir=runtime, metadata_python=metadata_python
        )
        for name, value in made.to_environ().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """A real, empty MLMD; its engine starts on the first call."""
    opened = open_metadata(settings)
    yield opened
    asyncio.run(opened.close())


@contextmanager
def _runtime_dir() -> Iterator[str]:
    """A runtime folder; the metadata engine that was started for it ends with it."""
    # Unix sockets need a short path, which pytest's tmp_path is not.
    folder = tempfile.mkdtemp(prefix="ks-")
    yield folder
    for lock in Path(folder).rglob("metadata.lock"):
        # The engine is nobody's child; it would end by itself when its socket is gone, a little later.
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(lock.read_text()), signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)
