"""A model's own table, made again from rows and columns as requests have them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from kale_serve_ext.artifacts.example import from_rows
from kale_serve_ext.ml import Column, Signature
from kale_serve_ext.runner.tables import Refused, TableBuilder

PORTS = pd.DataFrame(
    {
        "port": pd.Categorical(["kiel", "oslo", None], categories=["oslo", "kiel", "bari"], ordered=True),
        "net price": [1.5, np.nan, 3.0],
        "calls": pd.array([1, None, 3], dtype="Int64"),
        "owner": pd.Series([True, None, False], dtype=object),
        "fuel": pd.Series(["gas", np.nan, "wood"], dtype=object),
        "since": pd.Series([datetime.date(2024, 1, 2), None, datetime.date(2025, 1, 2)], dtype=object),
        "fee": pd.Series([Decimal("1.10"), None, Decimal("2")], dtype=object),
    }
)
ROWS: list[list[object]] = [
    ["kiel", 1.5, 1, True, "gas", "2024-01-02", 1.1],
    ["oslo", None, None, None, None, None, None],
    [None, 3.0, 3, False, "wood", "2025-01-02", 2],
]


def built(signature: Signature | None, rows: list[object]) -> object:
    return TableBuilder(signature).of_rows(rows)


def test_rows_in_the_columns_order_become_the_table() -> None:
    frame = built(from_rows(PORTS), [*ROWS])
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, PORTS)


@pytest.mark.parametrize("place", range(3))
def test_a_row_alone_is_as_beside_others(place: int) -> None:
    frame = built(from_rows(PORTS), [dict(zip(list(PORTS.columns), ROWS[place], strict=True))])
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, PORTS.iloc[[place]].reset_index(drop=True))


def test_columns_go_by_name_in_any_order_and_by_the_names_that_lightgbm_makes() -> None:
    signature = Signature(columns=(Column("net_price"), Column("floor_area")), input_size=["batch_size", 2])
    table = TableBuilder(signature, checks_names=False, rewrites_names=True)
    for names in (("floor area", "net price"), ("floor_area", "net_price")):
        frame = table.of_columns({names[0]: [7.0], names[1]: [1.0]})
        assert isinstance(frame, pd.DataFrame)
        assert (list(frame.columns), frame.to_numpy().tolist()) == (["net_price", "floor_area"], [[1.0, 7.0]])


@pytest.mark.parametrize(("columns", "told"), [({"a": [1]}, "lacks 'b'"), ({"a": [1], "b": [1], "c": [1]}, "has 'c'")])
def test_other_columns_are_the_librarys_business_where_it_looks_at_names(
    columns: dict[str, list[object]], told: str
) -> None:
    signature = Signature(columns=(Column("a"), Column("b")))
    frame = TableBuilder(signature).of_columns(columns)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(columns)
    with pytest.raises(Refused, match=told):
        TableBuilder(signature, checks_names=False).of_columns(columns)


def test_a_new_category_comes_after_the_known_ones_and_a_number_is_none_of_texts() -> None:
    signature = Signature(columns=(Column("port", "category", ("kiel", "oslo"), "object"),), input_kind="pandas")
    frame = built(signature, [{"port": "bari"}])
    assert isinstance(frame, pd.DataFrame)
    assert frame["port"].cat.categories.tolist() == ["kiel", "oslo", "bari"]
    with pytest.raises(Refused, match=r"'port'.*no category.*'kiel'"):
        built(signature, [{"port": 1.0}])


def test_categories_of_numbers_keep_their_dtype() -> None:
    frame = built(from_rows(pd.DataFrame({"zone": pd.Categorical([30, 10], categories=[10, 20, 30])})), [{"zone": 30}])
    assert isinstance(frame, pd.DataFrame)
    assert (frame["zone"].cat.categories.dtype, frame["zone"].cat.codes.tolist()) == (np.dtype("int64"), [2])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"a": None, "b": 1}], {"a": [np.nan], "b": [1]}),
        ([{"a": 1, "b": None}, {"a": None, "b": 2.5}], {"a": [1.0, np.nan], "b": [np.nan, 2.5]}),
        ([{"a": "x", "b": None}, {"a": None, "b": 1}], {"a": ["x", np.nan], "b": [np.nan, 1.0]}),
    ],
)
def test_without_a_record_nulls_and_numbers_are_floats(rows: list[object], expected: dict[str, list[object]]) -> None:
    frame = built(None, rows)
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected))


def test_numbers_stay_numbers_beside_texts_in_an_array() -> None:
    array = built(None, [["a", 1, 0.5], [None, 2, None]])
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array[0].tolist()) == (np.dtype(object), ["a", 1, 0.5])
    assert np.isnan(array[1, 0])
    told = from_rows(np.array([["a", None]], dtype=object))
    kept = built(told, [["a", None]])
    assert isinstance(kept, np.ndarray)
    assert kept[0, 1] is None


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_an_array_keeps_its_dtype(dtype: str) -> None:
    wanted = np.array([[1, 0], [0, 1]], dtype=dtype)
    array = built(from_rows(wanted), wanted.tolist())
    assert isinstance(array, np.ndarray)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, wanted)


def test_a_sparse_input_is_sparse_again() -> None:
    made = built(from_rows(sparse.csr_matrix([[0.0, 1.0]])), [[0, 2]])
    assert sparse.issparse(made)


def test_an_array_becomes_the_columns_that_a_mixed_table_had() -> None:
    table = pd.DataFrame(
        {"a": [1, 2], "f": [True, False], "n": pd.array([1, None], dtype="Int64"), "b": [0.5, 1.5], "z": [3.0, 4.0]}
    ).assign(z=lambda t: pd.Categorical([10, 20]))
    sent = np.array([[1.0, 1.0, 1.0, 0.5, 10.0], [2.0, 0.0, np.nan, 1.5, 20.0]])
    frame = TableBuilder(from_rows(table)).of_array(sent)
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, table)


def test_numbers_are_never_rounded_or_cut_to_a_dtype() -> None:
    narrow = pd.DataFrame({"a": np.array([1.5], dtype="float32"), "i": np.array([1], dtype="int8")})
    sent = [{"a": 1e9 + 1, "i": 300}, {"a": 2.5, "i": 2}]
    frame = built(from_rows(narrow), [*sent])
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == sent
    whole = built(from_rows(narrow), [sent[1]])
    assert isinstance(whole, pd.DataFrame)
    assert list(whole.dtypes) == ["float32", "int8"]
    array = built(from_rows(np.zeros((1, 2), dtype="float32")), [[1e9 + 1, 0.5]])
    assert isinstance(array, np.ndarray)
    assert array.tolist() == [[1e9 + 1, 0.5]]


def test_a_boolean_category_is_found_when_it_comes_as_a_number() -> None:
    signature = from_rows(pd.DataFrame({"a": pd.Series([True, False]).astype("category")}))
    frame = TableBuilder(signature).of_columns({"a": [1.0, 0.0, None]})
    assert isinstance(frame, pd.DataFrame)
    assert frame["a"].tolist()[:2] == [True, False]
    assert frame["a"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([datetime.timedelta(hours=1), None], dtype=object),
        pd.Series([b"x", None], dtype=object),
        pd.Series([datetime.date(2024, 1, 1), "x"], dtype=object),
        pd.Categorical([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]),
        pd.Categorical([1.5, float("inf")]),
        pd.cut([0.5, 1.5], [0, 1, 2]),
    ],
    ids=str,
)
def test_values_that_no_request_carries_are_recorded_as_such(column: object) -> None:
    signature = from_rows(pd.DataFrame({"a": column}))
    assert signature is not None
    assert [c.values for c in signature.columns] == ["other"]
    with pytest.raises(Refused, match="'a'"):
        built(signature, [{"a": "x"}])


def test_a_sparse_column_keeps_what_it_is_filled_with() -> None:
    table = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0], fill_value=0.0)})
    frame = built(from_rows(table), [{"a": 0.0}, {"a": 1}])
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, table)


def test_rows_of_numbers_of_different_lengths_are_refused_and_lists_of_texts_go_through() -> None:
    with pytest.raises(Refused, match="different lengths"):
        built(None, [[1.0], [1.0, 2.0]])
    with pytest.raises(Refused, match="different lengths"):
        built(from_rows(np.zeros((1, 2))), [[1.0, [2.0]], [1.0, 2.0, 3.0]])
    labels = built(None, [["a"], ["a", "b"]])
    assert isinstance(labels, np.ndarray)
    assert labels.tolist() == [["a"], ["a", "b"]]


TEXTS = Signature(["batch_size"], input_dtype="object", input_kind="texts")


@pytest.mark.parametrize("rows", [[["a"]], [{"text": "a"}], [1], ["a", None]])
def test_a_model_of_texts_takes_texts_alone(rows: list[object]) -> None:
    assert built(TEXTS, ["a", "b"]) == ["a", "b"]
    with pytest.raises(Refused, match="reads texts"):
        built(TEXTS, rows)


def test_a_model_of_texts_takes_no_columns_and_no_numbers() -> None:
    with pytest.raises(Refused, match="reads texts"):
        TableBuilder(TEXTS).of_columns({"text": ["a"]})
    with pytest.raises(Refused, match="reads texts"):
        TableBuilder(TEXTS).of_array(np.zeros((1, 2)))


OBJECTS = Signature(["batch_size"], input_kind="objects", sample={"plan": "gold", "months": 1.0})


def test_objects_go_through_as_objects() -> None:
    rows: list[object] = [{"plan": "gold", "months": 2}, {"plan": "tin"}]
    assert built(OBJECTS, rows) == rows
    # As data frames are written, by v1 and by v2.
    assert built(OBJECTS, [{"plan": ["gold", "tin"], "months": [2, 3]}]) == [
        {"plan": "gold", "months": 2},
        {"plan": "tin", "months": 3},
    ]
    assert TableBuilder(OBJECTS).of_columns({"plan": ["gold"]}) == [{"plan": "gold"}]
    with pytest.raises(Refused, match="takes objects"):
        built(OBJECTS, [[1, 2]])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"a": 1}, {"b": 1}], "Row 0 has no 'b'"),
        ([{"a": 1}, 2], "Some rows are objects"),
        ([[1, 2], [1]], "Row 1"),
        ([{"a": [1, 2], "b": [1]}], "different lengths"),
    ],
)
def test_uneven_rows_are_refused(rows: list[object], told: str) -> None:
    with pytest.raises(Refused, match=told):
        built(Signature(columns=(Column("a"), Column("b"))), rows)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("a", "datetime64[ns]"), 1700000000),
        (Column("a", "datetime64[ns]"), "yesterday"),
        (Column("a", "datetime64[ns]"), "2024-01-01T00:00:00+02:00"),
        (Column("a", "datetime64[ns, Europe/Berlin]"), "2024-01-01T00:00:00"),
        (Column("a", "float64"), "much"),
        (Column("a", "string"), 1),
        (Column("a", "object", values="decimal"), "much"),
        (Column("a", "Int64"), 1.5),
        (Column("a", "category", values="other", category_dtype="interval[int64, right]"), "(0, 1]"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_by_its_name(column: Column, value: object) -> None:
    with pytest.raises(Refused, match="The column 'a'"):
        built(Signature(columns=(column,), input_kind="pandas"), [{"a": value}])
