"""Optional packages: which extra brings them, and the command that installs it where mlygeo runs."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlygeo.errors import DependencyError
from mlygeo.systems import WINDOWS, quoted

if TYPE_CHECKING:
    from importlib.metadata import Distribution

CONDA_NAMES = {
    "osmium": "pyosmium",
    "h3": "h3-py",
    "psycopg[binary]": "psycopg",
    "dask[distributed]": "dask distributed",
}
"""Packages that conda-forge has under another name."""


def missing(what: str, extra: str) -> DependencyError:
    """
    Return the error that says what needs a package, and how to install it.

    Parameters
    ----------
    what
        What needs which package, such as "pictures need Matplotlib".
    extra
        The extra of mlygeo that brings it, such as "plot".
    """
    return DependencyError(f"{what}, which is not installed", hint=install_hint(extra))


def install_hint(extra: str) -> str:
    """
    Return the command that installs an extra here, into the environment in which mlygeo runs.

    It goes by who installed mlygeo (pip, uv, pipx, conda) and from where (a clone, a wheel, an index), as the
    metadata of the installation say: PEP 376 (INSTALLER) and PEP 610 (direct_url.json).

    Parameters
    ----------
    extra
        An extra of mlygeo, such as "plot".
    """
    found = _distribution()
    if found is None:  # a clone that nobody installed
        return f"pip install '.[{extra}]', in the clone of mlygeo"
    installer = (found.read_text("INSTALLER") or "").strip()
    if installer == "conda" or (Path(sys.prefix) / "conda-meta").is_dir():
        named = [CONDA_NAMES.get(name, name) for name, _ in _packages(found, extra)]
        return f"conda install -c conda-forge {' '.join(named)}"
    packages = shlex.join(f"{name}{floor}" for name, floor in _packages(found, extra))
    if (Path(sys.prefix) / "pipx_metadata.json").exists():
        return f"pipx inject mlygeo {packages}"
    editable, source = _source(found)
    # Where its clone or its wheel is gone, the packages themselves.
    words = packages if source is None else f"{'-e ' if editable else ''}{quoted(_with_extra(source, extra))}"
    if (Path(sys.prefix) / "uv-receipt.toml").exists():
        return f"uv tool install {words}"
    return f"{'uv pip' if installer == 'uv' else 'pip'} install {words}"


def _distribution() -> Distribution | None:
    from importlib import metadata

    try:
        return metadata.distribution("mlygeo")
    except metadata.PackageNotFoundError:
        return None


def _packages(found: Distribution, extra: str) -> list[tuple[str, str]]:
    """Return the packages of an extra, each with its floor."""
    needed = [line.partition(";") for line in found.requires or ()]
    lines = [name.strip() for name, _, marker in needed if marker.replace("'", '"').strip() == f'extra == "{extra}"']
    return [match.groups() for line in lines if (match := re.fullmatch(r"([\w.-]+(?:\[[\w,-]+\])?)(.*)", line))]  # type: ignore[misc]


def _source(found: Distribution) -> tuple[bool, str | None]:
    """Return whether mlygeo is installed in place, and what it was installed from; None where that is gone."""
    text = found.read_text("direct_url.json")
    if text is None:
        return False, "mlygeo"
    said = json.loads(text)
    url, editable = str(said["url"]), bool(said.get("dir_info", {}).get("editable"))
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(unquote(parts.path).removeprefix("/") if WINDOWS else unquote(parts.path))
        if not path.exists():
            return False, None
        here = Path.cwd()
        return editable, "." if path == here else str(path)
    vcs = said.get("vcs_info")
    return False, f"mlygeo @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f"mlygeo @ {url}"


def _with_extra(source: str, extra: str) -> str:
    name, at, url = source.partition(" @ ")
    return f"{name}[{extra}]{at}{url}"
