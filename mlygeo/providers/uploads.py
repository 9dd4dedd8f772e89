"""What a provider can do with photos of users: take them, in sequences or as whole folders, and describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

from mlygeo.providers.images import Closing

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    import geopandas as gpd

    from mlygeo.net.http import Retry, Service
    from mlygeo.providers.images import Licence

    PathLike = str | os.PathLike[str]

UploadKind: TypeAlias = str
"""Kind of an upload: "sequence", "zip" (a sequence in an archive), or a video, by the name of its telemetry."""


class UploadSource(Protocol):
    """A file to upload that is made while it is read."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def open(self) -> BinaryIO:
        """Open it for reading, from any place."""


S_co = TypeVar("S_co", bound=Closing, covariant=True)


class Opens(Protocol[S_co]):
    """What opens sessions for uploads of a user."""

    retry: Retry
    """How failed uploads are tried again, unless a caller's service says otherwise."""

    def open(self, service: Service, *, connections: int, stop: threading.Event) -> S_co:
        """
        Return a session.

        Parameters
        ----------
        service
            The provider's service, with the token of a user.
        connections
            Connections kept open.
        stop
            Event that ends every wait at once, and a file in progress with its next piece.
        """


class UploadSession(Closing, Protocol):
    """A session that sends files to a service; thread-safe, and a context manager."""

    def send_file(
        self,
        source: bytes | Path | UploadSource,
        *,
        md5: str,
        ending: Literal["jpg", "zip", "mp4"],
        what: str,
        came: Callable[[int], object] | None = None,
    ) -> str:
        """
        Upload a file, from where an earlier upload of the same content stopped; return its handle.

        Parameters
        ----------
        source
            Its bytes, or the file that holds them.
        md5
            MD5 of its bytes, hexadecimal.
        ending
            What it is.
        what
            Its name, for messages.
        came
            Called with the growing number of uploaded bytes.
        """

    def send_sequence(self, handles: Iterable[str], *, number: int, what: str) -> str:
        """
        Declare which uploaded files form a sequence; return the handle of the sequence.

        Parameters
        ----------
        handles
            Of its images, in order.
        number
            Which upload of these images it is; a second one, on purpose, is another sequence.
        what
            Its name, for messages.
        """

    def finish(self, handle: str, file_type: str, *, organization_id: str | None = None, what: str) -> str:
        """
        Finish an upload at the service; return the service's id of it.

        Parameters
        ----------
        handle
            Of a sequence, an archive or a video.
        file_type
            Which of them it is, as `Uploads.file_types` has it.
        organization_id
            The organization that it is uploaded for.
        what
            Its name, for messages.
        """


class Uploads(Opens[UploadSession], Protocol):
    """Uploads of photos in sequences, and of whole files."""

    file_types: Mapping[UploadKind, str]
    """The service's type of each kind of upload; kinds that it does not accept are absent."""

    def place(self, service: Service | None) -> str:
        """
        Return the name of a service in the history of uploads.

        Parameters
        ----------
        service
            The service; the one that the environment names unless given.
        """


@dataclass(frozen=True)
class Rules:
    """
    How a service cuts sequences, and what it drops as duplicates, unless it is asked for something else.

    Parameters
    ----------
    split_distance_m, split_time_s
        A sequence ends where the next picture is farther away, or later.
    duplicate_distance_m, duplicate_angle
        A picture is a duplicate of an earlier one of its sequence that is as near, and looks the same way: metres
        and degrees.
    """

    split_distance_m: float
    split_time_s: float
    duplicate_distance_m: float
    duplicate_angle: float


@dataclass(frozen=True)
class Terms:
    """
    What a service says of uploads to it.

    Parameters
    ----------
    name
        Its name.
    licence
        The licence that all uploads get; None if it names none.
    rules
        Its rules for sequences and duplicates.
    """

    name: str
    licence: Licence | None
    rules: Rules


@dataclass(frozen=True)
class SetFile:
    """
    A file of an upload set, as the service has it.

    Parameters
    ----------
    name
        Its name, which no other file of the set has.
    md5
        MD5 of the bytes that were sent, hexadecimal; None if the service does not say.
    picture_id
        Id of the picture; None if it was rejected, or is not told.
    rejected
        Why it was rejected; None if it was not.
    is_duplicate
        Whether that is because the service has this picture, or one of the same place and heading.
    elsewhere
        Other upload sets that have the same file.
    """

    name: str
    md5: str | None
    picture_id: str | None
    rejected: str | None = None
    is_duplicate: bool = False
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetState:
    """
    How far a service is with an upload set.

    Parameters
    ----------
    is_ready
        Whether all is done, and the sequences are there.
    settled
        Number of pictures that are processed, be it in vain.
    pending
        Number of pictures that are still to be processed.
    broken
        Number of pictures that the service could not process.
    sequences
        Ids of the sequences that the pictures became.
    """

    is_ready: bool
    settled: int
    pending: int
    broken: int = 0
    sequences: tuple[str, ...] = ()


