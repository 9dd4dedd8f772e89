"""
Samples of places on streets with known chances: at random, by strata, by cells of a grid, by street.

The population is the length of the streets, each street once. In all designs places are drawn independently, and
evenly over the length of what they are drawn from; so each place stands for a known length, and these lengths
together are that of the streets. What is said from such a sample, and with which error, is in
`mlygeo.spatial.estimates`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.progress import counted, working
from mlygeo.spatial import draws, geodesy, polylines, spacing
from mlygeo.spatial.measured import NO_POINTS, Laid, Network, points_frame
from mlygeo.spatial.strata import Cell, Stretches, allocated, by_cell, by_column, by_polygons, whole

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Whole, Words

log = logging.getLogger("mlygeo.streets")

Design = Literal["random", "stratified", "grid", "per-street"]

TAKES: dict[str, frozenset[str]] = {
    "random": frozenset({"n"}),
    "stratified": frozenset({"n", "by", "strata", "allocation"}),
    "grid": frozenset({"n", "cell"}),
    "per-street": frozenset({"n", "n_streets"}),
}
"""Options of each design beside the seed."""

DEFAULT_N = 2
"""Places in each cell, and on each street: with two, the variance among them is known without assumptions."""

ALL = "all"
"""Name of the only stratum where there is one."""

MOST_POINTS = 20_000_000
"""More points than this mean a mistake, and would not fit in memory."""


@working("drawing points")
def sample_streets(
    streets: gpd.GeoDataFrame,
    *,
    method: Design = "random",
    n: int | None = None,
    seed: int = 0,
    by: str | None = None,
    strata: gpd.GeoDataFrame | None = None,
    cell: float | str | None = None,
    allocation: str | Mapping[str, int] | None = None,
    n_streets: int | None = None,
    srid: int | None = None,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Draw places on streets at random, each with the length of street that it represents.

    The population is the length of the streets, each street once. Within a stratum places are independent of
    each other and evenly distributed over its length; places in different strata are independent.

    - "random": `n` places anywhere.
    - "stratified": places in each class of a column (`by`), or in each polygon (`strata`); `n` of them in
      proportion to the lengths, or `n` in each (`allocation`).
    - "grid": `n` places on the streets in each cell.
    - "per-street": `n` places on each street; or on `n_streets` streets, drawn with chances proportional to their
      lengths. A street may be drawn more than once, and gets `n` places each time.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    method
        How places are drawn.
    n
        Number of places; by default two in each cell, or on each street, so that the variance there can be estimated.
    seed
        From 0 to 2^63 - 1. The same seed gives the same places, in any order of the rows.
    by
        With "stratified": the column of the streets whose values are the strata; or of `strata` with their names,
        by default `name`, else polygons are numbered from 1.
    strata
        With "stratified": frame of polygons, EPSG:4326. Streets are cut at their borders; streets outside all
        polygons are left out.
    cell
        With "grid": metres, for squares in the plane; or tiles of the web map (such as "quadkey17"), or hexagons of H3
        (such as "h3:9").
    allocation
        With "stratified": "proportional" to the length of the strata, one place at least in each; "equal"; or how many
        places in each stratum by name.
    n_streets
        With "per-street": how many streets to draw.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of the streets.
    force_srid
        Use `srid` even if the streets are outside of its area of use.

    Returns
    -------
    points
        Street points frame, EPSG:4326, sorted by `point_id` (int64, the number of the place on Earth): `u`, `v`,
        `key`, `osmid`, `name`, `highway` and `bearing` as from `street_points`; `stratum` (str); `cluster` (str, the
        street that was drawn, and which draw it was), with `n_streets` only; `inclusion_probability` (float64), the
        expected number of places in a metre of street there; `weight` (float64), metres of street that the place
        represents, which is 1 / `inclusion_probability`. The weights of a stratum add up to its length.
        `attrs["street_points"]` has the facts.

    Raises
    ------
    InputError
        If an option makes no sense, has no effect with the method, or is missing.
    FrameError
        If a column is missing, geometry is not a line, or the polygons are damaged or overlap.
    CrsError
        If the srid is unknown, geographic, or does not serve the place of the streets.
    DependencyError
        If H3 is asked for, and its package is missing.

    Notes
    -----
    The places depend only on the seed and on the geometry of each street (`mlygeo.spatial.draws`). With "random", and
    with classes by a column, more streets or a larger `n` replace or add places, but do not move any.

    Examples
    --------
    >>> sample_streets(streets, method="stratified", n=60, by="highway", seed=7).groupby("stratum")["weight"].sum()
    """
    frames.check(streets, frames.STREETS)
    wanted = Wanted.of(
        method, n=n, seed=seed, by=by, strata=strata, cell=cell, allocation=allocation, n_streets=n_streets
    )
    geodesy.check_forced(srid, force=force_srid)
    if not len(streets):
        facts = {"edges": 0, "streets": 0, "length_m": 0.0, "points": 0, "srid": srid, **wanted.facts(), "strata": 0}
        none = np.empty(0, dtype=object)
        return points_frame(
            streets, NO_POINTS, facts, _columns(none, np.empty(0), None if wanted.n_streets is None else none)
        )
    network = Network.of(streets, None, srid, force_srid=force_srid)
    rows = network.once(streets)
    rows = rows[network.micrometres()[rows] > 0]
    if not len(rows):
        raise FrameError("the streets have no length, so that no place can be drawn on them")
    stretches = wanted.stretches(network, rows, streets, strata)
    drawn = draw(wanted, network, stretches)
    facts = network.facts() | {"points": len(drawn.stretch), "srid": network.projection.srid} | wanted.facts()
    facts |= _facts(stretches, drawn, wanted)
    laid, order = _laid(network, stretches, drawn)
    clusters = None
    if wanted.n_streets is not None:
        u, v, key = (streets[name].iloc[laid.row] for name in ("u", "v", "key"))
        clusters = np.array(
            [
                f"{one} {other} {which} {each}"
                for one, other, which, each in zip(u, v, key, drawn.draw[order], strict=True)
            ],
            dtype=object,
        )
    columns = _columns(stretches.labels[stretches.stratum[drawn.stretch[order]]], drawn.weight[order], clusters)
    log.info(
        "%s (%s, seed %d; %s), on %.1f km of streets", counted(len(laid.row), "point"), method, seed,
        f"strata: {facts['strata']:,}", facts["length_m"] / 1000,
    )  # fmt: skip
    return points_frame(streets, laid, facts, columns)


