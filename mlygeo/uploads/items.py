"""Items to upload: sequences of photos, and whole files; and the bytes to send of a photo."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mlygeo.errors import FormatError, InputError
from mlygeo.formats import identity
from mlygeo.formats.identity import GIVEN, Identity
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
    processed
        Whether `process` has a record of it. Its description gets the id of the photo if it lacks one, since
        `process` reads whole photos only where it writes into them.
    recorded
        What it was known by when it was processed; None if that is not known.
    """

    path: str
    size: int
    description: Mapping[str, Any] | None = None
    processed: bool = False
    recorded: Identity | None = None


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
class Recipe:
    """
    How a video becomes the copy that is uploaded.

    Parameters
    ----------
    track
        The positions in a description file, or on the track of another device, as JSON; None takes those in
        the video.
    make, model
        The camera that the file names.
    created_us
        The creation time by which the video lies on the track of another device, microseconds since 1970; None
        if nothing depends on it.
    """

    track: str | None = None
    make: str | None = None
    model: str | None = None
    created_us: int | None = None


@dataclass(frozen=True)
class WholeFile:
    """
    An archive or a video, which is uploaded as one file.

    Parameters
    ----------
    path
        The file, which is not changed.
    size
        Bytes that are sent.
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
    camera
        Where its positions come from, for a video: a name in `mlygeo.readers.cameras.CAMERAS`, or "video".
    recipe
        How it becomes a copy with a track of positions; None sends it unchanged.
    original
        The video that the file is a copy of, made to be uploaded; what is known of the video counts for it.
        None for a file that is no such copy.
    """

    path: str
    size: int
    kind: Literal["zip", "video"]
    file_type: str
    organization_key: str | None = None
    images: int = 0
    private: int = 0
    users: frozenset[str] = frozenset()
    camera: str | None = None
    recipe: Recipe | None = None
    original: str | None = None

    @property
    def owner(self) -> Owner:
        """For whom it is, as far as the images say."""
        return Owner(self.organization_key)


def digest(content: bytes) -> str:
    """Return the MD5 of some bytes, hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Claims:
    """The photos of a run, each with the path from which it is sent; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: dict[str, list[tuple[Identity, str]]] = {}

    def take(self, identity: Identity, path: str) -> bool:
        """Note that a photo is sent from a path in this run; return False if it is sent from another."""
        with self._lock:
            claims = self._claimed.setdefault(identity.picture, [])
            claimed = next((place for other, place in claims if identity.is_same(other)), None)
            if claimed is None:
                claims.append((identity, path))
        return claimed in (None, path)

    def is_taken(self, identity: Identity, path: str) -> bool:
        """Return whether a photo is sent from another path in this run."""
        with self._lock:
            claims = list(self._claimed.get(identity.picture, ()))
        return any(place != path and identity.is_same(other) for other, place in claims)


def known_by(content: bytes, description: Mapping[str, Any] | None, recorded: Identity | None = None) -> Identity:
    """
    Return what a photo is known by, with its id: the one in its description, else the photo's own.

    Parameters
    ----------
    content
        The file.
    description
        The image description to send with it; None if it is sent unchanged.
    recorded
        What the photo that is described was known by; None if that is not known.

    Raises
    ------
    InputError
        If it is not the photo that is described. A picture that was compressed again, for instance to blur a
        face, is of the same photo if it has the same id or the same time.
    """
    found = identity.of_photo(content)
    if recorded is not None and found.picture != recorded.picture:
        same_id = found.photo_uuid == recorded.photo_uuid
        if not same_id and not {*found.times} & {*recorded.times}:
            raise InputError("another photo than the one that was processed", hint="process it again")
    given = None if description is None else description.get(GIVEN)
    return found._replace(given=given if isinstance(given, str) and given else found.photo_uuid)


def described(photo: Photo, known: Identity) -> Mapping[str, Any] | None:
    """Return the description to send with a photo: with its id, if `process` has a record of it."""
    if photo.description is None or not photo.processed or GIVEN in photo.description:
        return photo.description
    return {**photo.description, GIVEN: known.photo_uuid}


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
            raise FormatError("it is not a JPEG")
        return content
    from mlygeo.providers import descriptions

    documented, _ = descriptions().parted(description)
    return insert(content, description_tags({}, description=documented))
