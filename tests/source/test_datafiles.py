"""Which files beside a module go along with it: those that it reads by way of its own place, and no secrets."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from kale_serve_ext.source.datafiles import data_files
from kale_serve_ext.source.statements import as_imported

FILES = ("codes.json", "data/codes.json", "tools.json", ".env", ".aws/credentials", "tls.pem", "tls.key", "id_rsa")
PATHS = "from pathlib import Path\nimport os.path\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*FILES, "tools.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def found(text: str, folder: Path) -> list[str]:
    return [str(place) for place, _ in data_files(as_imported(ast.parse(text)), folder / "tools.py")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Path(__file__).with_name('codes.json').read_text()", ["codes.json"]),
        ("Path(__file__).resolve().parent / 'data' / 'codes.json'", ["data/codes.json"]),
        ("Path(__file__).parents[0].joinpath('data', 'codes.json')", ["data/codes.json"]),
        ("Path(__file__).with_suffix('.json')", ["tools.json"]),
        ("open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'codes.json'), 'r')", ["codes.json"]),
        ("open(os.path.dirname(__file__) + '/data/codes.json')", ["data/codes.json"]),
        ("HERE = Path(__file__).parent\nDATA = HERE / 'data'\nopen(DATA / 'codes.json')", ["data/codes.json"]),
        ("HERE = os.path.dirname(__file__)\nopen(f'{HERE}/codes.json')", ["codes.json"]),
        ("HERE = Path(__file__).parent\nread(HERE, 'codes.json')", ["codes.json"]),
        ("class A:\n  def f(s):\n    s.at = Path(__file__).parent\n    open(s.at / 'codes.json')", ["codes.json"]),
        ("from importlib import resources\nresources.files(__package__) / 'data' / 'codes.json'", ["data/codes.json"]),
        ("from importlib.resources import files\nfiles('p').joinpath('codes.json')", ["codes.json"]),
        ("import importlib.resources\nimportlib.resources.read_text('p', 'codes.json')", ["codes.json"]),
        ("import pkgutil\npkgutil.get_data(__name__, 'data/codes.json')", ["data/codes.json"]),
    ],
)
def test_what_is_read_from_beside_the_module_goes_along(text: str, names: list[str], folder: Path) -> None:
    assert found(PATHS + text, folder) == names


@pytest.mark.parametrize(
    "text",
    [
        "open('codes.json')",
        "HERE = Path(__file__).parent\nopen('codes.json')",
        "read(open(Path(__file__).parent / 'gone.json'), 'codes.json')",
        "Path('data') / 'codes.json'",
        "Path(__file__).parent.parent.parent / 'codes.json'",
        "Path(__file__).parent / '..' / 'codes.json'",
        "Path(__file__).parent / name / 'codes.json'",
        "NAMES = ['codes.json']\nprint(__file__)",
        "Path(__file__).with_name('tools.py')",
        "if __name__ == '__main__':\n    open(Path(__file__).parent / 'codes.json')",
        *(f"open(Path(__file__).parent / {name!r})" for name in FILES[3:]),
    ],
)
def test_nothing_else_does(text: str, folder: Path) -> None:
    assert found(PATHS + text, folder) == []


def test_a_sum_of_thousands_of_texts_is_no_obstacle(folder: Path) -> None:
    assert found(f"{PATHS}x = {' + '.join(['y'] * 1500)}", folder) == []
