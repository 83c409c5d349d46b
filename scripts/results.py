"""Reading what the test runners report: how many passed, and which failed or were skipped."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Counts:
    """Of one runner, or of several added up."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __iadd__(self, other: Counts) -> Counts:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self) -> str:
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def pytest_counts(report: Path, exit_code: int) -> Counts:
    """From pytest's JUnit report; a run that broke off counts as one failure."""
    counts = Counts()
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                counts.failed.append(name)
            elif skipped is not None:
                counts.skipped.append(f"{name}: {skipped.get('message')}")
            else:
                counts.passed += 1
    return _with_exit_code(counts, "pytest", exit_code)


def jest_counts(report: Path, exit_code: int) -> Counts:
    """From jest's JSON report."""
    counts = Counts()
    if report.exists():
        for suite in json.loads(report.read_text())["testResults"]:
            if suite["status"] == "failed" and not suite["assertionResults"]:
                counts.failed.append(f"{suite['name']}: did not run")
            for test in suite["assertionResults"]:
                _sort(counts, f"{Path(suite['name']).name} {test['fullName']}", test["status"])
    return _with_exit_code(counts, "jest", exit_code)


def playwright_counts(report: Path, exit_code: int) -> Counts:
    """From Playwright's JSON report; a test that passed at a second try counts as failed."""
    words = {"expected": "passed", "unexpected": "failed", "flaky": "failed", "skipped": "skipped"}
    counts = Counts()
    if report.exists():
        for name, status in _specs(json.loads(report.read_text())["suites"]):
            _sort(counts, name, words[status])
    return _with_exit_code(counts, "browser tests", exit_code)


def _specs(suites: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    for suite in suites:
        for spec in _dicts(suite.get("specs")):
            for test in _dicts(spec.get("tests")):
                yield f"{suite['title']} › {spec['title']}", str(test["status"])
        yield from _specs(_dicts(suite.get("suites")))


def _dicts(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []


def _sort(counts: Counts, name: str, status: str) -> None:
    if status == "passed":
        counts.passed += 1
    elif status == "failed":
        counts.failed.append(name)
    else:
        counts.skipped.append(name)


def _with_exit_code(counts: Counts, runner: str, exit_code: int) -> Counts:
    if exit_code and not counts.failed:
        counts.failed.append(f"{runner}: ended with exit code {exit_code}")
    elif not counts.passed and not counts.failed:
        counts.failed.append(f"{runner}: no test ran")
    return counts
