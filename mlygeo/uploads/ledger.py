"""
The history of uploads: which content was uploaded, and in which upload, in one SQLite file for the user.

A photo or video is known by what the camera made (`mlygeo.formats.identity`), in any folder, under any name
and with any tags, and by the MD5 of its file; separately for each service: files that a rehearsal
sent to a stand-in do not count as uploaded. A row is written as soon as the service has confirmed the
bytes, and an upload is recorded as ready before the request to finish it; so a process may be killed at
any line, and the next one can continue.

Histories of the first version have only MD5s. Their rows stay, are found by MD5, and get the identity when
their file is seen again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from mlygeo.downloads.ledger import check_kinds, now_ms, reading, sqlite_errors, write_ahead
from mlygeo.errors import FileError, FormatError
from mlygeo.formats.identity import Identity
from mlygeo.places import default_folder
from mlygeo.providers import needed, provider
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

FILE = "upload_history.sqlite"

HANDLE_LIFETIME_MS = 24 * 3600 * 1000
"""Lifetime of a handle; mapillary_tools assumes two days."""

VERSION = 3

Kind = Literal["image", "zip", "video"]

DAMAGED_HINT = "restore it from a copy; without it, what was uploaded before would be uploaded again"

TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    status TEXT NOT NULL,
    file_type TEXT NOT NULL,
    handle TEXT NOT NULL,
    cluster_id TEXT,
    organization_key TEXT,
    user_key TEXT,
    reason TEXT,
    ready_at INTEGER NOT NULL,
    finished_at INTEGER
);
CREATE INDEX IF NOT EXISTS contents ON uploads (service, content);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    upload_md5 TEXT,
    md5 TEXT,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    sequence_id TEXT,
    status TEXT NOT NULL,
    bytes INTEGER,
    handle TEXT,
    upload INTEGER REFERENCES uploads (id),
    reason TEXT,
    sent_at INTEGER NOT NULL,
    picture TEXT,
    original_time TEXT,
    photo_uuid TEXT,
    provider TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS sent_files ON files (service, upload_md5) WHERE upload_md5 IS NOT NULL;
CREATE INDEX IF NOT EXISTS original_files ON files (service, md5);
CREATE INDEX IF NOT EXISTS paths ON files (path);
CREATE INDEX IF NOT EXISTS uploaded_files ON files (upload);
"""

IDENTITY = ("picture", "original_time", "photo_uuid")
"""Columns with what a photo or video is known by."""

ADDED = (*IDENTITY, "provider")
"""Columns of files that earlier versions of the tables lack; without a provider it is the default one."""

OF_OTHERS = ("provider", "picture_id")
"""Columns of the frame that only a history with uploads to other providers has."""

INDEXES = (
    "CREATE INDEX IF NOT EXISTS pictures ON files (service, picture) WHERE picture IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS photo_uuids ON files (service, photo_uuid) WHERE photo_uuid IS NOT NULL",
)
"""Indexes of those columns."""

COLUMNS = (
    "path", "kind", "sequence_id", "status", "md5", "upload_md5", "bytes", "cluster_id", "organization_key",
    "user_key", "service", "reason", "sent_at", "finished_at", *IDENTITY, *OF_OTHERS,
)  # fmt: skip

SELECT = """
SELECT f.path, f.kind, f.sequence_id,
       CASE WHEN f.status = 'sent' AND u.status = 'ready' THEN 'ready' ELSE f.status END,
       f.md5, f.upload_md5, f.bytes, u.cluster_id, u.organization_key, u.user_key, f.service, f.reason, f.sent_at,
       u.finished_at, f.picture, f.original_time, f.photo_uuid, f.provider,
       CASE WHEN f.provider IS NOT NULL THEN f.handle END
FROM files f LEFT JOIN uploads u ON u.id = f.upload
"""

_FOUND = """
SELECT f.status, u.status, f.handle, f.upload, f.sent_at, f.reason, f.path, f.picture, f.original_time, f.photo_uuid
FROM files f LEFT JOIN uploads u ON u.id = f.upload
WHERE f.service = ? AND f.status != 'failed' AND
"""

