"""
Lists of ids in text files and JSON: of images, and of sequences.

In a list digits are an id of Mapillary, and a UUID is one of Panoramax; ids of other providers have the provider's
name before them, as in `kartaview:12345`. Where it is not known whose an image is, its id has `unknown:` before it,
and whoever asks a service for it has to name the provider.
"""

from __future__ import annotations

import io
import json
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np

from mlygeo import keys as keys_
from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.keys import PROVIDER_NAME, UUIDS, WHOLE_NUMBERS, provider_name
from mlygeo.store.paths import must_be_local

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from mlygeo.keys import Ids, Key, Keys

ID_KEYS = ("mapillary_img_id", "id", "image_id", "imgid")
"""Keys of an image's id in a JSON object; the first is percept-vsvi-filter's."""

LONGEST_SEQUENCE_ID = 200

SUMMARY = "summary.json"
"""File beside the results of a run, which says what it selected."""

LONGEST_LINE = 16 << 20
"""Characters of a line, which may have many ids."""

LONGEST_JSON = 256 << 20
"""Bytes of a list in JSON; text of any length is read line by line."""

BARE: dict[str, Keys] = {"mapillary": WHOLE_NUMBERS, "panoramax": UUIDS}
"""Providers whose ids stand in lists without the provider's name, and what those look like."""

HINT = (
    "ids of Mapillary are digits without leading zeros, such as 498763468214164, and those of Panoramax are UUIDs; "
    "write others as provider:id"
)

_NAMED = re.compile(r"([a-z][a-z0-9_-]+):(?!//)(\S+)")
"""An id with its provider; one letter is a drive of Windows, and "//" follows the scheme of an address."""

UNKNOWN = "unknown"
"""What stands in lists for a provider that is not known, or has a name that no provider can have."""

_APART = re.compile(r"[\s,#%]|^/")
"""What would part a word of a list, begin a comment or make an address of it; written as in addresses: %23 for #."""


class Own(NamedTuple):
    """The provider that a caller names, and the form of its keys: ids without a provider's name may be its own."""

    name: str
    keys: Keys


class Identified(NamedTuple):
    """An id with its provider."""

    provider: str
    key: Key


def identified(word: object, own: Own | None = None) -> Identified | None:
    """
    Return the image that a word of a list stands for; None where it is not an id, or does not tell whose.

    Parameters
    ----------
    word
        Text or a whole number. An id with the name of a provider that is not in `BARE`, nor the caller's own, is
        only text: its form is for the provider to check.
    own
        The provider that the caller names.
    """
    if own is not None and (key := own.keys.find(word)) is not None:
        return Identified(own.name, key)
    for name, keys in BARE.items():
        if (key := keys.find(word)) is not None:
            return Identified(name, key)
    parts = _NAMED.fullmatch(word) if isinstance(word, str) else None
    return None if parts is None else _of_provider(parts[1], unquote(parts[2]), own)


def _of_provider(name: str, word: object, own: Own | None) -> Identified | None:
    """Return the image of a provider, or of an unknown one, which is the caller's own; None if the word is none."""
    if name == UNKNOWN:
        key = None if own is None else own.keys.find(word)
        return None if key is None or own is None else Identified(own.name, key)
    known = own.keys if own is not None and own.name == name else BARE.get(name)
    key = str(word) if known is None else known.find(word)
    return None if key is None else Identified(name, key)


def refused(word: object, own: Own | None = None, *, where: str = "") -> InputError:
    """Return the error of a word of which `identified` knows no image; `where` begins the message."""
    parts = _NAMED.fullmatch(word) if isinstance(word, str) else None
    if parts is not None and parts[1] == UNKNOWN and own is None:
        return InputError(
            f"{where}nothing tells of which provider the image {unquote(parts[2])[:40]!r} is",
            hint=f"name the provider, or write its name instead of {UNKNOWN!r}",
        )
    return InputError(f"{where}{str(word)[:40]!r} is not an image id", hint=HINT if own is None else own.keys.hint)


def is_meant(word: object, own: Own | None = None) -> bool:
    """Return whether a word stands for an id, be it a wrong one, and not for the name of a file."""
    if own is not None and own.keys.is_meant(word):
        return True
    named = isinstance(word, str) and _NAMED.fullmatch(word.strip()) is not None and not Path(word).exists()
    return named or any(keys.is_meant(word) for keys in BARE.values())


