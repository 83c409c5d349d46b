"""Brings the files of artifacts to where pods can read them, and hands what was made for that to the services."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...config import Settings
from ...errors import InvalidInputError, NotFoundError
from ...records import Artifact
from ..base import Check, Manifest, Staged
from . import objects as paths
from .api import STRATEGIC
from .fields import mapping, name_of
from .s3 import upload
from .s3_server import S3Target, access_secret

if TYPE_CHECKING:
    from .api import Api

_STORAGE_NOTE = "serving.kserve.io/storageSecretName"
_READ_BY_PODS = ("s3", "pvc", "gs", "hf", "https", "oci")


class Staging:
    """How pods of one namespace get at artifacts. Use it from one loop."""

    def __init__(self, settings: Settings, namespace: str, api: Api) -> None:
        self._settings = settings
        self._namespace = namespace
        self._api = api
        # Threads of its own: uploads to a storage that hangs must not wait in front of anybody else's work.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kale-serve-cluster")

    def check(self, artifact: Artifact) -> list[Check]:
        """Whether the files are there to be brought anywhere."""
        if urlsplit(artifact.uri).scheme != "file" or _folder(artifact).is_dir():
            return []
        message = f"The files of {artifact.name!r} are not on this machine: there is no {_folder(artifact)}."
        return [Check("error", "SnapshotMissing", message, "Serve it where it was logged, or log it again.", "version")]

    async def address(self, artifact: Artifact) -> Staged:
        target = self._storage(artifact)
        image = self._settings.cluster_image
        if target is None:
            return Staged(artifact.uri, image=image)
        return Staged(target.uri(artifact.digest), {_STORAGE_NOTE: target.secret}, image)

    async def stage(self, artifact: Artifact) -> Staged:
        target = self._storage(artifact)
        addressed = await self.address(artifact)
        if target is None:
            return addressed
        loop = asyncio.get_running_loop()
        given_up = threading.Event()

        def go_on(done: int, total: int) -> None:
            if given_up.is_set():
                raise CancelledError

        try:
            await loop.run_in_executor(self._threads, upload, _folder(artifact), artifact.digest, target, go_on)
        finally:
            # A thread cannot be cancelled: it is told at its next piece.
            given_up.set()
        secret = await loop.run_in_executor(self._threads, access_secret, target, self._namespace)
        return replace(addressed, owned=(secret,))

    async def make(self, wanted: Manifest) -> str:
        """Apply an object that services share; its path where it is new."""
        path = f"{paths.SECRETS.format(self._namespace)}/{name_of(wanted)}"
        try:
            await self._api.get(path)
            new = False
        except NotFoundError:
            new = True
        await self._api.apply(path, wanted)
        return path if new else ""

    async def own(self, owned: Manifest, service: Manifest) -> None:
        """Make the service one of the object's owners: with the last of them it goes."""
        owner: Manifest = {
            "apiVersion": service.get("apiVersion"),
            "kind": service.get("kind"),
            "name": name_of(service),
            "uid": mapping(service.get("metadata")).get("uid"),
        }
        path = f"{paths.SECRETS.format(self._namespace)}/{name_of(owned)}"
        await self._api.patch(path, {"metadata": {"ownerReferences": [owner]}}, STRATEGIC)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _storage(self, artifact: Artifact) -> S3Target | None:
        """Where the artifact's files have to be brought first; None where pods can read them as they are."""
        scheme = urlsplit(artifact.uri).scheme
        if scheme in _READ_BY_PODS:
            return None
        if scheme != "file" or not artifact.digest:
            raise InvalidInputError(
                f"The snapshot of {artifact.name} is {artifact.uri[:200]!r}, which no pod can read.",
                hint="Log it again with a store of this package.",
                field="version",
            )
        if not self._settings.cluster_storage:
            raise InvalidInputError(
                f"The files of {artifact.name!r} are on this machine only, where no pod can read them.",
                hint="Set KALE_SERVE_CLUSTER_STORAGE to s3://BUCKET/FOLDER?endpoint=http://HOST:PORT.",
                field="version",
            )
        return S3Target.parse(self._settings.cluster_storage)


def _folder(artifact: Artifact) -> Path:
    """Where this machine has the artifact's snapshot."""
    return Path(url2pathname(urlsplit(artifact.uri).path))
