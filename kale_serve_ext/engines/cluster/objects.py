"""Where the objects of InferenceServices are in the API, and reading and watching those of one namespace."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...errors import InvalidNameError, NotFoundError, PermissionDeniedError
from ..base import Manifest
from .api import Gone
from .fields import mapping, text
from .state import Objects, grouped

if TYPE_CHECKING:
    from .api import Api

log = logging.getLogger(__name__)

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
CLUSTER_RUNTIMES = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes"
PODS = "/api/v1/namespaces/{}/pods"
SECRETS = "/api/v1/namespaces/{}/secrets"
EVENTS = "/api/v1/namespaces/{}/events"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
REPLICASETS = "/apis/apps/v1/namespaces/{}/replicasets"

_KINDS = (SERVICES, DEPLOYMENTS, REPLICASETS, PODS, EVENTS)
_OF_A_SERVICE = "serving.kserve.io/inferenceservice"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LOOK_AGAIN = 5.0
"""Seconds after which a state is derived anew without a change: what has not happened for a while tells too."""
_TOGETHER = 0.05
"""Seconds in which changes are told together: one event of a pod rarely comes alone."""


def service(namespace: str, name: str) -> str:
    """The path of an InferenceService.

    Raises:
        InvalidNameError: the name is no DNS label.
    """
    if not _LABEL.fullmatch(name):
        raise InvalidNameError(
            f"{name[:100]!r} cannot be the name of a service.", hint="Use small letters, digits and '-'.", field="name"
        )
    return f"{SERVICES.format(namespace)}/{name}"


async def read_one(api: Api, namespace: str, name: str) -> Objects:
    """Everything about one service.

    Raises:
        NotFoundError: there is no such service.
    """
    label = f"{_OF_A_SERVICE}={name}"
    found, deployments, replicasets, pods, events = await asyncio.gather(
        api.get(service(namespace, name)),
        _listed(api, DEPLOYMENTS.format(namespace), labelSelector=label),
        _listed(api, REPLICASETS.format(namespace), labelSelector=label),
        _listed(api, PODS.format(namespace), labelSelector=label),
        _listed(api, EVENTS.format(namespace)),
    )
    return grouped([found], deployments, replicasets, pods, events)[name]


async def read_all(api: Api, namespace: str) -> dict[str, Objects]:
    """Everything about every service of the namespace, by name."""
    (services, _), others = await asyncio.gather(
        api.list(SERVICES.format(namespace)),
        asyncio.gather(*(_listed(api, kind.format(namespace)) for kind in _KINDS[1:])),
    )
    return grouped(services, *others)


async def watch_all(api: Api, namespace: str) -> AsyncGenerator[dict[str, Objects], None]:
    """What :func:`read_all` gives, now and after each change. One watch for each kind, however many services.

    Raises:
        KaleServeError: the services cannot be read or watched any more.
    """
    seen: dict[str, dict[str, Manifest]] = {kind: {} for kind in _KINDS}
    changed = asyncio.Event()
    listed = [asyncio.Event() for _ in _KINDS]
    tasks = [
        asyncio.create_task(_follow(api, kind.format(namespace), seen[kind], changed, ready, must=kind == SERVICES))
        for kind, ready in zip(_KINDS, listed, strict=True)
    ]
    try:
        for ready in listed:
            await _until(ready, tasks)
        while True:
            changed.clear()
            yield grouped(*(list(seen[kind].values()) for kind in _KINDS))
            if await _until(changed, tasks, _LOOK_AGAIN):
                await asyncio.sleep(_TOGETHER)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(event: asyncio.Event, tasks: Sequence[asyncio.Task[None]], timeout: float | None = None) -> bool:
    """Wait for the event, or raise what one of the tasks failed with; false where the time is over first."""
    waiting = asyncio.create_task(event.wait())
    try:
        while not waiting.done():
            wanted = {waiting, *(t for t in tasks if not t.done())}
            done, _ = await asyncio.wait(wanted, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()
            if not done:
                return False
        return True
    finally:
        waiting.cancel()


async def _follow(
    api: Api, path: str, seen: dict[str, Manifest], changed: asyncio.Event, listed: asyncio.Event, *, must: bool
) -> None:
    """Keep ``seen`` as the server has it. What may not be read stays empty, unless it ``must`` be."""
    try:
        while True:
            items, version = await api.list(path)
            seen.clear()
            seen.update({_uid(item): item for item in items})
            listed.set()
            changed.set()
            try:
                while True:
                    version = await _watch_once(api, path, version, seen, changed)
            except Gone:
                continue
    except PermissionDeniedError as error:
        if must:
            raise
        log.warning("Services are told without %s: %s", path.rpartition("/")[2], error)
        listed.set()


async def _watch_once(api: Api, path: str, version: str, seen: dict[str, Manifest], changed: asyncio.Event) -> str:
    async with aclosing(api.watch(path, version)) as changes:
        async for kind, item in changes:
            version = str(mapping(item.get("metadata")).get("resourceVersion") or version)
            if kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                seen.pop(_uid(item), None)
            else:
                seen[_uid(item)] = item
            changed.set()
    return version


async def _listed(api: Api, path: str, **query: str) -> list[Manifest]:
    """The items, none where they may not be read: services are then told with what there is."""
    try:
        return (await api.list(path, **query))[0]
    except (PermissionDeniedError, NotFoundError) as error:
        log.info("Services are told without %s: %s", path.rpartition("/")[2], error)
        return []


def _uid(item: Manifest) -> str:
    return text(mapping(item.get("metadata")).get("uid"))
