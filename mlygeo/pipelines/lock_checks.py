"""What differs today from what the lock of a selection says: its inputs, tiles, versions and files."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlygeo import places
from mlygeo.errors import FileError, FormatError, MlygeoError
from mlygeo.pipelines import selection_lock, versions
from mlygeo.pipelines.job import version
from mlygeo.pipelines.own_files import SELECTION, SUMMARY
from mlygeo.progress import counted, working

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

log = logging.getLogger("mlygeo.pipelines")

MOST_SHOWN = 5
"""Differences that an error names."""

Kind = Literal["lock", "option", "software", "region", "input", "tile", "output", "image"]
"""What a difference is in."""

Change = Literal["gone", "moved", "changed", "new"]
"""How it differs."""


@dataclass(frozen=True)
class Difference:
    """
    Something that differs from what a lock says.

    Parameters
    ----------
    kind
        What it is.
    name
        Its name: of a file, an option, a package, an image.
    change
        How it differs.
    detail
        More, in words.
    """

    kind: Kind
    name: str
    change: Change
    detail: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.kind:<8}  {self.name}: {self.change}{f', {self.detail}' if self.detail else ''}"


@dataclass(frozen=True)
class Compared:
    """
    What was compared with a lock.

    Parameters
    ----------
    differences
        What differs.
    counts
        How many things of each kind were compared.
    not_compared
        Why some were not, by name.
    """

    differences: list[Difference]
    counts: dict[str, int]
    not_compared: dict[str, str]


@working("comparing with the lock")
def compared(file: Path, content: Mapping[str, Any], *, outputs: bool = True) -> Compared:
    """
    Compare all that is on this machine with what a lock says; the network is not asked.

    Parameters
    ----------
    file
        The lock.
    content
        Its content.
    outputs
        Whether the files of the selection are compared, too.
    """
    found: list[Difference] = []
    not_compared: dict[str, str] = {}
    found += [Difference("lock", name, "changed", f"{file.name} was edited") for name in selection_lock.edited(content)]
    found += _software(content["software"])
    for name, facts in content["inputs"].items():
        for each in facts.get("files", [facts]):
            if (why := _why_not(each)) is not None:
                not_compared[name] = why
            else:
                found += _input(name, each, file.parent)
    regions = 0
    if (source := (content["region"] or {}).get("source")) is not None:
        if (why := _why_not(source)) is not None:
            not_compared["region"] = why
        else:
            regions = 1
            found += _region(source, content, file.parent)
    tiles = 0
    for who, facts in content["tiles"].items():
        tiles += len(facts["files"])
        found += _tiles(who, facts, file.parent)
    inputs = len(content["inputs"]) - len(not_compared.keys() - {"region"})
    counts = {**({"regions": regions} if regions else {}), "inputs": inputs, "tiles": tiles}
    if outputs:
        found += [each for name, facts in content["outputs"].items() for each in output(name, facts, file.parent)]
        counts["outputs"] = len(content["outputs"])
    return Compared(found, counts, not_compared)


def options_again(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return the options of `select` by which the selection of a lock is made again, and the content of the lock.

    Parameters
    ----------
    path
        The lock, or its folder.

    Raises
    ------
    FileError
        If inputs or tiles are gone, moved or changed, could not be fetched then, or were not in files.
    FormatError
        If it is not a lock, or was edited.
    """
    file, content = selection_lock.read(path)
    found = compared(file, content, outputs=False)
    # The shape of the region stands in the lock itself.
    against = [str(each) for each in found.differences if each.kind not in {"software", "region"}]
    against += [f"{name}: {why}" for name, why in found.not_compared.items() if "in memory" in why]
    failed = [name for facts in content["tiles"].values() for name in facts["failed"]]
    if failed:
        against.append(f"{counted(len(failed), 'tile')} could not be fetched then: {', '.join(failed[:3])}")
    if against:
        more = f"; and {counted(len(against) - MOST_SHOWN, 'other')}" if len(against) > MOST_SHOWN else ""
        said = "; ".join(" ".join(each.split()) for each in against[:MOST_SHOWN])
        raise FileError(
            f"the selection of {file.name} cannot be made again: {said}{more}",
            hint="restore what was changed; 'mlygeo verify --offline' lists all of it",
        )
    for each in found.differences:
        if each.kind == "region":
            log.warning("%s is %s since; the region is that of the lock", each.name, each.change)
        else:
            log.warning("%s is %s", each.name, each.detail)
    options = dict(content["options"])
    for name, facts in content["inputs"].items():
        options[name] = _value(facts, file.parent)
    caches = {str(places.located(facts["folder"], file.parent)) for facts in content["tiles"].values()}
    if len(caches) == 1:
        options["tile_cache"] = caches.pop()
    options["region"] = selection_lock.region_of(content, file.parent)
    return options, content


