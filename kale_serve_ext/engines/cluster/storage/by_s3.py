"""By S3: uploaded to the bucket of the setting, or in a bucket already, such as that of Kubeflow Pipelines."""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ....entities import Artifact
from ....errors import InvalidInputError, KaleServeError, NotFoundError
from ....formats import known
from ...base import Check, OnProgress, Staged
from ...fields import mapping, text
from ..credentials import IN_CLUSTER
from .owner_references import path_of
from .s3 import upload
from .s3_target import S3Target, access_secret, is_object, secret_of
from .strategies import TELL_EVERY, Site, folder_of

_STORAGE_NOTE = "serving.kserve.io/storageSecretName"
_PIPELINES_SECRET = "mlpipeline-minio-artifact"  # noqa: S105  # its name
_PIPELINES_SERVER = "http://minio-service.kubeflow:9000"
_PIPELINES_KEYS = {"AWS_ACCESS_KEY_ID": "accesskey", "AWS_SECRET_ACCESS_KEY": "secretkey"}


@dataclass(frozen=True)
class ToBucket:
    """Uploaded to the bucket, unless it is there."""

    site: Site
    artifact: Artifact
    target: S3Target
    on_progress: OnProgress | None = None

    async def address(self) -> Staged:
        uri = self.target.uri(self.artifact.digest)
        return Staged(uri, {_STORAGE_NOTE: self.target.secret}, self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        return []

    async def stage(self) -> Staged:
        loop = asyncio.get_running_loop()
        given_up = threading.Event()
        gone = (0, 0)

        def go_on(done: int, total: int) -> None:
            nonlocal gone
            gone = done, total
            if given_up.is_set():
                raise CancelledError

        threads, folder = self.site.threads, folder_of(self.artifact)
        work = loop.run_in_executor(threads, upload, folder, self.artifact.digest, self.target, go_on)
        try:
            is_long = False
            while not (await asyncio.wait({work}, timeout=TELL_EVERY))[0]:
                if self.on_progress and gone[1]:
                    self.on_progress(*gone)
                    is_long = True
            await work
            if self.on_progress and is_long:
                self.on_progress(gone[1], gone[1])
        finally:
            # A thread cannot be cancelled: it is told at its next piece.
            given_up.set()
            work.cancel()
        secret = await loop.run_in_executor(threads, access_secret, self.target, self.site.namespace)
        return replace(await self.address(), owned=(secret,))


@dataclass(frozen=True)
class InBucket:
    """There already, in the bucket of the setting: its credentials are handed to the pods."""

    site: Site
    artifact: Artifact
    uri: str
    target: S3Target

    async def address(self) -> Staged:
        return Staged(self.uri, {_STORAGE_NOTE: self.target.secret}, self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        return await _check_file(self.site, self.artifact, self.uri, self.target, None)

    async def stage(self) -> Staged:
        loop = asyncio.get_running_loop()
        secret = await loop.run_in_executor(self.site.threads, access_secret, self.target, self.site.namespace)
        return replace(await self.address(), owned=(secret,))


@dataclass(frozen=True)
class OfPipelines:
    """In the store of Kubeflow Pipelines, whose credentials every profile's namespace has in a secret."""

    site: Site
    artifact: Artifact
    uri: str
    bucket: str

    async def address(self) -> Staged:
        return Staged(self.uri, {_STORAGE_NOTE: self._target.secret}, self.site.settings.cluster_image)

    async def checks(self) -> list[Check]:
        try:
            keys = await self._keys()
        except KaleServeError as error:
            return [Check("error", "CredentialsMissing", error.message, error.hint, "version")]
        if self.site.place.context != IN_CLUSTER:
            return []  # that server has no address outside
        return await _check_file(self.site, self.artifact, self.uri, self._target, keys)

    async def stage(self) -> Staged:
        secret = secret_of(self._target, self._target.secret, self.site.namespace, await self._keys())
        return replace(await self.address(), owned=(secret,))

    @property
    def _target(self) -> S3Target:
        return S3Target(self.bucket, "", _PIPELINES_SERVER, "us-east-1")

    async def _keys(self) -> dict[str, str]:
        way_out = f"Make that secret, or set cluster_storage to s3://{self.bucket}?endpoint=URL."
        try:
            found = await self.site.api.get(path_of(self.site.namespace, "Secret", _PIPELINES_SECRET))
        except NotFoundError as error:
            raise NotFoundError(
                f"{self.site.namespace} has no secret {_PIPELINES_SECRET}, which gives access to {self.uri}.",
                hint=way_out,
            ) from error
        data = mapping(found.get("data"))
        try:
            keys = {ours: base64.b64decode(text(data.get(theirs))).decode() for ours, theirs in _PIPELINES_KEYS.items()}
        except (binascii.Error, UnicodeDecodeError):
            keys = {}
        if not keys or not all(keys.values()):
            raise InvalidInputError(f"The secret {_PIPELINES_SECRET} has no accesskey and secretkey.", hint=way_out)
        return keys


def in_bucket(site: Site, artifact: Artifact, target: S3Target | None) -> InBucket | OfPipelines | None:
    """The way for ``minio://`` and ``s3://`` addresses; None where the namespace's own accounts have to do.

    Args:
        target: that of the setting.
    """
    parts = urlsplit(artifact.uri)
    uri = f"s3://{parts.netloc}{parts.path}"
    if target and target.bucket == parts.netloc:
        return InBucket(site, artifact, uri, target)
    return OfPipelines(site, artifact, uri, parts.netloc) if parts.scheme == "minio" else None


async def _check_file(
    site: Site, artifact: Artifact, uri: str, target: S3Target, keys: Mapping[str, str] | None
) -> list[Check]:
    """An error for a file without an ending, as Pipelines name what a step writes to its output's path."""
    name = PurePosixPath(urlsplit(uri).path).name
    format_ = known(artifact.format)
    if not (format_ and format_.suffixes) or "." in name or uri.endswith("/"):
        return []
    if not await asyncio.get_running_loop().run_in_executor(site.threads, is_object, target, uri, keys):
        return []
    message = f"{uri} is a file whose name has no ending: KServe's server will not know it as a model."
    hint = "Write the model to a folder at the output's path, or to a file with the ending that its server loads."
    return [Check("error", "ModelFile", message, hint, "version")]
