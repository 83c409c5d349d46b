"""The panel's test requests."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..errors import InvalidInputError
from ..records import ServiceRef
from .handler import Handler


class PredictHandler(Handler):
    @authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        """Send rows, encoded for the service's protocol, or a raw body to the service."""
        from ..serving.predict import predict
        from .schemas import PredictBody

        body = self.body(PredictBody)
        ref = ServiceRef(*parts)
        engine = self.backends.engine_of(ref)
        if (body.rows is None) == (body.raw is None):
            raise InvalidInputError("A test request has either rows or a raw body.", field="rows")
        self.answer(
            await self.within(
                self.app.predict_timeout,
                predict(engine, ref.name, rows=body.rows, raw=body.raw, component=body.component or None),
            )
        )
