"""LightGBM: a Booster, or one of the estimators around it, as ``model.bst``.

KServe's server loads a Booster and answers what ``Booster.predict`` does: of a classifier the probabilities. So an
estimator lies beside it as a whole, for this package's server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import describe, tabular
from ..estimators.boosters import is_lightgbm, own_names
from ..ml import JSON, Signature
from .base import PICKLED, PICKLES, SKOPS, Content, Format, Server, check_one_file, head, top_level
from .boosterfiles import is_lightgbm as is_text
from .differing import is_classifier, named
from .estimator import booster_packages, details_of, save_beside

if TYPE_CHECKING:
    from lightgbm import Booster, LGBMModel

_SUFFIXES = (".bst",)
_HEADER = 4 << 20


class _LightGBM(Format):
    name = "lightgbm"
    title = "LightGBM"
    aliases = ("lgb", "lgbm")
    suffixes = _SUFFIXES
    files = (_SUFFIXES, PICKLES, (SKOPS,))
    kinds = MappingProxyType({**PICKLED, "text": _SUFFIXES})
    endings = (*_SUFFIXES, ".txt")
    libraries = ("lightgbm",)
    needs = (("lightgbm",),)
    runtimes = ("kserve-lgbserver", "kserve-predictiveserver", "kserve-mlserver")
    server = Server("kserve-lgbserver", "KServe LightGBM server")
    has_methods = True
    stock_categories = "texts, which it refuses, or numbers, which it takes for codes"

    def matches(self, obj: object) -> bool:
        return is_lightgbm(obj)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        return Content(self.name, "text") if is_text(head) else None

    def save(self, obj: object, directory: Path) -> None:
        # By way of text: LightGBM's own writing does not tell of a full disk.
        (directory / "model.bst").write_text(_booster(obj).model_to_string(), encoding="utf-8")
        save_beside(obj, directory)

    def load(self, path: Path) -> object:
        import lightgbm

        return lightgbm.Booster(model_file=str(path))

    def packages(self, obj: object | None) -> tuple[str, ...]:
        return ("lightgbm", *booster_packages(obj))

    def signature(self, obj: object) -> Signature | None:
        _booster(obj)  # which refuses one that is not fitted
        return describe(obj).signature

    def details(self, obj: object) -> Mapping[str, JSON]:
        return details_of(obj)

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, _SUFFIXES, self.title)

    def path_signature(self, directory: Path) -> Signature | None:
        for path in top_level(directory, _SUFFIXES):
            # The header is lines of key=value, up to an empty one.
            lines = head(path, _HEADER).partition(b"\n\n")[0].decode("utf-8", "replace").splitlines()
            fields = dict(line.split("=", 1) for line in lines if "=" in line)
            if fields.get("max_feature_idx", "").isdecimal():
                return _signature(
                    int(fields["max_feature_idx"]) + 1,
                    fields.get("feature_names", "").split(" "),
                    fields.get("objective", "").partition(" ")[0],
                    int(fields.get("num_class", "1")),
                )
        return None

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        if is_classifier(model):
            yield "It answers probabilities instead of classes."
        signature = model.signature or Signature()
        names = [c.name for c in signature.columns]
        rewritten = [name for name in names if any(c.isspace() for c in name)]
        if not signature.input_kind:
            # The model alone tells the names that LightGBM has made of those in the table.
            rewritten += [name for name in names if "_" in name]
        if rewritten:
            yield f"It finds no values for columns that had spaces in their names ({named(rewritten)}), and answers."


FORMAT = _LightGBM()


def _booster(obj: object) -> Booster:
    import lightgbm

    if isinstance(obj, lightgbm.Booster):
        return obj
    try:
        return cast("LGBMModel", obj).booster_
    except ValueError as error:  # scikit-learn's NotFittedError
        raise InvalidInputError(
            f"This {type(obj).__name__} is not fitted yet.", hint="Call its fit() first.", field="model"
        ) from error


def _signature(count: int, names: list[str], objective: str, outputs: int) -> Signature:
    size: list[str | int] = ["batch_size", outputs] if outputs > 1 and objective != "lambdarank" else ["batch_size"]
    return tabular(count, own_names(names), output_size=size, output_dtype="float64")
