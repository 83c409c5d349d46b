"""Everything that ``make test`` runs, against the wheel in clean environments; ends with a summary.

Parts: ``lint``, ``docs``, ``pytest``, ``runtimes``, ``cluster``, ``jest`` and ``browser``; all of them unless some are
named. A part that fails does not keep the others from running. The counts are left in ``.cache/results/counts.txt`` for
the CI script.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cluster import environment
from machine import find_browser, install_browser
from metadata import prepare_for_tests
from product import (
    JLPM,
    install_node_packages,
    jlpm,
    node_environ,
    product_environment,
    runtimes_environment,
    wheel_environment,
)
from results import Counts, jest_counts, playwright_counts, pytest_counts
from steps import CACHE, ROOT, once

import api

PARTS = ("lint", "docs", "pytest", "runtimes", "cluster", "jest", "browser")
CLUSTER_TESTS = ROOT / "tests" / "cluster"
RUNTIMES_TESTS = ROOT / "tests" / "runtimes"
CHAT = "chat.spec.ts"
"""The browser test in the environment of the runtimes."""
RESULTS = CACHE / "results"
MOST_WORKERS = 4


class Part:
    """One part's run: its commands' exit codes, and the counts where its runner gives some."""

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        self.name = name
        self.counts = Counts()
        self._quiet = quiet
        self._start = time.monotonic()

    def check(self, *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> int:
        """Run one command; its failure counts as one failed test of this name."""
        code = self.execute(command, cwd=cwd, env=env)
        if code:
            self.counts.failed.append(f"{self.name}: {shlex.join(map(str, command))} ended with {code}")
        return code

    def execute(self, command: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> int:
        """Run one command for its exit code; a quiet part's output is shown only when it fails."""
        words = [str(word) for word in command]
        piped = subprocess.PIPE if self._quiet else None
        errors = subprocess.STDOUT if self._quiet else None
        done = subprocess.run(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=piped, stderr=errors, text=True, check=False
        )
        if self._quiet and done.returncode:
            print(f"--- {shlex.join(words)}\n{done.stdout}", flush=True)
        return done.returncode

    def done(self) -> Counts:
        verdict = "FAILED" if self.counts.failed else "ok"
        print(f"== {self.name}: {verdict}, {time.monotonic() - self._start:.0f} s", flush=True)
        return self.counts


def lint(tools: Path) -> Counts:
    """Style, types, layers and the files that are generated from others."""
    part = Part("lint", quiet=True)
    part.check(tools / "ruff", "check", ".")
    part.check(tools / "ruff", "format", "--check", ".")
    part.check(tools / "lint-imports", "--no-cache")
    part.check(tools / "mypy")
    part.check(JLPM, "lint:check", env=node_environ())
    part.check(JLPM, "lint:check", cwd=ROOT / "ui-tests", env=node_environ())
    for name in api.stale(tools / "python"):
        part.counts.failed.append(f"lint: {name} is stale; `make api` writes it anew")
    return part.done()


def docs(tools: Path) -> Counts:
    """The documentation, with every warning an error."""
    part = Part("docs", quiet=True)
    part.check(tools / "sphinx-build", "-W", "--keep-going", "-q", "docs", "docs/_build/html")
    return part.done()


def pytest(tools: Path) -> Counts:
    """The Python tests, against the installed wheel."""
    part = Part("pytest")
    report = RESULTS / "pytest.xml"
    arguments = shlex.split(os.environ.get("PYTEST_ARGS", ""))
    environ = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environ["KUBEFLOW_ENVIRONMENT"] = str(_kubeflow_environment())
    # Most of the time goes to processes that start, each on one core. A file's tests share what they have started.
    workers = ["--numprocesses", str(min(MOST_WORKERS, os.cpu_count() or 1)), "--dist", "loadfile"]
    others = [f"--ignore={folder}" for folder in (CLUSTER_TESTS, RUNTIMES_TESTS)]
    command: list[str | Path] = [tools / "pytest", f"--junitxml={report}", *others, *workers]
    # The floor in pyproject.toml is for all tests, and on Linux: elsewhere some of what they are about does not exist.
    if not arguments and sys.platform == "linux":
        command += ["--cov", "--cov-report="]
    command += arguments
    part.counts += pytest_counts(report, part.execute(command, env=environ))
    return part.done()


def runtimes(tools: Path) -> Counts:
    """The model servers and the formats of large frameworks, each answering on this machine.

    One test at a time: what it starts may take a gigabyte. What cannot be had here is skipped, and named at the end.
    """
    part = Part("runtimes", quiet=True)
    report = RESULTS / "runtimes.xml"
    # An interpreter's own programs come first on its models' PATH, as in a notebook.
    environ = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    arguments = shlex.split(os.environ.get("PYTEST_ARGS", ""))
    # A framework's new warning is no fault of what is tested with it.
    warnings = ["-W", "default", "-W", "error::pytest.PytestUnraisableExceptionWarning"]
    command: list[str | Path] = [tools / "pytest", f"--junitxml={report}", *warnings, RUNTIMES_TESTS, *arguments]
    part.counts += pytest_counts(report, part.execute(command, env=environ))
    return part.done()


