"""
The keys of images: a provider's identifiers of its images, and the order that settles ties.

A key, the `id` of an images frame, identifies one image of one provider as long as the image exists, and is
opaque outside the provider's folder: other code stores it, looks it up, passes it back and writes it as text,
but never computes with it, splits it or uses it as an index. Mapillary's keys are whole numbers and stand in an
int64 column (Int64 with gaps); keys that are text stand in a column of `str`, and where images of several
providers stand together all keys are text. Keys have an order: by provider, then by number if all keys of the
provider are digits, else by text. Of tied images the first one in this order wins; code that settles ties
compares `ranks` and not keys.

A UUID is the same in upper and lower case (RFC 9562), whoever's key it is: such keys have the same rank, and where
frames enter they are brought to lower case. Other text stays as it came. The name of a provider is the same in upper
and lower case too, and with spaces around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np

from mlygeo import dtypes, uuids
from mlygeo.arrays import maybe_repeated
from mlygeo.errors import InputError
from mlygeo.uuids import Uuids

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Indices, Objects, Rows, Whole

    Ids: TypeAlias = Whole | Objects
    Ranks: TypeAlias = Whole

Key: TypeAlias = int | str


class Keys(Protocol):
    """
    The form of the keys of a provider's images.

    An array of keys is int64 where they are whole numbers, and of objects, each a `str`, where they are text.
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


Found = TypeVar("Found", int, str)


class _Parsing(Generic[Found]):
    """Keys of a form, of which only words are read that `find` knows."""

    hint: str

    def find(self, word: object) -> Found | None:
        """Return the key that a word or a number stands for; None where it is none."""
        raise NotImplementedError

    def parse(self, word: object) -> Found:
        """Return the key that a word or a number stands for; raise InputError where it is none."""
        found = self.find(word)
        if found is None:
            raise InputError(f"{str(word)[:40]!r} is not an id", hint=self.hint)
        return found


class WholeNumbers(_Parsing[int]):
    """Keys that are whole numbers above zero, as text or as numbers; see `Keys`."""

    largest = 2**63 - 1

    hint = "ids are whole numbers without leading zeros, such as 498763468214164"

    def find(self, word: object) -> int | None:
        """Return the key that a word or a number stands for; None where it is none."""
        # No service writes a number with leading zeros: such a word is something else, or was changed on its way.
        digits = isinstance(word, str) and word.isascii() and word.isdigit() and len(word) <= 19 and word[0] != "0"
        if digits or isinstance(word, np.integer):
            word = int(word)  # type: ignore[call-overload]
        # A truth value is an int to Python, and no key to anyone.
        return word if type(word) is int and 0 < word <= self.largest else None

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


class Texts(_Parsing[str]):
    """
    Keys that are text of one form; see `Keys`.

    Parameters
    ----------
    form
        What a whole key looks like, in lower case where `lower`.
    hint
        What keys look like, for messages.
    lower
        Whether upper and lower case mean the same, and the key is the one in lower case.
    """

    def __init__(self, form: re.Pattern[str], hint: str, *, lower: bool = False) -> None:
        self._form, self.hint, self._lower = form, hint, lower

    def find(self, word: object) -> str | None:
        """Return the key that a word stands for; None where it is none."""
        if not isinstance(word, str):
            return None
        key = word.lower() if self._lower else word
        return key if self._form.fullmatch(key) else None

    def is_meant(self, word: object) -> bool:
        """Return whether a word stands for a key."""
        return self.find(word.strip() if isinstance(word, str) else word) is not None

    def array(self, keys: Iterable[Key]) -> Objects:
        """Return keys as an array, in their order."""
        return self._array(list(keys))

    def _array(self, listed: list[Any]) -> Objects:
        found: Objects = np.empty(len(listed), dtype=object)
        found[:] = listed
        return found

    def column(self, values: Any) -> Objects:
        """Return the keys in a column of a frame; raise InputError if it has other values."""
        ids: Objects = np.asarray(values, dtype=object)
        keys = self._array([self.find(id_) for id_ in ids])
        for id_, key in zip(ids, keys, strict=True):
            if key is None:
                raise InputError(f"the column 'id' does not hold ids: {str(id_)[:40]!r} is none", hint=self.hint)
        return keys


UUIDS = Texts(
    re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "ids are UUIDs, such as fc4bd9cd-e3d5-4218-81b3-0ae99d92635a",
    lower=True,
)
"""Keys that are UUIDs (RFC 9562), in lower case."""

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]+")
"""What names of providers look like; one letter is a drive of Windows."""


