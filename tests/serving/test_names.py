"""Names of services."""

from __future__ import annotations

import pytest

from kale_serve_ext.serving.names import MAX_LENGTH, check_name, service_name


@pytest.mark.parametrize("name", ["a", "iris", "iris-2", "a0", "a" * MAX_LENGTH])
def test_legal_names_pass(name: str) -> None:
    assert check_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Iris",
        "2iris",
        "-iris",
        "iris-",
        "iris_2",
        "iris.2",
        "iris 2",
        "írisz",
        "iris\n",
        "../x",
        "a" * 64,
        "x" * 10**6,
    ],
)
def test_illegal_names_are_told_shortly(name: str) -> None:
    check = check_name(name)

    assert check is not None
    assert (check.level, check.code, check.field) == ("error", "InvalidName", "name")
    assert check.hint
    assert len(check.message) < 300


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("iris", "iris"),
        ("LogisticRegression", "logistic-regression"),
        ("My model (v2)!", "my-model-v2"),
        ("XGBClassifier", "xgbclassifier"),
        ("2020 sales", "model-2020-sales"),
        ("模型", "model"),
        ("", "model"),
        ("--", "model"),
        ("x" * 200, "x" * MAX_LENGTH),
        ("a" * (MAX_LENGTH - 1) + "-bc", "a" * (MAX_LENGTH - 1)),
    ],
)
def test_a_models_name_becomes_a_legal_one(model: str, name: str) -> None:
    assert service_name(model) == name
    assert check_name(name) is None


def test_later_choices_stay_legal() -> None:
    assert service_name("iris", 2) == "iris-2"
    assert check_name(service_name("x" * 200, 12)) is None
