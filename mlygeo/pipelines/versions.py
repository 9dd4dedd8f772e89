"""Versions, for bug reports."""

from __future__ import annotations

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
    import platform

    if packages not in {"ours", "all"}:
        raise InputError(f"packages is ours or all, not {packages!r}")
    versions = {
        "mlygeo": version(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_libraries(),
        "packages": _of_everything() if packages == "all" else _of_ours(),
    }
    return Job(lambda: versions, versions, "versions of mlygeo and what it stands on", text=lambda: _listed(versions))


def line() -> str:
    """Return the output of `mlygeo --version`: the versions of mlygeo and the most important libraries."""
    libraries = _libraries()
    return f"mlygeo, version {version()} (" + ", ".join(f"{name} {libraries[name]}" for name in CHIEF) + ")"


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
