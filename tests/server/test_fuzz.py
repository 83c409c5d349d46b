"""What the OpenAPI document says holds for a real server, whatever it is sent."""

from __future__ import annotations

from typing import Any, TypeAlias

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from kale_serve_ext.server.openapi import DOCUMENT

Case: TypeAlias = schemathesis.Case[Any]

EXAMPLES = 15
SERVICE = {"engine": "local", "context": "localhost", "namespace": "default", "name": "fuzzed"}
# A server error must be a documented one; what is well-formed may still be refused for what it means.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]

api = schemathesis.openapi.from_path(
    DOCUMENT,
    # Other verbs than the documented are tested elsewhere, once.
    config=SchemathesisConfig.from_dict({"seed": 1, "phases": {"coverage": {"unexpected-methods": []}}}),
)


@pytest.fixture(scope="module")
def server(empty_server: httpx.Client, model_id: int) -> httpx.Client:
    """There is one model and a service of it."""
    made = empty_server.post("services", json={"model_id": model_id, "name": SERVICE["name"]})
    assert made.status_code == 201, made.text
    return empty_server


@api.parametrize()
@examples(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_document(case: Case, server: httpx.Client, model_id: int) -> None:
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        name_what_exists(case, model_id)
    # Of unknown parameters of a query nothing is said; JupyterLab adds its own.
    answers = [*CHECKS, checks.negative_data_rejection] if case.operation.body else CHECKS
    base_url = str(server.base_url).rstrip("/")
    # Registering a file opens it in a process of its own, which takes as long as the libraries take to be imported.
    case.call_and_validate(base_url=base_url, headers=dict(server.headers), checks=answers, timeout=120)


def name_what_exists(case: Case, model_id: int) -> None:
    """Every other case is about what there is, which chance alone would hardly ever name."""
    name = str(case.path_parameters.get("name", ""))
    # The service is not deleted before the end, so that all find it.
    if len(name) % 2 and case.method != "DELETE":
        case.path_parameters.update(SERVICE)
    if "follow" in case.query:
        case.query["follow"] = False  # it would end an hour later
    if isinstance(case.body, dict):
        known: dict[str, object] = {"model_id": model_id} if len(str(case.body)) % 2 else {}
        if len(str(case.body)) % 8 == 0:  # a process is started for each
            known["path"] = "model.joblib"
        # A paused service would answer the later requests with 503 alone; 64 replicas are too many for a test.
        for key, value in {**known, "paused": False, "replicas": 2}.items():
            if type(case.body.get(key)) is type(value):
                case.body[key] = value
