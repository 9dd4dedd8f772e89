"""
Frames as tables of text (CSV, TSV): points as two columns, any other geometry as WKT.

Text has no dtypes: a column is what all its cells say, whole numbers, numbers, truth values, dates, times, else text.
A column of text that says something else ("007 to 099", "true", nothing) is quoted, as R and GDAL do it, and quoted
columns are text. A text that a spreadsheet would run as a formula has an apostrophe before it, in a quoted column;
reading takes it off.
"""

from __future__ import annotations

import codecs
import logging
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees, frames
from mlygeo.errors import FormatError, FrameError
from mlygeo.store import columns as described
from mlygeo.store import extents, positions, text_values
from mlygeo.store.atomic import file_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds, Flags, Floats

log = logging.getLogger("mlygeo.store")

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Separator of the columns, by the file's ending."""

_SPECIAL = {separator: re.compile(f'[{separator}"\n\r\ufeff]') for separator in SEPARATORS.values()}
"""What only a quoted cell can hold, by the separator."""

OTHER_SEPARATORS = (";", "\t", ",", "|")
"""Separators that other programs use; tried where the head of a table has no coordinates with its own."""

FORM = described.Form(name="CSV", milliseconds=False, unnamed=True)

LONG_WORD = 1000
"""Letters of a word that is too long for Arrow as one that means null."""

END = 1 << 16
"""Bytes at the end of a file among which is the last that is not a line end."""

_WKT = r"^\s*(?:MULTI)?(?:POINT|LINESTRING|POLYGON|LINEARRING|GEOMETRYCOLLECTION)\b"
_NO_LETTERS = frozenset(b"\x81\x8d\x8f\x90\x9d")
"""Bytes that Windows-1252 does not use."""


def read(
    path: Path,
    *,
    bbox: Bounds | None = None,
    columns: Sequence[str] | None,
    srid: int | str | None = None,
) -> gpd.GeoDataFrame:
    """
    Return the frame of a table.

    Parameters
    ----------
    path
        The file: comma, semicolon or tab between columns, in UTF-8, UTF-16 or Latin-1.
    bbox
        West, south, east, north in degrees: only rows whose own box meets it are returned.
    columns
        Only these columns, and the geometry. None reads all.
    srid
        CRS of the coordinates, an EPSG code; None where they are degrees.

    Raises
    ------
    FormatError
        If it is not a table, or has no coordinates in degrees.
    FrameError
        If it has no such column.
    """
    import geopandas as gpd
    import pandas as pd

    content = _content(path)
    head, separator = head_of(content, path)
    names = [cell.text for cell in head]
    table = _table(content, names, separator, path)
    quoted = _quoted(content, head, table, separator, path)
    values = {
        name: text_values.column_of(
            table.column(place),
            is_text=name in quoted,
            commas=separator != ",",
            are_ids=name.lower() in text_values.ID_NAMES,
        )
        for place, name in enumerate(names)
    }
    used, geometry, damaged = _geometry(table, names, path, srid=srid)
    kept = [name for name in names if name not in used]
    shape = next(each for each in ("geometry", "shape", "shape_1") if each not in kept)
    if columns is not None:
        _must_have(columns, [*kept, shape], path)
        kept = [each for each in kept if each in set(columns)]
    plain = pd.DataFrame({each: values[each] for each in kept}, index=pd.RangeIndex(table.num_rows))
    found = gpd.GeoDataFrame(plain.assign(**{shape: geometry}), geometry=shape)
    doubts = {}
    if len(used) == 1 and srid is None:
        doubts = positions.contradicted(
            geometry, pd.DataFrame({each: values[each] for each in names if each not in used}), path.name
        )
    if damaged.any():
        found = found[~damaged].reset_index(drop=True)
        found.attrs["left_out"] = {described.DAMAGED: int(damaged.sum())}
    found.attrs |= {"in_doubt": doubts} if doubts else {}
    return found if bbox is None else extents.meeting(found, bbox, path.name)


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    """
    Write a frame as a table; the file has been read back and found the same where this returns.

    Parameters
    ----------
    frame
        The frame, in degrees.
    path
        The file.

    Raises
    ------
    FrameError
        If a column has values that a table of text cannot hold.
    """
    import shapely

    separator = SEPARATORS[path.suffix.lower()]
    meant = _as_text_tells(frame, path)
    plain, about = described.encode(meant, FORM, path.name)
    kinds = {facts["name"]: facts["kind"] for facts in about["columns"]}
    shapes = np.asarray(frame.geometry.values)
    taken = {name.strip().lower() for name in plain}
    are_points = bool(
        (np.isin(shapely.get_type_id(shapes), (-1, 0)) & ~shapely.has_z(shapes) & ~shapely.has_m(shapes)).all()
    )
    cells = {name: _cells(values, kinds[name], separator) for name, values in plain.items()}
    others = {*positions.LON_NAMES, *positions.LAT_NAMES} - {"x", "y"}
    if are_points and not taken & {*others, *(name for name in positions.WKT_NAMES if _is_wkt(meant, name))}:
        gone = shapely.is_missing(shapes)
        for name, numbers in zip(("lon", "lat"), frames.coordinates(shapes), strict=True):
            cells[name] = ["" if null else repr(number) for number, null in zip(numbers.tolist(), gone, strict=True)]
    else:
        free = next((name for name in positions.WKT_NAMES if name not in taken), None)
        if free is None:
            raise FrameError(f"{path.name}: columns {', '.join(positions.WKT_NAMES)} leave no name for the geometry")
        wkt = described.wkt_of(shapes)
        cells[free] = ["" if text is None else _in_quotes(text, separator) for text in wkt]
    head = [_in_quotes(_guarded(name), separator, always=text_values.GUARDED.match(name) is not None) for name in cells]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(separator.join(head) + "\n")
        for row in zip(*cells.values(), strict=True):
            line = separator.join(row)
            file.write(f"{line}\n" if line else '""\n')
    described.must_be_same(meant, read(path, columns=None), path.name)


