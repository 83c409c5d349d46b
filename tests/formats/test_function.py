"""Python functions as models: what is known of their inputs and outputs, and what loading them gives back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats import detect, detect_path, find
from kale_serve_ext.formats.calling import outputs_of
from kale_serve_ext.formats.function import FORMAT
from kale_serve_ext.formats.functioninputs import by_annotation, call_of
from kale_serve_ext.formats.tensors import TensorModel
from kale_serve_ext.ml import Signature, TensorSpec

OFFSET = np.array([1.0, 2.0])
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Pair(NamedTuple):
    total: NDArray[np.float64]
    difference: NDArray[np.float64]


def scale(x: NDArray[np.float64], factor: float = 2.0) -> dict[str, NDArray[np.float64]]:
    return {"scaled": x * factor + OFFSET}


def pair(a: NDArray[np.float64], b: NDArray[np.float64]) -> Pair:
    return Pair(a + b, a - b)


def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in [*texts]]


def mean(matrix: Matrix) -> NDArray[np.float32]:
    return np.asarray(matrix.mean(axis=1), np.float32)


def upper(texts: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.char.upper(texts)


def anything(**columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return sum(columns.values(), np.zeros(1))


def several(a: NDArray[np.float64], /, b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return a * b, a


class Times:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x * self.factor


def logged(
    function: Callable[..., object], folder: Path, example: object = None, said: Signature | None = None
) -> tuple[TensorModel, Signature]:
    """The function as it is loaded again, and its signature."""
    prepared = FORMAT.prepared(function, said, example)
    FORMAT.save(prepared, folder)
    assert detect_path(folder) is FORMAT
    assert find(folder).file is None
    model, signature = FORMAT.load(folder), FORMAT.signature(prepared)
    assert isinstance(model, TensorModel)
    assert signature
    assert (model.inputs, model.outputs) == (signature.inputs, signature.outputs)
    assert FORMAT.path_signature(folder) == Signature(input_dtype="", inputs=model.inputs, outputs=model.outputs)
    return model, signature


def answers(model: TensorModel, **fed: object) -> Mapping[str, Sequence[object]]:
    tensors = {
        name: np.asarray(value, dtype=object if isinstance(value, list) else None) for name, value in fed.items()
    }
    return {name: np.asarray(value).tolist() for name, value in model.run(tensors).items()}


ONES = np.ones((3, 2))
CASES: dict[str, tuple[Callable[..., object], object, Mapping[str, object], Mapping[str, object]]] = {
    "dict, with a global": (scale, ONES, {"x": ONES[:1]}, {"scaled": [[3.0, 4.0]]}),
    "an optional argument": (
        scale,
        {"x": ONES, "factor": np.zeros((3, 1))},
        {"x": ONES[:1], "factor": np.array([[3.0]])},
        {"scaled": [[4.0, 5.0]]},
    ),
    "partial": (functools.partial(scale, factor=3.0), ONES, {"x": ONES[:1]}, {"scaled": [[4.0, 5.0]]}),
    "named tuple": (
        pair,
        {"a": [1.0, 2.0], "b": [3.0, 4.0]},
        {"a": np.array([1.0]), "b": np.array([5.0])},
        {"total": [6.0], "difference": [-4.0]},
    ),
    "tuple, by position": (
        several,
        {"a": ONES, "b": ONES},
        {"a": np.array([[2.0, 2.0]]), "b": np.array([[3.0, 1.0]])},
        {"output-0": [[6.0, 2.0]], "output-1": [[2.0, 2.0]]},
    ),
    "texts as a list": (lengths, None, {"texts": ["ab", "c"]}, {"output-0": [2, 1]}),
    "texts of numpy": (upper, np.array(["a", "b"]), {"texts": ["ab", "c"]}, {"output-0": ["AB", "C"]}),
    "a shape by annotation": (mean, None, {"matrix": np.ones((2, 3), np.float32)}, {"output-0": [1.0, 1.0]}),
    "names of the example": (
        anything,
        {"p": ONES, "q": ONES},
        {"p": ONES[:1], "q": ONES[:1]},
        {"output-0": [[2.0, 2.0]]},
    ),
    "written in C": (np.exp, np.zeros(2), {"x": np.zeros(1)}, {"output-0": [1.0]}),
    "an instance": (Times(4), ONES, {"x": ONES[:1]}, {"output-0": [[4.0, 4.0]]}),
    "a bound method": (Times(5).__call__, ONES, {"x": ONES[:1]}, {"output-0": [[5.0, 5.0]]}),
    "a lambda": (lambda x: x - OFFSET, ONES, {"x": ONES[:1]}, {"output-0": [[0.0, -1.0]]}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_function_that_is_loaded_again_answers_as_it_did(
    case: tuple[Callable[..., object], object, Mapping[str, object], Mapping[str, object]], tmp_path: Path
) -> None:
    function, example, fed, wanted = case
    assert detect(function) is FORMAT
    model, _ = logged(function, tmp_path, example)
    assert answers(model, **fed) == wanted


def test_a_method_of_an_estimator_is_a_function_and_the_estimator_is_none(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    assert detect(fitted).name == "sklearn"
    assert not FORMAT.matches(fitted)
    model, signature = logged(fitted.predict_proba, tmp_path, np.array([[0.5]]))
    assert signature.inputs == (TensorSpec("X", "float64", [-1, 1]),)
    assert answers(model, X=np.array([[0.2]]))["output-0"] == fitted.predict_proba([[0.2]]).tolist()
    assert "scikit-learn" in FORMAT.packages_in(tmp_path, None)


def test_the_users_signature_wins_and_a_tables_tells_the_only_input(tmp_path: Path) -> None:
    (first, second) = (tmp_path / "first", tmp_path / "second")
    first.mkdir()
    second.mkdir()
    said = Signature(inputs=(TensorSpec("x", "float32", [-1, "n"]),), outputs=(TensorSpec("y", "float64", [-1, "n"]),))
    model, signature = logged(lambda x: x * 2, first, np.ones((2, 3)), said)
    assert (signature.inputs, signature.outputs) == (said.inputs, said.outputs)
    assert signature.sample == {"x": [[1.0, 1.0, 1.0]]}
    assert answers(model, x=np.ones((1, 2))) == {"y": [[2.0, 2.0]]}
    model, _ = logged(Times(2), second, None, Signature(input_size=["batch", 4], input_dtype="int32"))
    assert model.inputs == (TensorSpec("x", "int32", [-1, 4]),)
    assert model.outputs == ()


@pytest.mark.parametrize(
    ("hint", "wanted"),
    [
        (list[str], TensorSpec("a", "str", [-1])),
        (list[list[float]], TensorSpec("a", "float64", [-1, -1])),
        (Sequence[int], TensorSpec("a", "int64", [-1])),
        (tuple[bool, ...], TensorSpec("a", "bool", [-1])),
        (Matrix, TensorSpec("a", "float32", [-1, -1])),
        (NDArray[np.float32], None),
        (np.ndarray, None),
        (tuple[int, str], None),
        (float, None),
        (dict[str, float], None),
        (np.ndarray[tuple[int, int]], None),
        (np.ndarray[tuple[int, int], np.dtype[np.floating]], None),
    ],
)
def test_what_an_annotation_says(hint: object, wanted: TensorSpec | None) -> None:
    found = by_annotation("a", hint)
    assert (found.spec if found else None) == wanted


@pytest.mark.parametrize(
    ("function", "example", "message"),
    [
        (scale, None, "It is not known what scale takes for 'x'."),
        (scale, {"z": [1.0]}, "scale has no parameter 'z'."),
        (scale, [[1.0], [1.0, 2.0]], "The example for 'x' is no array"),
        (scale, np.ones((3, 5)), "scale fails on the example: ValueError: operands could not be broadcast"),
        (scale, {"x": 3.0}, "The example for 'x' is float64 with 0 dimensions."),
        (scale, [b"a"], "The example for 'x' is bytes8"),
        (pair, np.ones(3), "The example is one array; the function takes 'a', 'b'."),
        (lambda: 1, None, "<lambda> takes no arguments."),
        (lambda x: {"a": object()}, [1.0], "What it returned for 'a' is of the type object"),
        (lambda x: iter(x), [1.0], "What it returned for 'output-0' is of the type"),
    ],
)
def test_what_is_not_enough_is_refused(function: Callable[..., object], example: object, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        FORMAT.prepared(function, None, example)
    assert error.value.message.startswith(message) or message in error.value.message


def test_a_data_frame_and_coroutines_are_refused() -> None:
    import pandas as pd

    async def later(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x

    with pytest.raises(InvalidInputError, match="is a data frame"):
        FORMAT.prepared(scale, None, pd.DataFrame({"x": [1.0]}))
    with pytest.raises(InvalidInputError, match="later is a coroutine function"):
        FORMAT.prepared(later, None, ONES)
    with pytest.raises(InvalidInputError, match="has no name of its own"):
        FORMAT.default_name(lambda x: x)
    assert FORMAT.default_name(functools.partial(scale, factor=1.0)) == "scale"
    assert FORMAT.default_name(Times(1)) == "Times"


def test_outputs_that_are_not_those_of_the_example_are_an_error(tmp_path: Path) -> None:
    def fickle(x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"big" if x.sum() > 5 else "small": x}

    model, _ = logged(fickle, tmp_path, np.ones(2))
    with pytest.raises(RuntimeError, match="returned 'big', and not 'small'"):
        model.run({"x": np.ones(9)})
    assert list(outputs_of((np.ones(1), np.ones(2)), ["first"])) == ["first", "output-1"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", "[" * 5000, '{"function": "f", "inputs": [{"shape": 1}]}'])
def test_a_broken_description_is_named(tmp_path: Path, content: str) -> None:
    logged(lengths, tmp_path, None)
    (tmp_path / "function.json").write_text(content)
    [problem] = FORMAT.check(tmp_path)
    assert problem.startswith(f"function.json in {tmp_path.name} does not tell how the function is called: ")
    for asked in (FORMAT.path_signature, FORMAT.load):
        with pytest.raises(InvalidInputError, match=r"function\.json") as caught:
            asked(tmp_path)
        assert "Log the function itself again" in caught.value.hint


class Chained:
    """Has a ``func`` as a partial has, which leads to itself."""

    @property
    def func(self) -> Chained:
        return self

    def __call__(self, x: list[float]) -> list[float]:
        return x


def test_only_partials_are_looked_into(tmp_path: Path) -> None:
    call, _ = call_of(Chained(), None, None)
    assert [one.spec for one in call.inputs] == [TensorSpec("x", "float64", [-1])]
