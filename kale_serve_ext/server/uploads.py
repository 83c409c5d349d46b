"""Serving that has files to upload first: carried on by the server when the request that asked for it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from logging import Logger
from typing import TYPE_CHECKING, Literal

from ..engines.base import ServiceState
from ..entities import ServiceRef
from ..errors import ConflictError, DeadlineExceededError, KaleServeError, NotFoundError
from .errors import shaped

if TYPE_CHECKING:
    from ..engines.base import Engine, EngineInfo
    from ..serving.deploy import Planned, Uploading
    from ..serving.plan import Draft
    from ..serving.types import Service, Upload

Changed = Callable[["Service | ServiceRef"], None]
"""Is told a service whose upload began or ended, by its name alone where there is no such service now."""
Moved = Callable[[ServiceRef, str, int, int], None]
"""Is told how far an upload is: the service, the artifact, bytes that have gone and bytes in all."""
Serve = Callable[["Planned", "Uploading"], Coroutine[object, object, "Service"]]
"""Serves or updates by the core, and tells what is planned and how far an upload is."""

_ENDS_WITHIN = 30.0
"""Seconds for what is cancelled at the server's end to be cleared away."""


@dataclass
class _Work:
    """One service that is being served."""

    engine: EngineInfo
    draft: Draft | None = None
    began: float = field(default_factory=time.time)
    artifact: str = ""
    done: int = 0
    total: int = 0
    error: str = ""
    """Why it failed; empty while it goes on."""
    uploads: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Service] | None = None
    is_cancelled: bool = False
    """Whether it was asked to end."""

    def cancel(self) -> None:
        """Ask it to end, once: a second time would cut short what clears away after it."""
        if self.task and not self.task.done() and not self.is_cancelled:
            self.is_cancelled = True
            self.task.cancel()

    @property
    def made(self) -> Draft:
        """Its plan; there is one before anything is uploaded."""
        if self.draft is None:
            raise RuntimeError("it is planned first")
        return self.draft

    @property
    def ref(self) -> ServiceRef:
        return ServiceRef(self.engine.kind, self.engine.context, self.engine.namespace, self.made.plan.name)

    @property
    def is_new(self) -> bool:
        """Whether there was no such service when it was begun."""
        return self.made.current is None


