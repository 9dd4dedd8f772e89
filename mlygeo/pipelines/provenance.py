"""What a summary records beside counts: options, inputs, the age of tiles, and the run."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from mlygeo.store.datasets.files import File, Listing

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


def _source(value: Any) -> dict[str, Any]:
    from mlygeo.store.datasets import files

    if files.are_several(value) and not isinstance(value, list | tuple):
        return _dataset(files.listed(value))
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
        facts = [[part.path, part.bytes, part.sha256] for part in listing.index.parts]
        named = "sha256_of_index"
    else:
        facts, named = [_state(file) for file in listing.files], "sha256_of_listing"
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return {"source": Path(listing.name).name, "number_of_files": len(listing.files), named: digest}


def _state(file: File) -> list[Any]:
    if not isinstance(file.path, Path):
        return [file.path.address.partition("?")[0]]
    status = file.path.stat()
    return [file.name, status.st_size, _moment(status.st_mtime)]


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
        Its facts, JSON; the date does not count.
    arrays
        Its results, of numbers.
    """
    import numpy as np

    facts = _alike({name: value for name, value in summary.items() if name != "date"})
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=12)
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _alike(value: Any) -> Any:
    """Return a value with 30 and 30.0 as the same number."""
    if isinstance(value, dict):
        return {str(name): _alike(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_alike(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
