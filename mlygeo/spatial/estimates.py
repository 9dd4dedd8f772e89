"""
What a sample of places says of the streets: shares and means with their error, by group and in all.

The estimators are those of survey sampling for places that stand for known lengths (weights): the share or mean is
the weighted one (Hájek's), its variance that of the design by linearisation (Särndal, Swensson and Wretman 1992,
sections 5.6 to 5.8 and 10.3; Cochran 1977, sections 5A.12 and 6.10). Places are drawn from lengths, so that there is no
correction for a finite population.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.degrees import short_way
from mlygeo.errors import FrameError, InputError
from mlygeo.schemas import IDS
from mlygeo.spatial import knn
from mlygeo.spatial.strata import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Objects, Rows, Whole

LEVEL = 0.95
"""Chance that an interval holds the truth, by default."""

MOST_VALUES, MOST_GROUPS = 200, 10_000
"""More different values, or groups, are ids or numbers rather than classes."""

TOLD = (
    "value", "estimate", "standard_error", "low", "high", "points", "points_missing", "length_m", "length_missing_m",
    "points_alone",
)  # fmt: skip
"""Columns of estimates."""

NEIGHBOURS = 2
"""Places near one that is alone in its stratum, from which the variance there is estimated."""

AGREED = 1e-20
"""Variance of a share that is nothing but rounding."""

LARGE = 0.1
"""From this share of the variance on (if values vary alike everywhere) a stratum is a large one."""

METRES_A_DEGREE = 111_320.0

MOST_DF = 1000
"""From here on a series is as exact as a sum."""


class Estimate(NamedTuple):
    """A share or mean of the length of streets."""

    value: float
    standard_error: float
    """NaN where one place alone says nothing of it."""
    low: float
    high: float


@dataclass(frozen=True)
class Drawn:
    """
    How places were drawn, as far as the variance of an estimate depends on it.

    Parameters
    ----------
    weight
        Metres of street that each place stands for, above 0; shape (n,).
    stratum
        Number of the stratum of each, from 0.
    cluster
        Number of what was drawn at once, from 0: of the place itself, or of the drawn street.
    neighbours
        For each place alone in its stratum the rows of those nearest to it, shape (alone, 2), -1 where there is none.
    alone
        The rows of these places.
    """

    weight: Floats
    stratum: Whole
    cluster: Whole
    neighbours: Whole
    alone: Whole

    @classmethod
    def of(cls, weight: Floats, stratum: Objects, cluster: Objects | None, lon: Floats, lat: Floats) -> Drawn:
        """
        Number strata and clusters, and find the neighbours of places that are alone in their stratum.

        Parameters
        ----------
        weight
            Metres of street that each place stands for.
        stratum, cluster
            Names of the stratum of each place, and of what was drawn at once; None where places were drawn singly.
        lon, lat
            Where they are, degrees.
        """
        number = np.unique(stratum, return_inverse=True)[1].reshape(-1).astype(np.int64)
        own = np.arange(len(weight))
        if cluster is not None:
            names = np.unique(cluster, return_inverse=True)[1].reshape(-1)
            own = np.unique(np.stack((number, names)), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
        of_cluster = np.zeros(own.max(initial=-1) + 1, dtype=np.int64)
        of_cluster[own] = number
        alone = np.flatnonzero((np.bincount(of_cluster) == 1)[number]) if len(number) else own
        neighbours = np.full((len(alone), NEIGHBOURS), -1, dtype=np.int64)
        if len(alone):
            known = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
            middle = lat[known].mean() if len(known) else math.nan
            turned = short_way(lon - (lon[known[0]] if len(known) else 0.0))  # across 180 degrees
            east = turned * (METRES_A_DEGREE * np.cos(np.radians(middle)))
            plane = east, lat * METRES_A_DEGREE
            _, rows = knn.search(plane, plane, np.arange(len(lon)), max_distance=np.inf, k=NEIGHBOURS + 1, only=alone)
            found = rows[alone]
            # Of places at one position, the place itself need not be among those found.
            keep = found != alone[:, None]
            keep[keep.all(axis=1), -1] = False
            neighbours = found[keep].reshape(-1, NEIGHBOURS)
        return cls(weight, number, own, neighbours, alone)

    def share(self, values: Floats, inside: Flags, level: float) -> Estimate:
        """
        Estimate the share of the length for which something holds.

        Parameters
        ----------
        values
            0 or 1 for each place, or between where several images at a place disagree.
        inside
            Which places are meant, and known.
        level
            Chance that the interval holds the share, such as 0.95.

        Returns
        -------
        estimate
            With Wilson's interval (1927) for as many independent places as would have the same variance (Korn and
            Graubard 1998), by the quantile of Student's t. Where all places of a large stratum agree, these are no more
            than there are places (as always in the standards of the National Center for Health Statistics: Parker et
            al. 2017).
        """
        value, variance, df, clusters = self._ratio(values, inside)
        if not np.isfinite(variance):
            return Estimate(value, math.nan, math.nan, math.nan)
        weight = self.weight[inside]
        spread = value * (1 - value)
        # Where the places of each stratum agree, they say no more than so many independent ones.
        count = min(float(weight.sum() ** 2 / (weight**2).sum()), float(clusters))
        if variance > AGREED and spread > 0:
            count = spread / variance
            if self._is_unsure(values, inside):
                count = min(count, float(inside.sum()))
        squared = student_t(df, level) ** 2
        middle = (value + squared / (2 * count)) / (1 + squared / count)
        half = math.sqrt(squared * (spread / count + squared / (4 * count * count))) / (1 + squared / count)
        # The interval holds the share; rounding may put 0 and 1 outside of it.
        low, high = min(middle - half, value), max(middle + half, value)
        return Estimate(value, math.sqrt(variance), max(low, 0.0), min(high, 1.0))

    def mean(self, values: Floats, inside: Flags, level: float) -> Estimate:
        """
        Estimate the mean of a number over the length.

        Parameters
        ----------
        values
            Of each place; those of places not meant are not looked at.
        inside, level
            As in `share`.

        Returns
        -------
        estimate
            With the interval of Student's t.
        """
        value, variance, df, _ = self._ratio(values, inside)
        if not np.isfinite(variance):
            return Estimate(value, math.nan, math.nan, math.nan)
        error = math.sqrt(variance)
        half = student_t(df, level) * error
        return Estimate(value, error, value - half, value + half)

    def _is_unsure(self, values: Floats, inside: Flags) -> bool:
        """Return whether all places of a large stratum say the same, so that the variance may well be too small."""
        stratum, values = self.stratum[inside], values[inside]
        low, high = np.full(self.stratum.max() + 1, np.inf), np.full(self.stratum.max() + 1, -np.inf)
        np.minimum.at(low, stratum, values)
        np.maximum.at(high, stratum, values)
        part = np.bincount(stratum, self.weight[inside] ** 2, minlength=len(low))
        return bool(part[low == high].max(initial=0.0) > LARGE * part.sum())

    def _ratio(self, values: Floats, inside: Flags) -> tuple[float, float, float, int]:
        """
        Return a weighted mean, its variance, the degrees of freedom of that, and how many clusters there are.

        Within a stratum of several clusters the variance is that of their sums; such sums are drawn independently, so
        it is unbiased but for the linearisation. For a place that is alone in its stratum, it is the square of its
        difference from the mean of its neighbours, times 2/3: too large by what neighbouring strata differ.
        """
        total = self.weight[inside].sum()
        if not total > 0:
            return math.nan, math.nan, 0, 0
        value = float((self.weight[inside] * values[inside]).sum() / total)
        residual = np.where(inside, values - value, 0.0) if inside.all() else np.zeros(len(inside))
        if not inside.all():
            residual[inside] = values[inside] - value
        sums = np.bincount(self.cluster, self.weight * residual)
        of_cluster = np.zeros(len(sums), dtype=np.int64)
        of_cluster[self.cluster] = self.stratum
        meant = np.zeros(len(sums), dtype=bool)
        meant[self.cluster[inside]] = True
        clusters, count = int(meant.sum()), np.bincount(of_cluster)
        off = sums - (np.bincount(of_cluster, sums) / count)[of_cluster]
        squares = np.bincount(of_cluster, off * off)
        several = count > 1
        known = np.bincount(of_cluster, meant)
        variance = float((squares[several] * count[several] / (count[several] - 1)).sum())
        part = np.bincount(of_cluster, np.bincount(self.cluster, np.where(inside, self.weight, 0.0)) ** 2)
        several &= known > 0
        parts, dfs = [part[several].astype(np.float64)], [known[several] * (1 - 1 / count[several])]
        if len(self.alone):
            near = np.where(self.neighbours >= 0, residual[self.neighbours], 0.0)
            counts = (self.neighbours >= 0).sum(axis=1)
            if (counts[inside[self.alone]] == 0).any():
                return value, math.nan, 0, clusters
            counts = np.maximum(counts, 1)
            apart = residual[self.alone] - near.sum(axis=1) / counts
            variance += float((self.weight[self.alone] ** 2 * apart * apart * counts / (counts + 1)).sum())
            alone = self.alone[inside[self.alone]]
            parts.append(self.weight[alone] ** 2)
            dfs.append(np.ones(len(alone)))
        # Places that are alone share their neighbours, so that two of them tell as much as one.
        most = min(clusters - 1, float(dfs[0].sum()) + sum(len(each) for each in parts[1:]) / 2)
        df = _satterthwaite(np.concatenate(parts), np.concatenate(dfs), most)
        if df < 1:
            return value, math.nan, 0, clusters
        return value, variance / float(total) ** 2, df, clusters


def _satterthwaite(parts: Floats, dfs: Floats, most: float) -> float:
    """
    Return the degrees of freedom of a sum of variances, 0 where there are none.

    Satterthwaite's (1946; Cochran 1977, section 5.4), with the parts that the sum would have if values varied alike in
    all strata: those that the sample itself shows are unsure where a stratum has few places.

    Parameters
    ----------
    parts
        Share of each stratum in the variance, to any scale: the sum of its squared weights.
    dfs
        Degrees of freedom of each.
    most
        There are no more than this.
    """
    if most < 1:
        return 0
    whole = float(parts.sum() ** 2 / (parts * parts / dfs).sum())
    return max(1.0, min(most, whole))


@cache
def student_t(df: float, level: float) -> float:
    """
    Return how many standard errors an interval reaches either way: the quantile of Student's t.

    Parameters
    ----------
    df
        Degrees of freedom, 1 or more.
    level
        Chance that the interval holds the truth, above 0 and below 1.

    Returns
    -------
    quantile
        Right to nine digits, to seven where the degrees of freedom are no whole number.

    Notes
    -----
    Up to a thousand degrees of freedom by halving intervals of the finite sums of Abramowitz and Stegun (1964), 26.7.3
    and 26.7.4, or where they are no whole number of their integral (26.7.2); beyond by their series 26.7.5 from the
    normal quantile.
    """
    from statistics import NormalDist

    if df > MOST_DF:
        z = NormalDist().inv_cdf((1 + level) / 2)
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + first / df + second / df**2 + third / df**3
    chance = _chance if float(df).is_integer() else _chance_between
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle, df) < level else (low, middle)
    return math.tan((low + high) / 2) * math.sqrt(df)


def _chance(angle: float, df: float) -> float:
    """Return the chance of less than tan(angle) √df either way, of Student's t with a whole number df."""
    df = int(df)
    cosine = math.cos(angle)
    if df == 1:
        return 2 * angle / math.pi
    odd = df % 2
    term = total = cosine if odd else 1.0
    for number in range(3 if odd else 2, df - 1, 2):
        term *= cosine * cosine * (number - 1) / number
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def _chance_between(angle: float, df: float) -> float:
    """Return the same for any number of degrees of freedom, 1 or more."""
    nodes, weights = _gauss()
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2))
    if df < 3:
        # The power of the cosine is not smooth at its end: the rest is summed from there, in steps that grow.
        rest, step = math.pi / 2 - angle, (nodes + 1) / 2
        return 1 - scale * float((weights / 2 * np.sin(rest * step**4) ** (df - 1) * 4 * rest * step**3).sum())
    return scale * angle / 2 * float((weights * np.cos(angle / 2 * (nodes + 1)) ** (df - 1)).sum())


