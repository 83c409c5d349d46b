"""What a manifest says about how its service is spoken to."""

from __future__ import annotations

from collections.abc import Mapping

from ..engines.base import Component, Manifest
from ..engines.fields import annotations_of, mapping
from ..engines.kserve import MODEL_KIND
from ..formats import hftasks
from ..ml import JSON
from .containers import SERVER


def serves_format(manifest: Manifest) -> bool:
    """Whether the predictor serves a model in a framework's own format, rather than being somebody's own code."""
    return bool(mapping(_component(manifest, "predictor").get("model"))) or runs_own_server(manifest)


def runs_own_server(manifest: Manifest) -> bool:
    """Whether the predictor serves such a model with this package's server, in a container."""
    return bool(variables(_component(manifest, "predictor")).get(MODEL_KIND))


def format_of(manifest: Manifest) -> str:
    """The format of the model that the predictor serves; empty for somebody's own code."""
    predictor = _component(manifest, "predictor")
    told = mapping(mapping(predictor.get("model")).get("modelFormat")).get("name")
    return str(told or variables(predictor).get(MODEL_KIND) or "")


def answers_itself(manifest: Manifest, engine: str) -> bool:
    """Whether this package's server answers for a framework's model: on this machine always."""
    return runs_own_server(manifest) or (engine == "local" and serves_format(manifest))


def variables(component: Mapping[str, JSON]) -> dict[str, str]:
    """The environment of a component's server, of its ``model`` or first container; without values from elsewhere."""
    containers = component.get("containers")
    first = containers[0] if isinstance(containers, list) and containers else component.get("model")
    listed = mapping(first).get("env")
    given = [mapping(one) for one in listed] if isinstance(listed, list) else []
    return {str(one.get("name")): str(one["value"]) for one in given if one.get("value") is not None}


def is_intercepted(manifest: Manifest) -> bool:
    """Whether a batcher or logger stands in front of a component, for requests by REST alone."""
    parts = (_component(manifest, part) for part in ("predictor", "transformer"))
    return any(part.get(one) for part in parts for one in ("batcher", "logger"))


def has_v2_grpc(manifest: Manifest) -> bool:
    """Whether the predictor's gRPC may be v2's: TensorFlow Serving, which KServe takes for TensorFlow's models where no
    runtime is named, has one of its own. A runtime's name counts where it is not known which program it runs."""
    if server := annotations_of(manifest).get(SERVER):
        return server != "tensorflow-serving"
    model = mapping(_component(manifest, "predictor").get("model"))
    runtime = str(model.get("runtime") or format_of(manifest))
    return runtime != "tensorflow" and "tensorflow-serving" not in runtime


def wire_name(manifest: Manifest, component: Component) -> str:
    """The model's name in URLs: what ``--model_name`` of the component says, else the service's name."""
    told = hftasks.argument_in(_words(manifest, component), "--model_name")
    return told or str(mapping(manifest.get("metadata")).get("name") or "")


def task_of(manifest: Manifest) -> str:
    """The task that a model of transformers is served with, where an argument names it; empty where its record does."""
    if format_of(manifest) != "huggingface":
        return ""
    task = hftasks.by_name(hftasks.argument_in(_words(manifest, "predictor")))
    return task.name if task else ""


def _words(manifest: Manifest, component: Component) -> list[str]:
    """The arguments of a component's server."""
    own = _component(manifest, component)
    containers = own.get("containers")
    first = containers[0] if isinstance(containers, list) and containers else own.get("model")
    args = mapping(first).get("args")
    return [str(word) for word in args] if isinstance(args, list) else []


def _component(manifest: Manifest, component: str) -> Mapping[str, JSON]:
    return mapping(mapping(manifest.get("spec")).get(component))
