"""From a task to a model that is loaded: the snapshot is verified first, then its code or its file is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kserve import Model

    from .task import Task


def load(task: Task) -> Model:
    """The model, ready to be served. Whatever the user's code raises is raised here."""
    directory = Path(task.path)
    if not directory.is_dir():
        raise FileNotFoundError(f"The snapshot {directory} is gone.")
    if task.digest:
        check_digest(directory, task.digest)
    # kserve reads the arguments when it is imported, as in its own images.
    sys.argv = [sys.argv[0], *_server_arguments(task)]
    from .logs import quieten

    quieten()
    if task.kind == "transformer":
        from .code import load_transformer

        return load_transformer(task)
    if task.kind == "custom":
        from .code import load_custom

        return load_custom(task)
    from .models import answered_by, load_model
    from .verify import verify

    model = load_model(task)
    verify(model, directory, answered_by())
    return model


def in_short(exc: BaseException) -> str:
    """The error's type and words, for a message."""
    text = str(exc).strip()
    return f"{type(exc).__name__}: {text}"[:1000] if text else type(exc).__name__


def check_digest(directory: Path, expected: str) -> None:
    """Raises ``RuntimeError`` where the snapshot is not what was logged."""
    from ..digest import digest_of

    found = digest_of(directory)
    if found != expected:
        raise RuntimeError(
            f"The snapshot {directory} is not what was logged: its content has the hash {found}, "
            f"recorded is {expected}. It was changed or damaged; log the model again."
        )


def _server_arguments(task: Task) -> list[str]:
    arguments = [*task.args, "--enable_latency_logging", "false", "--configure_logging", "false"]
    if "--model_name" not in arguments:
        arguments += ["--model_name", task.name]
    if task.predictor_host:
        arguments += ["--predictor_host", task.predictor_host]
        if "--predictor_protocol" not in arguments:
            arguments += ["--predictor_protocol", task.protocol]
    return arguments
