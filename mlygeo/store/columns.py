"""
Columns in the few types that a vector file has, and back.

A format of GDAL knows whole numbers, numbers, texts, truth values and times to the millisecond. Every other column
is written as one of these, and a description of the frame (JSON, beside the rows) tells what it was: its name, dtype,
time zone, categories. Files of other programs have no description and are read as they are; where another program
changed a file, what no longer fits the description is left as it is.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo import frames
from mlygeo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd

    from mlygeo.arrays import Flags, Objects

log = logging.getLogger("mlygeo.store")

KEY = "mlygeo"
"""Name of the description, in the metadata of a layer or as a member of GeoJSON."""

DAMAGED = "rows with damaged geometry"
"""Reason in `left_out`."""

SHAPES_AT_ONCE = 50_000
"""Shapes that are compared at a time: as WKB each takes some hundred bytes."""

Kind = Literal[
    "plain", "whole", "real", "truth", "duration", "moment", "nested", "bytes", "decimal", "date", "geometry", "absent"
]
"""How the values of a column are written; "plain" as they are, "absent" where all are null."""


def warn_of_damage(damaged: Flags, name: str, reason: str = "") -> None:
    """
    Say how many rows are left out since their geometry is damaged, and which is the first.

    Parameters
    ----------
    damaged
        Which rows; shape (n,), at least one.
    name
        What messages call the file or table.
    reason
        What is wrong with the first of them, in brackets.
    """
    warn_of_lost(int(damaged.sum()), int(np.flatnonzero(damaged)[0]), name, reason)


def warn_of_lost(count: int, first: int, name: str, reason: str = "") -> None:
    """Say that so many rows have a damaged geometry, as `warn_of_damage` does; `first` counts from 0."""
    log.warning(
        "%s: %s left out, since the geometry is damaged; first row %s%s",
        name, f"{count:,} {'row was' if count == 1 else 'rows were'}", first + 1, f" ({reason})" if reason else "",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Form:
    """
    The limits of a format.

    Parameters
    ----------
    name
        Its name, for messages.
    reserved
        Names that no column can have, in lower case.
    folds_case
        Whether names that differ by case are the same name.
    largest
        The largest whole number; greater ones, and less than its negative, are written as text.
    infinite
        Whether it has infinite numbers.
    ids_as_text
        Whether ids are text whatever their size, for readers in JavaScript.
    milliseconds
        Whether it has times, to the millisecond; otherwise they are text.
    unnamed
        Whether a column may have an empty name.
    letters
        Letters that no name can have.
    """

    name: str
    reserved: frozenset[str] = frozenset()
    folds_case: bool = False
    largest: int = 2**63 - 1
    infinite: bool = True
    ids_as_text: bool = False
    milliseconds: bool = True
    unnamed: bool = False
    letters: str = ""


def check_names(frame: gpd.GeoDataFrame, file: str) -> None:
    """
    Raise unless a frame has columns that can be written to any file.

    Parameters
    ----------
    frame
        The frame.
    file
        Name of the file, for messages.

    Raises
    ------
    FrameError
        If it is not a GeoDataFrame, has no active geometry, or the name of a column is not text or not unique.
    """
    import geopandas as gpd

    if not isinstance(frame, gpd.GeoDataFrame):
        raise FrameError(f"{file}: expected a GeoDataFrame, got {type(frame).__name__}")
    if frame.active_geometry_name is None or frame.active_geometry_name not in frame.columns:
        raise FrameError(f"{file}: the frame has no geometry", hint="choose one: frame.set_geometry('…')")
    for name in frame.columns:
        if not isinstance(name, str):
            raise FrameError(
                f"{file}: the name of column {name!r} is {type(name).__name__}, not text",
                hint="rename it: frame.rename(columns=str)",
            )
        if not _is_writable(name):
            raise FrameError(f"{file}: the name of column {name!r} has characters that no file can hold")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise FrameError(f"{file}: there are several columns {twice!r}", hint="give each a name of its own")


def encode(frame: gpd.GeoDataFrame, form: Form, file: str) -> tuple[dict[str, pd.Series], dict[str, Any]]:
    """
    Return the columns of a frame, without the active geometry, as a format can hold them, and their description.

    Parameters
    ----------
    frame
        The frame; see `check_names`.
    form
        What the format can hold.
    file
        Name of the file, for messages.

    Raises
    ------
    FrameError
        If a column has values that the format cannot hold; it is named.
    """
    plain: dict[str, pd.Series] = {}
    described: list[dict[str, Any]] = []
    taken: set[str] = set()
    for name in frame.columns:
        if name == frame.active_geometry_name:
            described.append({"name": name, "kind": "active"})
            continue
        try:
            values, facts = _encoded(frame[name], name, form)
        except (ValueError, TypeError, OverflowError) as error:
            raise FrameError(
                f"{file}: column {name!r} cannot be written as {form.name}: {error}",
                hint="convert or drop the column, or write .parquet",
            ) from error
        written = _free_name(name, form, taken, frame.columns)
        taken.add(written.casefold() if form.folds_case else written)
        plain[written] = values
        described.append({"name": name, **({"as": written} if written != name else {}), **facts})
    geometry = np.asarray(frame.geometry.values)
    empty = are_nowhere(geometry)
    shapes: dict[str, list[int]] = {}
    for row in np.flatnonzero(empty).tolist():
        kind = "POINT EMPTY" if geometry[row].geom_type == "Point" else str(geometry[row].wkt)
        shapes.setdefault(kind, []).append(row)
    description = {
        "version": 1,
        "rows": len(frame),
        "columns": described,
        "empty": shapes,
        "attrs": {key: value for key, value in frame.attrs.items() if _is_json(value)},
    }
    return plain, description


def decode(
    found: gpd.GeoDataFrame, description: dict[str, Any], columns: Iterable[str] | None = None
) -> gpd.GeoDataFrame:
    """
    Return the frame that was written, as far as the columns still fit their description.

    Parameters
    ----------
    found
        The frame as the file has it.
    description
        The description in the file.
    columns
        Names of the columns that were asked for; None for all.
    """
    import geopandas as gpd
    import pandas as pd

    asked = None if columns is None else set(columns)
    active = str(found.active_geometry_name)
    whole = len(found) == description.get("rows")
    columns_of: dict[str, Any] = {}
    geometry = active
    for facts in description["columns"]:
        name, written = facts["name"], facts.get("as", facts["name"])
        if facts["kind"] == "added":
            continue
        if facts["kind"] == "active":
            geometry = name
            columns_of[name] = found[active]
        elif written in found.columns and written != active:
            columns_of[name] = _decoded(found[written], facts)
        elif not len(found) and whole and (asked is None or name in asked):  # a format may lose columns without rows
            columns_of[name] = _decoded(pd.Series([], dtype=object, index=found.index), facts)
    known = {facts.get("as", facts["name"]) for facts in description["columns"]} | {active}
    for name in found.columns:
        if name not in known and name not in columns_of:
            columns_of[name] = found[name]
    if geometry not in columns_of:
        geometry = active
        columns_of[geometry] = found[active]
    shapes = columns_of[geometry]
    if whole and description.get("empty"):
        shapes = _with_empty(shapes, description["empty"])
    columns_of[geometry] = gpd.GeoSeries(shapes, index=found.index, crs=found.crs)
    frame = gpd.GeoDataFrame(columns_of, geometry=geometry, index=found.index)
    frame.attrs = {**(description.get("attrs") or {}), **found.attrs}
    return frame


def written_names(description: dict[str, Any]) -> dict[str, str]:
    """Return the names of the attributes in a file, by those of the frame."""
    return {
        facts["name"]: facts.get("as", facts["name"])
        for facts in description["columns"]
        if facts["kind"] not in {"active", "added"}
    }


def renamed(description: dict[str, Any]) -> dict[str, str]:
    """Return the columns that have another name in the file."""
    return {name: written for name, written in written_names(description).items() if name != written}


def parse(text: str | None) -> dict[str, Any] | None:
    """Return a description from its JSON; None where there is none, or it makes no sense."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found = json.loads(text or "null")
        if found["version"] == 1 and all(
            isinstance(facts["name"], str) and isinstance(facts["kind"], str) and isinstance(facts.get("as", ""), str)
            for facts in found["columns"]
        ):
            names = [facts["name"] for facts in found["columns"]]
            return found if len(set(names)) == len(names) else None
    return None


