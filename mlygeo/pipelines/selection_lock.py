"""
The lock of a selection: what it was made of, by hash, and what came out, so that it can be checked and made again.

Two runs with equal inputs, options and versions of libraries write equal locks, on any Python: the time of the run is
not in it, only that of the tiles, and paths are relative to its folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, FormatError, unreadable
from mlygeo.pipelines import provenance
from mlygeo.pipelines.own_files import LOCK, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from mlygeo.arrays import Floats
    from mlygeo.pipelines.arguments import Call
    from mlygeo.pipelines.inputs import Fetching
    from mlygeo.regions import Region
    from mlygeo.store.datasets.files import Listing
    from mlygeo.store.datasets.index import Index

    Places = tuple[pa.Table, Floats, Floats]

FORM = 1
"""Version of the form of locks."""

LONGEST = 1 << 30
"""Bytes; a longer file is not a lock."""

BESIDE = frozenset({"region", "lock", "dry_run", "overwrite", "max_age", "tile_cache", *provenance.UNTOLD})
"""Options of `select` without a say in what comes out of the same inputs, or that stand elsewhere in the lock."""

NOT_FACTS = frozenset(
    {"region", "inputs", "tiles", "software", "version", "attribution", "run", "date", "filters",
     "interval_m", "method", "max_distance_m", "k", "unique", "max_heading_difference"}
)  # fmt: skip
"""Members of a summary that stand elsewhere in the lock, or not at all."""

OWN_HASHES = "sha256_of_members"
"""Member of a lock with the hashes of the others, by which an edit is noticed."""

CHOSEN = ("point_id", "id", "provider", "rank", "distance_m")
"""Columns that say what was selected."""


_expected: ContextVar[Mapping[str, Any] | None] = ContextVar("expected", default=None)
"""The lock by which a selection is being made again."""


@contextmanager
def to_agree_with(content: Mapping[str, Any]) -> Iterator[None]:
    """Have the selections that are begun in this block agree with a lock; see `Lock.check`."""
    token = _expected.set(content)
    try:
        yield
    finally:
        _expected.reset(token)


@dataclass
class Lock:
    """
    What a selection is made of, for its lock; and the lock that it is to agree with, if it is made again.

    Parameters
    ----------
    call
        What the user has called.
    region
        The region; None where points or streets say where.
    given
        Value and rows of each input, by parameter.
    fetching
        What has read the tiles; None where images were given.
    expected
        The content of the lock by which the selection is made again; None for a new one.
    """

    call: Call | None
    region: Region | None
    given: Mapping[str, tuple[Any, int]]
    fetching: list[Fetching] = field(default_factory=list)
    expected: Mapping[str, Any] | None = field(default_factory=_expected.get)

    def check(self, result: Callable[[], Mapping[str, Any]], software: Mapping[str, str]) -> None:
        """
        Raise unless a selection that is made again by a lock is that of the lock.

        Parameters
        ----------
        result
            Returns what was selected, as `result_of` does; not called where there is no lock to agree with.
        software
            Versions of what has computed it.

        Raises
        ------
        FormatError
            If it is another selection.
        """
        if self.expected is None or result() == self.expected["result"]:
            return
        others = _other_versions(self.expected["software"], software)
        raise FormatError(
            "from the same inputs and options comes another selection than that of the lock"
            + (f"; other versions: {'; '.join(others)}" if others else ""),
            hint="install the versions of the lock" if others else "'mlygeo verify' tells what was changed",
        )

    def write(
        self, folder: Path, summary: Mapping[str, Any], result: Mapping[str, Any], files: Mapping[str, Any]
    ) -> Path:
        """
        Write the lock into a folder.

        Parameters
        ----------
        folder
            The folder of the selection.
        summary
            Its summary.
        result
            What was selected: numbers of rows, and hashes.
        files
            The facts of its files, by name.

        Raises
        ------
        FormatError
            If the selection is made again by a lock, with the same versions, and its files have other bytes.
        FileError
            If an input cannot be read any more.
        """
        from mlygeo import store

        content = self.content(folder, summary, result, files)
        text = text_of(content)
        if self.expected is not None and not _other_versions(self.expected["software"], content["software"]):
            _must_agree(json.loads(text), self.expected)
        return store.write_text(text, folder / LOCK)

    def content(
        self, folder: Path, summary: Mapping[str, Any], result: Mapping[str, Any], files: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the content of the lock; the parameters are those of `write`."""
        told = {} if self.call is None else provenance.record_of(self.call, {"inputs": {}, "software": {}})
        inputs = {
            name: facts_of(value, rows, folder) for name, (value, rows) in self.given.items()
            if value is not None or name == "streets"
        }  # fmt: skip
        call = self.call
        lists = None if call is None else call.options.get("tile_list_file")
        if lists is not None:
            several = [lists] if isinstance(lists, str | os.PathLike) else [*lists]
            inputs["tile_list_file"] = facts_of(several, len(several), folder)
        options = told.get("options", {})
        software = {name: found for name, found in summary["software"].items() if name != "Python"}
        checked = dict(files) | {SUMMARY: {"sha256_of_facts": sha256_of_facts(summary)}}
        return {
            "lock": FORM,
            "command": told.get("command", "select"),
            "options": {name: value for name, value in options.items() if name not in BESIDE | inputs.keys()},
            "region": self._region(folder),
            "inputs": inputs,
            "tiles": {each.provider.name: self._tiles(each, folder) for each in self.fetching},
            "software": software,
            "facts": {name: value for name, value in summary.items() if name not in NOT_FACTS},
            "attribution": summary["attribution"],
            "result": dict(result),
            "outputs": checked,
            "run": summary["run"],
        }

    def _region(self, folder: Path) -> dict[str, Any] | None:
        """Return the facts of the region; of one that is made again by a lock its source is that of the lock."""
        if self.region is None:
            return None
        facts = _of_region(self.region)
        if self.expected is None:
            source = _source_of(self.region, folder)
        else:
            source, origin = (self.expected["region"] or {}).get("source"), self.region.origin
            if source is not None and origin is not None and origin.path is not None:
                source = {**source, "path": relative(origin.path, folder)}
        return facts if source is None else {**facts, "source": source}

    def _tiles(self, fetching: Fetching, folder: Path) -> dict[str, Any]:
        """Return the facts of the tiles of a provider; of the same tiles as in the lock the age is that of the lock."""
        facts = tiles_of(fetching.cache, fetching.read_tiles, fetching.failed, folder)
        then = {} if self.expected is None else self.expected["tiles"].get(fetching.provider.name, {})
        is_theirs = "written" in then and then["files"] == facts["files"]
        return {**facts, "written": then["written"]} if is_theirs else facts


