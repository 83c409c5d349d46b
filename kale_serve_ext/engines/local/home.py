"""Where a service keeps what: its state folder in the data directory, its socket and lock in the runtime directory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...config import Settings, private_dir
from ...errors import BackendUnavailableError, InvalidNameError
from ...locks import locked
from ...ml import JSON
from ...runner.access import USER, Access

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def check_name(name: str, what: str = "service") -> str:
    """``name`` when Kubernetes would take it, and so when it is safe as a folder's name.

    Raises:
        InvalidNameError: it is something else.
    """
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise InvalidNameError(
            f"{shown!r} cannot be the name of a {what}.",
            hint="Use up to 63 lowercase letters, digits and hyphens; begin with a letter, end with no hyphen.",
            field="name",
        )
    return name


@dataclass(frozen=True)
class Home:
    """The places of one service. The folder survives everything but ``delete``; the rest is gone after a reboot."""

    namespace: str
    name: str
    folder: Path
    runtime: Path
    access: Access | None = None
    """Whom its processes answer from now on; None where the settings do not say, and what it was told last holds. A
    supervisor is told when it starts and when it is asked to look again."""

    @classmethod
    def of(cls, settings: Settings, namespace: str, name: str) -> Home:
        check_name(name)
        is_given = settings.local_access or settings.local_hostnames
        access = Access.of(settings.local_access or USER, settings.local_hostnames) if is_given else None
        return cls(namespace, name, services_dir(settings, namespace) / name, settings.sockets, access)

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def status(self) -> Path:
        return self.folder / "status.json"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def work(self) -> Path:
        """Current directory of the service's processes."""
        return self.folder / "work"

    @property
    def socket(self) -> Path:
        return self.runtime / f"svc-{self._key}.sock"

    @property
    def sockets(self) -> Path:
        """The folder for the sockets of its processes; there while it has some."""
        return self.runtime / f"svc-{self._key}.d"

    @property
    def data_dir(self) -> Path:
        return self.folder.parents[2]

    @property
    def lock(self) -> Path:
        return self.runtime / f"svc-{self._key}.lock"

    @property
    def _key(self) -> str:
        # A unix socket's path is short, a service's name need not be.
        return hashlib.sha256(f"{self.folder.absolute()}".encode()).hexdigest()[:16]

    @contextlib.contextmanager
    def locked(self, timeout: float = 30.0) -> Iterator[None]:
        """Hold the service's lock: one process at a time changes its description or starts its supervisor. Blocks."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(self.lock, timeout=timeout))
            except TimeoutError as exc:
                raise BackendUnavailableError(
                    f"Another process has been changing the service {self.name} for {timeout:.0f} seconds.",
                    hint="Try again; if this persists, look for a hung process of yours.",
                ) from exc
            yield


def services_dir(settings: Settings, namespace: str) -> Path:
    return settings.data_dir / "services" / check_name(namespace, "namespace")


def make_folder(home: Home) -> None:
    """The service's folders, for their owner only: environment variables with secrets are in the description."""
    for folder in (home.folder.parent.parent, home.folder.parent, home.folder, home.logs, home.work):
        private_dir(folder)


def write_json(path: Path, value: JSON) -> None:
    """Replace the file as a whole: readers see the old or the new content, also after a crash."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(fd)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
