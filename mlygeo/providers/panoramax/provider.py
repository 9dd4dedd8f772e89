"""Panoramax as a provider: the Protocols of `mlygeo.providers`, implemented by the modules of this folder."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.attribution import of_row
from mlygeo.errors import InputError
from mlygeo.keys import UUIDS
from mlygeo.providers.panoramax.service import Service, own

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds
    from mlygeo.attribution import Rights
    from mlygeo.keys import Ids, Key
    from mlygeo.net import http
    from mlygeo.net.http import Retry
    from mlygeo.progress import Progress
    from mlygeo.providers import PathLike, Provider, Record
    from mlygeo.providers.panoramax.accounts import Accounts
    from mlygeo.providers.panoramax.api import Api
    from mlygeo.providers.panoramax.uploads import Uploads
    from mlygeo.providers.tile_cache import Plan
    from mlygeo.regions import Region


class Tiles:
    """Images by area; see `mlygeo.providers.Tiles`."""

    has_computed = has_geojson = False

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
        from mlygeo.providers.panoramax.tiles import plan_tiles

        self._only_original(computed=computed)
        return plan_tiles(
            region, tile_cache=tile_cache, overwrite=overwrite, max_age=max_age, tile_list_file=tile_list_file,
            service=None if service is None else own(service),
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
        from mlygeo.providers.panoramax.tiles import fetch_tiles

        self._only_original(computed=computed)
        if geojson:
            raise InputError("`geojson` has no effect for Panoramax, whose tiles are stored as they come")
        return fetch_tiles(
            region, tile_cache=tile_cache, overwrite=overwrite, max_age=max_age, tile_list_file=tile_list_file,
            workers=workers, service=None if service is None else own(service), damaged=damaged, dry_run=dry_run,
            progress=progress,
        )  # fmt: skip

    def name(self, x: int, y: int, *, computed: bool, service: http.Service | None = None) -> str:
        """Return the name of a tile's file in the cache, without its ending."""
        from mercantile import Tile

        from mlygeo.providers.panoramax.tile_cache import ZOOM, tile_set

        self._only_original(computed=computed)
        asked = Service.from_environment() if service is None else own(service)
        return tile_set(asked.endpoints).name(Tile(x, y, ZOOM))

    def read(self, paths: Iterable[Path], *, region: Region, damaged: list[Path] | None = None) -> pa.Table:
        """Return the images that files of the cache hold."""
        from mlygeo.providers.panoramax.layers import images_table

        return images_table(paths, region=region, damaged=damaged)

    def _only_original(self, *, computed: bool) -> None:
        if computed:
            raise InputError("Panoramax has no positions computed in 3D reconstruction", hint="leave out `computed`")


class Records:
    """The items of the STAC API; see `mlygeo.providers.Records`."""

    fields: tuple[str, ...]
    base_fields: tuple[str, ...]
    more_fields: tuple[str, ...]
    panoramas: tuple[str, ...] = ("equirectangular",)

    def __init__(self) -> None:
        from mlygeo.providers.panoramax import items
        from mlygeo.providers.panoramax.answers import GONE
        from mlygeo.providers.panoramax.api import IDS_A_CALL
        from mlygeo.providers.panoramax.service import SEARCHES_A_MINUTE

        self.fields, self.base_fields, self.more_fields = items.FIELDS, items.BASE_FIELDS, items.MORE_FIELDS
        self.gone, self.images_a_minute = GONE, int(SEARCHES_A_MINUTE * IDS_A_CALL)

    def open(self, service: http.Service, *, workers: int = 16, stop: threading.Event | None = None) -> Api:
        """Return a session with the API."""
        from mlygeo.providers.panoramax.api import Api

        return Api(own(service), workers=workers, stop=stop)

    def calls_for(self, images: int) -> int:
        """Return how many requests it takes to ask for so many images."""
        from mlygeo.providers.panoramax.api import calls_for

        return calls_for(images)

    def seconds_for(self, calls: int, service: http.Service | None) -> float:
        """Return how long so many requests take at the pace of the service."""
        return own(service or Service()).search_pace.seconds_for(calls)

    def fields_for(self, *columns: str) -> list[str]:
        """Return the fields that columns come from: they have the names of the columns."""
        return list(dict.fromkeys(columns))

    def columns_of(self, field: str) -> tuple[str, ...]:
        """Return the columns that a field becomes: the one of its name."""
        return (field,)

    def key_of(self, record: Record) -> Key | None:
        """Return the key of an item."""
        return UUIDS.find(record.get("id"))

    def row_of(self, record: Record) -> dict[str, Any]:
        """Return what an item says, under the names of the columns of an images frame."""
        from mlygeo.providers.panoramax.items import row_of

        return row_of(record)

    def said_of(self, image: Record) -> dict[str, Any]:
        """Return what the service says of an image, under its own names."""
        from mlygeo.providers.panoramax.items import said_of

        return said_of(image)

    def frame(
        self,
        records: Iterable[Record],
        *,
        fields: Sequence[str] | None = None,
        problems: dict[Key, str] | None = None,
    ) -> gpd.GeoDataFrame:
        """Return the images frame of items."""
        from mlygeo.providers.panoramax.items import images_frame

        return images_frame(records, fields=fields, problems=problems)

    def named(self, images: pd.DataFrame, where: str) -> Ids:
        """Return the ids of images that have one."""
        from mlygeo.providers.panoramax.items import named

        return named(images, where)

    def add(
        self, images: gpd.GeoDataFrame, found: gpd.GeoDataFrame, *, columns: Iterable[str], errors: Mapping[Key, str]
    ) -> gpd.GeoDataFrame:
        """Return images with columns from items of the same images."""
        from mlygeo.providers.added import with_records
        from mlygeo.providers.panoramax.items import ids_in

        return with_records(images, ids_in(images, "the frame"), found, columns=columns, errors=errors)


class Pictures:
    """
    The pictures themselves; see `mlygeo.providers.Pictures`.

    "original" is the asset hd, as uploaded or blurred: its EXIF says how it has to be turned. "2048" is sd, always so
    many pixels wide, and "thumb" the thumbnail of 500 pixels, of a panorama a part of it; both are upright.
    """

    def fields(self, size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
        """Return the fields to ask for so that a picture can be fetched and named; items have all of them."""
        from mlygeo.providers.panoramax.items import BASE_FIELDS, FIELDS, MORE_FIELDS

        more = {"none": (), "exif": (*BASE_FIELDS, *MORE_FIELDS), "all": FIELDS}[metadata]
        return list(dict.fromkeys(["sequence_id", "captured_at", *more, column_of(size)]))

    def address(self, record: Record, size: str) -> str | None:
        """Return where a picture is: as its item says, never made up from its id."""
        from mlygeo.providers.panoramax.items import row_of

        url = row_of(record).get(column_of(size))
        return url if isinstance(url, str) and url else None

    def expires(self, address: str) -> float | None:  # noqa: ARG002 - theirs do not
        """Return None: addresses of Panoramax hold as long as the picture is there."""
        return None

    def sidecar(self, record: Record) -> dict[str, Any]:
        """Return what is said of an image in a file of its own."""
        from mlygeo.providers.panoramax.items import sidecar

        return sidecar(record)

    def rights(self, record: Record) -> Rights:
        """Return whose a picture is and under which licence, as far as its item or row says it."""
        from mlygeo.providers.panoramax.items import row_of

        return of_row(row_of(record), "panoramax")


class Exports:
    """The weekly export, STAC-GeoParquet; see `mlygeo.providers.Exports`."""

    def is_one(self, address: str) -> bool:
        """Return whether an address may be that of the export: a Parquet file on a server that is called so."""
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        name = parts.path.lower().rpartition("/")[2]
        return parts.scheme in {"http", "https"} and "panoramax" in name and name.endswith((".parquet", ".geoparquet"))

    def read(self, address: str, *, bbox: Bounds | None) -> gpd.GeoDataFrame:
        """Return the images frame of a box, of which only the row groups that may have some are read."""
        from mlygeo.providers.panoramax.export import read_export

        return read_export(address, region=bbox)


def column_of(size: str) -> str:
    """
    Return the column with the address of pictures of a size.

    Raises
    ------
    InputError
        If Panoramax has no pictures of this size.
    """
    from mlygeo.providers.panoramax.items import SIZES

    if size not in SIZES:
        raise InputError(f"Panoramax has no pictures of the size {size!r}", hint=f"one of {', '.join(SIZES)}")
    return SIZES[size]


class Panoramax:
    """Panoramax; see `mlygeo.providers.Provider`."""

    name = "panoramax"
    title = "Panoramax"
    keys = UUIDS
    page = "https://api.panoramax.xyz/#focus=pic&pic={id}"
    licence = None
    needs_token = False
    has_endpoints = True

    uploads = None
    descriptions = None

    @cached_property
    def attribution(self) -> str:
        """Attribution of its data; each picture has a licence of its own."""
        from mlygeo.providers.panoramax.items import ATTRIBUTION

        return ATTRIBUTION

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
    def upload_sets(self) -> Uploads:
        """Uploads of folders as sets."""
        from mlygeo.providers.panoramax.uploads import Uploads

        return Uploads()

    @cached_property
    def accounts(self) -> Accounts:
        """Users of instances."""
        from mlygeo.providers.panoramax.accounts import Accounts

        return Accounts()

    @cached_property
    def exports(self) -> Exports:
        """Files of all its images."""
        return Exports()

    def service(
        self,
        *,
        token: str | None = None,
        token_file: PathLike | None = None,
        retry: Retry | None = None,
        endpoint: str | None = None,
    ) -> Service:
        """Return the service as arguments and environment name it."""
        return Service.from_environment(endpoint=endpoint, token=token, token_file=token_file, retry=retry)


PROVIDER: Provider = Panoramax()
