"""The command ``kale-serve-ext``."""

from __future__ import annotations

import pytest

import kale_serve_ext
from kale_serve_ext.cli import main
from kale_serve_ext.config import Settings


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out == f"{kale_serve_ext.__version__}\n"


def test_setup_starts_the_metadata_engine(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup"]) == 0

    assert "metadata: ready" in capsys.readouterr().out


def test_setup_says_what_to_do_where_the_engine_cannot_be_had(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KALE_SERVE_METADATA_PYTHON", "/nowhere/python")

    assert main(["setup"]) == 1

    assert "KALE_SERVE_METADATA_PYTHON" in capsys.readouterr().err


def test_health_tells_each_backend(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health"]) == 0

    out = capsys.readouterr().out
    assert {line.split(":")[0] for line in out.splitlines()} == {"metadata", "store", "engine"}
