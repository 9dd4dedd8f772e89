"""Mapillary as a provider: the Protocols of `mlygeo.providers`, implemented by the modules of this folder."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mlygeo import frames
from mlygeo.errors import CredentialsError, InputError
from mlygeo.keys import WHOLE_NUMBERS
from mlygeo.providers import Licence

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo import providers
    from mlygeo.attribution import Rights
    from mlygeo.keys import Ids, Key
    from mlygeo.net import http
    from mlygeo.net.http import Retry
    from mlygeo.progress import Progress
    from mlygeo.providers import PathLike, Provider, Record, SignedIn, UploadKind
    from mlygeo.providers.mapillary.accounts import Credentials, User
    from mlygeo.providers.mapillary.graph import Graph
    from mlygeo.providers.mapillary.service import Service
    from mlygeo.providers.tile_cache import Plan
    from mlygeo.regions import Region

CLIENT_VARIABLE = "MAPILLARY_CLIENT_TOKEN"
"""Environment variable with the token of an application, which signing in with a password needs."""


def own(service: http.Service) -> Service:
    """
    Return the service, checked to be Mapillary's.

    Raises
    ------
    InputError
        If it is another provider's.
    """
    from mlygeo.providers.mapillary.service import Service

    if not isinstance(service, Service):
        raise InputError(f"this is a service of {service.provider}, and Mapillary's is needed")
    return service


class Tiles:
    """Images by area; see `mlygeo.providers.Tiles`."""

    has_computed = has_geojson = True

    def default_cache(self) -> Path:
        """Return the tile cache in the user's cache folder."""
        from mlygeo.providers.tile_cache import default_tile_cache

        return default_tile_cache()

    def plan(
        self,
        region: Region,
        *,
        tile_cache: Path,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        tile_list_file: PathLike | Iterable[PathLike] | None,
        service: http.Service | None,
    ) -> Plan:
        """Return what `fetch` would fetch, and how long it would take."""
        from mlygeo.providers.mapillary.tiles import plan_tiles

        return plan_tiles(
            region, tile_cache=tile_cache, computed=computed, overwrite=overwrite, max_age=max_age,
            tile_list_file=tile_list_file, service=None if service is None else own(service),
        )  # fmt: skip

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
        service: http.Service | None,
        damaged: Collection[Path],
        geojson: bool,
        dry_run: bool,
        progress: Progress | None,
    ) -> gpd.GeoDataFrame:
        """Fetch the tiles of a region into the cache; each has to be one that can be read."""
        from mlygeo.providers.mapillary.layers import check
        from mlygeo.providers.mapillary.tiles import fetch_tiles

        return fetch_tiles(
            region, tile_cache=tile_cache, computed=computed, overwrite=overwrite, max_age=max_age,
            tile_list_file=tile_list_file, workers=workers, service=None if service is None else own(service),
            validate=check, damaged=damaged, geojson=geojson, dry_run=dry_run, progress=progress,
        )  # fmt: skip

    def name(self, x: int, y: int, *, computed: bool, service: http.Service | None = None) -> str:  # noqa: ARG002
        """Return the name of a tile's file in the cache, without its ending."""
        from mercantile import Tile

        from mlygeo.providers.mapillary.tile_cache import ZOOM, tile_name

        return tile_name(Tile(x, y, ZOOM), computed=computed)

    def read(self, paths: Iterable[Path], *, region: Region, damaged: list[Path] | None = None) -> pa.Table:
        """Return the images that files of the cache hold."""
        from mlygeo.providers.mapillary.layers import images_table

        return images_table(paths, region=region, damaged=damaged)


