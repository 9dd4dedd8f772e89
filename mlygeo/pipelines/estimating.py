"""Estimates from a sample of places on streets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os

    import pandas as pd

    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

HAS_ROW = "has a row"
"""Name of what is estimated where no column is named: whether a point has a row among the values."""


@public
def estimate(
    points: FrameLike,
    *,
    column: str | None = None,
    values: PathLike | pd.DataFrame | None = None,
    by: str | None = None,
    level: float = 0.95,
) -> Job[pd.DataFrame]:
    """
    Estimate a share or mean of the streets, with its error, from randomly drawn points.

    Use points drawn by `streets` with the method "random", "stratified", "grid" or "per-street", or a selection for
    such points. Each point represents a known length of street (column `weight`). The weighted share or mean of the
    points estimates that of the streets, with a confidence interval: for a column of text or truth values, the share
    of street length with each value; for a number, its mean over the length.

    Points without a value are counted and left out. The estimate then applies to streets where there is a value;
    `points_missing` and `length_missing_m` tell how much remains unknown. A selection has no row for a point without
    an image. To count those points too, give the points themselves, and the selection with `values`.

    Parameters
    ----------
    points
        File of points (in Python also a frame) with the column weight, and stratum and cluster if there are any; or
        a selection for such points.
    column
        Column to estimate, from the values if given, else from the points. Default, with `values`: whether a point
        has a row there.
    values
        Table with point_id and the column: a selection, or a table of labels (.csv, .parquet; positions are not
        needed). If a point has several rows, their mean is used.
    by
        Column of groups, such as stratum or highway. Each group gets an estimate, in addition to the total.
    level
        Probability that an interval contains the true value (confidence level).

    Returns
    -------
    estimates
        A row for each group and value, those of all streets last: the group under the name of `by` (null for all),
        `value` (null for a mean), `estimate`, `standard_error`, `low` and `high` (float64, a share from 0 to 1, or in
        the unit of the column; NaN if the points are not enough), `points` and `points_missing` (int64, with a value
        and without), `length_m` and `length_missing_m` (float64, the length of street that they represent), and
        `points_alone` (int64, those that are the only one in their stratum; the error is then rather too large).

    Raises
    ------
    FrameError
        If a column is missing or cannot be used, or points have no weights.
    InputError
        If an option makes no sense or is missing.

    Notes
    -----
    The how-to on samples and `mlygeo.spatial.estimates` have the formulas, and how often the intervals contain the
    true value.

    Examples
    --------
    >>> estimate("drawn.parquet", values="labels.csv", column="green", by="stratum")
    """
    from mlygeo import frames, store
    from mlygeo.readers import point_values
    from mlygeo.spatial import estimates

    estimates.check_level(level)
    if values is None and column is None:
        raise InputError("`column` is missing: what is to be estimated")
    base = frames.in_dtypes(store.as_frame(points, name="the points"), frames.STREET_POINTS, name="the points")
    lon, lat = frames.lonlat(base.to_crs(frames.CRS) if base.crs is not None else base)
    joined: pd.DataFrame = base.drop(columns=base.geometry.name)
    unknown = 0
    if values is not None:
        row, joined, unknown = _joined(joined, point_values.read(values), column, by)
        lon, lat = lon[row], lat[row]
    for name, option in ((column or HAS_ROW, "column"), (by, "by")):
        if name is not None and name not in joined.columns:
            raise FrameError(
                f"there is no column {name!r}, which `{option}` asks for", hint=f"there are {', '.join(joined.columns)}"
            )
    found = estimates.table(joined, column or HAS_ROW, lon=lon, lat=lat, by=by, level=level)
    summary = {
        "column": column,
        "by": by,
        "level": level,
        "points": int(found["points"].iloc[-1]) if len(found) else 0,
        "points_missing": int(found["points_missing"].iloc[-1]) if len(found) else 0,
        "rows_of_no_point": unknown,
        "selection_alone": values is None and {"distance_m", "rank"} <= {*joined.columns},
        "estimates": [
            {str(name): _plain(value) for name, value in row.items()} for row in found.to_dict(orient="records")
        ],
        "attribution": frames.credited(base.attrs),
        "version": version(),
    }
    return Job(lambda: found, summary, _headline(summary, found, column), text=lambda: _printed(found, by, level))


def _joined(
    points: pd.DataFrame, values: pd.DataFrame, column: str | None, by: str | None
) -> tuple[Any, pd.DataFrame, int]:
    """
    Return rows of points and values that belong together, the point of each, and how many values have no point.

    What both have is that of the points, but for the column itself. A point without a value has a row.
    """
    import numpy as np
    import pandas as pd

    from mlygeo import schemas
    from mlygeo.spatial import estimates

    if "point_id" not in points.columns:
        raise FrameError("the points have no column 'point_id', so no value belongs to one")
    rows, _ = estimates.places(points, [] if by is None else [by])
    points = points.iloc[rows]
    known = {*points.columns} - {column} | {each.name for each in schemas.SAMPLED}
    own = values[[name for name in values.columns if name not in known]]
    place = points.set_index("point_id").index.get_indexer(pd.Index(values["point_id"]))
    if (place < 0).all() and len(own):
        raise FrameError("no row of `values` belongs to a point", hint="are these the points that they are for?")
    row = np.concatenate((place, np.setdiff1d(np.arange(len(points)), place)))
    value = np.concatenate((np.arange(len(own)), np.full(len(row) - len(own), -1)))
    order = np.argsort(row, kind="stable")[int((place < 0).sum()) :]
    row, value = row[order], value[order]
    joined = points.drop(columns=[column], errors="ignore").iloc[row].reset_index(drop=True)
    found = own.reset_index(drop=True).reindex(value).reset_index(drop=True)
    if column != HAS_ROW or column not in own.columns:
        joined = joined.drop(columns=HAS_ROW, errors="ignore").assign(**{HAS_ROW: value >= 0})
        found = found.drop(columns=HAS_ROW, errors="ignore")
    joined = joined.join(found)
    return rows[row], joined, int((place < 0).sum())


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null where nothing is known."""
    value = value.item() if hasattr(value, "item") else value
    return None if value is None or value != value else value  # noqa: PLR0124 - NaN


