"""Sequences as archives: one a sequence, the same images the same bytes, and the name from them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from mlygeo import store
from mlygeo.errors import FormatError
from mlygeo.providers import descriptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    import geopandas as gpd

ENDING = ".zip"

PREFIX = "mly_tools_"
"""What names of archives start with, ours and the official client's."""

MARKS = ("sequence_md5sum", "upload_md5sum")
"""What the comment of an archive of a sequence has one of: the first since mapillary_tools 0.14, the other before."""

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, 0o644 << 16

_DAMAGED = (zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a damaged archive raises, beside BadZipFile; RuntimeError: one with a password."""


def write_zip(images: Iterable[tuple[str, bytes]], folder: Path) -> Path:
    """
    Write a sequence into an archive, as mapillary_tools does.

    Pictures are stored as they are, since JPEG does not get smaller; dates and rights are fixed, so
    that the same images make the same bytes on every machine.

    Parameters
    ----------
    images
        Of each image, in order, the MD5 of its file, and the bytes with its description.
    folder
        Where to; made where it is missing.

    Returns
    -------
    path
        The archive, `mly_tools_MD5.zip`; it appears whole or not at all.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=".mly_zip_", suffix=".part", dir=folder)
    except OSError as error:
        raise store.file_error(error, folder) from error
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            _write(file, images)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{PREFIX}{md5_of(temporary)}{ENDING}"
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise store.file_error(error, folder) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def descriptions_in(path: Path) -> gpd.GeoDataFrame:
    """
    Return what the images in an archive of a sequence say of themselves; only their heads are read.

    An archive is one of a sequence where its comment says so, as mapillary_tools and `write_zip`
    write it, and each of its files is a picture with an image description. Whatever else is
    called .zip is nothing that anybody asked to publish.

    Parameters
    ----------
    path
        The archive.

    Returns
    -------
    images
        A row for each image, as `readers.descriptions.described_images` describes it; `path` is the
        archive's with the image's name inside.

    Raises
    ------
    NoSequenceError
        If it is none of a sequence.
    FormatError
        If it is one, and damaged, or an image in it has no description that can be used.
    FileError
        If it cannot be read.

    Examples
    --------
    >>> descriptions_in(Path("zips/mly_tools_0123456789abcdef0123456789abcdef.zip"))["organization_key"]
    """
    entries: list[dict[str, Any]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _pictures(archive, path.name):
                with archive.open(entry) as file:
                    found = descriptions().inside(cast("BinaryIO", file))
                if found is None:
                    raise FormatError(f"{path.name} holds {entry.filename[:80]}, which has no description inside")
                entries.append({**found, "filename": entry.filename, "filetype": "image"})
    except zipfile.BadZipFile as error:
        if path.name.startswith(PREFIX):
            raise _unreadable(path, error) from error
        raise NoSequenceError(f"{path.name} is no archive that can be read: {error}") from error
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        raise error if isinstance(error, FormatError) else store.file_error(error, path) from error
    images = descriptions().frame(entries, path)
    if (failed := images["error"].dropna()).size:
        name = entries[failed.index[0]]["filename"]
        raise FormatError(f"{path.name} holds {name[:80]}, and {failed.iloc[0]}")
    return images


def images_in(path: Path) -> Iterator[tuple[str, int, str]]:
    """
    Yield MD5, size and name of each image in an archive of a sequence.

    Parameters
    ----------
    path
        The archive.

    Raises
    ------
    FormatError
        If it is no archive of a sequence, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _pictures(archive, path.name):
                with archive.open(entry) as file:
                    content = hashlib.md5(usedforsecurity=False)
                    start = file.read(1 << 20)
                    if not start.startswith(b"\xff\xd8"):
                        raise FormatError(f"{path.name} holds {entry.filename[:80]}, which is no JPEG")
                    while start:
                        content.update(start)
                        start = file.read(1 << 20)
                yield content.hexdigest(), entry.file_size, entry.filename
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        raise _unreadable(path, error) from error


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class NoSequenceError(FormatError):
    """It is an archive, but none of a sequence: somebody's pictures, or something else altogether."""


def _pictures(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """Return the entries of an archive of a sequence."""
    if not _is_marked(archive.comment):
        raise NoSequenceError(
            f"{name} is an archive of no sequence: its comment does not say so",
            hint="archives to upload are made with 'mlygeo zip'",
        )
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    if not files:
        raise FormatError(f"{name} is an archive without images")
    for entry in files:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise FormatError(f"{name} holds {entry.filename[:80]!r}, a name that leads out of it")
    return files


def _is_marked(comment: bytes) -> bool:
    try:
        content = json.loads(comment)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and any(isinstance(content.get(mark), str) and content[mark] for mark in MARKS)


def _unreadable(path: Path, error: Exception) -> FormatError:
    return FormatError(f"{path.name} is no archive that can be read: {error}")


def _write(file: object, images: Iterable[tuple[str, bytes]]) -> None:
    of_sequence = hashlib.md5(usedforsecurity=False)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for number, (md5, content) in enumerate(images):
            entry = zipfile.ZipInfo(f"{number}.jpg", _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, content)
            of_sequence.update(md5.encode())
        # mapillary_tools takes no archive without it.
        comment = {"sequence_md5sum": of_sequence.hexdigest()}
        archive.comment = json.dumps(comment, sort_keys=True, separators=(",", ":")).encode()
