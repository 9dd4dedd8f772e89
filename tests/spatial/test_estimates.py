"""
Estimates against known truth: a made city whose every metre is known, sampled a thousand times by each design.

The city has streets of three classes, 14 km. What is asked for depends on the class, on the street, on the place
(smoothly, over hundreds of metres) and on chance in patches of 4 m: once as yes or no, once as a number from 0 to 1.
"""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlygeo import frames
from mlygeo.errors import InputError
from mlygeo.spatial import draws, estimates, polylines
from mlygeo.spatial.designs import Wanted, draw
from mlygeo.spatial.estimates import Drawn, student_t
from mlygeo.spatial.measured import Network

SRID, EAST, NORTH = 25832, 500_000, 5_400_000
SAMPLES = 1000
HELD = (0.93, 0.97)
"""Share of samples whose 95 % interval holds the truth."""


class City:
    """Streets on the sides of blocks of 100 m, and what is known of every place on them."""

    def __init__(self):
        random = np.random.default_rng(5)
        lines, classes = [], []
        for line in range(13):
            kind = "primary" if line % 6 == 0 else "secondary" if line % 3 == 0 else "residential"
            for block in range(12):
                for turned in (False, True):
                    if kind == "residential" and random.random() < 0.35:
                        continue
                    ends = np.array([[block * 100, line * 100], [block * 100 + random.uniform(15, 100), line * 100]])
                    lines.append(shapely.LineString((ends[:, ::-1] if turned else ends) + [EAST, NORTH]))
                    classes.append(kind)
        self.streets = frames.conform(
            gpd.GeoDataFrame(
                {"u": np.arange(len(lines)), "v": np.arange(len(lines)) + 10_000, "key": 0, "oneway": False,
                 "highway": classes},
                geometry=gpd.GeoSeries(lines, crs=SRID).to_crs(4326),
            ),
            frames.STREETS,
        )  # fmt: skip
        self.network = Network.of(self.streets, None, SRID, force_srid=False)
        self.kind = self.streets["highway"].map({"primary": 1.2, "secondary": 0.3, "residential": -0.6}).to_numpy()
        self.of_street = random.normal(size=len(lines)) / 2
        rows = np.arange(len(lines))
        length = self.network.lines.length
        parts = np.ceil(length / 0.25).astype(int)
        self.row = np.repeat(rows, parts)
        number = np.arange(len(self.row)) - np.repeat(np.cumsum(parts) - parts, parts)
        self.step = (length / parts)[self.row]
        self.yes, self.number = self.values(self.row, (number + 0.5) * self.step)

    def values(self, row, distance):
        """What is asked for at places."""
        x, y, _ = polylines.locate(self.network.lines, row, distance)
        x, y = x - EAST, y - NORTH
        field = np.sin(x / 310) + np.cos(y / 270) + 0.8 * np.sin((x + y) / 130) + self.kind[row] + self.of_street[row]
        chance = draws.uniform(draws.states(99, row, np.floor(distance / 4).astype(np.int64)), np.array([0]))
        return (chance < 1 / (1 + np.exp(0.9 - 1.5 * field))).astype(float), (0.4 + 0.6 * chance) / (
            1 + np.exp(0.6 - field)
        )

    def truth(self, inside=None):
        inside = np.ones(len(self.row), dtype=bool) if inside is None else inside[self.row]
        return [np.average(values[inside], weights=self.step[inside]) for values in (self.yes, self.number)]

    def samples(self, options, count=SAMPLES):
        """Yield how places were drawn, their streets, and what is found there, for as many seeds."""
        given = dict.fromkeys(("n", "by", "strata", "cell", "allocation", "n_streets")) | {"seed": 0} | options
        wanted = Wanted.of(given.pop("method"), **given)
        rows = self.network.once(self.streets)
        stretches = wanted.stretches(self.network, rows, self.streets, None)
        for seed in range(count):
            drawn = draw(replace(wanted, seed=seed), self.network, stretches)
            row = stretches.row[drawn.stretch]
            start, stop = stretches.start[drawn.stretch], stretches.stop[drawn.stretch]
            distance = start + drawn.share * (stop - start)
            x, y, _ = polylines.locate(self.network.lines, row, distance)
            cluster = None if wanted.n_streets is None else row * 1000 + drawn.draw
            lon, lat = self.network.projection.inverse(x, y)
            yield (
                Drawn.of(drawn.weight, stretches.stratum[drawn.stretch], cluster, lon, lat),
                row,
                *self.values(row, distance),
            )


