"""The store in a folder: whole or nothing, once, and never somebody else's file."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.digest import digest_of
from kale_serve_ext.errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
    SnapshotError,
    StorageFullError,
    TooLargeError,
)
from kale_serve_ext.stores import open_store
from kale_serve_ext.stores.copying import copy
from kale_serve_ext.stores.file import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "inner" / "empty").mkdir(parents=True)
    (folder / "model.joblib").write_bytes(b"weights")
    (folder / "inner" / "naïve name").write_text("text")
    return folder


def kept(store: FileStore) -> list[str]:
    return sorted(path.name for path in (store.root / "sha256").iterdir())


def staged(store: FileStore) -> list[Path]:
    return list((store.root / "staging").iterdir())


def test_a_snapshot_is_a_read_only_copy_named_by_its_content(store: FileStore, model: Path) -> None:
    snapshot = store.put(model)

    path = store.path(snapshot.uri)
    assert snapshot.uri == f"file://{store.root}/sha256/{snapshot.digest.removeprefix('sha256:')}"
    assert snapshot.digest == digest_of(model)
    assert snapshot.size == len(b"weights") + len("text")
    assert (path / "model.joblib").read_bytes() == b"weights"
    assert (path / "inner" / "naïve name").read_text() == "text"
    assert (path / "inner" / "empty").is_dir()
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (path, *path.rglob("*"))}
    assert modes == {0o444, 0o555}
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    store.verify(snapshot.uri, snapshot.digest)


def test_one_file_becomes_a_folder_with_that_file(store: FileStore, model: Path) -> None:
    snapshot = store.put(model / "model.joblib")
    assert [p.name for p in store.path(snapshot.uri).iterdir()] == ["model.joblib"]


def test_identical_content_is_kept_once_and_other_content_apart(store: FileStore, model: Path, tmp_path: Path) -> None:
    first = store.put(model)
    again = store.put(model)
    (model / "model.joblib").rename(model / "other.joblib")
    renamed = store.put(model)

    assert (again.uri, again.digest) == (first.uri, first.digest)
    assert renamed.digest != first.digest
    assert len(kept(store)) == 2


def test_the_snapshot_shares_nothing_with_the_users_file(store: FileStore, model: Path) -> None:
    snapshot = store.put(model)
    source = model / "model.joblib"
    copied = store.path(snapshot.uri) / "model.joblib"
    assert source.stat().st_nlink == copied.stat().st_nlink == 1
    source.write_bytes(b"changed")
    store.verify(snapshot.uri, snapshot.digest)


def test_the_hash_tells_of_every_kind_of_change(store: FileStore, model: Path) -> None:
    snapshot = store.put(model)
    path = store.path(snapshot.uri)
    for part in (path, *path.rglob("*")):
        part.chmod(0o700)

    def check_refused() -> None:
        with pytest.raises(SnapshotError, match="changed"):
            store.verify(snapshot.uri, snapshot.digest)

    (path / "model.joblib").write_bytes(b"Weights")
    check_refused()
    (path / "model.joblib").write_bytes(b"weights")
    store.verify(snapshot.uri, snapshot.digest)
    (path / "more").mkdir()
    check_refused()
    (path / "more").rmdir()
    (path / "link").symlink_to("/etc/passwd")
    with pytest.raises(SnapshotError, match="cannot be read"):
        store.verify(snapshot.uri, snapshot.digest)


def test_a_damaged_snapshot_is_put_right_by_the_same_content(store: FileStore, model: Path) -> None:
    snapshot = store.put(model)
    damaged = store.path(snapshot.uri) / "model.joblib"
    damaged.chmod(0o600)
    damaged.write_bytes(b"damaged")

    again = store.put(model)

    assert again.uri == snapshot.uri
    store.verify(snapshot.uri, snapshot.digest)
    assert staged(store) == []


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_copy_that_is_given_up_leaves_nothing(store: FileStore, model: Path, pieces: int) -> None:
    (model / "large").write_bytes(bytes(4 << 20))
    asked = iter(range(100))
    with pytest.raises(CancelledError):
        store.put(model / "large", stopped=lambda: next(asked) == pieces)
    with pytest.raises(CancelledError):
        store.put(model, stopped=lambda: True)
    assert kept(store) == []
    assert not list((store.root / "staging").iterdir())


def test_links_inside_the_folder_become_what_they_point_to(store: FileStore, model: Path) -> None:
    (model / "best").symlink_to("model.joblib")
    (model / "same").symlink_to("inner", target_is_directory=True)
    path = store.path(store.put(model).uri)
    assert (path / "best").read_bytes() == b"weights"
    assert not (path / "best").is_symlink()
    assert (path / "same" / "naïve name").read_text() == "text"


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "/", ".."])
def test_a_link_to_outside_is_refused(store: FileStore, model: Path, target: str) -> None:
    (model.parent / "outside").write_text("secret")
    (model / "link").symlink_to(target)
    with pytest.raises(InvalidInputError, match=r"link points to .*outside"):
        store.put(model)
    assert (kept(store), staged(store)) == ([], [])


def test_the_way_out_of_a_linked_folder_leads_out(store: FileStore, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "table").write_text("rows")
    (model / "data").symlink_to(data, target_is_directory=True)
    with pytest.raises(InvalidInputError) as error:
        store.put(model)
    assert "cp -rL" in error.value.hint
    subprocess.run(["cp", "-rL", model, tmp_path / "copy"], check=True)
    assert (store.path(store.put(tmp_path / "copy").uri) / "data" / "table").read_text() == "rows"


@pytest.mark.parametrize("target", [".", "..", "link"])
def test_a_loop_of_links_is_refused(store: FileStore, model: Path, target: str) -> None:
    (model / "inner" / "link").symlink_to(target)
    with pytest.raises(InvalidInputError):
        store.put(model)
    assert (kept(store), staged(store)) == ([], [])


def test_links_that_multiply_are_stopped(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kale_serve_ext.stores.copying.MAX_ENTRIES", 1000)
    bomb = tmp_path / "bomb"
    bomb.mkdir()
    (bomb / "0").mkdir()
    for level in range(1, 30):
        (bomb / str(level)).mkdir()
        for side in "ab":
            (bomb / str(level) / side).symlink_to(f"../{level - 1}")
    with pytest.raises(TooLargeError):
        store.put(bomb)


def test_sockets_pipes_and_devices_are_refused(store: FileStore, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model)
    os.mkfifo("pipe")
    with pytest.raises(InvalidInputError, match="pipe is neither"):
        store.put(model)
    Path("pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        with pytest.raises(InvalidInputError, match="sock is neither"):
            store.put(model)
    with pytest.raises(InvalidInputError, match="null is neither"):
        store.put(Path("/dev/null"))
    assert kept(store) == []


def test_what_tools_make_anew_is_left_out(store: FileStore, model: Path) -> None:
    before = store.put(model)
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert store.put(model).digest == before.digest


def test_a_missing_source_says_so(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere does not exist"):
        store.put(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError):
        store.put(Path("x" * 1_000_000))
    with pytest.raises(InvalidInputError):
        store.put(Path("a\0b"))


def test_a_file_that_vanishes_midway_is_told_and_leaves_nothing(store: FileStore, model: Path) -> None:
    (model / "vanishing").symlink_to("inner/gone")  # what a file that is listed and then gone looks like
    with pytest.raises(NotFoundError, match="vanishing does not exist, or vanished"):
        store.put(model)
    assert (kept(store), staged(store)) == ([], [])


def test_a_file_that_changes_while_it_is_copied_is_told(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "growing"
    stop = threading.Event()
    started = threading.Event()

    def grow() -> None:
        with source.open("wb", buffering=0) as file:
            file.write(b"x" * (32 << 20))
            while not stop.is_set():
                file.write(b"x")
                file.seek(0)
                started.set()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        assert started.wait(20)
        with pytest.raises(InvalidInputError, match="changed while"):
            store.put(source)
    finally:
        stop.set()
        writer.join()
    assert (kept(store), staged(store)) == ([], [])


def test_the_store_is_not_copied_into_itself(store: FileStore, model: Path) -> None:
    store.put(model)
    for folder in (store.root, store.root.parent):
        with pytest.raises(InvalidInputError, match="contains the store"):
            store.put(folder)


def test_a_put_can_be_taken_back_unless_somebody_else_relies_on_it(store: FileStore, model: Path) -> None:
    first = store.put(model)
    store.discard(first)
    assert kept(store) == []
    with pytest.raises(NotFoundError):
        store.path(first.uri)

    first = store.put(model)
    second = store.put(model)
    store.discard(second)
    store.discard(first)
    store.verify(first.uri, first.digest)


def test_staged_files_are_adopted_and_the_stage_goes_away(store: FileStore) -> None:
    with store.workspace() as workspace:
        (workspace / "model").mkdir()
        (workspace / "model" / "model.bst").write_bytes(b"x")
        snapshot = store.put(workspace / "model", adopt=True)
        assert not (workspace / "model").exists()
    assert (store.path(snapshot.uri) / "model.bst").read_bytes() == b"x"
    assert staged(store) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
from kale_serve_ext.stores import copying, file

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[3]
setattr(copying if where == "_write_all" else file, where, die)
copying._clone = lambda *_: False
file.FileStore(Path(sys.argv[1])).put(Path(sys.argv[2]))
"""


