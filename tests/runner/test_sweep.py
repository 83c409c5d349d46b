"""Every estimator that can answer is served as it answers in the notebook: every table, method and route of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.sweep import asked, estimators, tables
from tests.runner.sweep.refusals import REFUSALS, Refusal, refusal_of

DOCS = Path(__file__).parents[2] / "docs" / "answers.md"
_met: set[Refusal] = set()
_asked: set[str] = set()


@pytest.fixture(scope="module")
def server() -> Iterator[asked.Server]:
    """One model server for all of them."""
    with asked.running() as made:
        yield made


# All of scikit-learn's estimators are asked, those that it is about to remove too.
@pytest.mark.filterwarnings("ignore:Class PassiveAggressive.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", estimators.names())
def test_it_is_served_as_it_answers_in_the_notebook(server: asked.Server, tmp_path: Path, name: str) -> None:
    outcomes: list[asked.Outcome] = []
    for table in estimators.tables_of(name):
        try:
            model = estimators.fitted(name, tables.ALL[table]())
            outcomes += asked.outcomes(server, name, table, model, tmp_path / table)
        except estimators.NotAnswered:
            continue
    _asked.add(name)
    assert outcomes, "It takes none of the tables: it was not tried."
    faults = list(filter(None, map(_fault, outcomes)))
    assert not faults, "\n".join(faults[:40])


def _fault(outcome: asked.Outcome) -> str:
    """What is wrong with an outcome; empty where it is right, or a refusal that is listed."""
    listed = refusal_of(outcome.case)
    if listed:
        _met.add(listed)
    if outcome.difference:
        return f"{outcome.case}: {outcome.difference}"
    if listed is None:
        return f"{outcome.case}: refused: {outcome.refusal}" if outcome.refusal else ""
    if not outcome.refusal:
        return f"{outcome.case}: it is listed as refused, and was answered."
    return "" if listed.message in outcome.refusal else f"{outcome.case}: refused otherwise: {outcome.refusal}"


def test_every_refusal_of_the_list_was_met() -> None:
    if _asked != set(estimators.names()):
        pytest.skip("Only some of the estimators were asked.")
    assert not [refusal for refusal in REFUSALS if refusal not in _met]


def test_the_documentation_has_the_list_of_refusals() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| refused |")]
    assert rows == [f"| refused | {one.why} | {one.message} |" for one in REFUSALS]
