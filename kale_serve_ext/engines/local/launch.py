"""From a manifest to the processes that it asks for. Pure."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from urllib.parse import unquote, urlsplit

from ...errors import InvalidInputError
from ...formats import served
from ...ml import JSON
from ..base import Component, Manifest
from ..containers import check_container
from ..fields import mapping
from ..kserve import MODEL_KIND, model_protocol
from . import servers
from .resources import amount

PREFIX = "kale-serve-ext/"
IDLE_LIMIT = f"{PREFIX}idle-limit"
"""Annotation: seconds without a request after which the service pauses itself."""
_MAX_REPLICAS = 64


@dataclass(frozen=True)
class Launch:
    """One component: what each of its processes runs, and how many there are."""

    component: Component
    kind: str
    """A format's name, such as ``sklearn`` or ``custom``; or ``transformer``."""
    path: str
    python: str
    """The model's own interpreter; a server may have one of its own."""
    listener: str
    """``entry`` where clients connect, ``predictor`` behind a transformer."""
    digest: str = ""
    protocol: str = "v1"
    module_name: str = ""
    class_name: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    memory_limit: float = 0.0
    """Bytes; 0 is none."""
    cpu_limit: float = 0.0
    """Cores; 0 is none."""
    server: str = "kserve"
    """The name of the server that runs it."""

    @property
    def fingerprint(self) -> str:
        """Equal for two launches whose processes are interchangeable."""
        value = {k: v for k, v in asdict(self).items() if k != "replicas"}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def launches(manifest: Manifest, *, stays: bool = False) -> list[Launch]:
    """The components of a manifest, the predictor first.

    Args:
        stays: whether it is a service's already. An earlier version of this package took any name for a runtime; such
            a service goes on being served by this package's own server.

    Raises:
        InvalidInputError: the manifest asks for something that cannot be run here; names the field.
    """
    spec = mapping(manifest.get("spec"))
    annotations = mapping(mapping(manifest.get("metadata")).get("annotations"))
    predictor = mapping(spec.get("predictor"))
    transformer = mapping(spec.get("transformer"))
    if spec.get("explainer"):
        raise InvalidInputError("Explainers do not run on the local engine.", hint="Leave spec.explainer out.")
    idle_limit(manifest)
    made = [_predictor(predictor, annotations, "predictor" if transformer else "entry", stays)]
    if transformer:
        made.append(_transformer(transformer, annotations, made[0].protocol))
    return made


def unknown_runtime(manifest: Manifest) -> str:
    """The name of the predictor's runtime where this machine has no such; else empty."""
    model = mapping(mapping(mapping(manifest.get("spec")).get("predictor")).get("model"))
    runtime = str(model.get("runtime") or "")
    return runtime if runtime and servers.of_runtime(runtime) is None else ""


def idle_limit(manifest: Manifest) -> float:
    """Seconds without a request after which the service pauses; 0 is never."""
    text = str(mapping(mapping(manifest.get("metadata")).get("annotations")).get(IDLE_LIMIT) or "")
    return amount(text, IDLE_LIMIT) if text else 0.0


def _predictor(spec: Mapping[str, JSON], annotations: Mapping[str, JSON], listener: str, stays: bool) -> Launch:
    model = mapping(spec.get("model"))
    check_container(model, "spec.predictor.model", unique=False)
    if not model:
        # As it is written for a cluster, where this package's server is a container for models too.
        return _container("predictor", _own_kind(spec) or "custom", spec, annotations, listener, "model", "")
    kind = str(mapping(model.get("modelFormat")).get("name") or "")
    protocol = model_protocol(model)
    server = _server(str(model.get("runtime") or ""), kind, protocol, stays)
    return Launch(
        component="predictor",
        kind=kind,
        path=_folder(str(model.get("storageUri") or ""), "spec.predictor.model.storageUri"),
        python=_python(annotations, "predictor"),
        listener=listener,
        digest=str(annotations.get(f"{PREFIX}model-digest") or ""),
        protocol=protocol,
        args=_args(model),
        env=environment(model),
        replicas=_replicas(spec, "predictor"),
        memory_limit=_limit(model, "memory"),
        cpu_limit=_limit(model, "cpu"),
        server=server,
    )


