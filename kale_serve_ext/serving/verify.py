"""Whether a running service answers as its model did in the notebook: recorded rows sent to it, and compared."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .. import modelmeta
from ..engines.base import Component, Engine
from ..errors import DeadlineExceededError, InvalidInputError, NotFoundError, PredictionError
from ..formats.tensors import answers_of, of_rows
from ..ml import JSON
from ..modelmeta import Recorded
from . import tables, tensors
from .answering import verify_of
from .asking import AskingClient
from .client import PredictionClient
from .route import Route
from .status import describe
from .types import ServedArtifact, Service
from .verification import Verification

if TYPE_CHECKING:
    from ..metadata.store import Metadata

TIMEOUT = 60.0
"""Seconds that a comparison may take."""
LARGEST_ANSWER = 16 << 20
"""Bytes of the answer to the rows, at most."""
_SHOWN = 10
"""Differences that are kept; all are counted."""


@runtime_checkable
class _Frame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> object: ...


@runtime_checkable
class _Array(Protocol):
    """A numpy array, or a pandas Series."""

    def tolist(self) -> object: ...


@runtime_checkable
class _Series(Protocol):
    """A polars Series."""

    def to_list(self) -> object: ...


async def verify(
    engine: Engine,
    name: str,
    metadata: Metadata,
    *,
    rows: object = None,
    answers: object = None,
    timeout: float = TIMEOUT,
) -> Verification:
    """Send rows to a service and compare what it answers.

    Without rows, those that are recorded with its model go to the predictor, in the service's protocol: they are what
    the model itself takes.

    Args:
        rows: rows as the service's entry takes them, transformer included: whatever :meth:`Client.call` takes.
        answers: what to expect: one answer for each of the rows; or the whole answer, a dict.
        timeout: seconds.

    Raises:
        InvalidInputError: rows without answers, or the other way round; or answers that are no list.
        NotFoundError: no such service.
        ServiceNotReadyError: it does not answer now.
        DeadlineExceededError: no answer in time.
    """
    if (rows is None) != (answers is None):
        _check_both(rows, answers)
    work = (
        _of_recorded(engine, name, metadata, timeout) if rows is None else _given(engine, name, rows, answers, timeout)
    )
    try:
        return await asyncio.wait_for(work, timeout)
    except asyncio.TimeoutError as error:
        if isinstance(error, DeadlineExceededError):
            raise
        message = f"The rows that were sent to {name!r} were not answered within {timeout:g} s."
        raise DeadlineExceededError(message, hint="Look at its logs.") from None


def check_given(rows: object, answers: object, *, field: str) -> None:
    """See that rows can be compared with the answers to expect, before anything is sent.

    Args:
        field: the argument that they came by.

    Raises:
        InvalidInputError: either is missing; the answers are no list; or there are not as many as rows.
    """
    _check_both(rows, answers, field)
    if isinstance(answers, Mapping):
        return
    expected = _listed(answers, field)
    if isinstance(rows, Mapping | str | bytes | bytearray | memoryview):
        return  # a request that is written already: how many rows it has, the service knows
    cells = tables.to_cells(rows)
    count = len(cells.rows() if isinstance(cells, tables.Table) else cells)
    if count != len(expected):
        message = f"The numbers of rows ({count}) and of answers to expect ({len(expected)}) differ."
        raise InvalidInputError(message, hint="Give one answer for each row.", field=field)


def per_row(answer: JSON, expected: Sequence[JSON] = (), *, own: bool = False) -> JSON:
    """One answer for each row, of an answer in either protocol; anything else as it is.

    Several outputs of v2 are an object by their names, as v1 has them. An output of shape (rows, 1) is one value for
    each row where one value is expected: some servers give all results two dimensions.

    Args:
        own: whether this package's server answered, as for :func:`tensors.decode_v1`.
    """
    if not isinstance(answer, Mapping):
        return answer
    if "predictions" in answer:
        return answer["predictions"]
    outputs = answer.get("outputs")
    if not isinstance(outputs, Sequence) or isinstance(outputs, str) or not outputs:
        return answer
    columns = {str(o.get("name")): _nested(o) for o in outputs if isinstance(o, Mapping)}
    if len(columns) == 1 and (not own or tensors.USUAL_OUTPUT in columns):
        (only,) = columns.values()
        flat = bool(expected) and not any(isinstance(one, list | tuple) for one in expected)
        if flat and all(isinstance(one, list) and len(one) == 1 for one in only):
            return [one[0] for one in only if isinstance(one, list)]
        return only
    if len({len(values) for values in columns.values()}) != 1:
        return answer
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def why_not(service: Service) -> str:
    """Why recorded rows say nothing about what the service answers now; empty where they do."""
    if verify_of(service.manifest) == "off":
        return "off"
    if service.model is None or not service.model.id:
        return "it is not known which model it serves"
    if 0 < service.serving_revision < service.revision:
        return f"revision {service.serving_revision} answers, not revision {service.revision}"
    newest = next((share for share in service.shares if share.newest), None)
    if newest and newest.percent < 100:
        return "several versions share the requests"
    return ""


async def _of_recorded(engine: Engine, name: str, metadata: Metadata, timeout: float) -> Verification:
    service = describe(await engine.get(name))
    reason = why_not(service)
    if reason or service.model is None:
        return _skipped(reason)
    found = await _recorded(service.model, metadata)
    if isinstance(found, str):
        return _skipped(found)
    answered_by = service.method or "predict"
    if found.method != answered_by:
        return _skipped(f"the answers of {found.method} are recorded, and {answered_by} answers")
    client = AskingClient(engine, name, "predictor", recorded=metadata.artifact, largest=LARGEST_ANSWER)
    return await _compared(client, "predictor", list(found.rows), found.answers, timeout)


async def _given(engine: Engine, name: str, rows: object, answers: object, timeout: float) -> Verification:
    expected = answers if isinstance(answers, Mapping) else _listed(answers)
    client = PredictionClient(engine, name, None, largest=LARGEST_ANSWER)
    return await _compared(client, None, rows, expected, timeout)


async def _recorded(model: ServedArtifact, metadata: Metadata) -> Recorded | str:
    """What is recorded with the model; why there is nothing."""
    try:
        artifact = await metadata.artifact(model.id)
    except NotFoundError:
        return "its model is not in the metadata"
    parts = urlsplit(artifact.uri)
    meta = None
    if parts.scheme == "file":
        meta = await asyncio.to_thread(modelmeta.read, Path(url2pathname(parts.path)))
    if meta and meta.recorded:
        return meta.recorded
    return "its rows are not on this machine" if artifact.details.get("recorded_rows") else "no rows are recorded"


async def _answered(client: PredictionClient, target: Route, rows: object, timeout: float) -> JSON:
    """What a component answers. By v2 recorded rows of named tensors go as those, which no table of rows is."""
    takes = await client.takes() if isinstance(client, AskingClient) and target.protocol == "v2" else None
    if takes is None or not isinstance(client, AskingClient) or not isinstance(rows, list):
        return await client.call(rows, timeout=timeout)
    found = await client.ask(of_rows(takes.inputs, rows), timeout=timeout)
    return answers_of(found if isinstance(found, Mapping) else {tensors.USUAL_OUTPUT: found}, len(rows))


async def _compared(
    client: PredictionClient,
    component: Component | None,
    rows: object,
    expected: Sequence[JSON] | Mapping[str, JSON],
    timeout: float,
) -> Verification:
    """The verdict on one component; None is the service's entry."""
    recorded = component is not None
    try:
        target = await client.target()
        if recorded and target.may_take_tensors and target.protocol == "v1":
            # As they are recorded: objects of single values would be taken for rows of a table.
            rows = {"instances": rows}
        entry: Component = component or ("transformer" if target.transformer else "predictor")
        answer = await _answered(client, target, rows, timeout)
    except (PredictionError, InvalidInputError) as error:
        count = 1 if isinstance(expected, Mapping) else len(expected)
        return Verification(component, count, count, (), ok=False, error=error.message, recorded=recorded)
    finally:
        await client.close()
    wanted: Sequence[JSON] = [expected] if isinstance(expected, Mapping) else expected
    got = [answer] if isinstance(expected, Mapping) else per_row(answer, wanted, own=target.own)
    found = modelmeta.compare([_without_nan(one) for one in wanted], _without_nan(got))
    return Verification(entry, len(wanted), len(found), tuple(found[:_SHOWN]), ok=not found, recorded=recorded)


