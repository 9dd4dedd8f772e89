"""
Records of the Graph API -> images frame. Nothing here touches a file or the network.

A record is the JSON object that the service answers for an image: ids as text, times in
milliseconds, and a field without a value left out. Each converter takes one value of each record,
None where a record has none, and returns the column with a mask of the values of the wrong shape.
"""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

import numpy as np

from mlygeo import attribution, dtypes, frames, rows
from mlygeo.errors import FormatError, FrameError, InputError
from mlygeo.formats import positions
from mlygeo.formats.exif import signed_altitude
from mlygeo.net.answers import shown
from mlygeo.providers.foreign import foreign_record
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats
    from mlygeo.attribution import Rights
    from mlygeo.keys import Ids, Key

    Values = Sequence[Any]
    Wrong = Flags


log = logging.getLogger("mlygeo.providers.mapillary.records")

SIZES = ("256", "1024", "2048", "original")
"""Sizes of pictures: the longer side in pixels, or as large as the service has it."""

BASE_FIELDS = ("sequence", "captured_at", "compass_angle", "is_pano", "creator", "organization", "geometry")
"""The fields that an images frame is made of, beside the id."""

MORE_FIELDS = (
    "altitude",
    "camera_parameters",
    "camera_type",
    "computed_altitude",
    "computed_compass_angle",
    "computed_geometry",
    "exif_orientation",
    "height",
    "make",
    "model",
    "quality_score",
    "width",
)
"""The fields for most further work."""

RARE_FIELDS = (
    "atomic_scale",
    "computed_rotation",
    "detections",
    "merge_cc",
    "mesh",
    "sfm_cluster",
    "thumb_256_url",
    "thumb_1024_url",
    "thumb_2048_url",
    "thumb_original_url",
)
"""Further fields that images have."""

FIELDS = (*BASE_FIELDS, *MORE_FIELDS, *RARE_FIELDS)
"""All fields of images that are known; see MAPILLARY's API documentation."""

Column = tuple[Any, "Wrong"]


EXIF_FIELDS = (
    "geometry",
    "computed_geometry",
    "altitude",
    "computed_altitude",
    "compass_angle",
    "computed_compass_angle",
    "camera_type",
    "camera_parameters",
    "is_pano",
    "make",
    "model",
    "width",
    "height",
    "creator",
    "organization",
    "computed_rotation",
    "atomic_scale",
    "merge_cc",
    "mesh",
    "sfm_cluster",
    "quality_score",
    "exif_orientation",
)
"""Fields for metadata inside the picture files, and in separate files beside them."""

SAID_FIELDS = tuple(name for name in FIELDS if not name.startswith("thumb_"))
"""Fields that say something of an image; the others are addresses of its pictures, which expire."""


def _altitudes(values: Values) -> tuple[Floats, Wrong]:
    """Return metres; altitudes below sea level sent as unsigned 32-bit numbers are corrected."""
    metres, wrong = _reals(values)
    return signed_altitude(metres), wrong


def _angles(values: Values) -> tuple[Floats, Wrong]:
    """Return degrees in [0, 360); NaN where there is none, or ten turns and more came."""
    degrees, wrong = _reals(values)
    absurd = np.abs(degrees) >= MOST_TURNS * 360
    degrees[absurd] = math.nan
    wrong = wrong | absurd
    outside = (degrees < 0) | (degrees >= 360)
    if outside.any():
        # Of a tiny negative angle the remainder is 360 itself.
        degrees[outside] = np.mod(degrees[outside], 360) % 360
    return degrees, wrong


def _lists(values: Values) -> tuple[pd.Series, Wrong]:
    """Return lists of numbers; an empty one counts as none."""
    import pandas as pd

    found, wrong = _each(values, _list)
    column = np.empty(len(found), dtype=object)
    column[:] = found
    return pd.Series(column), wrong