def word_of(key: Key, provider: str | None) -> str:
    """Return an id as a word of a list, which tells whose it is, or that this is not known."""
    if provider is not None and names_provider(key, provider):
        return str(key)
    name = provider if provider is not None and PROVIDER_NAME.fullmatch(provider) else UNKNOWN
    word = _APART.sub(lambda found: quote(found[0], safe=""), str(key))
    return f"{name}:{word}"


def words_of(ids: pa.ChunkedArray, providers: pa.ChunkedArray | pa.Array) -> list[str]:
    """
    Return ids as words of a list, each as `word_of` does.

    Parameters
    ----------
    ids
        Keys, whole numbers or text without gaps; shape (n,).
    providers
        Names of their providers, text; shape (n,).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts, whose = ids.cast(pa.string()), providers.cast(pa.string())
    found = np.array(texts.to_pylist(), dtype=object)
    for name in whose.unique().to_pylist():
        its = pc.is_null(whose) if name is None else pc.fill_null(pc.equal(whose, name), fill_value=False)
        rows = np.flatnonzero(np.asarray(its, dtype=bool))
        its_texts = texts.take(pa.array(rows))
        plain = np.asarray(pc.match_substring_regex(its_texts, _SURELY.get(name, _PLAIN)), dtype=bool)
        if name not in _SURELY:  # no id alone tells that it is theirs
            prefix = name if name is not None and PROVIDER_NAME.fullmatch(name) else UNKNOWN
            found[rows[plain]] = f"{prefix}:" + found[rows[plain]]
        rows = rows[~plain]
        found[rows] = [word_of(key, name) for key in found[rows].tolist()]
    return list(found)


_SURELY = {"mapillary": "^[1-9][0-9]{0,17}$", "panoramax": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
"""Ids, as regular expressions of RE2, that alone tell that they are a provider's; `names_provider` tells of others."""

_PLAIN = "^[0-9A-Za-z._-]+$"
"""Ids in which `_APART` finds nothing."""


def names_provider(key: Key, provider: str) -> bool:
    """Return whether an id alone tells that it is one of this provider."""
    return provider in BARE and BARE[provider].find(str(key)) is not None


def array_of(found: Sequence[Key]) -> Ids:
    """Return keys of one provider as an array: int64, or text."""
    if all(isinstance(key, int) for key in found):
        return np.array(found, dtype=np.int64)
    texts = np.empty(len(found), dtype=object)
    texts[:] = list(map(str, found))
    return texts


def read_ids(path: str | os.PathLike[str], *, keys: Keys | None = None) -> Ids:
    """
    Return the ids of images that a file lists.

    Parameters
    ----------
    path
        A text file with ids, one or several a line, and comments from "#" on; or a JSON file
        (.json) that lists ids, or objects with `mapillary_img_id` or `id`, and perhaps `provider`.
    keys
        What ids look like, where they are all of one provider that is known.

    Returns
    -------
    ids
        In the file's order, each once; none where the file lists none: an empty list in JSON, comments alone, or
        the list of a selection that has no image, which has its summary beside it. int64 where all are digits,
        which are ids of Mapillary; else text (of objects): UUIDs, which are ids of Panoramax, and others with the
        provider's name before them, as in "kartaview:12345".

    Raises
    ------
    FileError
        If it cannot be read.
    InputError
        If something in it is not an id, or does not tell whose it is; the message names the line. If it is empty, and
        not of a selection.

    Examples
    --------
    >>> read_ids("image_ids.txt")
    array([498763468214164, 26858300993768842])
    """
    own = None if keys is None else Own("", keys)
    found = list(_identified(Path(path).expanduser(), own))
    if keys is not None:
        return distinct(keys.array(each.key for each in found if each.provider == ""))
    if all(each.provider == "mapillary" for each in found):
        return distinct(WHOLE_NUMBERS.array(each.key for each in found))
    return distinct(array_of([word_of(each.key, each.provider) for each in found]))


def listed_ids(path: str | os.PathLike[str], *, own: Own | None = None) -> dict[str, Ids]:
    """Return the ids of images that a file lists, as often as it lists them, by provider; see `read_ids`."""
    path = Path(path).expanduser()
    is_read_twice = path.suffix.lower() != ".json" and path.is_file()  # a pipe can be read once
    if is_read_twice and (alone := _of_one(path, own)) is not None:
        return alone
    return by_provider(_identified(path, own))