@pytest.fixture(scope="module")
def city():
    return City()


KNOWN = {
    "random": {"method": "random", "n": 100},
    "few at random": {"method": "random", "n": 30},
    "stratified": {"method": "stratified", "n": 100, "by": "highway"},
    "equal": {"method": "stratified", "n": 15, "by": "highway", "allocation": "equal"},
    "grid": {"method": "grid", "cell": 200.0, "n": 2},
    "quadkeys": {"method": "grid", "cell": "quadkey16", "n": 4},
    "per street": {"method": "per-street", "n": 2},
    "streets": {"method": "per-street", "n": 3, "n_streets": 40},
}
"""Designs with two places or more in each stratum."""


def held(city, options, level=0.95, inside=None):
    """Return for the share and the mean how many intervals hold the truth, and how far standard errors are right."""
    truth, found = city.truth(inside), []
    for drawn, row, yes, number in city.samples(options):
        meant = np.ones(len(row), dtype=bool) if inside is None else inside[row]
        found.append((drawn.share(yes, meant, level), drawn.mean(number, meant, level)))
    table = np.array(found)  # sample, share or mean, field
    value, error, low, high = np.moveaxis(table, 2, 0)
    return ((low <= truth) & (truth <= high)).mean(axis=0), np.sqrt((error**2).mean(axis=0)) / value.std(axis=0), value


@pytest.mark.parametrize("design", KNOWN)
def test_intervals_hold_the_truth(city, design):
    shares, errors, values = held(city, KNOWN[design])
    assert (shares >= HELD[0]).all(), shares
    assert (shares <= HELD[1]).all(), shares
    assert (np.abs(errors - 1) < 0.08).all(), errors
    off = np.abs(values.mean(axis=0) - city.truth())
    assert (off < 4 * values.std(axis=0) / np.sqrt(SAMPLES)).all(), "no bias"


def test_intervals_of_other_levels_and_of_a_class_hold_it_too(city):
    shares, _, _ = held(city, KNOWN["random"], level=0.8)
    assert (np.abs(shares - 0.8) < 0.04).all()
    residential = (city.streets["highway"] == "residential").to_numpy()
    shares, errors, _ = held(city, KNOWN["random"], inside=residential)
    assert (shares >= HELD[0]).all()
    assert (shares <= HELD[1]).all()
    assert (np.abs(errors - 1) < 0.08).all()


@pytest.mark.parametrize(
    "allocation",
    [
        {"residential": 3, "secondary": 3, "primary": 3},
        {"residential": 2, "secondary": 3, "primary": 30},
        {"residential": 30, "secondary": 2, "primary": 3},
    ],
)
def test_intervals_of_strata_with_few_places_are_wide_enough(city, allocation):
    """Where a stratum of two places makes most of the variance, it has hardly more degrees of freedom than they."""
    shares, errors, _ = held(city, {"method": "stratified", "by": "highway", "allocation": allocation})
    assert (shares >= HELD[0]).all(), shares
    assert (np.abs(errors - 1) < 0.08).all(), errors


def test_a_large_stratum_that_agrees_by_chance_makes_no_share_certain():
    """No place of the largest class has what a tenth of it has: the variance that is left is of the small classes."""
    random = np.random.default_rng(3)
    stratum, weight = np.repeat(["large", "small"], 20), np.repeat([50.0, 5.0], 20)
    truth = (50 * 0.1 + 5 * 0.5) / 55
    count = 0
    for _ in range(2000):
        yes = (random.random(40) < np.repeat([0.1, 0.5], 20)).astype(float)
        drawn = Drawn.of(weight, stratum, None, np.linspace(9, 9.1, 40), np.full(40, 48.0))
        _, _, low, high = drawn.share(yes, np.ones(40, dtype=bool), 0.95)
        count += low <= truth <= high
    assert count / 2000 >= HELD[0]


