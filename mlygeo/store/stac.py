"""
STAC-GeoParquet <-> images frame: items of pictures as a table, whoever wrote it.

Columns are read by name, and what is missing is unknown: tables in the wild have no common set of columns, and hold
assets as an object by name (as the specification has it) or as a list, to be found by their roles.
Specification: https://github.com/radiantearth/stac-geoparquet-spec (a row an item, its properties as columns).
"""

from __future__ import annotations

import functools
import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from mlygeo import dtypes, frames
from mlygeo.errors import FormatError, FrameError
from mlygeo.progress import counted
from mlygeo.schemas import US_UTC
from mlygeo.store.columns import is_null, wkt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

log = logging.getLogger("mlygeo.store.stac")

ENDING = ".stac.parquet"
"""Ending of files that are written as STAC-GeoParquet."""

COLLECTION_ENDING = ".collection.json"
"""Ending of the file beside it that has their collection."""

VERSION = "1.0.0"

TIMES = {"datetime": "captured_at", "created": "created_at", "updated": "updated_at"}
"""Column of a table -> column of an images frame; the same below."""

NUMBERS = {
    "view:azimuth": "compass_angle",
    "pers:pitch": "pitch",
    "pers:roll": "roll",
    "pers:yaw": "yaw",
    "quality:horizontal_accuracy": "gps_accuracy_m",
    "panoramax:horizontal_pixel_density": "pixel_density",
}

WHOLE_NUMBERS = {"geovisio:rank_in_collection": "sequence_rank", "original_file:size": "filesize"}

TEXTS = {"collection": "sequence_id", "license": "licence", "original_file:name": "filename"}

CAMERA = "pers:interior_orientation"

ASSETS = {"hd": ("hd_url", "data"), "sd": ("sd_url", "visual"), "thumb": ("thumb_url", "thumbnail")}
"""Name of an asset -> its column and its role."""

COMPUTED = "computed_geometry"
"""Column with positions beside those of the items, which is WKT in a table of items."""

_READ = {
    *TIMES, *NUMBERS, *WHOLE_NUMBERS, *TEXTS, CAMERA, "id", "geometry", "bbox", "providers", "instance", "assets",
    "links", "type", "stac_version", "stac_extensions", "geovisio:producer",
}  # fmt: skip
"""Columns of a table that are read, or say nothing of a picture; others stay as they are."""

_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_PICTURE = re.compile(r"^https?://[^?#]*/(?:hd|sd|thumb)\.(?:jpg|webp)(?:[?#].*)?$")
"""Addresses of pictures as every instance of Panoramax has them."""

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,15})?")

WITHOUT_ID, TWICE = "without an id", "there twice"
"""Reasons for which items are left out."""

LOOKED_AT = 100
"""Rows that tell whose a table is."""

_TIME = (
    r"^(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d\d\d)-[01]\d-[0-3]\d[ T][0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
    r"(?:Z|[+-][01]\d(?::?[0-5]\d)?)$"
)
"""Times as texts: ISO 8601, with a space for the T too, and often without the minutes of the offset."""


def is_stac(columns: Iterable[str]) -> bool:
    """Return whether a table of these columns has a STAC item a row, and is no images frame."""
    names = set(columns)
    if not {"id", "datetime"} <= names or "captured_at" in names:
        return False
    return bool({"stac_version", "collection"} & names) and bool({"assets", "links", "license", "stac_version"} & names)