def _value(facts: Mapping[str, Any], folder: Path) -> Any:
    """Return the value of an option that names an input; None for what is asked for by default."""
    if "files" in facts:
        return [_value(each, folder) for each in facts["files"]]
    if "service" in facts:
        return None
    if "address" in facts:
        return facts["address"]
    path = places.located(facts["path"], folder)
    return f"{path}:{facts['layer']}" if "layer" in facts else str(path)


def _software(then: Mapping[str, str]) -> Iterator[Difference]:
    now = versions.software(shapes="GEOS" in then)
    for name, before in then.items():
        if now.get(name) != before:
            yield Difference("software", name, "changed", f"{before} then, {now.get(name, 'not installed')} now")


def _why_not(facts: Mapping[str, Any]) -> str | None:
    """Return why an input cannot be compared; None where it can."""
    if "service" in facts:
        return f"it came from {facts['service']}, which tells others at any time"
    if "frame" in facts:
        return "it was a frame in memory"
    return f"it lies at {facts['address']}" if "address" in facts else None


def _input(name: str, facts: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    path = places.located(facts["path"], folder)
    shown = f"{name} ({path.name})"
    if "number_of_files" in facts:
        yield from _files(shown, path, facts)
    elif path.is_file():
        yield from _bytes("input", shown, path, facts)
    else:
        yield _not_there("input", shown, path, facts, folder)


def _not_there(kind: Kind, name: str, path: Path, facts: Mapping[str, Any], folder: Path) -> Difference:
    beside = _moved(path.name, facts, (folder, folder.parent, Path.cwd(), path.parent.parent))
    return Difference(kind, name, "gone" if beside is None else "moved", _path_now(path, beside))


def _region(facts: Mapping[str, Any], content: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    """Yield the difference between the file of a region and what is said of it; a box counts, not its file."""
    path = places.located(facts["path"], folder)
    shown = f"region ({path.name})"
    if not path.is_file():
        yield _not_there("region", shown, path, facts, folder)
        return
    is_of_config = "wkb" not in content["region"]
    for each in _bytes("region", shown, path, facts):
        is_alike = None if facts["buffered"] else _is_alike(path, facts, content)
        if not (is_of_config and is_alike):
            said = "" if is_alike is None else "the same area; " if is_alike else "another area; "
            yield replace(each, detail=said + each.detail)


def _is_alike(path: Path, facts: Mapping[str, Any], content: Mapping[str, Any]) -> bool | None:
    """Return whether a file has the region of a lock; None where it has none any more."""
    from mlygeo.regions import as_region

    then = selection_lock.region_of(content, path.parent)
    try:
        now = as_region(f"{path}:{facts['layer']}" if "layer" in facts else path)
    except MlygeoError:
        return None
    return then is not None and then.bounds == now.bounds and bool(then.geometry.equals(now.geometry))


def _path_now(path: Path, now: Path | None) -> str:
    return (
        f"there is no {path.name} in {path.parent.name or path.parent}" if now is None else f"it lies in {now.parent}"
    )


def _moved(name: str, facts: Mapping[str, Any], folders: tuple[Path, ...]) -> Path | None:
    """Return where the same file lies now: beside the lock, above it, or in the current folder."""
    paths = (folder / name for folder in folders)
    return next((path for path in paths if selection_lock.is_same(path, facts)), None)


def _bytes(kind: Kind, name: str, path: Path, facts: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the difference between a file that is there and what is said of it."""
    try:
        if selection_lock.is_same(path, facts):
            return
        status = path.stat()
    except OSError as error:
        yield Difference(kind, name, "gone", f"it cannot be read: {error.strerror or error}")
        return
    then, now = facts["bytes"], status.st_size
    moment = datetime.fromtimestamp(status.st_mtime, UTC)
    many = "other bytes of the same number" if now == then else f"{then:,} bytes then, {now:,} now"
    yield Difference(kind, name, "changed", f"{many}; written {moment:%Y-%m-%d %H:%M} UTC")


def _files(name: str, path: Path, facts: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the difference between the files of a folder or a pattern and what is said of them."""
    from mlygeo import arrays
    from mlygeo.store.datasets import files, verifying

    kind: Kind = "output" if name == SELECTION else "input"
    try:
        listing = files.listed(path)
        now = selection_lock.files_digest(listing)
        if any(facts.get(each) != value for each, value in now.items()):
            number = len(listing.files)
            said = (
                "" if number == facts["number_of_files"] else f"{facts['number_of_files']:,} files then, {number:,} now"
            )
            yield Difference(kind, name, "changed", said or "its files are others")
        elif listing.index is not None:
            verifying.verify(listing, threads=arrays.workers())
    except FormatError as error:
        yield Difference(kind, name, "changed", str(error))
    except FileError as error:
        yield Difference(kind, name, "gone", str(error))


def _tiles(who: str, facts: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    cache = places.located(facts["folder"], folder)
    names = list(facts["files"])

    def differing(name: str) -> list[Difference]:
        path = cache / name
        if not path.is_file():
            return [Difference("tile", name, "gone", f"of {who}")]
        newer = cache / f"{name}.mvt"
        if not path.suffix and newer.is_file():  # it is read in its place
            return [Difference("tile", name, "changed", f"{newer.name} lies beside it, and is read instead")]
        return [*_bytes("tile", name, path, facts["files"][name])]

    with ThreadPoolExecutor() as pool:
        for several in pool.map(differing, names):
            yield from several
    for name in facts["failed"]:
        if any((cache / each).is_file() for each in (name, f"{name}.mvt")):
            yield Difference("tile", name, "new", "it could not be fetched then")


def output(name: str, facts: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    """Yield the difference between a file of a selection, or its parts, and what is said of it."""
    path = folder / name
    if "number_of_files" in facts:
        yield from _files(name, path, facts)
    elif not path.is_file():
        yield Difference("output", name, "gone")
    elif name == SUMMARY:
        try:
            summary = json.loads(path.read_bytes())
        except ValueError:
            yield Difference("output", name, "changed", "it is damaged")
            return
        if not isinstance(summary, dict) or selection_lock.sha256_of_facts(summary) != facts["sha256_of_facts"]:
            yield Difference("output", name, "changed", "its facts are others")
    else:
        yield from _bytes("output", name, path, facts)


def summed(found: Compared) -> dict[str, Any]:
    """Return what was compared, and what differs, as JSON."""
    by_kind: dict[str, int] = {}
    for each in found.differences:
        by_kind[each.kind] = by_kind.get(each.kind, 0) + 1
    return {
        "compared": found.counts,
        "not_compared": found.not_compared,
        "differences": [dict(vars(each)) for each in found.differences],
        "differing": by_kind,
        "version": version(),
    }


def headline(found: Compared) -> str:
    """Return what was compared, and what differs, in a sentence."""
    said = ", ".join(counted(number, kind.removesuffix("s")) for kind, number in found.counts.items() if number)
    text = f"{said or 'nothing'} compared; "
    number = len(found.differences)
    text += counted(number, "difference") if number else "nothing has changed"
    return text + "".join(f"; not compared: {name}, for {why}" for name, why in found.not_compared.items())