def provider_name(name: Any) -> Any:
    """Return the name of a provider without spaces around it and in lower case; None for an empty one."""
    if not isinstance(name, str):
        return name
    plain = name.strip().lower()
    return plain if PROVIDER_NAME.fullmatch(plain) else name if plain else None


def provider_names(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of names of providers, as `provider_name` has them; the same where they are so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (_is_text(kind) or pa.types.is_string_view(kind)):
        return values
    given = values.unique().to_pylist()
    plain = [provider_name(name) for name in given]
    if plain == given:
        return values
    places = pc.index_in(values.cast(pa.string()), value_set=pa.array(given, pa.string()))
    return pc.take(pa.array(plain, pa.string()), places)


def with_provider_names(values: pd.Series) -> pd.Series:
    """Return a column of a frame with names of providers, as `provider_name` has them; the same where they are so."""
    import pandas as pd

    given = pd.unique(values.dropna())
    changed = {name: plain for name in given if (plain := provider_name(name)) != name}
    if not changed:
        return values
    return values.astype(object).replace(changed).astype("str").where(values.notna(), None)


_ODD_TEXT = r"^[\s\p{Z}]|[\s\p{Z}]$|[\p{Cc}\p{Zl}\p{Zp}]|^$"
"""What no id can be: empty, with spaces around it, or with line breaks, since lists have an id a line."""

_PLAIN = range(0x21, 0x7F)
"""Bytes of which no odd text is made."""


def texts(values: Any) -> pa.StringArray | pa.LargeStringArray:
    """
    Return ids of any kind as Arrow text, UUIDs in lower case.

    Parameters
    ----------
    values
        A column, array or Arrow array of text or whole numbers; shape (n,).

    Raises
    ------
    ValueError
        If one is missing, or is nothing that could stand in a line of a list.
    """
    found = _as_text(values)
    _check_lines(found)
    return in_lower_case(found)


def uuids_in_lower_case(values: pd.Series) -> pd.Series:
    """Return a column of keys, `str`, perhaps with gaps, in which UUIDs are in lower case; the same where they are."""
    import pandas as pd
    import pyarrow as pa

    words = pa.array(values, type=pa.large_string(), from_pandas=True)
    words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    found = in_lower_case(words)
    return values if found is words else pd.Series(found.to_pandas(), values.index, dtype="str", name=values.name)


def in_lower_case(words: pa.StringArray | pa.LargeStringArray) -> pa.StringArray | pa.LargeStringArray:
    """Return texts in which UUIDs are in lower case; the same where they are."""
    import pyarrow.compute as pc

    _, content = _bytes(words)
    if not any(_has_capitals(content[start : start + _BYTES]) for start in range(0, len(content), _BYTES)):
        return words
    is_uuid = pc.fill_null(pc.match_substring_regex(words, _IN_ANY_CASE), fill_value=False)
    return pc.if_else(is_uuid, pc.ascii_lower(words), words) if pc.any(is_uuid).as_py() else words


_IN_ANY_CASE = "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"

_BYTES = 1 << 20
"""Bytes looked at together: they stay in the cache of the processor."""


def _has_capitals(content: npt.NDArray[np.uint8]) -> bool:
    """Return whether some bytes are hexadecimal digits in upper case."""
    return bool((content - np.uint8(ord("A")) < 6).any())


def _as_text(values: Any) -> pa.StringArray | pa.LargeStringArray:
    """Return ids of any kind as Arrow text; raise ValueError where one is missing."""
    import pyarrow as pa

    found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        # The places of more than 2 GiB of text do not fit the smaller type.
        found = found.cast(pa.large_string()) if _is_text(found.type) and found.nbytes >= 2**31 else found
        found = found.combine_chunks()
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if pa.types.is_floating(found.type) or pa.types.is_boolean(found.type):
        raise ValueError(f"these are {found.type}s, and ids are text or whole numbers")
    if not _is_text(found.type):
        found = found.cast(pa.large_string() if pa.types.is_string_view(found.type) else pa.string())
    if found.null_count:
        raise ValueError(f"{found.null_count} of {len(found)} are missing")
    return found


def _check_lines(words: pa.StringArray | pa.LargeStringArray) -> None:
    """Raise ValueError where an id could not stand in a line of a list."""
    import pyarrow.compute as pc

    starts, content = _bytes(words)
    if len(content) and content.min() >= _PLAIN.start and content.max() < _PLAIN.stop and (np.diff(starts) > 0).all():
        return
    odd = pc.match_substring_regex(words, _ODD_TEXT)
    if pc.any(odd).as_py():
        raise ValueError(f"{words.filter(odd)[0].as_py()[:40]!r} is empty, has spaces around it or line breaks")


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bytes(words: pa.StringArray | pa.LargeStringArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Return where texts without gaps begin and end, shape (n + 1,), and all their bytes (UTF-8), from the first on."""
    import pyarrow as pa

    if not len(words):
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    _, places, content = words.buffers()
    kind = np.int64 if pa.types.is_large_string(words.type) else np.int32
    starts = np.frombuffer(places, dtype=kind)[words.offset : words.offset + len(words) + 1]
    none = np.empty(0, dtype=np.uint8)
    return starts, none if content is None else np.frombuffer(content, dtype=np.uint8)[starts[0] : starts[-1]]


def distinct(ids: Any) -> Any:
    """Return ids, each once, in the order of their first places."""
    import pandas as pd

    return pd.unique(ids)


def joined(parts: Sequence[Ids]) -> Ids:
    """Return ids of one provider, one part after the other."""
    return np.concatenate(parts)  # type: ignore[return-value]


def is_in(ids: Ids, others: Ids) -> Flags:
    """Return which ids are among others; all are of one provider."""
    if ids.dtype != object:
        return np.isin(ids, others)
    import pandas as pd

    found: Flags = pd.Series(ids, dtype=object).isin(others).to_numpy(copy=True)
    return found


def in_order(ids: Ids) -> Indices:
    """Return the rows of ids of one provider in the order of the ids; equal ones in that of the rows."""
    return np.argsort(ids if ids.dtype != object else ranks(ids), kind="stable")


def ordered(ids: Iterable[Key]) -> list[Key]:
    """Return ids of one provider in their order."""
    listed = list(ids)
    numbers = [id_ for id_ in listed if isinstance(id_, int)]
    if len(numbers) == len(listed):
        return [*sorted(numbers)]
    return [listed[row] for row in np.argsort(ranks(list(map(str, listed))), kind="stable")]


def places_of(ids: Ids) -> Callable[[Key], int]:
    """Return a function that finds the row of a key among ids, which stand in their order, each once."""
    if ids.dtype != object:
        return lambda key: int(np.searchsorted(ids, key))
    return {key: row for row, key in enumerate(ids.tolist())}.__getitem__


def ranks(ids: Any, providers: Any = None) -> Ranks:
    """
    Return the ranks of keys: int64 numbers that are equal, less or greater as the keys are.

    Parameters
    ----------
    ids
        Keys; shape (n,), whole numbers or text. Whole numbers of one provider are their own ranks, and are not copied.
    providers
        Names of the images' providers, text of shape (n,); None where all are of one.

    Raises
    ------
    ValueError
        If ids are missing.
    """
    if providers is None and isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        return np.ascontiguousarray(ids, dtype=np.int64)
    words = _as_text(ids)
    return keyed(lambda: [words], len(words), providers).ranks


@dataclass(frozen=True)
class Keyed:
    """
    The keys of images. UUIDs are held as numbers, and texts are made of them for chosen rows only.

    Parameters
    ----------
    ranks
        As `ranks` returns them.
    held
        The keys: whole numbers, UUIDs, both of several providers, or other text.
    doubtful
        The rows of all keys that stand in several rows, and of a few others; None where that was not looked for.
    """

    ranks: Ranks
    held: Whole | Uuids | Mixed | pa.StringArray | pa.LargeStringArray
    doubtful: Rows | None = None

    @property
    def are_numbers(self) -> bool:
        """Whether they are whole numbers, Mapillary's alone."""
        return isinstance(self.held, np.ndarray)

    def ids(self, rows: Rows) -> Whole | pa.StringArray | pa.LargeStringArray:
        """Return the keys of chosen rows: int64, or Arrow text."""
        chosen = self.only(rows).held
        return chosen.texts() if isinstance(chosen, Uuids | Mixed) else chosen

    def only(self, rows: Rows) -> Keyed:
        """Return the keys of chosen rows, of which nobody has looked where they repeat."""
        held = self.held
        if isinstance(held, np.ndarray):
            return Keyed(self.ranks[rows], held[rows])
        return Keyed(self.ranks[rows], held.at(rows) if isinstance(held, Uuids | Mixed) else held.take(rows))


def keyed(
    parts: Callable[[], Iterable[pa.Array]], count: int, providers: Any = None, by_text: Collection[str] = ()
) -> Keyed:
    """
    Return keys that are text.

    Parameters
    ----------
    parts
        Returns the keys, part after part, anew at each call. Of UUIDs of one provider no more than a part is held.
    count
        How many keys there are.
    providers
        As for `ranks`.
    by_text
        Names of the providers, "" for none, some of whose keys are no digits although all of these may be.

    Raises
    ------
    ValueError
        As `texts` does.
    """
    import pyarrow as pa

    several = _several(providers)
    as_text = _by_text(providers, by_text) if by_text else frozenset()
    if several is None and (found := _uuids_of(parts(), count)) is not None:
        ranks, doubtful = found.ranks()
        return Keyed(ranks, found, doubtful)
    if several is not None and (mixed := Mixed.read(parts(), count)) is not None:
        plain = all(mixed.are_uuids[several[0] == place].all() for place in as_text)
        found_ranks = mixed.ranks(*several) if plain else None
        if found_ranks is not None:
            return Keyed(found_ranks[0], mixed, found_ranks[1])
    words = texts(pa.chunked_array([*parts()] or [pa.array([], pa.string())]))
    if several is not None:
        return Keyed(_of_several(words, *several, by_text=as_text), words)
    return Keyed(_of_others(words, by_text=bool(as_text)), words)


def _by_text(providers: Any, named: Collection[str]) -> frozenset[int]:
    """Return the places, as `_several` counts them, of the providers that are among those named."""
    import pyarrow as pa

    names = [""]
    if providers is not None and len(providers):
        values = providers if isinstance(providers, pa.ChunkedArray) else pa.chunked_array([_array(providers)])
        kept = values if pa.types.is_null(values.type) else provider_names(values)
        names = sorted({name or "" for name in kept.unique().to_pylist()})
    return frozenset(place for place, name in enumerate(names) if name in named)


@dataclass(frozen=True)
class Mixed:
    """
    Keys of several providers, each a UUID or a whole number.

    Parameters
    ----------
    numbers
        The UUIDs; whole numbers are their first 64 bits.
    are_uuids
        Which keys are UUIDs.
    """

    numbers: Uuids
    are_uuids: Flags

    @classmethod
    def read(cls, parts: Iterable[pa.Array], count: int) -> Mixed | None:
        """Return the keys in arrays; None where some are neither, or begin with zeros."""
        numbers = Uuids(np.empty(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))
        are_uuids = np.empty(count, dtype=bool)
        start = 0
        for part in parts:
            if not _is_text(part.type) or part.null_count:
                return None
            stop = start + len(part)
            are = are_uuids[start:stop] = np.diff(_bytes(part)[0]) == uuids.LENGTH
            whole = _whole_numbers(part.filter(~are))
            read = _uuids_of([part.filter(are)], int(are.sum()))
            if whole is None or read is None:
                return None
            numbers.high[start:stop][~are] = whole
            numbers.high[start:stop][are], numbers.low[start:stop][are] = read
            start = stop
        return cls(numbers, are_uuids)

    def at(self, rows: Any) -> Mixed:
        """Return the keys of chosen rows, which index arrays: row numbers or flags."""
        return Mixed(self.numbers.at(rows), self.are_uuids[rows])

    def texts(self) -> pa.StringArray:
        """Return the keys as text, UUIDs in lower case."""
        import pyarrow as pa
        import pyarrow.compute as pc

        whole = pa.array(self.numbers.high.view(np.int64)).cast(pa.string())
        return pc.replace_with_mask(whole, pa.array(self.are_uuids), self.numbers.at(self.are_uuids).texts())

    def ranks(self, place: Indices, count: int) -> tuple[Ranks, Rows] | None:
        """
        Return the ranks of the keys, and where they may repeat; None where 64 bits do not tell them apart.

        Parameters
        ----------
        place
            The place of each key's provider in the order of providers; shape (n,).
        count
            How many providers there are.
        """
        bits = (count - 1).bit_length()
        found = self.numbers.high.copy()
        for provider in range(count):
            are = self.are_uuids[its := place == provider]
            if are.any() and not are.all():  # which are compared as text
                return None
            if are.any():
                found[its] >>= np.uint64(bits)
        if (found >> np.uint64(64 - bits)).any():
            return None
        found |= place.astype(np.uint64) << np.uint64(64 - bits)
        doubtful = maybe_repeated(found)
        (high, low), ranked = self.numbers.at(doubtful), found[doubtful]
        order = np.lexsort((low, high, ranked))
        same = ranked[order][1:] == ranked[order][:-1]
        if any((half[order][1:][same] != half[order][:-1][same]).any() for half in (high, low)):
            return None
        return (found ^ np.uint64(1 << 63)).view(np.int64), doubtful


def _whole_numbers(words: pa.StringArray | pa.LargeStringArray) -> npt.NDArray[np.uint64] | None:
    """Return the whole numbers that texts stand for; None where some are none, have 19 digits, or begin with zeros."""
    import pyarrow as pa

    starts, content = _bytes(words)
    length = np.diff(starts)
    if not len(length):
        return np.empty(0, dtype=np.uint64)
    if length.min() < 1 or length.max() > 18 or not (content - np.uint8(ord("0")) < 10).all():
        return None
    if (content[starts[:-1] - starts[0]] == ord("0")).any():
        return None
    found: npt.NDArray[np.uint64] = words.cast(pa.uint64()).to_numpy(zero_copy_only=False)
    return found


def as_bytes(ids: Whole | pa.StringArray | pa.LargeStringArray) -> list[npt.NDArray[Any]]:
    """Return arrays of numbers that tell keys apart, as `Keyed.ids` has them: texts by their lengths and bytes."""
    if isinstance(ids, np.ndarray):
        return [ids]
    starts, content = _bytes(ids)
    return [np.diff(starts).astype(np.int64), content]


def _uuids_of(parts: Iterable[pa.Array], count: int) -> Uuids | None:
    """Return the keys in arrays as UUIDs; None where some are none."""

    def letters() -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.uint8]] | None]:
        for part in parts:
            # A gap is not a UUID, whatever stands in its place.
            yield _bytes(part) if _is_text(part.type) and not part.null_count else None

    return uuids.read(letters(), count)