def utc_times(words: pa.Array) -> pa.Array:
    """
    Return times, to the microsecond; null where a text is none, has no zone, or more digits than that.

    Parameters
    ----------
    words
        Texts such as `2024-07-09 01:21:42.691+00`; the offset may lack its minutes.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    stamp = pa.timestamp("us", tz="UTC")
    plain = pc.if_else(pc.match_substring_regex(words, _TIME), words, pa.scalar(None, pa.string()))
    try:
        return plain.cast(stamp)
    except pa.ArrowInvalid:  # such as the thirtieth of February
        return pa.array([_time(each) for each in plain.to_pylist()], stamp)


def _time(text: str | None) -> Any:
    import pyarrow as pa

    try:
        return None if text is None else pa.scalar(text).cast(pa.timestamp("us", tz="UTC")).as_py()
    except (pa.ArrowInvalid, OverflowError, ValueError):
        return None


def to_images(
    table: gpd.GeoDataFrame, *, name: str = "the table", is_panoramax: bool | None = None
) -> gpd.GeoDataFrame:
    """
    Return the images frame of a table of STAC items.

    Parameters
    ----------
    table
        A row an item; lists and objects as Python has them.
    name
        What messages call it.
    is_panoramax
        Whether it is known to be of Panoramax; by default its columns, ids and assets tell.

    Returns
    -------
    images
        Images frame of any provider, EPSG:4326, in the order of the table. Rows without an id are left out and
        counted in `attrs["left_out"]`, as are those whose id stands there before. A value of another kind than it
        should be is unknown, and named in the column `warning`, as is a time that had to be rounded. Columns that
        are not of a picture's item stay.

    Raises
    ------
    FormatError
        If it is not a table of STAC items.
    FrameError
        If its geometry has no place on the earth.
    """
    import geopandas as gpd
    import pandas as pd
    import shapely

    if not is_stac(table.columns):
        what = "an images frame" if "captured_at" in table.columns else "another table"
        raise FormatError(
            f"{name} has no STAC items, but is {what}", hint="a table of items has the columns id and datetime"
        )
    ids, known = ids_of(table["id"])
    first = ~ids.duplicated()
    left_out = {WITHOUT_ID: int((~known).sum()), TWICE: int((known & ~first).sum())}
    kept = table.assign(id=ids)[known & first].reset_index(drop=True)
    read = _Table(kept, is_panoramax=is_panoramax)
    columns = read.columns()
    geometry = kept.geometry if kept.crs is not None else kept.geometry.set_crs(frames.CRS)
    if COMPUTED in kept.columns and str(kept[COMPUTED].dtype) == "str":
        shapes = shapely.from_wkt(kept[COMPUTED].to_numpy(dtype=object, na_value=None), on_invalid="ignore")
        kept = kept.assign(**{COMPUTED: gpd.GeoSeries(shapes, index=kept.index, crs=geometry.crs)})
    own = {str(each): kept[each] for each in kept.columns if each not in _READ and each != kept.active_geometry_name}
    for each, values in own.items():
        there = columns.get(each)
        # What was read comes first; the table's own column has what STAC has no word for, such as flat pictures.
        columns[each] = values if there is None else there.astype(object).where(there.notna(), values)
    if read.warnings.notna().any():
        columns["warning"] = read.warnings
    columns["is_pano"] = columns["is_pano"].astype("boolean")
    frame = gpd.GeoDataFrame(pd.DataFrame(columns, index=kept.index), geometry=geometry.to_numpy(), crs=geometry.crs)
    if not (frame.geom_type.dropna() == "Point").all():
        raise FrameError(f"{name}: its items are not all points")
    schema = frames.IMAGES.of_any_provider if read.is_panoramax else frames.IMAGES
    images = frames.conform(frame, schema)
    images.attrs = dict(table.attrs)
    if counts := warn_of(left_out, name):
        images.attrs["left_out"] = {**images.attrs.get("left_out", {}), **counts}
    return frames.attribute(images, *(("Panoramax, licence by picture",) if read.is_panoramax else ()))


def warn_of(left_out: dict[str, int], name: str) -> dict[str, int]:
    """Log how many items are left out, by reason; return those of which some are."""
    counts = {reason: count for reason, count in left_out.items() if count}
    if counts:
        log.warning("%s: left out %s", name, ", ".join(f"{count:,} {reason}" for reason, count in counts.items()))
    return counts


def ids_of(column: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return the ids of items as texts by which they are compared, and which items have one."""
    import pandas as pd

    ids = _ids(column)
    known = column.notna() & (ids != "")
    if column.dtype == object:
        known &= ~column.map(pd.api.types.is_list_like).astype(bool)
    return ids, known


def are_panoramax(table: gpd.GeoDataFrame) -> bool:
    """Return whether items are those of Panoramax; the first hundred of all tell."""
    return _Table(table, is_panoramax=None).is_panoramax


