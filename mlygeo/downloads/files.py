"""From the bytes of a picture to its file: checked, with metadata or encoded again, written atomically."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlygeo import store, systems
from mlygeo.downloads import check, layouts
from mlygeo.downloads.check import BombError
from mlygeo.errors import FileError, FormatError, InputError, ServiceError
from mlygeo.places import STATE_FOLDER
from mlygeo.providers import needed
from mlygeo.readers.id_lists import names_provider
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.downloads.layouts import Layout
    from mlygeo.downloads.ledger import Form, Ledger
    from mlygeo.formats.exif import Tags
    from mlygeo.keys import Key
    from mlygeo.providers import Provider

    Record = Mapping[str, Any]
    from pathlib import Path


PARTS = "parts"
"""Folder, in the state folder, of temporary files that are not renamed yet."""

FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of the disk itself, which would affect every other file too."""

GB = 1e9

CREDITS = ("instance", "creator", "licence", "licence_url")
"""Columns with whom a picture is by, and how it may be used."""


@dataclass(frozen=True)
class RequestedForm:
    """
    What is wanted of each image.

    Parameters
    ----------
    form
        Size, format and layout.
    exif
        Write the provider's metadata into the file.
    computed
        Use the position after 3D reconstruction for that.
    quality
        Encode again with this quality, 1 to 100; None leaves the image data unchanged.
    """

    form: Form
    exif: bool = False
    computed: bool = False
    quality: int | None = None

    @property
    def metadata(self) -> Literal["none", "exif", "all"]:
        """The metadata that is needed for an image."""
        return "all" if self.form.layout == "flat" else "exif" if self.exif else "none"


