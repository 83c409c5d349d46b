"""Where a pod answers what, by what its containers say."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.cluster.reach.ports import grpc_port, http_port
from kale_serve_ext.engines.cluster.reach.transports import direct
from kale_serve_ext.ml import JSON

KSERVE: JSON = {
    "name": "kserve-container",
    "args": ["--model_name=iris", "--model_dir=/mnt/models", "--http_port=8080"],
}
AGENT: JSON = {"name": "agent", "ports": [{"containerPort": 9081, "name": "agent-port"}]}
TRITON: JSON = {"name": "kserve-container", "args": ["tritonserver", "--grpc-port=9000", "--http-port=8080"]}
MLSERVER: JSON = {"name": "kserve-container", "env": [{"name": "MLSERVER_GRPC_PORT", "value": "9000"}]}


@pytest.mark.parametrize(
    ("containers", "http", "grpc"),
    [
        ([KSERVE], 8080, 8081),
        ([KSERVE, AGENT], 9081, 8081),
        ([TRITON], 8080, 9000),
        ([MLSERVER], 8080, 9000),
        ([{"name": "c", "args": ["--grpc_port", "7001"]}], 8080, 7001),
        ([{"name": "c", "ports": [{"containerPort": 7000, "name": "http1"}]}], 7000, 8081),
        ([{"name": "c", "ports": [{"containerPort": 9000, "name": "h2c"}]}], 8080, 9000),
        (
            [{"name": "c", "ports": [{"containerPort": 9000, "name": "grpc-port"}, {"containerPort": 5000}]}],
            5000,
            9000,
        ),
        ([], 8080, 8081),
        ([{"name": "c", "args": ["--grpc_port"], "ports": "odd", "env": None}], 8080, 8081),
    ],
)
def test_the_ports_of_a_pod(containers: list[JSON], http: int, grpc: int) -> None:
    pod: dict[str, JSON] = {"spec": {"containers": containers}}
    assert (http_port(pod), grpc_port(pod)) == (http, grpc)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://iris-transformer.team.svc.cluster.local", "http://iris-predictor.team.svc.cluster.local"),
        # A headless Service has the pods' own port.
        ("http://iris-predictor.team.svc.example.org:8080", "http://iris-predictor.team.svc.example.org:8080"),
        ("", "http://iris-predictor.team.svc.cluster.local"),
    ],
)
def test_the_address_inside_the_cluster(address: str, expected: str) -> None:
    assert direct(address, "team", "iris-predictor") == expected
