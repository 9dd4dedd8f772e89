"""From a selection to its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import RegionLike

    PathLike = str | os.PathLike[str]


def download(
    images: Any = None,
    *,
    region: RegionLike | None = None,
    output: PathLike | None = None,
    imgid_file: PathLike | None = None,
    sequence: str | Iterable[str] | None = None,
    sequence_file: PathLike | None = None,
    user: str | None = None,
    retry_failed: bool = False,
    size: Literal["256", "1024", "2048", "original"] = "original",
    layout: Literal["sequence", "time", "flat"] = "sequence",
    exif: bool = False,
    computed: bool = False,
    quality: int | None = None,
    format: Literal["jpg", "webp"] = "jpg",  # noqa: A002 - the verb's option
    overwrite: bool = False,
    max_images: int | None = None,
    workers: int = 16,
    num_retries: int = 8,
    failed_imgid_file: PathLike | None = None,
    required_disk_space: float = 100.0,
    dry_run: bool = False,
    tiles_only: bool = False,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    tile_list_file: PathLike | None = None,
    tile_cache: PathLike | None = None,
    max_age: float | None = None,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """
    Download the pictures of images: of a selection, a list, sequences, a user, or a region.

    What is there and whole is not fetched again, so the same command goes on where an earlier
    one stopped, however it stopped. Files appear whole or not at all. What happened to each image
    is in the ledger of the folder, which `transfers` returns; images that are gone or failed make
    the exit status 3.

    Parameters
    ----------
    images
        A selection or images frame, or its file; a list of ids, or a file of one; or ids.
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon: all images in it. Beside a list it is not asked, and with a
        user it narrows the search.
    output
        Folder for the pictures. Default: seqdir of the configuration file, else "downloads".
    imgid_file
        File of image ids: text with comments from "#" on, or JSON with mapillary_img_id.
    sequence
        All images of this sequence (id); may be given several times. With ids, those of them in it.
    sequence_file
        File of sequence ids, one a line, as find-sequences writes it.
    user
        All images of the user with this name.
    retry_failed
        Take up only images that failed before.
    size
        "256", "1024" or "2048": pixels of the longer side. "original": as large as the service
        has it.
    layout
        "sequence": SEQUENCE/ID.jpg. "time": YYYYMMDD_HHMMSS_SEQUENCE/YYYYMMDD_HHMMSS_mmm.jpg, UTC.
        "flat": images/ID.jpg with jsons/ID.json.
    exif
        Write position, time, heading, camera, creator, licence and ids into the files; the image
        data stay as they are.
    computed
        With exif, take the position after 3D reconstruction where there is one.
    quality
        Encode the pictures anew with this quality, 1 to 100. Default: as they come.
    format
        "jpg": as they come. "webp": encoded anew.
    overwrite
        Fetch everything anew, also what is there.
    max_images
        Take at most so many images, the first ones.
    workers
        How many pictures to fetch at once.
    num_retries
        How often to try again before an image counts as failed.
    failed_imgid_file
        File to name the images that failed or are gone, with the reasons; imgid_file takes it.
    required_disk_space
        Gigabytes that stay free on the disk; below that the download stops.
    dry_run
        Fetch nothing; say how many images and requests it would be, how large, how long.
    tiles_only
        Only fetch the region's vector tiles, as the verb tiles does.
    pano
        Take only panoramas, or only flat pictures, of a frame, a region or a user.
    since
        Take images captured at or after this time (ISO 8601, UTC).
    until
        Take images captured before this time; a date without a time includes that day.
    creator
        Take images of this creator (id) in a frame or region; may be given several times.
    organization
        Take images of this organization (id): of a frame, a region or a user, or all of them; may
        be given several times.
    min_quality
        Take images of a frame or region of at least this quality score, 0 to 1.
    tile_list_file
        Work only on the tiles of the region named in this file, a cache file name a line.
    tile_cache
        Folder of the tile cache, for regions. Default: the configuration file's, else the user's
        cache folder.
    max_age
        Fetch tiles of the region anew that are older than so many days.
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
    transfers
        The ledger's rows of these images, as `transfers` returns them; `attrs["summary"]` holds
        the summary.

    Raises
    ------
    InputError
        If nothing says which images, or an option makes no sense.
    FileError
        If another run is at work in the folder, or the disk has too little room.
    CredentialsError
        If something has to be fetched and there is no token.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> download("out/selection.parquet", output="pictures", size="2048", exif=True)
    """
    transfers: pd.DataFrame = job_of("download")(**locals()).result
    return transfers
