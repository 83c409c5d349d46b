"""Watching the objects of one namespace's InferenceServices, for as long as somebody wants to know."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...errors import BackendUnavailableError, KaleServeError, NotFoundError, PermissionDeniedError
from ..base import Manifest
from ..fields import mapping, text
from .api import Gone, LoggedOutError
from .api_objects import KINDS, SERVICES
from .service_objects import Objects
from .state import grouped

if TYPE_CHECKING:
    from .api import Api

log = logging.getLogger(__name__)

_LOOK_AGAIN = 5.0
"""Seconds after which a state is derived anew without a change: what has not happened for a while tells too."""
_TOGETHER = 0.05
"""Seconds in which changes are told together: one event of a pod rarely comes alone."""
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
"""Seconds between tries while a server is away; so much later than its return may the first change be seen."""
_DENIED_DELAY = 60.0
"""Seconds until a kind is tried again that may not be read."""
_WRITTEN_WHEN = ("InferenceService", "Deployment", "Service")
"""The kinds of which it is read who wrote what when."""
_OF_AN_EVENT = ("type", "reason", "message", "count", "series", "lastTimestamp", "eventTime", "firstTimestamp")
_OPTIONAL = ("/apis/serving.knative.dev/", "/apis/gateway.networking.k8s.io/")
"""Their kinds are missing in many clusters, and with many rights, without anybody missing them."""
_SHORT = 1.0
"""Seconds below which a watch that tells nothing is one that does not work."""


async def watch_all(api: Api, namespace: str) -> AsyncGenerator[dict[str, Objects], None]:
    """What :func:`~.objects.read_all` gives, now and after each change. One watch for each kind, however many services.

    Once begun it goes on over whatever happens to the server, the network and the login. While they are away nothing is
    told; what has changed and gone meanwhile shows in the first reading after that.

    Raises:
        KaleServeError: the objects cannot be listed to begin with, or the services may not be read any more.
    """
    changed = asyncio.Event()
    kinds = [_Kind(api, path.format(namespace), changed, must=path == SERVICES) for path in KINDS]
    tasks = [asyncio.create_task(kind.follow()) for kind in kinds]
    try:
        for kind in kinds:
            await _until(kind.listed, tasks)
        while True:
            changed.clear()
            listed = [list(kind.items.values()) for kind in kinds[:-1]]
            yield grouped(*listed, routes=None if kinds[-1].is_denied else list(kinds[-1].items.values()))
            while not await _until(changed, tasks, _LOOK_AGAIN):
                # What has not happened for a while tells only where it would have been heard of.
                if not any(kind.is_away for kind in kinds):
                    break
            await asyncio.sleep(_TOGETHER)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Kind:
    """The objects of one kind, as the server has them or last had them."""

    def __init__(self, api: Api, path: str, changed: asyncio.Event, *, must: bool) -> None:
        self._api = api
        self._path = path
        self._changed = changed
        self._must = must
        self._version = ""
        self._delay = _FIRST_DELAY
        self._trouble = ""
        self.items: dict[str, Manifest] = {}
        """By uid. None where they may not be read or do not exist as a kind, unless they ``must``."""
        self.listed = asyncio.Event()
        """Whether the server has said once what there is, or that it may not be known."""
        self.is_denied = False
        """Whether they may not be read."""
        self.is_away = False
        """Whether they are as they last were, since nothing is heard of the server."""

    async def follow(self) -> None:
        """Keep ``items`` up to date until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Gone:
                self._version = ""
                await self._pause()
            except KaleServeError as error:
                # Some may not read them; Knative's kinds, say, are not there at all in a cluster without Knative.
                refused = isinstance(error, PermissionDeniedError | NotFoundError)
                away = not refused or isinstance(error, LoggedOutError)
                if (self._must and not away) or not self.listed.is_set():
                    raise
                await self._lose(error, away=away)

    async def _list(self) -> None:
        items: list[Manifest] = []
        version = ""
        try:
            async with aclosing(self._api.pages(self._path)) as pages:
                async for page, version in pages:  # noqa: B007
                    items += map(_trimmed, page)
        except LoggedOutError:
            raise
        except (PermissionDeniedError, NotFoundError) as error:
            if not self._must:
                self.is_denied = isinstance(error, PermissionDeniedError)
                self._replace([])
            raise
        self._version = version
        self.is_denied = False
        self._replace(items)

    def _replace(self, items: Sequence[Manifest]) -> None:
        self.items = {_uid(item): item for item in items}
        self.is_away = False
        self.listed.set()
        self._changed.set()

    async def _watch(self) -> None:
        """One watch, to its end. The server ends each after a while, and the next goes on where it was."""
        begun = time.monotonic()
        told = False
        async with aclosing(self._api.watch(self._path, self._version)) as changes:
            async for kind, item in changes:
                told = True
                self._works()
                self._version = text(mapping(item.get("metadata")).get("resourceVersion")) or self._version
                if kind == "BOOKMARK":
                    continue
                if kind == "DELETED":
                    self.items.pop(_uid(item), None)
                else:
                    self.items[_uid(item)] = _trimmed(item)
                self._changed.set()
        if not told and time.monotonic() - begun < _SHORT:
            raise BackendUnavailableError("The API server ends its watches at once.")
        self._works()

    def _works(self) -> None:
        if self._trouble:
            log.info("Watching %s again.", self._name)
        self._trouble = ""
        self._delay = _FIRST_DELAY

    async def _lose(self, error: KaleServeError, *, away: bool) -> None:
        """Say once that there is no news, and try again after a while with a list."""
        if self._trouble != error.reason:
            level = (
                logging.WARNING if self._must or (not away and not self._path.startswith(_OPTIONAL)) else logging.INFO
            )
            log.log(level, "Watching %s failed; services are shown without their changes: %s", self._name, error)
        self._trouble = error.reason
        self.is_away = away
        self._version = ""
        if away:
            await self._pause()
        else:
            await asyncio.sleep(_DENIED_DELAY)

    async def _pause(self) -> None:
        # Not all of a cluster's users at once, when its server comes back.
        await asyncio.sleep(self._delay * random.uniform(0.7, 1.3))  # noqa: S311
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    @property
    def _name(self) -> str:
        return self._path.rpartition("/")[2]


async def _until(event: asyncio.Event, tasks: Sequence[asyncio.Task[None]], timeout: float | None = None) -> bool:
    """Wait for the event, or raise what one of the tasks failed with; false where the time is over first."""
    waiting = asyncio.create_task(event.wait())
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
        return waiting.done()
    finally:
        waiting.cancel()


def _trimmed(item: Manifest) -> Manifest:
    """The object without what no state is told from, which is most of it where there are thousands."""
    kind = item.get("kind")
    if kind in _WRITTEN_WHEN:
        return item
    metadata = mapping(item.get("metadata"))
    if kind != "Event":
        return {**item, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
    about = mapping(item.get("involvedObject"))
    return {
        **{k: item[k] for k in _OF_AN_EVENT if k in item},
        "metadata": {k: metadata.get(k) for k in ("uid", "creationTimestamp")},
        "involvedObject": {k: about.get(k) for k in ("kind", "name", "uid")},
    }


def _uid(item: Manifest) -> str:
    return text(mapping(item.get("metadata")).get("uid"))
