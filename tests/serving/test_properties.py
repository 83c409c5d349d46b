"""Tables go over the wire and come out as they went in, and answers come back as they were, by every protocol.

A real model server answers: :mod:`tests.serving.echoing` tells what its models got.
"""

from __future__ import annotations

import base64
import itertools
import pickle
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal

from kale_serve_ext.errors import InvalidInputError, PredictionError
from tests.runner.sweep import asked
from tests.serving.echoing import Echo, Told, told

ROUTES = ("v1", "v2", "v2-binary", "grpc-v2")
REFUSED = object()
"""In place of what arrived: it was not sent, or not taken, for a reason that is known and told."""
bounded = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a smaller example would take as long as all of them
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def server() -> Iterator[asked.Server]:
    """One model server for all of them."""
    with asked.running() as made:
        yield made


@pytest.fixture(scope="module")
def telling(server: asked.Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a model that answers what it is told."""
    written = asked.logged(Told(), tmp_path_factory.mktemp("told"), name="told")
    assert not server.load("told", "sklearn", written.source, "predict")
    return "told"


@pytest.fixture(scope="module")
def sent(server: asked.Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """Logs a model with an example, asks it, and gives what it was asked with."""
    numbers = itertools.count()

    def send(rows: object, route: str, example: object) -> object:
        folder: Path = tmp_path_factory.mktemp("echo")
        name = f"echo-{next(numbers)}"
        written = asked.logged(Echo(), folder, name=name, example=example, record_rows=0)
        assert not server.load(name, "sklearn", written.source, "predict")
        try:
            answers = asked.values(server.ask(name, rows, route))
        except (InvalidInputError, PredictionError) as error:
            if _is_known(error, route):
                return REFUSED
            raise
        finally:
            server.unload(name)
        assert isinstance(answers, list)
        assert len(answers) == _count(rows)
        return pickle.loads(base64.b64decode(str(answers[0])))

    return send


_KNOWN = ("infinity", "FP16 data via JSON", "which other rows have")
"""Of refusals whose words say what cannot be sent."""


def _is_known(error: Exception, route: str) -> bool:
    if any(told in str(error) for told in _KNOWN):
        return True
    return isinstance(error, InvalidInputError) and route in ("v2-binary", "grpc-v2") and bool(error.hint)


def _count(rows: object) -> int:
    shape = getattr(rows, "shape", None)
    return int(shape[0]) if shape else len(rows)  # type: ignore[arg-type]


# --- What tables are made of ------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAMES = st.lists(TEXTS.filter(str.strip), min_size=1, max_size=4, unique=True)
_MOMENTS = st.datetimes(pd.Timestamp("1970-01-02").to_pydatetime(), pd.Timestamp("2200-01-01").to_pydatetime())


def _or_missing(values: st.SearchStrategy[object], missing: object) -> st.SearchStrategy[object]:
    return st.one_of(values, values, st.just(missing))


def _floats(width: Literal[32, 64]) -> st.SearchStrategy[object]:
    return st.floats(width=width, allow_nan=True, allow_infinity=True)


def _whole(dtype: str) -> st.SearchStrategy[object]:
    return st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def _category(values: list[object], ordered: bool = False) -> Callable[[list[object]], object]:
    return lambda cells: pd.Series(pd.Categorical(cells, categories=values, ordered=ordered))


def _as(dtype: str) -> Callable[[list[object]], object]:
    return lambda cells: pd.Series(cells, dtype=dtype)


PANDAS: dict[str, tuple[st.SearchStrategy[object], Callable[[list[object]], object]]] = {
    **{name: (_whole(name), _as(name)) for name in ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")},
    "float32": (_floats(32), _as("float32")),
    "float64": (_floats(64), _as("float64")),
    "bool": (st.booleans(), _as("bool")),
    "Int64": (_or_missing(_whole("int64"), pd.NA), _as("Int64")),
    "UInt8": (_or_missing(_whole("uint8"), pd.NA), _as("UInt8")),
    "Float64": (_or_missing(st.floats(allow_nan=False, allow_infinity=False), pd.NA), _as("Float64")),
    "boolean": (_or_missing(st.booleans(), pd.NA), _as("boolean")),
    "string": (_or_missing(TEXTS, pd.NA), _as("string")),
    "texts or None": (_or_missing(TEXTS, None), _as("object")),
    "texts or NaN": (_or_missing(TEXTS, np.nan), _as("object")),
    "booleans or None": (_or_missing(st.booleans(), None), _as("object")),
    "dates": (st.dates(date(1900, 1, 1), date(2100, 1, 1)), _as("object")),
    "decimals": (st.decimals(-1000, 1000, places=2), _as("object")),
    "category of texts": (_or_missing(st.sampled_from(["b", "a", "c c"]), None), _category(["c c", "a", "b", "never"])),
    "category of numbers": (_or_missing(st.sampled_from([30, 10]), None), _category([10, 20, 30])),
    "category of floats": (st.sampled_from([0.5, 2.0]), _category([2.0, 0.5])),
    "category of booleans": (st.booleans(), _category([False, True])),
    "ordered category": (st.sampled_from(["low", "high"]), _category(["low", "mid", "high"], ordered=True)),
    "category of dates": (
        st.sampled_from([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-02-01")]),
        _category([pd.Timestamp("2024-02-01"), pd.Timestamp("2024-01-01")]),
    ),
    "datetime64[ns]": (_or_missing(_MOMENTS, pd.NaT), _as("datetime64[ns]")),
    "datetime64[us]": (_or_missing(_MOMENTS, pd.NaT), _as("datetime64[us]")),
    "datetime64[ns, zone]": (
        _or_missing(_MOMENTS.map(lambda t: t.replace(tzinfo=ZoneInfo("Europe/Paris"))), pd.NaT),
        lambda cells: pd.Series(pd.to_datetime(pd.Series(cells), utc=True)).dt.tz_convert("Europe/Paris"),
    ),
    "timedelta64[ns]": (
        _or_missing(st.timedeltas(timedelta(days=-9999), timedelta(days=9999)), pd.NaT),
        _as("timedelta64[ns]"),
    ),
}

_POLARS: dict[str, tuple[st.SearchStrategy[object], pl.DataType | type[pl.DataType]]] = {
    "Int8": (_whole("int8"), pl.Int8),
    "Int64": (_whole("int64"), pl.Int64),
    "UInt64": (_whole("uint64"), pl.UInt64),
    "Float32": (_floats(32), pl.Float32),
    "Float64": (_floats(64), pl.Float64),
    "Boolean": (st.booleans(), pl.Boolean),
    "String": (TEXTS, pl.String),
    "Categorical": (st.sampled_from(["x", "y"]), pl.Categorical()),
    "Enum": (st.sampled_from(["x", "y"]), pl.Enum(["y", "never", "x"])),
    "Date": (st.dates(date(1900, 1, 1), date(2100, 1, 1)), pl.Date),
    "Datetime": (_MOMENTS, pl.Datetime("us")),
    "Datetime in a zone": (_MOMENTS.map(lambda t: t.replace(tzinfo=ZoneInfo("UTC"))), pl.Datetime("ms", "UTC")),
    "Duration": (st.timedeltas(timedelta(days=-9999), timedelta(days=9999)), pl.Duration("us")),
    "Time": (st.times(), pl.Time),
}


@st.composite
def pandas_tables(draw: st.DrawFn, kinds: list[str]) -> pd.DataFrame:
    count = draw(st.integers(1, 4))
    columns = {}
    for name in draw(NAMES):
        cells, make = PANDAS[draw(st.sampled_from(kinds))]
        columns[name] = make(draw(st.lists(cells, min_size=count, max_size=count)))
    made: pd.DataFrame = pd.DataFrame(columns)
    return made


@st.composite
def polars_tables(draw: st.DrawFn) -> pl.DataFrame:
    count = draw(st.integers(1, 4))
    columns = []
    for name in draw(NAMES):
        cells, dtype = _POLARS[draw(st.sampled_from(list(_POLARS)))]
        columns.append(pl.Series(name, draw(st.lists(_or_missing(cells, None), min_size=count, max_size=count)), dtype))
    return pl.DataFrame(columns)


def number_arrays() -> st.SearchStrategy[np.ndarray]:
    dtypes = st.sampled_from([f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)])
    dtypes = st.one_of(dtypes, st.sampled_from(["float16", "float32", "float64", "bool"]))
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=4)
    return dtypes.flatmap(lambda dtype: arrays.arrays(dtype, shapes))


# --- Tables there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", PANDAS)
@settings(bounded, max_examples=3)
@given(data=st.data())
def test_each_dtype_of_pandas_arrives(sent: Callable[..., object], route: str, kind: str, data: st.DataObject) -> None:
    _check_pandas(sent, route, data.draw(pandas_tables([kind])))


@pytest.mark.parametrize("route", ROUTES)
@bounded
@given(data=st.data())
def test_tables_of_pandas_arrive(sent: Callable[..., object], route: str, data: st.DataObject) -> None:
    _check_pandas(sent, route, data.draw(pandas_tables(list(PANDAS))), data)


def _check_pandas(
    sent: Callable[..., object], route: str, table: pd.DataFrame, data: st.DataObject | None = None
) -> None:
    rows = table
    if data:
        start = data.draw(st.integers(0, len(table) - 1), label="first row")
        order = data.draw(st.permutations(list(table.columns)), label="columns as sent")
        rows = table.iloc[start:][order]
    got = sent(rows, route, table)
    if got is REFUSED:
        return
    wanted = rows[table.columns].reset_index(drop=True)
    assert isinstance(got, pd.DataFrame)
    assert_frame_equal(got, wanted, check_exact=True)
    assert [_markers(got[name]) for name in got] == [_markers(wanted[name]) for name in wanted]


def _markers(column: pd.Series) -> list[type]:
    """What stands for missing values, and of what types the others are where the dtype does not say."""
    return [type(v) for v in column.tolist()]


@pytest.mark.parametrize("route", ROUTES)
@bounded
@given(table=polars_tables())
def test_tables_of_polars_arrive(sent: Callable[..., object], route: str, table: pl.DataFrame) -> None:
    got = sent(table, route, table)
    if got is REFUSED:
        return
    assert isinstance(got, pl.DataFrame)
    assert_polars_equal(got, table, check_exact=True)


@pytest.mark.parametrize("route", ROUTES)
@bounded
@given(array=number_arrays())
def test_arrays_of_numbers_arrive(sent: Callable[..., object], route: str, array: np.ndarray) -> None:
    got = sent(array, route, array)
    if got is REFUSED:
        return
    assert isinstance(got, np.ndarray)
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("route", ["v1", "v2"])
@bounded
@given(data=st.data())
def test_arrays_of_objects_arrive(sent: Callable[..., object], route: str, data: st.DataObject) -> None:
    cells = st.one_of(
        TEXTS, st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_infinity=False, allow_nan=False)
    )
    width = data.draw(st.integers(1, 3))
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=4))
    array = np.empty((len(rows), width), dtype=object)
    array[:] = rows
    got = sent(array, route, array)
    if got is REFUSED:
        return
    assert isinstance(got, np.ndarray)
    assert got.tolist() == array.tolist()
    assert [list(map(type, row)) for row in got.tolist()] == [list(map(type, row)) for row in array.tolist()]


@pytest.mark.parametrize("route", ["v1", "v2"])
@bounded
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_texts_arrive(sent: Callable[..., object], route: str, texts: list[str]) -> None:
    assert list(sent(texts, route, texts)) == texts  # type: ignore[call-overload]


_VALUES = st.one_of(TEXTS, st.integers(-(2**53), 2**53), st.booleans(), st.none())


@bounded
@given(
    rows=st.lists(
        st.dictionaries(TEXTS, st.one_of(_VALUES, st.lists(TEXTS, max_size=2)), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_objects_arrive(sent: Callable[..., object], rows: list[dict[str, object]]) -> None:
    got = sent(rows, "v1", rows)
    if got is REFUSED:
        return
    assert isinstance(got, pd.DataFrame) or got == rows


# --- Answers back -----------------------------------------------------------------------------------------------------


@st.composite
def results(draw: st.DrawFn) -> object:
    """What methods of models answer: arrays, of one dimension or two, sparse ones, frames and lists of arrays."""
    count = draw(st.integers(1, 3))
    shape = draw(st.sampled_from([(count,), (count, 1), (count, 2)]))
    kind = draw(st.sampled_from(["numbers", "texts", "objects", "sparse", "frame", "polars", "several"]))
    if kind == "texts":
        return np.array(draw(st.lists(TEXTS, min_size=count, max_size=count)))
    if kind == "objects":
        made = np.empty(count, dtype=object)
        cells = st.one_of(TEXTS, st.integers(-99, 99), st.floats(allow_nan=False, allow_infinity=False), st.none())
        made[:] = draw(st.lists(cells, min_size=count, max_size=count))
        return made
    dtype = draw(st.sampled_from(["int8", "int32", "int64", "uint8", "uint64", "float32", "float64", "bool"]))
    array = draw(arrays.arrays(dtype, shape))
    if kind == "sparse" and array.ndim == 2:
        from scipy.sparse import csr_matrix

        return csr_matrix(array)
    if kind in ("frame", "polars") and array.ndim == 2:
        named = {f"column {i}": array[:, i] for i in range(array.shape[1])}
        return pd.DataFrame(named) if kind == "frame" else pl.DataFrame(named)
    return [array, array] if kind == "several" else array


@pytest.mark.parametrize("route", ROUTES)
@settings(bounded, max_examples=80)
@given(result=results())
def test_answers_come_back(server: asked.Server, telling: str, route: str, result: object) -> None:
    count = _count(result[0] if isinstance(result, list) else result)
    got = asked.values(server.ask(telling, told(result, count), route))
    wanted = asked.plain(result)
    assert asked.same(wanted, got), f"{wanted} came back as {got}"
