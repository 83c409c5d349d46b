"""``transformers serve`` on a unix socket, for one model: its own command knows ports only, and loads other models too.

Runs under the model's interpreter: ``boot.py runner.transformers_serve FOLDER NAME OVERLAY HTTP``. In ``FOLDER`` the
model lies under its name. The routes are below ``/openai/v1``, where KServe's Hugging Face server has them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import uvicorn

from . import openai_form
from .openai_form import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 << 20
"""Of a request."""
_ROUTES = ("/models", "/chat/completions", "/completions")
_GRACE = 10
"""Seconds that requests under way may take once it is told to end."""


def main(argv: Sequence[str]) -> None:
    """Load the model ``NAME`` of ``FOLDER`` and serve it on the socket ``HTTP`` until told to end by a signal."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext transformers serve")
    for name in ("folder", "name", "overlay", "http"):
        parser.add_argument(name)
    given = parser.parse_args(argv)
    # Behind the interpreter's own packages, which were made for one another.
    sys.path.append(given.overlay)
    # The server calls a model by the path that it is given.
    os.chdir(given.folder)
    import torch
    from transformers.cli.serve import Serve

    socket = given.http

    class SocketConfig(uvicorn.Config):
        """The server's, with another address, and the front before its routes."""

        def __init__(self, app: ASGIApp, **_: object) -> None:
            super().__init__(
                Front(app, given.name),
                uds=socket,
                log_level="warning",
                timeout_graceful_shutdown=_GRACE,
                lifespan="off",
            )

    uvicorn.Config = SocketConfig  # type: ignore[assignment, misc]  # where it takes it from
    # Loads the model, and serves until it is told to end.
    Serve(force_model=given.name, device="cuda:0" if torch.cuda.is_available() else "cpu", log_level="error")


class Front:
    """Stands before the server: its routes by KServe's paths, and errors in OpenAI's form; nothing else of it."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == f"/v2/models/{self._name}/ready":
            await _say(send, 200, {"name": self._name, "ready": True})
            return
        route = path.removeprefix(PREFIX)
        if route == path or route not in _ROUTES:
            hint = f"This model answers {PREFIX}/chat/completions and {PREFIX}/completions."
            await _say(send, 404, openai_form.error(hint, 404))
            return
        inner = {**scope, "path": f"/v1{route}", "raw_path": f"/v1{route}".encode()}
        if scope["method"] == "POST":
            body = await _body(receive)
            if problem := self._problem(body):
                status, message = problem
                await _say(send, status, openai_form.error(message, status))
                return
            receive = Replayed(body or b"", receive)
        answer = Answer(send)
        try:
            await self._app(inner, receive, answer)
        except Exception as error:
            # Raised again behind an answer that says less, for the log.
            if answer.refused is None:
                raise
            sys.stderr.write(traceback.format_exc())
            await _say(send, 500, openai_form.error(f"{type(error).__name__}: {error}", 500))
            return
        if answer.refused is not None:
            await _say(send, answer.refused, openai_form.error(_detail(answer.told), answer.refused))

    def _problem(self, body: bytes | None) -> tuple[int, str] | None:
        if body is None:
            return 413, f"The request is larger than {MOST_BYTES >> 20} MiB."
        try:
            told = json.loads(body)
        except (ValueError, RecursionError) as error:
            return 400, f"The request is not JSON: {error}"
        if not isinstance(told, dict):
            return 400, "The request is not an object."
        if told.get("model") != self._name:
            return 404, f"There is no model {str(told.get('model'))[:100]!r} here: it serves {self._name}."
        return None


class Replayed:
    """A request's body once more, and then whatever comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class Answer:
    """Passes an answer on, a stream with the event that ends it; of a refusal it keeps what it says."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_stream = False
        self.refused: int | None = None
        """The status of a refusal, which has not been passed on."""
        self._pieces: list[bytes] = []

    @property
    def told(self) -> bytes:
        """What a refusal says."""
        return b"".join(self._pieces)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self.refused = message["status"]
                return
            headers = dict(message["headers"])
            self._is_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
        elif self.refused is not None:
            self._pieces.append(message.get("body", b""))
            return
        elif self._is_stream and not message.get("more_body"):
            message = {**message, "body": message.get("body", b"") + b"data: [DONE]\n\n"}
        await self._send(message)


def _detail(told: bytes) -> str:
    try:
        said = json.loads(told)
    except ValueError:
        return told.decode(errors="replace")[:1000]
    detail = said.get("detail", said.get("error", said)) if isinstance(said, dict) else said
    return detail if isinstance(detail, str) else json.dumps(detail)


async def _body(receive: Receive) -> bytes | None:
    """A request's body; None where it is too large, which is read to its end all the same."""
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size <= MOST_BYTES:
            pieces.append(piece)
        more = message.get("more_body", False)
    return b"".join(pieces) if size <= MOST_BYTES else None


async def _say(send: Send, status: int, content: object) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
