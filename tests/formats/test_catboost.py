"""What is told of CatBoost's files and models without CatBoost."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_serve_ext.errors import UnsupportedModelError
from kale_serve_ext.estimators.catboost import class_of, own_names
from kale_serve_ext.formats import detect_path, find
from kale_serve_ext.formats.content import look


def test_a_file_is_known_by_its_first_bytes_and_a_truncated_one_by_its_length(tmp_path: Path) -> None:
    whole = b"CBM1" + (12).to_bytes(4, "little") + b"\x10" + bytes(11) + b"tables of categories"
    (tmp_path / "trees").write_bytes(whole)
    found = find(tmp_path / "trees")
    assert (found.format.name, found.name) == ("catboost", "model.cbm")
    (tmp_path / "half").write_bytes(whole[:15])
    assert look(tmp_path / "half").what == "a truncated CatBoost model"
    with pytest.raises(UnsupportedModelError, match="truncated CatBoost model"):
        detect_path(tmp_path / "half")


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"class_params": '{"class_names":["no","yes"]}', "params": "{}"}, "CatBoostClassifier"),
        ({"class_params": '{"class_names":[]}', "params": '{"loss_function":{"type":"YetiRank"}}'}, "CatBoostRanker"),
        ({"params": '{"loss_function":"QueryRMSE:top=3"}'}, "CatBoostRanker"),
        ({"params": '{"loss_function":{"type":"Poisson"}}'}, "CatBoostRegressor"),
        ({"params": "broken"}, "CatBoostRegressor"),
        ({}, "CatBoostRegressor"),
    ],
)
def test_the_class_that_was_fitted(metadata: dict[str, str], wanted: str) -> None:
    assert class_of(metadata) == wanted


def test_names_that_were_made_up_are_none() -> None:
    assert own_names(["0", "1", "2"]) == []
    assert own_names(["0", "city"]) == ["0", "city"]