@pytest.mark.parametrize("where", ["_write_all", "_seal", "_move"])
def test_kill_9_in_the_middle_leaves_no_snapshot_and_the_next_one_clears_up(
    store: FileStore, model: Path, where: str
) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, store.root, model, where], check=False)
    assert killed.returncode == -9
    assert kept(store) == []
    assert staged(store) != []

    snapshot = store.put(model)

    store.verify(snapshot.uri, snapshot.digest)
    assert staged(store) == []


def test_work_in_progress_is_not_taken_for_leftovers(store: FileStore, model: Path) -> None:
    with store.workspace() as workspace:
        (workspace / "half").write_bytes(b"x")
        store.put(model)
        assert (workspace / "half").exists()


def test_many_processes_may_put_the_same_at_once(store: FileStore, model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kale_serve_ext.stores.file import FileStore;"
        "print(FileStore(Path(sys.argv[1])).put(Path(sys.argv[2])).digest)"
    )
    command = [sys.executable, "-c", code, str(store.root), str(model)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = {process.communicate(timeout=60)[0].strip() for process in running}
    assert answers == {digest_of(model)}
    assert kept(store) == [digest_of(model).removeprefix("sha256:")]
    assert staged(store) == []


_BIG = 2 << 30


def test_two_gigabytes_take_no_memory_to_speak_of(store: FileStore, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    with (big / "weights").open("wb") as file:
        file.write(b"start")
        file.truncate(_BIG)
    code = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from kale_serve_ext.stores.file import FileStore
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        snapshot = FileStore(Path(sys.argv[1])).put(Path(sys.argv[2]))
        print(snapshot.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", code, store.root, big], check=True, capture_output=True, text=True, timeout=150
    )
    size, added_kib = map(int, ran.stdout.split())
    assert size == _BIG
    assert added_kib < 100 * 1024
    (copied,) = (store.root / "sha256").glob("*/weights")
    assert copied.stat().st_blocks * 512 < 64 << 20, "the holes of a sparse file were filled"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs the right to mount a small one: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_leaves_nothing(tiny_disk: Path, tmp_path: Path) -> None:
    store = FileStore(tiny_disk / "store")
    big = tmp_path / "big"
    big.write_bytes(os.urandom(2 << 20))
    with pytest.raises(StorageFullError, match="No space") as caught:
        store.put(big)
    assert "KALE_SERVE_STORE" in caught.value.hint
    with pytest.raises(StorageFullError), store.workspace() as workspace:
        (workspace / "x").write_bytes(bytes(2 << 20))
    assert (kept(store), staged(store)) == ([], [])
    assert store.health()[:2] == ("error", f"The disk of {store.root} is full.")
    small = tmp_path / "small"
    small.write_bytes(b"x")
    store.put(small)


_LIMITED = """
import resource, sys
from pathlib import Path
from kale_serve_ext.errors import StorageFullError
from kale_serve_ext.stores.file import FileStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    FileStore(Path(sys.argv[1])).put(Path(sys.argv[2]))
except StorageFullError:
    print("told")
"""


def test_a_file_over_the_quota_is_told_and_leaves_nothing(store: FileStore, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(2 << 20))
    ran = subprocess.run([sys.executable, "-c", _LIMITED, store.root, big], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "told"
    assert (kept(store), staged(store)) == ([], [])


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path, model: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = FileStore(tmp_path / "file" / "store")
    with pytest.raises(BackendUnavailableError, match="cannot be used"):
        store.put(model)
    assert store.health()[0] == "error"
    unwritable = FileStore(Path("/proc/kale-serve-ext"))
    with pytest.raises(KaleServeError) as caught:
        unwritable.put(model)
    assert "KALE_SERVE_STORE" in caught.value.hint


def test_a_store_without_permission_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        child = os.fork()
        if child == 0:  # permissions bind nobody who is root: try as somebody else
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                FileStore(folder / "store").put(Path("/etc/passwd"))
            except PermissionDeniedError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://bucket/sha256/" + "0" * 64,
        "file:///etc",
        "file:///etc/passwd",
        "file:///store/sha256/" + "0" * 63,
        "file:///store/sha256/../" + "0" * 64,
        "file:///a/%2e%2e/sha256/" + "0" * 64,
        "file://host/store/sha256/" + "0" * 64,
        "file:store/sha256/" + "0" * 64,
    ],
)
def test_only_uris_of_snapshots_are_followed(store: FileStore, uri: str) -> None:
    with pytest.raises(InvalidInputError):
        store.path(uri)


def test_the_setting_names_the_store(settings: Settings, tmp_path: Path, model: Path) -> None:
    default = open_store(settings).put(model)
    assert default.uri.startswith((settings.data_dir / "snapshots").as_uri())
    elsewhere = open_store(replace(settings, store=(tmp_path / "a b").as_uri()))
    assert elsewhere.health() == ("ready", "", "")
    assert elsewhere.put(model).uri.startswith("file:///")
    # What was recorded before the setting changed is still found.
    elsewhere.verify(default.uri, default.digest)
    for wrong in ("s3://x", "file://host/x", "nonsense", "file:relative"):
        with pytest.raises(InvalidInputError, match="store"):
            open_store(replace(settings, store=wrong))


def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path) -> None:
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    for command in (["mkfs.xfs", "-q", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"sharing blocks needs an XFS file system to try it on: {error}")
    try:
        (folder / "weights").write_bytes(os.urandom(32 << 20))
        os.sync()
        before = os.statvfs(folder).f_bfree
        copy(folder / "weights", folder / "copied")
        os.sync()
        vfs = os.statvfs(folder)
        assert (before - vfs.f_bfree) * vfs.f_frsize < 8 << 20
        assert (folder / "copied" / "weights").read_bytes() == (folder / "weights").read_bytes()
    finally:
        subprocess.run(["umount", folder], check=True)
