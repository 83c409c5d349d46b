"""Answers of either protocol, row by row; when recorded rows say nothing; and how a verdict is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kale_serve_ext.display import Progress
from kale_serve_ext.engines.base import Check, ComponentState, Manifest, Replica, RevisionShare, ServiceState
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import RowDifference
from kale_serve_ext.serving.answering import method_of, verify_of
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Plan
from kale_serve_ext.serving.verification import Verification, verification_html, verification_text
from kale_serve_ext.serving.verify import per_row, why_not

GOOD = Verification("predictor", 20, 0, (), ok=True)
BAD = Verification("predictor", 20, 12, (RowDifference(4, 1, 0), RowDifference(7, "<b>", None)), ok=False)


def tensor(data: JSON, shape: list[JSON], name: str = "output-0") -> dict[str, JSON]:
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data}


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ({"predictions": [0, 1]}, [0, 1]),
        ({"predictions": [[0.1, 0.9], [1, 0]], "more": 1}, [[0.1, 0.9], [1, 0]]),
        ({"outputs": [tensor([1, 2], [2])]}, [1, 2]),
        ({"outputs": [tensor(["a", "b"], [2])]}, ["a", "b"]),
        ({"outputs": [tensor([1, 2, 3, 4], [2, 2])]}, [[1, 2], [3, 4]]),
        ({"outputs": [tensor([[1, 2], [3, 4]], [2, 2])]}, [[1, 2], [3, 4]]),
        ({"outputs": [tensor([1, 2, 3, 4], [1, 2, 2])]}, [[[1, 2], [3, 4]]]),
        (
            {"outputs": [tensor([1, 2], [2], "a"), tensor(["x", "y"], [2], "b")]},
            [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        ),
        ({"outputs": [tensor([], [0])]}, []),
    ],
)
def test_an_answer_of_either_protocol_is_one_answer_for_each_row(answer: JSON, rows: JSON) -> None:
    assert per_row(answer) == rows


def test_one_column_is_one_value_for_each_row_where_one_is_expected() -> None:
    answer: JSON = {"outputs": [tensor([1, 2], [2, 1])]}

    assert per_row(answer, [1, 2]) == [1, 2]
    assert per_row(answer, [[1], [2]]) == [[1], [2]]


def test_a_single_output_with_a_name_of_its_own_is_a_column_of_our_server() -> None:
    answer: JSON = {"outputs": [tensor([1.5, 2.5], [2], "pca0")]}

    assert per_row(answer, own=True) == [{"pca0": 1.5}, {"pca0": 2.5}]
    assert per_row(answer) == [1.5, 2.5]
    assert per_row({"outputs": [tensor([1, 2], [2])]}, own=True) == [1, 2]


@pytest.mark.parametrize("answer", [{"other": 1}, [1, 2], "text", None, {"outputs": []}])
def test_what_is_no_answer_of_a_protocol_stays_what_it_is(answer: JSON) -> None:
    assert per_row(answer) == answer


def state(env: dict[str, str] | None = None, **change: object) -> ServiceState:
    variables: list[JSON] = [{"name": name, "value": value} for name, value in (env or {}).items()]
    made = ServiceState(
        ref=ServiceRef("local", "localhost", "default", "iris"),
        manifest={
            "metadata": {"name": "iris", "labels": {"kale-serve-ext/model-id": "3"}},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "env": variables}}},
        },
        revision=2,
        serving_revision=2,
        components=(ComponentState("predictor", 1, 1, (Replica("iris-0", 2, "Running", ready=True),)),),
    )
    return replace(made, **change)  # type: ignore[arg-type]  # by name


def test_recorded_rows_say_something_of_the_newest_revision_that_answers_alone() -> None:
    assert why_not(describe(state())) == ""
    assert why_not(describe(state({"KALE_SERVE_VERIFY": "require"}))) == ""
    assert why_not(describe(state({"KALE_SERVE_VERIFY": "off"}))) == "off"
    assert why_not(describe(state(serving_revision=1))) == "revision 1 answers, not revision 2"
    assert why_not(describe(state(manifest={}))) == "it is not known which model it serves"
    shares = (RevisionShare("b", 20, newest=True), RevisionShare("a", 80, newest=False))
    assert why_not(describe(state(shares=shares))) == "several versions share the requests"
    promoted = (RevisionShare("b", 100, newest=True), RevisionShare("a", 0, newest=False))
    assert why_not(describe(state(shares=promoted))) == ""


@pytest.mark.parametrize(
    ("env", "method"),
    [
        ({}, "predict"),
        ({"KALE_SERVE_METHOD": "transform"}, "transform"),
        ({"PREDICT_PROBA": "true"}, "predict_proba"),
        ({"PREDICT_PROBA": "false"}, "predict"),
    ],
)
def test_a_manifest_tells_which_method_answers(env: dict[str, str], method: str) -> None:
    assert method_of(state(env).manifest) == method
    assert describe(state(env)).method == method


def test_a_container_of_ones_own_tells_of_no_method() -> None:
    own: Manifest = {"spec": {"predictor": {"containers": [{"image": "mine", "env": [{"name": "X"}]}]}}}

    assert method_of(own) == ""
    assert verify_of(own) == "warn"


def test_a_verdict_is_told_as_text() -> None:
    assert repr(GOOD) == "✓ 20 recorded rows answered as in the notebook"
    assert verification_text(BAD).splitlines() == [
        "⚠ 12 of 20 recorded rows answered differently from the notebook",
        "  row 4: expected 1, got 0",
        '  row 7: expected "<b>", got null',
        "  and 10 more",
    ]
    assert repr(replace(GOOD, rows=1, recorded=False)) == "✓ 1 given row answered as expected"
    assert "No rows were compared: off." in repr(Verification(None, 0, 0, (), ok=False, skipped="off"))
    refused = Verification("predictor", 3, 3, (), ok=False, error="X has 3 features.")
    assert repr(refused) == "⚠ 3 recorded rows could not be answered: X has 3 features."


def test_a_verdict_is_told_as_html_that_is_escaped() -> None:
    html = verification_html(BAD)

    assert BAD._repr_html_() == html
    assert '<th scope="row">7</th><td><code>&quot;&lt;b&gt;&quot;</code></td><td><code>null</code></td>' in html
    assert "<b>" not in html
    assert "and 10 more" in html
    assert "<table" not in verification_html(GOOD)


def test_a_verdict_counts_as_true_only_where_rows_were_answered_as_expected() -> None:
    assert GOOD
    assert not BAD
    assert not Verification(None, 0, 0, (), ok=False, skipped="no rows are recorded")


def test_a_plans_warnings_are_lines_in_a_terminal() -> None:
    lines: list[str] = []
    checks = (
        Check("ok", "Fine", "All is well."),
        Check("warning", "SecretIgnored", "DB_PASSWORD is left out.", "Set it as a plain value."),
    )
    plan = Plan("iris", {}, "", "v1", True, checks, (), False, ())

    shown = Progress(lines.append)
    shown.planned(plan)
    shown.verified(GOOD)
    shown.verified(Verification(None, 0, 0, (), ok=False, skipped="no rows are recorded"))

    assert lines == [
        "⚠ DB_PASSWORD is left out. Set it as a plain value.\n",
        "✓ 20 recorded rows answered as in the notebook\n",
    ]
