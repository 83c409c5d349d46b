"""Secrets, claims and snapshots of the storage that services share: each goes with the last service that owns it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....errors import ConflictError, NotFoundError
from ....ml import JSON
from ...base import Manifest
from ...fields import mapping, mappings, name_of, text
from ...kserve import MANAGED_BY, MANAGER
from .. import api_objects as paths
from ..api import MERGE, STRATEGIC

if TYPE_CHECKING:
    from ..api import Api

CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/namespaces/{}/volumesnapshots"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
LABELS: Mapping[str, JSON] = {MANAGED_BY: MANAGER}

_PATHS = {
    "Secret": paths.SECRETS,
    "PersistentVolumeClaim": CLAIMS,
    "VolumeSnapshot": SNAPSHOTS,
    "Job": JOBS,
    "InferenceService": paths.SERVICES,
}
_GONE_WITHIN = 60.0
_PERIOD = 0.5


def path_of(namespace: str, kind: str, name: str) -> str:
    return f"{_PATHS[kind].format(namespace)}/{name}"


async def standing(api: Api, namespace: str, kind: str, name: str) -> Manifest | None:
    """The object as it is there to stay, or None: one that is being deleted is waited for until it is gone.

    Owners that are gone or going are struck out, so that it does not follow them while a new one is on its way.

    Raises:
        ConflictError: it is still being deleted after a minute.
    """
    path = path_of(namespace, kind, name)
    end = time.monotonic() + _GONE_WITHIN
    while time.monotonic() < end:
        try:
            found = await api.get(path)
        except NotFoundError:
            return None
        metadata = mapping(found.get("metadata"))
        if not metadata.get("deletionTimestamp"):
            owners = mappings(metadata.get("ownerReferences"))
            living: list[JSON] = [dict(owner) for owner in owners if await _lives(api, namespace, owner)]
            if len(living) == len(owners):
                return found
            change: Manifest = {"resourceVersion": metadata.get("resourceVersion"), "ownerReferences": living}
            with contextlib.suppress(ConflictError, NotFoundError):  # somebody was faster: look again
                return await api.patch(path, {"metadata": change}, MERGE)
        await asyncio.sleep(_PERIOD)
    raise ConflictError(
        f"{kind} {name} is still being deleted after {_GONE_WITHIN:g} s: a pod may still use it.",
        hint="Try again when it is gone.",
    )


async def make(api: Api, namespace: str, wanted: Manifest) -> str:
    """See to it that an object is there; its path where it is to go if it gets no owner.

    Secrets are brought up to date. Claims and snapshots never change: their names say what is in them.

    Raises:
        NotFoundError: it should be there already, and is not.
    """
    kind, name = text(wanted.get("kind")), name_of(wanted)
    path = path_of(namespace, kind, name)
    found = await standing(api, namespace, kind, name)
    if kind == "Secret":
        await api.apply(path, wanted)
    elif found is None and "spec" not in wanted:
        raise NotFoundError(f"{kind} {name} was deleted in the meantime.", hint="Serve again.")
    elif found is None:
        with contextlib.suppress(ConflictError):  # made by another one at the same moment
            await api.create(path.rpartition("/")[0], wanted)
    return "" if found and mapping(found.get("metadata")).get("ownerReferences") else path


async def discard(api: Api, namespace: str, made: Manifest) -> None:
    """Remove an object, unless it has an owner or is not there."""
    kind, name = text(made.get("kind")), name_of(made)
    found = await standing(api, namespace, kind, name)
    if found and not mapping(found.get("metadata")).get("ownerReferences"):
        await api.delete(path_of(namespace, kind, name))


async def own(api: Api, namespace: str, owned: Manifest, owner: Manifest) -> None:
    """Make ``owner`` one of the object's owners: with the last of them it goes.

    Raises:
        ConflictError: it is going with the former ones already.
    """
    kind, name = text(owned.get("kind")), name_of(owned)
    change: Manifest = {"metadata": {"ownerReferences": [reference(owner)]}}
    # With a strategic patch the owners are added to; the API server has none for what is not its own.
    patched = (
        await _added(api, path_of(namespace, kind, name), owner)
        if kind == "VolumeSnapshot"
        else await api.patch(path_of(namespace, kind, name), change, STRATEGIC)
    )
    if mapping(patched.get("metadata")).get("deletionTimestamp"):
        raise ConflictError(f"{kind} {name} is being deleted with its former service.", hint="Serve again.")


def reference(owner: Manifest) -> dict[str, JSON]:
    return {
        "apiVersion": owner.get("apiVersion"),
        "kind": owner.get("kind"),
        "name": name_of(owner),
        "uid": mapping(owner.get("metadata")).get("uid"),
    }


async def _added(api: Api, path: str, owner: Manifest) -> Manifest:
    while True:
        metadata = mapping((await api.get(path)).get("metadata"))
        others = [dict(o) for o in mappings(metadata.get("ownerReferences")) if o.get("uid") != reference(owner)["uid"]]
        change: Manifest = {
            "resourceVersion": metadata.get("resourceVersion"),
            "ownerReferences": [*others, reference(owner)],
        }
        with contextlib.suppress(ConflictError):  # changed since it was read
            return await api.patch(path, {"metadata": change}, MERGE)


async def _lives(api: Api, namespace: str, owner: Mapping[str, JSON]) -> bool:
    kind = text(owner.get("kind"))
    if kind not in _PATHS:
        return True
    try:
        found = mapping((await api.get(path_of(namespace, kind, text(owner.get("name"))))).get("metadata"))
    except NotFoundError:
        return False
    return found.get("uid") == owner.get("uid") and not found.get("deletionTimestamp")
