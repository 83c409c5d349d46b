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
import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from ...digest import digest_of
from ...errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
)
from ...ml import JSON
from ..base import Manifest

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError
    from s3transfer.futures import TransferFuture
    from types_boto3_s3 import S3Client

_log = logging.getLogger(__name__)

_PART = 16 << 20
"""Bytes of one part of a large file. S3 allows 10,000 parts; boto3 makes them larger for files that need more."""
_CONNECTIONS = 4
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 120.0
"""Seconds of silence. Some servers put a large file together from its parts before they answer."""
_ATTEMPTS = 3
_ABANDONED = timedelta(days=1)
"""The age from which an unfinished multipart upload is taken for that of a killed process."""

_ANNOTATION = "serving.kserve.io/"
_LABELS = {"app.kubernetes.io/managed-by": "kale-serve-ext"}
_AGAIN = "Log the artifact again."
_EXAMPLE = "It looks like s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1."
_REFUSED = frozenset({"ExpiredToken", "InvalidToken", "XAdminUserNotFound"})
"""Codes for credentials that do not hold with a status other than 403; the last is versitygw's, with 404."""
_FULL = frozenset({"QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
"""Codes of versitygw, Ceph and MinIO that come with the statuses of other things. For a full disk it is 507."""


ACCESS = "kale-serve-ext-s3"
"""Name of the secret, and of the service account, that give pods the credentials."""


@dataclass(frozen=True)
class S3Target:
    """Where snapshots go."""

    bucket: str
    prefix: str
    """Without slash at its ends; may be empty."""
    endpoint: str
    """``http://host:port`` or ``https://host``; empty for AWS's own."""
    region: str
    """May be empty: then it is boto3's, or with an endpoint ``us-east-1``, which servers other than AWS's go by."""

    @classmethod
    def parse(cls, text: str) -> S3Target:
        """Read ``s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1``.

        What is not said comes from AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION and AWS_DEFAULT_REGION.

        Raises:
            InvalidInputError: it is not such a text, or holds credentials, which the message leaves out.
        """
        address, _, query = text.partition("?")
        shown = repr(re.sub("//.*@", "//…@", address, flags=re.DOTALL)[:200])
        if "@" in text or "%40" in text:
            # Credentials would come into messages, logs and storage URIs. boto3 has better places to find them.
            raise InvalidInputError(
                f"{shown} shall not hold a user or password, nor the sign @.",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws.",
            )
        found = re.fullmatch(r"s3://([A-Za-z0-9._-]{3,255})(/.*)?", address)
        if not found:
            raise InvalidInputError(f"{shown} is not the address of a place in S3.", hint=_EXAMPLE)
        prefix = (found[2] or "").strip("/")
        if not prefix.isprintable() or "#" in prefix or (prefix and {"", ".", ".."} & set(prefix.split("/"))):
            raise InvalidInputError(f"{shown} has a prefix that KServe would not read back.", hint=_EXAMPLE)
        given = dict(parse_qsl(query, keep_blank_values=True))
        if not given.keys() <= {"endpoint", "region"}:
            raise InvalidInputError(f"{shown} has parameters other than endpoint and region.", hint=_EXAMPLE)
        endpoint = given.get("endpoint", _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
        region = given.get("region", _first("AWS_REGION", "AWS_DEFAULT_REGION"))
        if not re.fullmatch("[A-Za-z0-9-]*", region):
            raise InvalidInputError(f"The region of {shown} is not the name of one.", hint=_EXAMPLE)
        return cls(found[1], prefix, _endpoint(endpoint, shown), region)

    def uri(self, digest: str) -> str:
        """Where the snapshot of this content is, or would be."""
        above = f"{self.prefix}/" if self.prefix else ""
        return f"s3://{self.bucket}/{above}sha256/{digest.removeprefix('sha256:')}"


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
    files = _files(folder)
    place = _Place(target, address)
    meter = _Meter(progress, sum(files.values()))
    _require_boto3()
    with place.errors("reach"):
        client = _client(target)
    there = place.listing(client)
    if foreign := sorted(there.keys() - files.keys()):
        raise ConflictError(
            f"{place.uri} holds {foreign[0]!r}, which is not of this snapshot and would be downloaded with it.",
            hint="Remove that object.",
        )
    if there != files or place.marker(client) != files:
        _check(folder, digest)
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


def credentials_objects(target: S3Target, namespace: str, name: str = ACCESS) -> tuple[Manifest, Manifest]:
    """The Secret and the ServiceAccount, both called ``name``, with which KServe downloads from ``target``.

    The credentials are those that boto3 finds now. KServe (0.20) does not hand a session token on to its downloads, so
    those of temporary credentials fail unless the cluster passes AWS_SESSION_TOKEN in another way.

    Raises:
        BackendUnavailableError: boto3 is not installed, or finds no credentials.
    """
    _require_boto3()
    from boto3.session import Session

    with _Place(target, "").errors("reach"):
        session = Session()
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise _no_credentials()
    values = {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
    if frozen.token:
        values["AWS_SESSION_TOKEN"] = frozen.token
    scheme, _, host = target.endpoint.partition("://")
    annotations: dict[str, str] = {"s3-usehttps": "0" if scheme == "http" else "1", "s3-verifyssl": "1"}
    if host:
        annotations["s3-endpoint"] = host
    if region := _region(session, target):
        annotations["s3-region"] = region
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(_LABELS),
            "annotations": {_ANNOTATION + key: value for key, value in annotations.items()},
        },
        "type": "Opaque",
        "stringData": values,
    }
    account: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(_LABELS)},
        "secrets": [{"name": name}],
    }
    return secret, account


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
        with self.errors("list", self.folder):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.target.bucket, Prefix=self.folder)
            for page in pages:
                for entry in page.get("Contents", ()):
                    # Keys that end in a slash are what some programs make for folders; KServe passes over them.
                    if not entry["Key"].endswith("/"):
                        found[entry["Key"].removeprefix(self.folder)] = entry["Size"]
        return found

    def marker(self, client: S3Client) -> Mapping[str, JSON]:
        """Names and sizes as the marker has them; empty where there is none, or one that was not written here."""
        with self.errors("read", self.mark_key):
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
        with self.errors("write", self.mark_key):
            client.put_object(Bucket=self.target.bucket, Key=self.mark_key, Body=body, ContentType="application/json")

    def put(self, client: S3Client, folder: Path, files: Mapping[str, int], meter: _Meter) -> None:
        """Upload these files of ``folder``; the first that fails stops the others and has its parts removed."""
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=_PART,
            multipart_chunksize=_PART,
            max_concurrency=_CONNECTIONS,
            preferred_transfer_client="classic",  # the other one has settings, retries and errors of its own
        )
        waiting: deque[tuple[str, TransferFuture]] = deque()

        def settle() -> None:
            key, future = waiting.popleft()
            try:
                with self.errors("write", key):
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
        with self.errors("list", self.folder):
            try:
                for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=self.folder):
                    for found in page.get("Uploads", ()):
                        if found["Initiated"] < end:
                            client.abort_multipart_upload(Bucket=bucket, Key=found["Key"], UploadId=found["UploadId"])
            except ClientError as error:  # A right that uploads do not need, or a server without this call.
                _log.debug("Unfinished uploads to %s are left alone: %s", self.uri, _code(error))

    @contextmanager
    def errors(self, verb: str, key: str = "") -> Iterator[None]:
        """boto3's errors as ours. None of the messages quotes what might hold a credential."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            CredentialRetrievalError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
            SSLError,
        )

        where = f"s3://{self.target.bucket}/{key}"
        server = self.target.endpoint or "of AWS"
        try:
            yield
        except ClientError as error:
            raise self._explained(error, verb, where) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise _no_credentials() from error
        except ParamValidationError as error:
            raise InvalidInputError(f"{where} is not a name that S3 takes.", hint="Check the bucket.") from error
        except SSLError as error:
            raise BackendUnavailableError(
                f"The certificate of the S3 server {server} is not trusted here.",
                hint="Set AWS_CA_BUNDLE to the file of its authority's certificate.",
            ) from error
        except BotoCoreError as error:
            raise BackendUnavailableError(
                f"The S3 server {server} cannot be used to {verb} {where}: {type(error).__name__}.",
                hint="Check that it runs, that its address is right and that this machine may reach it.",
            ) from error
        except OSError as error:
            if isinstance(error, KaleServeError):
                raise
            raise SnapshotError(f"A file for {where} cannot be read: {error}.", hint=_AGAIN) from error

    def _explained(self, error: ClientError, verb: str, where: str) -> KaleServeError:
        code = _code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        server = self.target.endpoint or "of AWS"
        if code in _FULL or status == 507:
            return StorageFullError(
                f"The S3 server {server} has no room for {where} ({code}).", hint="Free some space or raise the quota."
            )
        if code in _REFUSED or status == 403:
            return PermissionDeniedError(
                f"The S3 server {server} does not let these credentials {verb} {where} ({code}).",
                hint="Uploads need the rights to list the bucket and to get and put objects in it. Check the "
                "credentials that boto3 finds: the AWS_* variables, or the profile in ~/.aws.",
            )
        if code == "NoSuchBucket":
            return NotFoundError(
                f"The S3 server {server} has no bucket {self.target.bucket!r}.",
                hint="Create it, or name another one. Check the endpoint and the region too.",
            )
        message = error.response.get("Error", {}).get("Message", "")
        if status in (301, 400, 404, 405):
            return InvalidInputError(
                f"The S3 server {server} does not take {where} ({code}): {message}",
                hint="Check the bucket, the endpoint and the region.",
            )
        return BackendUnavailableError(
            f"The S3 server {server} failed to {verb} {where} ({code}): {message}",
            hint="Try again, check the endpoint, or ask its operator.",
        )


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


def _require_boto3() -> None:
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise BackendUnavailableError(
            "Snapshots go to S3 with boto3, which is not installed here.",
            hint="pip install 'kale-serve-ext[s3]'",
        ) from error


def _client(target: S3Target) -> S3Client:
    from boto3.session import Session
    from botocore.config import Config

    session = Session()
    return session.client(
        "s3",
        endpoint_url=target.endpoint or None,
        region_name=_region(session, target) or None,
        config=Config(  # type: ignore[call-arg]  # types-boto3 lacks the last one
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            max_pool_connections=_CONNECTIONS,
            s3={"addressing_style": "path" if target.endpoint else "auto"},
            # Servers other than AWS's do not know the newer checksums; signatures or TLS protect the bytes as well.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Pods must go to the same server, and know only of what the target says.
            ignore_configured_endpoint_urls=True,
        ),
    )


def _region(session: Session, target: S3Target) -> str:
    return target.region or session.region_name or ("us-east-1" if target.endpoint else "")


def _no_credentials() -> BackendUnavailableError:
    return BackendUnavailableError(
        "There are no credentials for S3.",
        hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, for the Jupyter server.",
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "no code")


def _first(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _endpoint(text: str, shown: str) -> str:
    """The endpoint without a slash at its end. ``shown`` is the target that it belongs to, for messages."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # no number for a port, or an IPv6 address that is none
        usable = False
    if text and not (usable and re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]+/?", text)):
        raise InvalidInputError(
            f"The endpoint of {shown} is not of the kind http://host:port.",
            hint="It stands in the address, or else in AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.",
        )
    return text.rstrip("/")


