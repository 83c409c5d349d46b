"""Predictors for models saved in a framework's own format, behaving as KServe's own servers for them do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput
from kserve.utils.utils import generate_uuid

from . import tensors
from .task import Task

if TYPE_CHECKING:
    from .tensors import Rows

SUFFIXES = {
    "sklearn": (".joblib", ".pkl", ".pickle"),
    "xgboost": (".bst", ".json", ".ubj"),
    "lightgbm": (".bst",),
}
"""What a model's file is called, in the layout that KServe's servers look for."""


def load_model(task: Task) -> FrameworkModel:
    """Load the one model file of the snapshot.

    Raises:
        RuntimeError: there is none, or several.
        Exception: whatever the framework says of the file.
    """
    file = _the_file(Path(task.path), SUFFIXES[task.kind])
    return FrameworkModel(task.name, *_LOADERS[task.kind](file))


class FrameworkModel(Model):  # type: ignore[misc]  # kserve has no types
    """A model with one function from rows to outputs.

    Args:
        name: name on the wire.
        function: takes an array of shape (rows, features), a DataFrame or a list of texts.
        columns: names of the features, where the model has them.
        features: their number, 0 where it is not known.
        refusals: errors by which the framework says that the input is wrong.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Rows], object],
        columns: Sequence[str],
        features: int,
        refusals: tuple[type[Exception], ...],
    ) -> None:
        super().__init__(name)
        self._function = function
        self._columns = list(columns)
        self._features = features
        self._refusals: tuple[type[Exception], ...] = (ValueError, TypeError, KeyError, IndexError, *refusals)
        self.ready = True

    def predict(
        self,
        payload: dict[str, object] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, object] | InferResponse:
        """v1: ``{"predictions": …}`` for ``{"instances": …}``; v2: one output, ``output-0``."""
        if isinstance(payload, InferRequest):
            return self._answer_v2(payload, self.apply(self._rows_of_request(payload)))
        return {"predictions": tensors.plain(self.apply(self._rows_of_body(payload)))}

    def apply(self, rows: Rows) -> object:
        """The function's result.

        Raises:
            InvalidInput: the framework refused the rows; its own message.
            InferenceError: it failed in another way.
        """
        try:
            return self._function(rows)
        except self._refusals as exc:
            raise InvalidInput(str(exc) or type(exc).__name__) from exc
        except Exception as exc:
            raise InferenceError(f"{type(exc).__name__}: {exc}") from exc

    def named(self, rows: Rows) -> Rows:
        """Rows with the model's column names, where it was trained with names; pipelines select columns by them."""
        if not self._columns:
            return rows
        import pandas as pd

        if isinstance(rows, pd.DataFrame):
            known = set(self._columns) <= set(rows.columns)
            return rows.reindex(columns=self._columns) if known else rows
        if len(np.shape(rows)) == 2 and np.shape(rows)[1] == len(self._columns):
            table: pd.DataFrame = pd.DataFrame(rows, columns=self._columns)
            return table
        return rows

    def get_input_types(self) -> list[dict[str, object]]:
        """v2 metadata: what the model itself knows of its input."""
        return [{"name": "input-0", "datatype": "FP64", "shape": [-1, self._features]}] if self._features else []

    def _rows_of_body(self, body: object) -> Rows:
        if not isinstance(body, dict):
            raise InvalidInput('The request has to be an object with a list "instances".')
        rows = body.get("instances", body.get("inputs"))
        if not isinstance(rows, list):
            raise InvalidInput('The request has no list "instances".')
        try:
            return self._rows_of_list(rows)
        except (ValueError, TypeError) as exc:
            raise InvalidInput(f"The instances are not a table of values: {exc}") from exc

    def _rows_of_list(self, rows: list[object]) -> Rows:
        first = rows[0] if rows else None
        if isinstance(first, str):
            return [str(r) for r in rows]
        if isinstance(first, dict):
            import pandas as pd

            if any(isinstance(v, list) for v in first.values()):
                # The form that KServe's own servers read: each object holds columns, not a row.
                parts = [pd.DataFrame(columns) for columns in rows if isinstance(columns, dict)]
                return self.named(pd.concat(parts, ignore_index=True))
            return self.named(pd.DataFrame(rows))
        if self._columns and isinstance(first, list) and len(first) == len(self._columns):
            import pandas as pd

            # From the lists themselves, so that numbers beside texts stay numbers.
            table: pd.DataFrame = pd.DataFrame(rows, columns=self._columns)
            return table
        return np.asarray(rows)

    def _rows_of_request(self, request: InferRequest) -> Rows:
        if not request.inputs:
            raise InvalidInput('The request has no "inputs".')
        try:
            if len(request.inputs) > 1 or tensors.asks_for_frame(request):
                import pandas as pd

                return self.named(pd.DataFrame({i.name: tensors.column(i) for i in request.inputs}))
            return self.named(tensors.rows(request.inputs[0]))
        except InvalidInput:
            raise
        except (ValueError, TypeError) as exc:
            raise InvalidInput(f"The inputs do not fit their shapes and datatypes: {exc}") from exc

    def _answer_v2(self, request: InferRequest, result: object) -> InferResponse:
        binary = bool(request.use_binary_outputs)
        outputs = []
        for name, values in tensors.outputs(result):
            output = InferOutput(name=name, shape=list(values.shape), datatype=tensors.datatype(values))
            output.set_data_from_numpy(values, binary_data=binary)
            outputs.append(output)
        return InferResponse(
            model_name=self.name,
            infer_outputs=outputs,
            response_id=request.id or generate_uuid(),
            use_binary_outputs=binary,
            requested_outputs=request.request_outputs,
        )