def _is_wkt(frame: gpd.GeoDataFrame, name: str) -> bool:
    """Return whether a column of a frame would be read as its geometry."""
    found = [each for each in frame.columns if each.strip().lower() == name and each != frame.active_geometry_name]
    return any(frame[each].dropna().astype("str").str.match(f"(?i){_WKT}").any() for each in found)


# Reading.


class Head:
    """
    A cell of the head of a table.

    Parameters
    ----------
    text
        What it says.
    is_quoted
        Whether it is in quotes; then an apostrophe before a formula is taken off.
    """

    def __init__(self, text: str, *, is_quoted: bool) -> None:
        self.is_quoted = is_quoted
        self.text = text_values.GUARD.sub("", text, count=1) if is_quoted and text_values.GUARD.match(text) else text


def _content(path: Path) -> bytes:
    """Return the text of a file in UTF-8."""
    from mlygeo.formats import texts

    try:
        content = path.read_bytes()
    except OSError as error:
        raise file_error(error, path) from error
    encoding = texts.encoding_of(content[: 1 << 16])
    if encoding == "utf-8":
        found = legacy_of(iter([content]), path.name)
        return content if found == "utf-8" else content.decode(found).encode()
    try:
        return content.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeError as error:
        raise FormatError(f"{path.name}: its text is not {encoding}") from error


