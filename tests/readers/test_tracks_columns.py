"""Tracks read as columns: the same points as from parsing every one of them, and as from plain loops."""

from __future__ import annotations

import gzip
import io
import random
import re

import numpy as np
import pytest
from conftest import DATA
from helpers import nmea_loop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError
from mlygeo.formats import gpx, nmea

TRACKS = DATA / "tracks"
LOGS = sorted(path for path in TRACKS.iterdir() if ".log" in path.name or ".nmea" in path.name)


def content(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def opened(data):
    return lambda: io.BufferedReader(io.BytesIO(data))


def outcome(data, *, plain, block=1 << 20):
    """Return what reading comes to, with or without runs."""
    size, tries = gpx.BLOCK, gpx._TRIES
    gpx.BLOCK, gpx._TRIES = block, tries if plain else 0
    try:
        if not plain:
            points, damage = gpx._parse(opened(data), None, "x")
            if damage is None:
                return points
        return gpx.read(opened(data), "x")
    except FormatError as error:
        return str(error)
    finally:
        gpx.BLOCK, gpx._TRIES = size, tries


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    for column in ("lon", "lat", "altitude", "time", "segment"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert one.segments == other.segments
    assert one.problems == other.problems


# GPX

FORMS = {
    "plain": '<trkpt lat="{lat}" lon="{lon}"><ele>{ele}</ele><time>{time}</time></trkpt>\n',
    "lon first": '<trkpt lon="{lon}" lat="{lat}"><ele>{ele}</ele><time>{time}</time></trkpt>',
    "apart": '  <trkpt\n lat = "{lat}"\t lon="{lon}" >\r\n\t<time>{time}</time >\r\n <ele>{ele}</ele>\r\n </trkpt >\r\n',
    "bare": '<trkpt lat="{lat}" lon="{lon}"/>\n',
    "no elevation": '<trkpt lat="{lat}" lon="{lon}"><time>{time}</time></trkpt>\n',
    "single quotes": "<trkpt lat='{lat}' lon='{lon}'><ele>{ele}</ele></trkpt>\n",
    "extensions": '<trkpt lat="{lat}" lon="{lon}"><ele>{ele}</ele><time>{time}</time><extensions>'
    '<ns3:TrackPointExtension xmlns:ns3="u"><ns3:hr>{n}</ns3:hr><time>1999-01-01T00:00:00Z</time><ele>0</ele>'
    "</ns3:TrackPointExtension></extensions></trkpt>\n",
    "twice": '<trkpt lat="{lat}" lon="{lon}"><ele>1</ele><ele>{ele}</ele><time/><time>{time}</time></trkpt>\n',
    "more": '<trkpt x="{n}" lat="{lat}" y="" lon="{lon}"><name>n {n}\' > 5</name><time>{time}</time><fix>3d</fix></trkpt>',
    "other": '<trkpt lat="{lat}" lom="{lon}"><ele>{ele}</ele><tome>{time}</tome></trkpt>\n',
    "nested": '<trkpt lat="{lat}" lon="{lon}"><trkpt lat="{lon}" lon="{lat}"></trkpt></trkpt>\n',
    "inner": '<trkpt lat="{lat}" lon="{lon}"><ele>{ele}<b/>5</ele><time>{time}</time></trkpt>\n',
    "reference": '<trkpt lat="{lat}" lon="{lon}"><ele>&#49;{ele}</ele><desc>a &amp; b</desc></trkpt>\n',
    "cdata": '<trkpt lat="{lat}" lon="{lon}"><ele><![CDATA[{ele}]]></ele><cmt>a ]] b</cmt></trkpt>\n',
    "comment": '<trkpt lat="{lat}" lon="{lon}"><!-- </trkpt> --><ele>{ele}</ele></trkpt>\n',
    "accents": '<trkpt lat="{lat}" lon="{lon}"><ele>{ele}</ele><name>é{n}</name></trkpt>\n',
    "quoted text": '<trkpt lat="{lat}" lon="{lon}"><desc>"{n}"</desc><time>{time}</time></trkpt>\n',
    "prefix": '<g:trkpt lat="{lat}" lon="{lon}"><g:ele>{ele}</g:ele><g:time>{time}</g:time></g:trkpt>\n',
    "route": '<rtept lat="{lat}" lon="{lon}"/><wpt lat="{lat}" lon="{lon}"><time>{time}</time></wpt>\n',
}
BREAKS = (
    "", "\n \t", "</trkseg><trkseg>", "</trkseg></trk><trk><name>a</name><trkseg>", "<!-- <trkpt -->", "<?pi ?>", "<x>y</x>",
    "<!--", "-->", "<![CDATA[", "]]>", "<x>", "</x>", "<name>", "</name>", "<x a='", "'/>", "&amp;", "&", '<trkpt lat="1"', "\v",
    '<trkpt lat="1" lon="2">', "</trkpt>", "</trkseg></trk></gpx>", '<wpt lat="1" lon="2">', "</wpt>", "]]", "é",
)  # fmt: skip
NUMBERS = st.one_of(
    st.floats(-200, 200).map(repr), st.integers(-95, 95).map(str), st.decimals(-90, 90, places=28).map(str),
    st.sampled_from(["", " 5 ", "+5", "1e1", "nan", "inf", "1_0", "1,5", "\n6\r\n", "5>4", "9" * 70, "0x1", "-.5", "5."]),
)  # fmt: skip
TIMES = st.one_of(
    st.datetimes().map(lambda when: when.isoformat() + "Z"),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["2024-02-29T01:02:03", "0001-01-01T00:00:00", "2024-06-30T23:59:60", "2024-01-01T24:00:00",
                         "2023-02-29T00:00:00", "2024-1-1T00:00:00", "0000-01-01T00:00:00", "2024-01-01", ""]),
        st.sampled_from(["", "", ".5", ".123456", ".123456789", ",5"]),
        st.sampled_from(["Z", "Z", "z", "", "+02:00", "-0330", "+14", " ", "\r\n"]),
    ),
)  # fmt: skip
RUNS = st.tuples(
    st.lists(st.sampled_from(sorted(FORMS)), min_size=1, max_size=3),
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, TIMES), min_size=1, max_size=4),
    st.integers(1, 12),
    st.sampled_from(BREAKS[:7] * 4 + BREAKS),
)


