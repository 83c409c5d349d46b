"""What the notebook's own pod was given by Kubeflow's PodDefaults, as labels that give it to other pods too.

A PodDefault (``kubeflow.org/v1alpha1``) adds variables, volumes and tokens to the pods that its selector chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import NotFoundError
from ...ml import JSON
from ..base import Manifest
from ..fields import labels_of, mapping, mappings, text
from . import api_objects as paths

if TYPE_CHECKING:
    from .api import Api

_GROUP = "/apis/kubeflow.org/v1alpha1"


async def labels_from(api: Api, namespace: str, pod: str) -> dict[str, str]:
    """The labels of this pod that PodDefaults choose by.

    Raises:
        PermissionDeniedError: the pod or the PodDefaults may not be read.
        NotFoundError: there is no such pod.
    """
    own = labels_of(await api.get(f"{paths.PODS.format(namespace)}/{pod}"))
    try:
        known = await api.get(_GROUP)
    except NotFoundError:
        return {}  # a cluster without Kubeflow, where listing would be refused for want of the right
    if not any(one.get("name") == "poddefaults" for one in mappings(known.get("resources"))):
        return {}
    found, _ = await api.list(f"{_GROUP}/namespaces/{namespace}/poddefaults")
    return chosen_by(found, {key: text(value) for key, value in own.items()})


def chosen_by(poddefaults: Sequence[Manifest], labels: Mapping[str, str]) -> dict[str, str]:
    """Those of a pod's labels that PodDefaults which choose this pod look at."""
    selectors = [mapping(mapping(one.get("spec")).get("selector")) for one in poddefaults]
    keys = {key for selector in selectors if _chooses(selector, labels) for key in _keys(selector)}
    return {key: value for key, value in labels.items() if key in keys}


def _chooses(selector: Mapping[str, JSON], labels: Mapping[str, str]) -> bool:
    """Kubernetes' own rule, but that an empty selector, which chooses every pod, needs no label to do so."""
    wanted = mapping(selector.get("matchLabels"))
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(rule, labels) for rule in mappings(selector.get("matchExpressions"))
    )


def _holds(rule: Mapping[str, JSON], labels: Mapping[str, str]) -> bool:
    value = labels.get(text(rule.get("key")))
    values = rule.get("values")
    listed = isinstance(values, list) and value in values
    match rule.get("operator"):
        case "In":
            return listed
        case "NotIn":
            return not listed
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def _keys(selector: Mapping[str, JSON]) -> list[str]:
    rules = mappings(selector.get("matchExpressions"))
    return [*mapping(selector.get("matchLabels")), *(text(rule.get("key")) for rule in rules)]