def _names(values: Values) -> tuple[pd.Series, Wrong]:
    """Return texts; "none", which some uploads have instead of a name, becomes null."""
    found, wrong = _texts(values)
    trimmed = found.str.strip()
    return trimmed.where(trimmed.notna() & ~trimmed.str.lower().isin(["none", ""]), None), wrong


def _reals(values: Values) -> tuple[Floats, Wrong]:
    """Return numbers; NaN where there is none, and where JSON's extensions say NaN or Infinity."""
    numbers, wrong = _each(values, _real)
    return np.array([math.nan if number is None else number for number in numbers], dtype=np.float64), wrong


def _texts(values: Values) -> tuple[pd.Series, Wrong]:
    """Return texts; an empty one counts as none."""
    import pandas as pd

    found, wrong = _each(values, lambda value: (value or None) if isinstance(value, str) else _WRONG)
    return pd.Series(found, dtype="str"), wrong


def _times(values: Values) -> tuple[pd.Series, Wrong]:
    """Return times, milliseconds since 1970; null outside the years 1 to 9999, which wrong camera clocks give."""
    import pandas as pd

    numbers, wrong = _wholes(values)
    numbers = numbers.where(numbers.between(_FIRST_MS, _LAST_MS).fillna(value=False), pd.NA)
    stamps = numbers.fillna(0).to_numpy(dtype=np.int64).view("datetime64[ms]").copy()
    stamps[numbers.isna().to_numpy()] = np.datetime64("NaT", "ms")
    return pd.Series(stamps).dt.tz_localize("UTC"), wrong


def _wholes(values: Values) -> tuple[pd.Series, Wrong]:
    """Return whole numbers, which the service writes as numbers or as text, as Int64."""
    import pandas as pd

    numbers, wrong = _each(values, _whole)
    return pd.Series(numbers, dtype="Int64"), wrong


def _lengths(values: Values) -> tuple[pd.Series, Wrong]:
    """Return numbers of pixels as Int64; a negative one is none."""
    import pandas as pd

    numbers, wrong = _wholes(values)
    negative = (numbers < 0).fillna(value=False)
    return numbers.mask(negative, pd.NA), wrong | negative.to_numpy(dtype=bool)


_SIMPLE: dict[str, tuple[str, Callable[[Values], Column]]] = {
    "sequence": ("sequence_id", _texts),
    "captured_at": ("captured_at", _times),
    "compass_angle": ("compass_angle", _angles),
    "altitude": ("altitude", _altitudes),
    "computed_altitude": ("computed_altitude", _altitudes),
    "computed_compass_angle": ("computed_compass_angle", _angles),
    "camera_type": ("camera_type", _texts),
    "make": ("make", _names),
    "model": ("model", _names),
    "width": ("width", _lengths),
    "height": ("height", _lengths),
    "quality_score": ("quality_score", _reals),
    "exif_orientation": ("exif_orientation", _wholes),
    "camera_parameters": ("camera_parameters", _lists),
    "computed_rotation": ("computed_rotation", _lists),
    "atomic_scale": ("atomic_scale", _reals),
    "merge_cc": ("merge_cc", _reals),
    "organization_id": ("organization_id", _wholes),
    **{f"thumb_{size}_url": (f"thumb_{size}_url", _texts) for size in SIZES},
}
"""Field -> column and how it is read. `merge_cc` has lost its last digits in the JSON already."""


def _ids_as_text(values: Values) -> tuple[pd.Series, Wrong]:
    """Return ids as text, which the service writes as text or as numbers."""
    import pandas as pd

    def one(value: Any) -> Any:
        return value if isinstance(value, str) else str(value) if type(value) is int else _WRONG

    found, wrong = _each(values, one)
    return pd.Series(found, dtype="str"), wrong


