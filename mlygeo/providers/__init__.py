"""
Providers of street-level images: their capabilities, and the list of providers.

Each is a folder beside this file, and a line in `PROVIDERS`; or an installed package that names its module
under the entry point `mlygeo.providers`. Code outside the folder uses the object that `provider` returns, by
the Protocols below; only the folder knows addresses, names of fields and layers, forms of keys and codes of
errors. A capability that a provider lacks is None, so that the caller has to handle this case; see `needed`.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, TypeVar

from mlygeo.errors import InputError
from mlygeo.schemas import DEFAULT_PROVIDER as DEFAULT

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from importlib.metadata import EntryPoint
    from pathlib import Path
    from typing import BinaryIO

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds
    from mlygeo.attribution import Rights
    from mlygeo.errors import ServiceError
    from mlygeo.keys import Ids, Key, Keys
    from mlygeo.net.http import Retry, Service
    from mlygeo.progress import Progress
    from mlygeo.regions import Region

    PathLike = str | os.PathLike[str]

PROVIDERS = {
    "mapillary": "mlygeo.providers.mapillary.provider",
    "panoramax": "mlygeo.providers.panoramax.provider",
}
"""Name of each provider -> the module that has it as `PROVIDER`; it is imported at the first use."""

ENTRY_POINTS = "mlygeo.providers"
"""The group of entry points by which installed packages name providers: name = module with `PROVIDER`."""

Capability = TypeVar("Capability")


@dataclass(frozen=True)
class Licence:
    """
    A licence.

    Parameters
    ----------
    name
        Its identifier (SPDX where it has one).
    url
        Address of its text; None where none is known.
    """

    name: str
    url: str | None = None


Record: TypeAlias = "Mapping[str, Any]"
"""A provider's record of an image, in its own form: only its own `Records` and `Pictures` read it."""

UploadKind: TypeAlias = str
"""Kind of an upload: "sequence", "zip" (a sequence in an archive), or a video, by the name of its telemetry."""


def names() -> list[str]:
    """Return the names of all providers: those of this package, and those of installed packages."""
    return [*PROVIDERS, *sorted(_installed().keys() - PROVIDERS.keys())]


def provider(name: str = DEFAULT) -> Provider:
    """
    Return a provider.

    Parameters
    ----------
    name
        Its name: one of `names`.

    Raises
    ------
    InputError
        If there is none of this name, or the package that brings it cannot be loaded.
    """
    if name in PROVIDERS:
        found: Provider = importlib.import_module(PROVIDERS[name]).PROVIDER
        return found
    entry = _installed().get(name)
    if entry is None:
        raise InputError(f"there is no provider {name[:40]!r}", hint=f"one of {', '.join(names())}")
    try:
        module = entry.load()
    except Exception as error:
        raise InputError(f"the provider {name!r} ({entry.value}) cannot be loaded: {error}") from error
    loaded: Provider = getattr(module, "PROVIDER", module)
    if getattr(loaded, "name", None) != name:
        raise InputError(f"the provider {name!r} ({entry.value}) has no `PROVIDER` of this name")
    return loaded


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    """Return the entry points of installed packages, by the name of the provider."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def attribution_of(name: str, licence: str | None = None) -> str | None:
    """
    Return the attribution of a provider's data as a whole.

    Parameters
    ----------
    name
        Name of the provider.
    licence
        Licence of the data; None where it is unknown.

    Returns
    -------
    attribution
        None where no provider of this name is known here, or where this is not the licence of all its images.
    """
    who = provider(name) if name in names() else None
    of_all = who is not None and (licence is None or (who.licence is not None and who.licence.name == licence))
    return who.attribution if who is not None and of_all else None


def provider_of(service: Service | None) -> Provider:
    """
    Return the provider of a service.

    Parameters
    ----------
    service
        The service; None means that of the default provider.
    """
    return provider(DEFAULT if service is None else service.provider)


def needed(capability: Capability | None, who: Provider, what: str) -> Capability:
    """
    Return a capability of a provider.

    Parameters
    ----------
    capability
        One of its capabilities; None if the provider lacks it.
    who
        The provider.
    what
        Purpose of the capability, for the message.

    Raises
    ------
    InputError
        If the provider does not have it.
    """
    if capability is None:
        raise InputError(f"{who.title} has no {what}")
    return capability


def export_at(address: str) -> Exports | None:
    """Return what reads a file of all images at an address of the web; None where no provider does."""
    found = (who.exports for who in map(provider, PROVIDERS))
    return next((exports for exports in found if exports is not None and exports.is_one(address)), None)


def descriptions() -> Descriptions:
    """Return the format of local photos' descriptions for any provider: that of the first one."""
    who = provider()
    return needed(who.descriptions, who, "descriptions of photos")


