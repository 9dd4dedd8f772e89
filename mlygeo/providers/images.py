"""What a provider can do with its images: find them, say what is known of them, and hand out their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds
    from mlygeo.attribution import Rights
    from mlygeo.errors import ServiceError
    from mlygeo.keys import Ids, Key
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import Region

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Licence:
    """
    A licence.

    Parameters
    ----------
    name
        Its identifier (SPDX where it has one).
    url
        Address of its text; None where none is known.
    """

    name: str
    url: str | None = None


Record: TypeAlias = "Mapping[str, Any]"
"""A provider's record of an image, in its own form: only its own `Records` and `Pictures` read it."""


class TilePlan(Protocol):
    """An estimate of fetching tiles; as text, for people to read."""

    @property
    def missing(self) -> Sequence[object]:
        """The tiles to fetch."""


class Tiles(Protocol):
    """Images by area, from tiles that are fetched into a folder, the tile cache."""

    has_computed: bool
    """Whether there are tiles with positions computed in 3D reconstruction."""

    has_geojson: bool
    """Whether tiles can be stored as GeoJSON instead of as they come; without this attribute they cannot."""

    def default_cache(self) -> Path:
        """Return the tile cache in the user's cache folder."""

    def plan(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | Iterable[PathLike] | None,
        service: Service | None,
    ) -> TilePlan:
        """Return what `fetch` would fetch, and how long it would take, without any request."""

    def fetch(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | Iterable[PathLike] | None,
        workers: int,
        service: Service | None,
        damaged: Collection[Path],
        geojson: bool,
        dry_run: bool,
        progress: Progress | None,
    ) -> gpd.GeoDataFrame:
        """
        Fetch the tiles of a region into the cache; return a row a tile, as `mlygeo.fetch_tiles` does.

        Parameters
        ----------
        region
            The region.
        tile_cache
            The folder.
        computed
            Tiles with the positions computed in 3D reconstruction, where the provider has such.
        overwrite, max_age
            Fetch all tiles again, or those older than this number of days.
        tile_list_file
            File with the names of the tiles to fetch, or several; see `name`.
        workers
            Tiles fetched at once.
        service
            The service; found in the usual places, once a tile is missing, unless given.
        damaged
            Files of the cache that cannot be read; their tiles are fetched again.
        geojson
            Store tiles as GeoJSON, where the provider has them in another form.
        dry_run
            Fetch nothing.
        progress
            Where progress is shown.
        """

    def name(self, x: int, y: int, *, computed: bool, service: Service | None = None) -> str:
        """Return the name of a tile's file in the cache, without its ending; no other provider gives it to a tile."""

    def read(self, paths: Iterable[Path], *, region: Region, damaged: list[Path] | None = None) -> pa.Table:
        """
        Return the images in files of the cache: the columns of an images frame, lon and lat.

        Parameters
        ----------
        paths
            The files.
        region
            Keep only images in it.
        damaged
            Damaged files are added to this list and skipped; without a list they raise.

        Returns
        -------
        table
            Each image once, in the order of the keys. The metadata `images_without_id` counts what
            was left out.
        """


@dataclass
class Batch:
    """
    The result of a request for some images.

    Parameters
    ----------
    found
        Their records, by id.
    missing
        Those without a record, and why: `Records.gone`, or what went wrong.
    final
        Those among the missing, beside deleted ones, for which another try is useless.
    """

    found: dict[Key, dict[str, Any]] = field(default_factory=dict)
    missing: dict[Key, str] = field(default_factory=dict)
    final: set[Key] = field(default_factory=set)


class Search(Protocol):
    """A search for images, which runs as it is read."""

    requests: int
    """Answers read so far."""

    def shortcomings(self) -> list[str]:
        """Return why images may be missing, in words, a reason a line; none once all were found."""

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """
        Yield records as they arrive, each image once.

        Raises
        ------
        UnknownUserError
            If the service says that it has no user of the name.
        """


class Entities(Protocol):
    """Images by id. A refused token, or a service that is down, ends all requests."""

    workers: int
    """Requests made at once."""

    unknown_fields: set[str]
    """Requested fields that images do not have."""

    ended: ServiceError | None
    """The error that ended all requests; None while requests are possible."""

    def images(self, ids: Iterable[Key] | Ids, *, fields: Sequence[str]) -> Iterator[Batch]:
        """Yield the records of images as they arrive; each id is in one batch, found or missing."""

    def entity(self, id: Key, *, fields: Sequence[str]) -> dict[str, Any]:  # noqa: A002 - the frame's word
        """Return the record of one image; raise `mlygeo.net.answers.GoneError` where there is none."""


class Sequences(Protocol):
    """Images by sequence."""

    def image_ids(self, sequence_id: str) -> list[Key]:
        """Return the ids of the images of a sequence, in order along it; none if it is unknown."""


class Searching(Protocol):
    """Images by place, person and time."""

    def search(
        self,
        *,
        fields: Sequence[str],
        bbox: Bounds | Region | None = None,
        creator_username: str | None = None,
        organization_id: int | str | None = None,
        is_pano: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        max_pages: int | None = None,
        progress: Progress | None = None,
    ) -> Search:
        """Return a search for images that meet all given conditions; one of the first three is required."""


