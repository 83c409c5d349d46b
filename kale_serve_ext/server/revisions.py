"""What a service was before, and going back to it."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..entities import ServiceRef
from .handler import Handler


class RevisionsHandler(Handler):
    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        """The last revisions, the newest first."""
        from ..serving.deploy import revisions
        from .schemas import RevisionList

        ref = ServiceRef(*parts)
        work = revisions(ref.name, self.backends.engine_of(ref))
        self.answer(RevisionList(items=list(await self.within(self.app.request_timeout, work))))


class RollbackHandler(Handler):
    @authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        """Make the service what it was."""
        from ..serving.deploy import roll_back
        from .schemas import RollbackBody

        body = self.body(RollbackBody)
        ref = ServiceRef(*parts)
        work = roll_back(
            ref.name,
            revision=body.revision,
            force=body.force,
            engine=self.backends.engine_of(ref),
            metadata=self.backends.metadata,
            provenance=self.backends.provenance(),
        )
        self.answer(await self.within(self.app.action_timeout, work))