@dataclass(frozen=True)
class Wanted:
    """
    Which places are wanted: the options of `sample_streets`, checked.

    Parameters
    ----------
    method, n, seed, by, allocation, n_streets
        As there.
    cell
        The cells; None for other methods than "grid".
    cuts
        Whether polygons cut the streets.
    """

    method: str
    n: int | None
    seed: int
    by: str | None
    cell: Cell | None
    allocation: str | Mapping[str, int] | None
    n_streets: int | None
    cuts: bool

    @classmethod
    def of(
        cls,
        method: str,
        *,
        n: int | None,
        seed: int,
        by: str | None,
        strata: object,
        cell: float | str | None,
        allocation: str | Mapping[str, int] | None,
        n_streets: int | None,
    ) -> Wanted:
        """
        Check the options of a design.

        Raises
        ------
        InputError
            If an option makes no sense, has no effect with the method, or is missing.
        """
        if method not in TAKES:
            raise InputError(f"`method` is one of {', '.join(TAKES)}, not {method!r}")
        given = {"n": n, "by": by, "strata": strata, "cell": cell, "allocation": allocation, "n_streets": n_streets}
        idle = [f"`{name}`" for name, value in given.items() if value is not None and name not in TAKES[method]]
        by_name = isinstance(allocation, Mapping)
        why = f"with `method={method}`"
        if by_name and n is not None and not idle:
            idle, why = ["`n`"], "with an `allocation` that says how many points each stratum gets"
        if idle:
            verb = "has" if len(idle) == 1 else "have"
            raise InputError(f"{' and '.join(idle)} {verb} no effect {why}", hint=f"leave {idle[0]} out")
        draws.check_seed(seed)
        for name, count in (("n", n), ("n_streets", n_streets)):
            if count is not None and not 1 <= count <= MOST_POINTS:
                raise InputError(f"`{name}` is a number from 1 to {MOST_POINTS:,}, not {count:,}")
        if method == "stratified" and by is None and strata is None:
            raise InputError("the strata are missing", hint="name a column with `by`, or polygons with `strata`")
        if method == "grid" and cell is None:
            raise InputError("`cell` is missing", hint="give metres, or cells such as quadkey17 or h3:9")
        if n is None and (method == "random" or (method == "stratified" and not by_name)):
            raise InputError("`n` is missing: how many points are to be drawn")
        if method == "stratified":
            allocation = _checked(allocation)
        return cls(
            method, n, seed, by, None if cell is None else Cell.of(cell), allocation, n_streets, strata is not None
        )

    @property
    def of_each(self) -> int:
        """How many places are drawn at a time."""
        return DEFAULT_N if self.n is None else self.n

    @property
    def is_of_whole_streets(self) -> bool:
        """Whether no street is cut: then what arrives on it is the same in each design."""
        return self.cell is None and not self.cuts

    def facts(self) -> dict[str, Any]:
        """Return what was asked for."""
        cell = {} if self.cell is None else {"cell": str(self.cell)}
        options = {"n": self.n, "by": self.by, "allocation": self.allocation, "n_streets": self.n_streets}
        named = {name: value for name, value in options.items() if value is not None}
        return {"method": self.method, "seed": self.seed, **named, **cell}

    def stretches(
        self, network: Network, rows: Whole, streets: gpd.GeoDataFrame, polygons: gpd.GeoDataFrame | None
    ) -> Stretches:
        """Return the stretches of streets that places are drawn on, by stratum."""
        if self.cell is not None:
            return by_cell(network, rows, self.cell)
        if polygons is not None:
            if polygons.crs is None:
                raise FrameError("`strata` has no CRS", hint="set it, such as with set_crs(4326)")
            found = by_polygons(network, rows, polygons.to_crs(frames.CRS), self.by)
            if not len(found.labels):
                raise FrameError("no street lies in the polygons of `strata`")
            return found
        if self.by is not None:
            return by_column(network, rows, streets, self.by)
        if self.method == "per-street" and self.n_streets is None:
            named = zip(*(streets[name].iloc[rows] for name in ("u", "v", "key")), strict=True)
            labels = np.array([f"{u} {v} {key}" for u, v, key in named], dtype=object)
            return whole(network, rows, np.arange(len(rows)), labels)
        return whole(network, rows, np.zeros(len(rows), dtype=np.int64), np.array([ALL], dtype=object))

    def points(self, stretches: Stretches) -> Whole:
        """
        Return how many places are drawn in each stratum: streets where `n_streets` are drawn.

        Raises
        ------
        InputError
            If there are fewer than strata, too many, or an allocation names other strata than there are.
        """
        labels, allocation = stretches.labels.tolist(), self.allocation
        if isinstance(allocation, Mapping):
            missing = [label for label in labels if label not in allocation]
            unknown = [name for name in allocation if name not in set(labels)]
            if missing or unknown:
                which = f"no stratum is called {unknown[0]!r}" if unknown else f"{missing[0]!r} has no number of points"
                raise InputError(f"`allocation`: {which}", hint=f"the strata are {_some(labels)}")
            return np.array([allocation[label] for label in labels], dtype=np.int64)
        n = self.of_each
        if allocation == "proportional":
            return allocated(stretches.lengths(), n)
        each = self.n_streets or n
        if each * len(labels) * (n if self.n_streets else 1) > MOST_POINTS:
            raise InputError(
                f"these are more than {MOST_POINTS:,} points, which are not drawn at once", hint="use a smaller `n`"
            )
        return np.full(len(labels), each, dtype=np.int64)


