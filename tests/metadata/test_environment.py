"""The engine's environment as the metadata's callers meet it; how one is made is tested in ``tests/environments``."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.environments.records.metadata import METADATA
from kale_serve_ext.errors import MetadataUnavailableError
from kale_serve_ext.metadata import environment, open_metadata
from tests.environments.conftest import offline  # noqa: F401  # a fixture
from tests.metadata.conftest import NOTEBOOK, model, until

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


def test_health_tells_how_far_it_is_and_then_it_works(bare: Settings) -> None:
    metadata = open_metadata(bare)
    assert asyncio.run(metadata.health())[0] == "missing"
    with subprocess.Popen([sys.executable, "-c", _ENSURE], stdout=subprocess.PIPE, text=True) as maker:
        until(lambda: asyncio.run(metadata.health())[0] == "installing", "the environment to be begun")
        assert "metadata engine" in asyncio.run(metadata.health())[1]
        said = maker.communicate(timeout=150)[0].splitlines()
    assert said[-1] == environment.ready_python(bare)
    made = asyncio.run(metadata.put_artifact(model(), provenance=NOTEBOOK))
    assert made.version == "1"
    asyncio.run(metadata.close())

    # As an earlier release has made it: it is used as it is.
    marker = environments.folder(bare, METADATA) / "complete.json"
    assert marker.parent.parent == bare.data_dir / "metadata"
    marker.write_text(json.dumps({"version": "1.17.1", "layout": "1"}))
    assert environment.ready_python(bare) == said[-1]
    assert asyncio.run(environment.ensure_environment(bare)) == said[-1]
    marker.write_text(json.dumps({"version": "1.17.1", "layout": "0"}))
    assert environment.ready_python(bare) is None
    assert environment.making(bare).state == "outdated"


def test_offline_the_message_says_what_to_do(bare: Settings, offline: None) -> None:  # noqa: F811  # the fixture
    metadata = open_metadata(bare)
    with pytest.raises(MetadataUnavailableError) as error:
        asyncio.run(environment.ensure_environment(bare))
    assert "ml-metadata" in str(error.value)
    assert "kale-serve-ext setup" in error.value.hint
    assert "KALE_SERVE_METADATA_PYTHON" in error.value.hint
    state, message, hint = asyncio.run(metadata.health())
    assert (state, message, hint) == ("error", error.value.message, error.value.hint)


def test_a_server_does_not_wait_for_the_installation(bare: Settings, offline: None) -> None:  # noqa: F811
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
    assert environment.making(settings).state == "ready"
    for wrong in ("/no/such/python", str(settings.data_dir.parent)):
        other = replace(settings, metadata_python=wrong)
        with pytest.raises(MetadataUnavailableError, match="does not exist"):
            environment.ready_python(other)
        assert environment.making(other).state == "failed"
        state, message, hint = asyncio.run(open_metadata(other).health())
        assert (state, "does not exist" in message) == ("error", True)
        assert "KALE_SERVE_METADATA_PYTHON" in hint


def test_the_wheel_in_the_running_environment_is_used_there(
    bare: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "ml_metadata").mkdir(parents=True)
    (tmp_path / "site" / "ml_metadata" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert environment.ready_python(bare) == sys.executable


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
        from kale_serve_ext.environments import pythons
        from kale_serve_ext.errors import MetadataUnavailableError
        from kale_serve_ext.metadata import environment
        sys.executable = {str(fake)!r}
        pythons.candidates = lambda _: iter([])
        try:
            asyncio.run(environment.ensure_environment(Settings.from_environ()))
        except MetadataUnavailableError as error:
            print(error)
    """
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(told) == 2
    assert "no wheels for Linux on aarch64" in told[0]
    assert "KALE_SERVE_METADATA=grpc://" in told[1]
