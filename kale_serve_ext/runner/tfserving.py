"""TensorFlow Serving's API over TensorFlow: ``boot.py runner.tfserving NAME FOLDER HTTP GRPC``.

Runs under the interpreter of the environment ``tensorflow-serving``. ``HTTP`` and ``GRPC`` are paths of unix sockets;
nothing else listens. Both answer once the model is loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from .tfgrpc import server
from .tfrest import Application
from .tfservable import Servable

_GRACE = 5.0
"""Seconds that calls under way have once the server is told to end."""
_WAITING = 2048


def main(argv: Sequence[str]) -> None:
    """Serve the model ``NAME`` in ``FOLDER/NAME`` until told to end by a signal."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext tfserving")
    for name in ("name", "folder", "http", "grpc"):
        parser.add_argument(name)
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    model = Servable(given.name, Path(given.folder) / given.name)
    logging.getLogger("tfserving").info("Loaded %s, version %s", model.name, model.version)
    asyncio.run(_serve(model, given.http, given.grpc))


async def _serve(model: Servable, http: str, grpc: str) -> None:
    config = uvicorn.Config(
        Application(model),
        uds=http,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        backlog=_WAITING,
        timeout_graceful_shutdown=int(_GRACE),
    )
    by_grpc = server(model, grpc)
    await by_grpc.start()
    try:
        await uvicorn.Server(config).serve()
    finally:
        await by_grpc.stop(_GRACE)
