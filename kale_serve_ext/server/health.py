"""How each backend does, which kernels there are, and the API's own description."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from .. import __version__
from ..errors import KaleServeError
from .handler import Handler

if TYPE_CHECKING:
    from .schemas import BackendHealth, State

_PATIENCE = 5.0
"""Seconds after which a backend that says nothing about its health is told as ill."""


class HealthHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The state of each backend; one that is frozen or broken does not keep the others from being told."""
        from .schemas import Health

        backends = self.backends
        engine, metadata, store = await asyncio.gather(
            _state("The engine", self._engine), _state("Metadata", self._metadata), _state("The store", self._store)
        )
        self.answer(
            Health(
                version=__version__,
                engine=backends.decision.info,
                engine_by=backends.decision.by,
                engine_reason=backends.decision.reason,
                engines=backends.engine_infos,
                backends={"engine": engine, "metadata": metadata, "store": store},
            )
        )

    async def _engine(self) -> tuple[str, str, str]:
        await asyncio.gather(*(self.backends.open(info).services() for info in self.backends.engine_infos))
        return "ready", "", ""

    async def _metadata(self) -> tuple[str, str, str]:
        return await self.backends.metadata.health()

    async def _store(self) -> tuple[str, str, str]:
        return await self.backends.in_thread("store", lambda: self.backends.store.health())


class KernelsHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The installed kernels whose interpreter may run a model."""
        from .register import kernels
        from .schemas import KernelList

        self.answer(KernelList(items=await self.within(self.app.request_timeout, kernels(self.app))))


class OpenApiHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The OpenAPI document of this API."""
        self.finish(_document())


async def _state(title: str, ask: Callable[[], Awaitable[tuple[str, str, str]]]) -> BackendHealth:
    from .schemas import BackendHealth

    try:
        state, message, hint = await asyncio.wait_for(ask(), _PATIENCE)
    except KaleServeError as error:
        return BackendHealth("error", error.message, error.hint)
    except asyncio.TimeoutError:
        return BackendHealth("error", f"{title} did not answer within {_PATIENCE:g} s.", "Look at its process and log.")
    return BackendHealth(cast("State", state), message, hint)


@cache
def _document() -> bytes:
    return Path(__file__).with_name("openapi.json").read_bytes()
