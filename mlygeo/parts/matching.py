"""Images matched to points: what a run on whole frames computes, and a part of a run on datasets."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from mlygeo import dtypes, frames, schemas
from mlygeo.arrays import distinct
from mlygeo.degrees import heading_difference
from mlygeo.errors import FrameError
from mlygeo.progress import counted, working
from mlygeo.spatial.nearest import OWN_COLUMNS

if TYPE_CHECKING:
    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Bounds, Flags, Floats, Whole, Whole32
    from mlygeo.keys import Keyed
    from mlygeo.spatial.best import Best, Preference
    from mlygeo.spatial.nearest import Matches, PartOfPairs
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points

log = logging.getLogger("mlygeo.parts")


@dataclass(frozen=True)
class Matched:
    """
    Images matched to points.

    Parameters
    ----------
    points
        The points, street points or others.
    point_ids
        Their ids, int64.
    images
        The images that could be chosen.
    keyed
        Their ids, and the ranks of these, by which ties are settled.
    matches
        Which image for which point, by row number.
    heading_difference
        Angle between camera and street of each match, degrees; NaN when unknown.
    preference
        What is preferred to the nearest image; None for nothing.
    best
        What is told of each match then.
    """

    points: Points
    point_ids: Whole
    images: Points
    keyed: Keyed
    matches: Matches
    heading_difference: Floats
    preference: Preference | None = None
    best: Best | None = None

    @classmethod
    @working("searching the nearest images")
    def of(
        cls,
        points: Points,
        images: Points,
        *,
        keyed: Keyed,
        projection: Projection | Zones,
        max_distance: float | None,
        k: int,
        unique: bool,
        max_heading_difference: float | None,
        preference: Preference | None = None,
        neighbours: pa.Table | None = None,
    ) -> Self:
        """
        Match images to points; the options are those of `mlygeo.spatial.nearest.select_nearest`.

        Parameters
        ----------
        points
            Points; without a `point_id` they are numbered from 0.
        images
            Images with an `id`.
        keyed
            Their ids, and the ranks of these, by which ties are settled; see `mlygeo.store.points.keyed`.
        projection
            The plane that distances are measured in, or the zone of each point.
        max_distance, k, unique, max_heading_difference
            Which images are near enough.
        preference
            What is preferred to the nearest image; None for nothing.
        neighbours
            `sequence_id` and, where images have it, `provider` of the image that the neighbour of each point got
            first, null for none; None where the points are all that there are. See `mlygeo.spatial.best.match`.

        Raises
        ------
        FrameError
            If ids are missing or no numbers, or `point_id` is not unique; or a column that is compared is missing.
        """
        from mlygeo.spatial import nearest

        headings = max_heading_difference is not None
        compared = _Compared.of(points, images, projection=projection, headings=headings)
        if preference is not None:
            found = _best(
                points, images, compared, preference, keyed=keyed, projection=projection, max_distance=max_distance,
                k=k, max_heading_difference=max_heading_difference, neighbours=neighbours,
            )  # fmt: skip
            difference = compared.difference(found.matches)
            return cls(points, compared.point_id, images, keyed, found.matches, difference, preference, found)
        matches = nearest.match(
            *points.lonlat, *images.lonlat, keyed.ranks, projection=projection, max_distance=max_distance,
            k=k, unique=unique, max_heading_difference=max_heading_difference, **vars(compared),
        )  # fmt: skip
        return cls(points, compared.point_id, images, keyed, matches, compared.difference(matches))

    @classmethod
    def of_part(
        cls,
        points: Points,
        images: Points,
        *,
        keyed: Keyed,
        projection: Projection | Zones,
        core: Flags,
        known: Bounds,
        elsewhere: Flags | None,
        max_distance: float,
        k: int,
        max_heading_difference: float | None,
    ) -> tuple[Self, PartOfPairs]:
        """
        Match images to the points of a part, each image to one point, as far as the part can know.

        Parameters
        ----------
        points, images, keyed, projection
            As in `of`; all points and images in `known`.
        core, known, elsewhere
            See `mlygeo.spatial.nearest.match_part`.
        max_distance, k, max_heading_difference
            Which images are near enough.

        Returns
        -------
        certain
            The pairs that are certain.
        part
            The same, and what is open.
        """
        from mlygeo.spatial import nearest

        compared = _Compared.of(points, images, projection=projection, headings=max_heading_difference is not None)
        part = nearest.match_part(
            *points.lonlat, *images.lonlat, keyed.ranks, core=core, known=known, projection=projection,
            max_distance=max_distance, k=k, max_heading_difference=max_heading_difference, elsewhere=elsewhere,
            **vars(compared),
        )  # fmt: skip
        found = cls(points, compared.point_id, images, keyed, part.matches, compared.difference(part.matches))
        return found, part

    @classmethod
    def of_best(  # noqa: PLR0917 - what `Matched` has
        cls, points: Points, ids: Whole, images: Points, keyed: Keyed, preference: Preference | None, best: Best
    ) -> Self:
        """
        Return the pairs that were found, without the angles between cameras and streets.

        Parameters
        ----------
        points, ids, images, keyed, preference, best
            As of the class.
        """
        unknown = np.full(len(best.matches), np.nan)
        return cls(points, ids, images, keyed, best.matches, unknown, preference, best)

    @cached_property
    def chosen_ids(self) -> Whole | pa.StringArray | pa.LargeStringArray:
        """The id of the image of each match."""
        return self.keyed.ids(self.matches.image_row)

    @cached_property
    def table(self) -> pa.Table:
        """The selection, sorted by point and rank: the columns of the frame, without geometry."""
        import pyarrow as pa

        leading: dict[str, Any] = {
            "point_id": self.point_ids[self.matches.point_row],
            "id": self.chosen_ids,
            "distance_m": self.matches.distance_m,
            "rank": self.matches.rank,
            "heading_difference": self.heading_difference,
            **self._preferred,
            **of_points(self.points, self.matches.point_row),
        }
        if replaced := [name for name in self.images.columns if name in leading and name not in OWN_COLUMNS]:
            log.warning("%s: the columns %s are those of the points", self.images.name, ", ".join(replaced))
        own = self._own
        return pa.table({**leading, **{name: own[name] for name in own.column_names if name not in leading}})

    @cached_property
    def _own(self) -> pa.Table:
        """The columns of the image of each match, read once: but for its id, and for names that a selection gives."""
        names = [name for name in self.images.columns if name != "id" and name not in OWN_COLUMNS]
        return self.images.take(self.matches.image_row, names)

    @property
    def added(self) -> set[str]:
        """Columns of the table that images may have too, and which are not theirs."""
        return {"score", *(self.best.told if self.best is not None else ())} & self._preferred.keys()

    @cached_property
    def _preferred(self) -> dict[str, Any]:
        """What is told of each match where others than the nearest image are preferred."""
        if self.best is None:
            return {}
        from mlygeo.parts import preferred

        found: dict[str, Any] = {}
        if self.preference is not None and self.preference.rule is not None:
            terms = self.best.terms | preferred.image_terms(self._own, self.preference)
            found["score"] = self.best.score
            found |= {f"term_{name}": terms[name] for name in frames.PREFERRED_BY if name in terms}
        if self.best.ahead_m is not None:
            found |= {"along_m": self.best.ahead_m, "across_m": self.best.right_m}
        return found | self.best.told

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Positions of the selected images, degrees."""
        lon, lat = self.images.lonlat
        return lon[self.matches.image_row], lat[self.matches.image_row]


