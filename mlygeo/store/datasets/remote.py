"""
Files on servers (https) and in object stores (s3, gs), of which the parts that are needed are read.

Object stores are reached by Arrow's file systems, which find credentials where the programs of their providers do;
servers by `mlygeo.net`. However it is reached, a file is read by its ranges: those of several columns and row groups
at once, neighbours together.
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from mlygeo import config
from mlygeo.errors import FileError, FormatError, InputError, MlygeoError, NetworkError, ServiceError
from mlygeo.net import answers
from mlygeo.net.ranges import TAIL, RangeFile
from mlygeo.store.paths import called

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mlygeo.net import http

    Range = tuple[int, int]

AT_ONCE = 8
"""Requests at once for one file: the time that a request takes to come back is nearly all of it."""

NEAR, FAR = 32 << 10, 1 << 20
"""Bytes between two ranges that are read with them: of a box that a user waits for, and of all that a part needs."""

MOST_OPEN = 32
"""Files that stay open: each has the end of its file in memory."""

EMULATOR = "STORAGE_EMULATOR_HOST"
"""Variable by which Google's own clients find a server that stands in for Google Cloud Storage."""

LARGEST = 32 << 20
"""Bytes of a request; more is asked for in several."""


class Bytes(Protocol):
    """An opened file, read at any place, from several threads."""

    size: int

    @property
    def identity(self) -> dict[str, str]:
        """What the server or store says that is another for another content."""

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from one place to another."""

    def check(self) -> None:
        """Raise FileError where the file is another one by now, and reads would not have said so."""

    def is_same(self) -> bool:
        """Ask whether the file is still the one that was opened; one request."""


@dataclass(frozen=True)
class Remote:
    """
    A file on a server or in an object store.

    Parameters
    ----------
    address
        Its address.
    name
        What messages call it: the end of the path, without the query, which may hold a key.
    """

    address: str
    name: str

    @property
    def suffix(self) -> str:
        """The ending of its name."""
        return PurePosixPath(self.name).suffix

    def open(self) -> RemoteFile:
        """
        Open it, which reads its end.

        Raises
        ------
        FileError
            If it does not exist, or may not be read.
        NetworkError
            If the server cannot be reached.
        ServiceError
            If the server answers with another error, or sends no parts of files.
        """
        return RemoteFile(_opened(self.address, self.name))


class Openings:
    """Files that stay open, the last ones: the end of each is read once, and it is refused where it was replaced."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, address: str, name: str) -> RemoteFile:
        """Return the file at an address, as `Remote.open` does."""
        with self._lock:
            found = self._files.pop(address, None)
        if found is None:
            found = RemoteFile(_opened(address, name))
        with self._lock:
            self._files[address] = found
            if len(self._files) > MOST_OPEN:
                self._files.popitem(last=False)
        return found


@dataclass(frozen=True)
class Member(Remote):
    """
    A file of a dataset that has an index.

    Parameters
    ----------
    bytes
        Its size by the index.
    openings
        Where it stays open.
    """

    bytes: int
    openings: Openings = field(compare=False, repr=False)

    def open(self) -> RemoteFile:
        """Return it opened, as `Remote.open` does; raise FormatError where it is not that of the index."""
        found = self.openings.open(self.address, self.name)
        if found.size != self.bytes:
            raise FormatError(
                f"{self.name} has {found.size:,} bytes, and by the index of its dataset {self.bytes:,}",
                hint="was it replaced? put the index of this dataset beside it, or partition it again",
            )
        return found


