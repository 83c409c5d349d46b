"""The tensors that a service takes and gives by name: as recorded with its model, or as its server says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..engines.base import Component, Manifest
from ..formats.tensors import DTYPES, dims
from ..ml import JSON, Signature, TensorSpec
from .manifest_view import format_of
from .methods import has_methods

TEXTS = ("str", "bytes", "object", "string")
"""Dtypes of a signature that go as BYTES."""


@dataclass(frozen=True)
class Described:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...] = ()
    """Empty where they are not known."""

    @property
    def names(self) -> list[str]:
        """The inputs' names."""
        return [spec.name for spec in self.inputs]


def may_take_tensors(manifest: Manifest, entry: Component) -> bool:
    """Whether requests to this component may be of named tensors."""
    # Estimators take rows of a table, whatever their server says of tensors.
    return entry == "transformer" or not has_methods(format_of(manifest))


def of_signature(signature: Signature) -> Described | None:
    """The tensors of a recorded signature; None where it tells of a table, or of rows without names."""
    return Described(signature.inputs, signature.outputs) if signature.inputs else None


def says_something(signature: Signature) -> bool:
    """Whether a signature tells anything of the input."""
    return bool(signature.inputs or signature.columns or signature.input_size or signature.input_kind)


def of_metadata(answer: JSON) -> Described | None:
    """The tensors of v2's model metadata; None where it tells of none, or of a table.

    A table is a single input ``input-0`` without names, as KServe's servers have it for estimators, or one that says
    that its inputs are columns.
    """
    if not isinstance(answer, Mapping) or _is_frame(answer):
        return None
    inputs = _specs(answer.get("inputs"))
    if not inputs or (len(inputs) == 1 and inputs[0].name == "input-0" and len(inputs[0].shape) < 3):
        return None
    return Described(inputs, _specs(answer.get("outputs")) or ())


def in_words(spec: TensorSpec) -> str:
    """An input as errors name it: ``image uint8 [?, 28, 28]``."""
    return f"{spec.name} {spec.dtype} {dims(spec.shape)}"


def _is_frame(told: Mapping[str, JSON]) -> bool:
    parameters = told.get("parameters")
    return isinstance(parameters, Mapping) and parameters.get("content_type") == "pd"


def _specs(listed: JSON) -> tuple[TensorSpec, ...] | None:
    """The tensors of a list; None where one cannot be understood, or two have one name."""
    found = [_spec(one) for one in listed] if isinstance(listed, Sequence) and not isinstance(listed, str) else []
    specs = tuple(spec for spec in found if spec)
    return specs if len(specs) == len(found) == len({spec.name for spec in specs}) else None


def _spec(told: JSON) -> TensorSpec | None:
    if not isinstance(told, Mapping) or not isinstance(told.get("name"), str) or not told["name"]:
        return None
    shape = told.get("shape")
    dims = list(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else None
    if dims is None or _is_frame(told):
        return None
    sizes = [_size(dim) for dim in dims]
    datatype = str(told.get("datatype")).removeprefix("TYPE_")
    dtype = DTYPES.get("BYTES" if datatype == "STRING" else datatype, datatype)
    return TensorSpec(str(told["name"]), dtype, tuple(sizes))


def _size(dim: JSON) -> int:
    """A dimension, which servers may write as text: protobuf's JSON does so with large numbers."""
    text = str(dim)
    return int(text) if text.isdecimal() and len(text) < 19 else -1