def are_nowhere(shapes: Objects) -> Flags:
    """Return which shapes are there but have no place: empty ones, and points whose coordinates are no numbers."""
    import shapely

    found: Flags = ~shapely.is_missing(shapes) & np.isnan(shapely.bounds(shapes).reshape(-1, 4)[:, 0])
    return found


def wkt_of(shapes: Any) -> Objects:
    """Return shapes as WKT to the last digit, None where there is none; GEOS alone writes 16 digits."""
    import shapely

    shapes = np.asarray(shapes)
    texts = np.asarray(shapely.to_wkt(shapes, rounding_precision=-1), dtype=object)
    again = shapely.from_wkt(texts)
    for row in np.flatnonzero(~(shapely.equals_identical(again, shapes) | shapely.is_missing(shapes))).tolist():
        texts[row] = shapely.to_wkt(shapes[row], rounding_precision=17)
    return texts


def must_be_same(frame: gpd.GeoDataFrame, back: gpd.GeoDataFrame, file: str) -> None:
    """
    Raise unless a frame that was read back has the values that were written.

    Parameters
    ----------
    frame
        The frame.
    back
        The frame in the file.
    file
        Name of the file, for messages.

    Raises
    ------
    FrameError
        Naming the columns whose values the file does not hold.
    """
    import shapely

    if len(frame) != len(back):
        raise FrameError(f"{file} would hold {len(back):,} of {len(frame):,} rows", hint="write .parquet")
    before, after = (np.asarray(each.geometry.values) for each in (frame, back))
    changed = [
        name
        for name in frame.columns
        if name != frame.active_geometry_name and (name not in back.columns or not same(frame[name], back[name]))
    ]
    if len(before) and not _same_shapes(before, after):
        row = next(
            place
            for place in range(len(before))
            if not _same_shapes(before[place : place + 1], after[place : place + 1])
        )
        kind = shapely.get_type_id(before[row])
        what = f"row {row + 1}, {before[row].geom_type}" if kind >= 0 else f"row {row + 1}, no geometry"
        changed.append(f"{frame.active_geometry_name} ({what})")
    if changed:
        raise FrameError(
            f"{file} cannot hold the values of column {', '.join(changed)}",
            hint="convert or drop what it names, or write .parquet",
        )


