"""Datasets as they are read: the rows of many files as one frame or as points, of which only what is needed is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.store import extents
from mlygeo.store.datasets import files
from mlygeo.store.points import open_several

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds
    from mlygeo.store.datasets.files import File
    from mlygeo.store.datasets.index import Index
    from mlygeo.store.point_sources import Points


@dataclass(frozen=True)
class Dataset:
    """
    Frames in files, of any size.

    Parameters
    ----------
    listing
        The files, and what the index says of them.
    """

    listing: files.Listing

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.listing.name

    @property
    def files(self) -> tuple[File, ...]:
        """Its files, each once, in the order of their rows; with their boxes where there is an index."""
        return self.listing.files

    @property
    def index(self) -> Index | None:
        """What is known of its parts without opening one; None where no index lies beside the folder."""
        return self.listing.index

    def points(self, bbox: Bounds | None = None, *, at_once: bool = False) -> Points:
        """
        Return its points, whose columns are read as needed.

        Parameters
        ----------
        bbox
            West, south, east, north in degrees; west > east crosses the antimeridian. Only points in it: files are
            left out by the index, row groups by the boxes of their rows. None takes all.
        at_once
            Whether all columns of files elsewhere are asked for at once, with fewest requests; in memory then.

        Raises
        ------
        FrameError
            If the files hold different kinds of things.
        FormatError
            If a file is damaged, or has geometries other than points.
        RegionError
            If `bbox` is not a box.
        """
        return open_several(self.listing, None if bbox is None else extents.checked(bbox), at_once=at_once)

    def read(
        self, columns: Sequence[str] | None = None, bbox: Bounds | None = None, *, frame: str | None = None
    ) -> gpd.GeoDataFrame:
        """
        Read it into a frame.

        Parameters
        ----------
        columns
            Only these, and the geometry; None reads all.
        bbox
            Only rows whose box meets it; see `mlygeo.store.read_frame`.
        frame
            The kind of frame it should be.
        """
        return store.read_frame(self.listing, columns=columns, bbox=bbox, frame=frame)


def open(value: store.Paths) -> Dataset:  # noqa: A001 - as a file is opened
    """
    Open a dataset: a folder, a pattern, the path of a file, or several of these.

    Parameters
    ----------
    value
        See `mlygeo.store.datasets.files.listed`.

    Raises
    ------
    FileError
        If there is none, or a folder has no frames or several kinds of files.
    FormatError
        If the index of the dataset is damaged, or contradicts the folder.
    InputError
        If it is none of these.

    Examples
    --------
    >>> open("images/").points(bbox=(9.16, 48.76, 9.18, 48.78))
    """
    return Dataset(files.listed(value))
