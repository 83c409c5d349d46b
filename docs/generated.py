"""Directives that write out what the code says, so that the pages cannot fall behind it.

``{settings}`` lists the server extension's traits, ``{rest}`` the REST API's operations, ``{formats}`` which runtimes
serve which models, ``{runtimes}`` the details of those on this machine, ``{environments}`` what is installed for them.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from kale_serve_ext.config import PREFIX, Settings
from kale_serve_ext.engines.local.servers import ours
from kale_serve_ext.environments import Environment, Platform, all, by_name
from kale_serve_ext.formats import every
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.openapi import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sphinx.application import Sphinx

_MACHINES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64"}
VERBS = ("get", "post", "patch", "delete")


class SettingsDirective(Directive):
    """Every trait: name, kind, default, environment variable and what it does."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        variables = {name: PREFIX + name.upper() for name in Settings.__dataclass_fields__}
        for name, trait in sorted(KaleServeApp.class_own_traits(config=True).items()):
            help_text = inspect.cleandoc(" ".join(str(trait.help).split()))
            lines += [f"`KaleServeApp.{name}`", f":   {help_text}"]
            facts = [f"Kind: {type(trait).__name__.lower()}"]
            if name in variables:
                facts.append(f"environment variable: `{variables[name]}`")
            else:
                facts.append(f"default: `{trait.default_value}`")
            lines += ["", f"    {'; '.join(facts)}.", ""]
        return _parse(self, lines)


class RestDirective(Directive):
    """Every operation of the REST API, from its OpenAPI document."""

    def run(self) -> list[nodes.Node]:
        document = json.loads(DOCUMENT.read_text("utf-8"))
        lines = ["| request | what it does |", "|---|---|"]
        for path, operations in document["paths"].items():
            for verb in VERBS:
                if verb in operations:
                    lines.append(f"| `{verb.upper()} {path}` | {operations[verb]['summary']} |")
        return _parse(self, lines)


class FormatsDirective(Directive):
    """Every format with the runtimes that serve it here and in a cluster."""

    def run(self) -> list[nodes.Node]:
        lines = ["| models | here | in a cluster |", "|---|---|---|"]
        for one in every():
            here = [stands.name for server in ours() for stands in server.runtimes if one.name in stands.formats]
            lines.append(f"| {one.title} | {_coded(here)} | {_coded(one.runtimes) or 'this package’s image'} |")
        return _parse(self, lines)


class RuntimesDirective(Directive):
    """Every runtime of this machine: what it serves, by which protocols, what is installed for it, its limits."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for server in ours():
            for stands in server.runtimes:
                installed = "nothing to install"
                if server.needs:
                    env = by_name(server.needs)
                    installed = f"installed by `kale-serve-ext setup {env.name}`, about {env.megabytes} MB"
                protocols = ", ".join(stands.protocols)
                lines += [
                    f"`{stands.name}`",
                    f":   {stands.title}: {_coded(stands.formats)}, by {protocols}; {installed}.",
                ]
                lines += [line for said in (stands.differs, stands.upkeep) if said for line in ("", f"    {said}")]
                lines.append("")
        return _parse(self, lines)


class EnvironmentsDirective(Directive):
    """Every environment: what it is for, its kind and size, and the systems and Pythons it can be made for."""

    def run(self) -> list[nodes.Node]:
        lines = ["| name | what it is for | kind | size | systems |", "|---|---|---|---|---|"]
        for env in all():
            kind = "an overlay" if env.kind == "overlay" else "its own"
            size = f"{env.megabytes} MB"
            lines.append(f"| `{env.name}` | {env.title}. {env.purpose} | {kind} | {size} | {_systems(env)} |")
        return _parse(self, lines)


def _systems(env: Environment) -> str:
    """Such as "Linux (x86-64, arm64) with glibc 2.28 or newer: Python 3.10 to 3.13"; platforms that differ by their
    processors alone are one."""
    machines: dict[tuple[object, ...], list[str]] = {}
    for one in env.platforms:
        names = [_MACHINES.get(machine, machine) for machine in one.machines]
        machines.setdefault((one.system, one.at_least, one.minors, one.by_uv), []).extend(names)
    said = []
    for one in env.platforms:
        names = machines.pop((one.system, one.at_least, one.minors, one.by_uv), [])
        if names:
            said.append(f"{_system(one, list(dict.fromkeys(names)))}: Python {_pythons(one)}")
    return "; ".join(said)


def _system(platform: Platform, machines: list[str]) -> str:
    least = ".".join(map(str, platform.at_least))
    if platform.system == "Darwin":
        return f"macOS {least} or newer ({', '.join(machines)})"
    return f"Linux ({', '.join(machines)}) with glibc {least} or newer"


def _pythons(platform: Platform) -> str:
    first, last = min(platform.minors), max(platform.minors)
    span = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
    more = ", ".join(f"{minor[0]}.{minor[1]}" for minor in platform.by_uv)
    return f"{span}, {more} with uv" if more else span


def _coded(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _parse(directive: Directive, lines: list[str]) -> list[nodes.Node]:
    holder = nodes.container()
    directive.state.nested_parse(StringList(lines, "generated"), directive.content_offset, holder)
    return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("settings", SettingsDirective)
    app.add_directive("rest", RestDirective)
    app.add_directive("formats", FormatsDirective)
    app.add_directive("runtimes", RuntimesDirective)
    app.add_directive("environments", EnvironmentsDirective)
    return {"parallel_read_safe": True}
