"""Sequences as archives: one for each sequence; equal images give equal bytes and an equal name."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from mlygeo import store
from mlygeo.errors import FileError, FormatError
from mlygeo.formats import identity
from mlygeo.providers import descriptions
from mlygeo.store.atomic import temporary_folder
from mlygeo.uploads.items import known_by
from mlygeo.uploads.ledger import Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    import geopandas as gpd

    from mlygeo.formats.identity import Identity

ENDING = ".zip"

PREFIX = "mly_tools_"
"""Prefix of the names of archives, of this package and of the official client."""

OWNERS = "mlygeo_owner"
"""Key in the comment for the owners of the images; mapillary_tools passes over it."""

MARKS = ("sequence_md5sum", "upload_md5sum")
"""Keys in the comment of a sequence's archive: the first since mapillary_tools 0.14, the other before."""

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, 0o644 << 16

_DAMAGED = (zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""Errors when reading a damaged archive, beside BadZipFile; RuntimeError: an archive with a password."""


def write_zip(
    images: Iterable[tuple[str, bytes]], folder: Path, *, owner: Mapping[str, list[Any]] | None = None
) -> Path:
    """
    Write a sequence into an archive, like mapillary_tools.

    Pictures are stored without compression, since JPEG does not get smaller; dates and rights are fixed,
    so that the same images give the same bytes on every machine.

    Parameters
    ----------
    images
        For each image, in order, the MD5 of its file, and the bytes with its description.
    folder
        The folder of the archive; it is made if it is missing.
    owner
        Fields of the images' owners, for which the descriptions inside have no place, with the values that occur;
        read when all images are written.

    Returns
    -------
    path
        The archive, `mly_tools_MD5.zip`; it is written atomically.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    try:
        with temporary_folder(folder, PREFIX) as place:
            written = write_zip_into(place, images, owner=owner)
            path = folder / written.name
            written.replace(path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise store.file_error(error, folder) from error
    return path


def write_zip_into(
    place: Path, images: Iterable[tuple[str, bytes]], *, owner: Mapping[str, list[Any]] | None = None
) -> Path:
    """
    Write an archive, as `write_zip` does, into a temporary folder; what fails leaves a part of it there.

    Parameters
    ----------
    place
        A folder of `temporary_folder` that was made for `PREFIX`.
    images, owner
        As for `write_zip`.

    Returns
    -------
    path
        The archive in that folder, by its final name.
    """
    temporary = place / f"{PREFIX}{ENDING}"
    with temporary.open("wb") as file:
        _write(file, images, {} if owner is None else owner)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    return temporary.rename(place / f"{PREFIX}{md5_of(temporary)}{ENDING}")


def descriptions_in(path: Path) -> gpd.GeoDataFrame:
    """
    Return the image descriptions in an archive of a sequence; only the images' heads are read.

    An archive is one of a sequence if its comment says so, as mapillary_tools and `write_zip`
    write it, and if each of its files is a picture with an image description. Other files named
    .zip are not meant to be published.

    Parameters
    ----------
    path
        The archive.

    Returns
    -------
    images
        A row for each image, as `readers.descriptions.described_images` describes it; `path` is the path
        of the archive followed by the image's name inside.

    Raises
    ------
    NoSequenceError
        If it is not the archive of a sequence.
    FormatError
        If it is damaged, or an image in it has no usable description.
    FileError
        If it cannot be read.

    Examples
    --------
    >>> descriptions_in(Path("zips/mly_tools_0123456789abcdef0123456789abcdef.zip"))["organization_key"]
    """
    entries: list[dict[str, Any]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            owners = _owners(archive.comment)
            for number, entry in enumerate(_pictures(archive, path.name)):
                with archive.open(entry) as file:
                    found = descriptions().inside(cast("BinaryIO", file))
                if found is None:
                    raise FormatError(f"{path.name} holds {entry.filename[:80]}, which has no description inside")
                of = {name: values[number % len(values)] for name, values in owners.items()}
                entries.append({**of, **found, "filename": entry.filename, "filetype": "image"})
    except zipfile.BadZipFile as error:
        if path.name.startswith(PREFIX):
            raise _unreadable(path, error) from error
        raise NoSequenceError(f"{path.name} is not an archive that can be read: {error}") from error
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        raise error if isinstance(error, FormatError) else store.file_error(error, path) from error
    images = descriptions().frame(entries, path)
    if (failed := images["error"].dropna()).size:
        name = entries[failed.index[0]]["filename"]
        raise FormatError(f"{path.name} holds {name[:80]}, and {failed.iloc[0]}")
    return images


def images_in(path: Path) -> Iterator[tuple[Held, bytes]]:
    """
    Yield each image in an archive of a sequence: its facts, and its content.

    Parameters
    ----------
    path
        The archive.

    Raises
    ------
    FormatError
        If it is not the archive of a sequence, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _pictures(archive, path.name):
                content = archive.read(entry)
                if not content.startswith(b"\xff\xd8"):
                    raise FormatError(f"{path.name} holds {entry.filename[:80]}, which is not a JPEG")
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                yield Held(md5, len(content), entry.filename, known_by(content, None)), content
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        raise _unreadable(path, error) from error


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def video_facts(path: Path) -> tuple[str, Identity]:
    """Return the MD5 of a video, hexadecimal, and what it is known by; it is read once."""
    whole = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        known = identity.of_video(file, os.fstat(file.fileno()).st_size, whole=whole)
    return whole.hexdigest(), known


class NoSequenceError(FormatError):
    """The file is an archive, but not of a sequence: pictures without descriptions, or other files."""


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


def _owners(comment: bytes) -> dict[str, list[Any]]:
    """Return the owners in the comment of an archive, by field."""
    try:
        owners = json.loads(comment)[OWNERS]
        return {str(name): values for name, values in owners.items() if isinstance(values, list) and values}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}


def _is_marked(comment: bytes) -> bool:
    try:
        content = json.loads(comment)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and any(isinstance(content.get(mark), str) and content[mark] for mark in MARKS)


def _unreadable(path: Path, error: Exception) -> FormatError:
    return FormatError(f"{path.name} is not an archive that can be read: {error}")


def _write(file: object, images: Iterable[tuple[str, bytes]], owner: Mapping[str, list[Any]]) -> None:
    of_sequence = hashlib.md5(usedforsecurity=False)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for number, (md5, content) in enumerate(images):
            entry = zipfile.ZipInfo(f"{number}.jpg", _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, content)
            of_sequence.update(md5.encode())
        # mapillary_tools rejects archives without it.
        comment = {"sequence_md5sum": of_sequence.hexdigest(), **({OWNERS: dict(owner)} if owner else {})}
        archive.comment = json.dumps(comment, sort_keys=True, separators=(",", ":")).encode()
