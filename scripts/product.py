"""Building the product: the panel's bundle, the wheel, environments that have it. Run alone, it builds the wheel."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from machine import require_node, uv_environ
from steps import CACHE, ROOT, once, run

VENV = ROOT / ".venv"
UV = VENV / "bin" / "uv"
JLPM = VENV / "bin" / "jlpm"
CONSTRAINTS = ROOT / "constraints.txt"
OVERRIDES = ROOT / "tests" / "runtimes" / "overrides.txt"
"""Of what the frameworks depend on, what is not wanted."""
PANEL = ROOT / "kale_serve_ext" / "labextension"
PANEL_SOURCES = [ROOT / name for name in ("src", "style", "schema", "package.json", "tsconfig.json")]


def install_node_packages() -> None:
    """The panel's JavaScript packages, exactly those of ``yarn.lock``."""
    require_node()
    once(
        "builder",
        "Installing the panel's build tool",
        lambda: install(VENV, "jupyter-builder"),
        inputs=[CONSTRAINTS],
        result=JLPM,
    )
    once(
        "node-packages",
        "Installing the panel's packages",
        lambda: jlpm("install", "--immutable"),
        inputs=[ROOT / "package.json", ROOT / "yarn.lock"],
        result=ROOT / "node_modules",
    )


def build_panel() -> None:
    """The panel's production bundle, in ``kale_serve_ext/labextension``."""
    install_node_packages()
    once(
        "panel",
        "Building the panel",
        lambda: jlpm("build:prod"),
        inputs=[*PANEL_SOURCES, ROOT / "yarn.lock"],
        result=PANEL / "package.json",
    )


def build_wheel() -> Path:
    """The wheel's path; built unless the one there is of these sources."""
    build_panel()
    wheels = CACHE / "wheel"

    def build() -> None:
        shutil.rmtree(wheels, ignore_errors=True)
        bounds: list[str | Path] = ["--build-constraints", CONSTRAINTS, "--python", sys.executable]
        run([UV, "build", "--quiet", "--wheel", *bounds, "--out-dir", wheels, ROOT], env=uv_environ())

    sources = [ROOT / "kale_serve_ext", ROOT / "hook", ROOT / "jupyter-config", ROOT / "pyproject.toml"]
    more = [ROOT / "README.md", ROOT / "LICENSE", ROOT / "install.json", *PANEL_SOURCES]
    once("wheel", "Building the wheel", build, inputs=[*sources, *more], result=wheels)
    return next(wheels.glob("*.whl"))


def wheel_environment(
    name: str,
    *extras: str,
    beside: Sequence[str] = (),
    constraints: Path = CONSTRAINTS,
    overrides: Sequence[Path] = (),
) -> Path:
    """A clean environment with the wheel, these extras and what is to live beside: the folder with its programs."""
    wheel = build_wheel()
    env = CACHE / "env" / name
    wanted = f"{wheel}[{','.join(extras)}]"

    def make() -> None:
        run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, env], env=uv_environ())
        replaced = [word for path in overrides for word in ("--overrides", str(path))]
        install(env, *replaced, wanted, *beside, constraints=constraints)

    once(
        f"env-{name}",
        f"Making the environment {name}",
        make,
        inputs=[wheel, constraints, *overrides],
        result=env / "bin" / "python",
        also=" ".join([wanted, *beside]),
    )
    return env / "bin"


def product_environment() -> Path:
    """The programs of the product as people install it."""
    return wheel_environment("product", "examples", "s3")


def runtimes_environment() -> Path:
    """The programs of the product beside the large frameworks, as its model servers are tested and measured."""
    return wheel_environment("runtimes", "test", "frameworks", overrides=[OVERRIDES])


def install_checkout(*extras: str) -> None:
    """The checkout itself in ``.venv``, editable, with these extras; a rebuilt panel shows without a new install."""
    build_panel()
    installed = VENV / "share" / "jupyter" / "labextensions" / "kale-serve-ext"

    def install_it() -> None:
        wanted = f"{ROOT}[{','.join(extras)}]"
        # Through the link, an installer that replaces what is there would write into the checkout.
        if installed.is_symlink():
            installed.unlink()
        install(VENV, "--build-constraints", str(CONSTRAINTS), "--editable", wanted)
        shutil.rmtree(installed, ignore_errors=True)
        installed.symlink_to(PANEL)

    once(
        f"checkout-{'-'.join(extras)}",
        "Installing the product into .venv",
        install_it,
        inputs=[ROOT / "pyproject.toml", CONSTRAINTS, ROOT / "package.json", ROOT / "hook", ROOT / "jupyter-config"],
        result=installed,
        also=str(VENV / "bin" / "python"),
    )


def install(env: Path, *wanted: str, constraints: Path = CONSTRAINTS) -> None:
    """Install into an environment, within the constraints."""
    python = env / "bin" / "python"
    run([UV, "pip", "install", "--quiet", "--python", python, "-c", constraints, *wanted], env=uv_environ())


def jlpm(*arguments: str, cwd: Path = ROOT) -> None:
    """Run JupyterLab's package manager, whose scripts call it again by its name."""
    run([JLPM, *arguments], cwd=cwd, env=node_environ(), quiet=True)


def node_environ() -> dict[str, str]:
    """The environment of the JavaScript tools."""
    return {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"}


if __name__ == "__main__":
    print(build_wheel())
