"""TensorFlow: a Keras model or ``tf.Module``, a SavedModel folder, or a ``.keras`` file, run by TensorFlow.

A logged model is a SavedModel in a numbered folder, ``1/saved_model.pb``, which is what TensorFlow Serving looks for; a
``.keras`` file stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..entities import Artifact
from ..ml import JSON, Signature, TensorSpec
from . import savedmodel, tfexport
from .base import Content, Format, Server, head
from .protobuf import DamagedError, TruncatedError
from .tensors import DTYPES, TensorModel, in_short

if TYPE_CHECKING:
    import numpy as np

_KERAS = ".keras"
_VERSION = "1"
"""The numbered folder of what is logged."""
_AGAIN = "Save it again with tf.saved_model.save(module, folder, signatures=module.__call__)."


class _Result(Protocol):
    def numpy(self) -> np.ndarray | bytes: ...


class _Signature(Protocol):
    """A signature's function."""

    def __call__(self, **tensors: object) -> Mapping[str, _Result]: ...


class _TensorFlow(Format):
    name = "tensorflow"
    title = "TensorFlow"
    aliases = ("keras", "savedmodel", "saved_model", "tf")
    endings = (".h5", _KERAS, ".pb")
    needs = (
        ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-rocm", "tf-nightly"),
        ("numpy",),
    )
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-tensorflow-serving", "kserve-tritonserver", "kserve-openvino")
    server = Server("tensorflow-server", "TensorFlow server")

    def matches(self, obj: object) -> bool:
        return tfexport.can_be_exported(obj)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        if path.name != savedmodel.FILE:
            return None
        return Content(what="one part of a SavedModel, which is a folder", hint="Choose the folder that it lies in.")

    def matches_path(self, path: Path) -> bool:
        return savedmodel.root(path) is not None or _keras_file(path) is not None

    def below(self, path: Path) -> str:
        return _VERSION if (path / savedmodel.FILE).is_file() else ""

    def check(self, directory: Path) -> list[str]:
        found = savedmodel.root(directory)
        if found is None and _keras_file(directory) is None:
            return ["There is no SavedModel (a folder with saved_model.pb and variables), and no .keras file."]
        return list(_faults(found)) if found else []

    def prepared(self, obj: object, said: Signature | None, example: object) -> object:
        return _Exported(obj, said, example)

    def save(self, obj: object, directory: Path) -> None:
        _exported(obj).move_to(directory / _VERSION)

    def signature(self, obj: object) -> Signature | None:
        return self.path_signature(_exported(obj).folder)

    def tensor_model(self, obj: object) -> TensorModel | None:
        return _Loaded(_exported(obj).folder)

    def load(self, path: Path) -> object:
        if (file := _keras_file(path)) is not None:
            return _of_keras(file)
        found = savedmodel.root(path)
        if found is None:
            raise RuntimeError(f"{path} holds neither a SavedModel nor a .keras file.")
        return _Loaded(found)

    def path_signature(self, directory: Path) -> Signature | None:
        served = _read(directory).signatures.get(savedmodel.DEFAULT)
        return Signature(input_dtype="", inputs=served.inputs, outputs=served.outputs) if served else None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        if _keras_file(directory) is not None:
            return {"kind": "keras"}
        graph = _read(directory)
        # Those without a method are for loading.
        names: list[JSON] = [name for name, one in sorted(graph.signatures.items()) if one.method]
        return {"kind": "SavedModel", "signatures": names} if names else {}

    def stock_differences(self, model: Artifact, method: str) -> Iterable[str]:
        if model.details.get("kind") == "keras":
            yield "It loads SavedModels, and this is a .keras file: log the model that keras.models.load_model gives."


FORMAT = _TensorFlow()


class _Exported:
    """A model of the notebook as a SavedModel in a temporary folder, until it is moved to its place."""

    def __init__(self, model: object, said: Signature | None, example: object) -> None:
        temporary = tempfile.mkdtemp(prefix="kale-serve-export-")
        weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        self.folder = Path(temporary) / _VERSION
        tfexport.export(model, self.folder, said, example)

    def move_to(self, folder: Path) -> None:
        self.folder = Path(shutil.move(self.folder, folder))


def _exported(obj: object) -> _Exported:
    return obj if isinstance(obj, _Exported) else _Exported(obj, None, None)


