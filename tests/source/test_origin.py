"""Whose a module is: told by where it lies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, site, sys
site.addsitedir("site")
import os.path, types
import kale.serve, numpy
sys.modules["target_lib.moved"] = types.ModuleType("target_lib.moved")
sys.modules["made_here"] = types.ModuleType("made_here")
import target_lib
sys.path.insert(0, "beside")
from kale_serve_ext.source.installed import distributions_of_modules
from kale_serve_ext.source.origin import is_own
own = {name: is_own(name) for name in NAMES}
print(json.dumps([own, distributions_of_modules().get("made"), "yaml" in sys.modules]))
"""
OWN = ["helper", "yaml", "notes", "space.part", "made_here", "__main__"]
THEIRS = ["made", "flat_project", "target_lib", "target_lib.moved", "json", "sys", "os.path", "numpy", "numpy.linalg"]
THEIRS += ["kale_serve_ext", "kale", "kale.serve", "kale.common", "not_there"]


def test_a_module_is_of_a_distribution_where_it_lies_in_one(tmp_path: Path) -> None:
    files = {
        # A project in editable mode with its packages in a folder of their own.
        "site/made-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: Made.Project\nVersion: 1\n",
        "site/made-1.dist-info/RECORD": "made.pth,,\n",
        "site/made-1.dist-info/direct_url.json": json.dumps(
            {"url": (tmp_path / "project").as_uri(), "dir_info": {"editable": True}}
        ),
        "site/made.pth": f"{tmp_path / 'project' / 'src'}\n",
        "project/src/made/__init__.py": "",
        # One with its package at the top, beside notebooks and their helpers.
        "site/flat_project-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: flat-project\nVersion: 1\n",
        "site/flat_project-1.dist-info/RECORD": "flat.pth,,\n",
        "site/flat_project-1.dist-info/direct_url.json": json.dumps(
            {"url": (tmp_path / "flat").as_uri(), "dir_info": {"editable": True}}
        ),
        "site/flat.pth": f"{tmp_path / 'flat'}\n",
        "flat/flat_project/__init__.py": "",
        "flat/notes.py": "",
        # pip install --target
        "site/target_lib-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: target-lib\nVersion: 1\n",
        "site/target_lib-1.dist-info/RECORD": "target_lib.py,,\n",
        "site/target_lib.py": "",
        # Beside the notebook: one has the name of a library, one is a package without __init__.py.
        "beside/helper.py": "",
        "beside/yaml.py": "",
        "beside/space/part.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ran = subprocess.run(
        [sys.executable, "-c", f"NAMES = {OWN + THEIRS}\n{_PROGRAM}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    own, brought_by, imported = json.loads(ran.stdout)
    assert own == {**dict.fromkeys(OWN, True), **dict.fromkeys(THEIRS, False)}
    assert brought_by == ["Made.Project"]
    assert not imported
