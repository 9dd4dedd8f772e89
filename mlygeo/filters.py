"""Conditions on images, such as panoramas only: checked, and asked of columns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import expressions, periods
from mlygeo.errors import FrameError, InputError
from mlygeo.keys import UUIDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import pandas as pd

    from mlygeo.arrays import Flags

log = logging.getLogger("mlygeo.filters")


def conditions_of(
    *,
    pano: bool | None,
    since: str | datetime | None,
    until: str | datetime | None,
    creator: int | str | Iterable[int | str] | None,
    organization: int | str | Iterable[int | str] | None,
    min_quality: float | None,
    where: str | None = None,
    time_options: tuple[str, str] = ("since", "until"),
) -> dict[str, Any]:
    """
    Return the conditions that were given, checked and in one form; see `filter_images`.

    `time_options` are what the caller calls the first two, for what is said of wrong ones.
    """
    start, end = time_options
    given: dict[str, Any] = {}
    if pano is not None:
        given["pano"] = pano
    if since is not None:
        given["since"] = periods.period(since, start).start
    if until is not None:
        given["until"] = periods.period(until, end).end
    if "since" in given and "until" in given and given["since"] >= given["until"]:
        raise InputError(f"`{start}={since}` is not before `{end}={until}`")
    if creator is not None:
        given["creator"] = _listed(creator, "creator")
    if organization is not None:
        given["organization"] = _listed(organization, "organization")
        if not all(isinstance(value, int) for value in given["organization"]):
            raise InputError("`organization` takes ids (whole numbers)")
    if min_quality is not None:
        if not 0 <= min_quality <= 1:
            raise InputError(f"`min_quality` must lie between 0 and 1, not {min_quality}")
        given["min_quality"] = min_quality
    if where is not None:
        given["where"] = expressions.parse(where).text
    return given


def columns_for(conditions: Mapping[str, Any], available: Iterable[str]) -> list[str]:
    """
    Return the columns that conditions look at.

    Raises
    ------
    FrameError
        If one of them is not available.
    """
    needs = {"pano": "is_pano", "since": "captured_at", "until": "captured_at", "organization": "organization_id",
             "min_quality": "quality_score"}  # fmt: skip
    columns = {needs[name] for name in conditions if name in needs}
    named = set(expressions.parse(conditions["where"]).columns) if "where" in conditions else set()
    columns |= named
    for value in conditions.get("creator", ()):
        columns.add("creator_id" if isinstance(value, int) or UUIDS.find(value) else _names_in(available))
    missing = sorted(columns - set(available))
    if missing:
        raise FrameError(
            f"these images have no column {', '.join(map(repr, missing))}, which the filters ask for",
            hint="leave that filter out, or add the column to the images frame"
            + "; in `where`, put text in quotes" * bool(named & set(missing)),
        )
    return sorted(columns)


def conditions_mask(columns: Mapping[str, pd.Series], conditions: Mapping[str, Any]) -> Flags:
    """Return which rows meet all conditions of `conditions_of`."""
    columns_for(conditions, columns)
    for name, unknown in sorted(unknown_in(columns, conditions).items()):
        if count := int(unknown.sum()):
            log.warning("%d of %d images have no %s, and the filters leave them out", count, len(unknown), name)
    return are_met(columns, conditions)


def are_met(columns: Mapping[str, pd.Series], conditions: Mapping[str, Any]) -> Flags:
    """Return what `conditions_mask` does, of columns that are there; nothing is said of values that are unknown."""
    import pandas as pd

    masks = []
    if "pano" in conditions:
        masks.append(columns["is_pano"] == conditions["pano"])
    if "since" in conditions:
        masks.append(columns["captured_at"] >= conditions["since"])
    if "until" in conditions:
        masks.append(columns["captured_at"] < conditions["until"])
    if "creator" in conditions:
        uuids = [key for value in conditions["creator"] if (key := UUIDS.find(value))]
        ids = [value for value in conditions["creator"] if isinstance(value, int)]
        names = [value for value in conditions["creator"] if not isinstance(value, int) and not UUIDS.find(value)]
        by_id = _has_key(columns["creator_id"], ids + uuids) if ids or uuids else False
        masks.append(by_id | columns[_names_in(columns)].isin(names) if names else by_id)
    if "organization" in conditions:
        masks.append(_has_key(columns["organization_id"], conditions["organization"]))
    if "min_quality" in conditions:
        masks.append(columns["quality_score"] >= conditions["min_quality"])
    if "where" in conditions:
        masks.append(pd.Series(expressions.parse(conditions["where"]).answer(columns)[0]))
    met: Flags = np.logical_and.reduce([pd.Series(mask).fillna(value=False).to_numpy(dtype=bool) for mask in masks])
    return met


def _names_in(available: Iterable[str]) -> str:
    """Return the column with the names of people."""
    return (
        "creator_username" if "creator_username" in (names := set(available)) or "creator" not in names else "creator"
    )


def _has_key(column: pd.Series, keys: list[int | str]) -> pd.Series:
    """Return which rows have one of these keys, in a column of numbers or of text."""
    import pandas as pd

    if pd.api.types.is_string_dtype(column):
        return column.isin([str(key) for key in keys])
    return column.isin([key for key in keys if isinstance(key, int)])


UNKNOWN = {"pano": "is_pano", "since": "captured_at", "until": "captured_at", "min_quality": "quality_score"}
"""Columns in which a gap is a value that nobody knows; without creator or organization an image has none."""


def unknown_in(columns: Mapping[str, pd.Series], conditions: Mapping[str, Any]) -> dict[str, Flags]:
    """Return which images have no value in a column that conditions ask for, by its name: they are left out."""
    names = {column for condition, column in UNKNOWN.items() if condition in conditions}
    found: dict[str, Flags] = {name: columns[name].isna().to_numpy() for name in sorted(names)}
    if "where" in conditions:
        condition = expressions.parse(conditions["where"])
        undecided = condition.answer(columns)[1]
        for name in condition.columns if undecided.any() else ():
            found[name] = found.get(name, False) | (undecided & columns[name].isna().to_numpy())
    return found


def _listed(value: int | str | Iterable[int | str], option: str) -> list[int | str]:
    values = [value] if isinstance(value, int | str) else list(value)
    if not values or not all(str(item).strip() for item in values):
        raise InputError(f"`{option}` is empty", hint="leave it out to take all")
    return [int(item) if str(item).strip().isdigit() else str(item).strip() for item in values]
