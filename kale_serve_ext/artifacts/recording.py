"""Some rows of a model's input with what it answers to them now, to be compared with what it answers later."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..errors import InvalidInputError
from ..estimators import attribute, listed, question, rows_of
from ..estimators.answers import plain
from ..formats.tensors import AnswerError, TensorModel, answers_of, of_rows
from ..ml import JSON
from ..modelmeta import Recorded
from ..serving import protocols
from ..serving.casting import untyped
from ..serving.tables import Table, to_cells

MOST_ROWS = 1000
_MOST_BYTES = 1 << 20
"""Of rows and answers together: fewer rows are kept where they are larger."""
_MOST_CELLS = 1_000_000
"""Of all rows together, which become dense where they are sparse."""
_DIGITS = 9
"""Of a number in an answer: sums that threads add up in another order each time stay the same."""


@runtime_checkable
class _Frame(Protocol):
    def head(self, n: int) -> object: ...


@runtime_checkable
class _Sliceable(Protocol):
    def __getitem__(self, key: slice, /) -> object: ...


def record(model: object, method: str, data: object, count: int) -> Recorded | None:
    """The first ``count`` rows of ``data`` with the model's answers.

    Args:
        model: the fitted object; its method is called.
        method: of its methods the one that answers.
        data: rows as the model takes them.

    Returns:
        None where the model gives no answer for each row.

    Raises:
        Exception: whatever the model says of rows that it does not take.
    """
    width = next((n for n in listed(attribute(data, "shape"))[1:2] if isinstance(n, int)), 1)
    rows = _first(data, min(count, _MOST_CELLS // max(width, 1)))
    if rows is None or not method:
        return None
    told = _plain_rows(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A copy: models may change what they are given.
        answers = question(model, method).function(copy.deepcopy(rows))
    given = _rounded(plain(answers))
    if not isinstance(given, list) or len(given) != len(told) or rows_of(answers) != len(told):
        return None
    kept = [(row, answer) for row, answer in zip(told, given, strict=True) if row is not _UNSENDABLE]
    while kept and len(json.dumps(kept)) > _MOST_BYTES:
        kept = kept[: len(kept) // 2]
    return Recorded(tuple(r for r, _ in kept), tuple(a for _, a in kept), method) if kept else None


class UnrecordableError(Exception):
    """A sentence, without its beginning, on why rows of good data cannot be recorded."""


def record_tensors(model: TensorModel, data: object, count: int) -> Recorded | None:
    """The same of a model that takes tensors by name.

    Args:
        model: what is asked.
        data: arrays by name with the batch first, or an array or nested lists for the only input.
        count: of the batch so many are kept at most; all of it where the model takes no other batch.

    Returns:
        None where the model gives no answer for each of the batch, or one row is too large to be kept.

    Raises:
        UnrecordableError: the model takes batches of one size, and so many rows are not there or not to be kept.
        Exception: whatever the model says of data that it does not take.
    """
    if not all(spec.shape for spec in model.inputs):
        return None
    names = [spec.name for spec in model.inputs]
    given = data if isinstance(data, Mapping) and set(data) == set(names) else dict.fromkeys(names[:1], data)
    arrays = {str(name): untyped(values, str(name)) for name, values in given.items()}
    batch = next((size for spec in model.inputs if isinstance(size := spec.shape[0], int) and size > 0), 0)
    # In JSON a value has two characters at least. Lists of numbers take many times what an array does.
    fitting = _MOST_BYTES // max(2 * sum(math.prod(array.shape[1:]) for array in arrays.values()), 1)
    if batch > min(fitting, MOST_ROWS):
        raise UnrecordableError(f"the model takes batches of {batch} rows, which are too many to be kept.")
    wanted = batch or min(count, fitting)
    lists = {name: array[:wanted].tolist() for name, array in arrays.items()}
    told = [_sendable(dict(zip(lists, row, strict=True))) for row in zip(*lists.values(), strict=True)]
    rows = [row for row in told if row is not _UNSENDABLE]
    if len(rows) < batch:
        without = " without infinities" if len(rows) < len(told) else ""
        raise UnrecordableError(f"the model takes batches of {batch} rows, and there are {len(rows)}{without}.")
    try:
        answers = _rounded(answers_of(model.run(of_rows(model.inputs, rows)), len(rows)))
    except AnswerError:
        return None
    kept = list(zip(rows, answers, strict=True)) if isinstance(answers, list) else []
    while kept and len(json.dumps(kept)) > _MOST_BYTES:
        if batch:
            raise UnrecordableError(f"the model takes batches of {batch} rows, which are too large to be kept.")
        kept = kept[: len(kept) // 2]
    return Recorded(tuple(r for r, _ in kept), tuple(a for _, a in kept)) if kept else None


_UNSENDABLE: JSON = {"": "an infinity, which JSON cannot represent"}


def _first(data: object, count: int) -> object:
    if isinstance(data, _Frame):
        return data.head(count)
    try:
        return data[:count] if isinstance(data, _Sliceable) and not isinstance(data, str) else None
    except (TypeError, KeyError, IndexError):
        return None


def _plain_rows(rows: object) -> list[JSON]:
    """In v1's form: an object for each row of a table, else a list or a text."""
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return [_sendable(row) for row in rows]
    cells = to_cells(rows)
    return [_sendable(row) for row in (cells.rows() if isinstance(cells, Table) else cells)]


def _sendable(row: JSON) -> JSON:
    try:
        made: JSON = json.loads(protocols.dumps(row))
    except InvalidInputError:
        return _UNSENDABLE
    return made


def _rounded(value: JSON) -> JSON:
    if isinstance(value, float):
        return None if value != value else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
