"""Between MLMD's messages and this project's records. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..entities import Artifact, Environment, LineageStep, ServiceRef
from ..errors import InvalidInputError
from ..formats import known as known_format
from ..ml import JSON, Signature
from . import schema
from .proto import mlmd_pb2 as pb
from .provenance import Provenance

LIMITS = {"uri": 4096, "description": 10_000, "author": 253, "digest": 200, "format": 253}
"""Characters."""
LARGEST_TAGS = 100
LONGEST_TAG = 253
LARGEST_JSON = 256 * 1024
"""Bytes of the signature, the environment and the details, each as JSON."""


def check(artifact: Artifact) -> None:
    """Refuse, before anything is sent, what MLMD or its database could not keep.

    Raises:
        InvalidInputError: names the field and its limit.
    """
    schema.mlmd_name(artifact.name, artifact.version or "1")
    if artifact.type not in schema.REGISTERED:
        raise InvalidInputError(
            f"{artifact.type!r} is not a type that can be logged.",
            hint=f"Types are {', '.join(schema.REGISTERED)}.",
            field="type",
        )
    for field, limit in LIMITS.items():
        _fits(field, str(getattr(artifact, field)), limit)
    if len(artifact.tags) > LARGEST_TAGS:
        raise InvalidInputError(
            f"There are {len(artifact.tags)} tags.", hint=f"At most {LARGEST_TAGS} are allowed.", field="tags"
        )
    for key, value in artifact.tags.items():
        if not key:
            raise InvalidInputError("A tag has an empty name.", hint="Give it a name.", field="tags")
        _fits("tags", key, LONGEST_TAG)
        _fits("tags", value, LONGEST_TAG)
    for field, text in _structured(artifact).items():
        if len(text) > LARGEST_JSON:
            raise InvalidInputError(
                f"The {field} of {artifact.name!r} takes {len(text)} bytes.",
                hint=f"At most {LARGEST_JSON} are kept: give a smaller sample or fewer columns.",
                field=field,
            )


def to_proto(artifact: Artifact, version: str, *, type_id: int, submission: str) -> pb.Artifact:
    """The artifact as it is written; ``submission`` marks whose write it was."""
    plain = {
        "name": artifact.name,
        "version": version,
        "digest": artifact.digest,
        "description": artifact.description,
        "author": artifact.author,
        "format": artifact.format,
        "submission": submission,
    }
    return pb.Artifact(
        type_id=type_id,
        name=schema.mlmd_name(artifact.name, version),
        uri=artifact.uri,
        state=pb.Artifact.LIVE,
        properties=schema.texts(plain | _structured(artifact)),
    )


def from_proto(found: pb.Artifact) -> Artifact:
    """The record of an artifact, ours or another writer's."""
    if found.type not in schema.REGISTERED:
        return _foreign(found)
    text = _Texts(found.properties)
    environment = text.mapping("environment")
    signature = text.mapping("signature")
    packages = environment.get("packages")
    return Artifact(
        type=found.type,
        name=text["name"] or found.name.rpartition("/")[0],
        version=text["version"] or found.name.rpartition("/")[2],
        uri=found.uri,
        digest=text["digest"],
        description=text["description"],
        author=text["author"],
        tags={key: str(value) for key, value in text.mapping("tags").items()},
        format=text["format"],
        signature=Signature.from_dict(signature) if signature else None,
        environment=Environment(
            python=str(environment.get("python") or ""),
            python_version=str(environment.get("python_version") or ""),
            host=str(environment.get("host") or ""),
            packages={k: str(v) for k, v in packages.items()} if isinstance(packages, Mapping) else {},
        ),
        details=text.mapping("details"),
        id=found.id,
        created=found.create_time_since_epoch / 1000,
        updated=found.last_update_time_since_epoch / 1000,
    )


def slim(found: pb.Artifact) -> tuple[str, str, Mapping[str, JSON], str]:
    """What lists are searched by: name, description, tags, format."""
    if found.type not in schema.REGISTERED:
        whole = _foreign(found)
        return whole.name, whole.description, {}, whole.format
    text = _Texts(found.properties)
    name = text["name"] or found.name.rpartition("/")[0]
    return name, text["description"], text.mapping("tags"), text["format"]


