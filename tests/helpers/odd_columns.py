"""Columns that formats stumble over: those that every one of our formats should bear, and those that few can."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

PLACES = [shapely.Point(9.17, 48.77), shapely.Point(9.18, 48.78), shapely.Point(9.19, 48.79)]
BERLIN = dt.timezone(dt.timedelta(hours=2))
STAMPS = ["2024-06-09T23:59:59.123456", None, "1969-12-31T23:59:59.000001"]


def frame_with(values, name="odd"):
    return gpd.GeoDataFrame({"id": [1, 2, 3], name: values}, geometry=PLACES, crs=4326)


def objects(*values):
    column = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        column[row] = value
    return pd.Series(column, dtype=object)


def times(unit, zone=None):
    column = pd.to_datetime(pd.Series(STAMPS)).dt.as_unit("us").dt.as_unit(unit)
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)


ODD = {
    "whole": pd.Series([2**63 - 1, -(2**63), 2**53 + 1]),
    "short": pd.Series([1, -2, 3], dtype="int8"),
    "unsigned": pd.Series([2**63, 2**64 - 1, 0], dtype="uint64"),
    "unsigned with gaps": pd.array([2**63, None, 2**64 - 1], dtype="UInt64"),
    "small unsigned with gaps": pd.array([200, None, 0], dtype="UInt8"),
    "whole with gaps": pd.array([2**53 + 1, None, -1], dtype="Int64"),
    "short with gaps": pd.array([1, None, -1], dtype="Int32"),
    "numbers": pd.Series([0.1 + 0.2, np.nan, -np.inf]),
    "float32": pd.Series([0.1, np.nan, np.inf], dtype="float32"),
    "float16": pd.Series([0.5, np.nan, 65504.0], dtype="float16"),
    "Float64": pd.array([0.1, None, 2.0], dtype="Float64"),
    "true": pd.Series([True, False, True]),
    "true with gaps": pd.array([True, None, False], dtype="boolean"),
    "true as objects": objects(True, None, False),
    "whole as objects": objects(1, None, 2),
    "text": pd.Series(["Käse", None, ""], dtype="str"),
    "text as objects": objects("Käse", None, ""),
    "text as string": pd.array(["007", None, "a\0b"], dtype="string"),
    "bytes": objects(b"\x00\xff", None, b""),
    "decimals": objects(decimal.Decimal("1.10"), None, decimal.Decimal("-20.123456789")),
    "dates": objects(dt.date(2024, 2, 29), None, dt.date(1, 1, 1)),
    "clock": objects(dt.time(23, 59, 59, 999999), None, dt.time(0)),
    "spans as objects": objects(dt.timedelta(days=1), None, dt.timedelta(microseconds=1)),
    "times as objects": objects(dt.datetime(2024, 1, 1, 12), None, dt.datetime(1, 1, 1)),
    **{f"times {unit}": times(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"times {unit} {zone}": times(unit, zone) for unit in ("ms", "us", "ns")
       for zone in ("UTC", "Europe/Berlin", "America/New_York", "+05:30")},
    **{f"spans {unit}": pd.to_timedelta(pd.Series([1, None, -86400]), unit="s").dt.as_unit(unit)
       for unit in ("s", "ms", "us", "ns")},
    "nanoseconds": pd.Series(pd.to_datetime([1, 2, 3], unit="ns")),
    "categories": pd.Categorical(["b", None, "a"], categories=["z", "b", "a"]),
    "ordered": pd.Categorical(["b", "b", "a"], categories=["b", "a", "unused"], ordered=True),
    "categories of numbers": pd.Categorical([3, None, 1], categories=[9, 3, 1]),
    "categories, none used": pd.Categorical([None, None, None], categories=["a"]),
    "lists": objects([1, 2], None, []),
    "lists of lists": objects([[1.5], []], None, [[2.5, 3.5]]),
    "structs": objects({"a": 1, "b": "x"}, None, {"a": 2, "b": None}),
    "structs of lists": objects({"a": [{"b": 1}]}, {"a": []}, None),
    "all null": objects(None, None, None),
    "all NaN": pd.Series([np.nan] * 3),
    "all NaT": pd.Series([pd.NaT] * 3),
    "periods": pd.Series(pd.period_range("2024-01", periods=3, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "arrow": pd.array([1, None, 3], dtype="int16[pyarrow]"),
    "arrow text": pd.array(["a", None, "b"], dtype="string[pyarrow]"),
}  # fmt: skip


class Colour(enum.Enum):
    RED = 1


ODDER = {
    "complex": pd.Series([1j, 2j, 3j]),
    "mixed": objects(1, "a", None),
    "text and bytes": objects("a", b"b", None),
    "texts and lists": objects("residential", ["residential", "service"], None),
    "past 64 bits": objects(2**64, 1, 2),
    "unsigned as objects": objects(2**63, 1, 2),
    "sets": objects({1, 2}, {3}, set()),
    "empty dicts": objects({}, {}, {}),
    "dicts of other keys": objects({"a": 1}, {"b": 2}, {}),
    "surrogates": objects("\ud800", "a", None),
    "paths": objects(Path("a"), Path("b"), None),
    "functions": objects(len, None, None),
    "enums": objects(Colour.RED, None, None),
    "shapes": objects(shapely.Point(1, 2), None, None),
    "times of several zones": objects(
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=BERLIN), None
    ),
    "naive and zoned": objects(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None),
    "clock with zone": objects(dt.time(12, tzinfo=dt.UTC), None, None),
    "nanoseconds as objects": objects(pd.Timedelta(1), None, None),
    "unused categories of dates": pd.Categorical([None] * 3, categories=pd.to_datetime(["2024", "2025"])),
    "sparse": pd.arrays.SparseArray([0, 0, 1]),
    "truth and numbers": objects(True, 1, None),
}
