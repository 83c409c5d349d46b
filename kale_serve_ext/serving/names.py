"""Names of InferenceServices: which are legal, and how one is made from a model's name."""

from __future__ import annotations

import re

from ..engines.base import Check

# A service's objects are named NAME-predictor and NAME-transformer, and DNS labels end at 63 characters.
MAX_LENGTH = 63 - len("-transformer")
_LEGAL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SHOWN = 80


def check_name(name: str) -> Check | None:
    """What is wrong with ``name`` as an InferenceService's, or None. The pattern is KServe's own."""
    hint = "Use lowercase letters, digits and hyphens; begin with a letter and end with a letter or digit: iris-2."
    if not name:
        return Check("error", "InvalidName", "The service has no name.", hint, "name")
    if len(name) > MAX_LENGTH:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
        message = f"The name {shown!r} has {len(name)} characters; an InferenceService's may have {MAX_LENGTH}."
        return Check("error", "InvalidName", message, "Choose a shorter name.", "name")
    if not _LEGAL.fullmatch(name):
        return Check("error", "InvalidName", f"{name!r} is not a valid InferenceService name.", hint, "name")
    return None


def service_name(model_name: str, number: int = 1) -> str:
    """A legal service name made from a model's name; the ``number``-th choice where the first ones are taken."""
    slug = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "-", model_name[:1000])
    slug = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")
    if not slug or not slug[0].isalpha():
        slug = f"model-{slug}".strip("-")
    suffix = f"-{number}" if number > 1 else ""
    return slug[: MAX_LENGTH - len(suffix)].rstrip("-") + suffix
