"""Conversations that the server passes on, with a model of people's own code that speaks OpenAI's interface."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import httpx
import pytest

from kale_serve_ext import Model, session, sync
from kale_serve_ext.config import Settings

CHAT = "services/local/localhost/default/talker/chat"
PREDICT_TIMEOUT = 6.0
"""Seconds, as tests/server/conftest.py configures it."""
HELLO = [{"role": "user", "content": "one two three"}]
TALKER = '''
import asyncio
import json
import time
from pathlib import Path

import kserve
import kserve.model_server
from fastapi import Request
from fastapi.responses import StreamingResponse


class Talker(kserve.Model):
    """Says each word again; after the word ``wait`` it waits, after ``fail`` it breaks off, and after ``flood`` it goes
    on for ever. Where the first one is ``hold``, it says nothing while somebody waits."""

    def load(self):
        kserve.model_server.app.add_api_route(
            "/openai/v1/chat/completions", self.chat, methods=["POST"], response_model=None
        )
        self.ready = True
        return True

    async def chat(self, request: Request):
        body = await request.json()
        if body["messages"][-1]["content"] == "hold":
            begun = time.monotonic()
            Path(HELD).touch()
            while not await request.is_disconnected():
                await asyncio.sleep(0.02)
            Path(LEFT).write_text(str(time.monotonic() - begun))

        async def events():
            try:
                for word in body["messages"][-1]["content"].split():
                    delta = {"content": word, "asked": {k: v for k, v in body.items() if k != "messages"}}
                    yield "data: " + json.dumps({"choices": [{"delta": delta}]}) + "\\n\\n"
                    if word == "wait":
                        await asyncio.sleep(600)
                    while word == "flood":
                        yield ": " + "x" * 500_000 + "\\n"
                        await asyncio.sleep(0)
                    if word == "fail":
                        raise RuntimeError("no memory")
                yield "data: [DONE]\\n\\n"
            finally:
                Path(LEFT).touch()

        return StreamingResponse(events(), media_type="text/event-stream")
'''


@pytest.fixture(scope="module")
def left(empty_server: httpx.Client, real_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is there once an answer has ended, however."""
    folder = tmp_path_factory.mktemp("talker")
    left = folder / "left"
    (folder / "code").mkdir()
    (folder / "code" / "model.py").write_text(f"LEFT, HELD = {str(left)!r}, {str(left.with_name('held'))!r}\n{TALKER}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in real_settings.to_environ().items():
            patch.setenv(name, value)
        model = Model(artifact_uri=folder / "code", name="talker").submit_artifact()
        sync.run(session.close())
    made = empty_server.post("services", json={"name": "talker", "model_id": model.id})
    assert made.status_code == 201, made.text
    end = time.monotonic() + 120
    while empty_server.get(CHAT.removesuffix("/chat")).json()["phase"] != "Ready":
        assert time.monotonic() < end
        time.sleep(0.1)
    return left


def _wait_for(file: Path) -> None:
    end = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def data(text: str) -> list[dict[str, object]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_events_are_passed_on_as_they_are(empty_server: httpx.Client, left: Path) -> None:
    answer = empty_server.post(CHAT, json={"messages": HELLO, "max_tokens": 9, "temperature": 0.5})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.rstrip().endswith("data: [DONE]")
    deltas = [one["choices"][0]["delta"] for one in data(answer.text)]  # type: ignore[index]
    assert [one["content"] for one in deltas] == ["one", "two", "three"]
    assert deltas[0]["asked"] == {
        "model": "talker",
        "max_tokens": 9,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_model_stops_when_the_browser_leaves(empty_server: httpx.Client, left: Path) -> None:
    left.unlink(missing_ok=True)
    body = {"messages": [{"role": "user", "content": "now wait"}]}
    with empty_server.stream("POST", CHAT, json=body) as answer:
        came = ""
        for piece in answer.iter_text():
            # What has been written is here before the rest is.
            came += piece
            if "wait" in came:
                break
        assert not left.exists()
    _wait_for(left)


def test_the_model_stops_though_it_has_said_nothing_yet(empty_server: httpx.Client, left: Path) -> None:
    left.unlink(missing_ok=True)
    url = empty_server.base_url.join(CHAT)
    leaving = http.client.HTTPConnection(url.host, url.port or 80, timeout=30)
    body = json.dumps({"messages": [{"role": "user", "content": "hold"}]})
    leaving.request("POST", url.raw_path.decode(), body, {**empty_server.headers, "Content-Type": "application/json"})
    _wait_for(left.with_name("held"))
    leaving.close()
    _wait_for(left)
    # It is not the server's patience that has ended.
    assert float(left.read_text()) < PREDICT_TIMEOUT


@pytest.mark.parametrize(
    ("word", "said"), [("wait", "took longer than 4 s"), ("flood", "larger than 16,777,216 bytes")]
)
def test_an_answer_over_a_limit_says_so_in_its_last_event(
    empty_server: httpx.Client, left: Path, word: str, said: str
) -> None:
    left.unlink(missing_ok=True)
    answer = empty_server.post(CHAT, json={"messages": [{"role": "user", "content": f"now {word}"}]}, timeout=60)
    events = [line for line in answer.text.split("\n") if line.startswith("data:")]
    assert said in json.loads(events[-1].removeprefix("data:"))["error"]["message"]
    _wait_for(left)


def test_what_breaks_off_says_so_in_its_last_event(empty_server: httpx.Client, left: Path) -> None:
    answer = empty_server.post(CHAT, json={"messages": [{"role": "user", "content": "and fail"}]})
    last = data(answer.text)[-1]
    assert "broke off its answer" in last["error"]["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "either messages or a prompt"),
        ({"messages": HELLO, "prompt": "x"}, "either messages or a prompt"),
        ({"messages": [{"role": "judge", "content": "x"}]}, "messages.0.role"),
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"messages": HELLO, "temperature": -1.0}, "temperature"),
        ({"messages": HELLO, "tools": []}, "tools"),
    ],
)
def test_what_is_no_conversation_is_refused(
    empty_server: httpx.Client, left: Path, body: dict[str, object], said: str
) -> None:
    answer = empty_server.post(CHAT, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["message"]


def test_a_model_that_is_asked_otherwise_is_told_as_such(empty_server: httpx.Client, left: Path) -> None:
    answer = empty_server.post(CHAT, json={"prompt": "on"})
    assert answer.status_code == 404
    assert "chat() and complete()" in answer.json()["hint"]


def test_a_service_that_is_not_there_is_told(empty_server: httpx.Client) -> None:
    assert empty_server.post(CHAT.replace("talker", "nobody"), json={"messages": HELLO}).status_code == 404
