"""A component's metrics, by whatever way its engine connects to it."""

from __future__ import annotations

import json

from ..errors import BackendUnavailableError, ServiceNotReadyError
from .base import Component, Engine

_WAIT = "Wait until it is ready, resume it if it is paused, or look at its logs."


async def read_metrics(engine: Engine, name: str, component: Component) -> str:
    """Prometheus' text format.

    Raises:
        ServiceNotReadyError: the component does not run now.
        BackendUnavailableError: it gives none.
    """
    import httpx

    async with engine.connect(name, component) as connection:
        try:
            answer = await connection.http.get("/metrics")
        except httpx.HTTPError as error:
            raise BackendUnavailableError(
                f"The {component} of {name} reports no metrics: {error}", hint="Look at its logs, or try again."
            ) from error
    if answer.status_code == 503:
        phase, reason = _said(answer.content)
        raise ServiceNotReadyError(f"The {component} of {name} is not running: {reason}", phase=phase, hint=_WAIT)
    if not answer.is_success:
        raise BackendUnavailableError(
            f"The {component} of {name} reports no metrics (HTTP {answer.status_code}).", hint="Look at its logs."
        )
    return answer.text


def _said(content: bytes) -> tuple[str, str]:
    """Phase and reason, as a supervisor answers; of a model's own answer nothing."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "", "HTTP 503"
    return str(body.get("phase", "")), str(body.get("reason", ""))
