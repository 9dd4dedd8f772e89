"""
Panoramax's items -> images frame. Nothing here touches a file or the network.

An item is the STAC Feature that a server answers for a picture. `Reading` takes one apart, value by value; what has
the wrong shape, or contradicts another value, is unknown and noted as a problem of that picture.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo import attribution, frames, rows
from mlygeo.errors import FormatError, FrameError
from mlygeo.formats import exif, positions
from mlygeo.keys import UUIDS
from mlygeo.net.answers import shown
from mlygeo.providers.foreign import ForeignError, foreign_record
from mlygeo.providers.panoramax.tile_cache import CATALOGUE_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.keys import Ids, Key

log = logging.getLogger("mlygeo.providers.panoramax.items")

PROVIDER = "panoramax"

ATTRIBUTION = "Panoramax, licence by picture"
"""Attribution of frames: each picture has a licence of its own, in the column `licence`."""

BASE_FIELDS = (
    "sequence_id", "captured_at", "compass_angle", "is_pano", "creator_id", "organization_id", "provider", "instance",
    "licence", "licence_url", "creator", "geometry",
)  # fmt: skip
"""The columns of an images frame beside the id, and those that an attribution is made of."""

MORE_FIELDS = (
    "altitude", "compass_source", "pitch", "roll", "yaw", "field_of_view", "gps_accuracy_m", "pixel_density",
    "camera_type", "make", "model", "width", "height", "exif_orientation", "sequence_rank",
)  # fmt: skip
"""The columns for most further work."""

ASSET_FIELDS = {"hd_url": "data", "sd_url": "visual", "thumb_url": "thumbnail"}
"""Column of the address of a picture -> role of its asset."""

RARE_FIELDS = ("filename", "filesize", *ASSET_FIELDS, "tiles_url", "created_at", "updated_at")
"""Further columns."""

FIELDS = (*BASE_FIELDS, *MORE_FIELDS, *RARE_FIELDS)
"""All columns that an item becomes. A server answers whole items, so all are there after any request."""

SIZES = {"original": "hd_url", "2048": "sd_url", "thumb": "thumb_url"}
"""Size of a picture -> column of its address. `sd` is 2048 pixels wide, `thumb` 500, of a panorama a part of it."""

HEADING_TAGS = ("Exif.GPSInfo.GPSImgDirection", "MAPCompassHeading", "Exif.GPSInfo.GPSTrack")
"""Where a server reads a heading from, in its order; the second is in Mapillary's image description."""

PANORAMA = 360.0
"""Field of view of a panorama, degrees."""

LONGEST_URL = 4_096

HIGHEST = 100_000.0
"""Metres; a height beyond it is none."""

_FRACTION = re.compile(r"\s*(-?\d{1,20})(?:/(\d{1,20}))?\s*", re.ASCII)


