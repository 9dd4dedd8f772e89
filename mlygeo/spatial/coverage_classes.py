"""What coverage is measured by: the class of each image, such as its year or creator, and what each class is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import local_times, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import pandas as pd

    from mlygeo.arrays import Whole

    AnyWhole = npt.NDArray[np.integer[Any]]

By = Literal["year", "season", "weekday", "hour", "pano", "creator", "provider"]

BY: dict[str, str] = {
    "year": "captured_at",
    **dict.fromkeys(local_times.NAMES, "captured_at"),
    "pano": "is_pano",
    "creator": "creator_id",
    "provider": "provider",
}
"""What coverage is measured by, and the images' column for it."""

VALUE = {
    "year": "year",
    **{name: name for name in local_times.NAMES},
    "pano": "is_pano",
    "creator": "creator_id",
    "provider": "provider",
}
"""The column of a coverage frame that holds the value."""

IN_TIME = ("year", *local_times.NAMES)
"""Those whose tables are in the order of time."""

BESIDE = {"creator": ("provider", "creator")}
"""Columns that belong to a value: ids of creators are a provider's own, and their names are for people."""

NAMES = ("creator", "creator_username")
"""Columns with the name of a creator, of images that say whose they are."""


def time_zone_of(by: Iterable[str], time_zone: str | None) -> str | None:
    """
    Return the time zone of seasons, weekdays and hours: the one that is named, else that of each place.

    Returns
    -------
    time_zone
        None where nothing that is asked for depends on it.

    Raises
    ------
    InputError
        If there is no such zone, or it has no effect.
    """
    local = [name for name in by if name in local_times.NAMES]
    if time_zone is not None:
        local_times.check(time_zone)
    if time_zone is not None and not local:
        raise InputError(
            "`time_zone` has no effect without season, weekday or hour in `by`", hint="leave `time_zone` out"
        )
    return time_zone or (local_times.LOCAL if local else None)


def classes_of(
    columns: Mapping[str, pd.Series], by: tuple[str, ...], *, time: Whole | None = None
) -> tuple[dict[str, reach.Classes], dict[str, pd.Series]]:
    """
    Number the values of columns in their order, unknown ones last.

    Parameters
    ----------
    columns, by
        As in `measure`; those of `local_times.NAMES` are columns of their own, with their numbers.
    time
        Capture times, milliseconds; None for those in the columns.

    Returns
    -------
    classes, values
        As of `Near`; a creator's name is that of all of these images.
    """
    import pandas as pd

    classes: dict[str, reach.Classes] = {}
    values: dict[str, pd.Series] = {}
    for name in by:
        column = pd.Series(columns[name if name in local_times.NAMES else BY[name]])
        if name == "year":
            time = milliseconds(column, len(column)) if time is None else time
            years = pd.Series(time.astype("M8[ms]").astype("M8[Y]").astype("int64") + 1970, dtype="Int64")
            column = years.mask(time == reach.NEVER)
        if name == "creator" and "provider" in columns:
            classes[name], creators = _creators(column, columns)
            values |= {name if key == "creator_id" else f"{name}.{key}": creators[key] for key in creators.columns}
            continue
        codes, found = pd.factorize(column, sort=True, use_na_sentinel=True)
        if unknown := bool((codes < 0).any()):
            codes = np.where(codes < 0, len(found), codes)
        labels = pd.Series(found).convert_dtypes() if len(found) == 0 else pd.Series(found)
        if unknown:
            labels = pd.concat([labels, pd.Series([None], dtype=labels.dtype)], ignore_index=True)
        classes[name] = reach.Classes(codes.astype(np.int32), len(labels))
        values[name] = labels
    return classes, values


def _creators(ids: pd.Series, columns: Mapping[str, pd.Series]) -> tuple[reach.Classes, pd.DataFrame]:
    """
    Number creators by provider and id, those without an id by name; return their `creator_id`, `provider`, `creator`.

    The name is null where images of one id have several.
    """
    import pandas as pd

    name = names_of(columns, len(ids))
    facts = pd.DataFrame({"provider": columns["provider"].array, "creator_id": ids.array, "creator": name.array})
    only = facts["creator"].where(facts["creator_id"].isna())
    keys = [facts["provider"], facts["creator_id"], only]
    codes = facts.groupby(keys, sort=True, dropna=False).ngroup().to_numpy()
    first = np.unique(codes, return_index=True)[1]
    found = facts.iloc[first].reset_index(drop=True)
    found["creator"] = only_names(facts["creator"], codes, len(first)).array
    if not any(column in columns for column in NAMES):
        found = found.drop(columns="creator")
    return reach.Classes(codes.astype(np.int32), len(first)), found


def names_of(columns: Mapping[str, pd.Series], length: int) -> pd.Series:
    """Return the name of each image's creator."""
    import pandas as pd

    name = pd.Series(None, range(length), dtype="str")
    for column in NAMES:
        if column in columns:
            name = name.fillna(pd.Series(columns[column].array).astype("str"))
    return name


def only_names(names: pd.Series, codes: AnyWhole, count: int) -> pd.Series:
    """Return the name of each of so many creators; null where they have several, or none."""
    named = names.groupby(codes)
    return named.min().where(named.min() == named.max()).reindex(range(count))


def milliseconds(times: pd.Series | None, length: int) -> Whole:
    """Return times as milliseconds since 1970, the least int64 where unknown."""
    if times is None:
        return np.full(length, reach.NEVER)
    if not str(times.dtype).startswith("datetime64"):
        raise FrameError(
            f"column 'captured_at' is {times.dtype}, expected {frames.MS_UTC}",
            hint="mlygeo.read_frame(…, frame='images') brings columns to their dtypes",
        )
    # Without a zone, NumPy has the times themselves; NaT is the least int64.
    plain = times.dt.tz_convert(None) if times.dt.tz is not None else times
    return plain.to_numpy(dtype="datetime64[ms]").astype("int64")
