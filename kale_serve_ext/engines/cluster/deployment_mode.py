"""Deployment modes, and the versions of a predictor that share the requests in each. Pure.

In Knative mode a component is a Knative Service. Each change of its pods makes a revision, and the newest gets
``canaryTrafficPercent`` of the requests; the rest goes to the last one that had them all. A revision that nobody asks
has no pods, and the next request starts some. Pausing deletes the Knative Service with all its revisions.

In Standard mode a component is a Deployment. ``spec.canary`` makes others beside the predictor's, which KServe gives a
share of the requests from 0.21 on, by the weights of an HTTPRoute where its ingress uses the Gateway API. Earlier ones
make the Deployment too, and send it nothing. So it is read from the routes who gets what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import ConflictError, InvalidInputError
from ..base import Check, Manifest, RevisionShare
from ..fields import annotations_of, condition, labels_of, mapping, mappings, name_of, number, text
from ..kserve import CANARIES, CANARY, KNATIVE, MODE, STANDARD, canaries_of
from .pods import COMPONENT, revision_of
from .service_objects import Objects

KNATIVE_API, GATEWAY_API = "/apis/serving.knative.dev", "/apis/gateway.networking.k8s.io"

_OLD_WORDS = {"RawDeployment": STANDARD, "Serverless": KNATIVE}


@dataclass(frozen=True)
class Revisions:
    """The revisions of one component, by name; a name is empty where there is no such revision."""

    created: str
    """The newest."""
    ready: str
    """The newest that has been ready."""
    previous: str
    """The one that had all requests before."""
    percents: Mapping[str, int]
    """What each gets of the requests, those left out that get none; in Standard mode, what each is to get."""

    has_route: bool
    """Whether there is a way to it."""

    def reaches(self, revision: str) -> bool:
        """Whether requests reach a revision whose pods are ready: the newest is routed to a little later."""
        return not self.created or (self.has_route and (revision != self.created or self.created == self.ready))


def mode_of(service: Manifest) -> str:
    """``Standard`` or ``Knative`` in today's words; empty where nothing is known yet."""
    said = _mode_word(service)
    return _OLD_WORDS.get(said, said)


def is_before_pause(service: Manifest) -> bool:
    """Whether its KServe is older than 0.16, as the words for the modes tell: that one cannot stop a service.

    A newer one writes its own words over those of an annotation.
    """
    return _mode_word(service) in _OLD_WORDS


def revisions_of(service: Manifest, component: str) -> Revisions:
    """Those of a component that Knative runs, or of a predictor with others beside it; none of anything else."""
    if component == "predictor" and is_beside(service):
        return _deployments(service)
    status = mapping(mapping(mapping(service.get("status")).get("components")).get(component))
    if mode_of(service) != KNATIVE:
        status = {}
    percents: dict[str, int] = {}
    for target in mappings(status.get("traffic")):
        name = text(target.get("revisionName"))
        percents[name] = percents.get(name, 0) + number(target.get("percent"))
    return Revisions(
        created=text(status.get("latestCreatedRevision")),
        ready=text(status.get("latestReadyRevision")),
        previous=text(status.get("previousRolledoutRevision")),
        percents={name: percent for name, percent in percents.items() if percent},
        has_route=bool(status.get("url")),
    )


def is_beside(service: Manifest) -> bool:
    """Whether other predictors run beside the service's own."""
    return mode_of(service) == STANDARD and bool(canaries_of(service))


def own_deployment(service: Manifest, component: str) -> str:
    """The Deployment and the Service of a component in Standard mode: what its address leads to."""
    name = text(mapping(mapping(service.get("spec")).get(component)).get("name")) if component == "predictor" else ""
    return _deployment(service, name, component)


def is_left_over(service: Manifest, component: str, one: Manifest) -> bool:
    """Whether a Deployment or pod is of a predictor that the service does not have any more, and is about to go."""
    if component != "predictor" or mode_of(service) != STANDARD:
        return False
    name, kept = revision_of(one), (own_deployment(service, component), *_beside(service))
    return name not in kept and name.startswith(f"{name_of(service)}-") and name.endswith(f"-{component}")


def can_split(service: Manifest, *, has_gateway: bool) -> bool:
    """Whether a new version of the predictor may be given a share of the requests."""
    spec = mapping(service.get("spec"))
    if mode_of(service) != STANDARD:
        return mode_of(service) == KNATIVE
    return has_gateway and "transformer" not in spec and "model" in mapping(spec.get("predictor"))


def can_roll_back(service: Manifest, shares: Sequence[RevisionShare]) -> bool:
    """Whether there is a version before the newest that all requests could be given back to."""
    newest = next((s for s in shares if s.newest), None)
    return newest is not None and len(shares) > 1 and (newest.percent > 0 or is_beside(service))


