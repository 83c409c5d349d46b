"""Snapshots laid out for the images of KServe's runtimes: what lies where, and that a folder is whole or not at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.digest import digest_of, digest_of_file, digest_of_files
from kale_serve_ext.engines.base import AS_LOGGED, Use
from kale_serve_ext.engines.cluster import layouts
from kale_serve_ext.engines.cluster.storage.arranging import Arranging, files_for
from kale_serve_ext.engines.local.servers.layout import Layout, Snapshot
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import InvalidInputError, SnapshotError
from kale_serve_ext.formats import by_name
from kale_serve_ext.ml import Signature, TensorSpec
from tests.onnx_models import scores

TRITON = Use("tritonserver", "answers")
SIGNATURE = Signature(
    input_dtype="", inputs=(TensorSpec("x", "float32", (-1, 4)),), outputs=(TensorSpec("output__0", "float32", (-1,)),)
)


def laid_out(server: str, model_format: str, *files: str, **more: object) -> Layout:
    lay_out = layouts.layout_of(server)
    assert lay_out is not None
    given = Snapshot("answers", model_format, files, in_cluster=True)
    return lay_out(replace(given, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "model_format", "files", "links"),
    [
        ("tensorflow-serving", "tensorflow", ("saved_model.pb", "variables/variables.index"), {"1": ""}),
        ("tensorflow-serving", "tensorflow", ("1/saved_model.pb", "3/saved_model.pb", "notes"), {"1": "1", "3": "3"}),
        (
            "mlserver",
            "sklearn",
            ("iris.joblib", "record.json"),
            {"model.joblib": "iris.joblib", "record.json": "record.json"},
        ),
        ("mlserver", "xgboost", ("model.ubj",), {"model.ubj": "model.ubj"}),
        ("mlserver", "catboost", ("churn.cbm",), {"model.cbm": "churn.cbm"}),
        ("mlserver", "mlflow", ("MLmodel", "model.pkl"), {"MLmodel": "MLmodel", "model.pkl": "model.pkl"}),
    ],
)
def test_files_lie_where_the_image_looks_for_them(
    server: str, model_format: str, files: tuple[str, ...], links: Mapping[str, str]
) -> None:
    assert laid_out(server, model_format, *files) == Layout(links=links)


def test_triton_gets_a_repository_and_chooses_its_devices_itself() -> None:
    made = laid_out("tritonserver", "pytorch", "model.pt", signature=SIGNATURE)
    assert made.links == {"answers/1/model.pt": "model.pt"}
    assert made.files["answers/config.pbtxt"].splitlines() == [
        'backend: "pytorch"',
        'platform: "pytorch_libtorch"',
        "max_batch_size: 0",
        'input { name: "x" data_type: TYPE_FP32 dims: [-1, 4] }',
        'output { name: "output__0" data_type: TYPE_FP32 dims: [-1] }',
    ]


def gives(*names: str) -> Signature:
    return replace(SIGNATURE, outputs=tuple(TensorSpec(name, "float32", (-1,)) for name in names))


def test_triton_takes_several_outputs_of_a_module() -> None:
    made = laid_out("tritonserver", "pytorch", "model.pt", signature=gives("output__0", "output__1"))
    assert 'output { name: "output__1"' in made.files["answers/config.pbtxt"]


@pytest.mark.parametrize("names", [("logits",), ("boxes__0", "boxes__1"), ("output__0", "output__1__0"), ("a", "b")])
def test_triton_takes_no_module_that_answers_by_names_in_a_cluster(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match=f"answers by names: {', '.join(names)}"):
        laid_out("tritonserver", "pytorch", "model.pt", signature=gives(*names))
    assert laid_out("tritonserver", "pytorch", "model.pt", signature=gives(*names), in_cluster=False).files


def test_torchserve_gets_an_archive_and_its_settings() -> None:
    manifest = json.dumps({"model": {"modelName": "iris", "modelVersion": "2.1"}})
    made = laid_out("torchserve", "pytorch", "iris.mar", texts={"iris.mar/MAR-INF/MANIFEST.json": manifest})
    assert made.links == {"model-store/answers.mar": "iris.mar"}
    settings = dict(line.split("=", 1) for line in made.files["config/config.properties"].splitlines())
    assert settings["model_store"] == "/mnt/models/model-store"
    loaded = json.loads(settings["model_snapshot"])
    assert loaded["modelCount"] == 1
    assert loaded["models"]["answers"]["2.1"]["marName"] == "answers.mar"


@pytest.mark.parametrize(
    ("server", "model_format", "files", "said"),
    [
        ("tritonserver", "pytorch", ("model.pt",), "has to be told what a PyTorch model takes"),
        ("tritonserver", "pytorch", ("model.pt2",), "no file at its top ends in .pt."),
        ("tritonserver", "tensorflow", ("model.keras",), "finds no SavedModel"),
        ("tensorflow-serving", "tensorflow", ("model.keras",), "loads SavedModels"),
        ("torchserve", "pytorch", ("model.pt",), "ends in .mar"),
        ("torchserve", "pytorch", ("model.mar",), "no manifest with a version"),
        ("mlserver", "xgboost", ("a.ubj", "b.ubj"), "takes one model file"),
    ],
)
def test_a_layout_that_cannot_be_had_is_told(server: str, model_format: str, files: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        laid_out(server, model_format, *files)


def test_a_digest_is_known_without_the_folder(tmp_path: Path) -> None:
    files = {"a/1/model.onnx": b"numbers", "a/config.pbtxt": b"text", "b": b""}
    made = tmp_path / "made"
    for name, content in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    digests = {name: digest_of_file(made / name) for name in files}
    assert digest_of_files(digests) == digest_of(made)


@pytest.fixture
def snapshot(tmp_path: Path) -> Artifact:
    """An ONNX model in a store."""
    folder = tmp_path / "store" / "sha256" / ("0" * 64)
    folder.mkdir(parents=True)
    by_name("onnx").save(scores(), folder)
    return Artifact(MODEL, "scores", "1", folder.as_uri(), digest_of(folder), format="onnx")


@pytest.fixture
def arranging(tmp_path: Path) -> Iterator[Arranging]:
    with ThreadPoolExecutor(1) as uploads:
        made = Arranging(replace(Settings.from_environ(), data_dir=tmp_path / "data"), uploads)
        yield made
        made.close()


def folder_of(artifact: Artifact) -> Path:
    return Path(artifact.uri.removeprefix("file://"))


def test_a_snapshot_is_laid_out_once_under_a_digest_of_its_own(snapshot: Artifact, arranging: Arranging) -> None:
    planned = asyncio.run(arranging.address(snapshot, TRITON))
    assert not folder_of(planned).exists()
    assert planned.digest != snapshot.digest
    made = asyncio.run(arranging.make(snapshot, TRITON))
    assert made == planned
    place = folder_of(made)
    assert digest_of(place) == made.digest
    assert {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} == {
        "answers/config.pbtxt",
        "answers/1/model.onnx",
    }
    # No bytes twice, and the folder is the same one when it is asked for again.
    assert (place / "answers/1/model.onnx").samefile(folder_of(snapshot) / "model.onnx")
    number = place.stat().st_ino
    assert folder_of(asyncio.run(arranging.make(snapshot, TRITON))).stat().st_ino == number
    assert list(place.parent.iterdir()) == [place]


def test_what_was_changed_in_it_is_made_anew(snapshot: Artifact, arranging: Arranging) -> None:
    place = folder_of(asyncio.run(arranging.make(snapshot, TRITON)))
    config = place / "answers/config.pbtxt"
    config.unlink()
    config.write_text("other")
    assert digest_of(folder_of(made := asyncio.run(arranging.make(snapshot, TRITON)))) == made.digest


def test_what_was_made_of_a_snapshot_goes_after_it(snapshot: Artifact, arranging: Arranging, tmp_path: Path) -> None:
    place = folder_of(asyncio.run(arranging.make(snapshot, TRITON)))
    other = tmp_path / "store" / "sha256" / ("1" * 64)
    folder_of(snapshot).rename(other)
    asyncio.run(arranging.make(replace(snapshot, uri=other.as_uri()), TRITON))
    assert not place.parent.exists()


def elsewhere(snapshot: Artifact, folder: Path) -> Artifact:
    """The snapshot in a folder of this name, where there is no store."""
    shutil.copytree(folder_of(snapshot), folder)
    return replace(snapshot, uri=folder.as_uri())


def test_what_was_made_of_files_in_one_folder_stays_when_those_of_another_are_served(
    snapshot: Artifact, arranging: Arranging, tmp_path: Path
) -> None:
    places = [
        folder_of(asyncio.run(arranging.make(elsewhere(snapshot, tmp_path / source / source), TRITON)))
        for source in ("one", "two")
    ]
    assert all(place.is_relative_to(tmp_path / "data") and place.is_dir() for place in places)
    gone = tmp_path / "one" / "one"
    asyncio.run(arranging.make(elsewhere(snapshot, tmp_path / "one" / "third"), TRITON))
    assert places[0].is_dir()
    shutil.rmtree(gone)
    asyncio.run(arranging.make(replace(snapshot, uri=(tmp_path / "one" / "third").as_uri()), TRITON))
    assert [place.is_dir() for place in places] == [False, True]


def test_plans_are_made_while_uploads_hang(snapshot: Artifact, tmp_path: Path) -> None:
    goes_on = threading.Event()
    with ThreadPoolExecutor(1) as uploads:
        uploads.submit(goes_on.wait)
        arranging = Arranging(replace(Settings.from_environ(), data_dir=tmp_path / "data"), uploads)
        try:
            planned = asyncio.run(asyncio.wait_for(arranging.address(snapshot, TRITON), 30))
        finally:
            goes_on.set()
            arranging.close()
    assert planned.digest != snapshot.digest


def test_a_file_is_read_once_for_all_services(
    snapshot: Artifact, arranging: Arranging, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return digest_of_file(path)

    monkeypatch.setattr("kale_serve_ext.engines.cluster.storage.arranging.digest_of_file", counted)

    async def plans() -> list[Artifact]:
        uses = [TRITON, replace(TRITON, name="other"), TRITON]
        given_up = asyncio.ensure_future(arranging.address(snapshot, TRITON))
        await asyncio.sleep(0)
        found = asyncio.gather(*(arranging.address(snapshot, use) for use in uses))
        given_up.cancel()
        return [*await found, await arranging.make(snapshot, TRITON)]

    first, other, again, made = asyncio.run(plans())
    assert first == again == made
    assert other.digest != first.digest
    assert read == [folder_of(snapshot) / "model.onnx"]


def test_another_signature_makes_another_folder(arranging: Arranging, tmp_path: Path) -> None:
    folder = tmp_path / "sha256" / ("0" * 64)
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"a program")
    one = Artifact(MODEL, "net", "1", folder.as_uri(), digest_of(folder), format="pytorch", signature=SIGNATURE)
    two = replace(one, signature=gives("output__0", "output__1"))
    for record in (one, two):
        planned = asyncio.run(arranging.address(record, TRITON))
        made = asyncio.run(arranging.make(record, TRITON))
        assert made == planned
        assert digest_of(folder_of(made)) == made.digest
    assert made.digest != asyncio.run(arranging.address(one, TRITON)).digest


@pytest.mark.parametrize("use", [AS_LOGGED, Use("sklearnserver", "answers"), Use("huggingfaceserver", "answers")])
def test_what_a_server_takes_as_it_is_stays_so(snapshot: Artifact, arranging: Arranging, use: Use) -> None:
    assert asyncio.run(arranging.make(snapshot, use)) == snapshot


def test_what_lies_elsewhere_stays_there_and_the_plan_says_what_is_expected(
    snapshot: Artifact, arranging: Arranging
) -> None:
    there = replace(snapshot, uri="s3://bucket/models/scores")
    assert asyncio.run(arranging.make(there, TRITON)) == there
    assert layouts.told("tritonserver", "onnx").endswith("in its folder 1 the ONNX model.")
    assert layouts.told("sklearnserver", "sklearn") == ""


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(
    snapshot: Artifact, arranging: Arranging, tmp_path: Path
) -> None:
    (tmp_path / "store" / "arranged").write_text("no folder")
    with pytest.raises(SnapshotError, match="'scores' could not be laid out"):
        asyncio.run(arranging.make(snapshot, TRITON))


def test_an_archive_s_version_is_read_out_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "sha256" / ("0" * 64)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "iris.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelVersion": "7"}}))
    files = files_for(
        Artifact(MODEL, "iris", "1", folder.as_uri(), digest_of(folder), format="pytorch"), Use("torchserve", "iris")
    )
    assert files is not None
    settings = files["config/config.properties"]
    assert isinstance(settings, bytes)
    assert b'"7"' in settings
