"""The log of a component: of its newest pod, and before its server has begun, of what fetches the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...errors import InvalidInputError, NotFoundError
from ..base import Component, Manifest
from ..fields import mapping, mappings, name_of, text
from . import api_objects as paths
from .api import READ_TIMEOUT
from .pods import is_ending, of_component
from .service_objects import Objects

if TYPE_CHECKING:
    from .api import Api

_SERVER = "kserve-container"


async def stream(
    api: Api, namespace: str, found: Objects, component: Component, *, tail: int, previous: bool, follow: bool
) -> AsyncGenerator[str, None]:
    """Pieces of the log, oldest first; none where no container has written one yet."""
    pod = newest_pod(found, component)
    if pod is None:
        # Where it is the right to see pods that lacks, this says so.
        await api.get(paths.PODS.format(namespace), limit="1")
        return
    path = f"{paths.PODS.format(namespace)}/{name_of(pod)}/log"
    # A server that has nothing to say is silent for hours.
    silence = None if follow else READ_TIMEOUT
    query = {"tailLines": str(tail), "previous": str(previous).lower(), "follow": str(follow).lower()}
    for container in _containers(pod):
        try:
            async with aclosing(api.stream(path, {**query, "container": container}, silence=silence)) as text:
                async for piece in text:
                    yield piece
            return
        except (InvalidInputError, NotFoundError):
            # It has not begun, or there was no run before: what ran before it in the pod tells.
            continue


def newest_pod(found: Objects, component: Component) -> Manifest | None:
    """The component's newest pod, one that is going only where there is no other."""
    pods = of_component(component, found.pods)
    return max(
        pods, key=lambda p: (not is_ending(p), text(mapping(p.get("metadata")).get("creationTimestamp"))), default=None
    )


def _containers(pod: Manifest) -> list[str]:
    """The server's container, then those that run before it, last first."""
    parts = mapping(pod.get("spec"))
    names = [str(c.get("name")) for c in mappings(parts.get("containers"))]
    first = sorted(names, key=lambda name: name != _SERVER)[:1]
    return [*first, *(str(c.get("name")) for c in reversed(mappings(parts.get("initContainers"))))]
