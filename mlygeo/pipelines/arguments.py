"""What a caller gives to a public function: checked and in one form, and which of it has no effect."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlygeo.pipelines.values import Takes

P = ParamSpec("P")
T = TypeVar("T")

_given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())
"""The parameters of the public function that runs whose values are not their defaults."""


def received(function: Callable[P, T]) -> Callable[P, T]:
    """
    Return a function that checks its arguments by their annotations before its body runs.

    They are brought to one form (see `mlygeo.pipelines.values`), and while the body runs, it knows which
    parameters were given; see `of_no_use`. Annotations are read at the first call.
    """
    parameters: list[tuple[inspect.Signature, dict[str, Takes]]] = []

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        from mlygeo.pipelines import values  # which the help of a verb does without

        if not parameters:
            parameters.append(_parameters(function))
        signature, takes = parameters[0]
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # for Python's own words on a parameter that is missing or unknown
        given = set()
        for name, value in bound.arguments.items():
            default = signature.parameters[name].default
            if value is not default:
                bound.arguments[name] = values.converted(value, takes[name], name)
                if not _is_default(bound.arguments[name], default):
                    given.add(name)
        token = _given.set(frozenset(given))
        args, kwargs = bound.args, bound.kwargs  # type: ignore[assignment]
        try:
            return function(*args, **kwargs)
        finally:
            _given.reset(token)

    return called


def _parameters(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Takes]]:
    from mlygeo.pipelines import values

    signature = inspect.signature(function)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return signature, {
        name: values.taken_by(parameter.annotation, names) for name, parameter in signature.parameters.items()
    }


def at_the_door(function: Callable[P, T], name: str) -> Callable[P, T]:
    """
    Return the public function of a step or reader, whose arguments are checked as those of the verbs are.

    Parameters
    ----------
    function
        The function, which modules of mlygeo call directly.
    name
        Its public name in `mlygeo`, by which it is pickled.
    """
    public = received(function)
    public.__module__, public.__qualname__ = "mlygeo", name
    return public


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


def was_given(name: str) -> bool:
    """Return whether a parameter of the current public call differs from its default."""
    return name in _given.get()


def _is_default(value: object, default: object) -> bool:
    if value is default:
        return True
    # Frames and arrays compare by element; none of them is a default.
    if not isinstance(value, bool | int | float | str | tuple) or isinstance(value, bool) != isinstance(default, bool):
        return False
    return value == default
