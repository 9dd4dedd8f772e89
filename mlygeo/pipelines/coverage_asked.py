"""What a coverage is to tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlygeo.pipelines.districts import Read
    from mlygeo.spatial.comparison import Side


@dataclass(frozen=True)
class Asked:
    """
    What a coverage is to tell.

    Parameters
    ----------
    distance
        Largest distance from a place on a street to an image, metres.
    names
        What lengths are told apart by.
    time_zone
        That of seasons, weekdays and hours.
    min_gap
        Gaps shorter than this are left out, metres.
    districts
        What "district" in the names stands for; None where it is not among them.
    cells
        The cells that are told, as text; None for none.
    sides
        The two sides of a comparison; None for none.
    expected
        Whether images are compared with those that the length of streets leads to expect.
    in_sequences
        Whether the images tell their sequences.
    """

    distance: float
    names: tuple[str, ...]
    time_zone: str | None
    min_gap: float
    districts: Read | None = None
    cells: str | None = None
    sides: tuple[Side, Side] | None = None
    expected: bool = False
    in_sequences: bool = False

    @property
    def grouped(self) -> tuple[str, ...]:
        """Those of the names by which images are told apart."""
        from mlygeo.spatial.coverage_classes import BY

        return tuple(name for name in self.names if name in BY)

    def without(self, name: str) -> Asked:
        """Return the same without one of the names."""
        return replace(self, names=tuple(each for each in self.names if each != name))
