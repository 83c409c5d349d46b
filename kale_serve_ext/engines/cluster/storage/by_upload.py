"""By upload into a claim: one made for the artifact's content, or one that the setting names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from ....entities import Artifact
from ....errors import ConflictError, KaleServeError, NotFoundError
from ...base import Check, Manifest, OnProgress, Staged
from ...fields import annotations_of, name_of
from ..access_review import Right
from ..api import MERGE
from . import claims
from .owner_references import CLAIMS, own, path_of, reference, standing
from .snapshots import check_unchanged, files_of
from .strategies import Site, folder_of, lacking
from .upload_pod import Delivery, UploadPod, find_image

_RIGHTS = [
    Right("create", "jobs", "batch"),
    Right("list", "pods"),
    Right("get", "pods/proxy"),
    Right("update", "pods/proxy"),
]
_WAY_OUT = "Ask the namespace's owner for it, or set cluster_storage to s3://BUCKET/FOLDER?endpoint=URL."


@dataclass(frozen=True)
class ToOwnClaim:
    """A claim that holds this content alone, made on the first serving of it."""

    site: Site
    artifact: Artifact
    jobs: dict[str, str]
    """The Jobs that hold claims until a service does, by the claims' names. Added to here."""
    storage_class: str = ""
    on_progress: OnProgress | None = None

    @property
    def name(self) -> str:
        return claims.content_name(self.artifact.digest)

    async def address(self) -> Staged:
        uri = claims.uri_of(self.name, _place_of(self.artifact))
        return Staged(uri, image=self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        own = [Right(verb, "persistentvolumeclaims") for verb in ("create", "get", "patch")]
        return await lacking(self.site, [*own, *_RIGHTS], _WAY_OUT)

    async def stage(self) -> Staged:
        api, namespace = self.site.api, self.site.namespace
        found = await standing(api, namespace, "PersistentVolumeClaim", self.name)
        if not (found and annotations_of(found).get(claims.COMPLETE) == self.artifact.digest):
            pod = await _pod(self.site, self.artifact, self.name, "", fresh=True)
            _tell_begin(pod, self.on_progress)
            await pod.start()
            try:
                await self._make_claim(pod)
                await pod.deliver(self.on_progress)
                note: Manifest = {"metadata": {"annotations": {claims.COMPLETE: self.artifact.digest}}}
                await api.patch(path_of(namespace, "PersistentVolumeClaim", self.name), note, MERGE)
            except BaseException:
                await pod.remove()
                raise
            self.jobs[self.name] = name_of(pod.job)
        return replace(await self.address(), owned=(claims.named_claim(self.name),))

    async def _make_claim(self, pod: UploadPod) -> None:
        """The claim with the Job as one of its owners."""
        site, job = self.site, pod.job
        size = claims.size_for(pod.delivery.files)
        wanted = claims.claim(site.namespace, self.name, size, storage_class=self.storage_class, owner=reference(job))
        path = CLAIMS.format(site.namespace)
        try:
            await site.api.create(path, wanted)
        except ConflictError:  # it is there: somebody else's upload, or half of one
            try:
                await own(site.api, site.namespace, wanted, job)
            except (ConflictError, NotFoundError):
                # The Job of a killed upload takes it along at this moment.
                await standing(site.api, site.namespace, "PersistentVolumeClaim", self.name)
                await site.api.create(path, wanted)


@dataclass(frozen=True)
class ToNamedClaim:
    """A folder of a claim that is there already, and stays."""

    site: Site
    artifact: Artifact
    claim: str
    folder: str
    on_progress: OnProgress | None = None

    async def address(self) -> Staged:
        inside = "/".join(p for p in (self.folder, _place_of(self.artifact)) if p)
        return Staged(claims.uri_of(self.claim, inside), image=self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        try:
            await self.site.api.get(path_of(self.site.namespace, "PersistentVolumeClaim", self.claim))
        except NotFoundError:
            message = f"There is no claim {self.claim!r} in the namespace {self.site.namespace}."
            return [Check("error", "ClaimMissing", message, "Make it, or name another one in cluster_storage.")]
        except KaleServeError:
            pass  # it may be used without being read
        return await lacking(self.site, _RIGHTS, _WAY_OUT)

    async def stage(self) -> Staged:
        pod = await _pod(self.site, self.artifact, self.claim, self.folder, fresh=False)
        _tell_begin(pod, self.on_progress)
        await pod.start()
        try:
            await pod.deliver(self.on_progress)
        finally:
            await pod.remove()
        return await self.address()


async def _pod(site: Site, artifact: Artifact, claim: str, folder: str, *, fresh: bool) -> UploadPod:
    snapshot = folder_of(artifact)
    loop = asyncio.get_running_loop()
    files = await loop.run_in_executor(site.threads, files_of, snapshot)
    await loop.run_in_executor(site.threads, check_unchanged, snapshot, artifact.digest)
    image = await find_image(site.api, site.namespace, site.settings)
    delivery = Delivery(claim, folder, snapshot, files, artifact.digest, image, fresh)
    return UploadPod(site.api, site.namespace, delivery, site.threads)


def _tell_begin(pod: UploadPod, on_progress: OnProgress | None) -> None:
    """That there is an upload, before its pod is there, which takes a while by itself."""
    if on_progress:
        on_progress(0, sum(pod.delivery.files.values()))


def _place_of(artifact: Artifact) -> str:
    return f"sha256/{artifact.digest.removeprefix('sha256:')}"
