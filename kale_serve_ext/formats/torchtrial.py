"""What a module answers to its example, and beside it to other sizes and other values: what an exported program is held
against before it is taken.

A tracer keeps the sizes that it has seen and the way that its values went. So each size that may be any is lengthened
and shortened, and the values of every input are changed; what the module itself refuses is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from ..ml import Signature, TensorSpec
from .torcharguments import BATCH, Place, Tensors, outcome, resized, specs_of, variations
from .torchmodel import Call, in_words
from .torchprogram import called_by_name

if TYPE_CHECKING:
    from torch import nn

_CLOSE = 1e-4
"""How far answers may be apart, of the larger one: other kernels add up in another order."""


@dataclass(frozen=True)
class _Case:
    given: Tensors
    answer: Mapping[str, object]
    what: str
    """What it is, in messages."""


@dataclass(frozen=True)
class _Open:
    """A size that may be any, wherever it stands."""

    places: tuple[Place, ...]
    size: int
    """In the example."""
    longer: int
    """That the module takes too."""


class Trial:
    """What a module answers, for the sizes and values that it takes.

    Args:
        name: the module's class, for messages.
        given: the example.
        said: the user's signature: which dimensions have to take any size.

    Raises:
        InvalidInputError: the module does not take its example, or no other size where the signature leaves it open.
    """

    def __init__(self, network: nn.Module, name: str, given: Tensors, said: Signature | None) -> None:
        self.given = given
        self._ask = called_by_name(network)
        self._name = name
        try:
            first = outcome(self._ask, given)
        except Exception as error:
            raise InvalidInputError(
                f"The {name} does not take its example. {type(error).__name__}: {in_words(error)}",
                hint="Pass rows as you would to the module itself, with the dtype that it takes.",
                field="example",
            ) from error
        self._is_certain = not _difference(first, outcome(self._ask, given))
        """Whether it answers the same twice; of one that does not only names, shapes and dtypes are compared."""
        self._first = _Case(given, first, "the example")
        self._varied = [case for what, other in variations(given) if (case := self._case(other, what))]
        self._resized: list[_Case] = []
        self.rows = min(len(tensor) for tensor in given.values())
        """The example's."""
        said_of = _said_of(given, said)
        self.batch = self._batch(said_of)
        """Where the batch stands; nowhere where it may not be of any size."""
        self._open = self._opened(said_of)
        self.inputs = self._input_specs(said_of)
        self.outputs = tuple(self._output_spec(spec) for spec in specs_of(first, -1))

    @property
    def open(self) -> tuple[Place, ...]:
        """The dimensions beside the batch's that may be of any size."""
        return tuple(place for one in self._open for place in one.places)

    def roomy(self) -> Tensors:
        """The example without a size of one where it may be any: it would be taken for fixed."""
        found = resized(self.given, self.batch, max(2, self.rows)) if self.batch else self.given
        for one in self._open:
            found = resized(found, one.places, one.longer) if one.size < 2 else found
        return found

    def differs(self, call: Call) -> str:
        """How an exported program's answers differ from the module's; empty where they do not.

        Raises:
            Exception: whatever the program says of what the module takes.
        """
        for case in (self._first, *self._resized, *self._varied):
            if found := _difference(case.answer, outcome(call, case.given), values=self._is_certain):
                return f"with {case.what}, {found}"
        return ""

    def _case(self, given: Tensors, what: str) -> _Case | None:
        with contextlib.suppress(Exception):  # the module takes only some sizes and numbers
            return _Case(given, outcome(self._ask, given), what)
        return None

    def _batch(self, said_of: Mapping[str, TensorSpec]) -> tuple[Place, ...]:
        if len({len(tensor) for tensor in self.given.values()}) > 1:
            return ()
        called = {spec.shape[0] for spec in said_of.values() if spec.shape and isinstance(spec.shape[0], str)}
        again = [place for place, size in _open_in(self.given, said_of) if size in called and place[1]]
        places = (*((name, 0) for name in self.given), *again)
        # One more row is another batch for whoever has taken the first one's size for fixed; of one alone torch may
        # squeeze the dimension away.
        is_free = self._takes(places, self.rows + 1, f"{self.rows + 1} rows")
        if self.rows > 1:
            self._takes(places, 1, "1 row")
        return places if is_free else ()

    def _opened(self, said_of: Mapping[str, TensorSpec]) -> list[_Open]:
        alone: list[Place] = []
        called: dict[str, list[Place]] = {}
        for place, size in _open_in(self.given, said_of):
            if place in self.batch:
                continue
            if isinstance(size, str):
                called.setdefault(size, []).append(place)
            else:
                alone.append(place)
        found = [self._checked(tuple(places)) for places in called.values()]
        for place in alone:
            # What has no name may have to be of one size with others all the same, as a mask with what it hides.
            alike = tuple(one for one in alone if self._size(one) == self._size(place))
            found.append(self._checked((place,), alike))
        if len(found) > 1:
            longer = self.given
            for one in found:
                longer = resized(longer, one.places, one.longer)
            self._add(longer, "more in all dimensions that may be any")
        return found

    def _checked(self, *ways: tuple[Place, ...]) -> _Open:
        """The first of these sets of dimensions that the module takes in another size.

        Raises:
            InvalidInputError: it takes none.
        """
        for places in ways:
            size = self._size(places[0])
            what = f"dimension {places[0][1]} of {places[0][0]!r}"
            for longer in (size + 1, 2 * size):
                if self._takes(places, longer, f"{longer} in {what}"):
                    for shorter in range(size - 1, 0, -1) if size < 3 else (size - 1, size // 2):
                        if self._takes(places, shorter, f"{shorter} in {what}"):
                            break
                    return _Open(places, size, longer)
        name, number = ways[0][0]
        size = self._size(ways[0][0])
        raise InvalidInputError(
            f"The signature leaves dimension {number} of {name!r} open, and the {self._name} takes neither {size + 1} "
            f"nor {2 * size} there.",
            hint=f"Write {size} there, or log it with another example.",
            field="signature",
        )

    def _takes(self, places: Sequence[Place], size: int, what: str) -> bool:
        taken = self._add(resized(self.given, places, size), what)
        if taken and self._varied:
            # An example of zeros tells nothing of a factor that was kept.
            self._add(resized(self._varied[0].given, places, size), f"{what} and {self._varied[0].what}")
        return taken

    def _add(self, given: Tensors, what: str) -> bool:
        case = self._case(given, what)
        if case is not None:
            self._resized.append(case)
        return case is not None

    def _size(self, place: Place) -> int:
        return int(self.given[place[0]].shape[place[1]])

    def _input_specs(self, said_of: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        sizes = {place: size for place, size in _open_in(self.given, said_of) if place in self.open}
        sizes |= dict.fromkeys(self.batch, BATCH)
        return tuple(
            TensorSpec(spec.name, spec.dtype, [sizes.get((spec.name, n), size) for n, size in enumerate(spec.shape)])
            for spec in specs_of(self.given, -1)
        )

    def _output_spec(self, spec: TensorSpec) -> TensorSpec:
        """With what other sizes of the input change left open."""
        import numpy as np

        shape = list(spec.shape)
        for case in self._resized:
            more = np.asarray(case.answer.get(spec.name)).shape
            is_batch = min(len(tensor) for tensor in case.given.values()) == self.rows + 1
            for n, (size, other) in enumerate(zip(spec.shape, more, strict=True) if len(more) == len(shape) else ()):
                if size != other and shape[n] != BATCH:
                    is_row = bool(self.batch) and is_batch and (size, other) == (self.rows, self.rows + 1)
                    shape[n] = BATCH if is_row else -1
        return TensorSpec(spec.name, spec.dtype, shape)


def _said_of(given: Tensors, said: Signature | None) -> dict[str, TensorSpec]:
    """What the user has said of each input; of an only one by whatever name."""
    specs = said.inputs if said else ()
    if len(specs) == 1 == len(given):
        return {next(iter(given)): specs[0]}
    return {spec.name: spec for spec in specs if spec.name in given}


def _open_in(given: Tensors, said_of: Mapping[str, TensorSpec]) -> Iterator[tuple[Place, str | int]]:
    for name, spec in said_of.items():
        for n, size in enumerate(spec.shape):
            if n < given[name].ndim and (isinstance(size, str) or size == -1):
                yield (name, n), size


def _difference(expected: Mapping[str, object], got: Mapping[str, object], *, values: bool = True) -> str:
    import numpy as np

    if list(expected) != list(got):
        return f"it gives {', '.join(got)}, and the module {', '.join(expected)}."
    for name in expected:
        wanted, found = np.asarray(expected[name]), np.asarray(got[name])
        if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
            return (
                f"its output {name!r} is {found.dtype} {list(found.shape)}, and the module's {wanted.dtype} "
                f"{list(wanted.shape)}."
            )
        if values and not np.allclose(wanted, found, rtol=_CLOSE, atol=_CLOSE * _scale(wanted), equal_nan=True):
            return f"its output {name!r} has other numbers than the module's."
    return ""


def _scale(array: object) -> float:
    import numpy as np

    values = np.abs(np.asarray(array, dtype=np.float64))
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0