_OBJECTS: dict[str, tuple[tuple[str, str, Callable[[Values], Column]], ...]] = {
    "creator": (("id", "creator_id", _wholes), ("username", "creator_username", _texts)),
    "organization": (("id", "organization_id", _wholes),),
    "mesh": (("id", "mesh_id", _ids_as_text), ("url", "mesh_url", _texts)),
    "sfm_cluster": (("id", "sfm_cluster_id", _ids_as_text), ("url", "sfm_cluster_url", _texts)),
}
"""Field that holds an object -> its members, each with its column."""

_OWN_COLUMNS = frozenset(
    {"id", "is_pano", "geometry", "computed_geometry", *(column for column, _ in _SIMPLE.values())}
    | {column for members in _OBJECTS.values() for _, column, _ in members}
)
"""Columns that are computed here, whatever a field of that name contains."""

PANORAMAS = ("equirectangular", "spherical")
"""The camera types of panoramas; two words for one."""


_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which is what calendars in Python can show."""

_LARGEST = 2**63 - 1

MOST_TURNS = 10
"""Turns of a heading that may still be one; of 1e300 degrees the remainder would be a number that means nothing."""

_WRONG = object()


def images_frame(
    records: Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str] | None = None,
    problems: dict[Key, str] | None = None,
) -> gpd.GeoDataFrame:
    """
    Read records of images into an images frame.

    Parameters
    ----------
    records
        JSON objects, each with an `id`.
    fields
        The fields that were asked for: each gets its column, be it null throughout. None takes those
        that some record has.
    problems
        Called with the id and the problem of each record of the wrong shape; the frame then has
        its valid values. Without it such a record is an error.

    Returns
    -------
    images
        Images frame in the order of the records, EPSG:4326. `sequence` becomes `sequence_id`;
        `creator` becomes `creator_id` and `creator_username`; `organization` becomes `organization_id`;
        `mesh` and `sfm_cluster` become two columns each, `…_id` (str) and `…_url`;
        `computed_geometry` is a second column of points; `camera_parameters` and
        `computed_rotation` hold lists of floats; `merge_cc` and `atomic_scale` are float64; other
        fields keep their names. Headings are brought into [0, 360), and NaN where unknown.
        Altitudes of 2^31 and more, which are unsigned readings of negative ones, are set right.
        `make` and `model` are null where the service says "none". `is_pano` is taken from
        `camera_type` where it is missing, and null where that is too.

    Raises
    ------
    FormatError
        If a record is not an object with an id; or, without `problems`, of the wrong shape otherwise.

    Examples
    --------
    >>> images_frame([{"id": "498763468214164", "captured_at": 1720488258913, "is_pano": True}])
    """
    import geopandas as gpd
    import pandas as pd

    objects = list(records)
    ids = _ids(objects)
    known = set().union(*objects) - {"id"}
    names = list(
        dict.fromkeys([*(() if fields is None else fields), *(known if fields is None else known & {*fields})])
    )
    table = _Table(ids, objects)
    table.truths(known)
    for name in sorted(names):
        if name in _SIMPLE:
            column, how = _SIMPLE[name]
            table.put(column, name, *how(table.values(name)))
        elif name in _OBJECTS:
            table.put_members(name, _OBJECTS[name])
        elif name not in _OWN_COLUMNS:
            table.put(name, name, *_others(table.values(name)))
    columns = {"id": ids, **table.columns, "geometry": table.points("geometry")}
    if "computed_geometry" in names:
        columns["computed_geometry"] = table.points("computed_geometry")
    table.settle(problems)
    frame = gpd.GeoDataFrame(pd.DataFrame(columns), geometry="geometry", crs=frames.CRS)
    images = frames.conform(frame, frames.IMAGES)
    log.info("%d images of %d records, %d of a wrong shape", len(images), len(objects), len(table.problems))
    return frames.attribute(images, frames.MAPILLARY, positions="original")


def columns_of(field: str) -> tuple[str, ...]:
    """Return the columns that a field becomes."""
    if field in _OBJECTS:
        return tuple(column for _, column, _ in _OBJECTS[field])
    return (_SIMPLE[field][0] if field in _SIMPLE else field,)


def field_of(column: str) -> str:
    """Return the field that a column comes from; a field's own name stays."""
    known = (*_SIMPLE, *_OBJECTS)
    return column if column in known else next((field for field in known if column in columns_of(field)), column)


