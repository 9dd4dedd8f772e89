"""The body of a request, read as it arrives, so that a store has the bytes from before a broken connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PIECE = 65_536

LONGEST_TO_PASS_OVER = 64 << 20
"""Bytes of an unneeded body that are still read, so that the client can read its answer."""


class Body:
    """
    The body of one request; read once.

    Parameters
    ----------
    stream
        The stream of the connection.
    headers
        The request's headers, each word of their names capitalised.

    Attributes
    ----------
    read
        Bytes read so far.
    ended
        Whether it was read to its end.
    """

    def __init__(self, stream: BinaryIO, headers: Mapping[str, str]) -> None:
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        length = headers.get("Content-Length", "0")
        self._left = int(length) if length.isdigit() else 0
        self.read = 0
        self.ended = not self._chunked and self._left == 0

    def pieces(self, *, rate: float | None = None, wait: Callable[[float], object] | None = None) -> Iterator[bytes]:
        """
        Yield the body as it arrives.

        Parameters
        ----------
        rate
            Most bytes read a second; None for no limit.
        wait
            Waits so many seconds.

        Raises
        ------
        ConnectionResetError
            If the client closed the connection.
        """
        for piece in self._chunks() if self._chunked else self._plain(self._left):
            self.read += len(piece)
            yield piece
            if rate is not None and wait is not None:
                wait(len(piece) / rate)
        self.ended = True

    def all(self, *, longest: int = 1 << 20) -> bytes:
        """Return the whole body, or its beginning if it exceeds the limit."""
        whole = b""
        for piece in self.pieces():
            whole += piece
            if len(whole) > longest:
                break
        return whole

    def pass_over(self) -> bool:
        """Read and discard the rest of the body; return whether the connection can serve another request."""
        passed = 0
        if not self.ended:
            for piece in self.pieces():
                passed += len(piece)
                if passed > LONGEST_TO_PASS_OVER:
                    return False
        return True

    def _plain(self, length: int) -> Iterator[bytes]:
        self._left = length
        while self._left:
            piece = self._stream.read1(min(self._left, PIECE))  # type: ignore[attr-defined]
            if not piece:
                raise ConnectionResetError("the client broke off")
            self._left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._stream.readline(PIECE)
            if not line.endswith(b"\n"):
                raise ConnectionResetError("the client broke off")
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise ConnectionResetError("what came is no chunk") from None
            yield from self._plain(size)
            if not size:
                while self._stream.readline(PIECE) not in {b"\r\n", b"\n", b""}:
                    pass
                return
            self._stream.readline(PIECE)
