"""Brings snapshots to where pods can read them: an S3 bucket, of AWS or of any other server that speaks its protocol.

A snapshot lies under ``PREFIX/sha256/<hex>/``, the folder that an InferenceService's ``storageUri`` names. Its last
object to be written is ``PREFIX/complete/<hex>.json``, which lists the names and sizes in it; that one lies elsewhere,
since KServe downloads all that is under the ``storageUri``. S3 shows an object whole or not at all, so what the listing
has by the right name and size needs no second upload, even where the first was killed.

boto3 is an optional dependency: it is imported where it is used.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import BackendUnavailableError, ConflictError, KaleServeError
from ....ml import JSON
from .s3_target import CONNECTIONS, S3Target, code_of, open_client, require_boto3, s3_errors
from .snapshots import check_unchanged, files_of

if TYPE_CHECKING:
    from s3transfer.futures import TransferFuture
    from types_boto3_s3 import S3Client

_log = logging.getLogger(__name__)

_PART = 16 << 20
"""Bytes of one part of a large file. S3 allows 10,000 parts; boto3 makes them larger for files that need more."""
_ABANDONED = timedelta(days=1)
"""The age from which an unfinished multipart upload is taken for that of a killed process."""


def upload(folder: Path, digest: str, target: S3Target, progress: Callable[[int, int], None] | None = None) -> str:
    """Put a snapshot where ``target`` says, unless it is there; returns its ``s3://`` URI. Blocks.

    Any number of these may run at once, of the same snapshot too. After a failure the next upload completes what is
    there. Folders without files in them have no counterpart in S3.

    Args:
        digest: ``sha256:<hex>`` of ``folder`` (see :func:`kale_serve_ext.digest.digest_of`).
        progress: gets the bytes that are there and those of all files; from other threads, one call at a time. A
            number may be smaller than the one before when a request is tried again. What it raises stops the upload.

    Raises:
        PermissionDeniedError, NotFoundError, StorageFullError, BackendUnavailableError: the server's answers, or none.
        InvalidInputError: the bucket or a name in the snapshot is one that the server does not take.
        ConflictError: other files lie where the snapshot belongs.
        SnapshotError: the folder is not what ``digest`` says.
    """
    address = digest.removeprefix("sha256:")
    files = files_of(folder)
    place = _Place(target, address)
    meter = _Meter(progress, sum(files.values()))
    require_boto3()
    with s3_errors(target, "reach"):
        client = open_client(target)
    there = place.listing(client)
    if foreign := sorted(there.keys() - files.keys()):
        raise ConflictError(
            f"{place.uri} holds {foreign[0]!r}, which is not of this snapshot and would be downloaded with it.",
            hint="Remove that object.",
        )
    if there != files or place.marker(client) != files:
        check_unchanged(folder, digest)
        missing = {name: size for name, size in files.items() if there.get(name) != size}
        meter(meter.total - sum(missing.values()))
        place.abort_leftovers(client)
        place.put(client, folder, missing, meter)
        if place.listing(client) != files:
            raise BackendUnavailableError(
                f"{place.uri} does not hold what was written to it.",
                hint="Check that the endpoint is an S3 server and that nobody else writes there; then try again.",
            )
        place.mark(client, files)
    meter(meter.total - meter.done)
    return place.uri


class _Place:
    """One snapshot's objects in a bucket."""

    def __init__(self, target: S3Target, address: str) -> None:
        above = f"{target.prefix}/" if target.prefix else ""
        self.target = target
        self.folder = f"{above}sha256/{address}/"
        self.mark_key = f"{above}complete/{address}.json"
        self.uri = target.uri(address)

    def listing(self, client: S3Client) -> dict[str, int]:
        """Name and size of every file that is there."""
        found: dict[str, int] = {}
        with s3_errors(self.target, "list", self.folder):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.target.bucket, Prefix=self.folder)
            for page in pages:
                for entry in page.get("Contents", ()):
                    # Keys that end in a slash are what some programs make for folders; KServe passes over them.
                    if not entry["Key"].endswith("/"):
                        found[entry["Key"].removeprefix(self.folder)] = entry["Size"]
        return found

    def marker(self, client: S3Client) -> Mapping[str, JSON]:
        """Names and sizes as the marker has them; empty where there is none, or one that was not written here."""
        with s3_errors(self.target, "read", self.mark_key):
            try:
                body = client.get_object(Bucket=self.target.bucket, Key=self.mark_key)["Body"].read()
            except client.exceptions.NoSuchKey:
                return {}
        try:
            written: JSON = json.loads(body)
        except ValueError:
            return {}
        files = written.get("files") if isinstance(written, Mapping) else None
        return files if isinstance(files, Mapping) else {}

    def mark(self, client: S3Client, files: Mapping[str, int]) -> None:
        body = json.dumps({"files": files}).encode()
        with s3_errors(self.target, "write", self.mark_key):
            client.put_object(Bucket=self.target.bucket, Key=self.mark_key, Body=body, ContentType="application/json")

    def put(self, client: S3Client, folder: Path, files: Mapping[str, int], meter: _Meter) -> None:
        """Upload these files of ``folder``; the first that fails stops the others and has its parts removed."""
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=_PART,
            multipart_chunksize=_PART,
            max_concurrency=CONNECTIONS,
            preferred_transfer_client="classic",  # the other one has settings, retries and errors of its own
        )
        waiting: deque[tuple[str, TransferFuture]] = deque()

        def settle() -> None:
            key, future = waiting.popleft()
            try:
                with s3_errors(self.target, "write", key):
                    future.result()
            except KaleServeError:
                if meter.failure:  # it came out of botocore as an error of the connection
                    raise meter.failure from None
                raise

        with create_transfer_manager(client, config) as manager:
            subscriber = ProgressCallbackInvoker(meter)
            for name in files:
                while waiting and waiting[0][1].done():
                    settle()
                key = self.folder + name
                waiting.append((key, manager.upload(str(folder / name), self.target.bucket, key, None, [subscriber])))
            while waiting:
                settle()

    def abort_leftovers(self, client: S3Client) -> None:
        """Remove the parts that a killed process left behind: nobody sees them, and AWS bills them for ever."""
        from botocore.exceptions import ClientError

        end = datetime.now(timezone.utc) - _ABANDONED
        bucket = self.target.bucket
        with s3_errors(self.target, "list", self.folder):
            try:
                for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=self.folder):
                    for found in page.get("Uploads", ()):
                        if found["Initiated"] < end:
                            client.abort_multipart_upload(Bucket=bucket, Key=found["Key"], UploadId=found["UploadId"])
            except ClientError as error:  # A right that uploads do not need, or a server without this call.
                _log.debug("Unfinished uploads to %s could not be aborted: %s", self.uri, code_of(error))


class _Meter:
    """Adds up the bytes of all threads for the caller's ``progress``."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.total = total
        self.done = 0
        self.failure: Exception | None = None
        self._progress = progress
        self._lock = threading.Lock()

    def __call__(self, more: int) -> None:
        with self._lock:
            self.done += more
            if self._progress is None:
                return
            if self.failure:
                raise self.failure
            try:
                self._progress(self.done, self.total)
            except Exception as error:
                self.failure = error
                raise
