"""
Who serves street-level images: what a provider can, and which providers there are.

Each is a folder beside this file, and a line in `PROVIDERS`. Everything outside of the folder asks
the object that `provider` returns, by the Protocols below; addresses, names of fields and layers,
forms of keys and codes of errors are known in the folder alone. A provider that cannot do something
has None in that place, so that whoever asks has to say what becomes of it; see `needed`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, TypeVar

from mlygeo.errors import InputError

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds
    from mlygeo.errors import ServiceError
    from mlygeo.keys import Ids, Key, Keys
    from mlygeo.net.http import Retry, Service
    from mlygeo.progress import Progress
    from mlygeo.regions import Region

    PathLike = str | os.PathLike[str]

PROVIDERS = {"mapillary": "mlygeo.providers.mapillary.provider"}
"""Name of each provider -> the module that has it as `PROVIDER`; it is imported when it is first asked for."""

DEFAULT = "mapillary"
"""The provider that is meant where nothing says which."""

Capability = TypeVar("Capability")

Record: TypeAlias = "Mapping[str, Any]"
"""What a provider answers about an image, in its own words: for its own `Records` and `Pictures` to read."""

UploadKind: TypeAlias = str
"""What goes up as one: "sequence", "zip" (a sequence in an archive), or a video, by the name of its telemetry."""


def provider(name: str = DEFAULT) -> Provider:
    """
    Return a provider.

    Parameters
    ----------
    name
        Its name, as in `PROVIDERS`.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in PROVIDERS:
        raise InputError(f"there is no provider {name[:40]!r}", hint=f"one of {', '.join(PROVIDERS)}")
    found: Provider = importlib.import_module(PROVIDERS[name]).PROVIDER
    return found


def provider_of(service: Service | None) -> Provider:
    """
    Return the provider whose service it is.

    Parameters
    ----------
    service
        The service; None stands for that of the provider which is meant where nothing says which.
    """
    return provider(DEFAULT if service is None else service.provider)


def needed(capability: Capability | None, who: Provider, what: str) -> Capability:
    """
    Return something that a provider can.

    Parameters
    ----------
    capability
        One of its capabilities; None where it does not have it.
    who
        The provider.
    what
        What it is wanted for, for the message.

    Raises
    ------
    InputError
        If the provider does not have it.
    """
    if capability is None:
        raise InputError(f"{who.title} has no {what}")
    return capability


def descriptions() -> Descriptions:
    """Return the format in which local photos are described here, whoever they go up to: the first provider's."""
    who = provider()
    return needed(who.descriptions, who, "descriptions of photos")


class Provider(Protocol):
    """A provider of street-level images. Capabilities that it does not have are None."""

    @property
    def name(self) -> str:
        """Its name, as in `PROVIDERS` and in `mlygeo.net.http.Service.provider`."""

    @property
    def title(self) -> str:
        """What it is called in a sentence."""

    @property
    def attribution(self) -> str:
        """Who is to be named where its data are shown, with the licence."""

    @property
    def keys(self) -> Keys:
        """What the keys of its images look like."""

    @property
    def tiles(self) -> Tiles | None:
        """Images by area, from tiles that are kept on disk."""

    @property
    def records(self) -> Records | None:
        """Images by id, sequence, person and place: what the service says of them."""

    @property
    def pictures(self) -> Pictures | None:
        """The pictures themselves."""

    @property
    def uploads(self) -> Uploads | None:
        """Uploads."""

    @property
    def accounts(self) -> Accounts | None:
        """Users: sign-in, what is kept of them, and organizations."""

    @property
    def descriptions(self) -> Descriptions | None:
        """What is said of local photos, in them and beside them, in the provider's own format."""

    def service(
        self, *, token: str | None = None, token_file: PathLike | None = None, retry: Retry | None = None
    ) -> Service:
        """
        Return the service as the environment and the user's files name it.

        Parameters
        ----------
        token, token_file
            The access token, or a file with it; looked for in the usual places unless given.
        retry
            How failed requests are tried again, where that is not as usual.

        Raises
        ------
        CredentialsError
            If it takes an access token to ask it, and there is none.
        ConfigError
            If the environment names an address that is none.
        """


class TilePlan(Protocol):
    """What fetching tiles will take; as text, for people to read."""

    @property
    def missing(self) -> Sequence[object]:
        """The tiles that are to be fetched."""


