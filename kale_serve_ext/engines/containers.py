"""What a container can be given: variables, command, arguments, by the rules of Kubernetes and of the system. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import InvalidInputError
from ..ml import JSON

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_SHOWN = 100


def check_container(container: Mapping[str, JSON], where: str, field: str = "", *, unique: bool = True) -> None:
    """Refuse what no process could be started with, or Kubernetes would not take.

    Args:
        where: the container's path, for the message.
        field: the form field that is at fault then.
        unique: whether a variable may be given once only. Kubernetes goes by the last of a name, and so does what was
            written before this was looked at.

    Raises:
        InvalidInputError: names the entry.
    """
    check_variables(container.get("env"), f"{where}.env", field, unique=unique)
    for name in ("command", "args"):
        given = container.get(name)
        for i, text in enumerate(given if isinstance(given, list) else ()):
            if isinstance(text, str):
                _check_text(text, f"{where}.{name}[{i}]", field)


def check_variables(given: JSON, where: str, field: str = "", *, unique: bool = True) -> None:
    """The same for a list of environment variables; what is no list of objects is left to others."""
    known: set[str] = set()
    for i, item in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(item, Mapping):
            continue
        name = item.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "." or name.startswith(".."):
            raise InvalidInputError(
                f"{where}[{i}].name is {_shown(name)}, which cannot be the name of an environment variable.",
                hint="Use letters, digits, '_', '-' and '.', and do not begin with a digit.",
                field=field,
            )
        if unique and name in known:
            raise InvalidInputError(
                f"{where} has the variable {_shown(name)} more than once.", hint="Leave one of them out.", field=field
            )
        known.add(name)
        value = item.get("value")
        if isinstance(value, str):
            _check_text(value, f"The value of {name} in {where}", field, secret=True)


def _check_text(text: str, where: str, field: str, *, secret: bool = False) -> None:
    if "\0" not in text and text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        what = "has a character that is half of a pair (a lone surrogate)"
    else:
        if "\0" not in text:
            return
        what = "has a NUL character"
    shown = "" if secret else f" ({_shown(text)})"
    raise InvalidInputError(f"{where}{shown} {what}: no process can receive it.", hint="Leave it out.", field=field)


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
