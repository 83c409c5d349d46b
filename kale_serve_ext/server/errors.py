"""Every failure of a request becomes an answer here: a status, and a body with message, reason and hint."""

from __future__ import annotations

import asyncio
import errno
from http.client import responses

from tornado.web import HTTPError

from ..errors import (
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    PermissionDeniedError,
    StorageFullError,
)

_FULL = {errno.ENOSPC, errno.EDQUOT}


def shaped(error: BaseException | None, status: int) -> tuple[int, dict[str, str]]:
    """The status and the body that tell of ``error``; ``status`` is what the web framework would have said.

    What was not foreseen is told as an internal error, without its text: that may hold what the reader must not see,
    and it is in the server's log.
    """
    if isinstance(error, KaleServeError):
        return error.status, error.to_dict()
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        late = DeadlineExceededError("A backend took longer than allowed.", hint="Try again, or look at its health.")
        return late.status, late.to_dict()
    if isinstance(error, OSError) and error.errno in _FULL:
        full = StorageFullError("No room is left on the disk.", hint="Delete what is not needed, then try again.")
        return full.status, full.to_dict()
    if isinstance(error, HTTPError):
        return error.status_code, _http(error)
    if error is None and status < 500:
        return status, {"message": responses.get(status, "Error"), "reason": _word(status), "hint": ""}
    return 500, {
        "message": "Internal server error.",
        "reason": "Internal",
        "hint": "The Jupyter server's log tells more.",
    }


def _http(error: HTTPError) -> dict[str, str]:
    if error.status_code == 403:
        denied = PermissionDeniedError(
            error.log_message or "You are not signed in to this Jupyter server, or may not do this.",
            hint="Sign in again, or ask who runs this server.",
        )
        return denied.to_dict()
    if error.status_code == 400:
        return InvalidInputError(error.log_message or "The request cannot be read.").to_dict()
    message = error.log_message or error.reason or responses.get(error.status_code, "Error")
    return {"message": message, "reason": _word(error.status_code), "hint": ""}


def _word(status: int) -> str:
    return responses.get(status, "Error").title().replace(" ", "").replace("-", "")
