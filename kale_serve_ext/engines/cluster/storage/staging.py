"""Brings the files of artifacts to where pods can read them, and hands what was made for that to the services."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ....config import Settings
from ....entities import Artifact
from ....errors import InvalidInputError, KaleServeError, PermissionDeniedError, SnapshotError
from ...base import AS_LOGGED, Check, Manifest, OnProgress, Staged, Use
from ...fields import name_of
from ..credentials import Place
from ..layouts import told
from . import owner_references as shared
from .arranging import Arranging, is_arranged
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
        self._arranging = Arranging(settings, self._threads)
        self._jobs: dict[str, str] = {}
        """The Jobs that hold claims until a service does, by the claims' names."""

    async def check(self, artifact: Artifact, use: Use = AS_LOGGED) -> list[Check]:
        """Whether the files are there to be brought anywhere, as they have to lie, and what speaks against the way that
        they would go."""
        if urlsplit(artifact.uri).scheme == "file" and not folder_of(artifact).is_dir():
            message = f"The files of {artifact.name!r} are not on this machine: there is no {folder_of(artifact)}."
            hint = "Serve it where it was logged, or log it again."
            return [Check("error", "SnapshotMissing", message, hint, "version")]
        try:
            return [*await self._about_layout(artifact, use), *await (await self._way(artifact)).checks()]
        except (InvalidInputError, PermissionDeniedError) as error:
            return [Check("error", "OutOfReach", error.message, error.hint, error.field)]

    async def address(self, artifact: Artifact, use: Use = AS_LOGGED) -> Staged:
        return await (await self._way(await self._arranging.address(artifact, use))).address()

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        return await (await self._way(await self._arranging.make(artifact, use), on_progress)).stage()

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
        self._arranging.close()

    async def _about_layout(self, artifact: Artifact, use: Use) -> list[Check]:
        """Why the files cannot be laid out for what loads them, or how they have to lie where that is not done here."""
        if not is_arranged(artifact, use):
            wanted = told(use.server, artifact.format)
            message = f"The files are used from where they are, {artifact.uri[:200]}. {wanted}"
            return [Check("info", "LayoutExpected", message, "", "version")] if wanted else []
        try:
            await self._arranging.files(artifact, use)
        except InvalidInputError as error:
            return [Check("error", "LayoutMissing", error.message, error.hint, error.field)]
        except (SnapshotError, OSError) as error:
            return [Check("error", "SnapshotUnreadable", f"The snapshot cannot be read: {error}.", "", "version")]
        return []

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
