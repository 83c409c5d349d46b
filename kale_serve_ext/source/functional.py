"""Functions and classes of a notebook, with all that they use, written out as a folder to import anywhere."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import cast

from ..errors import InvalidInputError
from .imports import dotted_names, import_line
from .objects import Definition, check_function, globals_of, open_names, source_of
from .pickled import dump

_LONGEST_LITERAL = 2000
_LOADER = """
def _asset(name):
    with (_pathlib.Path(__file__).parent / "assets" / name).open("rb") as file:
        return _pickle.load(file)

"""


def write_module(
    folder: Path, module: str, roles: Mapping[str, Definition], assets: Mapping[str, object], *, assets_field: str
) -> frozenset[str]:
    """Write ``<module>.py`` that defines ``roles``, and what it cannot say in text under ``assets/``.

    Args:
        folder: where; it exists and is empty.
        module: the file's name without its ending.
        roles: functions or classes, by the name that the module shall give them.
        assets: what they use besides imports: functions, classes and modules go into the text, other objects are
            pickled.
        assets_field: the argument that assets come by, for messages.

    Returns:
        The modules that loading the pickled assets imports.

    Raises:
        InvalidInputError: a function cannot be written out, or uses names that nothing gives: all of them are listed.
    """
    for name in assets:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInputError(
                f"{name[:200]!r} is not a name that code can use.",
                hint=f"Name each of {assets_field} as the functions call it.",
                field=assets_field,
            )
    definitions = _definitions(roles, assets)
    _check_names(definitions, roles)
    sources = {name: source_of(definition) for name, definition in definitions.items()}
    imports = _imports(definitions, sources, assets, assets_field)
    lines: list[str] = []
    modules: set[str] = set()
    for name, value in assets.items():
        if name in definitions or isinstance(value, ModuleType):
            continue
        literal = _literal(value)
        if literal:
            lines.append(f"{name} = {literal}\n")
        else:
            modules |= _pickle_asset(folder / "assets", name, value, assets_field)
            lines.append(f'{name} = _asset("{name}.pkl")\n')
    loader = any("_asset(" in line for line in lines)
    sections = [
        "from __future__ import annotations\n",
        "import pathlib as _pathlib\nimport pickle as _pickle\n" if loader else "",
        "".join(f"{line}\n" for line in imports),
        _LOADER if loader else "",
        "".join(lines),
        *(f"\n{source}{_renamed(name, definitions[name])}" for name, source in sources.items()),
    ]
    text = "\n".join(section for section in sections if section)
    compile(text, f"{module}.py", "exec")
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return frozenset(modules)


def _definitions(roles: Mapping[str, Definition], assets: Mapping[str, object]) -> dict[str, Definition]:
    """What goes in as text, classes first: assets that are functions or classes of the user's, then the roles."""
    found: dict[str, Definition] = {}
    for name, value in assets.items():
        if isinstance(value, type) and not import_line(name, value, {}, frozenset()):
            found[name] = value
    for name, value in assets.items():
        if isinstance(value, FunctionType):
            found[name] = check_function(value, name)
    return found | dict(roles)


def _imports(
    definitions: Mapping[str, Definition], sources: Mapping[str, str], assets: Mapping[str, object], field: str
) -> Sequence[str]:
    given = {*assets, *definitions, *(d.__name__ for d in definitions.values())}
    lines: set[str] = set()
    missing: dict[str, set[str]] = {}
    beside: set[str] = set()
    for user, source in sources.items():
        seen = globals_of(definitions[user])
        for name in open_names(source):
            value = assets.get(name, seen.get(name))
            if name in given and not isinstance(assets.get(name), ModuleType):
                continue
            line = import_line(name, value, seen, dotted_names(source)) if name in seen or name in assets else ""
            if line:
                lines.update(line.splitlines())
            else:
                missing.setdefault(user, set()).add(name)
                if isinstance(value, ModuleType):
                    beside.add(name)
    if missing:
        raise _missing(missing, beside, field)
    for name, value in assets.items():
        if isinstance(value, ModuleType) or (isinstance(value, type) and name not in definitions):
            lines.update(import_line(name, value, {}, frozenset()).splitlines())
    return sorted(lines)


def _missing(missing: Mapping[str, set[str]], beside: set[str], field: str) -> InvalidInputError:
    names = sorted(set().union(*missing.values()) - beside)
    told = "; ".join(f"{user} uses {', '.join(sorted(used))}" for user, used in missing.items())
    hints = []
    if names:
        example = ", ".join(f'"{name}": {name}' for name in names)
        hints.append(f"Add them: {field}={{{example}}}.")
    if beside:
        hints.append(
            f"{', '.join(sorted(beside))}: a file beside the notebook is not there where the code runs. Import its "
            f"functions one by one and add them to {field}, or give a folder with all of the code."
        )
    return InvalidInputError(
        f"Names that only this notebook knows are used: {told}.", hint=" ".join(hints), field=field
    )


def _renamed(name: str, definition: Definition) -> str:
    return "" if definition.__name__ == name else f"\n\n{name} = {definition.__name__}\n"


def _check_names(definitions: Mapping[str, Definition], roles: Mapping[str, Definition]) -> None:
    """Two definitions that share or swap names cannot be told apart in one file."""
    own = [d.__name__ for d in definitions.values()]
    swapped = {n for n in own if n in definitions and definitions[n].__name__ != n}
    shared = {n for n in own if len({id(d) for d in definitions.values() if d.__name__ == n}) > 1}
    stray = {d.__name__ for d in roles.values()} & {"preprocess", "postprocess"} - set(roles)
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


def _pickle_asset(folder: Path, name: str, value: object, field: str) -> frozenset[str]:
    folder.mkdir(exist_ok=True)
    try:
        return dump(value, folder / f"{name}.pkl")
    except OSError:  # the disk's, not the object's
        raise
    except Exception as error:
        raise InvalidInputError(
            f"The asset {name}, a {type(value).__name__}, cannot be pickled: {error}.",
            hint="Make it inside of the function, or pass what it is made from.",
            field=field,
        ) from error
