"""
The upload service: files go up from where they stopped, and what is up becomes a sequence.

A file is known by its session key, which is made from its content; so whoever comes again with the
same content goes on with the same file. Protocol: the uploads of version 4, as mapillary_tools 0.14
speaks it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mlygeo.errors import FileError, FormatError, ServiceError, unreadable
from mlygeo.net.answers import Trouble, parsed_json
from mlygeo.net.http import Client, Retry, StoppedError
from mlygeo.providers.mapillary import answers
from mlygeo.readers.cameras import CAMERAS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlygeo.providers import UploadKind, UploadSource
    from mlygeo.providers.mapillary.service import Service

log = logging.getLogger("mlygeo.service")

Answer = TypeVar("Answer")

FILE_TYPES: Mapping[UploadKind, str] = {
    "sequence": "mly_bundle_manifest",
    "zip": "zip",
    **{name: f"mly_{name}_video" for name, camera in CAMERAS.items() if camera.uploaded_whole},
}
"""What the service calls what goes up as one."""

UPLOAD_RETRY = Retry(attempts=50, first_wait=2.0, longest_wait=16.0, rate_wait=10.0)
"""How failed uploads are tried again, unless a caller's service says otherwise."""

PIECE = 1 << 16
"""
Bytes sent at once. A piece has to get through within the time-out for one write, so that with
pieces of megabytes a slow line would never get any through.
"""

SLOWEST, SHORTEST_TIMEOUT_S = 50_000, 60.0
"""Bytes a second on which the time-out of an answer is reckoned, and the shortest time-out."""

LONGEST_ANSWER = 1 << 20
"""Bytes of an answer; real ones have some hundred."""

LONGEST_NAME = 4_096
"""Characters of a handle, or of the number of an upload."""


def session_key(md5: str, ending: str) -> str:
    """
    Return the key under which a file of this content is uploaded.

    Parameters
    ----------
    md5
        MD5 of its bytes, hexadecimal.
    ending
        "jpg", "zip" or "mp4".

    Examples
    --------
    >>> session_key("0123456789abcdef0123456789abcdef", "jpg")
    'mly_tools_0123456789abcdef0123456789abcdef.jpg'
    """
    return f"mly_tools_{md5}.{ending}"


def manifest_of(handles: Iterable[str], *, number: int = 1) -> tuple[str, bytes]:
    """
    Return the manifest that makes a sequence of uploaded images, and its session key.

    The same images have the same key, so that a manifest which is sent again after a crash is the
    same file, and the sequence the same one.

    Parameters
    ----------
    handles
        The images' handles, in order.
    number
        Which upload of these images it is; a second one, on purpose, is another sequence.
    """
    manifest = {"version": "1", "upload_type": "images", "image_handles": list(handles)}
    content = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    md5 = hashlib.md5(content + b"\n%d" % number, usedforsecurity=False).hexdigest()
    return f"uuid_{md5}.json", content


