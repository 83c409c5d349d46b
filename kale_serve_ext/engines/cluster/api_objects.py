"""Where the objects of InferenceServices are in the API, and reading those of one namespace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...entities import DNS_LABEL
from ...errors import InvalidNameError, NotFoundError, PermissionDeniedError
from ..base import Manifest
from ..kserve import KNATIVE, OF_SERVICE
from .deployment_mode import is_beside, mode_of
from .service_objects import Objects
from .state import grouped

if TYPE_CHECKING:
    from .api import Api

log = logging.getLogger(__name__)

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
CLUSTER_RUNTIMES = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes"
PODS = "/api/v1/namespaces/{}/pods"
SECRETS = "/api/v1/namespaces/{}/secrets"
EVENTS = "/api/v1/namespaces/{}/events"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
REPLICASETS = "/apis/apps/v1/namespaces/{}/replicasets"
KNATIVE_SERVICES = "/apis/serving.knative.dev/v1/namespaces/{}/services"
REVISIONS = "/apis/serving.knative.dev/v1/namespaces/{}/revisions"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"

KINDS = (SERVICES, DEPLOYMENTS, REPLICASETS, PODS, EVENTS, KNATIVE_SERVICES, REVISIONS, ROUTES)
"""What a service is told by. The last three are there only where the cluster has Knative, and the Gateway API."""


def service(namespace: str, name: str) -> str:
    """The path of an InferenceService.

    Raises:
        InvalidNameError: the name is no DNS label.
    """
    if not DNS_LABEL.fullmatch(name):
        raise InvalidNameError(
            f"{name[:100]!r} cannot be the name of a service.",
            hint="Use lowercase letters, digits and '-'.",
            field="name",
        )
    return f"{SERVICES.format(namespace)}/{name}"


async def read_one(api: Api, namespace: str, name: str) -> Objects:
    """Everything about one service.

    Raises:
        NotFoundError: there is no such service.
    """
    label = f"{OF_SERVICE}={name}"
    found, deployments, replicasets, pods, events = await asyncio.gather(
        api.get(service(namespace, name)),
        _listed(api, DEPLOYMENTS.format(namespace), labelSelector=label),
        _listed(api, REPLICASETS.format(namespace), labelSelector=label),
        _listed(api, PODS.format(namespace), labelSelector=label),
        _listed(api, EVENTS.format(namespace)),
    )
    knative, revisions = await _of_knative(api, [found], namespace, labelSelector=label)
    routes = await _routes(api, [found], namespace)
    return grouped([found], deployments, replicasets, pods, events, knative, revisions, routes=routes)[name]


async def read_all(api: Api, namespace: str) -> dict[str, Objects]:
    """Everything about every service of the namespace, by name."""
    (services, _), deployments, replicasets, pods, events = await asyncio.gather(
        api.list(SERVICES.format(namespace)),
        _listed(api, DEPLOYMENTS.format(namespace)),
        _listed(api, REPLICASETS.format(namespace)),
        _listed(api, PODS.format(namespace)),
        _listed(api, EVENTS.format(namespace)),
    )
    knative, revisions = await _of_knative(api, services, namespace)
    routes = await _routes(api, services, namespace)
    return grouped(services, deployments, replicasets, pods, events, knative, revisions, routes=routes)


async def _of_knative(
    api: Api, services: Sequence[Manifest], namespace: str, **query: str
) -> tuple[list[Manifest], list[Manifest]]:
    """Knative's Services and revisions, where one of the services runs in its mode."""
    if all(mode_of(service) != KNATIVE for service in services):
        return [], []
    return await asyncio.gather(
        _listed(api, KNATIVE_SERVICES.format(namespace), **query), _listed(api, REVISIONS.format(namespace), **query)
    )


async def _routes(api: Api, services: Sequence[Manifest], namespace: str) -> list[Manifest] | None:
    """The routes, where one of the services has predictors beside its own; None where they may not be read."""
    if not any(map(is_beside, services)):
        return []
    try:
        return (await api.list(ROUTES.format(namespace)))[0]
    except NotFoundError:
        return []
    except PermissionDeniedError:
        return None


async def _listed(api: Api, path: str, **query: str) -> list[Manifest]:
    """The items, none where they may not be read: services are then told with what there is."""
    try:
        return (await api.list(path, **query))[0]
    except (PermissionDeniedError, NotFoundError) as error:
        log.info("Services are shown without their %s: %s", path.rpartition("/")[2], error)
        return []
