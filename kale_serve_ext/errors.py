"""Every error that a user can meet.

Each says what happened, on which object, and what to do about it::

    KaleServeError
    ├── InvalidInputError           400  what was passed cannot be used as it is
    │   ├── InvalidNameError        400  a name that Kubernetes or the store would refuse
    │   └── UnsupportedModelError   400  no format knows how to save this object
    ├── PermissionDeniedError       403  a right is missing: names the verb and the resource
    ├── NotFoundError               404  no such artifact, service, file or folder
    ├── ConflictError               409  the name is taken, or by other content
    │   └── ChangedMeanwhileError   409  somebody else changed the service since this was planned
    ├── TooLargeError               413  a request over the configured limit
    ├── PlanError                   422  the plan's checks say that this cannot run
    ├── SnapshotError               500  a stored snapshot does not match its hash
    ├── PredictionError             502  the model was reached and answered with an error
    ├── BackendUnavailableError     503  metadata, engine or store cannot be reached
    │   ├── EnvironmentUnavailableError  503  an environment cannot be made here
    │   ├── MetadataUnavailableError     503
    │   └── ServiceNotReadyError         503  has ``phase``
    ├── DeadlineExceededError       504  the other side took longer than allowed
    └── StorageFullError            507  no room left where the snapshot goes

``ServeFailedError`` (a ``KaleServeError``) is raised by ``serve(wait=True)`` when the service did not become ready:
it has the phase, the reason and the failing process's last log lines.

The REST API answers with :meth:`KaleServeError.to_dict` and :attr:`KaleServeError.status`.
"""

from __future__ import annotations

import itertools
import traceback
from pathlib import Path

_HERE = str(Path(__file__).parent)


class KaleServeError(Exception):
    """Base of the tree.

    Args:
        message: what happened, naming the object.
        hint: what the reader can do about it.
        field: the argument or form field at fault, where there is one.
    """

    status: int = 500
    request: str = ""
    """The body that was sent, where this is the outcome of a test request that has one."""

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    @property
    def reason(self) -> str:
        """The error's kind in one word, stable over releases: ``NotFound``, ``Conflict``, …"""
        return type(self).__name__.removesuffix("Error")

    def to_dict(self) -> dict[str, str]:
        """The body of the REST API's answer."""
        body = {"message": self.message, "reason": self.reason, "hint": self.hint}
        more = {"field": self.field, "request": self.request}
        return body | {name: value for name, value in more.items() if value}

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message, the lines of the caller's own code that led here, and what other code
        raised, with its own lines.

        Python has the whole of it: ``traceback.print_last()``.
        """
        frames = traceback.extract_tb(self.__traceback__)
        shown = [f"{type(self).__name__}: {self}"]
        shown += _lines(list(itertools.takewhile(lambda frame: not frame.filename.startswith(_HERE), frames)))
        cause = self.__cause__
        if cause is not None and not isinstance(cause, KaleServeError):
            shown.append("\nCaused by " + "".join(traceback.format_exception_only(type(cause), cause)).rstrip())
            shown += _lines(traceback.extract_tb(cause.__traceback__))
        return shown


def _lines(frames: list[traceback.FrameSummary]) -> list[str]:
    """Those that are neither this package's nor IPython's, in Python's words."""
    own = [f for f in frames if not f.filename.startswith(_HERE) and "IPython" not in Path(f.filename).parts]
    return ["\n" + "".join(traceback.format_list(own)).rstrip()] if own else []


class InvalidInputError(KaleServeError, ValueError):
    status = 400


class InvalidNameError(InvalidInputError):
    pass


class UnsupportedModelError(InvalidInputError):
    pass


class PermissionDeniedError(KaleServeError):
    status = 403


class NotFoundError(KaleServeError, LookupError):
    status = 404


class ConflictError(KaleServeError):
    status = 409


class ChangedMeanwhileError(ConflictError):
    pass


class TooLargeError(KaleServeError):
    status = 413


class PlanError(KaleServeError):
    status = 422


class SnapshotError(KaleServeError):
    status = 500


class PredictionError(KaleServeError):
    """The model was reached and answered with an error.

    ``answer_status`` is the HTTP status that it gave (0 where the answer could not be read).
    """

    status = 502

    def __init__(self, message: str, *, hint: str = "", field: str = "", answer_status: int = 0) -> None:
        super().__init__(message, hint=hint, field=field)
        self.answer_status = answer_status


class BackendUnavailableError(KaleServeError):
    status = 503


class EnvironmentUnavailableError(BackendUnavailableError):
    """An environment cannot be made, or the one that the settings name is not there."""


class MetadataUnavailableError(BackendUnavailableError):
    pass


class ServiceNotReadyError(BackendUnavailableError):
    """The service exists and does not answer requests now; ``phase`` says what it is doing."""

    def __init__(self, message: str, *, phase: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.phase = phase


class DeadlineExceededError(KaleServeError, TimeoutError):
    status = 504


class StorageFullError(KaleServeError):
    status = 507


class ServeFailedError(KaleServeError):
    """A service did not become ready.

    ``phase`` and ``cause`` are the service's at that moment; ``log`` holds the failing process's last lines.
    """

    status = 502

    def __init__(self, message: str, *, phase: str, cause: str, log: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.phase = phase
        self.cause = cause
        self.log = log

    def __str__(self) -> str:
        tail = f"\n--- last log lines ---\n{self.log}" if self.log else ""
        return f"{super().__str__()}{tail}"