class Places(NamedTuple):
    """Places that were drawn on stretches."""

    stretch: Whole
    share: Floats
    """Where on the stretch, 0 to 1."""
    weight: Floats
    """Metres of street that it stands for."""
    draw: Whole
    """Which arrival on its street drew the street."""


def draw(wanted: Wanted, network: Network, stretches: Stretches) -> Places:
    """
    Draw places on stretches.

    Parameters
    ----------
    wanted
        Which places are wanted.
    network, stretches
        The streets, and their stretches by stratum.

    Raises
    ------
    InputError
        If the numbers of places do not suit the strata.
    """
    points = wanted.points(stretches)
    inside = np.flatnonzero(stretches.stratum >= 0)
    street = network.same[stretches.row[inside]]
    keys = (street,) if wanted.is_of_whole_streets else (street, *_pieces(network, stretches, inside))
    state = draws.states(wanted.seed, *keys)
    stratum = stretches.stratum[inside]
    length = (stretches.stop - stretches.start)[inside]
    chosen, number, share = draws.first_arrivals(state, length, stratum, points)
    weight = (stretches.lengths() / 1e6 / points)[stratum[chosen]]
    if wanted.n_streets is not None and (n := wanted.of_each) > 1:
        # The first place on a street that was drawn is where it was drawn; the others have numbers of their own.
        own = draws.states(wanted.seed, street[chosen], number)
        others = draws.uniform(own[:, None], np.arange(1, n)[None, :])
        share = np.column_stack((share, others)).ravel()
        chosen, number, weight = np.repeat(chosen, n), np.repeat(number, n), np.repeat(weight / n, n)
    return Places(inside[chosen], share, weight, number)


