"""The lines of an answer that is streamed, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PredictionError
from . import failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

_LONGEST = 1 << 20
"""Bytes of one line."""


class Lines:
    """Lines of text without their ends; the last one may have none.

    Only line feeds end one: JSON may hold what else splits lines in Unicode.

    Args:
        service: its name, for errors.
        answer: an answer that has begun well; closed by :meth:`aclose`.
        timeout: seconds that the next piece may take.
    """

    def __init__(self, service: str, answer: httpx.Response, timeout: float) -> None:
        self._service = service
        self._answer = answer
        self._timeout = timeout
        self._pieces: AsyncIterator[bytes] = answer.aiter_bytes()
        self._rest = b""

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        """
        Raises:
            DeadlineExceededError: nothing came for too long.
            PredictionError: the service broke off, or sends a line without an end.
        """
        import httpx

        try:
            while b"\n" not in self._rest:
                if len(self._rest) > _LONGEST:
                    message = f"The service {self._service!r} streams a line of more than {_LONGEST:,} bytes."
                    await self.aclose()
                    raise PredictionError(message)
                self._rest += await anext(self._pieces)
        except (StopAsyncIteration, httpx.StreamClosed):
            last = self._rest
            await self.aclose()
            if not last:
                raise StopAsyncIteration from None
            return _text(last)
        except httpx.HTTPError as error:
            await self.aclose()
            raise failures.of_transport(self._service, error, self._timeout, answered=True) from error
        line, _, self._rest = self._rest.partition(b"\n")
        return _text(line)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was broken off."""
        return self._answer.is_closed

    async def aclose(self) -> None:
        """Break off what has not come; the service is told by the end of the connection."""
        self._rest = b""
        await self._answer.aclose()


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
