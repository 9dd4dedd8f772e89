"""
Photos that disagree with themselves: a plain truth, the tags in which an honest camera writes it, and faults.

Each fault is one that cameras, phones and programs were seen to make. A fault changes the tags so that a reader who sees
all of them can tell that something is wrong; what nobody could tell (a camera's only clock, two hours off) is none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from helpers import made_photos as made
from helpers.made_photos import TAG, text
from hypothesis import strategies as st

from mlygeo.formats import times

EARLIEST, LATEST = datetime(2004, 1, 2, 3), datetime(2026, 1, 1)


@dataclass
class Truth:
    """What is so."""

    utc: datetime
    lon: float
    lat: float
    heading: float
    altitude: float
    orientation: int
    make: str = "SONY"

    @property
    def offset(self) -> timedelta:
        """Offset of the place from UTC."""
        return self.utc.astimezone(ZoneInfo(times.zone_name(self.lon, self.lat))).utcoffset() or timedelta()

    @property
    def there(self) -> datetime:
        """Local time, without a zone."""
        return (self.utc + self.offset).replace(tzinfo=None)


@dataclass
class Shot:
    """The tags of a photo, before they are bytes."""

    truth: Truth
    clock: str | None
    subsec: str | None
    zone: str | None
    gps_utc: datetime | None
    """GPS date and time; None where the photo has none."""
    whole_gps: bool
    gps_date: str | None = None
    """The date stamp, where it is not the date of `gps_utc`."""
    changed: str | None = None
    name: str = "IMG_0001.jpg"
    gps: dict = field(default_factory=dict)
    picture: dict = field(default_factory=dict)
    xmp: dict = field(default_factory=dict)
    xmp_encoding: str = "utf-8"
    layout: str = "one"
    order: str = "<"

    def bytes(self) -> bytes:
        """Return the photo."""
        shot = {}
        for name, value in (("DateTimeOriginal", self.clock), ("SubSecTimeOriginal", self.subsec),
                            ("OffsetTimeOriginal", self.zone)):  # fmt: skip
            if value is not None:
                shot[TAG[name]] = text(value)
        gps = dict(self.gps)
        if self.gps_utc is not None:
            parts = self.gps_utc
            seconds = (parts.second, 1) if self.whole_gps else (parts.second * 1000 + parts.microsecond // 1000, 1000)
            gps[TAG["GPSTimeStamp"]] = made.field(5, (parts.hour, 1), (parts.minute, 1), seconds)
            gps[TAG["GPSDateStamp"]] = text(self.gps_date or stamp(parts)[:10])
        picture = dict(self.picture)
        if self.changed is not None:
            picture[TAG["ModifyDate"]] = text(self.changed)
        xmp = None
        if self.xmp:
            attributes = " ".join(f'{name}="{value}"' for name, value in self.xmp.items())
            xmp = made.packet(attributes).decode().encode(self.xmp_encoding)
        if self.layout == "one":
            return made.jpeg(made.tiff(picture, shot, gps, order=self.order), xmp=xmp)
        first, second = (
            made.tiff(picture, shot, {}, order=self.order),
            made.tiff({}, {}, gps, order="<>"[self.order == "<"]),
        )
        if self.layout == "two":
            return made.jpeg(first, second, xmp=xmp)
        whole = made.tiff(picture, shot, gps, order=self.order)
        behind = made.segment(0xE1, b"Exif\0\0" + whole)
        if self.layout == "behind others":
            other = made.segment(0xE2, b"ICC_PROFILE\0" + bytes(5000)) + made.segment(0xFE, b"a comment")
            return made.jpeg(xmp=xmp, frame=other + behind + made.FRAME)
        return made.jpeg(xmp=xmp, frame=made.FRAME + behind)


def stamp(time: datetime) -> str:
    """Return a time as EXIF has it."""
    return f"{time:%Y:%m:%d %H:%M:%S}".rjust(19, "0")


def offset_text(offset: timedelta, minus: str = "-") -> str:
    """Return an offset from UTC as EXIF has it."""
    minutes = offset // timedelta(minutes=1)
    return f"{minus if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


# Not just after the turn of a year, when a clock that is right looks like one that was never set.
truths = st.builds(
    Truth,
    utc=st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    lon=st.floats(-179.99, 179.99).filter(lambda lon: abs(lon) > 0.01).map(lambda lon: round(lon, 7)),
    lat=st.floats(-70, 75).filter(lambda lat: abs(lat) > 0.01).map(lambda lat: round(lat, 7)),
    heading=st.integers(0, 3599).map(lambda tenths: tenths / 10),
    altitude=st.integers(-400, 8000).map(float),
    orientation=st.sampled_from([1, 1, 3, 6, 8]),
).filter(lambda truth: truth.there.timetuple()[1:3] != (1, 1))


@st.composite
def honest(draw, *, clock: bool | None = None, gps: bool | None = None, zone: bool | None = None) -> Shot:
    """Return a photo of a camera that tells the truth, in one of the ways in which cameras do."""
    has_gps = draw(st.booleans()) if gps is None else gps
    has_clock = clock if clock is not None else draw(st.booleans()) or not has_gps
    # A GPS time alone that is older may be that of a receiver from before a roll-over.
    last_week = datetime.now(UTC) - timedelta(weeks=1023)
    truth = draw(truths if has_clock else truths.filter(lambda truth: truth.utc > last_week))
    has_zone = has_clock and (draw(st.booleans()) if zone is None else zone)
    there = truth.there
    written = draw(st.sampled_from(["exif", "exif", "iso", "12 hours", "chinese"]))
    shown = {
        "exif": stamp(there),
        "iso": f"{there:%Y-%m-%dT%H:%M:%S}",
        "12 hours": f"{there:%Y:%m:%d} {there:%I:%M:%S} {'PM' if there.hour >= 12 else 'AM'}",
        "chinese": f"{there:%Y:%m:%d} {'下午' if there.hour >= 12 else '上午'}{there:%I:%M:%S}",
    }[written]
    subsec = f"{there.microsecond // 1000:03}" if has_clock and draw(st.booleans()) else None
    zone_text = draw(
        st.sampled_from(
            [offset_text(truth.offset), offset_text(truth.offset, "\u2212"), f"UTC{offset_text(truth.offset)}"]
        )
    )
    shot = Shot(
        truth, shown if has_clock else None, subsec, zone_text if has_zone else None,
        truth.utc if has_gps else None, whole_gps=draw(st.booleans()), order=draw(st.sampled_from("<>")),
        layout=draw(st.sampled_from(["one", "one", "two", "behind others", "behind the frame"])),
    )  # fmt: skip
    shot.gps = made.dms(truth.lat, truth.lon) | {
        TAG["GPSImgDirection"]: made.field(5, (round(truth.heading * 10), 10)),
        TAG["GPSImgDirectionRef"]: text("T"),
        TAG["GPSAltitude"]: made.field(5, (abs(round(truth.altitude)), 1)),
        TAG["GPSAltitudeRef"]: made.field(1, int(truth.altitude < 0)),
        TAG["GPSMapDatum"]: text(draw(st.sampled_from(["WGS-84", "WGS84", "wgs-84"]))),
        TAG["GPSStatus"]: text("A"),
    }
    shot.picture = {TAG["Make"]: text(truth.make), TAG["Orientation"]: made.field(3, truth.orientation)}
    if has_clock and draw(st.booleans()):
        shot.changed = stamp(there)
    if draw(st.booleans()):
        shot.xmp = honest_xmp(truth)
        shot.xmp_encoding = draw(st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32"]))
    return shot


def honest_xmp(truth: Truth) -> dict[str, str]:
    """Return XMP that says what EXIF says."""
    return {
        "exif:GPSLatitude": adobe(truth.lat, "NS"),
        "exif:GPSLongitude": adobe(truth.lon, "EW"),
        "exif:GPSImgDirection": f"{round(truth.heading * 10)}/10",
        "tiff:Make": truth.make.title(),
        "tiff:Orientation": str(truth.orientation),
    }


def adobe(degrees: float, sides: str) -> str:
    """Return a coordinate as XMP has it."""
    return f"{int(abs(degrees))},{abs(degrees) % 1 * 60:.6f}{sides[degrees < 0]}"


# Faults: in the time, of which a photo gets one at most, since two clocks can agree on what is wrong.


def gps_rolled_over(draw, shot):
    weeks = 1024 * draw(st.sampled_from([1, 1, 2]))
    shot.gps_utc -= timedelta(weeks=weeks)


def gps_rolled_over_on_a_local_date(draw, shot):
    gps_has_the_local_date(draw, shot)
    date = datetime.strptime(shot.gps_date, "%Y:%m:%d") - timedelta(weeks=1024)
    shot.gps_date = stamp(date)[:10]


def gps_has_the_local_date(_, shot):
    shot.gps_date = stamp(shot.truth.there)[:10]


def gps_is_a_day_off(draw, shot):
    shot.gps_utc += timedelta(days=draw(st.sampled_from([-1, 1])))


def gps_is_stale(draw, shot):
    # Not by what a zone could explain, where the clock has none.
    minutes = draw(st.integers(2, 13)) + 60 * draw(st.integers(0, 30)) + 1440 * draw(st.integers(0, 400))
    shot.gps_utc -= timedelta(minutes=minutes)


def gps_has_a_default_date(draw, shot):
    shot.gps_utc = draw(
        st.sampled_from(
            [datetime(1980, 1, 6, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(1999, 8, 22, tzinfo=UTC)]
        )
    ) + timedelta(seconds=draw(st.integers(0, 80_000)))


def gps_is_in_the_future(draw, shot):
    shot.gps_utc = shot.gps_utc.replace(year=draw(st.integers(2031, 2099)), day=min(shot.gps_utc.day, 28))


def gps_counts_buddhist_years(_, shot):
    shot.gps_date = f"{shot.gps_utc.year + 543}{stamp(shot.gps_utc)[4:10]}"


def all_count_buddhist_years(_, shot):
    gps_counts_buddhist_years(_, shot)
    shot.clock = f"{shot.truth.there.year + 543}{shot.clock[4:]}"


def gps_time_is_none(draw, shot):
    shot.gps_date = draw(st.sampled_from(["2022:13:45", "yesterday", "22.9.10", "1970:01:01"]))


def gps_time_is_local(_, shot):
    """Only a clock with its offset tells."""
    shot.gps_utc += shot.truth.offset


def clock_was_never_set(draw, shot):
    begin = draw(
        st.sampled_from([datetime(1970, 1, 1), datetime(1980, 1, 1), datetime(2000, 1, 1), datetime(2015, 1, 1)])
    )
    shot.clock = stamp(begin + timedelta(seconds=draw(st.integers(0, 7000))))
    shot.changed = None


def clock_has_a_wrong_zone(draw, shot):
    wrong = shot.truth.offset + timedelta(hours=draw(st.sampled_from([-3, -2, -1, 1, 2, 3])))
    shot.zone = offset_text(wrong)


def clock_has_no_real_zone(draw, shot):
    shot.zone = draw(st.sampled_from(["+99:00", "PST", "local", "-13:30"]))


def clock_counts_buddhist_years(_, shot):
    shot.clock = f"{shot.truth.there.year + 543}{shot.clock[4:]}"


def clock_counts_minguo_years(_, shot):
    shot.clock = f"{shot.truth.there.year - 1911:04}{shot.clock[4:]}"


def clock_is_no_time(draw, shot):
    shot.clock = draw(
        st.sampled_from(
            [f"{shot.clock} PST", f"{shot.clock} abc", "13/02/2019 10:11", "2019:02:30 10:11:12", "noon", "12:13:14"]
        )
    )


def clock_has_no_seconds(_, shot):
    shot.clock = f"{shot.truth.there:%Y:%m:%d %H:%M}"


def decimals_are_none(draw, shot):
    shot.subsec = draw(st.sampled_from(["12ab", "x", "1.2", "-5"]))


def only_the_last_change_is_told(draw, shot):
    shot.clock = shot.subsec = shot.zone = None
    shot.changed = stamp(shot.truth.there + timedelta(days=draw(st.integers(0, 900))))


def only_the_name_tells(_, shot):
    shot.clock = shot.subsec = shot.zone = shot.changed = None
    shot.name = f"{shot.truth.utc:%Y_%m_%d_%H_%M_%S}_{shot.truth.utc.microsecond // 1000:03}.jpg"


def name_knows_better(_, shot):
    """The clock is that of a camera whose battery was empty; the name is a phone's."""
    shot.clock, shot.zone, shot.changed = stamp(datetime(1980, 1, 5, 7, 8)), None, None
    shot.name = f"IMG_{shot.truth.utc:%Y%m%d_%H%M%S}.jpg"


