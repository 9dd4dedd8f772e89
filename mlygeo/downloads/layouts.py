"""
The layouts of an output folder: the path of each image's file.

Only ids, times and checked sequence ids become names, so nothing that the service sends can lead
out of the folder. Values that names depend on are requested from the service first. Where images of several
providers are in one folder, `apart` keeps their files apart.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlygeo import keys
from mlygeo.errors import FormatError
from mlygeo.progress import working

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlygeo.arrays import Whole, Whole32
    from mlygeo.downloads.ledger import Form
    from mlygeo.keys import Ids, Key
    from mlygeo.providers import Records, Session

LONGEST_SEQUENCE_ID = 100
"""Most letters of a sequence id; real ones have 22, and a name of a folder may have 255 bytes."""

_SEQUENCE_ID = re.compile(r"[A-Za-z0-9_-]+")

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)
"""Names that Windows reserves for devices, with any ending."""

LONGEST_NAME = 150
"""Most letters of an id in the name of a file."""

_PLAIN, _SAFE, _UPPER = re.compile("[a-z0-9_-]+"), re.compile("[A-Za-z0-9_-]"), frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

_MOMENT = re.compile(r"\d{8}_\d{6}_\d{3}")
"""The name of a file by its time alone, whose milliseconds are no id."""

UNKNOWN_TIME = np.iinfo(np.int64).min
"""An unknown capture time."""


@working("asking for the times of the images")
def layout_of(form: Form, ids: Ids, session: Session, records: Records) -> Layout:
    """
    Return the layout of a download.

    Parameters
    ----------
    form
        The requested form.
    ids
        The images; shape (n,).
    session, records
        Session and records of the provider; only the layout by time uses them.
    """
    if form.layout == "sequence":
        return BySequence(form.format)
    if form.layout == "flat":
        return Flat(form.format)
    return _by_time(ids[keys.in_order(ids)], session, records, form.format)


class Layout(Protocol):
    """Gives the paths of files, relative to the output folder, with "/" between the parts."""

    def path(self, number: Key, record: Mapping[str, Any]) -> str:
        """
        Return the path of an image's file.

        Parameters
        ----------
        number
            Its id.
        record
            Its values by the columns of an images frame.

        Raises
        ------
        FormatError
            If it cannot be named safely.
        """

    def sidecar(self, number: Key) -> str | None:
        """Return the path of the file with its metadata; None where the layout has none."""


class BySequence:
    """SEQUENCE_ID/IMAGE_ID.jpg, as in percept-vsvi-filter."""

    def __init__(self, ending: str = "jpg") -> None:
        self._ending = ending

    def path(self, number: Key, record: Mapping[str, Any]) -> str:
        """Return the path of an image's file."""
        return f"{sequence_folder(record.get('sequence_id'))}/{file_name(number)}.{self._ending}"

    def sidecar(self, number: Key) -> str | None:  # noqa: ARG002
        """Return None: there are no further files."""
        return None


