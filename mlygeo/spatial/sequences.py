"""
Sequences of images: cut by gaps, split by number, headings along them, and a line for each.

The order is that of mapillary_tools: cut, flag duplicates (`mlygeo.spatial.duplicates`), derive headings
over the images kept, split.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes, frames
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import geodesy, ordering

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Objects, Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.sequences")

CUTOFF_DISTANCE_M = 600.0

CUTOFF_TIME_S = 60.0

MAX_IMAGES = 500

MAX_PIXELS = 6_000_000_000

MAX_BYTES = 110 * 2**30

UNKNOWN_SIDE = 1024
"""Pixels of a side of pictures of unknown size; this and the two limits before are those of mapillary_tools 0.14.7."""

NAMESPACE = uuid.UUID("6d6c7967-656f-5365-9175-656e63650001")
"""Namespace of the ids of sequences, a version 5 UUID each (RFC 9562)."""


@working("cutting sequences")
def cut_sequences(
    images: gpd.GeoDataFrame,
    *,
    cutoff_distance: float = CUTOFF_DISTANCE_M,
    cutoff_time: float = CUTOFF_TIME_S,
) -> gpd.GeoDataFrame:
    """
    Cut the images of each folder and camera into sequences, where the gap to the next image is too large.

    Images are sorted by time (ties by file name, in natural order) within a folder and a camera (`make`, `model`,
    `camera_uuid`, `width` and `height`, as far as the frame has these columns; mapillary_tools uses the same to
    distinguish cameras). A new sequence starts where the gap to the image before exceeds either cutoff; a gap equal
    to the cutoff does not cut. Distances are geodesic (WGS 84). Sequences are not yet split by number, see
    `split_sequences`.

    The id of a sequence is a UUID (version 5) of its first image: path, Mapillary id, time and device.
    So the same input gives the same ids on every run, in any order of the rows, and images added at the
    end do not change the id.

    Parameters
    ----------
    images
        Images frame, EPSG:4326, with `captured_at`; `folder`, `path`, `id` and the camera's columns are
        used where they are there.
    cutoff_distance
        Largest gap inside a sequence, metres.
    cutoff_time
        Largest gap inside a sequence, seconds.

    Returns
    -------
    images
        The same rows with a new `sequence_id` (str); null for images that cannot be in a sequence:
        those without a time or a position, and those with an `error`.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If a cutoff is negative or not a number.

    Examples
    --------
    >>> cut_sequences(images, cutoff_distance=100, cutoff_time=120).groupby("sequence_id").size()
    """
    images = frames.check(images, ordering.TIMED)
    for option, value in (("cutoff_distance", cutoff_distance), ("cutoff_time", cutoff_time)):
        if not value >= 0:
            raise InputError(f"`{option}` must be 0 or more, not {value}")
    order = ordering.by_time(images, ("folder", *ordering.CAMERA))
    starts = cuts(order, cutoff_distance, cutoff_time)
    cut = images.assign(sequence_id=named(images, order, starts))
    LOG.info(
        "%d sequences of %d images (gaps over %g m or %g s)%s",
        *(np.count_nonzero(starts), len(order), cutoff_distance, cutoff_time),
        f"; {left} have no time or position" if (left := len(images) - len(order)) else "",
    )
    return cut


@working("splitting sequences")
def split_sequences(
    images: gpd.GeoDataFrame,
    *,
    max_images: int = MAX_IMAGES,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> gpd.GeoDataFrame:
    """
    Split sequences that are too long, into parts of at most so many images, pixels and bytes each.

    A part ends where the next image would exceed a limit; an image that alone exceeds one is a separate part. Images
    flagged as duplicates (`is_duplicate`) are not counted, because they are not uploaded; they stay with the image
    before them.

    Parameters
    ----------
    images
        Images frame with `captured_at` and `sequence_id`; `is_duplicate`, `width`, `height` and `filesize`
        are used where they are there. Pictures of unknown size count as 1024 by 1024 pixels, as in
        mapillary_tools; files of unknown size are not counted.
    max_images
        Most images in a sequence; 500 is what the older tools sent at once.
    max_pixels
        Most pixels of all images of a sequence, as stored; 6 gigapixels is the limit of mapillary_tools.
    max_bytes
        Most bytes of all files of a sequence; 110 GiB is the limit of mapillary_tools.

    Returns
    -------
    images
        The same rows; where a sequence was split, the first part keeps the `sequence_id` that
        `cut_sequences` gave it, and the others have ids made from their first images in the same way.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If a limit is below 1.

    Examples
    --------
    >>> split_sequences(flag_duplicates(cut_sequences(images)))["sequence_id"].value_counts().max()
    500
    """
    images = frames.check(images, ordering.SEQUENCED)
    for option, value in (("max_images", max_images), ("max_pixels", max_pixels), ("max_bytes", max_bytes)):
        if value < 1:
            raise InputError(f"`{option}` must be 1 or more, not {value}")
    order = ordering.by_time(images, ("sequence_id",))
    counted = np.ones(len(order), dtype=bool)
    if "is_duplicate" in images.columns:
        counted = ~order.sort(images["is_duplicate"].to_numpy(dtype=bool))
    pixels = _whole(images, "width", UNKNOWN_SIDE) * _whole(images, "height", UNKNOWN_SIDE)
    limits = [(np.ones(len(order), dtype=np.int64), max_images)]
    limits += [(order.sort(pixels), max_pixels), (order.sort(_whole(images, "filesize", 0)), max_bytes)]
    splits = _splits(order, counted, limits)
    if not len(splits):
        return images
    part = order.first.copy()
    part[splits] = True
    renamed = named(images, order, part)
    # Parts that begin with their sequence keep its id.
    head = np.maximum.accumulate(np.where(part, np.arange(len(order)), 0))
    changed = order.unsort(~order.first[head], np.zeros(len(images), dtype=bool))
    LOG.info(
        "%d sequences split in %d, of at most %d images, %.3g gigapixels and %.3g GB",
        *(np.count_nonzero(order.first), np.count_nonzero(part), max_images, max_pixels / 1e9, max_bytes / 1e9),
    )
    return images.assign(sequence_id=images["sequence_id"].where(~changed, renamed))


@working("deriving headings")
def interpolate_directions(
    images: gpd.GeoDataFrame, *, offset_angle: float = 0.0, overwrite: bool = False
) -> gpd.GeoDataFrame:
    """
    Derive headings from the direction of travel: the bearing to the next image of the sequence.

    Images flagged as duplicates (`is_duplicate`) are skipped and keep their headings, so a camera that does not move
    counts once, with the direction in which it continues. The last image takes the heading of the image before it.
    While the camera does not move, the bearing to the first later image at another position is used; if there is
    none, the direction in which the camera arrived. In a sequence of one image, or on one spot, the heading stays
    unknown.

    Parameters
    ----------
    images
        Images frame with `captured_at`, `sequence_id` and `compass_angle`; `is_duplicate` is used where it
        is there.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise, added to derived
        headings.
    overwrite
        True derives all headings, False only the missing ones.

    Returns
    -------
    images
        The same rows with `compass_angle` (degrees clockwise from true north in [0, 360)) filled where
        it could be.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If the offset is not a number.

    Examples
    --------
    >>> interpolate_directions(flag_duplicates(cut_sequences(images)), offset_angle=90, overwrite=True)
    """
    images = frames.check(images, ordering.HEADED)
    offset_angle = checked_number("offset_angle", offset_angle)
    order = ordering.by_time(images, ("sequence_id",))
    if "is_duplicate" in images.columns:
        duplicate = order.sort(images["is_duplicate"].to_numpy(dtype=bool))
        if duplicate.any():
            order = order.only(~duplicate)
    heading = turned(_directions(order), offset_angle)
    known = images["compass_angle"].to_numpy(dtype=np.float64)
    derived = order.unsort(heading, np.full(len(images), np.nan))
    wanted = np.isfinite(derived) if overwrite else np.isfinite(derived) & ~np.isfinite(known)
    LOG.info("%d of %d headings derived", np.count_nonzero(wanted), len(images))
    return images.assign(compass_angle=np.where(wanted, derived, known))


@working("summing up sequences")
def summarise(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Summarise sequences: a row and a line for each.

    Parameters
    ----------
    images
        Images frame with `captured_at` and `sequence_id`, of local files or of Mapillary; rows without a
        `sequence_id` are left out. With a column `provider`, sequences of different providers are different even if
        their ids are equal.

    Returns
    -------
    sequences
        Sequences frame, by time of the first image, ties by `sequence_id`: `images` counts all of a
        sequence; `start`, `end`, `length_m` (geodesic, along the images in time order), `duration_s` and
        the line come from those with a time and a position. `mean_speed_ms` is NaN where the duration
        is 0. `is_pano` says whether most are panoramas; `creator_id`, `make`, `model` and, where the
        images have them, `organization_id`, `camera_type`, `creator_username` and `folder` are those of
        the first image that has one. `duplicates` counts flagged images, where the frame has the flag.
        The line of a single image has its position twice, and so no length; a line across the
        antimeridian is cut there into a MultiLineString (RFC 7946); without positions it is null.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.

    Examples
    --------
    >>> summarise(images)[["sequence_id", "images", "length_m", "mean_speed_ms"]]
    """
    import geopandas as gpd
    import pandas as pd

    images = frames.check(images, ordering.SEQUENCED)
    members = images[images["sequence_id"].notna()]
    if members.empty:
        return frames.attribute(frames.empty(frames.SEQUENCES), *frames.credited_of(members))
    order = ordering.by_time(members, ("sequence_id",))
    rows = order.sort(np.arange(len(members)))
    starts = order.starts()
    key = _key(members)
    step = np.zeros(len(order))
    step[1:] = geodesy.lengths(order.lon[:-1], order.lat[:-1], order.lon[1:], order.lat[1:])
    step[order.first] = 0.0
    # In the frame's own unit: of several providers times have microseconds, which the order does without.
    times = members["captured_at"].dt.tz_convert(None).to_numpy()[rows]
    begin, end = (
        each.reduceat(times.view(np.int64), starts) if len(starts) else times.view(np.int64)
        for each in (np.minimum, np.maximum)
    )
    duration = (end - begin) / (1_000_000 if times.dtype == "datetime64[us]" else 1000)
    length = np.add.reduceat(step, starts) if len(starts) else step
    speed = np.divide(length, duration, out=np.full(len(starts), np.nan), where=duration > 0)
    placed = pd.DataFrame(
        {
            "start": begin.view(times.dtype),
            "end": end.view(times.dtype),
            "length_m": length,
            "duration_s": duration,
            "mean_speed_ms": speed,
            "geometry": _lines(order, starts),
        },
        index=pd.MultiIndex.from_frame(members[key].iloc[rows[starts]])
        if len(key) > 1
        else pd.Index(members["sequence_id"].iloc[rows[starts]], name="sequence_id"),
    )
    placed["start"], placed["end"] = placed["start"].dt.tz_localize("UTC"), placed["end"].dt.tz_localize("UTC")
    table = _facts(members, rows).join(placed, how="left")
    table = table.reset_index().sort_values(["start", *key], ignore_index=True)
    sequences = gpd.GeoDataFrame(
        table.drop(columns="geometry"), geometry=gpd.GeoSeries(table["geometry"], crs=frames.CRS)
    )
    sequences = frames.conform(sequences, frames.SEQUENCES)
    sequences.attrs = dict(images.attrs)
    if sources := frames.credited_of(members):
        sequences.attrs["attribution"] = sources
    LOG.info("%d sequences of %d images, %.1f km", len(sequences), len(members), length.sum() / 1000)
    return sequences


