"""An environment is whole or not there, is made once however many want it, and says what to do where it cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Base, Environment, Ready, installers
from kale_serve_ext.errors import BackendUnavailableError, ConflictError, EnvironmentUnavailableError, NotFoundError
from kale_serve_ext.locks import locked
from tests.disks import fill, read_only, small_disk
from tests.environments.conftest import begin, version_in, write_wheel
from tests.metadata.conftest import alive, until


@pytest.fixture
def place(settings: Settings, tiny: Environment) -> Path:
    return environments.folder(settings, tiny)


def make(settings: Settings, env: Environment, base: Base | None = None) -> Ready:
    return asyncio.run(environments.ensure(settings, env, base=base))


def state(settings: Settings, env: Environment) -> str:
    return environments.state(settings, env).state


def test_it_is_made_once_and_then_used_as_it_is(settings: Settings, tiny: Environment, place: Path) -> None:
    said: list[str] = []
    assert environments.state(settings, tiny) == environments.State("missing", megabytes=1)

    made = asyncio.run(environments.ensure(settings, tiny, said.append))

    assert made == environments.ready(settings, tiny)
    assert (made.folder, made.python) == (place, str(place / "bin" / "python"))
    assert (made.version, version_in(made.python)) == ("1.5", "1.5")
    assert [line.partition(": ")[0] for line in said] == ["Installing the tiny server"] * 3
    assert environments.state(settings, tiny) == environments.State(
        "ready", version="1.5", megabytes=made.megabytes or 1
    )
    before = (place / "complete.json").stat()
    assert make(settings, tiny) == made
    assert (place / "complete.json").stat() == before


def test_the_running_environment_does_not_leak_into_it(
    settings: Settings, tiny: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tinypackage.py").write_text("__version__ = 'another'")
    (other / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.setenv("PYTHONPATH", str(other))
    monkeypatch.setenv("PIP_TARGET", str(other / "target"))
    monkeypatch.setenv("PIP_CONSTRAINT", str(other / "no-such-file"))
    monkeypatch.setenv("UV_CONSTRAINT", str(other / "no-such-file"))
    assert make(settings, tiny).version == "1.5"
    assert not (other / "target").exists()


@pytest.mark.parametrize("by", ["uv, told by pip", "uv alone", "pip"])
def test_an_index_is_asked_unless_pips_settings_say_otherwise(
    settings: Settings, tiny: Environment, index: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "uv alone":
        monkeypatch.setattr(installers, "_pip_version", tuple)
    if by == "pip":
        monkeypatch.setattr(installers, "find_uv", lambda: None)
    wanted = replace(tiny, requirements=("tinypackage",))
    assert make(settings, wanted).version == "1.5"
    assert index
    index.clear()
    other = replace(wanted, name="other")
    monkeypatch.setenv("PIP_NO_INDEX", "true")
    with pytest.raises(EnvironmentUnavailableError, match="tinypackage"):
        make(settings, other)
    # A folder beside where the user is.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", "index")
    assert make(settings, other).version == "1.5"
    assert index == []


def test_what_lies_in_the_current_folder_is_not_run(
    settings: Settings, tiny: Environment, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    told = replace(tiny, smoke="import os, tinypackage; print(os.getcwd())")
    assert make(settings, told).version == str(place.parent)


def test_an_interrupted_one_is_made_anew_and_a_race_makes_one(
    settings: Settings, tiny: Environment, place: Path
) -> None:
    # Killed in the middle, with all its children: a half-made environment stays behind and is never used.
    first = begin(tiny)
    until(place.exists, "the environment to be begun")
    os.killpg(first.pid, signal.SIGSTOP)
    assert state(settings, tiny) == "installing"
    assert "the tiny server" in environments.state(settings, tiny).message
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert environments.ready(settings, tiny) is None
    until(lambda: state(settings, tiny) == "missing", "the lock to be let go")
    place.mkdir(exist_ok=True)
    (place / "trace").write_text("of the first attempt")

    # Three at once: one makes it, the others wait and use it.
    racers = [begin(tiny) for _ in range(3)]
    told = [racer.communicate(timeout=100)[0].strip().splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 3, told
    made = environments.ready(settings, tiny)
    assert made is not None
    assert {lines[-1] for lines in told} == {made.python}
    assert sum(any("fetching" in line for line in lines) for lines in told) == 1
    assert not (place / "trace").exists()


def test_an_interrupt_ends_the_installer_and_leaves_nothing(settings: Settings, tiny: Environment, place: Path) -> None:
    """Ctrl-C in the notebook cancels the call; the installer must not go on in the background."""
    slow = replace(tiny, smoke="import time; time.sleep(600)")

    async def work() -> set[int]:
        # Those of other tests, such as joblib's resource tracker, live as long as this process.
        others = {child.pid for child in psutil.Process().children(recursive=True)}

        def checking() -> bool:
            return "checking" in environments.state(settings, slow).message

        task = asyncio.ensure_future(environments.ensure(settings, slow))
        await asyncio.to_thread(until, checking, "the installer to be at work")
        found = {child.pid for child in psutil.Process().children(recursive=True)} - others
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return found

    children = asyncio.run(work())
    until(lambda: not any(alive(pid) for pid in children), "the installer to end")
    assert state(settings, tiny) == "missing"
    assert not place.exists()


def test_offline_the_message_says_what_to_do(settings: Settings, tiny: Environment, place: Path, offline: None) -> None:
    away = replace(tiny, requirements=("tinypackage>=2",))
    with pytest.raises(EnvironmentUnavailableError, match="The tiny server could not be installed") as error:
        make(settings, away)
    assert "tinypackage" in error.value.message
    assert "`kale-serve-ext setup tiny`" in error.value.hint
    assert tiny.otherwise in error.value.hint
    assert len(error.value.message) < 1000
    # It stays told until it is tried again, and nothing is left of it.
    told = environments.state(settings, away)
    assert (told.state, told.message, told.hint) == ("failed", error.value.message, error.value.hint)
    assert not place.exists()
    make(settings, tiny)
    assert state(settings, tiny) == "ready"


def test_what_cannot_be_imported_is_not_used(settings: Settings, tiny: Environment, place: Path) -> None:
    with pytest.raises(EnvironmentUnavailableError, match=r"import it.*No module named 'nowhere'") as error:
        make(settings, replace(tiny, smoke="import nowhere"))
    assert tiny.instead in error.value.hint
    assert not place.exists()


def test_an_outdated_one_is_made_anew(settings: Settings, tiny: Environment, place: Path, tmp_path: Path) -> None:
    make(settings, tiny)
    (place / "trace").write_text("of the earlier release")
    wheel = write_wheel(tmp_path, "2.0")
    newer = replace(tiny, revision="2", requirements=(f"tinypackage @ {wheel.as_uri()}",))

    assert environments.ready(settings, newer) is None
    told = environments.state(settings, newer)
    assert (told.state, told.version) == ("outdated", "1.5")

    assert version_in(make(settings, newer).python) == "2.0"
    assert not (place / "trace").exists()
    assert state(settings, tiny) == "outdated"


def test_an_outdated_one_is_kept_while_something_runs_in_it(settings: Settings, tiny: Environment, place: Path) -> None:
    old = make(settings, tiny)
    newer = replace(tiny, revision="2")
    with subprocess.Popen([old.python, "-c", "input()"], stdin=subprocess.PIPE) as running:
        with pytest.raises(EnvironmentUnavailableError, match=f"in use by process {running.pid} ") as error:
            make(settings, newer)
        assert "`kale-serve-ext setup tiny`" in error.value.hint
        assert version_in(old.python) == "1.5"
        assert (state(settings, newer), state(settings, tiny)) == ("outdated", "ready")
        running.communicate(b"\n")
    make(settings, newer)
    assert state(settings, newer) == "ready"


@pytest.mark.parametrize("marker", ["", "[]", '{"version": "1.5"}', '{"version": 1, "layout": "1"}'])
def test_a_damaged_marker_does_not_count(settings: Settings, tiny: Environment, place: Path, marker: str) -> None:
    make(settings, tiny)
    (place / "complete.json").write_text(marker)
    assert state(settings, tiny) == "missing"
    assert make(settings, tiny).version == "1.5"


def test_one_whose_python_is_gone_does_not_count(settings: Settings, tiny: Environment, place: Path) -> None:
    make(settings, tiny)
    (place / "bin" / "python").unlink()
    assert state(settings, tiny) == "missing"
    assert version_in(make(settings, tiny).python) == "1.5"


def test_it_is_removed_and_nothing_is_left(settings: Settings, tiny: Environment, place: Path) -> None:
    assert asyncio.run(environments.remove(settings, tiny)) is False
    make(settings, tiny)
    assert asyncio.run(environments.remove(settings, tiny)) is True
    assert list(place.parent.iterdir()) == []
    assert state(settings, tiny) == "missing"
    # A failure is forgotten with it.
    with pytest.raises(EnvironmentUnavailableError):
        make(settings, replace(tiny, smoke="import nowhere"))
    assert asyncio.run(environments.remove(settings, tiny)) is True
    assert state(settings, tiny) == "missing"


def test_what_is_being_made_is_not_removed(
    settings: Settings, tiny: Environment, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_serve_ext.environments.making._REMOVING", 0.2)
    make(settings, tiny)
    with locked(place.with_name(f"{place.name}.lock"), timeout=5):
        with pytest.raises(ConflictError, match="by another process"):
            asyncio.run(environments.remove(settings, tiny))
        assert state(settings, tiny) == "ready"


def test_a_removal_that_is_interrupted_leaves_no_marker(
    settings: Settings, tiny: Environment, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(settings, tiny)

    def interrupted(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("kale_serve_ext.environments.making.shutil.rmtree", interrupted)
        with pytest.raises(EnvironmentUnavailableError, match="could not be removed"):
            asyncio.run(environments.remove(settings, tiny))
    assert place.exists()
    assert state(settings, tiny) == "missing"
    assert version_in(make(settings, tiny).python) == "1.5"


class TestOverlay:
    @pytest.fixture
    def overlay(self, tiny: Environment) -> Environment:
        return replace(tiny, kind="overlay", requirements=(), without_dependencies=tiny.requirements)

    def test_its_packages_lie_beside_the_given_interpreter(self, settings: Settings, overlay: Environment) -> None:
        made = make(settings, overlay)
        assert made.python == sys.executable
        assert f"tiny-cp{sys.version_info[0]}{sys.version_info[1]}-" in made.folder.name
        assert (made.folder / "tinypackage.py").is_file()
        assert environments.ready(settings, overlay) == made
        # A link of another name is another interpreter, and the same version: the folder is theirs together.
        same = Base("/elsewhere/python", (sys.version_info[0], sys.version_info[1]))
        assert environments.ready(settings, overlay, same) is None
        other = Base(sys.executable, (3, 99))
        assert environments.ready(settings, overlay, other) is None
        assert environments.folder(settings, overlay, other) != made.folder

        assert asyncio.run(environments.remove(settings, overlay)) is True
        assert list(made.folder.parent.iterdir()) == []

    def test_an_interpreter_that_does_not_fit_is_named(self, settings: Settings, overlay: Environment) -> None:
        (here,) = overlay.platforms
        with pytest.raises(EnvironmentUnavailableError, match=r"cannot run with .*Python 3\.99") as error:
            make(settings, replace(overlay, platforms=(replace(here, minors=((3, 99),)),)))
        assert sys.executable in error.value.message
        with pytest.raises(EnvironmentUnavailableError, match="/bin/false does not answer"):
            make(settings, overlay, Base("/bin/false", (3, 11)))


class TestDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        with small_disk(tmp_path / "disk", "4m") as folder:
            yield folder

    @pytest.mark.parametrize("is_full_from", ["the start", "the packages"])
    def test_a_full_one_is_told_and_given_its_room_back(
        self, settings: Settings, tiny: Environment, disk: Path, tmp_path: Path, is_full_from: str
    ) -> None:
        on_disk = replace(settings, data_dir=disk / "data")
        (disk / "data" / "environments").mkdir(parents=True)
        if is_full_from == "the start":
            filler = fill(disk)
        else:
            filler = disk / "filler"
            filler.write_bytes(bytes(3 * 2**20))
            big = write_wheel(tmp_path, "3.0", os.urandom(2**20).hex())
            tiny = replace(tiny, requirements=(f"tinypackage @ {big.as_uri()}",))
        with pytest.raises(EnvironmentUnavailableError, match=r"(?i)no space left") as error:
            make(on_disk, tiny)
        assert "Free about 1 MB" in error.value.hint
        assert not environments.folder(on_disk, tiny).exists()
        filler.unlink()
        make(on_disk, replace(tiny, requirements=(f"tinypackage @ {write_wheel(tmp_path, '1.5').as_uri()}",)))
        assert state(on_disk, tiny) == "ready"

    def test_a_read_only_one_is_told_and_what_is_there_is_used(
        self, settings: Settings, tiny: Environment, disk: Path
    ) -> None:
        on_disk = replace(settings, data_dir=disk / "data")
        made = make(on_disk, tiny)
        other = replace(tiny, name="other")
        with read_only(disk):
            assert make(on_disk, tiny) == made
            with pytest.raises(EnvironmentUnavailableError, match="Read-only") as error:
                make(on_disk, other)
            assert "writable" in error.value.hint
            with pytest.raises(EnvironmentUnavailableError, match="could not be removed"):
                asyncio.run(environments.remove(on_disk, tiny))
            assert state(on_disk, tiny) == "ready"
            assert state(on_disk, replace(tiny, revision="2")) == "outdated"


def test_a_data_folder_that_cannot_be_made_is_named(settings: Settings, tiny: Environment) -> None:
    with pytest.raises(BackendUnavailableError, match="/proc/nowhere") as error:
        make(replace(settings, data_dir=Path("/proc/nowhere")), tiny)
    assert "KALE_SERVE_DATA_DIR" in error.value.hint


def test_a_machine_without_wheels_is_told(settings: Settings, tiny: Environment) -> None:
    (here,) = tiny.platforms
    with pytest.raises(EnvironmentUnavailableError, match=f"no wheels for {platform.system()}") as error:
        make(settings, replace(tiny, platforms=(replace(here, machines=("sparc",)),)))
    assert error.value.hint == tiny.instead


def test_records_are_known_by_name_and_others_bring_theirs(registered: Environment) -> None:
    assert [one.name for one in environments.all()][:2] == ["metadata", "mlserver"]
    assert environments.by_name("tiny") is registered
    environments.register(replace(registered))
    with pytest.raises(ConflictError, match="'tiny' already"):
        environments.register(replace(registered, title="Another"))
    with pytest.raises(NotFoundError, match="'nowhere'") as error:
        environments.by_name("nowhere")
    assert ", ".join(one.name for one in environments.all()) in error.value.hint


def test_a_program_that_only_looks_loads_little() -> None:
    """The supervisor of a local service asks whether an environment is ready."""
    code = "import sys, json; import kale_serve_ext.environments; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    assert not {"pydantic", "httpx", "grpc", "kserve", "numpy", "tornado"} & set(loaded)
