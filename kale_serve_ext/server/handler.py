"""What all handlers of the REST API share: reading what comes in, answering, deadlines and failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Hashable
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado.web import HTTPError, stream_request_body

from ..errors import (
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    TooLargeError,
)
from ..runner.budget import RETRY_AFTER
from .errors import shaped

if TYPE_CHECKING:
    from types import TracebackType

    from pydantic import BaseModel, TypeAdapter, ValidationError

    from .app import App
    from .backends import Backends

AUTH_RESOURCE = "kale-serve-ext"
"""What an authorizer is asked about: may this user ``read``, ``write`` or ``execute`` it."""

T = TypeVar("T")
Model = TypeVar("Model", bound="BaseModel")


@stream_request_body
class Handler(ExtensionHandlerMixin, APIHandler):
    """Base of the API's handlers.

    Each verb of a subclass is decorated with ``@authenticated`` and ``@authorized`` itself: the latter remembers the
    first resource that it meets, so a verb shared by subclasses would check the wrong one.
    """

    auth_resource = AUTH_RESOURCE

    def initialize(self, name: str) -> None:
        super().initialize(name)
        self._body = bytearray()
        self._refused: KaleServeError | None = None

    async def prepare(self, *, _redirect_to_login: bool = True) -> None:
        await super().prepare()
        if self.current_user and not self._finished:
            await self.within(self.app.request_timeout, self.backends.find_engine())

    @property
    def app(self) -> App:
        return cast("App", self.extensionapp)

    @property
    def backends(self) -> Backends:
        return self.app.backends

    def data_received(self, chunk: bytes) -> None:
        """Keep a body up to the limits. A longer one is read to its end and thrown away: an answer that is sent while
        the client still writes would be lost with the connection."""
        if self._refused or not self.current_user:
            return
        # One that is over the limit for all together would never pass, however often it is tried.
        limit, setting = min(
            (self.app.max_request_bytes, "max_request_bytes"), (self.app.bodies.limit, "max_body_bytes")
        )
        if len(self._body) + len(chunk) > limit:
            self._refused = TooLargeError(
                f"The request is larger than {limit:,} bytes.",
                hint=f"Send less at once, or raise KaleServeApp.{setting}.",
            )
        elif not self.app.bodies.take(len(chunk)):
            self._refused = BackendUnavailableError(
                "The requests under way are too large together.",
                hint="Try again in a moment, or raise KaleServeApp.max_body_bytes.",
            )
        else:
            self._body += chunk
            return
        self._let_go()

    def on_finish(self) -> None:
        super().on_finish()
        self._let_go()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._let_go()

    def body(self, kind: type[Model]) -> Model:
        """The request's JSON body.

        Raises:
            TooLargeError: it is over the limit.
            BackendUnavailableError: it is, together with the others that are under way.
            InvalidInputError: it is not JSON, or not of this kind; ``field`` names what is wrong.
        """
        from pydantic import ValidationError

        if self._refused:
            raise self._refused
        try:
            return kind.model_validate_json(bytes(self._body))
        except ValidationError as error:
            raise _invalid(error) from None

    def query(self, kind: type[Model]) -> Model:
        """The request's query string; a parameter that is given twice counts once, by its last value."""
        from pydantic import ValidationError

        # Not by get_query_argument, which makes blanks of control characters: they are to be refused.
        given = {name: self.decode_argument(values[-1], name) for name, values in self.request.query_arguments.items()}
        try:
            return kind.model_validate(given)
        except ValidationError as error:
            raise _invalid(error) from None

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """The result of ``work``.

        Raises:
            DeadlineExceededError: it took longer; it has been cancelled.
        """
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError as error:
            if isinstance(error, KaleServeError):
                raise  # a backend's own deadline, which names it
            raise DeadlineExceededError(
                f"{self.request.method} {self.request.path} got no answer from its backend within {seconds:g} s.",
                hint="Look at the backends' health, then try again. The limits are KaleServeApp.*_timeout.",
            ) from None

    def answer(self, value: object, status: int = 200) -> None:
        """End the request with ``value``, one of the API's types, as JSON."""
        self.set_status(status)
        self.finish(_json(cast("Hashable", type(value)), value))

    def write_error(
        self,
        status_code: int,
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | None = None,
        **_: object,
    ) -> None:
        """End the request with an ``ErrorBody``."""
        status, body = shaped(exc_info[1] if exc_info else None, status_code)
        self.set_status(status)
        if status == 405:
            verbs = (verb for verb in self.SUPPORTED_METHODS if self._has(verb))
            self.set_header("Allow", ", ".join(verbs))
        if status == 503 and self._refused:
            self.set_header("Retry-After", RETRY_AFTER)
        self.finish(json.dumps({"field": "", "request": "", **body}))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """What is told to the client in full needs no traceback in the log."""
        if isinstance(value, (KaleServeError, HTTPError)):
            level = self.log.warning if shaped(value, 500)[0] >= 500 else self.log.info
            level("%s %s: %s", self.request.method, self.request.path, shaped(value, 500)[1]["message"])
        else:
            super().log_exception(typ, value, tb)

    def _let_go(self) -> None:
        """Hold the body no longer."""
        self.app.bodies.give_back(len(self._body))
        self._body.clear()

    def _has(self, verb: str) -> bool:
        return getattr(type(self), verb.lower()) is not getattr(APIHandler, verb.lower()) or verb == "OPTIONS"


class MissingHandler(Handler):
    """Paths of the name space that do not exist: JSON like every other error, not the server's page."""

    async def prepare(self, *, _redirect_to_login: bool = True) -> None:
        await super().prepare()
        if not self._finished:
            raise HTTPError(404, "The API has no such path.")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[object]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast("type", kind))


def _json(kind: Hashable, value: object) -> bytes | str:
    """``value`` as JSON; numbers that JSON has not (NaN, infinities) as null."""
    from pydantic_core import PydanticSerializationError

    try:
        return _adapter(kind).dump_json(value)
    except PydanticSerializationError:
        # A model answered with half of a surrogate pair, which UTF-8 has not; in JSON it can be written as an escape.
        plain = json.dumps(_adapter(kind).dump_python(value, mode="json"))
        return json.dumps(json.loads(plain, parse_constant=lambda _: None))


def _invalid(error: ValidationError) -> InvalidInputError:
    """The first thing that is wrong, with the field it is in."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:200]
    where = f"{field}: " if field else ""
    what = "Text must not hold a NUL character" if first["type"] == "string_pattern_mismatch" else first["msg"]
    return InvalidInputError(f"{where}{what}"[:1000], field=field)
