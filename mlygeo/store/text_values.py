"""
What the cells of a column of text say: whole numbers, numbers, truth values, dates, times, else text.

Text has no dtypes. A form counts if all cells of the column have it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlygeo import schemas

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import pyarrow as pa

ID_NAMES = frozenset({*schemas.IDS, "image_id", "sequence_id"})
"""Columns whose numbers are names: 9.99017E+14 is what a spreadsheet has left of an id, and no id."""

NULLS = frozenset(
    {"", "NA", "N/A", "#N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "Null", "None", "none", "<NA>", "NaT"}
)
"""Words for an unknown value in a column of anything but text."""

_FORMULA = r"[=+\-@\t\r]"
"""First characters of a formula; OWASP, CSV injection."""

GUARDED = re.compile(rf"'?{_FORMULA}|''")
"""The beginning of a text before which an apostrophe is written."""

GUARD = re.compile(rf"'(?={_FORMULA}|')")
"""The apostrophe that was written before a text."""

_WHOLE = r"^-?(?:0|[1-9][0-9]*)$"
_REAL = (
    r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?(?:inf|Inf|INF|infinity|Infinity)$"
)
_COMMA = r"^[+-]?(?:0|[1-9][0-9]*)(?:,[0-9]+)?$"
_DATE = r"^[0-9]{4}-[01][0-9]-[0-3][0-9]$"
_TIME = r"^[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.([0-9]{1,9}))?)?"
_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"

_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def column_of(cells: pa.ChunkedArray, *, is_text: bool, commas: bool, are_ids: bool = False) -> pd.Series:
    """Return a column as what all its cells say; ids with an exponent are text, of which no digit is made up."""
    import pyarrow as pa

    found = None if is_text else values_of(cells, commas=commas)
    if found is None or (are_ids and pa.types.is_floating(found.type) and has_exponent(cells)):
        return as_text(cells, is_text=is_text)
    return as_values(found, has_gaps=bool(found.null_count))


def as_text(cells: pa.ChunkedArray, *, is_text: bool) -> pd.Series:
    """Return cells as texts; `is_text`: of a quoted column, in which an apostrophe may stand before a formula."""
    plain: pd.Series = cells.to_pandas().astype("str")
    return plain.str.replace(GUARD.pattern, "", n=1, regex=True) if is_text and _has_guard(cells) else plain


def as_values(found: pa.ChunkedArray, *, has_gaps: bool) -> pd.Series:
    """Return values that are not text as a column, in the dtype of one with gaps or without."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_integer(found.type):
        dtype: Any = "uint64" if pa.types.is_uint64(found.type) else "int64"
        mapper = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
        whole: pd.Series = found.to_pandas(types_mapper=mapper.get)
        return whole if has_gaps else whole.astype(dtype)
    if pa.types.is_boolean(found.type):
        values: pd.Series = found.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        return values if has_gaps else values.astype("bool")
    return pd.Series(found.to_pandas())


def has_exponent(cells: pa.ChunkedArray) -> bool:
    """Return whether a number is written with an exponent, which has lost digits of an id."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(cells, "^[^a-zA-Z]+[eE]")).as_py())


def _has_guard(cells: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(cells, rf"^'(?:{_FORMULA}|')")).as_py())


def values_of(cells: pa.ChunkedArray, *, commas: bool) -> pa.ChunkedArray | None:
    """Return the values of a column that is not text, by the form of all its cells; None for text."""
    import pyarrow as pa

    said = Said(commas=commas)
    said.add(cells)
    for kind in said.types:
        with suppress(pa.ArrowInvalid):
            return said.cast(cells, kind)
    return None


class Said:
    """
    What the cells of a column say, some of them after others.

    Parameters
    ----------
    commas
        Whether a comma may stand before decimals.
    """

    def __init__(self, *, commas: bool) -> None:
        self._commas = commas
        self._forms: list[str] | None = None
        self._decimals = 0
        self.has_gaps = False

    @property
    def has_values(self) -> bool:
        """Whether a cell says anything."""
        return self._forms is not None

    def add(self, cells: pa.ChunkedArray) -> None:
        """Take further cells into account."""
        import pyarrow.compute as pc

        there = _known(cells).drop_null()
        self.has_gaps = self.has_gaps or len(there) < len(cells)
        if not len(there):
            return
        if self._forms is None:
            self._forms = [each for each in _FORMS[_kind_of(there[0].as_py())] if self._commas or each != "comma"]

        def fits(form: str) -> bool:
            if form == "truth":
                return bool(pc.all(pc.is_in(there, value_set=_arrow_words(_TRUTH))).as_py())
            return bool(pc.all(pc.match_substring_regex(there, _PATTERNS[form])).as_py())

        if self._forms[:1] != ["whole"] or not fits("whole"):  # which all other numbers' forms hold
            self._forms = [each for each in self._forms if fits(each)]
        if {*self._forms} & {"zoned", "time"}:
            self._decimals = max(self._decimals, _decimals_of(there))

    @property
    def types(self) -> list[pa.DataType]:
        """The types that the values of all cells may have, the first that can hold them counts; none for text."""
        import pyarrow as pa

        form = next(iter(self._forms or ()), None)
        unit = next(unit for unit, most in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9)) if self._decimals <= most)
        return {
            "truth": [pa.bool_()], "whole": [pa.int64(), pa.uint64()], "real": [pa.float64()],
            "comma": [pa.float64()], "date": [pa.date32()], "zoned": [pa.timestamp(unit, tz="UTC")],
            "time": [pa.timestamp(unit)],
        }.get(form or "", [])  # fmt: skip

    def cast(self, cells: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
        """Return the values of cells in one of the `types`; raise ArrowInvalid where one does not fit."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = _known(cells)
        if pa.types.is_boolean(kind):
            true = pc.is_in(known, value_set=_arrow_words(word for word, value in _TRUTH.items() if value))
            return pc.if_else(known.is_valid(), true, None)
        if self._forms == ["comma"]:
            known = pc.replace_substring(known, ",", ".")
        return known.cast(kind)


_FORMS = {"truth": ("truth",), "number": ("whole", "real", "comma"), "time": ("date", "zoned", "time"), "text": ()}
"""The forms of columns whose first cell is of a kind, in the order in which they are tried."""

_PATTERNS = {
    "whole": _WHOLE, "real": _REAL, "comma": _COMMA, "date": _DATE, "zoned": _TIME + _ZONE, "time": _TIME + "$"
}  # fmt: skip


def _known(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return cells with nothing in place of words for an unknown value."""
    import pyarrow.compute as pc

    return pc.if_else(pc.is_in(cells, value_set=_arrow_words(sorted(NULLS))), None, cells)


def _arrow_words(words: Iterable[str]) -> pa.Array:
    import pyarrow as pa

    return pa.array(list(words))


def _kind_of(word: str) -> str:
    """Return which form a cell may have, so that not all forms are tried on all cells."""
    if word in _TRUTH:
        return "truth"
    if re.match(r"[0-9]{4}-[01][0-9]-", word):
        return "time"
    return "number" if re.match(_REAL, word) or re.match(_COMMA, word) else "text"


def _decimals_of(times: pa.ChunkedArray) -> int:
    """Return how many decimals of seconds times have at most."""
    import pyarrow.compute as pc

    tails = pc.struct_field(pc.extract_regex(times, r"[.](?P<decimals>[0-9]+)"), "decimals")
    return pc.max(pc.binary_length(tails)).as_py() or 0
