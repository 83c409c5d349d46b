"""Formats that KServe's runtimes in a cluster serve and that are neither logged nor served here: their names only.

A file of its own, with the same name, takes the place of one of these.
"""

from __future__ import annotations

from .base import Format


def _of(name: str, title: str, runtimes: tuple[str, ...], endings: tuple[str, ...] = ()) -> Format:
    made = Format()
    made.name, made.title, made.runtimes, made.endings = name, title, runtimes, endings
    return made


FORMATS: tuple[Format, ...] = (
    _of("paddle", "PaddlePaddle", ("kserve-paddleserver",)),
    _of("autogluon", "AutoGluon", ("kserve-autogluonserver",)),
    _of("tensorrt", "TensorRT", ("kserve-tritonserver",)),
)