def _server(runtime: str, kind: str, protocol: str, stays: bool) -> str:
    """The name of the server for a runtime; without one, this package's own."""
    found = servers.of_runtime(runtime) if runtime else None
    if runtime and found is None and not stays:
        faults = "; ".join(f"{name}: {why}" for name, why in servers.broken().items())
        raise InvalidInputError(
            f"There is no runtime {runtime[:100]!r} on this machine.",
            hint=f"Choose another runtime. Left out were {faults}." if faults else "Choose another runtime.",
            field="runtime",
        )
    if found and found.program:
        stands = found.stands_for(runtime.partition("--")[0])
        if stands and kind in stands.formats:
            if protocol not in stands.protocols:
                raise InvalidInputError(
                    f"{found.title} does not speak the protocol {protocol[:20]!r}.",
                    hint=f"Choose {' or '.join(stands.protocols)}, or another runtime.",
                    field="protocol",
                )
            return found.name
        raise InvalidInputError(
            f"{found.title} has no support for the format {kind!r}.",
            hint=f"It serves {', '.join(stands.formats if stands else ())}. Choose another runtime.",
            field="runtime",
        )
    if kind not in (formats := served()):
        raise InvalidInputError(
            f"The local engine has no server for the format {kind!r}.",
            hint=f"It serves {', '.join(formats)} and custom code.",
            field="runtime",
        )
    return next((one.name for one in servers.ours() if one.program is None and one.serves(kind)), "kserve")


def _own_kind(spec: Mapping[str, JSON]) -> str:
    """The format of a model that this package's server has in a container; empty of people's own code."""
    containers = spec.get("containers")
    first = mapping(containers[0]) if isinstance(containers, list) and containers else {}
    kind = environment(first).get(MODEL_KIND, "")
    return kind if kind in served() else ""


def _transformer(spec: Mapping[str, JSON], annotations: Mapping[str, JSON], protocol: str) -> Launch:
    return _container("transformer", "transformer", spec, annotations, "entry", "transformer", protocol)


def _container(
    component: Component,
    kind: str,
    spec: Mapping[str, JSON],
    annotations: Mapping[str, JSON],
    listener: str,
    role: str,
    protocol: str,
) -> Launch:
    containers = spec.get("containers")
    first = mapping(containers[0]) if isinstance(containers, list) and containers else {}
    check_container(first, f"spec.{component}.containers[0]", unique=False)
    env = environment(first)
    uri = env.pop("STORAGE_URI", "")
    if not uri:
        raise InvalidInputError(
            f"The {component} is a container image ({str(first.get('image') or 'unnamed')[:200]}); "
            "the local engine runs logged artifacts only.",
            hint="Log the code as a Model or Transformer, or serve it on a cluster.",
            field=component,
        )
    return Launch(
        component=component,
        kind=kind,
        path=_folder(uri, f"STORAGE_URI of the {component}"),
        python=_python(annotations, component),
        listener=listener,
        digest=str(annotations.get(f"{PREFIX}{role}-digest") or ""),
        protocol=protocol or env.get("PROTOCOL", "v1"),
        module_name=env.pop("KALE_SERVE_MODULE", ""),
        class_name=env.pop("KALE_SERVE_CLASS", ""),
        args=_args(first),
        env=env,
        replicas=_replicas(spec, component),
        memory_limit=_limit(first, "memory"),
        cpu_limit=_limit(first, "cpu"),
    )


def environment(container: Mapping[str, JSON]) -> dict[str, str]:
    """The variables that are given as values; those from secrets and config maps exist in a cluster only."""
    given = container.get("env")
    found: dict[str, str] = {}
    for item in given if isinstance(given, list) else ():
        variable = mapping(item)
        if variable.get("name") and "valueFrom" not in variable:
            value = variable.get("value")
            found[str(variable["name"])] = "" if value is None else str(value)
    return found


def _python(annotations: Mapping[str, JSON], component: Component) -> str:
    name = f"{PREFIX}{component}-python"
    given = str(annotations.get(name) or sys.executable)
    if "\0" in given:
        raise InvalidInputError(f"The annotation {name} is {given[:200]!r}, which is not a path.", field="runtime")
    return given


def _folder(uri: str, field_name: str) -> str:
    parts = urlsplit(uri)
    is_local = parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/")
    if not is_local or "\0" in unquote(parts.path):
        raise InvalidInputError(
            f"{field_name} is {uri[:200]!r}; the local engine reads snapshots of this machine (file:///…) only.",
            hint="Log the artifact with the file store.",
        )
    return unquote(parts.path)


def _args(container: Mapping[str, JSON]) -> tuple[str, ...]:
    given = container.get("args")
    return tuple(str(a) for a in given) if isinstance(given, list) else ()


def _replicas(spec: Mapping[str, JSON], component: str) -> int:
    given = spec.get("minReplicas")
    if given is None or given == 0:
        return 1
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= _MAX_REPLICAS:
        raise InvalidInputError(
            f"spec.{component}.minReplicas is {given!r}.", hint=f"Give a number from 1 to {_MAX_REPLICAS}."
        )
    return given


def _limit(container: Mapping[str, JSON], resource: str) -> float:
    given = mapping(mapping(container.get("resources")).get("limits")).get(resource)
    return amount(str(given), f"The {resource} limit") if given not in (None, "") else 0.0
