"""By a claim that has the files already: mounted as it is, or as a copy that the storage makes of its volume."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from ....entities import Artifact
from ....errors import (
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
)
from ...base import Check, Manifest, Staged
from ...fields import mapping, text
from ..access_review import Right
from ..credentials import IN_CLUSTER
from . import claims
from .own_pod import OnClaim, claim_of
from .owner_references import make, path_of
from .strategies import Site, folder_of, lacking

_MAY_NOT = "Ask the cluster's administrator for it, or set cluster_storage to clone:, upload: or s3://BUCKET/FOLDER."
_ROK_CLASS = "/apis/storage.k8s.io/v1/storageclasses/rok"
_TAKEN_WITHIN = 300.0
_GIVEN_UP_AFTER = 15.0
"""Seconds after the driver first told of a problem."""
_PERIOD = 0.5
_OTHER_WAYS = "Set cluster_storage to upload: or to s3://BUCKET/FOLDER?endpoint=URL."


@dataclass(frozen=True)
class AsItIs:
    """Pods can read the artifact's own address, or it lies on this notebook's claim."""

    site: Site
    uri: str
    claim: OnClaim | None = None

    async def address(self) -> Staged:
        image = self.site.settings.cluster_image
        if self.claim is None:
            return Staged(self.uri, image=image)
        node = "" if claims.shared_by_nodes(await _read(self.site, self.claim.claim)) else self.claim.node
        return Staged(claims.uri_of(self.claim.claim, self.claim.folder), image=image, node=node)

    async def checks(self) -> list[Check]:
        if self.claim is None and self.uri.startswith("pvc:"):
            with contextlib.suppress(PermissionDeniedError):  # pods may use what this account may not read
                await _read(self.site, claims.split_uri(self.uri)[0])
        node = (await self.address()).node
        if not node or self.claim is None:
            return []
        message = (
            f"The files lie on the claim {self.claim.claim}, which one node at a time can use: the pods are kept to "
            f"the notebook's node, {node}."
        )
        hint = "If that node has no room: set cluster_storage to clone:, snapshot: or upload:."
        return [Check("warning", "KeptToNode", message, hint, "version")]

    async def stage(self) -> Staged:
        return await self.address()


@dataclass(frozen=True)
class Copied:
    """A claim for this artifact whose volume starts as a copy of another one, by cloning or by a VolumeSnapshot."""

    site: Site
    artifact: Artifact
    source: OnClaim
    kind: Literal["clone", "snapshot"]
    snapshot_class: str

    @property
    def name(self) -> str:
        of = self.artifact.digest or str(self.artifact.id)
        return claims.copy_name(self.kind, self.source.claim, self.source.folder, of)

    async def address(self) -> Staged:
        return Staged(claims.uri_of(self.name, self.source.folder), image=self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        with contextlib.suppress(PermissionDeniedError):  # the rights are looked at by themselves
            await _read(self.site, self.source.claim)
        rights = [Right("create", "persistentvolumeclaims")]
        if self.kind == "clone":
            return await lacking(self.site, rights, _OTHER_WAYS)
        rights += [Right(verb, "volumesnapshots", claims.SNAPSHOT_GROUP) for verb in ("create", "get", "patch")]
        return await lacking(
            self.site,
            rights,
            f"Ask the cluster's administrator for it, or set cluster_storage to clone:. {_OTHER_WAYS}",
        )

    async def stage(self) -> Staged:
        source = await _read(self.site, self.source.claim)
        addressed = await self.address()
        namespace = self.site.namespace
        if self.kind == "clone":
            made = claims.copied(namespace, self.name, source, claims.of_claim(self.source.claim))
            return replace(addressed, owned=(made,))
        unowned = await self._take_snapshot()
        try:
            await self._until_ready()
        except BaseException:
            if unowned:
                with contextlib.suppress(KaleServeError):
                    await self.site.api.delete(unowned)
            raise
        made = claims.copied(namespace, self.name, source, claims.of_snapshot(self.name))
        return replace(addressed, owned=(claims.named_snapshot(self.name), made))

    async def _take_snapshot(self) -> str:
        """Its path where no service owns it yet."""
        api, namespace = self.site.api, self.site.namespace
        try:
            wanted = claims.snapshot(namespace, self.name, self.source.claim, self.snapshot_class)
            return await make(api, namespace, wanted)
        except NotFoundError as error:
            raise BackendUnavailableError("This cluster takes no VolumeSnapshots.", hint=_OTHER_WAYS) from error
        except PermissionDeniedError as error:
            raise PermissionDeniedError(error.message, hint=_MAY_NOT) from error

    async def _until_ready(self) -> None:
        """Returns once a claim can be made from the snapshot."""
        path = path_of(self.site.namespace, "VolumeSnapshot", self.name)
        end = time.monotonic() + _TAKEN_WITHIN
        while True:
            status = mapping((await self.site.api.get(path)).get("status"))
            if status.get("readyToUse") is True:
                return
            problem = text(mapping(status.get("error")).get("message"))
            if problem:  # drivers try again, so the first one is not the last word
                end = min(end, time.monotonic() + _GIVEN_UP_AFTER)
            if time.monotonic() > end:
                raise DeadlineExceededError(
                    f"The snapshot {self.name} of the claim {self.source.claim} is not ready: {problem or '-'}",
                    hint=f"Name a snapshot class of the claim's driver with snapshot:CLASS. {_OTHER_WAYS}",
                )
            await asyncio.sleep(_PERIOD)


@dataclass(frozen=True)
class FromRok:
    """A claim that Rok fills from one of its snapshots, as the original Kale made it."""

    site: Site
    artifact: Artifact

    async def address(self) -> Staged:
        return Staged(self._claim()[1], image=self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        found = await lacking(self.site, [Right("create", "persistentvolumeclaims")], _OTHER_WAYS)
        try:
            await self.site.api.get(_ROK_CLASS)
        except NotFoundError:
            message = f"This cluster has no storage class rok, which {self.artifact.name!r} was kept with."
            found.append(Check("warning", "NoRok", message, "Log the model again.", "version"))
        except KaleServeError:
            pass  # storage classes may not be read
        return found

    async def stage(self) -> Staged:
        made, _ = self._claim()
        return replace(await self.address(), owned=(made,))

    def _claim(self) -> tuple[Manifest, str]:
        return claims.from_rok(self.site.namespace, self.artifact.uri, self.artifact.details.get("content_length"))


async def source_of(site: Site, artifact: Artifact) -> OnClaim:
    """The claim that the artifact's files lie on.

    Raises:
        InvalidInputError: they lie on none that pods of this namespace can use.
        PermissionDeniedError: this notebook's pod may not be read.
    """
    if urlsplit(artifact.uri).scheme == "pvc":
        return OnClaim(*claims.split_uri(artifact.uri), node="")
    found = await own_claim(site, artifact)
    if found is None:
        raise InvalidInputError(
            f"The files of {artifact.name!r} do not lie on a claim of a notebook in the namespace {site.namespace}.",
            hint=_OTHER_WAYS,
            field="version",
        )
    return found


async def own_claim(site: Site, artifact: Artifact) -> OnClaim | None:
    """The claim of this notebook's pod that the snapshot lies on; None outside of this namespace's pods."""
    if site.place.context != IN_CLUSTER or site.place.namespace != site.namespace:
        return None
    try:
        return await claim_of(site.api, site.namespace, folder_of(artifact).resolve())
    except NotFoundError:
        return None  # the host's name is not the pod's
    except PermissionDeniedError as error:
        raise PermissionDeniedError(error.message, hint=f"Ask for the right to get pods. {_OTHER_WAYS}") from error


async def _read(site: Site, claim: str) -> Manifest:
    try:
        return await site.api.get(path_of(site.namespace, "PersistentVolumeClaim", claim))
    except NotFoundError as error:
        raise InvalidInputError(
            f"There is no claim {claim!r} in the namespace {site.namespace}.", hint=_OTHER_WAYS, field="version"
        ) from error
