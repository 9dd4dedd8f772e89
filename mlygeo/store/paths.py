"""Paths of files with frames: a layer named behind a colon, and what is not a file: folders, patterns, addresses."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from typing import Any

from mlygeo import places
from mlygeo.errors import FileError, InputError
from mlygeo.progress import counted

FOLDERS = frozenset({".gdb", ".zarr"})
"""Endings of folders that GDAL reads as one file."""

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+):/{1,3}\w", re.IGNORECASE)

_ELSEWHERE = re.compile(r"(https?|s3|gs|gcs):/{1,2}(?=[^/])", re.IGNORECASE)

_ENDINGS = "gpkg|sqlite|gdb|geojson|json|fgb|gpx|kml|shp|parquet"
"""Endings behind which a colon names a layer, even where the file is missing."""

_PATTERN = re.compile(r"[*?]|\[[^\]]+\]")


def called(path: Any) -> str:
    """
    Return what messages call a file: its name, behind those of the folders that say values, as in `cell=q0/part-0`.

    Parameters
    ----------
    path
        A path, or anything else with a name.
    """
    name = str(path.name)
    for folder in path.parents if isinstance(path, PurePath) else ():
        if "=" not in folder.name:
            break
        name = f"{folder.name}/{name}"
    return name


def parted(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """
    Return the path of a file, and the layer that is named behind it, as in `streets.gpkg:edges`.

    A file of that whole name is meant first. The colon behind the letter of a drive names no layer.

    Parameters
    ----------
    path
        As a user gave it.
    """
    text = os.fspath(path)
    whole = Path(text).expanduser()
    if ":" not in text or _exists(whole) or is_url(text):
        return whole, None
    for colon in re.finditer(":", text):
        file, layer = Path(text[: colon.start()]).expanduser(), text[colon.end() :]
        if layer and _exists(file) and not (file.is_dir() and file.suffix.lower() not in FOLDERS):
            return file, layer
    # Where there is no such file, it is the file that is missing, and not one with a colon in its name.
    known = re.fullmatch(
        rf"(.+\.(?:{_ENDINGS})):(?!.*\.(?:{_ENDINGS}|csv|tsv|geoparquet|pq|geojsonl)$)([^:/\\]+)", text, re.IGNORECASE
    )
    return (whole, None) if known is None else (Path(known[1]).expanduser(), known[2])


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is an address of the web; the letter of a drive is none."""
    return _URL.match(os.fspath(path)) is not None


def address_of(value: str | os.PathLike[str]) -> str | None:
    """Return the address of a file or folder that is read from elsewhere; None where a value names something else."""
    text = os.fspath(value)
    if not isinstance(text, str) or (found := _ELSEWHERE.match(text)) is None:
        return None
    return f"{found[1].lower()}://{text[found.end() :]}"  # a path has swallowed one of two slashes


def must_be_local(path: Any, what: str) -> str | os.PathLike[str]:
    """
    Return a path; raise unless it may be that of a file.

    Parameters
    ----------
    path
        As a user gave it.
    what
        What it should be, for messages.

    Raises
    ------
    InputError
        If it is not a path at all.
    FileError
        If it is an address of the web.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"{what} is not a path but {type(path).__name__}: {str(path)[:60]}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise InputError(f"{what} is bytes, and a path is text")
    if not text.strip():
        raise InputError(f"{what} is empty")
    if "\0" in text:
        raise InputError(f"{what} has a zero byte in it")
    if is_url(text):
        raise FileError(
            f"{shown(text)} is an address of the web, and {what} has to be a file here",
            hint="use a file on this machine",
        )
    return path


_COPYING = {
    "s3": ("aws s3 cp", "aws s3 sync"),
    "gs": ("gcloud storage cp", "gcloud storage rsync -r"),
    "gcs": ("gcloud storage cp", "gcloud storage rsync -r"),
}
"""What copies a file and a folder to an object store, by the scheme of addresses."""


def copying_to(address: str) -> str:
    """Return how what is written here comes to an address, for the hint of an error."""
    from shlex import quote

    safe = shown(address).rstrip("/")
    scheme, _, place = safe.partition("://")
    name = place.rpartition("/")[2]
    if scheme not in _COPYING or not name or name == place:
        return "copy it there afterwards"
    of_file, of_folder = _COPYING[scheme]
    target = f"gs://{place}" if scheme == "gcs" else safe
    return f"write {name} here, and copy it: {of_file if '.' in name else of_folder} {quote(name)} {quote(target)}"


def shown(address: str) -> str:
    """Return what may be shown of an address: no user, password or signature."""
    from urllib.parse import urlsplit

    # A path has swallowed one of two slashes.
    whole = re.sub(r"^([a-zA-Z][a-zA-Z0-9+.-]+):/(?=[^/])", r"\1://", address)
    try:
        parts = urlsplit(whole)
    except ValueError:  # a host that is none: what may be secret is not told from the rest
        return f"{whole.partition('://')[0]}://…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def has_pattern(name: str) -> bool:
    """Return whether a name is a pattern of names."""
    return _PATTERN.search(name) is not None


def must_exist(path: Path) -> None:
    """
    Raise unless there is a file at a path.

    Parameters
    ----------
    path
        The path.

    Raises
    ------
    FileError
        If there is none, or a folder, a pipe or a device, which may never end; it says what to do.
    """
    if not _exists(path):
        if has_pattern(path.name) and path.parent.is_dir():
            found = sorted(path.parent.glob(path.name))
            raise FileError(
                f"{path} is a pattern that matches {counted(len(found), 'file')}; one file is needed here",
                hint=f"name a file, such as {found[0]}" if found else "check the pattern and its folder",
            )
        raise FileError(f"{path} does not exist")
    if path.is_dir() and path.suffix.lower() not in FOLDERS:
        inside = sorted(each.name for each in path.iterdir() if each.suffix.lower() in READABLE)
        named = f" (it has {', '.join(inside[:3])}{', …' if len(inside) > 3 else ''})" if inside else ""
        example = f", such as {path / inside[0]}" if inside else ""
        raise FileError(f"{path} is a folder, not a file{named}", hint=f"name a file in it{example}")
    must_be_kept(path)


def must_be_kept(path: Path) -> None:
    """
    Raise where a path is a pipe, a socket or a device: what comes from it may never come, or never end.

    Parameters
    ----------
    path
        The path; a missing one is no error here.

    Raises
    ------
    FileError
        If it is one of them.
    """
    if places.is_device(path, or_pipe=True):
        raise FileError(f"{path} is a pipe or a device, not a file", hint="write what comes from it to a file first")


READABLE = frozenset(
    {".parquet", ".geoparquet", ".pq", ".gpkg", ".geojson", ".geojsonl", ".fgb", ".csv", ".tsv", ".sqlite", ".shp"}
)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file system has
        return False
