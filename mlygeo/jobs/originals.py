"""The job of downloading the originals of one's own imagery."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo.errors import InputError
from mlygeo.jobs import download as download_job
from mlygeo.pipelines.job import counted

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.net.http import Service
    from mlygeo.pipelines.job import Job
    from mlygeo.progress import Progress
    from mlygeo.uploads.owner import Account

log = logging.getLogger("mlygeo.jobs")

_EPOCH_MS = re.compile(r"\d{11,13}")
"""Milliseconds since 1970; a date that is written without hyphens has eight digits."""

FURTHEST_M = 25.0
"""Metres between an image and what Mapillary has of the same millisecond, beyond which they are two."""


def download_originals(
    import_path: Any,
    *,
    output: Any,
    user_name: str | None,
    by_property: Literal["uuid", "key"],
    organization_key: Any,
    start_date: Any,
    end_date: Any,
    skip_subfolders: bool,
    number_threads: int,
    dry_run: bool,
    token: str | None,
    token_file: Any,
    config_file: Any,
    service: Service | None,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `mlygeo.download_originals` says."""
    from mlygeo import frames
    from mlygeo.uploads.owner import account_of

    if number_threads < 1:
        raise InputError(f"--number-threads must be 1 or more, not {number_threads}")
    dates = _dates(start_date, end_date)
    wanted = None
    if import_path not in (None, ()):
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
                hint="look at --start-date and --end-date",
            )
    account = account_of(
        service=service, user_name=user_name, token=token, token_file=token_file, config_file=config_file,
        max_attempts=None,
    )  # fmt: skip
    organizations = [organization_key] if isinstance(organization_key, str) else list(organization_key or [])
    organizations = organizations or _told(wanted)
    if wanted is not None and by_property == "key":
        ids, missing = _ids_of(wanted)
    else:
        ids, missing = _found(account, wanted, organizations, dates, progress=progress)
    job = download_job.download(
        ids, region=None, output=output, imgid_file=None, sequence=None, sequence_file=None, user=None,
        retry_failed=False, size="original", layout="sequence", exif=False, computed=False, quality=None, format="jpg",
        overwrite=False, max_images=None, workers=number_threads, num_retries=8, failed_imgid_file=None,
        required_disk_space=1.0, dry_run=dry_run, tiles_only=False, pano=None, since=None, until=None, creator=None,
        organization=None, min_quality=None, tile_list_file=None, tile_cache=None, max_age=None, token=None,
        token_file=None, service=account.service, progress=progress,
    )  # fmt: skip
    if missing:
        job.headline += f"\n{counted(len(missing), 'image')} of the import path not found at {account.provider.title}"
        job.summary["not_found"] = len(missing)
        job.failed += missing
    return job


def _dates(start: Any, end: Any) -> dict[str, Any]:
    """Return the times of a call as conditions; milliseconds since 1970 too, as the older tool had them."""
    from mlygeo import frames

    times = [_EPOCH_MS.fullmatch(value.strip()) if isinstance(value, str) else None for value in (start, end)]
    since, until = (
        value if time is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value))
        for value, time in zip((start, end), times, strict=True)
    )
    return frames.conditions_of(
        since=since, until=until, pano=None, creator=None, organization=None, min_quality=None,
        time_options=("start-date", "end-date"),
    )  # fmt: skip


def _told(wanted: Any) -> list[str]:
    if wanted is None or "organization_key" not in wanted:
        return []
    # Images that name none are the user's own, which an empty key stands for.
    return sorted(set(wanted["organization_key"].fillna("")))


def _ids_of(wanted: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the ids of images: of the frame, else of files whose whole names are theirs, as downloads have them."""
    names = wanted["path"].str.extract(r"(?:^|[/\\])([1-9]\d{4,18})\.[^./\\]+$", expand=False)
    # A larger number is none that an id could be.
    names = names.mask(names.str.len().eq(19) & (names > str(np.iinfo(np.int64).max))).astype("Int64")
    ids = wanted["id"].fillna(names)
    return ids.dropna().to_numpy(dtype=np.int64), wanted.loc[ids.isna(), "path"].tolist()


def _found(
    account: Account, wanted: Any, organizations: list[str], dates: dict[str, Any], *, progress: Progress | None
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the ids of images that the account has; those that are wanted, by time and place."""
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
            whose: dict[str, Any] = {"organization_id": organization} if organization else {}
            if not organization:
                if account.user_name is None:
                    raise InputError("the service does not say whose token this is", hint="give --organization-key")
                whose = {"creator_username": account.user_name}
            search = session.search(fields=columns, since=since, until=until, progress=progress, **whose)
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


def _matched(wanted: Any, there: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the ids of the images taken at the same millisecond and place, and the paths without one."""
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
    return str(import_path if isinstance(import_path, str) else next(iter(import_path), import_path))