def _several(providers: Any) -> tuple[Indices, int] | None:
    """
    Return the place of each row's provider among several in their order, and how many they are; None where it is one.

    A row that names nobody comes first.
    """
    import pyarrow as pa

    if providers is None:
        return None
    values = providers if isinstance(providers, pa.ChunkedArray) else pa.chunked_array([_array(providers)])
    if pa.types.is_null(values.type):
        return None
    values = provider_names(values)
    names = sorted({name or "" for name in values.unique().to_pylist()})
    if len(names) <= 1:
        return None
    coded = values if pa.types.is_dictionary(values.type) else values.cast(pa.string()).dictionary_encode()
    coded = coded.unify_dictionaries().combine_chunks()
    of_codes = [names.index(name) if name in names else 0 for name in coded.dictionary.to_pylist()]
    place = np.array([*of_codes, 0], dtype=np.intp)
    return place[coded.indices.fill_null(len(of_codes)).to_numpy()], len(names)


def _array(values: Any) -> pa.Array:
    import pyarrow as pa

    found = pa.array(values, from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _of_several(
    words: pa.StringArray | pa.LargeStringArray, place: Indices, count: int, *, by_text: Collection[int]
) -> Ranks:
    """Return the ranks of keys of several providers, whose places in their order are given."""
    import pyarrow as pa

    found, least = np.empty(len(place), dtype=np.int64), 0
    for number in range(count):
        rows = np.flatnonzero(place == number)
        its = words.take(pa.array(rows))
        as_uuids = _uuids_of([its], len(its))
        _, dense = np.unique(
            _of_others(its, by_text=number in by_text) if as_uuids is None else as_uuids.ranks()[0],
            return_inverse=True,
        )
        found[rows] = least + dense
        least += int(dense.max(initial=-1)) + 1
    return found


def _of_others(words: pa.StringArray | pa.LargeStringArray, *, by_text: bool = False) -> Ranks:
    """Return the ranks of keys of one provider that are no UUIDs: by number if all are digits, else by text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(words):
        return np.empty(0, dtype=np.int64)
    if not by_text and are_digits(words):
        if pc.max(pc.binary_length(words)).as_py() <= 18 and not pc.any(pc.match_substring_regex(words, "^0.")).as_py():
            numbers: Ranks = words.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return numbers
        # By number: fewer digits first, then by digits; 07 comes after 7.
        digits = pc.utf8_ltrim(words, characters="0")
        table = pa.table({"length": pc.binary_length(digits), "digits": digits, "whole": pc.binary_length(words)})
        return _dense(table, [(name, "ascending") for name in table.column_names])
    return _dense(pa.table({"text": words}), [("text", "ascending")])


def are_digits(words: Any) -> bool:
    """Return whether all of some keys, an array of text, are digits: then their order is that of the numbers."""
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(words, "^[0-9]+$")).as_py() is not False)


def _dense(table: pa.Table, by: list[tuple[str, str]]) -> Ranks:
    """Return the place of each row among the distinct ones."""
    import pyarrow.compute as pc

    order = pc.sort_indices(table, sort_keys=by)
    differs = np.zeros(len(order), dtype=bool)
    for name in table.column_names:
        values = table[name].take(order).combine_chunks()
        differs[1:] |= pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    found = np.empty(len(order), dtype=np.int64)
    found[order.to_numpy()] = np.cumsum(differs)
    return found