def name_tells_the_rollover(_, shot):
    gps_rolled_over(lambda _: 1, shot)
    shot.clock = shot.zone = shot.subsec = shot.changed = None
    shot.name = f"IMG_{shot.truth.there:%Y%m%d_%H%M%S}.jpg"


def xmp_has_another_time(draw, shot):
    shot.xmp["exif:DateTimeOriginal"] = (
        f"{shot.truth.there + timedelta(days=draw(st.integers(2, 3000))):%Y-%m-%dT%H:%M:%S}"
    )


WITH_BOTH = (
    gps_rolled_over, gps_rolled_over_on_a_local_date, gps_has_the_local_date, gps_is_a_day_off, gps_is_stale,
    gps_has_a_default_date, gps_is_in_the_future, gps_counts_buddhist_years, all_count_buddhist_years, gps_time_is_none,
    clock_was_never_set, clock_counts_buddhist_years, clock_is_no_time, clock_has_no_seconds, xmp_has_another_time,
)  # fmt: skip
"""Faults of photos with a GPS time and a clock."""

WITH_ZONE_AND_GPS = (gps_time_is_local, clock_has_a_wrong_zone, clock_has_no_real_zone)

WITH_GPS = (gps_counts_buddhist_years, name_tells_the_rollover)

WITH_CLOCK = (
    clock_was_never_set, clock_counts_buddhist_years, clock_counts_minguo_years, clock_is_no_time, clock_has_no_seconds,
    clock_has_no_real_zone, decimals_are_none, only_the_last_change_is_told, only_the_name_tells, name_knows_better,
    xmp_has_another_time,
)  # fmt: skip
"""Faults of photos with a clock and no GPS time."""


