"""What a download would ask for and take, before it is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.pipelines.job import counted, version

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from mlygeo.downloads.ledger import Form
    from mlygeo.pipelines.wanted import Wanted
    from mlygeo.providers import Records

TYPICAL_BYTES = {"256": 14_000, "1024": 130_000, "2048": 420_000, "original": 2_500_000}
"""Mean size of a picture, for estimates before the first ones are there."""

SECONDS_A_PICTURE = 0.5
"""Time that a picture takes from request to file over an ordinary line, for estimates."""


def of(
    wanted: Wanted,
    standing: npt.NDArray[np.int8],
    todo: int,
    *,
    mean_bytes: float | None,
    form: Form,
    folder: Path,
    workers: int,
    room: float,
    records: Records,
) -> tuple[dict[str, Any], str]:
    """
    Return the summary and the headline of a download that is only rehearsed.

    Parameters
    ----------
    wanted, standing
        The images, and what the ledger says of each; shape (n,).
    todo
        How many of them are to be fetched.
    mean_bytes
        Mean size of a picture in this folder; None where that is not known.
    form
        The form that is wanted.
    folder
        Where they would go.
    workers
        Pictures fetched at once.
    room
        Disk space to leave free, gigabytes.
    records
        Who tells of the images.
    """
    from mlygeo.downloads import ledger
    from mlygeo.downloads.files import GB

    calls = records.calls_for(todo) * (2 if form.layout == "time" else 1)
    expected, free = todo * (mean_bytes or TYPICAL_BYTES[form.size]), _free(folder)
    seconds = max(todo * SECONDS_A_PICTURE / workers, calls / (records.images_a_minute / 60))
    summary = {
        "images": len(wanted.ids),
        "there": int((standing == ledger.THERE).sum()),
        "gone": int((standing == ledger.GONE).sum()),
        "to_fetch": todo,
        "requests_for_metadata": calls,
        "requests_for_pictures": todo,
        "expected_bytes": round(expected),
        "expected_seconds": round(seconds, 1),
        "free_bytes": free,
        "required_disk_space_gb": room,
        "fits": free - expected >= room * GB,
        "warnings": wanted.warnings,
        "version": version(),
    }
    headline = (
        f"{counted(len(wanted.ids), 'image')} of {wanted.source}: {summary['there']:,} there, {todo:,} to fetch, "
        f"in {counted(calls, 'request')} for metadata (the limit is {records.images_a_minute:,} a minute) and "
        f"{counted(todo, 'request')} for pictures; about {in_units(expected)} and {_duration(seconds)} with "
        f"{counted(workers, 'worker')}; {in_units(free)} are free"
    )
    if not summary["fits"]:
        headline += f", which does not leave the {room:g} GB of --required-disk-space"
    return summary, headline


def in_units(number: float) -> str:
    """Return a number of bytes in the unit that suits it, such as "4.2 MB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f} bytes"


def _free(folder: Path) -> int:
    import shutil

    existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    return shutil.disk_usage(existing).free


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
