"""Predictors and transformers that are the user's own code, loaded from the folder of their snapshot."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput
from starlette.exceptions import HTTPException

from .answers import message_of
from .task import Task

TRANSFORMER_MODULE = "transformer"
_PACKAGE = "kale_serve_code"
"""The name of the snapshot's folder as a package; its real one is not known any more."""


def load_custom(task: Task) -> Model:
    """The user's ``kserve.Model`` subclass, loaded and ready."""
    module = _import(Path(task.path), task.module_name)
    return _instance(_model_class(module, task.class_name, task.path), task)


def load_transformer(task: Task) -> Model:
    """The transformer of the folder: its ``kserve.Model`` subclass, or one made around its two functions."""
    module = _import(Path(task.path), task.module_name or TRANSFORMER_MODULE)
    preprocess = _function(module, "preprocess")
    postprocess = _function(module, "postprocess")
    if not task.class_name and (preprocess or postprocess):
        return FunctionalTransformer(task.name, preprocess, postprocess)
    return _instance(_model_class(module, task.class_name, task.path), task)


class FunctionalTransformer(Model):  # type: ignore[misc]  # kserve has no types
    """Calls ``preprocess`` with the whole request and ``postprocess`` with the whole answer, both as dicts.

    Between the two kserve sends the request on to the predictor, by the protocol that it came in.
    """

    def __init__(
        self,
        name: str,
        preprocess: Callable[..., object] | None,
        postprocess: Callable[..., object] | None,
    ) -> None:
        super().__init__(name)
        self._before = preprocess
        self._after = postprocess
        self.ready = True

    async def preprocess(
        self, payload: dict[str, object] | InferRequest, headers: dict[str, str] | None = None
    ) -> dict[str, object] | InferRequest:
        if self._before is None:
            return payload
        # A request with binary tensors becomes lists, which is what a function of a dict can work with.
        body = _request_dict(payload) if isinstance(payload, InferRequest) else payload
        made = await _call(self._before, body)
        if not isinstance(made, dict):
            raise TypeError(f"preprocess must return the request as a dict; it returned {type(made).__name__}.")
        return made

    async def postprocess(
        self,
        result: dict[str, object] | InferResponse,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> object:
        if self._after is None:
            return result
        v2 = isinstance(result, InferResponse)
        body: dict[str, object] = result.to_dict() if isinstance(result, InferResponse) else result
        made = await _call(self._after, body)
        return _response({**body, **made}) if v2 and isinstance(made, dict) and "outputs" in made else made


def _request_dict(request: InferRequest) -> dict[str, object]:
    inputs = []
    for tensor in request.inputs:
        values = tensor.as_numpy()
        flat = [v.decode() if isinstance(v, bytes) else v for v in values.ravel().tolist()]
        inputs.append({"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype, "data": flat})
    return {"id": request.id, "inputs": inputs} if request.id else {"inputs": inputs}


def _response(body: dict[str, object]) -> InferResponse:
    outputs = body["outputs"]
    if not isinstance(outputs, list):
        raise TypeError('postprocess must return the answer with its "outputs" as a list.')
    return InferResponse(
        response_id=str(body.get("id") or ""),
        model_name=str(body.get("model_name") or ""),
        infer_outputs=[
            InferOutput(name=o["name"], shape=list(o["shape"]), datatype=o["datatype"], data=list(o["data"]))
            for o in outputs
        ],
    )


async def _call(function: Callable[..., object], body: object) -> object:
    try:
        made = function(body)
        return await made if inspect.isawaitable(made) else made
    except (InvalidInput, InferenceError, HTTPException):
        # What the function itself says of the request.
        raise
    except Exception as exc:
        name = getattr(function, "__name__", "function")
        raise InferenceError(f"The transformer's {name} failed: {message_of(exc)}") from exc


def _function(module: ModuleType, name: str) -> Callable[..., object] | None:
    found = getattr(module, name, None)
    return found if callable(found) and not inspect.isclass(found) else None


def _import(directory: Path, name: str) -> ModuleType:
    """The module from its file: a name that is also a library's must not give the library.

    The folder is on the path and a package too, so code in it may say ``import helpers`` or ``from .helpers import x``.
    """
    # A snapshot's content has a hash: compiled files must not be written beside the sources.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(directory))
    name = name.removesuffix(".py")
    if not name:
        name = _only_module(directory)
    relative = Path(*name.split("."))
    file = directory / relative.with_suffix(".py")
    package = directory / relative / "__init__.py"
    file = file if file.is_file() else package
    if not file.is_file():
        raise FileNotFoundError(f"The folder {directory} holds no module {name}.")
    if "." in name:
        return importlib.import_module(name)
    _as_package(directory)
    full = f"{_PACKAGE}.{name}"
    if full not in sys.modules:  # it is, where the package's own __init__.py imports it
        _run(full, file, package.parent if file == package else None, alias=name)
    return sys.modules[full]


def _as_package(directory: Path) -> None:
    """Make the folder a package, and run its ``__init__.py`` where it has one, as an import would."""
    init = directory / "__init__.py"
    if init.is_file():
        _run(_PACKAGE, init, directory)
    else:
        spec = ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(directory)]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)


def _run(name: str, file: Path, folder: Path | None, alias: str = "") -> None:
    """Import ``file`` under this name, as a package where it has a ``folder``.

    ``alias`` is what else it is found by (pickles, code beside it), unless a library of that name is loaded.
    """
    locations = [str(folder)] if folder else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if alias:
        sys.modules.setdefault(alias, module)
    spec.loader.exec_module(module)


def _only_module(directory: Path) -> str:
    found = sorted(f.stem for f in directory.glob("*.py"))
    if len(found) == 1:
        return found[0]
    if "model" in found:
        return "model"
    raise FileNotFoundError(f"The folder {directory} holds {len(found)} modules, and none is called model.py.")


def _model_class(module: ModuleType, name: str, directory: str) -> type[Model]:
    if name:
        found = getattr(module, name, None)
        if not inspect.isclass(found) or not issubclass(found, Model):
            raise TypeError(f"{name} in {directory} is not a subclass of kserve.Model.")
        return found
    own = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, Model) and c.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(c.__name__ for c in own) or "none"
        raise TypeError(f"{module.__name__} in {directory} must define one subclass of kserve.Model; found: {names}.")
    return own[0]


def _instance(cls: type[Model], task: Task) -> Model:
    model = cls(**_arguments(cls, task))
    model.name = task.name
    if not model.ready:
        loaded = model.load()
        if inspect.isawaitable(loaded):
            loaded = asyncio.run(_awaited(loaded))
        if loaded is False:
            raise RuntimeError(f"{cls.__name__}.load() answered that the model could not be loaded.")
        model.ready = True
    return model


async def _awaited(value: object) -> object:
    return await value  # type: ignore[misc]  # inspect.isawaitable has said so


def _arguments(cls: type[Model], task: Task) -> dict[str, object]:
    """What the constructor asks for: the name first, and the arguments that kserve's examples have."""
    known = {
        "predictor_host": task.predictor_host,
        "predictor_protocol": task.protocol,
        "protocol": task.protocol,
        "model_dir": task.path,
        "model_name": task.name,
        "name": task.name,
    }
    given: dict[str, object] = {}
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    for position, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in known:
            given[parameter.name] = known[parameter.name]
        elif position == 0:
            given[parameter.name] = task.name
        elif parameter.default is parameter.empty:
            raise TypeError(
                f"{cls.__name__}.__init__ asks for {parameter.name!r}, which cannot be supplied; "
                f"it may take {', '.join(known)} and arguments with defaults."
            )
    return given
