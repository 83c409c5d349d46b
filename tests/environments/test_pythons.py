"""Which Python an environment is made from, and the sentence where there is none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.environments import Environment, Platform
from kale_serve_ext.environments.pythons import FoundPython, choose, platform_of, probe, why_none
from kale_serve_ext.environments.records.metadata import METADATA
from kale_serve_ext.environments.records.mlserver import MLSERVER


def _linux(minor: int, glibc: str = "2.36", machine: str = "x86_64") -> FoundPython:
    return FoundPython("/usr/bin/python3", (3, minor), "Linux", machine, libc=("glibc", glibc))


_MUSL = FoundPython("", (3, 11), "Linux", "x86_64", libc=("", ""))


@pytest.mark.parametrize(
    ("python", "fits"),
    [
        (_linux(8), False),
        *((_linux(minor), True) for minor in (9, 10, 11)),
        *((_linux(minor), False) for minor in (12, 13, 14)),
        (_linux(9, "2.39"), True),
        *((_linux(minor, "2.39"), True) for minor in (10, 11, 12, 13)),
        (_linux(13, "2.41"), True),
        (_linux(14, "2.41"), False),
        (_linux(11, "2.12"), False),
        (_linux(11, "2.41", "aarch64"), False),
        (_MUSL, False),
        (FoundPython("", (3, 11), "Linux", "x86_64", "pypy", libc=("glibc", "2.39")), False),
        (FoundPython("", (3, 13), "Linux", "x86_64", libc=("glibc", "2.39"), free_threaded=True), False),
        (FoundPython("", (3, 12), "Darwin", "arm64", macos="14.1"), True),
        (FoundPython("", (3, 9), "Darwin", "arm64", macos="14.1"), False),
        (FoundPython("", (3, 12), "Darwin", "x86_64", macos="14.1"), False),
        (FoundPython("", (3, 11), "Windows", "amd64"), False),
    ],
)
def test_where_the_metadata_engine_has_wheels(python: FoundPython, fits: bool) -> None:
    assert (platform_of(METADATA, python) is not None) == fits


@pytest.mark.parametrize(
    ("python", "by"),
    [
        *((_linux(minor), "pip") for minor in (10, 11, 12)),
        (_linux(13), "uv"),
        (_linux(14), ""),
        (_linux(12, "2.27"), ""),
        (_linux(12, machine="aarch64"), "pip"),
        (_MUSL, ""),
        (FoundPython("", (3, 12), "Darwin", "arm64", macos="14.1"), "pip"),
    ],
)
def test_where_mlserver_has_wheels_and_who_installs_them(python: FoundPython, by: str) -> None:
    found = platform_of(MLSERVER, python)
    assert by == ("" if found is None else "uv" if python.version in found.by_uv else "pip")


@pytest.mark.parametrize(
    ("env", "python", "says", "advises"),
    [
        (METADATA, _linux(13), "Python 3.13 on this system (glibc 2.36)", "Install Python 3.11, or uv"),
        (METADATA, _linux(11, machine="aarch64"), "Linux on aarch64", "KALE_SERVE_METADATA=grpc://"),
        (METADATA, _MUSL, "without glibc", "KALE_SERVE_METADATA=grpc://"),
        (METADATA, FoundPython("", (3, 11), "Windows", "amd64"), "Windows", "KALE_SERVE_METADATA=grpc://"),
        (MLSERVER, _linux(9), "Python 3.9", "Install Python 3.12, or uv, and run `kale-serve-ext setup mlserver`"),
        (MLSERVER, _linux(11, "2.17"), "Linux on x86_64 with glibc 2.17", "KServe's own servers"),
    ],
)
def test_why_there_is_none_in_one_sentence(env: Environment, python: FoundPython, says: str, advises: str) -> None:
    message, hint = why_none(env, python)
    assert says in message
    assert advises in hint
    assert message.startswith(env.capitalized)
    assert message.count(". ") == 0
    # What could not help is not advised.
    assert ("Install Python" in hint) == ("Pythons found here" in message)


def test_the_running_python_tells_what_it_is() -> None:
    running = asyncio.run(probe(sys.executable))
    assert running is not None
    assert running.version == sys.version_info[:2]
    assert asyncio.run(probe("/no/such/python")) is None
    assert asyncio.run(probe("/bin/false")) is None


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> FoundPython:
    """The interpreter of these tests; no other one of this machine is found."""
    monkeypatch.setattr("kale_serve_ext.environments.pythons.candidates", lambda _: iter([]))
    found = asyncio.run(probe(sys.executable))
    assert found is not None
    return found


def _made_for(python: FoundPython, *, minors: list[int], by_uv: list[int] | None = None) -> Environment:
    """An environment for this system, and for these Pythons as far from the running one."""
    versions = [(3, python.version[1] + one) for one in minors]
    more = [(3, python.version[1] + one) for one in by_uv or []]
    here = Platform(python.system, (python.machine,), (1,), tuple(versions), tuple(more))
    return Environment("tiny", "Tiny", "For tests.", (here,), 1, "print(1)", "1")


def test_the_running_python_comes_before_one_that_uv_would_get(running: FoundPython) -> None:
    chosen, same = asyncio.run(choose(_made_for(running, minors=[1, 0]), "uv"))
    assert chosen is not None
    assert (same, chosen.python, chosen.only_uv) == (running, running, False)


def test_one_that_only_uv_installs_for_comes_before_one_that_uv_would_get(running: FoundPython) -> None:
    env = _made_for(running, minors=[1], by_uv=[0])
    chosen, _ = asyncio.run(choose(env, "uv"))
    assert chosen is not None
    assert (chosen.python, chosen.only_uv) == (running, True)
    assert asyncio.run(choose(env, None))[0] is None


def test_uv_gets_the_preferred_one_where_there_is_none(running: FoundPython) -> None:
    env = _made_for(running, minors=[2, 1])
    chosen, _ = asyncio.run(choose(env, "uv"))
    assert chosen is not None
    assert (chosen.python, chosen.fetched) == (None, f"3.{running.version[1] + 2}")
    assert asyncio.run(choose(env, None))[0] is None


def test_on_another_kind_of_machine_uv_gets_none(running: FoundPython) -> None:
    env = _made_for(replace(running, machine="sparc"), minors=[0])
    assert asyncio.run(choose(env, "uv"))[0] is None


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
    chosen, found = asyncio.run(choose(METADATA, None))
    assert found.version == (3, 14)
    assert chosen is not None
    assert chosen.python is not None
    assert platform_of(METADATA, chosen.python)
    assert os.path.realpath(chosen.python.path) != os.path.realpath(newer)