@dataclass(frozen=True)
class _Compared:
    """What of points and images is compared beside their places, as `mlygeo.spatial.nearest.match` takes it."""

    point_id: Whole
    point_bearing: Floats | None
    image_heading: Floats | None
    image_is_pano: Flags | None
    point_xy: tuple[Floats, Floats] | None
    image_xy: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, points: Points, images: Points, *, projection: Projection | Zones, headings: bool) -> Self:
        """Return it of points and images; raise FrameError if `headings` count, and are not there."""
        from mlygeo.store.points import floats_of

        point_ids = ids_of_points(points)
        bearing = floats_of(points, "bearing") if "bearing" in points.columns else None
        heading = (
            floats_of(images, "compass_angle") if bearing is not None and "compass_angle" in images.columns else None
        )
        pano = None
        if headings:
            check_headings(points, images)
            pano = _panoramas(images) if "is_pano" in images.columns else None
        return cls(point_ids, bearing, heading, pano, planar(points, projection), planar(images, projection))

    def difference(self, matches: Matches) -> Floats:
        """Return the angle between camera and street of each match, degrees; NaN when unknown."""
        if self.point_bearing is None or self.image_heading is None:
            return np.full(len(matches.point_row), np.nan)
        return heading_difference(self.image_heading[matches.image_row], self.point_bearing[matches.point_row])


def _best(
    points: Points,
    images: Points,
    compared: _Compared,
    preference: Preference,
    *,
    keyed: Keyed,
    projection: Projection | Zones,
    max_distance: float | None,
    k: int,
    max_heading_difference: float | None,
    neighbours: pa.Table | None,
) -> Best:
    """Match the images that are preferred; see `mlygeo.spatial.best.match`."""
    from mlygeo.parts import preferred
    from mlygeo.spatial import best
    from mlygeo.store.points import floats_of, truths_of

    preferred.check_columns(preference, points.columns, images.columns, (points.name, images.name))
    terms = set() if preference.rule is None else set(preference.rule.weights)
    pano, heading = compared.image_is_pano, compared.image_heading
    if "heading" in terms:
        pano = truths_of(images, "is_pano")[0] if pano is None else pano
        heading = floats_of(images, "compass_angle") if heading is None else heading

    def numbered() -> tuple[Whole | Whole32 | None, Whole32 | None]:
        if "same_sequence" not in terms:
            return None, None
        return (
            (preferred.sequences(images), None)
            if neighbours is None
            else preferred.sequences_beside(images, neighbours)
        )

    with ThreadPoolExecutor(1) as pool:  # texts are numbered while terms are computed
        ahead = pool.submit(numbered)
        own = preferred.own_scores(images, preference, pano=pano)
        sequence, wanted = ahead.result()
    return best.match(
        *points.lonlat, *images.lonlat, keyed.ranks, preference=preference,
        compared=best.Compared(
            own, compared.point_bearing, heading, pano, sequence,
            None if preference.per is None else preferred.groups(images, preference.per),
        ),
        point_id=compared.point_id, point_xy=compared.point_xy, image_xy=compared.image_xy, projection=projection,
        max_distance=max_distance, k=k, max_heading_difference=max_heading_difference, wanted=wanted,
    )  # fmt: skip


