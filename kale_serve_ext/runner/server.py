"""kserve.ModelServer on an inherited socket: loads first, accepts when told, drains before it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from typing import TYPE_CHECKING

import kserve.model_server
import uvicorn
from fastapi import FastAPI
from kserve import Model, ModelServer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from . import answers, openai_routes, predictor_client, responses
from .asgi_guard import AsgiGuard
from .guard import Guard, watch_connections
from .load import in_short
from .rpc import LoopbackGRPCServer
from .task import ACTIVITY_PERIOD, Channel, Task

if TYPE_CHECKING:
    from kserve.model_repository import ModelRepository

    from .access import Access

IDLE_DRAIN = 5.0
"""Seconds that open connections without a request are kept while draining, unless the supervisor says otherwise."""
GRACE = 30.0
"""Seconds that requests under way may take while draining."""
_FIXED = "A local service's model is not loaded or unloaded by request: pause and resume the service."


def serve(task: Task, model: Model, channel: Channel) -> None:
    """Serve the model until told to end."""
    # ModelServer takes these from its module. The servers differ from kserve's in where they listen and how they stop.
    kserve.model_server.RESTServer = InheritedRESTServer
    kserve.model_server.GRPCServer = LoopbackGRPCServer
    kserve.model_server.ModelRepositoryExtension = FixedRepository
    predictor_client.use()
    server = DrainingModelServer(task, channel)
    server.start([model])


class DrainingModelServer(ModelServer):  # type: ignore[misc]  # kserve has no types
    """A ModelServer that listens once the supervisor says so, and unloads its models after the last request."""

    registered_models: ModelRepository

    def __init__(self, task: Task, channel: Channel) -> None:
        super().__init__(http_port=0, grpc_port=task.grpc_port, workers=1)
        self._task = task
        self._channel = channel
        self._drain = asyncio.Event()
        self._idle = IDLE_DRAIN
        self._grace = GRACE

    def register_signal_handler(self) -> None:
        """Nothing yet: kserve's handlers would unload the models under running requests."""

    def setup_event_loop(self) -> None:
        """Nothing yet: the loop is made by ``asyncio.run``, after this is called."""

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain.set)
        for unused in self.servers:
            unused.close()
        rest: InheritedRESTServer = self._rest_server
        rest.prepare(self._task.access)
        grpc_server: LoopbackGRPCServer = self._grpc_server
        grpc_server.access = self._task.access
        accept = asyncio.Event()
        self._channel.socket.setblocking(False)
        listener = asyncio.create_task(self._listen(accept))
        self._channel.report("loaded")
        told = [asyncio.create_task(accept.wait()), asyncio.create_task(self._drain.wait())]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        if accept.is_set():
            await self._run(rest)
        for task in (*told, listener):
            task.cancel()
        for name in list(self.registered_models.get_models()):
            self.registered_models.unload(name)
        await predictor_client.OnceFactory().close()

    async def _run(self, rest: InheritedRESTServer) -> None:
        await self._grpc_server.start(self.max_threads)
        running = asyncio.create_task(rest.run_on(self._task.http_fd))
        await rest.accepting.wait()
        self._channel.report("ready")
        activity = asyncio.create_task(self._report_activity(rest.edge))
        await self._drain.wait()
        activity.cancel()
        self._channel.report("draining")
        await asyncio.gather(rest.drain(self._idle, self._grace), self._grpc_server.drain(self._grace))
        await running

    async def _listen(self, accept: asyncio.Event) -> None:
        """Take the supervisor's commands; without a supervisor this process has nothing to live for."""
        reader, _ = await asyncio.open_connection(sock=self._channel.socket.dup())
        async for line in reader:
            command = json.loads(line)
            if command["do"] == "accept":
                accept.set()
            elif command["do"] == "drain":
                self._idle = float(command["idle"])
                self._grace = float(command["grace"])
                self._drain.set()
        self._idle = 0.0
        self._drain.set()

    async def _report_activity(self, edge: AsgiGuard) -> None:
        seen = 0
        while True:
            count = edge.requests + self._grpc_server.servicer.requests
            why = await self._why_not_ready()
            if why:
                self._channel.mention("unready", message=why)
            elif count == seen:
                self._channel.mention("alive")
            elif self._channel.mention("active", requests=count):
                seen = count
            await asyncio.sleep(ACTIVITY_PERIOD)

    async def _why_not_ready(self) -> str:
        """What the model says of itself where it is not ready; empty where it is."""
        try:
            # Whatever name its code has given it.
            asked = [self.registered_models.is_model_ready(name) for name in self.registered_models.get_models()]
            is_ready = all(await asyncio.wait_for(asyncio.gather(*asked), ACTIVITY_PERIOD))
        except asyncio.TimeoutError:
            return f"The {self._task.component} does not say within {ACTIVITY_PERIOD:.0f} s whether it is ready."
        except (Exception, SystemExit) as exc:  # its code is the model's own
            return f"The {self._task.component} fails when it is asked whether it is ready: {in_short(exc)}"
        return "" if is_ready else f"The {self._task.component} says that it is not ready."