class RemoteFile:
    """
    An opened file, of which several ranges are read at once.

    Parameters
    ----------
    content
        Its bytes.
    pieces
        What is there of it already.
    """

    def __init__(self, content: Bytes, pieces: Mapping[Range, bytes] | None = None) -> None:
        self._content, self._held = content, dict(pieces or {})
        self.size = content.size
        self._lock = threading.Lock()
        self._asked, self._checked = len(self._held), 0

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the content from others, as far as the server or store says it: size, and tag or the like."""
        return {"bytes": self.size, **self._content.identity}

    def stream(self, ranges: Sequence[Range] = ()) -> pa.NativeFile:
        """
        Return a file for Arrow that has some ranges already, and asks for others one by one.

        Parameters
        ----------
        ranges
            First byte and the one after the last of each.
        """
        wanted = [(start, stop) for start, stop in ranges if _in_pieces(self._held, start, stop) is None]
        return pa.PythonFile(_Pieces(self, {**self._held, **self._fetched(_together(wanted, NEAR))}), mode="r")

    def holding(self, ranges: Sequence[Range]) -> RemoteFile:
        """
        Return the file with some ranges, which are asked for at once; what lies between them comes with them.

        Parameters
        ----------
        ranges
            As of `stream`, which asks for none of these any more.
        """
        return RemoteFile(self._content, self._fetched(_together(ranges, FAR)))

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from one place to another."""
        found = self._content.fetch(start, stop)
        with self._lock:
            self._asked += 1
        return found

    def check(self) -> None:
        """Raise FileError where the file is another one by now than when it was last read."""
        asked = self._asked  # what comes after this is checked by whoever asked for it
        if asked > self._checked:
            self._content.check()
            self._checked = max(self._checked, asked)

    def is_same(self) -> bool:
        """Ask whether the file is still the one that was opened; one request."""
        return self._content.is_same()

    def _fetched(self, wanted: Sequence[Range]) -> dict[Range, bytes]:
        single = [(low, min(low + LARGEST, stop)) for start, stop in wanted for low in range(start, stop, LARGEST)]
        if len(single) > 1:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                came = dict(zip(single, pool.map(lambda each: self.fetch(*each), single), strict=True))
        else:
            came = {each: self.fetch(*each) for each in single}
        return {
            (start, stop): b"".join(came[each] for each in single if start <= each[0] < stop) for start, stop in wanted
        }


class _Pieces(io.RawIOBase):
    """A file of which some pieces are there already."""

    def __init__(self, content: RemoteFile, pieces: Mapping[Range, bytes]) -> None:
        super().__init__()
        self._content, self._pieces = content, pieces
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._content.size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.size}[whence] + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        stop = self._content.size if size is None or size < 0 else min(self._at + size, self._content.size)
        start, self._at = self._at, max(self._at, stop)
        piece = _in_pieces(self._pieces, start, stop)
        return self._content.fetch(start, stop) if piece is None else piece


def _in_pieces(pieces: Mapping[Range, bytes], start: int, stop: int) -> bytes | None:
    """Return the bytes of a range where one piece has all of them."""
    for (low, high), piece in pieces.items():
        if low <= start and stop <= high:
            return piece[start - low : stop - low]
    return None


def _together(ranges: Sequence[Range], gap: int) -> list[Range]:
    """Return ranges in order, with those that lie near each other as one."""
    found: list[list[int]] = []
    for start, stop in sorted(ranges):
        if found and start - found[-1][1] <= gap:
            found[-1][1] = max(found[-1][1], stop)
        elif start < stop:
            found.append([start, stop])
    return [(start, stop) for start, stop in found]


# Addresses


def is_web(address: str) -> bool:
    """Return whether an address is that of a server, which lists no files."""
    return address.startswith(("https://", "http://"))


def remote(address: str) -> Remote:
    """
    Return the file at an address.

    Raises
    ------
    InputError
        If the address has a password in it, or would be read unencrypted.
    """
    parts = urlsplit(address)
    name = called(PurePosixPath(unquote(parts.path.rstrip("/")))) or parts.hostname or address
    if parts.username or parts.password:
        raise InputError(f"the address of {name} has a password in it", hint="give it without; credentials come from "
                         "the environment")  # fmt: skip
    if is_web(address):
        if not parts.hostname:
            raise InputError(f"{address[:80]} is an address without a server")
        if parts.scheme == "http" and not config.is_loopback(address):
            raise InputError(f"{parts.hostname}: {name} would travel unencrypted", hint="use https://")
    return Remote(address, name)


def exists(file: Remote) -> bool:
    """Return whether there is a file at an address."""
    if is_web(file.address):
        try:
            file.open()
        except FileError:
            return False
        return True
    return bool(_info(file.address).type == pafs.FileType.File)