class Reading:
    """
    What an item says, by the columns of an images frame.

    Parameters
    ----------
    item
        A STAC item of Panoramax.

    Attributes
    ----------
    row
        The values by column; unknown ones are absent. `captured_at`, `created_at` and `updated_at` are datetimes in
        UTC, `geometry` is a pair of longitude and latitude.
    problems
        What is wrong with the item, in words.
    """

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self._item = item
        self._properties: Mapping[str, Any] = self._part(item, "properties")
        self._exif = self._part(self._properties, "exif") if "exif" in self._properties else None
        self.row: dict[str, Any] = {"id": item_id(item), "provider": PROVIDER}
        for name, value in self._values():
            if value is not None:
                self.row[name] = value

    def _values(self) -> Iterator[tuple[str, Any]]:
        said = self._properties
        sequence = self._text("collection", self._item.get("collection"))
        yield "sequence_id", UUIDS.find(sequence) or sequence
        yield "captured_at", self._time("datetime", said.get("datetime"))
        yield "geometry", self._place()
        heading = self._heading()
        yield "compass_angle", heading
        yield "compass_source", self._heading_source(heading)
        yield from self._producer()
        yield "instance", self._instance()
        yield "licence", self._text("license", said.get("license"))
        yield "licence_url", self._licence_url()
        yield from self._camera()
        for column in ("pitch", "roll", "yaw"):
            name = f"pers:{column}"
            yield column, self._number(name, said.get(name), least=-360, most=360)
        name = "quality:horizontal_accuracy"
        yield "gps_accuracy_m", self._number(name, said.get(name), least=0)
        name = "panoramax:horizontal_pixel_density"
        yield "pixel_density", self._number(name, said.get(name), least=0)
        yield "altitude", self._altitude()
        yield "exif_orientation", self._orientation()
        yield "sequence_rank", self._whole("geovisio:rank_in_collection", said.get("geovisio:rank_in_collection"))
        yield "filename", self._text("original_file:name", said.get("original_file:name"))
        yield "filesize", self._whole("original_file:size", said.get("original_file:size"))
        yield from self._assets()
        yield "created_at", self._time("created", said.get("created"))
        yield "updated_at", self._time("updated", said.get("updated"))
        status = said.get("geovisio:status")
        if status is not None and status != "ready":
            self._note("geovisio:status", status)

    def _note(self, name: str, value: Any) -> None:
        self.problems.append(f"its {name} is {shown(value)}")

    def _part(self, of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """Return an object inside; an empty one where there is none."""
        value = of.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._note(name, value)
            return {}
        return value

    def _text(self, name: str, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value.strip() or None if value else None
        self._note(name, value)
        return None

    def _number(self, name: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> float | None:
        number = _real(value)
        if value is not None and (number is None or not least <= number <= most):
            self._note(name, value)
            return None
        return number

    def _whole(self, name: str, value: Any, *, least: int = 0) -> int | None:
        number = self._number(name, value, least=least, most=2.0**53)
        if number is not None and not number.is_integer():
            self._note(name, value)
            return None
        return None if number is None else int(number)

    def _time(self, name: str, value: Any) -> datetime | None:
        if value is None:
            return None
        found = read_time(value)
        if found is None:
            self._note(name, value)
        elif re.search(r"\.\d{6}\d*[1-9]", value):
            self.problems.append(f"its {name} is cut to microseconds: {shown(value)}")
        return found

    def _place(self) -> tuple[float, float] | None:
        geometry = self._item.get("geometry")
        if geometry is None:
            return None
        found = geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
        if isinstance(found, list) and len(found) >= 2:
            lon, lat = _real(found[0]), _real(found[1])
            if (place := positions.position(lon, lat)) is not None:
                return place
        self._note("geometry", geometry)
        return None

    def _heading(self) -> float | None:
        degrees = self._number("view:azimuth", self._properties.get("view:azimuth"), least=0, most=360)
        return None if degrees is None else degrees % 360

    def _heading_source(self, heading: float | None) -> str | None:
        """Return whether a heading was measured or computed; None where it cannot be known."""
        if heading is None or self._exif is None:
            return None
        for name in HEADING_TAGS:
            said = _description_heading(self._exif) if "." not in name else _fraction(self._exif.get(name))
            if said is not None:
                # A server rounds headings to whole degrees. One that is farther away may have been set by hand since,
                # or be relative to the direction of the sequence.
                return "measured" if exif.same_heading(said, heading) else None
        # Of a tag that is there and cannot be read, nobody knows what the server made of it; one without value is none.
        return None if any(self._exif.get(name, "") != "" for name in HEADING_TAGS) else "computed"

    def _producer(self) -> Iterator[tuple[str, str | None]]:
        listed = self._item.get("providers")
        if listed is not None and not isinstance(listed, list):
            self._note("providers", listed)
            listed = None
        providers = [each for each in listed or [] if isinstance(each, dict)]
        for roles in (each["roles"] for each in providers if not isinstance(each.get("roles") or [], list)):
            self._note("providers", roles)
        producers = [each for each in providers if isinstance(each.get("roles"), list) and "producer" in each["roles"]]
        accounts = [each for each in producers if UUIDS.find(each.get("id")) is not None]
        first = (accounts or producers or [{}])[0]
        yield "creator_id", UUIDS.find(first.get("id"))
        name = self._text("geovisio:producer", self._properties.get("geovisio:producer"))
        yield "creator", name or self._text("providers", first.get("name"))

    def _links(self, relation: str) -> list[Mapping[str, Any]]:
        return _of_relation(self._item, relation)

    def _instance(self) -> str | None:
        for link in self._links("via"):
            name = link.get("instance_name")
            found = (name.strip() if isinstance(name, str) else "") or _host(link.get("href"))
            if found:
                return found
        for relation in ("self", "root"):
            for link in self._links(relation):
                host = _host(link.get("href"))
                if host:
                    return None if host == CATALOGUE_HOST else host
        return None

    def _licence_url(self) -> str | None:
        found = {link["href"] for link in self._links("license") if _is_address(link.get("href"))}
        if len(found) > 1:
            self._note("link to the licence", sorted(found))
        return found.pop() if len(found) == 1 else None

    def _camera(self) -> Iterator[tuple[str, Any]]:
        camera = self._part(self._properties, "pers:interior_orientation")
        angle = camera.get("field_of_view")
        if isinstance(angle, str) and re.fullmatch(r"\d{1,3}(\.\d*)?", angle, re.ASCII):
            angle = float(angle)
        angle = self._number("field_of_view", angle, least=0, most=PANORAMA)
        tiles = self._tiles()
        is_pano = self._is_pano(angle, has_tiles=tiles is not None)
        yield "field_of_view", angle or None
        yield "is_pano", is_pano
        yield "camera_type", "equirectangular" if is_pano else None
        yield "tiles_url", tiles
        yield "make", self._text("camera_manufacturer", camera.get("camera_manufacturer"))
        yield "model", self._text("camera_model", camera.get("camera_model"))
        size = camera.get("sensor_array_dimensions")
        if size is not None and not (isinstance(size, list) and len(size) == 2):
            self._note("sensor_array_dimensions", size)
            size = None
        for name, value in zip(("width", "height"), size or (None, None), strict=True):
            yield name, self._whole(name, value, least=1)

    def _is_pano(self, angle: float | None, *, has_tiles: bool) -> bool | None:
        if has_tiles and angle not in {None, PANORAMA}:
            self.problems.append(f"it has the tiles of a panorama, and a field of view of {angle:g} degrees")
            return None
        if has_tiles or angle == PANORAMA:
            return True
        return False if angle or isinstance(self._item.get("assets"), dict | list) else None

    def _tiles(self) -> str | None:
        templates = self._part(self._item, "asset_templates")
        if "tiles" not in templates:
            return None
        found = templates["tiles"].get("href") if isinstance(templates["tiles"], dict) else None
        if not _is_address(found):
            self._note("asset_templates", templates["tiles"])
            return None
        return str(found)

    def _altitude(self) -> float | None:
        said = (self._exif or {}).get("Exif.GPSInfo.GPSAltitude")
        if said is None:
            return None
        metres, below = _fraction(said), (self._exif or {}).get("Exif.GPSInfo.GPSAltitudeRef")
        sign = {"0": 1, "": 1, "1": -1}.get("" if below is None else str(below).strip())
        if metres is None or sign is None or metres < 0 or metres > HIGHEST:
            self._note("GPSAltitude", said if sign is not None else below)
            return None
        return sign * metres

    def _orientation(self) -> int | None:
        said = (self._exif or {}).get("Exif.Image.Orientation")
        if said is None or str(said).strip() == "0":
            return None
        if str(said).strip() not in {*"12345678"}:
            self._note("Orientation", said)
            return None
        return int(str(said))

    def _assets(self) -> Iterator[tuple[str, str]]:
        for column, role in ASSET_FIELDS.items():
            href = asset(self._item, role)
            if href is not None:
                yield column, href
        assets = self._item.get("assets")
        if assets is not None and not isinstance(assets, dict | list):
            self._note("assets", assets)


def asset(item: Mapping[str, Any], role: str) -> str | None:
    """
    Return the address of a picture of an item, by the role of its asset; None where it has none.

    Parameters
    ----------
    item
        An item, whose assets may be an object by name or a list.
    role
        "data", "visual" or "thumbnail". Of several with this role, the one in JPEG wins.
    """
    assets = item.get("assets")
    listed = assets.values() if isinstance(assets, dict) else assets if isinstance(assets, list) else []
    fitting = [
        each
        for each in listed
        if isinstance(each, dict)
        and isinstance(each.get("roles"), list)
        and role in each["roles"]
        and _is_address(each.get("href"))
    ]
    fitting.sort(key=lambda each: each.get("type") not in {"image/jpeg", None})
    return str(fitting[0]["href"]) if fitting else None


def item_id(item: Mapping[str, Any]) -> str:
    """
    Return the id of an item.

    Raises
    ------
    FormatError
        If it is another provider's record, or has no id.
    """
    if not isinstance(item, dict):
        raise FormatError(f"an item is {shown(item)}, not an object")
    found = UUIDS.find(item.get("id"))
    foreign = foreign_record("a record", item, wanted="Panoramax")
    if foreign is not None:
        raise foreign
    if found is None:
        raise FormatError(f"an item has the id {shown(item.get('id'))}")
    if "properties" not in item:
        kind = item.get("type")
        raise ForeignError(
            f"{found} is not a picture, but {f'a {kind}' if isinstance(kind, str) else 'something else'}"
        )
    return found


def read_time(value: Any) -> datetime | None:
    """Return a time of an item (RFC 3339, with a zone) in UTC; None where it is none."""
    if not isinstance(value, str) or len(value) > 40 or not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", value):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _real(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _fraction(value: Any) -> float | None:
    """Return a number as Exiv2 writes it; None where it is none."""
    found = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return _real(value)
    below = int(found[2] or 1)
    return int(found[1]) / below if below else None


def _description_heading(exif: Mapping[str, Any]) -> float | None:
    text = exif.get("Exif.Image.ImageDescription")
    if not isinstance(text, str) or "MAPCompassHeading" not in text:
        return None
    try:
        said = json.loads(text)["MAPCompassHeading"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return _real(said.get("TrueHeading") if isinstance(said, dict) else said)


def _is_address(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_URL or not value.isprintable() or " " in value:
        return False
    return value.startswith(("https://", "http://"))


def _host(href: Any) -> str | None:
    try:
        return urlsplit(href).hostname if _is_address(href) else None
    except ValueError:
        return None


def images_frame(
    items: Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str] | None = None,
    problems: dict[Key, str] | None = None,
) -> gpd.GeoDataFrame:
    """
    Read items into an images frame.

    Parameters
    ----------
    items
        STAC items of Panoramax.
    fields
        The columns wanted; each gets its place, be it null throughout. None takes those that some item has.
    problems
        Called with the id and the problem of each item with a wrong value; the frame then has its valid values.
        Without it such an item is an error.

    Returns
    -------
    images
        Images frame of any provider, in the order of the items, EPSG:4326; times to the microsecond, positions as
        they came. `is_pano` has nulls where the kind is unknown.

    Raises
    ------
    FormatError
        If a record is not an item of Panoramax; or, without `problems`, has a wrong value.
    """
    read = [Reading(item) for item in items]
    found = {each.row["id"]: "; ".join(each.problems) for each in read if each.problems}
    if found and problems is None:
        id_, problem = next(iter(found.items()))
        raise FormatError(f"image {id_}: {problem}", hint="ask for it again; the service may have changed")
    if problems is not None:
        problems.update(found)
    names = FIELDS if fields is None else [name for name in dict.fromkeys(fields) if name in FIELDS]
    if fields is None:
        there = set().union(*(each.row for each in read))
        names = [name for name in FIELDS if name in there]
    images = rows_frame([each.row for each in read], names)
    log.info("%d images, %d with wrong values", len(images), len(found))
    return images


def rows_frame(found: Sequence[Mapping[str, Any]], names: Iterable[str]) -> gpd.GeoDataFrame:
    """
    Return the images frame of rows, as `Reading` has them.

    Parameters
    ----------
    found
        The rows.
    names
        The columns that the frame has beside those that every images frame has.
    """
    import geopandas as gpd
    import numpy as np
    import pandas as pd

    schema = frames.IMAGES.of_any_provider
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(["id", "provider", *(column.name for column in schema.required), *names]):
        if name == "geometry":
            continue
        values = [row.get(name) for row in found]
        columns[name] = _column(values, schema.dtype(name) or "str")
    lonlat = np.array([row.get("geometry") or (math.nan, math.nan) for row in found], dtype=np.float64).reshape(-1, 2)
    geometry = frames.points(*lonlat.T)
    geometry[np.isnan(lonlat[:, 0])] = None
    frame = gpd.GeoDataFrame(pd.DataFrame(columns), geometry=gpd.GeoSeries(geometry, crs=frames.CRS))
    return frames.attribute(frames.conform(frame, schema), ATTRIBUTION, positions="original")


def _column(values: list[Any], dtype: str) -> pd.Series:
    import numpy as np
    import pandas as pd

    if dtype == "bool":
        return pd.Series(values, dtype="boolean")
    if dtype.startswith("datetime64"):
        naive = [None if value is None else value.replace(tzinfo=None) for value in values]
        return pd.Series(np.array(naive, dtype="datetime64[us]")).dt.tz_localize("UTC")
    return pd.Series(values, dtype=dtype)


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what an item says, under the names of the columns of an images frame.

    Times are datetimes in UTC, since milliseconds would lose digits; the position is GeoJSON. A row of a frame is
    returned unchanged.

    Parameters
    ----------
    record
        An item, or a row of a frame.
    """
    if not is_item(record):
        return dict(record)
    row = Reading(record).row
    if "geometry" in row:
        row["geometry"] = {"type": "Point", "coordinates": list(row["geometry"])}
    return row


def is_item(record: Mapping[str, Any]) -> bool:
    """Return whether a record is an item, and not a row of a frame."""
    return isinstance(record.get("properties"), dict)


_SAID_AS = {
    "captured_at": "datetime",
    "created_at": "created",
    "updated_at": "updated",
    "compass_angle": "view:azimuth",
    "pitch": "pers:pitch",
    "roll": "pers:roll",
    "yaw": "pers:yaw",
    "gps_accuracy_m": "quality:horizontal_accuracy",
    "pixel_density": "panoramax:horizontal_pixel_density",
    "licence": "license",
    "creator": "geovisio:producer",
    "sequence_rank": "geovisio:rank_in_collection",
    "filename": "original_file:name",
    "filesize": "original_file:size",
}
"""Column -> property of an item that says the same."""


def said_of(image: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return all that the service says of an image, under its own names, as JSON has it.

    Parameters
    ----------
    image
        An item, of which links to other pictures are left out; or a row of an images frame, which becomes the item
        that says the same.
    """
    if is_item(image):
        kept = {name: rows.json_value(value) for name, value in image.items() if name not in {"links", "bbox"}}
        links = [link for relation in ("license", "via", "self") for link in _of_relation(image, relation)]
        return {name: value for name, value in {**kept, "links": links}.items() if value not in (None, [], {})}
    said: dict[str, Any] = {}
    for column, name in _SAID_AS.items():
        value = image.get(column)
        said[name] = value.isoformat() if isinstance(value, datetime) and rows.known(value) else rows.json_value(value)
    camera = {
        "field_of_view": rows.json_value(image.get("field_of_view")),
        "camera_manufacturer": rows.text_of(image, "make"),
        "camera_model": rows.text_of(image, "model"),
    }
    size = [rows.json_value(image.get(name)) for name in ("width", "height")]
    camera["sensor_array_dimensions"] = None if None in size else size
    said["pers:interior_orientation"] = {name: value for name, value in camera.items() if value is not None} or None
    place = rows.lonlat(image)
    item = {
        "type": "Feature",
        "id": rows.id_text(image.get("id")),
        "collection": rows.id_text(image.get("sequence_id")),
        "geometry": None if place is None else {"type": "Point", "coordinates": list(place)},
        "properties": {name: value for name, value in said.items() if value is not None},
    }
    return {name: value for name, value in item.items() if value is not None}


def _of_relation(item: Mapping[str, Any], relation: str) -> list[Any]:
    links = item.get("links")
    return (
        [each for each in links if isinstance(each, dict) and each.get("rel") == relation]
        if isinstance(links, list)
        else []
    )


def sidecar(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a picture in a file of its own: its item, with the attribution."""
    return {**said_of(record), "attribution": attribution.of_row(row_of(record), PROVIDER).line}


def named(images: pd.DataFrame, where: str) -> Ids:
    """
    Return the ids of images that have one, row by row.

    Parameters
    ----------
    images
        Any frame with a column `id`, which may have gaps.
    where
        What messages call it.

    Raises
    ------
    FrameError
        If there is no such column, or it holds other things than ids.
    """
    return UUIDS.array([id_ for id_ in ids_in(images, where) if id_ is not None])


def ids_in(images: pd.DataFrame, where: str) -> list[str | None]:
    """Return the ids of images, None where a row has none; raises as `named` does."""
    if "id" not in images.columns:
        raise FrameError(f"{where} has no column 'id', so its images cannot be identified")
    if images["id"].ndim != 1:
        raise FrameError(f"{where}: column 'id' stands twice")
    values = images["id"].astype(object).where(images["id"].notna(), None).tolist()
    ids = [None if value is None else UUIDS.find(value) for value in values]
    for value, id_ in zip(values, ids, strict=True):
        if value is not None and id_ is None:
            raise FrameError(
                f"{where}: column 'id' holds {str(value)[:40]!r}, which is not an id of Panoramax", hint=UUIDS.hint
            )
    return ids
