"""Routes of OpenAI's form below ``/openai/v1``, where KServe's Hugging Face server has them.

kserve's own module for them imports vLLM, and of one version only.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from ..errors import InvalidInputError
from ..formats.texts import Embeds, Prompt
from . import answers, openai_form
from .named import NamedTensorModel
from .openai_form import PREFIX, Answer, Body
from .writing import MOST_WAITING, BusyError, WritingModel, Written

if TYPE_CHECKING:
    from kserve import Model
    from kserve.model_repository import ModelRepository

Handler = Callable[[Request], Awaitable[Response]]
_Asked = TypeVar("_Asked")


def add(app: FastAPI, repository: ModelRepository) -> None:
    """Add the routes, where one of the models can be asked by them."""
    models: dict[str, Model] = repository.get_models()
    writing = {name: model for name, model in models.items() if isinstance(model, WritingModel)}
    embedding: dict[str, Embeds] = {}
    for name, model in models.items():
        if isinstance(model, NamedTensorModel) and isinstance(model.model, Embeds):
            embedding[name] = model.model
    if not writing and not embedding:
        return
    routes = _Routes(writing, embedding)
    app.add_api_route(f"{PREFIX}/models", routes.models, methods=["GET"], response_model=None)
    app.add_api_route(f"{PREFIX}/models/{{name}}", routes.model, methods=["GET"], response_model=None)
    app.add_api_route(f"{PREFIX}/chat/completions", _safe(routes.chat), methods=["POST"], response_model=None)
    app.add_api_route(f"{PREFIX}/completions", _safe(routes.complete), methods=["POST"], response_model=None)
    app.add_api_route(f"{PREFIX}/embeddings", _safe(routes.embeddings), methods=["POST"], response_model=None)


class _UnknownModelError(Exception):
    """The request names a model that is not here, or that is not asked so."""


class _Routes:
    def __init__(self, writing: dict[str, WritingModel], embedding: dict[str, Embeds]) -> None:
        self._writing = writing
        self._embedding = embedding

    async def models(self) -> Response:
        return JSONResponse({"object": "list", "data": [_entry(name) for name in (*self._writing, *self._embedding)]})

    async def model(self, name: str) -> Response:
        if name in self._writing or name in self._embedding:
            return JSONResponse(_entry(name))
        return _error(f"There is no model {name[:100]!r} here.", 404, "model")

    async def chat(self, request: Request) -> Response:
        body = openai_form.parsed(await request.body())
        model = _named(self._writing, body)
        messages = openai_form.messages(body)
        prompt = await asyncio.to_thread(model.writer.conversation, messages)
        return await _written(request, body, model, prompt, chat=True)

    async def complete(self, request: Request) -> Response:
        body = openai_form.parsed(await request.body())
        model = _named(self._writing, body)
        prompt = await asyncio.to_thread(model.writer.prompt, openai_form.prompt(body))
        return await _written(request, body, model, prompt, chat=False)

    async def embeddings(self, request: Request) -> Response:
        body = openai_form.parsed(await request.body())
        model = _named(self._embedding, body)
        texts = openai_form.inputs(body)
        vectors, tokens = await asyncio.to_thread(model.embed, texts)
        if body.get("encoding_format") == "base64":
            told: list[object] = [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        else:
            told = vectors.tolist()
        data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(told)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


async def _written(request: Request, body: Body, model: WritingModel, prompt: Prompt, *, chat: bool) -> Response:
    sampling = openai_form.sampling(body, chat=chat)
    answer = Answer(model.name, chat=chat, asked=len(prompt.tokens))
    if not body.get("stream"):
        async with model.writing(prompt, sampling) as written:
            return await _whole(request, written, answer)
    # Begun here, so that a refusal has a status of its own.
    context = model.writing(prompt, sampling)
    written = await context.__aenter__()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield answer.first()
            async for piece in written:
                yield answer.piece(piece)
            yield answer.last(await written.finish(), usage=openai_form.wants_usage(body))
        except Exception as error:  # the answer has begun: its status is told
            answers.report(request.url.path, error)
            yield openai_form.event(openai_form.error(answers.message_of(error), answers.status_of(error)))
        finally:
            await context.__aexit__(None, None, None)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _whole(request: Request, written: Written, answer: Answer) -> Response:
    """The answer once it is complete; where the client goes, nothing more is written for it."""

    async def collect() -> str:
        return "".join([piece async for piece in written])

    collecting = asyncio.create_task(collect())
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not collecting.done():
            return Response(status_code=499)
        return JSONResponse(answer.whole(collecting.result(), await written.finish()))
    finally:
        for task in (collecting, leaving):
            task.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _named(models: dict[str, _Asked], body: Body) -> _Asked:
    """The model that a request names.

    Raises:
        _UnknownModelError: it is not here, or not asked by this route.
    """
    name = body.get("model")
    if not isinstance(name, str):
        raise InvalidInputError("model is not a name.", field="model")
    if name not in models:
        here = f"it serves {', '.join(models)}" if models else "its models are asked by other routes"
        raise _UnknownModelError(f"There is no model {name[:100]!r} here that answers this: {here}.")
    return models[name]


def _safe(handler: Handler) -> Handler:
    """The handler, with errors in OpenAI's form."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except InvalidInputError as error:
            return _error(f"{error.message} {error.hint}".rstrip(), 400, error.field)
        except _UnknownModelError as error:
            return _error(str(error), 404, "model")
        except BusyError:
            return _error(f"{MOST_WAITING} requests wait for this model. Try again later.", 429)
        except Exception as error:
            answers.report(request.url.path, error)
            return _error(answers.message_of(error), answers.status_of(error))

    return handle


def _entry(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kale-serve-ext"}


def _error(message: str, status: int, field: str = "") -> Response:
    return JSONResponse(openai_form.error(message, status, field), status)
