"""Tables of a coverage whose rows are not values of images: street classes, districts, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from mlygeo.progress import working
from mlygeo.spatial import expected
from mlygeo.spatial.pieces import MICROMETRES, Axis, micrometres

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.spatial.coverage import Coverage
    from mlygeo.spatial.expected import Observed, Places
    from mlygeo.spatial.pieces import Pieces
    from mlygeo.spatial.polylines import Lines


class Areas(Protocol):
    """What parts the world, such as districts or cells."""

    def of(self, lon: Floats, lat: Floats) -> tuple[Whole, Flags]:
        """Return the number of the area that holds each place (degrees), below 0 for none; and whether several do."""

    def cut(self, lines: Lines, lonlat: Floats) -> Pieces:
        """Return the pieces of lines between borders."""


@working("counting images by place")
def observed(coverage: Coverage, told: Mapping[str, Callable[[Places], Whole]]) -> dict[str, Observed]:
    """
    Count the images near streets by several things at once.

    Parameters
    ----------
    coverage
        The coverage.
    told
        For each thing what tells the class of each image.
    """
    tallies = {name: expected.Tally() for name in told}
    for places in coverage.places():
        for name, of in told.items():
            tallies[name].add(of(places), places.sequence)
    return {name: tally.observed() for name, tally in tallies.items()}


def classes(coverage: Coverage) -> tuple[pd.DataFrame, Whole]:
    """
    Return the lengths of street classes.

    Returns
    -------
    classes
        `key` (int64), `value` (the class, null where unknown), `streets` (int64), `length`, `covered` (int64,
        micrometres).
    key_of
        The key of each street.
    """
    import pandas as pd

    key, values = pd.factorize(coverage.streets["highway"], sort=True)
    key = key.astype(np.int64)
    found = _summed(key, micrometres(coverage.lines.length), micrometres(coverage.covered_m))
    return found.assign(value=pd.Series(values, dtype="str").reindex(found["key"]).array), key


@working("cutting streets")
def areas(coverage: Coverage, parted: Areas) -> tuple[pd.DataFrame, float]:
    """
    Return the lengths of streets in areas.

    Parameters
    ----------
    coverage
        The coverage.
    parted
        The areas.

    Returns
    -------
    areas
        `key` (int64, the number of the area, below 0 for none), `streets` (int64, those with a piece there), `length`,
        `covered` (int64, micrometres); a row for each area with streets.
    several_m
        Length of what lies in several areas and counts in one of them, metres.
    """
    cut = parted.cut(coverage.lines, coverage.lonlat)
    key, several = parted.of(cut.lon, cut.lat)
    covered = Axis(coverage.lines.length, coverage.reached.stretches).within(cut.line, cut.start, cut.stop)
    length = cut.stop - cut.start
    found = _summed(key, length, covered)
    order = np.lexsort((cut.line, key))
    own, line = key[order], cut.line[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (own[1:] != own[:-1]) | (line[1:] != line[:-1])
    found["streets"] = np.unique(own[is_new], return_counts=True)[1]
    return found, int(length[several].sum()) / MICROMETRES


def _summed(key: Whole, length: Whole, covered: Whole) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({"key": key, "streets": 1, "length": length, "covered": covered})
    return frame.groupby("key").sum().reset_index()


def in_metres(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with `length_m`, `covered_m` and `share_covered` (NaN without length) for its micrometres."""
    length, covered = table["length"].to_numpy(), table["covered"].to_numpy()
    share = np.divide(covered, length, out=np.full(len(table), np.nan), where=length > 0)
    told = table.assign(length_m=length / MICROMETRES, covered_m=covered / MICROMETRES, share_covered=share)
    return told.drop(columns=["length", "covered"])


def with_images(table: pd.DataFrame, found: Observed, *, against: bool) -> pd.DataFrame:
    """
    Return a table with the images of its keys, and rows of keys that have nothing but images.

    Parameters
    ----------
    table
        With `key`, `streets`, `length`, `covered`.
    found
        The images.
    against
        Also tell what the length of streets leads to expect; see `expected.against`.
    """
    import pandas as pd

    alone = pd.DataFrame({"key": found.key[~np.isin(found.key, table["key"])], "streets": 0, "length": 0, "covered": 0})
    whole = pd.concat([table, alone], ignore_index=True).sort_values("key", kind="stable", ignore_index=True)
    key, length = whole["key"].to_numpy(), whole["length"].to_numpy()
    if against:
        return pd.concat([whole, expected.against(found, key, length)], axis=1)
    place = np.searchsorted(found.key, key)
    images = np.where(np.append(found.key, -(2**62))[place] == key, np.append(found.images, 0)[place], 0)
    return whole.assign(images=images)
