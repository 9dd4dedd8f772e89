"""Records of the Graph API: what its JSON must hold, and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

Record = dict[str, Any]
"""A JSON object of the service."""

LARGEST_ID = 2**63 - 1


def data_of(record: Record) -> list[Any]:
    """
    Return the list that an answer holds.

    Raises
    ------
    FormatError
        If it holds none.
    """
    values = record.get("data")
    if not isinstance(values, list):
        raise FormatError("the JSON that came holds no list `data`")
    return values


def id_of(record: Any) -> int | None:
    """Return the id of a record; None where it has none, or no record is there."""
    value = record.get("id") if isinstance(record, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    return value if type(value) is int and 0 < value <= LARGEST_ID else None


def with_id(record: Record) -> Record:
    """Return a record, if it has an id."""
    if id_of(record) is None:
        raise FormatError("the record that came has no id")
    return record


def checked_id(value: int | str) -> int:
    """
    Return an id as a number.

    Raises
    ------
    InputError
        If it is none.
    """
    number = id_of({"id": int(value) if isinstance(value, np.integer) else value})
    if number is None:
        raise InputError(f"{str(value)[:40]!r} is no id", hint="ids are whole numbers, such as 498763468214164")
    return number


def distinct_ids(ids: Iterable[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return each id once, in the order in which they first stand."""
    if isinstance(ids, np.ndarray) and np.issubdtype(ids.dtype, np.signedinteger):
        numbers = ids.astype(np.int64)
        if len(numbers) and numbers.min() <= 0:
            raise InputError(f"{numbers.min()} is no id", hint="ids are whole numbers, such as 498763468214164")
    else:
        numbers = np.fromiter((checked_id(number) for number in ids), dtype=np.int64)
    _, first = np.unique(numbers, return_index=True)
    return numbers[np.sort(first)]
