"""How unevenly something is shared out: the Gini coefficient, and the effective number of those who share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mlygeo.arrays import Whole


class Concentration(NamedTuple):
    """
    How unevenly something is shared out; see `of`.

    Parameters
    ----------
    holders
        How many share it.
    gini
        Gini coefficient, from 0 (all have the same) to just below 1; NaN where nothing is shared.
    effective_number
        So many equal shares would be as concentrated, from 1 to `holders`; NaN where nothing is shared.
    largest_share
        What the one with most has, 0 to 1; NaN where nothing is shared.
    """

    holders: int
    gini: float
    effective_number: float
    largest_share: float


def of(amounts: Whole) -> Concentration:
    """
    Return how unevenly whole amounts are shared out.

    The Gini coefficient of n amounts x, in ascending order, is the sum of (2 i - n - 1) x_i over n times the sum of
    all: half the mean difference of two of them in parts of the mean. It is that of the amounts as they are, not an
    estimate of a larger population's; the largest is 1 - 1 / n. The effective number is the inverse of the sum of
    squared shares, Simpson's index. Sums are exact, so that they do not depend on the order.

    Parameters
    ----------
    amounts
        Whole numbers, 0 or more; one for each holder, those with nothing included.

    References
    ----------
    C. Gini, Variabilità e mutabilità, 1912; A. Sen, On Economic Inequality, 1973, section 2.2. E. H. Simpson,
    Measurement of diversity, Nature 163 (1949), 688; M. O. Hill, Diversity and evenness, Ecology 54 (1973), 427-432:
    the number of order 2.

    Examples
    --------
    >>> of(np.array([1, 1, 1, 1])).effective_number
    4.0
    """
    held = np.sort(np.asarray(amounts, dtype=np.int64))
    number, whole = len(held), held.astype(object)
    total = int(whole.sum()) if number else 0
    if total == 0:
        return Concentration(number, np.nan, np.nan, np.nan)
    ranks = 2 * np.arange(1, number + 1) - number - 1
    gini = int((ranks.astype(object) * whole).sum()) / (number * total)
    return Concentration(number, gini, total * total / int((whole * whole).sum()), int(whole[-1]) / total)
