"""Fixtures shared by all tests: settings of their own, so that no test sees the user's data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with folders of this test only; also in the environment, for the processes that it starts."""
    # Unix sockets need a short path, which pytest's tmp_path is not.
    runtime = tempfile.mkdtemp(prefix="ks-")
    made = replace(Settings.from_environ(), data_dir=tmp_path / "data", runtime_dir=runtime)
    for name, value in made.to_environ().items():
        monkeypatch.setenv(name, value)
    yield made
    shutil.rmtree(runtime, ignore_errors=True)
