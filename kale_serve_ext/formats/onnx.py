"""ONNX: a ``ModelProto``, or its file with the files of weights beside it, run by ONNX Runtime."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import lineage
from ..ml import JSON, Signature, TensorSpec
from . import onnxgraph, strangers
from .base import Content, Format, Server, top_level
from .differing import named, texts
from .protobuf import DamagedError, TruncatedError
from .tensors import TensorModel

if TYPE_CHECKING:
    import numpy as np

_SUFFIX = ".onnx"
_TYPES: Mapping[str, str] = {
    **{"float": "float32", "double": "float64", "string": "str", "float16": "float16", "bool": "bool"},
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""ONNX Runtime's names of the types that the protocols have a form for, in numpy's words."""
_LARGEST = (2 << 30) - 1
"""Bytes of a protobuf message."""
_LONGEST_SHOWN = 200


class _ModelProto(Protocol):
    def ByteSize(self) -> int: ...
    def SerializeToString(self) -> bytes: ...


class _Argument(Protocol):
    """An input or output of a session; unknown dimensions are None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class _InferenceSession(Protocol):
    def get_inputs(self) -> Sequence[_Argument]: ...
    def get_outputs(self) -> Sequence[_Argument]: ...
    def run(self, names: list[str], fed: dict[str, np.ndarray]) -> list[object]: ...


class _ONNX(Format):
    name = "onnx"
    title = "ONNX"
    suffixes = (_SUFFIX,)
    files = ((_SUFFIX,),)
    kinds = MappingProxyType({"onnx": (_SUFFIX,)})
    endings = (_SUFFIX,)
    needs = (("onnxruntime", "onnxruntime-gpu"), ("numpy",))
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-tritonserver", "kserve-openvino")
    server = Server("onnxruntime-server", "ONNX Runtime server")

    def matches(self, obj: object) -> bool:
        return any(name.startswith("onnx.") and name.endswith(".ModelProto") for name in lineage(obj))

    def recognise(self, path: Path, head: bytes) -> Content | None:
        if not onnxgraph.may_be(head):
            return None
        try:
            onnxgraph.of_file(path)
        except TruncatedError:
            return Content(what="a truncated ONNX model", hint=strangers.AGAIN)
        except onnxgraph.NoGraphError:
            # Other messages begin alike; only a graph tells a model.
            return None
        except DamagedError:
            return Content(what="a damaged ONNX model", hint=strangers.AGAIN)
        return Content(self.name, "onnx")

    def save(self, obj: object, directory: Path) -> None:
        if _graph_of(obj).external:
            raise InvalidInputError(
                "This model's weights are in external data files that were not loaded.",
                hint="Pass the model's file as artifact_uri, or load it with onnx.load(path).",
                field="model",
            )
        (directory / f"model{_SUFFIX}").write_bytes(_serialised(obj))

    def load(self, path: Path) -> object:
        return _Session(path)

    def tensor_model(self, obj: object) -> TensorModel | None:
        try:
            return _Session(_serialised(obj))
        except ModuleNotFoundError:  # it can be logged without ONNX Runtime
            return None

    def signature(self, obj: object) -> Signature | None:
        return _signature(_graph_of(obj))

    def details(self, obj: object) -> Mapping[str, JSON]:
        return _details(_graph_of(obj))

    def companions(self, file: Path) -> tuple[str, ...]:
        found: list[str] = []
        for one in _read(file).external:
            path = PurePosixPath(one.location.replace("\\", "/"))
            shown = _shown(str(path))
            if _leads_away(path):
                raise InvalidInputError(
                    f"{file.name} names {_shown(one.location)!r} as its file of weights, which is outside the model's "
                    "folder.",
                    hint="Save the model again with onnx.save_model(…, save_as_external_data=True).",
                    field="path",
                )
            beside = file.parent / path
            if not _is_file(beside):
                raise InvalidInputError(
                    f"The weights of {file.name} are in the file {shown}, which is not there.",
                    hint=f"Put {shown} beside {file.name}, or save the model again with its weights inside.",
                    field="path",
                )
            roots = (file.parent.resolve(), file.resolve().parent)
            if not any(beside.resolve().is_relative_to(root) for root in roots):
                raise InvalidInputError(
                    f"The file of weights {shown} is a link to a file that is outside the model's folder.",
                    hint="Put the file itself there.",
                    field="path",
                )
            if beside.stat().st_size < one.end:
                size = beside.stat().st_size
                raise InvalidInputError(
                    f"The file {shown} with the weights of {file.name} is truncated: it has {size} of {one.end} bytes.",
                    hint="Copy or download it again.",
                    field="path",
                )
            found.append(str(path))
        return tuple(dict.fromkeys(found))

    def path_signature(self, directory: Path) -> Signature | None:
        file = _file(directory)
        return _signature(_read(file)) if file else None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        file = _file(directory)
        return _details(_read(file)) if file else {}

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        if outputs := texts(model.details.get("sequences")):
            yield (
                f"It cannot load a model whose outputs ({named(outputs)}) are sequences of maps and no tensors. Of a "
                "classifier that was converted with skl2onnx, leave them out by the option zipmap=False."
            )


FORMAT = _ONNX()


class _Session:
    """A model in ONNX Runtime; a :class:`~kale_serve_ext.formats.tensors.TensorModel`."""

    def __init__(self, model: Path | bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # The CPU limit of the service, which ONNX Runtime itself does not ask for.
        if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
            options.intra_op_num_threads = int(threads)
        there = onnxruntime.get_available_providers()
        providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in there]
        self._session: _InferenceSession = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=providers
        )
        self.inputs = tuple(_spec("input", arg.name, arg.type, arg.shape) for arg in self._session.get_inputs())
        self.outputs = tuple(_spec("output", arg.name, arg.type, arg.shape) for arg in self._session.get_outputs())

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        names = list(wanted) or [spec.name for spec in self.outputs]
        return dict(zip(names, self._session.run(names, dict(tensors)), strict=True))


def _spec(role: str, name: str, kind: str, shape: Sequence[object]) -> TensorSpec:
    """An input or output as ONNX Runtime tells of it: ``tensor(float)``, ``seq(map(int64,tensor(float)))``.

    Raises:
        TypeError: the protocols have no form for it.
    """
    inner = kind.removeprefix("tensor(").removesuffix(")")
    if inner in _TYPES:
        dims = tuple(size if isinstance(size, int | str) and size != "" else -1 for size in shape)
        return TensorSpec(name, _TYPES[inner], dims)
    if role == "output" and kind.startswith("seq(map("):
        value = kind.removeprefix("seq(map(").removesuffix("))").partition(",")[2].removeprefix("tensor(").rstrip(")")
        return TensorSpec(name, _TYPES.get(value, "float32"), (-1, -1))
    raise TypeError(f"The {role} {name!r} is of the type {kind}, which KServe's protocols have no form for.")


def _leads_away(path: PurePosixPath) -> bool:
    """Whether a location names no file in the model's folder: it is empty, absolute or leads upwards."""
    return not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]


