"""What a client gets for an error: the model's own message, with the status that says whose fault it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import httpx
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady

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
    app.add_exception_handler(httpx.TransportError, _predictor_away)
    app.add_exception_handler(Exception, _unknown)


_STATUS: dict[type[Exception], int] = {
    InvalidInput: 400,
    ModelNotFound: 404,
    InferenceError: 500,
    NotImplementedError: 501,
    ModelNotReady: 503,
    ServerNotLive: 503,
    ServerNotReady: 503,
}


def message_of(exc: Exception) -> str:
    """The error in words; one without words by its type."""
    text = str(getattr(exc, "reason", None) or exc).strip()
    if type(exc).__name__ in (
        "InvalidInput",
        "InferenceError",
        "ModelNotFound",
        "ModelNotReady",
        "NotImplementedError",
    ):
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


async def _known(request: Request, exc: Exception) -> Response:
    status = next(code for kind, code in _STATUS.items() if isinstance(exc, kind))
    if status == 500:
        log.error("%s %s", request.url.path, exc, exc_info=exc)
    else:
        log.warning("%s %s", request.url.path, message_of(exc))
    return JSONResponse({"error": message_of(exc)}, status)


async def _invalid(request: Request, exc: Exception) -> Response:
    found: Sequence[ErrorDetails] = exc.errors() if isinstance(exc, RequestValidationError) else ()
    if not found:
        return JSONResponse({"error": message_of(exc)}, 400)
    # A body that may be one of several things is reported once for each; the first says it.
    first = found[0]
    if first["type"] == "json_invalid":
        detail = first.get("ctx", {}).get("error", "")
        return JSONResponse({"error": f"The request is not JSON: {detail} at character {first['loc'][-1]}."}, 400)
    place = ".".join(str(p) for p in first["loc"] if p not in ("body", "InferenceRequest", "bytes"))
    return JSONResponse({"error": f"{place}: {first['msg']}" if place else first["msg"]}, 400)


async def _predictor_answered(request: Request, exc: Exception) -> Response:
    """A transformer passes the predictor's error on as it came."""
    if not isinstance(exc, httpx.HTTPStatusError):
        raise exc
    kind = exc.response.headers.get("content-type", "text/plain")
    return Response(exc.response.content, exc.response.status_code, media_type=kind)


async def _predictor_away(request: Request, exc: Exception) -> Response:
    log.warning("%s the predictor cannot be reached: %r", request.url.path, exc)
    return JSONResponse({"error": f"The predictor cannot be reached: {str(exc) or type(exc).__name__}"}, 503)


async def _unknown(request: Request, exc: Exception) -> Response:
    # Raised again by Starlette after this answer: uvicorn logs the traceback.
    return JSONResponse({"error": message_of(exc)}, 500)
