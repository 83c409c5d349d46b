"""What would keep a service from running here, told before it is tried."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...entities import Artifact
from ...errors import InvalidInputError
from ...formats import Format, brought_by, known, same_library, served
from ...ml import JSON
from ..base import Check, Manifest, Runtime
from ..fields import mapping
from ..kserve import CANARY
from . import servers
from .imports import CODE_FORMATS
from .interpreters import Interpreter
from .launch import Launch, launches
from .processes import this_host
from .resources import in_mib

_KSERVE = "kserve>=0.20,<0.22"
_OLDEST_KSERVE = (0, 15)
_OLDEST_PYTHON = (3, 10)
_MOST_NAMED = 6
_IGNORED = {
    "batcher": "request batching",
    "logger": "request logging",
    "nodeSelector": "node selectors",
    "affinity": "affinity",
    "tolerations": "tolerations",
    "serviceAccountName": "service accounts",
    "maxReplicas": "autoscaling",
}


def check_interpreter(
    artifact: Artifact, runtime: Runtime, found: Interpreter, *, by_kserve: bool = True
) -> list[Check]:
    """Whether the runtime's interpreter can load the artifact. Pure.

    Args:
        by_kserve: whether ``kserve.ModelServer`` serves it, so that the interpreter needs that too.
    """
    if by_kserve and not runtime.foreign and (why := _unserved(artifact)):
        return [Check("error", "NotLoaded", why, "Choose another runtime.", "runtime")]
    if not found.ok:
        elsewhere = artifact.environment.host and artifact.environment.host != this_host()
        hint = "Choose a runtime with the Python of one of the installed kernels."
        if elsewhere and runtime.python == artifact.environment.python:
            hint = f"The artifact was made on {artifact.environment.host}. {hint}"
        return [Check("error", "InterpreterMissing", found.message, hint, "runtime")]
    if numbers(found.version)[:2] < _OLDEST_PYTHON:
        message = f"{found.python} is Python {found.version}; 3.10 or newer is needed."
        return [Check("error", "PythonTooOld", message, "Choose a runtime with a newer Python.", "runtime")]
    recorded = {normal(k): v for k, v in artifact.environment.packages.items()}
    needed = dict.fromkeys((*needed_by(known(artifact.format)), *recorded))
    absent = [n for n in needed if n != "kserve" and not version_of(found, n)]
    wanted = [f"{n}=={recorded[n]}" if n in recorded else n for n in absent]
    kserve = found.packages.get("kserve", "")
    if by_kserve and (not kserve or numbers(kserve)[:2] < _OLDEST_KSERVE):
        wanted.insert(0, _KSERVE)
    if wanted:
        names = ", ".join(w.partition("=")[0].partition(">")[0] for w in wanted)
        command = f"{found.python} -m pip install {' '.join(repr(w) for w in wanted)}"
        message = f"The Python {found.python} lacks {names}."
        return [Check("error", "PackageMissing", message, f"Run: {command}", "runtime")]
    told = (*(["kserve"] if by_kserve else ()), *(name for name in needed if name != "kserve"))
    return _skews(artifact, found, recorded) or [_fitting(artifact, found, told)]


def _unserved(artifact: Artifact) -> str:
    format_ = known(artifact.format)
    return format_.unserved(artifact) if format_ else ""


def needed_by(format_: Format | None) -> tuple[str, ...]:
    """The distributions that loading any model of this format needs; the package that brings the format is one."""
    if format_ is None or format_.is_code:
        return ()
    return (*(names[0] for names in format_.needs), *filter(None, (brought_by(format_),)))


def _fitting(artifact: Artifact, found: Interpreter, names: Sequence[str]) -> Check:
    has = ", ".join(f"{name} {version_of(found, name)}" for name in names[:_MOST_NAMED])
    message = f"Python {found.version} has what {artifact.name!r} needs{f': {has}' if has else ''}."
    return Check("ok", "Interpreter", message, "", "runtime")


def _skews(artifact: Artifact, found: Interpreter, recorded: Mapping[str, str]) -> list[Check]:
    checks = []
    made_with = artifact.environment.python_version
    format_ = known(artifact.format)
    bound = format_ is None or format_.needs_same_python
    if bound and made_with and numbers(made_with)[:2] != numbers(found.version)[:2]:
        message = f"The artifact was made with Python {made_with}, and would be loaded with {found.version}."
        checks.append(
            Check("warning", "PythonSkew", message, "Choose the recorded runtime if loading fails.", "runtime")
        )
    for name, version in recorded.items():
        has = version_of(found, name)
        if has and numbers(has)[:2] != numbers(version)[:2]:
            message = f"The artifact was made with {name} {version}; {found.python} has {has}."
            hint = f"If loading fails: {found.python} -m pip install '{name}=={version}'"
            checks.append(Check("warning", "VersionSkew", message, hint, "runtime"))
    return checks


def check_files(artifact: Artifact) -> list[Check]:
    """Whether the snapshot is on this machine."""
    if not artifact.uri.startswith("file:"):
        message = f"The snapshot {artifact.uri[:200]} is not on this machine; the local engine reads files only."
        return [Check("error", "NotLocal", message, "Log the artifact here, or serve it on a cluster.", "version")]
    return []


def check_format(artifact: Artifact) -> list[Check]:
    """Whether there is a local server for the artifact."""
    formats = served()
    if artifact.format in (*formats, *CODE_FORMATS):
        return []
    message = f"The local engine has no server for the format {artifact.format!r}."
    return [
        Check("error", "NoSupportingRuntime", message, f"It serves {', '.join(formats)} and custom code.", "runtime")
    ]


def check_manifest(manifest: Manifest) -> list[Check]:
    """What of the manifest cannot be had here: an error where nothing runs, a warning where it runs without."""
    try:
        wanted = launches(manifest)
    except InvalidInputError as exc:
        return [Check("error", "Unsupported", exc.message, exc.hint, exc.field)]
    checks = [
        Check(
            "error", "SnapshotMissing", f"The snapshot {w.path} does not exist.", "Log the artifact again.", "version"
        )
        for w in wanted
        if not Path(w.path).is_dir()
    ]
    for launch in wanted:
        checks += _resources(launch)
        server = servers.named(launch.server)
        if launch.args and server.program and not server.program.takes_args:
            message = (
                f"{server.title} takes no arguments here: {' '.join(launch.args)[:200]} (spec.predictor.model.args)."
            )
            checks.append(Check("warning", "NotLocal", message, "Leave them out, or give variables."))
        spec = mapping(mapping(manifest.get("spec")).get(launch.component))
        checks += _ignored(launch.component, spec)
        if CANARY in spec:
            message = "On this machine a service runs one version at a time: requests cannot be split."
            hint = "Serve it on a cluster in Knative mode, or leave the share out."
            checks.append(Check("error", "CanaryIgnored", message, hint, "canary"))
        checks += _variables(launch.component, _container(spec))
    return checks


def _resources(launch: Launch) -> list[Check]:
    checks = []
    if launch.memory_limit:
        import psutil

        has = psutil.virtual_memory().total
        if launch.memory_limit > has:
            message = f"The {launch.component} may use {in_mib(launch.memory_limit)}; this machine has {in_mib(has)}."
            checks.append(Check("warning", "MemoryLimit", message))
    if launch.cpu_limit and sys.platform != "linux":
        message = f"The {launch.component}'s CPU limit is only a request to its libraries on this system."
        checks.append(Check("warning", "CpuLimit", message))
    elif launch.cpu_limit:
        cores = len(os.sched_getaffinity(0))
        whole = math.ceil(launch.cpu_limit)
        if whole > cores:
            message = f"The {launch.component} may use {whole} CPUs; this machine gives {cores}."
            checks.append(Check("warning", "CpuLimit", message))
        elif whole != launch.cpu_limit:
            message = f"The {launch.component}'s CPU limit is rounded up to {whole}: here it is kept in whole cores."
            checks.append(Check("warning", "CpuLimit", message))
    return checks


def _ignored(component: str, spec: Mapping[str, JSON]) -> list[Check]:
    checks = [
        Check("warning", "NotLocal", f"The local engine ignores {what} (spec.{component}.{field}).")
        for field, what in _IGNORED.items()
        if spec.get(field)
    ]
    limits = mapping(mapping(_container(spec).get("resources")).get("limits"))
    for name in limits:
        if name not in ("cpu", "memory"):
            checks.append(Check("warning", "NotLocal", f"The local engine does not limit {name} (spec.{component})."))
    if spec.get("minReplicas") == 0:
        checks.append(Check("warning", "NotLocal", f"The local engine keeps one {component} instead of none."))
    return checks


def _variables(component: str, container: Mapping[str, JSON]) -> list[Check]:
    given = container.get("env")
    names = [
        str(mapping(v).get("name")) for v in (given if isinstance(given, list) else ()) if "valueFrom" in mapping(v)
    ]
    checks = []
    if names:
        message = f"The {component} will not get {', '.join(names)}: secrets and config maps exist in a cluster only."
        checks.append(Check("warning", "EnvUnsupported", message, "Give the values themselves for a local test."))
    if container.get("envFrom"):
        message = f"The {component} will not get envFrom: secrets and config maps exist in a cluster only."
        checks.append(Check("warning", "EnvUnsupported", message, "Give the values themselves for a local test."))
    return checks


def _container(spec: Mapping[str, JSON]) -> Mapping[str, JSON]:
    containers = spec.get("containers")
    return mapping(spec.get("model")) or mapping(containers[0] if isinstance(containers, list) and containers else {})


def version_of(found: Interpreter, name: str) -> str:
    return next((found.packages[n] for n in (name, *same_library(name)) if n in found.packages), "")


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def numbers(version: str) -> tuple[int, ...]:
    parts = []
    for piece in version.split("."):
        digits = "".join(c for c in piece if c.isdigit())
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)