class _Table:
    """Columns under construction, and the problems of the records they come from."""

    def __init__(self, ids: Ids, records: list[Mapping[str, Any]]) -> None:
        self._ids, self._records = ids, records
        self.columns: dict[str, Any] = {}
        self.problems: dict[Key, str] = {}

    def values(self, name: str) -> list[Any]:
        return [record.get(name) for record in self._records]

    def put(self, column: str, field: str, values: Any, wrong: Wrong) -> None:
        self.columns[column] = values
        self._note(field, wrong)

    def put_members(self, field: str, members: tuple[tuple[str, str, Callable[[Values], Column]], ...]) -> None:
        values = self.values(field)
        for member, column, how in members:
            inside, wrong = _members(values, member)
            read_values, odd = how(inside)
            self.put(column, field, read_values, wrong | odd)

    def points(self, field: str) -> Any:
        import geopandas as gpd

        lonlat, wrong = _positions(self.values(field))
        self._note(field, wrong)
        geometry = frames.points(*lonlat.T)
        geometry[np.isnan(lonlat[:, 0])] = None
        return gpd.GeoSeries(geometry, crs=frames.CRS)

    def truths(self, known: set[str]) -> None:
        """Make the column `is_pano`, of the type of the camera where a record says nothing else."""
        values, wrong = _truths(self.values("is_pano"))
        kinds = self.values("camera_type") if "camera_type" in known else [None] * len(values)
        self.put(
            "is_pano", "is_pano",
            [(kind in PANORAMAS if isinstance(kind, str) else None) if value is None else value
             for value, kind in zip(values, kinds, strict=True)],
            wrong,
        )  # fmt: skip

    def settle(self, problems: dict[Key, str] | None) -> None:
        """Report the problems, or raise."""
        if self.problems and problems is None:
            number, problem = next(iter(self.problems.items()))
            raise FormatError(f"image {number}: {problem}", hint="ask for it again; the service may have changed")
        if problems is not None:
            problems.update(self.problems)

    def _note(self, field: str, wrong: Wrong) -> None:
        for row in np.flatnonzero(wrong).tolist():
            number = int(self._ids[row])
            text = f"its {field} is {shown(self._records[row].get(field))}"
            before = self.problems.get(number)
            if before is None or text not in before:
                self.problems[number] = text if before is None else f"{before}; {text}"


def _ids(records: list[Mapping[str, Any]]) -> Ids:
    """Return the ids of records; a record without one is an error."""
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise FormatError(f"record {row} is {shown(record)}, not an object")
    numbers, wrong = _wholes([record.get("id") for record in records])
    bad = wrong | numbers.isna().to_numpy() | (numbers.fillna(0) <= 0).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.argmax(bad))
        foreign = foreign_record(f"record {row}", records[row], wanted="Mapillary")
        if foreign is not None:
            raise foreign
        raise FormatError(f"record {row} has the id {shown(records[row].get('id'))}")
    return numbers.to_numpy(dtype=np.int64)


def _truths(values: Values) -> tuple[list[bool | None], Wrong]:
    """Return truth values; None where there is none."""
    return _each(values, lambda value: value if isinstance(value, bool) else _WRONG)


def _positions(values: Values) -> tuple[Floats, Wrong]:
    """Return longitude and latitude of GeoJSON points, shape (n, 2); NaN where there is none."""
    found, wrong = _each(values, _position)
    lonlat = np.array([(math.nan, math.nan) if place is None else place for place in found], dtype=np.float64)
    return lonlat.reshape(-1, 2), wrong


def _members(values: Values, name: str) -> tuple[list[Any], Wrong]:
    """Return a member of each object, such as the `id` of a `creator`."""

    def one(value: Any) -> Any:
        return value.get(name) if isinstance(value, dict) else _WRONG

    return _each(values, one)


