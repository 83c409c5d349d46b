"""The OpenAPI 3.1 document of the REST API, made from ``schemas.py``, ``queries.py`` and the table of routes below.

``python -m kale_serve_ext.server.openapi`` writes it to ``openapi.json`` beside this file. That file is committed, the
server answers with it and the panel's TypeScript types are made from it; a test fails when it is stale.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from .. import __version__
from ..engines.base import EngineInfo
from ..ml import JSON
from ..serving.described import Described
from ..serving.types import Plan, Prediction, Service
from ..serving.verification import Verification
from . import queries, schemas

DOCUMENT = Path(__file__).with_name("openapi.json")
TEXT = "text/plain"
EVENTS = "text/event-stream"

Object: TypeAlias = dict[str, JSON]


@dataclass(frozen=True)
class Route:
    """One operation. ``errors`` are the statuses it can fail with, besides those that every operation can."""

    verb: Literal["get", "post", "patch", "delete"]
    path: str
    operation_id: str
    summary: str
    answer: type | str | None
    """The answer's type; a media type where it is not JSON; None for no body."""
    tag: str
    status: int = 200
    body: type[schemas.Body] | None = None
    query: type[queries.Query] | None = None
    errors: tuple[int, ...] = ()
    begun: str = ""
    """What an answer of the same type with status 202 means; empty where there is none."""


_SERVICE = "/services/{engine}/{context}/{namespace}/{name}"
_ENVIRONMENT = "/environments/{name}"
_AWAY = (503, 504)
_UPLOADING = "The plan has passed, and files are being uploaded; `upload` of the service tells how far."

