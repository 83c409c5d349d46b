"""PyTorch's files, told from their bytes; what TorchServe's archive is made of. All of it without torch."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from kale_serve_ext import formats
from kale_serve_ext.engines.local.servers import torchserve, triton
from kale_serve_ext.engines.local.servers.layout import Snapshot
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats import torcharchive
from kale_serve_ext.formats.pytorch import FILE, is_archive
from kale_serve_ext.formats.tensors import ANY_SHAPE, check_dims, fits
from kale_serve_ext.ml import Signature, TensorSpec
from kale_serve_ext.runner import torchserve as runner
from kale_serve_ext.runner.torchhandler import pack, unpack

SIGNATURE = Signature(
    input_dtype="",
    inputs=(TensorSpec("x", "float32", ("batch", 4)),),
    outputs=(TensorSpec("output__0", "float32", ("batch", 2)),),
)
MANIFEST = {"model": {"modelName": "m", "serializedFile": "model.pt", "handler": "image_classifier"}}
SCRIPT = {"m/data.pkl": b"", "m/code/__torch__.py": b"", "m/constants.pkl": b"", "m/version": b"3"}
EXPORTED = {"m/archive_format": b"pt2", "m/archive_version": b"0", "m/models/model.json": b"{}"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def archive(manifest: object = MANIFEST, **files: bytes) -> dict[str, bytes]:
    return {torcharchive.MANIFEST: json.dumps(manifest).encode(), "model.pt": b"", **files}


@pytest.mark.parametrize(
    ("files", "kind", "name"),
    [
        (SCRIPT, "torchscript", "model.pt"),
        (EXPORTED, "pt2", "model.pt2"),
        ({"serialized_exported_program.json": b"{}", "version": b""}, "pt2", "model.pt2"),
        (archive(), "mar", "model.mar"),
    ],
)
def test_a_model_is_told_by_what_is_in_it_whatever_it_is_called(
    files: dict[str, bytes], kind: str, name: str, tmp_path: Path
) -> None:
    found = formats.find(zipped(tmp_path / "download.zip", files))
    assert (found.format.name, found.content.kind, found.name) == ("pytorch", kind, name)
    assert found.format.path_details(tmp_path / "download.zip") == {FILE: kind}


@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (OrderedDict(weight=1), "a PyTorch checkpoint: weights without the code of their module"),
        ({"epoch": 3}, "a PyTorch checkpoint: weights without the code of their module"),
        (Path("net"), "which needs its code"),
    ],
)
def test_what_torch_save_has_written_is_refused_with_the_way_out(pickled: object, said: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "model.pt", {"archive/data.pkl": pickle.dumps(pickled, 2), "archive/version": b"3"})
    with pytest.raises(UnsupportedModelError) as caught:
        formats.find(path)
    assert said in caught.value.message
    assert "Model(module, example=x)" in (caught.value.hint or "")
    assert "custom" in (caught.value.hint or "")


def test_an_archive_without_its_model_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.mar", {torcharchive.MANIFEST: json.dumps(MANIFEST).encode()})
    with pytest.raises(UnsupportedModelError, match=r"without the file model\.pt that its manifest names"):
        formats.find(path)


def test_the_signature_lies_in_the_archive(tmp_path: Path) -> None:
    told = json.dumps(SIGNATURE.to_dict()).encode()
    path = zipped(tmp_path / "model.pt", {**SCRIPT, f"m/extra/{torcharchive.SIGNATURE}": told})
    assert formats.by_name("pytorch").path_signature(path) == SIGNATURE
    assert formats.by_name("torch").path_signature(tmp_path) == SIGNATURE
    assert torcharchive.signature_in(zipped(tmp_path / "other.pt", SCRIPT)) is None
    damaged = zipped(tmp_path / "damaged.pt", {**SCRIPT, f"m/extra/{torcharchive.SIGNATURE}": b"{"})
    assert torcharchive.signature_in(damaged) is None


def test_the_archive_is_for_torchserve_alone() -> None:
    format_ = formats.by_name("pytorch")
    own, other = (Artifact(name="m", type=MODEL, format="pytorch", details={FILE: kind}) for kind in ("mar", "pt2"))
    assert is_archive(own)
    assert not is_archive(other)
    assert "only TorchServe loads" in format_.unserved(own)
    assert format_.unserved(other) == ""


def test_torch_is_not_imported_for_all_that() -> None:
    said = "import sys, kale_serve_ext.formats as f; f.by_name('pytorch'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


class TestUnknownShape:
    def test_any_array_fits(self) -> None:
        assert fits((2, 3, 4), ANY_SHAPE)
        assert fits((), ANY_SHAPE)
        assert not fits((2, 3), ("batch",))

    def test_it_shares_no_dimension_with_others(self) -> None:
        specs = (TensorSpec("a", "float32", ANY_SHAPE), TensorSpec("b", "float32", ANY_SHAPE))
        check_dims(specs, {"a": np.zeros((2, 3)), "b": np.zeros(5)})


class TestLayout:
    def test_a_program_gets_a_handler_and_its_signature(self) -> None:
        made = torchserve.layout(Snapshot("net", "pytorch", ("kale-model.meta", "linear.pt2"), SIGNATURE))
        assert made.links == {"model-store/net/model.pt2": "linear.pt2"}
        manifest = json.loads(made.files["model-store/net/MAR-INF/MANIFEST.json"])
        assert manifest["model"] == {
            "modelName": "net",
            "modelVersion": "1.0",
            "serializedFile": "model.pt2",
            "handler": "kale_handler.py",
        }
        assert Signature.from_dict(json.loads(made.files["model-store/net/signature.json"])) == SIGNATURE
        compile(made.files["model-store/net/kale_handler.py"], "kale_handler.py", "exec")

    def test_an_archive_stays_as_it_is(self) -> None:
        made = torchserve.layout(Snapshot("net", "pytorch", ("densenet.mar",)))
        assert (dict(made.links), dict(made.files)) == ({"model-store/net.mar": "densenet.mar"}, {})
        with pytest.raises(InvalidInputError, match=r"Triton finds no pytorch model.*densenet\.mar"):
            triton.layout(Snapshot("net", "pytorch", ("densenet.mar",)))

    def test_a_snapshot_without_a_model_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match=r"ends in \.pt or \.pt2 or \.mar"):
            torchserve.layout(Snapshot("net", "pytorch", ("readme.txt",)))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"x": np.arange(6, dtype=np.float32).reshape(2, 3).T, "mask": np.array([True, False])},
        {"empty": np.zeros((0, 3), np.int64), "scalar": np.float64(1.5)[()]},
        {"half": np.array([1.5], np.float16)},
    ],
)
def test_arrays_come_out_of_a_message_as_they_went_in(arrays: dict[str, np.ndarray]) -> None:
    given = {name: np.asarray(one) for name, one in arrays.items()}
    message, found = unpack(pack({"said": "ü"}, given))
    assert message == {"said": "ü"}
    assert list(found) == list(given)
    for name, one in found.items():
        assert (one.dtype, one.shape) == (given[name].dtype, given[name].shape)
        np.testing.assert_array_equal(one, given[name])
        assert one.flags.writeable


class TestTorchServesCommand:
    def command(self, folder: Path, memory: int) -> tuple[list[str], Path]:
        work, sockets = folder / "a b#%41", folder / "s"
        for one in (work, sockets):
            one.mkdir()
        return runner._command("net", folder / "store", work, folder / "overlay", sockets, memory), work

    def test_archives_are_unpacked_in_the_work_folder_by_a_short_path(self, tmp_path: Path) -> None:
        argv, work = self.command(tmp_path, 0)
        [place] = [Path(one.partition("=")[2]) for one in argv if one.startswith("-Djava.io.tmpdir=")]
        assert place == tmp_path / "s" / "t"
        assert place.resolve().is_relative_to(work.resolve())

    def test_its_logging_is_found_in_a_folder_of_any_name(self, tmp_path: Path) -> None:
        argv, work = self.command(tmp_path, 0)
        [uri] = [one.partition("=")[2] for one in argv if one.startswith("-Dlog4j")]
        told = urlsplit(uri)
        assert (told.scheme, told.fragment, unquote(told.path)) == ("file", "", str(work / "log4j2.xml"))

    @pytest.mark.parametrize(
        ("memory", "heap"), [(0, "1024m"), (512 << 20, "256m"), (2 << 30, "512m"), (64 << 30, "4096m")]
    )
    def test_the_heap_is_a_part_of_what_the_service_may_use(self, memory: int, heap: str, tmp_path: Path) -> None:
        assert f"-Xmx{heap}" in self.command(tmp_path, memory)[0]
