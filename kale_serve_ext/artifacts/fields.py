"""The rules for what people call and write on their artifacts."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InvalidInputError, InvalidNameError

LONGEST_NAME = 200
LONGEST_VERSION = 100
LONGEST_DESCRIPTION = 10_000
LONGEST_TEXT = 253
MOST_TAGS = 100


def check_name(name: object, field: str = "name", longest: int = LONGEST_NAME) -> str:
    """A name of up to 200 characters that can be printed, with slashes only between other characters.

    Raises:
        InvalidNameError: it is none.
    """
    rule = f"Use 1 to {longest} letters, digits, spaces and punctuation."
    if not isinstance(name, str):
        raise InvalidNameError(f"The {field} is a {type(name).__name__}, not text.", hint=rule, field=field)
    shown = _shown(name)
    if not name.strip():
        raise InvalidNameError(f"The {field} is empty.", hint=rule, field=field)
    if len(name) > longest:
        raise InvalidNameError(f"The {field} {shown} has {len(name)} characters.", hint=rule, field=field)
    if not name.isprintable():
        raise InvalidNameError(f"The {field} {shown} has characters that cannot be printed.", hint=rule, field=field)
    if name != name.strip():
        raise InvalidNameError(f"The {field} {shown} begins or ends with a space.", hint="Remove it.", field=field)
    if any(not part.strip() or part in (".", "..") for part in name.split("/")):
        raise InvalidNameError(
            f"The {field} {shown} has nothing on one side of a slash.",
            hint="Put text on both sides of each slash, or remove it.",
            field=field,
        )
    return name


def check_version(version: object) -> str:
    """A version, such as ``1.0.0``: a name of up to 100 characters without slashes.

    Raises:
        InvalidNameError: it is none.
    """
    if isinstance(version, int) and not isinstance(version, bool):
        version = str(version)
    text = check_name(version, "version", LONGEST_VERSION)
    if "/" in text:
        raise InvalidNameError(
            f"The version {_shown(text)} contains a slash.", hint="Remove the slash.", field="version"
        )
    return text


def check_text(text: object, field: str, longest: int = LONGEST_TEXT) -> str:
    """Free text; None is empty.

    Raises:
        InvalidInputError: no text, or too long.
    """
    if text is None:
        return ""
    if not isinstance(text, str):
        raise InvalidInputError(f"The {field} is a {type(text).__name__}, not text.", hint="Pass a str.", field=field)
    if len(text) > longest:
        raise InvalidInputError(
            f"The {field} has {len(text)} characters.", hint=f"At most {longest} are allowed.", field=field
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The {field} cannot be encoded as text: {error}.", hint="Pass valid Unicode text.", field=field
        ) from error
    return text


def check_tags(tags: object) -> dict[str, str]:
    """Tags, text to text; None is none.

    Raises:
        InvalidInputError: something else, too many or too long.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise InvalidInputError(
            f"tags is a {type(tags).__name__}, not a dict.",
            hint='Write tags={"stage": "development"}.',
            field="tags",
        )
    if len(tags) > MOST_TAGS:
        raise InvalidInputError(f"There are {len(tags)} tags.", hint=f"At most {MOST_TAGS} are allowed.", field="tags")
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidInputError(
                f"The tag {_shown(str(key))} does not map text to text.",
                hint='Write tags={"accuracy": "0.93"}.',
                field="tags",
            )
        if not key.strip() or not key.isprintable() or ":" in key:
            raise InvalidInputError(
                f"The tag name {_shown(key)} is empty, or contains a colon or unprintable characters.",
                hint="Searches write tags as name:value.",
                field="tags",
            )
        check_text(key, "tags")
        check_text(value, "tags")
    return dict(tags)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
