"""Options that had another name: the old one is understood for a while, and says the new one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping


class Renamed(NamedTuple):
    """The name that an option has now, and the version from which on the old one is unknown."""

    now: str
    until: str


RENAMED: dict[str, Renamed] = {
    "bounding_box": Renamed("bbox", "1.0"),
    "tile_cache_dir": Renamed("tile_cache", "1.0"),
}
"""
Old name -> the new one, of every function and verb that has it.

These two are the names in configuration files, which stay there, and were the options of the first scripts.
"""


def said(old: str, shown: Callable[[str], str] = "`{}`".format) -> str:
    """
    Return what a user is told of an old name.

    Parameters
    ----------
    old
        A name in `RENAMED`.
    shown
        Returns a name as it is typed.
    """
    new = RENAMED[old]
    return f"{shown(old)} is now {shown(new.now)}; the old name is understood until version {new.until}"


def with_new_names(given: Mapping[str, Any], taken: Container[str], *, stacklevel: int) -> dict[str, Any]:
    """
    Return the arguments of a call by their new names; each old one is a DeprecationWarning.

    An old name beside its new one stays, and is an error of the call.

    Parameters
    ----------
    given
        The arguments by name.
    taken
        The names of all parameters.
    stacklevel
        Calls between the user's line and this function.
    """
    found = dict(given)
    for old, new in RENAMED.items():
        if old in found and old not in taken and new.now in taken and new.now not in found:
            warnings.warn(said(old), DeprecationWarning, stacklevel=stacklevel + 1)
            found[new.now] = found.pop(old)
    return found


def typed_anew(words: list[str], flags: Container[str], note: Callable[[str], object]) -> list[str]:
    """
    Return the words of a command line with new names of options.

    Parameters
    ----------
    words
        The words after the verb.
    flags
        All flags of the verb.
    note
        Is called with a line for each old name.
    """
    found: list[str] = []
    for at, word in enumerate(words):
        if word == "--":
            return [*found, *words[at:]]
        flag, sign, value = word.partition("=")
        old = flag.removeprefix("--").replace("-", "_")
        if flag.startswith("--") and flag not in flags and old in RENAMED:
            new = f"--{RENAMED[old].now.replace('_', '-')}"
            if new in flags:
                note(said(old, lambda name: f"--{name.replace('_', '-')}"))
                flag = new
        found.append(f"{flag}{sign}{value}")
    return found
