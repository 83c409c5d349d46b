"""What the API server has of an InferenceService, as a :class:`ServiceState`. Pure.

The InferenceService's own status is the least of it: after an update that fails it says Ready and up to date, and its
``observedGeneration`` is that of a Deployment. So revisions are told apart by ReplicaSets, and what went wrong is read
from the pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...entities import ServiceRef
from ...ml import JSON
from ..base import Condition, Manifest, ServiceState
from ..fields import annotations_of, labels_of, mapping, mappings, name_of, number, owner_of, seconds, text
from ..kserve import MANAGER, MODE, OF_SERVICE
from .components import LiveComponent, component_state, condition_of, is_to_come, live_components
from .deployment_mode import can_roll_back, can_split, is_before_pause, is_split, mode_of, shares_of
from .eventlog import about, by_object, is_about
from .field_ownership import is_ours
from .service_objects import Objects

_OURS = f"{MANAGER}/"
_OF_THE_WEBHOOK = ("modelFormat", MODE)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BAD_SPECS = ("InvalidPredictorSpec", "NoSupportingRuntime", "RuntimeNotRecognized", "RuntimeDisabled")


def service_state(
    objects: Objects,
    *,
    context: str,
    logs: Mapping[str, str] = {},
    has_gateway: bool = False,
    now: float | None = None,
) -> ServiceState:
    """The service as people are to be told of it.

    Args:
        logs: last lines of a failed container by pod name, as :func:`wanted_log` asks for them.
        has_gateway: whether the cluster has the Gateway API.
        now: seconds since the epoch; by default, the present.
    """
    metadata = mapping(objects.service.get("metadata"))
    generation = number(metadata.get("generation"))
    parts = live_components(objects, now)
    shares = shares_of(objects, has_gateway=has_gateway)
    answering = [part for part in parts if not is_to_come(objects, part)]
    serving = min((part.serving for part in answering), default=0)
    if len(answering) < len(parts):
        serving = min(serving, generation - 1)
    return ServiceState(
        ref=ServiceRef("cluster", context, text(metadata.get("namespace")), text(metadata.get("name"))),
        manifest=_manifest(objects.service),
        revision=generation,
        serving_revision=serving,
        serving_manifest=_serving_manifest(objects, answering) if 0 < serving < generation else None,
        components=tuple(component_state(part, logs) for part in parts),
        conditions=_conditions(objects, parts),
        url=_url(objects.service),
        external_url=text(mapping(objects.service.get("status")).get("url")),
        created=seconds(metadata.get("creationTimestamp")),
        updated=_updated(objects.service),
        deleting=bool(metadata.get("deletionTimestamp")),
        ours=is_ours(objects.service),
        mode=mode_of(objects.service),
        shares=shares,
        can_pause=not is_before_pause(objects.service) and not is_split(objects.service),
        can_split=can_split(objects.service, has_gateway=has_gateway),
        can_roll_back=can_roll_back(objects.service, shares),
    )


def wanted_log(objects: Objects) -> tuple[str, str, bool] | None:
    """(pod, container, previous): whose last lines say why the newest revision failed; None where nothing ended."""
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    for part in live_components(objects, None):
        for one in part.pods:
            verdict = one.verdict
            if one.revision == generation and not one.ready and verdict.exit_code is not None:
                return name_of(one.pod), verdict.container, verdict.previous
    return None


def grouped(
    services: Sequence[Manifest],
    deployments: Sequence[Manifest],
    replicasets: Sequence[Manifest],
    pods: Sequence[Manifest],
    events: Sequence[Manifest],
    knative: Sequence[Manifest] = (),
    revisions: Sequence[Manifest] = (),
    *,
    routes: Sequence[Manifest] | None = (),
) -> dict[str, Objects]:
    """The objects of a whole namespace by the service that they belong to."""
    found: dict[str, Objects] = {}
    # Looked up rather than looked for: there may be hundreds of each, and this is done at every change.
    kinds = (deployments, replicasets, pods, knative, revisions)
    labelled = [_by(some, lambda o: text(labels_of(o).get(OF_SERVICE))) for some in kinds]
    told = _by(events, about)
    routed = _by(routes or (), owner_of)
    for service in services:
        name = name_of(service)
        mine = [some.get(name, []) for some in labelled]
        named = zip(("Deployment", "ReplicaSet", "Pod", "Service", "Revision"), mine, strict=True)
        uids = {f"{kind}/{name_of(o)}": _uid(o) for kind, some in named for o in some}
        # The autoscaler of a Deployment has its name. It is not read, so any of that name will do.
        uids |= {f"HorizontalPodAutoscaler/{name_of(o)}": "" for o in mine[0]}
        uids[f"InferenceService/{name}"] = _uid(service)
        of_these = [e for one in uids for e in told.get(one, ()) if is_about(e, uids)]
        found[name] = Objects(
            service,
            deployments=mine[0],
            replicasets=mine[1],
            pods=mine[2],
            events=of_these,
            knative=mine[3],
            revisions=mine[4],
            routes=None if routes is None else routed.get(name, ()),
        )
    return found


def _by(objects: Sequence[Manifest], key: Callable[[Manifest], str]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for one in objects:
        found.setdefault(key(one), []).append(one)
    return found


def _serving_manifest(objects: Objects, answering: Sequence[LiveComponent]) -> Manifest | None:
    """The service with the components that answer, and what their oldest pods that are ready say of themselves."""
    ready = [one for part in answering for one in part.pods if one.ready]
    if not ready:
        return None
    pod = min(ready, key=lambda one: one.revision).pod
    made = _manifest(objects.service)
    spec, metadata = mapping(made.get("spec")), mapping(made.get("metadata"))
    gone = {"predictor", "transformer"} - {part.component for part in answering}
    of_gone = tuple(f"{_OURS}{component}-" for component in gone)
    described: dict[str, JSON] = {**metadata}
    for kind, said in (("labels", labels_of(pod)), ("annotations", annotations_of(pod))):
        others = {k: v for k, v in mapping(metadata.get(kind)).items() if not k.startswith(_OURS)}
        own = {k: v for k, v in said.items() if k.startswith(_OURS) and not k.startswith(of_gone)}
        described[kind] = {**others, **own}
    return {**made, "metadata": described, "spec": {k: v for k, v in spec.items() if k not in gone}}


def _conditions(objects: Objects, parts: Sequence[LiveComponent]) -> tuple[Condition, ...]:
    """KServe's, and what it says elsewhere in words of its own."""
    status = mapping(objects.service.get("status"))
    found = [condition_of(c) for c in mappings(status.get("conditions"))]
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    for part in parts:
        if part.overdue and part.serving < generation:
            slow = next((p.verdict.message for p in part.pods if not p.ready and p.verdict.message), "")
            what = f"{slow.rstrip('.')}. {part.overdue}" if slow else part.overdue
            kind = f"{part.component.capitalize()}Progressing"
            found.append(Condition(kind, "False", "ProgressDeadlineExceeded", what))
    failure = _model_failure(objects, parts)
    return (*found, failure) if failure else tuple(found)


