"""The stand-in's pictures: from a folder, or drawn, under addresses that are signed and expire."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import math
import os
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError
from mlygeo.keys import UUIDS

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("mlygeo.standin")

ENDINGS = (".jpg", ".jpeg")

SIDES = {"256": 256, "1024": 1024, "2048": 2048, "original": 2048, "hd": 2048, "sd": 2048, "thumb": 500}
"""Pixels of the longer side of a drawn picture; the last three are the sizes of Panoramax."""

THUMB_OF_PANORAMA = (500, 300)
"""Width and height of Panoramax's `thumb` of a panorama, pixels."""

DRAWN_KEPT = 256
"""Drawn pictures kept in memory."""


class Pictures:
    """
    The picture of each image, and the addresses under which it is delivered.

    Parameters
    ----------
    folder
        Folder with `ID.jpg`, at any depth: such a file is delivered unchanged in every size. For
        images without a file a picture is drawn, always the same for the same image and size. None
        draws all pictures.

    Raises
    ------
    FileError
        If the folder does not exist.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._files = {} if folder is None else dict(_pictures_in(Path(folder).expanduser()))
        self._secret = secrets.token_bytes(16)
        self._drawn: dict[tuple[int | str, str, bool], bytes] = {}
        self._lock = threading.Lock()
        if folder is not None:
            log.info("%s pictures found", f"{len(self._files):,}")

    def __len__(self) -> int:
        return len(self._files)

    def file(self, number: int | str) -> Path | None:
        """Return the file of an image's picture; None where the picture is drawn."""
        found = self._files.get(number)
        return None if found is None else Path(found)

    def drawn(self, number: int | str, size: str, *, is_pano: bool) -> bytes:
        """
        Return a drawn picture: a JPEG.

        Parameters
        ----------
        number
            The image's id.
        size
            One of `SIDES`.
        is_pano
            Whether it is twice as wide as high, instead of 4 : 3.
        """
        key = (number, size, is_pano)
        with self._lock:
            if key in self._drawn:
                return self._drawn[key]
        side = SIDES[size]
        width, height = side, side // 2 if is_pano else side * 3 // 4
        if size == "thumb" and is_pano:
            width, height = THUMB_OF_PANORAMA
        picture = _draw(number, width, height)
        with self._lock:
            while len(self._drawn) >= DRAWN_KEPT:
                self._drawn.pop(next(iter(self._drawn)))
            self._drawn[key] = picture
        return picture

    def address(self, size: str, number: int, *, lifetime: float) -> str:
        """
        Return a path and query that deliver a picture from now on.

        Parameters
        ----------
        size
            The size.
        number
            The image's id.
        lifetime
            Seconds until the address expires, at a whole second.
        """
        expiry = f"{max(0, math.ceil(time.time() + lifetime)):08X}"
        return f"/thumbs/{size}/{number}.jpg?oh={self._signature(size, number, expiry)}&oe={expiry}"

    def is_signed(self, size: str, number: int, signature: str, expiry: str) -> bool:
        """Return whether an address was signed here and has not expired."""
        if not hmac.compare_digest(self._signature(size, number, expiry).encode(), signature.encode()):
            return False
        return int(expiry, 16) > time.time()

    def _signature(self, size: str, number: int, expiry: str) -> str:
        return hmac.digest(self._secret, f"{size}/{number}/{expiry}".encode(), "sha256").hex()[:32]


def _pictures_in(folder: Path) -> Iterator[tuple[int | str, str]]:
    """Return the pictures named by an image's id in a folder and its folders, the first of each by name."""
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder", hint="name the folder that holds ID.jpg")
    seen: set[int | str] = set()
    for inner, folders, names in os.walk(folder):
        # Hidden folders have unfinished files, not pictures.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - a million names: no object for each
            if ending.lower() not in ENDINGS:
                continue
            id_ = int(stem) if stem.isascii() and stem.isdigit() else UUIDS.find(stem)
            if id_ is not None and id_ not in seen:
                seen.add(id_)
                yield id_, os.path.join(inner, name)  # noqa: PTH118


def _draw(number: int | str, width: int, height: int) -> bytes:
    """Draw a street under a sky, in colours of its own, with the id on it."""
    from PIL import Image, ImageDraw

    shades = hashlib.sha256(str(number).encode()).digest()
    sky, ground, road = (tuple(64 + shade // 2 for shade in shades[start : start + 3]) for start in (0, 3, 6))
    picture = Image.new("RGB", (width, height), sky)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, height // 2, width, height), fill=ground)
    pen.polygon([(width // 2, height // 2), (width // 5, height), (width - width // 5, height)], fill=road)
    pen.text((width // 20, height // 20), f"{number}  {width}", fill="white", font_size=max(8, height // 14))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=85)
    return written.getvalue()
