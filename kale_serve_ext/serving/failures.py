"""What a request that went wrong is told as, whichever way it was sent. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DeadlineExceededError, KaleServeError, PredictionError, ServiceNotReadyError, TooLargeError
from . import protocols

if TYPE_CHECKING:
    import grpc
    import httpx

NOT_READY = "Wait until it is ready, resume it if it is paused, or look at its logs."
"""What to do about a service that does not answer."""


class Undelivered(Exception):
    """The request did not reach the model: it may be sent again."""


def of_http(service: str, answer: httpx.Response) -> KaleServeError:
    """An answer whose status is an error."""
    phase, reason = protocols.phase_of(answer.content) if answer.status_code == 503 else ("", "")
    if phase:
        return ServiceNotReadyError(
            f"The service {service!r} does not answer now ({phase}): {reason}", phase=phase, hint=NOT_READY
        )
    message = protocols.error_message(answer.status_code, answer.headers.get("content-type", ""), answer.content)
    if answer.status_code == 413:
        return _too_large(service, message)
    return PredictionError(
        f"The service {service!r} answered with an error ({answer.status_code}): {message}",
        hint="Its logs may say more.",
        answer_status=answer.status_code,
    )


def of_grpc(service: str, error: grpc.RpcError, timeout: float) -> Exception:
    """A call that ended with another status than OK."""
    import grpc

    code, message = error.code(), error.details() or ""
    # A server that goes away cancels what reached it and was not begun; nothing here cancels a call.
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Undelivered(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return late(service, timeout)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _too_large(service, message)
    statuses = {
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.UNIMPLEMENTED: 501,
    }
    status = statuses.get(code, 500)
    return PredictionError(
        f"The service {service!r} answered with an error ({status}): {message}",
        hint="Its logs may say more.",
        answer_status=status,
    )


def late(service: str, timeout: float) -> DeadlineExceededError:
    """No answer within ``timeout`` seconds."""
    return DeadlineExceededError(
        f"The service {service!r} did not answer within {timeout:g} s.",
        hint="Allow it more time, send fewer rows, or look at its logs.",
    )


def _too_large(service: str, message: str) -> TooLargeError:
    return TooLargeError(f"The service {service!r} refused the request: {message}", hint="Send fewer rows.")
