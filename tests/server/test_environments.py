"""Environments by the REST API: installed after the answer, seen by every window, cancelled at will, removed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias, cast

import pytest
from tornado.httpclient import HTTPResponse

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Setup
from kale_serve_ext.environments import Base, Environment, catalogue
from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.watcher import ENVIRONMENT_SCHEMA_ID
from tests.environments.conftest import begin, registered, tiny  # noqa: F401  # fixtures

Fetch = Callable[..., Awaitable[HTTPResponse]]
Body: TypeAlias = dict[str, object]

TINY = "environments/tiny"
DEADLINE = 60.0


async def call(api: Fetch, path: str, verb: str = "GET") -> tuple[int, Body]:
    answer = await api(path, method=verb, body="" if verb == "POST" else None, raise_error=False)
    return answer.code, json.loads(answer.body or b"{}")


async def listed(api: Fetch) -> Body:
    """The tiny one as the list tells of it."""
    items = cast("list[Body]", (await call(api, "environments"))[1]["items"])
    (found,) = [one for one in items if one["name"] == "tiny"]
    return found


async def until(api: Fetch, seen: Callable[[Body], bool]) -> Body:
    end = time.monotonic() + DEADLINE
    while not seen(found := await listed(api)):
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)
    return found


def slow(env: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The same, checked for a long time: known under its name from now on."""
    made = replace(env, smoke="import time; time.sleep(600)")
    monkeypatch.setitem(catalogue._known, env.name, made)
    return made


