"""The engine's environment: whole or not there, made once however many want it, and clear words where it cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.errors import BackendUnavailableError, MetadataUnavailableError
from kale_serve_ext.metadata import environment, open_metadata
from kale_serve_ext.metadata.pythons import FoundPython, find_python, probe, wheel_for, why_none
from tests.metadata.conftest import NOTEBOOK, alive, model, until

_ENSURE = """
import asyncio
from kale_serve_ext.config import Settings
from kale_serve_ext.metadata.environment import ensure_environment
print(asyncio.run(ensure_environment(Settings.from_environ(), lambda text: print(text, flush=True))))
"""


@pytest.fixture
def bare(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a user who has no environment for the engine yet."""
    monkeypatch.delenv("KALE_SERVE_METADATA_PYTHON")
    return replace(settings, metadata_python="")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package index answers, whatever installs."""
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


def test_an_interrupted_one_is_made_anew_and_a_race_makes_one(bare: Settings) -> None:
    folder = environment.environment_dir(bare)
    metadata = open_metadata(bare)
    assert asyncio.run(metadata.health())[0] == "missing"

    # Killed in the middle, with all its children: a half-made environment stays behind and is never used.
    first = subprocess.Popen([sys.executable, "-c", _ENSURE], stdout=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: (folder / "bin" / "python").exists(), "the environment to be begun")
    state, message, _ = asyncio.run(metadata.health())
    assert state == "installing"
    assert "metadata engine" in message
    first.kill()
    first.communicate()
    assert not (folder / "complete.json").exists()
    assert environment.ready_python(bare) is None
    until(lambda: asyncio.run(metadata.health())[0] == "missing", "the lock to be let go")
    (folder / "trace").write_text("of the first attempt")

    # Three at once: one makes it, the others wait and use it.
    racers = [subprocess.Popen([sys.executable, "-c", _ENSURE], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [racer.communicate(timeout=170)[0].strip().splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 3, told
    assert {lines[-1] for lines in told} == {environment.ready_python(bare)}
    assert sum(any("fetching" in line for line in lines) for lines in told) == 1
    assert not (folder / "trace").exists()

    # And it works, as the user gets it.
    made = asyncio.run(metadata.put_artifact(model(), provenance=NOTEBOOK))
    assert made.version == "1"
    asyncio.run(metadata.close())

    # A marker of another kind, or one whose Python is gone, does not count.
    (folder / "complete.json").write_text(json.dumps({"version": "1.17.1", "layout": "0"}))
    assert environment.ready_python(bare) is None


def test_an_interrupt_ends_the_installer_too(bare: Settings) -> None:
    """Ctrl-C in the notebook cancels the call; pip must not go on in the background."""

    async def work() -> set[int]:
        import psutil

        def helpers() -> set[int]:
            return {child.pid for child in psutil.Process().children(recursive=True)}

        def at_work() -> bool:
            # Between two of the installer's steps there is no process for a moment.
            found.update(helpers() - others)
            return python.exists() and bool(found)

        # Those of other tests, such as joblib's resource tracker, live as long as this process.
        others, found = helpers(), set[int]()
        task = asyncio.ensure_future(environment.ensure_environment(bare))
        python = environment.environment_dir(bare) / "bin" / "python"
        await asyncio.to_thread(until, at_work, "the installer to be at work")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert environment.making(bare).state == "missing"
        return found

    children = asyncio.run(work())
    until(lambda: not any(alive(pid) for pid in children), "the installer to end")


def test_offline_the_message_says_what_to_do(bare: Settings, offline: None) -> None:
    metadata = open_metadata(bare)
    said: list[str] = []
    with pytest.raises(MetadataUnavailableError) as error:
        asyncio.run(environment.ensure_environment(bare, said.append))
    assert "ml-metadata" in str(error.value)
    assert "kale-serve-ext setup" in error.value.hint
    assert "KALE_SERVE_METADATA_PYTHON" in error.value.hint
    assert len(error.value.message) < 1000
    assert said
    state, message, hint = asyncio.run(metadata.health())
    assert (state, message, hint) == ("error", error.value.message, error.value.hint)
    assert environment.ready_python(bare) is None


def test_a_server_does_not_wait_for_the_installation(bare: Settings, offline: None) -> None:
    metadata = open_metadata(bare, background=True)

    async def work() -> None:
        with pytest.raises(MetadataUnavailableError, match="being installed"):
            await asyncio.wait_for(metadata.artifact(1), 5)
        end = time.monotonic() + 60
        while (await metadata.health())[0] in ("installing", "missing"):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        assert (await metadata.health())[0] == "error"
        await metadata.close()

    asyncio.run(work())


def test_a_named_python_is_used_as_it_is(settings: Settings) -> None:
    assert asyncio.run(environment.ensure_environment(settings)) == settings.metadata_python
    near = os.path.relpath(settings.metadata_python)
    assert environment.ready_python(replace(settings, metadata_python=near)) == settings.metadata_python
    for wrong in ("/no/such/python", str(settings.data_dir.parent)):
        with pytest.raises(MetadataUnavailableError, match="does not exist"):
            environment.ready_python(replace(settings, metadata_python=wrong))


def test_the_wheel_in_the_running_environment_is_used_there(
    bare: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "ml_metadata").mkdir(parents=True)
    (tmp_path / "site" / "ml_metadata" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert environment.ready_python(bare) == sys.executable


def _linux(minor: int, glibc: str = "2.36", machine: str = "x86_64") -> FoundPython:
    return FoundPython("/usr/bin/python3", (3, minor), "Linux", machine, libc=("glibc", glibc))


@pytest.mark.parametrize(
    ("python", "wheel"),
    [
        (_linux(8), None),
        *((_linux(minor), "1.17.1") for minor in (9, 10, 11)),
        *((_linux(minor), None) for minor in (12, 13, 14)),
        (_linux(9, "2.39"), "1.17.1"),
        *((_linux(minor, "2.39"), "1.21.0") for minor in (10, 11, 12, 13)),
        (_linux(13, "2.41"), "1.21.0"),
        (_linux(14, "2.41"), None),
        (_linux(11, "2.12"), None),
        (_linux(11, "2.41", "aarch64"), None),
        (FoundPython("", (3, 11), "Linux", "x86_64", libc=("", "")), None),
        (FoundPython("", (3, 11), "Linux", "x86_64", "pypy", libc=("glibc", "2.39")), None),
        (FoundPython("", (3, 13), "Linux", "x86_64", libc=("glibc", "2.39"), free_threaded=True), None),
        (FoundPython("", (3, 12), "Darwin", "arm64", macos="14.1"), "1.21.0"),
        (FoundPython("", (3, 9), "Darwin", "arm64", macos="14.1"), None),
        (FoundPython("", (3, 12), "Darwin", "x86_64", macos="14.1"), None),
        (FoundPython("", (3, 11), "Windows", "amd64"), None),
    ],
)
def test_which_wheel_fits(python: FoundPython, wheel: str | None) -> None:
    assert wheel_for(python) == wheel


@pytest.mark.parametrize(
    ("python", "says", "advises"),
    [
        (_linux(13), "Python 3.13", "Install Python 3.11"),
        (_linux(11, machine="aarch64"), "Linux on aarch64", "KALE_SERVE_METADATA=grpc://"),
        (FoundPython("", (3, 11), "Linux", "x86_64", libc=("", "")), "without glibc", "KALE_SERVE_METADATA=grpc://"),
        (FoundPython("", (3, 11), "Windows", "amd64"), "Windows", "KALE_SERVE_METADATA=grpc://"),
    ],
)
def test_why_there_is_none_in_one_sentence(python: FoundPython, says: str, advises: str) -> None:
    message, hint = why_none(python)
    assert says in message
    assert advises in hint
    assert message.count(". ") == 0
    # What could not help is not advised.
    assert ("Install Python" in hint) == (python.machine == "x86_64" and python.libc[0] == "glibc")


def test_the_running_python_tells_what_it_is() -> None:
    running = asyncio.run(probe(sys.executable))
    assert running is not None
    assert running.version == sys.version_info[:2]
    assert asyncio.run(probe("/no/such/python")) is None
    assert asyncio.run(probe("/bin/false")) is None
    base, same = asyncio.run(find_python())
    assert same == running
    if wheel_for(running):
        assert base == running


def test_an_older_python_is_found_where_the_running_one_has_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata_python: str
) -> None:
    """The first of PATH that answers and fits; what hangs, fails or is too new is passed over."""
    base = subprocess.run(
        [metadata_python, "-c", "import sys; print(sys.base_prefix, *sys.version_info[:2])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    real = Path(base[0]) / "bin" / f"python{base[1]}.{base[2]}"
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python3.13").chmod(0o755)
    (tmp_path / f"python{base[1]}.{base[2]}").symlink_to(real)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    newer = tmp_path / "newer"
    newer.write_text(
        '#!/bin/sh\necho \'{"version": [3, 14], "implementation": "cpython", "system": "Linux", "machine":'
        ' "x86_64", "libc": ["glibc", "2.36"], "macos": "", "free_threaded": false}\'\n'
    )
    newer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(newer))
    found, running = asyncio.run(find_python())
    assert running.version == (3, 14)
    assert found is not None
    assert wheel_for(found)
    assert os.path.realpath(found.path) != os.path.realpath(newer)


def test_no_python_and_no_uv_is_said_in_one_sentence(bare: Settings, tmp_path: Path) -> None:
    """On a machine of another kind: every interpreter says that it is an arm64 one."""
    fake = tmp_path / "python3"
    fake.write_text(
        '#!/bin/sh\necho \'{"version": [3, 12], "implementation": "cpython", "system": "Linux", "machine":'
        ' "aarch64", "libc": ["glibc", "2.36"], "macos": "", "free_threaded": false}\'\n'
    )
    fake.chmod(0o755)
    code = f"""if True:
        import asyncio, sys
        from kale_serve_ext.config import Settings
        from kale_serve_ext.errors import BackendUnavailableError, MetadataUnavailableError
        from kale_serve_ext.metadata import environment, pythons
        sys.executable = {str(fake)!r}
        pythons.candidates = lambda: iter([])
        try:
            asyncio.run(environment.ensure_environment(Settings.from_environ()))
        except MetadataUnavailableError as error:
            print(error)
    """
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(told) == 2
    assert "no wheel for Linux on aarch64" in told[0]
    assert "KALE_SERVE_METADATA=grpc://" in told[1]


def test_a_killed_installer_is_seen_as_such(bare: Settings) -> None:
    """Health reads the lock, which the system lets go, not a note that a dead process could not take back."""
    folder = environment.environment_dir(bare)
    holder = subprocess.Popen([sys.executable, "-c", _ENSURE], stdout=subprocess.PIPE, start_new_session=True)
    until(folder.with_name(f"{folder.name}.json").exists, "the installer to begin")
    assert environment.making(bare).state == "installing"
    os.killpg(holder.pid, signal.SIGKILL)
    holder.communicate()
    until(lambda: environment.making(bare).state == "missing", "the lock to be let go")
    assert folder.with_name(f"{folder.name}.json").exists()


def test_a_data_folder_that_cannot_be_made_is_named(settings: Settings) -> None:
    nowhere = replace(settings, data_dir=Path("/proc/nowhere"), metadata_python="")
    with pytest.raises(BackendUnavailableError, match="/proc/nowhere") as error:
        asyncio.run(environment.ensure_environment(nowhere))
    assert "KALE_SERVE_DATA_DIR" in error.value.hint
