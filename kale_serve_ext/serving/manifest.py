"""The InferenceService that is asked for, as KServe's v1beta1 manifest. Pure: everything that it says is passed in.

``modelFormat``, ``runtime`` and ``protocolVersion`` are always written: leaving them to KServe is the commonest reason
for a first deployment to fail. KServe converts no protocol between transformer and predictor and tells the transformer
nothing about it, so ``--predictor_protocol v2`` is added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engines.base import AS_LOGGED, Component, Manifest, Staged, Use
from ..engines.fields import listed, mapping
from ..engines.kserve import (
    MANAGED_BY,
    MANAGER,
    MODE,
    MODEL_KIND,
    OWN_RUNTIME,
    SERVING,
    STOP,
)
from ..entities import Artifact
from ..formats import known
from ..ml import JSON
from ..modelmeta import METHOD, PROBABILITIES, VERIFY
from .canary import changed, with_canary
from .config import Config, for_component, merge_env
from .containers import (
    CONTAINER,
    IN_CONTAINER,
    NODE,
    NODES,
    PREDICTOR_PROTOCOL,
    PREFIX,
    SERVER,
    container_of,
    container_wanted,
    has_container,
    sidecars,
    with_env,
)
from .overlay import PACKAGES, overlay

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"

_IN_MODEL = ("runtimeVersion", "model")
_OF_SERVER = (*IN_CONTAINER, "env", "envFrom", "resources")
"""What of ``predictor.model`` is about its container, whatever runs in it."""
_OURS = ("env", "envFrom", "requests", "limits", "resources", "container", "containers", "runtime", "protocolVersion")


@dataclass(frozen=True)
class ServedArtifact:
    """An artifact in its place in a service: where the engine finds its files, and which Python runs it (locally)."""

    artifact: Artifact
    staged: Staged
    python: str = ""
    use: Use = AS_LOGGED
    """What is to load it."""


@dataclass(frozen=True)
class Wanted:
    """Everything that a manifest is made from. ``model`` is None where the config brings its own predictor container.

    ``image_tag`` is the version of this package, which names the images of the code that it brings along.
    """

    name: str
    namespace: str
    protocol: str
    model: ServedArtifact | None = None
    transformer: ServedArtifact | None = None
    runtime: str = ""
    """A ServingRuntime's name, or that of this package's own model server; empty for people's own code."""
    method: str = ""
    """The estimator's method that answers; the usual one when empty."""
    verify: str = ""
    """``require`` or ``off``; what is usual when empty."""
    config: Config | None = None
    image_tag: str = "latest"
    paused: bool = False
    mode: str = ""
    """The deployment mode, unless the config says another; the cluster's own when empty."""
    onto: Manifest | None = None
    """What the service is now, where it is to be changed: what is not asked for stays."""
    replicas: int | None = None
    canary: int | None = None
    """Percent of the requests that the new version gets."""
    canary_of: Manifest | None = None
    """What the service is now, where its predictor is to stay and the new one to run beside it, in Standard mode."""


def build(wanted: Wanted) -> Manifest:
    """The manifest."""
    made = _built(wanted)
    if wanted.onto:
        made = overlay(wanted.onto, made, wanted.config or {})
    if wanted.canary_of and wanted.canary is not None:
        return with_canary(changed(wanted.canary_of, wanted.replicas), made, wanted.canary)
    return changed(made, wanted.replicas, wanted.canary)


def _built(wanted: Wanted) -> Manifest:
    config, annotations = _split(wanted.config or {})
    spec: dict[str, JSON] = {"predictor": _predictor(wanted, for_component(config, "predictor"))}
    own = for_component(config, "transformer")
    if wanted.transformer or container_of(own):
        spec["transformer"] = _transformer(wanted, own)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": _labels(wanted),
            "annotations": {**_annotations(wanted), **annotations},
        },
        "spec": spec,
    }


def _split(config: Config) -> tuple[Config, dict[str, JSON]]:
    """The config without KServe's own annotations, and these: it reads them of the service, not of a component."""
    given = mapping(config.get("annotations"))
    annotations = {k: v for k, v in given.items() if k.startswith(SERVING)}
    return {
        **config,
        "annotations": {k: v for k, v in given.items() if k not in annotations},
    } if annotations else config, annotations


def _labels(wanted: Wanted) -> dict[str, JSON]:
    labels: dict[str, JSON] = {MANAGED_BY: MANAGER}
    for role, part in (("model", wanted.model), ("transformer", wanted.transformer)):
        if part:
            labels[f"{PREFIX}{role}-id"] = str(part.artifact.id)
    return labels


def _annotations(wanted: Wanted) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    parts: tuple[tuple[str, Component, ServedArtifact | None], ...] = (
        ("model", "predictor", wanted.model),
        ("transformer", "transformer", wanted.transformer),
    )
    for role, component, part in parts:
        if not part:
            continue
        found[f"{PREFIX}{role}-name"] = part.artifact.name
        found[f"{PREFIX}{role}-version"] = part.artifact.version
        if part.artifact.digest:
            found[f"{PREFIX}{role}-digest"] = part.artifact.digest
        if part.python:
            found[f"{PREFIX}{component}-python"] = part.python
        if part.staged.node:
            found[f"{PREFIX}{component}-node"] = part.staged.node
        is_code = role == "transformer" or part.artifact.format == "custom" or wanted.runtime == OWN_RUNTIME
        if is_code and part.staged.image and not has_container(wanted.config or {}, component):
            found[f"{PREFIX}{component}-image"] = part.staged.image
        found.update(part.staged.annotations)
    if wanted.model and wanted.model.use.server:
        found[SERVER] = wanted.model.use.server
    if wanted.paused:
        found[STOP] = "true"
    if wanted.mode:
        found[MODE] = wanted.mode
    return found


