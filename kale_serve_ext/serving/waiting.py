"""Waiting for a service to become ready, and saying why when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from ..engines.base import Component, Engine, ServiceState
from ..errors import BackendUnavailableError, DeadlineExceededError, KaleServeError, NotFoundError, ServeFailedError
from .status import describe
from .types import Service

log = logging.getLogger(__name__)

_PERIOD = 1.0
_LOG_LINES = 20
_ANOTHER_TRY = 30.0
"""Seconds in which a service that had failed before may begin to do better."""


async def wait_ready(
    engine: Engine,
    name: str,
    *,
    timeout: float,
    applied: Service | None = None,
    seen: Callable[[Service, float], None] | None = None,
) -> Service:
    """Wait until the service's newest revision answers requests.

    Args:
        timeout: seconds.
        applied: the service as it was when it was asked for just now: what is said of older revisions is passed over,
            and a failure from before is given another try.
        seen: told the service and the elapsed seconds, at every change and at least once a second.

    Raises:
        ServeFailedError: it failed, was paused or deleted; with the failing process's last lines.
        DeadlineExceededError: it is still on its way; the service stays.
        BackendUnavailableError: its engine cannot be reached, from the beginning or at the end.
        NotFoundError: there was no such service to begin with.
    """
    begun = time.monotonic()
    revision = applied.revision if applied else 0
    restarts = applied.restarts if applied and applied.phase in ("Failed", "Degraded") else -1
    service: Service | None = None
    async with _changes(engine, name) as changed:
        while True:
            changed.clear()
            try:
                state = await engine.get(name)
            except NotFoundError:
                if service is None:
                    raise
                cause = "it was deleted while it was waited for"
                message = f"There is no service {name!r} any more: {cause}."
                raise ServeFailedError(message, phase=service.phase, cause=cause) from None
            except (BackendUnavailableError, DeadlineExceededError):
                # Seen before, it goes on without us: where its engine is comes back, as an API server does.
                if service is None or time.monotonic() - begun >= timeout:
                    raise
                await asyncio.sleep(_PERIOD)
                continue
            service = describe(state)
            elapsed = time.monotonic() - begun
            if seen:
                seen(service, elapsed)
            if service.revision >= revision:
                if service.phase in ("Ready", "Idle"):
                    return service
                old_failure = service.restarts <= restarts or (restarts >= 0 and _tried_again(state))
                if service.phase not in ("Pending", "Loading") and not (old_failure and elapsed < _ANOTHER_TRY):
                    raise _failed(service, service.reason, await _log_of(engine, service))
            if elapsed >= timeout:
                raise DeadlineExceededError(
                    f"{name!r} is not ready after {timeout:g} s ({service.phase}): {service.reason}",
                    hint=f"It continues on its own: Endpoint({name!r}).wait() waits longer, .delete() gives up.",
                )
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), min(_PERIOD, max(0.01, timeout - elapsed)))


@contextlib.asynccontextmanager
async def _changes(engine: Engine, name: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever the service may have changed. Only a hint: what counts is what ``get`` says."""
    changed = asyncio.Event()

    async def watch() -> None:
        try:
            async for event in engine.watch():
                if event.ref.name == name:
                    changed.set()
        except KaleServeError as error:
            log.info("%s cannot be watched; checking every %g s instead: %s", name, _PERIOD, error)

    watching = asyncio.create_task(watch())
    try:
        yield changed
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _tried_again(state: ServiceState) -> bool:
    """Whether a process that had ended runs again and has not come to ready yet."""
    replicas = [r for c in state.components for r in c.replicas if r.revision == state.revision]
    return any(r.state == "Running" and not r.ready and r.exit_code is not None for r in replicas)


def _failed(service: Service, cause: str, text: str) -> ServeFailedError:
    name = service.ref.name
    what = {"Degraded": "cannot be updated", "Failed": "failed"}.get(service.phase, f"is {service.phase.lower()}")
    ways_out = f"Remove it: Endpoint({name!r}).delete()."
    if service.phase in ("Paused", "Stopped"):
        ways_out = f"Start it again: Endpoint({name!r}).resume()."
    elif service.phase == "Terminating":
        ways_out = ""
    elif service.phase in ("Degraded", "Failed") and service.can_roll_back:
        ways_out = f"Go back to the previous version: Endpoint({name!r}).rollback()."
    elif service.phase == "Degraded":
        ways_out = f"Serve a version that works: Endpoint({name!r}).update(…)."
    return ServeFailedError(
        f"The service {name!r} {what}: {cause}",
        phase=service.phase,
        cause=cause,
        log=text,
        hint=f"All of its log: print(Endpoint({name!r}).logs()). {ways_out}".rstrip(),
    )


async def _log_of(engine: Engine, service: Service) -> str:
    """The failing process's last lines."""
    if service.log_tail:
        return "\n".join(service.log_tail.rstrip().splitlines()[-_LOG_LINES:])
    failed = [s.component for s in service.steps if s.state == "failed"]
    return await read_log(engine, service.ref.name, failed[0], tail=_LOG_LINES) if failed else ""


async def read_log(
    engine: Engine, name: str, component: Component = "predictor", *, tail: int = 200, previous: bool = False
) -> str:
    """A component's log, whole."""
    return "".join([piece async for piece in engine.logs(name, component, tail=tail, previous=previous)]).rstrip("\n")
