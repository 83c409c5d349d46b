"""What folders of code define, told without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.source.folder import ModelClass, imports_of, model_classes, read_module, read_modules


def classes(folder: Path) -> list[str]:
    return sorted(f"{c.module_name}.{c.class_name}" for c in model_classes(read_modules(folder)))


@pytest.mark.parametrize(
    "code",
    [
        "import kserve\nclass A(kserve.Model): ...",
        "import kserve as ks\nclass A(ks.Model): ...",
        "from kserve import Model\nclass A(Model): ...",
        "from kserve import Model as M\nclass A(M): ...",
        "from kserve.model import Model\nclass A(Model): ...",
        "import kserve.model\nclass A(kserve.model.Model): ...",
        "from kserve import *\nclass A(Model): ...",
        "try:\n  from kserve import Model\nexcept ImportError:\n  Model = object\nclass A(Model): ...",
        "if True:\n  import kserve\n  class A(kserve.Model): ...",
        "import kserve\nclass B(kserve.Model): ...\nclass A(B): ...",
        "import kserve\nclass A(object, kserve.Model): ...",
    ],
)
def test_subclasses_are_recognised_however_kserve_is_imported(code: str, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(code)
    assert classes(tmp_path) == ["m.A"]


@pytest.mark.parametrize(
    "code",
    [
        "class A(Model): ...",
        "from other import Model\nclass A(Model): ...",
        "class A(A): ...",
        "class A(B): ...\nclass B(A): ...",
        "import kserve\ndef f():\n  class A(kserve.Model): ...",
        "",
    ],
)
def test_other_classes_are_not(code: str, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(code)
    assert classes(tmp_path) == []


@pytest.mark.parametrize("statement", ["from base import Base", "from .base import Base", "import base"])
def test_a_base_class_may_be_in_a_neighbouring_module(statement: str, tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("import kserve\nclass Base(kserve.Model): ...")
    name = "base.Base" if statement == "import base" else "Base"
    (tmp_path / "m.py").write_text(f"{statement}\nclass A({name}): ...")
    assert model_classes(read_modules(tmp_path)) == [ModelClass("m", "A")]


def test_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nimport kserve\nclass A(kserve.Model): ...")
    assert classes(tmp_path) == ["m.A"]
    assert not (tmp_path / "ran").exists()


def test_names_imports_and_protocol(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import torch\nfrom . import x\n")
    (tmp_path / "broken.py").write_text("(")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep.py").write_text("import yaml.nodes, json\n")
    (tmp_path / "m.py").write_text(
        'import os, numpy as np\nfrom helper import preprocess\nprotocol = "v1"\nprotocol: str = "v2"\n'
        "async def postprocess(x): ...\na, (b, c) = 1, (2, 3)\nif a:\n  d = 1\n"
    )
    module = read_module(tmp_path, "m")
    assert {"os", "np", "preprocess", "postprocess", "a", "b", "c", "d"} <= module.names
    assert module.protocol == "v2"
    assert imports_of(tmp_path) == {"numpy", "torch", "yaml"}


def test_dotted_modules_and_packages(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("x = 1")
    (tmp_path / "pack" / "inner.py").write_text("y = 1")
    assert "x" in read_module(tmp_path, "pack").names
    assert "y" in read_module(tmp_path, "pack.inner").names
    with pytest.raises(InvalidInputError, match=r"holds no module pack\.other"):
        read_module(tmp_path, "pack.other")


@pytest.mark.parametrize("name", ["", "../m", "..m", "/etc/x", "a b", "m.py/"])
def test_only_names_of_modules_are_followed(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not the name of a module"):
        read_module(tmp_path, name)


@pytest.mark.parametrize("content", [b"def", b"\xff\xfe\x00", b"x = (" * 100_000, b"#" * (5 << 20)])
def test_what_is_no_python_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"not Python|too large"):
        read_modules(tmp_path)
    assert read_modules(tmp_path, strict=False) == []
