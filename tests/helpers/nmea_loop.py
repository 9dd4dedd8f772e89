"""NMEA logs read sentence by sentence with plain loops: the oracle of the reader that decodes columns."""

from __future__ import annotations

import math
import re
from datetime import date, timedelta

SENTENCE = re.compile(rb"\$[A-OQ-Z][A-Z](RMC|GGA|ZDA|GNS|GLL),([^$*\r\n]{0,200})(?:\*([0-9A-Fa-f]{2}))?")
NUMBER = re.compile(rb"\s*-?(\d+\.?\d*|\.\d+)\s*")
CLOCK = re.compile(rb"(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?")
DAY = 86_400_000_000
FOLLOWS = 600_000_000


def number(text):
    return float(text) if NUMBER.fullmatch(text) else math.nan


def clock(text):
    match = CLOCK.fullmatch(text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3]) > 60:
        return None
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
    return seconds * 1_000_000 + int((match[4] or b"").ljust(6, b"0")[:6])


def day_of(kind, fields):
    try:
        if kind == b"RMC":
            text = fields[8].strip()
            if len(text) != 6 or not text.isdigit():
                return None
            year = int(text[4:])
            return date(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))
        parts = [field.strip() for field in fields[1:4]]
        if len(parts) < 3 or not all(part.isdigit() and len(part) <= 4 for part in parts):
            return None
        return date(int(parts[2]), int(parts[1]), int(parts[0]))
    except (IndexError, ValueError):
        return None


def fix_of(kind, fields):
    """Return whether a sentence says that it has a fix, and whether it is void for its moment."""
    padded = [*fields, *[b""] * 12]
    if kind in (b"RMC", b"GLL"):
        status, mode = (padded[1], padded[11]) if kind == b"RMC" else (padded[5], padded[6])
        fix = status[:1] in (b"A", b"D") and mode[:1] not in (b"N", b"S") and len(fields) >= 6
        return fix, not fix if kind == b"RMC" else status[:1] == b"V"
    if len(fields) < 6:
        return False, False
    if kind == b"GNS":
        return bool(set(fields[5].strip()) - set(b"NnSs")), False
    return fields[5].strip() not in (b"", b"0", b"8"), False


def position(kind, fields):
    """Return longitude and latitude, or None, and whether there is said to be none."""
    if kind == b"ZDA":
        return None, False
    fix, void = fix_of(kind, fields)
    at = {b"RMC": 2, b"GGA": 1, b"GNS": 1, b"GLL": 0}[kind]
    lat, north, lon, east = [*fields, *[b""] * 6][at : at + 4]
    if not fix or north[:1] not in (b"N", b"S", b"n", b"s") or east[:1] not in (b"E", b"W", b"e", b"w"):
        return None, void
    place = []
    for text, negative in ((lon, east[:1] in b"Ww"), (lat, north[:1] in b"Ss")):
        value = number(text)
        # Fewer digits may be decimal degrees.
        if not math.isfinite(value) or re.match(rb"\d{3}", text) is None or value % 100 >= 60:
            return None, void
        whole = math.floor(value / 100)
        place.append((-1 if negative else 1) * (whole + (value - 100 * whole) / 60))
    if abs(place[0]) > 180 or abs(place[1]) > 90 or place == [0, 0]:
        return None, void
    return place, void


def put_right(days, nights, clocks):
    """Return days, put right where they jump by one while the clock goes on."""
    days = list(days)
    recordings, at = [[]], 0
    for row, clock_us in enumerate(clocks):
        step = (clock_us - clocks[max(row - 1, 0)] + DAY // 2) % DAY - DAY // 2
        at += abs(step) if abs(step) <= FOLLOWS else 0
        if abs(step) > FOLLOWS:
            recordings.append([])
        if days[row] is not None:
            recordings[-1].append((row, days[row] - nights[row], at))
    for recording in filter(None, recordings):
        bases = [base for _, base, _ in recording]
        first, known = bases[0], sorted(set(bases))
        late = [at for _, base, at in recording if base == first - 1]
        most = max(map(bases.count, known))
        usual = first if bases.count(first) == most else next(base for base in known if bases.count(base) == most)
        if len(known) == 2 and late and late[-1] - late[0] <= FOLLOWS:
            usual = first
        for row, base, _ in recording:
            if abs(base - usual) == 1:
                days[row] += usual - base
    return days


def rolled_over(day):
    while date(1980, 1, 6) <= day < date(1999, 8, 22):
        day += timedelta(weeks=1024)
    return day


def points(text):
    """Return (microseconds since 1970, lon, lat, altitude) of each moment that has a position, or None for no date."""
    rows = []
    for match in SENTENCE.finditer(text):
        content = match[0][1:].partition(b"*")[0]
        total = 0
        for byte in content:
            total ^= byte
        if match[3] and int(match[3], 16) != total:
            continue
        fields = match[2].split(b",")
        result = clock(fields[4 if match[1] == b"GLL" else 0] if match[1] != b"GLL" or len(fields) > 4 else b"")
        if result is not None:
            rows.append((match[1], fields, result))
    days = [None if kind not in (b"RMC", b"ZDA") else day_of(kind, fields) for kind, fields, _ in rows]
    trusted = [kind == b"RMC" and len(fields) > 1 and fields[1][:1] == b"A" for kind, fields, _ in rows]
    if any(day is not None and fine for day, fine in zip(days, trusted, strict=True)):
        days = [day if fine else None for day, fine in zip(days, trusted, strict=True)]
    if all(day is None for day in days):
        return None
    days = [None if day is None else rolled_over(day).toordinal() - date(1970, 1, 1).toordinal() for day in days]

    nights, night = [], 0
    for number_, (_, _, result) in enumerate(rows):
        step = result - rows[max(number_ - 1, 0)][2]
        night += (step < -DAY // 2) - (step > DAY // 2)
        nights.append(night)
    days = put_right(days, nights, [result for _, _, result in rows])
    known = [row for row, day in enumerate(days) if day is not None]
    moments: dict[int, list[int]] = {}
    for row, (_, _, result) in enumerate(rows):
        before = max((at for at in known if at <= row), default=known[0])
        after = min((at for at in known if at >= row), default=known[-1])
        of = after if rows[after][2] == result and rows[before][2] != result else before
        moments.setdefault((days[of] - nights[of] + nights[row]) * DAY + result, []).append(row)

    found = []
    for moment in sorted(moments):
        places = [position(rows[row][0], rows[row][1]) for row in moments[moment]]
        if any(void for _, void in places) or all(place is None for place, _ in places):
            continue
        lon, lat = next(place for place, _ in places if place is not None)
        heights = [
            number(rows[row][1][8])
            for row, (place, _) in zip(moments[moment], places, strict=True)
            if rows[row][0] in (b"GGA", b"GNS") and place is not None and len(rows[row][1]) > 9
        ]
        found.append((moment, lon, lat, next((height for height in heights if math.isfinite(height)), math.nan)))
    return found
