"""Directives that write out what the code says, so that the pages cannot fall behind it.

``{settings}`` lists the server extension's traits, ``{rest}`` the REST API's operations.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from kale_serve_ext.config import PREFIX, Settings
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.openapi import DOCUMENT

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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


def _parse(directive: Directive, lines: list[str]) -> list[nodes.Node]:
    holder = nodes.container()
    directive.state.nested_parse(StringList(lines, "generated"), directive.content_offset, holder)
    return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("settings", SettingsDirective)
    app.add_directive("rest", RestDirective)
    return {"parallel_read_safe": True}
