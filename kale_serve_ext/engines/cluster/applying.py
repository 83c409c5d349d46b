"""A service applied together with what is staged for it: the whole of it, or nothing that stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from ...errors import ChangedMeanwhileError, KaleServeError, NotFoundError
from ..base import Manifest, Version
from ..fields import contains, mapping, name_of, number, seconds
from ..kserve import is_stopped
from .api import UNANSWERED, Api, ModifiedError
from .field_ownership import to_apply
from .storage.staging import Staging

log = logging.getLogger(__name__)

T = TypeVar("T")

_ARRIVES_WITHIN = 15.0
"""Seconds for which an apply without an answer may still be carried out: a webhook is given 10 by default."""
_PERIOD = 0.5
_NOWHERE: Manifest = {"metadata": {"resourceVersion": "1"}}
"""A version that no object has: an apply for it makes one where there is none, and is refused where there is."""
_ATTEMPTS = 10
"""At one apply, while only the status of the service changes."""


class Apply:
    """One apply of one service; for one use.

    Args:
        path: the service's.
        owned: what is staged for it and goes with it.
        force: take over fields that other programs have set.
    """

    def __init__(
        self, api: Api, staging: Staging, path: str, manifest: Manifest, owned: Sequence[Manifest], *, force: bool
    ) -> None:
        self._api = api
        self._staging = staging
        self._path = path
        self._manifest = manifest
        self._owned = owned
        self._force = force
        self._live: Manifest | None = None
        self._body: Manifest = {}
        self._made: list[str] = []
        self._is_sent = False
        self._stored: Manifest = {}

    async def carry_out(self, over: Version | None) -> Manifest:
        """The service as it is stored then, with all that is staged for it its own.

        When this is cancelled, what has been sent is waited for: it may be carried out all the same.

        Raises:
            ChangedMeanwhileError: it is not ``over`` any more. Nothing is changed, nor is anything staged removed.
        """
        try:
            await self._look(over)
            for one in self._owned:
                await _to_its_end(self._make(one))
            await _to_its_end(self._send(over))
        except BaseException as error:
            await self.take_back(is_given_up=not isinstance(error, KaleServeError))
            raise
        return self._stored

    async def take_back(self, *, is_given_up: bool) -> None:
        """Remove what was made; nothing that a service names which was there before, or which somebody else has made.

        Args:
            is_given_up: nobody is to try again: remove the service itself, and what is staged for it too.
        """
        if not (is_given_up or self._made or self._stored):
            return
        try:
            found = await find(self._api, self._path)
        except KaleServeError as error:
            log.warning(
                "Keeping the objects made for %s, since the service may exist: %s", name_of(self._manifest), error
            )
            return
        has_come = self._stored or (is_given_up and self._is_sent and found and contains(found, self._body))
        if has_come and self._live is None:
            await self._remove(self._path)
            found = None
        named = json.dumps(found)
        for left in self._made:
            if left.rpartition("/")[2] not in named:
                await self._remove(left)
        for one in self._owned if is_given_up else ():
            if name_of(one) not in named:
                with contextlib.suppress(KaleServeError):
                    await self._staging.discard(one)

    async def _look(self, over: Version | None) -> None:
        self._live = await find(self._api, self._path)
        if over is not None and over != _version(self._live):
            name = name_of(self._manifest)
            raise ChangedMeanwhileError(
                f"The service {name} was changed by somebody else in the meantime.", hint="Review it and try again."
            )

    async def _make(self, wanted: Manifest) -> None:
        self._made += filter(None, [await self._staging.make(wanted)])

    async def _send(self, over: Version | None) -> None:
        for attempt in range(_ATTEMPTS):
            self._body = to_apply(self._live, self._manifest)
            self._is_sent = True
            try:
                self._stored = await self._api.apply(self._path, self._pinned(over), force=self._force)
            except ModifiedError:
                # Its status changes all the time: what counts is whether it still is ``over``.
                await self._look(over)
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            except UNANSWERED:
                self._stored = await self._arrived()
                if not self._stored:
                    raise
            break
        for one in self._owned:
            await self._staging.own(one, self._stored)

    def _pinned(self, over: Version | None) -> Manifest:
        """What to apply, to the very state that was compared with ``over`` and to no later one."""
        if over is None:
            return self._body
        live = mapping((self._live or _NOWHERE).get("metadata"))
        pins = {key: live[key] for key in ("uid", "resourceVersion") if key in live}
        return {**self._body, "metadata": {**mapping(self._body.get("metadata")), **pins}}

    async def _arrived(self) -> Manifest:
        """The service, where within a while it is what was applied though no answer told so; else empty.

        Raises:
            KaleServeError: it cannot be looked at.
        """
        end = time.monotonic() + _ARRIVES_WITHIN
        while time.monotonic() < end:
            found = await find(self._api, self._path)
            if found and contains(found, self._body) and (self._live is None or _uid(found) == _uid(self._live)):
                return found
            await asyncio.sleep(_PERIOD)
        return {}

    async def _remove(self, path: str) -> None:
        with contextlib.suppress(KaleServeError):
            await self._api.delete(path)


async def find(api: Api, path: str) -> Manifest | None:
    """An object as the API server has it; None where it is not there."""
    try:
        return await api.get(path)
    except NotFoundError:
        return None


async def _to_its_end(work: Coroutine[object, object, T]) -> T:
    """What comes of ``work``. When this is cancelled, that happens only once ``work`` has ended by itself."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _uid(found: Manifest) -> object:
    return mapping(found.get("metadata")).get("uid")


def _version(live: Manifest | None) -> Version:
    if live is None:
        return Version()
    metadata = mapping(live.get("metadata"))
    return Version(seconds(metadata.get("creationTimestamp")), number(metadata.get("generation")), is_stopped(live))
