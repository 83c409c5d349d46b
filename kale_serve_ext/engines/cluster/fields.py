"""Reading Kubernetes' objects: every field may be absent, or of a kind that was not expected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ...ml import JSON
from ..base import Manifest


def condition(status: Mapping[str, JSON], kind: str) -> Mapping[str, JSON]:
    """One of the conditions of a status; empty where it is not there."""
    return next((c for c in mappings(status.get("conditions")) if c.get("type") == kind), {})


def mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def mappings(value: JSON) -> list[Mapping[str, JSON]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def number(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def seconds(value: JSON) -> float:
    """A time of the API as seconds since the epoch; 0 where there is none."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() if isinstance(value, str) and value else 0.0


def name_of(one: Manifest) -> str:
    return text(mapping(one.get("metadata")).get("name"))


def labels_of(one: Manifest) -> Mapping[str, JSON]:
    return mapping(mapping(one.get("metadata")).get("labels"))


def notes_of(one: Manifest) -> Mapping[str, JSON]:
    return mapping(mapping(one.get("metadata")).get("annotations"))


def owner_of(one: Manifest) -> str:
    """Name of the controller that made it."""
    owners = mappings(mapping(one.get("metadata")).get("ownerReferences"))
    return next((text(o.get("name")) for o in owners if o.get("controller")), "")
