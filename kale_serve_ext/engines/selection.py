"""Which engine new services go to: the configured one, the one chosen in the panel, or the one that is found.

Kernels, scripts and the Jupyter server decide by the same rules. A choice is kept in the data directory, so that all of
them follow it at once. Everything here blocks: call it on a thread where a loop runs.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..config import PREFIX, Settings, make_dir
from ..errors import BackendUnavailableError, InvalidInputError, KaleServeError
from .base import EngineInfo

if TYPE_CHECKING:
    from .cluster.credentials import Place

DEFAULT_NAMESPACE = "default"
TRY_AGAIN = 60.0
"""Seconds for which a cluster that did not answer is not asked again."""

By: TypeAlias = Literal["configured", "chosen", "found"]


@dataclass(frozen=True)
class Decision:
    """Where new services go, and why."""

    info: EngineInfo
    by: By
    reason: str
    """A sentence for people."""
    failed: bool = False
    """Whether a cluster was sought and could not be asked."""


@dataclass(frozen=True)
class Choice:
    """What the user chose in the panel. ``context`` and ``namespace`` are of the cluster."""

    kind: str
    context: str = ""
    namespace: str = ""


def decide(settings: Settings) -> Decision:
    """The engine of new services. What is found is found once in a process; asks a cluster for a few seconds at most.

    Raises:
        InvalidInputError: the configured engine does not exist.
    """
    if settings.engine:
        return Decision(_configured(settings), "configured", f"Set by {PREFIX}ENGINE or KaleServeApp.engine.")
    choice = read_choice(settings.data_dir)
    if choice is not None:
        return Decision(_chosen(settings, choice), "chosen", "Chosen in the panel.")
    return _found(settings)


def target(settings: Settings, kind: str = "", namespace: str = "") -> tuple[str, str, str]:
    """Kind, context and namespace of the engine that a caller means; what is empty is as decided."""
    if kind in ("", settings.engine):
        info = decide(settings).info
        return info.kind, info.context, namespace or info.namespace
    choice = None if settings.engine else read_choice(settings.data_dir)
    if choice is not None and choice.kind == kind:
        return kind, choice.context, namespace or choice.namespace
    return kind, "", namespace


def local_info(settings: Settings) -> EngineInfo:
    from .local.info import info

    return info(settings.namespace or DEFAULT_NAMESPACE)


def cluster_info(place: Place, namespace: str) -> EngineInfo:
    from .cluster.engine import info

    return info(place, namespace)


def read_choice(data_dir: Path) -> Choice | None:
    """The choice; None where there is none, or none that makes sense."""
    try:
        given = json.loads(_file(data_dir).read_text("utf-8"))
        choice = Choice(**{one.name: given[one.name] for one in fields(Choice) if one.name in given})
    except (OSError, ValueError, TypeError):
        return None
    if not all(isinstance(value, str) for value in asdict(choice).values()):
        return None
    named = bool(choice.context and choice.namespace)
    return choice if choice.kind == "local" or (choice.kind == "cluster" and named) else None


def write_choice(data_dir: Path, choice: Choice | None) -> None:
    """Keep the choice; None withdraws it.

    Raises:
        BackendUnavailableError: it cannot be written.
    """
    from .local.home import write_json

    make_dir(data_dir)
    try:
        if choice is None:
            _file(data_dir).unlink(missing_ok=True)
        else:
            write_json(_file(data_dir), asdict(choice))
    except OSError as error:
        raise BackendUnavailableError(
            f"The choice cannot be saved in {data_dir}: {error.strerror or error}.", hint="Make room for it."
        ) from error


def _file(data_dir: Path) -> Path:
    return data_dir / "engine.json"


def _configured(settings: Settings) -> EngineInfo:
    if settings.engine == "local":
        return local_info(settings)
    if settings.engine != "cluster":
        raise InvalidInputError(
            f"There is no engine {settings.engine[:80]!r}.", hint="Known engines: local, cluster.", field="engine"
        )
    from .cluster.credentials import Place, find_place

    try:
        place = find_place(settings.kubeconfig, settings.context)
    except BackendUnavailableError:
        # Told by whoever uses the engine; until then it can be shown.
        place = Place(settings.context, DEFAULT_NAMESPACE)
    return cluster_info(place, settings.namespace)


def _chosen(settings: Settings, choice: Choice) -> EngineInfo:
    if choice.kind == "local":
        return local_info(settings)
    from .cluster.credentials import Place

    return cluster_info(Place(choice.context, choice.namespace), choice.namespace)


_lock = threading.Lock()
_asked: dict[Settings, tuple[Decision, float]] = {}
"""What was found, and until when it holds."""


def _found(settings: Settings) -> Decision:
    from .cluster.credentials import has_kubeconfig, in_pod

    if not in_pod() and not has_kubeconfig(settings.kubeconfig):
        return Decision(local_info(settings), "found", "There is no kubeconfig here, and this is no pod of a cluster.")
    with _lock:
        decision, until = _asked.get(settings, (None, 0.0))
        if decision is None or time.monotonic() > until:
            decision = _ask(settings)
            _asked[settings] = decision, time.monotonic() + TRY_AGAIN if decision.failed else float("inf")
        return decision


def _ask(settings: Settings) -> Decision:
    from .cluster.credentials import IN_CLUSTER, find_place
    from .cluster.discovery import has_kind

    here = local_info(settings)
    try:
        place = find_place(settings.kubeconfig, settings.context)
        if not has_kind(place):
            return Decision(here, "found", f"The cluster of {place.context!r} has no InferenceServices.")
    except KaleServeError as error:
        return Decision(here, "found", f"{error.message} {error.hint}".rstrip(), failed=True)
    except Exception as error:  # what a kubeconfig leads to must not keep this machine's services from running
        return Decision(here, "found", f"The kubeconfig cannot be used ({type(error).__name__}).", failed=True)
    whose = "This pod's cluster" if place.context == IN_CLUSTER else f"The cluster of the context {place.context!r}"
    return Decision(cluster_info(place, settings.namespace), "found", f"{whose} has InferenceServices.")