def result_of(selected: Iterable[Places], points: Iterable[Places]) -> dict[str, Any]:
    """
    Return what was selected: numbers of rows and hashes, which do not depend on the order or the files of rows.

    Parameters
    ----------
    selected
        Tables of the selection, with the places of the images, degrees.
    points
        Tables of the points, with their places.
    """
    return {
        name: _digest(tables, columns) for name, tables, columns in
        (("selected", selected, CHOSEN), ("points", points, ("point_id",)))
    }  # fmt: skip


def _digest(tables: Iterable[Places], columns: Iterable[str]) -> dict[str, Any]:
    import pyarrow as pa

    from mlygeo.store.datasets import hashes

    rows = 0

    def plain() -> Iterator[pa.Table]:
        nonlocal rows
        for table, lon, lat in tables:
            names = [name for name in columns if name in table.column_names]
            kept = {name: _in_plain_form(table[name]) for name in names}
            rows += len(table)
            yield pa.table({**kept, "lon": lon, "lat": lat})

    found = hashes.digest(plain())
    return {"rows": rows, "digest": found}


def _in_plain_form(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    is_text = pa.types.is_dictionary(values.type) or pa.types.is_large_string(values.type)
    return values.cast(pa.string()) if is_text else values


def sha256_of_facts(summary: Mapping[str, Any]) -> str:
    """Return the hash of a summary's facts; those that differ between equal runs do not count."""
    plain = provenance.alike(json.loads(json.dumps(provenance.lasting(summary), default=str)))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def text_of(content: Mapping[str, Any]) -> str:
    """Return a lock as text, with hashes of its own members: the same for the same content."""
    plain = provenance.alike(json.loads(json.dumps(content, default=str)))
    plain[OWN_HASHES] = _own_hashes(plain)
    return json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _own_hashes(content: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        for name, value in content.items()
        if name != OWN_HASHES
    }


def edited(content: Mapping[str, Any]) -> list[str]:
    """Return the members of a lock that are not as they were written."""
    then, now = content.get(OWN_HASHES), _own_hashes(content)
    then = then if isinstance(then, dict) else {}
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def read(path: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """
    Return the file of a lock, and its content.

    Parameters
    ----------
    path
        The lock, or the folder that it is in.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not a lock of a selection, or of a later mlygeo.
    """
    file = Path(path).expanduser()
    file = file / LOCK if file.is_dir() else file
    try:
        text = places.content_of(file, LONGEST)
    except OSError as error:
        raise FileError(unreadable(file, error), hint=f"'mlygeo select' writes {LOCK} into its folder") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, json.JSONDecodeError) else ""  # a file of another kind is not text
        raise FormatError(f"{file.name} is not a lock of a selection{reason}", hint=f"name a {LOCK}") from error
    if not isinstance(content, dict) or not {"lock", "command", "options", "inputs", "outputs"} <= content.keys():
        raise FormatError(f"{file.name} is not a lock of a selection", hint=f"name a {LOCK}")
    if content["lock"] != FORM:
        raise FormatError(
            f"{file.name} is a lock of form {content['lock']}, and this mlygeo reads form {FORM}",
            hint="use the version of mlygeo that wrote it, or a later one",
        )
    if (member := next(_damaged(content), None)) is not None:
        raise FormatError(f"{file.name} is damaged: see its member {member!r}", hint="restore it")
    return file, content


def _damaged(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the members of a lock that are missing, or have another form than those that `Lock` writes."""
    for name, kind in _KINDS.items():
        if name not in content or not isinstance(content[name], kind):
            yield name
            return
    sources = [each for facts in content["inputs"].values() for each in _each_file(facts)]
    outputs = content["outputs"].items()
    forms = {
        "region": content["region"] is None or _tells_region(content["region"]),
        "inputs": all(map(_tells_input, sources)),
        "tiles": all(map(_tells_tiles, content["tiles"].values())),
        "software": _has(content["software"], mlygeo=str) and _all_text(content["software"].values()),
        "facts": _has(content["facts"], images=int, points=int, points_covered=int),
        "attribution": _all_text(content["attribution"]),
        "outputs": SUMMARY in content["outputs"] and all(_tells_output(*each) for each in outputs),
    }
    yield from (name for name, is_sound in forms.items() if not is_sound)
    tiles = [(name, each) for facts in content["tiles"].values() for name, each in facts["files"].items()]
    if not all(_is_name(name) and _tells_bytes(each) for name, each in tiles):
        yield "tiles"
    if not all(_all_text(each["failed"]) for each in content["tiles"].values()):
        yield "tiles"


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "command": str, "options": dict, "region": (dict, type(None)), "inputs": dict, "tiles": dict, "software": dict,
    "facts": dict, "attribution": list, "result": dict, "outputs": dict, "run": str,
}  # fmt: skip
"""The members of a lock."""


def _has(facts: Any, **kinds: type) -> bool:
    """Return whether some facts have members of these types."""
    return isinstance(facts, dict) and all(isinstance(facts.get(name), kind) for name, kind in kinds.items())


def _all_text(values: Iterable[Any]) -> bool:
    return all(isinstance(each, str) for each in values)


def _each_file(facts: Any) -> list[Any]:
    several = facts.get("files") if isinstance(facts, dict) else None
    return several if isinstance(several, list) else [facts]


def _tells_input(facts: Any) -> bool:
    is_elsewhere = _has(facts, service=str) or _has(facts, frame=str) or _has(facts, address=str)
    has_layer = not isinstance(facts, dict) or isinstance(facts.get("layer", ""), str)
    return is_elsewhere or (_has(facts, path=str) and has_layer and (_tells_bytes(facts) or _tells_files(facts)))


def _tells_region(facts: Any) -> bool:
    source = facts.get("source") if isinstance(facts, dict) else None
    has_source = source is None or _has(source, service=str) or (_tells_input(source) and _has(source, buffered=bool))
    return _has(facts, name=str, bounds=list, left_out=dict) and has_source


def _tells_tiles(facts: Any) -> bool:
    has_age = not isinstance(facts, dict) or "written" not in facts or _has(facts["written"], oldest=str, newest=str)
    return has_age and _has(facts, folder=str, files=dict, failed=list)


def _tells_output(name: str, facts: Any) -> bool:
    if name == SUMMARY:
        return _has(facts, sha256_of_facts=str)
    return _is_name(name) and (_tells_bytes(facts) or _tells_files(facts))


def _is_name(name: str) -> bool:
    """Return whether a file of this name lies in a folder, and not above or below it."""
    return PurePosixPath(name).name == name


def _tells_bytes(facts: Any) -> bool:
    return _has(facts, bytes=int, sha256=str)


def _tells_files(facts: Any) -> bool:
    return _has(facts, number_of_files=int) and (_has(facts, sha256_of_index=str) or _has(facts, sha256_of_files=str))


def _other_versions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return in words which libraries have another version than in a lock."""
    return [
        f"{name} {then[name]} then, {now.get(name, 'none')} now" for name in sorted(then) if now.get(name) != then[name]
    ]


def _must_agree(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise unless the files of a selection that was made again are those of the lock."""
    differing = [name for name, facts in found["outputs"].items() if facts != expected["outputs"].get(name)]
    # A selection over parts, made again of one file, has other files with the same images.
    if differing and found["outputs"].keys() == expected["outputs"].keys():
        raise FormatError(
            f"the same images are selected, but {', '.join(differing)} would have other bytes than the lock says",
            hint="'mlygeo verify' tells what was changed",
        )


# Facts -------------------------------------------------------------------------


def _of_region(region: Region) -> dict[str, Any]:
    shape = {} if region.is_box else {"wkb": region.geometry.wkb_hex}
    return {"name": region.name, "bounds": list(region.bounds), "left_out": region.left_out, **shape}


def _source_of(region: Region, folder: Path) -> dict[str, Any] | None:
    """Return the facts of the file or the service that a region comes from; None for one given as numbers or shapes."""
    origin = region.origin
    if origin is None or origin.service is not None:
        return None if origin is None else {"service": origin.service}
    if origin.path is None or not origin.path.is_file():  # a pipe, which is read once
        return None
    layer = {} if origin.layer is None else {"layer": origin.layer}
    facts = {"path": relative(origin.path, folder), **layer, **file_facts(origin.path)}
    return {**facts, "buffered": origin.is_buffered}


def region_of(content: Mapping[str, Any], folder: Path) -> Region | None:
    """
    Return the region that a lock describes, None where it has none.

    Parameters
    ----------
    content
        The content of the lock.
    folder
        Its folder.

    Raises
    ------
    FormatError
        If its bounds or its shape are damaged.
    """
    import shapely

    from mlygeo.regions import Origin, Region

    said = content["region"]
    if said is None:
        return None
    source, origin = said.get("source", {}), None
    if "service" in source:
        origin = Origin(service=source["service"])
    elif source:
        origin = Origin(places.located(source["path"], folder), source.get("layer"), is_buffered=source["buffered"])
    try:
        if "wkb" not in said:
            return replace(Region.from_bbox(*said["bounds"], name=said["name"]), origin=origin)
        west, south, east, north = map(float, said["bounds"])
        geometry = shapely.from_wkb(said["wkb"])
    except (TypeError, ValueError, shapely.errors.GEOSException) as error:
        raise FormatError("the region of the lock is damaged", hint="restore the lock") from error
    return Region(geometry, (west, south, east, north), said["name"], left_out=said["left_out"], origin=origin)


def facts_of(value: Any, rows: int, folder: Path) -> dict[str, Any]:
    """
    Return the facts of an input.

    Parameters
    ----------
    value
        What was given; None for streets that were asked of OpenStreetMap.
    rows
        Its rows.
    folder
        The folder that paths are relative to.
    """
    return {**_facts(value, folder), "rows": rows}


def _facts(value: Any, folder: Path) -> dict[str, Any]:
    from mlygeo.store import paths
    from mlygeo.store.datasets import files

    if value is None:
        return {"service": "OpenStreetMap"}
    if isinstance(value, list | tuple):
        return _facts(value[0], folder) if len(value) == 1 else {"files": [_facts(each, folder) for each in value]}
    if hasattr(value, "listing") or not isinstance(value, str | os.PathLike):
        return {"frame": "in memory"}
    text = os.fspath(value)
    if paths.is_url(text):
        return {"address": provenance.called(text)}
    if files.are_several(value):
        listing = files.listed(value)
        digest = files_digest(listing)
        return {"path": relative(Path(text), folder), "number_of_files": len(listing.files), **digest}
    file, layer = paths.parted(value)
    return {"path": relative(file, folder), **({"layer": layer} if layer else {}), **file_facts(file)}


def files_digest(listing: Listing) -> dict[str, str]:
    """Return the hash of the files of a folder: of a dataset its index has theirs, and others are read."""
    if listing.index is not None:
        return {"sha256_of_index": provenance.index_digest(listing.index)}
    local = [(file.name, file.path) for file in listing.files if isinstance(file.path, Path)]
    listed = [[name, *file_facts(path).values()] for name, path in local]
    return {"sha256_of_files": hashlib.sha256(json.dumps(listed).encode()).hexdigest()}


def index_facts(index: Index) -> dict[str, Any]:
    """Return the facts of a dataset that is written, by its index."""
    return {"number_of_files": len(index.parts), "sha256_of_index": provenance.index_digest(index)}


def file_facts(path: Path) -> dict[str, Any]:
    """
    Return the size and the hash of a file; all of its bytes are read.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


def is_same(path: Path, facts: Mapping[str, Any]) -> bool:
    """Return whether a file is there and has the bytes that are told."""
    expected = {"bytes": facts["bytes"], "sha256": facts["sha256"]}
    return path.is_file() and path.stat().st_size == facts["bytes"] and file_facts(path) == expected


def text_facts(text: str) -> dict[str, Any]:
    """Return the facts of a file with a text."""
    content = text.encode()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def tiles_of(cache: Path, tiles: Iterable[Path], failed: list[str], folder: Path) -> dict[str, Any]:
    """
    Return the facts of tiles by the names of their files, and the names of those that could not be fetched.

    `written` is when the oldest and the newest of the files were written: the age of what was selected from.
    """
    ordered = sorted(tiles, key=lambda path: path.name)
    with ThreadPoolExecutor() as pool:
        found = dict(zip((path.name for path in ordered), pool.map(file_facts, ordered), strict=True))
    aged = {"written": provenance.ages(ordered)} if ordered else {}
    return {"folder": relative(cache, folder), "files": found, "failed": sorted(failed), **aged}


def relative(path: Path, folder: Path) -> str:
    """
    Return a path as a lock in a folder tells it: relative to it, or to the user's own folder, which it does not name.

    Parameters
    ----------
    path
        The path.
    folder
        The folder of the lock.
    """
    there, here = (Path(os.path.abspath(each.expanduser())) for each in (path, folder))  # noqa: PTH100 - links stay
    try:
        home: Path | None = Path.home()
    except RuntimeError:  # there is none
        home = None
    common = Path(os.path.commonpath([there, here])) if there.anchor == here.anchor else None
    is_high = common is None or common == Path(there.anchor) or (home is not None and common in home.parents)
    if not is_high:
        return Path(os.path.relpath(there, here)).as_posix()
    if home is not None and there.is_relative_to(home):
        return f"~/{there.relative_to(home).as_posix()}"
    return there.as_posix()
