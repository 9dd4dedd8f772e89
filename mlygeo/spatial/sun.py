"""
Where the sun is: altitude and azimuth at a place and time, day, twilight or night, and against the light.

Source: J. Meeus, Astronomical Algorithms, 2nd edition (1998), chapters 12, 13, 22 and 25 (the lower accuracy), in the
form of the solar calculator of NOAA's Global Monitoring Laboratory. From 1950 to 2050 it is within 0.01 degrees of
NREL's solar position algorithm (Reda and Andreas 2004).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import frames
from mlygeo.arrays import in_threads
from mlygeo.degrees import turn
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import lenses

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Whole

LOG = logging.getLogger("mlygeo.spatial.sun")

FIELD_OF_VIEW = 70.0
"""Degrees; that of the main cameras of phones (26 to 28 mm equivalent), and of dash cameras and more."""

LOW_SUN = 25.0
"""Degrees; a level camera of that field of view, with pictures of 4 to 3, sees about so far above the horizon."""

PHASES = ("night", "astronomical twilight", "nautical twilight", "civil twilight", "day")
"""Names of the phases of a day, from the lowest sun to the highest."""

LIMITS = (-18.0, -12.0, -6.0, -0.833)
"""Altitudes between the phases, degrees: of the sun's centre, without refraction. At sunrise the upper edge shows, 16
minutes of arc above the centre and lifted 34 minutes by refraction (Nautical Almanac)."""

BRIGHT = 90.0
"""Mean brightness, 0 to 255, that pictures of streets under lamps do not reach; those by day are at 75 to 135."""

J2000_MS = 946_728_000_000
"""2000-01-01 12:00 UTC, milliseconds since 1970."""

DAY_MS = 86_400_000

CENTURY_DAYS = 36_525.0

PARALLAX = 8.794 / 3600
"""The sun's horizontal parallax, degrees."""

CHUNK = 1 << 15
"""Images worked on at once: the arrays of this length stay in the caches."""

PLACED = frames.IMAGES.only("captured_at")


@working("finding the sun")
def sun_position(
    images: gpd.GeoDataFrame, *, field_of_view: float = FIELD_OF_VIEW, low_sun: float = LOW_SUN
) -> gpd.GeoDataFrame:
    """
    Compute the position of the sun for each image, and whether the camera faced it.

    - `sun_altitude`: degrees of the sun's centre above the horizon, without refraction, negative below it. Hills and
      buildings are not known.
    - `sun_azimuth`: its direction, degrees clockwise from true north.
    - `sun_phase`: "day" from sunrise to sunset, when the altitude is above -0.833; then "civil twilight" down to -6
      degrees, "nautical twilight" to -12, "astronomical twilight" to -18, and "night".
    - `against_light`: whether the sun is up, at most `low_sun` high, and within the field of view of the camera to
      either side of its heading; panoramas look every way. Clouds are not known.

    The field of view is that of the column `field_of_view`; where that is unknown, the one that follows from
    `camera_parameters`, `camera_type`, `width` and `height`; and elsewhere the parameter's.

    Parameters
    ----------
    images
        Images frame with `captured_at`; `compass_angle`, `is_pano` and the columns above where it has them.
    field_of_view
        Horizontal field of view, degrees, of cameras for which it is unknown.
    low_sun
        Largest altitude of the sun at which it can appear in a picture, degrees.

    Returns
    -------
    images
        The same rows with `sun_altitude` and `sun_azimuth` (float64, NaN without a time or a position), `sun_phase`
        (str, null there) and `against_light` (bool; boolean with nulls where some are unknown: there too, and where the
        sun is low and the heading is unknown).

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If `field_of_view` is not above 0 and at most 360, or `low_sun` does not lie between -0.833 and 90.

    Notes
    -----
    Within 0.01 degrees of NREL's solar position algorithm from 1950 to 2050, which the tests compare with. Source:
    Meeus, Astronomical Algorithms, 2nd edition, chapters 12, 13, 22 and 25.

    Examples
    --------
    >>> lit = sun_position(images)
    >>> lit[(lit["sun_phase"] == "day") & ~lit["against_light"].fillna(True)]
    """
    import pandas as pd

    check_options(field_of_view=field_of_view, low_sun=low_sun)
    images = frames.check(images, PLACED)
    lon, lat = frames.lonlat(images)
    taken = images["captured_at"]
    unit = "us" if str(taken.dtype).startswith("datetime64[us") else "ms"
    times = taken.to_numpy(dtype=f"datetime64[{unit}]")
    time_ms = times.astype(np.int64) // (1000 if unit == "us" else 1)
    known = ~np.isnat(times) & np.isfinite(lon) & np.isfinite(lat)
    altitude, azimuth = np.full(len(images), np.nan), np.full(len(images), np.nan)
    altitude[known], azimuth[known] = position(time_ms[known], lon[known], lat[known])
    angles, _ = widths(images, field_of_view)
    heading = frames.reals(images, "compass_angle")
    lit, unsure = _against(altitude, azimuth, heading, angles, low_sun)
    LOG.info(
        "%d of %d images were taken by day, %d against the light; of %d the time or the position is unknown",
        *(np.count_nonzero(altitude >= LIMITS[-1]), len(images), np.count_nonzero(lit), np.count_nonzero(~known)),
    )
    against = pd.Series(lit, index=images.index)
    return images.assign(
        sun_altitude=altitude,
        sun_azimuth=azimuth,
        sun_phase=pd.Series(phases(altitude), index=images.index, dtype="str"),
        against_light=against.astype("boolean").mask(unsure) if unsure.any() else against,
    )