@pytest.mark.parametrize("options", [{"method": "grid", "cell": 150.0, "n": 1}, {"method": "per-street", "n": 1}])
def test_with_one_place_a_stratum_errors_are_too_large_rather_than_too_small(city, options):
    """How neighbouring strata differ counts as error: 4 % too large on this grid, half as much again between streets."""
    shares, errors, _ = held(city, options)
    assert (shares >= HELD[0]).all(), shares
    assert (errors > 0.98).all(), errors
    assert (errors < (1.25 if options["method"] == "grid" else 1.75)).all(), errors


def test_an_interval_holds_its_share_also_where_that_is_none_or_all():
    """To the last bit: rounding must not put it beside."""
    random = np.random.default_rng(3)
    for number in range(200):
        count = 2 + number % 6
        drawn = Drawn.of(
            10.0 ** random.uniform(0, 3, count), np.full(count, "all", dtype=object), None, *random.random((2, count))
        )
        share = drawn.share(np.full(count, float(number % 2)), np.ones(count, dtype=bool), 0.95)
        assert share.low <= share.value <= share.high


@pytest.mark.parametrize("df", [*range(1, 40), 99, 100, 999, 1000, 1001, 5000, 10**7])
def test_quantiles_are_those_of_scipy(df):
    for level in (0.5, 0.8, 0.95, 0.999):
        assert student_t(df, level) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-9)


@pytest.mark.parametrize("df", [1.01, 1.5, 2.3, 3.9, 7.2, 33.3, 200.5, 999.5])
def test_quantiles_between_whole_numbers_are_those_of_scipy(df):
    for level in (0.5, 0.8, 0.95, 0.99, 0.9999, 0.999999):
        assert student_t(df, level) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-7)


def test_degrees_of_freedom_are_those_of_the_strata_that_matter():
    """Two places of a large stratum and 100 of a small one: the interval is as wide as that of two."""
    stratum, weight = np.repeat(["large", "small"], [2, 100]), np.repeat([500.0, 1.0], [2, 100])
    drawn = Drawn.of(weight, stratum, None, np.linspace(9, 9.1, 102), np.full(102, 48.0))
    values = np.random.default_rng(1).normal(size=102)
    found = drawn.mean(values, np.ones(102, dtype=bool), 0.95)
    part = np.array([2 * 500.0**2, 100.0])
    df = part.sum() ** 2 / (part**2 / [1, 99]).sum()
    assert (found.high - found.value) / found.standard_error == pytest.approx(stats.t.ppf(0.975, df), rel=1e-6)
    even = Drawn.of(np.ones(102), stratum, None, np.linspace(9, 9.1, 102), np.full(102, 48.0))
    few = np.arange(102) < 7  # a group of which seven places are known: two and five
    found = even.mean(values, few, 0.95)
    df = 7**2 / (2**2 / (2 * 0.5) + 5**2 / (5 * 0.99))
    assert (found.high - found.value) / found.standard_error == pytest.approx(stats.t.ppf(0.975, df), rel=1e-6)