def open_if_there(file: Remote) -> RemoteFile | None:
    """Return the file at an address, opened; None where there is none."""
    if not is_web(file.address):
        return file.open() if exists(file) else None
    try:
        return file.open()
    except FileError as error:
        if isinstance(error.__cause__, answers.NotFoundError):
            return None
        raise


def is_folder(address: str) -> bool:
    """Return whether there is a folder at an address of an object store."""
    return bool(_info(address).type == pafs.FileType.Directory)


def walked(address: str) -> list[tuple[str, int]]:
    """Return the paths of the files in a folder of an object store, from it on, in order; and their sizes."""
    root = _path(address).rstrip("/")
    selector = pafs.FileSelector(root, recursive=True, allow_not_found=True)
    found = _reached(address, lambda files: files.get_file_info(selector))
    return sorted((each.path[len(root) + 1 :], int(each.size)) for each in found if each.type == pafs.FileType.File)


# Servers


@cache
def _client() -> http.Client:
    from mlygeo.net import http  # which takes as long to load as much else of a run on files here
    from mlygeo.net.files import Files

    return http.Client(Files(retry=http.Retry(attempts=4, first_wait=0.5)), connections=AT_ONCE)


def _opened(address: str, name: str) -> Bytes:
    if not is_web(address):
        return _Object(address, name)
    try:
        return RangeFile(_client(), address, what=name)
    except (answers.NotFoundError, answers.RefusedError) as error:
        raise FileError(str(error), hint=error.hint) from error


# Object stores


class _Object:
    """A file in an object store."""

    def __init__(self, address: str, name: str) -> None:
        self._name, self._address, self._path = name, address, _path(address)
        self._files, self._file = _reached(address, lambda files: (files, files.open_input_file(self._path)))
        self.size = int(_asked(address, self._file.size))
        self._facts = self._file.metadata()
        self._end_at = max(0, self.size - TAIL)
        self._end = self._read(self._end_at, self.size)
        self._lock = threading.Lock()

    @property
    def identity(self) -> dict[str, str]:
        known = _plain(self._facts)
        return {key: known[key] for key in ("etag", "generation") if key in known} or {
            key: known[key] for key in ("last-modified",) if key in known
        }

    def fetch(self, start: int, stop: int) -> bytes:
        if start >= stop:
            return b""
        if start >= self._end_at:
            return self._end[start - self._end_at : stop - self._end_at]
        return self._read(start, stop)

    def check(self) -> None:
        """Raise FileError where the object has another tag by now: Arrow asks for none when it reads."""
        if self.size > len(self._end) and "generation" not in _plain(self._facts) and not self.is_same():
            raise self._replaced()

    def _replaced(self) -> FileError:
        return FileError(f"{self._name} was replaced while it was read", hint="run the same command again")

    def is_same(self) -> bool:
        """Ask whether the object has the same tag and size."""
        try:
            with _asked(self._address, lambda: self._files.open_input_file(self._path)) as now:
                return bool(_plain(now.metadata()) == _plain(self._facts) and now.size() == self.size)
        except _MissingError:
            return False

    def _read(self, start: int, stop: int) -> bytes:
        try:
            found: bytes = _asked(self._address, lambda: self._file.read_at(stop - start, start))
        except _MissingError as error:  # of Google's store that one is read which was opened, or none
            raise self._replaced() from error
        if len(found) != stop - start:
            raise ServiceError(f"{self._name}: the store sent another part than the one asked for")
        return found


def _plain(facts: Any) -> dict[str, str]:
    """Return what a store says of an object that changes with its content."""
    known = {_text(key).lower(): _text(value) for key, value in dict(facts or {}).items()}
    return {
        key: value for key, value in known.items() if key in {"etag", "last-modified", "generation", "content-length"}
    }


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _info(address: str) -> pafs.FileInfo:
    path = _path(address).rstrip("/")
    return _reached(address, lambda files: files.get_file_info(path))