def _skipped(reason: str) -> Verification:
    return Verification(None, 0, 0, (), ok=False, skipped=reason)


def _nested(output: Mapping[str, JSON]) -> list[JSON]:
    """A tensor's data by its shape."""
    values, shape = _flat(output.get("data")), output.get("shape")
    sizes = [d for d in shape if isinstance(d, int)] if isinstance(shape, list) else []
    if not values or math.prod(sizes) != len(values):
        return values
    for size in reversed(sizes[1:]):
        values = [values[i : i + size] for i in range(0, len(values), size)]
    return values


def _flat(data: JSON) -> list[JSON]:
    return [one for item in data for one in _flat(item)] if isinstance(data, list) else [data]


def _check_both(rows: object, answers: object, field: str = "") -> None:
    for one, name in ((rows, "rows"), (answers, "answers")):
        if one is None:
            hint = "Give rows and the answers to expect, or neither."
            raise InvalidInputError(f"The {name} are missing.", hint=hint, field=field)


def _listed(answers: object, field: str = "answers") -> list[JSON]:
    """Expected answers as JSON, one for each row.

    Raises:
        InvalidInputError: they are none.
    """
    if isinstance(answers, _Frame):
        cells = tables.to_cells(answers)
        return cells.rows() if isinstance(cells, tables.Table) else cells
    if isinstance(answers, _Array | _Series):
        answers = answers.tolist() if isinstance(answers, _Array) else answers.to_list()
    if not isinstance(answers, list | tuple):
        hint = "Give a list with one answer for each row."
        raise InvalidInputError(f"The answers are a {type(answers).__name__}.", hint=hint, field=field)
    return [_plain(one) for one in answers]


def _plain(value: object) -> JSON:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else tables.scalar(value)


def _without_nan(value: JSON) -> JSON:
    """JSON has no NaN: what stands for it, by one route or another, counts as missing."""
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
