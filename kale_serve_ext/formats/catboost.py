"""CatBoost: its classifiers, regressors and rankers, as ``model.cbm``, which holds all of them but their class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from .. import modelmeta
from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import describe
from ..estimators.catboost import class_of, is_catboost
from ..ml import JSON, Signature
from . import strangers
from .base import PICKLES, Content, Format, Server, check_one_file
from .differing import is_classifier
from .estimator import details_of

_SUFFIXES = (".cbm",)
_MAGIC = b"CBM1"
_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")


class _CatBoost(Protocol):
    def is_fitted(self) -> bool: ...
    def save_model(self, name: str) -> None: ...
    def load_model(self, name: str) -> _CatBoost: ...
    def get_metadata(self) -> Mapping[str, str]: ...


class _Format(Format):
    name = "catboost"
    title = "CatBoost"
    aliases = ("cbm",)
    suffixes = _SUFFIXES
    files = (_SUFFIXES, PICKLES)
    kinds = MappingProxyType({"cbm": _SUFFIXES, "pickle": PICKLES})
    endings = _SUFFIXES
    libraries = ("catboost",)
    needs = (("catboost",), ("numpy",))
    needs_same_python = False
    runtimes = ("kserve-mlserver",)
    server = Server("catboost-server", "CatBoost server")
    has_methods = True
    stock_categories = "texts or numbers in one array, which has one type"

    def matches(self, obj: object) -> bool:
        return is_catboost(obj)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        if not head.startswith(_MAGIC):
            return None
        # The length of what follows these eight bytes.
        whole = 8 + int.from_bytes(head[4:8], "little")
        if path.stat().st_size < whole:
            return Content(what="a truncated CatBoost model", hint=strangers.AGAIN)
        return Content(self.name, "cbm")

    def save(self, obj: object, directory: Path) -> None:
        _fitted(obj).save_model(str(directory / f"model{_SUFFIXES[0]}"))

    def load(self, path: Path) -> object:
        import catboost

        # What was fitted answers otherwise than the same model as another class: a CatBoost no classes, for one.
        meta = modelmeta.read(path.parent)
        name = meta.estimator if meta and meta.estimator in _CLASSES else ""
        if not name:
            plain = cast("_CatBoost", catboost.CatBoost())
            name = class_of(plain.load_model(str(path)).get_metadata())
        made = cast("_CatBoost", getattr(catboost, name)())
        return made.load_model(str(path))

    def signature(self, obj: object) -> Signature | None:
        return describe(_fitted(obj)).signature

    def details(self, obj: object) -> Mapping[str, JSON]:
        return details_of(obj)

    def check(self, directory: Path) -> list[str]:
        return check_one_file(directory, _SUFFIXES, self.title)

    def stock_differences(self, model: Artifact, method: str) -> Iterator[str]:
        if not is_classifier(model):
            yield "It takes every model for a classifier, and fails where one has no classes."


FORMAT = _Format()


def _fitted(obj: object) -> _CatBoost:
    model = cast("_CatBoost", obj)
    if not model.is_fitted():
        raise InvalidInputError(
            f"This {type(obj).__name__} is not fitted yet.", hint="Call its fit() first.", field="model"
        )
    return model
