"""
Random numbers that depend on a seed, a key and a counter alone: the same on every machine, in any order.

Each key (a street, a class, a cell) has a sequence of numbers of its own: that of SplitMix64 (Steele, Lea and Flood
2014), whose n-th number is computed without those before it. So no row changes what another row draws.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.arrays import GOLDEN, mix, within_runs
from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Floats, Whole, Words

MOST_SEED = 2**63 - 1


def check_seed(seed: int) -> None:
    """
    Raise unless a seed is one.

    Raises
    ------
    InputError
        If it is negative, or has more than 63 bits.
    """
    if not 0 <= seed <= MOST_SEED:
        raise InputError(f"`seed` is a whole number from 0 to {MOST_SEED}, not {seed}")


def states(seed: int, *keys: Words | Whole | int) -> Words:
    """
    Return where the sequence of each key starts.

    Parameters
    ----------
    seed
        From 0 to 2^63 - 1.
    *keys
        What tells sequences apart: 64-bit numbers, alone or in arrays of shape (n,).

    Returns
    -------
    states
        uint64, shape (n,).
    """
    state = mix(np.array([seed], dtype=np.uint64) + np.uint64(GOLDEN))
    for key in keys:
        state = mix((state ^ np.atleast_1d(np.asarray(key)).astype(np.uint64)) + np.uint64(GOLDEN))
    return state


def uniform(state: Words, counter: Whole) -> Floats:
    """
    Return numbers of sequences, evenly distributed between 0 and 1, both excluded.

    Parameters
    ----------
    state
        Where each sequence starts; see `states`.
    counter
        Which number of it, from 0; broadcast against the states.

    Returns
    -------
    numbers
        float64: multiples of 2^-53 plus half of that.
    """
    words = mix(state + (np.atleast_1d(counter).astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))
    return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def keys_of(texts: Iterable[str]) -> Words:
    """Return a 64-bit key of each text (BLAKE2b)."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest(), "little") for each in texts],
        dtype=np.uint64,
    )


def first_arrivals(state: Words, length: Floats, stratum: Whole, wanted: Whole) -> tuple[Whole, Whole, Floats]:
    """
    Draw places at random on stretches of streets, so many in each stratum.

    On every stretch, places arrive one after another in a Poisson process whose rate is its length: the gaps are
    exponential, and each arrival is anywhere on it. The first n arrivals in a stratum are n independent places, each
    evenly distributed over its length. What arrives on a stretch depends on the stretch alone. So where stretches or
    wanted places are added, the places on those that were there are some of the former, or more of the same
    (permanent random numbers; Ohlsson 1995).

    Parameters
    ----------
    state
        Where the numbers of each stretch start (`states`), uint64, shape (n,).
    length
        Of each stretch, metres.
    stratum
        Of each stretch, from 0.
    wanted
        How many places in each stratum; a stratum in which places are wanted has a length above 0.

    Returns
    -------
    stretch, number
        The stretch of each place, and its number among the arrivals there; sorted by stratum and time.
    share
        Where it is on the stretch, 0 to 1.
    """
    row = np.empty(0, dtype=np.int64)
    number, time = row, np.empty(0)
    last = np.zeros(len(length))
    active = np.flatnonzero((length > 0) & (wanted[stratum] > 0))
    start, block = 0, 1
    while len(active):
        counter = np.arange(start, start + block)
        times = -np.log(uniform(state[active, None], 2 * counter)) / length[active, None]
        times[:, 0] += last[active]
        times = np.cumsum(times, axis=1)
        last[active] = times[:, -1]
        row = np.concatenate((row, np.repeat(active, block)))
        number = np.concatenate((number, np.tile(counter, len(active))))
        time = np.concatenate((time, times.ravel()))
        order = np.lexsort((state[row], time, stratum[row]))
        of = stratum[row[order]]
        order = order[within_runs(of) < wanted[of]]
        row, number, time = row[order], number[order], time[order]
        # Later arrivals on a stretch do not matter once the last place of its stratum is earlier.
        counts = np.bincount(stratum[row], minlength=len(wanted))
        latest = np.full(len(wanted), np.inf)
        full = np.flatnonzero((counts >= wanted) & (wanted > 0))
        latest[full] = time[np.cumsum(counts)[full] - 1]
        active = active[last[active] < latest[stratum[active]]]
        start += block
        block *= 2
    return row, number, uniform(state[row], 2 * number + 1)
