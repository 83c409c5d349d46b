"""Predictors for models saved in a framework's own format: the model's own method answers, to its own table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput
from kserve.utils.utils import generate_uuid

from .. import modelmeta
from ..estimators import Question, question, rows_of
from ..estimators.answers import plain
from ..formats.tensors import TensorModel
from ..formats.texts import Writer
from ..ml import JSON
from ..modelmeta import ModelMeta
from . import tensors
from .files import load_object
from .named import NamedTensorModel
from .tables import TableBuilder
from .task import Task
from .writing import WritingModel


def load_model(task: Task) -> FrameworkModel | NamedTensorModel | WritingModel:
    """Load the one model file of the snapshot, or the estimator beside it.

    Raises:
        RuntimeError: there is no model file, or several.
        TypeError: what it holds has no such method.
        Exception: whatever the framework says of the file.
    """
    folder = Path(task.path)
    meta = modelmeta.read(folder) or ModelMeta()
    found = load_object(folder, task.kind)
    if isinstance(found, TensorModel):
        return NamedTensorModel(task.name, found)
    if isinstance(found, Writer):
        return WritingModel(task.name, found)
    return FrameworkModel(task.name, found, answered_by(), meta)


def answered_by() -> str:
    """The method that this process is to answer with, by its environment."""
    return modelmeta.method_in(os.environ) or "predict"


class FrameworkModel(Model):  # type: ignore[misc]  # kserve has no types
    """An estimator or booster whose method answers requests.

    Args:
        name: name on the wire.
        estimator: the object that was loaded.
        method: of its methods the one that answers.
        meta: what was recorded of it; empty for models that were logged before or elsewhere.

    Raises:
        TypeError: it has no such method.
    """

    def __init__(self, name: str, estimator: object, method: str = "predict", meta: ModelMeta | None = None) -> None:
        super().__init__(name)
        meta = meta or ModelMeta()
        self._question: Question = question(estimator, method)
        self._table = table_of(estimator, meta, self._question)
        self._config = dict(meta.sklearn_config)
        self._refusals: tuple[type[Exception], ...] = (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            *self._question.refusals,
        )
        self.ready = True

    def predict(
        self,
        payload: dict[str, object] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, object] | InferResponse:
        """v1: ``{"predictions": …}`` for ``{"instances": …}``; v2: one output, ``output-0``, or one for each."""
        if isinstance(payload, InferRequest):
            return self._answer_v2(payload, self.apply(self._rows_of_request(payload)))
        return {"predictions": plain(self.apply(self._rows_of_body(payload)))}

    def answers(self, rows: Sequence[JSON]) -> JSON:
        """What it answers to rows in v1's form: one item for each.

        Raises:
            InvalidInput, InferenceError: as :meth:`apply`.
        """
        return plain(self.apply(self._rows_of_body({"instances": list(rows)})))

    def apply(self, rows: object) -> object:
        """The method's result: as many answers as rows.

        Raises:
            InvalidInput: the framework refused the rows; its own message.
            InferenceError: it failed in another way, or answered more or fewer rows than there are.
        """
        try:
            with self._settings():
                answers = self._question.function(rows)
        except self._refusals as exc:
            raise InvalidInput(str(exc) or type(exc).__name__) from exc
        except Exception as exc:
            raise InferenceError(f"{type(exc).__name__}: {exc}") from exc
        asked, answered = rows_of(rows), rows_of(answers)
        if asked != answered:
            told = f"{answered} answers" if answered >= 0 else f"a {type(answers).__name__}"
            raise InferenceError(f"The model answered {asked} rows with {told}.")
        return answers

    def named(self, values: np.ndarray) -> object:
        """The model's input made of an array of numbers.

        Raises:
            InvalidInput: the model takes something else.
        """
        try:
            return self._table.of_array(values)
        except (ValueError, TypeError) as exc:
            raise InvalidInput(str(exc)) from exc

    def get_input_types(self) -> list[dict[str, object]]:
        """v2 metadata: what the model itself knows of its input."""
        count = self._question.features
        return [{"name": "input-0", "datatype": "FP64", "shape": [-1, count]}] if count else []

    def _settings(self) -> AbstractContextManager[None]:
        if not self._config:
            return nullcontext()
        import sklearn

        settings: AbstractContextManager[None] = sklearn.config_context(**self._config)
        return settings

    def _rows_of_body(self, body: object) -> object:
        if not isinstance(body, dict):
            raise InvalidInput('The request must be an object with a list "instances".')
        rows = body.get("instances", body.get("inputs"))
        if not isinstance(rows, list):
            raise InvalidInput('The request has no list "instances".')
        try:
            return self._table.of_rows(rows)
        except (ValueError, TypeError) as exc:
            raise InvalidInput(f"The instances are not rows of this model: {exc}") from exc

    def _rows_of_request(self, request: InferRequest) -> object:
        if not request.inputs:
            raise InvalidInput('The request has no "inputs".')
        try:
            if len(request.inputs) > 1 or tensors.asks_for_frame(request):
                columns = {i.name: tensors.column(i) for i in request.inputs}
                if len(columns) < len(request.inputs):
                    raise InvalidInput("The request has two inputs of one name.")
                return self._table.of_columns(columns)
            found = tensors.rows(request.inputs[0])
            if not isinstance(found, list):
                return self._table.of_array(found)
            # A tensor of texts may have a second dimension of one.
            texts = self._table.kind == "texts" and all(isinstance(r, list) and len(r) == 1 for r in found)
            return self._table.of_rows([r[0] for r in found if isinstance(r, list)] if texts else found)
        except InvalidInput:
            raise
        except (ValueError, TypeError) as exc:
            raise InvalidInput(f"The inputs are not rows of this model: {exc}") from exc

    def _answer_v2(self, request: InferRequest, result: object) -> InferResponse:
        binary = bool(request.use_binary_outputs)
        outputs = []
        for one in tensors.outputs(result):
            kind = tensors.datatype(one.values)
            output = InferOutput(name=one.name, shape=list(one.values.shape), datatype=kind)
            output.set_data_from_numpy(one.values, binary_data=binary)
            if one.is_json:
                output.parameters = {**(output.parameters or {}), "content_type": "json"}
            outputs.append(output)
        return InferResponse(
            model_name=self.name,
            infer_outputs=outputs,
            response_id=request.id or generate_uuid(),
            use_binary_outputs=binary,
            requested_outputs=request.request_outputs,
        )


def table_of(estimator: object, meta: ModelMeta, asked: Question) -> TableBuilder:
    """What makes the model's input: by its record, or by what it tells of itself where there is none."""
    from ..estimators import describe
    from ..estimators.names import checks_names, is_read_by_lightgbm

    signature = meta.signature or describe(estimator).signature
    by_lightgbm = is_read_by_lightgbm(estimator)
    return TableBuilder(
        signature,
        asked.columns,
        checks_names=checks_names(estimator) and not by_lightgbm,
        rewrites_names=by_lightgbm,
    )
