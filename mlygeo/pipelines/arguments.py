"""What a caller gives to a public function: checked and in one form, and which of it has no effect."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines.renamed import with_new_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlygeo.pipelines.values import Takes

P = ParamSpec("P")
T = TypeVar("T")

_given: ContextVar[frozenset[str] | None] = ContextVar("given", default=None)
"""The parameters that the caller of the public function that runs has given; None while none runs."""


@dataclass(frozen=True)
class Call:
    """
    A call of a public function.

    Parameters
    ----------
    function
        The name of the function.
    options
        The value of each parameter, in one form: those that were given, and the defaults of the others.
    takes
        What each parameter takes.
    """

    function: str
    options: dict[str, Any]
    takes: dict[str, Takes]


_call: ContextVar[Call | None] = ContextVar("call", default=None)
"""What the user has called: the first of the public functions that run; None while none runs."""


def user_call() -> Call | None:
    """Return what the user has called; None while no public function runs."""
    return _call.get()


def called_with(function: Callable[..., T], given: Mapping[str, Any]) -> T:
    """
    Call the body of a public function as if the user had called it, with options that are written somewhere.

    Parameters
    ----------
    function
        The body, which checks its arguments.
    given
        The options that count as given, by name.
    """
    tokens = _call.set(None), _given.set(None)
    try:
        return function(**given)
    finally:
        _call.reset(tokens[0])
        _given.reset(tokens[1])


def received(function: Callable[P, T]) -> Callable[P, T]:
    """
    Return a function that checks its arguments by their annotations before its body runs.

    They are brought to one form (see `mlygeo.pipelines.values`), and while the body runs, it knows which
    parameters were given, be it with their defaults; see `of_no_use`. None for a parameter that is None without
    being given is not a value. What one public function passes on to another counts as given where the caller of
    the first has given it. Annotations are read at the first call.
    """
    parameters: list[tuple[inspect.Signature, dict[str, Takes]]] = []

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        from mlygeo.pipelines import values  # which the help of a verb does without

        if not parameters:
            parameters.append(_parameters(function))
        signature, takes = parameters[0]
        if not kwargs.keys() <= takes.keys():
            kwargs = with_new_names(kwargs, takes, stacklevel=3)  # type: ignore[assignment]
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # for Python's own words on a parameter that is missing or unknown
        given, as_given = set(), dict(bound.arguments)
        for name, value in bound.arguments.items():
            default = signature.parameters[name].default
            if value is not default:
                bound.arguments[name] = values.converted(value, takes[name], name)
            if value is not default or value is not None:
                given.add(name)
        _refuse_inputs(function.__name__, as_given)
        outer = _given.get()
        token = _given.set(frozenset(given if outer is None else given & outer))
        args, kwargs = bound.args, bound.kwargs  # type: ignore[assignment]
        bound.apply_defaults()
        call = _call.set(_call.get() or Call(function.__name__, dict(bound.arguments), takes))
        try:
            return function(*args, **kwargs)
        except FrameError as error:
            _name_files(error, as_given, takes)
            raise
        finally:
            _call.reset(call)
            _given.reset(token)

    return called


def _name_files(error: FrameError, given: dict[str, Any], takes: dict[str, Takes]) -> None:
    """Let an error about a frame name the file that the frame came from, unless it does so already."""
    holding = [name for name in takes if _holds_frames(takes[name])]
    files = {name: named for name in holding if (named := _files(given.get(name)))}
    message = str(error)
    if any(file.partition(":")[0] in message for named in files.values() for file in named):
        return
    shown = {name: ", ".join(named[:3]) + (", …" if len(named) > 3 else "") for name, named in files.items()}
    meant = [name for name in holding if f"`{name}`" in message]
    for name in shown.keys() & meant:
        message = message.replace(f"`{name}`", f"`{name}` ({shown[name]})", 1)
    if not meant:
        said = [name for name in holding if re.search(rf"\b{name}\b", message)] or holding
        if names := ", ".join(shown[name] for name in said if name in shown):
            message = f"{names}{' is ' if message.startswith('not a ') else ': '}{message}"
    error.args = (message,)


def _holds_frames(takes: Takes) -> bool:
    """Return whether a parameter takes frames, or files of them."""
    kinds = takes.kinds | (takes.items.kinds if takes.items else frozenset())
    return bool(kinds & {"frame", "geodataframe", "table"})


def _files(value: Any) -> list[str]:
    """Return the names of the files among what is given for a frame."""
    from mlygeo import store

    each = [value] if isinstance(value, str | os.PathLike) else value if isinstance(value, list | tuple) else []
    paths = [one for one in each if isinstance(one, str | os.PathLike)]
    return [store.shown(path) for path in paths if Path(path).suffix or Path(path).expanduser().exists()]


def _refuse_inputs(function: str, given: dict[str, Any]) -> None:
    """Raise where what is named for results of a function is what another of its options reads."""
    name = OUTPUTS.get(function, "output")
    target = given.pop(name, None)
    if not isinstance(target, str | os.PathLike):
        return
    from mlygeo.pipelines import own_files
    from mlygeo.store import is_table, paths

    if not (is_table(target) or paths.is_url(target)):
        own_files.refuse_inputs(function, Path(target).expanduser(), given)


OUTPUTS = {"init": "path"}
"""Parameter that names the results of a function, where it is not `output`."""


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
    eager = received(function)

    @functools.wraps(function)
    def public(*args: P.args, **kwargs: P.kwargs) -> T:
        if "dask" in sys.modules:
            from mlygeo.store.held import is_dask

            if any(is_dask(value) for value in (*args, *kwargs.values())):
                found = _lazily(function, name, inspect.signature(function).bind(*args, **kwargs).arguments)
                if found is not None:
                    return found
        return eager(*args, **kwargs)

    public.__module__, public.__qualname__ = "mlygeo", name
    return public


def _lazily(function: Callable[P, T], name: str, given: dict[str, Any]) -> T | None:
    """Return the answer to frames of Dask as one; None where the step has no lazy twin."""
    from mlygeo.frames import check_names
    from mlygeo.parts import twins
    from mlygeo.pipelines import values
    from mlygeo.store.held import is_dask

    if not twins.has_twin(name, given):
        return None
    signature, takes = _parameters(function)
    held = {each: value for each, value in given.items() if values.kinds_of(each)}
    for each, value in held.items():
        if is_dask(value):
            check_names(value.columns, f"`{each}`")
    options = {
        each: value if value is signature.parameters[each].default else values.converted(value, takes[each], each)
        for each, value in given.items()
        if each not in held
    }
    found: T = twins.called(function, held, options, {each: values.kinds_of(each) for each in held})
    return found


@contextlib.contextmanager
def given_by_user(names: Iterable[str]) -> Iterator[None]:
    """
    Call public functions with more than the user has given, such as all options of a verb.

    Parameters
    ----------
    names
        The parameters that the user has given; all others that are passed are none of the user's.
    """
    token = _given.set(frozenset(names))
    try:
        yield
    finally:
        _given.reset(token)


def of_no_use(names: Iterable[str] | type, why: str, *, hint: str | None = None) -> None:
    """
    Raise if parameters were given that have no effect in this call of a public function.

    To be called where a branch of the function leaves them aside, before anything slow.

    Parameters
    ----------
    names
        The parameters, or a group of options of `mlygeo.pipelines.options`; those that were not given pass.
    why
        What they have no effect with or without, such as "with `images`" or "without `points`".
    hint
        Where they have one. Default: to leave them out.

    Raises
    ------
    InputError
        If one of them was given.
    """
    listed = inspect.get_annotations(names) if isinstance(names, type) else names
    given = _given.get() or ()
    idle = [f"`{name}`" for name in listed if name in given]
    if idle:
        verb = "has" if len(idle) == 1 else "have"
        raise InputError(f"{' and '.join(idle)} {verb} no effect {why}", hint=hint or f"leave {idle[0]} out")


def was_given(name: str) -> bool:
    """Return whether a parameter was given in the current public call."""
    return name in (_given.get() or ())
