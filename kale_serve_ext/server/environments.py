"""Environments of the metadata engine and of model servers: list, install, remove."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..errors import NotFoundError
from .handler import Handler

if TYPE_CHECKING:
    from ..environments import Base, Environment
    from .schemas import EnvironmentInfo


class EnvironmentsHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """Every environment and how far it is; nothing is started for it."""
        from .. import environments
        from .schemas import EnvironmentList

        def look() -> EnvironmentList:
            return EnvironmentList([_info(self, env) for env in environments.all()])

        self.answer(await self.within(self.app.request_timeout, self.backends.in_thread("environments", look)))


class EnvironmentHandler(Handler):
    @authenticated
    @authorized
    async def post(self, name: str) -> None:
        """Install it, by this server and after the answer; one that is ready is left as it is."""
        from .. import environments
        from .queries import EnvironmentQuery

        env = environments.by_name(name)
        base = await _base(self, env, self.query(EnvironmentQuery).python)
        found = await self._look(env, base)
        if found.state == "ready":
            self.answer(found)
            return
        self.app.installations.begin(env, base)
        self.answer(await self._look(env, base), status=202)

    @authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Remove it, or what failed of it, and cancel its installation by this server."""
        from .. import environments

        env, settings = environments.by_name(name), self.backends.settings
        is_cancelled = await self.within(self.app.action_timeout, self.app.installations.cancel_all(env))
        await self.backends.in_thread("environments", lambda: environments.check_unused(settings, env))
        removed = await self.within(self.app.action_timeout, environments.remove(settings, env))
        if not (removed or is_cancelled):
            raise NotFoundError(
                f"{env.capitalized} is not installed by this package.", hint="The list of environments shows what is."
            )
        self.app.installations.removed(env)
        self.set_status(204)
        await self.finish()

    async def _look(self, env: Environment, base: Base | None = None) -> EnvironmentInfo:
        work = self.backends.in_thread("environments", lambda: _info(self, env, base))
        return await self.within(self.app.request_timeout, work)


class InstallationHandler(Handler):
    @authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Cancel an installation by this server; what was made of it is removed."""
        from .. import environments
        from .queries import EnvironmentQuery

        env = environments.by_name(name)
        base = await _base(self, env, self.query(EnvironmentQuery).python)
        await self.within(self.app.action_timeout, self.app.installations.cancel(env, base))
        self.set_status(204)
        await self.finish()


async def _base(handler: Handler, env: Environment, python: str) -> Base | None:
    """What an overlay is laid beside; None for this server's own interpreter, and for other environments.

    Raises:
        EnvironmentUnavailableError: the interpreter does not run.
    """
    from ..engines.local.servers.environment import base_of

    if env.kind != "overlay" or not python:
        return None
    return await handler.within(handler.app.request_timeout, base_of(python))


def _info(handler: Handler, env: Environment, base: Base | None = None) -> EnvironmentInfo:
    from .schemas import EnvironmentInfo

    state = handler.app.installations.state(env, base)
    return EnvironmentInfo(env.name, env.title, env.purpose, env.beside(base), **asdict(state))
