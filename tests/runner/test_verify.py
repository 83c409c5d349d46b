"""What a process does with the rows that are recorded with its model, before it reports ready."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from kale_serve_ext import modelmeta
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import ModelMeta, Recorded
from kale_serve_ext.runner.verify import verify

ROWS: tuple[JSON, ...] = tuple({"x": float(i)} for i in range(6))


class Doubling:
    """Answers twice its column; fails for a column that it does not know."""

    def __init__(self) -> None:
        self.asked = 0

    def answers(self, rows: Sequence[JSON]) -> JSON:
        self.asked += 1
        return [2 * float(row["x"]) for row in rows]  # type: ignore[index,call-overload,arg-type]  # objects of numbers


@pytest.fixture
def model() -> Doubling:
    return Doubling()


def recorded(folder: Path, answers: Sequence[JSON], rows: tuple[JSON, ...] = ROWS, method: str = "predict") -> Path:
    modelmeta.write(folder, ModelMeta(recorded=Recorded(rows, tuple(answers), method)))
    return folder


def test_rows_that_are_answered_as_recorded_are_a_line_of_the_log(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KALE_SERVE_VERIFY", "require")
    with caplog.at_level(logging.INFO, "kale_serve"):
        verify(model, recorded(tmp_path, [0, 2, 4, 6, 8.000000001, 10]), "predict")

    assert caplog.messages == ["6 recorded rows match the answers recorded with the model."]


def test_rows_that_are_not_keep_a_version_from_loading_where_that_is_required(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_SERVE_VERIFY", "require")
    with pytest.raises(RuntimeError) as caught:
        verify(model, recorded(tmp_path, [0, 3, "x" * 100, 7, 9, None]), "predict")

    told = str(caught.value)
    assert told.startswith(
        "5 of 6 recorded rows were answered differently: row 1: expected 3, got 2.0; row 2: expected "
    )
    assert told.endswith("row 3: expected 7, got 6.0; and 2 more")
    assert "x" * 100 not in told


def test_else_they_are_a_warning_in_the_log(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("KALE_SERVE_VERIFY", raising=False)
    verify(model, recorded(tmp_path, [0, 3, 4, 6, 8, 10]), "predict")

    assert caplog.messages == ["1 of 6 recorded rows was answered differently: row 1: expected 3, got 2.0"]


def test_rows_that_cannot_be_answered_are_a_difference_too(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path, [1], ({"y": 1.0},))
    monkeypatch.setenv("KALE_SERVE_VERIFY", "require")

    with pytest.raises(RuntimeError, match="1 recorded row cannot be answered: 'x'"):
        verify(model, folder, "predict")


@pytest.mark.parametrize(("wanted", "method"), [("off", "predict"), ("require", "predict_proba")])
def test_nothing_is_asked_where_it_is_off_or_another_method_answers(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, method: str
) -> None:
    monkeypatch.setenv("KALE_SERVE_VERIFY", wanted)
    verify(model, recorded(tmp_path, [9] * 6), method)

    assert model.asked == 0


def test_nothing_is_asked_where_nothing_is_recorded(
    model: Doubling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_SERVE_VERIFY", "require")
    verify(model, tmp_path, "predict")
    modelmeta.write(tmp_path, ModelMeta(estimator="LogisticRegression"))
    verify(model, tmp_path, "predict")

    assert model.asked == 0
