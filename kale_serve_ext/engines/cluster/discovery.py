"""What a cluster has and allows: whether it knows InferenceServices, its namespaces, and who may serve in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from ...entities import DNS_LABEL
from ...errors import DeadlineExceededError, InvalidNameError, NotFoundError, PermissionDeniedError
from ..fields import mappings, name_of
from .access_review import Right, may
from .api import Api
from .credentials import Place

T = TypeVar("T")

LIMIT = 3.0
"""Seconds within which an API server has to answer when it is sought without being asked for."""
MOST_NAMESPACES = 500

_GROUP = "serving.kserve.io"
_KIND = f"/apis/{_GROUP}/v1beta1"
_NAMESPACES = "/api/v1/namespaces"


def has_kind(place: Place) -> bool:
    """Whether the cluster has the kind InferenceService: one request. Blocks, for ``LIMIT`` seconds at most.

    Raises:
        KaleServeError: the server cannot be asked, or does not know the user.
    """

    async def ask() -> bool:
        async with _opened(place) as api:
            return await _within_limit(_has_kind(api), place)

    # On a thread of its own: the caller's may run a loop. Not by asyncio.run, which waits for the name server's answer.
    with ThreadPoolExecutor(1, thread_name_prefix="kale-serve-discovery") as pool:
        return pool.submit(_run, ask()).result()


async def namespaces(place: Place) -> list[str] | None:
    """The namespaces, the first ``MOST_NAMESPACES`` of them; None where they may not be listed.

    Raises:
        NotFoundError: the cluster has no InferenceServices.
        KaleServeError: the server cannot be asked, or does not know the user.
    """
    async with _opened(place) as api:
        await _within_limit(_require_kind(api, place), place)
        try:
            found = await api.get(_NAMESPACES, limit=str(MOST_NAMESPACES))
        except PermissionDeniedError:
            return None
    return sorted(name_of(dict(one)) for one in mappings(found.get("items")))


async def check_may_serve(place: Place, namespace: str) -> None:
    """Nothing, where the user may create InferenceServices.

    Raises:
        NotFoundError: the cluster has no InferenceServices, or no such namespace.
        PermissionDeniedError: the right is missing; names the verb and the resource.
        KaleServeError: the server cannot be asked, or does not know the user.
    """
    if not DNS_LABEL.fullmatch(namespace):
        raise InvalidNameError(
            f"{namespace[:100]!r} cannot be a namespace.",
            hint="Use lowercase letters, digits and '-'.",
            field="namespace",
        )
    async with _opened(place) as api:
        await _within_limit(_require_kind(api, place), place)
        if not await may(api, namespace, Right("create", "inferenceservices", _GROUP)):
            raise PermissionDeniedError(
                f"You may not create inferenceservices ({_GROUP}) in the namespace {namespace!r} of {place.context!r}.",
                hint="Ask the namespace's owner for this right, or choose another one.",
                field="namespace",
            )
        try:
            await api.get(f"{_NAMESPACES}/{namespace}")
        except PermissionDeniedError:
            return  # the right to create in it, which was granted, is the one that counts
        except NotFoundError as error:
            raise NotFoundError(
                f"{place.context!r} has no namespace {namespace!r}.", hint="Choose another one.", field="namespace"
            ) from error


async def _has_kind(api: Api) -> bool:
    try:
        answer = await api.get(_KIND)
    except NotFoundError:
        return False
    return any(one.get("name") == "inferenceservices" for one in mappings(answer.get("resources")))


async def _require_kind(api: Api, place: Place) -> None:
    if not await _has_kind(api):
        raise NotFoundError(
            f"The cluster of {place.context!r} has no InferenceServices ({_GROUP}/v1beta1).",
            hint="Install KServe in it, or choose another context.",
            field="context",
        )


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[Api]:
    api = Api(place)
    try:
        yield api
    finally:
        await api.close()


async def _within_limit(work: Coroutine[object, object, T], place: Place) -> T:
    try:
        return await asyncio.wait_for(work, LIMIT)
    except DeadlineExceededError:
        raise
    except asyncio.TimeoutError as error:
        raise DeadlineExceededError(
            f"The API server of {place.context!r} did not answer within {LIMIT:g} s.",
            hint="Check the network, or try again.",
        ) from error


def _run(work: Coroutine[object, object, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
