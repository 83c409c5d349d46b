"""Brings the files of artifacts to where pods can read them, and hands what was made for that to the services."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ....config import Settings
from ....entities import Artifact
from ....errors import InvalidInputError, KaleServeError, PermissionDeniedError
from ...base import Check, Manifest, OnProgress, Staged
from ...fields import name_of
from ..credentials import Place
from . import owner_references as shared
from .by_claim import AsItIs, Copied, FromRok, own_claim, source_of
from .by_s3 import ToBucket, in_bucket
from .by_upload import ToNamedClaim, ToOwnClaim
from .s3_target import S3Target
from .strategies import Site, Storage, Strategy, folder_of

if TYPE_CHECKING:
    from ..api import Api

_log = logging.getLogger(__name__)

_READ_BY_PODS = ("s3", "pvc", "gs", "hf", "https", "oci")


class Staging:
    """How pods of one namespace get at artifacts. Use it from one loop."""

    def __init__(self, settings: Settings, place: Place, namespace: str, api: Api) -> None:
        # Threads of its own: uploads to a storage that hangs must not wait in front of anybody else's work.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kale-serve-cluster")
        self._site = Site(settings, place, namespace, api, self._threads)
        self._jobs: dict[str, str] = {}
        """The Jobs that hold claims until a service does, by the claims' names."""

    async def check(self, artifact: Artifact) -> list[Check]:
        """Whether the files are there to be brought anywhere, and what speaks against the way that they would go."""
        if urlsplit(artifact.uri).scheme == "file" and not folder_of(artifact).is_dir():
            message = f"The files of {artifact.name!r} are not on this machine: there is no {folder_of(artifact)}."
            hint = "Serve it where it was logged, or log it again."
            return [Check("error", "SnapshotMissing", message, hint, "version")]
        try:
            return await (await self._way(artifact)).checks()
        except (InvalidInputError, PermissionDeniedError) as error:
            return [Check("error", "OutOfReach", error.message, error.hint, error.field)]

    async def address(self, artifact: Artifact) -> Staged:
        return await (await self._way(artifact)).address()

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None) -> Staged:
        return await (await self._way(artifact, on_progress)).stage()

    async def make(self, wanted: Manifest) -> str:
        """See to it that an object that services share is there; its path where it is to go if no service comes."""
        return await shared.make(self._site.api, self._site.namespace, wanted)

    async def discard(self, made: Manifest) -> None:
        """Remove an object that no service owns, and the Job that holds it until one does."""
        api, namespace = self._site.api, self._site.namespace
        if job := self._jobs.pop(name_of(made), ""):
            await api.delete(shared.path_of(namespace, "Job", job))
        await shared.discard(api, namespace, made)

    async def own(self, owned: Manifest, service: Manifest) -> None:
        """Make the service one of the object's owners: with the last of them it goes."""
        api, namespace = self._site.api, self._site.namespace
        await shared.own(api, namespace, owned, service)
        if job := self._jobs.pop(name_of(owned), ""):
            try:
                await api.delete(shared.path_of(namespace, "Job", job))
            except KaleServeError as error:
                _log.info("The Job %s could not be deleted and will expire by itself: %s", job, error)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _way(self, artifact: Artifact, on_progress: OnProgress | None = None) -> Strategy:
        """The way for the artifact's files, by its address and the setting."""
        site = self._site
        storage = Storage.parse(site.settings.cluster_storage)
        scheme = urlsplit(artifact.uri).scheme
        if scheme == "rok":
            return FromRok(site, artifact)
        if scheme in ("minio", "s3"):
            target = S3Target.parse(storage.name) if storage.kind == "s3" else None
            return in_bucket(site, artifact, target) or AsItIs(site, artifact.uri)
        copies = storage.kind in ("clone", "snapshot")
        if scheme in _READ_BY_PODS and not (scheme == "pvc" and copies):
            return AsItIs(site, artifact.uri)
        if scheme not in ("file", "pvc") or (scheme == "file" and not artifact.digest):
            raise InvalidInputError(
                f"The snapshot of {artifact.name} is {artifact.uri[:200]!r}, which no pod can read.",
                hint="Log it again with a store of this package.",
                field="version",
            )
        return await self._way_of_files(artifact, storage, on_progress)

    async def _way_of_files(self, artifact: Artifact, storage: Storage, on_progress: OnProgress | None) -> Strategy:
        site = self._site
        match storage.kind:
            case "s3":
                return ToBucket(site, artifact, S3Target.parse(storage.name), on_progress)
            case "pvc":
                return ToNamedClaim(site, artifact, storage.name, storage.folder, on_progress)
            case "upload":
                return ToOwnClaim(site, artifact, self._jobs, storage.name, on_progress)
            case "claim":
                return AsItIs(site, artifact.uri, await source_of(site, artifact))
            case "clone" | "snapshot":
                return Copied(site, artifact, await source_of(site, artifact), storage.kind, storage.name)
            case _:
                if lies_on := await own_claim(site, artifact):
                    return AsItIs(site, artifact.uri, lies_on)
                return ToOwnClaim(site, artifact, self._jobs, on_progress=on_progress)