# Faults elsewhere: in position, heading, altitude, orientation, maker.


def _move(shot, draw):
    truth = shot.truth
    return made.dms(truth.lat + draw(st.sampled_from([-0.3, 0.02, 0.3])), truth.lon * 0.97)


def _say_nothing(shot, *names):
    """Take properties out of XMP that would contradict, or make up for what is missing."""
    for name in names:
        shot.xmp.pop(f"exif:{name}", None)
        shot.xmp.pop(f"tiff:{name}", None)


def side_is_missing(draw, shot):
    shot.gps.pop(TAG[draw(st.sampled_from(["GPSLatitudeRef", "GPSLongitudeRef"]))])


def side_is_of_the_other_axis(draw, shot):
    shot.gps[TAG["GPSLatitudeRef"]] = text(draw(st.sampled_from(["E", "W", "x", "?"])))


def coordinate_is_missing(draw, shot):
    shot.gps.pop(TAG[draw(st.sampled_from(["GPSLatitude", "GPSLongitude"]))])


def position_is_zero(_, shot):
    zero = made.field(5, (0, 1), (0, 1), (0, 1))
    shot.gps |= {TAG["GPSLatitude"]: zero, TAG["GPSLongitude"]: zero}


def position_has_zero_denominators(draw, shot):
    shot.gps[TAG["GPSLongitude"]] = made.field(5, *draw(st.permutations([(9, 0), (3, 1), (4, 1)])))


