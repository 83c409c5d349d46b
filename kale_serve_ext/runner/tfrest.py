"""TensorFlow Serving's REST API as an ASGI application: predictions, classes, numbers, status and metadata."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping

from google.protobuf import json_format
from google.protobuf.message import Message

from ..ml import JSON
from . import budget, tfexamples, tfjson
from .answering import in_thread
from .tfgrpc import LARGEST, metadata, status
from .tfrefusal import Refusal
from .tfservable import Servable

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_ASKED = re.compile(rf"(?i)/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)")
_TOLD = re.compile(rf"(?i)/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<metadata>metadata))?")

_Message = MutableMapping[str, object]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_log = logging.getLogger("tfserving")


class TooLargeError(Exception):
    """A body that is not read to its end.

    Args:
        message: as the client gets it.
        status: HTTP's.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Application:
    """Answers as TensorFlow Serving does."""

    def __init__(self, model: Servable) -> None:
        self._model = model
        self._bodies = budget.of_process()

    async def __call__(self, scope: Mapping[str, object], receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        held, code, is_whole = 0, 200, True
        pieces: list[bytes] = []
        try:
            async for piece in _body(receive):
                if held + len(piece) > min(LARGEST, self._bodies.limit):
                    raise TooLargeError("The request is too large.", 413)
                if not self._bodies.take(len(piece)):
                    raise TooLargeError("The requests under way are too large together. Try again in a moment.", 503)
                held += len(piece)
                pieces.append(piece)
            method, path = str(scope["method"]), str(scope["path"])
            # A question for the state does not stand in line behind predictions.
            run = in_thread if method == "POST" else asyncio.to_thread
            body = await run(self._answer, method, path, b"".join(pieces))
        except TooLargeError as error:
            body, code, is_whole = _told(error.message), error.status, False
        except Refusal as error:
            body, code = _told(error.message), error.status
        except Exception as error:
            _log.exception("A request by REST failed")
            body, code = _told(f"{type(error).__name__}: {error}"), 500
        finally:
            self._bodies.give_back(held)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if not is_whole:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        if method == "POST" and (asked := _ASKED.fullmatch(path)):
            self._model.check(asked["name"], _number(asked["version"]), asked["label"] or "")
            return self._asked(asked["method"].lower(), tfjson.parsed(body))
        if method in ("GET", "HEAD") and (told := _TOLD.fullmatch(path)):
            return self._told(told)
        if path.lower().startswith("/v1/"):
            raise Refusal(f"Malformed request: {method} {path}")
        raise Refusal("Not Found", "NOT_FOUND")

    def _asked(self, method: str, request: Mapping[str, JSON]) -> bytes:
        signature = tfjson.signature_name(request)
        if method == "predict":
            fed = tfjson.arrays_of(request, self._model.inputs(signature))
            return tfjson.answer(self._model.predict(signature, fed), by_row=tfjson.is_by_row(request))
        examples = tfexamples.of_json(request)
        if method == "regress":
            return tfjson.dumps({"results": tfexamples.regress(self._model, signature, examples)})
        rows = tfexamples.classify(self._model, signature, examples)
        results: JSON = [[[one.label.decode(errors="replace"), one.score] for one in row] for row in rows]
        return tfjson.dumps({"results": results})

    def _told(self, told: re.Match[str]) -> bytes:
        name, version = told["name"], _number(told["version"])
        if not name:
            raise Refusal("Missing model name in request.")
        if not told["metadata"]:
            self._model.check_status(name, version)
            return _as_json(status(self._model))
        self._model.check(name, version, told["label"] or "")
        spec: JSON = {"name": name, "signature_name": "", "version": str(self._model.version)}
        signatures = json_format.MessageToDict(
            metadata(self._model), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return tfjson.dumps({"model_spec": spec, "metadata": {"signature_def": signatures}})


async def _body(receive: _Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        piece = message.get("body", b"")
        yield piece if isinstance(piece, bytes) else b""
        if not message.get("more_body"):
            return


def _number(text: str | None) -> int | None:
    if text and int(text) >= 1 << 63:
        raise Refusal(f"Failed to convert version: {text} to numeric.")
    return int(text) if text else None


def _told(message: str) -> bytes:
    return tfjson.dumps({"error": message})


def _as_json(message: Message) -> bytes:
    text: str = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return text.encode()
