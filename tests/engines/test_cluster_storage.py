"""What of the ways of files into a cluster needs no cluster: the setting, claims, one's own pod, and the receiver."""

from __future__ import annotations

import fcntl
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.storage import claims
from kale_serve_ext.engines.cluster.storage.own_pod import OnClaim, find
from kale_serve_ext.engines.cluster.storage.receiver import Receiver
from kale_serve_ext.engines.cluster.storage.strategies import Storage
from kale_serve_ext.engines.cluster.storage.upload_pod import Delivery, job
from kale_serve_ext.errors import InvalidInputError

GIB = 1 << 30


@pytest.mark.parametrize(
    ("setting", "storage"),
    [
        ("", Storage("")),
        ("s3://bucket/a?endpoint=http://h:1", Storage("s3", "s3://bucket/a?endpoint=http://h:1")),
        ("pvc://data", Storage("pvc", "data")),
        ("pvc://data/team/models/", Storage("pvc", "data", "team/models")),
        ("upload:", Storage("upload")),
        ("upload:fast.ssd", Storage("upload", "fast.ssd")),
        ("claim:", Storage("claim")),
        ("clone:", Storage("clone")),
        ("snapshot:", Storage("snapshot")),
        ("snapshot:csi-class", Storage("snapshot", "csi-class")),
    ],
)
def test_the_setting_is_taken_apart(setting: str, storage: Storage) -> None:
    assert Storage.parse(setting) == storage


@pytest.mark.parametrize(
    "setting",
    [
        "upload",
        "claim",
        "claim:data",
        "clone:data",
        "pvc://",
        "pvc://Data",
        "pvc://a/../b",
        "pvc://a/b?c",
        "gs://b",
        "s4:",
        ":",
    ],
)
def test_what_is_no_way_is_refused(setting: str) -> None:
    with pytest.raises(InvalidInputError, match="cluster_storage"):
        Storage.parse(setting)


def test_a_refused_setting_hides_what_may_be_a_password() -> None:
    with pytest.raises(InvalidInputError) as told:
        Storage.parse("http://me:hidden@host/x")
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    ("sizes", "asked"), [([1], "1Gi"), ([GIB], "2Gi"), ([GIB] * 10, "13Gi"), ([0] * 1_000_000, "5Gi")]
)
def test_a_claim_has_room_to_spare(sizes: list[int], asked: str) -> None:
    assert claims.size_for({str(i): size for i, size in enumerate(sizes)}) == asked


@pytest.mark.parametrize(
    ("uri", "origin", "folder"),
    [
        ("rok:me:b:o:v1:/a/b", "http://rok.rok.svc.cluster.local/swift/v1/me/b/o?version=v1", "/a/b"),
        ("rok://me:b:o:v1:a:b", "http://rok.rok.svc.cluster.local/swift/v1/me/b/o?version=v1", "/a:b"),
        ("rok:me:b:o:v1", "http://rok.rok.svc.cluster.local/swift/v1/me/b/o?version=v1", ""),
        ("rok://rok.other/swift/v1/me/b/o?version=v1#a/b", "http://rok.other/swift/v1/me/b/o?version=v1", "/a/b"),
    ],
)
def test_a_rok_uri_gives_rok_s_own_claim(uri: str, origin: str, folder: str) -> None:
    made, address = claims.from_rok("ns", uri, None)
    assert made["metadata"]["annotations"] == {"rok/origin": origin}  # type: ignore[call-overload, index]
    assert address == f"pvc://{made['metadata']['name']}{folder}"  # type: ignore[call-overload, index]


def test_what_is_no_rok_uri_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Rok"):
        claims.from_rok("ns", "rok:me:b", None)


POD: Manifest = {
    "spec": {
        "nodeName": "n1",
        "containers": [
            {"name": "proxy", "volumeMounts": [{"name": "home", "mountPath": "/etc/proxy"}]},
            {
                "name": "nb",
                "volumeMounts": [
                    {"name": "home", "mountPath": "/home/me", "subPath": "users/me/"},
                    {"name": "data", "mountPath": "/home/me/data"},
                    {"name": "expr", "mountPath": "/expr", "subPathExpr": "$(POD)"},
                    {"name": "shm", "mountPath": "/dev/shm"},
                ],
            },
        ],
        "volumes": [
            {"name": "home", "persistentVolumeClaim": {"claimName": "workspace"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "datasets"}},
            {"name": "expr", "persistentVolumeClaim": {"claimName": "expr"}},
            {"name": "shm", "emptyDir": {}},
        ],
    }
}


