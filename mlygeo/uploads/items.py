"""Items to upload: sequences of photos, and whole files; and the bytes to send of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mlygeo.errors import FormatError
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags

if TYPE_CHECKING:
    from collections.abc import Mapping


class Owner(NamedTuple):
    """The owner of an image: an organization, by its key or else by its name; the user if both are None."""

    organization_key: str | None = None
    organization_name: str | None = None


@dataclass(frozen=True)
class Photo:
    """
    An image to upload.

    Parameters
    ----------
    path
        Its file, which is not changed.
    size
        Bytes of the file.
    description
        The description to write into the sent bytes; None sends the file unchanged.
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
        The organization of the upload; None for none.
    organization_name
        The organization's name, if its key is not known yet.
    private
        Number of images marked as private to the organization.
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
    An archive or a video, which is uploaded unchanged.

    Parameters
    ----------
    path
        The file.
    size
        Its bytes.
    kind, file_type
        Its kind here, and its type for the service.
    organization_key
        The organization of the upload: the one that the images inside name.
    images
        Number of images inside; 0 for a video.
    private
        Number of images inside that are marked as private to the organization.
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
    Return the bytes to send of an image.

    Parameters
    ----------
    content
        The file.
    description
        The image description to write into them, in the fields that the service documents (that of a private image
        whole); None leaves them unchanged.

    Raises
    ------
    FormatError
        If it is not a JPEG, or its metadata is damaged where it has to be changed.
    InputError
        If the description cannot be written.
    """
    if description is None:
        if not content.startswith(b"\xff\xd8"):
            raise FormatError("it is no JPEG")
        return content
    from mlygeo.providers import descriptions

    documented, _ = descriptions().parted(description)
    return insert(content, description_tags({}, description=documented))
