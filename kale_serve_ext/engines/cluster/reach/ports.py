"""Which ports of a component's pod answer what. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ....ml import JSON
from ...base import Manifest
from ...fields import mapping, mappings, number, text

_AGENT = "agent"
"""KServe's sidecar that batches and logs requests: they come to it first."""
_FLAGS = ("--grpc_port", "--grpc-port", "--grpc_listen_port")
_VARIABLES = ("MLSERVER_GRPC_PORT",)


def http_port(pod: Manifest) -> int:
    """Where the component takes requests by REST."""
    containers = _containers(pod)
    agent = next((c for c in containers if c.get("name") == _AGENT), None)
    first = agent or _server(containers)
    declared = [p for p in mappings(first.get("ports")) if not _is_grpc(p)]
    return number(declared[0].get("containerPort")) if declared else 8080


def grpc_port(pod: Manifest) -> int:
    """Where the component speaks gRPC, if it does: as it is told to, and by default where KServe's own servers do.

    Few runtimes declare this port, so KServe's Service rarely leads to it.
    """
    server = _server(_containers(pod))
    declared = [number(p.get("containerPort")) for p in mappings(server.get("ports")) if _is_grpc(p)]
    words = [str(w) for key in ("command", "args") if isinstance(given := server.get(key), list) for w in given]
    flagged = [value for flag in _FLAGS for value in _values(words, flag)]
    variables = [str(e.get("value")) for e in mappings(server.get("env")) if e.get("name") in _VARIABLES]
    told = [int(v) for v in (*flagged, *variables) if v.isdigit()]
    return (declared or told or [8081])[0]


def _containers(pod: Manifest) -> list[Mapping[str, JSON]]:
    return mappings(mapping(pod.get("spec")).get("containers"))


def _server(containers: list[Mapping[str, JSON]]) -> Mapping[str, JSON]:
    return next((c for c in containers if c.get("name") == "kserve-container"), containers[0] if containers else {})


def _is_grpc(port: Mapping[str, JSON]) -> bool:
    # Knative and Istio tell HTTP/2 by these names.
    return text(port.get("name")).partition("-")[0] in ("h2c", "grpc", "http2")


def _values(words: list[str], flag: str) -> list[str]:
    joined = [w.partition("=")[2] for w in words if w.startswith(f"{flag}=")]
    return joined + [words[i + 1] for i, w in enumerate(words[:-1]) if w == flag]
