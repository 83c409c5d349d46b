"""The command ``kale-serve-ext``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import kale_serve_ext
from kale_serve_ext.cli import main
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Base, Environment, catalogue
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


OTHER = (3, 10) if sys.version_info[:2] != (3, 10) else (3, 11)
# Runs what it is given with -c, as an interpreter of another version than the one that it is.
PYTHON = """#!{python}
import sys
sys.version_info = ({version}, 1, "final", 0)
program = sys.argv[sys.argv.index("-c") + 1]
exec(program, {{"__name__": "__main__"}})
"""


@pytest.fixture
def other(tmp_path: Path) -> str:
    """An interpreter of another version than the running one."""
    program = tmp_path / "an env" / "python"
    program.parent.mkdir()
    program.write_text(PYTHON.format(python=sys.executable, version="{}, {}".format(*OTHER)))
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def overlay(registered: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:  # noqa: F811
    """The tiny environment as an overlay, for the running version of Python alone."""
    (here,) = registered.platforms
    env = replace(
        registered,
        kind="overlay",
        requirements=(),
        without_dependencies=registered.requirements,
        platforms=(replace(here, minors=(Base.running().version,)),),
    )
    monkeypatch.setitem(catalogue._known, "tiny", env)
    return env


def test_setup_lays_an_overlay_beside_the_python_that_is_named(
    settings: Settings, overlay: Environment, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "tiny", "--python", sys.executable]) == 0
    assert f"-cp{sys.version_info[0]}{sys.version_info[1]}-" in capsys.readouterr().out

    for more, found in ([], "ready"), (["--python", other], "missing"):
        assert main(["setup", "--list", "tiny", *more]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[3] == found
    assert main(["setup", "tiny", "--python", other]) == 1
    assert f"cannot run with {other}: that is Python {OTHER[0]}.{OTHER[1]}" in capsys.readouterr().err

    # What is said to be run is what would make it.
    beside = Base(other, OTHER)
    told = shlex.split(overlay.command(beside))
    assert told == ["kale-serve-ext", "setup", "tiny", "--python", other]
    assert overlay.command(replace(beside, version=Base.running().version)) == "kale-serve-ext setup tiny"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tiny", "--python", "/nowhere/python"], "no Python interpreter /nowhere/python"),
        (["tiny", "--python", "false"], "false is not a usable Python interpreter"),
        (["tiny", "--python", ""], "no Python interpreter"),
        (["tiny", "mlserver", "--python", sys.executable], "mlserver is an environment of its own"),
        (["--python", sys.executable], "metadata is an environment of its own"),
        (["--remove", "tiny", "--python", sys.executable], "for every version of Python"),
    ],
)
def test_setup_refuses_a_python_that_it_cannot_use(
    settings: Settings, overlay: Environment, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (settings.data_dir / "environments").exists()