def chat(product: Path) -> Counts:
    """The panel's chat in Chromium, with a language model."""
    part = Part("chat")
    part.counts += _in_browser(part, product, CHAT, os.environ)
    return part.done()


def cluster(tools: Path, product: Path, *, asked: bool) -> Counts:
    """The tests that need a Kubernetes cluster with KServe, and the panel's main job there."""
    part = Part("cluster")
    report = RESULTS / "cluster.xml"
    environ = {**os.environ, **environment(asked=asked), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    # A client's or a server's new warning is no fault of what runs on the cluster.
    warnings = ["-W", "default", "-W", "error::pytest.PytestUnraisableExceptionWarning"]
    command: list[str | Path] = [tools / "pytest", f"--junitxml={report}", *warnings, CLUSTER_TESTS]
    part.counts += pytest_counts(report, part.execute(command, env=environ))
    if environ.get("KUBECONFIG"):
        part.counts += _in_browser(part, product, "main-job", {**environ, "UI_TESTS_ENGINE": "cluster"})
    else:
        part.counts.skipped.append("main-job in the browser, on a cluster: $KUBECONFIG is not set")
    return part.done()


def jest() -> Counts:
    """The panel's unit tests."""
    part = Part("jest", quiet=True)
    report = RESULTS / "jest.json"
    code = part.execute([JLPM, "jest", "--ci", "--json", f"--outputFile={report}"], env=node_environ())
    part.counts += jest_counts(report, code)
    return part.done()


def browser(product: Path) -> Counts:
    """The panel in Chromium, on a Jupyter server that has nothing but the wheel's environment on its PATH.

    The chat needs a language model's framework, and is tried with the runtimes.
    """
    part = Part("browser")
    part.counts += _in_browser(part, product, "", {**os.environ, "UI_TESTS_WITHOUT": f"**/{CHAT}"})
    return part.done()


def _in_browser(part: Part, product: Path, only: str, variables: Mapping[str, str]) -> Counts:
    """The browser tests whose file's name has ``only`` in it."""
    report = RESULTS / f"{part.name}-browser.json"
    environ = {
        **variables,
        "PATH": node_environ()["PATH"],
        "CHROMIUM": find_browser(),
        "PRODUCT_UNDER_TEST": str(product),
        "PLAYWRIGHT_JSON_OUTPUT_FILE": str(report),
    }
    code = part.execute([JLPM, "test", *([only] if only else [])], cwd=ROOT / "ui-tests", env=environ)
    return playwright_counts(report, code)


def _kubeflow_environment() -> Path:
    """The product beside kubeflow-kale, which pins other versions of what both need. It wants Python 3.11 or newer."""
    folder = ROOT / "tests" / "compat"
    beside = ["-r", str(folder / "requirements.txt"), "pip"]
    return wheel_environment("kubeflow", "examples", beside=beside, constraints=folder / "constraints.txt")


def install_browser_tests() -> None:
    """The browser tests' own packages, and a browser."""
    folder = ROOT / "ui-tests"
    once(
        "ui-tests",
        "Installing the browser tests' packages",
        lambda: jlpm("install", "--immutable", cwd=folder),
        inputs=[folder / "package.json", folder / "yarn.lock"],
        result=folder / "node_modules",
    )
    if not install_browser():
        jlpm("playwright", "install", "chromium", cwd=folder)


def main(wanted: Sequence[str]) -> int:
    """Prepare what the wanted parts need, run them, and tell. Returns the exit code."""
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(f"Unknown parts: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)}.")
    parts = list(wanted) or list(PARTS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()

    install_node_packages()
    tools = wheel_environment("tests", "test", "lint", "docs")
    if {"lint", "runtimes", "browser", "cluster"}.intersection(parts):
        install_browser_tests()

    total = Counts()
    if {"pytest", "runtimes", "cluster", "browser"}.intersection(parts):
        os.environ.update(prepare_for_tests(tools))
    with ThreadPoolExecutor(1) as pool:
        # Lint and types beside the panel's unit tests: both leave a core idle by turns.
        beside = pool.submit(jest) if "jest" in parts else None
        if "lint" in parts:
            total += lint(tools)
        if "docs" in parts:
            total += docs(tools)
        if beside:
            total += _result("jest", beside)
        if "pytest" in parts:
            total += pytest(tools)
        # The tests of a cluster wait for its pods most of the time.
        beside = pool.submit(runtimes, runtimes_environment()) if "runtimes" in parts else None
        if "cluster" in parts:
            total += cluster(tools, product_environment(), asked="cluster" in wanted)
        if beside:
            total += _result("runtimes", beside)
            total += chat(runtimes_environment())
        if "browser" in parts:
            total += browser(product_environment())

    _tell(total)
    return 1 if total.failed else 0


def _result(name: str, beside: Future[Counts]) -> Counts:
    """What a part has come to that ran beside others."""
    try:
        return beside.result()
    except Exception as error:  # what it is, is to stand in the summary
        return Counts(failed=[f"{name}: {type(error).__name__}: {error}"])


def _tell(total: Counts) -> None:
    for title, names in (("Skipped", total.skipped), ("Failed", total.failed)):
        if names:
            print(f"\n{title}:\n" + "\n".join(f"  {name}" for name in names))
    print(f"\n{total}", flush=True)
    (RESULTS / "counts.txt").write_text(f"{total}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