@cache
def _gauss() -> tuple[Floats, Floats]:
    """Return the nodes and weights of Gauss and Legendre, by which cosines up to their thousandth power are exact."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    return nodes, weights


def table(
    points: pd.DataFrame,
    column: str,
    *,
    lon: Floats,
    lat: Floats,
    by: str | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """
    Estimate shares of the values of a column, or the mean of a number, from places that were drawn.

    Parameters
    ----------
    points
        A row for each place, or several for one (`point_id`), which then says what they say on average: `weight`, and
        `stratum` and `cluster` where there are any.
    column
        The column: truth values or text for shares, numbers for the mean; null where nothing is known.
    lon, lat
        Where the places are, degrees.
    by
        Column of groups to estimate for as well.
    level
        Chance that an interval holds the truth.

    Returns
    -------
    estimates
        See `mlygeo.estimate`.

    Raises
    ------
    FrameError
        If a column is missing or cannot be used, weights are no positive numbers, or rows of a place disagree on what
        it is.
    InputError
        If the level is none, or `by` has the name of a column of the estimates.
    """
    import pandas as pd

    check_level(level)
    if by in TOLD:
        raise InputError(
            f"`by` is {by!r}, which is the name of a column of the estimates", hint="give the column another name"
        )
    rows, place = places(points)
    known = points[column]
    values, names = _valued(known, column)
    counts = np.bincount(place, known.notna())
    everything = np.zeros((len(rows), len(values)))
    for number, each in enumerate(values):
        everything[:, number] = np.bincount(place, np.where(known.notna(), each, 0.0))
    has = counts > 0
    everything[has] /= counts[has, None]
    cluster = points["cluster"].iloc[rows].astype("str").to_numpy(dtype=object) if "cluster" in points.columns else None
    stratum = points["stratum"] if "stratum" in points.columns else pd.Series("all", index=points.index)
    drawn = Drawn.of(
        points["weight"].iloc[rows].to_numpy(dtype=np.float64), stratum.iloc[rows].astype("str").to_numpy(dtype=object),
        cluster, lon[rows], lat[rows],
    )  # fmt: skip
    found = []
    for label, own in _groups(points, by, rows, place):
        for number, name in enumerate(names):
            estimated = drawn.mean if name is None else drawn.share
            inside = own & has
            one = estimated(everything[:, number], inside, level)
            found.append(
                {
                    **({} if by is None else {by: label}),
                    "value": name,
                    "estimate": one.value,
                    "standard_error": one.standard_error,
                    "low": one.low,
                    "high": one.high,
                    "points": int(inside.sum()),
                    "points_missing": int((own & ~has).sum()),
                    "length_m": float(drawn.weight[inside].sum()),
                    "length_missing_m": float(drawn.weight[own & ~has].sum()),
                    "points_alone": int(inside[drawn.alone].sum()),
                }
            )
    kinds = {name: "str" for name in ("value", by) if name is not None}
    return pd.DataFrame(found).astype(kinds)


def places(points: pd.DataFrame, own: Iterable[str] = ()) -> tuple[Rows, Whole]:
    """
    Return the first row of each place, and the number of each row's place.

    Parameters
    ----------
    points
        As in `table`.
    own
        Columns that are alike in all rows of a place, beside those of how it was drawn.

    Raises
    ------
    FrameError
        If weights are missing or no positive numbers, or rows of a place disagree on what it is.
    """
    import pandas as pd

    if "weight" not in points.columns:
        raise FrameError(
            "the points have no column 'weight', so it is not known how they were drawn",
            hint="draw them with 'mlygeo streets --method random', or stratified, grid or per-street",
        )
    weight = pd.to_numeric(points["weight"], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if odd := int((~(np.isfinite(weight) & (weight > 0))).sum()):
        raise FrameError(f"{odd:,} of {len(weight):,} weights are not positive numbers")
    if "point_id" not in points.columns:
        return np.arange(len(points)), np.arange(len(points))
    place, _ = pd.factorize(points["point_id"], use_na_sentinel=False)
    rows = np.flatnonzero(~points["point_id"].duplicated().to_numpy())
    for name in ("weight", "stratum", "cluster", *own):
        if name in points.columns:
            values = points[name].reset_index(drop=True)
            if not values.equals(values.iloc[rows].iloc[place].reset_index(drop=True)):
                raise FrameError(f"rows of one point have different values of {name!r}")
    return rows, place.astype(np.int64)


def _valued(known: pd.Series, column: str) -> tuple[list[Floats], list[str | None]]:
    """Return what is averaged, a number for each row, and its name: each value of a column; None for a number."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(known.dtype) or _are_truths(known):
        truths: Floats = np.asarray(known.astype("boolean").to_numpy(dtype=np.float64, na_value=0.0))
        return [truths], ["True"]
    if pd.api.types.is_numeric_dtype(known.dtype) and known.dtype.kind != "c":
        if column in IDS:
            raise FrameError(f"column {column!r} holds ids, which have no mean", hint="for shares make them text")
        numbers = known.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise FrameError(f"column {column!r} has infinite values, which have no mean")
        return [np.where(np.isnan(numbers), 0.0, numbers)], [None]
    if not (known.dtype == object or pd.api.types.is_string_dtype(known.dtype) or known.dtype == "category"):
        raise FrameError(
            f"column {column!r} holds {known.dtype}, of which there is neither a share nor a mean",
            hint="make it text, numbers or truth values",
        )
    texts = known.astype("str").where(known.notna())
    names = sorted(texts.dropna().unique())
    if not names:  # as of numbers of which none is known
        return [np.zeros(len(known))], [None]
    if len(names) > MOST_VALUES:
        raise FrameError(
            f"column {column!r} has {len(names):,} different values, and more than {MOST_VALUES} are no shares"
        )
    each: list[Floats] = [np.asarray((texts == name).fillna(value=False), dtype=np.float64) for name in names]
    return each, [*names]


