"""Whether a service answers the rows that are recorded with its model."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..entities import ServiceRef
from .handler import Handler

_SLACK = 2.0


class VerifyHandler(Handler):
    @authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        """Send the recorded rows to the service, and compare its answers with the recorded ones."""
        from ..serving.verify import verify

        ref = ServiceRef(*parts)
        limit = self.app.predict_timeout
        work = verify(self.backends.engine_of(ref), ref.name, self.backends.metadata, timeout=limit)
        # The comparison's own deadline names the service; the one around it is for whatever else may hang.
        self.answer(await self.within(limit + _SLACK, work))
