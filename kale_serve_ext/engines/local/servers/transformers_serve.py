"""``transformers serve`` in the place of KServe's Hugging Face server, for text generation.

It is started by a program of this package, ``runner/transformers_serve.py``, that has it listen on a unix socket, below
``/openai/v1``, and answer for its one model alone.
"""

from __future__ import annotations

from ....entities import Artifact
from ....formats import hftasks
from ...base import Check
from ..interpreters import Interpreter
from .launcher import launched
from .layout import the_whole
from .record import Command, Program, Seat, Server, StandsFor

_OLDEST = (5, 20)
"""The version of transformers whose server is known."""


def command(seat: Seat) -> Command:
    return Command(
        argv=(
            *launched(seat.python, "runner.transformers_serve"),
            *(str(each) for each in (seat.folder, seat.name, seat.overlay, seat.http)),
        ),
        env={"HF_HUB_OFFLINE": "1"},
    )


def checks(artifact: Artifact, found: Interpreter) -> list[Check]:
    """What speaks against a model, or an interpreter."""
    task = hftasks.by_name(str(artifact.details.get("task") or ""))
    if task is None or task.name != "text-generation":
        own = artifact.details.get("task") or "another task"
        what = f"transformers serve is for text generation only, and the model is for {own}."
        return [Check("error", "TaskNotServed", what, "Choose huggingface-server.", "runtime")]
    has = found.packages.get("transformers", "")
    if tuple(int(part) for part in has.split(".")[:2] if part.isdecimal()) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        message = f"transformers serve needs transformers {wanted} or newer; {found.python} has {has or 'none'}."
        hint = f"Run: {found.python} -m pip install 'transformers>={wanted}'; or choose huggingface-server."
        return [Check("error", "TransformersTooOld", message, hint, "runtime")]
    return []


SERVER = Server(
    name="transformers-serve",
    title="transformers serve",
    runtimes=(
        StandsFor(
            "kserve-huggingfaceserver",
            "transformers serve",
            ("huggingface",),
            ("v1", "v2"),
            differs=(
                "This is transformers' own server, for text generation only; KServe's image generates text with vLLM "
                "and also serves other tasks."
            ),
        ),
    ),
    overlay="transformers-serve",
    checks=checks,
    program=Program(command=command, layout=the_whole, unix=True, grpc=False, stops_within=15.0),
)
