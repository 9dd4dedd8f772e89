"""Checks of an installation and of what it reaches: packages, disk, token, services; each with what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlygeo import places, systems
from mlygeo.errors import MlygeoError, NetworkError
from mlygeo.extras import install_hint
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.options import Access

if TYPE_CHECKING:
    import pandas as pd
    from packaging.requirements import Requirement

    from mlygeo.net.http import Service
    from mlygeo.providers import Provider

    PathLike = str | os.PathLike[str]

Status = Literal["ok", "note", "problem"]
"""Result of a check: "note" for what works, but has a limit; "problem" for what stops work."""

LEAST_FREE_B = 1_000_000_000
"""Bytes of free space below which a disk is said to be almost full."""

NO_IMAGE = ("1", "00000000-0000-4000-8000-000000000000")
"""Ids in the forms of ids of providers that no image has."""

CONNECT_S, ANSWER_S = 10.0, 20.0
"""Seconds to wait for a connection, and for an answer."""

KNOWN_PLACE, KNOWN_METRES, NEAR_M = (5.387204, 52.155172), (155_000.0, 463_000.0), 1.0
"""The origin of EPSG:28992 in Amersfoort, degrees and metres, and how near PROJ has to come."""


@dataclass(frozen=True)
class Check:
    """
    The result of a check.

    Parameters
    ----------
    check
        What was checked.
    status
        Its result.
    found
        What was found.
    advice
        What to do; None where nothing is to be done.
    """

    check: str
    status: Status
    found: str
    advice: str | None = None


@public
def doctor(
    *,
    folder: PathLike = ".",
    offline: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
) -> Job[pd.DataFrame]:
    """
    Check the installation, the disk, the access token and the services, and suggest remedies.

    Nothing is changed: files made to check the disk are removed again. One request is sent to the service, which also
    shows whether it accepts the token. The token itself is never shown.

    Parameters
    ----------
    folder
        Folder that you work in; its disk is checked.
    offline
        Skip all checks that need the network.
    provider
        Provider whose service is checked: mapillary, panoramax, or one added by an installed package. Default:
        mapillary.

    Returns
    -------
    checks
        A row for each check: `check`, `status` ("ok"; "note" for what works with a limit; "problem" for what does not
        work), `found` and `advice`.

    Raises
    ------
    InputError
        If there is no such provider, or `endpoint` is given for a provider with one address.

    Examples
    --------
    >>> checks = doctor(offline=True)
    >>> checks.loc[checks["status"] == "problem", ["found", "advice"]]
    """
    access = Access(token=token, token_file=token_file, service=None, provider=provider, endpoint=endpoint)
    one = access.one
    checks = [_python(), _packages(), *_extras(), _projections(), _parquet_driver(), _kernels(), _time_zones(), _text()]
    checks += [*_disk(Path(folder).expanduser()), _cache(one)]
    service, of_token = _token(access, offline=offline)
    checks.append(of_token)
    if not offline:
        with ThreadPoolExecutor(max_workers=2) as pool:
            waiting = [pool.submit(_service, one, service), pool.submit(_openstreetmap)]
            checks += [check.result() for check in waiting]
    rows = [asdict(check) for check in checks]
    count = {status: sum(check.status == status for check in checks) for status in ("ok", "note", "problem")}
    problems = f"{count['problem']} problem{'' if count['problem'] == 1 else 's'}"
    notes = f"{count['note']} note{'' if count['note'] == 1 else 's'}"
    return Job(
        lambda: _frame(rows),
        {"checks": rows, "counts": count},
        f"{len(checks)} checks: {count['ok']} ok, {notes}, {problems}",
        failed=[check.check for check in checks if check.status == "problem"],
        text=lambda: _listed(checks),
    )


def _frame(rows: list[dict[str, str | None]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=["check", "status", "found", "advice"]).astype("str")


def _listed(checks: list[Check]) -> str:
    """Return the checks for a terminal: a line each, with the advice below it."""
    lines = []
    for check in checks:
        lines.append(f"{check.status:<7}  {check.check}: {check.found}")
        if check.advice is not None:
            lines.append(f"{'':9}-> {check.advice}")
    return "\n".join(lines)


def _python() -> Check:
    import platform

    return Check("mlygeo", "ok", f"{version()}, Python {platform.python_version()} on {platform.system()}")


def _needed() -> list[Requirement]:
    """Return what mlygeo requires, with what its extras require."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    return [Requirement(line) for line in requires("mlygeo") or ()]


