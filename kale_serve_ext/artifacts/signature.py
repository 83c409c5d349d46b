"""Completes a signature from everything at hand: what was said, an example, the training data, the model itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace

from ..errors import InvalidInputError
from ..estimators.features import MAX_SAMPLED
from ..estimators.names import rewritten
from ..formats.tensors import ANY_SHAPE
from ..ml import JSON, Column, Signature, TensorSpec
from .example import from_rows
from .tensors import from_arrays

_LARGEST = 200_000
_NUMBERS = re.compile(r"(u?int|float|bool|sparse\[)", re.IGNORECASE)


def complete(
    said: Signature | None,
    model: Signature | None,
    *,
    example: object = None,
    features: object = None,
    targets: object = None,
) -> Signature | None:
    """The signature to record; None where nobody knows anything.

    Args:
        said: the user's own; where it says something, it wins.
        model: what the model knows of itself.
        example: rows of the model's input.
        features: rows of the training data, which may be from before the model's preprocessing.
        targets: the training data's other half.

    Raises:
        InvalidInputError: the example is no rows, or of another width than the model takes.
    """
    names = [spec.name for spec in model.inputs] if model else []
    tensors = from_arrays(example, names) if model is None or model.inputs else None
    given = tensors or (from_rows(example) if example is not None else None)
    if example is not None and given is None:
        raise InvalidInputError(
            "The example does not hold rows of model input.",
            hint="Pass some rows as a data frame, an array, or a list of rows or texts; or a dict of name to array.",
            field="example",
        )
    if given and model and (width := _width(model)) is not None and _width(given) not in (None, width):
        raise InvalidInputError(
            f"The example has {_width(given)} columns; the model takes {width}.",
            hint="Pass rows as you would to the model's predict().",
            field="example",
        )
    if given is None and features is not None:
        seen = from_rows(features)
        fits = seen is not None and (model is None or _is_input_of(model, seen))
        given = seen if fits else None
    found = _input_of(given, model)
    if found and not found.output_dtype and targets is not None and (rows := from_rows(targets)):
        found = replace(found, output_dtype=rows.input_dtype, output_size=found.output_size or rows.input_size[:1])
    if said is not None:
        found = _merged(said, found)
    return _sampled(found) if found else None


def _is_input_of(model: Signature, seen: Signature) -> bool:
    """Whether training data may be what the model takes, rather than what that was made of.

    A model that was fitted on an array took numbers.
    """
    numbers = all(_NUMBERS.match(column.dtype) for column in seen.columns)
    return _width(model) in (None, _width(seen)) and bool(model.columns or model.input_kind or numbers)


def _width(signature: Signature) -> int | None:
    """The number of features of a table; None for texts, images and where it is not known."""
    size = signature.input_size[1:]
    return size[0] if len(size) == 1 and isinstance(size[0], int) else None


def _input_of(given: Signature | None, model: Signature | None) -> Signature | None:
    """The example's input and the model's output; of an example without the model's column names only its values."""
    if given is None or model is None:
        return given or model
    if model.inputs:
        shaped = replace(model, inputs=tuple(_shaped(spec, given, len(model.inputs)) for spec in model.inputs))
        return replace(shaped, sample=_tensor_sample(given, shaped))
    if model.input_kind and given.input_kind != model.input_kind:
        return model  # which knows what it reads
    if given.input_kind == "objects" and model.input_kind != "objects":
        # Rows written as objects for a model that takes tables.
        given = replace(given, input_kind="")
    if not model.columns:
        return replace(given, output_size=model.output_size, output_dtype=model.output_dtype)
    if given.columns:
        return _of_columns(given, model)
    values = given.sample
    if not isinstance(values, list) or len(values) != len(model.columns):
        return model
    names = [c.name for c in model.columns]
    columns = tuple(c if c.categories is not None else replace(c, dtype=given.input_dtype) for c in model.columns)
    return replace(model, input_dtype=given.input_dtype, columns=columns, sample=dict(zip(names, values, strict=True)))


