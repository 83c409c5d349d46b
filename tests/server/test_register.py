"""Registering reaches what the file browser shows, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.server.register import confined


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with files, and things beside it that are nobody's business."""
    root = tmp_path / "root"
    (root / "models" / "sub").mkdir(parents=True)
    (root / "models" / "iris.joblib").write_text("model")
    (root / "ümlaut 100%.bin").write_text("model")
    (tmp_path / "root-secrets").mkdir()
    (tmp_path / "root-secrets" / "key").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    (root / "inside").symlink_to(root / "models" / "iris.joblib")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "outside-folder").symlink_to(tmp_path / "root-secrets")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("models/iris.joblib", "models/iris.joblib"),
        ("/models/iris.joblib", "models/iris.joblib"),
        ("models/", "models"),
        ("models//iris.joblib", "models/iris.joblib"),
        ("inside", "models/iris.joblib"),
        ("ümlaut 100%.bin", "ümlaut 100%.bin"),
    ],
)
def test_what_is_under_the_root_is_found(path: str, found: str, tree: Path) -> None:
    assert confined(str(tree), path) == (tree / found).resolve()


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "models/../../secret",
        "models/../models/iris.joblib",
        "..",
        ".",
        "/",
        "outside",
        "outside-folder/key",
        "../root-secrets/key",
        "loop",
        "missing",
        "models/iris.joblib/x",
        "models/%2e%2e/%2e%2e/secret",
        "~",
        "a\0b",
        "x" * 5000,
        "\udcff",
    ],
)
def test_what_is_not_is_not_found(path: str, tree: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        confined(str(tree), path)
    assert error.value.field == "path"
    assert str(tree) not in error.value.message


def test_an_absolute_path_is_read_below_the_root(tree: Path) -> None:
    with pytest.raises(NotFoundError):
        confined(str(tree), str(tree / "models" / "iris.joblib"))


def test_the_root_itself_may_be_a_link(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert confined(str(link), "models/iris.joblib") == (tree / "models" / "iris.joblib").resolve()


def test_a_backslash_is_a_character_like_others(tree: Path) -> None:
    with pytest.raises(NotFoundError):
        confined(str(tree), "..\\secret")
