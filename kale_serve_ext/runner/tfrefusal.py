"""Why a request is not answered, by gRPC's codes, which REST's statuses follow."""

from __future__ import annotations

from collections.abc import Mapping

STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 503,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP's status for a code, as TensorFlow Serving has them; 500 for others."""


class Refusal(Exception):
    """An answer that tells an error.

    Args:
        message: as the client gets it.
        code: the name of gRPC's status.
    """

    def __init__(self, message: str, code: str = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def status(self) -> int:
        """HTTP's."""
        return STATUS.get(self.code, 500)
