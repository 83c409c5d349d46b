"""The panel's test request: sent to a service, with its answer, its latency, and the same call to copy."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence

from ..engines.base import Component, Engine, EngineInfo
from ..errors import InvalidInputError
from ..ml import JSON
from . import protocols
from .client import Client
from .types import Prediction

TIMEOUT = 60.0
"""Seconds that a test request may take."""
LARGEST_ANSWER = 16 << 20
"""Bytes of an answer that are read: what is more, no form can show."""


async def predict(
    engine: Engine,
    name: str,
    *,
    rows: Sequence[JSON] | None = None,
    raw: JSON = None,
    component: Component | None = None,
    timeout: float = TIMEOUT,
) -> Prediction:
    """Send a test request to a service.

    Args:
        rows: rows as lists or objects, encoded for the service's protocol.
        raw: a body, sent as it is: an object, or JSON text.
        component: which component gets it; the service's entry by default.
        timeout: seconds.

    Raises:
        InvalidInputError: neither or both of ``rows`` and ``raw``, or ``raw`` is a text that is not JSON.
        KaleServeError: what :meth:`Client.call` raises.
    """
    if (rows is None) == (raw is None):
        raise InvalidInputError("A test request has either rows or a raw body.", field="rows")
    client = Client(engine, name, component, largest=LARGEST_ANSWER)
    try:
        target = await client.target()
        body = _body(rows, raw, target.protocol, transformer=target.transformer)
        path = protocols.path(target.protocol, target.model)
        begun = time.perf_counter()
        answer = await client.post(path, body, timeout)
        latency = (time.perf_counter() - begun) * 1000
        url = target.connection.url.rstrip("/") + path
        request: JSON = json.loads(body)
        return Prediction(
            answer=protocols.decode(answer),
            latency_ms=round(latency, 3),
            protocol=target.protocol,
            url=url,
            request=request,
            python=as_python(name, request, engine.info),
            command=(target.connection.command or as_curl(target.connection.url))(path, body.decode()),
        )
    finally:
        await client.close()


def as_python(name: str, request: JSON, where: EngineInfo) -> str:
    """The call as Python, to be pasted into a cell. It names the engine: new services may go elsewhere by then."""
    endpoint = f"Endpoint({name!r}, engine={where.kind!r}, namespace={where.namespace!r})"
    return f"from kale.serve import Endpoint\n\nendpoint = {endpoint}\nendpoint.predict({request!r})\n"


def as_curl(base: str) -> Callable[[str, str], str]:
    """Gives the call as a command for a POSIX shell, by path and body, where nothing but the address is needed."""

    def command(path: str, body: str) -> str:
        lines = [f"curl -sS {shlex.quote(base.rstrip('/') + path)}", "-H 'Content-Type: application/json'"]
        return " \\\n  ".join([*lines, f"-d {shlex.quote(body)}"]) + "\n"

    return command


def _body(rows: Sequence[JSON] | None, raw: JSON, protocol: str, *, transformer: bool) -> bytes:
    if rows is not None:
        return protocols.encode(list(rows), protocol, transformer=transformer)
    if isinstance(raw, str):
        # Only its syntax is looked at: what it should hold is the model's to say.
        return protocols.checked_json(raw)
    return protocols.dumps(raw)
