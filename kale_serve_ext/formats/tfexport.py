"""Writes a Keras model or a ``tf.Module`` of the notebook as a SavedModel with signatures.

Runs where the object is; TensorFlow is imported there already.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import InvalidInputError
from ..estimators import lineage
from ..ml import Signature, TensorSpec
from .savedmodel import DEFAULT
from .tensors import in_short

if TYPE_CHECKING:
    import numpy as np

KERAS = "keras.src.models.model.Model"
_KERAS_2 = ("keras.src.engine.training.Model", "keras.engine.training.Model", "tf_keras.src.engine.training.Model")
_MODULES = (
    "tensorflow.python.module.module.Module",
    # What tf.saved_model.load gives, and what is made by hand for tf.saved_model.save.
    "tensorflow.python.trackable.autotrackable.AutoTrackable",
)
_CALL = "__call__"
_SIGN = "Decorate its __call__ with @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])"


class _Keras(Protocol):
    built: bool

    def __call__(self, inputs: object) -> object: ...
    def export(self, filepath: str, *, verbose: bool) -> None: ...


class _Spec(Protocol):
    """A ``tf.TensorSpec``."""

    shape: Sequence[int | None]
    dtype: object
    name: str | None


class _Concrete(Protocol):
    structured_input_signature: tuple[tuple[object, ...], Mapping[str, object]]


class _Function(Protocol):
    """A ``tf.function``; one that belongs to an object."""

    input_signature: object
    python_function: object

    def get_concrete_function(self, *args: object, **kwargs: object) -> _Concrete: ...
    def _list_all_concrete_functions(self) -> Sequence[_Concrete]: ...


def can_be_exported(obj: object) -> bool:
    """Whether the object is a Keras model or a ``tf.Module``, by its class."""
    return not isinstance(obj, type) and not lineage(obj).isdisjoint((KERAS, *_KERAS_2, *_MODULES))


def export(obj: object, folder: Path, said: Signature | None, example: object) -> None:
    """Write the SavedModel into ``folder``, which is made.

    Args:
        said: the user's signature, whose inputs describe what a ``tf.Module`` is called with.
        example: likewise, of a model that does not say it itself: an array, or arrays by name, the batch first.

    Raises:
        InvalidInputError: it is not known what it is called with, or TensorFlow cannot save it; says why.
    """
    names = lineage(obj)
    if not names.isdisjoint(_KERAS_2):
        raise InvalidInputError(
            "This is a model of Keras 2.",
            hint='Export it with model.export("FOLDER") and log that: Model(artifact_uri="FOLDER").',
            field="model",
        )
    if KERAS in names:
        _export_keras(cast("_Keras", obj), folder, example)
    else:
        _export_module(obj, folder, said, example)


def _export_keras(model: _Keras, folder: Path, example: object) -> None:
    import keras

    backend = keras.config.backend()
    if backend != "tensorflow":
        raise InvalidInputError(
            f"This Keras model runs on the {backend} backend, and a SavedModel is made by TensorFlow.",
            hint='Save it with model.save("model.keras") and log that file, which TensorFlow loads: '
            'Model(artifact_uri="model.keras").',
            field="model",
        )
    if not model.built and example is None:
        raise InvalidInputError(
            "This Keras model has not been built: nothing tells what it takes.",
            hint="Begin it with keras.Input(…), call it once, or pass an example.",
            field="model",
        )
    with _explained():
        if not model.built:
            model(_tensors(example))
        model.export(str(folder), verbose=False)


def _export_module(module: object, folder: Path, said: Signature | None, example: object) -> None:
    import tensorflow as tf

    with _explained():
        functions = _signatures(module, said, example)
    if DEFAULT not in functions:
        has = f" It has {', '.join(functions)}." if functions else ""
        raise InvalidInputError(
            f"Nothing tells what this {type(module).__name__} is called with.{has}",
            hint=f"{_SIGN}, call it once, or pass an example.",
            field="model",
        )
    with _explained():
        tf.saved_model.save(module, str(folder), signatures=functions)


def _signatures(module: object, said: Signature | None, example: object) -> dict[str, _Concrete]:
    """The functions to be served by name: those that the module has been loaded with, or its own ``tf.function``s.

    ``__call__`` is the one that answers where none is named, or else the only one.
    """
    loaded: object = getattr(module, "signatures", None)
    if isinstance(loaded, Mapping) and DEFAULT in loaded:
        return dict(loaded)
    functions = _functions(module)
    given = _given(said, example)
    first = next((name for name in (_CALL, DEFAULT) if name in functions), "")
    first = first or (next(iter(functions)) if len(functions) == 1 else "")
    found: dict[str, _Concrete] = {}
    for name, function in functions.items():
        made = _concrete(function, given if name == first else None)
        if made is not None:
            found[DEFAULT if name == first else name] = made
    if not functions and given is not None and callable(module):
        import tensorflow as tf

        wrapped = cast("_Function", tf.function(module.__call__))
        found[DEFAULT] = _of_specs(wrapped, given)
    return found


def _functions(module: object) -> dict[str, _Function]:
    cls = type(module)
    names = [name for name in dir(cls) if name == _CALL or not name.startswith("_")]
    own = [name for name in names if _is_function(inspect.getattr_static(cls, name))]
    own += [name for name, value in vars(module).items() if not name.startswith("_") and _is_function(value)]
    return {name: cast("_Function", getattr(module, name)) for name in own}


def _is_function(value: object) -> bool:
    """Whether it is a ``tf.function``."""
    return callable(getattr(value, "get_concrete_function", None)) and hasattr(value, "python_function")


def _concrete(function: _Function, given: _Given | None) -> _Concrete | None:
    """The function for inputs of fixed dtypes and shapes; None where nothing tells which."""
    if function.input_signature is not None:
        return function.get_concrete_function()
    if given is not None:
        return _of_specs(function, given)
    traced = function._list_all_concrete_functions()
    return _for_any_batch(function, traced[0]) if traced else None


def _for_any_batch(function: _Function, traced: _Concrete) -> _Concrete:
    """What was traced by a call, for batches of any size where it can be traced so."""
    import tensorflow as tf

    def loosened(spec: object) -> object:
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank:
            return spec
        return tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, spec.name)

    args, kwargs = tf.nest.map_structure(loosened, traced.structured_input_signature)
    try:
        return function.get_concrete_function(*args, **kwargs)
    except (ValueError, TypeError):  # such as a product with a tensor of the batch's size
        return traced


@dataclass(frozen=True)
class _Given:
    """What the user tells of the inputs."""

    specs: tuple[TensorSpec, ...]
    named: bool = True
    """Whether their names are meant."""


def _given(said: Signature | None, example: object) -> _Given | None:
    if said is not None and said.inputs:
        return _Given(said.inputs)
    if example is None:
        return None
    by_name = example if isinstance(example, Mapping) else {"input": example}
    arrays = {str(name): _array(values) for name, values in by_name.items()}
    return _Given(
        tuple(
            TensorSpec(name, "str" if array.dtype.kind in "OUS" else array.dtype.name, (-1, *array.shape[1:]))
            for name, array in arrays.items()
        ),
        named=isinstance(example, Mapping),
    )


def _of_specs(function: _Function, given: _Given) -> _Concrete:
    import tensorflow as tf

    def spec(one: TensorSpec) -> object:
        shape = [size if isinstance(size, int) and size >= 0 else None for size in one.shape]
        name = one.name if given.named else None
        return tf.TensorSpec(shape, tf.string if one.dtype == "str" else one.dtype, name=name)

    specs = {one.name: spec(one) for one in given.specs}
    parameters = inspect.signature(cast("type", function.python_function)).parameters
    if given.named and all(name in parameters for name in specs):
        return function.get_concrete_function(**specs)
    if len(specs) == 1:
        return function.get_concrete_function(*specs.values())
    # Of a function that takes one object of arrays.
    return function.get_concrete_function(specs)


def _tensors(example: object) -> object:
    if isinstance(example, Mapping):
        return {name: _array(values) for name, values in example.items()}
    return _array(example)


def _array(values: object) -> np.ndarray:
    """Its dtype is the values' own, but that what Python calls a float is TensorFlow's usual one."""
    import numpy as np

    array = np.asarray(values)
    has_dtype = hasattr(values, "dtype") or hasattr(values, "dtypes")
    return array if has_dtype or array.dtype != np.float64 else array.astype(np.float32)


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever TensorFlow says of an object, as the user should read it."""
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:
        raise InvalidInputError(
            f"TensorFlow cannot save this model: {type(error).__name__}: {in_short(error)}",
            hint="Make it one that tf.saved_model.save takes, and log it again.",
            field="model",
        ) from error
