"""MLflow: a folder with an ``MLmodel`` file, as ``log_model`` and ``save_model`` write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..entities import Artifact
from ..ml import JSON, Signature, TensorSpec
from . import mlflowmodel
from .base import Format, Server, installed
from .calling import outputs_of
from .mlflowmodel import MLmodel, MLmodelError
from .tensors import chosen

if TYPE_CHECKING:
    import numpy as np

_LIBRARIES = {"sklearn": "scikit-learn", "pytorch": "torch"}
"""Distributions of flavors that are not called as these."""
_PICKLERS = ("cloudpickle", "joblib", "skops")


class _PyFunc(Protocol):
    def predict(self, data: object) -> object: ...


class _MLflow(Format):
    name = "mlflow"
    title = "MLflow"
    aliases = ("mlmodel",)
    needs = (("mlflow", "mlflow-skinny"), ("numpy",), ("pandas",))
    needs_opening = False
    holds_objects = True
    runtimes = ("kserve-mlserver",)
    server = Server("mlflow-server", "MLflow server")

    def matches_path(self, path: Path) -> bool:
        # One that MLflow itself cannot ask may have a file that another format can.
        return (path / mlflowmodel.NAME).is_file() and not self.check(path)

    def load(self, path: Path) -> object:
        import mlflow.pyfunc

        model: _PyFunc = mlflow.pyfunc.load_model(str(path))
        described = mlflowmodel.read(path)
        # Without a signature it is asked as an estimator is, with the rows as they come.
        return _Model(model, described) if described.inputs else model

    def packages_in(self, path: Path, obj: object | None) -> tuple[str, ...]:
        found = mlflowmodel.read(path)
        named = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in found.requirements}
        libraries = {*_PICKLERS, *(_LIBRARIES.get(flavor, flavor) for flavor in found.flavors)} & named
        return tuple(sorted({*(installed(*names) for names in self.needs), *libraries}))

    def check(self, directory: Path) -> list[str]:
        try:
            mlflowmodel.read(directory)
        except MLmodelError as error:
            return [str(error)]
        return []

    def path_signature(self, directory: Path) -> Signature | None:
        inputs = mlflowmodel.read(directory).inputs
        return Signature(input_dtype="", inputs=inputs) if inputs else None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        found = mlflowmodel.read(directory)
        told: dict[str, JSON] = {
            "flavors": list(found.flavors),
            "mlflow_version": found.version,
            "optional_columns": list(found.optional),
            "requirements": list(found.requirements),
        }
        return {key: value for key, value in told.items() if value}

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        if model.signature is None:
            yield "Without a signature of the model it takes requests for what their content_type says."


FORMAT = _MLflow()


class _Model:
    """A model with a signature; a :class:`~kale_serve_ext.formats.tensors.TensorModel`."""

    def __init__(self, model: _PyFunc, described: MLmodel) -> None:
        self._model = model
        self._described = described
        self.inputs = described.inputs
        self.outputs: tuple[TensorSpec, ...] = ()
        """What MLflow's signatures say of outputs has other names than what models return."""

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        """The prediction by column, or as ``output-0``."""
        import pandas as pd

        names = [spec.name for spec in self.inputs]
        named = {name: tensors[name] for name in names}
        data: object = named
        if self._described.is_table:
            data = pd.DataFrame(named)
        elif names == ["input-0"]:
            data = tensors["input-0"]
        result = self._model.predict(data)
        if isinstance(result, pd.DataFrame):
            result = {str(name): result[name] for name in result.columns}
        found = outputs_of(result)
        return chosen(found, wanted)
