"""``Transformer``: what happens to a request before the model, and to its answer after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from ..entities import TRANSFORMER
from ..errors import InvalidInputError
from ..formats.base import distributions
from ..formats.custom import code_packages
from ..ml import JSON
from ..source.folder import Module, model_classes, read_module, read_modules
from ..source.functional import write_module
from ..source.objects import check_callable
from .base import Loggable, Written, local_path

MODULE = "transformer"
_ROLES = ("preprocess", "postprocess")
_HOLDS = (
    "The folder holds a transformer.py that defines either one subclass of kserve.Model, or a function preprocess, "
    "postprocess or both; everything else in it is included."
)

Function = Callable[..., object]
"""Takes the whole request or answer as a dict, and returns it changed."""


class Transformer(Loggable):
    """A transformer to log, in one of two forms.

    A folder of code (``transformer_dir``), by default with a ``transformer.py``; or functions of the notebook
    (``preprocess``, ``postprocess`` or both), which are written out to such a folder with all that they use.

    Args:
        name: 1 to 200 printable characters; the class's or folder's name when left out.
        transformer_dir: the folder. It is read when the transformer is submitted.
        module_name: the module in the folder that has the class, where it is not ``transformer``.
        class_name: the class, where the module has several.
        preprocess: gets the whole request (``{"instances": …}`` in protocol v1) and returns it changed.
        postprocess: gets the whole answer (``{"predictions": …}``) and returns it changed.
        transformer_assets: globals that the functions use besides imports: objects, functions, classes.
        is_statefull: it was made for one dataset: it depends on something fitted, such as a vectorizer.
        is_stateful: the same.
        description: for people.
        version: such as ``"1.0.0"``; the next integer when left out.
        author: for people.
        tags: text to text.

    Raises:
        InvalidNameError: a name or version that cannot be used.
        InvalidInputError: both forms at once, or another argument that cannot be used.
    """

    TYPE = TRANSFORMER

    def __init__(
        self,
        name: str | None = None,
        transformer_dir: str | PathLike[str] | None = None,
        module_name: str | None = None,
        class_name: str | None = None,
        preprocess: Function | None = None,
        postprocess: Function | None = None,
        transformer_assets: Mapping[str, object] | None = None,
        is_statefull: bool = False,
        *,
        is_stateful: bool = False,
        description: str | None = None,
        version: str | None = None,
        author: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.transformer_dir = transformer_dir
        self.module_name = module_name
        self.class_name = class_name
        self.preprocess = preprocess
        self.postprocess = postprocess
        self.transformer_assets = transformer_assets
        self.is_stateful = bool(is_statefull or is_stateful)
        super().__init__(name, description, version, author, tags)

    @property
    def is_statefull(self) -> bool:
        """The original spelling."""
        return self.is_stateful

    def _check_fields(self) -> None:
        super()._check_fields()
        folder = [n for n in ("transformer_dir", "module_name", "class_name") if getattr(self, n) is not None]
        functional = [n for n in _ROLES if getattr(self, n) is not None]
        if folder and (functional or self.transformer_assets):
            both = [*functional, *(["transformer_assets"] if self.transformer_assets else [])]
            raise InvalidInputError(
                f"{', '.join(folder)} and {', '.join(both)} are mutually exclusive.",
                hint="Pass a folder of code, or functions with their assets.",
                field=both[0],
            )
        if self.transformer_assets is not None and not isinstance(self.transformer_assets, Mapping):
            raise InvalidInputError(
                f"transformer_assets is a {type(self.transformer_assets).__name__}, not a dict.",
                hint='Write transformer_assets={"tokenizer": tokenizer}.',
                field="transformer_assets",
            )
        for role in functional:
            _check_role(check_callable(getattr(self, role), role), role)

    def _write(self, workspace: Path) -> Written:
        if self.transformer_dir is not None:
            return self._from_folder(local_path(self.transformer_dir, "transformer_dir"))
        functions: dict[str, object] = {n: getattr(self, n) for n in _ROLES if getattr(self, n) is not None}
        if not functions:
            raise InvalidInputError(
                "The transformer has neither a folder nor functions.",
                hint="Pass transformer_dir, or preprocess, postprocess or both.",
                field="transformer_dir",
            )
        folder = workspace / MODULE
        folder.mkdir()
        assets = self.transformer_assets or {}
        modules = write_module(folder, MODULE, functions, assets, assets_field="transformer_assets")
        details = _details(read_module(folder, MODULE), "")
        packages = {*code_packages(folder), *distributions(modules)}
        return self._written(folder, "Transformer", details, packages, adopt=True)

    def _from_folder(self, folder: Path) -> Written:
        details = inspect_folder(folder, self.module_name or "", self.class_name or "")
        default = str(details["class_name"] or folder.absolute().name)
        return self._written(folder, default, details, set(code_packages(folder)), adopt=False)

    def _written(
        self, folder: Path, default: str, details: dict[str, JSON], packages: set[str], *, adopt: bool
    ) -> Written:
        record = replace(
            self._record(default),
            format=str(details["form"]),
            details={**details, "stateful": self.is_stateful},
        )
        return Written(record, folder, tuple(sorted(packages)), adopt=adopt)


def inspect_folder(folder: Path, module_name: str = "", class_name: str = "") -> dict[str, JSON]:
    """What a transformer's folder defines, read from its source: form, module_name, class_name, protocol.

    Raises:
        InvalidInputError: it is missing or ambiguous; the message says what it should hold.
    """
    if not folder.is_dir():
        raise _unclear(f"{folder} is not a folder.")
    if not module_name and not class_name and not (folder / f"{MODULE}.py").is_file():
        raise _unclear(f"The folder {folder} holds no transformer.py.")
    if class_name and not module_name:
        module_name = _module_of(folder, class_name)
    module = read_module(folder, module_name or MODULE)
    if class_name:
        if class_name not in module.names:
            raise _unclear(f"{module.name} in {folder} defines no {class_name}.")
        return _details(module, class_name)
    modules = [module, *(m for m in read_modules(folder, strict=False) if m.name != module.name)]
    classes = [c.class_name for c in model_classes(modules) if c.module_name == module.name]
    functions = [role for role in _ROLES if role in module.names]
    if len(classes) > 1:
        raise _unclear(
            f"{module.name} in {folder} defines several subclasses of kserve.Model: {', '.join(classes)}.",
            "Name the one with class_name.",
        )
    if classes and functions:
        raise _unclear(f"{module.name} in {folder} defines both the class {classes[0]} and {' and '.join(functions)}.")
    if not classes and not functions:
        raise _unclear(f"{module.name} in {folder} defines neither a subclass of kserve.Model nor such a function.")
    return _details(module, classes[0] if classes else "")


def _module_of(folder: Path, class_name: str) -> str:
    found = [m.name for m in read_modules(folder, strict=False) if class_name in m.classes]
    if len(found) == 1:
        return found[0]
    told = f"in {', '.join(found)}" if found else "in none of its modules"
    raise _unclear(f"The folder {folder} defines {class_name} {told}.", "Name the module with module_name.")


def _details(module: Module, class_name: str) -> dict[str, JSON]:
    if module.protocol not in ("", "v1", "v2"):
        raise InvalidInputError(
            f"{module.name} sets protocol to {module.protocol[:60]!r}.", hint='Protocols are "v1" and "v2".'
        )
    return {
        "form": "subclass" if class_name else "functional",
        "module_name": module.name,
        "class_name": class_name,
        # Functions see the request as it is, so they are written for one protocol: v1 unless they say otherwise.
        "protocol": module.protocol or ("" if class_name else "v1"),
    }


def _unclear(message: str, hint: str = "") -> InvalidInputError:
    return InvalidInputError(message, hint=f"{hint} {_HOLDS}".strip(), field="transformer_dir")


def _check_role(function: Function, role: str) -> None:
    try:
        inspect.signature(function).bind({})
    except ValueError:  # of what is written in C there is none to be had
        return
    except TypeError as error:
        raise InvalidInputError(
            f"{role} cannot be called with one argument: {error}.",
            hint=f"Write def {role}(inputs): it is called with the whole request or response as a dict.",
            field=role,
        ) from error
