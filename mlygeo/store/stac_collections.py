"""
The STAC Collection of a file of items: what it covers, under which licence, and who provides it.

It is in the metadata of the file, where stac-geoparquet has it, and in a file beside it, to which the items link.
Specifications: https://github.com/radiantearth/stac-spec/blob/v1.0.0/collection-spec/collection-spec.md and
https://github.com/radiantearth/stac-geoparquet-spec.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import attribution, frames, places
from mlygeo.progress import counted
from mlygeo.spatial import polylines
from mlygeo.store import stac
from mlygeo.store.atomic import remove, write_text

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.attribution import Rights

log = logging.getLogger("mlygeo.store.stac")

METADATA = b"stac-geoparquet"
"""Key of the file's metadata."""

METADATA_VERSION = "1.1.0"

URLS = {"mapillary": "https://www.mapillary.com", "panoramax": "https://panoramax.fr"}
"""Home pages of providers."""

LONGEST = 16 << 20
"""Bytes; a longer file is none of ours."""

_SPDX = re.compile(r"[\w.+-]+", re.ASCII)

UNKNOWN, SEVERAL = "proprietary", "various"
"""What STAC 1.0 has for a licence that is in no list or unknown, and for several."""


def of(path: Path) -> Path:
    """Return the path of the collection beside a file of items."""
    return path.with_name(path.name[: -len(stac.ENDING)] + stac.COLLECTION_ENDING)


def of_images(images: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """
    Return the collection of images that are written as items.

    Its box crosses the antimeridian where images lie on both sides of it (west is larger than east, as in GeoJSON).
    Without a known position it is the whole earth, and without a known time the interval is open: STAC wants both.

    Parameters
    ----------
    images
        Images frame of any provider, EPSG:4326.
    path
        The file of the items, after which the collection is named.

    Returns
    -------
    collection
        JSON.
    """
    known = _rights(images)
    licences = {(each.licence, each.licence_url) for each in known} or {(None, None)}
    names = {_spdx(name) for name, _ in licences}
    credits_ = frames.credited_of(images)
    credit = f" Attribution: {'; '.join(credits_)}." if credits_ else ""
    collection: dict[str, Any] = {
        "type": "Collection",
        "stac_version": stac.VERSION,
        "stac_extensions": [],
        "id": stac.collection_id(path),
        "description": f"Street-level imagery: {counted(len(images), 'image')}.{credit}",
        "license": names.pop() if len(names) == 1 else SEVERAL,
    }
    if providers := _providers(known):
        collection["providers"] = providers
    collection |= {
        "extent": {"spatial": {"bbox": [_box(images)]}, "temporal": {"interval": [_interval(images)]}},
        "links": [{"rel": "license", "href": url} for url in sorted({url for _, url in licences if url is not None})],
        "assets": {
            "items": {
                "href": f"./{path.name}",
                "title": "The items, as STAC-GeoParquet",
                "type": "application/vnd.apache.parquet",
                "roles": ["collection-mirror"],
            }
        },
    }
    return collection


def metadata_of(collection: dict[str, Any]) -> dict[bytes, bytes]:
    """Return what the metadata of a Parquet file have of a collection."""
    said = {"version": METADATA_VERSION, "collections": {collection["id"]: collection}}
    return {METADATA: json.dumps(said, ensure_ascii=False).encode()}


def write(collection: dict[str, Any] | None, path: Path) -> None:
    """
    Write a collection beside the file of its items.

    A file of that name that is another collection, or none, stays as it is, which is logged.

    Parameters
    ----------
    collection
        See `of_images`. None where the items are in others: that of the file's former items is removed.
    path
        The file of the items.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    file = of(path)
    if collection is None:
        if is_beside(path):
            remove(file)
        return
    if file.exists() and not _is_of(file, path):
        log.warning("%s is not the collection of %s and stays as it is", file.name, path.name)
        return
    write_text(json.dumps(collection, indent=2, ensure_ascii=False) + "\n", file)


def is_beside(path: Path) -> bool:
    """Return whether the collection of a file of items lies beside it."""
    return path.name.lower().endswith(stac.ENDING) and _is_of(of(path), path)


def _is_of(file: Path, path: Path) -> bool:
    try:
        content = json.loads(places.content_of(file, LONGEST))
        href = content["assets"]["items"]["href"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False
    return bool(content.get("type") == "Collection" and href == f"./{path.name}")


def _rights(images: gpd.GeoDataFrame) -> list[Rights]:
    """Return whose the images are, each once and without their producers, which are in the items."""
    table = attribution.columns_in(images.columns, lambda name: images[name])
    if table is not None:
        rows = attribution.tallied(table.drop_columns({"creator"} & {*table.column_names})).to_pylist()
        return [attribution.of_row({"provider": None, **row}) for row in rows]
    if len(images) and images["id"].dtype.kind in "iu":
        return [attribution.of_row({"id": 1})]
    return []


def _spdx(licence: str | None) -> str:
    """Return a licence by its SPDX identifier."""
    name = (licence or "").replace("CC BY-SA ", "CC-BY-SA-")
    return name if _SPDX.fullmatch(name) else UNKNOWN


def _providers(known: list[Rights]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in sorted(known, key=lambda one: (one.provider or "", one.instance or "")):
        if each.provider is None:
            continue
        name = attribution.TITLES.get(each.provider, each.provider)
        name = name if each.instance is None else f"{name} ({each.instance})"
        url = {"url": URLS[each.provider]} if each.provider in URLS else {}
        found.setdefault(name, {"name": name, "roles": ["host"], **url})
    return list(found.values())


def _box(images: gpd.GeoDataFrame) -> list[float]:
    lon, lat = frames.lonlat(images)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        return [-180.0, -90.0, 180.0, 90.0]
    return list(polylines.bounds(np.column_stack((lon[known], lat[known]))))


def _interval(images: gpd.GeoDataFrame) -> list[str | None]:
    times = images["captured_at"].dropna()
    if not len(times):
        return [None, None]
    return [each.isoformat().replace("+00:00", "Z") for each in (times.min(), times.max())]