def _of_one(path: Path, own: Own | None) -> dict[str, Ids] | None:
    """Return the ids in a text file all of whose words have the form of one provider's; None for other files."""
    words = _words(path)
    first = next(words, None)
    found = None if first is None else identified(first, own)
    if first is None or found is None:
        return None
    keys = own.keys if own is not None and own.name == found.provider else BARE.get(found.provider)
    if keys is None or keys.find(first) is None:
        return None
    find = keys.find
    try:
        listed = keys.array(_found(find(word)) for word in chain([first], words))
    except _NotAlone:
        return None
    return {found.provider: listed}


class _NotAlone(Exception):  # noqa: N818 - no error
    """A word has another form."""


def _found(key: Key | None) -> Key:
    if key is None:
        raise _NotAlone
    return key


def _words(path: Path) -> Iterator[str]:
    for line in _lines(path):
        yield from line.partition("#")[0].replace(",", " ").split()


def identified_in(path: str | os.PathLike[str], *, own: Own | None = None) -> Iterator[Identified]:
    """Yield the images that a file lists, in its order and as often as it lists them; see `read_ids`."""
    return _identified(Path(path).expanduser(), own)


def by_provider(images: Iterable[Identified]) -> dict[str, Ids]:
    """Return ids by provider, both in the order in which they come."""
    found: dict[str, list[Key]] = {}
    for name, key in images:
        try:
            found[name].append(key)
        except KeyError:
            found[name] = [key]
    return {name: array_of(listed) for name, listed in found.items()}


def read_sequences(path: str | os.PathLike[str]) -> list[str]:
    """
    Return the ids of sequences that a file lists.

    Parameters
    ----------
    path
        A text file, a sequence a line, with comments from "#" on; or a file of a sequences frame.

    Returns
    -------
    sequences
        In the file's order, each once; those of a frame's rows that name a provider as `sequence_word` writes them.

    Raises
    ------
    FileError
        If it cannot be read.
    InputError
        If a line is not the id of a sequence.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in {"", ".txt", ".lst", ".list"}:
        from mlygeo import store

        frame = store.read_frame(path)
        if "sequence_id" not in frame:
            raise FormatError(f"{path.name} has no column 'sequence_id'")
        named = frame["sequence_id"].notna()
        words = frame["sequence_id"][named].astype(str)
        if "provider" in frame:
            pairs = zip(words, frame["provider"][named], strict=True)
            words = [sequence_word(id_, who) if isinstance(who, str) else id_ for id_, who in pairs]
        return checked_sequences(words, where=path.name)
    must_be_local(path, "a list of sequences")
    words = (line.partition("#")[0].split()[:1] for line in _lines(path))
    return checked_sequences((word[0] for word in words if word), where=path.name)


def checked_sequences(values: Iterable[str], *, where: str) -> list[str]:
    """Return ids of sequences, each once; raise InputError for an invalid one."""
    found = dict.fromkeys(value.strip() for value in values)
    for value in found:
        if not value or len(value) > LONGEST_SEQUENCE_ID or not value.isprintable() or " " in value:
            raise InputError(f"{where}: {value[:40]!r} is not an id of a sequence")
    return list(found)


def sequence_word(sequence: str, provider: str) -> str:
    """Return a sequence as a word of a list: Mapillary's id alone, unless it is a UUID, and others after a name."""
    bare = provider == "mapillary" and UUIDS.find(sequence) is None and _NAMED.fullmatch(sequence) is None
    return sequence if bare else f"{provider}:{sequence}"


