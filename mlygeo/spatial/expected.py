"""
Images that were observed against those that the length of streets leads to expect, class by class.

Images come in sequences: those of one stand in a row, and are not independent. So an interval takes the sequence
for the unit that was sampled, as in a cluster sample; one that took each image for itself would be far too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Floats, Whole

Z_95 = 1.959963984540054
"""Quantile of the normal distribution: 95 % lie within so many standard deviations."""

LEAST_SEQUENCES = 5
"""With fewer sequences near streets there is no interval."""

PAIRS_AT_ONCE = 4_000_000


class Places(NamedTuple):
    """
    Images near streets.

    Parameters
    ----------
    lon, lat
        Degrees.
    street
        Number of the nearest street; None where nobody asked.
    sequence
        A number for each sequence; None where nobody asked, or the images do not tell.
    """

    lon: Floats
    lat: Floats
    street: Whole | None = None
    sequence: Whole | None = None


class Observed(NamedTuple):
    """
    Images of each class.

    Parameters
    ----------
    key
        The classes, ascending.
    images
        How many images there are of each.
    sequences
        How many sequences have images of it.
    squares
        Sum of the squares of the numbers of images that sequences have of it; Python's whole numbers, dtype object.
    products
        The same of the products with all images of the sequence.
    all_images, all_sequences, all_squares
        Of all classes together.
    """

    key: Whole
    images: Whole
    sequences: Whole
    squares: pd.Series
    products: pd.Series
    all_images: int
    all_sequences: int
    all_squares: int


@dataclass
class Tally:
    """Counts images by class, and how many each sequence has of it; in any order, some at a time."""

    _found: list[tuple[Whole, Whole, Whole]] = field(default_factory=list)
    _pending: int = 0

    def add(self, key: Whole, sequence: Whole | None) -> None:
        """
        Count images.

        Parameters
        ----------
        key
            The class of each.
        sequence
            The sequence of each; None where it is not known of any.
        """
        cluster = np.zeros(len(key), dtype=np.int64) if sequence is None else sequence
        self._found.append(_together(cluster, key, np.ones(len(key), dtype=np.int64)))
        self._pending += len(self._found[-1][0])
        if self._pending > PAIRS_AT_ONCE:
            self._settle()
            self._pending = 0

    def _settle(self) -> tuple[Whole, Whole, Whole]:
        empty = np.empty(0, dtype=np.int64)
        columns = zip((empty, empty, empty), *self._found, strict=True)
        self._found = [_together(*(np.concatenate(column) for column in columns))]
        return self._found[0]

    def observed(self) -> Observed:
        """Return what was counted."""
        import pandas as pd

        cluster, key, count = self._settle()
        _, of = np.unique(cluster, return_inverse=True)
        of_cluster = np.zeros(int(of.max(initial=-1)) + 1, dtype=np.int64)
        np.add.at(of_cluster, of, count)
        keys, place = np.unique(key, return_inverse=True)
        images = np.zeros(len(keys), dtype=np.int64)
        np.add.at(images, place, count)
        whole = count.astype(object)
        squares, products = (
            pd.Series(whole * other, dtype=object).groupby(place).sum().reindex(range(len(keys)))
            for other in (whole, of_cluster[of].astype(object))
        )
        total = of_cluster.astype(object)
        return Observed(
            keys, images, np.bincount(place, minlength=len(keys)), squares, products,
            int(of_cluster.sum()), len(of_cluster), int((total * total).sum()) if len(total) else 0,
        )  # fmt: skip


def _together(cluster: Whole, key: Whole, count: Whole) -> tuple[Whole, Whole, Whole]:
    """Add up the counts of each pair, in their order."""
    order = np.lexsort((key, cluster))
    cluster, key = cluster[order], key[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (cluster[1:] != cluster[:-1]) | (key[1:] != key[:-1])
    starts = np.flatnonzero(first)
    counts = np.add.reduceat(count[order], starts) if len(starts) else count
    return cluster[starts], key[starts], counts


def against(observed: Observed, key: Whole, length: Whole) -> pd.DataFrame:
    """
    Return observed and expected images of classes.

    Of N images near streets a class with the share p of their length is expected to have N p. The ratio of the
    share that it has, q, to p has an interval of 95 %, which takes sequences for the units: with n_s of N images in
    sequence s of S, m_s of them of the class, the variance of q is S / (S - 1) times the sum of (m_s - q n_s)² over
    N² (a ratio of cluster totals), and the ends are the ratio times exp(± t d), where d is the standard error of q
    over q and t the quantile of Student's distribution with S - 1 degrees of freedom.

    Parameters
    ----------
    observed
        The images.
    key, length
        Classes, and the length of streets of each, whole micrometres or other whole numbers.

    Returns
    -------
    against
        A row for each of the classes, in their order: `images`, `sequences` (int64), `expected_images`, `ratio`,
        `ratio_low`, `ratio_high` (float64; NaN without images, or without expected ones; the interval also with
        fewer than 5 sequences) and `design_effect` (float64): how many times the variance of q is that of as many
        independent images.

    References
    ----------
    W. G. Cochran, Sampling Techniques, 3rd edition, 1977, sections 6.3 and 9A; J. N. K. Rao and A. J. Scott, A simple
    method for the analysis of clustered binary data, Biometrics 48 (1992), 577-585.
    """
    import pandas as pd

    place = np.searchsorted(observed.key, key)
    known = np.append(observed.key, np.iinfo(np.int64).max)[place] == key
    total, units, length_of_all = observed.all_images, observed.all_sequences, int(length.sum())
    rows = []
    for at, is_known, own in zip(place.tolist(), known.tolist(), length.tolist(), strict=True):
        images = int(observed.images[at]) if is_known else 0
        expected = total * own / length_of_all if length_of_all else np.nan
        ratio = images / expected if expected else np.nan
        low = high = effect = np.nan
        if images and units >= LEAST_SEQUENCES:
            square, product = int(observed.squares[at]), int(observed.products[at])
            spread = total * total * square - 2 * images * total * product + images * images * observed.all_squares
            variance = units * spread / ((units - 1) * total**4)
            half = float(np.exp(student_t(units - 1) * np.sqrt(variance) * total / images))
            low, high = ratio / half, ratio * half
            alone = images * (total - images) / total**3
            effect = variance / alone if alone else np.nan
        rows.append((images, int(observed.sequences[at]) if is_known else 0, expected, ratio, low, high, effect))
    columns = ["images", "sequences", "expected_images", "ratio", "ratio_low", "ratio_high", "design_effect"]
    kinds = dict.fromkeys(columns[:2], "int64") | dict.fromkeys(columns[2:], "float64")
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def student_t(freedom: int) -> float:
    """
    Return the number of standard errors that 95 % of Student's distribution lie within, to 0.1 % from 4 degrees on.

    The expansion in powers of one over the degrees of freedom of M. Abramowitz and I. A. Stegun, Handbook of
    Mathematical Functions, 1964, 26.7.5.
    """
    z, n = Z_95, float(freedom)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def numbers_of(sequences: pd.Series) -> Whole:
    """
    Return a number of each sequence, from its id alone, alike for equal ones; images without one are of one sequence.

    Two of a million sequences get the same number with a probability of 3 in 10⁸.
    """
    import pandas as pd

    known = sequences.notna().to_numpy()
    texts = np.where(known, sequences.to_numpy(dtype=object, na_value=""), "")
    number: Whole = pd.util.hash_array(texts, categorize=True).view(np.int64)
    return np.where(known, number, 0)
