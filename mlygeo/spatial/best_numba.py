"""
The images of the highest scores near points, compiled with Numba: cells are searched ring by ring, from the nearest.

A cell is left out where even its best image, at the least distance of its ring, could not come before those found;
so few of the images within the limit are compared. Scores are those of `mlygeo.spatial.scores.Scoring`, computed by
the same operations in the same order, to the last bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads, workers
from mlygeo.compiled import Library
from mlygeo.kernels import given
from mlygeo.spatial import grid_numba, hilbert
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
    from mlygeo.arrays import Bytes, Floats, Rows, Whole, Whole32
    from mlygeo.spatial.candidates import StripTest
    from mlygeo.spatial.grid import HeadingTest

CODE = Library(__file__)

ROUNDING = 1e-9
"""More than what rounding adds to a score, which is at most 1: bounds are higher by this much."""

RINGS = 2048
"""Parts of the largest distance, for each of which the most that a pair can add to a score is known."""

STEPS = 250.0
"""Steps of what images add to their scores, rounded up to a byte: so many more stay in the caches."""

CELLS_PER_IMAGE = 0.5
"""Cells for each image: a good image near by leaves out most cells, so that smaller ones than for distances pay."""

LONGEST = 2000
"""Images of a sequence that stay in the order of rows, in which most lie along their way."""

MOST_STEPS = float(2**30)
"""Steps of the box of all positions, to each side."""

FEW = 32
"""Images whose box is known, boxes whose box is known, and so on."""

SPARSE = 4
"""From so many times the rows on, numbers of sequences are far apart."""

WIDER = 1.001
"""How far images are looked up, over the limit."""

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


@CODE.function("f8", "f8", returns="f8")
def _off_street(heading: float, bearing: float) -> Any:
    """Return the degrees between a camera and a street, both of whose directions count; NaN where unknown."""
    difference = np.fmod(abs(heading - bearing), 180.0)
    return min(difference, 180.0 - difference)


@CODE.function("f8", "f8", "f8", "f8", "f8", "f8", returns="u1")
def _is_within(dx: float, dy: float, east: float, north: float, along: float, across: float) -> Any:  # noqa: PLR0917
    """Return whether an image lies within the limits along and across the street."""
    return abs(dx * east + dy * north) <= along and abs(dx * north - dy * east) <= across


@CODE.function("f8", "f8", "i8", "f8", "f8", "i8", "i8[:]", returns="u1")
def _comes_first(  # noqa: PLR0917 - compiled code takes arrays one by one
    high: float, near: float, other: int, score: float, square: float, image: int, key_rank: Any
) -> Any:
    """Return whether the other image comes before an image, by score, squared distance and key."""
    if high != score:
        return high > score
    if near != square:
        return near < square
    return key_rank[other] < key_rank[image] or (key_rank[other] == key_rank[image] and other < image)


@CODE.function("f8", "f8", "u1", returns="f8")
def _along_street(heading: float, bearing: float, pano: int) -> Any:
    """Return the term `heading` of a pair; see `mlygeo.spatial.scores.along_street`."""
    if pano:
        return 1.0
    term = 1.0 - _off_street(heading, bearing) / 90.0
    return 0.0 if np.isnan(term) else term


@CODE.function(
    "f8", "f8", "f8", "i8", "i8", "i4[:]", "f8[:]", "f8[:]", "i4[:]",
    "f8[:]", "f8[:]", "i8[:]", "i8", "i8", "i8", "i8[:]", "f8", "f8",
    "u1", "f8[:]", "f8[:]", "u1[:]", "f8",
    "u1", "f8[:]", "f8[:]", "f8", "f8",
    "f8", "f8", "f8", "f8", "f8[:]", "f8[:]", "u1[:]",
    "i4[:]", "i4[:]", "f8[:]", "u1[:]", "u1[:]", "f8",
    "f8[:]", "f8", "f8[:]", "f8[:,:]", "f8[:,:]", "i8[:,:]", "u1[:]",
)  # fmt: skip
def _search(  # noqa: PLR0917 - compiled code takes arrays one by one

    west: float, south: float, side: float, columns: int, lines: int, starts: Any, grid_x: Any, grid_y: Any, rows: Any,
    x: Any, y: Any, points: Any, begin: int, end: int, first_row: int, key_rank: Any, limit_square: float, slack: float,
    tested: int, bearing: Any, heading: Any, pano: Any, most: float,
    narrow: int, east: Any, north: Any, along: float, across: float,
    distance: float, by_heading: float, by_sequence: float, scale: float, street: Any, camera: Any, around: Any,
    wanted: Any, sequence: Any, own: Any, coarse: Any, highest: Any, best: float,
    bounds: Any, per_m: float, powers: Any, scores: Any, squares: Any, found: Any, close: Any,
) -> None:  # fmt: skip
    k = squares.shape[1]
    plain = distance == 0.0 and by_heading == 0.0 and by_sequence == 0.0 and best == 0.0
    step, more = 1.0 / STEPS, by_heading + by_sequence + ROUNDING
    for number in range(begin, end):
        point = points[number]
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
                            score = 0.0
                            if distance > 0:
                                score += distance * _decay(root / scale, powers)
                            alone = own[image]
                            if is_full and score + alone + more < worst:
                                continue
                            if tested and not pano[image] and not _off_street(heading[image], bearing[point]) <= most:
                                continue
                            if narrow and not _is_within(dx, dy, east[point], north[point], along, across):
                                continue
                            if by_heading > 0:
                                score += by_heading * _along_street(camera[image], street[point], around[image])
                            if by_sequence > 0 and wanted[point] >= 0 and wanted[point] == sequence[image]:
                                score += by_sequence
                            score += alone
                            if len(close) and is_full and score >= worst - ROUNDING:
                                close[point] = score <= worst + ROUNDING
                            place = k
                            while place > 0:
                                other = found[point, place - 1]
                                if other >= 0 and _comes_first(
                                    scores[point, place - 1], squares[point, place - 1], other,
                                    score, square, image, key_rank,
                                ):  # fmt: skip
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
    close: Bytes | None = None,
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
    close
        Set to 1 for points where another image comes as near to the best as rounding may reach, else to 0, in place;
        for one image a point. None where it is not asked.
    """
    points, key_rank = (given(points[0]), given(points[1])), given(key_rank)
    grid = grid_numba.build(images, chosen, box, per_image=CELLS_PER_IMAGE)
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
    only = grid_numba.by_cell(points, only, grid)
    best = float(highest.max(initial=0)) / STEPS
    limit = float(np.sqrt(limit_square))
    bounds, per_m = _bounds(scoring, limit), RINGS / limit if limit > 0 else 0.0
    told = given(np.empty(0, dtype=np.uint8)) if close is None else close
    rest: tuple[Any, ...] = (
        first, key_rank, limit_square, SLACK * grid.side, *grid_numba.headings(heading), *_sides(strip),
        *_terms(scoring), given(scoring.sequence), own, ordered, highest, best, bounds, per_m, _POWERS,
        scores, squares, rows, told,
    )  # fmt: skip
    share = max(4096, -(-len(only) // (4 * workers())))
    in_threads(lambda start, stop: _search(*grid, *points, only, start, stop, *rest), len(only), share, "points")


def _sides(strip: StripTest | None) -> tuple[bool, Floats, Floats, float, float]:
    """Return limits along and across the street, or that there are none, as compiled code takes them."""
    if strip is None:
        nothing = given(np.empty(0))
        return False, nothing, nothing, 0.0, 0.0
    return True, given(strip.east), given(strip.north), strip.along, strip.across


def _terms(scoring: Scoring) -> tuple[Any, ...]:
    """Return weights of terms and what they compare, but for sequences of images, as compiled code takes them."""
    weights = (scoring.distance, scoring.heading, scoring.same_sequence, scoring.scale)
    return (
        *weights,
        given(scoring.bearing),
        given(scoring.camera),
        given(scoring.pano.view(np.uint8)),
        given(scoring.wanted),
    )


@CODE.function("f8[:,:]", "i8", "f8", "f8", "f8", returns="u1")
def _may_win(limits: Any, number: int, x: float, y: float, own: float) -> Any:
    """Return whether an image is in the box (west, south, east, north) of a sequence, and adds enough to scores."""
    return (
        limits[number, 0] <= x <= limits[number, 2]
        and limits[number, 1] <= y <= limits[number, 3]
        and own >= limits[number, 4]
    )


@CODE.function("f8[:]", "f8[:]", "f8[:]", "i4[:]", "f8[:,:]", "i8", "i8", "i4[:]")
def _count(  # noqa: PLR0917 - compiled code takes arrays one by one
    x: Any, y: Any, own: Any, sequence: Any, limits: Any, begin: int, end: int, counts: Any
) -> None:
    """Count the images of each sequence that may win."""
    for row in range(begin, end):
        number = sequence[row]
        if 0 <= number < len(limits) and _may_win(limits, number, x[row], y[row], own[row]):
            counts[number] += 1


@CODE.function("f8[:]", "f8[:]", "f8[:]", "i4[:]", "f8[:,:]", "i8", "i8", "f8", "f8", "f8", "i4[:]", "i4[:,:]")
def _scatter(  # noqa: PLR0917 - compiled code takes arrays one by one

    x: Any, y: Any, own: Any, sequence: Any, limits: Any, begin: int, end: int, west: float, south: float, per_m: float,
    places: Any, entries: Any,
) -> None:  # fmt: skip
    """
    Bring these images into the order of sequences, with what is needed to leave most of them out.

    That is their rows, where they lie, in whole steps, and what they add to their scores, rounded up.
    """
    for row in range(begin, end):
        number = sequence[row]
        if 0 <= number < len(limits) and _may_win(limits, number, x[row], y[row], own[row]):
            place = places[number]
            entries[place, 0] = row
            entries[place, 1], entries[place, 2] = int((x[row] - west) * per_m), int((y[row] - south) * per_m)
            entries[place, 3] = int(np.ceil(own[row] * STEPS))
            places[number] = place + 1


@CODE.function("i4[:,:]", "i8", "i8", "i4[:,:]")
def _bound(entries: Any, begin: int, end: int, boxes: Any) -> None:
    """Fill in the boxes (west, south, east, north) of so many entries after others."""
    for block in range(begin, end):
        first = block * FEW
        west = east = entries[first, 1]
        south = north = entries[first, 2]
        for entry in range(first + 1, min(first + FEW, len(entries))):
            west, east = min(west, entries[entry, 1]), max(east, entries[entry, 1])
            south, north = min(south, entries[entry, 2]), max(north, entries[entry, 2])
        boxes[block, 0], boxes[block, 1], boxes[block, 2], boxes[block, 3] = west, south, east, north


@CODE.function("i4[:,:]", "i8", "i8", "i8", "i8", returns="u1")
def _is_far(boxes: Any, block: int, x: int, y: int, reach: int) -> Any:
    """Return whether a box is farther away from a position than it reaches, to one of the four sides."""
    return (
        boxes[block, 0] - x > reach
        or boxes[block, 1] - y > reach
        or x - boxes[block, 2] > reach
        or y - boxes[block, 3] > reach
    )


@CODE.function(
    "i4[:]", "i4[:,:]", "i4[:,:]", "i4[:,:]", "i4[:,:]", "f8", "f8", "f8", "i8", "f8[:]", "f8", "f8[:]", "f8[:]",
    "f8[:]", "f8[:]", "i8[:]", "i8", "i8", "i8[:]", "f8",
    "u1", "f8[:]", "f8[:]", "u1[:]", "f8",
    "u1", "f8[:]", "f8[:]", "f8", "f8",
    "f8", "f8", "f8", "f8", "f8[:]", "f8[:]", "u1[:]", "i4[:]",
    "f8[:]", "f8[:]", "f8[:]", "f8[:]", "i8[:]",
)  # fmt: skip
def _search_again(  # noqa: PLR0917 - compiled code takes arrays one by one

    starts: Any, entries: Any, few: Any, more: Any, many: Any, west: float, south: float, per_m: float, reach: int,
    bounds: Any, per_step: float, image_x: Any, image_y: Any,
    x: Any, y: Any, points: Any, begin: int, end: int, key_rank: Any, limit_square: float,
    tested: int, bearing: Any, heading: Any, pano: Any, most: float,
    narrow: int, east: Any, north: Any, along: float, across: float,
    distance: float, by_heading: float, by_sequence: float, scale: float, street: Any, camera: Any, around: Any,
    wanted: Any, own: Any, powers: Any, scores: Any, squares: Any, found: Any,
) -> None:  # fmt: skip
    step = 1.0 / STEPS
    for number in range(begin, end):
        point = points[number]
        qx, qy, worst = x[point], y[point], scores[point]
        here_x, here_y = int((qx - west) * per_m), int((qy - south) * per_m)
        entry, last = starts[wanted[point]], starts[wanted[point] + 1]
        while entry < last:
            if entry % FEW == 0:
                if entry % FEW**3 == 0 and _is_far(many, entry // FEW**3, here_x, here_y, reach):
                    entry += FEW**3
                    continue
                if entry % FEW**2 == 0 and _is_far(more, entry // FEW**2, here_x, here_y, reach):
                    entry += FEW**2
                    continue
                if _is_far(few, entry // FEW, here_x, here_y, reach):
                    entry += FEW
                    continue
            at = entry
            entry += 1
            beside, beyond = float(entries[at, 1] - here_x), float(entries[at, 2] - here_y)
            apart = np.sqrt(beside * beside + beyond * beyond)
            # In truth it may be less by a step to either axis.
            most_of_pair = bounds[int(max(apart - 2.0, 0.0) * per_step)] if apart <= reach else -1.0
            if most_of_pair + entries[at, 3] * step < worst:
                continue
            image = entries[at, 0]
            dx, dy = image_x[image] - qx, image_y[image] - qy
            square = dx * dx + dy * dy
            if not square <= limit_square:
                continue
            if tested and not pano[image] and not _off_street(heading[image], bearing[point]) <= most:
                continue
            if narrow and not _is_within(dx, dy, east[point], north[point], along, across):
                continue
            score = 0.0
            if distance > 0:
                score += distance * _decay(np.sqrt(square) / scale, powers)
            if by_heading > 0:
                score += by_heading * _along_street(camera[image], street[point], around[image])
            score += by_sequence
            score += own[image]
            if image == found[point]:
                continue
            if _comes_first(worst, squares[point], found[point], score, square, image, key_rank):
                continue
            scores[point] = worst = score
            squares[point], found[point] = square, image


def search_again(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    only: Rows,
    limit_square: float,
    heading: HeadingTest | None,
    strip: StripTest | None,
    scoring: Scoring,
    scores: Floats,
    squares: Floats,
    rows: Rows,
) -> None:
    """
    Find the best images of points among those that were found and those of the sequences that they want.

    Images are sorted by sequence, and those of a long one along a Hilbert curve. So images that follow each other lie
    near each other, and are left out together where their box is too far away from a point.

    Parameters
    ----------
    points, images, key_rank
        As in `search`.
    only
        Rows of points that want a sequence and have an image; of others nothing changes.
    limit_square, heading, strip, scoring
        As in `search`.
    scores, squares, rows
        What was found, shape (points,); changed in place.
    """
    if not len(only):
        return
    x, y = given(points[0]), given(points[1])
    scoring = _numbered_closely(scoring, only)
    image_x, image_y, sequence = given(images[0]), given(images[1]), given(scoring.sequence)
    # Farther than the limit, so that rounding leaves out no image within it.
    reach = float(np.sqrt(limit_square)) * WIDER + grid_numba.SMALLEST_CELL_M
    only = given(only[np.argsort(scoring.wanted[only], kind="stable")])
    limits = _limits(x[only], y[only], scores[only], scoring, wanted=scoring.wanted[only], reach=reach)
    corner, other = np.nanmin(limits[:, :2], axis=0), np.nanmax(limits[:, 2:4], axis=0)
    west, south, per_m = float(corner[0]), float(corner[1]), MOST_STEPS / float((other - corner).max())
    own = given(scoring.own)
    starts, entries = _by_sequence((image_x, image_y, own, sequence, limits), (west, south, per_m))
    few = np.empty((-(-len(entries) // FEW), 4), dtype=np.int32)
    in_threads(
        lambda start, stop: _bound(entries, start, stop, few),
        len(few), max(4096, -(-len(few) // workers())), "blocks",
    )  # fmt: skip
    more = _united(few)
    rest: tuple[Any, ...] = (
        given(key_rank), limit_square, *grid_numba.headings(heading), *_sides(strip), *_terms(scoring),
        own, _POWERS, scores, squares, rows,
    )  # fmt: skip
    steps = int(reach * per_m) + 2
    look_up = (
        starts, entries, few, more, _united(more), west, south, per_m, steps, _bounds(scoring, reach),
        RINGS / steps,
    )  # fmt: skip
    share = max(4096, -(-len(only) // (4 * workers())))
    in_threads(
        lambda start, stop: _search_again(*look_up, image_x, image_y, x, y, only, start, stop, *rest),
        len(only), share, "points",
    )  # fmt: skip


def _limits(x: Floats, y: Floats, scores: Floats, scoring: Scoring, *, wanted: Whole32, reach: float) -> Floats:
    """
    Return what an image of each sequence needs, so that it may come before what points have found.

    That is a box (west, south, east, north) around the points that want the sequence, which follow each other, and the
    least that the image must add to a score; NaN for sequences that are not wanted. Shape (sequences, 5).
    """
    numbers, first = np.unique(wanted, return_index=True)
    limits = np.full((int(numbers[-1]) + 1, 5), np.nan)
    limits[numbers, 0] = np.minimum.reduceat(x, first) - reach
    limits[numbers, 1] = np.minimum.reduceat(y, first) - reach
    limits[numbers, 2] = np.maximum.reduceat(x, first) + reach
    limits[numbers, 3] = np.maximum.reduceat(y, first) + reach
    most = scoring.distance + scoring.heading + scoring.same_sequence + ROUNDING
    limits[numbers, 4] = np.minimum.reduceat(scores, first) - most
    return limits


def _by_sequence(
    images: tuple[Floats, Floats, Floats, Whole32, Floats], steps: tuple[float, float, float]
) -> tuple[Whole32, Whole32]:
    """
    Return where the images of each sequence begin, and those that may win, as `_scatter` describes them.

    Parameters
    ----------
    images
        Their x and y, what they add to their scores, their sequences, and what `_limits` returned.
    steps
        West and south of where they lie, and steps per metre.
    """
    count, sequences = len(images[0]), len(images[4])
    chunk = max(-(-count // min(workers(), grid_numba.MOST_SORTERS)), 1)
    # Each thread counts and then places its own share of the images, as where a grid is built.
    places = np.zeros((-(-count // chunk), sequences), dtype=np.int32)
    in_threads(lambda start, stop: _count(*images, start, stop, places[start // chunk]), count, chunk, "images")
    starts = np.empty(sequences + 1, dtype=np.int32)
    grid_numba.place(places, starts)
    entries = np.empty((starts[-1], 4), dtype=np.int32)
    in_threads(
        lambda start, stop: _scatter(*images, start, stop, *steps, places[start // chunk], entries),
        count, chunk, "images",
    )  # fmt: skip
    for number in np.flatnonzero(np.diff(starts) > LONGEST):
        some = entries[starts[number] : starts[number + 1]]
        some[:] = some[np.argsort(hilbert.numbers(some[:, 1], some[:, 2]))]
    return starts, entries


def _numbered_closely(scoring: Scoring, only: Rows) -> Scoring:
    """Return how pairs are scored; where numbers of sequences are far apart, with others, as each takes memory."""
    wanted = np.unique(scoring.wanted[only])
    if wanted[-1] < SPARSE * (len(scoring.sequence) + len(only)):
        return scoring
    places = []
    for numbers in (scoring.wanted, scoring.sequence):
        place = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1).astype(np.int32)
        places.append(np.where(wanted[place] == numbers, place, np.int32(-1)))
    return replace(scoring, wanted=places[0], sequence=places[1])


def _bounds(scoring: Scoring, limit: float) -> Floats:
    """Return the most that a pair can add to a score, by which of `RINGS` parts of a distance it is apart, and one."""
    # The least distance of each part, and a little less.
    least = np.maximum(np.arange(RINGS + 2) - 1e-3, 0.0) * (limit / RINGS)
    bounds = np.array([scoring.heading + scoring.same_sequence + ROUNDING])
    return given(bounds + scoring.distance * decay(least / scoring.scale, compiled=False))


def _united(boxes: Whole32) -> Whole32:
    """Return the boxes of so many boxes after others, shape (n, 4)."""
    starts = np.arange(0, len(boxes), FEW)
    if not len(starts):
        return boxes
    return np.hstack([np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)])