# Several searches instead of one with OR, for which SQLite would read all rows of the service.
FIND = f"{_FOUND} f.md5 = ? UNION ALL {_FOUND} f.upload_md5 = ?"

FIND_PICTURE = f"{_FOUND} f.picture = ?"

FIND_ID = f"{_FOUND} f.photo_uuid = ?"


class UploadLedger:
    """
    The history of uploads to one service, open for writing; thread-safe.

    Parameters
    ----------
    service
        Name of the service; see `mlygeo.providers.Uploads.place`. By default the one in the environment.
    folder
        Folder of the history; by default the user's data folder.

    Raises
    ------
    FormatError
        If the file is not a history, or damaged.
    FileError
        If it cannot be opened.
    """

    def __init__(self, service: str | None = None, folder: Path | None = None) -> None:
        who = provider()
        self.service = needed(who.uploads, who, "uploads").place(None) if service is None else service
        self.folder = default_folder() if folder is None else folder
        self.path = self.folder / FILE
        self._lock = threading.RLock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.folder}: {error.strerror}") from error
        with sqlite_errors(self.path), contextlib.ExitStack() as undone:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
            undone.callback(self._db.close)  # errors of a ledger that is damaged, newer or locked
            _check_version(self.path, self._db.execute("PRAGMA user_version").fetchone()[0])
            write_ahead(self._db)
            # A sequence that is finished twice cannot be undone, so even a power cut must not lose a row.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(TABLES)
            self._extend()
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._db.close()

    def find(
        self,
        *,
        md5: str | None = None,
        upload_md5: str | None = None,
        identity: Identity | None = None,
        path: str | None = None,
    ) -> Known | None:
        """
        Return the state of a file; of several uploaded forms, the state of the furthest one.

        Parameters
        ----------
        md5
            MD5 of the file.
        upload_md5
            MD5 of the bytes that are sent: the file with its description.
        identity
            What the photo or video is known by: under any path, with any tags and description. A row that
            is found by the MD5 of the file, and was written without the identity, gets it now. A photo of which
            another picture was uploaded, with the id that it was given and its time, was edited since: a viewer
            may have turned it.
        path
            The file. A file with the same picture that was uploaded from the same path is the same photo, even
            if its times were changed.
        """
        rows = self._rows(FIND, (self.service, md5, self.service, upload_md5))
        if identity is not None:
            if md5 is not None and any(row[7] is None for row in rows):
                self._identify(md5, identity)
            for row in self._rows(FIND_PICTURE, (self.service, identity.picture)):
                if row[6] == path or identity.is_same(Identity.from_texts(*row[7:])):
                    rows.append(row)
        best: Known | None = None
        for status, of_upload, handle, upload, sent_at, reason, *_ in rows:
            if not isinstance(sent_at, int):
                raise _damaged(self.path)
            if status in {"done", "rejected"}:
                return Known(status, handle, upload, reason)
            if of_upload == "ready":
                best = Known("ready", handle, upload)
            elif of_upload == "open":
                best = best or Known("sent", handle, upload)
            elif best is None:
                fresh = now_ms() - sent_at < HANDLE_LIFETIME_MS
                best = Known("sent", handle if fresh else None, None)
        return self._edited(identity) if best is None and identity is not None else best

    def _edited(self, identity: Identity) -> Known | None:
        """Return the upload of a photo in another picture of it."""
        if identity.given is None:
            return None
        for status, _, handle, upload, _, reason, *_, time, _ in self._rows(FIND_ID, (self.service, identity.given)):
            if status == "done" and not set(identity.times).isdisjoint((time or "").split()):
                return Known("done", handle, upload, reason, is_edited=True)
        return None

    def has_picture(self, picture: str) -> bool:
        """Return whether a photo with this picture was uploaded, whatever its time."""
        return any(row[0] == "done" for row in self._rows(FIND_PICTURE, (self.service, picture)))

    def sent(
        self,
        *,
        path: str,
        kind: Kind,
        md5: str,
        upload_md5: str,
        size: int,
        handle: str,
        sequence_id: str | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Record that the service has the bytes of a file."""
        with self._transaction() as db:
            db.execute("DELETE FROM files WHERE service = ? AND path = ? AND status = 'failed'", (self.service, path))
            db.execute("DELETE FROM files WHERE service = ? AND upload_md5 = ?", (self.service, upload_md5))
            db.execute(
                "INSERT INTO files (service, upload_md5, md5, path, kind, sequence_id, status, bytes, handle, sent_at, "
                "picture, original_time, photo_uuid) VALUES (?, ?, ?, ?, ?, ?, 'sent', ?, ?, ?, ?, ?, ?)",
                (self.service, upload_md5, md5, path, kind, sequence_id, size, handle, now_ms(), *_texts(identity)),
            )

    def found(
        self,
        *,
        path: str,
        kind: Kind,
        md5: str,
        size: int,
        reason: str,
        sequence_id: str | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Record that another tool uploaded a file, and the source of this information."""
        with self._transaction() as db:
            db.execute("DELETE FROM files WHERE service = ? AND path = ? AND status = 'failed'", (self.service, path))
            db.execute(
                "INSERT INTO files (service, md5, path, kind, sequence_id, status, bytes, reason, sent_at, picture, "
                "original_time, photo_uuid) VALUES (?, ?, ?, ?, ?, 'done', ?, ?, ?, ?, ?, ?)",
                (self.service, md5, path, kind, sequence_id, size, reason, now_ms(), *_texts(identity)),
            )

    def failed(
        self, *, path: str, kind: Kind, reason: str, sequence_id: str | None = None, provider: str | None = None
    ) -> None:
        """Record that a file could not be uploaded, and why."""
        self.all_failed({path: reason}, kind=kind, sequence_id=sequence_id, provider=provider)

    def all_failed(
        self, reasons: Mapping[str, str], *, kind: Kind, sequence_id: str | None = None, provider: str | None = None
    ) -> None:
        """Record that files could not be uploaded, with the reason by path."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM files WHERE service = ? AND path = ? AND status = 'failed'",
                [(self.service, path) for path in reasons],
            )
            db.executemany(
                "INSERT INTO files (service, path, kind, sequence_id, status, reason, sent_at, provider) "
                "VALUES (?, ?, ?, ?, 'failed', ?, ?, ?)",
                [
                    (self.service, path, kind, sequence_id, reason[:500], now_ms(), provider)
                    for path, reason in reasons.items()
                ],
            )

    def ready(
        self,
        upload_md5s: Sequence[str],
        *,
        kind: Literal["sequence", "zip", "video"],
        name: str,
        content: str,
        file_type: str,
        handle: str,
        organization_key: str | None,
        user_key: str | None,
    ) -> Ready:
        """Record that an upload is complete, before the request to finish it."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO uploads (service, kind, name, content, status, file_type, handle, organization_key, "
                "user_key, ready_at) VALUES (?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?)",
                (self.service, kind, name, content, file_type, handle, organization_key, user_key, now_ms()),
            )
            number = int(cursor.lastrowid or 0)
            db.executemany(
                "UPDATE files SET upload = ? WHERE service = ? AND upload_md5 = ?",
                [(number, self.service, each) for each in upload_md5s],
            )
        return Ready(number, name, handle, file_type, organization_key, now_ms())

    def open_set(self, name: str, marker: str, *, provider: str, user_key: str | None) -> OpenSet:
        """
        Record an upload set before the request to create it.

        Parameters
        ----------
        name
            The folder.
        marker
            The text by which the set is found again at the service.
        provider, user_key
            The provider, and the user.
        """
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO uploads (service, kind, name, content, status, file_type, handle, user_key, ready_at) "
                "VALUES (?, 'set', ?, ?, 'open', ?, '', ?, ?)",
                (self.service, name, marker, provider, user_key, now_ms()),
            )
        return OpenSet(int(cursor.lastrowid or 0), name, marker, "", "open")

    def set_created(self, number: int, set_id: str) -> None:
        """Record the service's id of an upload set."""
        with self._transaction() as db:
            db.execute("UPDATE uploads SET handle = ? WHERE id = ?", (set_id, number))

    def open_sets(self, user_key: str | None) -> list[OpenSet]:
        """Return the upload sets of a user that are not finished."""
        return [
            OpenSet(*row)
            for row in self._rows(
                "SELECT id, name, content, handle, status FROM uploads WHERE service = ? AND kind = 'set' "
                "AND status IN ('open', 'ready') AND user_key IS ? ORDER BY id",
                (self.service, user_key),
            )
        ]

    def sent_to_set(
        self, number: int, *, path: str, md5: str, upload_md5: str, size: int, provider: str, picture_id: str | None,
        sequence_id: str | None, identity: Identity | None,
    ) -> None:  # fmt: skip
        """Record that an upload set has a file: the bytes of `upload_md5`."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM files WHERE service = ? AND (upload_md5 = ? OR path = ? AND status = 'failed')",
                (self.service, upload_md5, path),
            )
            db.execute(
                "INSERT INTO files (service, upload_md5, md5, path, kind, sequence_id, status, bytes, handle, upload, "
                "sent_at, picture, original_time, photo_uuid, provider) "
                "VALUES (?, ?, ?, ?, 'image', ?, 'sent', ?, ?, ?, ?, ?, ?, ?, ?)",
                (self.service, upload_md5, md5, path, sequence_id, size, picture_id, number, now_ms(),
                 *_texts(identity), provider),
            )  # fmt: skip

    def set_complete(self, number: int) -> None:
        """Record that all files of an upload set were sent, before the request to complete it."""
        with self._transaction() as db:
            db.execute("UPDATE uploads SET status = 'ready', ready_at = ? WHERE id = ?", (now_ms(), number))

    def set_done(
        self, number: int, results: Iterable[tuple[str, str, str | None]]
    ) -> list[tuple[str, str, str | None]]:
        """
        Record what became of an upload set.

        Parameters
        ----------
        number
            The set.
        results
            For files that are not there: MD5 of the bytes sent, "rejected" or "failed", and the reason.

        Returns
        -------
        changed
            Path, status and reason of those that counted as sent until now.
        """
        changed = []
        with self._transaction() as db:
            db.execute(
                "UPDATE uploads SET status = 'done', cluster_id = handle, finished_at = ?, reason = NULL WHERE id = ?",
                (now_ms(), number),
            )
            for md5, status, reason in results:
                paths = db.execute(
                    "SELECT path FROM files WHERE upload = ? AND upload_md5 = ? AND status = 'sent'", (number, md5)
                ).fetchall()
                changed += [(path, status, reason) for (path,) in paths]
                db.execute(
                    "UPDATE files SET status = ?, reason = ?, handle = NULL "
                    "WHERE upload = ? AND upload_md5 = ? AND status = 'sent'",
                    (status, (reason or "")[:500] or None, number, md5),
                )
            db.execute("UPDATE files SET status = 'done' WHERE upload = ? AND status = 'sent'", (number,))
        return changed

    def rejected(
        self, *, path: str, md5: str, size: int, reason: str, provider: str, sequence_id: str | None,
        identity: Identity | None,
    ) -> None:  # fmt: skip
        """Record that the service does not take a file, since it has the picture already."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM files WHERE service = ? AND path = ? AND status IN ('failed', 'rejected')",
                (self.service, path),
            )
            db.execute(
                "INSERT INTO files (service, md5, path, kind, sequence_id, status, bytes, reason, sent_at, picture, "
                "original_time, photo_uuid, provider) VALUES (?, ?, ?, 'image', ?, 'rejected', ?, ?, ?, ?, ?, ?, ?)",
                (self.service, md5, path, sequence_id, size, reason[:500], now_ms(), *_texts(identity), provider),
            )

    def waiting(self, numbers: Iterable[int]) -> list[Ready]:
        """Return those of some uploads that only have to be finished."""
        found = []
        for number in sorted(set(numbers)):
            found += self._rows(
                "SELECT id, name, handle, file_type, organization_key, ready_at FROM uploads "
                "WHERE id = ? AND status = 'ready'",
                (number,),
            )
        return [Ready(*row) for row in found]

    def done(
        self,
        number: int,
        cluster_id: str,
        *,
        organization_key: str | None = None,
        held: Iterable[Held] = (),
    ) -> None:
        """
        Record that an upload is finished.

        Parameters
        ----------
        number
            The upload.
        cluster_id
            The service's number of it.
        organization_key
            The organization that owns it now.
        held
            Files inside an archive.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE uploads SET status = 'done', cluster_id = ?, organization_key = ?, finished_at = ?, "
                "reason = NULL WHERE id = ?",
                (cluster_id, organization_key, now_ms(), number),
            )
            db.execute("UPDATE files SET status = 'done' WHERE upload = ?", (number,))
            db.executemany(
                "INSERT OR IGNORE INTO files (service, upload_md5, md5, path, kind, status, bytes, upload, sent_at, "
                "picture, original_time, photo_uuid) VALUES (?, ?, ?, ?, 'image', 'done', ?, ?, ?, ?, ?, ?)",
                [
                    (self.service, each.md5, each.md5, each.name, each.size, number, now_ms(), *_texts(each.identity))
                    for each in held
                ],
            )

    def dropped(self, number: int, reason: str) -> None:
        """Record that the service will not finish an upload: its files must be sent again."""
        with self._transaction() as db:
            db.execute("UPDATE uploads SET status = 'failed', reason = ? WHERE id = ?", (reason[:500], number))
            db.execute("UPDATE files SET upload = NULL, handle = NULL WHERE upload = ?", (number,))

    def times(self, content: str) -> int:
        """Return how often this content was uploaded and finished."""
        return int(
            self._rows(
                "SELECT count(*) FROM uploads WHERE service = ? AND content = ? AND status = 'done'",
                (self.service, content),
            )[0][0]
        )

    def rows(self, paths: Iterable[str] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of the frame; all, or those of some files."""
        if paths is None:
            return self._rows(f"{SELECT} WHERE f.service = ? ORDER BY f.path, f.id", (self.service,))
        wanted = set(paths)
        # Either few files are requested, or all: one pass serves both.
        return [
            row
            for row in self._rows(f"{SELECT} WHERE f.service = ? ORDER BY f.path, f.id", (self.service,))
            if row[0] in wanted
        ]

    def _extend(self) -> None:
        """Add the columns that tables of the first version lack."""
        with self._transaction() as db:
            there = {row[1] for row in db.execute("PRAGMA table_info(files)")}
            for column in ADDED:
                if column not in there:
                    db.execute(f"ALTER TABLE files ADD COLUMN {column} TEXT")
            for index in INDEXES:
                db.execute(index)

    def _identify(self, md5: str, identity: Identity) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE files SET picture = ?, original_time = ?, photo_uuid = ? "
                "WHERE service = ? AND md5 = ? AND picture IS NULL",
                (*_texts(identity), self.service, md5),
            )

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock, sqlite_errors(self.path):
            return _sound(self._db.execute(query, values).fetchall(), self.path)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, sqlite_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


