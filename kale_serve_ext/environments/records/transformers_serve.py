"""What ``transformers serve`` needs beside transformers, torch and kserve: laid beside the model's own interpreter."""

from __future__ import annotations

from ..record import Environment, Platform

_PYTHONS = ((3, 12), (3, 11), (3, 10), (3, 13))

TRANSFORMERS_SERVE = Environment(
    name="transformers-serve",
    title="transformers serve",
    purpose="Serves language models of transformers with its own OpenAI server.",
    platforms=(
        Platform("Linux", ("x86_64", "amd64", "aarch64", "arm64"), (2, 28), _PYTHONS),
        Platform("Darwin", ("arm64",), (12,), _PYTHONS),
    ),
    megabytes=15,
    # What these depend on comes with kserve and transformers, but for the three in the middle.
    without_dependencies=(
        "openai>=1.98,<2",
        "distro>=1.7,<2",
        "jiter>=0.4,<1",
        "sniffio>=1.3,<2",
        "accelerate>=1.1,<2",
    ),
    kind="overlay",
    smoke="import importlib.metadata as m, jiter, openai, sniffio\nprint(m.version('openai'))",
    revision="1",
    otherwise="install transformers[serving] into the model's own environment",
    instead="Serve with this package's own Hugging Face server.",
)
