"""
How much of the streets has imagery near it: by street, class, year, camera and contributor; how new; the gaps.

It is measured once, and returned as frames, sums and tables. Lengths and distances are planar, in a projected
coordinate reference system (`mlygeo.spatial.geodesy`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, plausible
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.progress import working
from mlygeo.spatial import comparison, concentration, expected, geodesy, local_times, polylines, reach
from mlygeo.spatial.coverage_classes import (
    BESIDE,
    BY,
    IN_TIME,
    NAMES,
    VALUE,
    By,
    classes_of,
    milliseconds,
    names_of,
    only_names,
    time_zone_of,
)
from mlygeo.spatial.expected import Places
from mlygeo.spatial.pieces import micrometres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.spatial.comparison import Side
    from mlygeo.spatial.polylines import Lines
    from mlygeo.spatial.projection import Projection

__all__ = [
    "CARRIED",
    "COVERAGE",
    "DISTANCE_M",
    "GAPS",
    "MIN_GAP_M",
    "Coverage",
    "check_options",
    "coverage_gaps",
    "measure",
    "street_coverage",
]

DISTANCE_M = 20.0
"""Half a wide street plus the error of a phone's position: an image this near shows this street, seldom the next."""

MIN_GAP_M = 20.0
"""Gaps shorter than this lie between two images that see each other."""

CARRIED = ("u", "v", "key", "osmid", "highway", "name")

COVERAGE = frames.Schema(
    "coverage",
    "LineString",
    (
        *frames.STREETS.only(*CARRIED).columns,
        frames.Column("length_m", "float64", "length of the street, metres"),
        frames.Column("covered_m", "float64", "how much of it has an image within the distance, metres"),
        frames.Column("share_covered", "float64", "the same as a share, 0 to 1; NaN for a street without length"),
        frames.Column("images", "int64", "images within the distance of it"),
        frames.Column("newest", frames.MS_UTC, "capture time of the newest of them; null where unknown"),
    ),
)

GAPS = frames.Schema(
    "gaps",
    "LineString",
    (
        frames.Column("gap_id", "int64", "number of the gap, from 0, in order along the streets"),
        *frames.STREETS.only(*CARRIED).columns,
        frames.Column("from_m", "float64", "where it starts, metres along the street"),
        frames.Column("to_m", "float64", "where it ends"),
        frames.Column("length_m", "float64", "its length, metres"),
    ),
)

log = logging.getLogger("mlygeo.coverage")


