"""Images cut into sequences, with duplicates, headings and problems: what a run on a frame does, and on a part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.formats.times import NO_ZONE

if TYPE_CHECKING:
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.arrays import Flags
    from mlygeo.spatial.ordering import Order

ZONELESS = ("clock", "filename")
"""Sources of times that have no offset from UTC; `local` is the same, taken as local time."""


@dataclass(frozen=True)
class Rules:
    """
    How sequences are made.

    Parameters
    ----------
    cutoff_distance, cutoff_time
        Largest gap inside a sequence, metres and seconds.
    max_images
        Most images in a sequence, duplicates not counted; None for any number.
    interpolate_directions
        Whether all headings are derived, and not the missing ones only.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise.
    keep_duplicates
        Whether no duplicates are flagged.
    duplicate_distance, duplicate_angle
        Largest distance, metres, and difference of headings, degrees, of a duplicate.
    max_speed
        Speed above which an image is flagged, kilometres an hour.
    preset
        The service whose rules are taken; None for those of Mapillary's tools.
    """

    cutoff_distance: float
    cutoff_time: float
    max_images: int | None
    interpolate_directions: bool
    offset_angle: float
    keep_duplicates: bool
    duplicate_distance: float
    duplicate_angle: float
    max_speed: float
    preset: str | None

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns whose values no sequence mixes."""
        from mlygeo.spatial.ordering import CAMERA

        return ("folder",) if self.preset is not None else ("folder", *CAMERA)

    def starts(self, order: Order) -> Flags:
        """Return which images of an order by `groups` and time start a sequence."""
        from mlygeo.spatial import dispatch, sequences

        cuts = sequences.cuts if self.preset is None else dispatch.cuts
        return cuts(order, self.cutoff_distance, self.cutoff_time)


def cut_and_flagged(images: gpd.GeoDataFrame, rules: Rules, *, now: datetime) -> gpd.GeoDataFrame:
    """
    Return images with sequences, duplicates, derived headings and problems.

    Duplicates are flagged by the headings that photos or track give, and headings derived over the images kept:
    between images of a camera that rests, directions are those of errors of its GPS.

    Parameters
    ----------
    images
        Images frame.
    rules
        The rules.
    now
        The time after which no image was captured.
    """
    import pandas as pd

    from mlygeo import dtypes, frames
    from mlygeo.spatial.checks import check_images
    from mlygeo.spatial.dispatch import dispatch_images
    from mlygeo.spatial.duplicates import flag_duplicates
    from mlygeo.spatial.sequences import cut_sequences, interpolate_directions, split_sequences

    if rules.preset is None:
        images = cut_sequences(images, cutoff_distance=rules.cutoff_distance, cutoff_time=rules.cutoff_time)
    else:
        images = dispatch_images(
            images,
            cutoff_distance=rules.cutoff_distance,
            cutoff_time=rules.cutoff_time,
            duplicate_distance=rules.duplicate_distance,
            duplicate_angle=rules.duplicate_angle,
        )
    if rules.keep_duplicates:
        images = images.assign(
            is_duplicate=np.zeros(len(images), dtype=bool), duplicate_of=dtypes.nulls("str", len(images), images.index)
        )
    elif rules.preset is None:
        images = flag_duplicates(
            images,
            duplicate_distance=rules.duplicate_distance,
            duplicate_angle=rules.duplicate_angle,
            without_heading="travel",
        )
    images = interpolate_directions(images, offset_angle=rules.offset_angle, overwrite=rules.interpolate_directions)
    if rules.max_images is not None:
        images = split_sequences(images, max_images=rules.max_images)
    doubted = images
    if (zoneless := without_zone(images)).any():
        warning = images["warning"] if "warning" in images.columns else dtypes.nulls("str", len(images), images.index)
        unsaid = zoneless & ~warning.fillna("").str.contains(NO_ZONE, regex=False).to_numpy(dtype=bool)
        doubted = frames.with_phrases(
            images, "warning", pd.Series([NO_ZONE] * len(images), index=images.index, dtype="str").where(unsaid)
        )
    checked = check_images(doubted, max_speed=rules.max_speed, now=now)
    return images.assign(problem=checked["problem"])


def without_zone(images: gpd.GeoDataFrame) -> Any:
    """Return which images have a time that tells no zone and was taken as UTC."""
    if "time_source" not in images.columns:
        return np.zeros(len(images), dtype=bool)
    return (images["captured_at"].notna() & images["time_source"].isin(ZONELESS)).to_numpy(dtype=bool)
