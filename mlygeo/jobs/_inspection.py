"""What the service says of one image, for people to read."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlygeo.keys import Key
    from mlygeo.providers import Provider, Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LABEL_WIDTH = 24
"""Letters of the longest field's name, and a space or two."""

PATH_SHOWN = 24
"""Letters of an address's path; it is an opaque word of some two hundred."""


def facts(key: Key, record: Record | None, problem: str | None, who: Provider) -> dict[str, Any]:
    """
    Return what is known of an image, as JSON.

    Parameters
    ----------
    key
        Its id.
    record
        The service's record; None where there is none.
    problem
        Why there is none, or what is wrong with it.
    who
        The provider.

    Returns
    -------
    facts
        id (text), `problem` where there is one, `record` without the signatures of addresses, and
        the `fields` that have no value.
    """
    told: dict[str, Any] = {"id": str(key)}
    if problem is not None:
        told["problem"] = problem
    if record is not None:
        shown = ((name, value) for name, value in sorted(record.items()) if name != "id")
        told["record"] = {name: _without_signatures(value, who) for name, value in shown}
        fields = () if who.records is None else who.records.fields
        told["without_value"] = [name for name in fields if name not in record and name != "detections"]
    return told


def text(told: dict[str, Any]) -> str:
    """Return the facts of `facts` in lines, a field a line."""
    lines = [f"image {told['id']}"]
    if "problem" in told:
        lines.append(f"  {'problem':<{LABEL_WIDTH}}{_printable(told['problem'])}")
    for name, value in told.get("record", {}).items():
        lines.append(f"  {_printable(name):<{LABEL_WIDTH}}{_printable(_shown(name, value))}")
    if told.get("without_value"):
        indent = " " * (LABEL_WIDTH + 2)
        first = f"  {'without a value':<{LABEL_WIDTH}}"
        lines += textwrap.wrap(", ".join(told["without_value"]), 79, initial_indent=first, subsequent_indent=indent)
    return "\n".join(lines)


def _shown(name: str, value: Any) -> str:
    match value:
        case int() if name == "captured_at" and not isinstance(value, bool):
            return _time(value)
        case {"type": "Point", "coordinates": [lon, lat, *_]}:
            return f"longitude {lon}, latitude {lat}"
        case {"data": list() as items}:
            return f"{len(items)}"
        case dict():
            return ", ".join(f"{key} {part}" for key, part in value.items())
        case list():
            return ", ".join(map(str, value))
        case int() | float() if name.endswith("altitude"):
            # Below the sea it has come as an unsigned number.
            return f"{value - 2**32 if 2**31 <= value < 2**32 else value} m"
        case int() | float() if name.endswith("angle"):
            return f"{value}°"
    return str(value)


def _time(milliseconds: int) -> str:
    try:
        moment = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms, which is no date"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def _without_signatures(value: Any, who: Provider) -> Any:
    """Return a value in which each address is short, and signed no more."""
    if isinstance(value, dict):
        return {key: _without_signatures(part, who) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_signatures(part, who) for part in value]
    if isinstance(value, str) and "://" in value[:12]:
        return _short(value, who)
    return value


def _short(url: str, who: Provider) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    path = parts.path if len(parts.path) <= PATH_SHOWN else f"{parts.path[:PATH_SHOWN]}…"
    short = f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{path}"
    seconds = None if who.pictures is None else who.pictures.expires(url)
    if seconds is None:
        return short
    try:
        until = EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return short
    return f"{short} (until {until:%Y-%m-%d %H:%M} UTC)"


def _printable(text: str) -> str:
    """Return a text from outside without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
