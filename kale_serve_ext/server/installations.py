"""Environments that this server installs: carried on when the request that asked for it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from logging import Logger
from typing import TYPE_CHECKING

from ..errors import KaleServeError, NotFoundError
from .errors import shaped

if TYPE_CHECKING:
    from ..config import Settings
    from ..environments import Base, Environment, Ready, State

Changed = Callable[[str, "State"], None]
"""Is told an environment's name and how far it is."""


class Installations:
    """What is being installed, and what failed at it. Use it from one loop.

    Args:
        changed: told when one begins, is a step further, ends or fails.
    """

    def __init__(self, settings: Settings, changed: Changed, log: Logger) -> None:
        self._settings = settings
        self._changed = changed
        self._log = log
        self._tasks: dict[str, asyncio.Task[Ready]] = {}
        self._failures: dict[str, State] = {}

    def begin(self, env: Environment, base: Base | None = None) -> None:
        """Start to install it, unless this server does so already.

        Args:
            base: what an overlay is laid beside; this server's own interpreter by default.
        """
        from .. import environments

        if env.name in self._tasks:
            return
        self._failures.pop(env.name, None)

        def progress(message: str) -> None:
            self._changed(env.name, environments.State("installing", message, megabytes=env.megabytes))

        task = asyncio.create_task(environments.ensure(self._settings, env, progress, base))
        self._tasks[env.name] = task
        task.add_done_callback(lambda _: self._ended(env, task))
        progress(f"Installing {env.subject}")

    def state(self, env: Environment, base: Base | None = None) -> State:
        """How far it is, whichever process installs it. Reads a few files: call it outside of the loop."""
        from .. import environments

        found = environments.state(self._settings, env, base)
        if env.name in self._tasks and found.state != "installing":
            return environments.State("installing", f"Installing {env.subject}", megabytes=env.megabytes)
        if found.state in ("missing", "outdated"):
            # Where the disk is full or read-only, the failure could not be noted there.
            return self._failures.get(env.name, found)
        return found

    def has(self, env: Environment) -> bool:
        """Whether this server installs it."""
        return env.name in self._tasks

    async def cancel(self, env: Environment) -> None:
        """Cancel its installation; returns when nothing is left of it.

        Raises:
            NotFoundError: this server does not install it.
        """
        task = self._tasks.get(env.name)
        if task is None:
            raise NotFoundError(
                f"This server is not installing {env.subject}.",
                hint="What another process installs is cancelled there.",
            )
        task.cancel()
        await asyncio.wait({task})

    def removed(self, env: Environment) -> None:
        """Forget its last failure, and tell that it is gone."""
        from .. import environments

        self._failures.pop(env.name, None)
        self._changed(env.name, environments.State("missing", megabytes=env.megabytes))

    async def close(self) -> None:
        """Cancel all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, env: Environment, task: asyncio.Task[Ready]) -> None:
        from .. import environments

        del self._tasks[env.name]
        if task.cancelled():
            self.removed(env)
            return
        error = task.exception()
        if error is None:
            made = task.result()
            state = environments.State("ready", version=made.version, megabytes=made.megabytes or env.megabytes)
        else:
            body = shaped(error, 500)[1]
            state = environments.State("failed", body["message"], body["hint"], megabytes=env.megabytes)
            self._failures[env.name] = state
            unforeseen = None if isinstance(error, KaleServeError) else error
            self._log.warning("%s %s", state.message, state.hint, exc_info=unforeseen)
        self._changed(env.name, state)
