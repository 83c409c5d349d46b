"""The scripts behind the two commands: what they say where something is missing, and how they count."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"project_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _find_python(**environ: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPTS / "find-python.sh")]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_a_python_that_fits_is_taken() -> None:
    done = _find_python(PYTHON=sys.executable)

    assert (done.returncode, done.stdout) == (0, f"{sys.executable}\n")


def test_a_python_that_does_not_fit_gets_one_sentence(tmp_path: Path) -> None:
    old = _program(tmp_path / "python", 'case "$1" in --version) echo Python 3.9.18 ;; *) exit 1 ;; esac')

    done = _find_python(PYTHON=str(old))

    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert "Python 3.9.18" in sentence
    assert "3.10 to 3.13" in sentence


def test_a_machine_without_a_python_that_fits_gets_one_sentence(tmp_path: Path) -> None:
    done = _find_python(PYTHON="", PATH=str(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert "needs Python 3.10 to 3.13" in sentence


def test_a_node_that_is_too_old_gets_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "node", "echo v18.20.4")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SystemExit, match=r"needs Node 20\.19 or newer, and .*/node is v18\.20\.4\.$"):
        _script("machine").require_node()


def test_the_package_index_of_pip_becomes_that_of_uv(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://packages.example/simple\nextra-index-url = https://more.example/\n"
    )
    program = "import json, machine; print(json.dumps(machine.uv_environ()))"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    environ |= {"PIP_CONFIG_FILE": str(config), "PYTHONPATH": str(SCRIPTS)}

    done = subprocess.run(
        [_python_with_pip(), "-c", program], env=environ, capture_output=True, text=True, check=True
    ).stdout

    told = json.loads(done)
    assert told["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
    assert told["UV_INDEX"] == "https://more.example/"


def _python_with_pip() -> str:
    """The interpreter that runs the scripts; the tests' own environment has no pip."""
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv: `make test` makes it")
    return str(python)


def test_pytest_results_are_counted(tmp_path: Path) -> None:
    report = tmp_path / "pytest.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"><failure/>'
        '</testcase><testcase classname="b" name="three"><error/></testcase><testcase classname="b" name="four">'
        '<skipped message="no cluster"/></testcase></testsuite></testsuites>'
    )

    counts = _script("results").pytest_counts(report, 1)

    assert str(counts) == "1 passed, 2 failed, 1 skipped"
    assert counts.failed == ["a::two", "b::three"]
    assert counts.skipped == ["b::four: no cluster"]


def test_a_run_that_broke_off_is_a_failure(tmp_path: Path) -> None:
    results = _script("results")

    assert str(results.pytest_counts(tmp_path / "missing.xml", 4)) == "0 passed, 1 failed, 0 skipped"
    assert str(results.jest_counts(tmp_path / "missing.json", 0)) == "0 passed, 1 failed, 0 skipped"
    assert str(results.playwright_counts(tmp_path / "missing.json", 1)) == "0 passed, 1 failed, 0 skipped"


def test_jest_results_are_counted(tmp_path: Path) -> None:
    report = tmp_path / "jest.json"
    tests = [{"fullName": "a", "status": "passed"}, {"fullName": "b", "status": "failed"}]
    more = [{"fullName": "c", "status": "pending"}]
    suites = [
        {"name": "/x/one.spec.ts", "status": "failed", "assertionResults": tests},
        {"name": "/x/two.spec.ts", "status": "passed", "assertionResults": more},
        {"name": "/x/broken.spec.ts", "status": "failed", "assertionResults": []},
    ]
    report.write_text(json.dumps({"testResults": suites}))

    assert str(_script("results").jest_counts(report, 1)) == "1 passed, 2 failed, 1 skipped"


def test_playwright_results_are_counted(tmp_path: Path) -> None:
    def spec(title: str, status: str) -> dict[str, object]:
        return {"title": title, "tests": [{"status": status}]}

    inner = {"title": "inner", "specs": [spec("c", "skipped"), spec("d", "flaky")]}
    outer = {"title": "main.spec.ts", "specs": [spec("a", "expected"), spec("b", "unexpected")], "suites": [inner]}
    report = tmp_path / "browser.json"
    report.write_text(json.dumps({"suites": [outer]}))

    assert str(_script("results").playwright_counts(report, 1)) == "1 passed, 2 failed, 1 skipped"


@pytest.mark.parametrize("path", ["constraints.txt", "tests/compat/constraints.txt"])
def test_constraints_are_names_and_versions_only(path: str) -> None:
    lines = [line for line in (ROOT / path).read_text("utf-8").splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[^\s;/]+( ; [^/]+)?", line)] == []


@pytest.mark.parametrize("path", ["yarn.lock", "ui-tests/yarn.lock"])
def test_lock_files_name_no_registry(path: str) -> None:
    assert "://" not in (ROOT / path).read_text("utf-8")


class TestBump:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        (tmp_path / "package.json").write_text('{\n  "name": "x",\n  "version": "0.1.0"\n}\n')
        (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n### Added\n\n- This.\n")
        return tmp_path

    @pytest.fixture
    def bump(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
        monkeypatch.syspath_prepend(str(SCRIPTS))
        release: Callable[[str, Path], None] = _script("release").bump
        return release

    def test_sets_the_one_version_and_dates_the_changes(
        self, checkout: Path, bump: Callable[[str, Path], None]
    ) -> None:
        bump("0.2.0-rc.1", checkout)

        assert (checkout / "package.json").read_text() == '{\n  "name": "x",\n  "version": "0.2.0-rc.1"\n}\n'
        changes = (checkout / "CHANGELOG.md").read_text()
        assert re.search(r"## Unreleased\n\n## 0\.2\.0-rc\.1 – \d{4}-\d\d-\d\d\n\n### Added\n\n- This\.\n$", changes)

    @pytest.mark.parametrize(
        ("version", "said"), [("v1", "no version"), ("0.1.0", "already"), ("1.0", "no version"), ("", "no version")]
    )
    def test_changes_nothing_where_it_is_no_new_version(
        self, checkout: Path, bump: Callable[[str, Path], None], version: str, said: str
    ) -> None:
        before = [path.read_text() for path in sorted(checkout.iterdir())]
        with pytest.raises(SystemExit, match=said):
            bump(version, checkout)
        assert [path.read_text() for path in sorted(checkout.iterdir())] == before

    def test_wants_something_to_release(self, checkout: Path, bump: Callable[[str, Path], None]) -> None:
        (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n### Added\n")
        with pytest.raises(SystemExit, match="nothing under Unreleased"):
            bump("0.2.0", checkout)
        assert '"0.1.0"' in (checkout / "package.json").read_text()
