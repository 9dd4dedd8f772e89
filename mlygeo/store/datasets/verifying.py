"""Datasets compared with their index, byte for byte: what a reader of some pages cannot do."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FormatError, InputError
from mlygeo.places import sha256_of
from mlygeo.progress import counted, working
from mlygeo.store.datasets import layout
from mlygeo.store.parquet.files import reading

if TYPE_CHECKING:
    from mlygeo.store.datasets.files import File, Listing
    from mlygeo.store.datasets.index import Index

AT_ONCE = 8 << 20
"""Bytes of a file elsewhere that are fetched at once."""


def verify(listing: Listing, *, threads: int) -> Index:
    """
    Compare the files of a dataset with the hashes in its index, and return that.

    Parameters
    ----------
    listing
        The files, whose names and sizes are those of the index.
    threads
        Files that are read at once.

    Raises
    ------
    FileError
        If one cannot be read.
    FormatError
        If the bytes of one are others than those that were written.
    InputError
        If there is no index.
    """
    if listing.index is None:
        raise InputError(
            f"{listing.name} has no index, such as {listing.name}{layout.INDEX_ENDING} beside the folder, so nothing"
            " tells what its files should be",
            hint="name the folder of a dataset",
        )
    changed = []
    with working("comparing parts with the index") as step, ThreadPoolExecutor(threads) as pool:
        step.begin(sum(part.bytes for part in listing.index.parts), "bytes")
        for file, found in zip(listing.files, pool.map(_sha256, listing.files), strict=True):
            if file.part is None or found != file.part.sha256:
                changed.append(file.name)
            step.advance(file.part.bytes if file.part else 0)
    if changed:
        more = f" and {counted(len(changed) - 1, 'other part')}" if len(changed) > 1 else ""
        raise FormatError(
            f"{changed[0]}{more} of {listing.name} {'have' if more else 'has'} other bytes than its index says",
            hint="restore it, or partition the inputs again",
        )
    return listing.index


def _sha256(file: File) -> str:
    path = file.path
    if isinstance(path, Path):
        return reading(path, lambda: sha256_of(path))
    opened, digest = path.open(), hashlib.sha256()
    for start in range(0, opened.size, AT_ONCE):
        stop = min(start + AT_ONCE, opened.size)
        stream = opened.stream([(start, stop)])
        stream.seek(start)
        digest.update(stream.read(stop - start))
    opened.check()
    return digest.hexdigest()
