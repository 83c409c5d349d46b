"""The S3 server that snapshots go to: its address, its client, its errors, and what gives pods access to it.

boto3 is an optional dependency: it is imported where it is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from ....errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
)
from ...base import Manifest
from .owner_references import LABELS
from .snapshots import LOG_AGAIN

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError
    from types_boto3_s3 import S3Client

CONNECTIONS = 4
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 120.0
"""Seconds of silence. Some servers put a large file together from its parts before they answer."""
_ATTEMPTS = 3
_ANNOTATION = "serving.kserve.io/"
_EXAMPLE = "It looks like s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1."
_REFUSED = frozenset({"ExpiredToken", "InvalidToken", "XAdminUserNotFound"})
"""Codes for credentials that do not hold with a status other than 403; the last is versitygw's, with 404."""
_FULL = frozenset({"QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
"""Codes of versitygw, Ceph and MinIO that come with the statuses of other things. For a full disk it is 507."""


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
                f"{shown} must not contain a user, a password or '@'.",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws.",
            )
        found = re.fullmatch(r"s3://([A-Za-z0-9._-]{3,255})(/.*)?", address)
        if not found:
            raise InvalidInputError(f"{shown} is not an S3 address.", hint=_EXAMPLE)
        prefix = (found[2] or "").strip("/")
        if not prefix.isprintable() or "#" in prefix or (prefix and {"", ".", ".."} & set(prefix.split("/"))):
            raise InvalidInputError(f"{shown} has a prefix that KServe would not read back.", hint=_EXAMPLE)
        given = dict(parse_qsl(query, keep_blank_values=True))
        if not given.keys() <= {"endpoint", "region"}:
            raise InvalidInputError(f"{shown} has parameters other than endpoint and region.", hint=_EXAMPLE)
        endpoint = given.get("endpoint", _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
        region = given.get("region", _first("AWS_REGION", "AWS_DEFAULT_REGION"))
        if not re.fullmatch("[A-Za-z0-9-]*", region):
            raise InvalidInputError(f"The region of {shown} is not a valid region name.", hint=_EXAMPLE)
        return cls(found[1], prefix, _endpoint(endpoint, shown), region)

    @property
    def secret(self) -> str:
        """Name of the secret that gives pods access: one for each target, so that none takes another's place."""
        named = "\0".join((self.endpoint, self.region, self.bucket, self.prefix))
        return f"kale-serve-ext-s3-{sha256(named.encode()).hexdigest()[:8]}"

    def uri(self, digest: str) -> str:
        """Where the snapshot of this content is, or would be."""
        above = f"{self.prefix}/" if self.prefix else ""
        return f"s3://{self.bucket}/{above}sha256/{digest.removeprefix('sha256:')}"


def access_secret(target: S3Target, namespace: str) -> Manifest:
    """The Secret with which KServe downloads from ``target``, for the annotation that names one.

    The credentials are those that boto3 finds now. KServe (0.20) does not hand a session token on to its downloads, so
    those of temporary credentials fail unless the cluster passes AWS_SESSION_TOKEN in another way.

    Raises:
        BackendUnavailableError: boto3 is not installed, or finds no credentials.
    """
    require_boto3()
    from boto3.session import Session

    with s3_errors(target, "reach"):
        session = Session()
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise _no_credentials()
    values = {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
    if frozen.token:
        values["AWS_SESSION_TOKEN"] = frozen.token
    return secret_of(replace(target, region=_region(session, target)), target.secret, namespace, values)


def secret_of(target: S3Target, name: str, namespace: str, values: Mapping[str, str]) -> Manifest:
    """A Secret in the form that KServe reads.

    Args:
        values: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``.
    """
    scheme, _, host = target.endpoint.partition("://")
    annotations: dict[str, str] = {"s3-usehttps": "0" if scheme == "http" else "1", "s3-verifyssl": "1"}
    if host:
        annotations["s3-endpoint"] = host
    if target.region:
        annotations["s3-region"] = target.region
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(LABELS),
            "annotations": {_ANNOTATION + key: value for key, value in annotations.items()},
        },
        "type": "Opaque",
        "stringData": dict(values),
    }


def open_client(target: S3Target, keys: Mapping[str, str] | None = None) -> S3Client:
    """A client with the credentials that boto3 finds, or with ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``."""
    from boto3.session import Session
    from botocore.config import Config

    given = {name.lower(): value for name, value in (keys or {}).items()}
    session = Session(
        aws_access_key_id=given.get("aws_access_key_id"), aws_secret_access_key=given.get("aws_secret_access_key")
    )
    return session.client(
        "s3",
        endpoint_url=target.endpoint or None,
        region_name=_region(session, target) or None,
        config=Config(  # type: ignore[call-arg]  # types-boto3 lacks the last one
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path" if target.endpoint else "auto"},
            # Servers other than AWS's do not know the newer checksums; signatures or TLS protect the bytes as well.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Pods must go to the same server, and know only of what the target says.
            ignore_configured_endpoint_urls=True,
        ),
    )


def is_object(target: S3Target, uri: str, keys: Mapping[str, str] | None = None) -> bool:
    """Whether an ``s3://`` address is that of one object, not of those below it; false where it cannot be told."""
    try:
        require_boto3()
        key = urlsplit(uri).path.lstrip("/")
        with s3_errors(target, "list", key):
            found = open_client(target, keys).list_objects_v2(Bucket=target.bucket, Prefix=key, MaxKeys=1)
    except KaleServeError:
        return False
    return [entry["Key"] for entry in found.get("Contents", ())] == [key]


def require_boto3() -> None:
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise BackendUnavailableError(
            "Snapshots go to S3 with boto3, which is not installed here.",
            hint="pip install 'kale-serve-ext[s3]'",
        ) from error


@contextmanager
def s3_errors(target: S3Target, verb: str, key: str = "") -> Iterator[None]:
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

    where = f"s3://{target.bucket}/{key}"
    server = target.endpoint or "of AWS"
    try:
        yield
    except ClientError as error:
        raise _explained(error, target, verb, where) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise _no_credentials() from error
    except ParamValidationError as error:
        raise InvalidInputError(f"{where} is not a valid S3 name.", hint="Check the bucket.") from error
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
        raise SnapshotError(f"A file for {where} cannot be read: {error}.", hint=LOG_AGAIN) from error


def code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "no code")


def _explained(error: ClientError, target: S3Target, verb: str, where: str) -> KaleServeError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    server = target.endpoint or "of AWS"
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
            f"The S3 server {server} has no bucket {target.bucket!r}.",
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


def _no_credentials() -> BackendUnavailableError:
    return BackendUnavailableError(
        "There are no credentials for S3.",
        hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, for the Jupyter server.",
    )


def _region(session: Session, target: S3Target) -> str:
    return target.region or session.region_name or ("us-east-1" if target.endpoint else "")


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
            f"The endpoint of {shown} is not of the form http://host:port.",
            hint="Set it in the address, or in AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.",
        )
    return text.rstrip("/")
