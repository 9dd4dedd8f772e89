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
        How many points: in all with "random" and "stratified" (in each stratum if the allocation is "equal"),
        in each cell with "grid", on each street with "per-street". Default of the last two: 2, the fewest from
        which an error can be computed.
    seed
        Number that the random points follow from: the same streets and the same seed give the same points, on
        any machine and in any order of the rows.
    by
        With "stratified": the column of the streets whose values are the strata, such as highway. Beside
        `strata`: the column with the names of the polygons; default: name if there is one, else polygons are
        numbered from 1.
    strata
        With "stratified": polygons that are the strata, a frame or any polygon file. Streets are cut at their
        borders. Streets outside all polygons are left out, and their length is reported.
    cell
        With "grid": squares of this many metres in the plane of `srid`, tiles of the web map, such as
        quadkey17, or hexagons of H3, such as h3:9.
    allocation
        With "stratified": "proportional" shares out `n` points by the length of the strata, at least one for
        each; "equal" gives each `n`. Or a file (or dict) with the number of points of each stratum: a table
        with the columns stratum and n (.csv), or an object (.json). Default: proportional.
    n_streets
        With "per-street": how many streets to draw, with chances proportional to their lengths. A street that
        is drawn twice gets twice as many points. Default: all streets, each once.
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
