"""What the plan says of a model's recorded input."""

from __future__ import annotations

import pytest

from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.ml import Column, Signature
from kale_serve_ext.serving.inputs import check_input


@pytest.mark.parametrize(
    ("column", "code"),
    [
        (Column("a", "float64"), ""),
        (Column("a", "category", ("x", "y"), "object"), ""),
        (Column("a", "category", (), "object"), ""),
        (Column("a", "category"), "CategoriesUnknown"),
        (Column("a", "category", category_dtype="interval[int64, right]", values="other"), "InputNotCarried"),
        (Column("a", "interval[float64, right]"), "InputNotCarried"),
        (Column("a", "complex128"), "InputNotCarried"),
    ],
)
def test_a_column_that_no_request_carries_is_refused(column: Column, code: str) -> None:
    found = check_input(Artifact(MODEL, "ports", signature=Signature(columns=(column,)), format="sklearn"))
    assert [(c.code, c.level, c.field) for c in found] == ([(code, "error", "version")] if code else [])
    assert all("'a'" in c.message and c.hint for c in found)


def test_nothing_is_said_of_a_model_without_a_record() -> None:
    assert check_input(Artifact(MODEL, "ports", format="sklearn")) == []
