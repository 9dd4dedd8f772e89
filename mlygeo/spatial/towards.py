"""
The images that look at things: points, lines or footprints within the field of view of a camera.

What a camera looks at of a footprint is the nearest place on its outline, so the wall that faces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.degrees import off_axis
from mlygeo.errors import FrameError, InputError
from mlygeo.progress import working
from mlygeo.spatial import areas, candidates, geodesy, knn
from mlygeo.spatial.best import Best
from mlygeo.spatial.nearest import Matches
from mlygeo.spatial.scores import decay
from mlygeo.spatial.zones import Zones

if TYPE_CHECKING:
    from mlygeo.arrays import Floats, Objects, Rows
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.scores import Rule


@dataclass(frozen=True)
class Looking:
    """
    Which images look at a thing.

    Parameters
    ----------
    min_distance, max_distance
        Least and largest distance from the camera to the nearest place of the thing, metres, inclusive.
    apart
        Least angle between the directions in which two images look at a thing, degrees from 0 to 180; None for none.
    """

    min_distance: float | None
    max_distance: float
    apart: float | None

    def __post_init__(self) -> None:
        """Raise InputError for what makes no sense."""
        least = self.min_distance
        if least is not None and not 0 <= least <= self.max_distance:
            raise InputError(
                f"`min_distance` must lie between 0 and the largest distance, {self.max_distance:g} metres, not {least}"
            )
        if self.apart is not None and not 0 <= self.apart <= 180:
            raise InputError(f"`apart` must lie between 0 and 180 degrees, not {self.apart}")


@dataclass(frozen=True)
class Cameras:
    """
    Where images look; arrays of one length.

    Parameters
    ----------
    heading
        Degrees clockwise from true north; NaN where unknown.
    angle
        Horizontal field of view, degrees; NaN where unknown. 360 for panoramas, which look every way.
    own
        What the terms of each image alone add to its score, over the sum of all weights.
    """

    heading: Floats
    angle: Floats
    own: Floats


@working("searching the images that look at things")
def match(
    things: Objects,
    image_lon: Floats,
    image_lat: Floats,
    key_rank: Rows,
    *,
    projection: Projection | Zones,
    looking: Looking,
    cameras: Cameras,
    rule: Rule | None = None,
    k: int = 1,
) -> Best:
    """
    Match things with the images that look at them.

    A flat image looks at a thing if the angle between its heading and the bearing to the nearest place of the thing
    is at most half of its field of view; a panorama always does. An image in a footprint looks at none of its walls,
    and one at the place of a thing not at it. What stands between camera and thing is not known.

    The nearest image comes first, or the one with the highest score; ties go to the nearest, then to the lowest key.
    With `apart`, each further image is the next in that order that looks from another direction than all before.

    Parameters
    ----------
    things
        Shapely geometries in degrees (WGS 84): points, lines or polygons, and collections of one of them. Missing and
        empty ones have no image.
    image_lon, image_lat, key_rank
        As in `mlygeo.spatial.nearest.match`.
    projection
        The plane that distances are measured in, or the UTM zone of the middle of each thing.
    looking
        Which images look at a thing.
    cameras
        Where images look.
    rule
        Weights of terms, without `same_sequence`; None for the nearest first.
    k
        Number of images for each thing.

    Returns
    -------
    best
        Pairs, as of `mlygeo.spatial.best.match`; `told` has `target_bearing` (degrees, from the image to the nearest
        place of the thing), `off_axis` (the angle between that and the heading, degrees from 0 to 180; NaN when
        unknown), `view_angle` (the field of view, degrees), and `target_lon` and `target_lat` (that place).

    Raises
    ------
    FrameError
        If a geometry is a collection of different kinds.
    """
    import shapely

    image_lon, image_lat = (np.ascontiguousarray(values, dtype=np.float64) for values in (image_lon, image_lat))
    search = _Search(image_lon, image_lat, np.asarray(key_rank), looking, cameras, rule, k)
    kinds = shapely.get_type_id(things)
    if (kinds == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        row = int(np.flatnonzero(kinds == shapely.GeometryType.GEOMETRYCOLLECTION)[0])
        raise FrameError(f"row {row} is a collection of geometries of different kinds", hint="take it apart")
    lon, lat = middles(things)
    found = [search.nothing]
    here: list[tuple[Projection, Rows]]
    here = projection.planes(lon, lat) if isinstance(projection, Zones) else [(projection, np.arange(len(lon)))]
    for one, rows in here:
        found += [
            {**pairs, "point": rows[pairs["point"].astype(np.int64)]} for pairs in search.within(things[rows], one)
        ]
    pairs = {name: np.concatenate([each[name] for each in found]) for name in search.nothing}
    point = pairs.pop("point").astype(np.int64)
    order = np.lexsort((pairs["rank"], point))
    pairs, point = {name: values[order] for name, values in pairs.items()}, point[order]
    image, rank = pairs.pop("image").astype(np.int64), pairs.pop("rank").astype(np.int64)
    distance_m, score = pairs.pop("distance_m"), pairs.pop("score")
    matches = Matches(point, image, distance_m, rank)
    if rule is None:
        return Best(matches, told=pairs)
    terms = {}
    if "distance" in rule.weights:
        terms["distance"] = decay(distance_m / rule.distance_m)
    if "heading" in rule.weights:
        terms["heading"] = _facing(pairs["off_axis"], pairs["view_angle"])
    return Best(matches, score, terms, told=pairs)


def middles(things: Objects) -> tuple[Floats, Floats]:
    """Return the middle of the box of each thing, in its unit; NaN where there is none."""
    import shapely

    west, south, east, north = shapely.bounds(things).T
    return (west + east) / 2, (south + north) / 2


@dataclass(frozen=True)
class _Search:
    lon: Floats
    lat: Floats
    key_rank: Rows
    looking: Looking
    cameras: Cameras
    rule: Rule | None
    k: int

    @property
    def nothing(self) -> dict[str, Any]:
        """What is told of no pairs."""
        names = ("point", "image", "rank", "distance_m", "score", "target_bearing", "off_axis", "view_angle")
        return {name: np.empty(0) for name in (*names, "target_lon", "target_lat")}

    def within(self, things: Objects, projection: Projection) -> list[dict[str, Any]]:
        """Return the pairs of things, by their rows here, block by block."""
        import shapely

        west, south, east, north = shapely.bounds(things).T
        known = np.isfinite(west)
        box = areas.bounds(np.concatenate([west[known], east[known]]), np.concatenate([south[known], north[known]]))
        if box is None:
            return []
        reach = projection.reach(box, self.looking.max_distance)
        near = np.arange(len(self.lon))
        if reach is not None:
            near = np.flatnonzero(areas.inside(self.lon, self.lat, reach))
        images = projection.forward(self.lon[near], self.lat[near])
        planar = shapely.transform(things, lambda xy: np.column_stack(projection.forward(xy[:, 0], xy[:, 1])))
        left, low, right, high = shapely.bounds(planar).T
        radius = self.looking.max_distance + np.where(known, np.hypot(right - left, high - low) / 2, 0.0) + 1e-3
        outlines = np.where(shapely.get_dimensions(planar) == 2, shapely.boundary(planar), planar)
        found: list[dict[str, Any]] = []

        def look(point: Rows, image: Rows, _: Floats) -> None:
            x, y = images[0][image], images[1][image]
            lines = shapely.shortest_line(shapely.points(x, y), outlines[point])
            there = shapely.get_coordinates(lines).reshape(-1, 2, 2)[:, 1]
            dx, dy = there[:, 0] - x, there[:, 1] - y
            distance = np.sqrt(dx * dx + dy * dy)
            least = self.looking.min_distance or 0.0
            keep = (distance <= self.looking.max_distance) & (distance >= least) & (distance > 0)
            keep &= ~((shapely.get_dimensions(planar[point]) == 2) & shapely.intersects_xy(planar[point], x, y))
            chosen = np.flatnonzero(keep)
            if not len(chosen):
                return
            lon, lat = projection.inverse(there[chosen, 0], there[chosen, 1])
            row = near[image[chosen]]
            bearing = geodesy.bearing(self.lon[row], self.lat[row], lon, lat)
            off, angle = off_axis(self.cameras.heading[row], bearing), self.cameras.angle[row]
            sees = (angle >= 360) | (off <= angle / 2)
            pairs = {
                "point": point[chosen], "image": row, "distance_m": distance[chosen], "target_bearing": bearing,
                "off_axis": off, "view_angle": angle, "target_lon": lon, "target_lat": lat,
            }  # fmt: skip
            found.append(self._first({name: values[sees] for name, values in pairs.items()}))

        candidates.each_block(middles(planar), images, radius=radius, test=None, work=look)
        return found

    def _first(self, pairs: dict[str, Any]) -> dict[str, Any]:
        """Return the images of each thing that come first, from different directions."""
        point, image = pairs["point"].astype(np.int64), pairs["image"].astype(np.int64)
        score = self._scores(pairs, image)
        rank = self.key_rank[image]
        order = np.lexsort((image, rank, pairs["distance_m"], -score, point))
        # Of an id in several rows the first counts.
        order = order[knn.firsts(point[order], rank[order])]
        chosen, number = [], []
        apart = self.looking.apart
        for place in range(1, self.k + 1):
            if not len(order):
                break
            owner = point[order]
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            first = order[starts]
            chosen.append(first)
            number.append(np.full(len(first), place))
            left = np.ones(len(order), dtype=bool)
            left[starts] = False
            if apart is not None:
                of_first = np.repeat(pairs["target_bearing"][first], np.diff(starts, append=len(order)))
                left &= off_axis(pairs["target_bearing"][order], of_first) >= apart
            order = order[left]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
        ranks = np.concatenate([np.empty(0), *number])
        return {**{name: values[rows] for name, values in pairs.items()}, "score": score[rows], "rank": ranks}

    def _scores(self, pairs: dict[str, Any], image: Rows) -> Floats:
        shares = {} if self.rule is None else self.rule.shares
        total = np.zeros(len(image))
        if self.rule is not None and "distance" in shares:
            total += shares["distance"] * decay(pairs["distance_m"] / self.rule.distance_m)
        if "heading" in shares:
            total += shares["heading"] * _facing(pairs["off_axis"], pairs["view_angle"])
        return total + self.cameras.own[image]


def _facing(off: Floats, angle: Floats) -> Floats:
    """Return the term `heading` of pairs: 1 - h / 180, and 1 for panoramas."""
    facing: Floats = np.where(angle >= 360, 1.0, np.where(np.isnan(off), 0.0, 1.0 - off / 180.0))
    return facing
