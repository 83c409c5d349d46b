"""Lists and searches over all artifacts, from memory.

MLMD answers an untyped page of the newest updates in milliseconds however many artifacts there are; pages of one type
cost time in proportion to all of them, and searches cannot be paged. So the index keeps a few words of every artifact
that lists show, brings itself up to date by such pages, and takes the rows of the page asked for whole from MLMD.
MLMD stays the only truth: the index is rebuilt from nothing at any time.
"""

from __future__ import annotations

import asyncio
import base64
import bisect
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..entities import DATASET, KFP_MODEL, MODEL, TRANSFORMER, RegisteredName
from ..errors import InvalidInputError
from . import convert
from .proto import mlmd_pb2 as pb
from .reader import Reader

LISTED = frozenset({MODEL, TRANSFORMER, DATASET, KFP_MODEL})
PATIENCE = 2.0
"""Seconds that a refresh waits for a first load; it goes on after that, and pages show what is there, newest first."""
LARGEST_PAGE = 500
_GONE = frozenset({pb.Artifact.MARKED_FOR_DELETION, pb.Artifact.DELETED, pb.Artifact.ABANDONED})


@dataclass(slots=True)
class _Group:
    """The versions of one (type, name); ``ids`` ascend."""

    key: tuple[str, str]
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Entry:
    """What is kept of one artifact."""

    id: int
    created: int
    updated: int
    group: _Group
    text: str
    """Name and description in small letters, for the search."""
    format: str
    tags: frozenset[str]
    """``key`` and ``key:value`` of each tag."""


@dataclass(frozen=True)
class _Filter:
    types: frozenset[str]
    search: str
    tag: str
    format: str
    name: str

    @property
    def narrows(self) -> bool:
        """Whether single artifacts have to be looked at."""
        return bool(self.search or self.tag or self.format)

    def matches(self, entry: _Entry) -> bool:
        return (
            self.search in entry.text
            and (not self.tag or self.tag in entry.tags)
            and (not self.format or self.format == entry.format)
        )

    def digest(self) -> str:
        parts = json.dumps([sorted(self.types), self.search, self.tag, self.format, self.name])
        return hashlib.sha256(parts.encode()).hexdigest()[:12]


