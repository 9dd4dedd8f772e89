"""
Files uploaded to the stand-in, in a readable folder.

::

    STORE/
      partial/KEY            received bytes of incomplete files
      files/KEY              complete files: pictures, archives, videos
      manifests/KEY          complete manifests (JSON)
      handles/HANDLE.json    the file of a handle, and the cluster it was finished as
      clusters/ID.json       each finished upload: its files in order, with their image descriptions
      refused/KEY            files whose content does not match the checksum in their name
      log.jsonl              events, in order
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import warnings
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

FILE_TYPES = ("mly_bundle_manifest", "zip", "mly_camm_video", "mly_blackvue_video")

BOXES = frozenset({b"ftyp", b"free", b"moov", b"mdat", b"wide", b"skip"})
"""The first bytes of MP4 and QuickTime files."""

_MD5 = re.compile(r"(?:^|_)([0-9a-f]{32})\.")
_IMAGE_DESCRIPTION = 270


class OffsetInvalidError(Exception):
    """The received bytes do not continue the existing ones."""


class UploadRefusedError(Exception):
    """
    The upload is refused, however often it is repeated.

    Parameters
    ----------
    kind
        The service's type of the error.
    message
        What is wrong.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UploadStore:
    """
    Stores uploads; thread-safe.

    Parameters
    ----------
    folder
        The folder of the store; files of an earlier stand-in stay.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._keys: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def offset(self, key: str) -> int:
        """Return the number of bytes of a file that are there."""
        path = self._path(key)
        with self._lock:
            for each in (path, self._partial(key)):
                if each.exists():
                    return each.stat().st_size
        return 0

    def forget_tail(self, key: str) -> None:
        """Discard the last half of an incomplete file, like a server that had not written it yet."""
        path = self._partial(key)
        with self._lock:
            if path.exists():
                with path.open("rb+") as file:
                    file.truncate(path.stat().st_size // 2)

    def receive(self, key: str, offset: int, pieces: Iterable[bytes]) -> str:
        """
        Receive the bytes of a file from an offset on; the file is complete once all have arrived.

        Parameters
        ----------
        key
            Name of the upload session.
        offset
            Where the bytes start.
        pieces
            The bytes; those before an error stay.

        Returns
        -------
        handle
            The handle of the complete file.

        Raises
        ------
        OffsetInvalidError
            If the offset is not the end of the existing bytes.
        UploadRefusedError
            If the content does not match the key, or the file is complete already.
        """
        path, partial = self._path(key), self._partial(key)
        with self._lock:
            lock = self._keys[key]
        with lock:
            if self.offset(key) != offset:
                raise OffsetInvalidError
            if path.exists():
                if any(piece for piece in pieces):
                    raise UploadRefusedError("InvalidRequestError", "the file is whole already")
                return self._handle(key)
            partial.parent.mkdir(parents=True, exist_ok=True)
            came = 0
            with partial.open("ab", buffering=0) as file:
                try:
                    for piece in pieces:
                        file.write(piece)
                        came += len(piece)
                finally:
                    self._log("received", key=key, offset=offset, bytes=came)
            return self._whole(key, path, partial)

    def finish(self, handle: str, file_type: str, organization_id: Any = None) -> str:
        """
        Make a cluster of a file; repeated for the same file, return the same cluster.

        Parameters
        ----------
        handle
            Handle of a manifest, an archive or a video.
        file_type
            Type of the file.
        organization_id
            Organization of the cluster.

        Returns
        -------
        cluster_id
            The cluster.

        Raises
        ------
        UploadRefusedError
            If there is no such file, or it has another type.
        """
        with self._lock:
            known = self._read_handle(handle)
            if known is None:
                raise UploadRefusedError("InvalidRequestError", "there is no file of this handle")
            if file_type not in FILE_TYPES:
                raise UploadRefusedError("InvalidRequestError", f"there is no file type {file_type!r}")
            if "cluster_id" in known:
                self._log("finished again", key=known["key"], cluster_id=known["cluster_id"])
                return str(known["cluster_id"])
            images = self._images(str(known["key"]), file_type)
            clusters = self._made("clusters")
            number = str(1_000_000_001 + len(list(clusters.iterdir())))
            cluster = {
                "cluster_id": number,
                "file_type": file_type,
                "file": known["key"],
                "file_handle": handle,
                "organization_id": organization_id,
                "images": images,
            }
            _write_json(clusters / f"{number}.json", cluster)
            _write_json(self._made("handles") / f"{handle}.json", {**known, "cluster_id": number})
            self._log("finished", key=known["key"], cluster_id=number, images=len(images))
            return number

    def clusters(self) -> list[dict[str, Any]]:
        """Return the finished uploads, in order."""
        folder = self.folder / "clusters"
        return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]

    def log(self) -> list[dict[str, Any]]:
        """Return the events, in order."""
        path = self.folder / "log.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def _whole(self, key: str, path: Path, partial: Path) -> str:
        promised = _MD5.search(key)
        content = hashlib.md5(usedforsecurity=False)
        with partial.open("rb") as file:
            while piece := file.read(1 << 20):
                content.update(piece)
        if promised and "uuid_" not in key and promised[1] != content.hexdigest():
            partial.replace(self._made("refused") / key)
            self._log("refused", key=key)
            raise UploadRefusedError("ProcessingFailedError", "the bytes are not those that the key promises")
        with self._lock:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(path)
            handle = self._handle(key)
            _write_json(self._made("handles") / f"{handle}.json", {"key": key})
        self._log("whole", key=key, bytes=path.stat().st_size)
        return handle

    def _images(self, key: str, file_type: str) -> list[dict[str, Any]]:
        """Return the images of a file, with their image descriptions."""
        path = self._path(key)
        if file_type == "mly_bundle_manifest":
            return self._images_of_manifest(path)
        if file_type == "zip":
            try:
                with zipfile.ZipFile(path) as archive:
                    return [{"file": name, **_described(archive.read(name))} for name in archive.namelist()]
            except zipfile.BadZipFile as error:
                raise UploadRefusedError("ProcessingFailedError", f"it is no archive: {error}") from error
        with path.open("rb") as file:
            if file.read(8)[4:] not in BOXES:
                raise UploadRefusedError("ProcessingFailedError", "it is no video")
        return []

    def _images_of_manifest(self, path: Path) -> list[dict[str, Any]]:
        try:
            manifest = json.loads(path.read_text("utf-8"))
            handles = manifest["image_handles"]
            right = manifest["version"] == "1" and manifest["upload_type"] == "images" and len(handles) > 0
        except (ValueError, KeyError, TypeError) as error:
            raise UploadRefusedError("ProcessingFailedError", f"it is no manifest: {error}") from error
        if not right or len(set(handles)) != len(handles):
            raise UploadRefusedError("ProcessingFailedError", "it is no manifest of images, each once")
        images = []
        for handle in handles:
            known = self._read_handle(handle)
            if known is None or not known["key"].endswith(".jpg"):
                raise UploadRefusedError("ProcessingFailedError", f"{handle} is no image")
            key = known["key"]
            images.append({"file": f"files/{key}", "handle": handle, **_described(self._path(key).read_bytes())})
        return images

    def _path(self, key: str) -> Path:
        return self.folder / ("manifests" if key.endswith(".json") else "files") / key

    def _partial(self, key: str) -> Path:
        return self.folder / "partial" / key

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _handle(self, key: str) -> str:
        # The handle cannot be guessed from the key: only a client that uploaded the file has it.
        return hashlib.sha256(f"handle of {key}".encode()).hexdigest()[:40]

    def _read_handle(self, handle: Any) -> dict[str, Any] | None:
        path = self.folder / "handles" / f"{handle}.json"
        if not isinstance(handle, str) or not KEY.fullmatch(handle) or not path.exists():
            return None
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return known

    def _log(self, event: str, **more: object) -> None:
        line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "event": event, **more}
        with self._lock, (self._made(".") / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def unwritten(pieces: Iterable[bytes], after: int) -> Iterator[bytes]:
    """Yield pieces up to a number of bytes, then raise like a broken connection."""
    for piece in pieces:
        if len(piece) >= after:
            yield piece[:after]
            raise ConnectionResetError("cut on purpose")
        after -= len(piece)
        yield piece


def _described(picture: bytes) -> dict[str, Any]:
    """Return the image description in a picture, and its MD5."""
    from PIL import Image, UnidentifiedImageError

    described: Any = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF is the client's problem
            text = Image.open(io.BytesIO(picture)).getexif().get(_IMAGE_DESCRIPTION)
        described = json.loads(text) if text else None
    except (UnidentifiedImageError, ValueError, OSError, SyntaxError):
        described = None
    return {"md5": hashlib.md5(picture, usedforsecurity=False).hexdigest(), "description": described}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