class Flat:
    """images/IMAGE_ID.jpg and jsons/IMAGE_ID.json, as in mapillary_downloader."""

    def __init__(self, ending: str = "jpg") -> None:
        self._ending = ending

    def path(self, number: Key, record: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Return the path of an image's file."""
        return f"images/{file_name(number)}.{self._ending}"

    def sidecar(self, number: Key) -> str | None:
        """Return the path of the file with its metadata."""
        return f"jsons/{file_name(number)}.json"


class ByTime:
    """
    YYYYMMDD_HHMMSS_SEQUENCE/YYYYMMDD_HHMMSS_mmm.jpg, as in the sequence downloader, in UTC.

    The folder has the time of the sequence's first image and the first eight letters of its id.
    Of images of one sequence and one millisecond, the lowest id has the plain name, and the others
    have `_ID` appended. An image without a time is named after its id.

    Parameters
    ----------
    ids
        The images, ascending.
    sequences
        Number of each image's sequence in `names`; -1 where it is unknown.
    captured
        Milliseconds since 1970; `UNKNOWN_TIME` where it is unknown.
    names
        Ids of sequences.
    starts
        Time of the first image of each sequence, milliseconds since 1970, or `UNKNOWN_TIME`.
    ending
        Ending of the files.
    """

    def __init__(
        self,
        ids: Ids,
        sequences: Whole32,
        captured: Whole,
        names: list[str],
        starts: Whole,
        *,
        ending: str = "jpg",
    ) -> None:
        self._place, self._sequences, self._captured = keys.places_of(ids), sequences, captured
        self._names, self._starts, self._ending = names, starts, ending
        order = np.lexsort((keys.ranks(ids), captured, sequences))
        same = (np.diff(sequences[order]) == 0) & (np.diff(captured[order]) == 0)
        self._second = np.zeros(len(ids), dtype=bool)
        self._second[order[1:]] = same

    def path(self, number: Key, record: Mapping[str, Any]) -> str:
        """Return the path of an image's file."""
        row = self._place(number)
        sequence = int(self._sequences[row])
        name = sequence_folder(self._names[sequence] if sequence >= 0 else record.get("sequence_id"))[:8]
        start = int(self._starts[sequence]) if sequence >= 0 else UNKNOWN_TIME
        folder = name if start == UNKNOWN_TIME else f"{_stamp(start)[0]}_{name}"
        captured = int(self._captured[row])
        if captured == UNKNOWN_TIME:
            return f"{folder}/{file_name(number)}.{self._ending}"
        file = "_".join(_stamp(captured))
        return f"{folder}/{file}{f'_{file_name(number)}' if self._second[row] else ''}.{self._ending}"

    def sidecar(self, number: Key) -> str | None:  # noqa: ARG002
        """Return None: there are no further files."""
        return None


def with_id(path: str, number: Key) -> str:
    """Return a path with an image's id appended to its name, where another image has the plain name."""
    stem, _, ending = path.rpartition(".")
    name, plain = file_name(number), stem.rpartition("/")[2]
    has_it = plain == name or (plain.endswith(f"_{name}") and not _MOMENT.fullmatch(plain))
    return path if has_it else f"{stem}_{name}.{ending}"


def apart(path: str, provider: str) -> str:
    """Return a path in a provider's own folder, where an image of another provider may have its name."""
    return f"{provider}/{path}"


def file_name(key: Key) -> str:
    """
    Return the name of an image's file without its ending: its id, where that is safe on every system.

    Other letters than a to z, digits, "_" and "-" are written as "%" and the two digits of each byte; where letters
    are upper case, "~" and a number that tells which follow, since some systems take both cases for the same name.

    Parameters
    ----------
    key
        The id.

    Raises
    ------
    FormatError
        If it is too long for a name.
    """
    if isinstance(key, int):
        return str(key)
    name, raised = key, ""
    if not _PLAIN.fullmatch(key):
        upper = sum(1 << place for place, letter in enumerate(key) if letter in _UPPER)
        raised = f"~{upper:x}" if upper else ""
        name = "".join(letter if _SAFE.fullmatch(letter) else _escaped(letter) for letter in key)
    if _RESERVED.fullmatch(key):
        name = f"{_escaped(key[0])}{key[1:]}"
    if len(name) + len(raised) > LONGEST_NAME:
        raise FormatError(f"the id {key[:40]!r} is too long for the name of a file")
    return f"{name}{raised}"


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


def sequence_folder(sequence_id: object) -> str:
    """
    Return the name of a sequence's folder: its id, where that is safe.

    Parameters
    ----------
    sequence_id
        The id from the service.

    Raises
    ------
    FormatError
        If it is not letters, digits, "_" and "-", is too long, or a name that Windows reserves.
    """
    if not isinstance(sequence_id, str) or not sequence_id:
        raise FormatError("the service names no sequence, so the image has no folder")
    if (
        len(sequence_id) > LONGEST_SEQUENCE_ID
        or not _SEQUENCE_ID.fullmatch(sequence_id)
        or _RESERVED.fullmatch(sequence_id)
    ):
        raise FormatError(f"the sequence id {sequence_id[:40]!r} cannot be the name of a folder")
    return sequence_id


def milliseconds(captured_at: object) -> int:
    """Return a capture time in milliseconds; `UNKNOWN_TIME` where it is invalid."""
    if isinstance(captured_at, bool) or not isinstance(captured_at, int | float):
        return UNKNOWN_TIME
    # From 0001 to 9999: the range of dates.
    return int(captured_at) if -62_135_596_800_000 <= captured_at <= 253_402_300_799_000 else UNKNOWN_TIME


def _stamp(time_ms: int) -> tuple[str, str]:
    seconds, rest = divmod(time_ms, 1000)
    # A fixed width for years before 1000, which strftime lacks on some platforms.
    moment = datetime.fromtimestamp(0, UTC) + (np.timedelta64(seconds, "s")).astype(object)
    return f"{moment.year:04d}{moment:%m%d_%H%M%S}", f"{rest:03d}"


def _by_time(ids: Ids, session: Session, records: Records, ending: str) -> Layout:
    """
    Return the layout by time of images, after requesting their times and sequences.

    A name depends on all images of its sequence with the same millisecond, and on the sequence's first
    image, so these are read before the first file is written.
    """
    sequences = np.full(len(ids), -1, dtype=np.int32)
    captured = np.full(len(ids), UNKNOWN_TIME, dtype=np.int64)
    numbers: dict[str, int] = {}
    place = keys.places_of(ids)
    for number, record in _rows(session, records, ids, "sequence_id", "captured_at"):
        row = place(number)
        captured[row] = milliseconds(record.get("captured_at"))
        if isinstance(sequence := record.get("sequence_id"), str):
            sequences[row] = numbers.setdefault(sequence, len(numbers))
    names = list(numbers)
    starts = np.full(len(names), UNKNOWN_TIME, dtype=np.int64)
    firsts: dict[Key, list[int]] = {}
    for sequence_number, name in enumerate(names):
        # A sequence without a safe name gets no folder, and so needs no time.
        with contextlib.suppress(OSError):
            sequence_folder(name)
            along = session.image_ids(name)
            if along:
                firsts.setdefault(along[0], []).append(sequence_number)
        if session.ended is not None:
            raise session.ended
    for number, record in _rows(session, records, keys.ordered(firsts), "captured_at"):
        starts[firsts[number]] = milliseconds(record.get("captured_at"))
    # If the service does not return a sequence, use its first given image.
    for each in np.flatnonzero(starts == UNKNOWN_TIME):
        own = captured[(sequences == each) & (captured != UNKNOWN_TIME)]
        starts[each] = own.min() if len(own) else UNKNOWN_TIME
    return ByTime(ids, sequences, captured, names, starts, ending=ending)


def _rows(
    session: Session, records: Records, ids: Iterable[Key], *columns: str
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Yield some columns of images, in the order of arrival."""
    for batch in session.images(ids, fields=records.fields_for(*columns)):
        yield from ((key, records.row_of(record)) for key, record in batch.found.items())