def same(one: pd.Series, other: pd.Series) -> bool:
    """Return whether two columns have the same values, whatever the width of their dtypes."""
    import pandas as pd

    gone = one.isna().to_numpy()
    if not np.array_equal(gone, other.isna().to_numpy()):
        return False
    one, other = (each[~gone].reset_index(drop=True) for each in (_dense(one), _dense(other)))
    if not len(one):
        return True
    is_time = [pd.api.types.is_datetime64_any_dtype(each.dtype) for each in (one, other)]
    if all(is_time):
        zones = [each.dt.tz is None for each in (one, other)]
        return zones[0] == zones[1] and bool((one == other).all())
    if str(one.dtype) == "geometry" or str(other.dtype) == "geometry":
        return str(one.dtype) == str(other.dtype) and _same_shapes(np.asarray(one.values), np.asarray(other.values))
    if isinstance(one.dtype, pd.StringDtype) and one.dtype == other.dtype:
        return bool((one == other).all())
    for is_kind in (pd.api.types.is_bool_dtype, pd.api.types.is_float_dtype, pd.api.types.is_integer_dtype):
        if all(is_kind(each.dtype) and each.dtype != object for each in (one, other)):
            return (
                bool((one.astype(object) == other.astype(object)).all())
                if one.dtype != other.dtype
                else bool((one == other).all())
            )
    return all(_same_value(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True))


