"""What docstrings say of parameters: for the help of a verb, and for functions that are made of others."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """
    Return what a numpydoc docstring says of each parameter, as it stands there, without empty lines.

    Parameters
    ----------
    function
        A function; without a Parameters section there is nothing to return.
    """
    lines = inspect.cleandoc(function.__doc__ or "").splitlines()
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
    return {name: "\n".join(text) for name, text in texts.items()}
