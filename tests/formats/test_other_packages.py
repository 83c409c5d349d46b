"""Formats that other packages bring: a distribution in a folder on the search path, and nothing changed here."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from kale_serve_ext import formats
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, Runtime
from kale_serve_ext.engines.cluster.runtimes import in_order
from kale_serve_ext.engines.local.launch import launches
from kale_serve_ext.engines.local.runtimes import runtimes
from kale_serve_ext.errors import UnsupportedModelError
from kale_serve_ext.ml import JSON
from kale_serve_ext.runner.files import load_object
from kale_serve_ext.serving.runtimes import Asked, misfit

SCALER = '''
"""A model that multiplies, its way of saving, and the format for kale-serve-ext."""

import json

from kale_serve_ext.formats.base import Content, Format, Server
from kale_serve_ext.ml import Signature


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, rows):
        import numpy

        return numpy.asarray(rows).sum(axis=1) * self.factor


class ScalerFormat(Format):
    name = "scaler"
    title = "Scaler"
    aliases = ("scale",)
    files = ((".scaler",),)
    kinds = {"lines": (".scaler",)}
    endings = (".scaler",)
    needs = (("scaler",),)
    runtimes = ("acme-scalerserver",)
    server = Server("acme-scalerserver", "Acme scaler server")

    def matches(self, obj):
        return isinstance(obj, Scaler)

    def recognise(self, path, head):
        return Content(self.name, "lines") if head.startswith(b"SCALER ") else None

    def save(self, obj, directory):
        (directory / "model.scaler").write_text("SCALER " + json.dumps(obj.factor))

    def load(self, path):
        return Scaler(json.loads(path.read_text().removeprefix("SCALER ")))

    def signature(self, obj):
        return Signature(["batch_size", 2], ["batch_size"], "float64", "float64", sample=[1.0, 2.0])


FORMAT = ScalerFormat()
'''
END_TO_END = """
import json, sys
import scaler
from kale_serve_ext import session, sync
from kale_serve_ext.artifacts import Model
from kale_serve_ext.notebook import serve

model = Model(scaler.Scaler(3.0), name="triple", record_rows=0)
model.submit_artifact()
record = sync.run(session.metadata().artifact(model.id))
endpoint = serve(model, name="triple", timeout=150)
try:
    answers = endpoint.predict([[1.0, 2.0], [0.5, 0.5]])["predictions"]
finally:
    endpoint.delete()
told = {"format": record.format, "packages": record.environment.packages, "answers": answers}
print(json.dumps({**told, "runtime": endpoint.plan.runtime}))
"""


def distribution(folder: Path, name: str, module: str, code: str) -> None:
    """A distribution as an installer leaves it: one module, and the entry point for its ``FORMAT``."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{name}-1.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.0\n")
    (info / "entry_points.txt").write_text(f"[kale_serve_ext.formats]\n{name} = {module}:FORMAT\n")
    (info / "top_level.txt").write_text(f"{module}\n")
    (info / "RECORD").write_text("")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder on the search path; what was imported from it is forgotten again."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def scaler(packages: Path) -> Path:
    distribution(packages, "scaler", "scaler", SCALER)
    return packages


def manifest(folder: Path) -> Manifest:
    model: dict[str, JSON] = {"modelFormat": {"name": "scaler"}, "storageUri": folder.as_uri()}
    return {"metadata": {"name": "triple"}, "spec": {"predictor": {"model": model}}}