class Uploads(Client):
    """
    Uploads files, from several threads at once.

    Parameters
    ----------
    service
        Where to, with the token of a user; and how failed requests are tried again.
    connections
        Connections kept open.
    stop
        Ends every wait at once when set, and a file that is on its way with its next piece.

    Examples
    --------
    >>> with Uploads(service) as uploads:
    ...     handle = uploads.send(session_key(md5, "jpg"), jpeg, what="DSC00001.JPG")
    """

    _service: Service

    def __init__(self, service: Service, *, connections: int = 5, stop: threading.Event | None = None) -> None:
        super().__init__(service, connections=connections, stop=stop)

    def send(
        self, key: str, source: bytes | Path | UploadSource, *, what: str, came: Callable[[int], object] | None = None
    ) -> str:
        """
        Upload a file, from where an earlier upload of it stopped.

        Parameters
        ----------
        key
            Its session key.
        source
            Its bytes, or the file that holds them.
        what
            Its name, for messages.
        came
            Called with the number of bytes that are up, as it grows.

        Returns
        -------
        handle
            What the service calls the file from now on.

        Raises
        ------
        TokenRejectedError
            If the service refuses the token.
        ThrottledError
            If it asks for a longer wait than the patience, or wants fewer requests at every try.
        NetworkError
            If it could not be reached, in all tries; those in which bytes got through do not count.
        RefusedError
            If it will not take the file.
        ServiceError
            If it answered with another error, in all tries.
        FileError
            If the file cannot be read.
        StoppedError
            If the work was called off.
        """
        size = len(source) if isinstance(source, bytes) else _size(source)
        url = f"{self._service.endpoints.upload}/{key}"
        most = start_of_count = -1
        grew = False

        def once() -> str | Trouble:
            nonlocal most, start_of_count, grew
            grew = False
            start = self._ask_once("GET", url, what=what, read=_offset)
            if isinstance(start, Trouble):
                return start
            if start > size:
                message = f"{what}: the service has {start:,} bytes of it, and it has {size:,}"
                return Trouble(ServiceError(message), "stop")
            # A service that claims a byte more at each try would otherwise be asked for ever.
            grew = most >= 0 and start - start_of_count >= max(PIECE, size >> 10)
            start_of_count = start if most < 0 or grew else start_of_count
            most = max(most, start)
            if came is not None:
                came(start)
            return self._ask_once(
                "POST", url, what=what, read=_handle, headers={"Offset": str(start), "X-Entity-Name": key},
                body=_pieces(source, start, stop=self._stop, came=came),
                read_timeout=max(SHORTEST_TIMEOUT_S, (size - start) / SLOWEST),
                sending_s=2 * (size - start) / SLOWEST,
            )  # fmt: skip

        return self._persist(once, what=what, grew=lambda: grew)

    def send_file(
        self,
        source: bytes | Path | UploadSource,
        *,
        md5: str,
        ending: Literal["jpg", "zip", "mp4"],
        what: str,
        came: Callable[[int], object] | None = None,
    ) -> str:
        """Upload a file under the key of its content; see `send`."""
        return self.send(session_key(md5, ending), source, what=what, came=came)

    def send_sequence(self, handles: Iterable[str], *, number: int, what: str) -> str:
        """Upload the manifest of a sequence, and return its handle; see `manifest_of` and `send`."""
        key, manifest = manifest_of(handles, number=number)
        return self.send(key, manifest, what=what)

    def finish(self, handle: str, file_type: str, *, organization_id: str | None = None, what: str) -> str:
        """
        Tell the service that all of an upload is there.

        Twice for the same file, it is the same upload; so it is safe to tell it again where the
        answer got lost.

        Parameters
        ----------
        handle
            Of a manifest, an archive or a video.
        file_type
            Which of them it is.
        organization_id
            The organization that it is uploaded for.
        what
            Its name, for messages.

        Returns
        -------
        cluster_id
            The number that the service gives to the upload.

        Raises
        ------
        ServiceError
            As `send` raises them.
        """
        fields = {"file_handle": handle, "file_type": file_type}
        if organization_id is not None:
            fields["organization_id"] = organization_id
        return self.post("/finish_upload", fields, what=what, read=_cluster)

    def post(
        self, path: str, fields: Mapping[str, str], *, what: str, read: Callable[[dict[str, Any]], Answer]
    ) -> Answer:
        """
        Send an object to the Graph API, and return what is read from its answer.

        Parameters
        ----------
        path
            Path on the Graph API's host.
        fields
            The object.
        what
            What it is about, for messages.
        read
            Reads the object that came; raises FormatError where it is not the answer.

        Raises
        ------
        ServiceError
            As `send` raises them.
        """
        body = json.dumps(fields).encode()
        url = f"{self._service.endpoints.graph}{path}"
        headers = {"Content-Type": "application/json"}
        return self._persist(
            lambda: self._ask_once("POST", url, what=what, read=read, headers=headers, body=body), what=what
        )

    def _ask_once(
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        what: str,
        read: Callable[[dict[str, Any]], Answer],
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        read_timeout: float = SHORTEST_TIMEOUT_S,
        sending_s: float = 0.0,
    ) -> Answer | Trouble:
        headers = {**self._authorization(url), **(headers or {})}
        # While bytes go out, the first of these is what holds for each piece.
        timeout = (max(self._service.connect_timeout, SHORTEST_TIMEOUT_S if body else 0), read_timeout)
        came = self._ask(
            method, url, what=what, headers=headers, longest=LONGEST_ANSWER, body=body, timeout=timeout,
            sending_s=sending_s,
        )  # fmt: skip
        if isinstance(came, Trouble):
            return came
        status, sent, content = came
        trouble = answers.judge_upload(status, sent, content, what=what, now=self._wall_clock())
        if trouble is None:
            try:
                return read(parsed_json(content))
            except FormatError as error:
                trouble = Trouble(ServiceError(f"{what}: {error}", hint="try again later"), "again")
        return self._without_token(trouble)


def _pieces(
    source: bytes | Path | UploadSource, start: int, *, stop: threading.Event, came: Callable[[int], object] | None
) -> Iterator[bytes]:
    """Yield the bytes of a source from one on, until the work is called off."""
    for piece in _parts(source, start):
        if stop.is_set():
            raise StoppedError
        yield piece
        start += len(piece)
        if came is not None:
            came(start)


def _parts(source: bytes | Path | UploadSource, start: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield from (source[place : place + PIECE] for place in range(start, len(source), PIECE))
        return
    try:
        file = source.open("rb") if isinstance(source, Path) else source.open()
    except OSError as error:
        raise FileError(unreadable(str(source), error)) from error
    with file:
        file.seek(start)
        while piece := file.read(PIECE):
            yield piece


def _size(path: Path | UploadSource) -> int:
    if not isinstance(path, Path):
        return path.size
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


def _offset(answer: dict[str, Any]) -> int:
    offset = answer.get("offset")
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise FormatError("the answer does not say how many bytes are there")
    return offset


def _handle(answer: dict[str, Any]) -> str:
    handle = answer.get("h")
    if not isinstance(handle, str) or not handle or len(handle) > LONGEST_NAME:
        raise FormatError("the answer has no handle of the file")
    return handle


def _cluster(answer: dict[str, Any]) -> str:
    cluster = answer.get("cluster_id")
    if isinstance(cluster, bool) or not isinstance(cluster, str | int) or not 0 < len(str(cluster)) <= LONGEST_NAME:
        raise FormatError("the answer has no number of the upload")
    return str(cluster)
