"""Files that the server of a format would not find, seen before it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.entities import KFP_MODEL, MODEL, Artifact
from kale_serve_ext.serving.layout import check_layout


@pytest.mark.parametrize(
    ("type", "format", "uri", "level"),
    [
        (MODEL, "sklearn", "s3://b/iris/model.joblib", ""),
        (MODEL, "sklearn", "s3://b/iris/model.onnx", "error"),
        (MODEL, "lightgbm", "s3://b/iris/model.txt", "error"),
        (MODEL, "lightgbm", "s3://b/iris/model.bst", ""),
        (MODEL, "xgboost", "gs://b/iris/model.JSON", ""),
        (MODEL, "xgboost", "gs://b/iris/model.pkl", "error"),
        (MODEL, "sklearn", "s3://b/iris", ""),
        (MODEL, "sklearn", "s3://b/iris.v1.2", ""),
        (MODEL, "sklearn", "https://host/model.tar.gz", ""),
        (MODEL, "sklearn", "pvc://claim/model.onnx", ""),
        (MODEL, "triton", "s3://b/model.onnx", ""),
        (MODEL, "custom", "s3://b/model.onnx", ""),
        (KFP_MODEL, "sklearn", "minio://mlpipeline/v2/artifacts/run/train/model", "warning"),
        (KFP_MODEL, "sklearn", "minio://mlpipeline/v2/artifacts/run/train/model/", ""),
        (KFP_MODEL, "sklearn", "minio://mlpipeline/v2/artifacts/run/train/model.pickle", ""),
        (KFP_MODEL, "", "minio://mlpipeline/v2/artifacts/run/train/model", ""),
    ],
)
def test_an_address_tells_what_is_loaded(type: str, format: str, uri: str, level: str) -> None:
    found = check_layout(Artifact(type, "m", "1", uri, format=format))
    assert [c.level for c in found] == ([level] if level else [])
    assert all(uri.rpartition("/")[2] in c.message and "ends in ." in c.message for c in found)


def test_the_files_of_a_snapshot_are_looked_at(tmp_path: Path) -> None:
    artifact = Artifact(MODEL, "m", "1", tmp_path.as_uri(), format="sklearn")
    (tmp_path / "model").write_bytes(b"no ending")
    [told] = check_layout(artifact)
    assert (told.level, told.code) == ("error", "ModelFile")
    assert ".joblib" in told.message
    (tmp_path / "model.joblib").write_bytes(b"weights")
    assert check_layout(artifact) == []


def test_a_file_that_only_this_packages_server_reads_is_known_by_its_own_names(tmp_path: Path) -> None:
    artifact = Artifact(MODEL, "m", "1", tmp_path.as_uri(), format="xgboost", details={"file_kind": "pickle"})
    [told] = check_layout(artifact)
    assert "holds no model file" in told.message
    (tmp_path / "model.pkl").write_bytes(b"a pickle")
    assert check_layout(artifact) == []
    assert [c.code for c in check_layout(replace(artifact, details={}))] == ["ModelFile"]
