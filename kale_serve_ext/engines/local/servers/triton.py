"""Triton Inference Server, laid beside the model's own interpreter, which runs the models.

It is started by a program of this package, ``runner/triton.py``. It listens on unix sockets, serves what is in its
folder and loads nothing else, whoever asks for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

from ....entities import Artifact
from ....errors import InvalidInputError
from ....formats.tensors import ANY_SHAPE
from ....formats.textproto import MalformedError, without
from ....formats.torchmodel import is_flat
from ....formats.tritonmodels import CONFIG, ENSEMBLE, TYPES, TritonModel, entry_of, models_of
from ....ml import Signature, TensorSpec
from ....runner.triton import FORMATS, SHARED_MEMORY
from ...base import Check
from ..interpreters import Interpreter
from .launcher import launched
from .layout import Layout, Snapshot, the_file
from .record import Command, Program, Seat, Server, StandsFor, last_exception

_BACKENDS: Mapping[str, str] = {name: backend for backend, name in FORMATS.items()}
_PLATFORMS: Mapping[str, str] = {
    "onnx": "onnxruntime_onnx",
    "pytorch": "pytorch_libtorch",
    "tensorflow": "tensorflow_savedmodel",
}
"""As Triton has called them before it had backends: older images know these alone."""
_NAMES: Mapping[str, str] = {"onnx": "model.onnx", "pytorch": "model.pt", "tensorflow": "model.savedmodel"}
_ENDINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {"onnx": ((".onnx",),), "pytorch": ((".pt",), (".pt2",))}
_SAVED_MODEL = "saved_model.pb"
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "python": ("numpy",),
    ENSEMBLE: (),
}
"""The distributions for the backends that there are here, the usual name first."""
_FAILED = re.compile(r"failed to load '([^']*)' version \d+: (.*?)\"?$", re.MULTILINE)
_POLL = re.compile(r"(Poll failed for model directory .*?)\"?$", re.MULTILINE)


def layout(snapshot: Snapshot) -> Layout:
    """Triton's model repository: the model under the service's name, with its configuration.

    Args:
        snapshot: with ``texts`` for a repository, and with ``signature`` where it is known. Without it Triton asks the
            model itself what it takes; in a cluster a PyTorch model needs it.

    Raises:
        InvalidInputError: the snapshot holds no model that Triton loads, or several of which none is the one to ask.
    """
    if snapshot.format == "triton":
        return _repository(snapshot)
    if snapshot.format == "function":
        links = _function(snapshot)
    else:
        links = _saved_models(snapshot) if snapshot.format == "tensorflow" else _model_file(snapshot)
    return Layout(links=links, files={f"{snapshot.name}/{CONFIG}": _config(snapshot)})


def command(seat: Seat) -> Command:
    prefix = _prefix(seat)
    return Command(
        argv=(
            *launched(seat.python, "runner.triton"),
            *(str(each) for each in (seat.folder, seat.temporary, seat.overlay, seat.http, seat.grpc, prefix)),
        ),
        env={} if "TF_CPP_MIN_LOG_LEVEL" in seat.given else {"TF_CPP_MIN_LOG_LEVEL": "2"},
        leaves=(f"{SHARED_MEMORY}/{prefix}*",),
    )


def checks(artifact: Artifact, found: Interpreter) -> list[Check]:
    """What speaks against an interpreter."""
    return [*_of_python(found), *_of_backends(artifact, found), *_of_texts(artifact, found)]


def reason(log: str) -> str:
    """Why a model could not be loaded."""
    for pattern in (_FAILED, _POLL):
        if match := list(pattern.finditer(log)):
            # A Python model's traceback stands behind its message, in one line.
            return match[-1][match[-1].lastindex or 0].partition("\\n")[0].strip()
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    last = log.strip().rpartition("\n")[2]
    return errors[-1] if errors else last_exception(log) or (last if "shared library" in last else "")


def _model_file(snapshot: Snapshot) -> dict[str, str]:
    """The file of an ONNX or PyTorch model, with what lies beside it: weights in files of their own."""
    groups = _ENDINGS[snapshot.format]
    there = (group for group in groups if any(path.endswith(group) for path in snapshot.files))
    # Programs of torch.export are loaded by torch itself, which Triton's own backend has nothing of.
    endings = groups[0] if snapshot.in_cluster else next(there, groups[0])
    file = the_file(snapshot, endings, "Triton")
    version = f"{snapshot.name}/1"
    beside = {f"{version}/{path}": path for path in snapshot.files if path != file and snapshot.format == "onnx"}
    return {f"{version}/{_NAMES[snapshot.format]}": file, **beside}


def _function(snapshot: Snapshot) -> dict[str, str]:
    """A Python function's folder of code."""
    if snapshot.in_cluster:
        raise InvalidInputError(
            "KServe's Triton has no backend for Python functions.",
            hint="Choose the Python function server, or log a model repository with a model.py.",
            field="runtime",
        )
    if snapshot.signature is None or not snapshot.signature.outputs:
        raise InvalidInputError(
            "Triton has to be told what the function returns, which its record does not tell.",
            hint="Log it with an example of its input: Model(function, example=x).",
            field="runtime",
        )
    return {f"{snapshot.name}/1/function": ""}