@pytest.mark.parametrize(
    ("folder", "on"),
    [
        ("/home/me/kale/sha256/ab", OnClaim("workspace", "users/me/kale/sha256/ab", "n1")),
        ("/home/me", OnClaim("workspace", "users/me", "n1")),
        ("/home/me/data/x", OnClaim("datasets", "x", "n1")),
        ("/home/me/database", OnClaim("workspace", "users/me/database", "n1")),
        ("/dev/shm/x", None),
        ("/expr/x", None),
        ("/etc/proxy/x", None),
        ("/tmp", None),
    ],
)
def test_a_folder_s_claim_is_found_in_the_container_that_this_is(folder: str, on: OnClaim | None) -> None:
    assert find(POD, Path(folder), lambda path: path != "/etc/proxy") == on


def archive(folder: Path, *others: tarfile.TarInfo) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(folder, arcname=".")
        for info in others:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    made.seek(0)
    return made


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    (folder / "inner" / "größe").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "inner" / "größe" / "model.joblib").write_bytes(b"weights" * 100_000)
    return folder


Receive = Callable[[], Receiver]


@pytest.fixture
def receiver(tmp_path: Path, snapshot: Path) -> Iterator[Receive]:
    """Makes receivers of the snapshot; their locks are let go of at the end."""
    made: list[Receiver] = []

    def another() -> Receiver:
        made.append(Receiver(tmp_path / "claim" / "team", digest_of(snapshot), digest_of))
        return made[-1]

    yield another
    for one in made:
        one.close()


def test_what_arrives_whole_is_put_in_its_place(receiver: Receive, tmp_path: Path, snapshot: Path) -> None:
    taking = receiver()
    assert taking.state() == "free"
    assert taking.receive(archive(snapshot)) == "there"
    taking.close()
    assert taking.place == tmp_path / "claim" / "team" / "sha256" / digest_of(snapshot).removeprefix("sha256:")
    assert digest_of(taking.place) == digest_of(snapshot)
    # Other users' pods read it.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in taking.place.rglob("*"))
    assert receiver().state() == "there"


def test_what_arrives_in_part_or_changed_leaves_nothing(receiver: Receive, tmp_path: Path, snapshot: Path) -> None:
    cut = receiver()
    assert cut.receive(io.BytesIO(archive(snapshot).getvalue()[:100_000])) == "failed"
    assert cut.state() == "failed"
    added = tarfile.TarInfo("more")
    added.size = 3
    other = receiver()
    assert other.receive(archive(snapshot, added)) == "changed"
    assert [p.suffix for p in (tmp_path / "claim" / "team" / "incoming").iterdir()] == [".lock"]
    assert receiver().receive(archive(snapshot)) == "there"


@pytest.mark.parametrize("name", ["../out", "/tmp/kale-out", "inner/../../out"])
def test_nothing_gets_out_of_the_snapshot(receiver: Receive, tmp_path: Path, snapshot: Path, name: str) -> None:
    assert receiver().receive(archive(snapshot, tarfile.TarInfo(name))) == "failed"
    assert not (tmp_path / "claim" / "team" / "out").exists()
    assert not Path("/tmp/kale-out").exists()


def test_links_are_not_taken(receiver: Receive, tmp_path: Path, snapshot: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    assert receiver().receive(archive(snapshot, link)) == "failed"


def test_one_at_a_time_fills_the_claim_and_leftovers_go(receiver: Receive, tmp_path: Path, snapshot: Path) -> None:
    first, second = receiver(), receiver()
    assert (first.state(), second.state()) == ("free", "busy")
    assert second.receive(archive(snapshot)) == "busy"
    incoming = tmp_path / "claim" / "team" / "incoming" / digest_of(snapshot).removeprefix("sha256:")
    (incoming / "tree").mkdir()
    (incoming / "tree" / "half").write_bytes(b"left by a killed one")
    assert first._lock is not None
    fcntl.flock(first._lock, fcntl.LOCK_UN)  # as its end would do
    assert second.state() == "free"
    assert second.receive(archive(snapshot)) == "there"
    assert digest_of(second.place) == digest_of(snapshot)


def test_a_claim_that_cannot_be_written_to_is_told(receiver: Receive, tmp_path: Path, snapshot: Path) -> None:
    (tmp_path / "claim").write_text("a file where the claim's folder should be")
    assert receiver().state() == "failed"


def test_the_token_is_not_in_the_pod_s_description(tmp_path: Path) -> None:
    made = job(Delivery("claim", "team", tmp_path, {}, "sha256:ab", "image", fresh=False), "the-digest")
    assert "the-digest" in str(made)
    assert "'fsGroup'" not in str(made)
    assert "'fsGroup': 1000" in str(job(Delivery("claim", "", tmp_path, {}, "sha256:ab", "image", fresh=True), "x"))
