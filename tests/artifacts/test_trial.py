"""An artifact with people's code is tried in a clean process before it is recorded."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from kale_serve_ext import Model, Transformer, session
from kale_serve_ext.artifacts.trial import is_certain, is_required
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.local.opening import Opened
from kale_serve_ext.entities import Artifact
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.sync import run

FUNCTION = "def preprocess(inputs):\n    return inputs\n"
CLASS = "import kserve\nclass Mine(kserve.Model):\n    def load(self):\n        raise RuntimeError('only there')\n"


@pytest.fixture(autouse=True)
def backends(settings: Settings) -> Iterator[Settings]:
    yield settings
    run(session.close())


def nothing_is_kept(settings: Settings) -> bool:
    return not [p for p in Path(settings.data_dir).rglob("sha256/*") if p.is_dir()]


def folder(tmp_path: Path, files: dict[str, str]) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    for name, text in files.items():
        (made / name).write_text(text)
    return made


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"transformer.py": f"import surely_not_there\n{FUNCTION}"}, "module surely_not_there"),
        ({"transformer.py": f"from helpers import gone\n{FUNCTION}", "helpers.py": ""}, "cannot import name 'gone'"),
        ({"transformer.py": f"import helpers\n{FUNCTION}", "helpers.py": "("}, "SyntaxError"),
        ({"transformer.py": f"x = undefined\n{FUNCTION}"}, "name 'undefined' is not defined"),
    ],
)
def test_code_that_loads_nowhere_is_refused(
    files: dict[str, str], words: str, tmp_path: Path, backends: Settings
) -> None:
    transformer = Transformer(name="t", transformer_dir=folder(tmp_path, files))
    with pytest.raises(InvalidInputError, match=words) as caught:
        transformer.submit_artifact()
    assert sys.executable in caught.value.message
    assert transformer.id is None
    assert nothing_is_kept(backends)


@pytest.mark.parametrize(
    "files",
    [
        {"transformer.py": f"import os\nKEY = os.environ['ONLY_WHERE_IT_IS_SERVED']\n{FUNCTION}"},
        {"transformer.py": f"TABLE = open('/surely/not/there').read()\n{FUNCTION}"},
        {"transformer.py": f"import os\nPARTS = os.environ.get('ONLY_THERE').split()\n{FUNCTION}"},
        {"transformer.py": f"import surely_not_there\n{FUNCTION}", "requirements.txt": "surely-not-there>=2\n"},
    ],
)
def test_what_may_be_there_where_it_is_served_is_a_warning(files: dict[str, str], tmp_path: Path) -> None:
    transformer = Transformer(name="t", transformer_dir=folder(tmp_path, files))
    with pytest.warns(UserWarning, match="t did not load in a separate process"):
        transformer.submit_artifact()
    assert transformer.id


def test_a_custom_model_is_imported_and_not_loaded(tmp_path: Path) -> None:
    made = folder(tmp_path, {"model.py": CLASS})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert Model(artifact_uri=made, model_type="custom", name="m").submit_artifact().id
    (made / "model.py").write_text(f"import surely_not_there\n{CLASS}")
    with pytest.raises(InvalidInputError, match="module surely_not_there"):
        Model(artifact_uri=made, model_type="custom", name="m", version="2").submit_artifact()


_NOTEBOOK = """
import sys
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from kale_serve_ext import Model, Transformer, session
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.sync import run
import lost, tools

model = make_pipeline(FunctionTransformer(tools.triple), FunctionTransformer(lambda x: x), LinearRegression())
model.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
made = Model(model, name="m").submit_artifact()
print(run(session.metadata().artifact(made.id)).details["own_code"])
before = lambda inputs: {"instances": tools.triple(inputs["instances"])}
print(bool(Transformer(name="before", preprocess=before).submit_artifact().id))
hidden = make_pipeline(FunctionTransformer(lost.hidden), LinearRegression()).fit([[1.0], [2.0]], [1.0, 2.0])
try:
    Model(hidden, name="h").submit_artifact()
except InvalidInputError as error:
    print(error.message.partition(":")[2].strip())
run(session.close())
"""


def test_a_notebook_s_own_modules_are_tried_too(tmp_path: Path, backends: Settings) -> None:
    (tmp_path / "tools.py").write_text("def triple(v):\n    return v\n")
    (tmp_path / "further.py").write_text("")
    (tmp_path / "lost.py").write_text("__import__('fur' + 'ther')\ndef hidden(v):\n    return v\n")
    (tmp_path / "notebook.py").write_text(_NOTEBOOK)
    ran = subprocess.run([sys.executable, "notebook.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()[-3:]
    assert said == ["['tools']", "True", "It needs the module further, which is not installed."]


@pytest.mark.parametrize(
    ("opened", "certain"),
    [
        (Opened(False, "It needs the module x, which is not installed.", missing="x"), True),
        (Opened(False, "AttributeError: Can't get attribute 'f' on <module 'tools'>"), True),
        (Opened(False, "AttributeError: 'NoneType' object has no attribute 'split'"), False),
        (Opened(False, "TypeError: X in /folder is not a subclass of kserve.Model."), True),
        (Opened(False, "TypeError: int() argument must be a string"), False),
        (Opened(False, "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"), False),
        (Opened(False, "ImportError: DLL load failed while importing _core: not found."), False),
        (Opened(False, "ImportError: cannot import name 'gone' from 'helpers'"), True),
        (Opened(False, "KeyError: 'TOKEN'"), False),
        (Opened(False, "FileNotFoundError: [Errno 2] No such file"), False),
        (Opened(False, "Opening it took longer than 60 s.", limit="time"), False),
        (Opened(False, "The process was killed."), False),
    ],
)
def test_which_failures_are_certain(opened: Opened, certain: bool) -> None:
    assert is_certain(opened) is certain


@pytest.mark.parametrize(
    ("module", "line", "required"),
    [
        ("cv2", "opencv-python==4.9", True),
        ("cv2.dnn", "opencv-contrib-python-headless", True),
        ("PIL", "Pillow>=10", True),
        ("yaml", "pyyaml", True),
        ("skimage.io", "scikit_image", True),
        ("bs4", "beautifulsoup4[lxml]", True),
        ("surely_not_there.part", "surely-not-there~=2.0", True),
        ("cv2", "opencv", False),
        ("", "opencv-python", False),
    ],
)
def test_requirements_name_distributions(module: str, line: str, required: bool, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    assert is_required(tmp_path, module) is required


def test_models_without_code_are_not_tried() -> None:
    from kale_serve_ext.artifacts.trial import needs_trial

    assert not needs_trial(Artifact("kale.Model", "m", format="sklearn"), ("scikit-learn",))