class Held(NamedTuple):
    """A file inside an archive: its MD5, its bytes, its name, and what it is known by."""

    md5: str
    size: int
    name: str
    identity: Identity | None = None


@dataclass(frozen=True)
class Known:
    """
    The state of a file in the history.

    Parameters
    ----------
    status
        "sent": its bytes are uploaded; "ready": they are part of an upload that only has to be
        finished; "done"; "rejected": the service does not take it, since it has the picture, or one like it.
    handle
        The service's handle of it; None if that is too old.
    upload
        The upload that it is part of.
    reason
        Why it counts as done, if another tool uploaded it.
    is_edited
        Whether the picture is another one than that which was uploaded.
    """

    status: Literal["sent", "ready", "done", "rejected"]
    handle: str | None
    upload: int | None
    reason: str | None = None
    is_edited: bool = False


@dataclass(frozen=True)
class OpenSet:
    """An unfinished upload set: its number here, folder, marker, id at the service ("" if unknown), and status."""

    number: int
    name: str
    marker: str
    set_id: str
    status: Literal["open", "ready"]


@dataclass(frozen=True)
class Ready:
    """An upload that only has to be finished: its number, and the service's data for that."""

    number: int
    name: str
    handle: str
    file_type: Any
    organization_key: str | None
    ready_at: int


