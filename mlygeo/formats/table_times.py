"""
The times of tables of GPS loggers.

What a column says is understood, or the table is refused by its name: times in a form that may be read in two ways,
local times without an offset.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import texts, times
from mlygeo.formats.table_columns import DAY, MOMENT, WEEK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Flags, Times, Whole
    from mlygeo.formats.table_columns import Column, Table

SPREADSHEET_DAYS = 25_569
"""Days from 1899-12-30, from which spreadsheets count, to 1970-01-01."""

JULIAN_DAYS = 2_440_587.5
"""The Julian date of 1970-01-01."""

MODIFIED_JULIAN_DAYS = 40_587
"""The modified Julian date of 1970-01-01."""

FIT_EPOCH_S = 631_065_600
"""1989-12-31, from which Garmin's FIT counts seconds (FIT SDK, date_time)."""

OFFSET = ("utc_offset", "utcoffset", "offset_utc", "gmt_offset", "timezone", "time_zone", "tz", "zone", "zone_offset")
MILLISECONDS = ("ms", "msec", "millisecond", "milliseconds")
TIME_OF_WEEK = ("tow", "itow", "time_of_week", "seconds_of_week", "week_seconds", "sow")
PARTS = (
    ("year",), ("month", "mon"), ("day",),
    ("hour", "hours"), ("minute", "minutes", "min"), ("second", "seconds", "sec"),
)  # fmt: skip

_SLASHED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)")

_NAMED_MONTH = re.compile(r"(\d{1,2})[ .-]+([a-z]{3,9})\.?[ ,.-]+(\d{4})", re.IGNORECASE)

_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.? +(\d{1,2}),? +(\d{4})", re.IGNORECASE)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_SIX = re.compile(r"\d{6}")

_DATE_AND_CLOCK = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2(?:\d{4}|\d\d)|\d{1,2}[ -][a-z]{3,9}[ -]\d{4})[T ,]+(.+)", re.IGNORECASE
)

_PLAIN_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")

_WHOLE = re.compile(r"\d{0,18}|[0-8]\d{18}")

_ZONE = re.compile(r"(?:utc|gmt)?\s*[+-]?(?:\d{1,2}(?::\d\d)?|\d{4})|z|utc|gmt", re.IGNORECASE)

_HOURS = re.compile(r"[+-]?\d{1,2}[.,]\d{1,2}")

_ORDERS: dict[str, tuple[int, int, int]] = {
    "day.month.year": (0, 1, 2), "month/day/year": (1, 0, 2), "year/month/day": (2, 1, 0),
}  # fmt: skip
"""Where day, month and year stand in three numbers."""


