"""The facts of a selection: sums that the parts add up, and what is exact only over all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import plausible
from mlygeo.dtypes import in_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from mlygeo.arrays import Floats, Whole

QUARTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}

DIGIT_BITS = 16
"""Bits of a number that are told apart at once, so that counts are 65,536."""

AT_HAND = 16_000_000
"""Numbers that are sorted in memory; of more, only counts are kept."""


def sums_of(table: pa.Table, points: int) -> dict[str, Any]:
    """
    Return the sums of a selection, JSON: `added` makes those of the whole of those of its parts.

    Parameters
    ----------
    table
        As `mlygeo.parts.matching.Matched.table`: a row a pair.
    points
        Number of points that were searched for.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    years: dict[str, int] = {}
    if "captured_at" in table.column_names and pa.types.is_timestamp(table["captured_at"].type):
        found = pc.year(in_utc(table["captured_at"].drop_null())).to_numpy()
        years = {str(year): int(count) for year, count in zip(*np.unique(found, return_counts=True), strict=True)}
    sums = {"points": points, "covered": int((table["rank"].to_numpy() == 1).sum()), "pairs": len(table)}
    panos = {}
    if "is_pano" in table.column_names and pa.types.is_boolean(table["is_pano"].type):
        values = table["is_pano"]
        true = pc.sum(values.drop_null()).as_py() or 0
        panos = {"true": true, "known": len(values) - values.null_count, "unknown": values.null_count}
    return {**sums, "years": years, "panos": panos, "implausible": plausible.added([plausible.of_table(table)])}


def added(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of a whole by those of its parts, as `sums_of` returns them."""
    plain: Counter[str] = Counter({"points": 0, "covered": 0, "pairs": 0})
    years: Counter[str] = Counter()
    panos: Counter[str] = Counter()
    implausible: list[dict[str, int]] = []
    for part in parts:
        plain.update({name: part[name] for name in ("points", "covered", "pairs")})
        years.update(part["years"])
        panos.update(part["panos"])
        implausible.append(part.get("implausible", {}))
    return {
        **plain,
        "years": {year: years[year] for year in sorted(years, key=int)},
        "panos": dict(panos),
        "implausible": plausible.added(implausible),
    }


def facts_of(
    sums: dict[str, Any], *, images: int, distance_m: dict[str, float] | None, providers: dict[str, Any] | None
) -> dict[str, Any]:
    """
    Return the facts of a selection for its summary.

    Parameters
    ----------
    sums
        As `sums_of` or `added` returns them.
    images
        Number of distinct images.
    distance_m
        As `quartiles` returns it, of the nearest image of each point.
    providers
        As `shares` returns it; None where rows do not tell their provider.
    """
    points, panos = sums["points"], sums["panos"]
    known, unknown = panos.get("known", 0), panos.get("unknown", 0)
    return {
        "points": points,
        "points_covered": sums["covered"],
        "share_covered": round(sums["covered"] / points, 4) if points else None,
        "pairs": sums["pairs"],
        "images": images,
        "distance_m": distance_m,
        "captured": sums["years"],
        "pano_share": round(panos["true"] / known, 4) if known else None,
        **({"pano_unknown": unknown} if unknown else {}),
        **({"implausible": sums["implausible"]} if sums.get("implausible") else {}),
        **({} if providers is None else {"providers": providers}),
    }


def quartiles(count: int, at: Callable[[Whole], Floats]) -> dict[str, float] | None:
    """
    Return the quartiles of numbers, linear between the two around them; None without numbers.

    Parameters
    ----------
    count
        How many numbers there are.
    at
        Returns the numbers that stand at some places among them in order, counted from 0; see `smallest`. It is
        called once.
    """
    if not count:
        return None
    exact = np.array([*QUARTILES.values()]) * (count - 1)
    below = np.floor(exact).astype(np.int64)
    low, high = at(np.concatenate((below, np.minimum(below + 1, count - 1)))).reshape(2, -1)
    part, step = exact - below, high - low
    # From the nearer of the two, as NumPy does it.
    values = np.where(part < 0.5, low + step * part, high - step * (1 - part))
    return {name: round(float(value), 4) for name, value in zip(QUARTILES, values, strict=True)}


def smallest(values: Callable[[], Iterator[Floats]], places: Whole) -> Floats:
    """
    Return the numbers that stand at some places among all in order, without all of them in memory.

    Parameters
    ----------
    values
        Gives all numbers, from 0, array by array; it is called four times.
    places
        Counted from 0, ascending or not.
    """
    # The bits of numbers from 0 are ordered as they are: 16 of them at a time are counted.
    prefix, rest = np.zeros(len(places), dtype=np.int64), np.array(places, dtype=np.int64)
    for shift in range(64 - DIGIT_BITS, -1, -DIGIT_BITS):
        wanted = np.unique(prefix)
        counts = np.zeros((len(wanted), 1 << DIGIT_BITS), dtype=np.int64)
        for part in values():
            bits = (np.ascontiguousarray(part, dtype=np.float64) + 0.0).view(np.int64)
            digit = (bits >> shift) & ((1 << DIGIT_BITS) - 1)
            above = bits >> (shift + DIGIT_BITS) if shift + DIGIT_BITS < 64 else np.zeros_like(bits)
            for row, each in enumerate(wanted):
                counts[row] += np.bincount(digit[above == each], minlength=1 << DIGIT_BITS)
        ends = np.cumsum(counts, axis=1)[np.searchsorted(wanted, prefix)]
        found = np.array([np.searchsorted(end, place, side="right") for end, place in zip(ends, rest, strict=True)])
        rest -= np.where(found > 0, ends[np.arange(len(found)), found - 1], 0)
        prefix = (prefix << DIGIT_BITS) | found
    return prefix.view(np.float64)


def shares(images: pa.Table) -> dict[str, dict[str, Any]]:
    """
    Return what each provider has given: its distinct images, and how many of them are under each licence.

    Parameters
    ----------
    images
        Columns `id` and `provider`, and `licence` where there is one; an image may stand in several rows.

    Returns
    -------
    shares
        By the provider's name, in its order: "images", and "licences", licence -> images; "unknown" where it is not
        known. An image that stands under several licences counts to the first by name.
    """
    import pyarrow as pa

    columns = {name: images[name] for name in ("provider", "id", "licence") if name in images.column_names}
    columns.setdefault("licence", pa.nulls(len(images), pa.string()))
    once = pa.table(columns).group_by(["provider", "id"], use_threads=False).aggregate([("licence", "min")])
    counts = once.group_by(["provider", "licence_min"], use_threads=False).aggregate([([], "count_all")])
    return shares_added(
        {row["provider"] or "unknown": {"licences": {row["licence_min"] or "unknown": row["count_all"]}}}
        for row in counts.to_pylist()
    )


def shares_added(parts: Iterable[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the shares of a whole by those of its parts that have no image in common."""
    found: dict[str, Counter[str]] = {}
    for part in parts:
        for provider, share in part.items():
            found.setdefault(provider, Counter()).update(share["licences"])
    return {
        provider: {"images": found[provider].total(), "licences": dict(sorted(found[provider].items()))}
        for provider in sorted(found)
    }
