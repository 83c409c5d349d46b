"""``ServeConfig``: how a service's pods or local processes are to be run (importable from ``kale.serve``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from .errors import InvalidInputError
from .ml import JSON


@dataclass
class ServeConfig:
    """How a service's pods (or local processes) are to be run.

    The fields beside ``predictor`` and ``transformer`` hold for both of them; what stands inside one of these two wins
    for that component (``env`` is added to). Values may be plain ones or objects of the Kubernetes client, names in
    snake_case or camelCase. ``serve`` takes a dict with the same keys too.

    Args:
        env: variables, as ``{"name": …, "value": …}``.
        env_from: sources of variables.
        requests: resources asked for: ``{"cpu": "1", "memory": "2Gi"}``.
        limits: resources allowed.
        annotations: annotations of the pods.
        labels: labels of the pods.
        predictor: anything that KServe's predictor takes: a ``container`` (image, env, …), ``runtime``,
            ``min_replicas``, ``service_account_name``, ``affinity``, …
        transformer: the same for the transformer.
        node_selector: labels of the nodes that may run the pods.
        affinity: their affinity.
        tolerations: their tolerations.
        protocol_version: ``v1`` or ``v2``.
    """

    env: Sequence[object] = field(default_factory=list)
    env_from: Sequence[object] = field(default_factory=list)
    requests: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, object] = field(default_factory=dict)
    predictor: Mapping[str, object] = field(default_factory=dict)
    transformer: Mapping[str, object] = field(default_factory=dict)
    node_selector: Mapping[str, object] = field(default_factory=dict)
    affinity: object = None
    tolerations: Sequence[object] = field(default_factory=list)
    protocol_version: str | None = None

    def to_dict(self) -> dict[str, JSON]:
        """As plain values in KServe's camelCase; what is not set is left out.

        Raises:
            InvalidInputError: a value of the wrong kind.
        """
        from .serving.config import normalise

        return normalise({f.name: getattr(self, f.name) for f in fields(self)})


def plain_config(given: ServeConfig | Mapping[str, object] | None) -> dict[str, JSON]:
    """A config in either form, as :meth:`ServeConfig.to_dict` has it.

    Raises:
        InvalidInputError: it has neither form, or a value of the wrong kind.
    """
    from .serving.config import normalise

    if isinstance(given, ServeConfig):
        return given.to_dict()
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInputError(
            f"serve_config is a {type(given).__name__}.", hint="Pass a ServeConfig or a dict.", field="config"
        )
    return normalise(given or {})