def position_is_out_of_range(draw, shot):
    tag, degrees = draw(st.sampled_from([("GPSLatitude", 91), ("GPSLatitude", 4846), ("GPSLongitude", 181)]))
    shot.gps[TAG[tag]] = made.field(5, (degrees, 1), (0, 1), (0, 1))


def minutes_reach_sixty(draw, shot):
    shot.gps[TAG["GPSLatitude"]] = made.field(5, (40, 1), (draw(st.sampled_from([60, 75, 99])), 1), (7, 1))


def degrees_have_decimals_and_minutes(_, shot):
    lat = abs(shot.truth.lat)
    shot.gps[TAG["GPSLatitude"]] = made.field(5, (round(lat * 10**6) | 1, 10**6), (int(lat % 1 * 60), 1), (30, 1))


def position_is_no_text(draw, shot):
    shot.gps[TAG["GPSLatitude"]] = text(draw(st.sampled_from(["somewhere", "48.5 or so", "N", "48,30"])))


def receiver_had_no_fix(draw, shot):
    shot.gps |= _move(shot, draw) | {TAG["GPSStatus"]: text("V")}
    _say_nothing(shot, "GPSLatitude", "GPSLongitude")


def datum_is_another(draw, shot):
    shot.gps |= _move(shot, draw) | {TAG["GPSMapDatum"]: text(draw(st.sampled_from(["TOKYO", "NAD27", "ED50"])))}
    _say_nothing(shot, "GPSLatitude", "GPSLongitude")