def checked_number(option: str, value: float) -> float:
    """
    Return an option's value, if it is a number.

    Raises
    ------
    InputError
        Naming the option.
    """
    if not np.isfinite(value):
        raise InputError(f"`{option}` must be a number, not {value}")
    return float(value)


def turned(heading: Floats, offset_angle: float) -> Floats:
    """Return headings turned clockwise by an angle, in [0, 360)."""
    if offset_angle:
        heading = np.mod(heading + offset_angle, 360.0)
    # np.mod of a tiny negative number rounds up to 360 itself.
    return np.where(heading == 360.0, 0.0, heading)


def next_known(values: Floats, first: Flags) -> Floats:
    """
    Fill gaps of each group by the next known value, those at its end by the last one known.

    Parameters
    ----------
    values
        NaN where unknown.
    first
        Whether a row is the first of its group.

    Returns
    -------
    values
        NaN where a group knows none.
    """
    gaps = np.flatnonzero(np.isnan(values))
    if not len(gaps):
        return values
    # Runs of gaps; no run crosses the start of a group.
    opens = np.ones(len(gaps), dtype=bool)
    opens[1:] = (np.diff(gaps) > 1) | first[gaps[1:]]
    opening = np.flatnonzero(opens)
    count = np.diff(opening, append=len(gaps))
    before, after = gaps[opening] - 1, gaps[opening] + count
    ended = after == len(values)
    after[ended] = before[ended]
    ended |= first[after]
    source = np.where(ended, before, after)
    filled = values[source]
    filled[ended & first[gaps[opening]]] = np.nan
    values = values.copy()
    values[gaps] = np.repeat(filled, count)
    return values


