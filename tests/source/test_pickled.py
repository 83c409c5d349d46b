"""What a pickled object reaches travels with it: made in one process, loaded in another that has only the files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import scipy.stats
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier

from kale_serve_ext.source.pickled import parts_of

PACK = """
import sys
from pathlib import Path
from kale_serve_ext.source.pickled import pack as write
packed = write(obj, Path(OUT) / "obj.pkl", Path(OUT) / "code")
import json
print(json.dumps([list(packed.own), sorted(packed.modules), packed.needs_cloudpickle]))
"""
LOAD = """
import json, sys
from pathlib import Path
from kale_serve_ext.runner.own_code import use_code
use_code(Path("."))
import pickle
with open("obj.pkl", "rb") as file:
    function = pickle.load(file)
print(json.dumps(function(2)))
"""


_TRY = """
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.source.pickled import parts_of
try:
    print(parts_of(obj))
except InvalidInputError as error:
    print(error.message)
"""


@dataclass(frozen=True)
class Case:
    files: dict[str, str]
    """What lies beside the notebook."""
    made: str
    """The notebook: it binds ``obj``, which gives 6 for 2."""
    own: list[str] = field(default_factory=list)
    """The modules that travel."""
    cloudpickle: bool = False


TRIPLE = "def triple(v):\n    return v * 3\n"
STEPS = "from .maths import triple\n\nclass Step:\n    def __call__(self, v):\n        return triple(v)\n"
CASES = {
    "a function of a module": Case({"tools.py": TRIPLE}, "from tools import triple as obj", ["tools"]),
    "a method of an instance": Case(
        {"pack/__init__.py": "", "pack/maths.py": TRIPLE, "pack/steps.py": STEPS},
        "from pack.steps import Step; obj = Step().__call__",
        ["pack", "pack.maths", "pack.steps"],
    ),
    "an import in a body": Case(
        {"inner.py": TRIPLE, "outer.py": "def f(v):\n    from inner import triple\n    return triple(v)\n"},
        "from outer import f as obj",
        ["inner", "outer"],
    ),
    "an import by a text": Case(
        {"inner.py": TRIPLE, "outer.py": "import importlib\nf = importlib.import_module('inner').triple\n"},
        "import outer\nclass C:\n    def __call__(self, v):\n        return outer.f(v)\nobj = C()",
        ["inner", "outer"],
        True,
    ),
    "an import in a body of the notebook": Case(
        {"inner.py": TRIPLE}, "def obj(v):\n    import inner\n    return inner.triple(v)", ["inner"], True
    ),
    "a subpackage without data": Case(
        {"pack/__init__.py": "from . import sub\n", "pack/sub/__init__.py": "from ..maths import *\n"}
        | {"pack/maths.py": f"__all__ = ['triple']\n{TRIPLE}"},
        "import pack\ndef obj(v): return pack.sub.triple(v)",
        ["pack", "pack.maths", "pack.sub"],
        True,
    ),
    "what a star brings": Case(
        {
            "pack/__init__.py": "__all__ = ['maths']\n",
            "pack/maths.py": TRIPLE,
            "use.py": "from pack import *\ndef f(v): return maths.triple(v)\n",
        },
        "from use import f as obj",
        ["pack", "pack.maths", "use"],
    ),
    "a lambda": Case({"tools.py": TRIPLE}, "from tools import triple\nobj = lambda v: triple(v)", ["tools"], True),
    "a closure": Case(
        {"tools.py": TRIPLE},
        "import tools\ndef make(f):\n    return lambda v: f(v)\nobj = make(tools.triple)",
        ["tools"],
        True,
    ),
    "a lambda of a module": Case(
        {"tools.py": "triple = lambda v: v * 3\n"}, "from tools import triple as obj", [], True
    ),
    "a class of the notebook with a base beside it": Case(
        {"bases.py": "class Base:\n    factor = 3\n"},
        "from bases import Base\nclass C(Base):\n    def __call__(self, v): return v * self.factor\nobj = C()",
        ["bases"],
        True,
    ),
    "a module that was reloaded": Case(
        {"tools.py": TRIPLE},
        "import importlib, tools\nobj = tools.triple\nimportlib.reload(tools)",
        [],
        True,
    ),
    "a namespace package": Case(
        {"space/maths.py": TRIPLE, "space/use.py": "from .maths import triple\ndef f(v): return triple(v)\n"},
        "from space.use import f as obj",
        ["space.maths", "space.use"],
    ),
    "modules that import each other": Case(
        {
            "one.py": f"import two\n{TRIPLE}\ndef f(v): return two.g(v)\n",
            "two.py": "import one\ndef g(v): return one.triple(v)\n",
        },
        "from one import f as obj",
        ["one", "two"],
    ),
    "the name of a library": Case({"yaml.py": TRIPLE}, "from yaml import triple as obj", ["yaml"]),
    "the name of a module of Python": Case(
        {"this.py": TRIPLE, "use.py": "import this\ndef f(v): return this.triple(v)\n"},
        "from use import f as obj",
        ["this", "use"],
    ),
    "a module made by a program": Case(
        {},
        "import sys, types\nmade = types.ModuleType('made')\nsys.modules['made'] = made\n"
        "exec('def triple(v): return v * 3', made.__dict__)\nobj = made.triple",
        [],
        True,
    ),
    "what exec has made": Case({}, "space = {}\nexec('def f(v): return v * 3', space)\nobj = space['f']", [], True),
    "an import that may fail": Case(
        {"tools.py": f"try:\n    import surely_not_there\nexcept ImportError:\n    pass\n{TRIPLE}"},
        "from tools import triple as obj",
        ["tools"],
    ),
    "tables beside a module": Case(
        {"pack/__init__.py": "", "pack/data/one.json": "1", "pack/two.json": "2", "pack/secret.json": "0"}
        | {
            "pack/use.py": "import json, os.path\nfrom pathlib import Path\n"
            "ONE = json.loads((Path(__file__).parent / 'data' / 'one.json').read_text())\n"
            "TWO = json.load(open(os.path.join(os.path.dirname(__file__), 'two.json')))\n"
            "def f(v): return v * (ONE + TWO)\n"
        },
        "from pack.use import f as obj",
        ["pack", "pack.use"],
    ),
    "what runs only in a program": Case(
        {"tools.py": f"{TRIPLE}\nif __name__ == '__main__':\n    import training\n", "training.py": "("},
        "from tools import triple as obj",
        ["tools"],
    ),
    "only what has a name": Case({}, "import operator, functools\nobj = functools.partial(operator.mul, 3)"),
}


def python(code: str, folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().rpartition("\n")[2]


def lay(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("script", [False, True], ids=["command", "script"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_loads_where_nothing_else_is(case: Case, script: bool, tmp_path: Path) -> None:
    beside, out = tmp_path / "beside", tmp_path / "out"
    lay(beside, case.files)
    beside.mkdir(exist_ok=True)
    out.mkdir()
    notebook = f"{case.made}\nOUT = {str(out)!r}\n{PACK}"
    if script:
        (beside / "notebook.py").write_text(notebook)
        notebook = "import runpy; runpy.run_path('notebook.py', run_name='__main__')"
    own, _, cloudpickle = json.loads(python(notebook, beside))
    assert (own, cloudpickle) == (case.own, case.cloudpickle)
    assert (out / "code").exists() == bool(case.own)
    assert json.loads(python(LOAD, out)) == 6
    assert not list(out.rglob("__pycache__"))
    assert not list(out.rglob("secret.json"))


@pytest.mark.parametrize(
    ("files", "made", "words"),
    [
        (
            {"tools.py": TRIPLE},
            "import pathlib, tools\npathlib.Path('tools.py').write_text('def triple(v):\\n    return v * 4\\n')\n"
            "obj = tools.triple",
            "triple differs",
        ),
        (
            {"tools.py": "FACTOR = 3\ndef triple(v):\n    return v * FACTOR\n"},
            "import tools\ntools.FACTOR = 4\nobj = tools.triple",
            "FACTOR differs",
        ),
        (
            {"config.py": "DEBUG = False\n", "tools.py": "import config\ndef f(v):\n    return config.DEBUG\n"},
            "import config, tools\nconfig.DEBUG = True\nobj = tools.f",
            "DEBUG differs",
        ),
        (
            {"config.py": f"LIMIT = 3\n{TRIPLE}"},
            "import config\nconfig.LIMIT = 4\nobj = lambda v: config.triple(v) * config.LIMIT",
            "LIMIT differs",
        ),
        (
            {"tools.py": "class A:\n    def triple(self, v):\n        return v * 3\n"},
            "import pathlib, tools\npathlib.Path('tools.py').write_text('class A:\\n    pass\\n')\nobj = tools.A()",
            "A.triple differs",
        ),
        (
            {"tools.py": TRIPLE},
            "import pathlib, tools\npathlib.Path('tools.py').write_text('(')\nobj = tools.triple",
            "not Python",
        ),
        (
            {"tools.py": "import beside\ndef f(v):\n    return v\n", "beside.so": ""},
            "import sys, types\nbeside = types.ModuleType('beside')\nbeside.__file__ = 'beside.so'\n"
            "sys.modules['beside'] = beside\nfrom tools import f as obj",
            "beside.so is compiled",
        ),
        (
            {"tools.py": "import made\ndef f(v):\n    return v\n"},
            "import sys, types\nsys.modules['made'] = types.ModuleType('made')\nfrom tools import f as obj",
            "made cannot be included: it has no source file",
        ),
        ({"tools.py": f"TEXT = '{'x' * (4 << 20)}'\n{TRIPLE}"}, "from tools import triple as obj", "larger than 4 MiB"),
    ],
)
def test_what_would_answer_otherwise_or_cannot_travel_is_refused(
    files: dict[str, str], made: str, words: str, tmp_path: Path
) -> None:
    lay(tmp_path, files)
    notebook = f"{made}\n{_TRY}"
    assert words in python(notebook, tmp_path)


@pytest.mark.parametrize(
    ("files", "made"),
    [
        (
            {"tools.py": TRIPLE},
            "import pathlib, tools\ntext = pathlib.Path('tools.py').read_text()\n"
            "pathlib.Path('tools.py').write_text('# a remark\\n\\n' + text)\nobj = tools.triple",
        ),
        (
            {"tools.py": f"COUNT = 0\ndef f(v):\n    global COUNT\n    COUNT += 1\n    return v\n{TRIPLE}"},
            "from tools import f as obj\nobj(1)",
        ),
        (
            {"tools.py": f"x = None\ndef x(): pass\ny = 0\nfor y in (1, 2): pass\n{TRIPLE}"},
            "from tools import triple as obj",
        ),
        (
            {"tools.py": f"import functools\ntriple = functools.lru_cache(lambda v: v * 3)\nKNOWN = {{}}\n{TRIPLE}"},
            "import tools\ntools.KNOWN[1] = 2\nobj = tools.triple",
        ),
        (
            {"tools.py": f"connection = None\nVERBOSE = False\nTRIES = 1\n{TRIPLE}"},
            "import tools\ntools.connection = object()\ntools.VERBOSE = True\ntools.TRIES = 2\nobj = tools.triple",
        ),
        (
            {"tools.py": TRIPLE},
            "import pathlib, tools\ntext = pathlib.Path('tools.py').read_text()\n"
            "pathlib.Path('tools.py').write_text(text.replace('return', '\"Three times.\"\\n    return'))\n"
            "obj = tools.triple",
        ),
    ],
)
def test_what_makes_no_difference_is_none(files: dict[str, str], made: str, tmp_path: Path) -> None:
    lay(tmp_path, files)
    assert python(f"{made}\nfrom kale_serve_ext.source.pickled import parts_of\nprint(parts_of(obj).own)", tmp_path)


def test_estimators_of_compiled_code_are_nobody_s_own() -> None:
    rows, labels = load_iris(return_X_y=True)
    rows, labels = rows[::5], labels[::5]
    search = RandomizedSearchCV(LogisticRegression(), {"C": scipy.stats.uniform(0.1, 1)}, n_iter=2, cv=2)
    for estimator in (
        HistGradientBoostingClassifier(max_iter=2),
        KNeighborsClassifier(),
        GaussianProcessRegressor(),
        GradientBoostingRegressor(n_estimators=2),
        search,
    ):
        parts = parts_of(estimator.fit(rows, labels))
        assert (parts.needs_cloudpickle, parts.own, parts.by_value) == (False, (), frozenset()), estimator
        assert not any(name.startswith("_cython") for name in parts.modules)


def test_a_large_file_beside_a_module_stays_behind_and_is_told(tmp_path: Path) -> None:
    read = "from pathlib import Path\ndef f(v):\n    return Path(__file__).with_name('train.csv').read_text()\n"
    lay(tmp_path, {"tools.py": read, "train.csv": "x" * (5 << 20)})
    code = "import warnings\nfrom kale_serve_ext.source.own import gather\n"
    code += "from kale_serve_ext.source.statements import Import\n"
    code += "with warnings.catch_warnings(record=True) as told:\n    data = gather([Import('tools')]).data\n"
    said = python(f"{code}print(len(data), *[one.message for one in told])", tmp_path)
    assert said.startswith(f"0 {tmp_path / 'train.csv'} (5 MiB) is not included")