def of_points(points: Points, rows: Whole) -> dict[str, Any]:
    """
    Return what a selection has of its points, by the names that it has there: their street, and how they were drawn.

    Parameters
    ----------
    points
        The points.
    rows
        The point of each row of the selection.
    """
    return {frames.OF_POINTS.get(name, name): as_carried(points, name, rows) for name in carried(points)}


def carried(points: Points) -> list[str]:
    """Return which columns of points a selection carries; see `mlygeo.schemas.OF_POINTS` and `SAMPLED`."""
    street = [name for name in frames.OF_POINTS if name in points.columns and _is_carried(points, name)]
    return street + schemas.sampled(points.columns)


def _is_carried(points: Points, name: str) -> bool:
    import pyarrow as pa

    if name == "bearing":
        return True
    kind = points.arrow(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_null)
    )


def as_carried(points: Points, name: str, rows: Whole | None = None) -> pa.Array | pa.ChunkedArray:
    """
    Return a column of points as a selection carries it: text, or float64, NaN where there is no number.

    Parameters
    ----------
    points
        The points.
    name
        One of the columns that `carried` returns.
    rows
        Which of them; None for all.

    Raises
    ------
    FrameError
        If a column of numbers has other values.
    """
    import pyarrow as pa

    from mlygeo.store.points import floats_of, in_plain

    if schemas.STREET_POINTS.dtype(name) == "float64":
        numbers = floats_of(points, name)
        return pa.array(numbers if rows is None else numbers[rows])
    values = points.arrow(name) if rows is None else points.take(rows, [name])[name]
    return in_plain(values).cast(pa.string())


def ids_of_points(points: Points) -> Whole:
    """
    Return the ids of points, int64: their `point_id`, or their numbers from 0.

    Raises
    ------
    FrameError
        If ids are no whole numbers, or not unique.
    """
    from mlygeo.store.points import ids_of

    found = ids_of(points, "point_id") if "point_id" in points.columns else np.arange(len(points))
    if distinct(found) < len(found):
        raise repeated_ids(points.name)
    return found


def repeated_ids(name: str) -> FrameError:
    """Return the error for points whose ids are not unique."""
    return FrameError(f"{name}: column 'point_id' holds some ids twice")


class Named(Protocol):
    """Points by their name and columns."""

    @property
    def name(self) -> str:
        """What messages call them."""

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""


def check_headings(points: Named, images: Named) -> None:
    """Raise FrameError unless points and images have the columns that `max_heading_difference` compares."""
    for known, column in ((points, "bearing"), (images, "compass_angle")):
        if column not in known.columns:
            raise FrameError(f"{known.name} has no column '{column}', which `max_heading_difference` compares")


def planar(points: Points, projection: Projection | Zones) -> tuple[Floats, Floats] | None:
    """Return the coordinates of points that came in the CRS to measure in; None where they came in another."""
    whole = points
    while (inner := getattr(whole, "points", None)) is not None:  # of coordinates in degrees, none needs to be picked
        whole = inner
    return points.native[:2] if projection.is_of(whole.native[2]) else None


def frame_of(table: pa.Table, lonlat: tuple[Floats, Floats], *, attrs: dict[str, Any]) -> gpd.GeoDataFrame:
    """
    Return the selection frame of a table as `Matched.table` makes it.

    Parameters
    ----------
    table
        A row a pair.
    lonlat
        Positions of the images, degrees.
    attrs
        The frame's attributes.
    """
    import pyarrow as pa

    selection = frames.placed(table, *lonlat, frames.SELECTION)
    schema = frames.IMAGES if pa.types.is_integer(table.schema.field("id").type) else frames.IMAGES.of_any_provider
    known = {
        name: dtypes.cast(selection[name], dtype)
        for name in selection.columns
        if name not in OWN_COLUMNS and (dtype := schema.dtype(str(name)))
    }
    selection = selection.assign(**known)
    selection.attrs = attrs
    return selection


def _panoramas(images: Points) -> Flags:
    """Return which images are panoramas; of others, and of those of unknown kind, the headings count."""
    from mlygeo.store.points import truths_of

    pano, known = truths_of(images, "is_pano")
    if unknown := int((~known).sum()):
        log.warning("%s: %s, whose headings count", images.name, f"{counted(unknown, 'image')} of unknown kind")
    return pano
