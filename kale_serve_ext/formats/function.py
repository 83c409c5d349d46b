"""A Python function: anything to call that no other format takes, written out with all that it uses.

Its folder holds ``function.py``, which defines it, and ``function.json``, which says how it is called.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import cast

from ..errors import InvalidInputError
from ..estimators import attribute
from ..ml import JSON, Signature
from ..source.functional import write_module
from . import smallfiles
from .base import Format, Server, distributions
from .calling import Call, Function, FunctionModel
from .custom import code_packages
from .functioninputs import call_of
from .tensors import TensorModel

MODULE = "function"
DESCRIPTION = f"{MODULE}.json"
_ROLE = "served_function"
"""The name in the module of what has no name of its own."""


@dataclass(frozen=True)
class _Prepared:
    model: FunctionModel
    sample: JSON


class _PythonFunction(Format):
    name = "function"
    title = "Python function"
    aliases = ("python function", "callable")
    needs = (("numpy",),)
    server = Server("function-server", "Python function server")

    def matches(self, obj: object) -> bool:
        return callable(obj) and not isinstance(obj, type) and attribute(obj, "fit") is None

    def matches_path(self, path: Path) -> bool:
        return (path / DESCRIPTION).is_file() and (path / f"{MODULE}.py").is_file()

    def default_name(self, obj: object) -> str:
        inner = obj
        while isinstance(inner, partial):
            inner = inner.func
        name = str(getattr(inner, "__name__", type(inner).__name__))
        if name == "<lambda>":
            raise InvalidInputError(
                "A lambda has no name of its own.", hint='Pass one: Model(function, name="doubling").', field="name"
            )
        return name

    def prepared(self, obj: object, said: Signature | None, example: object) -> object:
        function = cast("Function", obj)
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            kind = "coroutine" if inspect.iscoroutinefunction(function) else "generator"
            raise InvalidInputError(
                f"{self.default_name(obj)} is a {kind} function.",
                hint="Pass a function that returns arrays.",
                field="model",
            )
        call, sample = call_of(function, said, example)
        return _Prepared(FunctionModel(function, call), sample)

    def save(self, obj: object, directory: Path) -> None:
        model = _prepared(obj).model
        own = str(getattr(model.function, "__name__", ""))
        role = own if inspect.isfunction(model.function) and own.isidentifier() else _ROLE
        modules = write_module(directory, MODULE, {role: model.function}, {}, assets_field="globals")
        told: dict[str, JSON] = {"function": role, "modules": sorted(modules), **model.call.to_dict()}
        (directory / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n", "utf-8")

    def load(self, path: Path) -> object:
        told = _read(path)
        # A snapshot's content has a hash: compiled files must not be written beside the sources.
        sys.dont_write_bytecode = True
        found = spec_from_file_location("kale_serve_function", path / f"{MODULE}.py")
        if found is None or found.loader is None:
            raise RuntimeError(f"{path} holds no {MODULE}.py.")
        module = module_from_spec(found)
        sys.modules[found.name] = module
        found.loader.exec_module(module)
        return FunctionModel(cast("Function", vars(module)[str(told["function"])]), Call.from_dict(told))

    def packages_in(self, path: Path, obj: object | None) -> tuple[str, ...]:
        modules = _read(path).get("modules")
        brought = distributions(str(one) for one in modules) if isinstance(modules, list) else ()
        return tuple(sorted({*code_packages(path), *brought}))

    def tensor_model(self, obj: object) -> TensorModel | None:
        return obj.model if isinstance(obj, _Prepared) else None

    def signature(self, obj: object) -> Signature | None:
        prepared = _prepared(obj)
        model = prepared.model
        return Signature(input_dtype="", inputs=model.inputs, outputs=model.outputs, sample=prepared.sample)

    def path_signature(self, directory: Path) -> Signature | None:
        call = Call.from_dict(_read(directory))
        return Signature(input_dtype="", inputs=tuple(one.spec for one in call.inputs), outputs=call.outputs)

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        return {"module_name": MODULE}

    def check(self, directory: Path) -> list[str]:
        missing = [name for name in (f"{MODULE}.py", DESCRIPTION) if not (directory / name).is_file()]
        if missing:
            return [f"There is no {name} in the folder." for name in missing]
        try:
            _read(directory)
        except InvalidInputError as error:
            return [str(error)]
        return []


FORMAT = _PythonFunction()


def _prepared(obj: object) -> _Prepared:
    if isinstance(obj, _Prepared):
        return obj
    call, sample = call_of(cast("Function", obj), None, None)
    return _Prepared(FunctionModel(cast("Function", obj), call), sample)


def _read(folder: Path) -> Mapping[str, JSON]:
    """
    Raises:
        InvalidInputError: it does not say how the function is called.
    """
    try:
        told: JSON = json.loads(smallfiles.content(folder / DESCRIPTION, smallfiles.MOST_JSON))
        if not isinstance(told, Mapping) or not isinstance(told.get("function"), str):
            raise ValueError("it names no function")
        Call.from_dict(told)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(
            f"{DESCRIPTION} in {folder.name} does not tell how the function is called: {error}.",
            hint="Log the function itself again: Model(function).",
            field="path",
        ) from error
    return told