class Tiles(Protocol):
    """Images by area, from tiles that are fetched into a folder, the tile cache, and kept there."""

    def default_cache(self) -> Path:
        """Return the tile cache in the user's cache folder."""

    def plan(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | None,
        service: Service | None,
    ) -> TilePlan:
        """Return what `fetch` would fetch, and how long it would take; nothing is asked for."""

    def fetch(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | None,
        workers: int,
        service: Service | None,
        damaged: Collection[Path],
        dry_run: bool,
        progress: Progress | None,
    ) -> gpd.GeoDataFrame:
        """
        Fetch the tiles of a region into the cache; return a row a tile, as `mlygeo.fetch_tiles` does.

        Parameters
        ----------
        region
            The region.
        tile_cache
            The folder.
        computed
            Tiles with the positions computed in 3D reconstruction, where the provider has such.
        overwrite, max_age
            Fetch all tiles anew, or those older than so many days.
        tile_list_file
            Names the tiles that are wanted; see `name`.
        workers
            Tiles fetched at once.
        service
            The service; found in the usual places, once a tile is missing, unless given.
        damaged
            Files of the cache that cannot be read; their tiles are fetched anew.
        dry_run
            Fetch nothing.
        progress
            Where progress is shown.
        """

    def name(self, x: int, y: int, *, computed: bool) -> str:
        """Return the name of a tile's file in the cache, without its ending, as a list of tiles has it."""

    def read(self, paths: Iterable[Path], *, region: Region, damaged: list[Path] | None = None) -> pa.Table:
        """
        Return the images that files of the cache hold: the columns of an images frame, lon and lat.

        Parameters
        ----------
        paths
            The files.
        region
            Keep only images in it.
        damaged
            Damaged files are added to this list and passed over; without a list they raise.

        Returns
        -------
        table
            Each image once, in the order of the keys. The metadata `images_without_id` counts what
            was left out.
        """


@dataclass
class Batch:
    """
    What came of asking for some images.

    Parameters
    ----------
    found
        Their records, by id.
    missing
        Those without a record, and why: `Records.gone`, or what went wrong.
    final
        Those among the missing, beside the ones that are gone, which no further try will bring.
    """

    found: dict[Key, dict[str, Any]] = field(default_factory=dict)
    missing: dict[Key, str] = field(default_factory=dict)
    final: set[Key] = field(default_factory=set)


class Search(Protocol):
    """A search for images, which runs as it is read."""

    requests: int
    """Answers read so far."""

    def shortcomings(self) -> list[str]:
        """Return why images may be missing, in words, a reason a line; none once all were found."""

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """Yield records as they come, each image once."""


class Entities(Protocol):
    """Images by id. A token that is refused, or a service that is down, ends everything that goes on here."""

    workers: int
    """Requests made at once."""

    unknown_fields: set[str]
    """Fields that were asked for and that images do not have."""

    ended: ServiceError | None
    """The error that ended everything; None while requests may go out."""

    def images(self, ids: Iterable[Key] | Ids, *, fields: Sequence[str]) -> Iterator[Batch]:
        """Yield the records of images as they come; each id stands in one batch, found or missing."""

    def entity(self, id: Key, *, fields: Sequence[str]) -> dict[str, Any]:  # noqa: A002 - the frame's word
        """Return the record of one image; raise `mlygeo.net.answers.GoneError` where there is none."""


class Sequences(Protocol):
    """Images by sequence."""

    def image_ids(self, sequence_id: str) -> list[Key]:
        """Return the ids of the images of a sequence, in order along it; none where it is not known."""


class Searching(Protocol):
    """Images by place, person and time."""

    def search(
        self,
        *,
        fields: Sequence[str],
        bbox: Bounds | Region | None = None,
        creator_username: str | None = None,
        organization_id: int | str | None = None,
        is_pano: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        max_pages: int | None = None,
        progress: Progress | None = None,
    ) -> Search:
        """Return a search for images that meet all conditions given; one of the first three has to be."""


