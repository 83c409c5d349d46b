"""The folders that the images of KServe's runtimes look for below ``/mnt/models``. Pure.

KServe's own model servers, MLServer for MLflow and the Hugging Face server take a snapshot as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from ...errors import InvalidInputError
from ...formats import known
from ...formats.torcharchive import MANIFEST
from ...ml import JSON
from ..local.servers import tfserving, triton
from ..local.servers.layout import Layout, Snapshot, as_json, the_file

SERVER_OF: Mapping[str, str] = {
    "kserve-mlserver": "mlserver",
    "kserve-tensorflow-serving": "tensorflow-serving",
    "kserve-torchserve": "torchserve",
    "kserve-tritonserver": "tritonserver",
}
"""What a runtime runs, by its name, where no annotation tells it."""
_ARCHIVE = ".mar"
_PICKLES = (".joblib", ".pkl", ".pickle")
_BY_MLSERVER: Mapping[str, tuple[str, ...]] = {
    "sklearn": _PICKLES,
    "xgboost": (".bst", ".json", ".ubj"),
    "lightgbm": (".bst",),
    "catboost": (".cbm",),
}
_MODELS = "/mnt/models"


def tensorflow_serving(snapshot: Snapshot) -> Layout:
    """TensorFlow Serving's: what it is given on one machine too, with the versions at the top.

    Raises:
        InvalidInputError: there is no SavedModel.
    """
    links = tfserving.layout(snapshot).links
    return Layout(links={path.removeprefix(f"{snapshot.name}/"): target for path, target in links.items()})


def torchserve(snapshot: Snapshot) -> Layout:
    """TorchServe's: an archive in ``model-store``, which ``config/config.properties`` has it load.

    Args:
        snapshot: with the archive's manifest among its texts, by the path ``FILE.mar/MAR-INF/MANIFEST.json``.

    Raises:
        InvalidInputError: there is no archive, or none with a version.
    """
    file = the_file(snapshot, (_ARCHIVE,), "TorchServe's image")
    version = _archive_version(snapshot.texts.get(f"{file}/{MANIFEST}", ""))
    archive = f"{snapshot.name}{_ARCHIVE}"
    model: dict[str, JSON] = {"defaultVersion": True, "marName": archive, "minWorkers": 1, "maxWorkers": 1}
    model |= {"batchSize": 1, "maxBatchDelay": 10, "responseTimeout": 120}
    loaded: dict[str, JSON] = {"name": "startup.cfg", "modelCount": 1, "models": {snapshot.name: {version: model}}}
    # The program of KServe's image that stands in front reads what it asks TorchServe for out of this file too.
    settings = {
        "inference_address": "http://127.0.0.1:8085",
        "management_address": "http://127.0.0.1:8085",
        "metrics_address": "http://0.0.0.0:8082",
        "grpc_inference_port": "7070",
        "grpc_management_port": "7071",
        "enable_envvars_config": "true",
        "install_py_dep_per_model": "false",
        "model_store": f"{_MODELS}/model-store",
        "model_snapshot": " ".join(as_json(loaded).split()),
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    return Layout(links={f"model-store/{archive}": file}, files={"config/config.properties": "\n".join([*lines, ""])})


def mlserver(snapshot: Snapshot) -> Layout:
    """MLServer's, as KServe starts it: the model's file under a name that it looks for.

    Raises:
        InvalidInputError: there is no file of the format, or several.
    """
    endings = _BY_MLSERVER.get(snapshot.format)
    if endings is None:
        return Layout(links={path: path for path in snapshot.files})
    file = the_file(snapshot, endings, "MLServer")
    names = {file: f"model{PurePosixPath(file).suffix}"}
    return Layout(links={names.get(path, path): path for path in snapshot.files})


def layout_of(server: str) -> Callable[[Snapshot], Layout] | None:
    """What lays a snapshot out for a server; None where it takes one as it is."""
    return _LAYOUTS.get(server)


def told(server: str, model_format: str) -> str:
    """What the image of a server wants of a folder that is not laid out here, in a sentence; empty where nothing
    particular."""
    wanted = _WANTED.get(server, "")
    format_ = known(model_format)
    return wanted.format(title=format_.title if format_ else model_format) if wanted else ""


_LAYOUTS: Mapping[str, Callable[[Snapshot], Layout]] = {
    "mlserver": mlserver,
    "tensorflow-serving": tensorflow_serving,
    "torchserve": torchserve,
    "tritonserver": triton.layout,
}
_WANTED: Mapping[str, str] = {
    "tensorflow-serving": "TensorFlow Serving expects the SavedModel in a numbered folder there, such as 1.",
    "torchserve": "TorchServe expects config/config.properties and model-store/NAME.mar there.",
    "tritonserver": (
        "Triton expects a model repository there: a folder with the service's name that holds config.pbtxt, and in its "
        "folder 1 the {title} model."
    ),
}


def _archive_version(manifest: str) -> str:
    try:
        model = json.loads(manifest)["model"]
        return str(model["modelVersion"])
    except (ValueError, KeyError, TypeError):
        raise InvalidInputError(
            "TorchServe's archive has no manifest with a version in it.",
            hint="Make it again with torch-model-archiver.",
            field="version",
        ) from None
