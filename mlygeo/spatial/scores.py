"""
How good an image is for a point: rules of weighted terms, each between 0 (worst) and 1 (best).

A score is the weighted mean of its terms. `Rule` has their formulas. Those of an image alone are summed up once
(`Rule.of_images`); those of a pair are computed as pairs are compared (`Scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads
from mlygeo.degrees import heading_difference
from mlygeo.errors import InputError
from mlygeo.kernels import given, kernel
from mlygeo.schemas import PREFERRED_BY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Flags, Floats, Rows, Whole32

IMAGE_TERMS = {
    "resolution": "width", "age": "captured_at", "quality_score": "quality_score", "panorama": "is_pano",
}  # fmt: skip
"""Terms of an image alone, in the order in which they are summed up, and the column that each needs."""

PAIR_TERMS = {"distance": None, "heading": "compass_angle", "same_sequence": "sequence_id"}
"""Terms of a point and an image, and the column of images that each needs."""

SCALES = {"distance_m": 10.0, "age_years": 5.0, "resolution_px": 16_384.0}
"""Scales of terms, and their values unless a rule has others: those of Project Sidewalk."""

MOST = 1e100
"""Largest weight and scale; sums stay far from infinity."""

YEAR_US = 365.25 * 86_400 * 1e6
"""Microseconds of a Julian year."""

MOST_EXPONENT = 740.0
"""The exponential function of what is below minus this is taken for 0 (it is less than 1e-321)."""

INVERSE_LN2, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693147180369123816490, 1.90821492927058770002e-10
"""1 / ln 2, and ln 2 in two parts, of which the first has 21 zero bits at its end (fdlibm, e_exp.c)."""

SERIES = tuple((-1.0) ** n / float(np.prod(np.arange(1.0, n + 1))) for n in range(13, -1, -1))
"""Taylor's series of exp(-x), from the highest power; up to ln 2 / 2 its error is below 1e-17."""

SAVED_S = 2e-8
"""Processor time that compiled code saves for each exponential function (measured)."""

POWERS = np.ldexp(1.0, -np.arange(1080))
"""Powers of a half."""