class Index:
    """The artifacts of the listed types, grouped by type and name. For one event loop at a time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._entries: dict[int, _Entry] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._orders: dict[str, list[int]] = {}
        """By type: the newest id of each group, ascending."""
        self._tags: dict[frozenset[str], frozenset[str]] = {}
        """Equal sets of tags are kept once."""
        self._complete = False
        self._newest: pb.Artifact | None = None
        """The artifact, of any type, that was updated last when the last load began."""
        self._torn = False
        """The last load ended before its last page: the next one reads all."""
        self._work: asyncio.Task[None] | None = None

    @property
    def complete(self) -> bool:
        """Whether the first load is over: until then totals are too small, and pages right as far as they reach."""
        return self._complete

    async def refresh(self, *, wait: float | None = PATIENCE) -> None:
        """Bring the index up to date.

        Args:
            wait: seconds to wait for a first load, of which the newest come first; None for all of it. Small updates
                are always waited for.

        Raises:
            MetadataUnavailableError, DeadlineExceededError: MLMD did not answer; the index stays as it was.
        """
        loop = asyncio.get_running_loop()
        if self._complete and self._runs_in(loop) and self._work is not None:
            # It may have read its page before what the caller wants to see was written: another one has to follow.
            await asyncio.wait({self._work})
        if self._work is None or not self._runs_in(loop):
            self._work = loop.create_task(self._load())
            # A failure is raised to those who wait, below; one that nobody waits for is met by the next refresh.
            self._work.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._work}, timeout=None if self._complete else wait)
        for task in done:
            task.result()

    async def page(
        self,
        *,
        types: set[str],
        search: str = "",
        tag: str = "",
        format: str = "",
        name: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> tuple[list[RegisteredName], str, int]:
        """One page of names, the one with the newest version first.

        Args:
            types: artifact types to list.
            search: text that the name or description of some version has, in any case of letters.
            tag: ``key`` or ``key:value`` that some version has.
            format: the format of some version.
            name: the exact name.
            cursor: from the page before; empty for the first.
            limit: rows, 1 to 500.

        Returns:
            The rows, the next page's cursor (empty on the last), and how many names match in all.

        Raises:
            InvalidInputError: a cursor that is none, or of another query; a limit out of bounds.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise InvalidInputError(
                f"The limit {limit} is not between 1 and {LARGEST_PAGE}.",
                hint="Ask for fewer and use the next page's cursor.",
                field="limit",
            )
        wanted = _Filter(frozenset(types), search.casefold(), tag, format, name)
        before = _read_cursor(cursor, wanted) if cursor else None
        if wanted.narrows or name:
            newest = sorted({group.ids[-1] for group in self._matching(wanted)}, reverse=True)
            total = len(newest)
            rows = [id_ for id_ in newest if before is None or id_ < before][: limit + 1]
        else:
            orders = [self._orders.get(type_, []) for type_ in wanted.types]
            total = sum(map(len, orders))
            rows = _newest(orders, before, limit + 1)
        next_cursor = _write_cursor(rows[limit - 1], wanted) if len(rows) > limit else ""
        found = {artifact.id: artifact for artifact in await self._reader.artifacts(rows[:limit])}
        items = [
            RegisteredName(found[id_], len(self._entries[id_].group.ids))
            for id_ in rows[:limit]
            if id_ in found and id_ in self._entries
        ]
        return items, next_cursor, total

    def ids(self, type: str, name: str) -> list[int]:
        """The ids of all versions of a name, the newest first."""
        group = self._groups.get((type, name))
        return group.ids[::-1] if group else []

    # Loading

    def _runs_in(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._work is not None and not self._work.done() and self._work.get_loop() is loop

    async def _load(self) -> None:
        page = await self._reader.newest_updates()
        if await self._is_another(page.artifacts):
            self._clear()
        whole = not self._complete or self._torn
        newest = page.artifacts[0] if page.artifacts else None
        self._torn = True
        while True:
            news = sum(self._add(artifact) for artifact in page.artifacts)
            if not page.next_page_token or not (whole or news or self._is_newer(page.artifacts[-1])):
                break
            page = await self._reader.newest_updates(page.next_page_token)
        self._torn = False
        self._complete = True
        self._newest = newest

    def _is_newer(self, artifact: pb.Artifact) -> bool:
        """Whether what was updated before ``artifact`` may be unknown still. Pages without news do not tell: they may
        hold nothing but artifacts of types that are not listed."""
        known = self._newest
        return known is None or artifact.last_update_time_since_epoch >= known.last_update_time_since_epoch

    async def _is_another(self, artifacts: Sequence[pb.Artifact]) -> bool:
        """Whether the database is another one than before, or an earlier state of it: an artifact is not there, or was
        made at another time. The highest id is the first that an earlier state does not have."""
        made = {a.id: a.create_time_since_epoch for a in artifacts}
        known = {id_: entry.created for id_ in made if (entry := self._entries.get(id_)) is not None}
        highest = max((order[-1] for order in self._orders.values() if order), default=None)
        if highest is not None:
            known[highest] = self._entries[highest].created
        if self._newest is not None:
            known[self._newest.id] = self._newest.create_time_since_epoch
        for id_, created in known.items():
            if id_ not in made:
                found = await self._reader.found(id_)
                if found is None:
                    return True
                made[id_] = found.create_time_since_epoch
            if made[id_] != created:
                return True
        return False

    def _clear(self) -> None:
        self._entries.clear()
        self._groups.clear()
        self._orders.clear()
        self._tags.clear()
        self._newest = None
        self._complete = False

    def _add(self, found: pb.Artifact) -> bool:
        """Take in one artifact; whether it was news."""
        if found.type not in LISTED:
            return False
        old = self._entries.get(found.id)
        if found.state in _GONE:
            if old is not None:
                self._remove(old)
            return old is not None
        if old is not None and old.updated == found.last_update_time_since_epoch:
            return False
        name, description, tags, format_ = convert.slim(found)
        key = (found.type, name)
        if old is not None and old.group.key != key:
            self._remove(old)
            old = None
        group = self._groups.get(key) or self._groups.setdefault(key, _Group(key))
        words = frozenset(word for k, v in tags.items() for word in (k, f"{k}:{v}"))
        self._entries[found.id] = _Entry(
            id=found.id,
            created=found.create_time_since_epoch,
            updated=found.last_update_time_since_epoch,
            group=group,
            text=f"{name}\n{description}".casefold(),
            format=sys.intern(format_),
            tags=self._tags.setdefault(words, words),
        )
        if old is None:
            self._reorder(group, found.id, add=True)
        return True

    def _remove(self, entry: _Entry) -> None:
        del self._entries[entry.id]
        self._reorder(entry.group, entry.id, add=False)
        if not entry.group.ids:
            del self._groups[entry.group.key]

    def _reorder(self, group: _Group, id_: int, *, add: bool) -> None:
        """Add or take an id, and keep the type's order true to the group's newest."""
        order = self._orders.setdefault(group.key[0], [])
        before = group.ids[-1] if group.ids else 0
        if add:
            bisect.insort(group.ids, id_)
        else:
            group.ids.remove(id_)
        after = group.ids[-1] if group.ids else 0
        if before != after:
            if before:
                del order[bisect.bisect_left(order, before)]
            if after:
                bisect.insort(order, after)

    # Looking up

    def _matching(self, wanted: _Filter) -> Iterator[_Group]:
        if wanted.name:
            named = (self._groups.get((type_, wanted.name)) for type_ in wanted.types)
            for group in named:
                if group is not None and any(wanted.matches(self._entries[i]) for i in group.ids):
                    yield group
            return
        for entry in self._entries.values():
            if wanted.matches(entry) and entry.group.key[0] in wanted.types:
                yield entry.group


def _newest(orders: list[list[int]], before: int | None, count: int) -> list[int]:
    """The ``count`` largest ids below ``before`` of several ascending lists, descending."""
    ends = [len(order) if before is None else bisect.bisect_left(order, before) for order in orders]
    best = [id_ for order, end in zip(orders, ends, strict=True) for id_ in order[max(0, end - count) : end]]
    return sorted(best, reverse=True)[:count]


def _write_cursor(last: int, wanted: _Filter) -> str:
    return base64.urlsafe_b64encode(json.dumps([last, wanted.digest()]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, wanted: _Filter) -> int:
    try:
        last, digest = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError):
        last, digest = None, ""
    if not isinstance(last, int) or isinstance(last, bool) or digest != wanted.digest():
        raise InvalidInputError(
            "The cursor does not belong to this query.",
            hint="Omit it to start with the first page.",
            field="cursor",
        )
    return last
