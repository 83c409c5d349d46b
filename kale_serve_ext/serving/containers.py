"""The containers of a component, in a manifest and in the config that is laid over it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..engines.base import Component
from ..engines.fields import listed
from ..ml import JSON
from .config import Config, merge_env

PREFIX = "kale-serve-ext/"
SERVER = f"{PREFIX}predictor-server"
"""The annotation with the program that the predictor's runtime runs, where the cluster has told it."""
NODES = "nodeSelector"
PREDICTOR_PROTOCOL = "--predictor_protocol"
NODE = "kubernetes.io/hostname"
CONTAINER = "kserve-container"
IN_CONTAINER = (
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "ports",
    "volumeMounts",
    "securityContext",
    "workingDir",
)


def has_container(config: Config, component: Component) -> bool:
    """Whether the config brings a container of its own with an image for this component."""
    own = config.get(component)
    return isinstance(own, Mapping) and bool(container_of(own).get("image") or own.get("image"))


def with_env(container: dict[str, JSON], before: list[JSON], after: list[JSON]) -> dict[str, JSON]:
    """The container with the two lists of variables as one, without the field where there are none."""
    env = merge_env(before, after)
    return {**{k: v for k, v in container.items() if k != "env"}, **({"env": env} if env else {})}


def container_wanted(own: Config) -> dict[str, JSON]:
    """The container's fields: of ``container``, of those given flat beside it, and of requests and limits."""
    given = container_of(own)
    container: dict[str, JSON] = {**{k: own[k] for k in IN_CONTAINER if k in own}, **given}
    for field in ("env", "envFrom"):
        merged = merge_env(listed(own.get(field)), listed(given.get(field)))
        if merged:
            container[field] = merged
    resources: dict[str, JSON] = {}
    for field in ("requests", "limits"):
        merged_amounts: dict[str, JSON] = {}
        for source in (own.get(field), inside(own.get("resources"), field), inside(given.get("resources"), field)):
            if isinstance(source, Mapping):
                merged_amounts |= source
        if merged_amounts:
            resources[field] = merged_amounts
    if resources:
        container["resources"] = resources
    return container


def container_of(own: Mapping[str, JSON]) -> dict[str, JSON]:
    single = own.get("container")
    if isinstance(single, Mapping):
        return dict(single)
    several = own.get("containers")
    if isinstance(several, list) and several and isinstance(several[0], Mapping):
        return dict(several[0])
    return {}


def sidecars(own: Config) -> list[JSON]:
    """Containers that run beside the server."""
    return [] if "container" in own else listed(own.get("containers"))[1:]


def inside(value: JSON, key: str) -> JSON:
    return value.get(key) if isinstance(value, Mapping) else None
