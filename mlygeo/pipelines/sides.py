"""What `compare` names: two periods, two providers, or two files of images."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mlygeo import periods
from mlygeo.errors import InputError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from mlygeo.spatial.comparison import Side

OPEN = ".."
"""In place of the start or end of an interval: it has none (ISO 8601-2)."""

HINT = "name two periods, such as ../2021 and ../2024, two providers, or two files of images"


def read(compare: Iterable[str] | str | None) -> tuple[Side, Side] | None:
    """
    Return the sides of a comparison; None for none.

    Parameters
    ----------
    compare
        Two texts: periods (2021, 2021-06; or intervals, 2019/2021, ../2021 until its end, 2022/.. from its start),
        or names of providers; not those of `files`.

    Raises
    ------
    InputError
        If there are not two, of one kind, and different.
    """
    if compare is None:
        return None
    texts = [compare] if isinstance(compare, str) else list(compare)
    if len(texts) != 2:
        raise InputError(f"`compare` takes two, not {len(texts)}", hint=HINT)
    first, second = (_side(str(text).strip()) for text in texts)
    if (first.provider is None) != (second.provider is None):
        raise InputError(f"`compare` has a provider and a period, {first.text} and {second.text}", hint=HINT)
    if (first.provider, first.start_ms, first.end_ms) == (second.provider, second.start_ms, second.end_ms):
        raise InputError(f"`compare` has {first.text} twice", hint=HINT)
    return first, second


def files(compare: Iterable[str] | str | None) -> tuple[str, str] | None:
    """
    Return the files of images that are compared; None where it is something else, or nothing.

    Parameters
    ----------
    compare
        As for `read`.

    Raises
    ------
    InputError
        If there are not two, or one of them is not a file, or both are the same.
    """
    texts = [compare] if isinstance(compare, str) else list(compare or ())
    named = [text for text in texts if is_file(text)]
    if not named:
        return None
    if len(texts) != 2:
        raise InputError(f"`compare` takes two, not {len(texts)}", hint=HINT)
    if len(named) < 2:
        other = next(text for text in texts if text not in named)
        raise InputError(f"`compare` has a file, {Path(named[0]).name}, and {other[:60]!r}, which is none", hint=HINT)
    first, second = named
    if os.path.realpath(Path(first).expanduser()) == os.path.realpath(Path(second).expanduser()):
        raise InputError(f"`compare` has {Path(first).name} twice", hint=HINT)
    return first, second


def is_file(text: object) -> bool:
    """Return whether a text names a file or a folder of images, and not a period or a provider."""
    if not isinstance(text, str):
        return False
    from mlygeo.store import paths

    words = text.strip()
    if paths.is_url(words) or PurePath(words).suffix.lower() in paths.READABLE:
        return True
    if words[:1].isdigit() or words.startswith(f"{OPEN}/"):
        return False  # a folder of that name is named with ./ before it
    try:
        return bool(words) and Path(words).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def names_of(texts: tuple[str, str]) -> tuple[str, str]:
    """Return what two files are called: by their names, or with those of their folders where these are the same."""
    first, second = (Path(text) for text in texts)
    if first.name != second.name:
        return first.name, second.name
    names = tuple(f"{path.absolute().parent.name}/{path.name}" for path in (first, second))
    return (names[0], names[1]) if names[0] != names[1] else (f"{names[0]} (1)", f"{names[1]} (2)")


def _side(text: str) -> Side:
    from mlygeo.spatial.comparison import Side

    if not text:
        raise InputError("`compare` is empty", hint=HINT)
    if not text[0].isdigit() and not text.startswith(OPEN):
        if not text.isidentifier() or len(text) > 60:
            raise InputError(f"`compare` {text[:60]!r} is neither a period nor the name of a provider", hint=HINT)
        return Side(text, provider=text.lower())
    begin, slash, end = text.partition("/")
    if not slash:
        found = periods.period(text, "compare")
        if found.start == found.end:
            raise InputError(f"`compare` {text} is a moment, at which nobody photographs a city", hint=HINT)
        return Side(text, start_ms=_milliseconds(found.start), end_ms=_milliseconds(found.end))
    if not begin or not end:
        raise InputError(
            f"`compare` {text} has nothing on one side of the slash", hint=f"for no limit write {OPEN} there"
        )
    if begin == end == OPEN:
        raise InputError(f"`compare` {text} has neither start nor end", hint=HINT)
    start_ms = None if begin == OPEN else _milliseconds(periods.period(begin, "compare").start)
    end_ms = None if end == OPEN else _milliseconds(periods.period(end, "compare").end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise InputError(f"`compare` {text} ends before it starts", hint=HINT)
    return Side(text, start_ms=start_ms, end_ms=end_ms)


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
