"""Which environments there are: the package's own, and those that others have registered."""

from __future__ import annotations

from ..errors import ConflictError, NotFoundError
from .record import Environment
from .records.metadata import METADATA
from .records.mlserver import MLSERVER
from .records.pmml import PMML
from .records.tensorflow_serving import TENSORFLOW_SERVING
from .records.torchserve import TORCHSERVE
from .records.transformers_serve import TRANSFORMERS_SERVE
from .records.triton import TRITON

_OWN = (METADATA, MLSERVER, TRITON, TENSORFLOW_SERVING, TORCHSERVE, TRANSFORMERS_SERVE, PMML)
_known: dict[str, Environment] = {one.name: one for one in _OWN}


def all() -> list[Environment]:
    """Every environment, in the order of a list."""
    return list(_known.values())


def by_name(name: str) -> Environment:
    """
    Raises:
        NotFoundError: there is none of this name; those that are there.
    """
    if name not in _known:
        raise NotFoundError(
            f"There is no environment {name!r}.", hint=f"The environments are {', '.join(_known)}.", field="name"
        )
    return _known[name]


def register(environment: Environment) -> None:
    """Add an environment of another package, such as a server's. The same again is without effect.

    Raises:
        ConflictError: there is another one of its name.
    """
    if _known.setdefault(environment.name, environment) != environment:
        raise ConflictError(
            f"There is an environment {environment.name!r} already: {_known[environment.name].title}.",
            hint="Give yours another name.",
        )