_Loaded: TypeAlias = "tuple[Callable[[Rows], object], Sequence[str], int, tuple[type[Exception], ...]]"


def _sklearn(file: Path) -> _Loaded:
    import joblib

    estimator = joblib.load(file)
    method = "predict_proba" if os.environ.get("PREDICT_PROBA", "").lower() == "true" else "predict"
    function = getattr(estimator, method, None)
    if not callable(function):
        raise TypeError(f"The object in {file.name} is a {type(estimator).__name__}, which has no method {method}.")
    return function, _columns(estimator), _features(estimator), ()


def _xgboost(file: Path) -> _Loaded:
    import xgboost

    booster = xgboost.Booster(model_file=str(file))
    names = list(booster.feature_names or [])

    features = int(booster.num_features())

    def predict(rows: Rows) -> object:
        count = np.shape(rows)[1] if len(np.shape(rows)) == 2 else 0
        if count != features:
            # XGBoost takes absent columns for missing values, and answers.
            raise ValueError(f"Feature shape mismatch, expected: {features}, got {count}")
        return booster.predict(xgboost.DMatrix(rows, feature_names=names or None))

    return predict, names, features, (xgboost.core.XGBoostError,)


def _lightgbm(file: Path) -> _Loaded:
    import lightgbm

    booster = lightgbm.Booster(model_file=str(file))
    names = booster.feature_name()
    made_up = all(name == f"Column_{i}" for i, name in enumerate(names))
    errors = (lightgbm.basic.LightGBMError,)
    return booster.predict, [] if made_up else names, int(booster.num_feature()), errors


_LOADERS: dict[str, Callable[[Path], _Loaded]] = {"sklearn": _sklearn, "xgboost": _xgboost, "lightgbm": _lightgbm}


def _columns(estimator: object) -> list[str]:
    """Names of the features; a Pipeline asks its first step, which may have none."""
    found = getattr(estimator, "feature_names_in_", None)
    return [] if found is None else [str(name) for name in found]


def _features(estimator: object) -> int:
    return int(getattr(estimator, "n_features_in_", 0) or 0)


def _the_file(directory: Path, suffixes: tuple[str, ...]) -> Path:
    found = sorted(f for f in directory.iterdir() if f.suffix in suffixes and f.is_file())
    if len(found) == 1:
        return found[0]
    wanted = ", ".join(suffixes)
    if not found:
        raise RuntimeError(f"The snapshot {directory} holds no model file ({wanted}).")
    names = ", ".join(f.name for f in found)
    raise RuntimeError(
        f"The snapshot {directory} holds more than one model file ({names}); one was expected ({wanted})."
    )