def _files(folder: Path) -> dict[str, int]:
    """Name and size of every file in a snapshot, in order of their names; no link is followed."""
    found: dict[str, int] = {}
    pending = [folder]
    try:
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    name = Path(entry.path).relative_to(folder).as_posix()
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(Path(entry.path))
                    elif not stat.S_ISREG(status.st_mode):
                        raise SnapshotError(f"{entry.path} is neither a file nor a folder.", hint=_AGAIN)
                    elif not name.isprintable():  # a name that is no text in UTF-8 is not printable either
                        raise InvalidInputError(
                            f"The name of the file {name!r} has signs that S3 does not take.", hint="Rename the file."
                        )
                    else:
                        found[name] = status.st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"The snapshot {folder} is not there.", hint=_AGAIN) from error
    except OSError as error:
        raise SnapshotError(f"The snapshot {folder} cannot be read: {error}.", hint=_AGAIN) from error
    if not found:
        raise InvalidInputError(f"The snapshot {folder} holds no file to upload.", hint="Log a folder that has some.")
    return dict(sorted(found.items()))


def _check(folder: Path, digest: str) -> None:
    """A damaged snapshot must not get into the bucket, where its address would keep it for ever."""
    try:
        found = digest_of(folder)
    except (OSError, ValueError) as error:
        raise SnapshotError(f"The snapshot {folder} cannot be read: {error}.", hint=_AGAIN) from error
    if found != digest:
        raise SnapshotError(
            f"The snapshot {folder} was changed after it was made: its content is {found}, recorded is {digest}.",
            hint=_AGAIN,
        )
