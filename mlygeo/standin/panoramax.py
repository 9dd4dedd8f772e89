"""
The stand-in's images of Panoramax: as STAC items, sequences, users and vector tiles.

Values that a frame does not have are absent from its items, as with the real server; headings become whole
degrees, and positions keep nine decimals. Tiles have the layer `sequences` from zoom 7 on and `pictures` at zoom 15;
below zoom 7 they are empty.
"""

from __future__ import annotations

import json
import math
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.keys import UUIDS
from mlygeo.standin.imagery import EXTENT, in_whole_units, lines_of, on_map

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.arrays import Objects


ZOOM = 15
"""The one zoom of tiles with pictures."""

SEQUENCES_FROM = 7
"""The lowest zoom of tiles with the lines of sequences."""

TILES_KEPT = 256
"""Encoded tiles kept in memory."""

PANORAMA = 360
"""Field of view of a panorama, degrees."""

NUMBERS = {
    "pitch": "pers:pitch",
    "roll": "pers:roll",
    "yaw": "pers:yaw",
    "gps_accuracy_m": "quality:horizontal_accuracy",
    "pixel_density": "panoramax:horizontal_pixel_density",
    "filename": "original_file:name",
    "filesize": "original_file:size",
    "licence": "license",
    "creator": "geovisio:producer",
}
"""Column of an images frame -> property of an item with the same value."""

ASSETS = {
    "hd": ("data", "HD picture", "Highest resolution available of this picture"),
    "sd": ("visual", "SD picture", "Picture in standard definition (fixed width of 2048px)"),
    "thumb": ("thumbnail", "Thumbnail", "Picture in low definition (fixed width of 500px)"),
}
"""Name of an asset -> its role, title and description."""


OF_SEQUENCES = ("account_id", "model", "type", "gps_accuracy", "h_pixel_density")
"""Properties of a picture in a tile that its sequence's line has too."""


class Question(NamedTuple):
    """
    The conditions of a search; None for those that are not made.

    Parameters
    ----------
    bbox
        West, south, east and north.
    since, until
        First and last time, microseconds since 1970.
    ids, sequences
        Ids of pictures, and of sequences.
    """

    bbox: tuple[float, float, float, float] | None = None
    since: int | None = None
    until: int | None = None
    ids: list[str] | None = None
    sequences: list[str] | None = None


