"""Downloads by region: a file of boxes or polygons, and a folder for the pictures of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, InputError, RegionError, unreadable
from mlygeo.pipelines.job import Job, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import pandas as pd

    from mlygeo.regions import Region

LONGEST_LIST = 64 << 20
"""Bytes of a list of boxes: a million of them."""

LISTS = frozenset({"", ".txt", ".csv", ".lst", ".list"})
"""Endings of files with a box a line; others are files of polygons."""

NAMES = ("name", "id", "grid_id")
"""Columns that name the polygons of a file, the first of them that it has; without one they are numbered."""

RESERVED = frozenset('/\\:*?"<>|')
"""Signs that names of folders cannot have, on one system or another."""

FORM = "a line is NAME,WEST,SOUTH,EAST,NORTH in degrees, such as 1,9.16,48.76,9.18,48.78"


def each_region(
    path: str | os.PathLike[str], folder: Path, download: Callable[[Region, Path], Job[pd.DataFrame]]
) -> Job[pd.DataFrame]:
    """
    Download the images of each region of a file into a folder of its name.

    Parameters
    ----------
    path
        The file; see `regions_of`.
    folder
        Folder of those folders.
    download
        Function that downloads the images of a region into a folder.

    Raises
    ------
    RegionError
        If a region makes no sense; before anything is fetched.
    """
    jobs = {name: download(region, folder / name) for name, region in regions_of(path).items()}
    counts = {
        key: sum(job.summary.get(key, 0) for job in jobs.values())
        for key in ("images", "there", "found", "fetched", "gone", "failed", "bytes")
        if any(isinstance(job.summary.get(key), int) for job in jobs.values())
    }
    summary: dict[str, Any] = {
        "folder": str(folder),
        **counts,
        "regions": {name: job.summary for name, job in jobs.items()},
        "version": version(),
    }
    lines = [f"{name}: {job.headline}" for name, job in jobs.items()]
    lines.append(f"{counted(len(jobs), 'region')}, each in a folder of its name in {folder}")

    def transfers() -> pd.DataFrame:
        import pandas as pd

        # A frame without rows would make the dtypes of the others uncertain.
        parts = [job.result.assign(region=name) for name, job in jobs.items()]
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    return Job(transfers, summary, "\n".join(lines), failed=[item for job in jobs.values() for item in job.failed])


def regions_of(path: str | os.PathLike[str]) -> dict[str, Region]:
    """
    Return the regions of a file, by names that folders can have.

    Parameters
    ----------
    path
        Text with a box a line, `NAME,WEST,SOUTH,EAST,NORTH`, and comments from "#" on; or a file of polygons,
        any vector format, with their names in a column `name` or `id`.

    Raises
    ------
    FileError
        If it cannot be read.
    RegionError
        If a region makes no sense.
    InputError
        If two have the same name, or a name is none for a folder.
    """
    path = Path(path).expanduser()
    named = _of_lines(path) if path.suffix.lower() in LISTS else _of_polygons(path)
    found: dict[str, Region] = {}
    for where, name, region in named:
        if name in {"", ".", ".."} or name != name.strip() or any(sign in RESERVED or sign < " " for sign in name):
            raise InputError(f"{path.name}, {where}: {name!r} is not a name for a folder")
        if name.casefold() in {each.casefold() for each in found}:
            raise InputError(f"{path.name}, {where}: {name!r} names a second region")
        found[name] = region
    if not found:
        raise RegionError(f"{path.name} names no region", hint=FORM)
    return found


def _of_lines(path: Path) -> list[tuple[str, str, Region]]:
    from mlygeo.regions import Region
    from mlygeo.spatial import boxes

    try:
        said = places.content_of(path, LONGEST_LIST)
        if len(said) > LONGEST_LIST:
            raise FileError(f"{path} is longer than {LONGEST_LIST >> 20} MiB", hint="take it in smaller parts")
        lines = said.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    except UnicodeDecodeError:
        raise FileError(f"{path} is not text in UTF-8") from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text or (number == 1 and _is_header(text)):
            continue
        name, _, box = text.partition(",")
        try:
            region = Region.from_bbox(*boxes.parse(box), name=f"region {name.strip()}")
        except RegionError as error:
            raise RegionError(f"{path.name}, line {number}: {error}", hint=FORM) from None
        found.append((f"line {number}", name.strip(), region))
    return found


def _is_header(line: str) -> bool:
    """Return whether none of the words of a line has a digit but perhaps the first."""
    words = line.split(",")[1:]
    return len(words) == 4 and all(word.strip().replace("_", "").isalpha() for word in words)


def _of_polygons(path: Path) -> list[tuple[str, str, Region]]:
    from mlygeo import frames, store
    from mlygeo.regions import Region

    frame = store.read_frame(path)
    if frame.crs is None:
        raise RegionError(
            f"{path.name} has no CRS", hint="write it with a CRS, or as GeoJSON in longitude and latitude"
        )
    by_name = {str(column).lower(): column for column in frame.columns}
    column = next((by_name[name] for name in NAMES if name in by_name), None)
    names = range(1, len(frame) + 1) if column is None else frame[column]
    found = []
    for number, (name, shape) in enumerate(zip(names, frames.in_degrees(frame, path.name).geometry, strict=True), 1):
        try:
            region = Region.from_geometry(shape, name=f"region {name}")
        except RegionError as error:
            raise RegionError(f"{path.name}, row {number}: {error}", hint=error.hint) from None
        found.append((f"row {number}", str(name), region))
    return found