def upload_history(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """
    Return what was uploaded from this machine.

    Parameters
    ----------
    folder
        Only files in this folder and below it.

    Returns
    -------
    uploads
        A row for each file: path; kind ("image", "zip", "video"); sequence_id; status ("done"; "ready" where it
        has only to be finished; "sent" where others of its sequence are missing; "failed"; "rejected" where the
        service has the picture, or one like it); md5 of the file and upload_md5 of what was sent; bytes
        (Int64); cluster_id, the service's number of the upload; organization_key; user_key; service, the
        address of the Graph API; reason; sent_at and finished_at (datetime64[ms, UTC]); picture, original_time
        and photo_uuid, what a photo or video is known by whatever its path and tags (null for files of earlier
        versions that were not seen again). If files were uploaded to other providers than Mapillary: provider,
        and picture_id, the service's id of the picture; cluster_id is then that of the upload set.

    Raises
    ------
    FormatError
        If the history is damaged.
    FileError
        If it cannot be opened.

    Examples
    --------
    >>> upload_history("photos").query("status != 'done'")[["path", "reason"]]
    """
    if not (default_folder() / FILE).is_file():
        return as_frame([])
    rows = _all_rows(default_folder() / FILE)
    if folder is not None:
        base = os.path.join(os.path.abspath(os.path.expanduser(os.fspath(folder))), "")  # noqa: PTH100, PTH111, PTH118
        rows = [row for row in rows if row[0].startswith(base)]
    return as_frame(rows)


def _all_rows(path: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a history of any version, without changing it."""
    with reading(path) as db:
        db.execute("BEGIN")  # all as it is at one moment
        found = db.execute("PRAGMA user_version").fetchone()[0]
        _check_version(path, found)
        there = {row[1] for row in db.execute("PRAGMA table_info(files)")}
        if not (there or found):  # a process was killed as it made the file
            return []
        absent = "".join(f", NULL AS {column}" for column in ADDED if column not in there)
        every = SELECT.replace("FROM files f", f"FROM (SELECT *{absent} FROM files) f")  # noqa: S608 - our own names
        return _sound(db.execute(f"{every} ORDER BY f.path, f.id").fetchall(), path)


def _check_version(path: Path, found: int) -> None:
    if found > VERSION:
        raise FormatError(f"{path} was made by a newer mlygeo (version {found} of the tables)")


def _sound(rows: list[tuple[Any, ...]], path: Path) -> list[tuple[Any, ...]]:
    if any(bytes in map(type, row) for row in rows):
        raise _damaged(path)
    return rows


def _damaged(path: Path) -> FormatError:
    return FormatError(f"{path} is damaged: it holds values of another kind", hint=DAMAGED_HINT)


def _texts(identity: Identity | None) -> tuple[str | None, str | None, str | None]:
    if identity is None:
        return None, None, None
    return identity.picture, identity.time, identity.given


def as_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return rows of the history as the frame that `upload_history` describes."""
    import pandas as pd

    frame = pd.DataFrame.from_records(rows, columns=list(COLUMNS))
    if frame["provider"].isna().all():
        frame = frame.drop(columns=list(OF_OTHERS))
    else:
        frame["provider"] = frame["provider"].fillna(DEFAULT_PROVIDER)
    when = ("sent_at", "finished_at")
    check_kinds(
        frame, texts=[name for name in frame.columns if name not in {"bytes", *when}], times=when, nullable=("bytes",)
    )
    times = {
        name: pd.to_datetime(frame[name].astype("Int64"), unit="ms", utc=True).astype("datetime64[ms, UTC]")
        for name in when
    }
    texts = dict.fromkeys((name for name in frame.columns if name not in {"bytes", *times}), "str")
    return frame.astype({**texts, "bytes": "Int64"}).assign(**times)
