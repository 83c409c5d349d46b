"""Where things are and which backends are used: one set of values for kernels, server and supervisors.

The server's traits end up here and in the environment of the kernels that it starts, so that a notebook sees what the
panel sees. Every value can be set by an environment variable too, for scripts that run without a server.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .errors import BackendUnavailableError, InvalidInputError

PREFIX = "KALE_SERVE_"
LOCAL_ACCESS = ("user", "machine")
LONGEST_SOCKET = 107 if sys.platform == "linux" else 103
"""Bytes that the path of a unix socket may have."""


def _default_data_dir() -> Path:
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "kale-serve-ext"


@dataclass(frozen=True)
class Settings:
    """Resolved configuration. Build it with :meth:`from_environ`; an empty string means "the default"."""

    data_dir: Path = field(default_factory=_default_data_dir)
    """Folder with snapshots, metadata and the services' state (``KALE_SERVE_DATA_DIR``)."""
    runtime_dir: str = ""
    """Folder for sockets and process ids, private to the user (``KALE_SERVE_RUNTIME_DIR``). See :attr:`sockets`."""
    store: str = "file:"
    """Where snapshots go: ``file:`` (under ``data_dir``) or ``file:///some/folder`` (``KALE_SERVE_STORE``)."""
    metadata: str = "embedded"
    """``embedded`` (an engine started on demand) or ``grpc://HOST:PORT`` of an MLMD server
    (``KALE_SERVE_METADATA``)."""
    metadata_python: str = ""
    """A Python interpreter that has ``ml-metadata``, for the embedded engine (``KALE_SERVE_METADATA_PYTHON``)."""
    metadata_timeout: float = 10.0
    """Seconds that one metadata call may take (``KALE_SERVE_METADATA_TIMEOUT``)."""
    metadata_idle: float = 900.0
    """Seconds without a call after which the embedded engine ends; the next call starts it again
    (``KALE_SERVE_METADATA_IDLE``)."""
    recorded_rows: int = 20
    """Rows of a model's example or dataset that are kept with the model's answers to them, to be compared when it is
    served; 0 keeps none (``KALE_SERVE_RECORDED_ROWS``)."""
    engine: str = ""
    """Where services run: ``local`` or ``cluster`` (``KALE_SERVE_ENGINE``). By default as chosen in the panel; where
    nothing was, in the cluster of the pod or the kubeconfig if it has InferenceServices, and locally if not."""
    namespace: str = ""
    """Namespace of new services (``KALE_SERVE_NAMESPACE``): ``default`` locally, the context's own in a cluster."""
    context: str = ""
    """The kubeconfig's context of the cluster engine, its current one by default, or ``in-cluster``
    (``KALE_SERVE_CONTEXT``)."""
    kubeconfig: str = ""
    """A kubeconfig's path (``KALE_SERVE_KUBECONFIG``); found as ``kubectl`` does by default."""
    cluster_image: str = ""
    """The image that runs transformers, custom predictors and, where KServe's own would answer otherwise, models in a
    cluster (``KALE_SERVE_CLUSTER_IMAGE``); by default ``kale-serve-ext/transformer`` and ``kale-serve-ext/predictor``
    with this package's version."""
    cluster_storage: str = ""
    """How pods get the files of artifacts that are on this machine (``KALE_SERVE_CLUSTER_STORAGE``). Empty: from the
    claim that they lie on in a notebook's pod, else by ``upload:``. ``upload:`` or ``upload:STORAGE_CLASS`` makes a
    claim for each content and fills it; ``pvc://CLAIM/FOLDER`` fills a claim that is there; ``claim:`` mounts the
    notebook's own, ``clone:`` and ``snapshot:`` (or ``snapshot:SNAPSHOT_CLASS``) a copy of it, also of the claim of an
    artifact that is at ``pvc://…``. ``s3://BUCKET/FOLDER?endpoint=URL`` uploads to S3; its credentials come from where
    AWS's own clients look for them."""
    cluster_ingress: str = ""
    """Base address of the cluster's gateway, such as ``https://gateway.example.com`` (``KALE_SERVE_CLUSTER_INGRESS``):
    requests then go there with the service's external host name, instead of through the API server."""
    local_access: str = ""
    """Who may send requests to local services (``KALE_SERVE_LOCAL_ACCESS``): ``user``, which is the same user and root
    where the system tells whose a connection is (Linux), or ``machine``, every user of this machine. Without this and
    ``local_hostnames``, a service keeps what it was given last; a new one has ``user``."""
    local_hostnames: str = ""
    """Host names, with commas between them, under which local services are reached beside ``localhost``
    (``KALE_SERVE_LOCAL_HOSTNAMES``)."""
    cluster_ingress_token_file: str = ""
    """A file with the bearer token for the gateway, read for each request
    (``KALE_SERVE_CLUSTER_INGRESS_TOKEN_FILE``)."""

    @classmethod
    def from_environ(cls) -> Settings:
        """Settings of this process: defaults, overridden by ``KALE_SERVE_*`` variables."""
        given: dict[str, str | float | Path] = {}
        for item in fields(cls):
            text = os.environ.get(PREFIX + item.name.upper(), "")
            if not text:
                continue
            if item.name == "data_dir":
                given[item.name] = Path(text).expanduser().absolute()
            elif item.name == "recorded_rows":
                given[item.name] = _count(item.name, text)
            elif item.name in ("metadata_timeout", "metadata_idle"):
                given[item.name] = _seconds(item.name, text)
            elif item.name == "local_access" and text not in LOCAL_ACCESS:
                raise InvalidInputError(
                    f"{PREFIX}LOCAL_ACCESS is {text!r}.", hint=f"Use one of {', '.join(LOCAL_ACCESS)}."
                )
            else:
                given[item.name] = text
        return cls(**given)  # type: ignore[arg-type]  # each value has its field's type by the branches above

    def to_environ(self) -> dict[str, str]:
        """The variables that make :meth:`from_environ` give these settings in another process."""
        return {PREFIX + item.name.upper(): str(getattr(self, item.name)) for item in fields(self)}

    @property
    def store_folder(self) -> Path | None:
        """The folder that ``store`` names; None where it names none."""
        parts = urlsplit(self.store)
        if parts.scheme != "file" or parts.netloc or parts.query or parts.fragment:
            return None
        if not parts.path:
            return self.data_dir / "snapshots"
        folder = Path(url2pathname(parts.path))
        return folder if folder.is_absolute() else None

    @property
    def sockets(self) -> Path:
        """The folder for sockets, pids and locks of this ``data_dir``; made 0700 and checked to be the user's own.

        A unix socket's path may have 107 bytes, so it is short: under ``XDG_RUNTIME_DIR`` where there is one, else
        under the system's temporary folder, or under ``/tmp`` where that is too long (macOS, SLURM), and named by a
        hash of ``data_dir``.
        """
        digest = hashlib.sha256(str(self.data_dir.absolute()).encode()).hexdigest()[:10]
        if self.runtime_dir:
            base = Path(self.runtime_dir)
        elif os.environ.get("XDG_RUNTIME_DIR") and os.access(os.environ["XDG_RUNTIME_DIR"], os.W_OK):
            base = Path(os.environ["XDG_RUNTIME_DIR"]) / "kale-serve"
        else:
            base = Path(tempfile.gettempdir()) / f"kale-serve-{os.getuid()}"
        # The longest: that of one process of a service.
        room = LONGEST_SOCKET - len("/svc-0123456789abcdef.d/999/h")
        if not self.runtime_dir and len(os.fsencode(base / digest)) > room:
            base = Path("/tmp") / f"kale-serve-{os.getuid()}"  # noqa: S108  # checked to be ours below
        if len(os.fsencode(base / digest)) > room:
            raise InvalidInputError(
                f"The runtime folder {base} has too long a path: a unix socket's may have {LONGEST_SOCKET} bytes.",
                hint=f"Set {PREFIX}RUNTIME_DIR to a folder with a path of at most {room - len(digest) - 1} bytes.",
            )
        private_dir(base)
        return private_dir(base / digest)


