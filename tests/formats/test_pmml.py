"""PMML documents, told from others and read without a library of theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats import detect_path, find, pmmldocument
from kale_serve_ext.formats.pmml import FORMAT
from kale_serve_ext.formats.pmmldocument import InputField, Interval, misfits, read
from kale_serve_ext.formats.tensors import of_rows
from kale_serve_ext.ml import TensorSpec
from tests.pmml_models import OUTPUT, TREE

BOMB = """<?xml version="1.0"?>
<!DOCTYPE PMML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header copyright="&b;"/></PMML>
"""


def test_it_is_known_by_its_root_and_told_of_by_its_dictionary(tmp_path: Path) -> None:
    file = tmp_path / "model.xml"
    file.write_text(TREE)
    found = find(file)
    assert (found.format.name, found.name) == ("pmml", "model.pmml")
    signature = FORMAT.path_signature(file)
    assert signature is not None
    assert signature.inputs == (
        TensorSpec("age", "float64", [-1]),
        TensorSpec("city", "str", [-1]),
        TensorSpec("visits", "int64", [-1]),
    )
    assert signature.outputs == (
        TensorSpec("predicted_buys", "str", [-1]),
        TensorSpec("probability_yes", "float64", [-1]),
    )
    assert signature.sample == {"age": [150.0], "city": ["oslo"], "visits": [0]}
    assert FORMAT.path_details(file) == {"model": "TreeModel", "pmml_version": "4.4", "producer": "by hand 1"}


def test_outputs_that_it_does_not_name_are_not_known(tmp_path: Path) -> None:
    file = tmp_path / "model.pmml"
    file.write_text(TREE.replace(OUTPUT, ""))
    signature = FORMAT.path_signature(file)
    assert signature is not None
    assert signature.outputs == ()
    assert len(signature.inputs) == 3


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, "with a document type"),
        (TREE[: len(TREE) // 2], "is a truncated PMML model"),
        ("<?xml version='1.0'?><other/>", "is an XML file"),
        (
            '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/></PMML>',
            "is a PMML document without a model",
        ),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "model.pmml"
    file.write_text(text)
    with pytest.raises(UnsupportedModelError, match=what):
        detect_path(file)


def test_values_that_a_field_may_not_have_are_named(tmp_path: Path) -> None:
    (tmp_path / "m.pmml").write_text(TREE)
    age, city, visits = read(tmp_path / "m.pmml").inputs
    assert misfits(age, [1.0, 150.0, float("nan")]) == ""
    assert "Row 1: the field 'age' is 0.0" in misfits(age, [1.0, 0.0])
    assert "it may be 'oslo', 'rome'" in misfits(city, ["oslo", "paris"])
    assert misfits(city, [None, "rome"]) == ""
    assert misfits(visits, [-5]) == ""
    codes = InputField("code", "int64", frozenset({"1", "2"}))
    assert misfits(codes, [1, 2.0]) == ""
    assert misfits(codes, [3]) != ""
    assert not Interval("openOpen", 0, 1).holds(1)
    assert Interval("closedClosed", None, 1).holds(1)


def test_rows_may_be_lists_in_the_order_of_the_fields() -> None:
    specs = [TensorSpec("age", "float64", [-1]), TensorSpec("city", "str", [-1])]
    found = of_rows(specs, [[1, "oslo"], [2.5, "rome"]])
    assert found["age"].tolist() == [1.0, 2.5]
    assert found["city"].tolist() == ["oslo", "rome"]
    assert of_rows(specs, [])["age"].dtype == np.float64
    with pytest.raises(InvalidInputError, match="Instance 0 is not an object"):
        of_rows(specs, [[1]])
    with pytest.raises(InvalidInputError, match="Instance 0 is not an object"):
        of_rows([specs[0], TensorSpec("b", "float64", [-1, 2])], [[1, [2, 3]]])


def test_values_are_compared_as_numbers_of_the_fields_dtype() -> None:
    def as_sent(dtype: str, *values: float) -> list[object]:
        return list(np.array(values, dtype).tolist())

    assert misfits(InputField("a", "float64", frozenset({"1.0", "2"})), as_sent("float64", 1, 2)) == ""
    assert misfits(InputField("a", "float32", frozenset({"0.1"})), as_sent("float32", 0.1)) == ""
    assert misfits(InputField("a", "float64", frozenset({"0.1"})), [0.1000001]) != ""
    assert misfits(InputField("a", "int64", frozenset({"1.0", "9007199254740993"})), [1, 2**53 + 1]) == ""
    assert misfits(InputField("a", "int64", frozenset({"9007199254740993"})), [2**53]) != ""
    assert misfits(InputField("a", "bool", frozenset({"true"})), [True]) == ""
    assert misfits(InputField("a", "bool", frozenset({"true"})), [False]) != ""
    ends = (Interval("closedOpen", 0.1, 0.7),)
    assert misfits(InputField("a", "float32", intervals=ends), as_sent("float32", 0.1)) == ""
    assert misfits(InputField("a", "float32", intervals=ends), as_sent("float32", 0.7)) != ""


def test_values_that_are_no_numbers_break_nothing(tmp_path: Path) -> None:
    file = tmp_path / "model.pmml"
    values = '<Value value="none"/><Value value="7"/><Value value="1e999"/>'
    file.write_text(TREE.replace('dataType="integer"/>', f'dataType="integer">{values}</DataField>'))
    signature = FORMAT.path_signature(file)
    assert signature is not None
    assert isinstance(signature.sample, dict)
    assert signature.sample["visits"] == [7]


def test_a_document_is_parsed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.pmml"
    file.write_text(TREE)
    reads: list[Path] = []

    def counted(path: Path) -> pmmldocument.Document:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(pmmldocument, "read", counted)
    for _ in range(2):
        assert detect_path(file) is FORMAT
        assert FORMAT.path_signature(file)
        assert FORMAT.path_details(file)
    assert reads == [file]
    file.write_text(TREE.replace(OUTPUT, ""))
    assert FORMAT.path_signature(file)
    assert reads == [file, file]
