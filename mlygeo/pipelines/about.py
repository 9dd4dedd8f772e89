"""The versions of mlygeo and what it stands on, for bug reports."""

from __future__ import annotations

import platform
import re
from typing import Any, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.versions import LIBRARIES, libraries, version_of


@public
def info(*, packages: Literal["ours", "all"] = "ours") -> Job[dict[str, Any]]:
    """
    Show the versions of mlygeo, Python and their libraries, for bug reports.

    Paths, names and tokens of this computer are not shown.

    Parameters
    ----------
    packages
        "ours": the packages that mlygeo requires. "all": all installed packages.

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
        **libraries(*LIBRARIES),
        "packages": _of_everything() if packages == "all" else _of_ours(),
    }
    return Job(lambda: versions, versions, "versions of mlygeo and what it stands on", text=lambda: _listed(versions))


def _of_ours() -> dict[str, str]:
    """Return the versions of mlygeo's dependencies, with those of extras."""
    from importlib import metadata

    wanted = (re.match(r"[A-Za-z0-9_.-]+", line) for line in metadata.requires("mlygeo") or [])
    names = {match[0] for match in wanted if match} - {"mlygeo"}
    return {name: version_of(name) for name in sorted(names, key=str.lower)}


def _of_everything() -> dict[str, str]:
    from importlib import metadata

    found = {str(package.metadata["Name"]): package.version for package in metadata.distributions()}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _listed(summary: dict[str, Any]) -> str:
    rows = [(name, value) for name, value in summary.items() if name != "packages"]
    rows += summary["packages"].items()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