def _are_truths(known: pd.Series) -> bool:
    """Return whether a column of objects holds nothing but truth values and nulls."""
    kinds = set(map(type, known.dropna())) if known.dtype == object else set()
    return bool(kinds) and kinds <= {bool, np.bool_}


def _groups(points: pd.DataFrame, by: str | None, rows: Rows, place: Whole) -> Iterator[tuple[str | None, Flags]]:
    """Yield each group with the places in it, then all of them, as None."""
    if by is not None:
        own = points[by].reset_index(drop=True)
        first = own.iloc[rows].reset_index(drop=True)
        if not own.equals(first.iloc[place].reset_index(drop=True)):
            raise FrameError(f"rows of one point have different values of {by!r}")
        texts = first.astype("str").where(first.notna(), UNKNOWN)
        names = sorted(texts.unique())
        if len(names) > MOST_GROUPS:
            raise FrameError(f"column {by!r} has {len(names):,} groups, and more than {MOST_GROUPS:,} are no table")
        for name in names:
            yield name, (texts == name).to_numpy(dtype=bool)
    yield None, np.ones(len(rows), dtype=bool)


def check_level(level: float) -> None:
    """
    Raise unless a level is one.

    Raises
    ------
    InputError
        If it is not between 0.5 and 1.
    """
    if not 0.5 <= level < 1:
        raise InputError(f"`level` is a chance from 0.5 to below 1, such as 0.95, not {level:g}")