def answering(service: Manifest, component: str) -> str:
    """Knative's revision that gets most of the requests, for who can ask only one; empty in Standard mode."""
    if mode_of(service) != KNATIVE:
        return ""
    found = revisions_of(service, component)
    return max(found.percents, key=lambda name: (found.percents[name], name != found.created), default=found.ready)


def shares_of(objects: Objects, *, has_gateway: bool) -> tuple[RevisionShare, ...]:
    """The predictor's newest revision, those that get requests, and the one that can be gone back to.

    Args:
        has_gateway: whether the cluster has the Gateway API; without it there are no routes that may not be read.
    """
    found = revisions_of(objects.service, "predictor")
    if not found.created:
        return ()
    known = {name_of(r) for r in objects.revisions}
    names = [found.created, *sorted(found.percents, reverse=True)]
    if found.previous in known or not known:
        names.append(found.previous)
    assumed = is_beside(objects.service) and objects.routes is None and has_gateway
    percents = found.percents
    if is_beside(objects.service) and not assumed:
        percents = _routed(objects.routes or (), found)
    return tuple(
        RevisionShare(name, percents.get(name, 0), name == found.created, _annotations(objects, name), assumed)
        for name in dict.fromkeys(names)
        if name
    )


def is_split(service: Manifest) -> bool:
    """Whether Knative keeps an older version of the predictor beside the newest until somebody decides between them."""
    if mode_of(service) != KNATIVE:
        return False
    found = revisions_of(service, "predictor")
    percent = mapping(mapping(service.get("spec")).get("predictor")).get(CANARY)
    return isinstance(percent, int) and percent < 100 and any(name != found.created for name in found.percents)


def is_settled(objects: Objects) -> bool:
    """Whether Knative has taken up what its Services ask for, and the InferenceService's status is of that."""
    components = mapping(mapping(objects.service.get("status")).get("components"))
    for service in objects.knative:
        status = mapping(service.get("status"))
        told = mapping(components.get(text(labels_of(service).get(COMPONENT))))
        copied = (
            (told.get("latestCreatedRevision"), status.get("latestCreatedRevisionName")),
            (told.get("latestReadyRevision"), status.get("latestReadyRevisionName")),
            (told.get("traffic"), status.get("traffic")),
        )
        taken_up = status.get("observedGeneration") == mapping(service.get("metadata")).get("generation")
        late = any(c.get("reason") == "OutOfDate" for c in mappings(status.get("conditions")))
        if not taken_up or late or any(ours != theirs for ours, theirs in copied):
            return False
    return True


def is_shared_as_asked(service: Manifest) -> bool:
    """Whether the newest version of the predictor gets the share that is asked for, once it is ready.

    KServe may take half a minute for it, and goes back from 100 % by way of a split between the version and itself.
    """
    if is_beside(service):
        return True
    found = revisions_of(service, "predictor")
    asked = mapping(mapping(service.get("spec")).get("predictor")).get(CANARY)
    alone = not found.previous and set(found.percents) <= {found.created}
    if alone or found.created != found.ready:
        return True
    return found.percents.get(found.created, 0) == (asked if isinstance(asked, int) else 100)


def check_pause(service: Manifest) -> None:
    """Whether the service can be paused without a surprise.

    Raises:
        InvalidInputError: its KServe does not know how to.
        ConflictError: a version would be lost.
    """
    name = name_of(service)
    if is_before_pause(service):
        raise InvalidInputError(
            f"The KServe that runs {name} cannot pause a service: it is older than 0.16.",
            hint="Delete the service, and serve the model again when it is needed.",
        )
    if is_split(service):
        raise ConflictError(
            f"Two versions of {name} are there, and after a pause the newest would get all requests.",
            hint="Promote the newest, or update the service to the version that is to stay.",
        )


def failed_revision(service: Manifest, component: str) -> str:
    """Why Knative has given its newest revision up; empty where it has not."""
    found = revisions_of(service, component)
    failure = condition(mapping(service.get("status")), f"{component.capitalize()}ConfigurationReady")
    if not found.created or found.created == found.ready or failure.get("reason") != "RevisionFailed":
        return ""
    told = text(failure.get("message"))
    return told.removeprefix(f'Revision "{found.created}" failed with message: ')


