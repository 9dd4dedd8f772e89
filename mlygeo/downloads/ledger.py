"""
The ledger of a folder of downloads: what happened to each image, in one SQLite file.

A row is written as soon as its file has its name, in a separate transaction that survives a killed
process at any line. A row counts only if its file exists with the recorded size.

Images of Mapillary, whose keys are whole numbers, are in a table of their own; all others are in a second table by
provider and key, which makes the ledger one of version 2. A ledger gets it with the first image of another provider,
in one transaction, and is as it was until then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlygeo import keys, systems
from mlygeo.errors import FileError, FormatError
from mlygeo.places import STATE_FOLDER
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from mlygeo.attribution import Rights
    from mlygeo.keys import Ids, Key

__all__ = [
    "COLUMNS", "FAILED", "GONE", "LEDGER_FILE", "OTHER", "THERE", "UNKNOWN", "WITH_FILE",
    "Form", "Ledger", "Transfer", "as_frame", "now_ms", "transfers",
]  # fmt: skip

log = logging.getLogger("mlygeo.download")

LEDGER_FILE = "ledger.sqlite"

WITH_FILE = ("done", "found")
"""Each `status` of an image whose file was written or found."""

UNKNOWN, THERE, GONE, FAILED, OTHER = range(5)
"""
States of an image in a ledger: unknown, also where its file is missing or has another size; there,
in the requested form; gone, since the service no longer has it; failed; or there in another form.
"""

IDS_A_QUERY = 5_000

LOCKED_S = 30.0
"""Seconds to wait for another process that writes."""

VERSION = 2
"""The newest version of the tables."""

_COLUMNS = """
    status TEXT NOT NULL,
    path TEXT,
    sequence_id TEXT,
    size TEXT NOT NULL,
    format TEXT NOT NULL,
    layout TEXT NOT NULL,
    options TEXT NOT NULL,
    bytes INTEGER,
    checksum TEXT,
    tries INTEGER NOT NULL,
    reason TEXT,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
"""

_TABLE = f"""
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY,{_COLUMNS});
CREATE INDEX IF NOT EXISTS time_paths ON transfers (path) WHERE layout = 'time';
"""

_UPGRADE = (
    # `id` has no type, so that whole numbers stay numbers and text stays text.
    f"""
    CREATE TABLE IF NOT EXISTS other_transfers (
        provider TEXT NOT NULL, id NOT NULL,{_COLUMNS}, PRIMARY KEY (provider, id)
    ) WITHOUT ROWID
    """,
    # Names that differ only by case are one file on some systems.
    "CREATE INDEX IF NOT EXISTS other_paths ON other_transfers (path COLLATE NOCASE)",
    "CREATE INDEX IF NOT EXISTS paths ON transfers (path COLLATE NOCASE)",
    "PRAGMA user_version = 2",
)
"""The statements that make version 2 of version 1."""

COLUMNS = (
    "id",
    "status",
    "path",
    "sequence_id",
    "size",
    "format",
    "layout",
    "options",
    "bytes",
    "checksum",
    "tries",
    "reason",
    "started_at",
    "finished_at",
)
"""The columns of the table."""

TEXTS = ("status", "path", "sequence_id", "size", "format", "layout", "options", "checksum", "reason")

TIMES = ("started_at", "finished_at")

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that dates in Python can show."""

_DAMAGED = " OR ".join(
    [f"typeof({name}) NOT IN ('text', 'null')" for name in TEXTS]
    + [f"typeof({name}) NOT IN ('integer', 'null')" for name in ("bytes", "tries", *TIMES)]
)
"""Condition of rows with a value of a kind that is never written; their images count as unknown."""

_INSERT = f"INSERT OR REPLACE INTO transfers VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - question marks

_INSERT_OTHER = f"INSERT OR REPLACE INTO other_transfers VALUES ({', '.join('?' * (1 + len(COLUMNS)))})"  # noqa: S608


