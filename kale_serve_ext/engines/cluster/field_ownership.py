"""Whose a service is, and whose its fields are: what is applied to another's, and who stands against it. Pure.

Whoever applies a field owns it, and whoever else changes it later is told of a conflict. So of a service that was not
made here only that is applied which is to change; its other fields stay their makers'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...errors import ConflictError
from ...ml import JSON
from ..base import Manifest
from ..fields import labels_of, mapping, mappings, text
from ..kserve import CANARIES, MANAGED_BY, MANAGER, canaries_of

_OWNER = re.compile(r'conflict with "([^"]+)"')


def is_ours(service: Manifest) -> bool:
    """Whether it was made here."""
    return labels_of(service).get(MANAGED_BY) == MANAGER


def to_apply(live: Manifest | None, wanted: Manifest) -> Manifest:
    """What of ``wanted`` to apply to a service as it is there; all of it where there is none, or it is ours."""
    if live is None:
        return wanted
    if canaries_of(live) and not canaries_of(wanted):
        # What others have set does not go by being left out.
        wanted = {**wanted, "spec": {**mapping(wanted.get("spec")), CANARIES: []}}
    if is_ours(live):
        return wanted
    managed = mappings(mapping(live.get("metadata")).get("managedFields"))
    applied = [m for m in managed if m.get("manager") == MANAGER and m.get("operation") == "Apply"]
    owned = mapping(applied[0].get("fieldsV1")) if applied else {}
    metadata, before = mapping(wanted.get("metadata")), mapping(live.get("metadata"))
    kept: dict[str, JSON] = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    described = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
    return {
        "apiVersion": wanted.get("apiVersion"),
        "kind": wanted.get("kind"),
        "metadata": {**kept, **_changed(before, described, mapping(owned.get("f:metadata")))},
        "spec": _changed(mapping(live.get("spec")), mapping(wanted.get("spec")), mapping(owned.get("f:spec"))),
    }


def conflict(status: Mapping[str, JSON]) -> ConflictError | None:
    """Who has set the fields that an apply would change, field by field; None where the conflict is another."""
    fields: dict[str, list[str]] = {}
    for cause in mappings(mapping(status.get("details")).get("causes")):
        owner = _OWNER.search(text(cause.get("message")))
        if cause.get("reason") == "FieldManagerConflict" and owner:
            fields.setdefault(owner[1], []).append(text(cause.get("field")).lstrip("."))
    if not fields:
        return None
    told = "; ".join(f"{owner} has set {', '.join(names)}" for owner, names in fields.items())
    return ConflictError(
        f"Others have set what would change: {told}. Nothing was changed.",
        hint="Change it where it was set, or take the fields over with force.",
        field="force",
    )


def _changed(live: Mapping[str, JSON], wanted: Mapping[str, JSON], owned: Mapping[str, JSON]) -> dict[str, JSON]:
    """What differs from ``live``, and what is owned by us already. A list is one value, as in KServe's schema."""
    found: dict[str, JSON] = {}
    for key, value in wanted.items():
        own = owned.get(f"f:{key}")
        if isinstance(value, Mapping) and value:
            inside = _changed(mapping(live.get(key)), value, mapping(own))
            if inside:
                found[key] = inside
        elif value != live.get(key) or own is not None:
            found[key] = value
    return found
