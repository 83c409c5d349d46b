"""The panel's test requests."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..entities import ServiceRef
from .handler import Handler

_SLACK = 2.0


class PredictHandler(Handler):
    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        """The tensors that a test request takes, by the record of the model or its server's word; none for tables."""
        from ..serving.predict import tensors_of
        from .queries import TensorsQuery

        ref = ServiceRef(*parts)
        component = self.query(TensorsQuery).component or None
        work = tensors_of(self.backends.engine_of(ref), ref.name, self.backends.metadata.artifact, component)
        self.answer(await self.within(self.app.request_timeout, work))

    @authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        """Send rows, encoded for the service's protocol, or a raw body to the service."""
        from ..serving.predict import predict
        from .schemas import PredictBody

        body = self.body(PredictBody)
        ref = ServiceRef(*parts)
        engine = self.backends.engine_of(ref)
        limit = self.app.predict_timeout
        work = predict(engine, ref.name, rows=body.rows, raw=body.raw, component=body.component or None, timeout=limit)
        # The request's own deadline names the service; the one around it is for whatever else may hang.
        self.answer(await self.within(limit + _SLACK, work))
