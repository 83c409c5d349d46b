"""The threads in which models answer."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from kale_serve_ext.runner.answering import THREADS, in_thread


def test_answers_under_way_do_not_hold_up_what_tells_whether_the_model_is_ready() -> None:
    released, began = threading.Event(), threading.Semaphore(0)

    def slow() -> str:
        began.release()
        assert released.wait(60)
        return "answered"

    async def asked() -> list[str]:
        answers = [asyncio.create_task(in_thread(slow)) for _ in range(THREADS + 1)]
        for _ in range(THREADS):
            assert await asyncio.to_thread(began.acquire, timeout=60)
        # One waits, since there are only so many threads.
        assert not began.acquire(blocking=False)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "ready"), 60) == "ready"
        released.set()
        return await asyncio.gather(*answers)

    try:
        assert asyncio.run(asked()) == ["answered"] * (THREADS + 1)
    finally:
        released.set()


def test_the_callers_context_is_there() -> None:
    who = contextvars.ContextVar("who", default="nobody")

    async def asked() -> str:
        who.set("the caller")
        return await in_thread(who.get)

    assert asyncio.run(asked()) == "the caller"
