"""The folder ``code`` of a snapshot on the path of the process that loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import queue, sys
import concurrent.futures.thread, google.protobuf
before = queue
from pathlib import Path
from kale_serve_ext.runner.own_code import use_code
use_code(Path(sys.argv[1]))
use_code(Path(sys.argv[1]))
print(sys.path.count(sys.argv[1] + "/code"))
import tools, pack.inner, queue
print(tools.ONE, pack.inner.TWO, queue.MINE, before.__name__)
import concurrent.futures
print(concurrent.futures.ThreadPoolExecutor(1).submit(lambda: 5).result())
import google.mine
print(google.mine.THREE, sys.modules["google.protobuf"] is google.protobuf)
"""


def test_modules_are_found_first_and_nothing_is_written(tmp_path: Path) -> None:
    files = {
        "tools.py": "ONE = 1",
        "pack/__init__.py": "",
        "pack/inner.py": "from tools import ONE\nTWO = ONE + 1",
        "queue.py": "MINE = 'mine'",
        "google/mine.py": "THREE = 3",
    }
    for name, text in files.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
    ran = subprocess.run([sys.executable, "-c", _PROGRAM, tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["1", "1 2 mine queue", "5", "3 True"]
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_snapshot_without_code_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kale_serve_ext.runner.own_code import use_code

    monkeypatch.setattr(sys, "path", list(sys.path))
    before = list(sys.path)
    use_code(tmp_path)
    assert sys.path == before
