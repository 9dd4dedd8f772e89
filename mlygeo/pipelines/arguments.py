"""What a caller gives to a public function, and which of it has no effect."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
T = TypeVar("T")

_given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())
"""The parameters of the public function that runs whose values are not their defaults."""


def received(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that knows, while it runs, which of its parameters were given; see `of_no_use`."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        named = signature.bind(*args, **kwargs).arguments
        given = {name for name, value in named.items() if not _is_default(value, signature.parameters[name].default)}
        token = _given.set(frozenset(given))
        try:
            return function(*args, **kwargs)
        finally:
            _given.reset(token)

    return called


def of_no_use(names: Iterable[str] | type, why: str) -> None:
    """
    Raise if parameters were given that have no effect in this call of a public function.

    To be called where a branch of the function leaves them aside, before anything slow.

    Parameters
    ----------
    names
        The parameters, or a group of options of `mlygeo.pipelines.options`; those left at their defaults pass.
    why
        What they are of no use beside or without, such as "beside `images`" or "without `points`".

    Raises
    ------
    InputError
        If one of them was given.
    """
    listed = inspect.get_annotations(names) if isinstance(names, type) else names
    idle = [f"`{name}`" for name in listed if name in _given.get()]
    if idle:
        verb = "is" if len(idle) == 1 else "are"
        raise InputError(f"{' and '.join(idle)} {verb} of no use {why}", hint=f"leave {idle[0]} out")


def _is_default(value: object, default: object) -> bool:
    if value is default:
        return True
    # Frames and arrays compare by element; none of them is a default.
    if not isinstance(value, bool | int | float | str | tuple) or isinstance(value, bool) != isinstance(default, bool):
        return False
    return value == default