def _same_value(one: Any, other: Any) -> bool:
    one, other = _normal(one), _normal(other)
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    try:
        return bool(one == other)
    except (ValueError, TypeError):
        return False


def _same_shapes(one: Objects, other: Objects) -> bool:
    return all(
        _same_in_part(one[start : start + SHAPES_AT_ONCE], other[start : start + SHAPES_AT_ONCE])
        for start in range(0, len(one), SHAPES_AT_ONCE)
    )


def _same_in_part(one: Objects, other: Objects) -> bool:
    """Return whether shapes have the same kinds and coordinates, bit by bit."""
    import shapely

    kinds = [np.where(ids == 2, 1, ids) for ids in (shapely.get_type_id(one), shapely.get_type_id(other))]
    if not np.array_equal(kinds[0], kinds[1]):  # a ring is a line in every file
        return False
    empty = are_nowhere(one)
    if not np.array_equal(empty, are_nowhere(other)):
        return False
    there = ~empty & (kinds[0] >= 0)
    one, other = one[there], other[there]
    if not kinds[0][there].any():  # points, of which WKB takes five times as long and tells the same
        return np.array_equal(_point_bits(one), _point_bits(other))
    try:
        wkb = [shapely.to_wkb(each, output_dimension=4, flavor="iso", byte_order=1) for each in (one, other)]
    except shapely.errors.GEOSException:
        return False
    return bool(np.array_equal(wkb[0], wkb[1]))


def _point_bits(points: Objects) -> npt.NDArray[Any]:
    """Return the coordinates of points as bits, and whether there are heights and measures; a row a point."""
    import shapely

    if hasattr(shapely, "has_m") and shapely.geos_version >= (3, 12, 0):
        coordinates = shapely.get_coordinates(points, include_z=True, include_m=True)
        flags = [shapely.has_z(points), shapely.has_m(points)]
    else:
        coordinates, flags = shapely.get_coordinates(points, include_z=True), [shapely.has_z(points)]
    return np.column_stack([np.ascontiguousarray(coordinates).view(np.uint64), *flags])


def _free_name(name: str, form: Form, taken: set[str], others: Iterable[str]) -> str:
    def key(text: str) -> str:
        return text.casefold() if form.folds_case else text

    def is_free(text: str) -> bool:
        return (
            (bool(text) or form.unnamed)
            and not set(text) & set(form.letters)
            and text.lower() not in form.reserved
            and key(text) not in taken
        )

    if is_free(name):
        return name
    every = {key(other) for other in others}
    number = 1
    base = "".join("_" if letter in form.letters else letter for letter in name) or "column"
    while not is_free(new := f"{base}_{number}") or key(new) in every:
        number += 1
    return new