class _Table:
    """Reads the columns of a table; what has the wrong shape is unknown, and noted."""

    def __init__(self, table: gpd.GeoDataFrame, *, is_panoramax: bool | None) -> None:
        import pandas as pd

        self._table = table
        self._plain: dict[str, list[Any]] = {}
        self.warnings = pd.Series([None] * len(table), dtype="str")
        names = {str(name) for name in table.columns}
        of_it = any(each.startswith(("geovisio:", "panoramax:")) for each in names)
        of_it = of_it or ("instance" in names and bool(names & {*NUMBERS, CAMERA}))
        self.is_panoramax = of_it or self._has_its_pictures() if is_panoramax is None else is_panoramax

    def _has_its_pictures(self) -> bool:
        """Return whether pictures, and the sequences they are in, have UUIDs, and assets of its names or paths."""
        columns = self._table.columns
        if not len(self._table) or not {"id", "assets"} <= {*columns}:
            return False
        some = self._table.iloc[:LOOKED_AT]
        ids, *sequences = (
            each in columns and some[each].astype("str").str.fullmatch(_UUID).fillna(value=False).all()
            for each in ("id", "sequence_id", "collection")
        )
        return ids and any(sequences) and all(_are_its_assets(_plain(each)) for each in some["assets"])

    def columns(self) -> dict[str, Any]:
        import pandas as pd

        found: dict[str, Any] = {"id": self._table["id"]}
        for name, column in TEXTS.items():
            found[column] = self._each(name, _text, "str")
        # The collection of a file that mlygeo wrote is the file; their sequence is a column of its own.
        ours = self._each("links", _links_to_file, "boolean").fillna(value=False).astype(bool)
        found["sequence_id"] = found["sequence_id"].mask(ours)
        for name, column in TIMES.items():
            found[column] = self._times(name)
        for name, column in NUMBERS.items():
            found[column] = self._each(name, _real, "float64")
        for name, column in WHOLE_NUMBERS.items():
            found[column] = self._each(name, _whole, "Int64")
        angle = found["compass_angle"]
        self._note("view:azimuth", (angle < 0) | (angle > 360))
        found["compass_angle"] = angle.where((angle >= 0) & (angle <= 360)) % 360
        for column in ("gps_accuracy_m", "pixel_density"):
            self._note(column, found[column] < 0)
            found[column] = found[column].where(found[column] >= 0)
        found |= self._camera()
        found |= self._people()
        found["instance"] = self._each("instance", _instance, "str")
        found["licence_url"] = self._each("links", _licence_link, "str")
        if "assets" in self._table.columns:
            listed = [_plain(each) for each in self._table["assets"]]
            self._note("assets", [_has_values(each) and not _objects(each) for each in listed])
        for asset, (column, role) in ASSETS.items():
            found[column] = self._each("assets", functools.partial(_href, name=asset, role=role), "str")
        if self.is_panoramax and "provider" not in self._table.columns:
            found["provider"] = pd.Series(["panoramax"] * len(self._table), dtype="str")
        always = {"is_pano", *(column.name for column in frames.IMAGES.required)}
        return {name: values for name, values in found.items() if name in always or values.notna().any()}

    def _camera(self) -> dict[str, pd.Series]:
        def part(name: str, read: Callable[[Any], Any], dtype: str) -> pd.Series:
            return self._each(CAMERA, lambda value: read(value.get(name)) if isinstance(value, dict) else _WRONG, dtype)

        angle = part("field_of_view", _angle, "float64")
        self._note("field_of_view", (angle < 0) | (angle > 360))
        angle = angle.where((angle > 0) & (angle <= 360))
        kinds = (angle == 360).astype("boolean").mask(angle.isna())
        return {
            "field_of_view": angle,
            "is_pano": kinds,
            "camera_type": kinds.map({True: "equirectangular"}).astype("str"),
            "make": part("camera_manufacturer", _text, "str"),
            "model": part("camera_model", _text, "str"),
            "width": part("sensor_array_dimensions", lambda value: _side(value, 0), "Int64"),
            "height": part("sensor_array_dimensions", lambda value: _side(value, 1), "Int64"),
        }

    def _people(self) -> dict[str, pd.Series]:
        named = self._each("geovisio:producer", _text, "str")
        listed = self._each("providers", lambda value: _producer(value).get("name"), "str")
        return {
            "creator": named.where(named.notna(), listed),
            "creator_id": self._each("providers", lambda value: _producer(value).get("id"), "str"),
        }

    def _each(self, name: str, read: Callable[[Any], Any], dtype: Any) -> pd.Series[Any]:
        """Return what is read from each value of a column, all unknown where there is no such column."""
        import pandas as pd

        if name not in self._table.columns:
            return pd.Series([None] * len(self._table), dtype=dtype)
        column = self._table[name]
        if dtype == "float64" and str(column.dtype) in {"float64", "int64"}:
            endless = np.isinf(column.to_numpy(dtype=np.float64))
            self._note(name, endless)
            return pd.Series(column.astype("float64").mask(endless))
        if read is _text and str(column.dtype) == "str":
            words = column.str.strip()
            return pd.Series(words.where(words != "", None))
        if name not in self._plain:
            self._plain[name] = [_plain(value) for value in column]
        values = self._plain[name]
        found = [None if value is None else read(value) for value in values]
        self._note(name, np.array([value is _WRONG for value in found], dtype=bool))
        return pd.Series([None if value is _WRONG else value for value in found], dtype=dtype)

    def _times(self, name: str) -> pd.Series[Any]:
        import pandas as pd
        import pyarrow as pa

        if name not in self._table.columns:
            return pd.Series([None] * len(self._table), dtype=US_UTC)
        values = self._table[name]
        known: pd.Series[Any]
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            known = values.dt.tz_convert("UTC")
        elif values.dtype.kind == "M":
            known = values.dt.tz_localize("UTC")
        else:
            words = [_written(value) for value in values]
            known = pd.Series(utc_times(pa.array(words, pa.string())).to_pandas())
            self._note(name, known.isna().to_numpy() & np.array([word is not None for word in words], dtype=bool))
        if isinstance(known.dtype, pd.DatetimeTZDtype) and known.dtype.unit == "ns":
            odd = known.notna() & (known.dt.nanosecond != 0)
            self._note(name, odd, "is rounded to microseconds")
        return dtypes.cast(known, US_UTC)

    def _note(self, name: str, wrong: Any, why: str = "cannot be used") -> None:
        flags = np.asarray(wrong, dtype=bool)
        if flags.any():
            said = f"its {name} {why}"
            before = self.warnings.fillna("")
            flags = flags & ~before.str.contains(said, regex=False).to_numpy(dtype=bool)
            noted = before.where(before == "", before + "; ") + said
            self.warnings = self.warnings.mask(flags, noted)


