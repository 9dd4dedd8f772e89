"""The dtypes of what GDAL has read: whole numbers, truth values, times and JSON, as all rows tell them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


class Told:
    """
    What the values of all rows tell of the dtypes of columns, some rows after others.

    Parameters
    ----------
    meta
        What GDAL says of the columns, as pyogrio gives it.
    is_described
        Whether mlygeo wrote the file, so that a description tells the dtypes of times and of JSON.
    """

    def __init__(self, meta: Mapping[str, Any], *, is_described: bool) -> None:
        self._gaps: set[str] = set()
        self._odd: set[str] = set()
        """Columns of times or JSON of which some are neither."""
        self._zones: dict[str, dict[str | None, str]] = {}
        """For each column of times the zones that its texts end with, None where they have none, with an example."""
        times = {
            name
            for name, dtype in zip(meta["fields"], meta["dtypes"], strict=True)
            if dtype is not None and str(dtype).startswith("datetime") and dtype != "datetime64[D]"
        }
        nested = {name for name, kind in zip(meta["fields"], meta["ogr_subtypes"], strict=True) if kind == "OFSTJSON"}
        self._times: set[str] = set() if is_described else times
        self.nested: set[str] = set() if is_described else nested - times
        """Columns of JSON, unless some values are none."""

    def add(self, attributes: pd.DataFrame) -> None:
        """Take further rows into account."""
        import pandas as pd

        for name in attributes.columns:
            values = attributes[name]
            if values.isna().any():
                self._gaps.add(name)
            if name in self._odd:
                continue
            if name in self._times:
                if not pd.api.types.is_string_dtype(values.dtype):
                    self._odd.add(name)
                    continue
                known = values.dropna().astype("str")
                zones = known.str.extract(_ZONE)[0]
                held = self._zones.setdefault(name, {})
                for place in np.flatnonzero(~zones.duplicated().to_numpy()):
                    zone = zones.iloc[place]
                    held.setdefault(zone if isinstance(zone, str) else None, known.iloc[place])
                try:
                    pd.to_datetime(known, format="ISO8601", utc=len(held) > 1 or None not in held).dt.as_unit("ms")
                except (ValueError, OverflowError):
                    self._odd.add(name)
            elif name in self.nested and _parsed(values) is values:
                self._odd.add(name)

    def applied(self, attributes: pd.DataFrame) -> pd.DataFrame:
        """Return some rows in these dtypes."""
        import pandas as pd

        plain: dict[str, pd.Series] = {}
        for name in attributes.columns:
            values = attributes[name]
            if isinstance(values.dtype, pd.Int64Dtype) and name not in self._gaps:
                plain[name] = values.astype("int64")
            elif isinstance(values.dtype, pd.BooleanDtype) and name not in self._gaps:
                plain[name] = values.astype("bool")
            elif name in self._times and name not in self._odd:
                plain[name] = self._in_time(name, values)
            elif name in self.nested and name not in self._odd:
                plain[name] = _parsed(values)
        return attributes.assign(**plain)

    def _in_time(self, name: str, values: pd.Series) -> pd.Series:
        """Return times from ISO 8601: in their zone, in UTC where zones differ; as text where only some have one."""
        import pandas as pd

        zones = self._zones.get(name, {})
        if None in zones and len(zones) > 1:
            return values
        # An example goes before them, since nothing tells the zone of rows without a time.
        first = pd.Series([*zones.values()][:1], dtype=values.dtype)
        try:
            times = pd.to_datetime(pd.concat([first, values], ignore_index=True), format="ISO8601", utc=len(zones) > 1)
            coarse: pd.Series = times.dt.as_unit("ms").iloc[len(first) :]
        except (ValueError, OverflowError):
            return values
        return coarse.set_axis(values.index)


_ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)$"
"""The zone of a time, at its end."""


def _parsed(values: pd.Series) -> pd.Series:
    """Return lists and objects of JSON; as text, the same column, where one is none."""
    import pandas as pd

    try:  # as objects: pandas would make floats of ids with gaps
        found = [None if gone else json.loads(value) for value, gone in zip(values, values.isna(), strict=True)]
        return pd.Series(found, index=values.index, dtype=object)
    except (ValueError, TypeError, RecursionError):
        return values
