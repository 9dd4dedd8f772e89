"""Downloading the originals of a user's images from Mapillary."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlygeo import places
from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public_with
from mlygeo.pipelines.options import Downloading, PictureForm, SignedIn
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import pandas as pd

    from mlygeo.keys import Ids
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.uploads.owner import Account

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

EPOCH_MS = re.compile(r"\d{11,13}")
"""Milliseconds since 1970; a date that is written without hyphens has eight digits."""

FURTHEST_M = 25.0
"""Largest distance between an image and Mapillary's image of the same millisecond, metres."""

RETRIES = 8

REQUIRED_GB = 1.0
"""Disk space that stays free."""

AS_SENT = PictureForm(size="original", layout="sequence", exif=False, computed=False, quality=None, format="jpg")


@public_with(SignedIn)
def download_originals(
    import_path: PathLike | Iterable[PathLike] | None = None,
    *,
    output: PathLike | None = None,
    user_name: str | None = None,
    by_property: Literal["uuid", "key"] = "uuid",
    organization_key: str | Iterable[str] | None = None,
    start_date: str | datetime | None = None,
    end_date: str | datetime | None = None,
    skip_subfolders: bool = False,
    number_threads: int = 10,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    config_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Download the blurred originals of your own images, including private ones.

    With a folder: the originals of its images. Without a folder: all images of the organizations, or of the user.

    Parameters
    ----------
    import_path
        Folder with images that were uploaded, and their descriptions.
    output
        Folder for the pictures. Default: downloads.
    user_name
        User to sign in as, if several have signed in.
    by_property
        How the images of the folder are identified. "uuid": by their descriptions; because the service no longer
        returns UUIDs, by time (to the millisecond) and place. "key": by their ids, from the frame of descriptions
        or from file names that are an id.
    organization_key
        Images of this organization. Can be given several times. Default: the organizations named in the
        descriptions, else the user's own images.
    start_date
        Images captured at or after this time (ISO 8601, UTC), or after the beginning of this year, month, week or
        day; or milliseconds since 1970.
    end_date
        Images captured before this time. A year, month, week or day is included as a whole.
    skip_subfolders
        Use only the folder itself.
    number_threads
        Number of pictures to fetch at once.
    dry_run
        Fetch nothing; report the number of pictures.

    Returns
    -------
    transfers
        The rows of these images in the folder's ledger, as `transfers` returns them.

    Raises
    ------
    InputError
        If no image of the import path has a description, or an option makes no sense.
    CredentialsError
        If nobody has signed in.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> download_originals("photos", output="originals", organization_key="1234567890")
    """
    from mlygeo import frames
    from mlygeo.pipelines.downloads import DEFAULT_FOLDER, Task, folder_at
    from mlygeo.pipelines.wanted import Sources
    from mlygeo.providers import provider_of
    from mlygeo.uploads.owner import account_of

    who = provider_of(service)
    if who.uploads is None or who.records is None:
        raise InputError(
            f"{who.title} has no originals that only their owners may fetch",
            hint="fetch its pictures with 'mlygeo download --size original'",
        )
    if number_threads < 1:
        raise InputError(f"`number_threads` must be 1 or more, not {number_threads}")
    dates = _dates(start_date, end_date)
    wanted = None
    if import_path in (None, ()):
        of_no_use(("by_property", "skip_subfolders"), "without `import_path`")
    else:
        if by_property == "key":
            of_no_use(("organization_key",), "with `by_property='key'`")
        from mlygeo.uploads import found

        wanted = found.gather(import_path, skip_subfolders=skip_subfolders).images
        if wanted is None:
            raise InputError(
                f"no image in {_shown(import_path)} has a description", hint="nothing tells which are meant"
            )
        wanted = wanted[frames.conditions_mask({"captured_at": wanted["captured_at"]}, dates)] if dates else wanted
        if not len(wanted):
            raise InputError(
                f"no image in {_shown(import_path)} was captured at that time",
                hint="look at `start_date` and `end_date`",
            )
    account = account_of(
        service=service, user_name=user_name, token=token, token_file=token_file, config_file=config_file,
        max_attempts=None,
    )  # fmt: skip
    organizations = [organization_key] if isinstance(organization_key, str) else list(organization_key or [])
    organizations = organizations or _organizations_of(wanted)
    if wanted is not None and by_property == "key":
        ids, missing = _ids_of(wanted)
    else:
        ids, missing = _found(account, wanted, organizations, dates, progress=progress)
    task = Task(
        sources=Sources.of_ids(ids, service=account.service, progress=progress),
        folder=folder_at(output or DEFAULT_FOLDER),
        requested=AS_SENT.requested(),
        downloading=Downloading(
            overwrite=False, workers=number_threads, num_retries=RETRIES, required_disk_space=REQUIRED_GB
        ),
        failed_file=None,
    )
    job = task.rehearse() if dry_run else task.run()
    if missing:
        job.headline += f"\n{counted(len(missing), 'image')} of the import path not found at {account.provider.title}"
        job.summary["not_found"] = len(missing)
        job.failed += missing
    return job


def _dates(start: Any, end: Any) -> dict[str, Any]:
    """Return the times of a call as conditions; milliseconds since 1970 too, as in the older tool."""
    from mlygeo import frames

    times = [EPOCH_MS.fullmatch(value.strip()) if isinstance(value, str) else None for value in (start, end)]
    since, until = (
        value if time is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value))
        for value, time in zip((start, end), times, strict=True)
    )
    return frames.conditions_of(
        since=since, until=until, pano=None, creator=None, organization=None, min_quality=None,
        time_options=("start_date", "end_date"),
    )  # fmt: skip


def _organizations_of(wanted: Any) -> list[str]:
    if wanted is None or "organization_key" not in wanted:
        return []
    # Images without an organization are the user's own; an empty key means them.
    return sorted(set(wanted["organization_key"].fillna("")))


def _ids_of(wanted: Any) -> tuple[Ids, list[str]]:
    """Return the ids of images: from the frame, else from files whose names are ids, as in downloads."""
    import numpy as np

    names = wanted["path"].str.extract(r"(?:^|[/\\])([1-9]\d{4,18})\.[^./\\]+$", expand=False)
    # A larger number cannot be an id.
    names = names.mask(names.str.len().eq(19) & (names > str(np.iinfo(np.int64).max))).astype("Int64")
    ids = wanted["id"].fillna(names)
    return ids.dropna().to_numpy(dtype=np.int64), wanted.loc[ids.isna(), "path"].tolist()


def _found(
    account: Account, wanted: Any, organizations: list[str], dates: dict[str, Any], *, progress: Progress | None
) -> tuple[Ids, list[str]]:
    """Return the ids of the account's images that match the given ones by time and position."""
    import numpy as np
    import pandas as pd

    from mlygeo.providers import needed

    since, until = dates.get("since"), dates.get("until")
    if wanted is not None:
        margin = pd.Timedelta(seconds=1)
        since, until = wanted["captured_at"].min() - margin, wanted["captured_at"].max() + margin
    records: list[dict[str, Any]] = []
    reader = needed(account.provider.records, account.provider, "images by id")
    columns = reader.fields_for("id", "captured_at", "geometry")
    with reader.open(account.service) as session:
        for organization in organizations or [""]:
            if not organization and account.user_name is None:
                raise InputError("the service does not say whose token this is", hint="give `organization_key`")
            search = session.search(
                fields=columns, creator_username=None if organization else account.user_name,
                organization_id=organization or None, since=since, until=until, progress=progress,
            )  # fmt: skip
            for batch in search:
                records += batch
            for text in search.shortcomings():
                log.warning("the search is not complete: %s", text)
    if not records:
        return np.zeros(0, dtype=np.int64), [] if wanted is None else wanted["path"].tolist()
    there = reader.frame(records).drop_duplicates("id")
    if wanted is None:
        return there["id"].to_numpy(dtype=np.int64), []
    return _matched(wanted, there)


def _matched(wanted: Any, there: Any) -> tuple[Ids, list[str]]:
    """Return the ids of the images taken at the same millisecond and position, and the paths without one."""
    import numpy as np
    import pandas as pd

    from mlygeo import frames
    from mlygeo.spatial import geodesy

    lon, lat = frames.lonlat(wanted)
    left = pd.DataFrame({"ms": wanted["captured_at"].to_numpy(), "row": np.arange(len(wanted)), "lon": lon, "lat": lat})
    lon, lat = frames.lonlat(there)
    right = pd.DataFrame({"ms": there["captured_at"].to_numpy(), "id": there["id"].to_numpy(), "x": lon, "y": lat})
    pairs = left.merge(right, on="ms")
    metres = geodesy.distance(*(pairs[name].to_numpy() for name in ("lon", "lat", "x", "y")))
    pairs = pairs.assign(metres=metres)[metres <= FURTHEST_M].sort_values(["row", "metres", "id"])
    pairs = pairs.drop_duplicates("row")
    missing = np.setdiff1d(np.arange(len(wanted)), pairs["row"])
    return np.unique(pairs["id"].to_numpy(dtype=np.int64)), wanted["path"].iloc[missing].tolist()


def _shown(import_path: Any) -> str:
    return ", ".join(map(str, places.several(import_path)))