class Provider(Protocol):
    """A provider of street-level images. Capabilities that it does not have are None."""

    @property
    def name(self) -> str:
        """Its name, as in `PROVIDERS` and in `mlygeo.net.http.Service.provider`."""

    @property
    def title(self) -> str:
        """Its name in sentences."""

    @property
    def attribution(self) -> str:
        """Attribution of its data, with the licence where all images have the same."""

    @property
    def licence(self) -> Licence | None:
        """Licence of all its images; None where each has its own."""

    @property
    def page(self) -> str | None:
        """Address of a picture's page for people, with {id} for its id; None where there are none."""

    @property
    def needs_token(self) -> bool:
        """Whether reading needs an access token."""

    @property
    def has_endpoints(self) -> bool:
        """Whether there are several servers, of which one can be named by its address."""

    @property
    def keys(self) -> Keys:
        """The form of the keys of its images."""

    @property
    def tiles(self) -> Tiles | None:
        """Images by area, from tiles in a cache on disk."""

    @property
    def records(self) -> Records | None:
        """Images by id, sequence, person and place: the service's records."""

    @property
    def pictures(self) -> Pictures | None:
        """The pictures themselves."""

    @property
    def exports(self) -> Exports | None:
        """Files of all its images, on a server."""

    @property
    def uploads(self) -> Uploads | None:
        """Uploads."""

    @property
    def upload_sets(self) -> UploadSets | None:
        """Uploads of whole folders, which the service itself cuts into sequences."""

    @property
    def accounts(self) -> Accounts | None:
        """Users: sign-in, what is kept of them, and organizations."""

    @property
    def descriptions(self) -> Descriptions | None:
        """What is said of local photos, in them and beside them, in the provider's own format."""

    def service(
        self,
        *,
        token: str | None = None,
        token_file: PathLike | None = None,
        retry: Retry | None = None,
        endpoint: str | None = None,
    ) -> Service:
        """
        Return the service by the environment and the user's files.

        Parameters
        ----------
        token, token_file
            The access token, or a file with it; looked for in the usual places unless given.
        retry
            How failed requests are tried again, where that is not as usual.
        endpoint
            Address of one of its servers, where it `has_endpoints`; by default as the environment has it.

        Raises
        ------
        CredentialsError
            If the service needs an access token, and there is none.
        ConfigError
            If the environment has an invalid address.
        InputError
            If `endpoint` is no address, or there is but one server.
        """


class TilePlan(Protocol):
    """An estimate of fetching tiles; as text, for people to read."""

    @property
    def missing(self) -> Sequence[object]:
        """The tiles to fetch."""