class Uploads:
    """What is being uploaded, and what failed at it and was not looked at yet. Use it from one loop.

    Args:
        changed: told when an upload begins, ends or fails.
        moved: told how far one is.
    """

    def __init__(self, changed: Changed, moved: Moved, log: Logger) -> None:
        self._changed = changed
        self._moved = moved
        self._log = log
        self._known: dict[ServiceRef, _Work] = {}

    async def serve(self, engine: Engine, serve: Serve, timeout: float) -> tuple[Service, bool]:
        """The service once it is accepted; or, as soon as its plan has passed and its files are on their way, as it is
        to become, and False.

        Args:
            timeout: seconds for one or the other.

        Raises:
            ConflictError: files of a service of that name are on their way; or somebody has cancelled it at once.
            DeadlineExceededError: there is neither within ``timeout``.
            KaleServeError: what ``serve`` raises.
        """
        work = _Work(engine.info)
        work.task = task = asyncio.create_task(
            serve(lambda made: self._plan(work, made), lambda *told: self._move(work, *told))
        )
        begun = asyncio.create_task(work.uploads.wait())
        is_late = False
        try:
            await asyncio.wait({task, begun}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
            is_late = not work.uploads.is_set() and not task.done()
            if is_late:
                # Nobody knows of it but who asked.
                work.cancel()
                await asyncio.wait({task})
        if task.cancelled() and work.uploads.is_set() and not is_late:
            raise ConflictError(
                f"The upload for {work.ref.name} was cancelled.", hint="Serve it again if it is wanted."
            )
        if task.cancelled():
            raise DeadlineExceededError(
                f"Nothing was served within {timeout:g} s, and no upload was under way.",
                hint="Look at the backends' health, then try again. The limit is KaleServeApp.action_timeout.",
            )
        if not work.uploads.is_set():
            self._settle(work, task.result())
            return task.result(), True
        if task.done() and not task.exception():
            return task.result(), True
        if task.done():
            # It failed at once: who asked is told, and need not be told again.
            self._forget(work)
            self._tell(work)
            return task.result(), True
        return self._service(work), False

    def refuse(self, ref: ServiceRef) -> None:
        """Raises ConflictError while files of a service of that name are on their way."""
        known = self._known.get(ref)
        if known and not known.error:
            raise ConflictError(
                f"{known.artifact} is being uploaded for {ref.name}.",
                hint="Wait until it is served, or cancel the upload.",
                field="name",
            )

    def has(self, ref: ServiceRef) -> bool:
        """Whether something is being uploaded for it, or failed and was not dismissed."""
        return ref in self._known

    def get(self, ref: ServiceRef) -> Service | None:
        """A service that is only to come, or whose upload failed; None where no upload is known."""
        known = self._known.get(ref)
        return self._service(known) if known and known.is_new else None

    def shown(self, services: Iterable[Service]) -> list[Service]:
        """The services with what is being uploaded for them, and those that are only to come."""
        found = {service.ref: service for service in services}
        for ref, work in list(self._known.items()):
            there = found.get(ref)
            if there and work.error and work.is_new:
                del self._known[ref]  # somebody has served it meanwhile
            else:
                found[ref] = replace(there, upload=_told(work)) if there else self._service(work)
        return list(found.values())

    def refs(self) -> set[ServiceRef]:
        """Of the services that are to come."""
        return {ref for ref, work in self._known.items() if work.is_new and not work.error}

    async def until_none(self, engine: EngineInfo) -> None:
        """Returns when nothing is uploaded by that engine."""
        while found := [w.task for w in self._known.values() if w.engine == engine and w.task and not w.task.done()]:
            await asyncio.wait(found)

    async def cancel(self, ref: ServiceRef) -> None:
        """Cancel an upload, or dismiss one that failed; returns when what it had made is removed.

        There may be such a service then: where another version of it was to come, or where it was accepted meanwhile.

        Raises:
            NotFoundError: none is known.
        """
        work = self._known.get(ref)
        if work is None:
            raise NotFoundError(f"Nothing is being uploaded for {ref.name}.", hint="The list shows what is.")
        task = work.task
        if task and not task.done():
            work.cancel()
            await asyncio.wait({task})
        if self._known.get(ref) is work:
            self._forget(work)
            self._tell(work)

    async def close(self) -> None:
        """Cancel all; what does not end within a while is left."""
        tasks = [work.task for work in self._known.values() if work.task]
        for work in self._known.values():
            work.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDS_WITHIN)
        for ref, work in self._known.items():
            if work.task and not work.task.done():
                self._log.warning(
                    "The upload for %s was cancelled but is still running after %g s; its objects go with its Job.",
                    ref.name,
                    _ENDS_WITHIN,
                )
        self._known.clear()

    def _plan(self, work: _Work, made: Draft) -> None:
        work.draft = made
        if not self._holds(work):
            self.refuse(work.ref)

    def _move(self, work: _Work, artifact: str, done: int, total: int) -> None:
        if not self._holds(work):
            self.refuse(work.ref)
        work.artifact, work.done, work.total = artifact, done, total
        if work.uploads.is_set():
            self._moved(work.ref, artifact, done, total)
            return
        self._known[work.ref] = work
        work.uploads.set()
        if work.task:
            work.task.add_done_callback(lambda task: self._ended(work, task))
        self._tell(work)
        self._moved(work.ref, artifact, done, total)

    def _settle(self, work: _Work, service: Service) -> None:
        """What failed before is made good by what was served without an upload."""
        known = self._known.get(service.ref)
        if work.draft and known and known.error:
            self._forget(known)
            self._changed(service)

    def _ended(self, work: _Work, task: asyncio.Task[Service]) -> None:
        if not self._holds(work):
            return
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._forget(work)
            if task.cancelled():
                self._tell(work)
            else:
                self._changed(task.result())
            return
        body = shaped(error, 500)[1]
        work.error = " ".join(filter(None, (body["message"], body["hint"])))
        self._log.warning("%s could not be served: %s", work.ref.name, work.error, exc_info=_unforeseen(error))
        self._tell(work)

    def _holds(self, work: _Work) -> bool:
        """Whether it is what is known under its service's name."""
        return self._known.get(work.ref) is work

    def _forget(self, work: _Work) -> None:
        if self._holds(work):
            del self._known[work.ref]

    def _tell(self, work: _Work) -> None:
        known = self._holds(work)
        self._changed(self._service(work) if known or not work.is_new else work.ref)

    def _service(self, work: _Work) -> Service:
        """The service as it is to become, or as it was when its update began."""
        from ..serving.status import describe

        upload = _told(work) if self._holds(work) else None
        if work.made.current is not None:
            return replace(describe(work.made.current), upload=upload)
        state = ServiceState(work.ref, work.made.plan.manifest, 0, 0, (), created=work.began, can_pause=False)
        phase: Literal["Uploading", "Failed"] = "Failed" if work.error else "Uploading"
        return replace(describe(state), phase=phase, reason=work.error, steps=(), upload=upload)


def _told(work: _Work) -> Upload:
    from ..serving.types import Upload

    return Upload(work.artifact, work.done, work.total, work.error)


def _unforeseen(error: BaseException) -> BaseException | None:
    return None if isinstance(error, KaleServeError) else error
