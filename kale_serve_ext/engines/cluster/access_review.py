"""What the user of the API server may do in a namespace, asked before it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import KaleServeError
from ...ml import JSON
from ..fields import mapping

if TYPE_CHECKING:
    from .api import Api

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    verb: str
    resource: str
    """Such as ``pods`` or ``pods/proxy``."""
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f" ({self.group})" if self.group else "")


async def missing(api: Api, namespace: str, wanted: Sequence[Right]) -> list[Right]:
    """Those that the user has not; none where the server does not say."""
    held = await asyncio.gather(*(_held(api, namespace, right) for right in wanted))
    return [right for right, yes in zip(wanted, held, strict=True) if not yes]


async def may(api: Api, namespace: str, right: Right) -> bool:
    """Whether the user has this right.

    Raises:
        KaleServeError: the server does not say.
    """
    resource, _, part = right.resource.partition("/")
    asked: dict[str, JSON] = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": part,
    }
    review: dict[str, JSON] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return mapping((await api.create(_REVIEWS, review)).get("status")).get("allowed") is True


async def _held(api: Api, namespace: str, right: Right) -> bool:
    try:
        return await may(api, namespace, right)
    except KaleServeError:
        return True  # then the cluster says so when the right is used