def cuts(order: Order, cutoff_distance: float, cutoff_time: float) -> Flags:
    """Return which images of an order start a sequence: the array floor of `cut_sequences`."""
    starts = order.first.copy()
    starts[1:] |= order.time_ms[1:] - order.time_ms[:-1] > cutoff_time * 1000
    starts[1:] |= geodesy.farther(order.lon[:-1], order.lat[:-1], order.lon[1:], order.lat[1:], cutoff_distance)
    return starts


def _splits(order: Order, counted: Flags, limits: list[tuple[Rows, int]]) -> Rows:
    """
    Return which places of an order start another part of a sequence: the array floor of `split_sequences`.

    Parameters
    ----------
    order
        Images by sequence and time.
    counted
        Which of them count.
    limits
        What each image adds to a sum, and the largest sum of a part.
    """
    bounds = np.append(order.starts(), len(order))
    sums = [(np.cumsum(np.where(counted, values, 0)), limit) for values, limit in limits]
    # Most sequences are within all limits. A split moves the next one, so the others are followed one by one.
    over = np.zeros(len(bounds) - 1, dtype=bool)
    for total, limit in sums:
        before = np.append(0, total)
        over |= before[bounds[1:]] - before[bounds[:-1]] > limit
    places, splits = np.flatnonzero(counted), []
    for which in np.flatnonzero(over).tolist():
        at, end = int(bounds[which]), int(bounds[which + 1])
        while True:
            # A part starts with its first image that counts.
            head = int(np.searchsorted(places, at))
            if head + 1 >= len(places) or places[head + 1] >= end:
                break
            stops = [
                np.searchsorted(total, (total[at - 1] if at else 0) + limit, side="right") for total, limit in sums
            ]
            at = int(max(min(stops), places[head + 1]))
            if at >= end:
                break
            splits.append(at)
    return np.array(splits, dtype=np.int64)


