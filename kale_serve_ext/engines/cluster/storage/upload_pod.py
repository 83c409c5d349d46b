"""Brings a snapshot into a claim: a short-lived pod takes it as a tar stream through the API server's pod proxy.

The pod belongs to a Job. It ends by itself a minute after the last byte, and the Job goes some minutes after its pod's
end, so nothing stays when this process is killed. A claim that is made for the snapshot belongs to the Job until a
service owns it: a half-filled one goes with the Job too.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
import tarfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, TypeVar

from typing_extensions import TypeVarTuple, Unpack

from .... import digest as digest_module
from ....config import Settings
from ....errors import (
    BackendUnavailableError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
)
from ....ml import JSON
from ...base import LogEvent, Manifest, OnProgress
from ...fields import mapping, mappings, name_of, text
from ...kserve import OF_SERVICE
from .. import api_objects as paths
from ..eventlog import parsed
from ..pods import judge
from . import receiver
from .owner_references import JOBS, LABELS
from .snapshots import LOG_AGAIN
from .strategies import TELL_EVERY

if TYPE_CHECKING:
    from ..api import Api

_T = TypeVar("_T")
_Given = TypeVarTuple("_Given")
_Entry: TypeAlias = tuple[Path, bytes, int]

_log = logging.getLogger(__name__)

_MOUNT = "/claim"
_STARTS_WITHIN = 180.0
"""Seconds for the claim's volume to be made, the image to be pulled and the pod to answer."""
_LONGEST = 6 * 3600
_KEPT_FOR = 600
"""Seconds from the pod's end to the Job's: until then, what it brought waits for its service."""
_REFUSED_AFTER = 10.0
_SILENCE = 900.0
"""Seconds without an answer after the last byte: the pod reads all of it back to verify it."""
_PIECE = 1 << 20
_PERIOD = 0.5
_USER = 1000
_END = bytes(2 * tarfile.BLOCKSIZE)
_JOB_LABEL = "job-name"
_HOPELESS = ("ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError")
_START = """import sys, types
def module(name, source):
    made = types.ModuleType(name)
    exec(source, made.__dict__)
    return made
module("receiver", sys.argv[2]).main(module("digest", sys.argv[1]).digest_of, *sys.argv[3:])
"""
_OTHER_WAYS = "or set cluster_storage to another way, such as s3://BUCKET/FOLDER?endpoint=URL."
_WHY = {
    "changed": (SnapshotError, "what has arrived is not what was logged", LOG_AGAIN),
    "full": (StorageFullError, "it is full", "Name a larger claim."),
    "denied": (
        PermissionDeniedError,
        f"user {_USER} may not write to it",
        "Give that user the right, or name another claim.",
    ),
    "failed": (BackendUnavailableError, "it did not arrive", "Try again."),
}


@dataclass(frozen=True)
class Delivery:
    """A snapshot on its way into a claim's folder."""

    claim: str
    folder: str
    """In the claim; the snapshot comes to lie in ``sha256/<hex>`` below it."""
    snapshot: Path
    files: Mapping[str, int]
    """Name and bytes of each file in the snapshot."""
    digest: str
    image: str
    fresh: bool
    """Whether the claim is made for it: then the pod's user is to own the volume."""


