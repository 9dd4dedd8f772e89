"""Rules by which images are preferred, from files of weights (JSON or TOML), and by their names."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.schemas import PREFERRED_BY
from mlygeo.spatial.scores import FORM, RULES, Rule

LONGEST_FILE = 1_048_576
"""Bytes; a longer file is not a rule, and is not read to its end."""


def rule_of(value: str | os.PathLike[str]) -> Rule:
    """
    Return the rule of a name, or of a file of weights.

    Parameters
    ----------
    value
        One of `mlygeo.spatial.scores.RULES`, or a file: a table `weights` of terms and, where others than the usual
        are wanted, a table `scales`. See `mlygeo.spatial.scores.Rule`.

    Raises
    ------
    InputError
        If there is no rule of the name and no file, or a weight or scale makes no sense.
    FileError
        If the file cannot be read.
    FormatError
        If it is neither JSON nor TOML.
    """
    path = file_of(value)
    if path is None:
        return RULES[os.fspath(value)]
    if value in PREFERRED_BY and not path.exists():
        example = json.dumps({"weights": {"distance": 0.8, value: 0.2} if value != "distance" else {value: 1}})
        raise InputError(
            f"{value!r} is a term of a rule, not a rule to prefer images by",
            hint=f"write its weight into a file, such as {example}, and name the file: `prefer=rule.json`",
        )
    if not path.exists() and not path.suffix:
        raise InputError(
            f"{os.fspath(value)!r} is neither a rule to prefer images by nor a file of weights",
            hint=f"rules are {', '.join(RULES)}; a file of weights is {FORM}",
        )
    try:
        return Rule.of_json(_content(path))
    except InputError as error:
        raise InputError(f"{path.name}: {error}", hint=error.hint) from None


def file_of(value: str | os.PathLike[str]) -> Path | None:
    """Return the file that a rule is read from; None for the name of a rule."""
    return None if isinstance(value, str) and value in RULES else Path(value).expanduser()


def _content(path: Path) -> Any:
    try:
        content = places.content_of(path, LONGEST_FILE)
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    if len(content) > LONGEST_FILE:
        raise FormatError(f"{path.name} is too long for a file of weights", hint=FORM)
    try:
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        return json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path.name} is neither JSON nor TOML: {error}", hint=FORM) from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a table of JSON; ValueError where a name stands in it twice, as TOML has it."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in a table twice")
    return found