class Clock:
    """The times of a table, from the columns that tell them."""

    def __init__(self, table: Table, name: str, now_us: int, problems: list[str]) -> None:
        self._table, self._name, self._now_us, self._problems = table, name, now_us, problems
        self._nothing = np.full(table.rows, "NaT", dtype="datetime64[us]")

    def times(self) -> tuple[Times, int, int]:
        """Return the times, how many are not understood, and how many say no zone."""
        table = self._table
        weeks = self._of_weeks()
        if weeks is not None:
            return weeks, 0, 0
        columns = [column for column in table.columns if self._may_tell(column)]
        order = {name: number for number, name in enumerate((*MOMENT, *DAY))}
        columns.sort(key=lambda column: (("utc", "", "local").index(column.zone), order[column.base], column.place))
        blank = True
        for column in columns:
            cells = table.of(column)
            sample = [cell for cell in cells if cell][:50]
            if not sample:
                continue
            blank = False
            found = self._read(column, cells, sample)
            if found is not None:
                return self._with_milliseconds(found[0]), found[1], found[2]
        found = self._of_parts()
        if found is not None:
            return found
        if blank:
            self._problems.append("it has no column of times")
            return self._nothing, 0, 0
        column = next(column for column in columns if any(table.of(column)))
        raise FormatError(
            f"{self._name}: its column {column.written} is not understood as times, such as"
            f" {next(cell for cell in table.of(column) if cell)!r}",
            hint="write times as 2024-06-09T08:07:06Z, or rename the column if it has no times",
        )

    def _may_tell(self, column: Column) -> bool:
        if column.base == "":
            return column.zone == "utc" and column.key in {"utc", "gmt", "gps_utc"}
        return column.base in MOMENT or column.base in DAY

    def _read(self, column: Column, cells: list[str], sample: list[str]) -> tuple[Times, int, int] | None:
        """Return what a column tells; None where it has no times, or a time of day without a day."""
        are_numbers = all(_PLAIN_NUMBER.fullmatch(cell) for cell in sample)
        are_short = are_numbers and all(len(cell.partition(".")[0]) <= 6 for cell in sample)
        if are_short or any(times.clock(cell) is not None and times.read(cell) is None for cell in sample):
            # Before anything else: 034700 is a day of spreadsheets too.
            day = self._day_of(column)
            found = None if day is None else self._of_day_and_clock(day, column)
            if (
                found is not None
                or not are_short
                or any(cell[0] == "0" and cell[1:2].isdigit() for cell in cells if cell)
            ):
                return found
        found = self._of_numbers(column, cells) if are_numbers else None
        return found or self._of_texts(column, cells)

    def _day_of(self, clock: Column) -> Column | None:
        days = [column for column in self._table.columns if column.base in DAY and column.place != clock.place]
        days = [column for column in days if any(self._table.of(column))]
        return next((column for column in days if column.zone == clock.zone), days[0] if len(days) == 1 else None)

    def _of_texts(self, column: Column, cells: list[str]) -> tuple[Times, int, int] | None:
        import pyarrow as pa

        time, senseless, zoneless = texts.cell_moments(pa.array([cell or None for cell in cells], pa.string()))
        strange = np.flatnonzero(np.isnat(time) & np.fromiter(map(bool, cells), bool, len(cells)))
        split = {row: match for row in strange.tolist() if (match := _DATE_AND_CLOCK.fullmatch(cells[row]))}
        if split:
            rows = np.array(list(split))
            time[rows], understood, without = self._joined(
                [match[1] for match in split.values()], [match[3] for match in split.values()]
            )
            senseless -= understood
            zoneless += without
        if senseless == len([cell for cell in cells if cell]):
            return None
        if zoneless:
            time, zoneless = self._in_utc(time, column, np.array([self._is_zoneless(cell) for cell in cells]), zoneless)
        return time, senseless, zoneless

    def _is_zoneless(self, cell: str) -> bool:
        found = times.read(cell) if cell else None
        if found is None and (match := _DATE_AND_CLOCK.fullmatch(cell)):
            found = times.clock(match[3])
        return found is not None and found.offset_s is None

    def _of_day_and_clock(self, day: Column, clock: Column) -> tuple[Times, int, int] | None:
        dates, clocks = self._table.of(day), self._table.of(clock)
        if all(_PLAIN_NUMBER.fullmatch(cell) for cell in clocks if cell):
            # Spreadsheets drop the zeros before 030405.
            longest = max(len(cell.partition(".")[0]) for cell in clocks)
            if longest == 6:
                clocks = [cell and "0" * (6 - len(cell.partition(".")[0])) + cell for cell in clocks]
        if not any(times.clock(cell) for cell in set(clocks) if cell):
            return None
        time, _, zoneless = self._joined(dates, clocks)
        given = np.fromiter((bool(one or other) for one, other in zip(dates, clocks, strict=True)), bool, len(dates))
        senseless = int(np.count_nonzero(np.isnat(time) & given))
        if senseless == int(given.sum()):
            return None
        if zoneless:
            without = {
                cell: (found := times.clock(cell)) is not None and found.offset_s is None for cell in set(clocks)
            }
            column = clock if clock.zone else day
            time, zoneless = self._in_utc(time, column, np.array([without[cell] for cell in clocks]), zoneless)
        return time, senseless, zoneless

    def _joined(self, dates: list[str], clocks: list[str]) -> tuple[Times, int, int]:
        """Return times of days and times of day, how many are understood, and how many of them say no zone."""
        days = self._days(dates)
        read = {cell: times.clock(cell) for cell in set(clocks)}
        time = np.full(len(dates), "NaT", dtype="datetime64[us]")
        zoneless = 0
        for row, (date_text, clock_text) in enumerate(zip(dates, clocks, strict=True)):
            day, clock = days.get(date_text), read[clock_text]
            if day is not None and clock is not None:
                time[row] = np.datetime64(times.on_day(day, clock).us, "us")
                zoneless += clock.offset_s is None
        return time, int(np.count_nonzero(~np.isnat(time))), zoneless

    def _in_utc(self, time: Times, column: Column, without: Flags, zoneless: int) -> tuple[Times, int]:
        """Return times in UTC by the column of offsets, and how many remain that say no zone; refuse local times."""
        if column.zone == "utc":
            return time, 0
        for offsets in self._table.find(OFFSET, plain=True):
            cells = self._table.of(offsets)
            known = {cell: _offset_s(cell) for cell in set(cells)}
            strange = {cell for cell, offset in known.items() if cell and offset is None}
            if strange:
                raise FormatError(
                    f"{self._name}: its column {offsets.written} says {min(strange)!r}, which is no offset from UTC",
                    hint="write offsets as +02:00",
                )
            there = np.array([known[cell] is not None for cell in cells]) & without
            time = time.copy()
            time[there] -= np.array([known[cell] or 0 for cell in cells], dtype="timedelta64[s]")[there]
            self._problems.append(f"its column {offsets.written} was taken as the offset of {column.written} from UTC")
            without, zoneless = without & ~there, zoneless - int(np.count_nonzero(there & ~np.isnat(time)))
            break
        if zoneless and column.zone == "local":
            raise FormatError(
                f"{self._name}: its column {column.written} has local times without an offset from UTC",
                hint="add a column utc_offset, as +02:00",
            )
        return time, zoneless

    def _of_numbers(self, column: Column, cells: list[str]) -> tuple[Times, int, int] | None:
        """Return times from numbers whose size tells what they count; None where no count gives a plausible time."""
        numbers = texts.reals([cell.replace(",", ".") for cell in cells])
        known = np.isfinite(numbers)
        middle = float(np.median(numbers[known]))
        earliest, latest = times.EARLIEST_US, self._now_us + times.DAY_US
        fit = any("semicircle" in other.unit for other in self._table.columns)
        day, since = float(times.DAY_US), FIT_EPOCH_S * 1e6 if fit else 0.0
        counts = {"s": (1e6, since), "ms": (1e3, since), "us": (1.0, since), "ns": (1e-3, since),
                  "julian": (day, -JULIAN_DAYS * day), "days": (day, -SPREADSHEET_DAYS * day)}  # fmt: skip
        if "mjd" in column.base:
            counts = {"days": (day, -MODIFIED_JULIAN_DAYS * day)}
        said = {"sec": "s", "millisecond": "ms", "milliseconds": "ms"}.get(column.unit, column.unit)
        which = next((count for count, (us, at) in counts.items() if earliest <= middle * us + at <= latest), None)
        if which is None or (said in {"s", "ms", "us", "ns"} and said != which):
            return None
        factor, at = counts[which]
        us = np.zeros(len(cells), dtype=np.int64)
        if which == "ns" and all(_WHOLE.fullmatch(cell) for cell in cells):  # beyond 2^53, where floats lose digits
            us[known] = [int(cell) // 1000 for cell in cells if cell]
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                exact = numbers[known] * factor
                known[known] = np.abs(exact + at) < 2**62
                us[known] = np.round(exact[np.abs(exact + at) < 2**62]).astype(np.int64) + int(at)
        if factor == day:
            us = _whole_seconds(us, max(len(cell.replace(",", ".").partition(".")[2]) for cell in cells))
        time = np.where(known, us, np.iinfo(np.int64).min).astype("datetime64[us]")
        senseless = int(np.count_nonzero(~known & np.fromiter(map(bool, cells), bool, len(cells))))
        if which != "days" or "mjd" in column.base:
            if column.key.startswith("gps") and which in {"s", "ms"}:
                self._problems.append(f"its column {column.written} was taken as counted from 1970, in UTC")
            return time, senseless, 0
        self._problems.append(f"its column {column.written} was taken as days since 1899-12-30, as spreadsheets count")
        zoneless = int(known.sum())
        time, zoneless = self._in_utc(time, column, known, zoneless)
        return time, senseless, zoneless

    def _of_weeks(self) -> Times | None:
        """Return times of a GPS week and the seconds in it; None where there is no such pair of columns."""
        table = self._table
        for week_of in table.find(WEEK):
            for column in table.find((*TIME_OF_WEEK, *MOMENT)):
                week, of_week = texts.reals(table.of(week_of)), texts.reals(table.of(column))
                known = np.isfinite(week) & np.isfinite(of_week)
                if not known.any() or (week[known] != np.floor(week[known])).any() or of_week[known].min() < 0:
                    continue
                most = of_week[known].max()
                ms = of_week * (1000 if most < 604_801 else 1)
                if most >= 604_800_001:
                    continue
                rolled = week[known] < 1024
                now_week = (self._now_us // 1000 - texts.GPS_EPOCH_MS) // texts.WEEK_MS
                if rolled.any():
                    turns = max(int(now_week - week[known].max()) // 1024, 0)
                    week = week + 1024 * turns
                    self._problems.append(
                        f"{1024 * turns} weeks were added to its GPS weeks, which are counted modulo 1024"
                    )
                time = self._nothing.copy()
                gps_ms = np.round(week[known] * texts.WEEK_MS + ms[known]).astype(np.int64)
                time[known] = texts.gps_to_utc_ms(gps_ms).astype("datetime64[ms]")
                return time
        return None

    def _of_parts(self) -> tuple[Times, int, int] | None:
        """Return times of columns for year, month, day, hour, minute and second."""
        import pyarrow as pa

        found = [self._table.find(names, plain=True) for names in PARTS]
        if not all(found):
            return None
        columns = [self._table.of(columns[0]) for columns in found]
        joined = [
            "{}-{}-{} {:0>2}:{:0>2}:{:0>2}".format(*(part.removesuffix(".0") for part in row)) if all(row) else None
            for row in zip(*columns, strict=True)
        ]
        joined = [None if text is None else re.sub(r":(\d)\.", r":0\1.", text) for text in joined]
        time, senseless, zoneless = texts.cell_moments(pa.array(joined, pa.string()))
        time, zoneless = self._in_utc(time, found[3][0], ~np.isnat(time), zoneless)
        return time, senseless, zoneless

    def _with_milliseconds(self, time: Times) -> Times:
        """Return times with the milliseconds of a column of their own, where the times are whole seconds."""
        for column in self._table.find(MILLISECONDS, plain=True):
            ms = texts.reals(self._table.of(column))
            known = np.isfinite(ms) & ~np.isnat(time)
            whole = known.any() and not (time[known].astype(np.int64) % times.SECOND_US).any()
            if whole and ((ms[known] >= 0) & (ms[known] < 1000) & (ms[known] == np.floor(ms[known]))).all():
                time = time.copy()
                time[known] += ms[known].astype("timedelta64[ms]")
        return time

    def _days(self, cells: Sequence[str]) -> dict[str, int | None]:
        """
        Return the days since 1970 of dates; None where one is not understood.

        The order of day and month is that in which all dates of the table are days; it is refused if several are.
        """
        found: dict[str, int | None] = {"": None}
        open_texts: dict[str, tuple[int, int, int]] = {}
        orders = set(_ORDERS)
        for cell in set(cells) - {""}:
            named = _NAMED_MONTH.fullmatch(cell) or _MONTH_FIRST.fullmatch(cell)
            parts = _SLASHED.fullmatch(cell)
            if named is not None:
                found[cell] = _named_day(*named.groups())
            elif parts is not None:
                open_texts[cell] = int(parts[1]), int(parts[3]), int(parts[4])
                if parts[2] == ".":
                    orders &= {"day.month.year"}
                elif len(parts[4]) == 4:
                    orders -= {"year/month/day"}
            elif _SIX.fullmatch(cell):
                open_texts[cell] = int(cell[:2]), int(cell[2:4]), int(cell[4:])
                if {"tag", "index"} <= {column.base for column in self._table.columns}:  # Columbus writes yymmdd
                    orders &= {"year/month/day"}
            else:
                found[cell] = times.day(cell)
        if not open_texts:
            return found
        days: dict[str, list[int]] = {}
        for order in sorted(orders):
            tried = [_day(*(parts[place] for place in _ORDERS[order])) for parts in open_texts.values()]
            if None not in tried:
                days[order] = [value for value in tried if value is not None]
        earliest, latest = times.EARLIEST_US // times.DAY_US, self._now_us // times.DAY_US + 1
        likely = {order: values for order, values in days.items() if earliest <= min(values) and max(values) <= latest}
        chosen = likely or days
        if len({tuple(values) for values in chosen.values()}) > 1:
            text = min(open_texts)
            raise FormatError(
                f"{self._name}: nobody knows whether {text} is {' or '.join(sorted(chosen))}",
                hint="write dates as 2024-06-09",
            )
        for order, values in chosen.items():
            if order != "day.month.year":
                self._problems.append(f"its dates, such as {min(open_texts)}, were read as {order}")
            return found | dict(zip(open_texts, values, strict=True))
        return found | dict.fromkeys(open_texts)


def _named_day(one: str, other: str, year: str) -> int | None:
    number, month = (one, other) if one.isdigit() else (other, one)
    short = month[:3].casefold()
    return _day(int(number), _MONTHS.index(short) + 1, int(year)) if short in _MONTHS else None


def _day(day: int, month: int, year: int) -> int | None:
    if year < 100:  # as in NMEA
        year += 1900 if year >= 80 else 2000
    try:
        return (date(year, month, day) - date(1970, 1, 1)).days
    except ValueError:
        return None


def _offset_s(cell: str) -> int | None:
    """Return an offset from UTC, seconds to the east: hours, with minutes or decimals, or nothing else."""
    if _HOURS.fullmatch(cell):
        seconds = round(float(cell.replace(",", ".")) * 3600)
        return seconds if seconds % 900 == 0 and -43_200 <= seconds <= 50_400 else None
    return times.zone(cell) if _ZONE.fullmatch(cell.replace("\u2212", "-")) else None


def _whole_seconds(us: Whole, decimals: int) -> Whole:
    """Return times that were days with some decimals: the whole second where it is as near as the decimals tell."""
    near_us = times.DAY_US // 10**decimals + 1
    whole = (us + times.SECOND_US // 2) // times.SECOND_US * times.SECOND_US
    return np.where(np.abs(us - whole) <= near_us, whole, (us + 500) // 1000 * 1000)
