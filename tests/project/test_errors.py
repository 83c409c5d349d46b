"""What IPython shows of an error: the message, the caller's lines, and what other code raised."""

from __future__ import annotations

from collections.abc import Callable

from kale_serve_ext.errors import KaleServeError, NotFoundError, UnsupportedModelError


def shown(call: Callable[[], object]) -> str:
    try:
        call()
    except KaleServeError as error:
        return "\n".join(error._render_traceback_())
    raise AssertionError("nothing was raised")


def fit() -> None:
    raise ValueError("the scaler was never fitted")


def save() -> None:
    try:
        fit()
    except ValueError as exc:
        raise UnsupportedModelError("The model cannot be saved.") from exc


def test_other_code_s_error_is_shown_with_its_lines() -> None:
    text = shown(save)
    assert text.startswith("UnsupportedModelError: The model cannot be saved.")
    cause = text.partition("Caused by ")[2]
    assert cause.startswith("ValueError: the scaler was never fitted\n")
    assert 'raise ValueError("the scaler was never fitted")' in cause


def test_the_package_s_own_lines_are_left_out() -> None:
    from kale_serve_ext.config import _count

    def load() -> None:
        try:
            _count("rows", "many")
        except ValueError as exc:
            broken = RuntimeError("broken")
            broken.__traceback__ = exc.__traceback__
            raise NotFoundError("It is gone.") from broken

    text = shown(load)
    assert "RuntimeError: broken" in text
    assert '_count("rows", "many")' in text
    assert "config.py" not in text


def test_an_error_of_this_package_has_said_it_all() -> None:
    def ask() -> None:
        raise NotFoundError("It is gone.") from UnsupportedModelError("no")

    assert "Caused by" not in shown(ask)
