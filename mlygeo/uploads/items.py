"""What can be uploaded: sequences of photos, and whole files; and the bytes that are sent of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mlygeo.errors import FormatError
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags

if TYPE_CHECKING:
    from collections.abc import Mapping


class Owner(NamedTuple):
    """For whom an image is: an organization, by its key or else by its name; nobody but the user where neither is."""

    organization_key: str | None = None
    organization_name: str | None = None


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
    organization_key
        The organization that it is uploaded for; None for none.
    organization_name
        What the organization is called, where its key is not known yet.
    private
        How many of the images say that they are private to it.
    users
        The users that the images name.
    """

    name: str
    photos: tuple[Photo, ...]
    organization_key: str | None = None
    organization_name: str | None = None
    private: int = 0
    users: frozenset[str] = frozenset()

    @property
    def owner(self) -> Owner:
        """For whom it is, as far as the images say."""
        return Owner(self.organization_key, self.organization_name)


@dataclass(frozen=True)
class WholeFile:
    """
    An archive or a video, which is uploaded as it is.

    Parameters
    ----------
    path
        The file.
    size
        Its bytes.
    kind, file_type
        What it is, here and to the service.
    organization_key
        The organization that it is uploaded for: the one that the images inside name.
    images
        How many images are inside; 0 for a video.
    private
        How many of them say that they are private to it.
    users
        The users that they name.
    """

    path: str
    size: int
    kind: Literal["zip", "video"]
    file_type: str
    organization_key: str | None = None
    images: int = 0
    private: int = 0
    users: frozenset[str] = frozenset()

    @property
    def owner(self) -> Owner:
        """For whom it is, as far as the images say."""
        return Owner(self.organization_key)


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
    return insert(content, description_tags({}, description=description))