def _lacking(needed: list[Requirement]) -> list[str]:
    """Return those of the required packages that are missing or too old, as requirements."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    lacking = []
    for each in needed:
        try:
            fits = each.specifier.contains(version_of(each.name), prereleases=True)
        except PackageNotFoundError:
            fits = False
        if not fits:
            lacking.append(f"{each.name}{each.specifier}")
    return lacking


def _packages() -> Check:
    needed = [each for each in _needed() if each.marker is None or each.marker.evaluate({"extra": ""})]
    lacking = _lacking(needed)
    if lacking:
        command = f"pip install {' '.join(repr(each) for each in lacking)}"
        return Check("packages", "problem", f"missing or too old: {', '.join(lacking)}", command)
    return Check("packages", "ok", f"all {len(needed)} that mlygeo requires")


def _extras() -> list[Check]:
    """Return a check for each extra."""
    by_extra: dict[str, list[Requirement]] = {}
    for each in _needed():
        if each.marker is not None and (named := re.search(r'extra == "(\w+)"', str(each.marker))):
            by_extra.setdefault(named[1], []).append(each)
    checks = []
    for extra, needed in by_extra.items():
        if extra == "all":  # which is all the others
            continue
        lacking = _lacking(needed)
        names = ", ".join(lacking or [each.name for each in needed])
        found = f"{'not installed' if lacking else 'installed'}: {names}"
        checks.append(
            Check(f"extra {extra}", "note" if lacking else "ok", found, install_hint(extra) if lacking else None)
        )
    return checks


def _projections() -> Check:
    import math

    import pyproj
    from pyproj.exceptions import ProjError

    advice = "unset PROJ_DATA and PROJ_LIB, or install pyproj again"
    try:
        to_metres = pyproj.Transformer.from_crs(4326, 28992, always_xy=True)
        x, y = to_metres.transform(*KNOWN_PLACE)
    except ProjError as error:
        return Check("PROJ", "problem", f"cannot transform coordinates: {str(error).splitlines()[0]}", advice)
    away = math.hypot(x - KNOWN_METRES[0], y - KNOWN_METRES[1])
    if not away < NEAR_M:
        return Check("PROJ", "problem", f"a known position is {away:.0f} m off in EPSG:28992", advice)
    return Check("PROJ", "ok", f"{pyproj.proj_version_str}, transforms as expected")


def _parquet_driver() -> Check:
    import pyogrio

    gdal = str(pyogrio.__gdal_version_string__)
    if "Parquet" in pyogrio.list_drivers():
        return Check("GDAL", "ok", f"{gdal}, reads GeoParquet")
    advice = "mlygeo does not need it; for programs with such a GDAL: mlygeo convert FRAME.parquet -o FRAME.gpkg"
    return Check("GDAL", "note", f"{gdal}, has no Parquet driver", advice)


def _kernels() -> Check:
    from importlib.util import find_spec

    from mlygeo import kernels

    if find_spec("numba") is None:
        return Check(
            "compiled code", "note", "Numba is not installed; large selections take longer", install_hint("speed")
        )
    if kernels.kernel(kernels.MODULES[0], 0.0, compiled=True) is None:
        advice = "set NUMBA_CACHE_DIR to a folder that can be written to"
        return Check("compiled code", "note", "Numba cannot be used; large selections take longer", advice)
    return Check("compiled code", "ok", "Numba can be used")


def _time_zones() -> Check:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        return Check("time zones", "problem", "this system has no data on time zones", "pip install tzdata")
    return Check("time zones", "ok", "known")


def _text() -> Check:
    encoding = sys.stdout.encoding or "unknown"
    if encoding.lower().replace("-", "") == "utf8":
        return Check("text", "ok", "UTF-8")
    return Check("text", "note", f"the terminal uses {encoding}; some letters cannot be shown", "set PYTHONUTF8=1")


def _disk(folder: Path) -> list[Check]:
    """Return the checks of the disk that a folder lies on: its rights and room, links, locks, case of names."""
    where = places.existing(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".mlygeo-doctor-", dir=where) as made:
            limits = [limit for limit in (_links(Path(made)), _locks(Path(made)), _case(Path(made))) if limit]
    except OSError as error:
        found = f"cannot be written to: {error.strerror or error}"
        return [Check("folder", "problem", found, "work in another folder, or name one with -o")]
    free = shutil.disk_usage(where).free
    room = f"{free / 1e9:,.1f} GB free"
    checks = [Check("folder", "ok", f"can be written to, {room}")]
    if free < LEAST_FREE_B:
        checks = [Check("folder", "problem", f"only {room}", "make room, or work on another disk")]
    if limits:
        checks.append(
            Check("file system", "note", "; ".join(limits), "nothing is lost by it; a disk of this machine is safer")
        )
    else:
        checks.append(Check("file system", "ok", "has hard links and locks, and tells a.jpg from A.jpg"))
    return checks


def _links(folder: Path) -> str | None:
    (folder / "file").write_bytes(b"")
    return None if systems.linked(folder / "link", folder / "file") else "has no hard links"


def _locks(folder: Path) -> str | None:
    from mlygeo import locks

    lock = locks.Lock(folder / "lock")
    try:
        lock.take()
    except (OSError, NotImplementedError):
        return "has no locks, so that a run on another machine is not noticed"
    lock.give_up(remove=True)
    return None


def _case(folder: Path) -> str | None:
    (folder / "case").write_bytes(b"")
    return "does not tell a.jpg from A.jpg" if (folder / "CASE").exists() else None


def _cache(provider: Provider) -> Check:
    if provider.tiles is None:
        return Check("tile cache", "ok", f"{provider.title} has no tiles")
    folder = provider.tiles.default_cache()
    if os.access(places.existing(folder), os.W_OK):
        return Check("tile cache", "ok", "can be written to")
    return Check(
        "tile cache", "problem", "the user's cache folder is not writable", "name another folder for the tile cache"
    )


def _token(access: Access, *, offline: bool) -> tuple[Service | None, Check]:
    """Return the service with its token, and the check of the token; no service where there is no token."""
    try:
        service = access.opened()
    except MlygeoError as error:
        return None, Check("token", "note" if offline else "problem", str(error), error.hint)
    if not access.one.needs_token:
        return service, Check("token", "ok", f"{access.one.title} needs none to read")
    return service, Check("token", "ok", "found")


def _service(provider: Provider, service: Service | None) -> Check:
    """Return the check of the provider's service: one request, with the token, for an image that does not exist."""
    from mlygeo.net.answers import GoneError
    from mlygeo.net.http import Retry

    name = f"service {provider.name}"
    if service is None:
        return Check(name, "note", "not asked without a token")
    key = next((key for word in NO_IMAGE if (key := provider.keys.find(word)) is not None), None)
    if provider.records is None or key is None:
        return Check(name, "note", "cannot be asked for an image by its id")
    quick = replace(
        service, retry=Retry(attempts=1), connect_timeout=CONNECT_S, read_timeout=ANSWER_S, total_timeout=2 * ANSWER_S
    )
    try:
        with provider.records.open(quick, workers=1) as session:
            session.entity(key, fields=provider.records.base_fields)
    except GoneError:  # which only a service says that accepts the token
        pass
    except NetworkError as error:
        return Check(name, "problem", str(error), "check the network; behind a proxy, name it in HTTPS_PROXY")
    except MlygeoError as error:
        return Check(name, "problem", str(error), error.hint)
    return Check(name, "ok", f"answers{', and accepts the token' if provider.needs_token else ''}")


def _openstreetmap() -> Check:
    from mlygeo import osm

    url = osm.overpass_url()
    if osm.is_reachable(url):
        return Check("OpenStreetMap", "ok", f"{url} can be reached")
    return Check("OpenStreetMap", "note", f"{url} cannot be reached", "take streets from a file, such as FILE.osm.pbf")
