"""Failed requests, told as what they are."""

from __future__ import annotations

import grpc
import grpc.aio
import httpx
import pytest

from kale_serve_ext.errors import (
    DeadlineExceededError,
    PermissionDeniedError,
    PredictionError,
    ServiceNotReadyError,
    TooLargeError,
)
from kale_serve_ext.serving.failures import Undelivered, of_grpc, of_http, of_transport


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (400, {"error": "X has 3 features"}, PredictionError, "X has 3 features"),
        (413, {"error": "The request is larger than 256 MiB."}, TooLargeError, "larger than"),
        (503, {"error": "e", "phase": "Paused", "reason": "It is paused."}, ServiceNotReadyError, "It is paused."),
        # Without a phase it is the model that says so.
        (503, {"error": "Model is not ready"}, PredictionError, "not ready"),
    ],
)
def test_by_rest(status: int, body: dict[str, str], kind: type[Exception], told: str) -> None:
    made = of_http("iris", httpx.Response(status, json=body))

    assert type(made) is kind
    assert told in made.message
    assert "'iris'" in made.message
    assert made.hint


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "told"),
    [
        (302, {"location": "https://a.example.com/dex/auth?state=s3"}, "", PermissionDeniedError, "login"),
        (302, {"location": "/oauth2/start?rd=s3"}, "", PermissionDeniedError, "login (at /oauth2/start)"),
        (200, {"content-type": "text/html"}, "<html><title>Log in</title></html>", PermissionDeniedError, "login"),
        (403, {"content-type": "text/html; charset=utf-8"}, "<html>Sign in</html>", PermissionDeniedError, "login"),
        (301, {"location": "https://a.example.com/v1?t=s3"}, "", PredictionError, "on to https://a.example.com/v1"),
        (403, {"content-type": "text/plain"}, "RBAC: access denied", PermissionDeniedError, "mesh"),
        (401, {}, "Jwt is expired", PermissionDeniedError, "Jwt is expired"),
        # These are the model's own.
        (401, {"content-type": "application/json"}, '{"error": "no key"}', PredictionError, "no key"),
        (403, {"content-type": "application/json"}, '{"detail": "not yours"}', PredictionError, "not yours"),
        (404, {"content-type": "text/html"}, "<html><title>Not Found</title></html>", PredictionError, "Not Found"),
    ],
)
def test_what_stands_in_front_of_the_model(
    status: int, headers: dict[str, str], body: str, kind: type[Exception], told: str
) -> None:
    made = of_http("iris", httpx.Response(status, headers=headers, text=body))

    assert type(made) is kind
    assert told in made.message
    assert made.hint
    assert "s3" not in str(made)


@pytest.mark.parametrize(
    ("error", "answered", "kind"),
    [
        (httpx.ConnectError("refused"), False, Undelivered),
        # It was sent, and may be what ended the server.
        (httpx.RemoteProtocolError("disconnected"), False, PredictionError),
        (httpx.RemoteProtocolError("incomplete"), True, PredictionError),
        (httpx.ReadError("reset"), False, PredictionError),
        (httpx.ConnectTimeout("late"), False, DeadlineExceededError),
        (httpx.ReadTimeout("late"), True, DeadlineExceededError),
    ],
)
def test_what_may_be_sent_again(error: httpx.TransportError, answered: bool, kind: type[Exception]) -> None:
    assert type(of_transport("iris", error, 1.0, answered=answered)) is kind


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (
            grpc.StatusCode.UNAVAILABLE,
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused",
            Undelivered,
        ),
        # What a server that goes away has not begun.
        (grpc.StatusCode.CANCELLED, "CANCELLED", Undelivered),
        (grpc.StatusCode.CANCELLED, "by the model", PredictionError),
        (grpc.StatusCode.UNAVAILABLE, "Stream removed (Socket closed)", PredictionError),
        (grpc.StatusCode.UNAVAILABLE, "Cancelling all calls", PredictionError),
        (grpc.StatusCode.UNAVAILABLE, "Model is not ready", PredictionError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "why", DeadlineExceededError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "why", TooLargeError),
        (grpc.StatusCode.INTERNAL, "why", PredictionError),
    ],
)
def test_by_grpc(code: grpc.StatusCode, details: str, kind: type[Exception]) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)

    assert type(of_grpc("iris", error, 1.0)) is kind


def test_a_refused_request_has_the_status_that_rest_would_give() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.INVALID_ARGUMENT, grpc.aio.Metadata(), grpc.aio.Metadata(), details="X has 3 features"
    )
    made = of_grpc("iris", error, 1.0)

    assert isinstance(made, PredictionError)
    assert made.answer_status == 400
    assert "X has 3 features" in made.message


def test_a_server_that_has_unloaded_its_model_is_asked_again_and_then_told() -> None:
    details = "Model with name iris does not exist."
    error = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)
    made = of_grpc("iris", error, 1.0)

    assert isinstance(made, Undelivered)
    assert isinstance(made.told, PredictionError)
    assert made.told.answer_status == 404
    assert details in made.told.message
