"""Versions of what computes a result, and of all that is below."""

from __future__ import annotations

import platform
import sys

import mlygeo

CHIEF = ("GDAL", "PROJ", "GEOS")
"""The libraries that `--version` names."""


def line() -> str:
    """Return the output of `mlygeo --version`: the versions of mlygeo and the most important libraries."""
    named = ", ".join(f"{name} {found}" for name, found in libraries(*CHIEF).items())
    return f"mlygeo, version {mlygeo.__version__} ({named})"


def software(*, shapes: bool) -> dict[str, str]:
    """
    Return the versions of what computes a result: the part of `info` that summaries record.

    Parameters
    ----------
    shapes
        Whether lines or areas take part, so that GEOS computes too; it is not loaded to name a version.
    """
    import numpy as np
    import pyarrow as pa

    return {
        "mlygeo": mlygeo.__version__,
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "geopandas": version_of("geopandas"),
        "pyarrow": pa.__version__,
        **libraries("PROJ", *["GEOS"] * shapes),
    }


def libraries(*names: str) -> dict[str, str]:
    """Return the versions of some of `LIBRARIES`."""
    return {name: LIBRARIES[name]() for name in names}


def _gdal() -> str:
    import pyogrio

    return str(pyogrio.__gdal_version_string__)


def _proj() -> str:
    import pyproj

    return str(pyproj.proj_version_str)


def _epsg() -> str:
    from pyproj.database import get_database_metadata

    return get_database_metadata("EPSG.VERSION") or "unknown"


def _geos() -> str:
    import shapely

    return str(shapely.geos_version_string)


def _arrow() -> str:
    import pyarrow as pa

    return str(pa.cpp_version)


def _ffmpeg() -> str:
    try:
        import av
    except ImportError:
        return "not installed"
    return str(av.ffmpeg_version_info)


def _sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version


def _encoding() -> str:
    return "yes" if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else str(sys.stdout.encoding)


LIBRARIES = {
    "GDAL": _gdal,
    "PROJ": _proj,
    "EPSG": _epsg,
    "GEOS": _geos,
    "Arrow": _arrow,
    "FFmpeg": _ffmpeg,
    "SQLite": _sqlite,
    "UTF-8": _encoding,
}
"""What is below mlygeo -> how its version is found; each loads no more than itself."""


def version_of(name: str) -> str:
    """Return the version of an installed package."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
