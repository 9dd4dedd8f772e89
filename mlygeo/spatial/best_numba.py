"""
The images of the highest scores near points, compiled with Numba: cells are searched ring by ring, from the nearest.

A cell is left out where even its best image, at the least distance of its ring, could not come before those found;
so few of the images within the limit are compared. Scores are those of `mlygeo.spatial.scores.Scoring`, computed by
the same operations in the same order, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads, workers
from mlygeo.compiled import Library
from mlygeo.kernels import given
from mlygeo.spatial import grid_numba
from mlygeo.spatial.grid import SLACK, Box
from mlygeo.spatial.scores import (
    INVERSE_LN2,
    LN2_HIGH,
    LN2_LOW,
    MOST_EXPONENT,
    POWERS,
    SERIES,
    UNKNOWN_TIME,
    Scoring,
    decay,
)

if TYPE_CHECKING:
    from mlygeo.arrays import Floats, Rows, Whole, Whole32
    from mlygeo.spatial.candidates import StripTest
    from mlygeo.spatial.grid import HeadingTest

CODE = Library(__file__)

ROUNDING = 1e-9
"""More than what rounding adds to a score, which is at most 1: bounds are higher by this much."""

RINGS = 2048
"""Parts of the largest distance, for each of which the most that a pair can add to a score is known."""

STEPS = 250.0
"""Steps of what images add to their scores, rounded up to a byte: so many more stay in the caches."""

_POWERS = given(POWERS)


@CODE.function("f8", "f8[:]", returns="f8")
def _decay(x: float, powers: Any) -> Any:
    """Return exp(-x), with the powers of a half; see `mlygeo.spatial.scores.decay`."""
    if not x <= MOST_EXPONENT:
        return 0.0 if x > MOST_EXPONENT else x
    halvings = np.floor(x * INVERSE_LN2 + 0.5)
    rest = x - halvings * LN2_HIGH
    rest -= halvings * LN2_LOW
    total = SERIES[0]
    for number in range(1, len(SERIES)):
        total *= rest
        total += SERIES[number]
    return total * powers[int(halvings)]


@CODE.function("f8[:]", "f8[:]", "f8[:]")
def _decays(x: Any, powers: Any, result: Any) -> None:
    for row in range(len(x)):
        result[row] = _decay(x[row], powers)


def decays(x: Floats, result: Floats) -> None:
    """Fill in exp(-x) of some numbers."""
    _decays(x, _POWERS, result)


@CODE.function("i8[:]", "i8", "f8", "f8", "f8[:]", "f8[:]", returns="i8")
def _add_age(  # noqa: PLR0917 - compiled code takes arrays one by one
    times: Any, as_of: int, scale: float, share: float, powers: Any, own: Any
) -> int:
    unknown = 0
    for row in range(len(times)):
        if times[row] == UNKNOWN_TIME:
            unknown += 1
        else:
            own[row] += share * _decay(max(float(as_of - times[row]), 0.0) / scale, powers)
    return unknown


def add_age(times: Whole, as_of: int, scale: float, share: float, own: Floats) -> int:
    """Add the term of captures, weighted; return how many are unknown. See `mlygeo.spatial.scores.Rule.of_image`."""
    unknown: int = _add_age(times, as_of, scale, share, _POWERS, own)
    return unknown


@CODE.function("f8[:]", "f8", "f8", "f8[:]", returns="i8")
def add_part(values: Any, scale: float, share: float, own: Any) -> int:
    """Add the term of numbers that are parts of a scale, weighted; return how many are unknown."""
    unknown = 0
    for row in range(len(values)):
        if np.isnan(values[row]):
            unknown += 1
        else:
            own[row] += share * min(max(values[row] / scale, 0.0), 1.0)
    return unknown


@CODE.function("f8[:]", "i8", "i8", "i8", "u1[:]")
def _coarsen(own: Any, first: int, begin: int, end: int, coarse: Any) -> None:
    """Round up what images add to their scores."""
    for row in range(begin, end):
        coarse[row] = np.uint8(np.ceil(own[first + row] * STEPS))


@CODE.function("i4[:]", "i4[:]", "u1[:]", "i8", "i8", "u1[:]", "u1[:]")
def _gather(  # noqa: PLR0917 - compiled code takes arrays one by one
    starts: Any, rows: Any, coarse: Any, begin: int, end: int, ordered: Any, highest: Any
) -> None:
    """Bring what images add to their scores into the order of cells; and the highest of each cell."""
    for cell in range(begin, end):
        most = np.uint8(0)
        for entry in range(starts[cell], starts[cell + 1]):
            value = coarse[rows[entry]]
            ordered[entry] = value
            most = max(most, value)
        highest[cell] = most


@CODE.function("i4[:]", "i4[:]", "i8", "i8", "i8", "u1[:]")
def _mark(sequence: Any, rows: Any, first: int, begin: int, end: int, marks: Any) -> None:  # noqa: PLR0917
    """Bring a byte of the sequences of images into the order of cells: it tells most of them apart."""
    for entry in range(begin, end):
        marks[entry] = np.uint8(sequence[first + rows[entry]] & 0xFF)


@CODE.function("f8", "f8", returns="f8")
def _off_street(heading: float, bearing: float) -> Any:
    """Return the degrees between a camera and a street, both of whose directions count; NaN where unknown."""
    difference = np.fmod(abs(heading - bearing), 180.0)
    return min(difference, 180.0 - difference)


@CODE.function(
    "f8", "f8", "f8", "i8", "i8", "i4[:]", "f8[:]", "f8[:]", "i4[:]",
    "f8[:]", "f8[:]", "i8[:]", "i8", "i8", "i8", "i8[:]", "f8", "f8",
    "u1", "f8[:]", "f8[:]", "u1[:]", "f8",
    "u1", "f8[:]", "f8[:]", "f8", "f8",
    "f8", "f8", "f8", "f8", "f8[:]", "f8[:]", "u1[:]",
    "i4[:]", "i4[:]", "f8[:]", "u1[:]", "u1[:]", "f8",
    "f8[:]", "f8", "f8[:]", "f8[:,:]", "f8[:,:]", "i8[:,:]", "u1", "u1[:]",
)  # fmt: skip
def _search(  # noqa: PLR0917 - compiled code takes arrays one by one

    west: float, south: float, side: float, columns: int, lines: int, starts: Any, grid_x: Any, grid_y: Any, rows: Any,
    x: Any, y: Any, points: Any, begin: int, end: int, first_row: int, key_rank: Any, limit_square: float, slack: float,
    tested: int, bearing: Any, heading: Any, pano: Any, most: float,
    narrow: int, east: Any, north: Any, along: float, across: float,
    distance: float, by_heading: float, by_sequence: float, scale: float, street: Any, camera: Any, around: Any,
    wanted: Any, sequence: Any, own: Any, coarse: Any, highest: Any, best: float,
    bounds: Any, per_m: float, powers: Any, scores: Any, squares: Any, found: Any, again: bool, marks: Any,
) -> None:  # fmt: skip
    k = squares.shape[1]
    plain = distance == 0.0 and by_heading == 0.0 and by_sequence == 0.0 and best == 0.0
    step, more = 1.0 / STEPS, by_heading + by_sequence + ROUNDING
    for number in range(begin, end):
        point = points[number]
        mark = np.uint8(wanted[point] & 0xFF) if again else np.uint8(0)
        qx, qy = x[point], y[point]
        column, line = int((qx - west) / side), int((qy - south) / side)
        is_full = found[point, k - 1] >= 0
        worst, worst_square = scores[point, k - 1], squares[point, k - 1]
        for ring in range(max(columns, lines)):
            reach = bounds[0]
            if ring > 0:
                # Positions beyond the searched rings are at least this far away.
                edge = -slack + min(
                    qx - (west + (column - ring + 1) * side),
                    (west + (column + ring) * side) - qx,
                    qy - (south + (line - ring + 1) * side),
                    (south + (line + ring) * side) - qy,
                )
                if edge > 0:
                    if edge * edge > limit_square:
                        break
                    if plain and is_full and edge * edge > worst_square:
                        break
                    reach = bounds[int(edge * per_m)]
            if is_full and reach + best < worst:
                break
            for at in range(max(line - ring, 0), min(line + ring, lines - 1) + 1):
                whole = at == line - ring or at == line + ring
                # A middle line of a ring has two of its cells, the first and the last line all.
                for part in range(1 if whole or ring == 0 else 2):
                    if whole:
                        first, last = max(column - ring, 0), min(column + ring, columns - 1)
                    else:
                        first = column - ring if part == 0 else column + ring
                        last = first
                        if first < 0 or first >= columns:
                            continue
                    for across_at in range(first, last + 1):
                        cell = at * columns + across_at
                        bound = reach
                        if is_full and ring > 0:
                            if reach + highest[cell] * step < worst:
                                continue
                            # The cell may be farther away than its ring.
                            beside = max(west + across_at * side - qx, qx - (west + (across_at + 1) * side), 0.0)
                            beyond = max(south + at * side - qy, qy - (south + (at + 1) * side), 0.0)
                            apart = np.sqrt(beside * beside + beyond * beyond) - slack
                            if apart > 0:
                                if apart * apart > limit_square:
                                    continue
                                bound = bounds[int(apart * per_m)]
                                if bound + highest[cell] * step < worst:
                                    continue
                        lead = starts[cell]
                        if not is_full:
                            # Begin with the image that may be the best, so that most of the others are left out.
                            promise = -1.0
                            for entry in range(starts[cell], starts[cell + 1]):
                                dx, dy = grid_x[entry] - qx, grid_y[entry] - qy
                                square = dx * dx + dy * dy
                                if square <= limit_square:
                                    hope = bounds[int(np.sqrt(square) * per_m)] + coarse[entry] * step
                                    if hope > promise:
                                        promise, lead = hope, entry
                        for turn in range(starts[cell], starts[cell + 1]):
                            entry = lead
                            if turn > starts[cell]:
                                entry = turn if turn > lead else turn - 1
                            if again and marks[entry] != mark:
                                continue
                            if is_full and bound + coarse[entry] * step < worst:
                                continue
                            dx = grid_x[entry] - qx
                            dy = grid_y[entry] - qy
                            square = dx * dx + dy * dy
                            if not square <= limit_square:
                                continue
                            root = np.sqrt(square)
                            if is_full and bounds[int(root * per_m)] + coarse[entry] * step < worst:
                                continue
                            image = first_row + rows[entry]
                            if again and sequence[image] != wanted[point]:
                                continue
                            score = 0.0
                            if distance > 0:
                                score += distance * _decay(root / scale, powers)
                            alone = own[image]
                            if is_full and score + alone + more < worst:
                                continue
                            if tested and not pano[image] and not _off_street(heading[image], bearing[point]) <= most:
                                continue
                            if narrow:
                                if not abs(dx * east[point] + dy * north[point]) <= along:
                                    continue
                                if not abs(dx * north[point] - dy * east[point]) <= across:
                                    continue
                            if by_heading > 0:
                                if around[image]:
                                    score += by_heading
                                else:
                                    term = 1.0 - _off_street(camera[image], street[point]) / 90.0
                                    if not np.isnan(term):
                                        score += by_heading * term
                            if by_sequence > 0 and wanted[point] >= 0 and wanted[point] == sequence[image]:
                                score += by_sequence
                            score += alone
                            place = k
                            while place > 0:
                                other = found[point, place - 1]
                                if other >= 0:
                                    high, near = scores[point, place - 1], squares[point, place - 1]
                                    if high > score or (high == score and near < square):
                                        break
                                    if (
                                        high == score
                                        and near == square
                                        and (
                                            key_rank[other] < key_rank[image]
                                            or (key_rank[other] == key_rank[image] and other < image)
                                        )
                                    ):
                                        break
                                place -= 1
                            if place == k:
                                continue
                            for rank in range(k - 1, place, -1):
                                scores[point, rank] = scores[point, rank - 1]
                                squares[point, rank] = squares[point, rank - 1]
                                found[point, rank] = found[point, rank - 1]
                            scores[point, place] = score
                            squares[point, place] = square
                            found[point, place] = image
                            is_full = found[point, k - 1] >= 0
                            worst, worst_square = scores[point, k - 1], squares[point, k - 1]


def search(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    only: Rows,
    chosen: Whole32 | None,
    box: Box,
    limit_square: float,
    heading: HeadingTest | None,
    strip: StripTest | None,
    scoring: Scoring,
    scores: Floats,
    squares: Floats,
    rows: Rows,
    first: int = 0,
    again: bool = False,
) -> None:
    """
    Find the best images of points.

    Parameters
    ----------
    points, images, key_rank, only, chosen, box, limit_square
        As in `mlygeo.spatial.grid_numba.search`.
    heading, strip
        Which pairs count; None for all.
    scoring
        The scores of pairs.
    scores, squares, rows
        What was found in other images, of which the best stay; filled in place.
    first
        As there.
    again
        Whether only images of the sequences that are wanted are looked at; then all points have an image.
    """
    points, key_rank = (given(points[0]), given(points[1])), given(key_rank)
    grid = grid_numba.build(images, chosen, box)
    coarse, ordered = np.empty(len(images[0]), dtype=np.uint8), np.empty(len(grid.rows), dtype=np.uint8)
    highest, own = np.empty(grid.columns * grid.lines, dtype=np.uint8), given(scoring.own)
    in_threads(
        lambda start, stop: _coarsen(own, first, start, stop, coarse),
        len(coarse), max(4096, -(-len(coarse) // workers())), "images",
    )  # fmt: skip
    in_threads(
        lambda start, stop: _gather(grid.starts, grid.rows, coarse, start, stop, ordered, highest),
        len(highest), max(4096, -(-len(highest) // workers())), "cells",
    )  # fmt: skip
    sequence = given(scoring.sequence)
    marks = np.empty(len(grid.rows) if again else 0, dtype=np.uint8)
    in_threads(
        lambda start, stop: _mark(sequence, grid.rows, first, start, stop, marks),
        len(marks), max(4096, -(-len(marks) // workers())), "images",
    )  # fmt: skip
    only = grid_numba.by_cell(points, only, grid)
    nothing = given(np.empty(0))
    sides: tuple[Any, ...] = (False, nothing, nothing, 0.0, 0.0)
    if strip is not None:
        sides = (True, given(strip.east), given(strip.north), strip.along, strip.across)
    weights = (scoring.distance, scoring.heading, scoring.same_sequence, scoring.scale)
    terms = (given(scoring.bearing), given(scoring.camera), given(scoring.pano.view(np.uint8)), given(scoring.wanted))
    best = float(highest.max(initial=0)) / STEPS
    limit = float(np.sqrt(limit_square))
    per_m = RINGS / limit if limit > 0 else 0.0
    # The least distance of each part, and a little less.
    least = np.maximum(np.arange(RINGS + 2) - 1e-3, 0.0) * (limit / RINGS)
    bounds = np.array([scoring.heading + scoring.same_sequence + ROUNDING])
    bounds = given(bounds + scoring.distance * decay(least / scoring.scale, compiled=False))
    rest: tuple[Any, ...] = (
        first, key_rank, limit_square, SLACK * grid.side, *grid_numba.headings(heading), *sides, *weights, *terms,
        sequence, own, ordered, highest, best, bounds, per_m, _POWERS, scores, squares, rows, again, marks,
    )  # fmt: skip
    share = max(4096, -(-len(only) // (4 * workers())))
    in_threads(lambda start, stop: _search(*grid, *points, only, start, stop, *rest), len(only), share, "points")
