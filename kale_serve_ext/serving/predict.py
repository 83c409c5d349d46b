"""The panel's test request: sent to a service, with its answer, its latency, and the same call to copy."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence

from ..engines import shell
from ..engines.base import Component, Engine, EngineInfo
from ..errors import InvalidInputError, KaleServeError
from ..ml import JSON
from . import protocols
from .asking import AskingClient
from .client import PredictionClient
from .described import Described
from .describing import Recorded
from .types import Prediction

TIMEOUT = 60.0
"""Seconds that a test request may take."""
LARGEST_ANSWER = 16 << 20
"""Bytes of an answer that are read: what is more, no form can show."""


async def predict(
    engine: Engine,
    name: str,
    *,
    rows: Sequence[JSON] | str | None = None,
    raw: JSON = None,
    component: Component | None = None,
    timeout: float = TIMEOUT,
) -> Prediction:
    """Send a test request to a service.

    Args:
        rows: rows as lists or objects, encoded for the service's protocol; or the JSON text of a list of them, whose
            numbers no browser has rounded.
        raw: a body: an object, or JSON text, which is sent byte for byte.
        component: which component gets it; the service's entry by default.
        timeout: seconds.

    Raises:
        InvalidInputError: neither or both of ``rows`` and ``raw``, a text that is not JSON, or rows with a number that
            no float can hold.
        KaleServeError: what :meth:`Client.call` raises, with the request's body in its ``request``.
    """
    if (rows is None) == (raw is None):
        raise InvalidInputError("A test request has either rows or a raw body.", field="rows")
    client = PredictionClient(engine, name, component, largest=LARGEST_ANSWER)
    try:
        target = await client.target()
        body = _body(rows, raw, target.protocol, transformer=target.transformer)
        path = protocols.path(target.protocol, target.model)
        begun = time.perf_counter()
        try:
            answer = await client.post(path, body, timeout)
            latency = (time.perf_counter() - begun) * 1000
            # Refuses what is no answer at all; what is shown is the text, whose numbers may be more than floats.
            protocols.decode(answer)
        except KaleServeError as exc:
            exc.request = body.decode()
            raise
        url = target.connection.url.rstrip("/") + path
        command = (target.connection.command or as_curl(target.connection.url))(path, body.decode())
        return Prediction(
            answer=answer.decode(errors="replace"),
            latency_ms=round(latency, 3),
            protocol=target.protocol,
            url=url,
            request=body.decode(),
            python=as_shell(command) if component == "predictor" else as_python(name, body, engine.info, command),
            command=command,
        )
    finally:
        await client.close()


async def tensors_of(engine: Engine, name: str, recorded: Recorded, component: Component | None = None) -> Described:
    """The tensors by name that a component takes and gives, its entry's by default; none where it takes a table.

    Args:
        recorded: gives what is recorded of an artifact.
    """
    client = AskingClient(engine, name, component, recorded=recorded)
    try:
        return await client.takes() or Described(())
    finally:
        await client.close()


def as_python(name: str, body: bytes, where: EngineInfo, command: str) -> str:
    """The call as Python that sends the same bytes, to be pasted into a cell.

    It names the engine: new services may go elsewhere by then. ``Endpoint`` takes an object as a dict where that is
    written as these bytes, else as text; what is no object it would make an object of, so ``command`` is run for that.
    """
    request: JSON = json.loads(body)
    if not isinstance(request, Mapping):
        return as_shell(command)
    endpoint = f"Endpoint({name!r}, engine={where.kind!r}, namespace={where.namespace!r})"
    data = repr(request) if _is_written_so(request, body) else repr(body.decode())
    return f"from kale.serve import Endpoint\n\nendpoint = {endpoint}\nendpoint.predict({data})\n"


def as_shell(command: str) -> str:
    """A shell command as Python: for what ``Endpoint.predict`` does not send, such as a request past a transformer."""
    if len(command) > shell.LONGEST:  # it would be one argument
        return f"import subprocess\n\nsubprocess.run(['sh'], input={command!r}, text=True, check=True)\n"
    return f"import subprocess\n\nsubprocess.run({command!r}, shell=True, check=True)\n"


def as_curl(base: str) -> Callable[[str, str], str]:
    """Gives the call as a command for a POSIX shell, by path and body, where nothing but the address is needed."""

    def command(path: str, body: str) -> str:
        return shell.curl([shlex.quote(base.rstrip("/") + path)], body)

    return command


def _body(rows: Sequence[JSON] | str | None, raw: JSON, protocol: str, *, transformer: bool) -> bytes:
    if rows is not None:
        listed = _rows_of(rows) if isinstance(rows, str) else list(rows)
        return protocols.encode(listed, protocol, transformer=transformer)
    if isinstance(raw, str):
        # Only its syntax is looked at: what it should hold is the model's to say.
        return protocols.checked_json(raw)
    return protocols.dumps(raw)


def _rows_of(text: str) -> list[JSON]:
    protocols.check(text)
    rows: JSON = json.loads(text, parse_float=_float, parse_constant=_float)
    if not isinstance(rows, list):
        raise InvalidInputError("The rows are not a list.", field="rows")
    return rows


def _float(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise InvalidInputError(
            f"The row holds {written[:40]}, which does not fit into a float.",
            hint="Send the whole request as JSON; it is sent as written.",
            field="rows",
        )
    return number


def _is_written_so(request: JSON, body: bytes) -> bool:
    try:
        return protocols.dumps(request) == body
    except (InvalidInputError, UnicodeEncodeError):
        return False