@dataclass(frozen=True)
class Rule:
    """
    Weights of terms, and their scales.

    A term is between 0 and 1, and 0 where what it needs is unknown:

    - `distance`: exp(-d / `distance_m`), d the planar distance from point to image, metres.
    - `resolution`: min(width / `resolution_px`, 1), the width in pixels.
    - `age`: exp(-a / `age_years`), a the time from the capture to a date, in years of 365.25 days; 1 after the date.
    - `quality_score`: the score of the provider, cut to 0 to 1.
    - `panorama`: 1 for panoramas.
    - `heading`: 1 - h / 90, h the angle between camera and street in degrees, either way along the street; 1 for
      panoramas, which look every way. Towards things 1 - h / 180, h the angle between camera and thing.
    - `same_sequence`: 1 for images of the sequence that the neighbour of the point has its image from.

    Parameters
    ----------
    weights
        By term, 0 or more; those of no weight are left out. A score is the sum of weighted terms over that of weights.
    distance_m, age_years, resolution_px
        Scales of terms, positive.

    Raises
    ------
    InputError
        If a term is unknown, a weight is negative, a scale is not positive, or nothing has a weight.
    """

    weights: Mapping[str, float]
    distance_m: float = SCALES["distance_m"]
    age_years: float = SCALES["age_years"]
    resolution_px: float = SCALES["resolution_px"]
    shares: Mapping[str, float] = field(init=False, compare=False, repr=False)
    """Weights over their sum, of the terms that have one."""

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        for name, weight in self.weights.items():
            if name not in PREFERRED_BY:
                hint = f"terms are {', '.join(PREFERRED_BY)}"
                raise InputError(f"there is no term {name!r} to prefer images by", hint=hint)
            if not _is_number(weight) or not 0 <= weight <= MOST:
                raise InputError(f"the weight of {name!r} must be a number from 0 to {MOST:g}, not {_shown(weight)}")
        for name in SCALES:
            scale = getattr(self, name)
            if not _is_number(scale) or not 0 < scale <= MOST:
                raise InputError(f"the scale `{name}` must be a positive number up to {MOST:g}, not {_shown(scale)}")
        weights = {name: float(self.weights[name]) for name in PREFERRED_BY if self.weights.get(name)}
        total = sum(weights.values())
        if not total:
            raise InputError("no term has a weight", hint=f"terms are {', '.join(PREFERRED_BY)}")
        object.__setattr__(self, "weights", MappingProxyType(weights))
        shares = {name: weight / total for name, weight in weights.items()}
        object.__setattr__(self, "shares", MappingProxyType(shares))

    @property
    def columns(self) -> list[str]:
        """The columns that images need."""
        needed = IMAGE_TERMS | PAIR_TERMS
        found = [column for name in self.weights if (column := needed[name]) is not None]
        return [*found, "is_pano"] if "heading" in self.weights and "is_pano" not in found else found

    def as_json(self) -> dict[str, Any]:
        """Return the rule as a file of weights has it."""
        return {"weights": dict(self.weights), "scales": {name: float(getattr(self, name)) for name in SCALES}}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Rule:
        """Return the rule of what `as_json` returned; InputError for anything else."""
        if not isinstance(given, Mapping) or not given.keys() <= {"weights", "scales"} or "weights" not in given:
            raise InputError(
                "a rule has a table 'weights' and, where others than the usual are wanted, a table 'scales'", hint=FORM
            )
        for name, part in given.items():
            if not isinstance(part, Mapping):
                raise InputError(f"'{name}' of a rule must be a table of names and numbers", hint=FORM)
        if unknown := given.get("scales", {}).keys() - SCALES.keys():
            raise InputError(f"there is no scale {min(unknown)!r}", hint=f"scales are {', '.join(SCALES)}")
        return cls(given["weights"], **given.get("scales", {}))

    def of_image(self, term: str, values: Any, as_of_us: int | None) -> Floats:
        """
        Return a term of images alone.

        Parameters
        ----------
        term
            One of `IMAGE_TERMS`.
        values
            Its column, shape (n,): widths or scores as float64, NaN where unknown; captures as int64, microseconds
            since 1970, `UNKNOWN_TIME` where unknown; or whether images are panoramas.
        as_of_us
            The date from which ages count, microseconds since 1970; needed for `age`.
        """
        if term == "age":
            known = values != UNKNOWN_TIME
            age = np.where(known, np.int64(as_of_us or 0) - np.where(known, values, 0), 0).astype(np.float64)
            return np.where(known, decay(np.maximum(age, 0.0) / (YEAR_US * self.age_years)), 0.0)
        values = np.asarray(values, dtype=np.float64)
        if term == "resolution":
            values = values / self.resolution_px
        return np.where(np.isnan(values), 0.0, np.clip(values, 0.0, 1.0))


FORM = 'such as {"weights": {"distance": 0.6, "age": 0.4}, "scales": {"distance_m": 10, "age_years": 5}}'
"""What a file of weights looks like."""

UNKNOWN_TIME = np.iinfo(np.int64).min


