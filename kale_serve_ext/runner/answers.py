"""What a client gets for an error: the model's own message, with the status that says whose fault it is."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc
import httpx
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from pydantic_core import ErrorDetails

log = logging.getLogger("kserve")


def install(app: FastAPI) -> None:
    """Add the handlers; they replace kserve's, which log a traceback for every bad request."""
    for kind in _STATUS:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(httpx.HTTPStatusError, _predictor_answered)
    app.add_exception_handler(grpc.aio.AioRpcError, _known)
    app.add_exception_handler(Exception, _unknown)


_STATUS: dict[type[Exception], int] = {
    InvalidInput: 400,
    ModelNotFound: 404,
    InferenceError: 500,
    NotImplementedError: 501,
    ModelNotReady: 503,
    ServerNotLive: 503,
    ServerNotReady: 503,
    httpx.TransportError: 503,
}
_OWN_WORDS = (InvalidInput, InferenceError, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady)
"""Errors that are raised for the message's sake: their type says nothing to a client."""


_STATUS_OF_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""What a predictor that a transformer asks by gRPC ended with, as HTTP has it."""


_OUR_STATE = (NotImplementedError, ModelNotReady, ServerNotLive, ServerNotReady, httpx.HTTPError, grpc.aio.AioRpcError)
"""Errors that no traceback explains, whatever their status: they tell of a state, or of the predictor's answer."""
REPORTED = "kale_serve.reported"
"""Where a request's scope has the error that is in the log already."""


def status_of(exc: BaseException) -> int:
    """The HTTP status that says whose fault it is."""
    if isinstance(exc, httpx.HTTPStatusError):
        return exc.response.status_code
    if isinstance(exc, grpc.aio.AioRpcError):
        return _STATUS_OF_CODE.get(exc.code(), 500)
    if isinstance(exc, HTTPException):
        return exc.status_code
    return next((code for kind, code in _STATUS.items() if isinstance(exc, kind)), 500)


def message_of(exc: BaseException) -> str:
    """The error in words; one without words by its type."""
    if isinstance(exc, httpx.HTTPStatusError):
        return _told_by(exc.response)
    if isinstance(exc, httpx.TransportError):
        return f"The predictor cannot be reached: {str(exc) or type(exc).__name__}"
    if isinstance(exc, grpc.aio.AioRpcError):
        return exc.details() or exc.code().name
    if isinstance(exc, HTTPException):
        return str(exc.detail)
    try:
        text = str(exc).strip()
    except Exception:  # an error of a model's own, whose words fail in turn
        text = str(getattr(exc, "reason", "")).strip()
    if text and isinstance(exc, (*_OWN_WORDS, NotImplementedError)):
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def is_of_the_request(exc: BaseException) -> bool:
    """Whether the error came from handling a request, and is not the end of the call or of the server."""
    if isinstance(exc, asyncio.CancelledError):
        # A model's code may have cancelled something of its own. Python 3.10 cannot tell.
        task = asyncio.current_task()
        return sys.version_info >= (3, 11) and task is not None and not task.cancelling()
    return not isinstance(exc, GeneratorExit)


def answer_to(exc: BaseException) -> Response:
    """The answer to a request that raised the error."""
    return _error(message_of(exc), status_of(exc))


def report(asked: str, exc: BaseException) -> None:
    """Write the error into the log: with a traceback where the model's code is at fault, else as one line."""
    asked, text = printable(asked), printable(" ".join(message_of(exc).splitlines()))
    if status_of(exc) >= 500 and not isinstance(exc, _OUR_STATE):
        log.error("%s %s", asked, text, exc_info=exc)
    else:
        log.warning("%s %s", asked, text)


def printable(text: str) -> str:
    """A text of a request's, as it may stand in a log: what could begin a line or steer a terminal, with escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _told_by(response: httpx.Response) -> str:
    """What a predictor's answer with an error says."""
    try:
        told = json.loads(response.content)["error"]
    except (ValueError, KeyError, TypeError):
        told = response.text
    return str(told) or f"HTTP status {response.status_code}"


def _error(text: str, status: int) -> Response:
    # In ASCII: a message may hold what UTF-8 cannot, such as halves of surrogate pairs.
    return Response(json.dumps({"error": text}), status, media_type="application/json")


async def _known(request: Request, exc: Exception) -> Response:
    report(request.url.path, exc)
    return answer_to(exc)


async def _invalid(request: Request, exc: Exception) -> Response:
    found: Sequence[ErrorDetails] = exc.errors() if isinstance(exc, RequestValidationError) else ()
    if not found:
        return _error(message_of(exc), 400)
    # A body that may be one of several things is reported once for each; the first says it.
    first = found[0]
    if first["type"] == "json_invalid":
        detail = first.get("ctx", {}).get("error", "")
        return _error(f"The request is not JSON: {detail} at character {first['loc'][-1]}.", 400)
    place = ".".join(str(p) for p in first["loc"] if p not in ("body", "InferenceRequest", "bytes"))
    return _error(f"{place}: {first['msg']}" if place else first["msg"], 400)


async def _predictor_answered(request: Request, exc: Exception) -> Response:
    """A transformer passes the predictor's error on as it came."""
    if not isinstance(exc, httpx.HTTPStatusError):
        raise exc
    kind = exc.response.headers.get("content-type", "text/plain")
    return Response(exc.response.content, exc.response.status_code, media_type=kind)


async def _unknown(request: Request, exc: Exception) -> Response:
    # Raised again by Starlette after this answer, for the edge to end it there.
    if not isinstance(exc, ClientDisconnect):
        report(request.url.path, exc)
        request.scope[REPORTED] = exc
    return answer_to(exc)
