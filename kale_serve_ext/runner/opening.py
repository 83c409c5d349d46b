"""The program that opens a model once, to see whether it loads and what it is.

It runs under the interpreter that is to serve the model, in a process of its own: what is in the file runs here and
nowhere else. The request is one line of JSON on standard input, the answer one line on the descriptor ``--answer``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .main import die_with

if TYPE_CHECKING:
    from ..ml import JSON

_LONGEST_MESSAGE = 1000
_SPARE = 1 << 30
"""Bytes that libraries reserve and never use; the watching parent counts what is used."""


@dataclass(frozen=True)
class Told:
    """What there is to say of what was opened, as it goes over the pipe."""

    ok: bool = False
    message: str = ""
    missing: str = ""
    out_of_memory: bool = False
    estimator: str = ""
    is_model: bool = False
    methods: list[str] = field(default_factory=list)
    signature: Mapping[str, JSON] | None = None
    details: dict[str, JSON] = field(default_factory=dict)
    made_with: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    python_version: str = ""


def main(argv: Sequence[str]) -> None:
    """Open what the request names, tell of it, and end at once, whatever the opened code has left running."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext opening")
    parser.add_argument("--answer", type=int, required=True)
    answer = parser.parse_args(argv).answer
    me = os.getpid()
    request = json.loads(sys.stdin.readline())
    die_with(request["parent"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.set_inheritable(answer, False)
    _limit(request["memory"])
    told = _told(Path(request["path"]), request["kind"], request["module_name"], request["class_name"])
    if os.getpid() == me:  # and not a fork that the opened code has made
        left = memoryview(json.dumps(asdict(told)).encode() + b"\n")
        while left:
            left = left[os.write(answer, left) :]
    os._exit(0)


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere it does not count what is allocated
        resource.setrlimit(resource.RLIMIT_DATA, (memory + _SPARE, memory + _SPARE))


def _told(path: Path, kind: str, module_name: str, class_name: str) -> Told:
    version = platform.python_version()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            if kind in ("custom", "transformer"):
                return _code(path, kind, module_name, class_name, version)
            from ..formats.tensors import TensorModel
            from ..formats.texts import Writer
            from ..ml import Signature
            from .files import load_object, read_object

            obj = read_object(path, kind) if path.is_file() else load_object(path, kind)
            if isinstance(obj, TensorModel):
                signature = Signature(input_dtype="", inputs=obj.inputs, outputs=obj.outputs)
                return Told(ok=True, is_model=True, signature=signature.to_dict(), python_version=version)
            if isinstance(obj, Writer):
                return Told(ok=True, is_model=True, python_version=version)
            return _described(obj, version, [w.message for w in warned])
    except MemoryError:
        return Told(message="There was not enough memory to open it.", out_of_memory=True, python_version=version)
    except BaseException as exc:  # whatever the opened code raises, SystemExit too
        message, missing = _why(exc)
        return Told(message=message, missing=missing, python_version=version)


def _code(path: Path, kind: str, module_name: str, class_name: str, version: str) -> Told:
    """Import the module and find what would be served; its ``load()`` is not called."""
    from . import code

    name = module_name or (code.TRANSFORMER_MODULE if kind == "transformer" else "")
    module = code._import(path, name)
    functions = [n for n in ("preprocess", "postprocess") if code._function(module, n)]
    if kind == "transformer" and functions and not class_name:
        return Told(ok=True, is_model=True, methods=functions, python_version=version)
    cls = code._model_class(module, class_name, str(path))
    name = f"{cls.__module__}.{cls.__qualname__}".removeprefix(f"{code._PACKAGE}.")
    return Told(ok=True, is_model=True, estimator=name, methods=["predict"], python_version=version)


def _described(obj: object, version: str, warned: Iterable[Warning | str]) -> Told:
    cls = type(obj)
    name = f"{cls.__module__}.{cls.__qualname__}"
    try:
        from ..estimators import attribute, describe
        from ..estimators.boosters import parameters_of
    except ModuleNotFoundError:  # an interpreter without kserve, which brings what these need, tells less
        is_model = callable(getattr(obj, "predict", None))
        return Told(ok=True, estimator=name, is_model=is_model, packages=_packages(obj), python_version=version)
    told = describe(obj)
    details: dict[str, JSON] = {"parameters": parameters_of(obj), "sklearn_config": told.sklearn_config}
    # scikit-learn says by a warning that another of its versions made the object.
    made_by = [str(w.original_sklearn_version) for w in warned if hasattr(w, "original_sklearn_version")]
    return Told(
        ok=True,
        estimator=name,
        # A data frame has transform() too; what clusters may have nothing else than fit_predict().
        is_model=any(name != "transform" for name in told.methods)
        or (callable(attribute(obj, "fit")) and (bool(told.methods) or callable(attribute(obj, "fit_predict")))),
        methods=list(told.methods),
        signature=told.signature.to_dict() if told.signature else None,
        details={key: value for key, value in details.items() if value},
        made_with={"scikit-learn": made_by[0]} if made_by else {},
        packages=_packages(obj),
        python_version=version,
    )


def _packages(obj: object) -> dict[str, str]:
    """Versions, by distribution, of the libraries that loading the object needs."""
    from ..source.installed import distributions_of_modules
    from ..source.pickled import parts_of

    try:
        modules = parts_of(obj).modules
    except Exception:  # what was read from a file need not be fit to be written to one again
        modules = frozenset(cls.__module__.partition(".")[0] for cls in type(obj).__mro__)
    known = distributions_of_modules()
    found = {name for module in modules for name in known.get(module, [])}
    return {name: metadata.version(name) for name in sorted(found)}


def _why(exc: BaseException) -> tuple[str, str]:
    """The error in one line, and the module that is missing where that is the reason."""
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, ModuleNotFoundError) and seen.name:
            return _lacking(seen.name), seen.name
        # Pickles hold functions and classes by name, and those of a notebook have none elsewhere.
        lost = re.search(r"attribute '([^']+)'", str(seen))
        if isinstance(seen, AttributeError) and lost and "module '__main__'" in str(seen):
            return f"It needs {lost[1]} of the notebook or script that made it, which is not in the file.", "__main__"
        # What was under way when it was raised is no reason where the code says so, or has dealt with it.
        seen = seen.__cause__
    text = " ".join(str(exc).partition("Stack trace:")[0].split())
    text = re.sub(r"^\[\d\d:\d\d:\d\d\] \S+: ", "", text)  # where in XGBoost's source it was said
    return (f"{type(exc).__name__}: {text}" if text else type(exc).__name__)[:_LONGEST_MESSAGE], ""


def _lacking(module: str) -> str:
    top = module.partition(".")[0]
    if top != module and top in sys.modules:
        return f"It needs the module {module}, which the installed {top} does not have."
    return f"It needs the module {module}, which is not installed."
