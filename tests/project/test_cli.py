"""The command ``kale-serve-ext``."""

from __future__ import annotations

from dataclasses import replace

import pytest

import kale_serve_ext
from kale_serve_ext.cli import main
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Environment, catalogue
from tests.environments.conftest import registered, tiny  # noqa: F401  # fixtures


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


def test_setup_makes_lists_and_removes_an_environment(
    settings: Settings,
    registered: Environment,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["setup", "--list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["NAME", "TITLE", "STATE", "SIZE"]
    assert rows[1][0:4] == ["metadata", "Metadata", "engine", "ready"]
    assert rows[-1] == ["tiny", "Tiny", "server", "missing", "about", "1", "MB"]

    assert main(["setup", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "Installing the tiny server: fetching its packages" in out
    assert "tiny: ready. Tiny server 1.5 is in " in out

    assert main(["setup", "--list", "tiny"]) == 0
    assert "ready" in capsys.readouterr().out
    assert main(["setup", "--remove", "tiny"]) == 0
    assert main(["setup", "--remove", "tiny"]) == 0
    assert capsys.readouterr().out.splitlines() == ["tiny: removed.", "tiny: there was nothing to remove."]


def test_setup_lists_a_failure_with_the_way_out(
    settings: Settings,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(catalogue._known, "tiny", replace(registered, smoke="import nowhere"))
    assert main(["setup", "tiny"]) == 1
    said = capsys.readouterr().err
    assert "No module named 'nowhere'" in said

    assert main(["setup", "--list"]) == 0
    out = capsys.readouterr().out
    assert "failed" in out
    assert " ".join(said.split()) in out


@pytest.mark.parametrize("arguments", [["setup", "mlserver", "nowhere"], ["setup", "--remove", "nowhere"]])
def test_setup_names_the_environments_where_one_is_unknown(
    settings: Settings, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert "metadata, mlserver" in capsys.readouterr().err
    assert not (settings.data_dir / "environments").exists()


def test_setup_removes_nothing_that_is_not_named(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--remove"]) == 1
    assert "setup --list" in capsys.readouterr().err


def test_setup_takes_a_runtime_for_the_environment_of_its_server(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "--list", "kserve-mlserver", "mlserver"]) == 0
    assert capsys.readouterr().out.count("MLServer") == 1
    assert main(["setup", "--list", "kserve-sklearnserver"]) == 1
    assert "mlserver" in capsys.readouterr().err