def legacy_of(pieces: Iterable[bytes], name: str) -> str:
    """Return the encoding of a text that says none, by all of its bytes: UTF-8, or what older programs write."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    is_utf8, others = True, False
    for piece in pieces:
        try:
            decode(piece)
        except UnicodeDecodeError:
            is_utf8 = False
        others = others or bool(set(piece) & _NO_LETTERS)
    try:
        decode(b"", final=True)
    except UnicodeDecodeError:
        is_utf8 = False
    if is_utf8:
        return "utf-8"
    log.warning("%s: its text is not UTF-8 and was read as Latin-1 (Windows-1252)", name)
    return "latin-1" if others else "cp1252"


def head_of(content: bytes, path: Path) -> tuple[list[Head], str]:
    """
    Return the cells of the first line with anything, and the separator with which it names coordinates.

    Parameters
    ----------
    content
        The text in UTF-8, or its first megabytes.
    path
        The file.

    Raises
    ------
    FormatError
        If no columns of coordinates are named, or two columns alike.
    """
    text = content.lstrip(b"\r\n")[: 1 << 22].decode("utf-8", errors="ignore")
    if not text.strip():
        raise FormatError(f"{path.name} is empty")
    own = SEPARATORS.get(path.suffix.lower(), ",")
    first: list[Head] = []
    for separator in (own, *(each for each in OTHER_SEPARATORS if each != own)):
        head = _head_cells(text, separator)
        names = [cell.text for cell in head]
        if positions.coordinates_of(names):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise FormatError(f"{path.name} has several columns {twice!r}", hint="give each a name of its own")
            return head, separator
        first = first or head
    listed = ", ".join(cell.text for cell in first[:8])
    raise FormatError(
        f"{path.name} has no columns 'lon' and 'lat' (it has {listed[:200]})",
        hint="name the columns of longitude and latitude so, or a column of WKT 'geometry'",
    )


def _head_cells(text: str, separator: str) -> list[Head]:
    cells: list[Head] = []
    place = 0
    while True:
        is_quoted = text[place : place + 1] == '"'
        if is_quoted:
            match = re.compile(r'"((?:[^"]|"")*)"').match(text, place)
            if match is None:
                return cells
            cells.append(Head(match[1].replace('""', '"'), is_quoted=True))
            place = match.end()
        else:
            match = re.compile(rf"[^{re.escape(separator)}\r\n]*").match(text, place)
            cells.append(Head("" if match is None else match[0], is_quoted=False))
            place = place if match is None else match.end()
        if text[place : place + 1] != separator:
            return cells
        place += 1


def _table(content: bytes, names: list[str], separator: str, path: Path, *, nulls: Sequence[str] = ("",)) -> pa.Table:
    """Return all cells as text, null where nothing stands without quotes."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    block = max(1 << 20, min(len(content) + 1, 1 << 30))
    try:
        table = arrow.read_csv(
            pa.BufferReader(content.lstrip(b"\r\n")), **options_of(len(names), separator, block=block, nulls=nulls)
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise no_table(path, error) from error
    check_closed(table, content[-END:], path, len(table))
    return table


def check_closed(table: pa.Table, end: bytes, path: Path, rows: int) -> None:
    """Raise where the last cell of so many rows has taken the rest of the file for its own: its quote is not closed."""
    last = table.column(table.num_columns - 1)[-1].as_py() if len(table) else None
    if last and {"\n", "\r"} & {*last} and (seen := end.rstrip()) and not seen.endswith(b'"'):
        raise FormatError(
            f"{path.name}: a quote in row {rows} is not closed, and takes in all that follows",
            hint='close it, or double it (""), where it is part of a text',
        )


def no_table(path: Path, error: Exception) -> FormatError:
    """Return the error for a file whose rows Arrow cannot read."""
    return FormatError(f"{path.name} is not a table: {' '.join(str(error).split())[:200]}")


def options_of(columns: int, separator: str, *, block: int, nulls: Sequence[str] = ("",)) -> dict[str, Any]:
    """
    Return options with which Arrow reads all cells as text, null where a word for it stands without quotes.

    Parameters
    ----------
    columns
        How many there are. Arrow has no names twice, and none that are empty: columns are numbered.
    separator
        What stands between cells.
    block
        Bytes that are parsed at once.
    nulls
        The words for null.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    numbers = [str(place) for place in range(columns)]
    return {
        "read_options": arrow.ReadOptions(column_names=numbers, skip_rows_after_names=1, block_size=block),
        "parse_options": arrow.ParseOptions(delimiter=separator, newlines_in_values=True),
        "convert_options": arrow.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=list(nulls),
        ),
    }


def _quoted(content: bytes, head: list[Head], table: pa.Table, separator: str, path: Path) -> set[str]:
    """
    Return the names of columns whose first value is quoted, and so are text.

    Where the whole head is quoted, quotes say nothing: many programs put them around everything.
    """
    import pyarrow as pa

    if b'"' not in content or all(cell.is_quoted for cell in head):
        return set()
    rows: dict[int, int] = {}
    words: set[str] = set()
    found: set[str] = set()
    for place in range(len(head)):
        valid = table.column(place).is_valid()
        row = valid.index(pa.scalar(value=True)).as_py()
        word = table.column(place)[row].as_py() if row >= 0 else ""
        if len(word) > LONG_WORD:  # Arrow dies of long words for null
            doubled = word.replace('"', '""').encode()
            found |= {head[place].text} if b'"' + doubled + b'"' in content else set()
        elif row >= 0:
            rows[place] = row
            words.add(word)
    again = _table(content, [cell.text for cell in head], separator, path, nulls=["", *words])
    return found | {head[place].text for place, row in rows.items() if again.column(place)[row].is_valid}


def _geometry(
    table: pa.Table, names: list[str], path: Path, *, srid: int | str | None
) -> tuple[set[str], gpd.GeoSeries, Flags]:
    """Return the columns that hold the geometry, the geometry, and which rows have a damaged one."""
    import geopandas as gpd

    likely = positions.coordinates_of(names)
    for number, found in enumerate(likely):
        is_last = number == len(likely) - 1
        if len(found) == 1:
            shapes = _shapes_of(table.column(names.index(found[0])), found[0], path, must=is_last)
        else:
            shapes = _points_of(table, names, found, path)
        if shapes is not None:
            geometry, damaged = shapes
            if srid is None:
                check_degrees(geometry, found, path)
            return {*found}, gpd.GeoSeries(geometry, crs=frames.CRS if srid is None else srid), damaged
    raise FormatError(f"{path.name} has no geometry")


def _points_of(table: pa.Table, names: list[str], lonlat: tuple[str, ...], path: Path) -> tuple[Any, Flags]:
    """Return points; none where a cell says nothing, and empty ones where it says "nan"."""
    numbers, gone = [_numbers_of(table, names, name, path) for name in lonlat], np.zeros(table.num_rows, dtype=bool)
    for columns in positions.lonlat_columns(names):
        positions.check_alike(columns, lambda name: _numbers_of(table, names, name, path), path.name, FormatError)
    for name in lonlat:
        gone |= ~table.column(names.index(name)).is_valid().to_numpy()
    points = frames.points(*numbers)
    points[gone] = None
    return points, np.zeros(len(points), dtype=bool)


def _numbers_of(table: pa.Table, names: list[str], name: str, path: Path) -> Floats:
    """Return a column of coordinates; NaN where a cell says nothing, or "nan"."""
    import pyarrow as pa

    from mlygeo.formats import texts

    cells = table.column(names.index(name))
    found = text_values.values_of(cells, commas=True)
    there = cells.to_pylist() if found is None else []
    known = [text for text in there if text not in text_values.NULLS and text is not None]
    if known or (found is not None and not (pa.types.is_floating(found.type) or pa.types.is_integer(found.type))):
        odd = next((text for text in known if math.isnan(texts.real(text))), (known or ["a word"])[0])
        raise no_number(path, name, odd)
    return np.full(table.num_rows, np.nan) if found is None else found.cast(pa.float64()).to_numpy()


def no_number(path: Path, name: str, odd: str) -> FormatError:
    """Return the error for a column of coordinates that has a text which is not a number."""
    return FormatError(f"{path.name}: a coordinate in column {name!r} is not a number: {odd[:40]!r}")


def _shapes_of(cells: pa.ChunkedArray, name: str, path: Path, *, must: bool) -> tuple[Any, Flags] | None:
    """Return the shapes of WKT; None where the column is something else and another may be the geometry."""
    import shapely

    there = cells.drop_null()
    if not may_be_wkt(len(there), len(cells), name, path, some=has_wkt(there), must=must):
        return None
    shapes = np.asarray(shapely.from_wkt(cells.to_numpy(), on_invalid="ignore"))
    damaged = cells.is_valid().to_numpy() & shapely.is_missing(shapes)
    if damaged.any():
        row = int(np.flatnonzero(damaged)[0])
        if damaged.sum() == len(there):
            raise FormatError(f"{path.name}: the geometry of row {row + 1} is damaged ({str(cells[row])[:60]!r})")
        described.warn_of_damage(damaged, path.name, repr(str(cells[row])[:60]))
    return shapes, damaged


def has_wkt(there: pa.ChunkedArray) -> bool:
    """Return whether a cell looks like WKT."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(there, _WKT, ignore_case=True)).as_py())


def may_be_wkt(there: int, rows: int, name: str, path: Path, *, some: bool, must: bool) -> bool:
    """Return whether a column is the geometry, where `some` of its cells look so; `must`: no other can be."""
    if there and not some:
        if must:
            raise FormatError(f"{path.name}: the column {name!r} is not a geometry (WKT)")
        return False
    return bool(there or not rows or must)


def check_degrees(shapes: Any, columns: tuple[str, ...], path: Path, *, first: int = 0) -> None:
    """Raise where coordinates are no degrees, nobody says in which CRS they are; `first`: the number of their row."""
    import shapely

    bounds = shapely.bounds(shapes)
    named = " and ".join(repr(name) for name in columns)
    crs = f"say in which CRS they are: mlygeo.convert({path.name!r}, '{path.stem}.gpkg', srid=25832), or whichever"
    degrees.check(
        bounds[:, [0, 2]], bounds[:, [1, 3]], f"{path.name}, {named}", hint=crs, error=FormatError,
        swapped="exchange the names of the columns" if len(columns) > 1 else crs, first=first,
    )  # fmt: skip


def _must_have(columns: Sequence[str], available: Sequence[str], path: Path) -> None:
    missing = [name for name in columns if name not in available]
    if missing:
        raise FrameError(f"{path.name} has no column {', '.join(missing)} (it has {', '.join(available)})")


# Writing.


def _as_text_tells(frame: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """Return a frame as it will be read: categories as their values, times in UTC, lists as JSON; it is said."""
    import pandas as pd

    told: dict[str, pd.Series] = {}
    said: list[str] = []
    for name in frame.columns:
        values = frame[name]
        if name == frame.active_geometry_name:
            continue
        if isinstance(values.dtype, pd.CategoricalDtype):
            told[name] = values.astype(values.cat.categories.dtype if len(values.cat.categories) else "str")
            said.append(f"column {name!r} loses its categories")
        elif isinstance(values.dtype, pd.DatetimeTZDtype) and str(values.dtype.tz) != "UTC":
            told[name] = values.dt.tz_convert("UTC")
            said.append(f"column {name!r} is in UTC")
        elif str(values.dtype) == "geometry":
            told[name] = pd.Series(described.wkt_of(values.values), index=values.index, dtype="str")
            said.append(f"column {name!r} is text (WKT)")
        elif values.dtype == object and _are_nested(values):
            told[name] = _as_json(values, name, path)
            said.append(f"column {name!r} is text (JSON)")
    if said:
        log.warning("%s: %s", path.name, ", ".join(said))
    return frame.assign(**told) if told else frame


def _are_nested(values: pd.Series) -> bool:
    """Return whether all values are lists or dicts, or nothing, and not all nothing."""
    known = [value for value in values if not described.is_null(value)]
    return bool(known) and all(isinstance(value, list | dict | tuple | np.ndarray) for value in known)


def _as_json(values: pd.Series, name: str, path: Path) -> pd.Series:
    import pandas as pd

    try:
        cells = [None if described.is_null(value) else described.json_of(value) for value in values]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FrameError(f"{path.name}: column {name!r} cannot be written as CSV: {error}") from error
    return pd.Series(cells, index=values.index, dtype="str")


def _cells(values: pd.Series, kind: str, separator: str) -> list[str]:
    """Return the cells of a column."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = values.isna().to_numpy()
    if not pd.api.types.is_string_dtype(values.dtype):
        write = repr if values.dtype.kind == "f" else str
        return ["" if null else write(value) for value, null in zip(values.tolist(), gone, strict=True)]
    if kind != "plain":
        return [
            "" if null else _in_quotes(str(value), separator) for value, null in zip(values.tolist(), gone, strict=True)
        ]
    cells = pa.chunked_array([pa.array(values.astype(object).where(~gone, None), pa.string())])
    guarded = bool(pc.any(pc.match_substring_regex(cells, rf"^(?:{text_values.GUARDED.pattern})")).as_py())
    is_ambiguous = guarded or text_values.values_of(cells, commas=separator != ",") is not None
    write_text = _guarded if guarded else str
    return [
        "" if null else _in_quotes(write_text(value), separator, always=is_ambiguous)
        for value, null in zip(values.tolist(), gone, strict=True)
    ]


def _guarded(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula."""
    return f"'{text}" if text_values.GUARDED.match(text) else text


def _in_quotes(text: str, separator: str, *, always: bool = False) -> str:
    if always or not text or _SPECIAL[separator].search(text):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