def receiver_was_unsure(draw, shot):
    rough = {TAG["GPSDOP"]: made.field(5, (99, 1))}
    far = {TAG["GPSHPositioningError"]: made.field(5, (1414, 1))}
    shot.gps |= _move(shot, draw) | draw(st.sampled_from([rough, far]))
    _say_nothing(shot, "GPSLatitude", "GPSLongitude")


def xmp_is_elsewhere(draw, shot):
    shot.gps[TAG["GPSLatitude"]]  # without that in EXIF, nothing would tell
    shot.xmp |= honest_xmp(shot.truth)
    shot.xmp["exif:GPSLatitude"] = adobe(shot.truth.lat + 0.01, "NS")
    if draw(st.booleans()):  # EXIF is the one that is wrong
        shot.truth.lat += 0.01


def xmp_alone_is_no_position(draw, shot):
    for name in ("GPSLatitude", "GPSLongitude"):
        shot.gps.pop(TAG[name], None)
    wrong = draw(st.sampled_from([("0", "0"), ("48,30", "9,15"), ("x", "y"), ("95.0", "9.0"), ("48.5", "")]))
    shot.xmp |= {"exif:GPSLatitude": wrong[0], "exif:GPSLongitude": wrong[1]}


def heading_is_none(draw, shot):
    shot.gps[TAG["GPSImgDirection"]] = draw(st.sampled_from([made.field(5, (65535, 1)), made.field(5, (400, 1))]))
    _say_nothing(shot, "GPSImgDirection")


def heading_is_magnetic(draw, shot):
    turned = (shot.truth.heading + draw(st.sampled_from([-17, 3, 12]))) % 360
    shot.gps |= {TAG["GPSImgDirection"]: made.field(5, (round(turned * 10), 10)), TAG["GPSImgDirectionRef"]: text("M")}
    _say_nothing(shot, "GPSImgDirection")


def xmp_looks_elsewhere(_, shot):
    shot.xmp |= honest_xmp(shot.truth)
    shot.xmp["exif:GPSImgDirection"] = f"{round((shot.truth.heading + 90) % 360 * 10)}/10"
    shot.truth.heading = (shot.truth.heading + 90) % 360


def panorama_looks_elsewhere(_, shot):
    shot.gps[TAG["GPSImgDirection"]]
    shot.truth.heading = 5 + (shot.truth.heading + 90) % 350
    shot.xmp["GPano:PoseHeadingDegrees"] = f"{shot.truth.heading:.1f}"


