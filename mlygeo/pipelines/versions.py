"""Versions: for bug reports, and of what computes a result."""

from __future__ import annotations

import platform
import re
import sys
from typing import Any, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, public, version

CHIEF = ("GDAL", "PROJ", "GEOS")
"""The libraries that `--version` names."""


@public
def info(*, packages: Literal["ours", "all"] = "ours") -> Job[dict[str, Any]]:
    """
    Tell the versions of mlygeo, Python and the libraries below, for bug reports.

    No path, name or token of the machine is among them.

    Parameters
    ----------
    packages
        "ours": the packages that mlygeo asks for. "all": every package that is installed.

    Returns
    -------
    versions
        Name and version; those of Python packages under `packages`.

    Raises
    ------
    InputError
        If `packages` is another word.

    Examples
    --------
    >>> info()["GDAL"].count(".")
    2
    """
    if packages not in {"ours", "all"}:
        raise InputError(f"packages is ours or all, not {packages!r}")
    versions = {
        "mlygeo": version(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_libraries(*LIBRARIES),
        "packages": _of_everything() if packages == "all" else _of_ours(),
    }
    return Job(lambda: versions, versions, "versions of mlygeo and what it stands on", text=lambda: _listed(versions))


def line() -> str:
    """Return the output of `mlygeo --version`: the versions of mlygeo and the most important libraries."""
    named = ", ".join(f"{name} {found}" for name, found in _libraries(*CHIEF).items())
    return f"mlygeo, version {version()} ({named})"


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
        "mlygeo": version(),
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "geopandas": _version_of("geopandas"),
        "pyarrow": pa.__version__,
        **_libraries("PROJ", *["GEOS"] * shapes),
    }


def _libraries(*names: str) -> dict[str, str]:
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


def _of_ours() -> dict[str, str]:
    """Return the versions of mlygeo's dependencies, with those of extras."""
    from importlib import metadata

    wanted = (re.match(r"[A-Za-z0-9_.-]+", line) for line in metadata.requires("mlygeo") or [])
    names = {match[0] for match in wanted if match} - {"mlygeo"}
    return {name: _version_of(name) for name in sorted(names, key=str.lower)}


def _of_everything() -> dict[str, str]:
    from importlib import metadata

    found = {str(package.metadata["Name"]): package.version for package in metadata.distributions()}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _version_of(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _listed(summary: dict[str, Any]) -> str:
    rows = [(name, value) for name, value in summary.items() if name != "packages"]
    rows += summary["packages"].items()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
