"""What serving would do, before anything is done: runtimes with a verdict, and the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from .handler import Handler
from .services import engine_for, serve_request

if TYPE_CHECKING:
    from ..engines.base import Engine, Setup
    from ..serving.types import Plan, ServeRequest


class PlanHandler(Handler):
    @authenticated
    @authorized
    async def post(self) -> None:
        from .schemas import ServeBody

        body = self.body(ServeBody)
        request = serve_request(body)
        engine = await self.within(self.app.request_timeout, engine_for(body, self.backends))
        self.answer(await _plan(self, request, engine))


class RuntimesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The runtimes that are here; with a model, whether each fits it and why not."""
        from ..serving.types import ServeRequest
        from .queries import RuntimesQuery
        from .schemas import RuntimeList

        query = self.query(RuntimesQuery)
        request = ServeRequest(model_id=query.model_id, protocol=query.protocol)
        plan = await _plan(self, request, self.backends.engine)
        self.answer(RuntimeList(items=list(plan.runtimes)))


async def _plan(handler: Handler, request: ServeRequest, engine: Engine) -> Plan:
    from ..serving.plan import make_plan

    work = make_plan(request, engine, handler.backends.metadata)
    made = await handler.within(handler.app.request_timeout, work)

    def shown(lacks: Setup | None) -> Setup | None:
        return lacks and handler.app.installations.shown(lacks)

    runtimes = tuple(replace(choice, setup=shown(choice.setup)) for choice in made.runtimes)
    return replace(made, setup=shown(made.setup), runtimes=runtimes)
