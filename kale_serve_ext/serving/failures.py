"""What a request that went wrong is told as, whichever way it was sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import (
    DeadlineExceededError,
    KaleServeError,
    PermissionDeniedError,
    PredictionError,
    ServiceNotReadyError,
    TooLargeError,
)
from . import protocols

if TYPE_CHECKING:
    import grpc
    import httpx

NOT_READY = "Wait until it is ready, resume it if it is paused, or look at its logs."
"""What to do about a service that does not answer."""


_LOGIN = re.compile(r"\b(dex|oauth2?|login|auth|authorize|signin|sso|openid-connect)\b", re.IGNORECASE)
"""Words of addresses at which one logs in."""
IDLE = (
    "Requests from inside the cluster or by its ingress wake it (KALE_SERVE_CLUSTER_INGRESS); with min_replicas=1 it "
    "never sleeps."
)
_LOG_IN = (
    "Put a bearer token that it takes into a file, and set KALE_SERVE_CLUSTER_INGRESS_TOKEN_FILE to it. In Kubeflow: "
    "kubectl create token default-editor --audience=istio-ingressgateway.istio-system.svc.cluster.local"
)
_MESH = (
    "An AuthorizationPolicy of the service's namespace must allow this notebook's namespace or service account; or go "
    "by an ingress with a token (KALE_SERVE_CLUSTER_INGRESS)."
)


_NOT_CONNECTED = "failed to connect to all addresses"
"""How gRPC begins to say that it had no connection to send a call on."""


_BROKEN_OFF = re.compile(
    r"socket closed|stream removed|goaway|cancelling all calls|connection reset|broken pipe|timeout", re.IGNORECASE
)
"""How gRPC says that a connection ended under a call."""


class Undelivered(Exception):
    """The request surely did not reach the model: it may be sent again.

    One that was sent and got no answer is none: it may be what ended the model, and would end the next replica too.

    ``told`` is what it is told as if that is of no use; None where the service's state says more.
    """

    def __init__(self, message: str, told: KaleServeError | None = None) -> None:
        super().__init__(message)
        self.told = told


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is for a browser, which no model gives."""
    return "text/html" in headers.get("content-type", "")


def of_http(service: str, answer: httpx.Response) -> KaleServeError:
    """An answer that is not a model's answer to a request that went well."""
    gate = _of_a_gate(service, answer)
    if gate:
        return gate
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


def of_transport(service: str, error: httpx.HTTPError, timeout: float, *, answered: bool = False) -> Exception:
    """A request without a whole answer; ``answered`` where some of it came."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return late(service, timeout)
    told = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError) and not answered:
        return Undelivered(told)
    if answered:
        return PredictionError(
            f"The service {service!r} broke off its answer ({told}).",
            hint="Look at its logs: its process may have ended.",
        )
    return unanswered(service, told)


def of_grpc(service: str, error: grpc.RpcError, timeout: float) -> Exception:
    """A call that ended with another status than OK."""
    import grpc

    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and message.startswith(_NOT_CONNECTED):
        return Undelivered(message)
    # A server that goes away cancels what it has not begun, without a word of its own; what it has begun and breaks off
    # is UNAVAILABLE, as after the death of its process. Nothing here cancels a call.
    if code is grpc.StatusCode.CANCELLED and message in ("", code.name):
        return Undelivered(message)
    if code is grpc.StatusCode.UNAVAILABLE and _BROKEN_OFF.search(message):
        return unanswered(service, message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return late(service, timeout)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _too_large(service, message)
    statuses = {
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.UNIMPLEMENTED: 501,
        grpc.StatusCode.UNAVAILABLE: 503,
    }
    status = statuses.get(code, 500)
    told = PredictionError(
        f"The service {service!r} answered with an error ({status}): {message}",
        hint="Its logs may say more.",
        answer_status=status,
    )
    # A server of KServe that goes away unloads its models while it still answers.
    is_unloaded = code is grpc.StatusCode.NOT_FOUND and message.startswith("Model with name")
    return Undelivered(message, told) if is_unloaded else told


def _of_a_gate(service: str, answer: httpx.Response) -> KaleServeError | None:
    """What stands in front of the model and did not let the request through; None where it is the model's answer."""
    where = urlsplit(answer.headers.get("location", ""))
    # Its query may hold what is not for a log.
    place = f"{where.netloc}{where.path}"[:200]
    is_login = answer.has_redirect_location and _LOGIN.search(place)
    if is_login or (is_page(answer.headers) and (answer.is_success or answer.status_code in (401, 403))):
        to = f" (at {place})" if place else ""
        return PermissionDeniedError(f"The ingress before the service {service!r} requires a login{to}.", hint=_LOG_IN)
    if answer.has_redirect_location:
        return PredictionError(
            f"The request to the service {service!r} was sent on to {where.scheme}://{place}.",
            hint="Set cluster_ingress to that address.",
            answer_status=answer.status_code,
        )
    told = answer.text[:500].strip()
    if answer.status_code == 403 and told.startswith("RBAC: access denied"):
        return PermissionDeniedError(f"The service mesh refuses requests from here to {service!r}: {told}.", hint=_MESH)
    if answer.status_code == 401 and told.startswith("Jwt "):
        return PermissionDeniedError(f"The ingress before the service {service!r} refuses: {told}.", hint=_LOG_IN)
    return None


def unanswered(service: str, why: str) -> PredictionError:
    """A request that was sent, and whose connection ended before an answer came."""
    return PredictionError(
        f"The connection to the service {service!r} ended before it answered ({why}). The request may have been "
        "processed, so it was not sent again.",
        hint="Look at its logs: its process may have ended, perhaps by this request.",
    )


def late(service: str, timeout: float) -> DeadlineExceededError:
    """No answer within ``timeout`` seconds."""
    return DeadlineExceededError(
        f"The service {service!r} did not answer within {timeout:g} s.",
        hint="Allow it more time (one that was scaled to zero starts first), send fewer rows, or look at its logs.",
    )


def _too_large(service: str, message: str) -> TooLargeError:
    return TooLargeError(f"The service {service!r} refused the request: {message}", hint="Send fewer rows.")