class Tiles(Protocol):
    """Images by area, from tiles that are fetched into a folder, the tile cache."""

    has_computed: bool
    """Whether there are tiles with positions computed in 3D reconstruction."""

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
        tile_list_file: PathLike | Iterable[PathLike] | None,
        service: Service | None,
    ) -> TilePlan:
        """Return what `fetch` would fetch, and how long it would take, without any request."""

    def fetch(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | Iterable[PathLike] | None,
        workers: int,
        service: Service | None,
        damaged: Collection[Path],
        geojson: bool,
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
            Fetch all tiles again, or those older than this number of days.
        tile_list_file
            File with the names of the tiles to fetch, or several; see `name`.
        workers
            Tiles fetched at once.
        service
            The service; found in the usual places, once a tile is missing, unless given.
        damaged
            Files of the cache that cannot be read; their tiles are fetched again.
        geojson
            Store tiles as GeoJSON, where the provider has them in another form.
        dry_run
            Fetch nothing.
        progress
            Where progress is shown.
        """

    def name(self, x: int, y: int, *, computed: bool, service: Service | None = None) -> str:
        """Return the name of a tile's file in the cache, without its ending; no other provider gives it to a tile."""

    def read(self, paths: Iterable[Path], *, region: Region, damaged: list[Path] | None = None) -> pa.Table:
        """
        Return the images in files of the cache: the columns of an images frame, lon and lat.

        Parameters
        ----------
        paths
            The files.
        region
            Keep only images in it.
        damaged
            Damaged files are added to this list and skipped; without a list they raise.

        Returns
        -------
        table
            Each image once, in the order of the keys. The metadata `images_without_id` counts what
            was left out.
        """


@dataclass
class Batch:
    """
    The result of a request for some images.

    Parameters
    ----------
    found
        Their records, by id.
    missing
        Those without a record, and why: `Records.gone`, or what went wrong.
    final
        Those among the missing, beside deleted ones, for which another try is useless.
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
        """Yield records as they arrive, each image once."""


class Entities(Protocol):
    """Images by id. A refused token, or a service that is down, ends all requests."""

    workers: int
    """Requests made at once."""

    unknown_fields: set[str]
    """Requested fields that images do not have."""

    ended: ServiceError | None
    """The error that ended all requests; None while requests are possible."""

    def images(self, ids: Iterable[Key] | Ids, *, fields: Sequence[str]) -> Iterator[Batch]:
        """Yield the records of images as they arrive; each id is in one batch, found or missing."""

    def entity(self, id: Key, *, fields: Sequence[str]) -> dict[str, Any]:  # noqa: A002 - the frame's word
        """Return the record of one image; raise `mlygeo.net.answers.GoneError` where there is none."""


class Sequences(Protocol):
    """Images by sequence."""

    def image_ids(self, sequence_id: str) -> list[Key]:
        """Return the ids of the images of a sequence, in order along it; none if it is unknown."""


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
        """Return a search for images that meet all given conditions; one of the first three is required."""


class Session(Entities, Sequences, Searching, Protocol):
    """A session with a service for requests about images; thread-safe, and a context manager."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *of_error: object) -> None:
        """Close its connections."""


class Records(Protocol):
    """The service's records of images: requesting and interpreting them."""

    fields: tuple[str, ...]
    """All known fields of images, by the names for users."""

    base_fields: tuple[str, ...]
    """The fields of an images frame, beside the id."""

    more_fields: tuple[str, ...]
    """The fields for most further work."""

    panoramas: tuple[str, ...]
    """Values of the column `camera_type` that mean a panorama."""

    gone: str
    """The reason of an image that was removed, or never existed."""

    images_a_minute: int
    """Number of images that the service allows to request in a minute."""

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
        """Return the number of requests for a number of images, if none is deleted."""

    def seconds_for(self, calls: int, service: Service | None) -> float:
        """Return how long a number of requests takes at the pace of the service, seconds."""

    def fields_for(self, *columns: str) -> list[str]:
        """Return the fields for columns of an images frame, each once."""

    def columns_of(self, field: str) -> tuple[str, ...]:
        """Return the columns of a field."""

    def key_of(self, record: Record) -> Key | None:
        """Return the key of a record; None where it has none."""

    def row_of(self, record: Record) -> dict[str, Any]:
        """
        Return the values of a record, by the columns of an images frame.

        Times are milliseconds since 1970, positions GeoJSON; unknown values are absent. A row of a
        frame is returned unchanged.
        """

    def said_of(self, image: Record) -> dict[str, Any]:
        """
        Return all that the service says of an image, under its own names, as JSON has it.

        Unknown values are absent, and so are addresses that expire.

        Parameters
        ----------
        image
            A record, or a row of an images frame.
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
            The requested fields: each gets its columns. None means the fields of any record.
        problems
            Called with records of the wrong shape and their problems; without it they are an error.
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
            Frame with `id`; an id may be in several rows, or be null.
        found
            Images frame of the records, each id once.
        columns
            The columns to take from it.
        errors
            Reasons of missing records, and problems of records.
        """


class Pictures(Protocol):
    """The pictures: their addresses, and metadata for files beside them."""

    def fields(self, size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
        """
        Return the fields that are needed to fetch and name a picture.

        Parameters
        ----------
        size
            "256", "1024" or "2048", the longer side in pixels, "original" or "thumb"; InputError for a size that
            the provider does not have.
        metadata
            Other metadata of an image: none, that for its EXIF, or all.
        """

    def address(self, record: Record, size: str) -> str | None:
        """Return the address of a picture; None if the record has none."""

    def expires(self, address: str) -> float | None:
        """Return when an address expires, seconds since 1970; None if it does not say."""

    def sidecar(self, record: Record) -> dict[str, Any]:
        """Return the metadata of an image for a separate file, as JSON without addresses."""

    def rights(self, record: Record) -> Rights:
        """
        Return whose a picture is and under which licence.

        Parameters
        ----------
        record
            Its record, or a row of an images frame. Nothing is claimed that neither it nor the provider says.
        """


class Exports(Protocol):
    """Files with the metadata of all images, on a server, of which a part is read."""

    def is_one(self, address: str) -> bool:
        """Return whether an address may be that of such a file."""

    def read(self, address: str, *, bbox: Bounds | None) -> gpd.GeoDataFrame:
        """
        Return the images frame of a box.

        Parameters
        ----------
        address
            Address of the file.
        bbox
            West, south, east, north in degrees.

        Raises
        ------
        InputError
            If there is no box: such files have gigabytes.
        """


class UploadSource(Protocol):
    """A file to upload that is made while it is read."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def open(self) -> BinaryIO:
        """Open it for reading, from any place."""


class UploadSession(Protocol):
    """A session that sends files to a service; thread-safe, and a context manager."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *of_error: object) -> None:
        """Close its connections."""

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


class Uploads(Protocol):
    """Uploads of photos in sequences, and of whole files."""

    file_types: Mapping[UploadKind, str]
    """The service's type of each kind of upload; kinds that it does not accept are absent."""

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
            Event that ends every wait at once, and a file in progress with its next piece.
        """

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


class UploadSetSession(Protocol):
    """A session that uploads folders as sets; thread-safe, and a context manager."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *_: object) -> None:
        """Close its connections."""

    def find(self, marker: str) -> str | None:
        """Return the id of the user's set with this marker, where its creation was not answered; None for none."""

    def create(self, title: str, *, marker: str) -> str:
        """
        Create a set; return its id.

        Parameters
        ----------
        title
            Its title, which everybody can see.
        marker
            A text that no other set has, by which `find` finds it.
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
            `captured_at` (milliseconds since 1970), `compass_angle`, `altitude`, `make`, `model`,
            `exif_orientation`, `gps_accuracy_m`.
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


class UploadSets(Protocol):
    """Uploads of folders as sets."""

    retry: Retry
    """How failed uploads are tried again, unless a caller's service says otherwise."""

    rules: Rules
    """The rules for sequences and duplicates of servers that do not name others."""

    endings: tuple[str, ...]
    """Endings of names that the service accepts, in lower case."""

    def open(self, service: Service, *, connections: int, stop: threading.Event) -> UploadSetSession:
        """
        Return a session.

        Parameters
        ----------
        service
            The provider's service, with the token of a user.
        connections
            Connections kept open.
        stop
            Event that ends every wait at once.
        """

    def terms(self, service: Service) -> Terms:
        """
        Return what a service says of uploads to it; it is asked without a token.

        Raises
        ------
        InputError
            If it is no server that takes uploads.
        """

    def place(self, service: Service) -> str:
        """Return the name of a service in the history of uploads."""


@dataclass(frozen=True)
class SignedIn:
    """
    A token and its owner.

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
    """The entry of a signed-in user on this machine."""

    @property
    def name(self) -> str:
        """Name of the user here."""

    @property
    def user_name(self) -> str | None:
        """Name of the user at the service."""

    @property
    def user_key(self) -> str | None:
        """Id of the user."""

    @property
    def organization_key(self) -> str | None:
        """The default organization of uploads."""

    @property
    def organizations(self) -> Mapping[str, str]:
        """Keys of organizations that were used, by their names."""

    @property
    def in_keyring(self) -> bool:
        """Whether the system's keyring has the token."""

    @property
    def source(self) -> Path | None:
        """The file of this entry."""


class Credentials(Protocol):
    """The users that have signed in on this machine."""

    path: Path
    """The file with the users."""

    @property
    def default(self) -> str | None:
        """The default user."""

    @property
    def users(self) -> Mapping[str, User]:
        """The users by name."""

    def named(self, name: str) -> User | None:
        """Return the user of a name, here or at the service; None where there is none."""

    def token_beside(self) -> str | None:
        """Return a user's token in the environment; None if there is none, or only a given file is used."""

    def sign_in(self, name: str, signed_in: SignedIn, *, keyring: bool) -> None:
        """Store a signed-in user under a name; if requested, with the token in the system's keyring."""

    def edit(
        self,
        name: str | None,
        *,
        user_key: str | None,
        organization: Callable[[User], tuple[str | None, Mapping[str, str]]],
        default: bool,
    ) -> User:
        """
        Change the entry of a user; return the user.

        Parameters
        ----------
        name
            The user; by default the default user.
        user_key
            Id of the user; None leaves it.
        organization
            Function that returns the organization to upload for, and all known ones, from the stored entry.
        default
            Make it the default user.
        """

    def remove(self, name: str) -> None:
        """Forget a user and the token."""


class Accounts(Protocol):
    """Users: sign-in, what is kept of them, and organizations."""

    has_passwords: bool
    """Whether users sign in with email and password; otherwise with a link that they open in a browser."""

    def credentials(self, path: PathLike | None = None, *, service: Service | None = None) -> Credentials:
        """
        Return the signed-in users: those of this machine, or of a given file.

        Parameters
        ----------
        path
            The file.
        service
            The service whose users they are, where there are several servers.
        """

    def sign_in_by_link(self, service: Service, *, show: Callable[[str], object]) -> SignedIn:
        """
        Sign a user in who opens a link in a browser, and wait for that.

        Parameters
        ----------
        service
            The service.
        show
            Called with the link.

        Raises
        ------
        CredentialsError
            If nobody has opened it in time.
        """

    def is_application(self, token: str) -> bool:
        """Return whether a token is one of an application, which can read, but not upload."""

    def application_token(self, token: str | None, token_file: PathLike | None, service: Service | None) -> str:
        """
        Return the token of an application, which a sign-in with a password needs.

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
        """Return the owner of a service's token; raise CredentialsError if it is not the given user."""

    def upload_token(
        self,
        user_name: str | None,
        *,
        token: str | None,
        token_file: PathLike | None,
        credentials: Credentials | None,
    ) -> tuple[str, User | None]:
        """
        Return the token to upload with, and its owner if known.

        Raises
        ------
        CredentialsError
            If there is none.
        """

    def is_organization(self, key: str) -> bool:
        """Return whether a text has the form of an organization's key."""

    def organization(self, service: Service, key: str) -> dict[str, str]:
        """
        Return the names of an organization by their kind: "name", "slug".

        Raises
        ------
        RefusedError
            If the service does not show an organization of this key to the user.
        """

    def remember_organizations(self, user: User | None, names: Mapping[str, str]) -> None:
        """Store names of organizations with their keys, so that later calls can use the names."""


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

    def write(self, images: gpd.GeoDataFrame, path: PathLike) -> Path:
        """Write the file of an images frame, at this path or into this folder; return the file."""

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

    def private(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description that also marks the image as private to its organization."""
