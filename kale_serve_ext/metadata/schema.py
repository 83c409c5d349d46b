"""The types that this project keeps in MLMD, and the names it gives to things there.

An artifact's MLMD name is ``NAME/VERSION`` (a version has no slash, so it is unambiguous); MLMD keeps it unique within
its type, which is what makes concurrent submits safe. The name that people see is the property ``name``. All versions
of a name are attributed to a context, ``kale.RegisteredModel`` for models, as registries in MLMD are commonly kept.
"""

from __future__ import annotations

import hashlib

from ..entities import DATASET, MODEL, TRANSFORMER, ServiceRef
from ..errors import InvalidNameError
from .proto import mlmd_pb2 as pb
from .provenance import Provenance

LOG = "kale.Log"
"""Execution that made an artifact."""
DEPLOYMENT = "kale.Deployment"
"""Execution that serves artifacts; RUNNING for as long as it does."""
SERVICE = "kale.Service"
"""Context of all deployments of one InferenceService."""
REGISTERED = {
    MODEL: "kale.RegisteredModel",
    TRANSFORMER: "kale.RegisteredTransformer",
    DATASET: "kale.RegisteredDataset",
}
PLACES = {
    "notebook": "kale.Notebook",
    "pipeline": "kale.PipelineRun",
    "server": "kale.Server",
    "script": "kale.Script",
}
LONGEST_NAME = 255
"""Characters that MLMD's databases keep of a name."""

_ARTIFACT = (
    *("name", "version", "digest", "description", "author", "format"),
    *("tags", "signature", "environment", "details", "submission"),
)
_PLACE = ("title", "place", "place_kind", "place_run", "place_step")
_SERVICE = ("engine", "context", "namespace", "service")


def types() -> pb.PutTypesRequest:
    """Registers every type; harmless where they exist, and where a newer or older release has other properties."""
    artifact = {name: pb.PROPERTY_STRING for name in _ARTIFACT}
    place = {name: pb.PROPERTY_STRING for name in _PLACE}
    service = {name: pb.PROPERTY_STRING for name in _SERVICE}
    base = pb.ArtifactType
    return pb.PutTypesRequest(
        artifact_types=[
            pb.ArtifactType(name=MODEL, properties=artifact, base_type=base.MODEL),
            pb.ArtifactType(name=TRANSFORMER, properties=artifact),
            pb.ArtifactType(name=DATASET, properties=artifact, base_type=base.DATASET),
        ],
        execution_types=[
            pb.ExecutionType(name=LOG, properties=place),
            pb.ExecutionType(name=DEPLOYMENT, properties=place | service, base_type=pb.ExecutionType.DEPLOY),
        ],
        context_types=[
            *(pb.ContextType(name=name) for name in REGISTERED.values()),
            *(pb.ContextType(name=name, properties=place) for name in PLACES.values()),
            pb.ContextType(name=SERVICE, properties=service),
        ],
        can_add_fields=True,
        can_omit_fields=True,
    )


def type_ids(request: pb.PutTypesRequest, answer: pb.PutTypesResponse) -> dict[str, int]:
    """The ids that the server gave, by the type's name."""
    return {
        **{t.name: i for t, i in zip(request.artifact_types, answer.artifact_type_ids, strict=True)},
        **{t.name: i for t, i in zip(request.execution_types, answer.execution_type_ids, strict=True)},
        **{t.name: i for t, i in zip(request.context_types, answer.context_type_ids, strict=True)},
    }


def mlmd_name(name: str, version: str) -> str:
    """The MLMD name of an artifact.

    Raises:
        InvalidNameError: an empty or unprintable name, a slash in the version, or both together too long.
    """
    for field, value in (("name", name), ("version", version)):
        shown = value if len(value) <= 60 else f"{value[:60]}… ({len(value)} characters)"
        if not value.strip() or value != value.strip():
            raise InvalidNameError(
                f"The {field} {shown!r} is empty or begins or ends with a space.", hint=f"Give a {field}.", field=field
            )
        if not value.isprintable():
            raise InvalidNameError(
                f"The {field} {shown!r} has characters that cannot be shown.",
                hint="Use letters, digits and punctuation.",
                field=field,
            )
        if len(value) > LONGEST_NAME:
            raise InvalidNameError(
                f"The {field} {shown!r} is too long.",
                hint=f"Name and version together may have {LONGEST_NAME - 1} characters.",
                field=field,
            )
    if "/" in version:
        raise InvalidNameError(
            f"The version {version!r} has a slash in it.", hint="Use dots or dashes: 1.0.0", field="version"
        )
    joined = f"{name}/{version}"
    if len(joined) > LONGEST_NAME:
        raise InvalidNameError(
            f"Name and version have {len(joined) - 1} characters together.",
            hint=f"MLMD keeps {LONGEST_NAME - 1}: shorten one of them.",
            field="name",
        )
    return joined


def place(provenance: Provenance, type_id: int) -> pb.Context:
    """The context for ``provenance``: one per notebook and kernel, pipeline run, or script."""
    key = f"{provenance.name}#{provenance.run}" if provenance.run else provenance.name
    return pb.Context(type_id=type_id, name=_fitting(key), properties=texts(place_properties("", provenance)))


def place_properties(title: str, provenance: Provenance) -> dict[str, str]:
    """What an execution tells of where it ran."""
    return {
        "title": title,
        "place": provenance.name,
        "place_kind": provenance.kind,
        "place_run": provenance.run,
        "place_step": provenance.step,
    }


def service(ref: ServiceRef, type_id: int) -> pb.Context:
    return pb.Context(type_id=type_id, name=service_name(ref), properties=texts(service_properties(ref)))


def service_name(ref: ServiceRef) -> str:
    return _fitting(str(ref))


def service_properties(ref: ServiceRef) -> dict[str, str]:
    return {"engine": ref.engine, "context": ref.context, "namespace": ref.namespace, "service": ref.name}


def texts(properties: dict[str, str]) -> dict[str, pb.Value]:
    """As MLMD's values; empty ones are left out."""
    return {name: pb.Value(string_value=value) for name, value in properties.items() if value}


def _fitting(name: str) -> str:
    """``name``, or its beginning and a hash of all of it where it is too long for the database."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
