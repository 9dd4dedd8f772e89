"""What of points and images is compared where others than the nearest images are preferred, from their columns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo.errors import FrameError
from mlygeo.periods import EPOCH
from mlygeo.spatial import scores
from mlygeo.spatial.best import GROUPS, small
from mlygeo.spatial.scores import IMAGE_TERMS, PAIR_TERMS, UNKNOWN_TIME
from mlygeo.store.point_sources import TablePoints
from mlygeo.store.points import Behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Flags, Floats, Whole, Whole32
    from mlygeo.parts.images import Images
    from mlygeo.spatial.best import Preference
    from mlygeo.store.point_sources import Points


def check_columns(
    preference: Preference, points: list[str], images: list[str], names: tuple[str, str], *, of_things: bool = False
) -> None:
    """
    Raise FrameError unless points and images have the columns that a preference needs.

    Parameters
    ----------
    preference
        The preference.
    points, images
        Names of their columns.
    names
        What messages call them.
    of_things
        Whether points are things that images look at, which need no bearing.
    """
    if not of_things and preference.needs_bearings and "bearing" not in points:
        raise FrameError(
            f"{names[0]}: there is no column 'bearing', and the direction of the street is needed",
            hint=f"leave out {' and '.join(preference.along_streets)}, or give street points",
        )
    missing = [name for name in dict.fromkeys(preference.columns) if name not in images]
    if missing:
        said = ", ".join(f"'{name}'" for name in missing)
        raise FrameError(
            f"{names[1]}: there is no column {said}, which `prefer` or `per` needs",
            hint="add it with 'mlygeo metadata', or leave the term out of a file of weights",
        )


def own_scores(images: Points, preference: Preference, *, pano: Flags | None = None) -> Floats:
    """
    Return what the terms of each image alone add to its score; in the memory of one column, part by part.

    Parameters
    ----------
    images
        Images with the columns that the preference needs.
    preference
        The preference.
    pano
        Which of them are known to be panoramas, where that has been read.
    """
    own = np.zeros(len(images))
    if preference.rule is not None:
        for term, column in IMAGE_TERMS.items():
            if term in preference.rule.weights:
                known = [pano] if term == "panorama" and pano is not None else None
                parts = (_values(term, part) for part in images.parts(column)) if known is None else known
                scores.add_term(own, preference.rule, term, parts, preference.as_of_us)
    return own


def image_terms(table: pa.Table, preference: Preference) -> dict[str, Floats]:
    """
    Return those terms of images alone that have a weight, unweighted.

    Parameters
    ----------
    table
        Columns of the images.
    preference
        The preference.
    """
    rule = preference.rule
    if rule is None:
        return {}
    return {
        term: rule.of_image(term, _whole(term, table[column]), preference.as_of_us)
        for term, column in IMAGE_TERMS.items()
        if term in rule.weights
    }


def sequences(images: Points) -> Whole | Whole32:
    """Return the number of the sequence of each image, -1 where it is unknown."""
    return _codes(images, "sequence_id")


def sequences_beside(images: Points, told: pa.Table) -> tuple[Whole32, Whole32]:
    """
    Return the number of the sequence of each image, and of those that are told of others; -1 where it is unknown.

    Parameters
    ----------
    images
        Images.
    told
        `sequence_id` and, where images have it, `provider`; the same sequence has the same number.
    """
    nowhere = pa.array(np.full(len(told), np.nan))
    others = TablePoints(told.append_column("lon", nowhere).append_column("lat", nowhere), images.name, {})
    numbers = small(sequences(Behind(images, others)))
    return numbers[len(told) :], numbers[: len(told)]


def groups(images: Points, per: str) -> Whole | Whole32:
    """Return the number of the group of each image that is counted by itself, -1 where it is unknown."""
    if per in {"year", "month"}:
        times = images.arrow("captured_at")
        months = pc.add(pc.multiply(pc.cast(pc.year(times), pa.int64()), 12), pc.subtract(pc.month(times), 1))
        found = pc.fill_null(months, -1).to_numpy()
        return np.where(found >= 0, found // 12, -1) if per == "year" else found
    return _codes(images, GROUPS[per])


def unknown(images: Points, preference: Preference, *, of_things: bool = False) -> dict[str, int]:
    """
    Return how many images a preference knows too little of, by what that means.

    Parameters
    ----------
    images
        Images with the columns that it needs.
    preference
        The preference.
    of_things
        Whether images look at things: then those without a heading are left out, and counted there.
    """
    found: dict[str, int] = {}
    if preference.rule is not None:
        for term in preference.rule.weights:
            column = IMAGE_TERMS.get(term) or PAIR_TERMS.get(term)
            if column is None or (of_things and term == "heading"):
                continue
            if term == "age":
                count, late = _ages(images, preference.as_of_us or 0)
                found["images taken after `as_of`, whose term age is 1"] = late
            elif term == "heading":
                gaps = _gaps(images, column)
                count = int(np.count_nonzero(gaps & ~_panoramas(images))) if gaps.any() else 0
            else:
                count = _count_gaps(images, column)
            found[f"images without '{column}', whose term {term} is 0"] = count
    return {reason: count for reason, count in found.items() if count}


def left_out(images: Points, preference: Preference) -> dict[str, int]:
    """Return how many images are not chosen, since the group that they are counted by is unknown."""
    if preference.per is None:
        return {}
    column = GROUPS[preference.per]
    gaps = _count_gaps(images, column)
    return {f"images without '{column}', which `per` counts by": gaps} if gaps else {}


def without_bearing(points: Points, preference: Preference) -> dict[str, int]:
    """Return how many points have no bearing although one is needed, by what that means."""
    from mlygeo.store.points import floats_of

    if not preference.needs_bearings or "bearing" not in points.columns:
        return {}
    return no_bearings(int(np.count_nonzero(~np.isfinite(floats_of(points, "bearing")))), preference)


def no_bearings(count: int, preference: Preference) -> dict[str, int]:
    """Return the same of a number of points."""
    if not count or not preference.needs_bearings:
        return {}
    what = "which get no image" if preference.is_narrow else "whose term heading is 0 but for panoramas"
    return {f"points without a bearing, {what}": count}


def newest(images: Points) -> int | None:
    """Return the time of the latest capture, microseconds since 1970; None where none is known."""
    if "captured_at" not in images.columns:
        return None
    if (told := _told(images, "captured_at")) is not None:
        return None if told[1] is None else _us(told[1])
    latest = [int(values.max()) for part in images.parts("captured_at") if len(values := _values("age", part))]
    found = max(latest, default=UNKNOWN_TIME)
    return None if found == UNKNOWN_TIME else found


def newest_of(dataset: Images) -> int | None:
    """Return the same of a dataset: by its index, and by the captures of parts that the index tells nothing of."""
    times = []
    for number, part in enumerate(dataset.index.parts):
        latest = part.max_captured_at
        found = newest(dataset.part(number)) if latest is None else _us(latest)
        times += [] if found is None else [found]
    return max(times, default=None)


def _gaps(images: Points, column: str) -> Any:
    """Return which values of a column are unknown."""
    empty = [np.empty(0, dtype=bool)]
    return np.concatenate([*empty, *(_is_gap(part) for part in images.parts(column))])


def _told(images: Points, column: str) -> tuple[int, Any] | None:
    """Return what a file tells of a column without being read: its gaps and largest value; None where it does not."""
    from mlygeo.store.point_sources import PointFile
    from mlygeo.store.points import Conformed

    held = images.points if isinstance(images, Conformed) else images
    if not isinstance(held, PointFile) or column not in held.columns:
        return None
    kind = held.type_of(column)
    is_time = pa.types.is_timestamp(kind) and kind.tz == "UTC" and kind.unit in {"s", "ms", "us"}
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return held.statistics(column) if is_time or is_text or pa.types.is_boolean(kind) else None


def _ages(images: Points, as_of_us: int) -> tuple[int, int]:
    """Return how many captures are unknown, and how many are after a date."""
    told = _told(images, "captured_at")
    if told is not None and (told[1] is None or _us(told[1]) <= as_of_us):
        return told[0], 0
    unknown = late = 0
    for part in images.parts("captured_at"):
        values = _values("age", part)
        unknown += int(np.count_nonzero(values == UNKNOWN_TIME))
        late += int(np.count_nonzero(values > np.int64(as_of_us)))
    return unknown, late


def _us(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def _count_gaps(images: Points, column: str) -> int:
    if (told := _told(images, column)) is not None:
        return told[0]
    return sum(int(np.count_nonzero(_is_gap(part))) for part in images.parts(column))


def _is_gap(part: pa.Array) -> Any:
    return pc.is_null(part, nan_is_null=pa.types.is_floating(part.type)).to_numpy(zero_copy_only=False)


def _panoramas(images: Points) -> Any:
    from mlygeo.store.points import truths_of

    return truths_of(images, "is_pano")[0] if "is_pano" in images.columns else np.zeros(len(images), dtype=bool)


def _values(term: str, part: pa.Array) -> Any:
    """Return values of a column as `mlygeo.spatial.scores.Rule.of_image` takes them."""
    if term == "age":
        return pc.fill_null(part.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), UNKNOWN_TIME).to_numpy()
    numbers = part.cast(pa.int8()) if pa.types.is_boolean(part.type) else part
    return pc.fill_null(numbers.cast(pa.float64()), float("nan")).to_numpy()


def _whole(term: str, column: pa.ChunkedArray) -> Any:
    parts = [_values(term, part) for part in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64 if term == "age" else np.float64)


def _codes(images: Points, column: str) -> Whole | Whole32:
    """Return numbers of the different values of a column, each of its provider, -1 where there is none."""
    code = _numbered(images, column)
    if "provider" not in images.columns:
        return code
    whose = _numbered(images, "provider") + 1
    both = code * np.int64(whose.max(initial=0) + 1) + whose
    return np.where(code >= 0, both, -1)


def _numbered(images: Points, column: str) -> Whole32:
    """Return numbers of the different values of a column, -1 where there is none; only these are held for all rows."""
    parts, own = [], []
    for part in images.parts(column):
        coded = part if pa.types.is_dictionary(part.type) else part.dictionary_encode()
        parts.append(pc.fill_null(coded.indices.cast(pa.int32()), -1).to_numpy())
        text = pa.types.is_string(coded.dictionary.type) or pa.types.is_string_view(coded.dictionary.type)
        text |= column == "sequence_id"  # which is text, whatever a file calls it
        own.append(coded.dictionary.cast(pa.large_string()) if text else coded.dictionary)
    if not own:
        return np.empty(0, dtype=np.int32)
    # What a part calls 3 is 8 in another one; and a file may have a text twice in its dictionary.
    numbers = pc.fill_null(pa.concat_arrays(own).dictionary_encode().indices, -1).to_numpy()
    found, start, first = np.empty(sum(map(len, parts)), dtype=np.int32), 0, 0
    for number, values in enumerate(own):
        codes = parts[number]
        parts[number] = np.empty(0, dtype=np.int32)
        among_all = np.append(numbers[first : first + len(values)], np.int32(-1))
        among_all.take(codes, out=found[start : start + len(codes)], mode="wrap")
        start, first = start + len(codes), first + len(values)
    return found


def found_by(parts: Iterator[dict[str, int]]) -> dict[str, int]:
    """Return the sums of counts by reason."""
    total: dict[str, int] = {}
    for part in parts:
        for reason, count in part.items():
            total[reason] = total.get(reason, 0) + count
    return total