def _pieces(network: Network, stretches: Stretches, inside: Whole) -> tuple[Words, Whole]:
    """Return what tells stretches of one street apart: the key of the stratum, and which stretch there it is."""
    row, stratum = stretches.row[inside], stretches.stratum[inside]
    start = stretches.start[inside]
    order = np.lexsort((np.where(_against(network)[row], -start, start), stratum, row))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(row[order]) != 0) | (np.diff(stratum[order]) != 0)
    place = np.arange(len(order))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return draws.keys_of(stretches.labels)[stratum], number


def _against(network: Network) -> Flags:
    """Return which rows are measured from their end, so that both directions of a street have the same places."""
    first, last = network.lines.first[:-1], network.lines.first[1:] - 1
    ends, vertex = (first, last), network.vertex
    loop = vertex[first] == vertex[last]
    inner = (np.minimum(first + 1, last), np.maximum(last - 1, first))
    one, other = (np.where(loop, vertex[within], vertex[end]) for end, within in zip(ends, inner, strict=True))
    found: Flags = one > other
    return found


def _laid(network: Network, stretches: Stretches, drawn: Places) -> tuple[Laid, Whole]:
    """Return the points in the order of their numbers, and which of the drawn places each is."""
    row = stretches.row[drawn.stretch]
    start, stop = stretches.start[drawn.stretch], stretches.stop[drawn.stretch]
    share = np.where(_against(network)[row], 1 - drawn.share, drawn.share)
    x, y, segment = polylines.locate(network.lines, row, start + share * (stop - start))
    lon, lat = network.projection.inverse(x, y)
    bearing = polylines.bearings(network.lines, network.lonlat, network.vertex, segment)
    ids = spacing.place_ids(lon, lat)
    order = np.argsort(ids, kind="stable")
    # Two places within 3 cm have the same number; the second takes the next one.
    place = np.arange(len(order))
    distinct = np.maximum.accumulate(ids[order] - place) + place
    return Laid(row[order], lon[order], lat[order], bearing[order], distinct), order


def _columns(stratum: Objects, weight: Floats, clusters: Objects | None) -> dict[str, Any]:
    return {
        "stratum": stratum,
        **({} if clusters is None else {"cluster": clusters}),
        "inclusion_probability": 1 / weight,
        "weight": weight,
    }


def _facts(stretches: Stretches, drawn: Places, wanted: Wanted) -> dict[str, Any]:
    """Return what is told of the strata."""
    labels = stretches.labels.tolist()
    facts: dict[str, Any] = {"strata": len(labels)}
    if wanted.method == "stratified":
        points = np.bincount(stretches.stratum[drawn.stretch], minlength=len(labels)).tolist()
        lengths = (stretches.lengths() / 1e6).tolist()
        each = zip(labels, points, lengths, strict=True)
        facts["by_stratum"] = {label: {"points": count, "length_m": metres} for label, count, metres in each}
        facts["length_outside_m"] = stretches.outside_m()
    return facts


def _checked(allocation: str | Mapping[str, int] | None) -> str | Mapping[str, int]:
    """Return how points are shared out among strata; raise InputError where that makes no sense."""
    if not isinstance(allocation, Mapping):
        if allocation not in {None, "proportional", "equal"}:
            raise InputError(
                f"`allocation` is proportional, equal, or numbers of points by stratum, not {allocation!r}"
            )
        return allocation or "proportional"
    for name, count in allocation.items():
        whole_number = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not isinstance(name, str) or not whole_number or not 1 <= count <= MOST_POINTS:
            raise InputError(
                f"`allocation`: {name!r} is to get {count!r} points",
                hint=f"each stratum needs a whole number from 1 to {MOST_POINTS:,}, by its name",
            )
    if sum(allocation.values()) > MOST_POINTS:
        raise InputError(f"`allocation` wants more than {MOST_POINTS:,} points, which are not drawn at once")
    return {name: int(count) for name, count in allocation.items()}


def _some(labels: list[str]) -> str:
    return ", ".join(labels[:10]) + (f" and {len(labels) - 10:,} more" if len(labels) > 10 else "")
