"""The program of the image for a cluster: loads people's code or a model from a folder, and serves it as KServe's do.

``python -m kale_serve_ext.runner.container [transformer|predictor] [ARGUMENT …]``, with the arguments of KServe's model
servers and ``--model_dir``, where KServe's storage initializer puts the files. One image may go by the names of both
roles: without the word it is a transformer where KServe names the predictor (``--predictor_host``), which it does for
transformers only.

The module and class come by ``KALE_SERVE_MODULE`` and ``KALE_SERVE_CLASS``, a predictor's protocol by ``PROTOCOL``, and
the hash that the folder must have by ``KALE_SERVE_DIGEST``. Each may be missing. A predictor whose ``KALE_SERVE_KIND``
names a format serves a model of that; ``KALE_SERVE_PACKAGES`` has the versions of the libraries that made it.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import socket
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import grpc
import kserve.model_server
from fastapi import FastAPI
from kserve import Model, ModelServer
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.rest.server import RESTServer

from ..formats import served
from . import answers, openai_routes, predictor_client, responses, versions
from .asgi_guard import MAX_REQUEST_BYTES, AsgiGuard
from .load import in_short, load
from .rpc import Servicer
from .task import Task

MODEL_DIR = "/mnt/models"
PREDICTOR_WITHIN = 60.0
"""Seconds that a transformer waits for its predictor before it listens all the same."""
_ROLES = ("transformer", "predictor")


def main() -> None:
    """Load and serve until told to end; what fails ends this process with 1, and its last line says why.

    The arguments are those of the process: kserve has read them there when it was imported.
    """
    # A container's first process ignores signals that it has no handler for: its pod would wait out the grace period.
    signal.signal(signal.SIGTERM, _end_at_once)
    task, workers = _task(sys.argv[1:])
    began = time.monotonic()
    skews = ", ".join(versions.skews(os.environ.get("KALE_SERVE_PACKAGES", "")))
    try:
        model = _load(task)
    except BaseException as exc:
        traceback.print_exc()
        why = " ".join([*in_short(exc).split(), *([f"It was made with {skews}."] if skews else [])])
        print(f"The {task.component} {task.name} cannot be served: {why}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    log = logging.getLogger("kale_serve")
    took = time.monotonic() - began
    log.info("Loaded %s (%s) in %.1f s with Python %s.", task.name, task.kind, took, platform.python_version())
    if skews:
        log.warning("%s was made with %s.", task.name, skews)
    if task.predictor_host:
        _await_predictor(task.predictor_host, log)
    if workers > 1:
        # Further processes would get the model pickled, which code that is loaded from a folder does not allow.
        log.warning("Ignoring --workers=%d: a container runs one process; set minReplicas for more.", workers)
    serve(model)


def serve(model: Model) -> None:
    """Listen on the ports of the arguments until SIGTERM; requests under way are answered first."""
    kserve.model_server.RESTServer = ContainerRESTServer
    kserve.model_server.GRPCServer = ContainerGRPCServer
    predictor_client.use()
    ContainerModelServer(workers=1, enable_latency_logging=False).start([model])


class ContainerModelServer(ModelServer):  # type: ignore[misc]  # kserve has no types
    """kserve's, for models that may have been loaded by a coroutine."""

    def setup_event_loop(self) -> None:
        """Nothing: kserve's is for a loop that it then does not run, and fails where another one ran before."""


class ContainerRESTServer(RESTServer):  # type: ignore[misc]  # kserve has no types
    """kserve's REST server behind the edge, with this package's answers to errors."""

    def create_application(self) -> None:
        super().create_application()
        self.config.app = AsgiGuard(kserve.model_server.app)

    def _register_endpoints(self, app: FastAPI) -> None:
        super()._register_endpoints(app)
        openai_routes.add(app, self.dataplane.model_registry)

    def _add_middlewares(self, app: FastAPI) -> None:
        """None of kserve's, which write two lines of timing for each request; but this is before its routes."""
        responses.use(app)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        super()._add_exception_handlers(app)
        answers.install(app)


class ContainerGRPCServer(GRPCServer):  # type: ignore[misc]  # kserve has no types
    """kserve's gRPC server with this package's servicer, which says itself how calls fail."""

    async def start(self, max_workers: int) -> None:
        self._server = grpc.aio.server(
            ThreadPoolExecutor(max_workers=max_workers),
            options=[
                ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
            ],
        )
        servicer = Servicer(self._data_plane, self._model_repository_extension)
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(f"[::]:{self._port}")
        await self._server.start()
        await self._server.wait_for_termination()


def _task(arguments: list[str]) -> tuple[Task, int]:
    """What is to be served, and how many processes KServe asks for."""
    role = arguments[0] if arguments and arguments[0] in _ROLES else ""
    if role:
        arguments = arguments[1:]
    parser = argparse.ArgumentParser(
        prog="kale-serve-ext container", parents=[kserve.model_server.parser], allow_abbrev=False
    )
    parser.add_argument("--model_dir", default=MODEL_DIR, help="The folder with the code.")
    given, _ = parser.parse_known_args(arguments)
    if not role:
        role = "transformer" if given.predictor_host else "predictor"
    transformer = role == "transformer"
    kind = "transformer" if transformer else os.environ.get("KALE_SERVE_KIND") or "custom"
    if not transformer and kind not in (kinds := ("custom", *served())):
        parser.error(f"KALE_SERVE_KIND is {kind!r}: it may be one of {', '.join(kinds)}.")
    task = Task(
        name=given.model_name,
        component=role,
        kind=kind,
        path=given.model_dir,
        # No supervisor and no inherited socket.
        parent=0,
        http_fd=-1,
        grpc_port=given.grpc_port,
        digest=os.environ.get("KALE_SERVE_DIGEST", ""),
        protocol=given.predictor_protocol if transformer else os.environ.get("PROTOCOL") or "v1",
        module_name=os.environ.get("KALE_SERVE_MODULE", ""),
        class_name=os.environ.get("KALE_SERVE_CLASS", ""),
        predictor_host=given.predictor_host or "",
        args=tuple(arguments),
    )
    return task, given.workers


def _load(task: Task) -> Model:
    if not Path(task.path).is_dir():
        raise FileNotFoundError(
            f"There is no folder {task.path}: STORAGE_URI of the {task.component}'s container names its files."
        )
    return load(task)


def _await_predictor(host: str, log: logging.Logger) -> None:
    """Wait until the predictor accepts connections, for a while.

    A service's address leads nowhere for a moment after it was made. A connection that is begun then is lost without
    an answer, and the first request to this transformer would wait for it in vain.
    """
    name, _, port = host.partition(":")
    end = time.monotonic() + PREDICTOR_WITHIN
    while True:
        try:
            socket.create_connection((name, int(port or 80)), timeout=1.0).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                log.warning("The predictor %s is not reachable yet: %s", host, error)
                return
        time.sleep(0.2)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    main()
