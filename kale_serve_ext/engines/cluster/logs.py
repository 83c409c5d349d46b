"""The log of a component: of its newest pod, and before its server has begun, of what fetches the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from ...errors import InvalidInputError, NotFoundError
from ...ml import JSON
from ..base import Component, Manifest
from . import objects as paths
from .state import Objects

if TYPE_CHECKING:
    from .api import Api

_SERVER = "kserve-container"


async def stream(
    api: Api, namespace: str, found: Objects, component: Component, *, tail: int, previous: bool, follow: bool
) -> AsyncGenerator[str, None]:
    """Pieces of the log, oldest first; none where no container has written one yet."""
    pod = newest_pod(found, component)
    if pod is None:
        return
    path = f"{paths.PODS.format(namespace)}/{_text(pod, 'metadata', 'name')}/log"
    query = {"tailLines": str(tail), "previous": str(previous).lower(), "follow": str(follow).lower()}
    for container in _containers(pod):
        try:
            async with aclosing(api.stream(path, container=container, **query)) as text:
                async for piece in text:
                    yield piece
            return
        except (InvalidInputError, NotFoundError):
            # It has not begun, or there was no run before: what ran before it in the pod tells.
            continue


def newest_pod(found: Objects, component: Component) -> Manifest | None:
    """The component's newest pod, one that is going only where there is no other."""
    pods = [p for p in found.pods if _text(p, "metadata", "labels", "component") == component]
    return max(
        pods,
        key=lambda p: (not _text(p, "metadata", "deletionTimestamp"), _text(p, "metadata", "creationTimestamp")),
        default=None,
    )


def _containers(pod: Manifest) -> list[str]:
    """The server's container, then those that run before it, last first."""
    spec = pod.get("spec")
    parts = spec if isinstance(spec, Mapping) else {}
    names = [str(c.get("name")) for c in _mappings(parts.get("containers"))]
    first = sorted(names, key=lambda name: name != _SERVER)[:1]
    return [*first, *(str(c.get("name")) for c in reversed(_mappings(parts.get("initContainers"))))]


def _text(value: JSON, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return str(value or "")


def _mappings(value: JSON) -> list[Mapping[str, JSON]]:
    return [cast("Mapping[str, JSON]", v) for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []
