"""Picture files: written whole or not at all, and the room that is left on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.downloads.ledger import STATE_FOLDER
from mlygeo.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

PARTS = "parts"
"""Folder, in the state folder, of files that do not have their name yet."""

FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of the disk itself, which every other file would meet too."""

GB = 1e9


class DiskSpaceError(FileError):
    """There is less room on the disk than shall be kept free."""


class PictureFiles:
    """
    Writes files into an output folder; threads may share it.

    A file is written under another name in the state folder, brought to the disk, and renamed. What
    a killed run has left there is removed when the next one begins.

    Parameters
    ----------
    folder
        The output folder, held by this process.
    required_gb
        Gigabytes (10^9 bytes) that shall stay free.

    Raises
    ------
    FileError
        If nothing can be written there.
    """

    def __init__(self, folder: Path, *, required_gb: float) -> None:
        self.folder = folder
        self._required = required_gb * GB
        self._parts = folder / STATE_FOLDER / PARTS
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
            for leftover in self._parts.iterdir():
                leftover.unlink()
        except OSError as error:
            raise store.file_error(error, self._parts) from error
        self._made: set[str] = set()

    def check_room(self, coming: int = 0) -> None:
        """
        Raise unless enough room would stay free.

        Parameters
        ----------
        coming
            Bytes about to be written.

        Raises
        ------
        DiskSpaceError
            If less would be left than is required.
        """
        free = shutil.disk_usage(self.folder).free
        if free - coming < self._required:
            raise DiskSpaceError(
                f"{free / GB:,.1f} GB are free at {self.folder}, and {self._required / GB:,.6g} GB shall stay free",
                hint="free some space, or set --required-disk-space GB lower; what is done is kept, and the same "
                "command goes on from there",
            )

    def write(self, path: str, content: bytes) -> None:
        """
        Write a file, in place of one that was there.

        Parameters
        ----------
        path
            Relative to the folder, with "/" between its parts; from a layout.
        content
            All of it.

        Raises
        ------
        DiskSpaceError
            If too little room would be left.
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
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if error.errno in FATAL:
                raise store.file_error(error, target) from error
            self._made.discard(path.rpartition("/")[0])
            raise