def written(runs, head='<?xml version="1.0"?>', *, encoding="utf-8"):
    lines = []
    for forms, values, count, behind in runs:
        for n in range(count):
            lat, lon, ele, time = values[n % len(values)]
            lines.append(FORMS[forms[n % len(forms)]].format(lat=lat, lon=lon, ele=ele, time=time, n=n))
        lines.append(behind)
    return f"{head}<gpx><trk><trkseg>{''.join(lines)}</trkseg></trk></gpx>".encode(encoding)


FINE = [("1.5", "2.5", "3", "2024-01-01T00:00:00Z")]


@given(
    st.lists(RUNS, min_size=1, max_size=6),
    st.sampled_from(['<?xml version="1.0"?>', "\ufeff", "", " \n", '<?xml version="1.0" encoding="latin-1"?>']),
    st.sampled_from(["utf-8", "utf-8", "latin-1", "utf-16"]),
    st.sampled_from([60, 700, 5000, 1 << 20]),
)
@settings(max_examples=200)
@example([(["plain"], FINE, 9, "<x a='"), (["plain"], FINE, 9, "'/>")], "", "utf-8", 1 << 20)
@example([(["plain"], FINE, 9, "<name>"), (["plain"], FINE, 9, "</name>")], "", "utf-8", 1 << 20)
@example([(["plain"], FINE, 9, "</trkseg><name>"), (["plain"], FINE, 9, "</name><trkseg>")], "", "utf-8", 1 << 20)
@example([(["plain"], FINE, 9, ""), *[(["plain"], FINE, 1, "</trkseg><trkseg>")] * 30], "", "utf-8", 1 << 20)
@example([(["nested"], FINE, 30, "")], "", "utf-8", 1 << 20)
@example([(["plain"], FINE, 30, ""), (["plain", "bare", "other"], FINE, 300, "")], "", "utf-8", 1 << 20)
@example([(["plain"], FINE, 9, "<!--"), (["bare"], FINE, 9, "-->")], "", "utf-8", 1 << 20)
@example([(["plain", "bare", "route"], FINE, 200, "")], "", "utf-8", 1 << 20)
def test_runs_are_what_parsing_gives(runs, head, encoding, block):
    if encoding == "latin-1" and "\ufeff" in head:
        head = ""
    data = written(runs, head, encoding=encoding)
    same(outcome(data, plain=True, block=block), outcome(data, plain=False))