def _is_file(path: Path) -> bool:
    """Whether there is one; no file has a name that is too long or has a null character."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _shown(location: str) -> str:
    """A location as errors print it, which may be of any length."""
    return location if len(location) <= _LONGEST_SHOWN else f"{location[:_LONGEST_SHOWN]}…"


def _file(path: Path) -> Path | None:
    found = top_level(path, (_SUFFIX,))
    return found[0] if len(found) == 1 else None


def _read(file: Path) -> onnxgraph.Graph:
    try:
        return onnxgraph.of_file(file)
    except DamagedError:  # which detection tells of
        return onnxgraph.Graph()


def _serialised(obj: object) -> bytes:
    proto = cast("_ModelProto", obj)
    if (size := proto.ByteSize()) > _LARGEST:
        raise InvalidInputError(
            f"The model has {size:,} bytes; models larger than 2 GiB must store their weights in external files.",
            hint="Save it with onnx.save_model(model, path, save_as_external_data=True); pass that as artifact_uri.",
            field="model",
        )
    return proto.SerializeToString()


def _graph_of(obj: object) -> onnxgraph.Graph:
    content = _serialised(obj)
    try:
        return onnxgraph.read(io.BytesIO(content), len(content))
    except DamagedError as error:
        raise InvalidInputError(
            f"This ModelProto is not a whole model: {error}",
            hint="Check it with onnx.checker.check_model(model).",
            field="model",
        ) from error


def _signature(graph: onnxgraph.Graph) -> Signature | None:
    return Signature(input_dtype="", inputs=graph.inputs, outputs=graph.outputs) if graph.inputs else None


def _details(graph: onnxgraph.Graph) -> Mapping[str, JSON]:
    details: dict[str, JSON] = {"opsets": dict(graph.opsets)} if graph.opsets else {}
    if graph.sequences:
        details["sequences"] = list(graph.sequences)
    return details | ({"producer": graph.producer} if graph.producer else {})