class Panoramax:
    """
    Images of Panoramax, as its API has them.

    Parameters
    ----------
    images
        Images frame of any provider; None for no images. Its ids are UUIDs.

    Raises
    ------
    FrameError
        If an id is no UUID.
    """

    def __init__(self, images: gpd.GeoDataFrame | None = None) -> None:
        if images is None:
            images = frames.empty(frames.IMAGES.of_any_provider)
        images = images.drop_duplicates("id")
        odd = next((id_ for id_ in images["id"] if UUIDS.find(id_) is None), None)
        if odd is not None:
            raise FrameError(f"column 'id' has {odd!r}, which is not an id of Panoramax", hint=UUIDS.hint)
        images = images.assign(id=images["id"].str.lower())
        by = ["sequence_id", *(["sequence_rank"] if "sequence_rank" in images else []), "captured_at", "id"]
        self.images = images.sort_values(by, kind="stable", ignore_index=True)
        self.ids: list[str] = self.images["id"].tolist()
        self.lon, self.lat = frames.lonlat(self.images)
        captured = self.images["captured_at"]
        self._known = captured.notna().to_numpy()
        self._times = captured.to_numpy(dtype="datetime64[us]").astype("int64")
        self._columns = {
            str(name): self.images[name].astype("object").where(self.images[name].notna(), None).tolist()
            for name in self.images.columns
            if name != "geometry"
        }
        self._row = {id_: row for row, id_ in enumerate(self.ids)}
        self.sequences = _groups(self._columns["sequence_id"])
        self.users = {user: self._name_of(rows[0]) for user, rows in _groups(self._columns["creator_id"]).items()}
        self._ranks = self._numbered()
        places = on_map(self.images)
        self._places = np.where(np.isfinite(places), places, np.nan)
        corners = np.floor(np.nan_to_num(self._places, nan=-1) * 2**ZOOM).astype("int64")
        self._tiles = _groups([tuple(corner) for corner in corners.tolist()])
        self._lines = lines_of(self._places, self.images["sequence_id"])
        self._kept: dict[tuple[int, int, int], bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ids)

    def _numbered(self) -> list[int]:
        """Return the rank of each image in its sequence: from the frame, else from 1 in order of time."""
        ranks = [0] * len(self.ids)
        said = self._columns.get("sequence_rank")
        for rows in self.sequences.values():
            for number, row in enumerate(rows, start=1):
                ranks[row] = number if said is None or said[row] is None else int(said[row])
        return ranks

    def _name_of(self, row: int) -> str:
        name = self.value(row, "creator")
        return str(name) if name else f"user {self.value(row, 'creator_id')}"

    def row(self, id_: str) -> int | None:
        """Return the row of an image; None if there is no such image."""
        return self._row.get(id_.lower())

    def rank(self, row: int) -> int:
        """Return the rank of an image in its sequence."""
        return self._ranks[row]

    def value(self, row: int, column: str) -> Any:
        """Return a value of an image; None if it is unknown."""
        return self._columns[column][row] if column in self._columns else None

    def is_pano(self, row: int) -> bool:
        """Return whether an image is a panorama; one of unknown kind counts as flat, as on the real server."""
        return bool(self.value(row, "is_pano"))

    def search(self, question: Question, limit: int) -> list[int]:
        """
        Return the rows that meet all conditions, at most `limit`.

        They are in the order of their distance to the centre of the box, or without a box, of their last change.

        Parameters
        ----------
        question
            The conditions.
        limit
            The largest number of rows.
        """
        found = np.ones(len(self.ids), dtype=bool)
        if question.bbox is not None:
            west, south, east, north = question.bbox
            found &= (self.lon >= west) & (self.lon <= east) & (self.lat >= south) & (self.lat <= north)
        if question.since is not None:
            found &= self._known & (self._times >= question.since)
        if question.until is not None:
            found &= self._known & (self._times <= question.until)
        if question.ids is not None:
            found &= np.isin(
                np.arange(len(found)), [row for each in question.ids if (row := self.row(each)) is not None]
            )
        if question.sequences is not None:
            chosen = [row for each in question.sequences for row in self.sequences.get(each.lower(), [])]
            found &= np.isin(np.arange(len(found)), chosen)
        rows = np.flatnonzero(found)
        if question.bbox is not None:
            x, y = (west + east) / 2, (south + north) / 2
            rows = rows[np.argsort(np.hypot(self.lon[rows] - x, self.lat[rows] - y), kind="stable")]
        elif "updated_at" in self.images:
            changed = self.images["updated_at"].to_numpy(dtype="datetime64[us]").astype("int64")
            rows = rows[np.argsort(-changed[rows], kind="stable")]
        return [int(row) for row in rows[:limit]]

    def item(self, row: int, api: str, *, whole: bool = True) -> dict[str, Any]:
        """
        Return an image as a STAC item.

        Parameters
        ----------
        row
            Its row.
        api
            Address of the API, for links.
        whole
            With its status and visibility, which search results do not have.
        """
        id_, sequence = self.ids[row], self.value(row, "sequence_id")
        picture = f"{api}/pictures/{id_}"
        item: dict[str, Any] = {
            "assets": {
                name: {
                    "description": description, "href": f"{picture}/{name}.jpg", "roles": [role], "title": title,
                    "type": "image/jpeg",
                }
                for name, (role, title, description) in ASSETS.items()
            },
            "collection": sequence,
            "geometry": None,
            "id": id_,
            "links": self._links(row, api),
            "properties": self._properties(row, picture),
            "providers": [],
            "stac_extensions": [
                "https://stac-extensions.github.io/view/v1.0.0/schema.json",
                "https://stac-extensions.github.io/perspective-imagery/v1.0.0/schema.json",
            ],
            "stac_version": "1.0.0",
            "type": "Feature",
        }  # fmt: skip
        if math.isfinite(self.lon[row]) and math.isfinite(self.lat[row]):
            lon, lat = round(float(self.lon[row]), 9), round(float(self.lat[row]), 9)
            item["geometry"] = {"coordinates": [lon, lat], "type": "Point"}
            item["bbox"] = [lon, lat, lon, lat]
        who = {"id": self.value(row, "creator_id"), "name": self.value(row, "creator")}
        who = {name: value for name, value in who.items() if value is not None}
        if who:
            item["providers"] = [{**who, "roles": ["producer"]}]
        if self.is_pano(row):
            item["asset_templates"] = {
                "tiles": {
                    "description": "Highest resolution available of this picture, as tiles",
                    "href": f"{picture}/tiled/{{TileCol}}_{{TileRow}}.jpg", "roles": ["data"],
                    "title": "HD tiled picture", "type": "image/jpeg",
                }
            }  # fmt: skip
        if whole:
            item["properties"] |= {"geovisio:status": "ready", "geovisio:visibility": "anyone"}
        return item

    def _links(self, row: int, api: str) -> list[dict[str, Any]]:
        sequence = self.value(row, "sequence_id")
        collection = api if sequence is None else f"{api}/collections/{sequence}"
        own = f"{api}/pictures/{self.ids[row]}" if sequence is None else f"{collection}/items/{self.ids[row]}"
        links: list[dict[str, Any]] = [
            {"href": f"{api}/", "rel": "root", "title": "Instance catalog", "type": "application/json"},
            {"href": collection, "rel": "parent", "type": "application/json"},
            {"href": own, "rel": "self", "type": "application/geo+json"},
            {"href": collection, "rel": "collection", "type": "application/json"},
        ]
        licence, url = self.value(row, "licence"), self.value(row, "licence_url")
        if url is not None:
            links.append({"href": url, "rel": "license", "title": f"License for this object ({licence})"})
        if (instance := self.value(row, "instance")) is not None:
            links.append({"href": api, "rel": "via", "instance_name": instance})
        for relation, other in (("next", row + 1), ("prev", row - 1)):
            if 0 <= other < len(self.ids) and sequence is not None and self.value(other, "sequence_id") == sequence:
                href = f"{collection}/items/{self.ids[other]}"
                links.append({"href": href, "id": self.ids[other], "rel": relation, "type": "application/geo+json"})
        return links

    def _properties(self, row: int, picture: str) -> dict[str, Any]:
        said: dict[str, Any] = {
            "annotations": [],
            "collection": {"semantics": []},
            "datetime": _moment(self.value(row, "captured_at")),
            "datetimetz": _moment(self.value(row, "captured_at")),
            "created": _moment(self.value(row, "created_at")),
            "updated": _moment(self.value(row, "updated_at")),
            "view:azimuth": self._heading(row),
            "exif": self._exif(row),
            "geovisio:image": f"{picture}/hd.jpg",
            "geovisio:thumbnail": f"{picture}/thumb.jpg",
            "geovisio:rank_in_collection": self.rank(row),
            "semantics": [],
        }
        said |= {name: _number(self.value(row, column)) for column, name in NUMBERS.items()}
        camera = {
            "camera_manufacturer": self.value(row, "make"),
            "camera_model": self.value(row, "model"),
            "field_of_view": PANORAMA if self.is_pano(row) else _number(self.value(row, "field_of_view")),
        }
        camera = {name: value for name, value in camera.items() if value is not None}
        width, height = self.value(row, "width"), self.value(row, "height")
        if width is not None and height is not None:
            camera["sensor_array_dimensions"] = [int(width), int(height)]
        if camera:
            said["pers:interior_orientation"] = camera
        return {name: value for name, value in said.items() if value is not None}

    def _heading(self, row: int) -> int | None:
        degrees = self.value(row, "compass_angle")
        return None if degrees is None else round(degrees) % 360

    def _exif(self, row: int) -> dict[str, str]:
        exif = {}
        degrees, source = self.value(row, "compass_angle"), self.value(row, "compass_source")
        if degrees is not None and source != "computed":
            # A direction that cannot be read leaves it unknown whether the heading was measured.
            exif["Exif.GPSInfo.GPSImgDirection"] = f"{round(degrees * 100)}/100" if source == "measured" else "0/0"
        if (metres := self.value(row, "altitude")) is not None:
            height = Fraction(abs(metres)).limit_denominator(10_000)
            exif["Exif.GPSInfo.GPSAltitude"] = f"{height.numerator}/{height.denominator}"
            exif["Exif.GPSInfo.GPSAltitudeRef"] = "1" if metres < 0 else "0"
        if (orientation := self.value(row, "exif_orientation")) is not None:
            exif["Exif.Image.Orientation"] = str(int(orientation))
        return exif

    def collection(self, sequence: str, api: str) -> dict[str, Any]:
        """
        Return a sequence as a STAC collection.

        Parameters
        ----------
        sequence
            Its id, one of `sequences`.
        api
            Address of the API, for links.
        """
        rows = self.sequences[sequence]
        own = f"{api}/collections/{sequence}"
        lon, lat = self.lon[rows], self.lat[rows]
        times = [time for row in rows if (time := self.value(row, "captured_at")) is not None]
        producers = {self.value(row, "creator_id"): self.value(row, "creator") for row in rows}
        licences = {self.value(row, "licence") for row in rows}
        found: dict[str, Any] = {
            "description": "A sequence of geolocated pictures",
            "extent": {
                "spatial": {"bbox": [[float(side) for side in (lon.min(), lat.min(), lon.max(), lat.max())]]},
                "temporal": {"interval": [[_moment(min(times)), _moment(max(times))] if times else [None, None]]},
            },
            "id": sequence,
            "links": [
                {"href": f"{own}/items", "rel": "items", "type": "application/geo+json"},
                {"href": f"{api}/", "rel": "root", "type": "application/json"},
                {"href": own, "rel": "self", "type": "application/json"},
            ],
            "providers": [
                {"id": user, "name": name, "roles": ["producer"]}
                for user, name in producers.items()
                if user is not None
            ],
            "stac_version": "1.0.0",
            "stats:items": {"count": len(rows)},
            "title": sequence,
            "type": "Collection",
        }
        return {**found, "license": licences.pop()} if len(licences) == 1 and None not in licences else found

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """
        Return a vector tile, not compressed; empty where there is nothing.

        Parameters
        ----------
        zoom, x, y
            Zoom and position of the tile, y from the north; zoom 0 to 15.
        """
        key = (zoom, x, y)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= TILES_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = self._encode(*key)
            return self._kept[key]

    def _encode(self, zoom: int, x: int, y: int) -> bytes:
        import mapbox_vector_tile

        layers = {"sequences": self._in_tile(zoom, x, y) if zoom >= SEQUENCES_FROM else []}
        if zoom == ZOOM:
            layers["pictures"] = self._pictures(x, y)
        full = [{"name": name, "features": features} for name, features in layers.items() if features]
        if not full:
            return b""
        encoded: bytes = mapbox_vector_tile.encode(full, default_options={"y_coord_down": True, "extents": EXTENT})
        return encoded

    def _pictures(self, x: int, y: int) -> list[dict[str, Any]]:
        import shapely

        # A picture is in the tile of its exact position; it may be rounded to the edge.
        rows = self._tiles.get((x, y), [])
        units = np.round((self._places[rows] * 2**ZOOM - np.array([x, y])) * EXTENT)
        points: Objects = np.asarray(shapely.points(units)) if rows else np.empty(0, dtype=object)
        return [
            {"id": number, "geometry": point, "properties": self._of_picture(row)}
            for number, (point, row) in enumerate(zip(points, rows, strict=True))
        ]

    def _of_picture(self, row: int) -> dict[str, Any]:
        sequence = self.value(row, "sequence_id")
        said = {
            "id": self.ids[row],
            "ts": _tile_time(self.value(row, "captured_at")),
            "heading": self._heading(row),
            "account_id": self.value(row, "creator_id"),
            "type": "equirectangular" if self.is_pano(row) else "flat",
            "model": self._model(row),
            "gps_accuracy": self.value(row, "gps_accuracy_m"),
            "h_pixel_density": _number(self.value(row, "pixel_density")),
            "sequences": None if sequence is None else json.dumps([sequence]),
            "first_sequence": sequence,
        }
        return {name: value for name, value in said.items() if value is not None}

    def _model(self, row: int) -> str:
        return " ".join(str(word) for name in ("make", "model") if (word := self.value(row, name)))

    def _in_tile(self, zoom: int, x: int, y: int) -> list[dict[str, Any]]:
        """Return the part of each sequence's line that lies in a tile."""
        import shapely

        lines, starts = self._lines
        corner, side = np.array([x, y]), 1 / 2**zoom
        near = np.flatnonzero(shapely.intersects(lines, shapely.box(*(corner * side), *((corner + 1) * side))))
        scaled = shapely.transform(lines[near], lambda places: (places / side - corner) * EXTENT)
        features: list[dict[str, Any]] = []
        for part, row in zip(shapely.clip_by_rect(scaled, 0, 0, EXTENT, EXTENT), starts[near].tolist(), strict=True):
            if (line := in_whole_units(part)) is not None:
                whole = self._of_picture(row)
                said: dict[str, Any] = {name: whole[name] for name in OF_SEQUENCES if name in whole}
                said["id"] = whole["first_sequence"]
                if "ts" in whole:
                    said["date"] = whole["ts"][:10]
                features.append({"id": len(features), "geometry": line, "properties": said})
        return features


def _groups(values: Iterable[Any]) -> dict[Any, list[int]]:
    """Return the rows of each value, in their order; those of None are left out."""
    groups: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        if value is not None:
            groups.setdefault(value, []).append(row)
    return groups


def _moment(time: Any) -> str | None:
    """Return a time as an item has it."""
    return None if time is None else str(time.isoformat())


def _tile_time(time: Any) -> str | None:
    """Return a time as PostgreSQL writes it: fractions without zeros at their end, and an offset without minutes."""
    if time is None:
        return None
    text = time.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}+00"


def _number(value: Any) -> Any:
    """Return a number without a point if it is whole, and a text as it is; None for a missing value."""
    return int(value) if isinstance(value, float | int | np.number) and float(value).is_integer() else value