class Ledger:
    """
    The ledger of one folder, open for writing; thread-safe.

    Parameters
    ----------
    folder
        The folder of the images; it is made if it is missing.

    Raises
    ------
    FormatError
        If the file is not a ledger, damaged, or of a newer version.
    FileError
        If it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / STATE_FOLDER / LEDGER_FILE
        self._lock = threading.Lock()
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.path.parent}: {error.strerror}") from error
        with self._sqlite_errors(), contextlib.ExitStack() as undone:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=LOCKED_S)
            undone.callback(self._db.close)  # errors of a ledger that is damaged, newer or locked
            if (found := self._version()) > VERSION:
                raise FormatError(f"{self.path} was made by a newer mlygeo (version {found} of the table)")
            write_ahead(self._db)
            # A commit survives the process; losses by a power cut show in the files' sizes.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLE)
            with self._transaction():  # another process may be at the same: its version 2 stays
                if not self._version():
                    self._db.execute("PRAGMA user_version = 1")
                self._has_others = self._version() == VERSION
            undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; rows that a late thread records afterwards are ignored."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._db.close()

    def record(self, *transfers: Transfer) -> None:
        """
        Write rows in one transaction, replacing existing rows of the images.

        Raises
        ------
        FileError
            If the disk is full.
        """
        with self._lock, self._sqlite_errors():
            if self._closed:
                return
            if any(transfer.provider != DEFAULT_PROVIDER for transfer in transfers):
                self._upgrade()
            if len(transfers) == 1:  # a transaction of its own
                self._db.execute(transfers[0].insert, transfers[0].row())
                return
            with self._transaction():
                for insert in dict.fromkeys(transfer.insert for transfer in transfers):
                    rows = (transfer.row() for transfer in transfers if transfer.insert is insert)
                    self._db.executemany(insert, rows)

    def _upgrade(self) -> None:
        """Give the ledger the table of other providers, at once or not at all."""
        if self._has_others:
            return
        with self._transaction():
            if self._version() < VERSION:
                for statement in _UPGRADE:
                    self._db.execute(statement)
        self._has_others = True

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def states(self, ids: Ids, form: Form, provider: str = DEFAULT_PROVIDER) -> npt.NDArray[np.int8]:
        """
        Return the states of images: `UNKNOWN`, `THERE`, `GONE`, `FAILED` or `OTHER`.

        An image is there if its row says so, in this form, and its file has the size in the row; the
        content of the file is not read.

        Parameters
        ----------
        ids
            Keys of one provider, ascending, without repetition; shape (n,).
        form
            The requested form. Files of an older tool count as having the requested size, since
            their size is unknown.
        provider
            Their provider.

        Returns
        -------
        states
            int8, shape (n,).
        """
        states = np.zeros(len(ids), dtype=np.int8)
        is_whole = provider == DEFAULT_PROVIDER
        if not is_whole and not self._has_others:
            return states
        table = (
            "transfers WHERE id IN (SELECT value FROM json_each(:ids))"
            if is_whole
            else "(SELECT key, value FROM json_each(:ids)) CROSS JOIN other_transfers "
            "WHERE provider = :provider AND id = value"
        )
        query = f"""
            SELECT {"id" if is_whole else "key"}, path, bytes, CASE
                WHEN {_DAMAGED} THEN {UNKNOWN}
                WHEN status = 'gone' THEN {GONE}
                WHEN status = 'failed' THEN {FAILED}
                WHEN layout = :layout AND format = :format
                    AND ((size = :size AND options = :options) OR status = 'found') THEN {THERE}
                ELSE {OTHER} END
            FROM {table}
        """  # noqa: S608 - our own numbers
        with systems.looked_up(self.folder) as (root, options):
            stat = os.stat  # looked up once: this loop runs for every image of a large folder
            for start in range(0, len(ids), IDS_A_QUERY):
                part = ids[start : start + IDS_A_QUERY]
                with self._lock, self._sqlite_errors():
                    rows = self._db.execute(query, {**asdict(form), "ids": _json(part), "provider": provider})
                    found = rows.fetchall()
                found_states = []
                for _, path, size, state in found:
                    if state == THERE:
                        try:
                            if stat(root + path, **options).st_size != size:
                                state = UNKNOWN  # noqa: PLW2901 - what it said does not hold
                        except (OSError, ValueError, TypeError):
                            state = UNKNOWN  # noqa: PLW2901
                    found_states.append(state)
                places = np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))
                states[start + (np.searchsorted(part, places) if is_whole else places)] = found_states
        return states

    def providers(self) -> list[str]:
        """Return the names of the providers of images in the ledger, Mapillary first."""
        with self._lock, self._sqlite_errors():
            first = [DEFAULT_PROVIDER] if self._db.execute("SELECT 1 FROM transfers LIMIT 1").fetchone() else []
            if not self._has_others:
                return first
            rows = self._db.execute("SELECT DISTINCT provider FROM other_transfers ORDER BY provider").fetchall()
        return [*first, *(row[0] for row in rows)]

    def failed_ids(self, provider: str = DEFAULT_PROVIDER) -> Ids:
        """Return the ids of a provider's images that failed, without those that are gone."""
        with self._lock, self._sqlite_errors():
            if provider == DEFAULT_PROVIDER:
                rows = self._db.execute("SELECT id FROM transfers WHERE status = 'failed' ORDER BY id")
                return np.fromiter((row[0] for row in rows), dtype=np.int64)
            query = "SELECT id FROM other_transfers WHERE provider = ? AND status = 'failed' ORDER BY id"
            others = self._db.execute(query, (provider,)).fetchall() if self._has_others else []
            return _ids([row[0] for row in others])

    def owner(self, path: str, provider: str = DEFAULT_PROVIDER) -> Key | None:
        """Return the image of a provider that has this path in the layout by time, or None."""
        where = "WHERE layout = 'time' AND path = ?"
        with self._lock, self._sqlite_errors():
            if provider == DEFAULT_PROVIDER:
                row = self._db.execute(f"SELECT id FROM transfers {where}", (path,)).fetchone()  # noqa: S608
                return None if row is None else int(row[0])
            query = f"SELECT id FROM other_transfers {where} COLLATE NOCASE AND provider = ?"  # noqa: S608
            row = self._db.execute(query, (path, provider)).fetchone() if self._has_others else None
        return None if row is None else _key(row[0])

    def is_anothers(self, path: str, provider: str) -> bool:
        """
        Return whether an image of another provider has a file of this name, whatever its ending and its case.

        Parameters
        ----------
        path
            Relative to the folder, with "/" between its parts.
        provider
            The provider whose own files do not count.
        """
        if not self._has_others:
            return False
        stem = path.rpartition(".")[0]
        # "/" is the letter after ".": between the two are the endings of this name, and of names that begin with it.
        span = (f"{stem}.", f"{stem}/")
        within = "path COLLATE NOCASE >= ? AND path COLLATE NOCASE < ?"
        query = f"SELECT path FROM other_transfers WHERE {within} AND provider <> ?"  # noqa: S608 - our own words
        with self._lock, self._sqlite_errors():
            rows = self._db.execute(query, (*span, provider)).fetchall()
            if provider != DEFAULT_PROVIDER:
                rows += self._db.execute(f"SELECT path FROM transfers WHERE {within}", span).fetchall()  # noqa: S608
        return any(isinstance(row[0], str) and row[0].rpartition(".")[0].lower() == stem.lower() for row in rows)

    def is_file_of(self, path: str, id: Key, provider: str) -> bool:  # noqa: A002 - the column's word
        """Return whether an image's row names this file."""
        query = f"SELECT 1 FROM {_table(provider)} AND id = :id AND path = :path"  # noqa: S608 - our own words
        with self._lock, self._sqlite_errors():
            if provider != DEFAULT_PROVIDER and not self._has_others:
                return False
            return self._db.execute(query, {"provider": provider, "id": id, "path": path}).fetchone() is not None

    def credit(self, provider: str, key: Key, rights: Rights) -> None:
        """Note whose a picture is that is about to be recorded; see `mlygeo.downloads.credits`."""
        from mlygeo.downloads import credits as noted

        with self._lock, self._sqlite_errors():
            if not self._closed:
                noted.note(self._db, provider, key, rights)

    def credits(self, provider: str, ids: Iterable[Key]) -> pa.Table:
        """Return what is noted of whose images are; see `mlygeo.downloads.credits.read`."""
        from mlygeo.downloads import credits as noted

        with self._lock, self._sqlite_errors():
            return noted.read(self._db, provider, ids)

    def mean_bytes(self, form: Form) -> float | None:
        """Return the mean size of the images done in a form, bytes; None for fewer than twenty."""
        with self._lock, self._sqlite_errors():
            count, mean = self._db.execute(
                "SELECT count(*), avg(bytes) FROM (SELECT bytes FROM transfers WHERE status = 'done' "
                "AND typeof(bytes) = 'integer' AND size = ? AND format = ? AND options = ? LIMIT 10000)",
                (form.size, form.format, form.options),
            ).fetchone()
        return float(mean) if count >= 20 and mean is not None and 0 < mean < float("inf") else None

    def rows(self, ids: Ids | None = None, provider: str = DEFAULT_PROVIDER) -> Iterator[list[tuple[Any, ...]]]:
        """
        Yield rows in batches, ordered by id within each: their values in the order of `COLUMNS`, and the provider.

        Parameters
        ----------
        ids
            Yield only those of these images (ascending).
        provider
            Their provider.
        """
        if provider != DEFAULT_PROVIDER and not self._has_others:
            return
        names, table = ", ".join((*COLUMNS, ":provider")), _table(provider)
        if ids is None:
            first = f"SELECT {names} FROM {table} ORDER BY id LIMIT {IDS_A_QUERY}"  # noqa: S608 - our names
            query, last = first, None
            while True:
                # Not held while the caller works: it may end this, or close the ledger, in between.
                with self._lock, self._sqlite_errors():
                    rows = self._db.execute(query, {"provider": provider, "last": last}).fetchall()
                if not rows:
                    return
                yield rows
                query, last = first.replace(" ORDER", " AND id > :last ORDER"), rows[-1][0]
        query = f"SELECT {names} FROM {table} AND id IN (SELECT value FROM json_each(:ids)) ORDER BY id"  # noqa: S608
        for start in range(0, len(ids), IDS_A_QUERY):
            with self._lock, self._sqlite_errors():
                given = {"provider": provider, "ids": _json(ids[start : start + IDS_A_QUERY])}
                rows = self._db.execute(query, given).fetchall()
            yield rows

    @contextlib.contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        with sqlite_errors(self.path):
            yield


@dataclass(frozen=True)
class Form:
    """
    The requested form of images; an image in another form counts as missing.

    Parameters
    ----------
    size
        "256", "1024", "2048" or "original".
    format
        "jpg" or "webp".
    layout
        "sequence", "time" or "flat".
    options
        Other changes to the bytes, such as "exif quality=90"; empty for unchanged bytes.
    """

    size: str = "original"
    format: str = "jpg"
    layout: str = "sequence"
    options: str = ""


@dataclass(frozen=True)
class Transfer:
    """
    What happened to one image: a row of the ledger.

    Parameters
    ----------
    id
        The image.
    status
        "done"; "found", if an older tool had written a complete file; "gone", if the service no
        longer has the image; "failed".
    form
        The requested form.
    path
        The file, relative to the folder, with "/" between its parts.
    sequence_id
        Its sequence.
    bytes
        Size of the file.
    checksum
        SHA-256 of the file.
    tries
        Number of requests for its bytes or its address.
    reason
        Why it failed or is gone; of a file, what is in doubt of its metadata.
    started_at, finished_at
        Milliseconds since 1970.
    provider
        The provider of the image.
    """

    id: Key
    status: str
    form: Form
    path: str | None = None
    sequence_id: str | None = None
    bytes: int | None = None
    checksum: str | None = None
    tries: int = 0
    reason: str | None = None
    started_at: int = 0
    finished_at: int = 0
    provider: str = DEFAULT_PROVIDER

    @property
    def insert(self) -> str:
        """The statement that writes its row."""
        return _INSERT if self.provider == DEFAULT_PROVIDER else _INSERT_OTHER

    def row(self) -> tuple[Any, ...]:
        """Return the values in the order of `COLUMNS`, after the provider unless that is Mapillary."""
        return (
            *(() if self.provider == DEFAULT_PROVIDER else (self.provider,)),
            self.id,
            self.status,
            self.path,
            self.sequence_id,
            *astuple(self.form),
            self.bytes,
            self.checksum,
            self.tries,
            self.reason,
            self.started_at,
            self.finished_at,
        )


def transfers(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """
    Return the ledger of a folder that `download` filled.

    It can be read during a download.

    Parameters
    ----------
    folder
        The output folder.

    Returns
    -------
    transfers
        A row for each image, by id (int64; where images of other providers than Mapillary are among them, text, by
        provider and id, and `provider` is the last column): status ("done", "found" where an older tool had left
        the file, "gone", "failed"), path relative to the folder, sequence_id, size, format,
        layout, options, bytes (Int64), checksum (SHA-256), tries (int64), reason, started_at and
        finished_at (datetime64[ms, UTC]). Where each picture has a licence of its own also creator, provider,
        instance, licence and licence_url (str), null where unknown.

    Raises
    ------
    FileError
        If the folder has no ledger.
    FormatError
        If the ledger is damaged.

    Examples
    --------
    >>> transfers("pictures").query("status == 'failed'")[["id", "reason"]]
    """
    path = Path(folder).expanduser() / STATE_FOLDER / LEDGER_FILE
    if not path.is_file():
        raise FileError(f"{folder} has no ledger ({STATE_FOLDER}/{LEDGER_FILE})", hint="mlygeo download -o makes one")
    from mlygeo.downloads import credits as noted

    with reading(path) as db:
        return noted.add(as_frame(_read(db, path)), noted.read(db))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the ledger in a file, open for reading, also while a download is at work; raises as `Ledger` does."""
    with sqlite_errors(path):
        for mode in ("mode=ro", "mode=ro&immutable=1"):  # a read-only medium has no place for SQLite's own files
            db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=30)
            with contextlib.closing(db):
                try:
                    db.execute("SELECT 1 FROM sqlite_master").fetchone()
                except sqlite3.OperationalError:
                    if mode != "mode=ro":
                        raise
                    continue
                yield db
                return


def as_frame(batches: Iterable[list[tuple[Any, ...]]]) -> pd.DataFrame:
    """
    Return rows of a ledger as the frame that `transfers` describes.

    Parameters
    ----------
    batches
        Rows: the values of `COLUMNS`, and the provider.
    """
    import pandas as pd

    parts = [_part(rows) for rows in batches if rows]
    if not parts:
        return _part([]).drop(columns="provider")
    frame = pd.concat(parts, ignore_index=True)
    if (frame["provider"] == DEFAULT_PROVIDER).all():
        return frame.drop(columns="provider").astype({"id": "int64"})
    frame = frame.assign(id=frame["id"].map(str).astype("str"))
    order = np.argsort(keys.ranks(frame["id"], frame["provider"]), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def now_ms() -> int:
    """Return the time, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _read(db: sqlite3.Connection, path: Path) -> list[list[tuple[Any, ...]]]:
    """Return the rows of a ledger of any version, without changing it."""
    names = ", ".join(COLUMNS)
    db.execute("BEGIN")  # both tables as they are at one moment
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise FormatError(f"{path} was made by a newer mlygeo (version {found} of the table)")
    query = f"SELECT {names}, '{DEFAULT_PROVIDER}' FROM transfers ORDER BY id"  # noqa: S608 - our own names
    rows = [db.execute(query).fetchall()]
    if found == VERSION:
        rows.append(db.execute(f"SELECT {names}, provider FROM other_transfers").fetchall())  # noqa: S608
    return rows


def _table(provider: str) -> str:
    """Return the table of a provider's images, for queries that go on with a condition."""
    return "transfers WHERE 1" if provider == DEFAULT_PROVIDER else "other_transfers WHERE provider = :provider"


def _key(value: Any) -> Key:
    return value if isinstance(value, int) else str(value)


def _ids(values: list[Any]) -> Ids:
    """Return keys as they stand in a ledger as an array: whole numbers, or else text."""
    if values and all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    found = np.empty(len(values), dtype=object)
    found[:] = list(map(str, values))
    return found


def _json(ids: Ids) -> str:
    return json.dumps(ids.tolist())


def write_ahead(db: sqlite3.Connection) -> None:
    """
    Set a database to write ahead of its file.

    SQLite does not wait for others while it changes that, so this does, as long as the connection would.
    """
    until = time.monotonic() + LOCKED_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """
    Turn SQLite's errors on a database into ours.

    Parameters
    ----------
    path
        The database.

    Raises
    ------
    FileError
        If the disk is full, or the file cannot be written.
    FormatError
        If it is damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "") or ""
        if "FULL" in code:
            raise FileError(
                f"the disk is full: {path} was not written", hint="free some space; what is done is kept"
            ) from error
        if "READONLY" in code:
            raise FileError(f"{path} cannot be written to: the file or its folder is read-only") from error
        if "Could not decode" in str(error):
            raise FormatError(
                f"{path} is damaged (it contains data that is not text)",
                hint="move it away: images that are there are then recognised by their files",
            ) from error
        if "NOTADB" in code or "CORRUPT" in code or "no such table" in str(error) or "no such column" in str(error):
            raise FormatError(
                f"{path} is damaged ({error})",
                hint="move it away: images that are there are then recognised by their files",
            ) from error
        raise FileError(f"{path}: {error}") from error


def _part(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame.from_records(rows, columns=[*COLUMNS, "provider"])
    check_kinds(frame, texts=TEXTS, wholes=("tries",), times=TIMES, nullable=("bytes",))
    kinds = {"bytes": "Int64", "tries": "int64", **dict.fromkeys((*TEXTS, "provider"), "str")}
    if frame["provider"].eq(DEFAULT_PROVIDER).all():
        kinds["id"] = "int64"
    times = {
        name: pd.to_datetime(frame[name].astype("int64"), unit="ms", utc=True).astype("datetime64[ms, UTC]")
        for name in TIMES
    }
    return frame.astype(kinds).assign(**times)


def check_kinds(
    frame: pd.DataFrame,
    *,
    texts: Iterable[str],
    wholes: Iterable[str] = (),
    nullable: Iterable[str] = (),
    times: Iterable[str] = (),
) -> None:
    """
    Raise unless the columns of a ledger hold what was written to them: SQLite takes anything in any column.

    Parameters
    ----------
    frame
        Rows of the ledger.
    texts
        Columns of texts, or null.
    wholes, nullable
        Columns of whole numbers, and of those that may be null.
    times
        Columns of milliseconds since 1970, or null.

    Raises
    ------
    FormatError
        If a column holds something else.
    """
    import pandas as pd

    kinds = {**dict.fromkeys(texts, "string"), **dict.fromkeys((*wholes, *times, *nullable), "integer")}
    for name, fits in kinds.items():
        values = frame[name].dropna()
        found = pd.api.types.infer_dtype(values) if len(values) else "empty"
        whole = len(values) == len(frame) or name not in wholes
        if found == "floating" and (values % 1 == 0).all() and (values.abs() < 2**53).all():
            found = "integer"  # as pandas reads whole numbers with gaps
        late = found == "integer" and name in times and len(values) and values.abs().max() > LATEST_MS
        if found not in {fits, "empty"} or not whole or late:
            raise FormatError(
                f"the ledger is damaged: its column {name} holds {found if found != fits else 'impossible'} values",
                hint="move the ledger away: what is there is then recognised by its files",
            )
