"""One request by REST, whichever client carries it: what is sent, and what its answer means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engines.sync_http import Answer
from ..errors import KaleServeError, PredictionError
from ..ml import JSON
from . import binary, failures, protocols, tensors

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Request:
    """A POST to a component."""

    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_json(self) -> bool:
        """Whether all of it is JSON."""
        return binary.LENGTH not in self.headers


def encode(data: object, protocol: str, model: str, *, transformer: bool, own: bool = False) -> Request:
    """What asks ``model`` about ``data``.

    A text that begins as an object does goes as it is. Nobody reads it here before the model does, which takes longer
    than all else; see :func:`checked`.

    Args:
        data: whatever :func:`protocols.encode` takes.
        protocol: ``v1``, ``v2`` or ``v2-binary``.
        own: whether the server is this package's.
    """
    path = protocols.path(protocol, model)
    if protocol == "v2-binary":
        if tensors.is_numeric(data):
            body, length = binary.encode(data)
        else:
            body, length = binary.encode_cells(protocols.cells_of(data), own=own and not transformer)
        return Request(path, body, {"Content-Type": "application/octet-stream", binary.LENGTH: str(length)})
    if isinstance(data, str) and data.startswith("{"):
        return of_json(path, data.encode())
    if isinstance(data, bytes) and data.startswith(b"{"):
        return of_json(path, data)
    if protocol == "v2" and tensors.is_numeric(data):
        return of_json(path, protocols.dumps(binary.as_json(data)))
    return of_json(path, protocols.encode(data, protocol, transformer=transformer))


def of_json(path: str, body: bytes) -> Request:
    """A request whose body is JSON."""
    return Request(path, body, _JSON)


def decode(answer: Answer) -> JSON:
    """A good answer's content, parsed."""
    return binary.decode(answer.content, answer.headers.get(binary.LENGTH, ""))


def checked(service: str, request: Request, answer: Answer, largest: int) -> Answer:
    """The answer, if it went well.

    Raises:
        InvalidInputError: it did not, and the request is not JSON.
        KaleServeError: what :func:`failures.of_http` makes of it; ``PredictionError`` where it has more than
            ``largest`` bytes.
    """
    if len(answer.content) > largest:
        raise PredictionError(
            f"The service {service!r} answered with more than {largest:,} bytes.",
            hint="Send fewer rows, or have its postprocess return less.",
        )
    if is_good(answer.status, answer.headers):
        return answer
    raise refused(service, request, answer)


def is_good(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer went well, and is a model's."""
    return 200 <= status < 300 and not failures.is_page(headers)


def refused(service: str, request: Request, answer: Answer) -> KaleServeError:
    """What an answer that did not go well is told as.

    Raises:
        InvalidInputError: the request is not JSON, which is what the model refuses then.
    """
    import httpx

    kept = {name: answer.headers[name] for name in ("content-type", "location") if name in answer.headers}
    told = failures.of_http(service, httpx.Response(answer.status, headers=kept, content=answer.content))
    if isinstance(told, PredictionError) and request.is_json:
        protocols.check(request.body)
    return told
