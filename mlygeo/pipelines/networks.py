"""The streets that points are laid along: held where they are few, else some at a time, and the points over parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FrameError
from mlygeo.pipelines import inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.parts.laying import Planned
    from mlygeo.parts.plan import Plan
    from mlygeo.parts.points import GivenPoints
    from mlygeo.pipelines.options import Plane, StreetPoints
    from mlygeo.readers.street_rows import StreetRows
    from mlygeo.regions import Region
    from mlygeo.store import FrameLike

HELD_STREETS = 250_000
"""Streets of a file that are held; more are read some at a time, where the file allows it."""

HELD_POINTS = 1_000_000
"""Points that are laid at once; more are laid part by part."""

ROWS_AT_ONCE = 100_000
"""Streets of a frame that are looked at at a time."""


@dataclass
class HeldStreets:
    """Streets in memory, some at a time; `facts` and `left_out` as of `mlygeo.readers.street_rows.StreetRows`."""

    frame: gpd.GeoDataFrame
    name: str = "the streets"

    def __len__(self) -> int:
        """Return the number of streets."""
        return len(self.frame)

    @property
    def attribution(self) -> list[str]:
        """Whom they are owed to."""
        return list(self.frame.attrs.get("attribution", []))

    @property
    def facts(self) -> dict[str, Any]:
        """What was found out when they were read."""
        found: dict[str, Any] = self.frame.attrs.get("streets", {})
        return found

    @property
    def left_out(self) -> dict[str, int]:
        """Rows by the reason for which they are left out."""
        return self.frame.attrs.get("left_out") or {}

    def pieces(self) -> Iterator[gpd.GeoDataFrame]:
        """Yield streets frames."""
        for start in range(0, len(self.frame), ROWS_AT_ONCE):
            yield self.frame.iloc[start : start + ROWS_AT_ONCE]


@dataclass(frozen=True)
class AtHand:
    """Points that are there, and need no folder."""

    given: GivenPoints

    def points(self, _folder: Path, _do: Callable[[Plan], None]) -> GivenPoints:
        """Return them."""
        return self.given


@dataclass
class Laying:
    """
    Points that are laid over parts, as soon as there is a folder for these.

    Parameters
    ----------
    streets
        The streets.
    interval
        Distance between points, metres.
    srid
        The CRS to measure in.
    found
        What was found out of the streets and points, for the summary; complete when they are laid.
    """

    streets: StreetRows | HeldStreets
    interval: float
    srid: int
    found: dict[str, Any] = field(default_factory=dict)

    def planned(self, folder: Path) -> Planned:
        """Return the plan, not yet written; `folder` is where its own folder is to be."""
        from mlygeo.parts import laying

        return laying.planned(
            self.streets, folder, interval=self.interval, srid=self.srid, attribution=self.streets.attribution
        )

    def points(self, folder: Path, do: Callable[[Plan], None]) -> GivenPoints:
        """
        Lay the points, unless they are there, and return them.

        Parameters
        ----------
        folder
            Where the folder of the plan is.
        do
            Does what is left of a plan.
        """
        from mlygeo.parts import laying

        plan = self.planned(folder).write()
        do(plan)
        laid = laying.Laid(plan)
        self.found |= {"streets": self.streets.facts, "street_points": laid.facts}
        return laid.points()


def opened(
    region: Region | None, streets: FrameLike | None, *, retain_all: bool, laid: StreetPoints, plane: Plane
) -> gpd.GeoDataFrame | Laying:
    """
    Return the streets of a region: held where they and their points are few, else with what lays points over parts.

    Parameters
    ----------
    region, streets, retain_all
        See `mlygeo.pipelines.inputs.network`.
    laid, plane
        Where points are to be laid, and the plane to measure in.

    Raises
    ------
    RegionError
        If no street lies in the region.
    CrsError
        If the CRS does not serve the place of the streets.
    """
    whole = partial(inputs.network, region, streets, retain_all=retain_all)
    given = _row_by_row(region, streets, retain_all=retain_all)
    if given is None:
        network = whole()
        length_m = network.attrs.get("streets", {}).get("length_m", 0.0)
        if length_m / laid.interval + len(network) <= HELD_POINTS:
            return network
        return _laying(HeldStreets(network), laid, plane, whole)
    return _laying(given, laid, plane, whole)


def laying_of(
    region: Region | None, streets: FrameLike | None, *, retain_all: bool, laid: StreetPoints, plane: Plane
) -> Laying:
    """
    Return what lays points over parts along the streets of a region, however few they are; see `opened`.

    Parameters
    ----------
    region, streets, retain_all
        See `mlygeo.pipelines.inputs.network`.
    laid, plane
        Where points are to be laid, and the plane to measure in.

    Raises
    ------
    RegionError
        If no street lies in the region.
    CrsError
        If the CRS does not serve the place of the streets.
    """
    whole = partial(inputs.network, region, streets, retain_all=retain_all)
    given = _row_by_row(region, streets, retain_all=retain_all)
    return _laying(HeldStreets(whole()) if given is None else given, laid, plane, whole)


def _row_by_row(region: Region | None, streets: FrameLike | None, *, retain_all: bool) -> StreetRows | None:
    """Return given streets where they are many, and can be read some at a time."""
    from mlygeo.readers import street_rows

    if streets is None:
        return None
    inputs.are_lines(streets)
    return street_rows.opened(streets, region, retain_all=retain_all, least=HELD_STREETS)


def _laying(
    given: StreetRows | HeldStreets, laid: StreetPoints, plane: Plane, whole: Callable[[], gpd.GeoDataFrame]
) -> Laying:
    """Return what lays points along streets; where there are none, reading them as a whole says why."""
    from mlygeo.parts import laying
    from mlygeo.spatial import geodesy

    bounds = laying.bounds_of(given)
    if bounds is None:
        given = HeldStreets(whole())
        bounds = laying.bounds_of(given)
    if bounds is None:
        raise FrameError(f"{given.name} contains no streets", hint="`streets` takes a file of lines")
    srid = geodesy.utm_srid(*bounds) if plane.srid is None else plane.srid
    return Laying(given, laid.interval, geodesy.check_srid(srid, bounds, force=plane.force_srid).srid)


def street_points(network: gpd.GeoDataFrame, laid: StreetPoints, plane: Plane) -> gpd.GeoDataFrame:
    """Return points along streets that are held."""
    from mlygeo.spatial import streets as step

    return step.street_points(
        network, interval=laid.interval, srid=plane.srid, method=laid.method, force_srid=plane.force_srid
    )