class UploadPod:
    """The Job of one delivery. Use it from one loop."""

    def __init__(self, api: Api, namespace: str, delivery: Delivery, threads: Executor) -> None:
        self._api = api
        self._namespace = namespace
        self.delivery = delivery
        self._threads = threads
        self._token = secrets.token_urlsafe(24)
        self._pod = ""
        self._why = ""
        self.job: Manifest = {}

    async def start(self) -> None:
        wanted = job(self.delivery, hashlib.sha256(self._token.encode()).hexdigest())
        made = asyncio.ensure_future(self._api.create(JOBS.format(self._namespace), wanted))
        try:
            self.job = await asyncio.shield(made)
        except asyncio.CancelledError:
            # The API server gives it its name: without that nobody could remove it.
            with contextlib.suppress(KaleServeError):
                self.job = await made
                await self.remove()
            raise

    async def remove(self) -> None:
        with contextlib.suppress(KaleServeError):
            await self._api.delete(f"{JOBS.format(self._namespace)}/{name_of(self.job)}")

    async def deliver(self, on_progress: OnProgress | None = None) -> None:
        """Returns when the snapshot is whole in the claim, whoever has brought it.

        Raises:
            BackendUnavailableError: the pod does not start, or the connection to it broke.
            StorageFullError, PermissionDeniedError, SnapshotError: what the pod says of the claim and the files.
        """
        state = await self._settled(_STARTS_WITHIN)
        if state == "free":
            _log.info("Uploading %s to the claim %s", self.delivery.snapshot.name[:16], self.delivery.claim)
            state = await self._sent(on_progress)
        if state != "there":
            kind, what, hint = _WHY.get(state, _WHY["failed"])
            why = f" ({self._why})" if self._why else ""
            raise kind(f"The snapshot cannot be put on the claim {self.delivery.claim}: {what}{why}.", hint=hint)

    async def _settled(self, within: float) -> str:
        """Wait for a state that is for this process to act upon, while others bring the same files."""
        begun = time.monotonic()
        end = begun + within
        while True:
            pod = await self._find_pod()
            phase = mapping(pod.get("status")).get("phase")
            if phase == "Succeeded":
                return "there"
            state = await self._ask() if phase == "Running" else ""
            if state in ("free", "there", *_WHY):
                return state
            now = time.monotonic()
            if state == "busy":
                end = now + within
            hopeless = phase == "Failed" or judge(pod, "pod", (), time.time()).reason in _HOPELESS
            # Without a pod it is what its Job was refused: a quota, a policy.
            refused = not pod and now > begun + _REFUSED_AFTER and await self._warnings(name_of(self.job))
            if hopeless or refused or now > end:
                raise BackendUnavailableError(
                    f"The pod that takes the upload does not run: {await self._trouble(pod)}",
                    hint=f"Its image is {self.delivery.image!r}; it needs Python 3.8 or newer. If that is the matter, "
                    f"set cluster_image to another one that the nodes can pull, {_OTHER_WAYS}",
                )
            await asyncio.sleep(_PERIOD)

    async def _find_pod(self) -> Manifest:
        if self._pod:
            with contextlib.suppress(NotFoundError):
                return await self._api.get(f"{paths.PODS.format(self._namespace)}/{self._pod}")
        label = f"{_JOB_LABEL}={name_of(self.job)}"
        found, _ = await self._api.list(paths.PODS.format(self._namespace), labelSelector=label)
        self._pod = name_of(found[0]) if found else ""
        return found[0] if found else {}

    async def _trouble(self, pod: Manifest) -> str:
        """What keeps the pod from answering, in the words of the cluster."""
        events = await self._warnings(self._pod or name_of(self.job))
        verdict = judge(pod, "pod", events, time.time())
        said = [verdict.message or verdict.reason, verdict.log.strip()[-500:], *(e.message for e in events[-1:])]
        return "; ".join(dict.fromkeys(s for s in said if s)) or f"it gives no answer on port {receiver.PORT}."

    async def _warnings(self, name: str) -> list[LogEvent]:
        asked = f"involvedObject.name={name},type=Warning"
        try:
            found, _ = await self._api.list(paths.EVENTS.format(self._namespace), fieldSelector=asked)
        except KaleServeError:
            return []
        return sorted(map(parsed, found), key=lambda e: e.time)

    async def _ask(self) -> str:
        """The receiver's state; empty while it does not answer."""
        return await self._request("GET", None, 0, timeout=20.0)

    async def _sent(self, on_progress: OnProgress | None) -> str:
        entries = await self._in_thread(_entries, self.delivery.snapshot)
        length = sum(len(head) + _padded(size) for _, head, size in entries) + len(_END)
        # Closed here: of a request that is cancelled nobody else closes the file that is being sent.
        async with contextlib.aclosing(self._stream(entries, on_progress)) as content:
            state = await self._request("PUT", content, length, timeout=_SILENCE)
        # Without an answer the connection broke, perhaps while the pod was still verifying.
        return state or await self._settled(_SILENCE)

    async def _stream(self, entries: Sequence[_Entry], on_progress: OnProgress | None) -> AsyncGenerator[bytes, None]:
        total = sum(size for _, _, size in entries)
        done, last, is_long = 0, time.monotonic(), False
        for path, head, size in entries:
            yield head
            if size:
                with await self._in_thread(_open, path) as file:
                    left = size
                    while left:
                        piece = await self._in_thread(file.read, min(_PIECE, left))
                        if not piece:
                            raise SnapshotError(f"{path} became shorter while it was read.", hint=LOG_AGAIN)
                        yield piece
                        left -= len(piece)
                        done += len(piece)
                        if on_progress and time.monotonic() - last > TELL_EVERY:
                            last, is_long = time.monotonic(), True
                            on_progress(done, total)
                yield bytes(_padded(size) - size)
        yield _END
        if on_progress and is_long:
            on_progress(total, total)

    async def _in_thread(self, work: Callable[[Unpack[_Given]], _T], *given: Unpack[_Given]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    async def _request(self, method: str, body: AsyncIterator[bytes] | None, length: int, *, timeout: float) -> str:
        import httpx

        client = await self._api.client()
        url = f"{paths.PODS.format(self._namespace)}/{self._pod}:{receiver.PORT}/proxy/"
        headers = {receiver.TOKEN: self._token, **({"Content-Length": str(length)} if body else {})}
        authorization = await self._api.authorization()
        if authorization:
            headers["Authorization"] = authorization
        try:
            answer = await client.request(method, url, headers=headers, content=body, timeout=timeout)
        except httpx.HTTPError as error:
            _log.info("The upload's pod %s is not answering: %r", self._pod, error)
            return ""
        told = _parsed(answer.content)
        if answer.status_code == 403 and told.get("kind") == "Status":
            verb = "update" if method == "PUT" else "get"
            raise PermissionDeniedError(
                f"The cluster refuses to pass the upload on: {told.get('message')}",
                hint=f"Ask for the right to {verb} pods/proxy in this namespace, {_OTHER_WAYS}",
            )
        self._why = text(told.get("why"))
        return text(told.get("state")) if answer.is_success else ""


async def find_image(api: Api, namespace: str, settings: Settings) -> str:
    """An image with Python that the nodes of this cluster can pull.

    Where the settings name none, it is the one with which KServe itself downloads models. Its webhook puts it into
    every pod of a service; a pod that is only tried, and never made, tells it to users who may not read KServe's own
    settings.
    """
    from .... import __version__

    if settings.cluster_image:
        return settings.cluster_image
    tried: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "kale-image-",
            "labels": {OF_SERVICE: "kale"},
            "annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": "s3://kale/kale"},
        },
        "spec": _pod_spec({"name": "kserve-container", "image": "kale"}, fresh=False),
    }
    with contextlib.suppress(KaleServeError):
        made = await api.create(paths.PODS.format(namespace), tried, dry_run=True)
        for container in mappings(mapping(made.get("spec")).get("initContainers")):
            if container.get("name") == "storage-initializer":
                return text(container.get("image"))
    return f"kale-serve-ext/transformer:{__version__}"


