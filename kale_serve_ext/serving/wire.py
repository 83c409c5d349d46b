"""What a manifest says about how its service is spoken to."""

from __future__ import annotations

from collections.abc import Mapping

from ..engines.base import Component, Manifest
from ..ml import JSON


def serves_format(manifest: Manifest) -> bool:
    """Whether the predictor serves a model in a framework's own format, rather than being somebody's own code."""
    return bool(_mapping(_component(manifest, "predictor").get("model")))


def is_intercepted(manifest: Manifest) -> bool:
    """Whether a batcher or logger stands in front of a component, for requests by REST alone."""
    parts = (_component(manifest, part) for part in ("predictor", "transformer"))
    return any(part.get(one) for part in parts for one in ("batcher", "logger"))


def wire_name(manifest: Manifest, component: Component) -> str:
    """The model's name in URLs: what ``--model_name`` of the component says, else the service's name."""
    own = _component(manifest, component)
    containers = own.get("containers")
    first = containers[0] if isinstance(containers, list) and containers else own.get("model")
    args = _mapping(first).get("args")
    words = [str(word) for word in args] if isinstance(args, list) else []
    for i, word in enumerate(words):
        if word == "--model_name" and i + 1 < len(words):
            return words[i + 1]
        if word.startswith("--model_name="):
            return word.partition("=")[2]
    return str(_mapping(manifest.get("metadata")).get("name") or "")


def _component(manifest: Manifest, component: str) -> Mapping[str, JSON]:
    return _mapping(_mapping(manifest.get("spec")).get(component))


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
