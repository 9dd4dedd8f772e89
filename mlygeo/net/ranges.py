"""A file on a server, read by ranges: a Parquet file of gigabytes, of which some megabytes are needed."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, ServiceError
from mlygeo.net.answers import NotFoundError, RefusedError, ReplacedError

if TYPE_CHECKING:
    from mlygeo.net.answers import Piece
    from mlygeo.net.http import Client

TAIL = 1 << 18
"""Bytes of the end of a file that are read first: the footer of a Parquet file, or most of it."""

LARGEST_PIECE = 32 << 20
"""Bytes of one request; more is asked for in several."""


class RangeFile(io.RawIOBase):
    """
    A file on a server; thread-safe for whole reads, which may be of any place at once (`fetch`).

    Where the server tags its files (`ETag`), every part is asked for with the tag of the first; else what it says
    of the time of the file is compared, and the end of the file by `check`.

    Parameters
    ----------
    client
        Makes the requests.
    url
        Its address.
    what
        What it is, for messages.

    Raises
    ------
    ServiceError
        If the server does not answer, or sends no parts of files.
    FileError
        If the file was replaced while it was read; this, any read may raise.
    """

    def __init__(self, client: Client, url: str, *, what: str) -> None:
        super().__init__()
        self._client, self._url, self._what = client, url, what
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._at = 0
        self.requests = self.bytes_read = 0
        """What it took so far."""
        self._match: str | None = None
        tail = self._get(f"bytes=-{TAIL}")
        self._tail, self.size, self._tag = tail, tail.size, tail.tag
        if tail.start != max(0, tail.size - TAIL):
            raise ServiceError(f"{what}: the server sent another part than the one asked for")
        # A weak tag says only that the content means the same, and none may be asked for by it.
        self._match = self._tag if self._tag is not None and self._tag.startswith('"') else None

    @property
    def identity(self) -> dict[str, str]:
        """What the server says that is another for another content: the tag, or what stands for one."""
        return {} if self._tag is None else {"etag": self._tag}

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the place of the next read."""
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the length of a buffer."""
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; fewer at the end of the file alone."""
        with self._lock:
            stop = self.size if size is None or size < 0 else min(self._at + size, self.size)
            content = self.fetch(self._at, stop)
            self._at += len(content)
            return content

    def check(self) -> None:
        """Raise FileError where another file is there by now, and the server has no tag that would have told."""
        if self._match is None and self.size > len(self._tail.content) and not self.is_same():
            raise self._replaced()

    def is_same(self) -> bool:
        """Ask whether the file is still the one that was opened; one request."""
        try:
            if self._match is None:
                return self._asked(f"bytes=-{TAIL}") == self._tail
            piece = self._asked("bytes=0-0")
        except (NotFoundError, RefusedError, ReplacedError):
            return False
        return piece.size == self.size and piece.tag == self._tag

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from one place to another, wherever `read` stands."""
        if start >= stop:
            return b""
        if start >= self._tail.start:
            return self._tail.content[start - self._tail.start : stop - self._tail.start]
        pieces = []
        for low in range(start, stop, LARGEST_PIECE):
            high = min(low + LARGEST_PIECE, stop)
            piece = self._get(f"bytes={low}-{high - 1}")
            if piece.start != low or len(piece.content) != high - low:
                raise ServiceError(f"{self._what}: the server sent another part than the one asked for")
            if piece.size != self.size or piece.tag != self._tag:
                raise self._replaced()
            pieces.append(piece.content)
        return b"".join(pieces)

    def _replaced(self) -> FileError:
        return FileError(f"{self._what} was replaced while it was read", hint="run the same command again")

    def _get(self, wanted: str) -> Piece:
        piece = None
        with suppress(ReplacedError):
            piece = self._asked(wanted)
        if piece is None:
            raise self._replaced()
        return piece

    def _asked(self, wanted: str) -> Piece:
        piece = self._client.get_part(self._url, wanted, what=self._what, tag=self._match)
        with self._counting:
            self.requests += 1
            self.bytes_read += len(piece.content)
        return piece