class Closing(Protocol):
    """A session that closes its connections: a context manager."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *of_error: object) -> None:
        """Close its connections."""


class Session(Closing, Entities, Sequences, Searching, Protocol):
    """A session with a service for requests about images; thread-safe, and a context manager."""


class Records(Protocol):
    """The service's records of images: requesting and interpreting them."""

    fields: tuple[str, ...]
    """All known fields of images, by the names for users."""

    base_fields: tuple[str, ...]
    """The fields of an images frame, beside the id."""

    more_fields: tuple[str, ...]
    """The fields for most further work."""

    panoramas: tuple[str, ...]
    """Values of the column `camera_type` that mean a panorama."""

    gone: str
    """The reason of an image that was removed, or never existed."""

    images_a_minute: int
    """Number of images that the service allows to request in a minute."""

    def open(self, service: Service, *, workers: int = 16, stop: threading.Event | None = None) -> Session:
        """
        Return a session.

        Parameters
        ----------
        service
            The provider's service.
        workers
            Requests made at once, where there are several to make.
        stop
            Ends every wait at once when set.
        """

    def calls_for(self, images: int) -> int:
        """Return the number of requests for a number of images, if none is deleted."""

    def seconds_for(self, calls: int, service: Service | None) -> float:
        """Return how long a number of requests takes at the pace of the service, seconds."""

    def fields_for(self, *columns: str) -> list[str]:
        """Return the fields for columns of an images frame, each once."""

    def columns_of(self, field: str) -> tuple[str, ...]:
        """Return the columns of a field."""

    def key_of(self, record: Record) -> Key | None:
        """Return the key of a record; None where it has none."""

    def row_of(self, record: Record) -> dict[str, Any]:
        """
        Return the values of a record, by the columns of an images frame.

        Times are milliseconds since 1970, positions GeoJSON; unknown values are absent. A row of a
        frame is returned unchanged.
        """

    def said_of(self, image: Record) -> dict[str, Any]:
        """
        Return all that the service says of an image, under its own names, as JSON has it.

        Unknown values are absent, and so are addresses that expire.

        Parameters
        ----------
        image
            A record, or a row of an images frame.
        """

    def frame(
        self,
        records: Iterable[Record],
        *,
        fields: Sequence[str] | None = None,
        problems: dict[Key, str] | None = None,
    ) -> gpd.GeoDataFrame:
        """
        Return the images frame of records.

        Parameters
        ----------
        records
            The records.
        fields
            The requested fields: each gets its columns. None means the fields of any record.
        problems
            Called with records of the wrong shape and their problems; without it they are an error.
        """

    def named(self, images: pd.DataFrame, where: str) -> Ids:
        """
        Return the ids of images that have one, row by row.

        Parameters
        ----------
        images
            Any frame with a column `id`, which may have gaps.
        where
            What messages call it.
        """

    def add(
        self, images: gpd.GeoDataFrame, found: gpd.GeoDataFrame, *, columns: Iterable[str], errors: Mapping[Key, str]
    ) -> gpd.GeoDataFrame:
        """
        Return images with columns from records of the same images, and with `error`.

        Parameters
        ----------
        images
            Frame with `id`; an id may be in several rows, or be null.
        found
            Images frame of the records, each id once.
        columns
            The columns to take from it.
        errors
            Reasons of missing records, and problems of records.

        Raises
        ------
        FrameError
            If a column stands in the frame already, in a dtype that does not fit.
        """


class Pictures(Protocol):
    """The pictures: their addresses, and metadata for files beside them."""

    def fields(self, size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
        """
        Return the fields that are needed to fetch and name a picture.

        Parameters
        ----------
        size
            "256", "1024" or "2048", the longer side in pixels, "original" or "thumb"; InputError for a size that
            the provider does not have.
        metadata
            Other metadata of an image: none, that for its EXIF, or all.
        """

    def address(self, record: Record, size: str) -> str | None:
        """Return the address of a picture; None if the record has none."""

    def expires(self, address: str) -> float | None:
        """Return when an address expires, seconds since 1970; None if it does not say."""

    def sidecar(self, record: Record) -> dict[str, Any]:
        """Return the metadata of an image for a separate file, as JSON without addresses."""

    def rights(self, record: Record) -> Rights:
        """
        Return whose a picture is and under which licence.

        Parameters
        ----------
        record
            Its record, or a row of an images frame. Nothing is claimed that neither it nor the provider says.
        """


class Exports(Protocol):
    """Files with the metadata of all images, on a server, of which a part is read."""

    def is_one(self, address: str) -> bool:
        """Return whether an address may be that of such a file."""

    def read(self, address: str, *, bbox: Bounds | None) -> gpd.GeoDataFrame:
        """
        Return the images frame of a box.

        Parameters
        ----------
        address
            Address of the file.
        bbox
            West, south, east, north in degrees.

        Raises
        ------
        InputError
            If there is no box: such files have gigabytes.
        """
