"""The claims of the pod that this process runs in."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...base import Manifest
from ...fields import mapping, mappings, text
from .. import api_objects as paths

if TYPE_CHECKING:
    from ..api import Api


@dataclass(frozen=True)
class OnClaim:
    """Where a folder lies."""

    claim: str
    folder: str
    """The path in the claim's volume; empty for all of it."""
    node: str
    """The node that the pod runs on."""


async def claim_of(api: Api, namespace: str, folder: Path) -> OnClaim | None:
    """The claim that a folder of this pod, its links resolved, lies on; None where it lies on none.

    Raises:
        PermissionDeniedError: the pod may not be read.
        NotFoundError: this process runs in no pod of that name.
    """
    pod = await api.get(f"{paths.PODS.format(namespace)}/{socket.gethostname()}")
    return find(pod, folder, os.path.ismount)


def find(pod: Manifest, folder: Path, mounted: Callable[[str], bool]) -> OnClaim | None:
    """The claim that ``folder`` lies on in the container all of whose mounts are there. Pure.

    Args:
        mounted: whether something is mounted at a path of this process.
    """
    spec = mapping(pod.get("spec"))
    volumes = {text(v.get("name")): v for v in mappings(spec.get("volumes"))}
    for container in mappings(spec.get("containers")):
        mounts = mappings(container.get("volumeMounts"))
        if not all(mounted(text(m.get("mountPath"))) for m in mounts):
            continue
        above = [m for m in mounts if folder.is_relative_to(text(m.get("mountPath")))]
        if not above:
            continue
        nearest = max(above, key=lambda m: len(text(m.get("mountPath")).rstrip("/")))
        source = mapping(mapping(volumes.get(text(nearest.get("name")))).get("persistentVolumeClaim"))
        if not source or nearest.get("subPathExpr"):
            return None
        inside = folder.relative_to(text(nearest.get("mountPath"))).as_posix()
        parts = (text(nearest.get("subPath")).strip("/"), "" if inside == "." else inside)
        return OnClaim(text(source.get("claimName")), "/".join(p for p in parts if p), text(spec.get("nodeName")))
    return None