def _is_writable(text: str) -> bool:
    """Return whether a text has no character that GDAL cuts it at, and none that is half a letter."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


# Values as a file can hold them.


def _encoded(values: pd.Series, name: str, form: Form) -> tuple[pd.Series, dict[str, Any]]:
    import pandas as pd

    dtype = values.dtype
    facts: dict[str, Any] = {"kind": "plain", "dtype": str(dtype)}
    values = _dense(values)
    if str(values.dtype) == "geometry":
        crs = getattr(values, "crs", None)
        shapes = pd.Series(wkt_of(values.values), index=values.index, dtype="str")
        return shapes, {"kind": "geometry", "dtype": "geometry", "crs": None if crs is None else crs.to_string()}
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories, inner = _encoded(pd.Series(values.cat.categories), name, form)
        own, _ = _encoded(
            values.astype(object if not len(values.cat.categories) else values.cat.categories.dtype), name, form
        )
        listed = [_as_json(each) for each in categories]
        return own, {**inner, "categories": listed, "ordered": bool(values.cat.ordered)}
    api = pd.api.types
    if api.is_bool_dtype(values.dtype) and values.dtype != object:
        if not values.isna().any():
            return values.astype("bool"), facts
        return values.astype("boolean"), facts
    if api.is_integer_dtype(values.dtype):
        return _whole_numbers(values, name, form, facts)
    if api.is_float_dtype(values.dtype):
        numbers = pd.Series(values.to_numpy(dtype="float64", na_value=np.nan), index=values.index)
        if not form.infinite and np.isinf(numbers).any():
            return _texts(numbers, repr), {**facts, "kind": "real"}
        return numbers, facts
    if api.is_timedelta64_dtype(values.dtype):
        return _texts(values, lambda value: value.isoformat()), {**facts, "kind": "duration"}
    if api.is_datetime64_any_dtype(values.dtype):
        return _moments(values, form, facts)
    if isinstance(values.dtype, pd.StringDtype):
        return _checked_texts(values), facts
    if values.dtype != object:
        raise ValueError(f"its dtype is {dtype}")
    return _objects(values, name, form, facts)


def _objects(values: pd.Series, name: str, form: Form, facts: dict[str, Any]) -> tuple[pd.Series, dict[str, Any]]:
    """Return a column of Python's objects, which are all of one kind, or else JSON."""
    import pandas as pd

    gone = values.isna().to_numpy() if not _holds_lists(values) else np.array([is_null(value) for value in values])
    known = values[~gone]
    kinds = {type(value) for value in known}
    if not kinds:
        return pd.Series([None] * len(values), index=values.index, dtype="str"), {**facts, "kind": "absent"}
    if kinds <= {str, np.str_}:
        return _checked_texts(values.where(~gone, None).astype("str")), facts
    if kinds <= {bool, np.bool_}:
        return values.where(~gone, None).astype("boolean"), facts
    if all(issubclass(kind, int | np.integer) for kind in kinds) and not kinds & {bool, np.bool_}:
        return _whole_numbers(values, name, form, facts)
    if all(issubclass(kind, float | np.floating) for kind in kinds):
        return _encoded(values.astype("float64"), name, form)[0], {**facts, "kind": "real"}
    if kinds == {bytes}:
        return _texts(values, lambda value: base64.b64encode(value).decode(), gone), {**facts, "kind": "bytes"}
    if kinds == {decimal.Decimal}:
        return _texts(values, str, gone), {**facts, "kind": "decimal"}
    if kinds == {dt.date}:
        return _texts(values, lambda value: value.isoformat(), gone), {**facts, "kind": "date"}
    if kinds <= {dt.datetime, pd.Timestamp}:
        zones = {value.tzinfo is None for value in known}
        if zones == {True}:
            return _texts(values, lambda value: value.isoformat(), gone), {**facts, "kind": "moment"}
    return _texts(values, json_of, gone), {**facts, "kind": "nested"}


def _holds_lists(values: pd.Series) -> bool:
    return any(isinstance(value, list | dict | tuple | set | np.ndarray) for value in values)


