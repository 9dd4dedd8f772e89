"""What a caller gives for a region: numbers, shapes, texts, paths and options -> a `Region`."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from mlygeo.errors import RegionError
from mlygeo.regions.region import Region, from_parts
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.config import Config

log = logging.getLogger("mlygeo.regions")

FORMS = (
    "give west, south, east, north in degrees, a shapely polygon, a frame or GeoJSON of polygons, or the path of a file"
)

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)

WKT = re.compile(r"\s*((MULTI)?(POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION)\b[\sZM]*(\(|EMPTY)", re.IGNORECASE)


def as_region(value: Any, *, buffer: float | None = None) -> Region:
    """
    Return the region that a caller means.

    Parameters
    ----------
    value
        A `Region`; four numbers west, south, east, north, or a text of them; shapes: a shapely geometry, a
        frame, a series, GeoJSON, WKT, or several of them; or the path of a configuration file (.json, .toml) or
        of a vector file, `file.gpkg:layer` for one of several layers.
    buffer
        Metres around it that belong to the region; with a buffer lines and points are regions, too.

    Raises
    ------
    RegionError
        If it is none of these, covers no area, or its area is in doubt.
    FileError
        If there is no such file, or it cannot be read.
    """
    if isinstance(value, Configured):
        if value.region is None:
            raise RegionError(f"no region in {value.config.path.name}", hint="give `region`")
        value = value.region
    if isinstance(value, Region):
        return value if buffer is None else value.buffered(buffer)
    if isinstance(value, str):
        return _of_text(value, buffer)
    if isinstance(value, os.PathLike):
        return _of_path(os.fsdecode(value), buffer)
    if (sides := _numbers(value)) is not None:
        if len(sides) != 4:
            raise RegionError(f"{_shown(value)} has {len(sides)} numbers, and a region has four", hint=boxes.FORM)
        box = Region.from_bbox(*sides)
        return box if buffer is None else box.buffered(buffer)
    if (
        value is None
        or getattr(value, "ndim", 1) == 0
        or isinstance(value, Real | complex | np.generic | bytes | bytearray | set | frozenset)
    ):
        raise RegionError(f"{_shown(value)} is not a region", hint=FORMS)
    return Region.from_geometry(value, buffer=buffer)


def settle(value: Any) -> tuple[Region | None, Config | None]:
    """Return the region that a caller means, and its configuration where it came from one."""
    if value is None:
        return None, None
    if isinstance(value, Configured):
        return value.region, value.config
    if isinstance(value, str | os.PathLike) and Path(value).suffix.lower() in {".json", ".toml"}:
        path = Path(value).expanduser()
        if not _is_geojson(path):
            from mlygeo import config

            settings = config.load(path)
            return from_parts(config=settings), settings
    return as_region(value), None


@dataclass(frozen=True)
class Configured:
    """A region, and the configuration that it came from or goes with; a configuration may name none."""

    region: Region | None
    config: Config


class Shape(Protocol):
    """A geometry, such as one of shapely, or a GeoSeries."""

    @property
    def __geo_interface__(self) -> Mapping[str, Any]:
        """The geometry as GeoJSON has it."""


RegionLike: TypeAlias = (
    "Region | Configured | str | os.PathLike[str] | Sequence[float] | Shape | gpd.GeoDataFrame | Mapping[str, object]"
)
"""What stands for a region in a call: a `Region`, a bounding box, shapes, or the path of a file."""


def _is_geojson(path: Path) -> bool:
    import json

    if path.suffix.lower() != ".json":
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "type" in content


def _of_text(text: str, buffer: float | None) -> Region:
    """Return the region of a text: numbers, WKT, GeoJSON, or a path."""
    if not text.strip() or "\0" in text:
        raise RegionError(f"{_shown(text)} is not a region", hint=FORMS)
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    if all(NUMBER.fullmatch(word) for word in words) and not _exists(text):
        if len(words) != 4:
            raise RegionError(f"{_shown(text)} has {len(words)} numbers, and a region has four", hint=boxes.FORM)
        return as_region([float(word) for word in words], buffer=buffer)
    if WKT.match(text):
        import shapely

        try:
            return Region.from_geometry(shapely.from_wkt(text), buffer=buffer)
        except shapely.errors.GEOSException as error:
            raise RegionError(f"{_shown(text)} is not WKT: {' '.join(str(error).split())}") from error
    if text.lstrip().startswith("{"):
        import json

        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RegionError(f"{_shown(text)} is not GeoJSON: {error}") from error
        return Region.from_geometry(content, buffer=buffer)
    if len(text.split(",")) == 4 and any(map(NUMBER.fullmatch, words)) and not _exists(text):
        boxes.parse(text)
    return _of_path(text, buffer)


def _of_path(text: str, buffer: float | None) -> Region:
    """Return the region of a file of shapes, or of a configuration file."""
    from mlygeo.store.paths import must_be_local, must_exist, parted

    must_be_local(text, "the region")
    path, _ = parted(text)
    if not _exists(path):
        if not path.suffix and len(path.parts) == 1:
            hint = f"a place by its name is `place={text!r}`, in Python Region.from_place({text!r})"
            raise RegionError(
                f"{_shown(text)} is neither a file nor a bounding box", hint=hint if len(text) <= 60 else FORMS
            )
        if path.suffix.lower() not in {".json", ".toml"}:
            must_exist(path)
    if path.suffix.lower() in {".json", ".toml"} and not _is_geojson(path):
        from mlygeo import config

        return from_parts(config=config.load(path), buffer=buffer)
    return Region.from_file(text, buffer=buffer)


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long for a path, a home that there is not
        return False


def _numbers(value: Any) -> list[float] | None:
    """Return the numbers that something consists of; None where it is anything else."""
    if isinstance(value, str | bytes | Mapping) or not (
        isinstance(value, Sequence | np.ndarray) or hasattr(value, "iloc")
    ):
        return None
    if getattr(value, "ndim", 1) != 1 or len(value) > 100 or hasattr(value, "geom_type"):
        return None
    found = list(value)
    if not all(
        (isinstance(each, Real) and not isinstance(each, bool | np.bool_))
        or (isinstance(each, str) and NUMBER.fullmatch(each.strip()))
        for each in found
    ):
        return None
    try:
        return [float(each) for each in found]
    except OverflowError as error:
        raise RegionError(f"{_shown(value)} has a number that is not a coordinate", hint=boxes.FORM) from error


def _shown(value: Any) -> str:
    """Return a value as messages show it, in one line and not too long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # a whole number of thousands of digits
        text = f"a {type(value).__name__} of many digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
