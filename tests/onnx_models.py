"""ONNX models for tests, made by hand or by skl2onnx, and what ONNX Runtime itself answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

if TYPE_CHECKING:
    from onnx import ModelProto

IRIS = load_iris().data.astype(np.float32)


def classifier() -> ModelProto:
    """Of iris, as skl2onnx writes it: labels, and for each row an object of class to probability."""
    labels = np.array(["setosa", "versicolor", "virginica"])[load_iris().target]
    made: ModelProto = to_onnx(LogisticRegression(max_iter=500).fit(IRIS, labels), IRIS[:1])
    return made


def columns() -> ModelProto:
    """``offset + 2·weight`` of a table, as skl2onnx writes it: an input for each of its columns."""
    table = pd.DataFrame({"offset": [0.0, 1, 0, 1], "weight": [0.0, 0, 1, 1]})
    # A pipeline, which takes the columns apart.
    pipeline = make_pipeline(
        ColumnTransformer([("same", "passthrough", ["offset", "weight"])]), LinearRegression()
    ).fit(table, table["offset"] + 2 * table["weight"])
    made: ModelProto = to_onnx(pipeline, table[:1])
    return made


def scores() -> ModelProto:
    """Two inputs of different types and two outputs: ``matrix·W + offset`` and the texts as they came."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["offset"], ["shift"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["matrix", "weights"], ["product"]),
            helper.make_node("Add", ["product", "shift"], ["scores"]),
            helper.make_node("Identity", ["texts"], ["same"]),
        ],
        "scores",
        [
            helper.make_tensor_value_info("matrix", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("offset", TensorProto.INT64, ["batch", 1]),
            helper.make_tensor_value_info("texts", TensorProto.STRING, ["batch"]),
            # Before version 4 of the format a weight was an input too.
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, [3, 2]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("same", TensorProto.STRING, ["batch"]),
        ],
        [numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "weights")],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)], producer_name="tests")
    onnx.checker.check_model(made)
    return made


def with_external_data(folder: Path) -> Path:
    """A model ``linear.onnx`` whose weights are in ``weights/linear.bin``."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.arange(128, dtype=np.float32).reshape(64, 2), "w")],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    (folder / "weights").mkdir(parents=True)
    path = folder / "linear.onnx"
    onnx.save_model(made, path, save_as_external_data=True, location="weights/linear.bin", size_threshold=0)
    return path


def answers(model: ModelProto | Path, **fed: np.ndarray) -> dict[str, object]:
    """What ONNX Runtime answers in this process."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))
