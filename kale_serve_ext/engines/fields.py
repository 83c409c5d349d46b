"""Reading Kubernetes' objects: every field may be absent, or of a kind that was not expected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..ml import JSON


def condition(status: Mapping[str, JSON], kind: str) -> Mapping[str, JSON]:
    """One of the conditions of a status; empty where it is not there."""
    return next((c for c in mappings(status.get("conditions")) if c.get("type") == kind), {})


def mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def listed(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list | tuple) else []


def mappings(value: JSON) -> list[Mapping[str, JSON]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def number(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def seconds(value: JSON) -> float:
    """A time of the API as seconds since the epoch; 0 where there is none."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() if isinstance(value, str) and value else 0.0


def contains(found: JSON, wanted: JSON) -> bool:
    """Whether an object has all that is wanted of it, whatever else the API server has put into it."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(k in found and contains(found[k], v) for k, v in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return found == wanted


def name_of(one: Mapping[str, JSON]) -> str:
    return text(mapping(one.get("metadata")).get("name"))


def labels_of(one: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return mapping(mapping(one.get("metadata")).get("labels"))


def annotations_of(one: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return mapping(mapping(one.get("metadata")).get("annotations"))


def owner_of(one: Mapping[str, JSON]) -> str:
    """Name of the controller that made it."""
    owners = mappings(mapping(one.get("metadata")).get("ownerReferences"))
    return next((text(o.get("name")) for o in owners if o.get("controller")), "")
