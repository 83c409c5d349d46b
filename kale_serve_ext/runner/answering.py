"""Threads in which models answer, apart from asyncio's own, which are free to tell whether the model is ready."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Answers under way at a time; more requests wait."""
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="answering")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What ``function`` returns, called in one of the threads with the caller's context."""
    called = partial(contextvars.copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, called)