def _saved_models(snapshot: Snapshot) -> dict[str, str]:
    """A SavedModel, or the versions of one in numbered folders."""
    where = f"{snapshot.name}/{{}}/{_NAMES[snapshot.format]}"
    if _SAVED_MODEL in snapshot.files:
        return {where.format(1): ""}
    versions = [path.partition("/")[0] for path in snapshot.files if path.partition("/")[2] == _SAVED_MODEL]
    if not versions:
        raise InvalidInputError(
            "Triton finds no SavedModel in the snapshot: no saved_model.pb at its top or in a folder such as 1.",
            hint="Log the model that keras.models.load_model gives, or choose another runtime.",
            field="runtime",
        )
    return {where.format(version if version.isdecimal() else 1): version for version in versions}


def _config(snapshot: Snapshot) -> str:
    of, signature = snapshot.format, snapshot.signature
    platform = [f'platform: "{_PLATFORMS[of]}"'] if of in _PLATFORMS else []
    lines = [f'backend: "{_BACKENDS[of]}"', *platform, "max_batch_size: 0"]
    if snapshot.in_cluster and of == "pytorch":
        _check_module(signature)
    if signature:
        lines += [_field("input", spec) for spec in signature.inputs]
        lines += [_field("output", spec) for spec in signature.outputs]
    return "\n".join([*lines, *_instances(snapshot), ""])


def _check_module(signature: Signature | None) -> None:
    """Refuse what Triton's own backend for PyTorch cannot answer: it takes outputs by their numbers alone."""
    if not (signature and signature.inputs and signature.outputs):
        raise InvalidInputError(
            "Triton has to be told what a PyTorch model takes and gives, which this one does not tell.",
            hint="Log it with an example of its input: Model(…, example=x).",
            field="runtime",
        )
    names = [spec.name for spec in signature.outputs]
    if not is_flat(names):
        raise InvalidInputError(
            f"KServe's Triton takes of a PyTorch model a tensor or a tuple of tensors, and this one answers by names: "
            f"{', '.join(names[:5])}.",
            hint="Have forward() return a tuple of tensors, or choose another runtime.",
            field="runtime",
        )


def _instances(snapshot: Snapshot) -> tuple[str, ...]:
    # In a cluster it may have a GPU, which it finds by itself.
    return () if snapshot.in_cluster else (_ONE_INSTANCE,)


_ONE_INSTANCE = "instance_group { kind: KIND_CPU count: 1 }"
"""Triton would load a model twice on a CPU."""


def _field(role: str, spec: TensorSpec) -> str:
    # It has no scalars but such of one item.
    sizes = [str(size) if isinstance(size, int) else "-1" for size in spec.shape] or ["1"]
    if spec.dtype not in TYPES:
        raise InvalidInputError(f"{spec.name!r} is {spec.dtype}, which Triton has no form for.", field="runtime")
    if tuple(spec.shape) == ANY_SHAPE:
        raise InvalidInputError(
            f"Triton has to be told how many dimensions {spec.name!r} has, which the model does not tell.",
            hint="Log it with an example of its input: Model(…, example=x).",
            field="runtime",
        )
    name = spec.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'{role} {{ name: "{name}" data_type: {TYPES[spec.dtype]} dims: [{", ".join(sizes)}] }}'