def _whole(images: gpd.GeoDataFrame, column: str, unknown: int) -> Rows:
    """Return a column of whole numbers; a number for those that are unknown."""
    if column not in images.columns:
        return np.full(len(images), unknown, dtype=np.int64)
    values: Rows = images[column].to_numpy(dtype=np.int64, na_value=unknown)
    return values


def _directions(order: Order) -> Floats:
    """Return the directions of travel in an order: the array floor of `interpolate_directions`."""
    heading = np.full(len(order), np.nan)
    heading[:-1] = geodesy.bearings(order.lon[:-1], order.lat[:-1], order.lon[1:], order.lat[1:])
    heading[:-1][order.first[1:]] = np.nan
    return next_known(heading, order.first)


def named(images: gpd.GeoDataFrame, order: Order, starts: Flags) -> pd.Series:
    """Return a sequence_id for each row, from the first images of the sequences."""
    import pandas as pd

    places = np.flatnonzero(starts)
    heads = places if order.rows is None else order.rows[places]
    # Names of sequences have to stay what they are where there is no column of providers.
    keys = [column for column in ("path", "id", *ordering.DEVICE, "provider") if column in images.columns]
    parts: dict[str, Any] = {column: images[column].iloc[heads].astype("str").fillna("") for column in keys}
    parts["captured_at"] = order.time_ms[places]
    if not {"path", "id"} & set(keys):
        parts |= {"lon": order.lon[places], "lat": order.lat[places]}
    table = pd.DataFrame({name: np.asarray(values, dtype=object) for name, values in parts.items()})
    # Images that agree in all of this (a path twice) still start separate sequences.
    again = table.groupby(list(table.columns), sort=False).cumcount().to_numpy()
    texts = zip(*(table[name] for name in table.columns), again, strict=True)
    ids = [str(uuid.uuid5(NAMESPACE, "\n".join(map(str, text)))) for text in texts]
    number = order.unsort(np.cumsum(starts) - 1, np.full(len(images), -1))
    return pd.Series(pd.array(ids, dtype="str").take(number, allow_fill=True), index=images.index)