def running(command: list[str], **environ: str) -> subprocess.Popen[bytes]:
    """A process that goes on until the block around it ends."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **environ})


def heard(app: KaleServeApp) -> list[tuple[object, ...]]:
    """What is told from now on."""
    told: list[tuple[object, ...]] = []

    async def listen(logger: object, schema_id: str, data: Body) -> None:
        told.append((data["name"], data["python_version"], data["state"], data["message"]))

    app.events.add_listener(schema_id=ENVIRONMENT_SCHEMA_ID, listener=listen)
    return told


async def until_told(told: list[tuple[object, ...]], last: tuple[object, ...]) -> None:
    end = time.monotonic() + DEADLINE
    while told[-1] != last:
        assert time.monotonic() < end, told
        await asyncio.sleep(0.05)


async def test_it_is_installed_after_the_answer_and_removed(
    api: Fetch,
    app: KaleServeApp,
    registered: Environment,  # noqa: F811
) -> None:
    told = heard(app)
    assert (await listed(api))["state"] == "missing"

    status, begun = await call(api, TINY, "POST")

    assert (status, begun["state"]) == (202, "installing")
    assert "the tiny server" in str(begun["message"])
    made = await until(api, lambda one: one["state"] == "ready")
    assert (made["title"], made["version"], made["message"]) == ("Tiny server", "1.5", "")
    assert told[0] == ("tiny", "", "installing", "Installing the tiny server")
    assert any("fetching" in str(message) for *_, message in told)
    assert told[-1] == ("tiny", "", "ready", "")

    # Again, it is left as it is.
    assert await call(api, TINY, "POST") == (200, made)
    assert (await call(api, TINY, "DELETE"))[0] == 204
    assert (await listed(api))["state"] == "missing"
    assert told[-1] == ("tiny", "", "missing", "")
    assert (await call(api, TINY, "DELETE"))[0] == 404


@pytest.mark.parametrize("path", [TINY, f"{TINY}/installation"])
async def test_it_is_cancelled_and_nothing_is_left(
    api: Fetch,
    settings: Settings,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    slow(registered, monkeypatch)
    assert (await call(api, path, "DELETE"))[0] == 404
    assert (await call(api, TINY, "POST"))[0] == 202
    await until(api, lambda one: "checking" in str(one["message"]))
    # Whoever asks meanwhile gets the same one.
    assert (await call(api, TINY, "POST"))[0] == 202

    assert (await call(api, path, "DELETE"))[0] == 204

    assert (await listed(api))["state"] == "missing"
    assert not environments.folder(settings, registered).exists()


async def test_a_failure_stays_until_it_is_tried_again_or_dismissed(
    api: Fetch,
    app: KaleServeApp,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = heard(app)
    monkeypatch.setitem(catalogue._known, "tiny", replace(registered, smoke="import nowhere"))
    for again in ("dismissed", "tried again"):
        assert (await call(api, TINY, "POST"))[0] == 202
        failed = await until(api, lambda one: one["state"] == "failed")
        assert "No module named 'nowhere'" in str(failed["message"])
        assert failed["hint"]
        assert told[-1] == ("tiny", "", "failed", failed["message"])
        if again == "dismissed":
            assert (await call(api, TINY, "DELETE"))[0] == 204
            assert (await listed(api))["state"] == "missing"
    monkeypatch.setitem(catalogue._known, "tiny", registered)
    assert (await call(api, TINY, "POST"))[0] == 202
    await until(api, lambda one: one["state"] == "ready")


async def test_a_failure_that_cannot_be_noted_is_told_too(
    api: Fetch,
    settings: Settings,
    registered: Environment,  # noqa: F811
) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "environments").write_text("in the way")
    assert (await call(api, TINY, "POST"))[0] == 202
    failed = await until(api, lambda one: one["state"] == "failed")
    assert "environments cannot be created" in str(failed["message"])


async def test_what_is_in_use_or_installed_elsewhere_is_not_removed(
    api: Fetch,
    settings: Settings,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = await environments.ensure(settings, registered)
    with running([made.python, "-c", "input()"]) as user:
        status, refused = await call(api, TINY, "DELETE")
        assert (status, f"process {user.pid}" in str(refused["message"])) == (409, True)
    overlay = replace(
        registered, name="over", kind="overlay", requirements=(), without_dependencies=registered.requirements
    )
    beside = await environments.ensure(settings, overlay)
    monkeypatch.setitem(catalogue._known, "over", overlay)
    environ = {"PYTHONPATH": str(beside.folder)}
    with running([sys.executable, "-c", "input()"], **environ) as user:
        status, refused = await call(api, "environments/over", "DELETE")
        assert (status, f"process {user.pid}" in str(refused["message"])) == (409, True)
    assert (await call(api, "environments/over", "DELETE"))[0] == 204
    assert (await call(api, TINY, "DELETE"))[0] == 204

    # By another process.
    with begin(slow(registered, monkeypatch)) as other:
        await until(api, lambda one: "checking" in str(one["message"]))
        status, refused = await call(api, TINY, "DELETE")
        assert (status, "another process" in str(refused["message"])) == (409, True)
        status, refused = await call(api, f"{TINY}/installation", "DELETE")
        assert (status, "another process" in str(refused["hint"])) == (404, True)
        other.kill()


async def test_an_overlay_is_installed_and_cancelled_for_each_version_of_python(
    app: KaleServeApp,
    settings: Settings,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, failing = Base.running(), Base("/bin/false", (3, 99))
    overlay = replace(
        slow(registered, monkeypatch),
        kind="overlay",
        requirements=(),
        without_dependencies=registered.requirements,
    )
    told, work = heard(app), app.installations
    lacks = {
        base: Setup("tiny", "Tiny", 1, "missing", python=base.python, python_version=base.dotted)
        for base in (here, failing)
    }
    work.begin(overlay, here)
    work.begin(overlay, failing)
    end = time.monotonic() + DEADLINE
    while work.has(overlay, failing):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)

    # The failure of one is not the other's, and neither is what is being done.
    assert work.has(overlay, here)
    assert work.state(overlay, failing).state == "failed"
    with pytest.raises(NotFoundError):
        await work.cancel(overlay, failing)
    shown = work.shown(lacks[here])
    assert (shown.state, shown.cancellable) == ("installing", True)
    shown = work.shown(lacks[failing])
    assert (shown.state, shown.cancellable) == ("failed", False)
    assert "/bin/false does not answer" in shown.message

    await work.cancel(overlay)
    await until_told(told, ("tiny", here.dotted, "missing", ""))
    assert work.shown(lacks[here]) == lacks[here]
    assert work.state(overlay, failing).state == "failed"
    assert {version for _, version, *_ in told} == {here.dotted, "3.99"}

    # It is removed for all versions.
    work.begin(overlay)
    assert await work.cancel_all(overlay)
    work.removed(overlay)
    await until_told(told, ("tiny", "", "missing", ""))
    assert work.shown(lacks[failing]) == lacks[failing]


async def test_an_unknown_one_is_told_with_those_that_are_known(api: Fetch) -> None:
    for path, verb in (("", "POST"), ("", "DELETE"), ("/installation", "DELETE")):
        status, refused = await call(api, f"environments/nowhere{path}", verb)
        assert (status, "metadata, mlserver" in str(refused["hint"])) == (404, True)


async def test_what_the_server_installs_ends_with_it(
    api: Fetch,
    app: KaleServeApp,
    settings: Settings,
    registered: Environment,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = slow(registered, monkeypatch)
    assert (await call(api, TINY, "POST"))[0] == 202
    await until(api, lambda one: "checking" in str(one["message"]))
    await app.installations.close()
    assert environments.state(settings, env).state == "missing"
