"""InferenceServices: list, create, look at, change, delete."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..entities import ServiceRef
from ..errors import InvalidInputError, NotFoundError, PermissionDeniedError
from .handler import Handler

if TYPE_CHECKING:
    from ..engines.base import Engine, ServiceState
    from ..serving.deploy import Planned, Uploading
    from ..serving.plan import Draft
    from ..serving.types import ServeRequest, Service
    from .backends import Backends
    from .schemas import PatchBody, ServeBody


class ServicesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The services of every engine."""
        from ..serving.status import describe
        from .schemas import ServiceList

        states = await self.within(self.app.request_timeout, self._states())
        self.answer(ServiceList(items=self.app.uploads.shown(describe(state) for state in states)))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Serve a model, or roll the service of that name over to it."""
        from .schemas import ServeBody

        service, is_accepted = await self._serve(self.body(ServeBody))
        self.answer(service, status=201 if is_accepted else 202)

    async def _states(self) -> list[ServiceState]:
        """The services; also those that were to come when they began to be read, and have come by now."""
        to_come = self.app.uploads.refs()
        states = await self.backends.services()
        if to_come - self.app.uploads.refs() - {state.ref for state in states}:
            return await self.backends.services()
        return states

    async def _serve(self, body: ServeBody) -> tuple[Service, bool]:
        from ..serving.deploy import serve

        request = serve_request(body)
        engine = await self.within(self.app.request_timeout, engine_for(body, self.backends))
        metadata, provenance = self.backends.metadata, self.backends.provenance()

        def begin(planned: Planned, uploading: Uploading) -> Coroutine[object, object, Service]:
            def told(made: Draft) -> None:
                if body.ref:
                    _refuse_new(made)
                planned(made)

            return serve(request, engine, metadata, provenance=provenance, on_progress=uploading, planned=told)

        if body.ref or not self.app.max_services:
            return await self.app.uploads.serve(engine, begin, self.app.action_timeout)
        # Between counting and creating nobody else may create. What is to come once its files are there counts.
        async with self.app.creating:
            await self.within(self.app.request_timeout, self._check_quota(request.name, self.app.max_services))
            return await self.app.uploads.serve(engine, begin, self.app.action_timeout)

    async def _check_quota(self, name: str, limit: int) -> None:
        """Raises PermissionDeniedError where one more service would be over the limit."""
        to_come = self.app.uploads.refs()  # first: one that comes while the services are read is in either
        ours = to_come | {state.ref for state in await self.backends.services() if state.ours}
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
        is_to_come = ref in self.app.uploads.refs()
        try:
            state = await self._state(ref)
        except NotFoundError:
            if to_come := self.app.uploads.get(ref):
                self.answer(to_come)
                return
            if not is_to_come:
                raise
            state = await self._state(ref)  # it has come since it was looked for
        (service, *_) = [s for s in self.app.uploads.shown([describe(state)]) if s.ref == ref]
        self.answer(service)

    async def _state(self, ref: ServiceRef) -> ServiceState:
        return await self.within(self.app.request_timeout, self.backends.engine_of(ref).get(ref.name))

    @authenticated
    @authorized
    async def patch(self, *parts: str) -> None:
        """Pause, resume, scale, share out the requests, or serve another version."""
        from .schemas import PatchBody

        service, is_accepted = await self._change(ServiceRef(*parts), self.body(PatchBody))
        self.answer(service, status=200 if is_accepted else 202)

    @authenticated
    @authorized
    async def delete(self, *parts: str) -> None:
        """Remove the service and all that was made for it, or what is being uploaded for one that is to come."""
        from ..serving.deploy import delete

        ref = ServiceRef(*parts)
        is_uploaded = self.app.uploads.has(ref)
        if is_uploaded:
            await self.within(self.app.action_timeout, self.app.uploads.cancel(ref))
        # A service may be there all the same: it was an update, or somebody else has served it meanwhile.
        work = delete(ref.name, self.backends.engine_of(ref), self.backends.metadata)
        try:
            await self.within(self.app.action_timeout, work)
        except NotFoundError:
            if not is_uploaded:
                raise
        self.set_status(204)
        await self.finish()

    async def _change(self, ref: ServiceRef, body: PatchBody) -> tuple[Service, bool]:
        from ..serving.deploy import set_paused, update

        engine = self.backends.engine_of(ref)
        asked = (
            body.model_id,
            body.transformer_id,
            body.remove or None,
            body.replicas,
            body.canary,
            body.method or None,
            body.verify or None,
        )
        if all(value is None for value in asked):
            if body.paused is None:
                raise InvalidInputError(
                    f"No change was requested for {ref.name}.",
                    hint="Give paused, replicas, canary, method, verify, model_id, transformer_id or remove.",
                )
            return await self.within(self.app.action_timeout, set_paused(ref.name, body.paused, engine=engine)), True

        async def change(planned: Planned, uploading: Uploading) -> Service:
            changed = await update(
                ref.name,
                model_id=body.model_id,
                transformer_id=body.transformer_id,
                remove=body.remove,
                replicas=body.replicas,
                canary=body.canary,
                force=body.force,
                method=body.method or "",
                verify=body.verify or "",
                engine=engine,
                metadata=self.backends.metadata,
                provenance=self.backends.provenance(),
                on_progress=uploading,
                planned=planned,
            )
            return changed if body.paused is None else await set_paused(ref.name, body.paused, engine=engine)

        return await self.app.uploads.serve(engine, change, self.app.action_timeout)


class UploadHandler(Handler):
    @authenticated
    @authorized
    async def delete(self, *parts: str) -> None:
        """Cancel what is being uploaded for a service, or dismiss what failed. A service that runs is left as it is."""
        await self.within(self.app.action_timeout, self.app.uploads.cancel(ServiceRef(*parts)))
        self.set_status(204)
        await self.finish()


def serve_request(body: ServeBody) -> ServeRequest:
    """The core's request that this body asks for.

    Raises:
        InvalidInputError: the service to change has another name.
    """
    from ..serving.types import ServeRequest

    given = body.model_dump(exclude={"ref"})
    if body.ref:
        if body.name not in ("", body.ref.name):
            raise InvalidInputError(
                f"The name {body.name!r} is not that of the service to change, {body.ref.name!r}.",
                hint="A service cannot be renamed: serve the model under the other name.",
                field="name",
            )
        given["name"] = body.ref.name
    return ServeRequest(**{**given, "remove": tuple(given["remove"])})


async def engine_for(body: ServeBody, backends: Backends) -> Engine:
    """The engine of the service to change; that of new services, where none is named.

    Raises:
        NotFoundError: there is no such engine, or the service to change is gone.
    """
    if body.ref is None:
        return backends.engine
    ref = ServiceRef(**body.ref.model_dump())
    engine = backends.engine_of(ref)
    await engine.get(ref.name)
    return engine


def _refuse_new(made: Draft) -> None:
    """Raises NotFoundError where the service to change went after it was looked for."""
    if made.current is None:
        raise NotFoundError(f"The service {made.plan.name!r} is gone.", hint="Serve the model anew.")
