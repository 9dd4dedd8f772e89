"""What is told of photos beside what they say: names, custom meta data, orientation."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.pipelines.options import MetaData

    Tags = dict[str, list[dict[str, Any]]]

GROUPS = {"string": "strings", "double": "doubles", "long": "longs", "date": "dates", "boolean": "booleans"}
"""Types of custom meta data, and the part of MAPMetaTags that holds them."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tag_of(name: str, kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """
    Return the group of a meta tag, and the tag.

    Parameters
    ----------
    name
        Its key.
    kind
        string, double, long, date (milliseconds since 1970, or ISO 8601) or boolean.
    text
        Its value.

    Raises
    ------
    InputError
        If there is no such type, or the value is not of it.
    """
    if kind not in GROUPS:
        raise InputError(f"there is no type {kind!r} of meta data ({name})", hint=f"one of {', '.join(GROUPS)}")
    try:
        value = _value(kind, text.strip())
    except (ValueError, KeyError, OverflowError) as error:
        raise InputError(f"the meta data {name} is no {kind}: {text[:60]!r}") from error
    return GROUPS[kind], {"key": name, "value": value}


def _value(kind: str, text: str) -> Any:
    if kind == "long":
        return int(text)
    if kind == "double":
        if not math.isfinite(number := float(text)):
            raise ValueError(text)
        return number
    if kind == "boolean":
        return _TRUTH[text.lower()]
    if kind == "date":
        try:
            return int(text)
        except ValueError:
            moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round((moment - _EPOCH).total_seconds() * 1000)
    return text


def custom(text: str | None) -> Tags:
    """
    Return the meta tags that --custom-meta-data names: "name,type,value;name,type,value".

    Raises
    ------
    InputError
        If it has another form.
    """
    entries = [entry for entry in (text or "").split(";") if entry.strip()]
    tags = []
    for entry in entries:
        parts = [part.strip() for part in entry.split(",", 2)]
        if len(parts) != 3 or not parts[0]:
            raise InputError(
                f"--custom-meta-data {entry.strip()!r} has not three parts",
                hint='write it as "name,type,value;name,type,value"',
            )
        tags.append(tag_of(*parts))
    return grouped(tags)


def grouped(tags: Iterable[tuple[str, dict[str, Any]]]) -> Tags:
    """Return tags by group; of several with one key the last counts."""
    found: Tags = {}
    for group, tag in tags:
        others = [other for other in found.get(group, []) if other["key"] != tag["key"]]
        found[group] = [*others, tag]
    return found


def merged(*all_tags: Tags) -> Tags:
    """Return the tags of several; of those with one key the last counts."""
    return grouped((group, tag) for tags in all_tags for group, several in tags.items() for tag in several)


def told(description: Any) -> Tags:
    """Return the meta tags that an image description in a photo holds; none where it is damaged."""
    if not isinstance(description, str) or "MAPMetaTags" not in description:
        return {}
    try:
        tags = json.loads(description)["MAPMetaTags"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    return {
        group: kept
        for group in GROUPS.values()
        if (
            kept := [
                tag for tag in _listed(tags.get(group)) if isinstance(tag, dict) and {"key", "value"} <= tag.keys()
            ]
        )
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def shown_name(path: str, meta: MetaData, base: str) -> str:
    """Return the name that a photo is given: its path, without what is to be left out."""
    cut = base if meta.exclude_import_path else meta.exclude_path
    name = path.replace(cut, "").lstrip("/\\") if cut else path
    return name.replace("/", "\\") if meta.windows_path else name