class _Loaded:
    """The signature ``serving_default`` of a SavedModel; a :class:`~kale_serve_ext.formats.tensors.TensorModel`."""

    def __init__(self, folder: Path) -> None:
        graph = savedmodel.of_file(folder / savedmodel.FILE)
        if savedmodel.DEFAULT not in graph.signatures:
            raise ValueError(" ".join(_faults(folder)))
        served = graph.signatures[savedmodel.DEFAULT]
        self.inputs = tuple(_with_form("input", spec) for spec in served.inputs)
        self.outputs = tuple(_with_form("output", spec) for spec in served.outputs)
        import tensorflow as tf

        # The CPU limit of the service, which TensorFlow itself does not ask for. Too late where it runs already.
        if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
            with contextlib.suppress(RuntimeError):
                tf.config.threading.set_intra_op_parallelism_threads(int(threads))
                tf.config.threading.set_inter_op_parallelism_threads(int(threads))
        # Kept, as it owns the variables.
        self._model = tf.saved_model.load(str(folder))
        self._function: _Signature = self._model.signatures[savedmodel.DEFAULT]

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        import tensorflow as tf

        try:
            fed = {spec.name: tf.constant(tensors[spec.name]) for spec in self.inputs}
            found = self._function(**fed)
            names = list(wanted) or [spec.name for spec in self.outputs]
            return {name: _plain(found[name].numpy()) for name in names}
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(refusal(error)) from error


def refusal(error: Exception) -> str:
    """What an operation says of its input, without where in the graph that was."""
    said = re.sub(r"^.*<stack traces unavailable>\s*", "", str(error), flags=re.DOTALL)
    return in_short(ValueError(re.sub(r"\s*(?:\[\[\{\{node |\[Op:).*$", "", said, flags=re.DOTALL)))


def _plain(values: np.ndarray | bytes) -> np.ndarray:
    """The array of a tensor: TensorFlow's texts are bytes.

    Raises:
        ValueError: they are not text.
    """
    import numpy as np

    array = np.asarray(values, dtype=object) if isinstance(values, bytes) else np.asarray(values)
    if array.dtype.kind != "O":
        return array
    made = np.empty(array.shape, dtype=object)
    made.ravel()[:] = [one.decode() if isinstance(one, bytes) else one for one in array.ravel().tolist()]
    return made


def _with_form(role: str, spec: TensorSpec) -> TensorSpec:
    """
    Raises:
        TypeError: the protocols have no form for it.
    """
    if spec.dtype not in DTYPES.values():
        what = "sparse or ragged" if spec.dtype == "object" else f"of the type {spec.dtype}"
        raise TypeError(f"The {role} {spec.name!r} is {what}, which KServe's protocols have no form for.")
    return spec


def _of_keras(file: Path) -> TensorModel:
    """The model of a ``.keras`` file, as it would answer had it been exported."""
    # Whatever it was trained with: the file is the same for all.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / _VERSION
        tfexport.export(keras.saving.load_model(file, compile=False), exported, None, None)
        return _Loaded(exported)


def _faults(folder: Path) -> Iterator[str]:
    """What keeps a SavedModel from being served, in sentences."""
    try:
        graph = savedmodel.of_file(folder / savedmodel.FILE)
    except TruncatedError:
        yield f"{savedmodel.FILE} is truncated: copy or download it again."
        return
    except DamagedError as error:
        yield f"{savedmodel.FILE} is damaged, or no SavedModel's. {error}"
        return
    if savedmodel.SERVE not in graph.tags:
        yield f"It has no graph with the tag {savedmodel.SERVE!r}. {_AGAIN}"
    elif savedmodel.DEFAULT not in graph.signatures:
        others = [name for name, one in graph.signatures.items() if one.method]
        has = f"only {', '.join(sorted(others)[:5])}" if others else "none at all"
        yield f"It has no signature {savedmodel.DEFAULT!r}, {has}. {_AGAIN}"
    variables = folder / "variables"
    if variables.is_dir() and not (variables / "variables.index").is_file() and any(variables.iterdir()):
        yield "variables/variables.index is missing: copy the whole folder again."
    elif (variables / "variables.index").is_file() and not list(variables.glob("variables.data-*")):
        yield "The variables are missing: there is no variables/variables.data-* beside variables.index."


def _read(path: Path) -> savedmodel.Graph:
    """Nothing where there is none, or a damaged one, which :meth:`Format.check` tells of."""
    found = savedmodel.root(path) if path.is_dir() else None
    try:
        return savedmodel.of_file(found / savedmodel.FILE) if found else savedmodel.Graph()
    except DamagedError:
        return savedmodel.Graph()


def _keras_file(path: Path) -> Path | None:
    """The ``.keras`` file, whatever it is called; of a folder the one in it, where that has no SavedModel."""
    if not path.is_dir():
        return path if _is_keras(path) else None
    if savedmodel.root(path):
        return None
    found = [file for file in sorted(path.iterdir()) if file.suffix == _KERAS and _is_keras(file)]
    return found[0] if len(found) == 1 else None


def _is_keras(path: Path) -> bool:
    """Whether it is a zip file that Keras has written: it begins so."""
    start = head(path, 64)
    return start.startswith(b"PK\x03\x04") and start[30:].startswith(b"metadata.json") and zipfile.is_zipfile(path)
