"""The keys of images: a provider's identifiers of its images, and the order that settles ties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from mlygeo import dtypes
from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Whole

    Ids: TypeAlias = Whole
    Ranks: TypeAlias = Whole

Key: TypeAlias = int


class Keys(Protocol):
    """
    The form of the keys of a provider's images.

    A key, the `id` of an images frame, identifies one image of one provider as long as the image exists,
    and is opaque outside the provider's folder. Other code stores it, looks it up, passes it back and
    writes it as text, but never computes with it, splits it or uses it as an index; that it is a whole
    number is only its form. Keys have an order, and of tied images the first one in this order wins; code
    that settles ties compares `ranks` and not keys. Today all keys are whole numbers from 1 to 2^63 - 1,
    in an int64 column; a column with gaps is Int64.
    """

    @property
    def hint(self) -> str:
        """What keys look like, for messages."""

    def find(self, word: object) -> Key | None:
        """Return the key that a word or a number stands for; None where it is none."""

    def parse(self, word: object) -> Key:
        """
        Return the key that a word or a number stands for.

        Raises
        ------
        InputError
            If it is none.
        """

    def is_meant(self, word: object) -> bool:
        """Return whether a word stands for a key, be it a wrong one, and not for the name of a file."""

    def array(self, keys: Iterable[Key]) -> Ids:
        """Return keys as an array, in their order."""

    def column(self, values: Any) -> Ids:
        """
        Return the keys in a column of a frame.

        Raises
        ------
        InputError
            If it has gaps or holds anything else.
        """


class WholeNumbers:
    """Keys that are whole numbers above zero, as text or as numbers; see `Keys`."""

    largest = 2**63 - 1

    hint = "ids are whole numbers without leading zeros, such as 498763468214164"

    def find(self, word: object) -> Key | None:
        """Return the key that a word or a number stands for; None where it is none."""
        # No service writes a number with leading zeros: such a word is something else, or was changed on its way.
        digits = isinstance(word, str) and word.isascii() and word.isdigit() and len(word) <= 19 and word[0] != "0"
        if digits or isinstance(word, np.integer):
            word = int(word)  # type: ignore[call-overload]
        # A truth value is an int to Python, and no key to anyone.
        return word if type(word) is int and 0 < word <= self.largest else None

    def parse(self, word: object) -> Key:
        """Return the key that a word or a number stands for; raise InputError where it is none."""
        found = self.find(word)
        if found is None:
            raise InputError(f"{str(word)[:40]!r} is no id", hint=self.hint)
        return found

    def is_meant(self, word: object) -> bool:
        """Return whether a word stands for a key, be it a wrong one, and not for the name of a file."""
        return isinstance(word, int | np.integer) or (isinstance(word, str) and word.strip().isdigit())

    def array(self, keys: Iterable[Key]) -> Ids:
        """Return keys as an array, in their order."""
        return np.fromiter(keys, dtype=np.int64)

    def column(self, values: Any) -> Ids:
        """Return the keys in a column of a frame; raise InputError if it has other values."""
        try:
            ids = dtypes.cast(values, "int64").to_numpy(dtype=np.int64)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"the column 'id' does not hold ids: {error}") from error
        if (ids <= 0).any():
            raise InputError("the column 'id' does not hold ids: one is not above zero")
        return ids


WHOLE_NUMBERS = WholeNumbers()


def ranks(ids: Ids) -> Ranks:
    """
    Return the ranks of keys: int64 numbers that are equal, less or greater as the keys are.

    Parameters
    ----------
    ids
        Keys; shape (n,). Whole numbers are their own ranks, and are not copied.
    """
    return np.ascontiguousarray(ids, dtype=np.int64)
