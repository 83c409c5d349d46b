"""TensorFlow Serving's classification and regression: examples in, and classes with scores or numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2

from ..ml import JSON
from . import tfjson
from .tfrefusal import Refusal
from .tfservable import CLASSIFY, REGRESS, Servable


class Scored(NamedTuple):
    """A class of an answer."""

    label: bytes
    score: float


def of_json(request: Mapping[str, JSON]) -> list[bytes]:
    """The examples of a request by REST.

    Raises:
        Refusal: there are none, or one has values of another kind than features have.
    """
    listed = request.get("examples")
    shown = str(request)[:200]
    if "examples" not in request:
        raise Refusal(f"JSON Value: {shown} When method is classify, key 'examples' is expected and was not found")
    if not isinstance(listed, list):
        raise Refusal(f"JSON Value: {shown} Expecting 'examples' value to be an list/array")
    if not listed:
        raise Refusal(f"JSON Value: {shown} 'examples' value is an empty array")
    context = _example(request["context"]) if "context" in request else example_pb2.Example()
    # Messages merge by being joined: the example's own features win.
    return [context.SerializeToString() + _example(one).SerializeToString() for one in listed]


def classify(model: Servable, signature: str, examples: Sequence[bytes]) -> list[list[Scored]]:
    """The classes of each example.

    Raises:
        Refusal: the signature is not for that, or its outputs are of another form.
    """
    found = model.of_examples(signature, CLASSIFY, examples)
    classes, scores = found.get("classes"), found.get("scores")
    if classes is None and scores is None:
        raise Refusal(
            'Expected classification signature outputs to contain at least one of "classes" or "scores".',
            "FAILED_PRECONDITION",
        )
    for name, values, kind in (("classes", classes, "O"), ("scores", scores, "f")):
        if values is None:
            continue
        if values.ndim != 2:
            shape = ",".join(map(str, values.shape))
            raise Refusal(f"Expected Tensor shape: [batch_size num_classes] but got [{shape}]")
        if values.dtype.kind != kind:
            raise Refusal(f"Expected {name} Tensor of {'DT_STRING' if kind == 'O' else 'DT_FLOAT'}.")
        if len(values) != len(examples):
            raise Refusal(f"Expected {name} output batch size of {len(examples)}. Got: {len(values)}")
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise Refusal(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    first = classes if classes is not None else scores
    size = first.shape if first is not None else (0, 0)
    labels = classes.tolist() if classes is not None else [[b""] * size[1] for _ in range(size[0])]
    numbers = scores if scores is not None else np.zeros(size, dtype=np.float32)
    plain = numbers.astype(str).astype(np.float64).tolist()
    return [[Scored(*pair) for pair in zip(*row, strict=True)] for row in zip(labels, plain, strict=True)]


def regress(model: Servable, signature: str, examples: Sequence[bytes]) -> list[float]:
    """A number for each example.

    Raises:
        Refusal: the signature is not for that, or its output is of another form.
    """
    found = model.of_examples(signature, REGRESS, examples)
    if "outputs" not in found:
        raise Refusal('Expected regression signature outputs to contain "outputs".', "FAILED_PRECONDITION")
    values = found["outputs"]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        shape = ",".join(map(str, values.shape))
        raise Refusal(f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [{shape}]")
    if len(values) != len(examples):
        raise Refusal(f"Input batch size did not match output batch size: {len(examples)} vs. {len(values)}")
    numbers: list[float] = values.ravel().astype(str).astype(np.float64).tolist()
    return numbers


def _example(value: JSON) -> example_pb2.Example:
    if not isinstance(value, Mapping):
        raise Refusal(f"Example must be JSON object but got JSON {type(value).__name__}")
    made = example_pb2.Example()
    for name, content in value.items():
        made.features.feature[name].CopyFrom(_feature(name, content if isinstance(content, list) else [content]))
    return made


def _feature(name: str, values: Sequence[JSON]) -> feature_pb2.Feature:
    made = feature_pb2.Feature()
    field: str
    one: int | float | bytes
    for value in values:
        if isinstance(value, bool | int):
            field, one = "int64_list", int(value)
        elif isinstance(value, float):
            field, one = "float_list", value
        elif isinstance(value, str):
            field, one = "bytes_list", value.encode()
        elif tfjson.is_base64(value):
            field, one = "bytes_list", tfjson.unpacked(value)
        else:
            raise Refusal(f"Feature: {name} has element with unexpected JSON type: {type(value).__name__}")
        if made.WhichOneof("kind") not in (None, field):
            raise Refusal(f"Unexpected element type in feature: {name} expecting type: {made.WhichOneof('kind')}")
        try:
            getattr(made, field).value.append(one)
        except ValueError as error:
            raise Refusal(f"Feature: {name} has a number that is too large. Only int64 is supported.") from error
    return made
