"""Versions, for bug reports."""

from __future__ import annotations

from typing import Any, Literal


def info(*, packages: Literal["ours", "all"] = "ours") -> dict[str, Any]:
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
    from mlygeo.jobs import info as jobs

    return jobs.facts(packages=packages)
