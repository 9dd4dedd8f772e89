"""
The best images of points by a rule, within limits along and across the street, or some for each group of images.

`match` is the counterpart of `mlygeo.spatial.nearest.match`. All that decides about a point lies within the largest
distance from it, but for the term `same_sequence`, which looks at the image of the neighbour.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import numbered, within_runs
from mlygeo.errors import InputError
from mlygeo.kernels import kernel
from mlygeo.progress import working
from mlygeo.spatial import candidates, knn, nearest
from mlygeo.spatial.candidates import Both, StripTest
from mlygeo.spatial.nearest import Matches
from mlygeo.spatial.scores import Rule, Scoring, along_street, decay, is_wanted

if TYPE_CHECKING:
    from mlygeo.arrays import Bytes, Flags, Floats, Rows, Whole, Whole32
    from mlygeo.spatial.grid import PairTest
    from mlygeo.spatial.planes import InPlane
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones

GROUPS = {"year": "captured_at", "month": "captured_at", "sequence": "sequence_id", "creator": "creator_id"}
"""What images are counted by, and the column that tells it."""


@dataclass(frozen=True)
class Preference:
    """
    What is preferred to the nearest image.

    Parameters
    ----------
    rule
        The weights of terms; None for the nearest first.
    as_of_us
        The date from which ages count, microseconds since 1970; needed where ages have a weight.
    max_along, max_across
        Largest distances along the street and across it, metres, both ways and inclusive; None for none.
    per
        What images are counted by; None for all of them. One of `GROUPS`.
    """

    rule: Rule | None = None
    as_of_us: int | None = None
    max_along: float | None = None
    max_across: float | None = None
    per: str | None = None

    def __post_init__(self) -> None:
        """Raise InputError for what makes no sense."""
        for name in ("max_along", "max_across"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InputError(f"`{name}` must be 0 metres or more, not {value}")
        if self.per is not None and self.per not in GROUPS:
            raise InputError(f"`per` is one of {', '.join(GROUPS)}, not {self.per!r}")

    @property
    def is_narrow(self) -> bool:
        """Whether there is a limit along or across the street."""
        return self.max_along is not None or self.max_across is not None

    @property
    def needs_bearings(self) -> bool:
        """Whether points need a bearing."""
        return bool(self.along_streets)

    @property
    def along_streets(self) -> list[str]:
        """What of it needs the direction of the street, for messages."""
        found = [f"`{name}`" for name in ("max_along", "max_across") if getattr(self, name) is not None]
        weighs = self.rule is not None and "heading" in self.rule.weights
        return [*found, *["the term 'heading' of the weights in `prefer`"] * weighs]

    @property
    def columns(self) -> list[str]:
        """The columns that images need."""
        found = [] if self.rule is None else self.rule.columns
        return found if self.per is None else [*dict.fromkeys([*found, GROUPS[self.per]])]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "rule": None if self.rule is None else self.rule.as_json()}

    @classmethod
    def of_json(cls, given: dict[str, Any]) -> Preference:
        """Return it of what `as_json` returned."""
        return cls(**{**given, "rule": None if given["rule"] is None else Rule.of_json(given["rule"])})


@dataclass(frozen=True)
class Compared:
    """
    What of points and images is compared beside their places; arrays of their lengths.

    Parameters
    ----------
    own
        What the terms of each image alone add to its score, over the sum of all weights; None where they have none.
    bearing, heading, pano
        Bearings of streets at points and headings of images, degrees, NaN where unknown; whether images are panoramas.
    sequence
        Number of the sequence of each image, -1 for none.
    group
        Number of the group of each image that is counted by itself; images of -1 are left out.
    """

    own: Floats | None = None
    bearing: Floats | None = None
    heading: Floats | None = None
    pano: Flags | None = None
    sequence: Whole | Whole32 | None = None
    group: Whole | Whole32 | None = None


@dataclass(frozen=True)
class Best:
    """
    Pairs of points and images, sorted by point row and rank, and what is told of each.

    Parameters
    ----------
    matches
        The pairs; of rank 1 is the image that comes first.
    score
        Between 0 and 1; None without a rule.
    terms
        Those terms of a pair that have a weight, unweighted: `distance`, `heading`, `same_sequence`.
    ahead_m, right_m
        How far the image is ahead of the point along the street, and to the right of it, metres; None without limits.
    told
        More that is told of each pair, by column.
    """

    matches: Matches
    score: Floats | None = None
    terms: dict[str, Floats] = field(default_factory=dict)
    ahead_m: Floats | None = None
    right_m: Floats | None = None
    told: dict[str, Floats] = field(default_factory=dict)


@working("searching the best images")
def match(
    point_lon: Floats,
    point_lat: Floats,
    image_lon: Floats,
    image_lat: Floats,
    key_rank: Rows,
    *,
    projection: Projection | Zones,
    k: int = 1,
    max_heading_difference: float | None = None,
    point_xy: tuple[Floats, Floats] | None = None,
    image_xy: tuple[Floats, Floats] | None = None,
    preference: Preference,
    compared: Compared,
    max_distance: float | None = nearest.MAX_DISTANCE_M,
    point_id: Rows | None = None,
    wanted: Whole32 | None = None,
    compiled: bool | None = None,
) -> Best:
    """
    Match points with the images that are preferred for them.

    Images come in the order of their scores, those of the same score in that of distances, then of keys. With groups,
    `k` images of each group are taken, and ranks go through all of them in that order. An id that is in several rows
    counts once for a point, where it comes first.

    With the term `same_sequence`, images are chosen twice: first without the term; then the term is 1 for the images
    of the sequence of that image which the nearest other point (ties: lowest id) got first. The term takes nothing
    from an image, so that of all others only those of that sequence can come before what was chosen first. Where
    points are a part of others, `wanted` tells what their neighbours got.

    Parameters
    ----------
    point_lon, point_lat, image_lon, image_lat, key_rank, projection, k, max_heading_difference, point_xy, image_xy
        As in `mlygeo.spatial.nearest.match`.
    preference
        What is preferred.
    compared
        What is compared.
    max_distance
        Metres, inclusive.
    point_id
        Settles ties between neighbours; their row by default.
    wanted
        Number of the sequence of the image that the neighbour of each point got first, -1 for none; None to find it
        out from these points.
    compiled
        As there; with groups NumPy alone.

    Raises
    ------
    InputError
        If there is no largest distance, or another option makes no sense.
    """
    nearest.check_options(max_distance=max_distance, k=k, max_heading_difference=max_heading_difference)
    limit = np.inf if max_distance is None else float(max_distance)
    if not np.isfinite(limit):
        raise InputError("the best images need a `max_distance`", hint="without one, all images would be compared")
    points, images = (
        (np.ascontiguousarray(lon, dtype=np.float64), np.ascontiguousarray(lat, dtype=np.float64))
        for lon, lat in ((point_lon, point_lat), (image_lon, image_lat))
    )
    key_rank = np.ascontiguousarray(key_rank, dtype=np.int64)
    known = _filled(compared, len(points[0]), len(key_rank))
    k = min(operator.index(k), max(len(key_rank), 1))
    tested = nearest.heading_test(
        max_heading_difference, known.bearing, known.heading, known.pano,
        points=len(points[0]), images=len(key_rank),
    )  # fmt: skip
    planes = nearest.planes_of(
        points, images, key_rank, projection=projection, limit=limit, tested=tested, point_xy=point_xy,
        image_xy=image_xy, compiled=compiled,
    )  # fmt: skip
    unit_m = nearest.unit_of(projection, point_xy, image_xy)
    parts = [_InPlane.of(plane, points, preference, known, unit_m) for plane in planes]
    nobody, first = np.full(len(points[0]), -1, dtype=np.int32), None
    close = np.zeros(len(points[0]), dtype=np.uint8)
    if preference.rule is not None and "same_sequence" in preference.rule.weights and len(key_rank):
        if point_id is None:
            point_id = np.arange(len(points[0]))
        first = _gathered([part.pairs(1, nobody, close=close) for part in parts])
        if wanted is None:
            wanted = _wanted(first, known.sequence, _neighbours(points, point_id, projection, point_xy))
    wanted = nobody if wanted is None else wanted
    if first is not None and k == 1 and not (wanted >= 0).any():
        point, image, square, score = first
    elif first is None or k > 1 or known.group is not None:
        point, image, square, score = _gathered([part.pairs(k, wanted) for part in parts])
    else:
        point, image, square, score = _gathered([part.pairs_again(first, wanted, close) for part in parts])
    rank = within_runs(point) + 1
    distance_m = np.sqrt(square) * unit_m
    found = Best(Matches(point, image, distance_m, rank))
    if preference.rule is not None:
        terms = _terms(preference.rule, found.matches, known, wanted)
        found = replace(found, score=score, terms=terms)
    if preference.is_narrow:
        offsets = np.full((2, len(point)), np.nan)
        for part in parts:
            part.fill_offsets(point, image, offsets)
        found = replace(found, ahead_m=offsets[0] * unit_m, right_m=offsets[1] * unit_m)
    return found


_NO_PAIRS = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)

Pairs = tuple["Rows", "Rows", "Floats", "Floats"]
"""Rows of points and images, squared distances, and scores."""


def _nothing(points: int, k: int) -> tuple[Floats, Floats, Rows]:
    """Return scores, squared distances and rows of images of which none is found yet, shape (points, k)."""
    return np.full((points, k), -1.0), np.full((points, k), np.inf), np.full((points, k), -1, dtype=np.int64)


class _Filled(NamedTuple):
    """What is compared, arrays throughout."""

    own: Floats
    bearing: Floats
    heading: Floats
    pano: Flags
    sequence: Whole32
    group: Whole | None


def _filled(compared: Compared, points: int, images: int) -> _Filled:
    """Return arrays throughout: of what is not known, arrays that say so."""
    return _Filled(
        np.zeros(images) if compared.own is None else np.ascontiguousarray(compared.own, dtype=np.float64),
        nearest.known_degrees(compared.bearing, points),
        nearest.known_degrees(compared.heading, images),
        np.zeros(images, dtype=bool) if compared.pano is None else np.ascontiguousarray(compared.pano, dtype=bool),
        np.full(images, -1, dtype=np.int32) if compared.sequence is None else small(compared.sequence),
        None if compared.group is None else np.ascontiguousarray(compared.group, dtype=np.int64),
    )


def small(numbers: Whole | Whole32) -> Whole32:
    """Return numbers of sequences in half the memory; those below 0 are -1."""
    if numbers.dtype != np.int32 and len(numbers) and numbers.max() > np.iinfo(np.int32).max:
        numbers = np.where(numbers < 0, -1, np.unique(numbers, return_inverse=True)[1])
    return np.ascontiguousarray(numbers, dtype=np.int32)


@dataclass(frozen=True)
class _InPlane:
    """Points and images in one plane, and what is compared of them there."""

    plane: InPlane
    strip: StripTest | None
    scoring: Scoring
    group: Whole | None

    @classmethod
    def of(
        cls, plane: InPlane, points: tuple[Floats, Floats], preference: Preference, compared: _Filled, unit_m: float
    ) -> _InPlane:
        """Return it of points and images in a plane, and of what is compared of all."""
        strip = None
        if preference.is_narrow:
            lon, lat = (plane.of_points(values) for values in points)
            east, north = candidates.directions(lon, lat, plane.of_points(compared.bearing), plane.projection)
            along, across = (
                np.inf if most is None else most / unit_m for most in (preference.max_along, preference.max_across)
            )
            strip = StripTest(plane.points, plane.images, east, north, along, across)
        none, number, rule = np.empty(0), np.empty(0, dtype=np.int32), preference.rule
        shares = {} if rule is None else rule.shares
        by_heading, by_sequence = shares.get("heading", 0.0), shares.get("same_sequence", 0.0)
        scoring = Scoring(
            plane.of_images(compared.own), shares.get("distance", 0.0), by_heading, by_sequence,
            1.0 if rule is None else rule.distance_m / unit_m,
            plane.of_points(compared.bearing) if by_heading else none,
            plane.of_images(compared.heading) if by_heading else none,
            plane.of_images(compared.pano) if by_heading else np.empty(0, dtype=bool),
            number, plane.of_images(compared.sequence) if by_sequence else number,
        )  # fmt: skip
        group = compared.group
        return cls(plane, strip, scoring, None if group is None else plane.of_images(group))

    @property
    def test(self) -> PairTest | None:
        """Which pairs count."""
        if self.strip is None:
            return self.plane.test
        return self.strip if self.plane.test is None else Both(self.plane.test, self.strip)

    def pairs(self, k: int, wanted: Whole32, *, close: Bytes | None = None) -> Pairs:
        """
        Return the pairs of k images each, by rows among all, in the order of points and ranks.

        With one image each, `close` is set to 1 for points, among all, where another one may come as near to it as
        rounding reaches.
        """
        scoring = self._scoring(wanted)
        told = None if close is None else np.zeros(len(self.plane.points[0]), dtype=np.uint8)
        if self.group is not None:
            point, image, square, score = self._of_groups(k, scoring, self.group)
        else:
            point, image, score = knn.each_id_once(
                lambda ask, only: self._search(only, scoring, _nothing(len(self.plane.points[0]), ask), close=told),
                self.plane.key_rank, k,
            )  # fmt: skip
            square = self._squares(point, image)
        if close is not None and told is not None:
            close[self.plane.points_among_all(np.arange(len(told)))] = told
        return self.plane.points_among_all(point), self.plane.images_among_all(image), square, score

    def pairs_again(self, first: Pairs, wanted: Whole32, close: Bytes) -> Pairs:
        """
        Return the pairs of an image each, of those and the images of the sequences that are wanted.

        Where the image is of that sequence, and no other one is close, it stays: no term can bring another before it.
        """
        scoring = self._scoring(wanted)
        _, point, image = self._here(first[0], first[1])
        found = scores, squares, rows = _nothing(len(self.plane.points[0]), 1)
        squares[point, 0], rows[point, 0] = self._squares(point, image), image
        scores[point, 0] = scoring(point, image, squares[point, 0])
        if scoring.same_sequence:
            want = scoring.wanted[point]
            open_ = (want >= 0) & ((scoring.sequence[image] != want) | (self.plane.of_points(close)[point] > 0))
            self._search(point[open_], scoring, found, again=True)
        point = np.flatnonzero(rows[:, 0] >= 0)
        image, score = rows[point, 0], scores[point, 0]
        square = self._squares(point, image)
        return self.plane.points_among_all(point), self.plane.images_among_all(image), square, score

    def _scoring(self, wanted: Whole32) -> Scoring:
        """Return how pairs are scored, where it is known which sequences are wanted; before, the term has no weight."""
        if not self.scoring.same_sequence:
            return self.scoring
        weight = self.scoring.same_sequence if (wanted >= 0).any() else 0.0
        return replace(self.scoring, wanted=self.plane.of_points(wanted), same_sequence=weight)

    def _here(self, point: Rows, image: Rows) -> tuple[Rows, Rows, Rows]:
        """Return which pairs are of points in this plane, and the rows of their points and images here."""
        here = np.arange(len(point))
        if self.plane.point_rows is not None:
            here = np.flatnonzero(np.isin(point, self.plane.point_rows))
        images = image[here]
        if self.plane.image_rows is not None:
            images = np.searchsorted(self.plane.image_rows, images)
        return here, self.plane.points_here(point[here]), images

    def fill_offsets(self, point: Rows, image: Rows, offsets: Floats) -> None:
        """Fill in how far images are ahead of their points and to the right of them, of the pairs that are here."""
        if self.strip is None:
            return
        here, points, images = self._here(point, image)
        offsets[:, here] = self.strip.offsets(points, images)

    def _squares(self, point: Rows, image: Rows) -> Floats:
        dx, dy = (of[image] - at[point] for at, of in zip(self.plane.points, self.plane.images, strict=True))
        square: Floats = dx * dx + dy * dy
        return square

    def _search(
        self,
        only: Rows | None,
        scoring: Scoring,
        found: tuple[Floats, Floats, Rows],
        *,
        again: bool = False,
        close: Bytes | None = None,
    ) -> tuple[Floats, Rows]:
        """
        Return scores and rows of the k best images of points, shape (points, k).

        They are filled into what was found, scores, squared distances and rows. To search again is to look at images
        of the sequences that are wanted, which may come before what was found; all `only` have an image then.
        """
        plane = self.plane
        scores, squares, rows = found
        k = rows.shape[1]
        code = kernel("mlygeo.spatial.best_numba", len(plane.key_rank) * knn.SAVED_S, compiled=plane.compiled)
        if code is None:

            def keep(point: Rows, image: Rows, square: Floats) -> None:
                if again:
                    same = scoring.sequence[image] == scoring.wanted[point]
                    own = np.unique(point[same])
                    point, image = np.append(point[same], own), np.append(image[same], rows[own, 0])
                    square = np.append(square[same], squares[own, 0])
                score = scoring(point, image, square)
                order = np.lexsort((image, plane.key_rank[image], square, -score, point))
                point = point[order]
                rank = within_runs(point)
                best = rank < k
                at = point[best], rank[best]
                scores[at], rows[at] = score[order[best]], image[order[best]]

            if close is not None:
                close[:] = 1
            candidates.each_block(plane.points, plane.images, radius=plane.limit, test=self.test, work=keep, only=only)
            return scores, rows
        options = {"limit_square": knn.largest_square(plane.limit), "heading": plane.test, "strip": self.strip}
        todo, chosen = knn.usable(plane.points, plane.images, only)
        if not len(todo) or not (len(plane.key_rank) if chosen is None else len(chosen)):
            return scores, rows
        if again:
            code.search_again(
                plane.points, plane.images, plane.key_rank, only=todo, scoring=scoring, scores=scores[:, 0],
                squares=squares[:, 0], rows=rows[:, 0], **options,
            )  # fmt: skip
            return scores, rows
        some = knn.batches(plane.images) if chosen is None else [(0, plane.images)]
        for first, images in some:
            for own, near, box in knn.divided(plane.points, images, todo, chosen, limit=plane.limit):
                code.search(
                    plane.points, images, plane.key_rank, only=own, chosen=near, box=box, scoring=scoring,
                    scores=scores, squares=squares, rows=rows, first=first, close=close, **options,
                )  # fmt: skip
        return scores, rows

    def _of_groups(self, k: int, scoring: Scoring, group: Whole) -> Pairs:
        """Return the pairs of the k best images of each group for each point, in the order of points and scores."""
        plane = self.plane
        found: list[Pairs] = []

        def keep(point: Rows, image: Rows, square: Floats) -> None:
            known = group[image] >= 0
            point, image, square = point[known], image[known], square[known]
            score = scoring(point, image, square)
            rank = plane.key_rank[image]
            order = np.lexsort((image, rank, square, -score, point))
            # Of an id in several rows the first counts.
            order = order[knn.firsts(point[order], rank[order])]
            order = order[np.lexsort((np.arange(len(order)), group[image[order]], point[order]))]
            own = group[image[order]]
            starts = np.flatnonzero(
                np.diff(point[order], prepend=-1).astype(bool) | np.diff(own, prepend=-1).astype(bool)
            )
            order = order[numbered(np.diff(starts, append=len(order))) < k]
            found.append((point[order], image[order], square[order], score[order]))

        candidates.each_block(plane.points, plane.images, radius=plane.limit, test=self.test, work=keep)
        point, image, square, score = (np.concatenate(values) for values in zip(_NO_PAIRS, *found, strict=True))
        order = np.lexsort((image, plane.key_rank[image], square, -score, point))
        return point[order], image[order], square[order], score[order]


def _gathered(parts: list[Pairs]) -> Pairs:
    """Return the pairs of all planes, in the order of points and ranks."""
    if len(parts) == 1:
        return parts[0]
    point, image, square, score = (np.concatenate(values) for values in zip(_NO_PAIRS, *parts, strict=True))
    order = np.argsort(point, kind="stable")
    return point[order], image[order], square[order], score[order]


def _neighbours(
    points: tuple[Floats, Floats], point_id: Rows, projection: Projection | Zones, xy: tuple[Floats, Floats] | None
) -> Rows:
    """Return the row of the nearest other point of each, of those at the same distance that of the lowest id; -1."""
    place = nearest.places(point_id)
    pairs = nearest.match(
        *points, *points, place, projection=projection, max_distance=None, k=2, point_xy=xy, image_xy=xy
    )
    others = pairs.point_row != pairs.image_row
    point, other = pairs.point_row[others], pairs.image_row[others]
    first = np.diff(point, prepend=-1) > 0
    neighbour = np.full(len(point_id), -1, dtype=np.int64)
    neighbour[point[first]] = other[first]
    return neighbour


def _wanted(first: Pairs, sequence: Whole32, neighbour: Rows) -> Whole32:
    """Return the number of the sequence of the image that the neighbour of each point got; -1 for none."""
    of_point = np.full(len(neighbour), -1, dtype=np.int32)
    # With groups a point has several pairs, of which the first counts.
    best = np.flatnonzero(np.diff(first[0], prepend=-1))
    of_point[first[0][best]] = sequence[first[1][best]]
    of_point = of_point[np.maximum(neighbour, 0)] if len(neighbour) else of_point
    of_point[neighbour < 0] = -1
    return of_point


def _terms(rule: Rule, matches: Matches, compared: _Filled, wanted: Whole32) -> dict[str, Floats]:
    """Return the terms of pairs that have a weight."""
    point, image = matches.point_row, matches.image_row
    found = {}
    if "distance" in rule.weights:
        found["distance"] = decay(matches.distance_m / rule.distance_m)
    if "heading" in rule.weights:
        found["heading"] = along_street(compared.heading[image], compared.bearing[point], compared.pano[image])
    if "same_sequence" in rule.weights:
        found["same_sequence"] = is_wanted(wanted[point], compared.sequence[image])
    return found
