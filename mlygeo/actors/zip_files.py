"""Sequences as archives: one a sequence, the same images the same bytes, and the name from them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENDING = ".zip"

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, 0o644 << 16


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
        path = folder / f"mly_tools_{md5_of(temporary)}{ENDING}"
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise store.file_error(error, folder) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def images_in(path: Path) -> Iterator[tuple[str, int, str]]:
    """
    Yield MD5, size and name of each image in an archive.

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
            files = [entry for entry in archive.infolist() if not entry.is_dir()]
            if not files:
                raise FormatError(f"{path.name} is an archive without images")
            for entry in files:
                with archive.open(entry) as file:
                    content = hashlib.md5(usedforsecurity=False)
                    start = file.read(1 << 20)
                    if not start.startswith(b"\xff\xd8"):
                        raise FormatError(f"{path.name} holds {entry.filename}, which is no JPEG")
                    while start:
                        content.update(start)
                        start = file.read(1 << 20)
                yield content.hexdigest(), entry.file_size, entry.filename
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: an archive with a password.
        raise FormatError(f"{path.name} is no archive that can be read: {error}") from error


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _write(file: object, images: Iterable[tuple[str, bytes]]) -> None:
    of_sequence = hashlib.md5(usedforsecurity=False)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for number, (md5, content) in enumerate(images):
            entry = zipfile.ZipInfo(f"{number}.jpg", _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, content)
            of_sequence.update(md5.encode())
        # mapillary_tools takes no archive without it.
        told = {"sequence_md5sum": of_sequence.hexdigest()}
        archive.comment = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