def street_coverage(
    streets: gpd.GeoDataFrame,
    images: gpd.GeoDataFrame,
    *,
    srid: int | None = None,
    distance: float = DISTANCE_M,
    by: By | None = None,
    time_zone: str | None = None,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Measure which part of each street has imagery near it.

    A place on a street is covered if an image lies within `distance` of it. Covered lengths are exact:
    the circle around each image cuts every segment it meets, and the stretches are joined. Each street
    counts once (the two directions of an edge are one line).

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    images
        Images frame, EPSG:4326; of its columns only `captured_at` (for the newest) and the column for `by` are used,
        for creators with `provider` and their names. Images without a position are ignored.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of the streets.
    distance
        Largest distance from a place on a street to an image, metres, inclusive.
    by
        Measure separately for each "year" (UTC), "season", "weekday" or "hour" (in `time_zone`), for "pano" or not,
        for each "creator" or each "provider". None takes all images together.
    time_zone
        Time zone of seasons, weekdays and hours: a name of the IANA database such as "Europe/Berlin", "UTC", or
        "solar" for the mean solar time of each image's place. Default: "local", the zone of each place. Seasons are
        meteorological, winter from December to February in the north, and from June to August south of the equator.
    force_srid
        Use `srid` even if the streets are outside of its area of use.

    Returns
    -------
    coverage
        One row for each street, in the order of (u, v, key): `u`, `v`, `key`, `osmid`, `highway`, `name`, `length_m`,
        `covered_m` (float64, metres), `share_covered` (float64, 0 to 1), `images` (int64, how many within the
        distance), `newest` (datetime64[ms, UTC]). With `by`, one row for each street and each value that has an image
        there, and the value as `year` (Int64), `season` or `weekday` (str, in English), `hour` (Int64, 0 to 23),
        `is_pano` (bool), `provider` (str) or `creator_id` (Int64, or str as in the images; where these have
        `provider`, with that and with the name, `creator`), null where unknown, instead of `newest`; streets without
        an image have no row. Creators without an id are distinguished by name. `attrs["coverage"]` holds the sums.

    Raises
    ------
    FrameError
        If a frame lacks a column, or the streets are not lines.
    CrsError
        If `srid` is unknown, not projected, or does not suit the streets.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> street_coverage(streets, images, distance=15)["covered_m"].sum()
    >>> street_coverage(streets, images, by="year").groupby("year")["covered_m"].sum()
    """
    if by is not None and by not in BY:
        raise InputError(f"`by` is one of {', '.join(BY)}, not {by!r}")
    time_zone = time_zone_of(() if by is None else (by,), time_zone)
    wanted = {} if by is None else {by: BY[by]}
    if missing := [name for name in wanted.values() if name not in images.columns]:
        raise FrameError(f"these images have no {missing[0]}, so they cannot be told apart by {by}")
    looked_at = {"captured_at", *wanted.values(), *(("provider", *NAMES) if by == "creator" else ())}
    columns = {name: images[name] for name in looked_at if name in images.columns}
    measured = measure(
        streets, frames.lonlat(images), columns, srid=srid, distance=distance, by=tuple(wanted), time_zone=time_zone,
        force_srid=force_srid,
    )  # fmt: skip
    frame = measured.frame() if by is None else measured.frame_by(by)
    frame.attrs["attribution"] = frames.credited_of(images, streets)
    return frame


def coverage_gaps(
    streets: gpd.GeoDataFrame,
    images: gpd.GeoDataFrame,
    *,
    srid: int | None = None,
    distance: float = DISTANCE_M,
    min_length: float = MIN_GAP_M,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Find the parts of streets that have no imagery near them.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326; each street counts once.
    images
        Images frame, EPSG:4326; only positions are used.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of the streets.
    distance
        A place farther than this from every image belongs to a gap, metres.
    min_length
        Leave out gaps shorter than this, metres; streets shorter than it are left out too.
    force_srid
        Use `srid` even if the streets are outside of its area of use.

    Returns
    -------
    gaps
        One line for each gap, in the order of (u, v, key) and along the street: `gap_id` (int64, from
        0), `u`, `v`, `key`, `osmid`, `highway`, `name`, `from_m`, `to_m`, `length_m` (float64, metres
        along the street). EPSG:4326.

    Raises
    ------
    FrameError
        If the streets are not lines.
    CrsError
        If `srid` is unknown, not projected, or does not suit the streets.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> coverage_gaps(streets, images, min_length=50).to_file("trip.gpkg")
    """
    measured = measure(streets, frames.lonlat(images), {}, srid=srid, distance=distance, by=(), force_srid=force_srid)
    gaps = measured.gaps(min_length)
    gaps.attrs["attribution"] = frames.credited_of(images, streets)
    return gaps


@dataclass(frozen=True)
class Coverage:
    """
    The part of streets, each counted once, that has imagery near it.

    Parameters
    ----------
    streets
        The rows of the streets frame that represent one street each.
    lonlat, lines
        Their vertices: degrees, and in the plane.
    projection
        The projection from degrees to the plane.
    distance
        How near an image must lie, metres.
    reached
        The parts of the lines that lie near images.
    values
        For each name in `BY` that was measured, the value of each class; and its columns of `BESIDE`, such as
        "creator.provider".
    images
        How many images lie near some street: of all, of each class, and of those that are implausible, by reason.
    places
        Gives these images, some at a time.
    sides
        What each side of a comparison covers.
    """

    streets: gpd.GeoDataFrame
    lonlat: Floats
    lines: Lines
    projection: Projection | None
    distance: float
    reached: reach.Reached
    values: dict[str, pd.Series]
    images: dict[str, Whole]
    places: Callable[[], Iterable[Places]]
    sides: tuple[reach.Stretches, ...] = ()

    @property
    def covered_m(self) -> Floats:
        """Covered length of each street, metres."""
        return reach.covered_m(self.reached.stretches, len(self.streets))

    @working("measuring the coverage")
    def frame(self) -> gpd.GeoDataFrame:
        """Return the coverage frame, a row a street; see `street_coverage`."""
        newest = self.reached.newest.astype("datetime64[ms]")  # the least int64 is NaT
        own = self._columns(np.arange(len(self.streets)), self.covered_m, self.reached.points)
        return self._finish({**own, "newest": _utc(newest)}, np.asarray(self.streets.geometry.values))

    def frame_by(self, name: str) -> gpd.GeoDataFrame:
        """Return the coverage frame, a row for each street and value; see `street_coverage`."""
        found = self.reached.groups[name]
        own = self._columns(found.line, found.covered_m, found.points)
        value = self.values[name].iloc[found.code].reset_index(drop=True)
        value = local_times.column(name, value) if name in local_times.NAMES else value
        beside = {column: values.iloc[found.code].reset_index(drop=True) for column, values in self._beside(name)}
        return self._finish({**own, VALUE[name]: value, **beside}, np.asarray(self.streets.geometry.values)[found.line])

    def _beside(self, name: str) -> list[tuple[str, pd.Series]]:
        columns = ((column, self.values.get(f"{name}.{column}")) for column in BESIDE.get(name, ()))
        return [(column, values) for column, values in columns if values is not None]

    def _columns(self, line: Whole, covered: Floats, images: Whole) -> dict[str, Any]:
        length = self.lines.length[line]
        share = np.divide(covered, length, out=np.full(len(line), np.nan), where=length > 0)
        carried = {name: self.streets[name].array.take(line) for name in CARRIED}
        return {**carried, "length_m": length, "covered_m": covered, "share_covered": share, "images": images}

    def _finish(self, columns: dict[str, Any], geometry: Any) -> gpd.GeoDataFrame:
        import geopandas as gpd

        frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=frames.CRS))
        frame.attrs["coverage"] = self.facts()
        return frame

    @working("finding the gaps")
    def gaps(self, min_length: float) -> gpd.GeoDataFrame:
        """Return the parts of streets without imagery; see `coverage_gaps`."""
        import geopandas as gpd

        check_options(distance=self.distance, min_gap=min_length)
        line, start, stop = self.uncovered(min_length)
        length = stop - start
        geometry: Any = []
        if self.projection is not None:
            geometry = reach.substrings(self.lines, self.lonlat, self.projection, line, start=start, stop=stop)
        columns = {
            "gap_id": np.arange(len(line), dtype="int64"),
            **{name: self.streets[name].array.take(line) for name in CARRIED},
            "from_m": start,
            "to_m": stop,
            "length_m": length,
        }
        gaps = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=frames.CRS))
        gaps.attrs["coverage"] = self.facts()
        return gaps

    def uncovered(self, min_length: float = 0.0) -> tuple[Whole, Floats, Floats]:
        """Return the parts of streets without imagery: the street, and from where to where along it, metres."""
        line, start, stop = self.reached.stretches
        real = stop - start > reach.TOUCH_M  # a circle that touches a street does not divide it
        line, start, stop = reach.complement(line[real], start[real], stop[real], self.lines.length)
        long = stop - start >= max(min_length - reach.TOUCH_M, reach.TOUCH_M)
        return line[long], start[long], stop[long]

    def facts(self) -> dict[str, Any]:
        """Return the sums over all streets."""
        length, covered = total_m(self.lines.length), total_m(self.covered_m)
        newest = self.reached.newest[self.reached.newest != reach.NEVER]
        return {
            "streets": len(self.streets),
            "streets_with_image": int((self.reached.points > 0).sum()),
            "length_m": length,
            "covered_m": covered,
            "share_covered": covered / length if length else None,
            "images_near": int(self.images["all"].sum()),
            "median_newest": None if not len(newest) else str(np.sort(newest)[len(newest) // 2].astype("M8[ms]"))[:10],
            "distance_m": float(self.distance),
            "srid": None if self.projection is None else self.projection.srid,
        }

    @working("adding up the coverage")
    def table(self, name: str) -> pd.DataFrame:
        """
        Return covered lengths by one thing.

        Parameters
        ----------
        name
            "highway", or one of those that were measured.

        Returns
        -------
        table
            A row for each value: `value` (str, null where unknown), `streets` (those with such an image;
            for highway, those of the class), `images` (near a street; absent for highway), `length_m` (of
            the class, or of all), `covered_m`, `share_covered`; and for creators `provider` and `creator`, their
            name, where the images have `provider`. Most covered first; years, seasons, weekdays and hours in their
            order.
        """
        import pandas as pd

        if name == "highway":
            frame = pd.DataFrame(
                {
                    "value": self.streets["highway"].to_numpy(dtype=object),
                    "streets": 1,
                    "length_m": micrometres(self.lines.length),
                    "covered_m": micrometres(self.covered_m),
                }
            )
            table = frame.groupby("value", dropna=False, sort=False).sum().reset_index()
            table = table.assign(length_m=table["length_m"] / 1e6, covered_m=table["covered_m"] / 1e6)
            table = table.sort_values(["length_m", "value"], ascending=[False, True], kind="stable")
        else:
            found, labels = self.reached.groups[name], self.values[name]
            covered = np.zeros(len(labels), dtype=np.int64)
            np.add.at(covered, found.code, micrometres(found.covered_m))
            table = pd.DataFrame(
                {
                    "value": pd.Series(_text(name, labels), dtype="str"),
                    "streets": np.bincount(found.code, minlength=len(labels)),
                    "images": self.images[name],
                    "length_m": total_m(self.lines.length),
                    "covered_m": covered / 1e6,
                    **{column: pd.Series(_text(column, values), dtype="str") for column, values in self._beside(name)},
                }
            )
            table = table[table["images"] > 0]
            if name not in IN_TIME:  # which are numbered in their order
                table = table.sort_values(["covered_m", "value"], ascending=[False, True], kind="stable")
        share = np.divide(
            table["covered_m"].to_numpy(dtype=float),
            table["length_m"].to_numpy(dtype=float),
            out=np.full(len(table), np.nan),
            where=table["length_m"].to_numpy(dtype=float) > 0,
        )
        return table.assign(share_covered=share).reset_index(drop=True)

    def compared(self) -> gpd.GeoDataFrame:
        """
        Return what both sides of a comparison cover, a row a street.

        Returns
        -------
        compared
            The columns of a coverage frame that are carried, `length_m`, and those of `comparison.columns`.
        """
        found = comparison.compare(self.lines.length, *self.sides)
        carried = {name: self.streets[name].array for name in CARRIED}
        told = {**carried, "length_m": self.lines.length, **comparison.columns(found)}
        return self._finish(told, np.asarray(self.streets.geometry.values))

    def concentration(self) -> dict[str, concentration.Concentration]:
        """
        Return how unevenly contributors have photographed, where coverage was measured by "creator".

        Returns
        -------
        concentration
            "images" (near a street) and "covered_m" among the contributors that are known.
        """
        known = self.values["creator"].notna().to_numpy() & (self.images["creator"] > 0)
        if "creator.creator" in self.values:  # those without an id have a name
            known |= self.values["creator.creator"].notna().to_numpy() & (self.images["creator"] > 0)
        found = self.reached.groups["creator"]
        covered = np.zeros(len(known), dtype=np.int64)
        np.add.at(covered, found.code, micrometres(found.covered_m))
        return {
            "images": concentration.of(self.images["creator"][known]),
            "covered_m": concentration.of(covered[known]),
        }


@working("measuring the coverage")
def measure(
    streets: gpd.GeoDataFrame,
    lonlat: tuple[Floats, Floats],
    columns: Mapping[str, pd.Series],
    *,
    srid: int | None,
    distance: float,
    by: tuple[str, ...],
    time_zone: str | None = None,
    nearest: bool = False,
    sides: tuple[Side, ...] = (),
    force_srid: bool,
) -> Coverage:
    """
    Measure coverage; the floor of `street_coverage` and `coverage_gaps`, which explain the options.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    lonlat
        Longitude and latitude of the images, degrees.
    columns
        Columns of the images, those of `BY` that `by` asks for and `captured_at` where there is one; for creators
        also `provider` and `NAMES`, with `nearest` also `sequence_id` where there is one.
    srid
        EPSG code; None for the UTM zone of the streets.
    distance
        Metres.
    by
        Names out of `BY`.
    time_zone
        That of `local_times.NAMES` in `by`.
    nearest
        Find the nearest street, and number the sequence, of each image near streets.
    sides
        The sides of a comparison; where they name providers, `provider` is among the columns.
    force_srid
        Do not look at the area of use of `srid`.
    """
    check_options(distance=distance)
    laid = lay(streets, srid, force_srid=force_srid)
    nearby = near(laid, lonlat, columns, distance=distance, by=by, time_zone=time_zone, nearest=nearest, sides=sides)
    rows = np.flatnonzero(nearby.reached.near)
    images = {name: np.bincount(kind.codes[rows], minlength=kind.count) for name, kind in nearby.classes.items()}
    street = None if nearby.reached.nearest is None else nearby.reached.nearest.line
    places = Places(lonlat[0][rows], lonlat[1][rows], street, nearby.sequence)
    counts = {"all": np.array([len(rows)]), **images}
    counts |= {f"side.{number}": np.array([own.sum()]) for number, own in enumerate(nearby.on_side)}
    counts |= {reason: np.array([own.sum()]) for reason, own in nearby.implausible.items()}
    measured = laid.coverage(
        nearby.reached, nearby.values, counts, distance, places=lambda: [places], sides=nearby.sides
    )
    facts = measured.facts()
    log.info(
        "%.1f of %.1f km of streets (%s) within %g m of an image, %s images near them",
        facts["covered_m"] / 1000, facts["length_m"] / 1000, f"{facts['streets']:,}", distance, f"{len(rows):,}",
    )  # fmt: skip
    return measured


@dataclass(frozen=True)
class Laid:
    """
    Streets, each once, in the plane.

    Parameters
    ----------
    streets, lonlat, lines, projection
        As of `Coverage`.
    """

    streets: gpd.GeoDataFrame
    lonlat: Floats
    lines: Lines
    projection: Projection | None

    def coverage(
        self,
        reached: reach.Reached,
        values: dict[str, pd.Series],
        images: dict[str, Whole],
        distance: float,
        *,
        places: Callable[[], Iterable[Places]],
        sides: tuple[reach.Stretches, ...],
    ) -> Coverage:
        """Return the coverage of the streets; see `Coverage` for what it is made of."""
        return Coverage(
            self.streets, self.lonlat, self.lines, self.projection, distance, reached, values, images, places, sides
        )


def lay(streets: gpd.GeoDataFrame, srid: int | None, *, force_srid: bool) -> Laid:
    """
    Return streets, each once, in the plane.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    srid
        EPSG code; None for the UTM zone of the streets.
    force_srid
        Do not look at the area of use of `srid`.

    Raises
    ------
    FrameError
        If the streets lack a column, or are no lines.
    CrsError
        If `srid` does not suit the streets.
    """
    frames.check(streets, frames.STREETS)
    once, vertices, first = _each_once(streets)
    projection = _projection(vertices, srid, force_srid=force_srid)
    return Laid(once, vertices, in_plane(vertices, first, projection), projection)


def in_plane(vertices: Floats, first: Whole, projection: Projection | None) -> Lines:
    """
    Return lines in the plane.

    Parameters
    ----------
    vertices
        Degrees, shape (vertices, 2).
    first
        The first vertex of each line, and one more.
    projection
        The projection; None where there is no line.

    Raises
    ------
    CrsError
        If the projection has no coordinates for some of them, or they are longer than `reach.LONGEST_M`.
    """
    x, y = np.empty(0), np.empty(0)
    if projection is not None:
        x, y = projection.forward(vertices[:, 0], vertices[:, 1])
    lines = polylines.measure(x, y, first)
    if projection is not None and not (lines.length <= reach.LONGEST_M).all():
        raise CrsError(f"EPSG:{projection.srid} has no coordinates for some of the streets", hint="leave `srid` out")
    return lines


@dataclass(frozen=True)
class Near:
    """
    What lies near streets.

    Parameters
    ----------
    reached
        The parts of the streets that lie near images.
    classes
        The class of each image, by names in `BY`.
    values
        As of `Coverage`.
    sequence
        A number for the sequence of each image near streets; None where nobody asked, or the images do not tell.
    sides, on_side
        What each side of a comparison covers, and which of the images near streets are on it.
    implausible
        Which of the images near streets have a time that no image has, by reason; see `mlygeo.plausible`.
    """

    reached: reach.Reached
    classes: dict[str, reach.Classes]
    values: dict[str, pd.Series]
    sequence: Whole | None = None
    sides: tuple[reach.Stretches, ...] = ()
    on_side: tuple[Flags, ...] = ()
    implausible: dict[str, Flags] = field(default_factory=dict)


def near(
    laid: Laid,
    lonlat: tuple[Floats, Floats],
    columns: Mapping[str, pd.Series],
    *,
    distance: float,
    by: tuple[str, ...],
    time_zone: str | None,
    nearest: bool,
    sides: tuple[Side, ...],
) -> Near:
    """
    Return which parts of streets lie near images.

    Parameters
    ----------
    laid
        The streets.
    lonlat, columns, distance, by, time_zone, nearest, sides
        As in `measure`.
    """
    time = milliseconds(columns.get("captured_at"), len(lonlat[0]))
    if time_zone is not None:
        local = local_times.classes([name for name in by if name in local_times.NAMES], time, lonlat, time_zone)
        columns = {**columns, **{name: _numbered(number) for name, number in local.items()}}
    classes, values = classes_of(columns, by, time=time)
    image_x, image_y = lonlat if laid.projection is None else laid.projection.forward(*lonlat)
    reached = reach.reach(laid.lines, (image_x, image_y), distance, time=time, classes=classes, nearest=nearest)
    if "creator.creator" in values:
        kind = classes["creator"]
        rows = np.flatnonzero(reached.near)
        values["creator.creator"] = only_names(names_of(columns, len(time)).iloc[rows], kind.codes[rows], kind.count)
    sequence = None
    if nearest and "sequence_id" in columns:
        sequence = expected.numbers_of(columns["sequence_id"].iloc[np.flatnonzero(reached.near)])
    covered, on_side = [], []
    for side in sides:
        if side.lonlat is None:
            has = side.has(time, columns.get("provider"))
            own, own_time = (image_x[has], image_y[has]), time[has]
        else:
            own = side.lonlat if laid.projection is None else laid.projection.forward(*side.lonlat)
            own_time = np.full(len(own[0]), local_times.NEVER)
        found = reach.reach(laid.lines, own, distance, time=own_time, classes={})
        covered.append(found.stretches)
        on_side.append(has[reached.near] if side.lonlat is None else found.near[found.near])
    near_time = time[reached.near]
    odd = plausible.beyond_times(np.where(near_time == reach.NEVER, np.nan, near_time / 1000))
    return Near(reached, classes, values, sequence, tuple(covered), tuple(on_side), odd)


def total_m(lengths: Floats) -> float:
    """Return the sum of lengths, each in whole micrometres: so it does not depend on their order."""
    return int(micrometres(lengths).sum()) / 1e6


def check_options(*, distance: float, min_gap: float = 0.0) -> None:
    """
    Raise unless the options of a coverage make sense.

    Raises
    ------
    InputError
        Naming the option.
    """
    if not (np.isfinite(distance) and distance > 0):
        raise InputError(
            f"`distance` must be a positive number of metres, not {distance}", hint="leave it out for 20 metres"
        )
    if not (np.isfinite(min_gap) and min_gap >= 0):
        raise InputError(f"`min_gap` must be 0 metres or more, not {min_gap}")


def _each_once(streets: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, Floats, Whole]:
    """Return the rows that represent one street each, in the order of (u, v, key), and their vertices."""
    vertices, first = polylines.coordinates(streets)
    if not len(streets):
        return streets, vertices, first
    vertex = polylines.hashes(vertices)
    street, same = polylines.same_lines(vertex, first)
    rows = polylines.each_once(streets, street, (polylines.directions(vertex, first), same))
    once = streets.iloc[rows].reset_index(drop=True)
    return once, *polylines.coordinates(once)


def _projection(vertices: Floats, srid: int | None, *, force_srid: bool) -> Projection | None:
    """Return the projection to measure in; None without streets and a code, since then there is no location."""
    if not len(vertices):
        return None if srid is None else geodesy.projection(srid)
    bounds = polylines.bounds(vertices)
    geodesy.check_forced(srid, force=force_srid)
    return geodesy.check_srid(geodesy.utm_srid(*bounds) if srid is None else srid, bounds, force=force_srid)


def _numbered(numbers: Whole) -> pd.Series:
    """Return numbers from 0 as Int64; null where below."""
    import pandas as pd

    return pd.Series(numbers, dtype="Int64").mask(numbers < 0)


def _text(name: str, values: pd.Series) -> list[str | None]:
    import pandas as pd

    if name in local_times.NAMES:
        return local_times.labels(name, values)
    return [None if pd.isna(value) else str(value) for value in values]


def _utc(times: Any) -> pd.Series:
    import pandas as pd

    return pd.Series(times, dtype="datetime64[ms]").dt.tz_localize("UTC")