def _facts(members: gpd.GeoDataFrame, rows: Rows) -> pd.DataFrame:
    """Return the columns of each sequence that its images give; the first in time counts first."""
    import pandas as pd

    columns = ("creator_id", "organization_id", "make", "model", "camera_type", "creator_username", "folder")
    key = _key(members)
    more = ("instance", "licence", "licence_url", "creator") if len(key) > 1 else ()
    known = pd.DataFrame({name: members[name] for name in (*columns, *more, *key) if name in members.columns})
    for name in more:
        if name in known.columns:  # said of a sequence only where it holds for all its images
            known[name] = known[name].where(_is_one(members, name, key))
    rest = np.ones(len(members), dtype=bool)
    rest[rows] = False
    groups = known.iloc[np.concatenate([rows, np.flatnonzero(rest)])].groupby(
        key if len(key) > 1 else key[0], sort=False, dropna=False
    )
    table = groups.first()
    table.insert(0, "images", groups.size())
    by: Any = [members[each] for each in key] if len(key) > 1 else members["sequence_id"]
    if "is_duplicate" in members.columns:
        flags = members["is_duplicate"].astype("bool").groupby(by, sort=False, dropna=False)
        table["duplicates"] = flags.sum().astype("int64")
    unknown = dtypes.nulls("bool", len(members), members.index)
    panoramas = members["is_pano"] if "is_pano" in members.columns else unknown
    # The mean is over the images whose kind is known, and null where there is none.
    majority = panoramas.astype("boolean").groupby(by, sort=False, dropna=False).mean() > 0.5
    table["is_pano"] = dtypes.cast(majority.astype("boolean"), "bool")
    return table


def _key(images: gpd.GeoDataFrame) -> list[str]:
    """Return the columns that tell sequences apart."""
    return ["sequence_id", *(["provider"] if "provider" in images.columns else [])]


def _is_one(images: gpd.GeoDataFrame, name: str, key: list[str]) -> pd.Series:
    """Return for each row whether all images of its sequence have the same value in a column, or none has one."""
    groups = images.groupby(key, sort=False, dropna=False)[name]
    is_one: pd.Series = groups.transform("nunique", dropna=False) == 1
    return is_one


def _lines(order: Order, starts: Rows) -> Objects:
    """Return the lines of the sequences that start at these places of an order, cut at the antimeridian."""
    import shapely

    count = np.diff(starts, append=len(order))
    single = count == 1
    # A line has two ends: a single position is both.
    repeat = np.ones(len(order), dtype=np.int64)
    repeat[starts[single]] = 2
    lon, lat = np.repeat(order.lon, repeat), np.repeat(order.lat, repeat)
    number = np.repeat(np.arange(len(starts)), np.where(single, 2, count))
    made = np.asarray(shapely.linestrings(lon, lat, indices=number))
    crossing = np.flatnonzero((np.abs(np.diff(lon)) > 180) & (np.diff(number) == 0))
    for which in np.unique(number[crossing]):
        part = slice(starts[which], starts[which] + count[which])
        made[which] = _cut_at_antimeridian(order.lon[part], order.lat[part])
    return made


def _cut_at_antimeridian(lon: Floats, lat: Floats) -> Any:
    """Return a line as a MultiLineString that ends at the antimeridian on either side."""
    import shapely

    pieces, piece = [], [(lon[0], lat[0])]
    for west, south, east, north in zip(lon[:-1], lat[:-1], lon[1:], lat[1:], strict=True):
        if abs(east - west) > 180:
            edge = float(np.copysign(180.0, west))
            span = east + 2 * edge - west
            height = south + (north - south) * ((edge - west) / span if span else 0.0)
            pieces.append([*piece, (edge, height)])
            piece = [(-edge, height)]
        piece.append((east, north))
    return shapely.MultiLineString([*pieces, piece])
