"""How the process of a model begins."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from kale_serve_ext.runner.main import main


# The process that it is for ends there.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_overlay_lies_behind_the_interpreters_own_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(before))
    ours, theirs = socket.socketpair()
    ours.close()
    with pytest.raises(SystemExit, match="The supervisor is gone"):
        main(["--channel", str(theirs.detach()), "--overlay", str(tmp_path)])
    assert sys.path == [*before, str(tmp_path)]
