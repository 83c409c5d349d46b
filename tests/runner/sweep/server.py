"""The program that the sweep asks: a real ``kserve.ModelServer``, as the runner makes it, with any number of models.

Over the socket ``--control`` come JSON lines: ``{"load": name, "kind", "path", "method"}`` or ``{"unload": name}``.
Each is answered by a line with the ``error``, empty where all went well. The first line is the server's own, once it
listens: ``{"http": port, "grpc": port}``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kserve import Model

    from kale_serve_ext.runner.server import DrainingModelServer
    from kale_serve_ext.runner.task import Channel


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=int, required=True)
    control = socket.socket(fileno=parser.parse_args().control)
    sys.argv = [sys.argv[0], "--enable_latency_logging", "false", "--configure_logging", "false"]

    import kserve.model_server

    from kale_serve_ext.runner.logs import quieten
    from kale_serve_ext.runner.rpc import LoopbackGRPCServer
    from kale_serve_ext.runner.server import DrainingModelServer, InheritedRESTServer
    from kale_serve_ext.runner.task import Channel, Task

    quieten()
    kserve.model_server.RESTServer = InheritedRESTServer
    kserve.model_server.GRPCServer = LoopbackGRPCServer
    listener = socket.create_server(("127.0.0.1", 0))
    rpc_port = _free_port()
    ours, theirs = socket.socketpair()
    task = Task("sweep", "predictor", "sklearn", "", os.getppid(), listener.detach(), rpc_port)
    server = DrainingModelServer(task, Channel(theirs.detach()))
    threading.Thread(target=_obey, args=(control, server, ours, task.http_fd, rpc_port), daemon=True).start()
    server.start([_nothing()])


def _obey(
    control: socket.socket, server: DrainingModelServer, supervisor: socket.socket, http_fd: int, rpc_port: int
) -> None:
    """Take the place of the supervisor, and load and unload what is asked for; without more to come, end the server."""
    from kale_serve_ext.runner.task import Channel

    reports = Channel(supervisor.dup().detach())
    while json.loads(reports.receive())["event"] != "loaded":
        continue
    supervisor.sendall(b'{"do": "accept"}\n')
    while json.loads(reports.receive())["event"] != "ready":
        continue
    threading.Thread(target=_heard, args=(reports,), daemon=True).start()
    with socket.socket(fileno=os.dup(http_fd)) as listener:
        ports = {"http": listener.getsockname()[1], "grpc": rpc_port}
    with control.makefile("rw", encoding="utf-8") as lines:
        lines.write(json.dumps(ports) + "\n")
        lines.flush()
        for line in lines:
            lines.write(json.dumps({"error": _done(json.loads(line), server)}) + "\n")
            lines.flush()
    supervisor.sendall(b'{"do": "drain", "idle": 0, "grace": 0}\n')


def _heard(reports: Channel) -> None:
    """Read on: a server whose reports nobody reads stops in the end."""
    while reports.receive():
        continue


def _done(command: dict[str, str], server: DrainingModelServer) -> str:
    try:
        if "unload" in command:
            server.registered_models.unload(command["unload"])
        else:
            server.registered_models.update(_loaded(command))
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return ""


def _loaded(command: dict[str, str]) -> Model:
    from kale_serve_ext.runner.models import load_model
    from kale_serve_ext.runner.task import Task

    # What the predictor's environment says where it is the only model of its process.
    os.environ["KALE_SERVE_METHOD"] = command["method"]
    task = Task(command["load"], "predictor", command["kind"], command["path"], parent=0, http_fd=0, grpc_port=0)
    return load_model(task)


def _nothing() -> Model:
    """kserve does not start without a model."""
    from kserve import Model

    made: Model = Model("nothing")
    made.ready = True
    return made


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