ROUTES: tuple[Route, ...] = (
    Route("get", "/health", "getHealth", "How each backend does", schemas.Health, "health"),
    Route(
        "get", "/models", "listModels", "Registered models, the newest first", schemas.ModelPage, "models",
        query=queries.ListQuery, errors=_AWAY,
    ),
    Route(
        "post", "/models", "registerModel", "Make a Model artifact of a file or folder", schemas.ModelDetail, "models",
        status=201, body=schemas.RegisterBody, errors=(404, 409, 413, *_AWAY, 507),
    ),
    Route(
        "get", "/models/{id}", "getModel", "One model version with its siblings, lineage and services",
        schemas.ModelDetail, "models", errors=(404, *_AWAY),
    ),
    Route(
        "get", "/transformers", "listTransformers", "Registered transformers, the newest first", schemas.ModelPage,
        "models", query=queries.ListQuery, errors=_AWAY,
    ),
    Route(
        "get", "/files", "getFileKind", "Whether a file or folder can be registered as a model", schemas.FileKind,
        "models", query=queries.FileQuery, errors=(404, *_AWAY),
    ),
    Route("get", "/kernels", "listKernels", "Installed kernels and their interpreters", schemas.KernelList, "models"),
    Route(
        "get", "/runtimes", "listRuntimes", "Runtimes with a verdict on one model", schemas.RuntimeList, "services",
        query=queries.RuntimesQuery, errors=(404, *_AWAY),
    ),
    Route(
        "post", "/plan", "makePlan", "What serving would apply and change, and every check's verdict", Plan, "services",
        body=schemas.ServeBody, errors=(404, 413, *_AWAY),
    ),
    Route(
        "get", "/services", "listServices", "InferenceServices of the namespace", schemas.ServiceList, "services",
        errors=_AWAY,
    ),
    Route(
        "post", "/services", "createService", "Serve a model, or roll its service over to it", Service, "services",
        status=201, body=schemas.ServeBody, errors=(404, 409, 413, 422, *_AWAY, 507), begun=_UPLOADING,
    ),
    Route("get", _SERVICE, "getService", "One InferenceService", Service, "services", errors=(404, *_AWAY)),
    Route(
        "patch", _SERVICE, "updateService", "Pause, resume, scale, or serve another version", Service, "services",
        body=schemas.PatchBody, errors=(404, 409, 413, 422, *_AWAY, 507), begun=_UPLOADING,
    ),
    Route(
        "delete", _SERVICE, "deleteService", "Remove the service and all that was made for it", None, "services",
        status=204, errors=(404, 409, *_AWAY),
    ),
    Route(
        "delete", f"{_SERVICE}/upload", "cancelUpload", "Cancel an upload, or dismiss one that failed", None,
        "services", status=204, errors=(404, *_AWAY),
    ),
    Route(
        "get", f"{_SERVICE}/revisions", "listRevisions", "What the service is and was, the newest first",
        schemas.RevisionList, "services", errors=(404, 409, *_AWAY),
    ),
    Route(
        "post", f"{_SERVICE}/rollback", "rollBack", "Make the service what it was", Service, "services",
        body=schemas.RollbackBody, errors=(404, 409, 413, 422, *_AWAY, 507),
    ),
    Route(
        "get", f"{_SERVICE}/logs", "getLogs", "A component's log, streamed", TEXT, "services",
        query=queries.LogsQuery, errors=(404, *_AWAY),
    ),
    Route(
        "get", f"{_SERVICE}/events", "listEvents", "What happened to the service", schemas.EventList, "services",
        errors=(404, *_AWAY),
    ),
    Route(
        "get", f"{_SERVICE}/metrics", "getMetrics", "A component's metrics", schemas.Metrics, "services",
        query=queries.MetricsQuery, errors=(404, 502, *_AWAY),
    ),
    Route(
        "post", f"{_SERVICE}/predict", "predict", "Send a test request", Prediction, "services",
        body=schemas.PredictBody, errors=(404, 413, 502, *_AWAY),
    ),
    Route(
        "get", f"{_SERVICE}/predict", "getTensors", "The tensors by name that a test request takes, if any", Described,
        "services", query=queries.TensorsQuery, errors=(404, *_AWAY),
    ),
    Route(
        "post", f"{_SERVICE}/chat", "chat", "Send a conversation to a text-generation model",
        EVENTS, "services", body=schemas.ChatBody, errors=(404, 413, 502, *_AWAY),
    ),
    Route(
        "post", f"{_SERVICE}/verify", "verify", "Compare its answers to recorded rows", Verification, "services",
        errors=(404, *_AWAY),
    ),
    Route(
        "get", "/environments", "listEnvironments", "Environments of the metadata engine and of model servers",
        schemas.EnvironmentList, "environments", errors=_AWAY,
    ),
    Route(
        "post", _ENVIRONMENT, "installEnvironment", "Install an environment", schemas.EnvironmentInfo, "environments",
        query=queries.EnvironmentQuery, errors=(404, *_AWAY),
        begun="It is being installed; the list and the events tell how far.",
    ),
    Route(
        "delete", _ENVIRONMENT, "removeEnvironment", "Remove an environment, or dismiss its failure", None,
        "environments", status=204, errors=(404, 409, *_AWAY),
    ),
    Route(
        "delete", f"{_ENVIRONMENT}/installation", "cancelInstallation", "Cancel an installation by this server", None,
        "environments", status=204, query=queries.EnvironmentQuery, errors=(404, *_AWAY),
    ),
    Route("get", "/engines", "listEngines", "Where new services could go", schemas.EngineList, "health", errors=_AWAY),
    Route(
        "post", "/engines", "chooseEngine", "Send new services to another engine", EngineInfo, "health",
        body=schemas.EngineBody, errors=(404, 413, *_AWAY),
    ),
    Route(
        "get", "/engines/namespaces", "listNamespaces", "Namespaces of one context's cluster", schemas.NamespaceList,
        "health", query=queries.NamespacesQuery, errors=(404, *_AWAY),
    ),
    Route("get", "/openapi.json", "getOpenApi", "This document", "application/json", "health"),
)  # fmt: skip

ERRORS = {
    400: "What was sent cannot be used as it is.",
    403: "Not signed in, or a right or a quota is missing.",
    404: "No such thing.",
    409: "The name is taken, or by other content.",
    413: "The request is over the configured limit.",
    422: "The plan's checks say that this cannot run.",
    502: "The model was reached and answered with an error.",
    503: "A backend cannot be reached, or the service is not ready.",
    504: "A backend took longer than allowed.",
    507: "No room is left on the disk.",
}
_ALWAYS = (400, 403)