def _repository(snapshot: Snapshot) -> Layout:
    try:
        models = models_of(snapshot.files, snapshot.texts)
    except MalformedError as error:
        raise InvalidInputError(f"Triton cannot read {error}.", field="version") from error
    entry = entry_of(models, snapshot.name)
    if entry is None:
        names = ", ".join(one.name for one in models)
        raise InvalidInputError(
            f"The repository holds several models ({names}), and none is called {snapshot.name!r} as the service is."
            if models
            else "There is no model in the repository.",
            hint="Give the service the name of the model that is to answer.",
            field="name",
        )
    links: dict[str, str] = {}
    files: dict[str, str] = {}
    for model in models:
        name = snapshot.name if model is entry else model.name
        above = f"{model.name}/" if model.name else ""
        links |= {f"{name}/{path}": f"{above}{path}" for path in model.files if path != CONFIG}
        files[f"{name}/{CONFIG}"] = _renamed(model, snapshot)
        if model.backend == ENSEMBLE and len(model.files) == 1:
            # The folder of its version is empty, and as such not in a snapshot.
            files[f"{name}/1/.ensemble"] = ""
    return Layout(links=links, files=files)


def _renamed(model: TritonModel, snapshot: Snapshot) -> str:
    """Its configuration without a name, which is the folder's then."""
    text = without(model.text, "name")
    is_alone = model.backend == ENSEMBLE or "instance_group" in model.config
    return text if is_alone else "\n".join([text.rstrip(), *_instances(snapshot), ""]).lstrip()


def _prefix(seat: Seat) -> str:
    return f"kale-serve-{hashlib.sha256(str(seat.temporary).encode()).hexdigest()[:12]}-"


def _of_python(found: Interpreter) -> Iterator[Check]:
    if not found.library:
        minor = ".".join(found.version.split(".")[:2])
        yield Check(
            "error",
            "LibraryMissing",
            f"The Python {found.python} has no shared library (libpython{minor}.so.1.0), which Triton runs models by.",
            f"Install it (Debian and Ubuntu: apt install libpython{minor}), or choose another Python.",
            "runtime",
        )


def _of_backends(artifact: Artifact, found: Interpreter) -> Iterator[Check]:
    """What the models of a repository are run by; of other formats that is known before."""
    models = artifact.details.get("models")
    for name, backend in models.items() if artifact.format == "triton" and isinstance(models, Mapping) else ():
        needed = _NEEDS.get(str(backend))
        if needed is None:
            message = f"The model {name!r} needs Triton's backend {str(backend)!r}, which is not on this machine."
            yield Check("error", "BackendMissing", message, f"Here are {', '.join(_NEEDS)}.", "runtime")
        elif needed and not any(each in found.packages for each in needed):
            hint = f"Run: {found.python} -m pip install {needed[0]}"
            message = f"The Python {found.python} lacks {needed[0]}, which the model {name!r} needs."
            yield Check("error", "PackageMissing", message, hint, "runtime")


def _of_texts(artifact: Artifact, found: Interpreter) -> Iterator[Check]:
    signature = artifact.signature or Signature()
    texts = [spec.name for spec in (*signature.inputs, *signature.outputs) if spec.dtype == "str"]
    numpy = found.packages.get("numpy", "")
    if texts and numpy.partition(".")[0].isdecimal() and int(numpy.partition(".")[0]) > 1:
        message = (
            f"The model has texts ({', '.join(texts[:5])}), which Triton's Python backend passes on with numpy 1 only; "
            f"the Python {found.python} has numpy {numpy}."
        )
        hint = "Choose another runtime, or a Python of 3.12 or older with numpy<2."
        yield Check("error", "NumpyTooNew", message, hint, "runtime")


SERVER = Server(
    name="triton",
    title="Triton",
    runtimes=(
        StandsFor(
            "kserve-tritonserver",
            "Triton Inference Server",
            (*_BACKENDS, "triton"),
            ("v2",),
            differs=(
                "This is Triton 24.10, which runs ONNX, PyTorch and TensorFlow models with the packages of the model's "
                "own Python; KServe's image is Triton 23.05 with C++ backends."
            ),
        ),
    ),
    overlay="triton",
    checks=checks,
    program=Program(command=command, layout=layout, unix=True, loses_workers=True, reason=reason),
)
