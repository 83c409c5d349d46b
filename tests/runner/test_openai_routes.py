"""Routes of OpenAI's form over models that write and embed, in this process."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from kserve.model_repository import ModelRepository

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats.tensors import TensorModel
from kale_serve_ext.formats.texts import Embeds, Finish, Prompt, Sampling, Writer
from kale_serve_ext.ml import JSON, TensorSpec
from kale_serve_ext.runner import openai_form, openai_routes
from kale_serve_ext.runner.named import NamedTensorModel
from kale_serve_ext.runner.writing import WritingModel

HELLO = [{"role": "user", "content": "hello"}]


class Spelling:
    """Writes the letters of its prompt, one by one."""

    def __init__(self) -> None:
        self.given: list[Sampling] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.written = 0

    @property
    def chats(self) -> bool:
        return True

    def conversation(self, messages: Sequence[Mapping[str, JSON]]) -> Prompt:
        return self.prompt(str(messages[-1]["content"]))

    def prompt(self, text: str) -> Prompt:
        if not text:
            raise InvalidInputError("The prompt is empty.", field="prompt")
        return Prompt(tuple(text.encode()))

    def write(
        self, prompt: Prompt, sampling: Sampling, piece: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Finish:
        self.given.append(sampling)
        self.written = 0
        if sampling.stop == ("fail",):
            raise RuntimeError("no memory")
        for letter in bytes(prompt.tokens).decode()[: sampling.most_tokens]:
            if is_cancelled():
                return Finish("stop", self.written)
            piece(letter)
            self.written += 1
            self.go_on.wait(30)
        return Finish("stop" if self.written == len(prompt.tokens) else "length", self.written)


class Lengths:
    """Embeds a text as its length."""

    inputs = (TensorSpec("text", "str", ("batch",)),)
    outputs = (TensorSpec("embedding", "float32", ("batch", 2)),)

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        return {"embedding": self.embed(tensors["text"].tolist())[0]}

    def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        return np.array([[len(text), 1] for text in texts], dtype=np.float32), sum(map(len, texts))


@pytest.fixture
def spelling() -> Spelling:
    made = Spelling()
    assert isinstance(made, Writer)
    return made


@pytest.fixture
def app(spelling: Spelling) -> FastAPI:
    repository = ModelRepository()
    lengths = Lengths()
    assert isinstance(lengths, TensorModel)
    assert isinstance(lengths, Embeds)
    repository.update(WritingModel("speller", spelling))
    repository.update(NamedTensorModel("lengths", lengths))
    app = FastAPI()
    openai_routes.add(app, repository)
    return app


def ask(app: FastAPI, path: str, body: object = None) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x/openai/v1") as client:
            if body is None:
                return await client.get(path)
            return await client.post(path, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    return asyncio.run(asked())


def events(answer: httpx.Response) -> list[dict[str, JSON]]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_models_are_listed(app: FastAPI) -> None:
    assert [one["id"] for one in ask(app, "/models").json()["data"]] == ["speller", "lengths"]
    assert ask(app, "/models/speller").json()["id"] == "speller"
    assert ask(app, "/models/other").status_code == 404


def test_a_conversation_is_answered(app: FastAPI) -> None:
    told = ask(app, "/chat/completions", {"model": "speller", "messages": HELLO}).json()
    [choice] = told["choices"]
    assert choice["message"] == {"role": "assistant", "content": "hello"}
    assert choice["finish_reason"] == "stop"
    assert told["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}


def test_a_conversation_is_streamed(app: FastAPI) -> None:
    body = {
        "model": "speller",
        "messages": HELLO,
        "max_tokens": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = ask(app, "/chat/completions", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer)
    deltas = [one["choices"][0]["delta"] for one in told[:-1]]  # type: ignore[index, call-overload]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "h"}, {"content": "e"}, {"content": "l"}, {}]
    assert told[-2]["choices"][0]["finish_reason"] == "length"  # type: ignore[index, call-overload]
    assert told[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def test_a_prompt_is_completed_with_sixteen_tokens_unless_told_otherwise(app: FastAPI, spelling: Spelling) -> None:
    assert ask(app, "/completions", {"model": "speller", "prompt": ["ab"]}).json()["choices"][0]["text"] == "ab"
    ask(app, "/completions", {"model": "speller", "prompt": "ab", "max_tokens": 1})
    ask(app, "/chat/completions", {"model": "speller", "messages": HELLO})
    assert [one.most_tokens for one in spelling.given] == [16, 1, None]


def test_texts_are_embedded(app: FastAPI) -> None:
    told = ask(app, "/embeddings", {"model": "lengths", "input": ["a", "abc"]}).json()
    assert [one["embedding"] for one in told["data"]] == [[1, 1], [3, 1]]
    assert told["usage"]["prompt_tokens"] == 4
    coded = ask(app, "/embeddings", {"model": "lengths", "input": "abc", "encoding_format": "base64"}).json()
    assert np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4").tolist() == [3, 1]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/chat/completions", b"{", 400, "not JSON"),
        ("/chat/completions", b"[]", 400, "not an object"),
        ("/chat/completions", {"messages": HELLO}, 400, "model is not a name"),
        ("/chat/completions", {"model": "other", "messages": HELLO}, 404, "no model 'other'"),
        ("/chat/completions", {"model": "lengths", "messages": HELLO}, 404, "it serves speller"),
        ("/embeddings", {"model": "speller", "input": "a"}, 404, "it serves lengths"),
        ("/chat/completions", {"model": "speller"}, 400, "messages is not a list"),
        ("/chat/completions", {"model": "speller", "messages": [{"role": "user"}]}, 400, "Message 0 has no text"),
        (
            "/chat/completions",
            {"model": "speller", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "a part of the type 'image_url'",
        ),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "temperature": 11}, 400, "between 0 and 10"),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "max_tokens": 0}, 400, "at least 1"),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "n": 2}, 400, "n is not offered"),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "tools": [{}]}, 400, "tools is not offered"),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "stop": 1}, 400, "stop is neither"),
        ("/chat/completions", {"model": "speller", "messages": HELLO, "stop": "fail"}, 500, "RuntimeError: no memory"),
        ("/completions", {"model": "speller", "prompt": ""}, 400, "The prompt is empty."),
        ("/completions", {"model": "speller", "prompt": [1, 2]}, 400, "one prompt at a time"),
        ("/embeddings", {"model": "lengths", "input": [[1]]}, 400, "input is neither"),
    ],
)
def test_what_cannot_be_done_is_told(app: FastAPI, path: str, body: object, status: int, said: str) -> None:
    answer = ask(app, path, body)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_what_fails_in_a_stream_is_its_last_event(app: FastAPI) -> None:
    body = {"model": "speller", "messages": HELLO, "stop": "fail", "stream": True}
    last = ask(app, "/chat/completions", body).text.strip().rpartition("\n")[2]
    assert "no memory" in json.loads(last.removeprefix("data: "))["error"]["message"]


def test_harmless_values_of_what_is_not_offered_pass(app: FastAPI) -> None:
    body = {"n": 1, "presence_penalty": 0.0, "tools": [], "logprobs": False, "response_format": {"type": "text"}}
    assert ask(app, "/chat/completions", {"model": "speller", "messages": HELLO, **body}).status_code == 200


def test_what_nobody_reads_is_not_written_on(spelling: Spelling) -> None:
    async def leave() -> None:
        model = WritingModel("speller", spelling)
        spelling.go_on.clear()
        async with model.writing(spelling.prompt("hello"), Sampling()) as written:
            async for piece in written:
                assert piece == "h"
                break
        spelling.go_on.set()
        async with model.writing(spelling.prompt("ab"), Sampling()) as written:
            # Of the one before nothing more has been written, or this would wait for it.
            assert [piece async for piece in written] == ["a", "b"]
        assert spelling.written == 2

    asyncio.run(leave())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_tokens", value) for value in (float("inf"), 1.9, True, 0, "5")),
        *(("max_completion_tokens", value) for value in (float("nan"), 1.0)),
        *(("seed", value) for value in (float("inf"), 1.5)),
        *(("temperature", value) for value in (float("inf"), float("-inf"), 10**400)),
        ("top_p", float("nan")),
    ],
)
def test_numbers_are_whole_or_at_least_finite(app: FastAPI, name: str, value: JSON) -> None:
    body = json.dumps({"model": "speller", "prompt": "a", name: value})
    answer = ask(app, "/completions", body.encode())
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name


def test_a_refused_request_names_its_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        openai_form.sampling({"top_p": "much"}, chat=True)
    assert caught.value.field == "top_p"


def test_a_server_without_such_models_has_no_routes() -> None:
    app = FastAPI()
    openai_routes.add(app, ModelRepository())
    assert ask(app, "/models").status_code == 404
