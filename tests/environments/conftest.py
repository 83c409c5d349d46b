"""A tiny environment, made in seconds and without a package index, from a wheel that is written here."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kale_serve_ext.environments import Environment, Platform, catalogue

PYTHONS = tuple((3, minor) for minor in range(10, 14))

# A process that makes the environment of a record that it is given as JSON, and tells what it is told.
ENSURE = """
import asyncio, json, sys
from kale_serve_ext import environments
from kale_serve_ext.config import Settings
given = json.loads(sys.argv[1])
given["platforms"] = tuple(
    environments.Platform(p["system"], tuple(p["machines"]), tuple(p["at_least"]), tuple(map(tuple, p["minors"])))
    for p in given["platforms"]
)
env = environments.Environment(**given)
tell = lambda text: print(text, flush=True)
print(asyncio.run(environments.ensure(Settings.from_environ(), env, tell)).python)
"""


def write_wheel(folder: Path, version: str, more: str = "") -> Path:
    """The wheel of a package ``tinypackage`` that depends on nothing, with a file of its own that says ``more``."""
    info = f"tinypackage-{version}.dist-info"
    files = {
        "tinypackage.py": f"__version__ = {version!r}\n",
        "tinymore.txt": more,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tinypackage\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    hashes = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        for name, text in files.items()
    }
    record = [f"{name},sha256={hashes[name]},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"tinypackage-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment of its own with one small package."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    wheel = write_wheel(tmp_path, "1.5")
    here = Platform(platform.system(), (platform.machine().lower(),), (1,), PYTHONS)
    return Environment(
        name="tiny",
        title="Tiny server",
        phrase="the tiny server",
        purpose="Serves tests.",
        platforms=(here,),
        megabytes=1,
        requirements=(f"tinypackage @ {wheel.as_uri()}",),
        smoke="import tinypackage; print(tinypackage.__version__)",
        revision="1",
        otherwise="ask whoever runs these tests",
        instead="Serve with another one.",
    )


@pytest.fixture
def registered(tiny: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The tiny environment, known by its name for the time of a test."""
    monkeypatch.setattr(catalogue, "_known", dict(catalogue._known))
    catalogue.register(tiny)
    return tiny


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


class Index(SimpleHTTPRequestHandler):
    """A package index that has one wheel, and notes what it is asked for."""

    wheel: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        is_wheel = self.path.endswith(self.wheel.name)
        page = f'<!DOCTYPE html><a href="/{self.wheel.name}">{self.wheel.name}</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if is_wheel else "text/html")
        self.end_headers()
        self.wfile.write(self.wheel.read_bytes() if is_wheel else page)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is asked of the only index that pip's settings name; it has ``tinypackage``."""
    (tmp_path / "index").mkdir()
    asked: list[str] = []
    handler = type("Asked", (Index,), {"wheel": write_wheel(tmp_path / "index", "1.5"), "asked": asked})
    for name in [each for each in os.environ if each.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("UV_NO_CACHE", "1")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield asked
        server.shutdown()
        thread.join()


def begin(env: Environment) -> subprocess.Popen[str]:
    """Another process that makes the environment."""
    given = {name: value for name, value in asdict(env).items() if name != "installed"}
    command = [sys.executable, "-c", ENSURE, json.dumps(given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def version_in(python: str) -> str:
    """What the environment's interpreter says of the package."""
    command = [python, "-I", "-c", "import tinypackage; print(tinypackage.__version__)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
