"""Deployment modes, and what Knative mode has that Standard mode lacks: revisions that share the requests. Pure.

In Knative mode a component is a Knative Service. Each change of its pods makes a revision, and the newest gets
``canaryTrafficPercent`` of the requests; the rest goes to the last one that had them all. A revision that nobody asks
has no pods, and the next request starts some. Pausing deletes the Knative Service with all its revisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConflictError, InvalidInputError
from ..base import Check, Manifest, RevisionShare
from ..kserve import CANARY, MODE
from .fields import condition, labels_of, mapping, mappings, name_of, notes_of, number, text
from .pods import COMPONENT, KNATIVE_REVISION

if TYPE_CHECKING:
    from .state import Objects

KNATIVE, STANDARD = "Knative", "Standard"
API_GROUP = "/apis/serving.knative.dev"

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
    """What each gets of the requests; those that get none are left out."""

    has_route: bool
    """Whether there is a way to it."""

    def reaches(self, revision: str) -> bool:
        """Whether requests reach a revision whose pods are ready: the newest is routed to a little later."""
        return not self.created or (self.has_route and (revision != self.created or self.created == self.ready))


def mode_of(service: Manifest) -> str:
    """``Standard`` or ``Knative`` in today's words; empty where nothing is known yet."""
    said = _mode_word(service) or text(notes_of(service).get(MODE))
    return _OLD_WORDS.get(said, said)


def is_before_pause(service: Manifest) -> bool:
    """Whether its KServe is older than 0.16, as the words for the modes tell: that one cannot stop a service."""
    return _mode_word(service) in _OLD_WORDS


def revisions_of(service: Manifest, component: str) -> Revisions:
    """Those of a component that Knative runs; none in Standard mode."""
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


def answering(service: Manifest, component: str) -> str:
    """The revision that gets most of the requests, for who can ask only one; empty in Standard mode."""
    found = revisions_of(service, component)
    return max(found.percents, key=lambda name: (found.percents[name], name != found.created), default=found.ready)


def shares_of(objects: Objects) -> tuple[RevisionShare, ...]:
    """The predictor's newest revision, those that get requests, and the one that can be gone back to."""
    found = revisions_of(objects.service, "predictor")
    if not found.created:
        return ()
    known = {name_of(r) for r in objects.revisions}
    names = [found.created, *sorted(found.percents, reverse=True)]
    if found.previous in known or not known:
        names.append(found.previous)
    return tuple(
        RevisionShare(name, found.percents.get(name, 0), name == found.created, _notes(objects, name))
        for name in dict.fromkeys(names)
        if name
    )


def is_split(service: Manifest) -> bool:
    """Whether an older version of the predictor is kept beside the newest until somebody decides between them."""
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


def about_mode(stored: Manifest, before: Manifest | None, *, has_knative: bool) -> list[Check]:
    """What is to be said of the mode that a service would run in, and of the shares that were asked for.

    Args:
        stored: the service as the API server would store it, with its defaults.
        before: as it is now.
    """
    mode = mode_of(stored)
    if mode == KNATIVE and not has_knative:
        hint = "Leave out the annotation, or ask for Knative Serving to be installed."
        return [Check("error", "NoKnative", "This cluster has no Knative, which the mode Knative needs.", hint)]
    spec = mapping(stored.get("spec"))
    asked = [c for c in spec if isinstance(mapping(spec[c]).get(CANARY), int)]
    if not asked:
        return []
    if mode == STANDARD:
        message = f"In Standard mode KServe does not split requests: {CANARY} would be without effect."
        hint = f"Serve a new service with the annotation {MODE}: Knative, or leave the share out."
        return [Check("error", "CanaryIgnored", message, hint, "canary")]
    if before and "transformer" in spec and spec["transformer"] != mapping(before.get("spec")).get("transformer"):
        message = "Only predictors share the requests: the changed transformer stands before both versions at once."
        return [
            Check("warning", "TransformerAtOnce", message, "Update the transformer first, then the model.", "canary")
        ]
    return []


def _notes(objects: Objects, revision: str) -> dict[str, str]:
    """The labels and annotations of a revision; by its pods where revisions may not be read."""
    made = [r for r in objects.revisions if name_of(r) == revision]
    found = next(iter(made or (p for p in objects.pods if labels_of(p).get(KNATIVE_REVISION) == revision)), {})
    return {key: text(value) for notes in (labels_of(found), notes_of(found)) for key, value in notes.items()}


def _mode_word(service: Manifest) -> str:
    return text(mapping(service.get("status")).get("deploymentMode"))