def is_null(value: Any) -> bool:
    """Return whether a value of a column of objects is none."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124


def _dense(values: pd.Series) -> pd.Series:
    """Return a column in a dtype of pandas' own, where it is Arrow's or sparse."""
    import pandas as pd

    if isinstance(values.dtype, pd.SparseDtype):
        dense: pd.Series = pd.Series(np.asarray(values), index=values.index)
        return dense
    if isinstance(values.dtype, pd.ArrowDtype):
        import pyarrow as pa

        kind = values.dtype.pyarrow_dtype
        if pa.types.is_integer(kind):
            return values.astype("UInt64" if pa.types.is_uint64(kind) else "Int64")
        if pa.types.is_boolean(kind):
            return values.astype("boolean")
        plain = pa.array(values.array).to_pandas()
        return pd.Series(np.asarray(plain) if not isinstance(plain, pd.Series) else plain.array, index=values.index)
    return values


def _whole_numbers(values: pd.Series, name: str, form: Form, facts: dict[str, Any]) -> tuple[pd.Series, dict[str, Any]]:
    known = values.dropna()
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    if low < -form.largest - (form.largest > 2**53) or high > form.largest or (form.ids_as_text and name in frames.IDS):
        facts = {**facts, "kind": "whole"}
        if values.dtype != object:
            import pandas as pd
            import pyarrow as pa

            digits = pa.array(values, from_pandas=True).cast(pa.large_string()).to_pandas().to_numpy()
            return pd.Series(digits, index=values.index, dtype="str"), facts
        return _texts(values, lambda value: str(int(value))), facts
    return values.astype("int64" if len(known) == len(values) else "Int64"), facts


def _moments(values: pd.Series, form: Form, facts: dict[str, Any]) -> tuple[pd.Series, dict[str, Any]]:
    import pandas as pd

    facts = {**facts, "kind": "moment"}
    utc = values if values.dt.tz is None else values.dt.tz_convert("UTC")
    if form.milliseconds and len(utc.dropna()):
        coarse = utc.dt.floor("ms") if utc.dt.unit in {"us", "ns"} else utc
        known = utc.dropna()
        if (coarse.dropna() == known).all() and known.min().year >= 1 and known.max().year <= 9999:
            return coarse.dt.as_unit("ms"), facts
    texts = np.datetime_as_string(utc.dt.tz_localize(None).to_numpy()).astype(object)
    if values.dt.tz is not None:
        texts = texts + "Z"
    return pd.Series(texts, index=values.index, dtype="str").where(values.notna(), None), facts


def _texts(values: pd.Series, write: Callable[[Any], str], gone: Flags | None = None) -> pd.Series:
    import pandas as pd

    gone = values.isna().to_numpy() if gone is None else gone
    texts = [None if null else write(value) for value, null in zip(values, gone, strict=True)]
    return _checked_texts(pd.Series(texts, index=values.index, dtype="str"))


def _checked_texts(values: pd.Series) -> pd.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = values.astype("str").where(values.notna(), None)
    with suppress(UnicodeEncodeError):  # half letters
        whole = pa.array(texts, pa.large_string(), from_pandas=True)
        if not pc.any(pc.match_substring(whole, "\0")).as_py():
            return texts
    for row, text in enumerate(texts):
        if isinstance(text, str) and not text.isascii() and not _is_writable(text):
            raise ValueError(f"the text in row {row + 1} has half a letter (a lone surrogate)")
        if isinstance(text, str) and "\0" in text:
            raise ValueError(f"the text in row {row + 1} has a zero byte")
    return texts


def json_of(value: Any) -> str:
    """Return a value as JSON; ValueError where that would be another value."""
    text = json.dumps(_normal(value), ensure_ascii=False)
    if json.loads(text) != _normal(value):
        raise ValueError(f"a {type(value).__name__} is not JSON")
    return text


def _normal(value: Any) -> Any:
    """Return a value with lists and dicts of Python's, numbers of Python's."""
    if isinstance(value, np.ndarray):
        return [_normal(each) for each in value.tolist()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_normal(each) for each in value]
    if isinstance(value, dict):
        return {key: _normal(each) for key, each in value.items()}
    return value


def _as_json(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


# And back.


def _decoded(found: pd.Series, facts: dict[str, Any]) -> pd.Series:
    """Return a column as it was; as it stands in the file where it does not fit its description."""
    import pandas as pd
    import shapely

    with suppress(
        ValueError,
        TypeError,
        OverflowError,
        KeyError,
        AttributeError,
        decimal.InvalidOperation,
        pd.errors.OutOfBoundsDatetime,
        shapely.errors.ShapelyError,
    ):
        values = _back(found, facts)
        if "categories" not in facts:
            return values
        inner = {key: value for key, value in facts.items() if key not in {"categories", "ordered"}}
        categories = _back(pd.Series(facts["categories"], dtype=None if facts["categories"] else object), inner)
        return values.astype(pd.CategoricalDtype(categories, ordered=facts["ordered"]))
    return found


def _back(found: pd.Series, facts: dict[str, Any]) -> pd.Series:
    import pandas as pd

    kind, dtype = facts["kind"], facts["dtype"]
    gone = found.isna()

    def each(read: Callable[[Any], Any]) -> list[Any]:
        return [None if null else read(value) for value, null in zip(found, gone, strict=True)]

    if kind == "geometry":
        import geopandas as gpd

        shapes: pd.Series = gpd.GeoSeries.from_wkt(found.astype(object).where(~gone, None), crs=facts.get("crs"))
        return shapes
    if kind == "whole":
        if dtype in {"int64", "Int64"} and (plain := _plain_numbers(found)) is not None:
            return _as(plain, dtype)
        numbers = each(lambda value: int(str(value)))
        if dtype == "object":
            return pd.Series(numbers, index=found.index, dtype=object)
        wide: Any = "UInt64" if dtype.lower().startswith("uint") else "Int64"
        return _as(pd.Series(numbers, index=found.index, dtype=wide), dtype)
    if kind == "real":
        return _as(pd.Series(each(float), index=found.index, dtype=object), dtype)
    if kind == "duration":
        return _as(pd.Series(each(pd.Timedelta), index=found.index), dtype)
    if kind == "moment":
        if dtype == "object":
            return pd.Series(each(lambda value: pd.Timestamp(value).to_pydatetime()), index=found.index, dtype=object)
        zoned = "," in dtype
        if pd.api.types.is_datetime64_any_dtype(found.dtype):
            times = found if not zoned or found.dt.tz is not None else found.dt.tz_localize("UTC")
        else:
            times = pd.to_datetime(found.astype("str").where(~gone, None), utc=zoned, format="ISO8601")
        return _as(times, dtype)
    if kind == "nested":
        return pd.Series(
            each(lambda value: json.loads(value) if isinstance(value, str) else value), index=found.index, dtype=object
        )
    readers: dict[str, Callable[[Any], Any]] = {
        "bytes": lambda value: base64.b64decode(value, validate=True),
        "decimal": lambda value: decimal.Decimal(str(value)),
        "date": lambda value: value if isinstance(value, dt.date) else dt.date.fromisoformat(value),
    }
    if kind in readers:
        return pd.Series(each(readers[kind]), index=found.index, dtype=object)
    if kind == "absent":
        return pd.Series([None] * len(found), index=found.index, dtype=dtype) if gone.all() else found
    if dtype == "object":
        values = found.astype(object)
        return values.where(~gone, None)
    if dtype in {"bool", "boolean"}:
        known = found[~gone]
        if not known.isin([0, 1]).all():
            return found
        return found.astype("boolean").astype(dtype)
    if gone.all() and len(found):
        return (
            pd.Series([None] * len(found), index=found.index, dtype=dtype)
            if dtype != "float64"
            else pd.Series(np.nan, index=found.index, dtype=dtype)
        )
    return found.astype(dtype)


def _plain_numbers(found: pd.Series) -> pd.Series | None:
    """Return texts of digits as Int64; None where any is written otherwise, or too large."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(found.dtype, pd.StringDtype):
        return None
    texts = pa.array(found, pa.large_string(), from_pandas=True)
    if not pc.all(pc.match_substring_regex(texts, "^-?[0-9]+$")).as_py():
        return None
    try:
        numbers: pd.Series = texts.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    except pa.ArrowInvalid:
        return None
    return numbers.set_axis(found.index)


def _as(values: pd.Series, dtype: Any) -> pd.Series:
    converted: pd.Series = values.astype(dtype)
    return converted


def _with_empty(shapes: gpd.GeoSeries, empty: dict[str, list[int]]) -> gpd.GeoSeries:
    import shapely

    values = np.asarray(shapes.values).copy()
    with suppress(shapely.errors.GEOSException, IndexError, TypeError):
        for text, rows in empty.items():
            shape = shapely.from_wkt(text)
            for row in rows:
                if values[row] is None or (values[row].is_empty and shape.is_empty):
                    values[row] = shape
    import geopandas as gpd

    return gpd.GeoSeries(values, index=shapes.index, crs=shapes.crs)
