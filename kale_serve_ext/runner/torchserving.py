"""What is asked of a TorchServe on a unix socket, and the models that have it answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import httpx
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput
from kserve.utils.utils import generate_uuid

from ..estimators.answers import plain
from ..formats.tensors import TensorModel, chosen
from ..ml import JSON, Signature, TensorSpec
from . import tensors
from .answering import in_thread
from .named import NamedTensorModel
from .torchhandler import DESCRIBE, REFUSED, pack, unpack

_WITHIN = 10.0
"""Seconds for a question that no model has to answer."""
_NO_ANSWER = "TorchServe does not answer: {}"


class Peer:
    """TorchServe's side.

    Args:
        inference: the socket where its model is asked.
        management: the one where it is asked for the state of its workers.
        name: the model's.
        keys: the file with the tokens that it has made; it need not be there yet.
    """

    def __init__(self, inference: Path, management: Path, name: str, keys: Path) -> None:
        self._inference = _client(inference)
        self._management = _client(management)
        self._name = name
        self._keys = keys

    def is_ready(self) -> bool:
        """Whether a worker has the model loaded. TorchServe's own word for itself says nothing of its workers."""
        try:
            answer = self._management.get(f"/models/{self._name}", headers=self._bearer("management"))
            told = answer.json() if answer.status_code == httpx.codes.OK else []
            return any(worker.get("status") == "READY" for one in told for worker in one.get("workers", ()))
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def ask(self, body: bytes, kind: str = "application/octet-stream") -> bytes:
        """What the model answers.

        Raises:
            InvalidInput: it does not take the body; in its own words.
            InferenceError: it, or TorchServe, has failed.
        """
        try:
            answer = self._inference.post(
                f"/predictions/{self._name}",
                content=body,
                headers={**self._bearer("inference"), "content-type": kind},
                timeout=httpx.Timeout(_WITHIN, read=None),
            )
        except httpx.HTTPError as error:
            raise InferenceError(_NO_ANSWER.format(str(error) or type(error).__name__)) from error
        if answer.status_code == httpx.codes.OK:
            return answer.content
        message = _message_in(answer)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise InvalidInput(message)
        raise InferenceError(message)

    def _bearer(self, role: str) -> dict[str, str]:
        key = json.loads(self._keys.read_text("utf-8"))[role]["key"]
        return {"authorization": f"Bearer {key}"}


class RemoteProgram:
    """A program behind this package's handler; a :class:`~kale_serve_ext.formats.tensors.TensorModel`."""

    def __init__(self, peer: Peer) -> None:
        told, _ = unpack(peer.ask(pack({DESCRIBE: True}, {})))
        signature = Signature.from_dict(cast("Mapping[str, JSON]", told))
        self._peer = peer
        self.inputs: tuple[TensorSpec, ...] = signature.inputs
        self.outputs: tuple[TensorSpec, ...] = signature.outputs

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        told, arrays = unpack(self._peer.ask(pack({}, tensors)))
        if REFUSED in told:
            raise ValueError(told[REFUSED])
        return chosen(arrays, wanted)


class ProgramModel(NamedTensorModel):
    """A program that is asked by name, and does not hold up others while it answers."""

    def __init__(self, name: str, peer: Peer, model: TensorModel) -> None:
        super().__init__(name, model)
        self._peer = peer

    async def predict(
        self,
        payload: dict[str, object] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, object] | InferResponse:
        return await in_thread(super().predict, payload, headers, response_headers)

    async def healthy(self) -> bool:
        return await asyncio.to_thread(self._peer.is_ready)


class ArchiveModel(Model):  # type: ignore[misc]  # kserve has no types
    """Somebody's model archive, whose handler takes the instances of v1 and gives as many answers.

    By v2 the only input's rows are the instances, or of several inputs objects of their rows by name; the answers are
    one output, ``output-0``, or one for each of their keys.
    """

    def __init__(self, name: str, peer: Peer) -> None:
        super().__init__(name)
        self._peer = peer
        self.ready = True

    async def predict(
        self,
        payload: dict[str, object] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, object] | InferResponse:
        return await in_thread(self._predict, payload)

    async def healthy(self) -> bool:
        return await asyncio.to_thread(self._peer.is_ready)

    def _predict(self, payload: dict[str, object] | InferRequest) -> dict[str, object] | InferResponse:
        if not isinstance(payload, InferRequest):
            rows = payload.get("instances", payload.get("inputs")) if isinstance(payload, dict) else None
            if not isinstance(rows, list):
                raise InvalidInput('The request has no list "instances".')
            return {"predictions": self._answers(rows)}
        columns = {one.name: _rows(one) for one in payload.inputs}
        if not columns or len({len(rows) for rows in columns.values()}) != 1:
            raise InvalidInput("The inputs do not have the same number of rows.")
        names = list(columns)
        rows = columns[names[0]] if len(names) == 1 else _objects(columns)
        outputs = [_output(one, bool(payload.use_binary_outputs)) for one in _columns_of(self._answers(rows))]
        return InferResponse(
            model_name=self.name,
            infer_outputs=outputs,
            response_id=payload.id or generate_uuid(),
            use_binary_outputs=bool(payload.use_binary_outputs),
            requested_outputs=payload.request_outputs,
        )

    def _answers(self, rows: Sequence[object]) -> Sequence[JSON]:
        told = json.loads(self._peer.ask(json.dumps({"instances": rows}).encode(), "application/json"))
        answers = told.get("predictions") if isinstance(told, dict) else told
        if not isinstance(answers, list) or len(answers) != len(rows):
            raise InferenceError(f"The archive's handler does not give one answer for each of {len(rows)} instances.")
        return answers


def _client(socket: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(socket))
    return httpx.Client(transport=transport, base_url="http://torchserve", timeout=_WITHIN, trust_env=False)


def _rows(sent: object) -> list[object]:
    found = tensors.rows(sent)
    return found if isinstance(found, list) else cast("list[object]", plain(found))


def _objects(columns: Mapping[str, Sequence[object]]) -> list[object]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns_of(answers: Sequence[JSON]) -> list[tensors.Output]:
    """The answers as tensors; what makes no tensor as texts of JSON."""
    if answers and all(isinstance(one, dict) and one.keys() == answers[0].keys() for one in answers):  # type: ignore[union-attr]
        rows = cast("Sequence[Mapping[str, JSON]]", answers)
        return [_tensor(name, [row[name] for row in rows]) for name in rows[0]]
    return [_tensor("output-0", answers)]


def _tensor(name: str, values: Sequence[JSON]) -> tensors.Output:
    try:
        found = np.array(values)
    except ValueError:  # lists of unequal lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind in "biuf" and found.shape[:1] == (len(values),):
        return tensors.Output(name, found)
    texts = np.empty(len(values), dtype=object)
    texts[:] = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in values]
    return tensors.Output(name, texts, is_json=not all(isinstance(one, str) for one in values))


def _output(made: tensors.Output, binary: bool) -> InferOutput:
    output = InferOutput(name=made.name, shape=list(made.values.shape), datatype=tensors.datatype(made.values))
    output.set_data_from_numpy(made.values, binary_data=binary)
    if made.is_json:
        output.parameters = {**(output.parameters or {}), "content_type": "json"}
    return output


def _message_in(answer: httpx.Response) -> str:
    try:
        told = answer.json()
        return str(told["message"])
    except (ValueError, KeyError, TypeError):
        return f"TorchServe answers {answer.status_code}: {answer.text[:200]}"
