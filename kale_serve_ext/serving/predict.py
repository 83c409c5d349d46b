"""The panel's test request: sent to a service, with its answer, its latency, and the same call to copy."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence

from ..engines.base import Component, Engine
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
            python=as_python(name, request),
            curl=as_curl(url, body.decode()),
        )
    finally:
        await client.close()


def as_python(name: str, request: JSON) -> str:
    """The call as Python, to be pasted into a cell."""
    return f"from kale.serve import Endpoint\n\nendpoint = Endpoint({name!r})\nendpoint.predict({request!r})\n"


def as_curl(url: str, body: str) -> str:
    """The call as a command for a POSIX shell."""
    return f"curl -sS {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}\n"


def _body(rows: Sequence[JSON] | None, raw: JSON, protocol: str, *, transformer: bool) -> bytes:
    if rows is not None:
        return protocols.encode(list(rows), protocol, transformer=transformer)
    if isinstance(raw, str):
        # Only its syntax is looked at: what it should hold is the model's to say.
        return protocols.checked_json(raw)
    return protocols.dumps(raw)
