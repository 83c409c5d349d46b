"""InferenceServices: list, create, look at, change, delete."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..errors import InvalidInputError, PermissionDeniedError
from ..records import ServiceRef
from .handler import Handler
from .watcher import emit_upload

if TYPE_CHECKING:
    from ..serving.types import ServeRequest, Service
    from .schemas import PatchBody, ServeBody


class ServicesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The services of every engine."""
        from ..serving.status import describe
        from .schemas import ServiceList

        states = await self.within(self.app.request_timeout, self.backends.services())
        self.answer(ServiceList(items=[describe(state) for state in states]))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Serve a model, or roll the service of that name over to it."""
        from .schemas import ServeBody

        request = serve_request(self.body(ServeBody))
        self.answer(await self.within(self.app.action_timeout, self._serve(request)), status=201)

    async def _serve(self, request: ServeRequest) -> Service:
        from ..serving.deploy import serve

        backends, told = self.backends, partial(emit_upload, self.event_logger)
        if not self.app.max_services:
            return await serve(request, backends.engine, backends.metadata, where=backends.where(), told=told)
        async with self.app.creating:  # between counting and creating nobody else may create
            await self._check_quota(request.name, self.app.max_services)
            return await serve(request, backends.engine, backends.metadata, where=backends.where(), told=told)

    async def _check_quota(self, name: str, limit: int) -> None:
        """Raises PermissionDeniedError where one more service would be over the limit."""
        ours = [state.ref for state in await self.backends.services() if state.ours]
        info = self.backends.engine.info
        if len(ours) >= limit and ServiceRef(info.kind, info.context, info.namespace, name) not in ours:
            raise PermissionDeniedError(
                f"{len(ours)} services run here already, and this server allows {limit}.",
                hint="Delete one, or raise KaleServeApp.max_services.",
            )


class ServiceHandler(Handler):
    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        from ..serving.status import describe

        ref = ServiceRef(*parts)
        state = await self.within(self.app.request_timeout, self.backends.engine_of(ref).get(ref.name))
        self.answer(describe(state))

    @authenticated
    @authorized
    async def patch(self, *parts: str) -> None:
        """Pause, resume, scale, share out the requests, or serve another version."""
        from .schemas import PatchBody

        body = self.body(PatchBody)
        self.answer(await self.within(self.app.action_timeout, self._change(ServiceRef(*parts), body)))

    @authenticated
    @authorized
    async def delete(self, *parts: str) -> None:
        """Remove the service and all that was made for it."""
        from ..serving.deploy import delete

        ref = ServiceRef(*parts)
        work = delete(ref.name, self.backends.engine_of(ref), self.backends.metadata)
        await self.within(self.app.action_timeout, work)
        self.set_status(204)
        await self.finish()

    async def _change(self, ref: ServiceRef, body: PatchBody) -> Service:
        from ..serving.deploy import set_paused, update

        engine, metadata = self.backends.engine_of(ref), self.backends.metadata
        changed: Service | None = None
        if any(value is not None for value in (body.model_id, body.transformer_id, body.replicas, body.canary)):
            changed = await update(
                ref.name,
                model_id=body.model_id,
                transformer_id=body.transformer_id,
                replicas=body.replicas,
                canary=body.canary,
                force=body.force,
                engine=engine,
                metadata=metadata,
                where=self.backends.where(),
                told=partial(emit_upload, self.event_logger),
            )
        if body.paused is not None:
            changed = await set_paused(ref.name, body.paused, engine=engine)
        if changed is None:
            raise InvalidInputError(
                f"Nothing was asked to change in {ref.name}.",
                hint="Give paused, replicas, canary, model_id or transformer_id.",
            )
        return changed


def serve_request(body: ServeBody) -> ServeRequest:
    """The core's request that this body asks for."""
    from ..serving.types import ServeRequest

    return ServeRequest(**body.model_dump())