def _headline(summary: dict[str, Any], found: pd.DataFrame, column: str | None) -> str:
    points, missing = summary["points"], summary["points_missing"]
    total = found[found[summary["by"]].isna()] if summary["by"] else found
    text = f"{HAS_ROW if column is None else column}: "
    if len(total) == 1:
        one = total.iloc[0]
        text += f"{_number(one, 'estimate')} ({summary['level']:.0%}: {_interval(one)}), "
    elif len(total):
        text += f"{counted(len(total), 'value')}, "
    text += f"from {counted(points, 'point')}"
    if len(total) and points:
        text += f" for {total['length_m'].iloc[0] / 1000:,.1f} km of streets"
    if missing:
        left = total["length_missing_m"].iloc[0] / 1000
        text += f"; {counted(missing, 'point')} ({left:,.1f} km) without a value left out"
    if len(total) and (alone := int(total["points_alone"].iloc[0])):
        verb = "is" if alone == 1 else "are"
        text += f"; {counted(alone, 'point')} {verb} alone in a stratum, so the error is probably too large"
    if summary["rows_of_no_point"]:
        verb = "belongs" if summary["rows_of_no_point"] == 1 else "belong"
        text += f"; {counted(summary['rows_of_no_point'], 'row')} of the values {verb} to no point"
    if summary["selection_alone"]:
        text += "; points without an image are not among these (name the points, and the selection as `values`)"
    return text


def _number(row: Any, name: str) -> str:
    if row[name] != row[name]:
        return "unknown"
    return f"{row[name]:.4g}" if _plain(row["value"]) is None else f"{100 * row[name]:.1f} %"


def _interval(row: Any) -> str:
    if row["low"] != row["low"]:
        return "unknown"
    low, high = _number(row, "low"), _number(row, "high")
    return f"{low.removesuffix(' %')} to {high}"


def _printed(found: pd.DataFrame, by: str | None, level: float) -> str:
    """Return estimates as a table that reads well at 80 columns."""
    header = [by or "", "value", "estimate", f"{level:.0%} interval", "points", "missing"]
    lines = [header]
    for row in found.to_dict("records"):
        group = "" if by is None else str(_plain(row[by]) or "all")
        value = _plain(row["value"]) or "mean"
        counts = [f"{row[name]:,}" for name in ("points", "points_missing")]
        lines.append([_short(group), _short(value), _number(row, "estimate"), _interval(row), *counts])
    if by is None:
        lines = [line[1:] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = 1 if by is None else 2
    return "\n".join(
        "  ".join(
            word.ljust(width) if place < left else word.rjust(width)
            for place, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"
