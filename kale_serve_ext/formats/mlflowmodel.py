"""What an ``MLmodel`` file says of the model in its folder. Nothing of the model is loaded.

https://mlflow.org/docs/latest/ml/model/#storage-format
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..ml import JSON, TensorSpec
from . import smallfiles

NAME = "MLmodel"
_PYTHON = "python_function"
_LARGEST = 1 << 20
"""Bytes: the description is parsed wherever a folder is looked at."""
_NOTHING = ("", "~", "null")
_DTYPES = {
    **{"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"},
    **{"string": "str", "datetime": "str"},
}


class MLmodelError(Exception):
    """Why a folder cannot be served as a model of MLflow: a sentence."""


@dataclass(frozen=True)
class MLmodel:
    """One model."""

    flavors: tuple[str, ...]
    """Other than ``python_function``."""
    version: str
    """MLflow's, that saved it."""
    python_version: str
    inputs: tuple[TensorSpec, ...]
    """An input for each column, or the tensors; empty where it has no signature, or one of other types."""
    optional: tuple[str, ...]
    """Columns that may be left out where MLflow is asked itself."""
    is_table: bool
    """Whether the inputs are columns."""
    requirements: tuple[str, ...]


def read(folder: Path) -> MLmodel:
    """Read the description and the requirements.

    Raises:
        MLmodelError: there is none, it is broken, or it has no flavor that any program can ask.
    """
    import yaml

    file = folder / NAME
    try:
        content = smallfiles.content(file, _LARGEST)
        # A few lines of aliases stand for gigabytes.
        if b"*" in content and any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(content, yaml.BaseLoader)):
            raise MLmodelError(f"Its file {NAME} has aliases (*), which are not read.")
        # Every scalar is a text, and merge keys and tags mean nothing.
        told: JSON = yaml.load(content, yaml.BaseLoader)  # noqa: S506  # it makes no objects
    except smallfiles.TooLargeError as error:
        raise MLmodelError(f"Its file {NAME} is larger than {_LARGEST >> 20} MiB.") from error
    except OSError as error:
        raise MLmodelError(f"There is no file {NAME} in it.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise MLmodelError(f"Its file {NAME} is no YAML: {' '.join(str(error).split())[:300]}") from error
    flavors = _mapping(_mapping(told).get("flavors"))
    if _PYTHON not in flavors:
        has = f" It has {', '.join(map(str, flavors))}." if flavors else ""
        raise MLmodelError(f"It has no flavor {_PYTHON}, by which models of MLflow are asked.{has}")
    described = _mapping(told)
    columns = _listed(_mapping(described.get("signature")).get("inputs"))
    inputs, is_table = _inputs(columns)
    return MLmodel(
        flavors=tuple(name for name in map(str, flavors) if name != _PYTHON),
        version=_text(described.get("mlflow_version")),
        python_version=_text(_mapping(flavors[_PYTHON]).get("python_version")),
        inputs=inputs,
        optional=tuple(str(one.get("name")) for one in columns if one.get("required") is False),
        is_table=is_table,
        requirements=_requirements(folder / "requirements.txt"),
    )


def _inputs(columns: Sequence[Mapping[str, JSON]]) -> tuple[tuple[TensorSpec, ...], bool]:
    """The inputs, and whether they are columns; none where one is of a type without a form in the protocols."""
    is_table = not any(one.get("type") == "tensor" for one in columns)
    found = [_column(one) if is_table else _tensor(one, i) for i, one in enumerate(columns)]
    specs = tuple(spec for spec in found if spec)
    return (specs if len(specs) == len(found) else ()), is_table


def _column(told: Mapping[str, JSON]) -> TensorSpec | None:
    name, dtype = told.get("name"), _DTYPES.get(str(told.get("type")))
    return TensorSpec(name, dtype, (-1,)) if isinstance(name, str) and name and dtype else None


def _tensor(told: Mapping[str, JSON], place: int) -> TensorSpec | None:
    spec = _mapping(told.get("tensor-spec"))
    shape = spec.get("shape")
    dtype = str(spec.get("dtype"))
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        return None
    # MLServer calls those without a name so.
    name = str(told.get("name") or f"input-{place}")
    sizes = [size if isinstance(size, int) and size >= 0 else -1 for size in shape]
    return TensorSpec(name, "str" if dtype in ("str", "object") else dtype, sizes)


def _requirements(file: Path) -> tuple[str, ...]:
    try:
        lines = smallfiles.content(file, _LARGEST).decode().splitlines()
    except (OSError, ValueError):
        return ()
    bare = (line.partition("#")[0].strip() for line in lines)
    return tuple(line for line in bare if re.match(r"[A-Za-z0-9]", line) and "://" not in line)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) and value not in _NOTHING else ""


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: JSON) -> list[Mapping[str, JSON]]:
    """A part of a signature, which is written as JSON inside of the YAML."""
    try:
        told: JSON = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return []
    return [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