def check_options(*, field_of_view: float, low_sun: float) -> None:
    """Raise InputError for what makes no sense."""
    if not 0 < field_of_view <= 360:
        raise InputError(f"`field_of_view` must be above 0 and at most 360 degrees, not {field_of_view}")
    if not LIMITS[-1] <= low_sun <= 90:
        raise InputError(f"`low_sun` must lie between {LIMITS[-1]} and 90 degrees, not {low_sun}")


def position(time_ms: Whole, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """
    Return altitude and azimuth of the sun's centre; the array floor of `sun_position`.

    Parameters
    ----------
    time_ms
        Milliseconds since 1970, UTC.
    lon, lat
        Degrees, WGS 84.

    Returns
    -------
    altitude, azimuth
        Degrees; without refraction, as seen from the surface. The azimuth is in [0, 360) from true north.
    """
    altitude, azimuth = np.empty(len(time_ms)), np.empty(len(time_ms))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        altitude[part], azimuth[part] = _position(time_ms[part], lon[part], lat[part])

    in_threads(work, len(time_ms), CHUNK, "images")
    return altitude, azimuth


def _position(time_ms: Whole, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    days = (time_ms - J2000_MS) / DAY_MS
    century = days / CENTURY_DAYS
    mean_longitude = 280.46646 + century * (36000.76983 + century * 0.0003032)
    anomaly = np.radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    centre = (
        np.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + np.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + np.sin(3 * anomaly) * 0.000289
    )
    node = np.radians(125.04 - 1934.136 * century)
    nutation = -0.00478 * np.sin(node)
    longitude = np.radians(mean_longitude + centre - 0.00569 + nutation)
    obliquity = np.radians(
        23.0 + (26.0 + (21.448 - century * (46.815 + century * (0.00059 - century * 0.001813))) / 60.0) / 60.0
        + 0.00256 * np.cos(node)
    )  # fmt: skip
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    # Whole days turn the Earth by whole turns, which are left out: their product would cost digits.
    sidereal = 280.46061837 + 0.98564736629 * days + 360.0 * np.mod(days, 1.0) + 0.000387933 * century**2
    hour = np.radians(sidereal + nutation * np.cos(obliquity) + lon) - ascension
    phi = np.radians(lat)
    height = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    geocentric = np.arcsin(np.clip(height, -1.0, 1.0))
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
    altitude = np.degrees(geocentric) - PARALLAX * np.cos(geocentric)
    azimuth = np.mod(np.degrees(np.arctan2(east, north)), 360.0)
    # A direction a hair west of north is rounded to 360.
    return altitude, np.where(azimuth == 360.0, 0.0, azimuth)


def phases(altitude: Floats) -> Objects:
    """Return the name of the phase of the day for altitudes of the sun, degrees; None where they are unknown."""
    names = np.array([*PHASES, None], dtype=object)
    # NaN is sorted behind all numbers.
    place = np.searchsorted(LIMITS, altitude, side="right")
    return names[np.where(np.isnan(altitude), len(PHASES), place)]


def are_doubtful(altitude: Floats, brightness: Floats) -> Flags:
    """
    Return which pictures are as bright as by day although the sun was far below the horizon: their time may be wrong.

    Parameters
    ----------
    altitude
        Of the sun, degrees; NaN when unknown.
    brightness
        Mean brightness, 0 to 255; NaN when unknown.
    """
    return (altitude < LIMITS[2]) & (brightness >= BRIGHT)


def widths(images: gpd.GeoDataFrame, assumed: float) -> tuple[Floats, Flags]:
    """
    Return the horizontal field of view of each image, and of which it is only assumed.

    Parameters
    ----------
    images
        Images frame; of the columns `field_of_view`, `is_pano` and those that tell the lens (see
        `lenses.fields_of_view`) those that it has.
    assumed
        The field of view of flat pictures that do not tell theirs, degrees.

    Returns
    -------
    angles
        Degrees; 360 for panoramas.
    are_assumed
        Where `assumed` was taken.
    """
    own = frames.reals(images, "field_of_view")
    angles = np.where((own > 0) & (own <= 360), own, np.nan)
    if "is_pano" in images.columns:
        angles[frames.truths(images["is_pano"])] = 360.0
    unknown = np.flatnonzero(np.isnan(angles))
    if "camera_parameters" in images.columns and len(unknown):
        angles[unknown] = lenses.fields_of_view(images.iloc[unknown])
    are_assumed = np.isnan(angles)
    return np.where(are_assumed, assumed, angles), are_assumed


def _against(altitude: Floats, azimuth: Floats, heading: Floats, angles: Floats, low_sun: float) -> tuple[Flags, Flags]:
    """Return which images look against the light, and of which this is unknown."""
    low = (altitude >= LIMITS[-1]) & (altitude <= low_sun)
    everywhere = angles >= 360
    apart = turn(azimuth, heading)
    lit = low & (everywhere | (apart <= angles / 2))
    return lit, np.isnan(altitude) | (low & ~everywhere & np.isnan(heading))