def _predictor(wanted: Wanted, own: Config) -> dict[str, JSON]:
    spec = _component(own, wanted.model)
    container = container_wanted(own)
    part = wanted.model
    if part is None:
        spec["containers"] = [{**container, "name": CONTAINER, "args": _args(container, wanted.name)}, *sidecars(own)]
        return spec
    if part.artifact.format == "custom" or wanted.runtime == OWN_RUNTIME:
        spec["containers"] = [_server(wanted, part, own, container), *sidecars(own)]
        return spec
    model: dict[str, JSON] = {
        "modelFormat": {"name": part.artifact.format},
        "runtime": wanted.runtime,
        "protocolVersion": wanted.protocol,
        "storageUri": part.staged.storage_uri,
    }
    extra = {**mapping(own.get("model")), **container}
    if told := _arguments(part.artifact, wanted.runtime, listed(extra.get("args"))):
        extra["args"] = [*told, *listed(extra.get("args"))]
    if "runtimeVersion" in own:
        extra["runtimeVersion"] = own["runtimeVersion"]
    # The image's container is unnamed here: KServe forbids a name in `model`.
    made = {**{k: v for k, v in extra.items() if k != "name"}, **model}
    spec["model"] = with_env(made, _given_env(wanted, extra), _answering(wanted))
    return spec


def _arguments(artifact: Artifact, runtime: str, given: list[JSON]) -> list[str]:
    """What the runtime is told of the model, but for what the config says itself."""
    format_ = known(artifact.format)
    said = {str(word).partition("=")[0] for word in given}
    return [
        one for one in (format_.arguments(artifact, runtime) if format_ else ()) if one.partition("=")[0] not in said
    ]


def _server(wanted: Wanted, part: ServedArtifact, own: Config, container: Mapping[str, JSON]) -> dict[str, JSON]:
    """This package's server: with people's own code, or with a model in a framework's format."""
    artifact = part.artifact
    env = _env(STORAGE_URI=part.staged.storage_uri, PROTOCOL=wanted.protocol)
    if artifact.format == "custom":
        details = artifact.details
        env += _env(KALE_SERVE_MODULE=details.get("module_name"), KALE_SERVE_CLASS=details.get("class_name"))
    else:
        env += _env(**{MODEL_KIND: artifact.format, PACKAGES: _made_with(artifact)})
        # What is given for a stock runtime's container is meant for this one too.
        container = {**{k: v for k, v in mapping(own.get("model")).items() if k in _OF_SERVER}, **container}
    made: dict[str, JSON] = {
        "image": part.staged.image or f"kale-serve-ext/predictor:{wanted.image_tag}",
        **container,
        "name": CONTAINER,
        "args": _args(container, wanted.name),
    }
    return with_env(made, _given_env(wanted, container), [*env, *_answering(wanted)])


def _given_env(wanted: Wanted, container: Mapping[str, JSON]) -> list[JSON]:
    """The variables of the config, but for those that the method stands for."""
    said = (METHOD, PROBABILITIES) if wanted.method else ()
    return [v for v in listed(container.get("env")) if mapping(v).get("name") not in said]


def _answering(wanted: Wanted) -> list[JSON]:
    """The variables about the method that answers and about recorded rows."""
    method = wanted.method if wanted.method != "predict" else ""
    probabilities = "true" if method == "predict_proba" and wanted.runtime != OWN_RUNTIME else ""
    return _env(**{METHOD: method, PROBABILITIES: probabilities, VERIFY: wanted.verify.replace("warn", "")})


def _made_with(artifact: Artifact) -> str:
    made = artifact.environment
    versions = {**made.packages, **({"python": made.python_version} if made.python_version else {})}
    return " ".join(f"{name}=={version}" for name, version in sorted(versions.items()))


def _transformer(wanted: Wanted, own: Config) -> dict[str, JSON]:
    spec = _component(own, wanted.transformer)
    container = container_wanted(own)
    args = _args(container, wanted.name)
    if wanted.protocol == "v2":
        args += [PREDICTOR_PROTOCOL, "v2"]
    made: dict[str, JSON] = {**container, "name": CONTAINER, "args": args}
    if wanted.transformer:
        details = wanted.transformer.artifact.details
        env = _env(
            STORAGE_URI=wanted.transformer.staged.storage_uri,
            KALE_SERVE_MODULE=details.get("module_name"),
            KALE_SERVE_CLASS=details.get("class_name"),
        )
        made["env"] = merge_env(listed(container.get("env")), env)
        usual = f"kale-serve-ext/transformer:{wanted.image_tag}"
        made.setdefault("image", wanted.transformer.staged.image or usual)
    spec["containers"] = [made, *sidecars(own)]
    return spec


def _component(own: Config, part: ServedArtifact | None) -> dict[str, JSON]:
    """The fields that belong to the component itself (replicas, scheduling, account), in KServe's words."""
    spec = {k: v for k, v in own.items() if k not in _OURS + IN_CONTAINER + _IN_MODEL}
    if part and part.staged.node:
        spec[NODES] = {NODE: part.staged.node, **mapping(own.get(NODES))}
    return spec


def _args(container: Mapping[str, JSON], name: str) -> list[JSON]:
    given = listed(container.get("args"))
    named = any(str(word).partition("=")[0] == "--model_name" for word in given)
    return given if named else ["--model_name", name, *given]


def _env(**values: JSON) -> list[JSON]:
    return [{"name": name, "value": str(value)} for name, value in values.items() if value]
