"""What there is to know of a model server: adding one is adding one of these."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....entities import Artifact
from ...base import Check
from ..interpreters import Interpreter
from .layout import Layout, Snapshot, the_whole

Address = int | str
"""A port of the loopback address, or the path of a unix socket that only the user can reach."""

_EXCEPTION = re.compile(r"\s*(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|NotFound)\b(?::.*)?")


@dataclass(frozen=True)
class StandsFor:
    """A runtime of the catalogue that the server takes the place of."""

    name: str
    title: str
    formats: tuple[str, ...]
    protocols: tuple[str, ...]
    differs: str = ""
    """How it differs from what the cluster's image runs: a sentence, shown in the plan and the list of runtimes."""
    upkeep: str = ""
    """Where it is not maintained any more: a sentence that says so and what to use instead, shown as a warning."""


@dataclass(frozen=True)
class Seat:
    """What one process is given."""

    name: str
    """The InferenceService's, which is the model's name on the wire."""
    format: str
    python: str
    """The interpreter of its environment, or the model's own."""
    folder: Path
    """What the layout has made."""
    temporary: Path
    """Its own, empty and removed with the process; also its ``TMPDIR``."""
    http: Address
    grpc: Address
    given: Mapping[str, str] = field(default_factory=dict)
    """The variables of the manifest, which the process gets unless the command sets them."""
    args: tuple[str, ...] = ()
    """The container's arguments in the manifest."""
    memory: float = 0.0
    """Bytes that it may use; 0 where there is no limit."""
    overlay: Path | None = None
    """The folder of packages that lies beside the model's own interpreter, for a server that has an overlay."""


@dataclass(frozen=True)
class Command:
    """What is started."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside what every model server gets; these win."""
    leaves: tuple[str, ...] = ()
    """Patterns of files outside of its folders that it may leave when it is killed. They are removed with it."""


@dataclass(frozen=True)
class Program:
    """Any program, in the place of this package's own runner."""

    command: Callable[[Seat], Command]
    """Derives the command. It has to listen at the seat's addresses and nowhere else."""
    layout: Callable[[Snapshot], Layout] = the_whole
    ready: str = "/v2/models/{name}/ready"
    """What answers 200 once the model can be asked: the model, since servers say of themselves that they are ready
    when they have none."""
    unix: bool = False
    """Whether it listens on unix sockets. Ports of its own are open to every user of the machine."""
    grpc: bool = True
    loses_workers: bool = False
    """Whether it goes on without one of its processes, and says all the same that its model is ready: it is ended
    then."""
    takes_args: bool = False
    """Whether the command passes on the seat's ``args``; where not, whoever gives some is told."""
    stop: signal.Signals = signal.SIGTERM
    stops_within: float = 10.0
    """Seconds from the signal until it is killed."""
    reason: Callable[[str], str] = field(default_factory=lambda: last_exception)
    """What of the end of its log says why it ended; empty where nothing does."""


@dataclass(frozen=True)
class Server:
    """A model server of this machine."""

    name: str
    title: str
    runtimes: tuple[StandsFor, ...]
    environment: str = ""
    """The named environment that it runs in; empty for the model's own interpreter."""
    overlay: str = ""
    """The named overlay that is laid beside the model's own interpreter, where the server needs packages of its own."""
    by_kserve: bool = False
    """Whether this package's model server stands in front, so that the interpreter needs kserve."""
    checks: Callable[[Artifact, Interpreter], Sequence[Check]] = lambda artifact, interpreter: ()
    """What the plan has to tell of serving an artifact under an interpreter, of a server in the model's own. Pure."""
    program: Program | None = None
    """None for this package's runner, which inherits the service's socket and reports by itself."""

    @property
    def needs(self) -> str:
        """The named environment without which it cannot run; empty for none."""
        return self.environment or self.overlay

    def serves(self, model_format: str) -> bool:
        return any(model_format in one.formats for one in self.runtimes)

    def stands_for(self, runtime: str) -> StandsFor | None:
        return next((one for one in self.runtimes if one.name == runtime), None)


def last_exception(log: str) -> str:
    """The last line that ends a Python traceback."""
    found = (line.strip() for line in reversed(log.splitlines()) if _EXCEPTION.fullmatch(line))
    return next(found, "")