def test_a_format_of_another_package_is_in_every_table(scaler: Path, tmp_path: Path) -> None:
    model = importlib.import_module("scaler").Scaler(2.0)
    format_ = formats.detect(model)
    assert (format_.name, formats.by_name("Scale"), formats.brought_by(format_)) == ("scaler", format_, "scaler")
    assert "scaler" in formats.names()

    folder = tmp_path / "snapshot"
    folder.mkdir()
    format_.save(model, folder)
    assert format_.check(folder) == []
    assert formats.detect_path(folder) is format_
    (folder / "model.scaler").rename(tmp_path / "what.ever")
    found = formats.find(tmp_path / "what.ever")
    assert (found.format, found.name) == (format_, "model.scaler")
    (tmp_path / "what.ever").rename(folder / "model.scaler")
    assert getattr(load_object(folder, "scaler"), "factor", None) == 2.0

    assert [r.name for r in runtimes(None, []) if "scaler" in r.formats] == ["acme-scalerserver"]
    [launch] = launches(manifest(folder))
    assert launch.kind == "scaler"
    assert [r.name for r in in_order([], [], "image") if "scaler" in r.formats] == ["kale-serve-ext"]
    other = Runtime("other", "Other", ("scaler",), ("v1",))
    assert misfit(other, "sklearn", Asked("v1")) == "is for Scaler models"


def test_it_is_logged_planned_and_served(settings: Settings, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))
    distribution(own, "scaler", "scaler", SCALER)
    # What the tests themselves run with; not its .pth files, which would bring their own package.
    roots = [str(Path(formats.__file__).parents[2]), *(p for p in sys.path if p.endswith("site-packages"))]
    (own / "tests.pth").write_text("\n".join(roots))

    told = subprocess.run(
        [python, "-c", END_TO_END], capture_output=True, text=True, timeout=170, check=False, env=os.environ
    )
    assert told.returncode == 0, told.stderr[-3000:]
    answer = json.loads(told.stdout.splitlines()[-1])
    assert (answer["format"], answer["answers"]) == ("scaler", [9.0, 3.0])
    assert answer["packages"]["scaler"] == "1.2.0"
    assert answer["runtime"] == "acme-scalerserver"


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("broken", "raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("odd", "FORMAT = 5", "it is of the type int"),
        (
            "twice",
            "from kale_serve_ext.formats.base import Format\nFORMAT = Format()\nFORMAT.name = FORMAT.title = 'xgb'",
            "there is a format 'xgb' already",
        ),
        ("slow", "import threading\nthreading.Event().wait(60)\nFORMAT = None", "longer than"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_left_out(
    packages: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    code: str,
    said: str,
) -> None:
    monkeypatch.setattr("kale_serve_ext.formats.registry._WITHIN", 0.5)
    distribution(packages, module, module, code)
    distribution(packages, "scaler", "scaler", SCALER)
    with caplog.at_level(logging.WARNING):
        assert "scaler" in formats.names()
    [line] = [record.getMessage() for record in caplog.records if module in record.getMessage()]
    assert said in line
    assert f"of {module} is left out" in line


def test_one_that_fails_when_it_is_asked_is_passed_over(
    packages: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    code = """
    from kale_serve_ext.formats.base import Format

    class Failing(Format):
        name = title = "failing"

        def matches(self, obj):
            raise KeyError("oh")

        recognise = matches_path = matches

    FORMAT = Failing()
    """
    distribution(packages, "failing", "failing", code)
    with pytest.raises(UnsupportedModelError, match="cannot be saved as a model"):
        formats.detect(object())
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(UnsupportedModelError, match="a text file"):
        formats.find(tmp_path / "notes.txt")
    assert "The model format failing of failing failed: KeyError('oh')" in caplog.text


def test_a_format_of_this_package_is_found_without_importing_others(scaler: Path) -> None:
    for name in ("sklearn", "XGB", "onnx"):
        assert formats.brought_by(formats.by_name(name)) == ""
    assert "scaler" not in sys.modules
    assert formats.by_name("scaler").title == "Scaler"


def test_entry_points_are_not_read_by_importing() -> None:
    code = "import sys, kale_serve_ext.artifacts; print('importlib.metadata' in sys.modules and "
    code += "__import__('kale_serve_ext.formats.registry', fromlist=['_loaded'])._loaded)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() in ("None", "False")