def decay(x: Floats, *, compiled: bool | None = None) -> Floats:
    """
    Return exp(-x) of numbers that are not negative, with the same bits on every machine and in compiled code.

    NumPy's and the C library's functions differ in the last bit from one processor to another. The error is below
    two units in the last place. NaN stays NaN.

    Parameters
    ----------
    x
        Shape (n,).
    compiled
        True for compiled code, False for NumPy, None for compiled code where it is installed and pays.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    code = kernel("mlygeo.spatial.best_numba", len(x) * SAVED_S, compiled=compiled)
    if code is not None:
        result = np.empty(len(x))
        code.decays(given(x), result)
        return result
    near = np.minimum(x, MOST_EXPONENT)
    halvings = np.floor(near * INVERSE_LN2 + 0.5)
    rest = near - halvings * LN2_HIGH
    rest -= halvings * LN2_LOW
    total = np.full(rest.shape, SERIES[0])
    for coefficient in SERIES[1:]:
        total *= rest
        total += coefficient
    powers = POWERS[np.where(np.isnan(halvings), 0, halvings).astype(np.int64)]
    return np.where(x > MOST_EXPONENT, 0.0, total * powers)


def add_term(
    own: Floats, rule: Rule, term: str, parts: Iterable[Any], as_of_us: int | None, *, compiled: bool | None = None
) -> int:
    """
    Add a term of images alone, weighted, to what they add to scores.

    Parameters
    ----------
    own
        Changed in place, shape (n,).
    rule
        The rule.
    term
        One of `IMAGE_TERMS`.
    parts
        The term's column, as `Rule.of_image` takes it, in parts of any length.
    as_of_us
        As there.
    compiled
        As in `decay`; the answer is the same to the last bit.

    Returns
    -------
    unknown
        Number of images of which the column knows nothing, and whose term is 0.
    """
    start, share = 0, rule.shares[term]
    unknown: list[int] = []
    code = kernel("mlygeo.spatial.best_numba", len(own) * SAVED_S, compiled=compiled)
    scale = rule.resolution_px if term == "resolution" else 1.0
    for part in parts:

        def add(first: int, last: int, part: Any = part, start: int = start) -> None:
            values, to = part[first:last], own[start + first : start + last]
            if code is None:
                unknown.append(int(np.count_nonzero(values == UNKNOWN_TIME if term == "age" else np.isnan(values))))
                to += share * rule.of_image(term, values, as_of_us)
            elif term == "age":
                unknown.append(code.add_age(given(values), as_of_us or 0, YEAR_US * rule.age_years, share, to))
            else:
                values = given(np.asarray(values, dtype=np.float64))
                unknown.append(code.add_part(values, scale, share, to))

        in_threads(add, len(part), CHUNK if code is None else CHUNK_COMPILED, "images")
        start += len(part)
    return sum(unknown)


CHUNK, CHUNK_COMPILED = 1 << 14, 1 << 18
"""Images whose terms are computed at once: by NumPy as many as stay in the caches."""


@dataclass(frozen=True)
class Scoring:
    """
    Scores of pairs, in the rows of points and images of one plane.

    Parameters
    ----------
    own
        What the terms of each image alone add to its score, weighted.
    distance, heading, same_sequence
        Weights of the terms of pairs, over the sum of all weights.
    scale
        That of distances, in the unit of the plane.
    bearing, camera, pano
        Bearing of the street at each point, heading of each image, degrees, NaN where unknown; and whether it is a
        panorama. Empty where headings have no weight.
    wanted, sequence
        Number of the sequence that each point prefers, and of that of each image; -1 for none. Empty likewise.
    """

    own: Floats
    distance: float
    heading: float
    same_sequence: float
    scale: float
    bearing: Floats
    camera: Floats
    pano: Flags
    wanted: Whole32
    sequence: Whole32

    def __call__(self, points: Rows, images: Rows, squares: Floats) -> Floats:
        """Return the scores of pairs; `mlygeo.spatial.best_numba` does the same, in the same order."""
        total = np.zeros(len(points))
        if self.distance:
            total += self.distance * decay(np.sqrt(squares) / self.scale)
        if self.heading:
            total += self.heading * along_street(self.camera[images], self.bearing[points], self.pano[images])
        if self.same_sequence:
            total += self.same_sequence * is_wanted(self.wanted[points], self.sequence[images])
        return total + self.own[images]


def along_street(camera: Floats, bearing: Floats, pano: Flags) -> Floats:
    """Return the term `heading` of pairs: headings of cameras, bearings of streets, degrees; and panoramas."""
    term = 1.0 - heading_difference(camera, bearing) / 90.0
    found: Floats = np.where(pano, 1.0, np.where(np.isnan(term), 0.0, term))
    return found


def is_wanted(wanted: Whole32, sequence: Whole32) -> Floats:
    """Return the term `same_sequence` of pairs."""
    same: Flags = (wanted == sequence) & (wanted >= 0)
    return same.astype(np.float64)


def _shown(value: Any) -> str:
    return f"{value!r:.40}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


RULES = {
    "project-sidewalk": Rule({"distance": 0.45, "resolution": 0.25, "age": 0.25, "same_sequence": 0.05}),
    "newest": Rule({"age": 1.0}),
}
"""
Rules by name. `project-sidewalk` is the one by which Project Sidewalk picks the panorama of a place
(`conf/pano-scoring.json` and `MapillaryViewer.js` of github.com/ProjectSidewalk/SidewalkWebpage, 2026); it takes
panoramas alone, and keeps to the sequence that is being looked at. `newest` takes the latest capture, and of captures
at one time the nearest.
"""
