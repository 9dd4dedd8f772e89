"""
The ledger of a folder of views: what its files were made of, in one SQLite file.

A row is written as soon as its file has its name, in a transaction of its own. It counts only if the file exists with
the size in the row, and the view would be made of the same today.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, NamedTuple, Self

from mlygeo.downloads.ledger import LOCKED_S, reading, sqlite_errors, write_ahead
from mlygeo.errors import FormatError
from mlygeo.places import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LEDGER_FILE = "views.sqlite"

VERSION = 1
"""Of the table."""

AT_ONCE = 5_000
"""Rows asked for at a time."""

_TABLE = """
CREATE TABLE IF NOT EXISTS views (
    path TEXT PRIMARY KEY, made_of TEXT NOT NULL, bytes INTEGER NOT NULL, source_bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL
) WITHOUT ROWID
"""


class Made(NamedTuple):
    """
    A file of a view: a row of the ledger.

    Parameters
    ----------
    path
        Relative to the folder.
    made_of
        What it was made of; equal texts mean equal files.
    bytes
        Size of the file.
    source_bytes
        Size of the file of the picture that it was cut from.
    checksum
        SHA-256 of the file.
    """

    path: str
    made_of: str
    bytes: int
    source_bytes: int
    checksum: str


class ViewLedger:
    """
    The ledger of one folder, open for writing, as a context manager.

    Parameters
    ----------
    folder
        The folder of the views, held by this process.

    Raises
    ------
    FormatError
        If the file is not such a ledger, damaged, or of a newer version.
    FileError
        If it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / STATE_FOLDER / LEDGER_FILE
        with sqlite_errors(self.path), contextlib.ExitStack() as undone:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=LOCKED_S)
            undone.callback(self._db.close)
            found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if found > VERSION:
                raise FormatError(f"{self.path} was made by a newer mlygeo (version {found} of the table)")
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_TABLE)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def record(self, made: Made) -> None:
        """Write a row, replacing that of an earlier file of this name."""
        with sqlite_errors(self.path):
            self._db.execute("INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)", made)

    def has(self, path: str) -> bool:
        """Return whether a row is about a file, whatever it was made of."""
        return any(self._rows([path]))

    def there(self, paths: Sequence[str], made_of: Sequence[str]) -> dict[str, Made]:
        """
        Return the rows of views whose files are there.

        Parameters
        ----------
        paths
            The files.
        made_of
            What each would be made of today.

        Returns
        -------
        rows
            By path; without views that were made of something else, and without those whose file is missing or has
            another size.
        """
        wanted = dict(zip(paths, made_of, strict=True))
        found = {}
        for row in self._rows(paths):
            if row.made_of == wanted[row.path]:
                with contextlib.suppress(OSError, ValueError):
                    if (self.folder / row.path).stat().st_size == row.bytes:
                        found[row.path] = row
        return found

    def _rows(self, paths: Sequence[str]) -> Iterator[Made]:
        query = "SELECT * FROM views WHERE path IN (SELECT value FROM json_each(?))"
        for start in range(0, len(paths), AT_ONCE):
            with sqlite_errors(self.path):
                rows = self._db.execute(query, (json.dumps(paths[start : start + AT_ONCE]),)).fetchall()
            yield from map(Made._make, rows)


def checksums(folder: Path) -> dict[str, str]:
    """
    Return the SHA-256 that the file of each view had when it was made, by its path; none where there is no ledger.

    Raises
    ------
    FormatError
        If the ledger is damaged.
    """
    path = folder / STATE_FOLDER / LEDGER_FILE
    if not path.is_file():
        return {}
    with reading(path) as db:
        return dict(db.execute("SELECT path, checksum FROM views"))
