"""What a folder of code imports from elsewhere, told from its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_serve_ext.source.needs import Needs, needs_of


@pytest.mark.parametrize(
    ("files", "certain", "possible"),
    [
        ({"transformer.py": "import numpy as np, os.path\nfrom a.b import c"}, {"a", "numpy", "os"}, set()),
        ({"transformer.py": "def f():\n    import late"}, set(), {"late"}),
        ({"transformer.py": "try:\n    import fast\nexcept ImportError:\n    import slow"}, set(), {"fast", "slow"}),
        ({"transformer.py": "try:\n    import fast\nexcept KeyError:\n    pass"}, {"fast"}, set()),
        ({"transformer.py": "try:\n    import fast\nfinally:\n    import last"}, {"fast", "last"}, set()),
        ({"transformer.py": "import sys\nif sys.version_info < (3, 11):\n    import old"}, {"sys"}, {"old"}),
        ({"transformer.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import t"}, {"typing"}, set()),
        ({"transformer.py": "class C:\n    import inside"}, {"inside"}, set()),
        ({"transformer.py": "import late\ndef f():\n    import late"}, {"late"}, set()),
        ({"transformer.py": "import importlib\nm = importlib.import_module('named')"}, {"importlib"}, {"named"}),
        ({"transformer.py": "import helpers", "helpers.py": "import deep"}, {"deep"}, set()),
        ({"transformer.py": "from . import helpers", "helpers.py": "import deep"}, {"deep"}, set()),
        ({"transformer.py": "from .helpers import x", "helpers.py": "import deep"}, {"deep"}, set()),
        (
            {
                "transformer.py": "from .pack.inner import x",
                "pack/__init__.py": "import one",
                "pack/inner.py": "import two",
            },
            {"one", "two"},
            set(),
        ),
        (
            {"transformer.py": "import pack.inner", "pack/__init__.py": "", "pack/inner.py": "from ..other import x"},
            set(),
            set(),
        ),
        ({"transformer.py": "def f():\n    import helpers", "helpers.py": "import deep"}, set(), {"deep"}),
        (
            {"transformer.py": "def f():\n    import helpers\nimport helpers", "helpers.py": "import deep"},
            {"deep"},
            set(),
        ),
        ({"transformer.py": "import tools", "code/tools.py": "import deep"}, {"deep"}, set()),
        ({"transformer.py": "", "train.py": "import heavy", "test_x.py": "import pytest"}, set(), set()),
        ({"transformer.py": "import one", "one.py": "import two", "two.py": "import one, far"}, {"far"}, set()),
        ({"transformer.py": "import broken", "broken.py": "("}, set(), set()),
    ],
)
def test_needs(files: dict[str, str], certain: set[str], possible: set[str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert needs_of(tmp_path, "transformer") == Needs(frozenset(certain), frozenset(possible))


def test_another_module_may_be_the_one_that_is_served(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("from .beside import x\nimport far")
    (tmp_path / "pack" / "beside.py").write_text("import deep")
    assert needs_of(tmp_path, "pack.inner") == Needs(frozenset({"deep", "far"}))
