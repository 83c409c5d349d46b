"""The names under ``kale`` are there under every supported Python, and take nothing from anybody."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

FAILS = """
import importlib
try:
    {statement}
except ModuleNotFoundError as error:
    print(error.name)
else:
    raise SystemExit("imported")
"""


def test_our_names_are_our_modules(run_bare: Callable[[str], str]) -> None:
    out = run_bare(
        "from kale.ml import Signature\nimport kale_serve_ext.ml\nprint(Signature is kale_serve_ext.ml.Signature)"
    )

    assert out == "True\n"


def test_a_parent_package_comes_along_with_its_child(run_bare: Callable[[str], str]) -> None:
    out = run_bare("import kale.ml, kale.common\nprint(kale.ml.__name__, kale.common.__name__)")

    assert out == "kale_serve_ext.ml kale.common\n"


def test_without_kubeflow_kale_a_bare_import_of_kale_fails(run_bare: Callable[[str], str]) -> None:
    assert run_bare(FAILS.format(statement="import kale")) == "kale\n"


def test_without_kubeflow_kale_its_own_modules_fail(run_bare: Callable[[str], str]) -> None:
    assert run_bare(FAILS.format(statement="from kale.rpc.run import run")) == "kale\n"


def test_classes_pickle_across_both_names(run_bare: Callable[[str], str]) -> None:
    program = """
import pickle
from kale.ml import Signature
made = pickle.dumps(Signature(input_size=["batch_size", 4]))
import kale_serve_ext.ml
print(pickle.loads(made) == kale_serve_ext.ml.Signature(input_size=["batch_size", 4]), b"kale.ml" in made)
"""
    assert run_bare(program) == "True False\n"


def test_the_hook_stands_last_and_once(run_bare: Callable[[str], str]) -> None:
    program = """
import sys, kale_serve_ext_hook, kale_serve_ext
kale_serve_ext_hook.install()
print([getattr(f, "__name__", "") for f in sys.meta_path].index("KaleFinder") == len(sys.meta_path) - 1)
print([getattr(f, "__name__", "") for f in sys.meta_path].count("KaleFinder"))
"""
    assert run_bare(program) == "True\n1\n"


def test_starting_python_loads_nothing_but_the_hook(run_bare: Callable[[str], str]) -> None:
    out = run_bare("import sys\nprint(sorted(m for m in sys.modules if 'kale' in m))")

    assert out == "['kale_serve_ext_hook']\n"


def test_whoever_ships_the_name_keeps_it(run_bare: Callable[[str], str], tmp_path: Path) -> None:
    for name, text in {"kale/__init__.py": "", "kale/serve.py": "theirs = True\n", "kale/rpc.py": ""}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    out = run_bare(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "import kale.serve, kale.rpc, kale.ml\nprint(kale.serve.theirs, kale.ml.__name__)"
    )

    assert out == "True kale_serve_ext.ml\n"


def test_beside_kubeflow_kale_everything_of_its_own_still_imports(run_kubeflow: Callable[[str], str]) -> None:
    out = run_kubeflow(
        "import kale\nfrom kale import Compiler\nfrom kale.rpc.run import run\nfrom kale.common import kfutils\n"
        "from kale.ml import Signature\nimport kale_serve_ext\n"
        "print(kale.__file__ is not None, Signature is kale_serve_ext.Signature)",
    )

    assert out.splitlines()[-1] == "True True"


def test_the_product_and_kubeflow_kale_agree_on_their_dependencies(kubeflow_environment: Path) -> None:
    command = [str(kubeflow_environment / "python"), "-m", "pip", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "No broken requirements found.\n")
