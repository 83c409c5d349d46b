"""A SavedModel's signatures, asked as TensorFlow Serving asks them, with its errors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from ..formats import savedmodel
from ..formats.savedmodel import DEFAULT, SignatureDef
from ..formats.tensorflow import refusal
from ..ml import TensorSpec
from .tfrefusal import STATUS, Refusal

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
_TYPES = {"float32": "float", "float64": "double", "float16": "half", "str": "string", "object": "string"}


class Servable:
    """The model in the numbered folder with the highest number, as TensorFlow Serving serves it.

    Args:
        name: the model's on the wire.
        folder: with the numbered folders.

    Raises:
        RuntimeError: there is none.
        Exception: whatever TensorFlow says of it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        found = savedmodel.versions(folder)
        if not found:
            raise RuntimeError(f"{folder} has no numbered folder with a SavedModel.")
        self.name = name
        self.version = max(found)
        place = found[self.version]
        _limit_threads()
        self._graph = savedmodel.of_file(place / savedmodel.FILE)
        self.definitions = _definitions(place / savedmodel.FILE)
        """As TensorFlow has them, for metadata."""
        self._model = tf.saved_model.load(str(place), tags=[savedmodel.SERVE])

    def check(self, name: str, version: int | None = None, label: str = "") -> None:
        """Whether a request is for this model.

        Raises:
            Refusal: it is not.
        """
        if not name:
            raise Refusal("ModelSpec has no name specified.")
        if label:
            raise Refusal(f"Unrecognized servable version label: {label}")
        if name != self.name or version not in (None, self.version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal(f"Servable not found for request: {wanted}", "NOT_FOUND")

    def check_status(self, name: str, version: int | None = None) -> None:
        """The same for a request for the model's status, which has other words.

        Raises:
            Refusal: it is for another model or version.
        """
        if name != self.name:
            raise Refusal(f"Could not find any versions of model {name}", "NOT_FOUND")
        if version not in (None, self.version):
            raise Refusal(f"Could not find version {version} of model {name}", "NOT_FOUND")

    def inputs(self, signature: str) -> dict[str, TensorSpec]:
        """A signature's inputs by name, for REST.

        Raises:
            Refusal: there is no such signature, or it takes nothing.
        """
        name = signature or DEFAULT
        if name not in self._graph.signatures:
            raise Refusal(f'Serving signature name: "{name}" not found in signature def')
        found = {spec.name: spec for spec in self._graph.signatures[name].inputs}
        if not found:
            raise Refusal(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
        return found

    def predict(
        self, signature: str, fed: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """The outputs by name, texts as bytes.

        Args:
            wanted: names of the outputs; all when empty.

        Raises:
            Refusal: there is no such signature, the arrays are not what it takes, or the model fails.
        """
        name = signature or DEFAULT
        if name not in self._graph.signatures:
            raise Refusal(f'Serving signature key "{name}" not found.', "FAILED_PRECONDITION")
        definition = self._graph.signatures[name]
        if definition.method not in (PREDICT, CLASSIFY, REGRESS):
            methods = ", ".join((PREDICT, CLASSIFY, REGRESS))
            raise Refusal(
                f"Expected prediction signature method_name to be one of {{{methods}}}. Was: {definition.method}",
                "INTERNAL",
            )
        _check_inputs(definition, fed)
        _check_outputs(definition, wanted)
        return self._run(name, fed, list(wanted) or [spec.name for spec in definition.outputs])

    def of_examples(self, signature: str, method: str, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """The outputs of a signature to classify or to regress.

        Args:
            method: the one that the signature must have.
            examples: each a ``tf.train.Example``.

        Raises:
            Refusal: there is no such signature, it is of another method, or the model fails.
        """
        name = signature or DEFAULT
        if name not in self._graph.signatures:
            raise Refusal(f"No signature was found with the name: {name}")
        definition = self._graph.signatures[name]
        if definition.method != method:
            kind = "classification" if method == CLASSIFY else "regression"
            raise Refusal(
                f"Expected {kind} signature method_name to be {method}. Was: {definition.method}",
            )
        if len(definition.inputs) != 1:
            raise Refusal("Expected one input Tensor.")
        if not examples:
            raise Refusal("Input is empty.")
        fed = np.empty(len(examples), dtype=object)
        fed[:] = examples
        return self._run(name, {definition.inputs[0].name: fed}, [spec.name for spec in definition.outputs])

    def _run(self, name: str, fed: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            tensors = {each: tf.constant(values) for each, values in fed.items()}
            found = self._model.signatures[name](**tensors)
            return {each: _array(found[each].numpy()) for each in wanted}
        except tf.errors.OpError as error:
            code = next((one for one in STATUS if getattr(tf.errors, one, None) == error.error_code), "INTERNAL")
            raise Refusal(refusal(error), code) from error
        except (ValueError, TypeError) as error:  # the function's own look at dtypes and shapes
            raise Refusal(refusal(error)) from error


def _array(values: object) -> np.ndarray:
    return np.asarray(values, dtype=object) if isinstance(values, bytes) else np.asarray(values)


def _check_inputs(definition: SignatureDef, fed: Mapping[str, np.ndarray]) -> None:
    known = {spec.name: spec for spec in definition.inputs}
    if len(fed) != len(known):
        sent, wanted = ",".join(sorted(fed)), ",".join(sorted(known))
        extra, missing = ",".join(sorted(fed.keys() - known)), ",".join(sorted(known.keys() - fed))
        raise Refusal(
            f"input size does not match signature: {len(fed)}!={len(known)} len({{{sent}}}) != len({{{wanted}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for name in fed:
        if name not in known:
            expected = ",".join(sorted(known))
            raise Refusal(
                f"input tensor alias not found in signature: {name}. Inputs expected to be in the set {{{expected}}}."
            )
    for number, (name, spec) in enumerate(sorted(known.items())):
        given = "str" if fed[name].dtype.kind in "OSU" else fed[name].dtype.name
        if spec.dtype not in (given, "object"):
            raise Refusal(
                f"Expects arg[{number}] to be {_TYPES.get(spec.dtype, spec.dtype)} but "
                f"{_TYPES.get(given, given)} is provided"
            )


def _check_outputs(definition: SignatureDef, wanted: Sequence[str]) -> None:
    known = [spec.name for spec in definition.outputs]
    for number, name in enumerate(wanted):
        if name not in known:
            raise Refusal(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{','.join(sorted(known))}}}."
            )
        if name in wanted[:number]:
            raise Refusal(f"duplicate output tensor alias: {name}")


def _definitions(file: Path) -> Mapping[str, meta_graph_pb2.SignatureDef]:
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(file.read_bytes())
    found = next((one for one in model.meta_graphs if savedmodel.SERVE in one.meta_info_def.tags), None)
    return dict(found.signature_def) if found else {}


def _limit_threads() -> None:
    """The CPU limit of the service, which TensorFlow itself does not ask for."""
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(int(threads))
            tf.config.threading.set_inter_op_parallelism_threads(int(threads))
