"""Options on samples of places along streets, with known chances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

StreetMethod = Literal["even", "percept", "random", "stratified", "grid", "per-street"]
"""Methods of laying points along streets, and of drawing them at random."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """
    Which places on streets are drawn at random.

    Parameters
    ----------
    n
        Number of points: in total for "random" and "stratified" (in each stratum if the allocation is "equal"), in
        each cell for "grid", on each street for "per-street". Default of the last two: 2, the fewest from which an
        error can be computed.
    seed
        Seed of the random numbers. The same streets and seed give the same points, on any machine and in any order
        of rows.
    by
        For "stratified": the column of the streets whose values are the strata, such as highway. With `strata`: the
        column with the names of the polygons. Default: name if there is one, else polygons are numbered from 1.
    strata
        For "stratified": polygons that are the strata, in any polygon file (in Python also a frame). Streets are
        cut at their borders. Streets outside all polygons are left out, and their length is reported.
    cell
        For "grid": a number for squares of this many metres in the CRS of `srid`, quadkey17 (or another zoom) for
        web map tiles, or h3:9 (or another resolution) for H3 hexagons.
    allocation
        For "stratified": "proportional" distributes `n` points by the length of the strata, at least one each.
        "equal" gives `n` points to each stratum. A file (in Python also a dict) gives the number of points of each
        stratum: a table with the columns stratum and n (.csv), or an object (.json). Default: proportional.
    n_streets
        For "per-street": number of streets to draw, with probabilities proportional to their lengths. A street
        drawn twice gets twice as many points. Default: all streets, each once.
    """

    n: int | None
    seed: int
    by: str | None
    strata: FrameLike | None
    cell: float | str | None
    allocation: PathLike | Mapping[str, int] | None
    n_streets: int | None

    def checked(self, method: str) -> str | Mapping[str, int] | None:
        """
        Return how points are shared out among strata, and raise for what makes no sense, before anything slow.

        Parameters
        ----------
        method
            The method of drawing.
        """
        import os

        from mlygeo.readers import allocations
        from mlygeo.spatial.designs import Wanted

        found: Any = self.allocation
        if isinstance(found, str | os.PathLike) and found not in {"proportional", "equal"}:
            found = allocations.read(found)
        Wanted.of(
            method, n=self.n, seed=self.seed, by=self.by, strata=self.strata, cell=self.cell, allocation=found,
            n_streets=self.n_streets,
        )  # fmt: skip
        shared: str | Mapping[str, int] | None = found
        return shared
