"""
Build a command from the function it is the twin of.

Names, types and defaults come from the signature, help texts from the Parameters section of the
docstring, so that the command line and the Python API cannot drift apart.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any, get_args

import click

from mlygeo.cli import old_tools
from mlygeo.pipelines import options

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON_ONLY = frozenset({"region", "service", "progress", "output"})
"""Parameters that the command line fills by its own means."""

METAVARS = {
    "bool": None,
    "int": "N",
    "float": "X",
    "PathLike": "FILE",
    "FrameLike": "FILE",
    "str | datetime": "TIME",
    "str": "TEXT",
}


def options_of(
    function: Callable[..., Any], *, arguments: str | None = None, words: str = "FILE..."
) -> list[click.Parameter]:
    """
    Return the options of a function, one for each of its keyword-only parameters.

    Parameters
    ----------
    function
        A public function with annotations and a numpydoc docstring.
    arguments
        The parameter that takes the words without an option; it is required where it has no default.
    words
        What those words are.
    """
    texts = parameter_texts(function)
    made: list[click.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == arguments:
            required = parameter.default is inspect.Parameter.empty
            optional = {} if required else {"default": None}
            made.append(click.Argument([name], nargs=-1, required=required, metavar=words, **optional))
        elif name not in PYTHON_ONLY:
            made.append(_option(name, str(parameter.annotation), parameter.default, texts[name]))
    return made


def _option(name: str, annotation: str, default: Any, text: str) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    others = list(old_tools.OPTIONS.get(name, ()))
    kind = annotation.removesuffix(" | None")
    if default is inspect.Parameter.empty:
        return click.Option([name, flag, *others], required=True, metavar=METAVARS.get(kind, "TEXT"), help=text)
    if name == "pano":
        return click.Option(["pano", "--pano/--flat"], default=None, help=text)
    if kind == "bool":
        return click.Option([name, flag, *others], is_flag=True, default=default, help=text)
    if values := _choices(kind):
        return click.Option([name, flag, *others], type=_Choice(values), default=default, show_default=True, help=text)
    if "Iterable[" in kind:
        choices = [single or double for single, double in re.findall(r"'([^']+)'|\"([^\"]+)\"", kind)]
        # What can be named is shown in place of a word for it.
        of = {"type": click.Choice(choices)} if choices else {"metavar": "ID"}
        return click.Option([name, flag, *others], multiple=True, callback=_none_if_empty, help=text, **of)
    types: dict[str, Any] = {"int": int, "float": float}
    return click.Option(
        [name, flag, *others],
        type=types.get(kind, str),
        default=default,
        show_default=default is not None and not isinstance(default, float),
        metavar="DIR" if text.startswith("Folder") else METAVARS.get(kind, "TEXT"),
        help=f"{text}  [default: {default:g}]" if isinstance(default, float) else text,
    )


def _choices(kind: str) -> list[str]:
    """Return the values of a closed choice, written out or by its name in `mlygeo.pipelines.options`."""
    if kind.startswith("Literal["):
        return [single or double for single, double in re.findall(r"'([^']+)'|\"([^\"]+)\"", kind)]
    return [str(value) for value in get_args(getattr(options, kind, None))]


class _Choice(click.Choice[str]):
    """A choice that knows the names of older tools, too; the help shows only ours."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        ours = old_tools.values_of(param.name) if param is not None and param.name is not None else None
        return super().convert(value if ours is None else ours(value), param, ctx)


def _none_if_empty(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> list[str] | None:
    return list(value) or None


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """
    Return what a numpydoc docstring says of each parameter, in one line each, without markup.

    Parameters
    ----------
    function
        A function with a Parameters section.
    """
    texts = options.parameter_texts(function.__doc__ or "")
    return {name: " ".join(text.split()).replace("`", "") for name, text in texts.items()}


def summary_of(function: Callable[..., Any]) -> str:
    """Return the docstring's text above its first section, without markup."""
    text = inspect.cleandoc(function.__doc__ or "")
    head = re.split(r"\n\n[A-Z]\w+\n---", text)[0]
    return textwrap.dedent(head).replace("`", "")
