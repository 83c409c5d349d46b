"""Where new services go: what there is to choose from, and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..errors import BackendUnavailableError, InvalidInputError, PermissionDeniedError
from .handler import Handler

if TYPE_CHECKING:
    from ..config import Settings
    from ..engines.base import EngineInfo
    from ..engines.cluster.credentials import Place
    from .backends import Backends
    from .schemas import EngineBody, EngineList, NamespaceList


class EnginesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """This machine and the contexts of the kubeconfig. No cluster is asked."""
        settings = self.backends.settings
        work = self.backends.in_thread("engine", lambda: _engines(settings))
        self.answer(await self.within(self.app.request_timeout, work))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Send new services to another engine, from now on and after a restart."""
        from .schemas import EngineBody

        self.answer(await self.within(self.app.request_timeout, self._choose(self.body(EngineBody))))

    async def _choose(self, body: EngineBody) -> EngineInfo:
        from ..engines.cluster.discovery import check_may_serve
        from ..engines.selection import Choice, write_choice

        backends = self.backends
        if backends.decision.by == "configured":
            raise PermissionDeniedError(
                "The engine is fixed by this server's configuration.",
                hint="Unset KALE_SERVE_ENGINE and KaleServeApp.engine to choose it here.",
            )
        choice = Choice(body.kind) if body.kind else None
        if body.kind == "cluster":
            place = await _place(backends, body.context)
            namespace = body.namespace or backends.settings.namespace or place.namespace
            await check_may_serve(place, namespace)
            choice = Choice(body.kind, place.context, namespace)
        await backends.in_thread("engine", lambda: write_choice(backends.settings.data_dir, choice))
        await backends.switch()
        return backends.decision.info


class NamespacesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """The namespaces of one context's cluster; its own alone, where they may not be listed."""
        from .queries import NamespacesQuery

        context = self.query(NamespacesQuery).context
        self.answer(await self.within(self.app.request_timeout, self._namespaces(context)))

    async def _namespaces(self, context: str) -> NamespaceList:
        from ..engines.cluster.discovery import namespaces
        from .schemas import NamespaceList

        place = await _place(self.backends, context)
        found = await namespaces(place)
        return NamespaceList([place.namespace] if found is None else found, found is not None)


async def _place(backends: Backends, context: str) -> Place:
    from ..engines.cluster.credentials import find_place

    if not context:
        raise InvalidInputError("No context is named.", hint="See the list of engines.", field="context")
    return await backends.in_thread("engine", lambda: find_place(backends.settings.kubeconfig, context))


def _engines(settings: Settings) -> EngineList:
    from ..engines.cluster.credentials import places
    from ..engines.selection import cluster_info, local_info
    from .schemas import EngineList

    here = local_info(settings)
    try:
        return EngineList(
            [here, *(cluster_info(place, settings.namespace) for place in places(settings.kubeconfig))], ""
        )
    except BackendUnavailableError as error:
        return EngineList([here], error.message)
