"""Environments that this server installs: carried on when the request that asked for it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from logging import Logger
from typing import TYPE_CHECKING

from ..errors import KaleServeError, NotFoundError
from .errors import shaped

if TYPE_CHECKING:
    from ..config import Settings
    from ..engines.base import Setup
    from ..environments import Base, Environment, Ready, State

Key = tuple[str, str]
"""An environment's name, and the version of Python that an overlay is for; that is empty for others."""
Changed = Callable[[Key, "State"], None]
"""Is told of which one, and how far it is. An overlay without a version stands for those of all versions."""


class Installations:
    """What is being installed, and what failed at it. Use it from one loop.

    Args:
        changed: told when one begins, is a step further, ends or fails.
    """

    def __init__(self, settings: Settings, changed: Changed, log: Logger) -> None:
        self._settings = settings
        self._changed = changed
        self._log = log
        self._tasks: dict[Key, asyncio.Task[Ready]] = {}
        self._failures: dict[Key, State] = {}

    def begin(self, env: Environment, base: Base | None = None) -> None:
        """Start to install it, unless this server does so already.

        Args:
            base: what an overlay is laid beside; this server's own interpreter by default.
        """
        from .. import environments

        key = _key(env, base)
        if key in self._tasks:
            return
        self._failures.pop(key, None)

        def progress(message: str) -> None:
            self._changed(key, environments.State("installing", message, megabytes=env.megabytes))

        task = asyncio.create_task(environments.ensure(self._settings, env, progress, base))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._ended(key, env, task))
        progress(f"Installing {env.subject}")

    def state(self, env: Environment, base: Base | None = None) -> State:
        """How far it is, whichever process installs it. Reads a few files: call it outside of the loop."""
        from .. import environments

        found = environments.state(self._settings, env, base)
        if self.has(env, base) and found.state != "installing":
            return environments.State("installing", f"Installing {env.subject}", megabytes=env.megabytes)
        if found.state in ("missing", "outdated"):
            # Where the disk is full or read-only, the failure could not be noted there.
            return self._failures.get(_key(env, base), found)
        return found

    def shown(self, lacks: Setup) -> Setup:
        """What a plan says of it, with what only this server knows: that it installs it, or why it could not."""
        key = (lacks.environment, lacks.python_version)
        if key in self._tasks:
            message = lacks.message if lacks.state == "installing" else f"Installing {lacks.title}"
            return replace(lacks, state="installing", message=message, hint="", cancellable=True)
        failure = self._failures.get(key)
        if failure and lacks.state in ("missing", "outdated"):
            return replace(lacks, state="failed", message=failure.message, hint=failure.hint)
        return lacks

    def has(self, env: Environment, base: Base | None = None) -> bool:
        """Whether this server installs it."""
        return _key(env, base) in self._tasks

    async def cancel(self, env: Environment, base: Base | None = None) -> None:
        """Cancel its installation; returns when nothing is left of it.

        Args:
            base: as for :meth:`begin`.

        Raises:
            NotFoundError: this server does not install it.
        """
        task = self._tasks.get(_key(env, base))
        if task is None:
            raise NotFoundError(
                f"This server is not installing {env.subject}.",
                hint="What another process installs is cancelled there.",
            )
        task.cancel()
        await asyncio.wait({task})

    async def cancel_all(self, env: Environment) -> bool:
        """Cancel its installations, of an overlay for whichever version of Python; says whether there was one."""
        tasks = {task for (name, _), task in self._tasks.items() if name == env.name}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        return bool(tasks)

    def removed(self, env: Environment) -> None:
        """Forget its failures, and tell that it is gone, of an overlay for every version of Python."""
        for key in [key for key in self._failures if key[0] == env.name]:
            del self._failures[key]
        self._gone((env.name, ""), env)

    async def close(self) -> None:
        """Cancel all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _gone(self, key: Key, env: Environment) -> None:
        from .. import environments

        self._changed(key, environments.State("missing", megabytes=env.megabytes))

    def _ended(self, key: Key, env: Environment, task: asyncio.Task[Ready]) -> None:
        from .. import environments

        del self._tasks[key]
        if task.cancelled():
            self._gone(key, env)
            return
        error = task.exception()
        if error is None:
            made = task.result()
            state = environments.State("ready", version=made.version, megabytes=made.megabytes or env.megabytes)
        else:
            body = shaped(error, 500)[1]
            state = environments.State("failed", body["message"], body["hint"], megabytes=env.megabytes)
            self._failures[key] = state
            unforeseen = None if isinstance(error, KaleServeError) else error
            self._log.warning("%s %s", state.message, state.hint, exc_info=unforeseen)
        self._changed(key, state)


def _key(env: Environment, base: Base | None) -> Key:
    return env.name, env.beside(base)
