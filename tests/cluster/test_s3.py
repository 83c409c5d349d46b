"""Snapshots in a real S3 server: whole or not marked, once, and never a credential in a message."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.cluster.storage import s3
from kale_serve_ext.engines.cluster.storage.s3 import upload
from kale_serve_ext.engines.cluster.storage.s3_target import S3Target, access_secret
from kale_serve_ext.errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
)
from kale_serve_ext.ml import JSON

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MIB = 1 << 20
SECRET = "not-the-secret-of-anybody/0123456789"
AWS_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test."""
    for name in AWS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of the test's own and a client that is not the product's."""

    name: str
    client: S3Client
    target: S3Target

    def sizes(self) -> dict[str, int]:
        return {key: size for key, (size, _) in self._listing().items()}

    def times(self) -> dict[str, datetime]:
        return {key: written for key, (_, written) in self._listing().items()}

    def content(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def unfinished(self) -> list[str]:
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def _listing(self) -> dict[str, tuple[int, datetime]]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", ())
        return {entry["Key"]: (entry["Size"], entry["LastModified"]) for entry in found}


@pytest.fixture
def bucket(own_environment: None) -> Iterator[Bucket]:
    endpoint = os.environ.get("KALE_S3_ENDPOINT")
    if not endpoint:
        pytest.skip("S3 (KALE_S3_ENDPOINT)")
    from boto3.session import Session

    client = Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    name = f"test-{uuid.uuid4().hex[:16]}"
    client.create_bucket(Bucket=name)
    made = Bucket(name, client, S3Target(name, "team/models", endpoint, "us-east-1"))
    yield made
    for key in made.sizes():
        client.delete_object(Bucket=name, Key=key)
    for found in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=name, Key=found["Key"], UploadId=found["UploadId"])
    client.delete_bucket(Bucket=name)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "inner" / "größe").mkdir(parents=True)
    (folder / "empty folder").mkdir()
    (folder / "model.joblib").write_bytes(b"weights")
    (folder / "no bytes").write_bytes(b"")
    (folder / "inner" / "größe" / "naïve name + 100%&.txt").write_text("text")
    return folder


NAMES = ("inner/größe/naïve name + 100%&.txt", "model.joblib", "no bytes")


def big(folder: Path, size: int) -> Path:
    folder.mkdir()
    (folder / "a").write_bytes(b"first")
    (folder / "b").write_bytes(os.urandom(size))
    return folder


def address(folder: Path) -> str:
    return digest_of(folder).removeprefix("sha256:")


def part(value: JSON, *path: str) -> JSON:
    for name in path:
        assert isinstance(value, Mapping)
        value = value[name]
    return value


def test_a_snapshot_arrives_file_by_file(bucket: Bucket, model: Path) -> None:
    steps: list[tuple[int, int]] = []

    uri = upload(model, digest_of(model), bucket.target, lambda done, total: steps.append((done, total)))

    above = f"team/models/sha256/{address(model)}"
    assert uri == f"s3://{bucket.name}/{above}"
    marker = f"team/models/complete/{address(model)}.json"
    assert bucket.sizes().keys() == {marker, *(f"{above}/{name}" for name in NAMES)}
    for name in NAMES:
        assert bucket.content(f"{above}/{name}") == (model / name).read_bytes()
    assert json.loads(bucket.content(marker)) == {"files": {n: (model / n).stat().st_size for n in NAMES}}
    assert steps[0] == (0, 11)
    assert steps[-1] == (11, 11)


def test_a_target_may_be_a_whole_bucket(bucket: Bucket, model: Path) -> None:
    uri = upload(model, digest_of(model), replace(bucket.target, prefix=""))
    assert uri == f"s3://{bucket.name}/sha256/{address(model)}"
    assert f"complete/{address(model)}.json" in bucket.sizes()


def test_identical_content_is_uploaded_once(bucket: Bucket, model: Path, caplog: pytest.LogCaptureFixture) -> None:
    def operations() -> list[str]:
        made = re.findall(r"Making request for OperationModel\(name=(\w+)\)", caplog.text)
        caplog.clear()
        return made

    with caplog.at_level(logging.DEBUG, "botocore.endpoint"):
        upload(model, digest_of(model), bucket.target)
        assert operations().count("PutObject") == len(NAMES) + 1
        before = bucket.times()
        operations()

        steps: list[tuple[int, int]] = []
        upload(model, digest_of(model), bucket.target, lambda done, total: steps.append((done, total)))
        assert operations() == ["ListObjectsV2", "GetObject"]
    assert bucket.times() == before
    assert steps == [(11, 11)]


def test_what_is_missing_or_cut_short_is_put_right(bucket: Bucket, model: Path) -> None:
    upload(model, digest_of(model), bucket.target)
    above = f"team/models/sha256/{address(model)}"
    before = bucket.times()
    bucket.client.delete_object(Bucket=bucket.name, Key=f"{above}/{NAMES[0]}")
    bucket.client.put_object(Bucket=bucket.name, Key=f"{above}/model.joblib", Body=b"weigh")

    upload(model, digest_of(model), bucket.target)

    assert bucket.content(f"{above}/{NAMES[0]}") == b"text"
    assert bucket.content(f"{above}/model.joblib") == b"weights"
    assert bucket.times()[f"{above}/no bytes"] == before[f"{above}/no bytes"]


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'{"files": 3}', b'{"files": {"model.joblib": 7}}', b"\xff"])
def test_a_strange_marker_does_not_count(bucket: Bucket, model: Path, body: bytes) -> None:
    marker = f"team/models/complete/{address(model)}.json"
    bucket.client.put_object(Bucket=bucket.name, Key=marker, Body=body)
    upload(model, digest_of(model), bucket.target)
    assert json.loads(bucket.content(marker))["files"].keys() == set(NAMES)
    assert len(bucket.sizes()) == len(NAMES) + 1


def test_an_upload_killed_in_the_middle_is_completed_by_the_next(bucket: Bucket, tmp_path: Path) -> None:
    folder = big(tmp_path / "model", 48 * MIB)
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from kale_serve_ext.engines.cluster.storage.s3 import upload
        from kale_serve_ext.engines.cluster.storage.s3_target import S3Target

        def progress(done, total):
            if done > {8 * MIB}:
                os.kill(os.getpid(), signal.SIGKILL)

        upload(Path({str(folder)!r}), {digest_of(folder)!r}, {bucket.target!r}, progress)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    above = f"team/models/sha256/{address(folder)}"
    assert bucket.sizes() == {f"{above}/a": 5}
    first = bucket.times()

    steps: list[int] = []
    upload(folder, digest_of(folder), bucket.target, lambda done, total: steps.append(done))

    assert steps[0] == 5
    assert bucket.times()[f"{above}/a"] == first[f"{above}/a"]
    assert bucket.content(f"{above}/b") == (folder / "b").read_bytes()
    assert f"team/models/complete/{address(folder)}.json" in bucket.sizes()


def test_parts_of_a_killed_upload_are_removed_once_they_are_old(
    bucket: Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"team/models/sha256/{address(model)}/model.joblib"
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="team/models/of somebody else")
    upload(model, digest_of(model), bucket.target)
    assert sorted(bucket.unfinished()) == ["team/models/of somebody else", key]

    monkeypatch.setattr(s3, "_ABANDONED", timedelta(seconds=-5))
    bucket.client.delete_object(Bucket=bucket.name, Key=key)
    upload(model, digest_of(model), bucket.target)
    assert bucket.unfinished() == ["team/models/of somebody else"]


def test_two_uploads_at_once_do_each_other_no_harm(bucket: Bucket, tmp_path: Path) -> None:
    folder = big(tmp_path / "model", 20 * MIB)
    digest = digest_of(folder)
    start = threading.Barrier(2)

    def one() -> str:
        start.wait()
        return upload(folder, digest, bucket.target)

    with ThreadPoolExecutor(2) as pool:
        uris = {future.result() for future in [pool.submit(one), pool.submit(one)]}

    assert len(uris) == 1
    above = f"team/models/sha256/{address(folder)}"
    assert bucket.sizes().keys() == {f"{above}/a", f"{above}/b", f"team/models/complete/{address(folder)}.json"}
    assert bucket.content(f"{above}/b") == (folder / "b").read_bytes()
    assert bucket.unfinished() == []


def test_a_large_file_goes_in_parts_and_not_through_memory(bucket: Bucket, tmp_path: Path) -> None:
    folder = big(tmp_path / "model", 64 * MIB)
    small = big(tmp_path / "small", 1)
    program = textwrap.dedent(
        f"""
        import json, resource
        from pathlib import Path
        from kale_serve_ext.engines.cluster.storage.s3 import upload
        from kale_serve_ext.engines.cluster.storage.s3_target import S3Target

        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        upload(Path({str(small)!r}), {digest_of(small)!r}, {bucket.target!r})  # what boto3 takes for itself
        steps, before = [], peak()
        upload(Path({str(folder)!r}), {digest_of(folder)!r}, {bucket.target!r}, lambda *step: steps.append(step))
        print(json.dumps([peak() - before, steps]))
        """
    )
    grown, steps = json.loads(subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60))

    assert grown < 24 * 1024, f"{grown} KiB"
    total = 64 * MIB + 5
    assert steps[0] == [0, total]
    assert steps[-1] == [total, total]
    assert len(steps) > 8
    head = bucket.client.head_object(Bucket=bucket.name, Key=f"team/models/sha256/{address(folder)}/b", PartNumber=1)
    assert head["PartsCount"] == 4


def test_stopping_an_upload_leaves_neither_marker_nor_parts(bucket: Bucket, tmp_path: Path) -> None:
    folder = big(tmp_path / "model", 40 * MIB)

    def progress(done: int, total: int) -> None:
        if done > 20 * MIB:
            raise CancelledError("enough")

    with pytest.raises(CancelledError, match="enough"):
        upload(folder, digest_of(folder), bucket.target, progress)
    assert bucket.sizes().keys() <= {f"team/models/sha256/{address(folder)}/a"}
    assert bucket.unfinished() == []


def test_other_files_in_its_place_are_reported(bucket: Bucket, model: Path) -> None:
    above = f"team/models/sha256/{address(model)}"
    bucket.client.put_object(Bucket=bucket.name, Key=f"{above}/other.joblib", Body=b"x")
    with pytest.raises(ConflictError, match=r"other\.joblib"):
        upload(model, digest_of(model), bucket.target)
    assert len(bucket.sizes()) == 1


def test_a_key_that_stands_for_a_folder_is_no_other_file(bucket: Bucket, model: Path) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=f"team/models/sha256/{address(model)}/inner/", Body=b"")
    upload(model, digest_of(model), bucket.target)
    assert f"team/models/complete/{address(model)}.json" in bucket.sizes()


def test_a_snapshot_that_was_changed_is_not_uploaded(bucket: Bucket, model: Path) -> None:
    digest = digest_of(model)
    (model / "model.joblib").write_bytes(b"WEIGHTS")
    with pytest.raises(SnapshotError, match=digest):
        upload(model, digest, bucket.target)
    assert bucket.sizes() == {}


def test_links_are_not_followed(bucket: Bucket, model: Path) -> None:
    digest = digest_of(model)
    (model / "link").symlink_to("/etc/passwd")
    with pytest.raises(SnapshotError, match="neither a file nor a folder"):
        upload(model, digest, bucket.target)
    assert bucket.sizes() == {}


def test_folders_with_nothing_to_upload_are_refused(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "nothing" / "inner").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="no file"):
        upload(tmp_path / "nothing", digest_of(tmp_path / "nothing"), bucket.target)
    with pytest.raises(NotFoundError, match="missing"):
        upload(tmp_path / "missing", f"sha256:{'0' * 64}", bucket.target)


@pytest.mark.parametrize("name", [b"\xff", b"line\nbreak"])
def test_names_that_s3_does_not_keep_are_refused(bucket: Bucket, model: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/" + name)).write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="name of the file"):
        upload(model, digest_of(model), bucket.target)
    assert bucket.sizes() == {}


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ACCESS_KEY_ID", "AKIDOFNOBODY")]
)
def test_refused_credentials_are_named_by_what_they_may_not_do(
    bucket: Bucket,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    caplog.set_level(logging.DEBUG, "kale_serve_ext")
    with pytest.raises(PermissionDeniedError) as caught:
        upload(model, digest_of(model), bucket.target)
    error = caught.value
    assert f"list s3://{bucket.name}/team/models/sha256/{address(model)}/" in error.message
    for said in (str(error), repr(error), str(error.to_dict()), str(error.__cause__), caplog.text):
        assert value not in said
        assert os.environ["AWS_ACCESS_KEY_ID"] not in said


def test_a_missing_bucket_is_named(bucket: Bucket, model: Path) -> None:
    with pytest.raises(NotFoundError, match="no-such-bucket-here") as caught:
        upload(model, digest_of(model), replace(bucket.target, bucket="no-such-bucket-here"))
    assert "Create it" in caught.value.hint


def test_a_bucket_name_that_cannot_be_is_the_callers_mistake(bucket: Bucket, model: Path) -> None:
    with pytest.raises(InvalidInputError):
        upload(model, digest_of(model), replace(bucket.target, bucket="no bucket"))


def test_a_server_that_is_down_is_told_soon(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFNOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it meanwhile
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BackendUnavailableError) as caught:
            upload(model, digest_of(model), S3Target("models", "", endpoint, "us-east-1"))
    assert endpoint in caught.value.message
    assert "EndpointConnectionError" in caught.value.message
    assert SECRET not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("status", "page"), [(200, b"<html>Welcome"), (200, b"<html>Welcome</html>"), (404, b""), (503, b"later")]
)
def test_a_server_of_another_kind_is_told(model: Path, credentials: None, status: int, page: bytes) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_PUT = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises((BackendUnavailableError, InvalidInputError)) as caught:
            upload(model, digest_of(model), S3Target("models", "", endpoint, ""))
        server.shutdown()
    assert "endpoint" in caught.value.hint


def test_a_full_server_is_told_and_leaves_no_marker(bucket: Bucket, tmp_path: Path) -> None:
    folder = big(tmp_path / "model", 12 * MIB)
    place = Path(os.environ.get("KALE_S3_DIR", "/nonexistent"), bucket.name)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs the right to mount a small one: {mounted.stderr.strip()}")
    try:
        with pytest.raises(StorageFullError, match=bucket.name):
            upload(folder, digest_of(folder), bucket.target)
        assert not list(place.rglob("*.json"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_without_credentials_it_says_where_they_come_from(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    target = S3Target("models", "", "http://127.0.0.1:9", "us-east-1")
    for call in (lambda: upload(model, digest_of(model), target), lambda: access_secret(target, "team")):
        with pytest.raises(BackendUnavailableError, match="no credentials") as caught:
            call()
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_an_unknown_profile_is_no_crash(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BackendUnavailableError, match="ProfileNotFound"):
        access_secret(S3Target("models", "", "", ""), "team")


def test_without_boto3_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    target = S3Target("models", "", "http://127.0.0.1:9", "us-east-1")
    for call in (lambda: upload(model, digest_of(model), target), lambda: access_secret(target, "team")):
        with pytest.raises(BackendUnavailableError) as caught:
            call()
        assert caught.value.hint == "pip install 'kale-serve-ext[s3]'"


def test_importing_the_module_does_not_import_boto3() -> None:
    program = "import sys, kale_serve_ext.engines.cluster.storage.s3; print({'boto3', 'botocore'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("text", "bucket_name", "prefix", "endpoint", "region"),
    [
        ("s3://models", "models", "", "", ""),
        ("s3://models/", "models", "", "", ""),
        ("s3://models/team a/x/", "models", "team a/x", "", ""),
        ("s3://models/x?endpoint=http://host:9000&region=eu-west-1", "models", "x", "http://host:9000", "eu-west-1"),
        ("s3://models?endpoint=https://[fd00::1]:9000/", "models", "", "https://[fd00::1]:9000", ""),
        ("s3://a.b-c?region=default&endpoint=http%3A%2F%2Fhost", "a.b-c", "", "http://host", "default"),
    ],
)
def test_targets(text: str, bucket_name: str, prefix: str, endpoint: str, region: str) -> None:
    assert S3Target.parse(text) == S3Target(bucket_name, prefix, endpoint, region)


def test_targets_take_the_rest_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:1")
    assert S3Target.parse("s3://models/x") == S3Target("models", "x", "http://all:1", "eu-1")
    monkeypatch.setenv("AWS_REGION", "eu-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3:1/")
    assert S3Target.parse("s3://models/x") == S3Target("models", "x", "http://s3:1", "eu-2")
    given = "s3://models/x?endpoint=&region=eu-3"
    assert S3Target.parse(given) == S3Target("models", "x", "", "eu-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://key:{SECRET}@s3:1/")
    with pytest.raises(InvalidInputError, match="models/x") as caught:
        S3Target.parse("s3://models/x")
    assert SECRET not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models",
        "file:///models",
        "gs://models/x",
        "s3://",
        "s3:///x",
        "s3://models:9000/x",
        "s3://models/../x",
        "s3://models/a//b",
        "s3://models/a#b",
        "s3://models/a\nb",
        "s3://models?endpoint=host:9000",
        "s3://models?endpoint=ftp://host",
        "s3://models?endpoint=http://host/path",
        "s3://models?endpoint=http://host:port",
        "s3://models?endpoint=http://",
        "s3://models?region=eu west",
        "s3://models?zone=1",
    ],
)
def test_texts_that_are_no_target_are_named(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        S3Target.parse(text)
    assert repr(text.partition("?")[0]) in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"s3://key:{SECRET}@models/x",
        f"s3://{SECRET}@models",
        f"s3://models/x?endpoint=http://key:{SECRET}@host:9000",
        f"s3://models/x?endpoint=http%3A%2F%2Fkey%3A{SECRET}%40host",
        f"s3://models/x?secret={SECRET}",
        f"s3://models/x?{SECRET}",
    ],
)
def test_targets_with_credentials_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(InvalidInputError, match="s3://") as caught:
        S3Target.parse(text)
    error: KaleServeError = caught.value
    for piece in SECRET.split("/"):
        assert piece not in str(error) + repr(error) + str(error.__context__)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFNOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.mark.parametrize(
    ("endpoint", "region", "annotations"),
    [
        ("http://10.0.0.1:9000", "", {"endpoint": "10.0.0.1:9000", "usehttps": "0", "region": "us-east-1"}),
        ("https://s3.lan", "eu-1", {"endpoint": "s3.lan", "usehttps": "1", "region": "eu-1"}),
        ("", "eu-1", {"usehttps": "1", "region": "eu-1"}),
        ("", "", {"usehttps": "1"}),
    ],
)
def test_kserve_gets_a_secret(credentials: None, endpoint: str, region: str, annotations: dict[str, str]) -> None:
    target = S3Target("models", "x", endpoint, region)
    secret = access_secret(target, "team")
    labels = {"app.kubernetes.io/managed-by": "kale-serve-ext"}
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": target.secret,
            "namespace": "team",
            "labels": labels,
            "annotations": {
                f"serving.kserve.io/s3-{key}": value for key, value in {**annotations, "verifyssl": "1"}.items()
            },
        },
        "type": "Opaque",
        "stringData": {"AWS_ACCESS_KEY_ID": "AKIDOFNOBODY", "AWS_SECRET_ACCESS_KEY": SECRET},
    }


def test_a_session_token_is_kept(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    made = access_secret(S3Target("models", "", "", ""), "team")
    assert part(made, "stringData", "AWS_SESSION_TOKEN") == "token"


def test_each_target_has_a_secret_of_its_own() -> None:
    targets = [
        S3Target("b", "", "http://s3", ""),
        S3Target("b", "p", "http://s3", ""),
        S3Target("b", "", "http://t", ""),
    ]
    assert len({target.secret for target in targets}) == len(targets)
    assert targets[0].secret == S3Target("b", "", "http://s3", "").secret


def test_credentials_come_from_a_profile_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIDOFPROFILE\naws_secret_access_key = x\n")
    (tmp_path / "config").write_text("[default]\nregion = eu-9\n")
    secret = access_secret(S3Target("models", "", "http://host", ""), "team")
    assert part(secret, "stringData", "AWS_ACCESS_KEY_ID") == "AKIDOFPROFILE"
    assert part(secret, "metadata", "annotations", "serving.kserve.io/s3-region") == "eu-9"
