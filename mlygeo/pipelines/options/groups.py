"""What a group of options is: a dataclass that is made late, and the texts of its fields in its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from typing import TYPE_CHECKING, ParamSpec, get_args

from mlygeo.readers import cameras
from mlygeo.readers.cameras import GeotagSource

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dataclass", "parameter_texts"]

P = ParamSpec("P")

BOUND = frozenset({"__init__", "__dict__", "__weakref__", "__doc__"})
"""Attributes of a class that are not copied to another."""


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, kw_only: bool) -> Callable[[type], type]:
        """
        Return a decorator of classes that become dataclasses when the first object of each is made.

        To make two dozen dataclasses takes longer than all else that the help of a verb does.
        """

        def decorated(kind: type) -> type:
            def make_first(self: object, *args: P.args, **kwargs: P.kwargs) -> None:
                own = {name: value for name, value in vars(kind).items() if name not in BOUND}
                made = dataclasses.dataclass(frozen=frozen, kw_only=kw_only)(type(kind.__name__, kind.__bases__, own))
                for name, value in vars(made).items():
                    if name not in BOUND:
                        setattr(kind, name, value)
                kind.__init__ = made.__init__
                made.__init__(self, *args, **kwargs)

            kind.__init__ = make_first
            return kind

        return decorated


def parameter_texts(docstring: str) -> dict[str, str]:
    """
    Return the text of each parameter in a numpydoc docstring, without empty lines.

    Parameters
    ----------
    docstring
        The docstring; without a Parameters section the result is empty.
    """
    lines = inspect.cleandoc(docstring).splitlines()
    # A section begins with its title, underlined.
    titles = [place for place, below in enumerate(lines[1:]) if below.startswith("---")]
    start = next((place for place in titles if lines[place] == "Parameters"), None)
    if start is None:
        return {}
    end = next((place for place in titles if place > start), len(lines))
    texts: dict[str, list[str]] = {}
    name = ""
    for line in lines[start + 2 : end]:
        if line and not line.startswith(" "):
            name = line.strip()
            texts[name] = []
        elif line and name:
            texts[name].append(line)
    return {name: _filled("\n".join(text)) for name, text in texts.items()}


def _filled(text: str) -> str:
    """Return a text with its placeholders replaced by the names of cameras."""
    if "{" not in text:
        return text
    *others, last = [f"{camera.kept_in} ({name})" for name, camera in cameras.CAMERAS.items()]
    videos = [source for source in get_args(GeotagSource) if source in cameras.VIDEO_SOURCES]
    filled = text.replace("{telemetry}", f"{', '.join(others)}, and {last}").replace("{videos}", ", ".join(videos))
    indent = "    "
    return text if filled == text else textwrap.indent(textwrap.fill(" ".join(filled.split()), 96), indent)