def job(delivery: Delivery, token_digest: str) -> Manifest:
    """The Job whose pod takes a delivery. Pure, but for the text of the programs that it runs."""
    folder = f"{_MOUNT}/{delivery.folder}".rstrip("/")
    programs = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (digest_module, receiver)]
    container: dict[str, JSON] = {
        "name": "receiver",
        "image": delivery.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", _START, *programs, folder, delivery.digest, token_digest],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "claim", "mountPath": _MOUNT}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    }
    spec = _pod_spec(container, fresh=delivery.fresh)
    spec["volumes"] = [{"name": "claim", "persistentVolumeClaim": {"claimName": delivery.claim}}]
    # In a service mesh the API server's own requests would be refused, and the pod would never end.
    alone: dict[str, JSON] = {"sidecar.istio.io/inject": "false"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "kale-upload-", "labels": dict(LABELS)},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _LONGEST,
            "ttlSecondsAfterFinished": _KEPT_FOR,
            "template": {"metadata": {"labels": {**LABELS, **alone}, "annotations": alone}, "spec": spec},
        },
    }


def _pod_spec(container: dict[str, JSON], *, fresh: bool) -> dict[str, JSON]:
    """A pod that a namespace of the level ``restricted`` takes too."""
    confined: dict[str, JSON] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user: dict[str, JSON] = {"runAsNonRoot": True, "runAsUser": _USER, "seccompProfile": {"type": "RuntimeDefault"}}
    if fresh:  # else it would change the group of other people's files
        user["fsGroup"] = _USER
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": user,
        "containers": [{**container, "securityContext": confined}],
    }


def _entries(snapshot: Path) -> list[_Entry]:
    """Each file and folder with its header in the stream, and its size."""
    found: list[_Entry] = []
    for path in sorted(snapshot.rglob("*")):
        info = tarfile.TarInfo(path.relative_to(snapshot).as_posix())
        if path.is_dir():
            info.type = tarfile.DIRTYPE
        else:
            info.size = path.stat().st_size
        found.append((path, info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"), info.size))
    return found


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _parsed(content: bytes) -> Mapping[str, JSON]:
    try:
        found: JSON = json.loads(content)
    except ValueError:
        return {}
    return mapping(found)
