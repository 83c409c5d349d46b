"""What differs between two descriptions of a service: in words for people, and field by field. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from ..engines.base import Manifest
from ..engines.kserve import SERVING, is_stopped, share_asked
from ..ml import JSON
from .answering import method_of, verify_of
from .containers import PREFIX
from .overlay import of_container
from .status import protocol_of, python_of, runtime_of, served_artifact
from .types import Difference

_LONGEST = 40
"""Characters of a value that are shown."""


def changes(before: Manifest, after: Manifest) -> tuple[str, ...]:
    """What changes from what to what: the artifacts, how they answer, and the settings. Values of variables are left
    out, which may be secrets.

    Returns:
        ``model iris 1.0.0 → 1.1.0``, ``transformer scale 1: removed``, ``predictor limits.memory 1Gi → 2Gi``, …
    """
    return tuple(_changes(before, after))


def _changes(before: Manifest, after: Manifest) -> Iterator[str]:
    yield from _of_artifact("model", "predictor", before, after)
    yield from _of_artifact("transformer", "transformer", before, after)
    for word, value_of in _FACTS.items():
        old, new = value_of(before), value_of(after)
        if old != new and old and new:
            yield f"{word} {old} → {new}"
    for component in ("predictor", "transformer"):
        if not (_component(before, component) and _component(after, component)):
            continue
        old_ones, new_ones = (_settings(m, component) for m in (before, after))
        for name in dict.fromkeys((*old_ones, *new_ones)):
            if old_ones.get(name) != new_ones.get(name):
                yield f"{component} {_change(name, old_ones.get(name), new_ones.get(name))}"
    if is_stopped(before) != is_stopped(after):
        yield "paused: resumed" if is_stopped(before) else "paused"


def _of_artifact(
    role: Literal["model", "transformer"], component: str, before: Manifest, after: Manifest
) -> Iterator[str]:
    old, new = served_artifact(role, before), served_artifact(role, after)
    if old == new:
        had, has = bool(_component(before, component)), bool(_component(after, component))
        if had != has:  # code that is no artifact
            yield f"{role}: {'removed' if had else 'added'}"
        return
    of_old, of_new = (f"{a.name} {a.version}".strip() if a else "" for a in (old, new))
    if not new or not old:
        yield f"{role} {of_old}: removed" if old else f"{role} {of_new}: added"
    elif of_old == of_new:
        yield f"{role} {of_old}: artifact {old.id} → {new.id}"
    elif old.name == new.name:
        yield f"{role} {of_old} → {new.version}"
    else:
        yield f"{role} {of_old} → {of_new}"


def _replicas(manifest: Manifest) -> str:
    least = _component(manifest, "predictor").get("minReplicas")
    return str(least) if isinstance(least, int) else "1"


_FACTS: Mapping[str, Callable[[Manifest], str]] = {
    "runtime": runtime_of,
    "interpreter": python_of,
    "protocol": protocol_of,
    "method": method_of,
    "recorded answers": verify_of,
    "replicas": _replicas,
    "share of requests": lambda manifest: f"{share_asked(manifest)} %",
}
_TOLD = ("minReplicas", "canaryTrafficPercent", "model", "containers")
"""What of a component is told otherwise."""


def _settings(manifest: Manifest, component: str) -> dict[str, JSON]:
    """What was set on a component, by short names: of a container too, whatever runs in it."""
    own = _component(manifest, component)
    found: dict[str, JSON] = {}
    _flatten({k: v for k, v in own.items() if k not in _TOLD}, "", found)
    _flatten(of_container(own), "", found)
    short = {name.removeprefix(".").removeprefix("resources."): value for name, value in found.items() if name}
    return {name: value for name, value in short.items() if not (name.startswith("env[") and name.endswith("].name"))}


def _change(name: str, old: JSON, new: JSON) -> str:
    if name.startswith("env["):
        variable = name[len("env[") :].partition("]")[0]
        return f"variable {variable}: {'added' if old is None else 'removed' if new is None else 'changed'}"
    if old is None or new is None:
        return f"{name} {_shown(old if new is None else new)}: {'removed' if new is None else 'added'}"
    return f"{name} {_shown(old)} → {_shown(new)}"


def _shown(value: JSON) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def differences(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """What differs between two manifests, field by field: of the spec, and of the entries that this package writes."""
    old, new = _fields(before), _fields(after)
    return tuple(
        Difference(path, old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _fields(manifest: Manifest) -> dict[str, JSON]:
    out: dict[str, JSON] = {}
    _flatten(manifest.get("spec"), "spec", out)
    metadata = manifest.get("metadata")
    for kind in ("labels", "annotations"):
        entries = metadata.get(kind) if isinstance(metadata, Mapping) else None
        for key, value in (entries if isinstance(entries, Mapping) else {}).items():
            if key.startswith((PREFIX, SERVING)):
                out[f"metadata.{kind}.{key}"] = value
    return out


def _flatten(value: JSON, path: str, out: dict[str, JSON]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{path}.{key}", out)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for i, item in enumerate(value):
            name = item.get("name", i) if isinstance(item, Mapping) else i
            _flatten(item, f"{path}[{name}]", out)
    else:
        out[path] = value


def _component(manifest: Manifest, component: str) -> Mapping[str, JSON]:
    spec = manifest.get("spec")
    found = spec.get(component) if isinstance(spec, Mapping) else None
    return found if isinstance(found, Mapping) else {}
