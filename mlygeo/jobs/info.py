"""The job of telling versions, for bug reports."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, version

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.progress import Progress


def info(*, packages: str, progress: Progress | None = None) -> Job[Any]:  # noqa: ARG001 - it takes no time
    """Do what `mlygeo.info` says."""
    summary = facts(packages=packages)
    return Job(_no_frame, summary, "versions of mlygeo and what it stands on", text=lambda: _listed(summary))


def facts(*, packages: str) -> dict[str, Any]:
    """Return the versions; no path, name or token of the machine is among them."""
    import platform

    if packages not in {"ours", "all"}:
        raise InputError(f"packages is ours or all, not {packages!r}")
    return {
        "mlygeo": version(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_libraries(),
        "packages": _of_everything() if packages == "all" else _of_ours(),
    }


def line() -> str:
    """Return what `mlygeo --version` prints: mlygeo, and the libraries that most answers depend on."""
    libraries = _libraries()
    return f"mlygeo, version {version()} (" + ", ".join(f"{name} {libraries[name]}" for name in CHIEF) + ")"


CHIEF = ("GDAL", "PROJ", "GEOS")
"""The libraries that `--version` names."""


def _libraries() -> dict[str, str]:
    import sqlite3

    import pyarrow as pa
    import pyogrio
    import pyproj
    import shapely
    from pyproj.database import get_database_metadata

    return {
        "GDAL": pyogrio.__gdal_version_string__,
        "PROJ": pyproj.proj_version_str,
        "EPSG": get_database_metadata("EPSG.VERSION") or "unknown",
        "GEOS": shapely.geos_version_string,
        "Arrow": pa.cpp_version,
        "FFmpeg": _ffmpeg(),
        "SQLite": sqlite3.sqlite_version,
        "UTF-8": "yes" if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else str(sys.stdout.encoding),
    }


def _ffmpeg() -> str:
    try:
        import av
    except ImportError:
        return "not installed"
    return str(av.ffmpeg_version_info)


def _of_ours() -> dict[str, str]:
    """Return the versions of what mlygeo asks for, with its extras."""
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


def _no_frame() -> gpd.GeoDataFrame:
    raise InputError("versions are no frame", hint="use mlygeo.info()")
