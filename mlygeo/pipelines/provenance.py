"""What made a result: the call with its options, inputs by hash, the age of tiles, versions, the name of the run."""

from __future__ import annotations

import hashlib
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import MlygeoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import geopandas as gpd
    import numpy as np
    import numpy.typing as npt

    from mlygeo.pipelines.arguments import Call
    from mlygeo.pipelines.values import Takes
    from mlygeo.store.datasets.files import File, Listing
    from mlygeo.store.datasets.index import Index

UNTOLD = frozenset(
    {"token", "token_file", "jwt", "user_password", "user_email", "config_file", "service", "progress", "executor",
     "client", "workers", "scheduler", "part", "output"}
)  # fmt: skip
"""
Parameters of calls that are not recorded: secrets and where they lie, objects of the caller, who does the work, which
leaves the result as it is to the last byte, and the place of the result itself.
"""

PLACES = frozenset({"import_path", "desc_path", "split_import_path", "tile_cache"})
"""Parameters of paths that are worked on or written to, and are no inputs whose content stays."""

MOST_HASHED = 100
"""Files of an option that are hashed; of more only the number is told, such as of the photos of a folder, and of those
on servers and in object stores the names."""

PASSING = frozenset({"date", "Python", "modified", "cached", "fetched", "written"})
"""Facts that differ between two runs with equal results: when and on which Python they ran, and what was at hand."""

LARGEST_NUMBER = 1 << 53
"""Whole numbers beyond are written as text: some readers of JSON would round them."""

WHOLE_BYTES = 32_000_000
"""Largest file of which all bytes are hashed: to read a larger one again would take a noticeable part of the run."""

END_BYTES = 1_000_000
"""Bytes hashed at either end of a larger file; GeoParquet has its table of contents at the end."""


def inputs_of(given: Mapping[str, tuple[Any, int]]) -> dict[str, Any]:
    """
    Return the facts of the inputs, by the names of their parameters.

    Parameters
    ----------
    given
        For each parameter what was given (None is left out), and its number of rows.
    """
    return {name: {**_source(value), "rows": rows} for name, (value, rows) in given.items() if value is not None}


