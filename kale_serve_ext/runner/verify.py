"""Before a model answers others: whether it answers its recorded rows as it did where it was logged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .. import modelmeta
from ..ml import JSON
from ..modelmeta import Recorded, RowDifference

_SHOWN = 3
"""Differences that are named."""
_LONGEST = 60
"""Characters of a value that are named."""


class _Model(Protocol):
    def answers(self, rows: Sequence[JSON]) -> JSON: ...


def verify(model: _Model, folder: Path, method: str) -> None:
    """Have the model answer the rows that are recorded with it, and compare, as ``KALE_SERVE_VERIFY`` says.

    Nothing is compared where no rows are recorded, where another method answers, or with ``off``. A difference is a
    line of the log.

    Args:
        folder: its snapshot.
        method: the estimator's method that answers.

    Raises:
        RuntimeError: with ``require``, rows are answered differently, or not at all; names them.
    """
    wanted = os.environ.get(modelmeta.VERIFY, "")
    meta = None if wanted == "off" else modelmeta.read(folder)
    recorded = meta.recorded if meta else None
    if recorded is None or recorded.method != method:
        return
    log = logging.getLogger("kale_serve")
    if not (problem := _problem(recorded, model)):
        log.info("%d recorded rows match the answers recorded with the model.", len(recorded.rows))
    elif wanted == "require":
        raise RuntimeError(problem)
    else:
        log.warning("%s", problem)


def told(found: Sequence[RowDifference], count: int) -> str:
    """The differences as a sentence."""
    named = "; ".join(
        f"row {one.row}: expected {_value(one.expected)}, got {_value(one.got)}" for one in found[:_SHOWN]
    )
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    were = "were" if len(found) != 1 else "was"
    return f"{len(found)} of {count} recorded rows {were} answered differently: {named}{more}"


def _problem(recorded: Recorded, model: _Model) -> str:
    """What is wrong with the answers; empty where nothing is."""
    try:
        text = json.dumps(model.answers(recorded.rows), default=str)
        # JSON has no NaN: it is recorded as a missing value.
        answers: JSON = json.loads(text, parse_constant=lambda name: None if name == "NaN" else float(name))
    except Exception as exc:
        count = len(recorded.rows)
        return f"{count} recorded row{'s' if count != 1 else ''} cannot be answered: {str(exc) or type(exc).__name__}"
    found = modelmeta.compare(recorded.answers, answers)
    return told(found, len(recorded.rows)) if found else ""


def _value(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