@given(st.data())
@settings(max_examples=200)
def test_mutated_runs_are_what_parsing_gives(data):
    form = FORMS[data.draw(st.sampled_from(sorted(FORMS)[:-1]))]
    body = "".join(form.format(lat=n / 8, lon=n, ele=n, time=f"2024-01-01T00:00:{n:02d}Z", n=n) for n in range(12))
    text = bytearray(f"<gpx><trk><trkseg>{body}</trkseg></trk></gpx>".encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        new = data.draw(
            st.sampled_from(
                [*(piece.encode() for piece in BREAKS), b"\0", b"\xff", b"\x0b", b'"', b"'", b">", b"\r", b"x"]
            )
        )
        text[at : at + data.draw(st.integers(0, 3))] = new
    same(outcome(bytes(text), plain=True), outcome(bytes(text), plain=False))


@pytest.mark.parametrize(
    "form",
    sorted(FORMS.keys() - {"other", "nested", "inner", "reference", "cdata", "comment", "accents", "prefix", "route"}),
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_what_loggers_write_is_read_as_columns(form, encoding):
    values = [(repr(n / 64), repr(n / 32), str(n), f"2024-01-01T00:00:{n % 60:02d}Z") for n in range(500)]
    rows = gpx.Finder(gpx._probe).rows(written([([form], values, 500, "")], encoding=encoding))
    if form == "quoted text":
        assert rows is None
        return
    assert rows.lat.tolist() == [n / 64 for n in range(500)]
    assert rows.joined.tolist() == [False, *[True] * 499]


@pytest.mark.parametrize(
    "name", ["garmin_activity.gpx.gz", "josm_1433_leeds.gpsbabel.gpx.gz", "josm_15634_drumlish.gpx"]
)
def test_points_of_real_loggers_are_read_as_columns(name):
    data = content(TRACKS / name)
    rows = gpx.Finder(gpx._probe).rows(data)
    assert len(rows.lon) > 0.98 * data.count(b"<trkpt")


def test_points_of_several_forms_in_turn_are_one_run():
    forms = ["plain", "no elevation", "bare", "extensions"]
    rows = gpx.Finder(gpx._probe).rows(written([(forms, FINE, 400, "")]))
    assert len(rows.lon) == 400
    assert np.isnan(rows.altitude).tolist() == [False, True, True, False] * 100
    assert rows.time.is_null().to_pylist() == [False, False, True, False] * 100


def test_a_run_within_a_comment_is_no_run():
    hidden = written([(["plain"], FINE, 50, "<!--"), (["plain"], FINE, 50, "-->"), (["plain"], FINE, 50, "")])
    assert len(gpx.read(opened(hidden), "x").lon) == 100


# NMEA


def as_loop(text, block=1 << 20):
    size, nmea.STRETCH = nmea.STRETCH, block
    try:
        fixes = nmea.decode(text)
    finally:
        nmea.STRETCH = size
    expected = nmea_loop.points(text)
    if expected is None:
        assert np.isnat(fixes.time).all()
        return
    time = fixes.time.astype(np.int64).tolist()
    assert time == [row[0] for row in expected]
    for column, number in ((fixes.lon, 1), (fixes.lat, 2), (fixes.altitude, 3)):
        np.testing.assert_array_equal(column, [row[number] for row in expected])


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_logs_are_what_a_plain_loop_reads(path):
    as_loop(content(path)[:60_000])


ODD = [
    b"$", b"*", b",", b"$GPRMC,", b"*7", b"\xff", b" ", b"9" * 300, b".", b"-", b"1_0", b"\x1c", b",,,", b"000101", b"\r", b"1e5",
    b"$GPGGA,120000.,4807.038,N,01131.000,E,1,,,5,M",
    b"$GPZDA,193913.00,07,09,2018,00,00", b"$GPGGA,120000,", b"$GPRMC,235959.5,A,4807.038,N,01131.000,E,,,311299",
]  # fmt: skip


@given(st.data())
@settings(max_examples=250)
def test_mutated_logs_are_what_a_plain_loop_reads(data):
    log = content(data.draw(st.sampled_from(LOGS)))
    at = data.draw(st.integers(0, len(log) - 1))
    text = bytearray(log[at : at + data.draw(st.sampled_from([200, 3000]))])
    if data.draw(st.booleans()):
        text = bytearray(re.sub(rb"\*[0-9A-F]{2}", b"", bytes(text)))
    # Few draws and many changes.
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(dice.randrange(8)):
        place = dice.randrange(len(text) + 1)
        text[place : place + dice.choice([0, 0, 1, 20])] = dice.choice([*ODD, bytes([dice.randrange(256)])])
    as_loop(bytes(text), data.draw(st.sampled_from([300, 1000, 1 << 20])))
