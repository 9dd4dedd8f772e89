"""Which pairs of points and images may match, tested before the nearest are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.spatial.grid import Array, PairTest, Rows


def heading_difference(heading: Array, bearing: Array) -> Array:
    """Return the angle between a camera and the line of a street, both ways counted: 0 to 90°, NaN if unknown."""
    # fmod is exact, and the compiled kernel uses the same, so that both agree to the last bit.
    with np.errstate(invalid="ignore"):
        difference = np.fmod(np.abs(heading - bearing), 180.0)
    return np.minimum(difference, 180.0 - difference)


@dataclass(frozen=True)
class HeadingTest:
    """
    Flat images whose camera looks along the street, and all panoramas.

    Parameters
    ----------
    bearing
        Bearing of the street at each point, degrees; a flat image does not pass where it is NaN.
    heading
        Heading of each image, degrees; a flat image does not pass where it is NaN.
    pano
        Whether each image is a panorama, which looks every way and always passes.
    most
        Largest difference, degrees.
    """

    bearing: Array
    heading: Array
    pano: npt.NDArray[np.bool_]
    most: float

    def __call__(self, points: Rows, images: Rows, squares: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002 - other tests need it
        """Tell which pairs pass."""
        difference = heading_difference(self.heading[images], self.bearing[points])
        passes: npt.NDArray[np.bool_] = (difference <= self.most) | self.pano[images]
        return passes


@dataclass(frozen=True)
class HoldTest:
    """
    Images that nobody holds who is nearer, for handing each image to one point.

    Parameters
    ----------
    number
        Number of each image; rows with the same id share one.
    held_square, held_by
        For each number: squared distance and place of the point that holds it (inf and -1 for none).
    place
        Place of each point in the order that settles ties.
    test
        Another test that a pair has to pass, or None.
    """

    number: Rows
    held_square: Array
    held_by: Rows
    place: Rows
    test: PairTest | None

    def __call__(self, points: Rows, images: Rows, squares: Array) -> npt.NDArray[np.bool_]:
        """Tell which pairs pass."""
        number = self.number[images]
        held = self.held_square[number]
        passes: npt.NDArray[np.bool_] = (squares < held) | (
            (squares == held) & (self.place[points] < self.held_by[number])
        )
        if self.test is not None:
            passes &= self.test(points, images, squares)
        return passes