class UploadSetSession(Closing, Protocol):
    """A session that uploads folders as sets; thread-safe, and a context manager."""

    def find(self, marker: str) -> str | None:
        """Return the id of the user's set with this marker, where its creation was not answered; None for none."""

    def create(self, title: str, *, marker: str, relative_heading: int | None = None) -> str:
        """
        Create a set; return its id.

        Parameters
        ----------
        title
            Its title, which everybody can see.
        marker
            A text that no other set has, by which `find` finds it.
        relative_heading
            Where the camera looks, degrees clockwise from the direction of travel, -180 to 180; the service then
            derives all headings of the set. None derives only those that no picture says.
        """

    def files(self, set_id: str) -> list[SetFile]:
        """Return the files of a set; raise `mlygeo.net.answers.GoneError` if there is no such set."""

    def send(
        self,
        set_id: str,
        content: bytes,
        *,
        name: str,
        picture_id: str,
        better: Mapping[str, Any],
        blurred: bool,
        what: str,
    ) -> SetFile:
        """
        Send a picture to a set; return what became of it: it is there, or rejected.

        What was sent before is not there twice.

        Parameters
        ----------
        set_id
            The set.
        content
            The JPEG.
        name
            Its name in the set.
        picture_id
            Id for the picture; the same for the same content.
        better
            What is known better than the file says, by columns of an images frame: `lon` and `lat`,
            `captured_at` (the time, with the offset of clocks at the place), `compass_angle` (None where the heading
            in the file does not count), `altitude`, `make`, `model`, `exif_orientation`, `gps_accuracy_m`.
        blurred
            Whether faces and number plates are blurred already.
        what
            Its name, for messages.

        Raises
        ------
        RefusedError
            If the service does not take it, for a reason that it does not keep with the set.
        """

    def complete(self, set_id: str) -> None:
        """Say that all files of a set were sent; it is then cut into sequences."""

    def state(self, set_id: str) -> SetState:
        """Return how far the service is with a set."""

    def is_broken(self, picture_id: str) -> bool:
        """Return whether the service could not process a picture."""


class UploadSets(Opens[UploadSetSession], Protocol):
    """Uploads of folders as sets."""

    rules: Rules
    """The rules for sequences and duplicates of servers that do not name others."""

    endings: tuple[str, ...]
    """Endings of names that the service accepts, in lower case."""

    def terms(self, service: Service) -> Terms:
        """
        Return what a service says of uploads to it; it is asked without a token.

        Raises
        ------
        InputError
            If it is not a server that takes uploads.
        """

    def place(self, service: Service) -> str:
        """Return the name of a service in the history of uploads."""


class Descriptions(Protocol):
    """What is said of local photos, in them and beside them, in the provider's own format."""

    file: str
    """Name of the file beside photos."""

    duplicate: str
    """Type of error of duplicates in the file."""

    personal_columns: tuple[str, ...]
    """Columns with the owner of an image, for which the file has no fields."""

    def read(self, path: Path) -> gpd.GeoDataFrame:
        """Return the images frame of a file; failed entries are rows with `error`."""

    def is_one(self, path: Path) -> bool:
        """Return whether a file is one that `write` may replace: it has descriptions, or nothing."""

    def write(self, images: gpd.GeoDataFrame, path: PathLike) -> Path:
        """Write the file of an images frame, at this path or into this folder, unless another is there; return it."""

    def text(self, images: gpd.GeoDataFrame) -> str:
        """Return the file of an images frame as text."""

    def inside(self, file: BinaryIO) -> dict[str, Any] | None:
        """Return the description inside a JPEG, open at its start; None where there is none."""

    def frame(self, descriptions: list[dict[str, Any]], folder: Path) -> gpd.GeoDataFrame:
        """Return descriptions, each with its `filename`, as the frame that `read` returns."""

    def of(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the description to write into an image, from a row of a frame of local images.

        Raises
        ------
        InputError
            If position or time is unknown.
        """

    def full(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return the full description of a row, with its sequence and without rounding; raises as `of` does."""

    def parted(self, description: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Return a description with the fields that the service documents, and the fields of its owner.

        That of a private image stays whole, since only it says that the image is private.
        """

    def without_heading(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description without the heading of the image."""

    def private(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description that also marks the image as private to its organization."""
