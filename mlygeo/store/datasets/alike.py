"""What the files of one dataset must have in common, and what is said where they differ."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.progress import counted
from mlygeo.store.stac import is_stac

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("mlygeo.store")

KINDS = ("id", "point_id")
"""Columns that tell images, street points and selections apart."""

TIMES = ("times without a zone", "times with a zone")

MOST_SHOWN = 3
"""Columns that a warning names."""


class Held(NamedTuple):
    """
    What a file holds.

    Parameters
    ----------
    name
        Name of the file.
    columns
        Its columns, and of each the type: a pandas dtype or an Arrow type; None where it is of no account.
    crs
        Its CRS; None where it has none.
    points
        Whether its rows are points; None where unknown.
    """

    name: str
    columns: Mapping[str, Any]
    crs: Any = None
    points: bool | None = None


def check(held: Sequence[Held], name: str) -> None:
    """
    Raise unless files hold one kind of thing; warn of columns that some do not have, and of several CRS.

    Parameters
    ----------
    held
        What the files hold, in their order.
    name
        What messages call them all.

    Raises
    ------
    FrameError
        If one holds another kind of thing than the first, or some have a CRS and others have none.
    """
    if len(held) < 2:
        return
    first = held[0]
    for other in held[1:]:
        if reason := _contradiction(first, other):
            raise FrameError(
                f"{name} has files of different kinds: {reason}", hint=f"name one of its files, such as {held[0].name}"
            )
    with_crs = next((each for each in held if each.crs is not None), None)
    without = next((each for each in held if each.crs is None), None)
    if with_crs is not None and without is not None:
        raise FrameError(f"{name}: {without.name} has no CRS, and {with_crs.name} has one")
    if others := sum(each.crs != first.crs for each in held):
        log.warning(
            "%s: %s of %s files have another CRS than %s, and are converted", name, others, len(held), first.name
        )
    _check_types(held, name)
    _warn_of_columns(held, name)


def may_be_of_one(kinds: Sequence[Mapping[str, Any]]) -> bool:
    """
    Return whether files may hold parts of one frame, so that the ids in one of them do not tell whose they are.

    Parameters
    ----------
    kinds
        For each its columns with their types: a pandas dtype or an Arrow type; None where it is not known.
    """
    families = [{family(each[key]) for each in kinds if key in each} - {None} for key in frames.KEYS]
    return len({"provider" in each for each in kinds}) == 1 and all(len(several) <= 1 for several in families)


def family(kind: Any) -> str | None:
    """Return in a word what values a type has, of pandas or Arrow; None where that does not matter."""
    import pyarrow as pa

    if not isinstance(kind, pa.DataType):
        return _family_of_dtype(kind)
    if pa.types.is_dictionary(kind):
        return family(kind.value_type)
    if pa.types.is_timestamp(kind):
        return TIMES[kind.tz is not None]
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "numbers": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
        "truth values": (pa.types.is_boolean,),
    }
    return next((word for word, several in tests.items() if any(test(kind) for test in several)), None)


def _family_of_dtype(kind: Any) -> str | None:
    import pandas as pd

    if isinstance(kind, pd.CategoricalDtype):
        return family(kind.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(kind):
        return TIMES[isinstance(kind, pd.DatetimeTZDtype)]
    if str(kind) in {"str", "string"}:
        return "text"
    if pd.api.types.is_bool_dtype(kind):
        return "truth values"
    return "numbers" if pd.api.types.is_numeric_dtype(kind) else None


def _check_types(held: Sequence[Held], name: str) -> None:
    """Raise where a column has text in one file and numbers in another, or the like; ids are settled elsewhere."""
    known: dict[str, tuple[str, str]] = {}
    for each in held:
        for column, kind in each.columns.items():
            here = family(kind)
            if here is None or column in frames.KEYS:
                continue
            there, where = known.setdefault(column, (here, each.name))
            if there != here:
                raise FrameError(
                    f"{name}: the column {column!r} has {there} in {where} and {here} in {each.name}",
                    hint="bring it to one type, or name the files of one kind",
                )


def _contradiction(first: Held, other: Held) -> str | None:
    for one, two in ((first, other), (other, first)):
        if is_stac(one.columns) and not is_stac(two.columns):
            return f"{one.name} has STAC items, and {two.name} has none"
        for key in KINDS:
            if key in one.columns and key not in two.columns:
                return f"{one.name} has a column '{key}', and {two.name} has none"
        if one.points and two.points is False:
            return f"{one.name} has points, and {two.name} has none"
    return None


def _warn_of_columns(held: Sequence[Held], name: str) -> None:
    united = dict.fromkeys(column for each in held for column in each.columns)
    missing = {column: sum(column not in each.columns for each in held) for column in united}
    if some := [column for column, files in missing.items() if files]:
        shown = ", ".join(f"{column!r} in {missing[column]:,}" for column in some[:MOST_SHOWN])
        more = f" and {len(some) - MOST_SHOWN} more" if len(some) > MOST_SHOWN else ""
        log.warning(
            "%s: not all of %s have all columns; there is no %s%s", name, counted(len(held), "file"), shown, more
        )
