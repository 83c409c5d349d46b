"""PersistentVolumeClaims and VolumeSnapshots as manifests, and what they are called. Pure.

A claim that is made for an artifact holds it alone and is named by its content, so that every service of the artifact
uses the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from ....errors import InvalidInputError
from ....ml import JSON
from ...base import Manifest
from ...fields import mapping
from .owner_references import LABELS

COMPLETE = "kale-serve-ext/complete"
"""The annotation of a claim that tells which content is in it, once all of it is."""

_GIB = 1 << 30
_HEADROOM = 1.2
_SPARE = 64 << 20
"""Bytes for the file system's own needs."""
_BLOCK = 4096
SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
_ROK_SERVER = "http://rok.rok.svc.cluster.local"
_ROK_SIZE = "10Gi"
"""The size of a claim made from Rok where the artifact does not tell its ``content_length``."""


def content_name(digest: str) -> str:
    return f"kale-{digest.rpartition(':')[2][:16]}"


def copy_name(kind: str, *of: str) -> str:
    """The name of a copy: the same for the same source and artifact."""
    return f"kale-{kind}-{sha256(chr(0).join(of).encode()).hexdigest()[:16]}"


def size_for(files: Mapping[str, int]) -> str:
    """What a claim for these files (name and bytes) has to ask for."""
    needed = sum(size + _BLOCK for size in files.values()) * _HEADROOM + _SPARE
    return f"{math.ceil(needed / _GIB)}Gi"


def claim(
    namespace: str,
    name: str,
    size: JSON,
    *,
    modes: JSON = None,
    storage_class: JSON = None,
    source: JSON = None,
    owner: JSON = None,
) -> Manifest:
    """A claim; of the default class, and for the pods of one node, unless told otherwise."""
    metadata: dict[str, JSON] = {"name": name, "namespace": namespace, "labels": dict(LABELS)}
    if owner:
        metadata["ownerReferences"] = [owner]
    spec: dict[str, JSON] = {
        "accessModes": modes or ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    if source:
        spec["dataSource"] = source
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
    }


def named_claim(name: str) -> Manifest:
    """A claim that is there already."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}}


def named_snapshot(name: str) -> Manifest:
    """A snapshot that is there already."""
    return {"apiVersion": f"{SNAPSHOT_GROUP}/v1", "kind": "VolumeSnapshot", "metadata": {"name": name}}


def copied(namespace: str, name: str, source: Manifest, origin: JSON) -> Manifest:
    """A claim like ``source`` whose volume starts as ``origin``, a claim or a snapshot of it."""
    spec = mapping(source.get("spec"))
    asked = mapping(mapping(spec.get("resources")).get("requests")).get("storage")
    size = mapping(mapping(source.get("status")).get("capacity")).get("storage") or asked
    modes, storage_class = spec.get("accessModes"), spec.get("storageClassName")
    return claim(namespace, name, size, modes=modes, storage_class=storage_class, source=origin)


def of_claim(name: str) -> JSON:
    return {"kind": "PersistentVolumeClaim", "name": name}


def of_snapshot(name: str) -> JSON:
    return {"apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": name}


def shared_by_nodes(one: Manifest) -> bool:
    modes = mapping(one.get("spec")).get("accessModes")
    return isinstance(modes, list) and bool({"ReadWriteMany", "ReadOnlyMany"} & {str(m) for m in modes})


def snapshot(namespace: str, name: str, source: str, snapshot_class: str) -> Manifest:
    spec: dict[str, JSON] = {"source": {"persistentVolumeClaimName": source}}
    if snapshot_class:
        spec["volumeSnapshotClassName"] = snapshot_class
    return {
        "apiVersion": f"{SNAPSHOT_GROUP}/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": spec,
    }


def split_uri(uri: str) -> tuple[str, str]:
    """Claim and folder of ``pvc://CLAIM/FOLDER``."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.strip("/")


def uri_of(name: str, folder: str) -> str:
    return f"pvc://{name}/{folder}" if folder else f"pvc://{name}"


def from_rok(namespace: str, uri: str, size: JSON) -> tuple[Manifest, str]:
    """The claim that the original Kale made of a Rok URI, and the URI of the files in it.

    The URI is ``rok:USER:BUCKET:OBJECT:VERSION:PATH``, or ``rok://`` and what follows the server's address scheme:
    ``rok://HOST/swift/v1/USER/BUCKET/OBJECT?version=VERSION#PATH``.

    Raises:
        InvalidInputError: it is neither.
    """
    rest = uri.partition(":")[2].removeprefix("//")
    if "/swift/v1/" in rest:
        url, _, path = rest.partition("#")
        origin = f"http://{url}"
    else:
        parts = rest.split(":", 4)
        if len(parts) < 4 or not all(parts[:4]):
            raise InvalidInputError(
                f"{uri[:200]!r} is not the URI of a Rok object.",
                hint="It looks like rok:USER:BUCKET:OBJECT:VERSION:PATH.",
                field="version",
            )
        user, bucket, stored, version = parts[:4]
        path = parts[4] if len(parts) > 4 else ""
        origin = f"{_ROK_SERVER}/swift/v1/{user}/{bucket}/{stored}?version={version}"
    name = copy_name("rok", origin)
    made = claim(namespace, name, size or _ROK_SIZE, storage_class="rok")
    noted: dict[str, JSON] = {**mapping(made["metadata"]), "annotations": {"rok/origin": origin}}
    return {**made, "metadata": noted}, uri_of(name, path.strip("/"))
