"""What can be uploaded: sequences of photos, and whole files; and the bytes that are sent of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.actors import exif_writer
from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.service.uploads import FileType


@dataclass(frozen=True)
class Photo:
    """
    An image to upload.

    Parameters
    ----------
    path
        Its file, which stays as it is.
    size
        Bytes of the file.
    description
        What is written into the bytes that are sent; None sends them as they are.
    """

    path: str
    size: int
    description: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PhotoSequence:
    """
    A sequence to upload.

    Parameters
    ----------
    name
        Its id, or the folder of its images.
    photos
        Its images, in order.
    """

    name: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class WholeFile:
    """An archive or a video, which is uploaded as it is."""

    path: str
    size: int
    kind: Literal["zip", "video"]
    file_type: FileType


def prepared(content: bytes, description: Mapping[str, Any] | None) -> bytes:
    """
    Return the bytes that are sent of an image.

    Parameters
    ----------
    content
        The file.
    description
        The image description to write into them; None leaves them as they are.

    Raises
    ------
    FormatError
        If it is no JPEG, or its metadata is damaged where it would have to change.
    InputError
        If the description cannot be written.
    """
    if description is None:
        if not content.startswith(b"\xff\xd8"):
            raise FormatError("it is no JPEG")
        return content
    return exif_writer.insert(content, exif_writer.description_tags({}, description=description))