def loop(weight, stratum, cluster, values, inside):
    """Särndal et al. (1992), 5.7 and 4.3: the variance of a ratio by loops over strata and clusters."""
    total = sum(w for w, m in zip(weight, inside, strict=True) if m)
    mean = sum(w * v for w, v, m in zip(weight, values, inside, strict=True) if m) / total
    variance = 0.0
    for each in set(stratum):
        sums = {}
        for w, h, c, v, m in zip(weight, stratum, cluster, values, inside, strict=True):
            if h == each:
                sums[c] = sums.get(c, 0.0) + (w * (v - mean) if m else 0.0)
        n = len(sums)
        middle = sum(sums.values()) / n
        variance += n / (n - 1) * sum((one - middle) ** 2 for one in sums.values())
    return mean, variance / total**2


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), strata=st.integers(1, 4), size=st.integers(2, 6), clustered=st.booleans())
def test_variances_are_those_of_loops(seed, strata, size, clustered):
    random = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(strata), 2 * size)
    cluster = np.tile(np.arange(2 * size) // 2, strata) if clustered else np.arange(len(stratum))
    weight, values = random.uniform(1, 9, len(stratum)), random.normal(size=len(stratum))
    inside = random.random(len(stratum)) < 0.8
    inside[:3] = True
    lon, lat = random.uniform(9, 9.1, (2, len(stratum)))
    order = random.permutation(len(stratum))
    drawn = Drawn.of(
        weight[order], stratum[order].astype(str), cluster[order] if clustered else None, lon[order], lat[order]
    )
    found = drawn.mean(values[order], inside[order], 0.95)
    mean, variance = loop(weight, stratum, cluster, values, inside)
    assert found.value == pytest.approx(mean)
    assert found.standard_error == pytest.approx(np.sqrt(variance))


def test_a_sample_at_random_has_the_intervals_of_textbooks():
    """Wilson's interval of 60 of 100 by the quantile of t, and the mean's of Student."""
    yes = np.repeat([1.0, 0.0], [60, 40])
    drawn = Drawn.of(np.full(100, 7.0), np.full(100, "all"), None, np.linspace(9, 9.1, 100), np.full(100, 48.0))
    everywhere = np.ones(100, dtype=bool)
    found = drawn.mean(yes, everywhere, 0.95)
    low, high = stats.t.interval(0.95, 99, loc=0.6, scale=stats.sem(yes))
    assert found == pytest.approx((0.6, stats.sem(yes), low, high))
    share = drawn.share(yes, everywhere, 0.95)
    quantile, count = stats.t.ppf(0.975, 99), 99.0  # s²/n has n - 1 in it
    bounds = np.roots([1 + quantile**2 / count, -(1.2 + quantile**2 / count), 0.36])
    assert share[2:] == pytest.approx(sorted(bounds))


def test_what_all_places_say_is_no_certainty():
    drawn = Drawn.of(np.full(20, 5.0), np.full(20, "all"), None, np.linspace(9, 9.1, 20), np.full(20, 48.0))
    found = drawn.share(np.ones(20), np.ones(20, dtype=bool), 0.95)
    assert (found.value, found.standard_error, found.high) == (1.0, 0.0, 1.0)
    assert 0.8 < found.low < 0.85  # 1 / (1 + t² / 20)


def test_one_place_says_nothing_of_its_error():
    one = Drawn.of(np.array([5.0]), np.array(["a"]), None, np.array([9.0]), np.array([48.0]))
    found = one.share(np.ones(1), np.ones(1, dtype=bool), 0.95)
    assert found.value == 1.0
    assert np.isnan(found[1:]).all()
    nowhere = one.mean(np.ones(1), np.zeros(1, dtype=bool), 0.95)
    assert np.isnan(nowhere).all()
    none = Drawn.of(np.empty(0), np.empty(0, "str"), None, np.empty(0), np.empty(0))
    assert np.isnan(none.share(np.empty(0), np.empty(0, dtype=bool), 0.95)).all()


def test_places_alone_in_their_strata_at_one_position():
    drawn = Drawn.of(np.full(6, 2.0), np.arange(6).astype(str), None, np.full(6, 9.0), np.full(6, 48.0))
    assert (drawn.neighbours != drawn.alone[:, None]).all()
    found = drawn.mean(np.arange(6.0), np.ones(6, dtype=bool), 0.95)
    assert found.standard_error > 0


def test_neighbours_lie_across_180_degrees_and_beside_places_that_are_unknown():
    lon = np.array([179.9, -179.9999, 179.9999, -179.9, np.nan])
    drawn = Drawn.of(np.full(5, 2.0), np.arange(5).astype(str), None, lon, np.full(5, -17.0))
    assert [sorted(each) for each in drawn.neighbours[:4].tolist()] == [[1, 2], [2, 3], [0, 1], [1, 2]]
    assert drawn.neighbours[4].tolist() == [-1, -1]


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, 95.0, -0.95])
def test_levels_that_are_none_are_refused(level):
    with pytest.raises(InputError, match="level"):
        estimates.check_level(level)