class Session(Entities, Sequences, Searching, Protocol):
    """Asks a service about images, from several threads at once; closed at its end."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *of_error: object) -> None:
        """Close its connections."""


class Records(Protocol):
    """What the service says of images: how to ask for it, and what it means."""

    fields: tuple[str, ...]
    """All fields of images that are known, as users name them."""

    base_fields: tuple[str, ...]
    """Those that an images frame is made of, beside the id."""

    more_fields: tuple[str, ...]
    """Those that most work goes on with."""

    panoramas: tuple[str, ...]
    """Values of the column `camera_type` that mean a panorama."""

    gone: str
    """The reason of an image that was removed, or never existed."""

    images_a_minute: int
    """Images that the service lets be asked for in a minute."""

    def open(self, service: Service, *, workers: int = 16, stop: threading.Event | None = None) -> Session:
        """
        Return a session.

        Parameters
        ----------
        service
            The provider's service.
        workers
            Requests made at once, where there are several to make.
        stop
            Ends every wait at once when set.
        """

    def calls_for(self, images: int) -> int:
        """Return how many requests it takes to ask for so many images, if none is gone."""

    def seconds_for(self, calls: int, service: Service | None) -> float:
        """Return how long so many requests take at the pace of the service, seconds."""

    def fields_for(self, *columns: str) -> list[str]:
        """Return the fields that columns of an images frame come from, each once."""

    def columns_of(self, field: str) -> tuple[str, ...]:
        """Return the columns that a field becomes."""

    def key_of(self, record: Record) -> Key | None:
        """Return the key of a record; None where it has none."""

    def row_of(self, record: Record) -> dict[str, Any]:
        """
        Return what a record says, under the names of the columns of an images frame.

        Times are milliseconds since 1970, positions GeoJSON; what is unknown is absent. A row of a
        frame stays as it is.
        """

    def frame(
        self,
        records: Iterable[Record],
        *,
        fields: Sequence[str] | None = None,
        problems: dict[Key, str] | None = None,
    ) -> gpd.GeoDataFrame:
        """
        Return the images frame of records.

        Parameters
        ----------
        records
            The records.
        fields
            The fields that were asked for: each gets its columns. None takes those that some record has.
        problems
            Is told of records of the wrong shape, and what is wrong; without it they are an error.
        """

    def named(self, images: pd.DataFrame, where: str) -> Ids:
        """
        Return the ids of images that have one, row by row.

        Parameters
        ----------
        images
            Any frame with a column `id`, which may have gaps.
        where
            What messages call it.
        """

    def add(
        self, images: gpd.GeoDataFrame, found: gpd.GeoDataFrame, *, columns: Iterable[str], errors: Mapping[Key, str]
    ) -> gpd.GeoDataFrame:
        """
        Return images with columns from records of the same images, and with `error`.

        Parameters
        ----------
        images
            Frame with `id`; an id may stand in several rows, or be null.
        found
            Images frame of the records, each id once.
        columns
            The columns to take from it.
        errors
            Why there is no record of an image, or what is wrong with it.
        """


class Pictures(Protocol):
    """The pictures themselves: where they are, and what is said beside them."""

    def fields(self, size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
        """
        Return the fields to ask for so that a picture can be fetched and named.

        Parameters
        ----------
        size
            "256", "1024" or "2048", the longer side in pixels, or "original".
        metadata
            What else is wanted of an image: nothing, what goes into its EXIF, all there is.
        """

    def address(self, record: Record, size: str) -> str | None:
        """Return where a picture is; None where the record does not say."""

    def expires(self, address: str) -> float | None:
        """Return until when an address holds, seconds since 1970; None where it does not say."""

    def sidecar(self, record: Record) -> dict[str, Any]:
        """Return what is said of an image in a file of its own, as JSON has it; no addresses are among it."""

    def rights(self, creator: str | None) -> str:
        """Return whose a picture is and under which licence, by the name of who took it, if that is known."""


class UploadSession(Protocol):
    """Sends files to a service, from several threads at once; closed at its end."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *of_error: object) -> None:
        """Close its connections."""

    def send_file(
        self,
        source: bytes | Path,
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
            Called with the number of bytes that are up, as it grows.
        """

    def send_sequence(self, handles: Iterable[str], *, number: int, what: str) -> str:
        """
        Tell which files that are up form a sequence; return the handle of the sequence.

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
        Tell the service that all of an upload is there; return what the service calls it.

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


class Uploads(Protocol):
    """Uploads of photos in sequences, and of whole files."""

    file_types: Mapping[UploadKind, str]
    """What the service calls what goes up as one; a kind that it does not take is not in it."""

    retry: Retry
    """How failed uploads are tried again, unless a caller's service says otherwise."""

    def open(self, service: Service, *, connections: int, stop: threading.Event) -> UploadSession:
        """
        Return a session.

        Parameters
        ----------
        service
            The provider's service, with the token of a user.
        connections
            Connections kept open.
        stop
            Ends every wait at once when set, and a file that is on its way with its next piece.
        """

    def place(self, service: Service | None) -> str:
        """
        Return what the history of uploads knows a service by.

        Parameters
        ----------
        service
            The service; the one that the environment names unless given.
        """


@dataclass(frozen=True)
class SignedIn:
    """
    Whose token it is.

    Parameters
    ----------
    token
        The user's token; never shown.
    user_key
        Id of the user.
    user_name
        Name of the user; None where the service does not say.
    """

    token: str = field(repr=False)
    user_key: str
    user_name: str | None = None


class User(Protocol):
    """What is kept on this machine of a user that has signed in."""

    @property
    def name(self) -> str:
        """What the user is called here."""

    @property
    def user_name(self) -> str | None:
        """What the service calls the user."""

    @property
    def user_key(self) -> str | None:
        """Id of the user."""

    @property
    def organization_key(self) -> str | None:
        """The organization to upload for, unless another is asked for."""

    @property
    def organizations(self) -> Mapping[str, str]:
        """Keys of organizations that were used, by their names."""

    @property
    def in_keyring(self) -> bool:
        """Whether the system's keyring has the token."""

    @property
    def source(self) -> Path | None:
        """The file that this stands in."""


class Credentials(Protocol):
    """The users that have signed in on this machine."""

    path: Path
    """The file that they are kept in."""

    @property
    def default(self) -> str | None:
        """The user that is meant where none is named."""

    @property
    def users(self) -> Mapping[str, User]:
        """The users by name."""

    def named(self, name: str) -> User | None:
        """Return the user of a name, here or at the service; None where there is none."""

    def token_beside(self) -> str | None:
        """Return a user's token in the environment; None where there is none, or a file counts alone."""

    def sign_in(self, name: str, signed_in: SignedIn, *, keyring: bool) -> None:
        """Keep a user that has signed in, under a name; with the token in the system's keyring where that is asked."""

    def edit(
        self,
        name: str | None,
        *,
        user_key: str | None,
        organization: Callable[[User], tuple[str | None, Mapping[str, str]]],
        default: bool,
    ) -> User:
        """
        Change what is kept of a user; return the user.

        Parameters
        ----------
        name
            Which one; the one that is meant where none is named unless given.
        user_key
            Id of the user; None leaves it.
        organization
            Returns the organization to upload for, and all that are known, of what is kept.
        default
            Make it the user that is meant where none is named.
        """

    def remove(self, name: str) -> None:
        """Forget a user and the token."""


class Accounts(Protocol):
    """Users: sign-in, what is kept of them, and organizations."""

    def credentials(self, path: PathLike | None = None) -> Credentials:
        """Return the users that have signed in: those of this machine, or of a file that is named."""

    def is_application(self, token: str) -> bool:
        """Return whether a token is one of an application, which reads, and cannot upload."""

    def application_token(self, token: str | None, token_file: PathLike | None, service: Service | None) -> str:
        """
        Return the token of an application, which vouches for a sign-in with a password.

        Raises
        ------
        CredentialsError
            If there is none.
        """

    def with_token(self, service: Service | None, token: str) -> Service:
        """Return a service, that of the environment unless given, with another token."""

    def sign_in(self, service: Service, email: str, password: str) -> SignedIn:
        """Sign a user in; the service has the token of an application."""

    def whose(self, service: Service, user_key: str | None = None) -> SignedIn:
        """Return whose token a service has; raise CredentialsError where it is not that of the user named."""

    def upload_token(
        self,
        user_name: str | None,
        *,
        token: str | None,
        token_file: PathLike | None,
        credentials: Credentials | None,
    ) -> tuple[str, User | None]:
        """
        Return the token to upload with, and whose it is where that is known.

        Raises
        ------
        CredentialsError
            If there is none.
        """

    def is_organization(self, key: str) -> bool:
        """Return whether a word looks like the key of an organization."""

    def organization(self, service: Service, key: str) -> dict[str, str]:
        """
        Return the names of an organization, by what kind of name each is: "name", "slug".

        Raises
        ------
        RefusedError
            If the service shows this user none of this key.
        """

    def remember_organizations(self, user: User | None, names: Mapping[str, str]) -> None:
        """Keep names of organizations, with their keys, by which they can be asked for the next time."""


class Descriptions(Protocol):
    """What is said of local photos, in them and beside them, in the provider's own format."""

    file: str
    """Name of the file beside photos."""

    duplicate: str
    """Type of error under which the file notes duplicates."""

    personal_columns: tuple[str, ...]
    """Columns of what says whose an image is, which the file has no fields for."""

    def read(self, path: Path) -> gpd.GeoDataFrame:
        """Return the images frame of a file, with what failed as rows with `error`."""

    def write(self, images: gpd.GeoDataFrame, path: PathLike) -> Path:
        """Write the file of an images frame, at this path or into this folder; return the file."""

    def inside(self, file: BinaryIO) -> dict[str, Any] | None:
        """Return the description inside a JPEG, open at its start; None where there is none."""

    def frame(self, descriptions: list[dict[str, Any]], folder: Path) -> gpd.GeoDataFrame:
        """Return descriptions, each with its `filename`, as the frame that `read` returns."""

    def of(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the description that goes into an image, made of a row of a frame of local images.

        Raises
        ------
        InputError
            If position or time is unknown.
        """

    def full(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that can be described of a row, its sequence too and without rounding; raises as `of` does."""

    def private(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description that says besides that the image is private to its organization."""
