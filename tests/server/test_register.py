"""Registering reaches what the file browser shows, and nothing else; what is refused is told by its name."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import joblib
import pandas as pd
import pytest
from jupyter_server.serverapp import ServerApp
from sklearn.linear_model import LogisticRegression
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.server.register import confined

Fetch = Callable[..., Awaitable[HTTPResponse]]


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


def test_the_way_out_of_a_link_that_leads_out_leads_out(tree: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        confined(str(tree), "outside-folder")
    assert "artifact_uri=" in error.value.hint


def test_a_hidden_file_is_found_where_jupyter_shows_it(tree: Path) -> None:
    (tree / ".cache").mkdir()
    (tree / ".cache" / "model.joblib").write_text("model")
    with pytest.raises(NotFoundError):
        confined(str(tree), ".cache/model.joblib")
    assert confined(str(tree), ".cache/model.joblib", hidden=True) == (tree / ".cache" / "model.joblib").resolve()


async def test_hidden_files_obey_jupyters_setting(
    api: Fetch, jp_root_dir: Path, jp_serverapp: ServerApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jp_root_dir / ".text.sav").write_text("no model")
    with pytest.raises(HTTPClientError) as error:
        await register(api, ".text.sav")
    assert error.value.code == 404
    monkeypatch.setattr(jp_serverapp.contents_manager, "allow_hidden", True)
    assert (await refusal(api, ".text.sav"))["message"]


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


class Marks:
    """A pickle that writes down which process loads it, and needs a module that is nowhere."""

    def __init__(self, file: Path) -> None:
        self.code = f"import os; open({str(file)!r}, 'a').write(str(os.getpid()) + ' '); import of_another_python"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (self.code,)


async def register(api: Fetch, path: str) -> HTTPResponse:
    body = json.dumps({"path": path, "kernel": "python3"})
    return await api("models", method="POST", body=body, request_timeout=170)


async def refusal(api: Fetch, path: str) -> dict[str, str]:
    with pytest.raises(HTTPClientError) as error:
        await register(api, path)
    assert error.value.code == 400
    assert error.value.response is not None
    told: dict[str, str] = json.loads(error.value.response.body)
    return told


async def test_a_registered_file_is_known_by_its_fields(api: Fetch, jp_root_dir: Path) -> None:
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "size": [1.0, 0.0, 1.0, 0.0]})
    joblib.dump(LogisticRegression().fit(frame, [0, 0, 1, 1]), jp_root_dir / "trained.sav", compress=3)

    artifact = json.loads((await register(api, "trained.sav")).body)["artifact"]

    assert (artifact["name"], artifact["format"]) == ("trained", "sklearn")
    assert [column["name"] for column in artifact["signature"]["columns"]] == ["age", "size"]
    assert artifact["signature"]["sample"] == {"age": 0.0, "size": 0.0}
    assert artifact["details"]["estimator"] == "LogisticRegression"
    assert "predict_proba" in artifact["details"]["methods"]
    assert artifact["details"]["file"] == "trained.sav"
    assert artifact["environment"]["packages"].keys() >= {"scikit-learn", "numpy", "joblib"}


async def test_the_file_browser_is_told_what_can_be_a_model(api: Fetch, jp_root_dir: Path, tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    joblib.dump(model, jp_root_dir / "finalized")
    (jp_root_dir / "marks.pkl").write_bytes(pickle.dumps(Marks(tmp_path / "loaded-by")))
    (jp_root_dir / "notes.txt").write_text("not a model")
    (jp_root_dir / "data.json").write_text("{}")
    (jp_root_dir / "saved").mkdir()
    joblib.dump(model, jp_root_dir / "saved" / "model.joblib")
    (jp_root_dir / "empty").mkdir()
    os.mkfifo(jp_root_dir / "pipe")

    async def format_of(path: str) -> str:
        return str(json.loads((await api("files", params={"path": path})).body)["format"])

    paths = ("finalized", "saved", "notes.txt", "data.json", "empty", "pipe")
    assert [await format_of(path) for path in paths] == ["sklearn", "sklearn", "", "", "", ""]
    # Looked at, and not loaded.
    await format_of("marks.pkl")
    assert not (tmp_path / "loaded-by").exists()
    with pytest.raises(HTTPClientError) as error:
        await format_of("../secret")
    assert error.value.code == 404


async def test_what_is_no_model_is_refused_by_its_name(api: Fetch, jp_root_dir: Path) -> None:
    (jp_root_dir / "model.pkl").write_text("<!DOCTYPE html><html><head><title>Sign in</title></head></html>")
    told = await refusal(api, "model.pkl")
    assert "model.pkl is an HTML page ('Sign in')" in told["message"]
    assert "download it again" in told["hint"]
    assert told["field"] == "path"


async def test_what_is_neither_a_file_nor_a_folder_is_refused(api: Fetch, jp_root_dir: Path) -> None:
    os.mkfifo(jp_root_dir / "pipe")
    (jp_root_dir / "folder").mkdir()
    os.mkfifo(jp_root_dir / "folder" / "model.joblib")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(jp_root_dir)  # A socket's path is short.
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
    for path in ("pipe", "socket"):
        assert "neither a file nor a folder" in (await refusal(api, path))["message"]
    assert "no model" in (await refusal(api, "folder"))["message"]


async def test_a_folder_too_deep_for_a_model_is_refused(api: Fetch, jp_root_dir: Path) -> None:
    (jp_root_dir / "deep").mkdir()
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), jp_root_dir / "deep" / "model.joblib")
    inner = os.open(jp_root_dir / "deep", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=inner)
        inner, outer = os.open("d", os.O_RDONLY, dir_fd=inner), inner
        os.close(outer)
    os.close(inner)
    try:
        refused = await refusal(api, "deep")
    finally:  # Python's rmtree, by which the folder of this test would go, is not up to it
        await (await asyncio.create_subprocess_exec("rm", "-rf", jp_root_dir / "deep")).wait()
    assert "deep" in refused["message"]
    assert refused["hint"]


async def test_what_the_kernel_cannot_load_is_refused_at_the_kernel(
    api: Fetch, jp_root_dir: Path, tmp_path: Path
) -> None:
    (jp_root_dir / "model.pkl").write_bytes(pickle.dumps(Marks(tmp_path / "loaded-by")))
    told = await refusal(api, "model.pkl")
    assert "needs the module of_another_python" in told["message"]
    assert told["field"] == "kernel"
    assert str(os.getpid()) not in (tmp_path / "loaded-by").read_text().split()