def _others(values: Values) -> tuple[pd.Series, Wrong]:
    """Return values of an unknown field: unchanged if they are of one kind, else as JSON texts."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    none = np.zeros(len(values), dtype=bool)
    if kinds == {int} and all(value is None or abs(value) <= _LARGEST for value in values):
        return pd.Series(list(values), dtype="Int64"), none
    if kinds and kinds <= {int, float}:
        numbers, wrong = _reals(values)
        return pd.Series(numbers), wrong
    if kinds == {bool}:
        return pd.Series(list(values), dtype="boolean"), none
    if kinds <= {str}:
        return pd.Series(list(values), dtype="str"), none
    written = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pd.Series(written, dtype="str"), none


def _each(values: Values, convert: Callable[[Any], Any]) -> tuple[list[Any], Wrong]:
    found = [None if value is None else convert(value) for value in values]
    wrong = np.fromiter((value is _WRONG for value in found), dtype=bool, count=len(found))
    return [None if value is _WRONG else value for value in found], wrong


def _real(value: Any) -> Any:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int and abs(value) < 1 << 1000:  # beyond it there is no float
        return float(value)
    return _WRONG


def _whole(value: Any) -> Any:
    as_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19
    as_float = type(value) is float and abs(value) < 2.0**53 and value.is_integer()
    number = int(value) if as_text or as_float else value
    return number if type(number) is int and abs(number) <= _LARGEST else _WRONG


def _position(value: Any) -> Any:
    coordinates = value.get("coordinates") if isinstance(value, dict) and value.get("type") == "Point" else None
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return _WRONG
    lon, lat = (_real(number) for number in coordinates[:2])
    if lon is _WRONG or lat is _WRONG:
        return _WRONG
    if lon is None or lat is None:
        return None
    return positions.position(lon, lat) or _WRONG


def _list(value: Any) -> Any:
    if not isinstance(value, list):
        return _WRONG
    numbers = [_real(number) for number in value]
    if any(number is _WRONG or number is None for number in numbers):
        return _WRONG
    return numbers or None


def ids_in(images: pd.DataFrame, where: str) -> Ids:
    """
    Return the ids of images, 0 where a row has none.

    Parameters
    ----------
    images
        Any frame with a column `id`.
    where
        What messages call it.

    Raises
    ------
    FrameError
        If there is no such column, or it holds other things than ids.
    """
    if "id" not in images.columns:
        raise FrameError(f"{where} has no column 'id', so its images cannot be identified")
    if images["id"].ndim != 1:
        raise FrameError(f"{where}: column 'id' stands twice")
    try:
        ids = dtypes.cast(images["id"], "Int64")
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError(f"{where}: column 'id' contains no ids ({error})") from error
    numbers: Ids = ids.fillna(0).to_numpy(dtype=np.int64)
    return np.where(numbers > 0, numbers, 0)


def named(images: pd.DataFrame, where: str) -> Ids:
    """Return the ids of those images that have one, row by row; raises as `ids_in` does."""
    ids = ids_in(images, where)
    return ids[ids > 0]


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a record under the names of the columns of an images frame.

    Parameters
    ----------
    record
        A JSON object of the service; a row of a frame stays as it is.

    Examples
    --------
    >>> row_of({"id": "1", "sequence": "a", "creator": {"id": "2", "username": "jane"}})
    {'id': '1', 'sequence_id': 'a', 'creator_id': '2', 'creator_username': 'jane'}
    """
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name in _OBJECTS and isinstance(value, dict):
            row.update((column, value[part]) for part, column, _ in _OBJECTS[name] if part in value)
        elif name == "sequence":
            row.setdefault("sequence_id", value)
        else:
            row[name] = value
    return row


