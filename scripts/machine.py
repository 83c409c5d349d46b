"""What this machine has: Node, a browser, and the package index that its owner configured for pip."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NODE_AT_LEAST = (20, 19)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def require_node() -> None:
    """End with one clear sentence unless Node is there and new enough."""
    wanted = ".".join(map(str, NODE_AT_LEAST))
    node = shutil.which("node")
    if node is None:
        sys.exit(f"Building the panel needs Node {wanted} or newer, and there is no `node` on PATH.")
    text = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < NODE_AT_LEAST:
        sys.exit(f"Building the panel needs Node {wanted} or newer, and {node} is {text or 'broken'}.")


def find_browser() -> str:
    """Path of an installed Chromium, or empty; ``CHROMIUM`` names one."""
    given = os.environ.get("CHROMIUM", "")
    if given:
        return given
    return next((path for name in BROWSERS if (path := shutil.which(name))), "")


def install_browser() -> str:
    """A Chromium's path: the one that is there, or Debian's; empty when Playwright has to bring its own."""
    if not find_browser() and shutil.which("apt-get") and os.getuid() == 0:
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    return find_browser()


@functools.cache
def uv_environ() -> dict[str, str]:
    """The environment for uv, with pip's own settings of this machine told in uv's words."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if "." in key:
            settings[key.rsplit(".", 1)[1]] = value.strip().strip("'\"").replace("\\n", " ")
    told = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": settings.get("extra-index-url", ""),
        "UV_FIND_LINKS": ",".join(p for p in settings.get("find-links", "").split() if "://" in p or Path(p).is_dir()),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "UV_HTTP_TIMEOUT": settings.get("timeout", settings.get("default-timeout", "")),
    }
    return {name: value for name, value in told.items() if value} | dict(os.environ)
