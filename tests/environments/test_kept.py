"""A test is skipped for an environment that this machine cannot have, and fails for one that is broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Environment
from kale_serve_ext.environments.pythons import FoundPython, why_none
from kale_serve_ext.environments.records.mlserver import MLSERVER
from kale_serve_ext.environments.records.triton import TRITON
from kale_serve_ext.errors import EnvironmentUnavailableError
from tests.kept import is_beyond_this_machine


def failure(settings: Settings, env: Environment) -> EnvironmentUnavailableError:
    with pytest.raises(EnvironmentUnavailableError) as caught:
        asyncio.run(environments.ensure(settings, env))
    return caught.value


@pytest.mark.parametrize(
    ("env", "python"),
    [
        (MLSERVER, FoundPython("", (3, 11), "Linux", "x86_64", libc=("", ""))),
        (MLSERVER, FoundPython("", (3, 9), "Linux", "x86_64", libc=("glibc", "2.36"))),
        (TRITON, FoundPython("", (3, 14), "Linux", "x86_64", libc=("glibc", "2.36"))),
    ],
)
def test_a_system_without_wheels_is_a_reason_to_skip(env: Environment, python: FoundPython) -> None:
    assert is_beyond_this_machine(EnvironmentUnavailableError(why_none(env, python)[0]))


def test_a_python_without_its_shared_library_is_a_reason_to_skip(settings: Settings, tiny: Environment) -> None:
    said = "import sys; sys.exit('/usr/bin/python3 has no shared library /usr/lib/libpython3.11.so.1.0')"
    assert is_beyond_this_machine(failure(settings, replace(tiny, smoke=said)))


def test_being_offline_is_a_reason_to_skip(settings: Settings, tiny: Environment, offline: None) -> None:
    assert is_beyond_this_machine(failure(settings, replace(tiny, requirements=("tinypackage>=2",))))


def test_a_version_that_the_index_does_not_have_is_none(
    settings: Settings, tiny: Environment, index: list[str]
) -> None:
    assert not is_beyond_this_machine(failure(settings, replace(tiny, requirements=("tinypackage>=2",))))
    assert index


def test_a_failing_smoke_test_is_none(settings: Settings, tiny: Environment) -> None:
    assert not is_beyond_this_machine(failure(settings, replace(tiny, smoke="import nowhere")))
