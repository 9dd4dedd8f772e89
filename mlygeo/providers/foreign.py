"""What one provider's tiles and records look like to another: refused by name, never taken for an empty answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo.errors import ConfigError, FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAYERS = {
    "Mapillary": frozenset({b"image", b"sequence", b"overview"}),
    "Panoramax": frozenset({b"pictures", b"sequences", b"grid"}),
}
"""The layers of each provider's tiles."""


HOSTS = {
    "Mapillary": re.compile(r"(.*\.)?mapillary\.com|rupload\.facebook\.com"),
    "Panoramax": re.compile(r".*panoramax.*|.*geovisio.*"),
}
"""Names of each provider's servers."""


class ForeignError(FormatError):
    """Something of another provider came, or of none that is known: fetching it again would not help."""


def refuse_host(url: str, name: str, *, wanted: str) -> None:
    """
    Raise where the address of a provider's service is, by the name of its server, one of another provider.

    Parameters
    ----------
    url
        The address.
    name
        What messages call it.
    wanted
        The provider.

    Raises
    ------
    ConfigError
        Naming the other one.
    """
    host = urlsplit(url).hostname or ""
    others = [who for who, form in HOSTS.items() if who != wanted and form.fullmatch(host)]
    if others and not HOSTS[wanted].fullmatch(host):
        raise ConfigError(
            f"{name} is {url}, a server of {others[0]}, and one of {wanted} is needed",
            hint=f"`provider='{others[0].lower()}'`",
        )


def owner_of_tile(names: Iterable[bytes]) -> str | None:
    """Return whose tile has layers of these names; None where they are of none that is known, or of several."""
    found = [who for who, layers in LAYERS.items() if layers.intersection(names)]
    return found[0] if len(found) == 1 else None


def foreign_tile(where: str, names: Iterable[bytes], *, wanted: str) -> ForeignError:
    """
    Return the error of a tile of another provider.

    Parameters
    ----------
    where
        What messages call it.
    names
        Names of its layers.
    wanted
        Whose tile it should be.
    """
    names = list(dict.fromkeys(names))
    shown = ", ".join(name.decode(errors="replace")[:30] for name in names[:4])
    who = owner_of_tile(names)
    if who is None:
        return ForeignError(f"{where} is not a tile of {wanted}: its layers are {shown or 'without a name'}")
    return ForeignError(
        f"{where} is a tile of {who} (layers {shown}), and one of {wanted} is needed",
        hint=f"`provider='{who.lower()}'`",
    )


def owner_of_record(record: Mapping[str, Any]) -> str | None:
    """
    Return whose record of an image this seems to be; None where it is of none that is known.

    Parameters
    ----------
    record
        A JSON object: Mapillary's has times in milliseconds and a text as `sequence`, Panoramax's is a STAC item.
    """
    if record.get("type") in {"Feature", "FeatureCollection", "Collection", "Catalog"} or "stac_version" in record:
        return "Panoramax"
    if isinstance(record.get("features"), list) or isinstance(record.get("collections"), list):
        return "Panoramax"
    if isinstance(record.get("properties"), dict) and ("collection" in record or "assets" in record):
        return "Panoramax"
    known = {"captured_at", "compass_angle", "sequence", "thumb_2048_url", "thumb_original_url", "computed_geometry"}
    if known.intersection(record):
        return "Mapillary"
    data = record.get("data")
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return owner_of_record(data[0])
    return None


def foreign_record(what: str, record: Mapping[str, Any], *, wanted: str) -> ForeignError | None:
    """
    Return the error of a record of another provider; None where it may be one of the wanted.

    Parameters
    ----------
    what
        What messages call it.
    record
        A JSON object.
    wanted
        Whose record it should be.
    """
    who = owner_of_record(record)
    if who is None or who == wanted:
        return None
    return ForeignError(
        f"{what} is a record of {who}, and one of {wanted} is needed", hint=f"`provider='{who.lower()}'`"
    )