def make_dir(path: Path, setting: str = "DATA_DIR") -> None:
    """Make a folder that the setting ``KALE_SERVE_<setting>`` has led to, 0700 where it is new.

    Raises:
        BackendUnavailableError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackendUnavailableError(
            f"The folder {path} cannot be created: {error.strerror or error}.",
            hint=f"Free some space, or set {PREFIX}{setting} to a folder that you can write to.",
        ) from error


def private_dir(path: Path) -> Path:
    """Make ``path`` a folder that only its owner can enter, and refuse one that is not ours.

    Raises:
        InvalidInputError: somebody else owns it, or it is a link (a trap laid in a shared temporary folder).
    """
    make_dir(path, "RUNTIME_DIR")
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise InvalidInputError(
            f"The runtime folder {path} belongs to another user or is not a folder.",
            hint=f"Set {PREFIX}RUNTIME_DIR to a folder of your own.",
        )
    if found.st_mode & 0o077:
        path.chmod(0o700)
    return path


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) > 1000:
        raise InvalidInputError(
            f"{PREFIX}{name.upper()} is {text!r}, which is not a number of rows.",
            hint="Give a whole number from 0 to 1000.",
        )
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 3600:
        raise InvalidInputError(
            f"{PREFIX}{name.upper()} is {text!r}, which is not a number of seconds.",
            hint="Give a number above 0 and below 3600, such as 10.",
        )
    return value