def _reached(address: str, action: Callable[[pafs.FileSystem], Any]) -> Any:
    """
    Return the result of a request to a store.

    Without credentials in the usual places an address is taken for public first; where it is not, a machine may have
    a role that gives it some.
    """
    scheme = "gs" if address.startswith(("gs:", "gcs:")) else "s3"
    settings = tuple(sorted(each for each in os.environ.items() if each[0].startswith("AWS_") or each[0] == EMULATOR))
    bucket = _path(address).partition("/")[0]
    signed = _has_credentials(scheme)
    try:
        return _asked(address, lambda: action(_store(scheme, bucket, settings, signed=signed)))
    except _RefusedError:
        if signed:
            raise
    return _asked(address, lambda: action(_store(scheme, bucket, settings, signed=True)))


def _path(address: str) -> str:
    """Return the bucket and the key of an address, with a slash between them; a key may have any characters."""
    path = address.partition("://")[2]
    if path.startswith("/") or not path:
        raise InputError(f"{address} names no bucket")
    return path


class _RefusedError(FileError):
    """A store refuses the credentials."""


class _MissingError(FileError):
    """A store does not have the object."""


@cache
def _store(
    scheme: str,
    bucket: str,
    settings: tuple[tuple[str, str], ...],
    *,
    signed: bool,
) -> pafs.FileSystem:
    said = dict(settings)  # Arrow reads others of the environment itself
    if scheme == "gs":
        from datetime import timedelta

        limit = timedelta(seconds=30)
        if (place := said.get(EMULATOR)) is not None:
            scheme, _, host = place.rpartition("://")
            return pafs.GcsFileSystem(
                anonymous=True, endpoint_override=host.rstrip("/"), scheme=scheme or "http", retry_time_limit=limit
            )
        return pafs.GcsFileSystem(anonymous=not signed, retry_time_limit=limit)
    options: dict[str, Any] = {"request_timeout": 60, "connect_timeout": 10}
    region = said.get("AWS_REGION") or said.get("AWS_DEFAULT_REGION")
    endpoint = said.get("AWS_ENDPOINT_URL_S3") or said.get("AWS_ENDPOINT_URL")
    if region is None and endpoint is None:
        region = _asked(f"s3://{bucket}", lambda: pafs.resolve_s3_region(bucket))
    if endpoint is not None:
        options["endpoint_override"] = endpoint
    return pafs.S3FileSystem(anonymous=not signed, region=region or "us-east-1", **options)


def _has_credentials(scheme: str) -> bool:
    """Return whether there may be credentials where the providers' programs look for them; else a bucket is public."""
    if scheme == "gs":
        known = Path("~/.config/gcloud/application_default_credentials.json").expanduser()
        return "GOOGLE_APPLICATION_CREDENTIALS" in os.environ or known.is_file()
    if os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in {"YES", "TRUE", "1"}:
        return False
    names = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
             "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip
    places = (os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), "~/.aws/config")
    return any(name in os.environ for name in names) or any(Path(each).expanduser().is_file() for each in places)


def _asked(address: str, action: Callable[[], Any]) -> Any:
    """Return the result of a request to a store; Arrow's errors, which are long, become ours."""
    try:
        return action()
    except MlygeoError:
        raise
    except FileNotFoundError as error:
        raise _MissingError(f"{address} does not exist") from error
    except (OSError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        if re.search(r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|PERMISSION_DENIED|"
                     r"UNAUTHENTICATED|\b40[13]\b|NO_SUCH_KEY_ID|EXPIRED_TOKEN", said, re.IGNORECASE):  # fmt: skip
            raise _RefusedError(
                f"{address} may not be read: the store refuses the credentials, or there are none",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                if address.startswith("s3")
                else "set GOOGLE_APPLICATION_CREDENTIALS",
            ) from error
        if re.search(r"NETWORK_CONNECTION|curlCode|resolve host|REQUEST_TIMEOUT|UNAVAILABLE", said):
            reason = re.split(r"Details: ", said)[-1][:120]
            raise NetworkError(
                f"{address}: the store cannot be reached: {reason}", hint="check the network connection"
            ) from error
        if re.search(r"NO_SUCH_BUCKET|\b404\b|NOT_FOUND", said):
            raise _MissingError(f"{address} does not exist") from error
        raise FileError(f"{address} cannot be read: {said[:160]}") from error