class Records:
    """The Graph API's records of images; see `mlygeo.providers.Records`."""

    fields: tuple[str, ...]
    base_fields: tuple[str, ...]
    more_fields: tuple[str, ...]
    panoramas: tuple[str, ...]

    def __init__(self) -> None:
        from mlygeo.providers.mapillary import records
        from mlygeo.providers.mapillary.graph import GONE
        from mlygeo.providers.mapillary.service import ENTITIES_LIMIT

        self.fields, self.base_fields, self.more_fields = records.FIELDS, records.BASE_FIELDS, records.MORE_FIELDS
        self.panoramas, self.gone, self.images_a_minute = records.PANORAMAS, GONE, ENTITIES_LIMIT

    def open(self, service: http.Service, *, workers: int = 16, stop: threading.Event | None = None) -> Graph:
        """Return a session with the Graph API."""
        from mlygeo.providers.mapillary.graph import Graph

        return Graph(own(service), workers=workers, stop=stop)

    def calls_for(self, images: int) -> int:
        """Return how many requests it takes to ask for so many images."""
        from mlygeo.providers.mapillary.graph import calls_for

        return calls_for(images)

    def seconds_for(self, calls: int, service: http.Service | None) -> float:
        """Return how long so many requests take at the pace of the service."""
        from mlygeo.providers.mapillary.service import Service

        asked = Service() if service is None else own(service)
        return asked.search_pace.seconds_for(calls)

    def fields_for(self, *columns: str) -> list[str]:
        """Return the fields that columns come from."""
        from mlygeo.providers.mapillary.records import field_of

        return list(dict.fromkeys(field_of(column) for column in columns))

    def columns_of(self, field: str) -> tuple[str, ...]:
        """Return the columns that a field becomes."""
        from mlygeo.providers.mapillary.records import columns_of

        return columns_of(field)

    def key_of(self, record: Record) -> Key | None:
        """Return the key of a record."""
        from mlygeo.providers.mapillary.answers import id_of

        return id_of(record)

    def row_of(self, record: Record) -> dict[str, Any]:
        """Return what a record says, under the names of the columns of an images frame."""
        from mlygeo.providers.mapillary.records import row_of

        return row_of(record)

    def said_of(self, image: Record) -> dict[str, Any]:
        """Return what the service says of an image, under its own names."""
        from mlygeo.providers.mapillary.records import said_of

        return said_of(image)

    def frame(
        self,
        records: Iterable[Record],
        *,
        fields: Sequence[str] | None = None,
        problems: dict[Key, str] | None = None,
    ) -> gpd.GeoDataFrame:
        """Return the images frame of records."""
        from mlygeo.providers.mapillary.records import images_frame

        return images_frame(records, fields=fields, problems=problems)

    def named(self, images: pd.DataFrame, where: str) -> Ids:
        """Return the ids of images that have one."""
        from mlygeo.providers.mapillary.records import named

        return named(images, where)

    def add(
        self, images: gpd.GeoDataFrame, found: gpd.GeoDataFrame, *, columns: Iterable[str], errors: Mapping[Key, str]
    ) -> gpd.GeoDataFrame:
        """Return images with columns from records of the same images."""
        from mlygeo.providers.added import with_records
        from mlygeo.providers.mapillary.records import ids_in

        ids = [number or None for number in ids_in(images, "the frame").tolist()]
        return with_records(images, ids, found, columns=columns, errors=errors)


