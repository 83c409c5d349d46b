"""Functions and classes of a notebook, with all that they use, written out as a folder to import anywhere."""

from __future__ import annotations

import ast
import keyword
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from ..errors import InvalidInputError
from .capture import capture
from .installed import distributions_of_modules
from .objects import Definition
from .own import CODE, copy, gather, modules_in
from .pickled import pack
from .statements import imports
from .unchanged import names_read

_LONGEST_LITERAL = 2000
_LOADER = """
def _asset(name):
    with (_pathlib.Path(__file__).parent / "assets" / name).open("rb") as file:
        return _pickle.load(file)

"""


def write_module(
    folder: Path, module: str, roles: Mapping[str, object], assets: Mapping[str, object], *, assets_field: str
) -> frozenset[str]:
    """Write ``<module>.py`` that defines ``roles``, with what it cannot say in text under ``assets/``.

    Functions and classes that they use, of the notebook or of modules beside it, are included: as text, as a pickle
    where they have none, and modules as copies under ``code/``, which the module puts on the path.

    Args:
        folder: where; it exists and is empty.
        module: the file's name without its ending.
        roles: functions, other callables or classes, by the name that the module shall give them.
        assets: what they use, where that is not what the name stands for here.
        assets_field: the argument that assets come by, for messages.

    Returns:
        The top-level modules of distributions that loading it imports.

    Raises:
        InvalidInputError: something cannot be written out, or names are used that nothing gives: all of them are told.
    """
    for name in assets:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInputError(
                f"{name[:200]!r} is not a valid Python identifier.",
                hint=f"Name each entry of {assets_field} as the functions use it.",
                field=assets_field,
            )
    found = capture(roles, assets, assets_field=assets_field)
    _check_names(found.made, roles)
    lines: list[str] = []
    modules: set[str] = set()
    for name, value in found.values.items():
        literal = _literal(value)
        if not literal:
            modules |= _pickle_asset(folder, name, value, found.users[name], assets_field)
        lines.append(f"{name} = {literal}\n" if literal else f'{name} = _asset("{name}.pkl")\n')
    loader = any("_asset(" in line for line in lines)
    classes = [name for name, value in roles.items() if isinstance(value, type) and name not in found.texts]
    statements = sorted(found.imports | ({"import kserve"} if classes else set()))
    sections = [
        "".join(f"{line}\n" for line in statements),
        _LOADER if loader else "",
        "".join(lines),
        *(f"\n{text}{_renamed(name, found.made[name])}" for name, text in found.texts.items()),
        *(_subclass(name) for name in classes),
    ]
    tree = ast.parse("\n".join(sections))
    code = gather(imports(tree, ""), names_read(tree))
    copy(code, folder / CODE)
    beside = modules_in(folder / CODE)  # those that pickles have brought too
    text = "\n".join(
        section
        for section in (
            "from __future__ import annotations\n",
            "import pathlib as _pathlib\n" if beside or loader else "",
            "import pickle as _pickle\n" if loader else "",
            _on_path(beside, module) if beside else "",
            *sections,
        )
        if section
    )
    compile(text, f"{module}.py", "exec")
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return frozenset((modules | code.modules) - sys.stdlib_module_names)


def _on_path(modules: Iterable[str], module: str) -> str:
    """Statements that have the user's own modules found first, those too that have the name of another one."""
    tops = {name.partition(".")[0] for name in modules}
    taken = tops & {module, *sys.stdlib_module_names, *distributions_of_modules()}
    lines = ["import sys as _sys", "", f'_sys.path.insert(0, str(_pathlib.Path(__file__).parent / "{CODE}"))']
    if taken:
        lines += [
            f"for _name in [n for n in _sys.modules if n.partition('.')[0] in {sorted(taken)}]:",
            "    del _sys.modules[_name]",
        ]
    return "\n".join(lines) + "\n"


def _subclass(name: str) -> str:
    """A class that comes from elsewhere, defined here, where it is looked for by name."""
    return f"\n_base = {name}\n\n\nclass {name}(_base, kserve.Model):\n    pass\n"


def _renamed(name: str, definition: Definition) -> str:
    return "" if definition.__name__ == name else f"\n\n{name} = {definition.__name__}\n"


def _check_names(definitions: Mapping[str, Definition], roles: Mapping[str, object]) -> None:
    """Two definitions that share or swap names cannot be told apart in one file."""
    own = [d.__name__ for d in definitions.values()]
    swapped = {n for n in own if n in definitions and definitions[n].__name__ != n}
    shared = {n for n in own if len({id(d) for d in definitions.values() if d.__name__ == n}) > 1}
    stray = {definitions[r].__name__ for r in roles if r in definitions} & {"preprocess", "postprocess"} - set(roles)
    if swapped or shared or stray:
        raise InvalidInputError(
            f"Functions share or swap the names {', '.join(sorted(swapped | shared | stray))}.",
            hint="Pass each function under the name that it is defined by.",
        )


def _literal(value: object) -> str:
    """The value as Python text, where that is short and exact; else empty."""
    text = repr(value) if isinstance(value, bool | int | float | str | bytes | list | tuple | dict | None) else ""
    if not text or len(text) > _LONGEST_LITERAL:
        return ""
    try:
        again = cast(object, ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return ""
    return text if again == value and type(again) is type(value) and repr(again) == text else ""


def _pickle_asset(folder: Path, name: str, value: object, user: str, field: str) -> frozenset[str]:
    assets = folder / "assets"
    assets.mkdir(exist_ok=True)
    try:
        return pack(value, assets / f"{name}.pkl", folder / CODE).modules
    except (OSError, InvalidInputError):  # the disk's, not the object's; and what says already what to do
        raise
    except Exception as error:
        used = f"{user} uses {name}, a {type(value).__name__}, which" if user else f"{name}, a {type(value).__name__},"
        raise InvalidInputError(
            f"{used} cannot be pickled: {error}.",
            hint="Create it inside the function, or pass what it is made from.",
            field=field,
        ) from error