def _model_failure(objects: Objects, parts: Sequence[LiveComponent]) -> Condition | None:
    """What modelStatus has against the spec or the model.

    It is about the first pod alone and stays as it was when that comes right, so pods are believed before it.
    """
    status = mapping(objects.service.get("status"))
    model = mapping(status.get("modelStatus"))
    info = mapping(model.get("lastFailureInfo"))
    reason = text(info.get("reason"))
    said = text(info.get("message")).strip().rpartition("\n")[2].strip()
    if model.get("transitionStatus") == "InvalidSpec":
        told = by_object(objects).get(f"InferenceService/{name_of(objects.service)}", [])
        errors = [e.message for e in told if e.reason == "InternalError"]
        return Condition(
            "ModelReady", "False", reason if reason in _BAD_SPECS else "InvalidSpec", (errors or [said])[-1]
        )
    if mapping(model.get("states")).get("targetModelState") != "FailedToLoad":
        return None
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    if any(generation in part.revisions for part in parts):
        return None
    refusals = [text(c.get("message")) for c in mappings(status.get("conditions")) if c.get("status") == "False"]
    return Condition("ModelReady", "False", "ModelLoadFailed", said or next((r for r in refusals if r), ""))


def _manifest(service: Manifest) -> Manifest:
    """The service as somebody would write it: without status, and without what the webhook leaves empty."""
    metadata = mapping(service.get("metadata"))
    kept: dict[str, JSON] = {k: metadata[k] for k in ("name", "namespace", "labels") if k in metadata}
    annotations = {k: v for k, v in annotations_of(service).items() if k != _APPLIED and _is_somebodys(k, metadata)}
    if annotations:
        kept["annotations"] = annotations
    spec = {k: _without_defaults(v) for k, v in mapping(service.get("spec")).items()}
    # The items of a list do not say what they are.
    kind = text(service.get("kind")) or "InferenceService"
    version = text(service.get("apiVersion")) or "serving.kserve.io/v1beta1"
    return {"apiVersion": version, "kind": kind, "metadata": kept, "spec": spec}


def _is_somebodys(note: str, metadata: Mapping[str, JSON]) -> bool:
    """Whether somebody has set this annotation: what the webhook writes has no owner."""
    if note not in _OF_THE_WEBHOOK:
        return True
    managed = mappings(metadata.get("managedFields"))
    owned = [mapping(mapping(mapping(m.get("fieldsV1")).get("f:metadata")).get("f:annotations")) for m in managed]
    return any(f"f:{note}" in fields for fields in owned)


def _without_defaults(component: JSON) -> JSON:
    if not isinstance(component, Mapping):
        return component
    cleaned = dict(component)
    if "model" in cleaned:
        cleaned["model"] = _without_empty(cleaned["model"])
    if isinstance(cleaned.get("containers"), list):
        cleaned["containers"] = [_without_empty(c) for c in mappings(cleaned["containers"])]
    return cleaned


def _without_empty(container: JSON) -> JSON:
    return {
        k: v for k, v in mapping(container).items() if not ((k == "name" and v == "") or (k == "resources" and not v))
    }


def _url(service: Manifest) -> str:
    """The entry component's address in the cluster; ``status.url`` is there whether or not anything answers it."""
    status = mapping(service.get("status"))
    entry = "transformer" if "transformer" in mapping(service.get("spec")) else "predictor"
    of_entry = mapping(mapping(mapping(status.get("components")).get(entry)).get("address"))
    return text(mapping(status.get("address")).get("url")) or text(of_entry.get("url"))


def _updated(service: Manifest) -> float:
    metadata = mapping(service.get("metadata"))
    written = [m.get("time") for m in mappings(metadata.get("managedFields"))]
    turned = [c.get("lastTransitionTime") for c in mappings(mapping(service.get("status")).get("conditions"))]
    return max(seconds(t) for t in (metadata.get("creationTimestamp"), *written, *turned))


def _uid(one: Manifest) -> str:
    return text(mapping(one.get("metadata")).get("uid"))