class PictureSaver:
    """
    Writes pictures to files.

    Parameters
    ----------
    requested
        The requested form of each image.
    layout
        The layout of the folder.
    files, ledger
        The folder and its ledger.
    provider
        The provider of the pictures.
    """

    def __init__(
        self, requested: RequestedForm, *, layout: Layout, files: PictureFiles, ledger: Ledger, provider: Provider
    ) -> None:
        self._requested, self._layout, self._files, self._ledger = requested, layout, files, ledger
        self._provider = provider
        self._records = needed(provider.records, provider, "images by id")
        self._pictures = needed(provider.pictures, provider, "pictures")

    def path(self, number: Key, record: Record) -> str:
        """
        Return the file of an image, relative to the folder.

        Raises
        ------
        FinalError
            If the image's record gives no valid name.
        """
        try:
            path = self._layout.path(number, self._records.row_of(record))
        except FormatError as error:
            raise FinalError(str(error)) from error
        if self._is_anothers(path, number):
            path = layouts.apart(path, self._provider.name)
        owner = self._ledger.owner(path, self._provider.name) if self._requested.form.layout == "time" else None
        if owner not in {None, number}:
            return layouts.with_id(path, number)
        return path

    def _is_anothers(self, path: str, number: Key) -> bool:
        """Return whether a file of this name is, or could be, one of another provider's image."""
        provider = self._provider.name
        if self._ledger.is_anothers(path, provider):
            return True
        # Of a file that no row is about, only a name that no other provider gives tells whose it is.
        is_named = names_provider(number, provider) and self._requested.form.layout != "time"
        if provider == DEFAULT_PROVIDER or is_named or not (self._files.folder / path).exists():
            return False
        return not self._ledger.is_file_of(path, number, provider)

    def found(self, number: Key, record: Record, path: str) -> bytes | None:
        """Return the bytes of a complete file that exists although the ledger does not have it."""
        try:
            content = (self._files.folder / path).read_bytes()
            check.check_picture(content, format=self._requested.form.format)
        except (FormatError, OSError):
            return None
        self._credit(number, record)
        if (sidecar := self._sidecar(number, path)) and not (self._files.folder / sidecar).exists():
            self._write_sidecar(number, record, path)
        return content

    def save(self, number: Key, record: Record, path: str, body: bytes, *, doubts: list[str]) -> bytes:
        """
        Write the file of a received picture, and return the file's bytes.

        Parameters
        ----------
        number, record, path
            The image, its record, and its file.
        body
            The received bytes.
        doubts
            What is in doubt of the picture's metadata is added to this list.

        Raises
        ------
        ServiceError
            If the bytes are not a complete picture; another try may help.
        FinalError
            If the picture is not acceptable, or cannot be written under this name.
        FileError
            If the disk is full.
        """
        try:
            check.check_picture(body)
        except BombError as error:
            raise FinalError(f"the response is not a picture to keep: {error}") from error
        except FormatError as error:
            raise ServiceError(f"image {number}: the response is not a whole picture: {error}") from error
        content = self._finished(body, record, doubts)
        try:
            self._write_sidecar(number, record, path)
            self._files.write(path, content)
            self._credit(number, record)
        except FileError:
            raise
        except OSError as error:
            raise FinalError(f"{path}: {error.strerror or error}") from error
        return content

    def _finished(self, body: bytes, record: Record, doubts: list[str]) -> bytes:
        """Return the bytes of the file: unchanged, or with metadata, or encoded again."""
        requested = self._requested
        if not requested.exif and requested.quality is None and requested.form.format == "jpg":
            return body
        from mlygeo.photos import exif_writer

        try:
            if requested.exif:
                body = exif_writer.insert(body, self._tags(record), doubts=doubts)
            if requested.quality is not None or requested.form.format != "jpg":
                body = exif_writer.recode(body, quality=requested.quality, format=requested.form.format)  # type: ignore[arg-type]
        except (FormatError, InputError) as error:
            raise FinalError(f"it could not be written with its metadata: {error}") from error
        return body

    def _tags(self, record: Record) -> Tags:
        from mlygeo.photos.tags import picture_tags

        return picture_tags(record, computed=self._requested.computed, provider=self._provider)

    def _credit(self, number: Key, record: Record) -> None:
        if self._provider.licence is None:
            self._ledger.credit(self._provider.name, number, self._pictures.rights(record))

    def _sidecar(self, number: Key, path: str) -> str | None:
        """Return the file with an image's metadata: it goes with the picture into a folder of the provider's own."""
        sidecar, own = self._layout.sidecar(number), layouts.apart("", self._provider.name)
        return f"{own}{sidecar}" if sidecar is not None and path.startswith(own) else sidecar

    def _write_sidecar(self, number: Key, record: Record, path: str) -> None:
        sidecar = self._sidecar(number, path)
        if sidecar is None:
            return
        content = {"id": str(number), **self._pictures.sidecar(record)}
        if self._provider.name != DEFAULT_PROVIDER:
            row = self._records.row_of(record)
            known = {name: row[name] for name in CREDITS if row.get(name) is not None}
            content |= {"provider": self._provider.name, **known}
        if (line := self._pictures.rights(record).line) is not None:
            content.setdefault("attribution", line)
        self._files.write(sidecar, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


class FinalError(Exception):
    """The image cannot be downloaded, however often it is tried."""


# Files on the disk, and free disk space.


def required_gb_on(folder: Path, required_gb: float | None) -> float:
    """Return the gigabytes that must stay free on the disk of a folder: a tenth, unless a number is given."""
    return shutil.disk_usage(folder).total / 10 / GB if required_gb is None else required_gb


def _about(coming: int) -> str:
    return f" about {coming / GB:,.1f} GB are to come," if coming >= GB / 20 else ""


class PictureFiles:
    """
    Writes files into an output folder; thread-safe.

    A file is written under another name in the state folder, synced to the disk, and renamed. Temporary
    files of a killed run are removed when the next one begins.

    Parameters
    ----------
    folder
        The output folder, held by this process.
    required_gb
        Gigabytes (10^9 bytes) that must stay free; None for a tenth of the disk.

    Raises
    ------
    FileError
        If nothing can be written there.
    """

    def __init__(self, folder: Path, *, required_gb: float | None) -> None:
        self.folder = folder
        self._parts = folder / STATE_FOLDER / PARTS
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
            for leftover in self._parts.iterdir():
                leftover.unlink()
        except OSError as error:
            raise store.file_error(error, self._parts) from error
        self._required = required_gb_on(folder, required_gb) * GB
        self._made: set[str] = set()

    def check_room(self, coming: int = 0) -> None:
        """
        Raise unless enough disk space would stay free.

        Parameters
        ----------
        coming
            Bytes about to be written.

        Raises
        ------
        DiskSpaceError
            If less would stay free than required.
        """
        free = shutil.disk_usage(self.folder).free
        if free - coming < self._required:
            raise DiskSpaceError(
                f"{free / GB:,.1f} GB are free at {self.folder},{_about(coming)}"
                f" and {self._required / GB:,.6g} GB shall stay free",
                hint="free some space, or set `required_disk_space=GB` lower; what is done is kept, and the same "
                "command goes on from there",
            )

    def write(self, path: str, content: bytes) -> None:
        """
        Write a file, replacing an existing one.

        Parameters
        ----------
        path
            Relative to the folder, with "/" between its parts; from a layout.
        content
            The whole content.

        Raises
        ------
        DiskSpaceError
            If too little disk space would stay free.
        FileError
            If the disk is full or broken.
        OSError
            If this one file cannot be written.
        """
        self.check_room(len(content))
        target = self.folder / path
        temporary = self._parts / f"{target.stem[:40]}.{secrets.token_hex(6)}.part"
        try:
            parent = path.rpartition("/")[0]
            if parent not in self._made:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(parent)
            with temporary.open("xb", buffering=0) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
            systems.replace(temporary, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if error.errno in FATAL:
                raise store.file_error(error, target) from error
            self._made.discard(path.rpartition("/")[0])
            raise


class DiskSpaceError(FileError):
    """There is less free space on the disk than required."""
