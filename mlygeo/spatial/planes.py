"""Points and images in one plane, with the rows that they have among all: one plane for all, or one for each zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mlygeo.spatial import knn

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Floats, Rows
    from mlygeo.spatial.grid import HeadingTest, PairTest
    from mlygeo.spatial.projection import Projection

    Planar = tuple[Floats, Floats]

Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True)
class InPlane:
    """
    Points and the images near them in one plane.

    Parameters
    ----------
    points, images
        Positions (x, y) in the unit of the plane.
    key_rank
        Ranks of the images' keys.
    limit
        Largest distance, inclusive, in that unit; infinity for none.
    projection
        From degrees to the plane, in metres.
    test
        Which pairs may match, by their rows here; None for all.
    point_rows, image_rows
        Their rows among all, ascending; None where here are all.
    compiled
        As in `mlygeo.spatial.knn.search`.
    """

    points: Planar
    images: Planar
    key_rank: Rows
    limit: float
    projection: Projection
    test: HeadingTest | None = None
    point_rows: Rows | None = None
    image_rows: Rows | None = None
    compiled: bool | None = None

    def distinct(self, k: int) -> tuple[Rows, Rows, Floats]:
        """Return the k nearest images of each point, as rows among all; see `mlygeo.spatial.knn.search_distinct`."""
        point, image, square = knn.search_distinct(
            self.points, self.images, self.key_rank, max_distance=self.limit, k=k, test=self.test,
            compiled=self.compiled,
        )  # fmt: skip
        return self.points_among_all(point), self.images_among_all(image), square

    def search(self, only: Rows, k: int, test: PairTest | None) -> tuple[Rows, Floats, Rows]:
        """
        Return which of some points (rows among all) lie here, and their k nearest images.

        Returns
        -------
        points, squares, images
            The points that lie here, and for each the squared distances of its images and their rows among all; see
            `mlygeo.spatial.knn.search`.
        """
        here = self.points_here(only)
        squares, rows = knn.search(
            self.points, self.images, self.key_rank, max_distance=self.limit, k=k, test=test, only=here,
            compiled=self.compiled,
        )  # fmt: skip
        squares, rows = squares[here], rows[here]
        rows = np.where(rows < 0, -1, self.images_among_all(np.maximum(rows, 0))) if len(self.key_rank) else rows
        return self.points_among_all(here), squares, rows

    def points_here(self, rows: Rows) -> Rows:
        """Return the rows here of points with these rows among all, as far as they lie here."""
        if self.point_rows is None:
            return rows
        place = np.searchsorted(self.point_rows, rows)
        place[place == len(self.point_rows)] = 0
        return place[self.point_rows[place] == rows] if len(self.point_rows) else place[:0]

    def points_among_all(self, rows: Rows) -> Rows:
        """Return the rows among all of points by their rows here."""
        return rows if self.point_rows is None else self.point_rows[rows]

    def images_among_all(self, rows: Rows) -> Rows:
        """Return the rows among all of images by their rows here."""
        return rows if self.image_rows is None else self.image_rows[rows]

    def of_images(self, values: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
        """Return values of all images for those here."""
        return values if self.image_rows is None else values[self.image_rows]

    def of_points(self, values: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
        """Return values of all points for those here."""
        return values if self.point_rows is None else values[self.point_rows]