def fields_for(size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
    """
    Return the fields to ask for so that a picture can be fetched and named.

    Parameters
    ----------
    size
        "256", "1024", "2048" or "original".
    metadata
        What else is wanted of an image: nothing, what goes into its EXIF, all there is.

    Raises
    ------
    InputError
        If Mapillary has no pictures of this size.
    """
    more = () if metadata == "none" else EXIF_FIELDS
    return ["sequence", "captured_at", *more, _field(size)]


def address(record: Mapping[str, Any], size: str) -> str | None:
    """Return where the picture of a record is; None where the record does not say."""
    url = record.get(_field(size))
    return url if isinstance(url, str) and url else None


def sidecar(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an image in a file of its own: its record without the signed addresses."""
    kept = {name: _without_signed(value) for name, value in record.items() if not name.startswith("thumb_")}
    return {**kept, "attribution": frames.MAPILLARY}


def said_of(image: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what the service says of an image, under its own names, as JSON has it.

    Unknown values and signed addresses, which expire and let their holder in, are absent. Ids are texts, times
    milliseconds since 1970. Altitudes below sea level that came as unsigned numbers are corrected.

    Parameters
    ----------
    image
        A record, or a row of an images frame.

    Raises
    ------
    InputError
        If a value is invalid, such as a text that is not a time.

    Examples
    --------
    >>> said_of({"id": 1, "sequence_id": "a", "creator_id": 2, "creator_username": "jane"})
    {'id': '1', 'sequence': 'a', 'creator': {'id': '2', 'username': 'jane'}}
    """
    found: dict[str, Any] = {"id": rows.id_text(image.get("id"))}
    for name in SAID_FIELDS:
        if name in _OBJECTS:
            found[name] = _object(name, image)
        elif name in {"geometry", "computed_geometry"}:
            found[name] = _point(image, name)
        elif name in {"altitude", "computed_altitude"}:
            found[name] = rows.altitude(image, name)
        elif name == "captured_at":
            found[name] = rows.time_ms(image)
        elif name in {"make", "model"}:
            found[name] = rows.text_of(image, name)
        else:
            value = image.get(name)
            found[name] = rows.json_value(image.get(_SIMPLE[name][0]) if value is None and name in _SIMPLE else value)
    return {name: value for name, value in found.items() if value is not None and value != []}


def _object(name: str, image: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the members of an object: of a record, or from the columns of a row."""
    there = image.get(name)
    members = {part: image.get(column) for part, column, _ in _OBJECTS[name]}
    values = {**members, **there} if isinstance(there, dict) else members
    read = {part: rows.id_text(value) if part == "id" else rows.json_value(value) for part, value in values.items()}
    kept = {part: value for part, value in read.items() if value is not None}
    return _without_signed(kept) or None


def _point(image: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    place = rows.lonlat(image, name)
    return None if place is None else {"type": "Point", "coordinates": list(place)}


def _without_signed(value: Any) -> Any:
    """Return an object without its address where that is signed: what follows the "?" is its key, and its expiry."""
    if isinstance(value, dict) and isinstance(value.get("url"), str) and "?" in value["url"]:
        return {name: member for name, member in value.items() if name != "url"}
    return value


def rights(record: Mapping[str, Any]) -> Rights:
    """Return whose a picture is and under which licence, by its record or a row of an images frame."""
    return attribution.of_row(row_of(record), DEFAULT_PROVIDER)


def expiry(url: str) -> float | None:
    """
    Return when a signed address expires, seconds since 1970; None where it does not say.

    Examples
    --------
    >>> expiry("https://scontent.example/m1/v/picture.jpg?oh=00_AY&oe=66F0C180")
    1727054208.0
    """
    try:
        values = parse_qs(urlsplit(url).query).get("oe", [])
        return float(int(values[0], 16)) if values and len(values[0]) <= 12 else None
    except ValueError:
        return None


def _field(size: str) -> str:
    if size not in SIZES:
        raise InputError(f"Mapillary has no pictures of the size {size!r}", hint=f"one of {', '.join(SIZES)}")
    return f"thumb_{size}_url"