def sequences_by_provider(words: Iterable[str], own: Own | None = None) -> dict[str, list[str]]:
    """
    Return sequences by provider.

    Parameters
    ----------
    words
        Ids of sequences, perhaps with the name of a provider; see `sequence_word`.
    own
        The provider of those without a name. Unless it is given, they are Mapillary's.

    Raises
    ------
    InputError
        If one without a name is a UUID, and no provider is given: Mapillary has had such ids, and Panoramax has them.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        parts = _NAMED.fullmatch(word)
        name, sequence = parts.groups() if parts else (None if own is None else own.name, word)
        if name is None and UUIDS.find(word) is not None:
            raise InputError(
                f"the sequence {word} may be one of Mapillary or of Panoramax",
                hint=f"write mapillary:{word} or panoramax:{word}, or name the provider",
            )
        name = name or "mapillary"
        sequence = UUIDS.find(sequence) or sequence if name == "panoramax" else sequence
        found.setdefault(name, []).append(sequence)
    return found


def distinct(ids: Ids) -> Ids:
    """Return ids in their order, each once."""
    if ids.dtype == object:
        found: Ids = keys_.distinct(ids)
        return found
    values, first = np.unique(ids, return_index=True)
    return ids.copy() if len(values) == len(ids) else ids[np.sort(first)]


def repeated(ids: Ids) -> Ids:
    """Return the ids that stand in a list again: each once for every time after the first."""
    if ids.dtype == object:
        import pandas as pd

        return ids[pd.Series(ids, dtype=object).duplicated().to_numpy()]
    _, first = np.unique(ids, return_index=True)
    return ids[np.setdiff1d(np.arange(len(ids)), first)]


def merge_failed(
    path: Path, failed: Mapping[Key, str], tried: Ids, *, provider: str = "mapillary", own: Own | None = None
) -> None:
    """
    Write the ids that failed to a file for `read_ids`, with the reasons as comments.

    Earlier lines of the file stay, except those of images that were tried again.

    Parameters
    ----------
    path
        The file; it is made if it is missing and images failed.
    failed
        Reason of each image.
    tried
        All images that were tried.
    provider
        The provider of the images.
    own
        The provider that the caller names, to read the file by.
    """
    from mlygeo import store

    before = []
    if path.exists():
        anew = set(tried.tolist())
        for line in _lines(path):
            words = line.partition("#")[0].split()
            found = identified(words[0], own) if words else None
            if line.strip() and not (found is not None and found.provider == provider and found.key in anew):
                before.append(line.rstrip("\r\n"))
    elif not failed:
        return
    lost = keys_.ordered(failed)
    listed = [f"{word_of(key, provider)}  # {' '.join(failed[key].split())}" for key in lost]
    store.write_text("".join(f"{line}\n" for line in [*before, *listed] or ["# none"]), path)


def _identified(path: Path, own: Own | None) -> Iterator[Identified]:
    return _of_list(path, own) if path.suffix.lower() == ".json" else _of_text(path, own)


def _of_text(path: Path, own: Own | None) -> Iterator[Identified]:
    is_empty = True
    for number, line in enumerate(_lines(path), start=1):
        is_empty = is_empty and not line.strip()
        for word in line.partition("#")[0].replace(",", " ").split():
            found = identified(word, own)
            if found is None:
                raise refused(word, own, where=f"{path.name}, line {number}: ")
            yield found
    if is_empty and not (path.parent / SUMMARY).is_file():
        raise InputError(f"no ids in {path}, which is empty", hint='a list that has none on purpose says "# none"')


def _lines(path: Path) -> Iterator[str]:
    try:
        with io.TextIOWrapper(places.opened(path), encoding="utf-8-sig") as file:
            while line := _line(file, path):
                yield line
    except FormatError:
        raise
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not text in UTF-8") from None


def _line(file: io.TextIOWrapper, path: Path) -> str:
    line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise FormatError(f"{path} has a line of more than {LONGEST_LINE:,} characters, and is not a list")
    return line


def _listed(path: Path) -> list[Any]:
    try:
        said = places.content_of(path, LONGEST_JSON)
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    if len(said) > LONGEST_JSON:
        raise FormatError(f"{path} is larger than {LONGEST_JSON >> 20} MiB", hint="list the ids in a text file")
    try:
        content = json.loads(said.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {' '.join(str(error).split())[:100]}") from error
    if isinstance(content, dict):
        content = content.get("data", content.get("image_ids"))
    if not isinstance(content, list):
        raise FormatError(f"{path} holds no list of ids, nor of objects with {ID_KEYS[0]!r}")
    return content


def _of_list(path: Path, own: Own | None) -> Iterator[Identified]:
    for value in _listed(path):
        of_object = isinstance(value, dict)
        word = next((value[name] for name in ID_KEYS if name in value), None) if of_object else value
        word = word.strip() if isinstance(word, str) else word
        found = _of_object(value, word, own) if of_object and "provider" in value else identified(word, own)
        if found is None and of_object and value.get("provider", True) in (None, "", UNKNOWN) and word is not None:
            raise refused(word_of(word, None), own, where=f"{path.name}: ")
        if found is None:
            raise InputError(f"{path.name}: {str(value)[:60]!r} is not an image id, nor an object with {ID_KEYS[0]!r}")
        yield found


def _of_object(value: dict[str, Any], word: object, own: Own | None) -> Identified | None:
    """Return the image of an object that has a provider, or a gap for it; None where it is none."""
    name = provider_name(value["provider"]) or UNKNOWN
    is_id = isinstance(word, str | int) and not isinstance(word, bool) and word != ""
    return _of_provider(name, word, own) if is_id and isinstance(name, str) and PROVIDER_NAME.fullmatch(name) else None
