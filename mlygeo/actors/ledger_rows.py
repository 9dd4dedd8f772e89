"""The rows of a ledger of downloads: what happened to one image, and many of them as a frame."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

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


@dataclass(frozen=True)
class Form:
    """
    In which form images are wanted; one that is there in another form is not there.

    Parameters
    ----------
    size
        "256", "1024", "2048" or "original".
    format
        "jpg" or "webp".
    layout
        "sequence", "time" or "flat".
    options
        What else was done to the bytes, such as "exif quality=90"; empty where they are as sent.
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
        "done"; "found", where an older tool had left a whole file; "gone", where the service no
        longer has it; "failed".
    form
        The form that was wanted.
    path
        The file, relative to the folder, with "/" between its parts.
    sequence_id
        Its sequence.
    bytes
        Size of the file.
    checksum
        SHA-256 of the file.
    tries
        Requests that were made for its bytes or its address.
    reason
        Why it failed or is gone.
    started_at, finished_at
        Milliseconds since 1970.
    """

    id: int
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

    def row(self) -> tuple[Any, ...]:
        """Return it in the order of `COLUMNS`."""
        return (
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


def as_frame(batches: Iterable[list[tuple[Any, ...]]]) -> pd.DataFrame:
    """Return rows of a ledger as the frame that `transfers` describes."""
    import pandas as pd

    parts = [_part(rows) for rows in batches if rows]
    return pd.concat(parts, ignore_index=True) if parts else _part([])


def _part(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame.from_records(rows, columns=list(COLUMNS))
    kinds = {"id": "int64", "bytes": "Int64", "tries": "int64"}
    texts = ("status", "path", "sequence_id", "size", "format", "layout", "options", "checksum", "reason")
    kinds |= dict.fromkeys(texts, "str")
    times = {
        name: pd.to_datetime(frame[name].astype("int64"), unit="ms", utc=True).astype("datetime64[ms, UTC]")
        for name in ("started_at", "finished_at")
    }
    return frame.astype(kinds).assign(**times)


def now_ms() -> int:
    """Return the time, milliseconds since 1970."""
    return time.time_ns() // 1_000_000