@cache
def document() -> Object:
    """The whole OpenAPI document."""
    refs, components = _components()
    paths: dict[str, dict[str, JSON]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb] = _operation(route, refs)
    for path, item in paths.items():
        if names := _names(path):
            item["parameters"] = [_path_parameter(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kale-serve-ext",
            "version": __version__,
            "summary": "Log models, serve them with KServe and test them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to where this document is: the server's base URL and name space.
        "servers": [{"url": "."}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in ("models", "services", "environments", "health")],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token TOKEN`, with the Jupyter server's token.",
                }
            },
        },
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


class _Schema(GenerateJsonSchema):
    """Answers always hold every field, so all are required and defaults say nothing; titles would repeat the names."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Object:
        if self.mode == "serialization":
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


Key: TypeAlias = tuple[type, JsonSchemaMode]


def _components() -> tuple[dict[Key, Object], Object]:
    bodies: list[type] = [route.body for route in ROUTES if route.body]
    answers: list[type] = [route.answer for route in ROUTES if isinstance(route.answer, type)]
    wanted: list[tuple[type, JsonSchemaMode]] = [(kind, "validation") for kind in dict.fromkeys(bodies)]
    wanted += [(kind, "serialization") for kind in dict.fromkeys([*answers, schemas.ErrorBody])]
    inputs: Sequence[tuple[type, JsonSchemaMode, TypeAdapter[object]]] = [
        (kind, mode, TypeAdapter(kind)) for kind, mode in wanted
    ]
    refs, made = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}", schema_generator=_Schema)
    definitions: Object = made["$defs"]
    for name, schema in definitions.items():
        if isinstance(schema, dict):
            _trim(name, schema)
    return refs, definitions


def _trim(name: str, schema: Object) -> None:
    """A component's own name is its title; of a docstring, the first paragraph describes it."""
    schema.pop("title", None)
    description = schema.get("description")
    if isinstance(description, str):
        if description.startswith(f"{name}("):
            del schema["description"]  # the signature that dataclasses put where there is no docstring
        else:
            schema["description"] = " ".join(description.split("\n\n")[0].replace("``", "`").split())


def _operation(route: Route, refs: dict[Key, Object]) -> Object:
    responses: Object = {str(route.status): _answer(route, refs)}
    if route.begun:
        responses["202"] = {**_answer(route, refs), "description": route.begun}
    for status in sorted({*_ALWAYS, *route.errors}):
        responses[str(status)] = {
            "description": ERRORS[status],
            "content": {"application/json": {"schema": refs[schemas.ErrorBody, "serialization"]}},
        }
    operation: Object = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": responses,
    }
    if route.query:
        operation["parameters"] = _query_parameters(route.query)
    if route.body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[route.body, "validation"]}},
        }
    return operation


def _answer(route: Route, refs: dict[Key, Object]) -> Object:
    if route.answer is None:
        return {"description": "Done."}
    if isinstance(route.answer, str):
        schema: Object = {"type": "string"} if route.answer in (TEXT, EVENTS) else {"type": "object"}
        return {"description": route.summary, "content": {route.answer: {"schema": schema}}}
    return {
        "description": route.summary,
        "content": {"application/json": {"schema": refs[route.answer, "serialization"]}},
    }


def _query_parameters(model: type[BaseModel]) -> list[JSON]:
    properties: dict[str, Object] = model.model_json_schema(schema_generator=_Schema)["properties"]
    parameters: list[JSON] = []
    for name, schema in properties.items():
        parameter: Object = {"name": name, "in": "query", "required": False}
        if description := schema.pop("description", ""):
            parameter["description"] = description
        parameters.append(parameter | {"schema": _not_null(schema)})
    return parameters


def _not_null(schema: Object) -> Object:
    """A query parameter cannot be null: it is left out instead."""
    options = schema.get("anyOf")
    if not isinstance(options, list):
        return schema
    (only,) = [option for option in options if option != {"type": "null"}]
    return dict(only)


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _path_parameter(name: str) -> Object:
    schema: Object = (
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2**63}
        if name == "id"
        else {"type": "string", "minLength": 1, "maxLength": 253}
    )
    return {"name": name, "in": "path", "required": True, "schema": schema}


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