class Pictures:
    """The pictures themselves; see `mlygeo.providers.Pictures`."""

    def fields(self, size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
        """Return the fields to ask for so that a picture can be fetched and named."""
        from mlygeo.providers.mapillary.records import fields_for

        return fields_for(size, metadata=metadata)

    def address(self, record: Record, size: str) -> str | None:
        """Return where a picture is."""
        from mlygeo.providers.mapillary.records import address

        return address(record, size)

    def expires(self, address: str) -> float | None:
        """Return until when an address holds."""
        from mlygeo.providers.mapillary.records import expiry

        return expiry(address)

    def sidecar(self, record: Record) -> dict[str, Any]:
        """Return what is said of an image in a file of its own."""
        from mlygeo.providers.mapillary.records import sidecar

        return sidecar(record)

    def rights(self, record: Record) -> Rights:
        """Return whose a picture is and under which licence."""
        from mlygeo.providers.mapillary.records import rights

        return rights(record)


class Uploads:
    """Uploads; see `mlygeo.providers.Uploads`."""

    file_types: Mapping[UploadKind, str]

    def __init__(self) -> None:
        from mlygeo.providers.mapillary.uploads import FILE_TYPES, UPLOAD_RETRY

        self.file_types, self.retry = FILE_TYPES, UPLOAD_RETRY

    def open(self, service: http.Service, *, connections: int, stop: threading.Event) -> providers.UploadSession:
        """Return a session with the upload service."""
        from mlygeo.providers.mapillary import uploads

        return uploads.Uploads(own(service), connections=connections, stop=stop)

    def place(self, service: http.Service | None) -> str:
        """Return the name of a service in the history of uploads: the address of its Graph API."""
        from mlygeo.providers.mapillary.service import Endpoints

        return Endpoints.from_environment().graph if service is None else own(service).endpoints.graph


class Accounts:
    """Users; see `mlygeo.providers.Accounts`."""

    has_passwords = True

    def credentials(
        self,
        path: PathLike | None = None,
        *,
        service: http.Service | None = None,  # noqa: ARG002 - there is one
    ) -> Credentials:
        """Return the users that have signed in."""
        from mlygeo.providers.mapillary.accounts import Credentials

        return Credentials(path)

    def is_application(self, token: str) -> bool:
        """Return whether a token is one of an application."""
        from mlygeo.providers.mapillary.accounts import CLIENT_TOKEN

        return CLIENT_TOKEN.fullmatch(token) is not None

    def application_token(self, token: str | None, token_file: PathLike | None, service: http.Service | None) -> str:
        """Return the token of an application, which a sign-in with a password needs."""
        import os

        from mlygeo.providers.mapillary.service import TOKENS

        found = TOKENS.find(token or os.environ.get(CLIENT_VARIABLE, "").strip() or None, token_file)
        found = found or (service.token if service is not None else None)
        if found is None or not self.is_application(found):
            raise CredentialsError(
                "signing in with a password needs the token of an application",
                hint=f"put one into {CLIENT_VARIABLE} or a file for `token_file` ({TOKENS.site}), or give `jwt='-'`",
            )
        return found

    def with_token(self, service: http.Service | None, token: str) -> Service:
        """Return a service with another token."""
        from dataclasses import replace

        from mlygeo.providers.mapillary.service import Service

        return Service.from_environment(token=token) if service is None else replace(own(service), token=token)

    def sign_in_by_link(self, service: http.Service, *, show: Callable[[str], object]) -> SignedIn:  # noqa: ARG002
        """Raise: users sign in with email and password."""
        raise InputError("Mapillary has no links to sign in with", hint="give `user_email`")

    def sign_in(self, service: http.Service, email: str, password: str) -> SignedIn:
        """Sign a user in."""
        from mlygeo.providers.mapillary.accounts import sign_in

        return sign_in(own(service), email, password)

    def whose(self, service: http.Service, user_key: str | None = None) -> SignedIn:
        """Return whose token a service has."""
        from mlygeo.providers.mapillary.accounts import whose

        return whose(own(service), user_key)

    def upload_token(
        self,
        user_name: str | None,
        *,
        token: str | None,
        token_file: PathLike | None,
        credentials: providers.Credentials | None,
    ) -> tuple[str, User | None]:
        """Return the token to upload with, and whose it is where that is known."""
        from mlygeo.providers.mapillary.accounts import Credentials, upload_token

        users = credentials if isinstance(credentials, Credentials) else None
        return upload_token(user_name, token=token, token_file=token_file, credentials=users)

    def is_organization(self, key: str) -> bool:
        """Return whether a word looks like the key of an organization: a whole number."""
        return key.isascii() and key.isdigit()

    def organization(self, service: http.Service, key: str) -> dict[str, str]:
        """Return the names of an organization."""
        from mlygeo.providers.mapillary.graph import Graph

        with Graph(own(service), workers=1) as graph:
            record = graph.organization(key)
        return {part: str(record[part]) for part in ("slug", "name") if record.get(part)}

    def remember_organizations(self, user: providers.User | None, names: Mapping[str, str]) -> None:
        """Keep names of organizations."""
        from mlygeo.providers.mapillary.accounts import User, remember_organizations

        remember_organizations(user if isinstance(user, User) else None, names)


class Descriptions:
    """The image descriptions of mapillary_tools; see `mlygeo.providers.Descriptions`."""

    personal_columns: tuple[str, ...]

    def __init__(self) -> None:
        from mlygeo.providers.mapillary import descriptions

        self.file, self.duplicate = descriptions.FILE, descriptions.DUPLICATE
        self.personal_columns = descriptions.PERSONAL_COLUMNS

    def read(self, path: Path) -> gpd.GeoDataFrame:
        """Return the images frame of a file."""
        from mlygeo.providers.mapillary.descriptions import read_descriptions

        return read_descriptions(path)

    def is_one(self, path: Path) -> bool:
        """Return whether a file may be replaced."""
        from mlygeo.providers.mapillary.descriptions import is_description_file

        return is_description_file(path)

    def write(self, images: gpd.GeoDataFrame, path: PathLike) -> Path:
        """Write the file of an images frame."""
        from mlygeo.providers.mapillary.descriptions import write_descriptions

        return write_descriptions(images, path)

    def text(self, images: gpd.GeoDataFrame) -> str:
        """Return the file of an images frame as text."""
        from mlygeo.providers.mapillary.descriptions import descriptions_text

        return descriptions_text(images)

    def inside(self, file: BinaryIO) -> dict[str, Any] | None:
        """Return the description inside a JPEG."""
        from mlygeo.providers.mapillary.descriptions import description_in

        return description_in(file)

    def frame(self, descriptions: list[dict[str, Any]], folder: Path) -> gpd.GeoDataFrame:
        """Return descriptions as the frame that `read` returns."""
        from mlygeo.providers.mapillary.descriptions import described_images

        return described_images(descriptions, folder)

    def of(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return the description that goes into an image."""
        from mlygeo.providers.mapillary.image_descriptions import description_of

        return description_of(image)

    def full(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that can be described of an image."""
        from mlygeo.providers.mapillary.image_descriptions import image_description

        return image_description(image)

    def parted(self, description: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the documented fields of a description, and those of its owner."""
        from mlygeo.providers.mapillary.image_descriptions import parted

        return parted(description)

    def without_heading(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description without the heading."""
        return {name: value for name, value in description.items() if name != "MAPCompassHeading"}

    def private(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description that says besides that the image is private to its organization."""
        return {**description, "MAPPrivate": True}


class Mapillary:
    """Mapillary; see `mlygeo.providers.Provider`."""

    name = "mapillary"
    title = "Mapillary"
    attribution = frames.MAPILLARY
    page = "https://www.mapillary.com/app/?pKey={id}&focus=photo"
    licence = Licence("CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/")
    needs_token = True
    exports = None
    has_endpoints = False
    upload_sets = None
    keys = WHOLE_NUMBERS

    @cached_property
    def tiles(self) -> Tiles:
        """Images by area."""
        return Tiles()

    @cached_property
    def records(self) -> Records:
        """Images by id, sequence, person and place."""
        return Records()

    @cached_property
    def pictures(self) -> Pictures:
        """The pictures themselves."""
        return Pictures()

    @cached_property
    def uploads(self) -> Uploads:
        """Uploads."""
        return Uploads()

    @cached_property
    def accounts(self) -> Accounts:
        """Users."""
        return Accounts()

    @cached_property
    def descriptions(self) -> Descriptions:
        """Image descriptions."""
        return Descriptions()

    def service(
        self,
        *,
        token: str | None = None,
        token_file: PathLike | None = None,
        retry: Retry | None = None,
        endpoint: str | None = None,
    ) -> Service:
        """Return the service as the environment and the user's files name it."""
        if endpoint is not None:
            raise InputError("`endpoint` has no effect for Mapillary, which has one service")
        from mlygeo.providers.mapillary.service import Service

        return Service.from_environment(token=token, token_file=token_file, retry=retry)


PROVIDER: Provider = Mapillary()
