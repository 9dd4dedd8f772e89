"""What the Graph API says of images: their fields, and the sequences that they form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import RegionLike
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]


def metadata(
    images: FrameLike | Iterable[int | str],
    *,
    fields: str | Sequence[str] | None = None,
    workers: int = 16,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Add what the service knows of images: altitude, camera, size, computed position and more.

    Two hundred images are asked for at once. An image that is gone keeps its row, with the reason in
    the column `error`; so does one with a value that makes no sense, which is then unknown.

    Parameters
    ----------
    images
        Images frame or any frame with image ids; the path of one, or of a text file of ids; or ids.
    fields
        Fields of the Graph API, separated by commas, or "all". Default: sequence, capture time,
        heading, position and creator where the images lack them, and altitude, camera_type,
        camera_parameters, make, model, width, height, quality_score, exif_orientation and the
        computed position, altitude and heading.
    workers
        How many requests to make at once.
    dry_run
        Ask for nothing; say how many requests it would take.
    token
        Access token. Better in a file or in the environment, where no other user can see it.
    token_file
        File with the access token. Default: the environment (MAPILLARY_ACCESS_TOKEN), then
        token.txt here, then token.txt in the user's configuration folder.
    service
        The service to speak to; made from the above unless given.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        The same rows in the same order, or a row for each id, with the fields as columns (see
        `mlygeo.providers.mapillary.records.images_frame`) and `error` (str, null when fine). A value of the
        service takes the place of the frame's own; where it has none, the frame's own stays.

    Raises
    ------
    FrameError
        If the frame has no ids.
    InputError
        If a field does not exist, or a word is no id.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> metadata("selection.parquet", fields="altitude,camera_type,computed_geometry")
    """
    return job_of("metadata")(**locals()).result


def find_sequences(
    user: str | Sequence[str] | None = None,
    *,
    region: RegionLike | None = None,
    organization: int | str | None = None,
    filter: Literal["all", "360", "regular"] = "all",  # noqa: A002 - the option's name
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    max_pages: int | None = None,
    workers: int = 16,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Find the sequences of a user, an organization or a region, with counts, dates, camera and length.

    All of them together narrow the search down. What the service did not tell, because a box holds too
    many images or a page could not be had, is reported, never taken for empty.

    Parameters
    ----------
    user
        User name, as Mapillary shows it.
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon file or
        a shapely polygon. A sequence that leaves it counts with the images inside.
    organization
        Images of this organization (id).
    filter
        "all": every image; "360": panoramas only; "regular": flat pictures only.
    since
        Images captured at or after this time (ISO 8601, UTC).
    until
        Images captured before this time; a date without a time includes that day.
    max_pages
        Stop after so many pages of a thousand images.
    workers
        How many requests to make at once; pages come one after another.
    token
        Access token. Better in a file or in the environment, where no other user can see it.
    token_file
        File with the access token. Default: the environment (MAPILLARY_ACCESS_TOKEN), then
        token.txt here, then token.txt in the user's configuration folder.
    service
        The service to speak to; made from the above unless given.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    sequences
        Sequences frame by time, with `camera_type` and `creator_username` beside its columns.
        `attrs["summary"]["incomplete"]` lists what is missing.

    Raises
    ------
    InputError
        If neither a user, an organization nor a region is given.
    RegionError
        If the region is too large to search.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> find_sequences("irvinfly", filter="360", max_pages=5)
    """
    return job_of("find_sequences")(**locals()).result


def inspect(
    ids: Iterable[int | str],
    *,
    workers: int = 16,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Show all that the service says of single images, where something is odd about them.

    Addresses of pictures are shown without their signatures.

    Parameters
    ----------
    ids
        Ids of images.
    workers
        How many requests to make at once.
    token
        Access token. Better in a file or in the environment, where no other user can see it.
    token_file
        File with the access token. Default: the environment (MAPILLARY_ACCESS_TOKEN), then
        token.txt here, then token.txt in the user's configuration folder.
    service
        The service to speak to; made from the above unless given.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame with all fields, a row for each id, and `error` (str): why an image is not there, or
        what is wrong with its record. `attrs["summary"]["images"]` holds the records themselves.

    Raises
    ------
    InputError
        If a word is no id.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> inspect([498763468214164])["error"]
    """
    return job_of("inspect")(**locals()).result
