"""The metadata, the store and the engines of this server, each opened when it is first needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from logging import Logger
from typing import TYPE_CHECKING, TypeVar

from ..config import Settings
from ..errors import NotFoundError
from ..records import ServiceRef

if TYPE_CHECKING:
    from ..engines.base import Engine, EngineInfo, ServiceState
    from ..metadata.index import Index
    from ..metadata.store import Metadata
    from ..metadata.where import Where
    from ..stores import Store

T = TypeVar("T")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Backends:
    """One per server. Opening one costs no connection; each call of theirs has a deadline of its own."""

    def __init__(self, settings: Settings, log: Logger) -> None:
        self.settings = settings
        self.log = log
        self._engines: dict[EngineInfo, Engine] = {}
        # A pool for each kind of blocking work: one that hangs (a dead network disk) leaves the others alone.
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._refreshing = asyncio.Lock()
        self._asked = 0
        self._covered = 0

    @cached_property
    def metadata(self) -> Metadata:
        from ..metadata import open_metadata

        return open_metadata(self.settings, progress=lambda text: self.log.info("Metadata: %s", text), background=True)

    @cached_property
    def store(self) -> Store:
        from ..stores import open_store

        return open_store(self.settings)

    @cached_property
    def engine_infos(self) -> list[EngineInfo]:
        """Every engine there is here; the first is where new services go."""
        from ..engines import engines

        return engines(self.settings)

    @property
    def engine(self) -> Engine:
        """The engine of new services."""
        return self.open(self.engine_infos[0])

    def open(self, info: EngineInfo) -> Engine:
        """The engine that ``info`` tells of, always the same."""
        from ..engines import open_engine

        if info not in self._engines:
            self._engines[info] = open_engine(
                self.settings, kind=info.kind, context=info.context, namespace=info.namespace
            )
        return self._engines[info]

    async def services(self) -> list[ServiceState]:
        """The services of every engine that answers; the health tells of one that does not.

        Raises:
            KaleServeError: none does; it is the first one's.
        """

        async def ask(info: EngineInfo) -> list[ServiceState]:
            return await self.open(info).services()

        answers = await asyncio.gather(*map(ask, self.engine_infos), return_exceptions=True)
        failed = {i: one for i, one in zip(self.engine_infos, answers, strict=True) if isinstance(one, BaseException)}
        if len(failed) == len(answers):
            raise next(iter(failed.values()))
        for info, error in failed.items():
            self.log.warning("The services of %s/%s are not listed: %s", info.kind, info.context, error)
        return [state for one in answers if not isinstance(one, BaseException) for state in one]

    def engine_of(self, ref: ServiceRef) -> Engine:
        """The engine that ``ref`` names.

        Raises:
            NotFoundError: no such engine, or no service can have this name.
        """
        for info in self.engine_infos:
            if (info.kind, info.context, info.namespace) == (ref.engine, ref.context, ref.namespace):
                break
        else:
            raise NotFoundError(
                f"No engine {ref.engine!r} with context {ref.context!r} and namespace {ref.namespace!r} is here."[:500],
                hint="The health of the server lists its engines.",
            )
        if not _LABEL.fullmatch(ref.name):
            raise NotFoundError("No InferenceService can have such a name.", hint="Names are DNS labels.")
        return self.open(info)

    def where(self) -> Where:
        """The context that lineage records for what is done in the panel."""
        from ..metadata.where import Where

        return Where(kind="server", name="JupyterLab")

    async def fresh_index(self) -> Index:
        """The index, holding all that was in MLMD when this was called.

        However many ask at once, at most two refreshes run for them, one after the other.
        """
        self._asked += 1
        mine = self._asked
        async with self._refreshing:
            if self._covered < mine:
                covers = self._asked
                await self.metadata.index.refresh()
                self._covered = covers
        return self.metadata.index

    async def in_thread(self, kind: str, work: Callable[[], T]) -> T:
        """The result of blocking ``work``, done in the pool of its ``kind``."""
        pool = self._pools.setdefault(kind, ThreadPoolExecutor(2, thread_name_prefix=f"kale-serve-{kind}"))
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def close(self) -> None:
        """Let go of all connections; services run on."""
        for engine in self._engines.values():
            await engine.close()
        if "metadata" in self.__dict__:
            await self.metadata.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