def _ids(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return ids as texts: UUIDs in lower case, as RFC 9562 compares them; of other ids, the case counts."""
    texts = column.astype("str").str.strip()
    return texts.where(~texts.str.fullmatch(_UUID).fillna(value=False).astype(bool), texts.str.lower())


_WRONG = object()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, None where it is unknown; text that is JSON stands for what it says."""
    if isinstance(value, np.ndarray):
        return _plain([_plain(each) for each in value])
    if isinstance(value, list) and value and all(_is_pair(each) for each in value):
        return dict(value)  # a map of Arrow
    if isinstance(value, dict | list | tuple):
        return value
    if is_null(value):
        return None
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


def _text(value: Any) -> Any:
    if value is None:
        return None
    return value.strip() or None if isinstance(value, str) else _WRONG


def _real(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return _WRONG
    number = float(value)
    return None if math.isnan(number) else number if math.isfinite(number) else _WRONG


def _angle(value: Any) -> Any:
    """Return a number, which may be written as text."""
    words = value.strip() if isinstance(value, str) else ""
    return float(words) if _NUMBER.fullmatch(words) else _real(value)


def _whole(value: Any) -> Any:
    number = _real(value)
    if number is None or number is _WRONG:
        return number
    return int(value) if 0 <= number < 2.0**53 and number.is_integer() else _WRONG


def _side(value: Any, place: int) -> Any:
    sides = list(value) if isinstance(value, list | tuple | np.ndarray) else None
    if value is None:
        return None
    if sides is None or len(sides) != 2:
        return _WRONG
    number = _whole(sides[place])
    return _WRONG if number == 0 else number


def _written(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).isoformat()
    return None if is_null(value) else str(value)


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, or of an object by name."""
    listed = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | np.ndarray) else []
    )
    return [each for each in listed if isinstance(each, dict)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else []


def _has_values(value: Any) -> bool:
    """Return whether there is anything in a list or an object; of a column, each object has all names."""
    listed = list(value.values()) if isinstance(value, dict) else _listed(value)
    return any(each is not None for each in listed) if listed else bool(value)


def _producer(value: Any) -> dict[str, Any]:
    known = _objects(value) if not isinstance(value, dict) else [value]
    producers = [each for each in known if "producer" in _listed(each.get("roles"))] or [
        each for each in known if not _listed(each.get("roles"))
    ]
    with_id = [each for each in producers if isinstance(each.get("id"), str)]
    first = (with_id or producers or [{}])[0]
    found = {name: said for name in ("id", "name") if isinstance(said := first.get(name), str) and said.strip()}
    if found.get("name") == found.get("id"):
        found.pop("name", None)  # an item has to name its producers, so those without a name are named by their ids
    return found


def _instance(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if not isinstance(value, dict):
        return _WRONG
    name, url = value.get("name"), value.get("url")
    if isinstance(name, str) and name.strip():
        return name.strip()
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def _are_its_assets(value: Any) -> bool:
    """Return whether assets are named as those of Panoramax, or lie at such paths."""
    if isinstance(value, dict) and value.keys() & {"hd", "sd"} and value.keys() <= {*ASSETS, "hd_webp", "sd_webp"}:
        return True
    hrefs = [each.get("href") for each in _objects(value)]
    return any(isinstance(each, str) and _PICTURE.search(each) for each in hrefs)


def _address(value: Any) -> str | None:
    is_one = isinstance(value, str) and value.startswith(("https://", "http://")) and value.isprintable()
    return value if is_one and " " not in value else None


def _licence_link(value: Any) -> str | None:
    found = {each.get("href") for each in _objects(value) if each.get("rel") == "license"}
    return _address(found.pop()) if len(found) == 1 else None


def _links_to_file(value: Any) -> bool:
    """Return whether the collection that links name is a file that mlygeo wrote beside the table."""
    hrefs = [each.get("href") for each in _objects(value) if each.get("rel") == "collection"]
    return any(isinstance(href, str) and href.startswith("./") and href.endswith(COLLECTION_ENDING) for href in hrefs)


def collection_id(path: Path) -> str:
    """Return the id of the collection of a file."""
    return path.name[: -len(ENDING)] or "images"


def linked_to(items: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame | None:
    """
    Return items of files that mlygeo wrote, linked to the collection of another file; None where some are others'.

    Parameters
    ----------
    items
        Table of STAC items.
    path
        The file to be.
    """
    import pandas as pd

    if not {"links", "collection"} <= {*items.columns}:
        return None
    links = [_plain(each) for each in items["links"]]
    if not links or not all(map(_links_to_file, links)):
        return None
    name = collection_id(path)
    to_file = {"rel": "collection", "href": f"./{name}{COLLECTION_ENDING}"}
    others = ([each for each in _objects(value) if each.get("rel") != "collection"] for value in links)
    linked = _typed([[to_file, *each] for each in others]).set_axis(items.index)
    return items.assign(collection=pd.Series([name] * len(items), dtype="str", index=items.index), links=linked)


def _href(value: Any, name: str, role: str) -> str | None:
    """Return the address of an asset: by its role, else by its name."""
    known = _objects(value)
    fitting = [each for each in known if role in _listed(each.get("roles")) and _address(each.get("href"))]
    fitting.sort(key=lambda each: each.get("type") not in {"image/jpeg", None})
    if fitting:
        return _address(fitting[0]["href"])
    by_name = value.get(name) if isinstance(value, dict) else None
    has_roles = isinstance(by_name, dict) and _listed(by_name.get("roles"))
    return _address(by_name.get("href")) if isinstance(by_name, dict) and not has_roles else None


def from_images(images: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """
    Return the table of STAC items of an images frame.

    Parameters
    ----------
    images
        Images frame of any provider.
    path
        The file to be; the items link to the collection that is written beside it.

    Returns
    -------
    table
        A row an item. Columns that STAC has no word for stay under their names, so that `to_images` gives them back.

    Raises
    ------
    FrameError
        If a column has the name of another one of the table.
    """
    import pandas as pd
    import pyarrow as pa

    frame = images.reset_index(drop=True)
    text = {name: frame[name].astype(object).where(frame[name].notna(), None) for name in frame.columns}

    def column(name: str) -> list[Any]:
        return list(text[name]) if name in text else [None] * len(frame)

    # The collection is the file: `sequence_id`, to which there is no link, stays under its name.
    said = dict(TIMES) | NUMBERS | WHOLE_NUMBERS | {name: each for name, each in TEXTS.items() if name != "collection"}
    table: dict[str, Any] = {"type": ["Feature"] * len(frame), "stac_version": [VERSION] * len(frame)}
    table["id"] = [str(each) for each in column("id")]
    name = collection_id(path)
    table["collection"] = pd.Series([name] * len(frame), dtype="str")
    to_file = {"rel": "collection", "href": f"./{name}{COLLECTION_ENDING}"}
    for name, source in said.items():
        if source in frame.columns:
            table[name] = frame[source]
    if "is_pano" in frame.columns or "make" in frame.columns or "field_of_view" in frame.columns:
        table[CAMERA] = _typed(_cameras(column), camera=True)
    table["providers"] = [
        None if creator is None and id_ is None else [{"name": creator or id_, "id": id_, "roles": ["producer"]}]
        for creator, id_ in zip(column("creator"), map(_as_text, column("creator_id")), strict=True)
    ]
    if any(each is not None for each in table["providers"]):
        table["providers"] = _typed(table["providers"])
    else:
        del table["providers"]
    # An item has links and assets, be they none; with a type where all rows have none, as other readers need it.
    table["links"] = _typed(
        [[to_file, *([] if url is None else [{"rel": "license", "href": url}])] for url in column("licence_url")]
    )
    # What the columns mean is in extensions; which of them a row fits is not claimed.
    table["stac_extensions"] = pd.Series([[]] * len(frame), dtype=pd.ArrowDtype(pa.list_(pa.string())))
    table["assets"] = _typed(_assets(column))
    taken = {"id", "geometry", "make", "model", "width", "height", "field_of_view", "creator", "creator_id",
             "licence_url", *(each for each, _ in ASSETS.values()), *said.values()}  # fmt: skip
    others = [name for name in frame.columns if name not in taken and name != frame.active_geometry_name]
    if clash := [name for name in others if name in table]:
        raise FrameError(f"the column {clash[0]!r} is one of STAC's own", hint="rename it")
    for name in others:  # a property is JSON
        table[name] = wkt_of(frame[name]) if str(frame[name].dtype) == "geometry" else frame[name]
    result = frame[[frame.active_geometry_name]].assign(**{name: pd.Series(values) for name, values in table.items()})
    result.attrs = dict(images.attrs)
    log.info("%s as STAC items", counted(len(result), "image"))
    return result


def _typed(values: list[Any], *, camera: bool = False) -> pd.Series[Any]:
    """Return nested values with the types of their members, which are known though no row has one."""
    import pandas as pd
    import pyarrow as pa

    text = pa.string()
    if camera:
        sides = pa.list_(pa.int64())
        members = [("camera_manufacturer", text), ("camera_model", text), ("field_of_view", pa.float64())]
        return pd.Series(values, dtype=pd.ArrowDtype(pa.struct([*members, ("sensor_array_dimensions", sides)])))
    first: Any = next((each for each in values if each), [{}])
    if isinstance(first, dict):
        asset = pa.struct([("href", text), ("type", text), ("roles", pa.list_(text))])
        return pd.Series(values, dtype=pd.ArrowDtype(pa.struct([(name, asset) for name in ASSETS])))
    producer = [("name", text), ("id", text), ("roles", pa.list_(text))]
    link = [("rel", text), ("href", text)]
    return pd.Series(values, dtype=pd.ArrowDtype(pa.list_(pa.struct(producer if "roles" in first[0] else link))))


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _cameras(column: Callable[[str], list[Any]]) -> list[dict[str, Any]]:
    found = []
    names = ("make", "model", "field_of_view", "width", "height", "is_pano")
    for make, model, angle, width, height, is_pano in zip(*map(column, names), strict=True):
        size = None if width is None or height is None else [int(width), int(height)]
        known = 360.0 if angle is None and is_pano is not None and bool(is_pano) else angle
        found.append(
            {
                "camera_manufacturer": make,
                "camera_model": model,
                "field_of_view": None if known is None else float(known),
                "sensor_array_dimensions": size,
            }
        )
    return found


def _assets(column: Callable[[str], list[Any]]) -> list[dict[str, Any]]:
    hrefs = zip(*(column(each) for each, _ in ASSETS.values()), strict=True)
    return [
        {
            name: None if href is None else {"href": href, "type": "image/jpeg", "roles": [role]}
            for (name, (_, role)), href in zip(ASSETS.items(), of_row, strict=True)
        }
        for of_row in hrefs
    ]