def about_mode(stored: Manifest, before: Manifest | None, *, has_knative: bool, has_gateway: bool) -> list[Check]:
    """What is to be said of the mode that a service would run in, and of the shares that were asked for.

    Args:
        stored: the service as the API server would store it, with its defaults.
        before: as it is now.
        has_knative: whether the cluster has Knative's API.
        has_gateway: whether it has the Gateway API.
    """
    mode = mode_of(stored)
    if mode == KNATIVE and not has_knative:
        hint = "Leave out the annotation, or ask for Knative Serving to be installed."
        return [Check("error", "NoKnative", "This cluster has no Knative, which Knative mode needs.", hint)]
    spec = mapping(stored.get("spec"))
    old = mapping(mapping(before or {}).get("spec"))
    if canaries_of(stored) and spec[CANARIES] != old.get(CANARIES):
        return [_about_canary(stored, has_gateway=has_gateway)]
    asked = [c for c in spec if isinstance(mapping(spec[c]).get(CANARY), int)]
    if not asked:
        return []
    if mode == STANDARD:
        message = f"In Standard mode KServe does not split requests: {CANARY} would be without effect."
        hint = f"Serve a new service with the annotation {MODE}: Knative, or leave the share out."
        return [Check("error", "CanaryIgnored", message, hint, "canary")]
    if before and "transformer" in spec and spec["transformer"] != old.get("transformer"):
        message = "Only predictors share the requests: the changed transformer stands before both versions at once."
        return [
            Check("warning", "TransformerAtOnce", message, "Update the transformer first, then the model.", "canary")
        ]
    return []


def _about_canary(stored: Manifest, *, has_gateway: bool) -> Check:
    spec = mapping(stored.get("spec"))
    if not has_gateway:
        message = "In Standard mode KServe splits requests by the Gateway API only, which this cluster does not have."
        hint = f"Serve a new service with the annotation {MODE}: Knative, or leave the share out."
        return Check("error", "NoGateway", message, hint, "canary")
    if "transformer" in spec:
        message = "In Standard mode a version that gets a share of the requests gets them past the transformer."
        return Check("error", "PastTransformer", message, "Update the service without a share.", "canary")
    predictors = [mapping(spec.get("predictor")), *(mapping(c.get("predictor")) for c in canaries_of(stored))]
    if not all("model" in predictor for predictor in predictors):
        # KServe lays one over the other, and a container under a model is lost.
        message = "In Standard mode only models of KServe's runtimes share the requests, not what is a container."
        hint = "Update the service without a share, or have both versions served by a runtime of KServe's."
        return Check("error", "NoModelToShare", message, hint, "canary")
    message = (
        "Whether requests will be split cannot be seen beforehand: it takes KServe 0.21, and an ingress by the Gateway "
        "API. The address inside the cluster goes on with the version before, which KServe may give fewer replicas."
    )
    return Check("warning", "CanaryUnverified", message, "The service's details show how requests are split.", "canary")


def _beside(service: Manifest) -> dict[str, int]:
    """The Deployments beside the predictor's, the newest last, with the percent that each is to get."""
    return {
        _deployment(service, text(mapping(one.get("predictor")).get("name")), "predictor"): number(
            one.get("trafficPercent")
        )
        for one in (canaries_of(service) if mode_of(service) == STANDARD else ())
    }


def _deployments(service: Manifest) -> Revisions:
    """The predictor's Deployment and those beside it, as revisions by the names that KServe gives them."""
    own, beside = own_deployment(service, "predictor"), _beside(service)
    newest = list(beside)[-1]
    percents = {**beside, own: max(0, 100 - sum(beside.values()))}
    return Revisions(newest, newest, own, percents, has_route=True)


def _deployment(service: Manifest, name: str, component: str) -> str:
    return "-".join(filter(None, (name_of(service), name, component)))


def _routed(routes: Sequence[Manifest], found: Revisions) -> dict[str, int]:
    """What the routes give each Deployment, whose Services have their names."""
    rules = [rule for route in routes for rule in mappings(mapping(route.get("spec")).get("rules"))]
    for rule in rules:
        weights = {text(b.get("name")): number(b.get("weight", 1)) for b in mappings(rule.get("backendRefs"))}
        if found.created in weights and (total := sum(weights.values())):
            return {name: round(100 * weight / total) for name, weight in weights.items()}
    return {found.previous: 100}


def _annotations(objects: Objects, revision: str) -> dict[str, str]:
    """The labels and annotations of a revision; by its pods where revisions may not be read."""
    made = [r for r in objects.revisions if name_of(r) == revision]
    found = next(iter(made or (p for p in objects.pods if revision_of(p) == revision)), {})
    return {
        key: text(value)
        for annotations in (labels_of(found), annotations_of(found))
        for key, value in annotations.items()
    }


def _mode_word(service: Manifest) -> str:
    return text(mapping(service.get("status")).get("deploymentMode")) or text(annotations_of(service).get(MODE))