def position_is_next_to_zero(_, shot):
    shot.gps |= made.dms(0.00002, -0.00003)


def altitude_is_that_of_the_ellipsoid(draw, shot):
    shot.gps |= {
        TAG["GPSAltitude"]: made.field(5, (abs(round(shot.truth.altitude + 47)), 1)),
        TAG["GPSAltitudeRef"]: made.field(1, 3 if shot.truth.altitude + 47 < 0 else 2),
    }


def altitude_is_absurd(draw, shot):
    shot.gps[TAG["GPSAltitude"]] = made.field(5, (draw(st.sampled_from([4_294_967_290, 200_000, 30_000])), 1))


def altitude_has_no_real_ref(_, shot):
    shot.gps[TAG["GPSAltitudeRef"]] = made.field(1, 9)


def orientation_is_none(draw, shot):
    shot.picture[TAG["Orientation"]] = made.field(3, draw(st.integers(9, 65535)))
    _say_nothing(shot, "Orientation")


def xmp_is_turned(_, shot):
    shot.xmp |= honest_xmp(shot.truth)
    shot.xmp["tiff:Orientation"] = str(shot.truth.orientation % 8 + 1)
    shot.truth.orientation = shot.truth.orientation % 8 + 1


def xmp_has_another_maker(_, shot):
    shot.xmp |= honest_xmp(shot.truth)
    shot.xmp["tiff:Make"] = shot.truth.make = "Canon"


ELSEWHERE = (
    side_is_missing, side_is_of_the_other_axis, coordinate_is_missing, position_is_zero, position_has_zero_denominators,
    position_is_out_of_range, minutes_reach_sixty, degrees_have_decimals_and_minutes, position_is_no_text,
    receiver_had_no_fix, datum_is_another, receiver_was_unsure, xmp_is_elsewhere, xmp_alone_is_no_position,
    heading_is_none, heading_is_magnetic, xmp_looks_elsewhere, panorama_looks_elsewhere,
    position_is_next_to_zero, altitude_is_that_of_the_ellipsoid, altitude_is_absurd, altitude_has_no_real_ref,
    orientation_is_none, xmp_is_turned, xmp_has_another_maker,
)  # fmt: skip


@st.composite
def faulty(draw):
    """Return a photo with faults, one of them in its time at most, and the names of the faults."""
    kind = draw(st.sampled_from(["both", "both", "zone and gps", "gps", "clock", "none"]))
    has_gps, has_clock, has_zone, faults = {
        "both": (True, True, None, WITH_BOTH),
        "zone and gps": (True, True, True, WITH_ZONE_AND_GPS),
        "gps": (True, False, False, WITH_GPS),
        "clock": (False, True, None, WITH_CLOCK),
        "none": (None, None, None, ()),
    }[kind]
    shot = draw(honest(clock=has_clock, gps=has_gps, zone=has_zone))
    chosen = [draw(st.sampled_from(faults))] if faults else []
    chosen += draw(st.lists(st.sampled_from(ELSEWHERE), max_size=2, unique=True))
    if not chosen:
        chosen = [draw(st.sampled_from(ELSEWHERE))]
    done = []
    for fault in chosen:
        try:
            fault(draw, shot)
        except KeyError:  # another fault has taken the tag away
            continue
        done.append(fault.__name__)
    return shot, done


def with_a_second_exif(shot: Shot) -> bytes:
    """Return a photo whose second EXIF segment has another time and place."""
    data = shot.bytes()
    moved = made.dms(-shot.truth.lat, shot.truth.lon)
    second = made.tiff({}, {TAG["DateTimeOriginal"]: text("2001:02:03 04:05:06")}, moved, order=">")
    segment = made.segment(0xE1, b"Exif\0\0" + second)
    (length,) = struct.unpack(">H", data[4:6])
    return data[: 4 + length] + segment + data[4 + length :]
