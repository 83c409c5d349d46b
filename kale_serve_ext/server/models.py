"""Registered models and transformers: lists, one version with all about it, and making one of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..entities import KFP_MODEL, MODEL, TRANSFORMER
from ..errors import NotFoundError
from .handler import Handler

if TYPE_CHECKING:
    from ..serving.types import Service
    from .schemas import ModelDetail, ModelPage


class ModelsHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """A page of models, the newest first."""
        self.answer(await self.within(self.app.request_timeout, _page(self, {MODEL, KFP_MODEL})))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Make a Model artifact of a file or folder under the server's root."""
        from .register import register
        from .schemas import RegisterBody

        body = self.body(RegisterBody)
        artifact = await self.within(self.app.action_timeout, register(self.app, body))
        self.answer(await self.within(self.app.request_timeout, _detail(self, artifact.id)), status=201)


class ModelHandler(Handler):
    @authenticated
    @authorized
    async def get(self, id: str) -> None:
        """One version of a model or transformer, its siblings, its lineage and the services that run it."""
        if len(id) > 18:
            raise NotFoundError("There is no artifact with this id.", hint="The list of models holds their ids.")
        self.answer(await self.within(self.app.request_timeout, _detail(self, int(id))))


class TransformersHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """A page of transformers, the newest first."""
        self.answer(await self.within(self.app.request_timeout, _page(self, {TRANSFORMER})))


async def _page(handler: Handler, types: set[str]) -> ModelPage:
    from .queries import ListQuery
    from .schemas import ModelPage

    query = handler.query(ListQuery)
    index = await handler.backends.fresh_index()
    items, next_cursor, total = await index.page(
        types=types & {query.type} if query.type else types,
        search=query.search,
        tag=query.tag,
        format=query.format,
        name=query.name,
        cursor=query.cursor,
        limit=query.limit,
    )
    return ModelPage(items=items, next_cursor=next_cursor, total=total)


async def _detail(handler: Handler, id: int) -> ModelDetail:
    from ..serving.status import describe
    from .schemas import ModelDetail

    metadata = handler.backends.metadata
    artifact = await metadata.artifact(id)
    services = [describe(state) for state in await handler.backends.services()]
    return ModelDetail(
        artifact=artifact,
        versions=await metadata.versions(artifact.type, artifact.name),
        lineage=await metadata.lineage(id),
        services=[one for one in services if id in _served_ids(one)],
    )


def _served_ids(service: Service) -> set[int]:
    """What it serves, and what is to come."""
    parts = [service.model, service.transformer]
    if service.answering:
        parts += [service.answering.model, service.answering.transformer]
    return {part.id for part in parts if part}