class FixedRepository(ModelRepositoryExtension):  # type: ignore[misc]  # kserve has no types
    """kserve's, by REST and gRPC, without what would stop or restart the model behind the supervisor's back."""

    async def load(self, model_name: str) -> None:
        raise NotImplementedError(_FIXED)

    async def unload(self, model_name: str) -> None:
        raise NotImplementedError(_FIXED)


class InheritedRESTServer(RESTServer):  # type: ignore[misc]  # kserve has no types
    """kserve's REST server on a socket that somebody else listens on too."""

    edge: AsgiGuard
    accepting: asyncio.Event

    def prepare(self, access: Access | None) -> None:
        """Make everything but the listening.

        Args:
            access: whom it answers; None where nobody else can connect.
        """
        self.create_application()
        self.edge = AsgiGuard(kserve.model_server.app)
        self.config.app = Guard(self.edge, access) if access else self.edge
        self.config.lifespan = "off"
        # No proxy is in front: what a header says of the client would be anybody's word in the log.
        self.config.proxy_headers = False
        self.config.load()
        if access:
            watch_connections(self.config, access)
        self.accepting = asyncio.Event()
        self._server = _Server(self.config, self.edge, self.accepting)

    async def run_on(self, fd: int) -> None:
        await self._server.serve(sockets=[socket.socket(fileno=fd)])

    async def drain(self, idle: float, grace: float) -> None:
        """Accept nothing new, answer what comes on open connections with ``Connection: close``, and end."""
        await self._server.drain(idle, grace)

    def _register_endpoints(self, app: FastAPI) -> None:
        super()._register_endpoints(app)
        openai_routes.add(app, self.dataplane.model_registry)

    def _add_middlewares(self, app: FastAPI) -> None:
        """None of kserve's, which write two lines of timing for each request; but this is before its routes."""
        responses.use(app)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        super()._add_exception_handlers(app)
        answers.install(app)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, edge: AsgiGuard, accepting: asyncio.Event) -> None:
        super().__init__(config)
        self._edge = edge
        self._accepting = accepting
        self._ended = asyncio.Event()

    def capture_signals(self):  # type: ignore[no-untyped-def]  # the model server decides when to end
        import contextlib

        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._ended.set()

    async def drain(self, idle: float, grace: float) -> None:
        for server in self.servers:
            server.close()
        self._edge.draining = True
        end = time.monotonic() + idle
        # A connection without a request now may have one on its way: closed at once, that request would fail.
        while self.server_state.connections and time.monotonic() < end:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.02)
        self.config.timeout_graceful_shutdown = max(1, int(grace))
        self.should_exit = True
        await self._ended.wait()