def submission(found: pb.Artifact) -> str:
    return found.properties["submission"].string_value if "submission" in found.properties else ""


def step(execution: pb.Execution, inputs: list[int], outputs: list[int], contexts: list[pb.Context]) -> LineageStep:
    """An execution as a step of a lineage. ``contexts`` are those of another writer's execution."""
    text = _Texts(execution.properties)
    custom = _Texts(execution.custom_properties)
    provenance = Provenance("script", text["place"], step=text["place_step"]) if text["place"] else None
    return LineageStep(
        execution_id=execution.id,
        type=execution.type,
        name=text["title"] or custom["display_name"] or text["display_name"] or execution.name,
        context=str(provenance) if provenance else ", ".join(context.name for context in contexts),
        state=pb.Execution.State.Name(execution.last_known_state),
        started=execution.create_time_since_epoch / 1000,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        service=service_ref(execution),
    )


def service_ref(execution: pb.Execution) -> ServiceRef | None:
    """The service of a deployment."""
    text = _Texts(execution.properties)
    if execution.type != schema.DEPLOYMENT or not text["service"]:
        return None
    return ServiceRef(text["engine"], text["context"], text["namespace"], text["service"])


def _foreign(found: pb.Artifact) -> Artifact:
    """An artifact of another writer, such as Kubeflow Pipelines: what it says of itself is in its own properties."""
    known = {"display_name", "name", "version", "description", "framework", "author"}
    values = {k: _plain(v) for source in (found.properties, found.custom_properties) for k, v in source.items()}

    def text(name: str) -> str:
        value = values.get(name)
        return str(value) if value is not None else ""

    framework = text("framework").lower()
    return Artifact(
        type=found.type,
        name=text("display_name") or text("name") or found.name or f"artifact-{found.id}",
        version=text("version") or str(found.id),
        uri=found.uri,
        description=text("description"),
        author=text("author"),
        format=format_.name if (format_ := known_format(framework)) and not format_.is_code else framework,
        details={k: v for k, v in values.items() if k not in known},
        id=found.id,
        created=found.create_time_since_epoch / 1000,
        updated=found.last_update_time_since_epoch / 1000,
    )


def _structured(artifact: Artifact) -> dict[str, str]:
    """The fields that are kept as JSON text."""
    environment: dict[str, JSON] = {
        "python": artifact.environment.python,
        "python_version": artifact.environment.python_version,
        "host": artifact.environment.host,
        "packages": dict(artifact.environment.packages),
    }
    return {
        "tags": _dump("tags", dict(artifact.tags)) if artifact.tags else "",
        "signature": _dump("signature", artifact.signature.to_dict()) if artifact.signature else "",
        "environment": _dump("environment", environment),
        "details": _dump("details", dict(artifact.details)) if artifact.details else "",
    }


def _dump(field: str, value: JSON) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The {field} cannot be kept as JSON: {error}.", hint="Pass plain values.", field=field
        ) from error


def _plain(value: pb.Value) -> JSON:
    kind = value.WhichOneof("value")
    if kind == "struct_value":
        from google.protobuf.json_format import MessageToDict

        whole: JSON = MessageToDict(value.struct_value)
        return whole
    plain: JSON = getattr(value, kind) if kind else None
    return plain


def _fits(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise InvalidInputError(
            f"The {field} {value[:60]!r}… has {len(value)} characters.",
            hint=f"At most {limit} can be kept.",
            field=field,
        )
    if "\0" in value or not _encodable(value):
        raise InvalidInputError(
            f"The {field} {value[:60]!r} has characters that cannot be stored.", hint="Remove them.", field=field
        )


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _Texts:
    """Text properties; an absent one, or one of another kind, is empty."""

    def __init__(self, properties: Mapping[str, pb.Value]) -> None:
        self._properties = properties

    def __getitem__(self, name: str) -> str:
        # Asked with "in" first: reading an absent key of a protobuf map adds it.
        return self._properties[name].string_value if name in self._properties else ""

    def mapping(self, name: str) -> Mapping[str, JSON]:
        """A property that is JSON of an object; what another program has put there instead counts as absent."""
        try:
            value = json.loads(self[name] or "{}")
        except ValueError:
            return {}
        return value if isinstance(value, Mapping) else {}