def record_of(call: Call, summary: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what made a frame, as JSON: the function, all of its options (defaults too), inputs by hash, and versions.

    Of files only the names are told. Tokens, passwords and the files that hold them are left out.

    Parameters
    ----------
    call
        What the user has called.
    summary
        Facts about the result; inputs and versions that are known there are not found out again.
    """
    from mlygeo.pipelines import sides, versions

    options = {
        name: _told(value, call.takes[name]) for name, value in sorted(call.options.items()) if name not in UNTOLD
    }
    inputs = summary["inputs"] if "inputs" in summary else inputs_in(call)
    if isinstance(options.get("compare"), list):  # texts, of which some name files
        options["compare"] = [called(each) if sides.is_file(each) else each for each in options["compare"]]
    return {
        "command": call.function,
        "options": options,
        "inputs": lasting(inputs),
        "software": summary["software"] if "software" in summary else versions.software(shapes=True),
    }


def noted(frame: gpd.GeoDataFrame, call: Call | None, summary: Mapping[str, Any] | None = None) -> gpd.GeoDataFrame:
    """
    Return a frame with what made it in `attrs["record"]`, for its file; without a call as it is.

    Parameters
    ----------
    frame
        The frame, which is not changed.
    call
        What the user has called.
    summary
        Facts about the result.
    """
    if call is None:
        return frame
    made = frame.copy(deep=False)
    made.attrs = {**frame.attrs, "record": record_of(call, summary or {})}
    return made


def of_this_call() -> dict[str, Any] | None:
    """
    Return what the user has called, as `record_of` does, for what has the same bytes on any Python.

    None while no public function runs.
    """
    from mlygeo.pipelines.arguments import user_call

    call = user_call()
    if call is None:
        return None
    record = record_of(call, {})
    found: dict[str, Any] = json.loads(json.dumps({**record, "software": lasting(record["software"])}))
    return found


def inputs_in(call: Call) -> dict[str, Any]:
    """Return the facts of the files and datasets that a call names, by parameter, as `inputs_of` does."""
    found = {}
    for name, value in call.options.items():
        takes = call.takes[name]
        if value is not None and name not in UNTOLD | PLACES and names_files(takes):
            several = value if isinstance(value, list | tuple) else [value]
            paths = [each for each in several if isinstance(each, str | os.PathLike) and _is_there(each)]
            if len(paths) > MOST_HASHED:
                found[name] = {"number_of_files": len(paths)}
            elif paths:
                found[name] = _source(paths[0] if len(several) == 1 else paths)
    return found


def _is_there(value: str | os.PathLike[str]) -> bool:
    from mlygeo.store.paths import address_of, parted

    try:
        if address_of(value) is not None:
            return True
        file, _ = parted(value)
        return file.is_file() or (file.is_dir() and file.with_name(f"{file.name}.partitions.parquet").is_file())
    except (OSError, ValueError):
        return False


def names_files(takes: Takes) -> bool:
    """Return whether a parameter takes frames or paths, or several of them."""
    return bool(takes.kinds & {"frame", "path"}) or (takes.items is not None and names_files(takes.items))


def _told(value: Any, takes: Takes) -> Any:
    """Return the value of an option as JSON."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_told(each, takes) for each in value]
    if value is None or isinstance(value, bool | float):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if abs(value) < LARGEST_NUMBER else str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        is_path = names_files(takes) or bool(takes.kinds & {"region like", "region"})
        return called(text) if is_path or isinstance(value, os.PathLike) else text
    if hasattr(value, "columns"):  # whose columns may be called region, name or bounds
        return "a frame"
    if (
        (region := getattr(value, "region", value)) is not None
        and hasattr(region, "bounds")
        and hasattr(region, "name")
    ):
        return {"name": region.name, "bounds": list(region.bounds)}
    return f"a {type(value).__name__}"


def called(text: str) -> str:
    """Return the name of a file, a folder, or an address; without the folders above, passwords and signatures."""
    from mlygeo.store.paths import is_url, shown

    return shown(text) if is_url(text) else Path(text).name or text


def _source(value: Any) -> dict[str, Any]:
    from mlygeo.store.datasets import files
    from mlygeo.store.paths import address_of

    if files.are_several(value) and not isinstance(value, list | tuple):
        try:
            return _dataset(files.listed(value))
        except MlygeoError:
            if address_of(value) is None:
                raise
            return {"source": called(os.fspath(value))}  # what is wrong with it, the run itself says
    if isinstance(value, list | tuple):
        return {"files": [_source(each) for each in value]}
    if not isinstance(value, str | os.PathLike):
        return {"source": "a frame"}
    path = Path(value).expanduser()
    try:
        status = path.stat()
        if not path.is_file():
            return {"source": path.name}
        return {
            "source": path.name,
            "bytes": status.st_size,
            "modified": _moment(status.st_mtime),
            **_hash(path, status.st_size),
        }
    except OSError:  # a database, or a layer of a file
        return {"source": str(path.name)}


def _dataset(listing: Listing) -> dict[str, Any]:
    """Return the facts of the files of a folder, a pattern or an address; of a dataset, its index has their hashes."""
    if listing.index is not None:
        digest = {"sha256_of_index": index_digest(listing.index)}
    elif len(listing.files) == 1 and (identity := _identity(listing.files[0])):
        return {"source": Path(listing.name).name, **identity}
    elif len(listing.files) > MOST_HASHED and not all(isinstance(file.path, Path) for file in listing.files):
        addresses = [file.name for file in listing.files]
        digest = {"sha256_of_names": hashlib.sha256(json.dumps(addresses).encode()).hexdigest()}
    else:
        facts = [_state(file) for file in listing.files]
        digest = {"sha256_of_listing": hashlib.sha256(json.dumps(facts).encode()).hexdigest()}
    return {"source": Path(listing.name).name, "number_of_files": len(listing.files), **digest}


def index_digest(index: Index) -> str:
    """Return the hash of what the index of a dataset says of the bytes of its parts."""
    listed = [[part.path, part.bytes, part.sha256] for part in index.parts]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _state(file: File) -> list[Any]:
    if not isinstance(file.path, Path):
        return [file.path.address.partition("?")[0], _identity(file)]
    status = file.path.stat()
    return [file.name, status.st_size, _moment(status.st_mtime)]


def _identity(file: File) -> dict[str, Any]:
    """Return size and tag or generation of a file on a server or in a store, which cannot be hashed; else nothing."""
    return {} if isinstance(file.path, Path) else file.path.open().identity


def _hash(path: Path, size: int) -> dict[str, str]:
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        digest = hashlib.sha256(file.read(END_BYTES))
        file.seek(-END_BYTES, os.SEEK_END)
        digest.update(file.read())
    return {"sha256_of_both_ends": digest.hexdigest()}


def ages(paths: Iterable[str | os.PathLike[str]]) -> dict[str, str] | None:
    """Return when the oldest and the newest of some files were written; None without files."""
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime)  # noqa: PTH116 - thousands of tiles
        except OSError:
            continue
    return {"oldest": _moment(min(times)), "newest": _moment(max(times))} if times else None


def shown(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given filters as JSON: times in ISO 8601, ids as text."""
    return {name: _plain(value) for name, value in conditions.items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bool | str | float) or value is None:
        return value
    if isinstance(value, int):
        return str(value)
    return [_plain(each) for each in value]


def today() -> str:
    """Return the date of a run, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def run_of(summary: Mapping[str, Any], *arrays: npt.NDArray[np.generic]) -> str:
    """
    Return the name of a run: the same for the same facts and results, in all of its files.

    Parameters
    ----------
    summary
        Its facts, JSON; those of `PASSING` do not count.
    arrays
        Its results, of numbers.
    """
    import numpy as np

    facts = alike(lasting(summary))
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=12)
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def lasting(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts without those that differ between two runs with equal results; see `PASSING`."""

    def kept(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [kept(each) for each in value]
        return lasting(value) if isinstance(value, dict) else value

    return {name: kept(value) for name, value in facts.items() if name not in PASSING}


def alike(value: Any) -> Any:
    """Return a value with 30 and 30.0 as the same number."""
    if isinstance(value, dict):
        return {str(name): alike(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [alike(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