def _shaped(spec: TensorSpec, given: Signature, count: int) -> TensorSpec:
    """A tensor of which the model knows no shape, as the example has it; fractions are of the model's dtype."""
    if tuple(spec.shape) != ANY_SHAPE:
        return spec
    seen = next((one for one in given.inputs if one.name == spec.name), None)
    if seen is None and count == 1 and not given.inputs and given.input_size:
        seen = TensorSpec(spec.name, given.input_dtype, [-1, *given.input_size[1:]])
    if seen is None:
        return spec
    both = seen.dtype.startswith("float") and spec.dtype.startswith("float")
    return replace(seen, dtype=spec.dtype if both or seen.dtype == "object" else seen.dtype)


def _tensor_sample(given: Signature, model: Signature) -> JSON:
    """The example's sample, in the form that it has for the model's tensors."""
    names = [spec.name for spec in model.inputs]
    if given.inputs:
        sample = given.sample if isinstance(given.sample, Mapping) else {}
        return {name: sample[name] for name in names} if sample.keys() == set(names) else model.sample
    return {names[0]: [given.sample]} if len(names) == 1 and given.sample is not None else model.sample


def _of_columns(given: Signature, model: Signature) -> Signature:
    """The example's columns in the model's order, by the names that the example has: LightGBM rewrites them."""
    shown = {rewritten(c.name): c for c in given.columns}
    if {rewritten(c.name) for c in model.columns} != shown.keys() or not isinstance(given.sample, Mapping):
        return model
    pairs = [(shown[rewritten(own.name)], own) for own in model.columns]
    # Of categories the model knows those that it was trained with; an example may have been cut down.
    columns = tuple(
        replace(own, name=seen.name, ordered=seen.ordered)
        if own.categories is not None
        else replace(seen, missing=seen.missing or (own.missing if seen.dtype == "object" else ""))
        for seen, own in pairs
    )
    sample = {c.name: given.sample[c.name] for c in columns}
    return replace(model, input_dtype=given.input_dtype, columns=columns, sample=sample, input_kind=given.input_kind)


def _merged(said: Signature, found: Signature | None) -> Signature:
    if found is None:
        return said
    same_width = _width(said) in (None, _width(found))
    known = {c.name: c for c in found.columns}
    return Signature(
        input_size=said.input_size or found.input_size,
        output_size=said.output_size or found.output_size,
        input_dtype=said.input_dtype or found.input_dtype,
        output_dtype=said.output_dtype or found.output_dtype,
        columns=tuple(_column(c, known.get(c.name)) for c in said.columns) or (found.columns if same_width else ()),
        sample=said.sample if said.sample is not None else (found.sample if same_width else None),
        input_kind=said.input_kind or found.input_kind,
        input_missing=said.input_missing or found.input_missing,
        inputs=said.inputs or found.inputs,
        outputs=said.outputs or found.outputs,
    )


def _column(said: Column, found: Column | None) -> Column:
    """What was said of a column, with what was seen of it where that does not contradict."""
    return found if found and said in (Column(said.name, found.dtype), Column(said.name, "object")) else said


def _sampled(signature: Signature) -> Signature:
    """With a row of zeros where the shape is known and no row is."""
    sizes = [n for n in signature.input_size[1:] if isinstance(n, int)]
    if signature.sample is not None or len(sizes) != len(signature.input_size) - 1 or not sizes:
        return signature
    if min(sizes) < 1 or math.prod(sizes) > MAX_SAMPLED:
        return signature
    names = [c.name for c in signature.columns]
    zero: JSON = 0.0 if signature.input_dtype.startswith("float") else 0
    sample: JSON = zero
    for size in reversed(sizes):
        sample = [sample] * size
    if len(sizes) == 1 and len(names) == sizes[0]:
        return replace(signature, sample={c.name: 0.0 if c.dtype.startswith("float") else 0 for c in signature.columns})
    return replace(signature, sample=sample)


def slim(signature: Signature) -> Signature:
    """What fits into a record in ML Metadata: of very wide tables neither sample nor names."""
    for slim in (signature, replace(signature, sample=None), replace(signature, sample=None, columns=())):
        if len(json.dumps(slim.to_dict())) <= _LARGEST:
            return slim
    return Signature(input_dtype=signature.input_dtype, output_dtype=signature.output_dtype)
