"""Lists of ids in text files and JSON: of images, and of sequences."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.keys import WHOLE_NUMBERS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

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


def read_ids(path: str | os.PathLike[str], *, keys: Keys = WHOLE_NUMBERS) -> Ids:
    """
    Return the ids of images that a file lists.

    Parameters
    ----------
    path
        A text file with ids, one or several a line, and comments from "#" on; or a JSON file
        (.json) that lists ids, or objects with `mapillary_img_id` or `id`.
    keys
        What ids look like.

    Returns
    -------
    ids
        int64, in the file's order, each once; none where the file lists none: an empty list in JSON, comments
        alone, or the list of a selection that has no image, which has its summary beside it.

    Raises
    ------
    FileError
        If it cannot be read.
    InputError
        If something in it is not an id; the message names the line. If it is empty, and not of a selection.

    Examples
    --------
    >>> read_ids("image_ids.txt")
    array([498763468214164, 26858300993768842])
    """
    return distinct(listed_ids(path, keys=keys))


def listed_ids(path: str | os.PathLike[str], *, keys: Keys = WHOLE_NUMBERS) -> Ids:
    """Return the ids of images that a file lists, as often as it lists them; see `read_ids`."""
    path = Path(path).expanduser()
    if path.suffix.lower() == ".json":
        return keys.array(_of_list(path, keys))
    said: list[str] = []
    found = keys.array(_of_text(path, keys, said))
    if not len(found) and not said and not (path.parent / SUMMARY).is_file():
        raise InputError(f"no ids in {path}, which is empty", hint='a list that has none on purpose says "# none"')
    return found


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
        In the file's order, each once.

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
        return checked_sequences(frame["sequence_id"].dropna().astype(str), where=path.name)
    words = (line.partition("#")[0].split()[:1] for line in _lines(path))
    return checked_sequences((word[0] for word in words if word), where=path.name)


def checked_sequences(values: Iterable[str], *, where: str) -> list[str]:
    """Return ids of sequences, each once; raise InputError for an invalid one."""
    found = dict.fromkeys(value.strip() for value in values)
    for value in found:
        if not value or len(value) > LONGEST_SEQUENCE_ID or not value.isprintable() or " " in value:
            raise InputError(f"{where}: {value[:40]!r} is no id of a sequence")
    return list(found)


def distinct(ids: Ids) -> Ids:
    """Return ids in their order, each once."""
    values, first = np.unique(ids, return_index=True)
    return ids.copy() if len(values) == len(ids) else ids[np.sort(first)]


def repeated(ids: Ids) -> Ids:
    """Return the ids that stand in a list again: each once for every time after the first."""
    _, first = np.unique(ids, return_index=True)
    return np.delete(ids, first)


def merge_failed(path: Path, failed: dict[Key, str], tried: Ids, *, keys: Keys = WHOLE_NUMBERS) -> None:
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
    keys
        What ids look like.
    """
    from mlygeo import store

    before = []
    if path.exists():
        anew = set(tried.tolist())
        for line in _lines(path):
            words = line.partition("#")[0].split()
            if line.strip() and not (words and keys.find(words[0]) in anew):
                before.append(line.rstrip("\r\n"))
    elif not failed:
        return
    listed = [f"{number}  # {' '.join(reason.split())}" for number, reason in sorted(failed.items())]
    store.write_text("".join(f"{line}\n" for line in [*before, *listed] or ["# none"]), path)


def _of_text(path: Path, keys: Keys, said: list[str]) -> Iterator[Key]:
    """Yield the ids in a text; the first line that is not blank goes to `said`."""
    for number, line in enumerate(_lines(path), start=1):
        if not said and line.strip():
            said.append(line[:80])
        for word in line.partition("#")[0].replace(",", " ").split():
            key = keys.find(word)
            if key is None:
                raise InputError(f"{path.name}, line {number}: {word[:40]!r} is no image id", hint=keys.hint)
            yield key


def _lines(path: Path) -> Iterator[str]:
    try:
        with io.TextIOWrapper(places.opened(path), encoding="utf-8-sig") as file:
            while line := _line(file, path):
                yield line
    except FormatError:
        raise
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise FormatError(f"{path} is no text in UTF-8") from None


def _line(file: io.TextIOWrapper, path: Path) -> str:
    line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise FormatError(f"{path} has a line of more than {LONGEST_LINE:,} characters, and is no list")
    return line


def _listed(path: Path) -> list[Any]:
    try:
        said = places.content_of(path, LONGEST_JSON)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    if len(said) > LONGEST_JSON:
        raise FormatError(f"{path} is larger than {LONGEST_JSON >> 20} MiB", hint="list the ids in a text file")
    try:
        content = json.loads(said.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON: {' '.join(str(error).split())[:100]}") from error
    if isinstance(content, dict):
        content = content.get("data", content.get("image_ids"))
    if not isinstance(content, list):
        raise FormatError(f"{path} holds no list of ids, nor of objects with {ID_KEYS[0]!r}")
    return content


def _of_list(path: Path, keys: Keys) -> Iterator[Key]:
    for value in _listed(path):
        word = next((value[name] for name in ID_KEYS if name in value), None) if isinstance(value, dict) else value
        key = keys.find(word.strip() if isinstance(word, str) else word)
        if key is None:
            raise InputError(f"{path.name}: {str(value)[:60]!r} is no image id, nor an object with {ID_KEYS[0]!r}")
        yield key
