"""The metadata, the store and the engines of this server, each opened when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from logging import Logger
from typing import TYPE_CHECKING, TypeVar

from ..config import Settings
from ..entities import DNS_LABEL, ServiceRef
from ..errors import NotFoundError

if TYPE_CHECKING:
    from ..engines.base import Engine, EngineInfo, ServiceState
    from ..engines.selection import Decision
    from ..metadata.index import Index
    from ..metadata.provenance import Provenance
    from ..metadata.store import Metadata
    from ..stores import Store

T = TypeVar("T")


class Backends:
    """One per server. Opening one costs no connection; each call of theirs has a deadline of its own."""

    def __init__(
        self,
        settings: Settings,
        log: Logger,
        *,
        grace: float = 300.0,
        until_idle: Callable[[EngineInfo], Awaitable[None]] | None = None,
    ) -> None:
        """``grace`` is how many seconds the work on an engine that was switched away from may go on; what
        ``until_idle`` waits for may take longer."""
        self.settings = settings
        self.log = log
        self._switched = asyncio.Condition()
        self._decision: Decision | None = None
        self._looking: asyncio.Task[None] | None = None
        self._grace = grace
        self._until_idle = until_idle
        self._engines: dict[EngineInfo, Engine] = {}
        self._listed: dict[EngineInfo, list[ServiceState]] = {}
        self._closing: set[asyncio.Task[None]] = set()
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

    async def find_engine(self) -> None:
        """Know where new services go. The first caller waits for it; later ones have it looked after beside them."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        if self._decision is None:
            await asyncio.shield(self._looking)

    async def switch(self) -> None:
        """Follow a choice that was just made."""
        if self._looking is not None:
            await asyncio.wait({self._looking})
        await self._look()

    async def _look(self) -> None:
        from ..engines.selection import decide

        decision = await self.in_thread("engine", lambda: decide(self.settings))
        before, self._decision = self._decision, decision
        if before is None or before.info == decision.info:
            return
        now = decision.info
        self.log.info("Serving on %s/%s/%s. %s", now.kind, now.context, now.namespace, decision.reason)
        for info in self._engines.keys() - set(self.engine_infos):
            task = asyncio.create_task(self._let_go(info))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        async with self._switched:
            self._switched.notify_all()

    async def switched(self, before: list[EngineInfo]) -> None:
        """Returns when there are other engines than ``before``."""
        async with self._switched:
            await self._switched.wait_for(lambda: self.engine_infos != before)

    async def _let_go(self, info: EngineInfo) -> None:
        """Close an engine when what is under way has had its time, unless it was switched back to."""
        await asyncio.sleep(self._grace)
        if self._until_idle:
            await self._until_idle(info)
        if info not in self.engine_infos and (engine := self._engines.pop(info, None)):
            await engine.close()

    @property
    def decision(self) -> Decision:
        """Where new services go, and why; known after :meth:`find_engine`."""
        if self._decision is None:
            raise RuntimeError("find_engine() comes first")
        return self._decision

    @property
    def engine_infos(self) -> list[EngineInfo]:
        """Every engine there is here; the first is where new services go."""
        from ..engines.selection import local_info

        return list(dict.fromkeys([self.decision.info, local_info(self.settings)]))

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
        """The services of every engine; of one that does not answer, as they last were, and the health tells of it.

        Raises:
            KaleServeError: none does; it is the first one's.
        """

        async def ask(info: EngineInfo) -> list[ServiceState]:
            return await self.open(info).services()

        infos = self.engine_infos
        answers = await asyncio.gather(*map(ask, infos), return_exceptions=True)
        failed = {i: one for i, one in zip(infos, answers, strict=True) if isinstance(one, BaseException)}
        if len(failed) == len(answers):
            raise next(iter(failed.values()))
        for info, error in failed.items():
            self.log.warning("Showing the services of %s/%s as last known: %s", info.kind, info.context, error)
        self._listed |= {i: one for i, one in zip(infos, answers, strict=True) if not isinstance(one, BaseException)}
        # What cannot be seen is not gone.
        return [state for info in infos for state in self._listed.get(info, ())]

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
                hint="The server's health lists its engines.",
            )
        if not DNS_LABEL.fullmatch(ref.name):
            raise NotFoundError("No InferenceService can have such a name.", hint="Names are DNS labels.")
        return self.open(info)

    def provenance(self) -> Provenance:
        """The context that lineage records for what is done in the panel."""
        from ..metadata.provenance import Provenance

        return Provenance(kind="server", name="JupyterLab")

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
        for task in (*self._closing, *filter(None, [self._looking])):
            task.cancel()
        for engine in list(self._engines.values()):
            await engine.close()
        if "metadata" in self.__dict__:
            await self.metadata.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
