"""The files of a tile cache, read several at a time, whoever's tiles they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mlygeo.errors import FileError, FormatError, unreadable
from mlygeo.formats.mvt_tiles import LARGEST_TILE
from mlygeo.progress import counting
from mlygeo.providers.foreign import ForeignError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa


def tables_of(
    paths: Sequence[Path], read: Callable[[Path], pa.Table], *, damaged: list[Path] | None = None
) -> list[pa.Table]:
    """
    Return the tables of tile files.

    Parameters
    ----------
    paths
        The files.
    read
        Reads one.
    damaged
        Damaged files are added to this list and passed over; without a list they raise. A tile of another provider
        always raises, since fetching it again would not help.

    Raises
    ------
    FormatError
        If a file is not a tile.
    FileError
        If a file cannot be read.
    """

    def one(path: Path) -> pa.Table | None:
        try:
            return read(path)
        except ForeignError:
            raise
        except FormatError:
            if damaged is None:
                raise
            damaged.append(path)
            return None

    with ThreadPoolExecutor(2) as pool:
        return [part for part in counting(pool.map(one, paths), len(paths), "tiles") if part is not None]


def content_of(path: Path) -> bytes:
    """Return the content of a tile's file, and a byte more than the largest has; raise FileError if there is none."""
    if path.exists() and not path.is_file():
        raise FileError(f"{path} cannot be read: it is not a file")  # a pipe would be waited for
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_TILE + 1)
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
