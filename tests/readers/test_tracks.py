"""Tracks: GPX, NMEA and tables in, as other programs read them; GPX out and back; hostile and damaged files."""

from __future__ import annotations

import functools
import gzip
import io
import json
import operator
import random
import tracemalloc
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.work import at_most, little_memory
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.formats import gpx as gpx_format
from mlygeo.formats import nmea
from mlygeo.readers.tracks import read_track, write_track

TRACKS = DATA / "tracks"
EXPECTED = json.loads((TRACKS / "expected.json").read_text())
GPX = sorted(name for name in EXPECTED if ".gpx" in name)
NMEA = sorted(name for name in EXPECTED if ".gpx" not in name)
NAMESPACE = 'xmlns="http://www.topografix.com/GPX/1/1"'


def gpx(body, *, attributes=f'version="1.1" {NAMESPACE}', head='<?xml version="1.0" encoding="UTF-8"?>'):
    return f"{head}\n<gpx {attributes}>{body}</gpx>".encode()


def point(lat, lon, inner="", element="trkpt"):
    return f'<{element} lat="{lat}" lon="{lon}">{inner}</{element}>'


def seconds(count, start="2024-06-09T08:00:00"):
    return [f"<time>{(datetime.fromisoformat(start) + timedelta(seconds=n)).isoformat()}Z</time>" for n in range(count)]


@pytest.fixture
def given_file(tmp_path):
    """Write a file and read it as a track."""

    def read(data, name="track.gpx", **options):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_track(path, **options)

    return read


def parsed(data, *, plain):
    """Read GPX with or without taking plain points out."""
    opened = lambda: io.BufferedReader(io.BytesIO(data))
    if plain:
        return gpx_format.read(opened, "x")
    points, damage = gpx_format._parse(opened, None, "x")
    assert damage is None
    return points


# GPX, as gpxpy reads it


@pytest.mark.parametrize("name", GPX)
def test_agrees_with_gpxpy(name):
    expected, tracks = EXPECTED[name], read_track(TRACKS / name, points="all")
    frames.check(tracks, frames.TRACKS)
    if "gpxpy_error" in expected:
        assert len(tracks) == 0
        assert tracks.attrs["left_out"] == {"without a position": 5, "altitude not understood": 1}
        return
    of_tracks = tracks[tracks["kind"] == "track"]
    assert len(of_tracks) == expected["track_points"]
    assert of_tracks["time"].notna().sum() == expected["with_time"]
    assert of_tracks["altitude"].notna().sum() == expected["with_elevation"]
    assert (tracks["kind"] == "route").sum() == expected["route_points"]
    assert (tracks["kind"] == "waypoint").sum() == expected["waypoints"]
    if "bbox" in expected:
        assert of_tracks.total_bounds == pytest.approx(expected["bbox"], abs=1e-12)
    if "first_time" in expected:
        times = of_tracks["time"].dropna()
        for row, key in ((0, "first_time"), (-1, "last_time")):
            when = pd.Timestamp(expected[key])
            assert times.iloc[row] == (when.tz_localize("UTC") if when.tzinfo is None else when)
    doubts = ("an old receiver may be 1024 weeks behind", "without a time zone, taken as UTC")
    assert not [problem for problem in tracks.attrs["problems"] if not any(doubt in problem for doubt in doubts)]


def test_every_point_as_a_tree_parser_reads_it():
    path = TRACKS / "togeojson_blue_hills.gpx"
    tracks = read_track(path)
    found = [
        (float(node.get("lon")), float(node.get("lat")), node.findtext("{*}time"), float(node.findtext("{*}ele")))
        for node in ET.parse(path).iter()
        if node.tag.endswith("}trkpt")
    ]
    assert tracks.geometry.x.tolist() == [row[0] for row in found]
    assert tracks.geometry.y.tolist() == [row[1] for row in found]
    assert tracks["time"].tolist() == [pd.Timestamp(row[2]) for row in found]
    assert tracks["altitude"].tolist() == [row[3] for row in found]


@pytest.mark.parametrize("name", [name for name in GPX if "bad" not in name])
def test_points_taken_out_are_the_points_parsed(name):
    data = (TRACKS / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    same(parsed(data, plain=True), parsed(data, plain=False))


def same(one, other):
    for column in ("lon", "lat", "altitude", "time", "segment"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert one.segments == other.segments
    assert one.problems == other.problems


PIECES = [
    '<trkpt lat="1.5" lon="2.5"><ele>3</ele><time>2024-01-01T00:00:01Z</time></trkpt>',
    '<trkpt lat="1.5" lon="2.5"></trkpt>',
    '<trkpt lon="4.5" lat="5.5"><time>2024-01-01T00:00:02Z</time></trkpt>',
    '<trkpt lat="6" lon="7"><time>2024-01-01T00:00:03Z</time><ele>8</ele></trkpt>',
    '<trkpt lat="9" lon="10"><ele>1</ele><hdop>2</hdop><sat>7</sat></trkpt>\n ',
    '<trkpt lat="11" lon="12"><extensions><speed>3</speed><time>x</time></extensions></trkpt>',
    '<trkpt lat="13" lon="14"><name>é &amp; &#65;</name></trkpt>',
    '<trkpt lat="200" lon="14"/>',
    '<trkpt lat="14" lon="200"></trkpt>',
    "</trkseg><trkseg>",
    "</trkseg></trk><trk><name>ride</name><trkseg>",
    "</trkseg></trk><rte><rtept lat='15' lon='16'><ele>2</ele></rtept></rte><trk><trkseg>",
    "<!-- nothing -->",
    '<!-- <trkpt lat="17" lon="18"></trkpt> -->',
    '<![CDATA[ <trkpt lat="19" lon="20"></trkpt> ]]>',
    '<?pi <trkpt lat="21" lon="22"></trkpt> ?>',
    '<x><trkpt lat="23" lon="24"></trkpt></x>',
    '<trkpt lat="25" lon="26"><trkpt lat="27" lon="28"></trkpt></trkpt>',
]


@given(st.lists(st.sampled_from(PIECES), max_size=25), st.integers(40, 400))
@settings(max_examples=300)
@example([PIECES[0], PIECES[12], PIECES[0]], 40)
def test_taking_points_out_changes_nothing(pieces, block):
    data = gpx(f"<trk><trkseg>{''.join(pieces)}</trkseg></trk>")
    size, gpx_format.BLOCK = gpx_format.BLOCK, block
    try:
        same(parsed(data, plain=True), parsed(data, plain=False))
    finally:
        gpx_format.BLOCK = size


def test_positions_off_the_earth_are_left_out(given_file):
    odd = [(91, 0), (-91, 0), (0, 181), (0, -181), ("nan", 0), (0, "inf"), ("", 0), ("1,5", 2), (0, 0), ("-0.0", 0)]
    body = "".join(point(lat, lon) for lat, lon in [*odd, (90, 180), (-90, -180)])
    tracks = given_file(gpx(f"<trk><trkseg>{body}</trkseg></trk>"))
    assert tracks.geometry.x.tolist() == [180, -180]
    assert tracks.attrs["left_out"] == {"without a position": 4, "out of range": 4, "(0, 0)": 2}
    assert "2 points left out: at (0, 0), which means no fix" in tracks.attrs["problems"]


def test_which_points(given_file):
    way = point(1, 2, "<time>2024-01-01T00:00:00Z</time>", "wpt")
    route = f"<rte><name>plan</name>{point(3, 4, element='rtept')}</rte>"
    track = f"<trk><trkseg>{point(5, 6)}</trkseg></trk>"
    assert given_file(gpx(way + route + track))["kind"].tolist() == ["track"]
    assert given_file(gpx(way + route))["track_id"].tolist() == ["plan"]
    assert given_file(gpx(way))["track_id"].tolist() == ["waypoints"]
    everything = given_file(gpx(way + route + track), points="all")
    assert everything["kind"].tolist() == ["waypoint", "route", "track"]
    assert given_file(gpx(way + route + track), points="routes").geometry.x.tolist() == [4.0]
    assert len(given_file(gpx(way), points="tracks")) == 0


def test_segments_and_names(given_file):
    body = (
        f"<trk><name> ride \n one </name><trkseg>{point(1, 1)}{point(1, 2)}</trkseg><trkseg/><trkseg>{point(2, 1)}</trkseg></trk>"
        f"<trk><name>ride</name><trkseg>{point(3, 1)}</trkseg></trk><trk><trkseg>{point(4, 1)}</trkseg></trk>"
        f"<trk><name>ride</name><trkseg>{point(5, 1)}</trkseg></trk>"
    )
    ids = given_file(gpx(body))["track_id"].tolist()
    assert ids == ["ride one / 1", "ride one / 1", "ride one / 2", "ride", "track 3", "ride (2)"]


def test_namespaces_and_prefixes(given_file):
    for attributes in (
        'version="1.0" xmlns="http://www.topografix.com/GPX/1/0"', 'version="1.1"', "", 'xmlns="http://example.com/wrong"',
    ):  # fmt: skip
        assert len(given_file(gpx(f"<trk><trkseg>{point(1, 2)}</trkseg></trk>", attributes=attributes))) == 1
    prefixed = (
        '<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:trk><g:name>a</g:name><g:trkseg><g:trkpt lat="1" lon="2">'
        "<g:ele>3</g:ele><g:time>2024-01-01T00:00:00Z</g:time></g:trkpt></g:trkseg></g:trk></g:gpx>"
    )
    tracks = given_file(prefixed)
    assert (tracks["track_id"][0], tracks["altitude"][0], tracks["time"][0].year) == ("a", 3.0, 2024)


def test_time_and_elevation_of_the_point_itself_only(given_file):
    inner = (
        "<ele>5</ele><time>2024-01-01T00:00:00Z</time><extensions><gpxtpx:x xmlns:gpxtpx='u'><time>1999-01-01T00:00:00Z</time>"
        "<ele>9</ele></gpxtpx:x></extensions>"
    )
    tracks = given_file(
        gpx(f"<metadata><time>1998-01-01T00:00:00Z</time></metadata><trk><trkseg>{point(1, 2, inner)}</trkseg></trk>")
    )
    assert (tracks["altitude"][0], tracks["time"][0]) == (5.0, pd.Timestamp("2024-01-01", tz="UTC"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05"),
        (" 2024-01-02T03:04:05.25+02:00 ", "2024-01-02T01:04:05.25"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2024-01-02T24:00:00Z", "2024-01-03T00:00:00"),
        ("2024-13-02T03:04:05Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_in_gpx(given_file, written, expected):
    tracks = given_file(gpx(f"<trk><trkseg>{point(1, 2, f'<time>{written}</time>')}{point(1, 3)}</trkseg></trk>"))
    assert tracks["time"].dtype == "datetime64[us, UTC]"
    assert pd.isna(tracks["time"][1])
    if expected is None:
        assert pd.isna(tracks["time"][0])
        assert bool(tracks.attrs["problems"]) == bool(written)
    else:
        assert tracks["time"][0] == pd.Timestamp(expected, tz="UTC")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2022-09-10T12:00:00\u221207:00", "2022-09-10T19:00:00"), ("2022-09-10T12:00:00+2", "2022-09-10T10:00:00"),
        ("2022-09-10 03:04:05 PM", "2022-09-10T15:04:05"), ("2022-09-10T12:00:00 GMT+02:00", "2022-09-10T10:00:00"),
        ("2022-09-10T12:00:00 PST", None), ("2022", None), ("2022-09", None), ("2022-09-10", None), ("2022-09-10T12", None),
        ("12:00:00", None), ("2022-09-10T12:00:00+15:00", None), ("10/09/2022 12:00:00", None),
    ],
)  # fmt: skip
def test_a_time_is_understood_in_full_or_not_at_all(given_file, written, expected):
    # Alone, and among points of the usual form, which are read as columns.
    for more in (
        "",
        "".join(point(n / 99, 3, moment) for n, moment in enumerate(seconds(50, start="2022-09-10T12:00:00"))),
    ):
        tracks = given_file(gpx(f"<trk><trkseg>{point(1, 2, f'<time>{written}</time>')}{more}</trkseg></trk>"))
        if expected is None:
            assert pd.isna(tracks["time"][0])
            assert tracks.attrs["left_out"] == {"time not understood": 1}
        else:
            assert tracks["time"][0] == pd.Timestamp(expected, tz="UTC")
            assert tracks.attrs["left_out"] == {}


@pytest.mark.parametrize("name", ["gpx", "csv", "nmea"])
def test_default_dates_and_null_island_in_every_format(given_file, name):
    start = datetime(2022, 9, 10, 12)
    rows = [(start + timedelta(seconds=n), 48 + n / 1000, 11) for n in range(1, 100)]
    rows[50:50] = [(start + timedelta(seconds=51.5), 0, 0)]
    rows[:0] = [(datetime(2000, 1, 1), 48, 11)]
    data = {
        "gpx": gpx(
            "<trk><trkseg>" + "".join(point(lat, lon, f"<time>{when:%Y-%m-%dT%H:%M:%S.%f}Z</time>") for when, lat, lon in rows)
            + "</trkseg></trk>"
        ),
        "csv": "time,lat,lon\n" + "".join(f"{when:%Y-%m-%dT%H:%M:%S.%f}Z,{lat},{lon}\n" for when, lat, lon in rows),
        "nmea": "".join(rmc(when, lat, lon) for when, lat, lon in rows),
    }[name]  # fmt: skip
    tracks = given_file(data, f"a.{name}")
    assert len(tracks) == 99
    assert tracks["time"].min() == pd.Timestamp("2022-09-10T12:00:01", tz="UTC")
    assert tracks.attrs["left_out"] == {"(0, 0)": 1, "stray time": 1}


def test_a_default_date_in_a_segment_of_its_own(given_file):
    first = point(48, 11, "<time>2000-01-01T00:00:00Z</time>")
    body = "".join(point(48 + n / 1000, 11, moment) for n, moment in enumerate(seconds(99)))
    tracks = given_file(gpx(f"<trk><trkseg>{first}</trkseg><trkseg>{body}</trkseg></trk>"))
    assert tracks.attrs["left_out"] == {"stray time": 1}
    years = "".join(
        point(48 + n / 1000, 11, moment) for n, moment in enumerate(seconds(99, start="2019-05-01T08:00:00"))
    )
    both = given_file(gpx(f"<trk><trkseg>{years}</trkseg><trkseg>{body}</trkseg></trk>"))
    assert len(both) == 198
    assert both.attrs["left_out"] == {}


@pytest.mark.parametrize("odd", [0, 3, 98])
def test_gpx_points_without_a_fix(given_file, odd):
    kinds = ["none" if n == odd else "2d" if n % 7 == 0 else "3d" for n in range(99)]
    body = "".join(
        point(48 + n / 1000, 11, f"{moment}<fix>{kind}</fix>")
        for n, (moment, kind) in enumerate(zip(seconds(99), kinds, strict=True))
    )
    tracks = given_file(gpx(f"<trk><trkseg>{body}</trkseg></trk>"))
    assert len(tracks) == 98
    assert not np.isclose(tracks.geometry.y, 48 + odd / 1000, atol=1e-6).any()
    assert tracks.attrs["left_out"] == {"without a fix": 1}


@pytest.mark.parametrize("name", ["gpx", "csv"])
@pytest.mark.parametrize(
    ("moved", "problems"),
    [
        ({}, []),
        ({3: (3, 60)}, ["2 leaps between points at over 350 m/s"]),
        ({0: (0, 60)}, ["1 leap between points at over 350 m/s"]),
        ({3: (86_403, 48)}, ["1 time earlier than that of the point before"]),
        ({n: (5 - n, 48) for n in range(3)}, ["2 times earlier than that of the point before"]),
        ({n: (99 - n, 48) for n in range(6)}, []),  # the newest first
    ],
)
def test_points_out_of_order_or_place_are_told(given_file, name, moved, problems):
    start = datetime(2024, 6, 9, 8)
    points = [moved.get(n, (n, 48 + n / 10_000)) for n in range(6)]
    rows = [((start + timedelta(seconds=second)).isoformat() + "Z", lat) for second, lat in points]
    data = {
        "gpx": gpx("<trk><trkseg>" + "".join(point(lat, 11, f"<time>{when}</time>") for when, lat in rows) + "</trkseg></trk>"),
        "csv": "time,lat,lon\n" + "".join(f"{when},{lat},11\n" for when, lat in rows),
    }[name]  # fmt: skip
    assert given_file(data, f"a.{name}").attrs["problems"] == problems


@pytest.mark.parametrize("name", ["gpx", "csv"])
def test_altitudes_that_stand_for_none(given_file, name):
    heights = [283.6, -32768, -9999, 9999999]
    moments = seconds(4)
    data = {
        "gpx": gpx("<trk><trkseg>" + "".join(point(48, 11, f"<ele>{height}</ele>{moment}") for height, moment in zip(heights, moments, strict=True)) + "</trkseg></trk>"),
        "csv": "time,lat,lon,altitude\n" + "".join(f"2024-06-09T08:00:0{n}Z,48,11,{height}\n" for n, height in enumerate(heights)),
    }[name]  # fmt: skip
    tracks = given_file(data, f"a.{name}")
    np.testing.assert_array_equal(tracks["altitude"], [283.6, np.nan, -9999, np.nan])
    assert tracks.attrs["left_out"] == {"impossible altitude": 2}
    assert "1 altitude of a depth or height that is unusual" in tracks.attrs["problems"]


@pytest.mark.parametrize(
    ("told", "read", "problem"),
    [
        ("2099-01-01T00:00:00Z", "2099-01-01", "1 time before 1995 or in the future"),
        ("1970-01-01T00:00:10Z", "1970-01-01T00:00:10", "1 time before 1995 or in the future"),
        ("1990-01-01T00:00:00Z", "2009-08-17", "moved on by 1024 weeks"),
        ("2003-02-01T00:00:00Z", "2003-02-01", "may be 1024 weeks behind (then 2022-09-17)"),
        ("2024-01-01T00:00:00", "2024-01-01", "1 time without a time zone, taken as UTC"),
    ],
)
@pytest.mark.parametrize("name", ["gpx", "csv"])
def test_times_in_doubt_are_told(given_file, name, told, read, problem):
    data = gpx(f"<trk><trkseg>{point(1, 2, f'<time>{told}</time>')}</trkseg></trk>")
    tracks = given_file(data if name == "gpx" else f"lat,lon,time\n1,2,{told}\n", f"a.{name}")
    assert tracks["time"][0] == pd.Timestamp(read, tz="UTC")
    assert any(problem in each for each in tracks.attrs["problems"])


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "shift_jis", "gbk", "cp1252"]
)
@pytest.mark.parametrize("declared", ["UTF-8", "UTF-16", "own", "bogus"])
def test_gpx_in_another_encoding_than_it_declares(given_file, encoding, declared):
    declared = encoding if declared == "own" else declared
    text = gpx(f"<trk><name>ride</name><trkseg>{point(1, 2)}{point(3, 4)}</trkseg></trk>").decode()
    tracks = given_file(text.replace("UTF-8", declared).encode(encoding), "a.log")
    assert tracks.geometry.y.tolist() == [1, 3]
    assert tracks["track_id"].unique().tolist() == ["ride"]


def test_nmea_in_utf_16(given_file):
    assert len(given_file(rmc(datetime(2022, 9, 10, 12), 48, 9).encode("utf-16"), "a.log")) == 1


JUNK = st.sampled_from([(0, 0), (95, 9), (48, 200), ("", 9), ("48,5", 9), ("nan", 1), ("x", 9)])
TIME_TEXTS = st.sampled_from([
    ("{:%Y-%m-%dT%H:%M:%SZ}", 0), ("{:%Y-%m-%dT%H:%M:%S}", 0), ("{:%Y-%m-%dT%H:%M:%S+02:00}", 2), ("{:%Y-%m-%d %H:%M:%S-05}", -5),
    ("{:%Y-%m-%dT%H:%M:%S\u221203:00}", -3), ("{:%Y-%m-%d %I:%M:%S %p}", 0), ("{:%Y%m%dT%H%M%SZ}", 0), ("{:%Y:%m:%d %H:%M:%S}", 0),
    ("{:%Y-%m-%d}", None), ("{:%Y}", None), ("{:%H:%M:%S}", None), ("{:%Y-%m-%dT%H:%M:%S PST}", None), ("", "blank"),
])  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(-89_000, 89_000), st.integers(1, 179_000), TIME_TEXTS), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 20), JUNK), max_size=6), st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_random_times_and_junk_in_gpx(rows, junk, one_form):
    start = datetime(2022, 1, 1)
    texts, expected, unread = [], [], 0
    for number, (second, lat, lon, chosen) in enumerate(rows):
        form, hours = rows[0][3] if one_form else chosen
        when = start + timedelta(seconds=second)
        moment = f"<time>{form.format(when)}</time>" if form else ""
        texts.append((number, point(lat / 1000, lon / 1000, moment)))
        known = isinstance(hours, int)
        unread += hours is None
        expected.append((lat / 1000, lon / 1000, when - timedelta(hours=hours) if known else None))
    texts += [(number - 0.5, point(*place)) for number, place in junk]
    body = "".join(text for _, text in sorted(texts, key=lambda each: each[0]))
    read = gpx_format.read(lambda: io.BufferedReader(io.BytesIO(gpx(f"<trk><trkseg>{body}</trkseg></trk>"))), "x")
    assert [
        (lat, lon, None if np.isnat(time) else time.item())
        for lat, lon, time in zip(read.lat, read.lon, read.time, strict=True)
    ] == expected
    assert read.senseless == unread
    assert sum(read.left_out.values()) == len(junk)


# Hostile and damaged files


BOMB = '<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa">{}]>'.format(
    "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
)
QUADRATIC = f'<!DOCTYPE gpx [<!ENTITY a "{"a" * 100_000}">]>'


@pytest.mark.parametrize(
    "doctype",
    [
        BOMB,
        QUADRATIC,
        '<!DOCTYPE gpx [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE gpx [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>',
    ],
    ids=["billion laughs", "quadratic", "external", "parameter"],
)
@pytest.mark.parametrize("plain", [True, False])
def test_entities_are_refused(given_file, doctype, plain):
    names = "&j;" if "billion" in doctype or doctype is BOMB else "&a;" * 5000 if doctype is QUADRATIC else "&x;"
    body = f"<trk><name>{names}</name><trkseg>{point(1, 2) * 3 if plain else ''}</trkseg></trk>"
    with at_most(), little_memory(10e6), pytest.raises(FormatError, match="declares entities"):
        given_file(gpx(body, head=f'<?xml version="1.0"?>{doctype}'))


def test_an_external_dtd_is_not_opened(given_file):
    doctype = '<!DOCTYPE gpx SYSTEM "http://127.0.0.1:9/gpx.dtd">'
    tracks = given_file(gpx(f"<trk><trkseg>{point(1, 2)}</trkseg></trk>", head=f'<?xml version="1.0"?>{doctype}'))
    assert len(tracks) == 1


@pytest.mark.parametrize("keep", [200, 399, 400, 1000])
def test_a_cut_off_tail_keeps_what_comes_before(given_file, caplog, keep):
    body = "".join(point(n / 1000, n / 1000, moment) for n, moment in enumerate(seconds(2000), start=1))
    data = gpx(f"<trk><trkseg>{body}</trkseg></trk>")
    whole = given_file(data)
    assert len(whole) == 2000
    at = data.index(f'lat="{(keep + 1) / 1000}"'.encode())
    cut = given_file(data[: at + 8])
    pd.testing.assert_frame_equal(pd.DataFrame(cut), pd.DataFrame(whole.head(keep)))
    assert "is damaged (line" in cut.attrs["problems"][0]
    assert f"the {keep:,} points before" in caplog.text


def test_cut_off_gzip(given_file):
    rng = np.random.default_rng(1)
    body = "".join(point(*rng.uniform(0, 80, 2), moment) for moment in seconds(20_000))
    packed = gzip.compress(gpx(f"<trk><trkseg>{body}</trkseg></trk>"))
    tracks = given_file(packed[: len(packed) // 2], "cut.gpx.gz")
    assert 5_000 < len(tracks) < 15_000
    assert "gzip" in tracks.attrs["problems"][0]
    with pytest.raises(FormatError, match="gzip"):
        given_file(packed[:12], "cut.gpx.gz")


def test_text_that_is_not_in_its_encoding(given_file):
    data = gpx(f"<trk><name>caf\xe9</name><trkseg>{point(1, 2)}</trkseg></trk>").decode().encode("latin-1")
    tracks = given_file(data)
    assert tracks["track_id"].tolist() == ["café"]
    assert "Latin-1" in tracks.attrs["problems"][0]
    declared = data.replace(b"UTF-8", b"windows-1252")
    assert given_file(declared)["track_id"].tolist() == ["café"]
    assert given_file(
        gpx(f"<trk><name>é</name><trkseg>{point(1, 2)}</trkseg></trk>")
        .decode()
        .replace("UTF-8", "UTF-16")
        .encode("utf-16")
    )["track_id"].tolist() == ["é"]


def test_white_space_and_byte_order_marks_before_the_declaration(given_file):
    data = gpx(f"<trk><trkseg>{point(1, 2)}</trkseg></trk>")
    assert len(given_file(b"\n\n  " + data)) == 1
    assert len(given_file(b"\xef\xbb\xbf" + data)) == 1


@pytest.mark.parametrize(
    ("data", "name", "match"),
    [
        (b"", "a.gpx", "is empty"),
        (b"<html><body>Not found</body></html>", "a.gpx", "starts with <html>"),
        (b"lorem ipsum", "a.gpx", "not a GPX file"),
        (b"\0\1\2\3" * 9, "a.bin", "neither GPX, nor NMEA, nor a table"),
        (b"a,b\n1,2\n", "a.csv", "no columns lon and lat"),
        (b"\x1f\x8brubbish", "a.gpx", "gzip"),
    ],
)
def test_files_that_are_no_tracks(given_file, data, name, match):
    with pytest.raises(FormatError, match=match):
        given_file(data, name)


def test_calls_that_make_no_sense(tmp_path, given_file):
    with pytest.raises(FileError, match="does not exist"):
        read_track(tmp_path / "none.gpx")
    with pytest.raises(FileError, match=r"folder|directory"):
        read_track(tmp_path)
    for options in ({"format": "kml"}, {"points": "some"}, {"date": "soon"}):
        with pytest.raises(InputError):
            given_file(gpx(""), **options)


@given(data=st.data())
@settings(max_examples=250)
def test_mutated_tracks_fail_cleanly(data, tmp_path_factory):
    name = data.draw(st.sampled_from([name for name in sorted(EXPECTED) if (TRACKS / name).stat().st_size < 60_000]))
    text = (TRACKS / name).read_bytes()
    text = bytearray(gzip.decompress(text) if name.endswith(".gz") else text)[:40_000]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["byte", "insert", "delete", "repeat"]))
        if kind == "byte":
            text[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            text[at:at] = data.draw(
                st.sampled_from([b"<", b"&", b'"', b"$GPRMC,", b"*", b"\xff", b"<!--", b"]]>", b"\0", b"9" * 400])
            )
        elif kind == "delete":
            del text[at : at + data.draw(st.integers(1, 200))]
        else:
            text[at:at] = text[at : at + 200]
        if not text:
            return
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(text)
    try:
        with at_most():
            tracks = read_track(path, points="all", format="gpx" if ".gpx" in name else "nmea")
    except FormatError:
        return
    x, y = tracks.geometry.x, tracks.geometry.y
    assert ((x.abs() <= 180) & (y.abs() <= 90)).all()


def test_memory_is_bounded(tmp_path):
    path = tmp_path / "noise.gpx.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"<gpx><trk><name>")
        for _ in range(60):
            file.write(b"x" * 1_000_000)
        file.write(b"</name><trkseg>")
        for _ in range(60):
            file.write(b" " * 1_000_000)
        file.write(point(1, 2).encode() + b"</trkseg></trk></gpx>")
    tracemalloc.start()
    try:
        assert len(read_track(path)) == 1
        assert tracemalloc.get_traced_memory()[1] < 250e6
    finally:
        tracemalloc.stop()


# NMEA


@pytest.mark.parametrize("name", NMEA)
def test_agrees_with_pynmea2(name):
    expected, tracks = EXPECTED[name], read_track(TRACKS / name)
    frames.check(tracks, frames.TRACKS)
    assert tracks["time"].is_monotonic_increasing
    if name.startswith("garmin-geko201"):  # a demonstration: RMC says that nothing of it is true
        assert len(tracks) == 0
        assert tracks.attrs["left_out"] == {"without a fix": 18}
        return
    # One point a moment: talkers of two satellite systems tell the same twice.
    of_gll = 1 if name.startswith("gp-320fw") else 0  # the log starts with one of a moment before
    assert len(tracks) == expected["GGA_fix"] // (2 if name.startswith("sirfstarv") else 1) + of_gll
    assert tracks["altitude"][of_gll:].notna().all()
    for row, key in ((of_gll, "first_valid_rmc"), (-1, "last_valid_rmc")):
        if expected[key] is None or name.startswith("josm_btnmeatrack"):
            continue
        day, clock, lat, lon = expected[key]
        assert tracks["time"].iloc[row] == pd.Timestamp(f"{day}T{clock}")
        assert tracks.geometry.y.iloc[row] == pytest.approx(lat, abs=1e-8)
        assert tracks.geometry.x.iloc[row] == pytest.approx(lon, abs=1e-8)


def test_agrees_with_gpsbabel():
    ours, theirs = (
        read_track(TRACKS / "josm_1433_leeds.nmea.gz"),
        read_track(TRACKS / "josm_1433_leeds.gpsbabel.gpx.gz"),
    )
    assert (ours["time"] == theirs["time"]).all()
    assert (ours["altitude"] == theirs["altitude"]).all()
    assert ours.geometry.x.to_numpy() == pytest.approx(theirs.geometry.x.to_numpy(), abs=1e-9)
    assert ours.geometry.y.to_numpy() == pytest.approx(theirs.geometry.y.to_numpy(), abs=1e-9)


def test_dates_from_zda_alone():
    tracks = read_track(TRACKS / "hemi.log.gz")
    assert [str(tracks["time"].iloc[row]) for row in (0, -1)] == [
        "2018-09-07 19:40:50+00:00",
        "2018-09-07 19:41:00+00:00",
    ]


def sentence(body):
    return f"${body}*{functools.reduce(operator.xor, body.encode()):02X}\r\n"


def angle(value, width, sides):
    units = round(abs(value) * 60 * 10**6)
    return f"{units // (60 * 10**6):0{width}d}{units % (60 * 10**6) / 10**6:09.6f},{sides[value < 0]}"


def rmc(when, lat, lon, status="A", talker="GP"):
    clock = when.strftime("%H%M%S.%f")[:-3]
    return sentence(
        f"{talker}RMC,{clock},{status},{angle(lat, 2, 'NS')},{angle(lon, 3, 'EW')},0.0,0.0,{when:%d%m%y},,,A"
    )


def gga(when, lat, lon, height=100.0, quality=1, talker="GP"):
    clock = when.strftime("%H%M%S.%f")[:-3]
    return sentence(
        f"{talker}GGA,{clock},{angle(lat, 2, 'NS')},{angle(lon, 3, 'EW')},{quality},08,1.0,{height},M,0.0,M,,"
    )


FIXES = st.lists(
    st.tuples(
        st.floats(-89.9, 89.9), st.floats(-179.9, 179.9).filter(lambda lon: abs(lon) > 1e-4),
        st.integers(-4_000, 80_000), st.integers(1, 3_600_000 * 11),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(
    FIXES, st.datetimes(datetime(2007, 1, 1), datetime(2079, 1, 1)), st.booleans(), st.sampled_from(["both", "rmc", "swapped"]),
)  # fmt: skip
@settings(max_examples=150)
@example([(48.5, -9.25, 3000, 500)] * 8, datetime(2024, 2, 28, 23, 59, 58, 500_000), True, "swapped")
def test_nmea_comes_back(fixes, start, gga_first, which):
    when = start.replace(microsecond=start.microsecond // 1000 * 1000)
    lines, expected = [], []
    for lat, lon, height, step in fixes:
        when += timedelta(milliseconds=step)
        pair = [gga(when, lat, lon, height / 10), rmc(when, lat, lon)]
        lines += pair[1:] if which == "rmc" else pair if gga_first else pair[::-1]
        expected.append((when, lat, lon, np.nan if which == "rmc" else height / 10))
    read = nmea.decode("".join(lines).encode())
    assert read.time.tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(read.lat, [row[1] for row in expected], atol=1e-8)
    np.testing.assert_allclose(read.lon, [row[2] for row in expected], atol=1e-8)
    np.testing.assert_array_equal(read.altitude, [row[3] for row in expected])


def test_gga_takes_its_day_across_midnight_and_across_gaps():
    night = datetime(2024, 12, 31, 23, 59, 59)
    lines = [gga(night, 1, 2), rmc(night, 1, 2)]
    lines += [gga(night + timedelta(seconds=n), 1, 2) for n in (1, 2, 3)]
    later = datetime(2025, 3, 5, 10)
    lines += [gga(later, 1, 2), rmc(later, 1, 2)]
    read = nmea.decode("".join(lines).encode())
    assert [str(moment) for moment in read.time.astype("datetime64[s]")] == [
        "2024-12-31T23:59:59", "2025-01-01T00:00:00", "2025-01-01T00:00:01", "2025-01-01T00:00:02", "2025-03-05T10:00:00",
    ]  # fmt: skip
    before = [
        gga(night - timedelta(seconds=1), 1, 2),
        gga(night + timedelta(seconds=1), 1, 2),
        rmc(night + timedelta(seconds=2), 1, 2),
    ]
    read = nmea.decode("".join(before).encode())
    assert [moment.day for moment in read.time.tolist()] == [31, 1, 1]


def test_a_log_without_dates(given_file):
    log = "".join(gga(datetime(2024, 1, 1, 23, 59, 58) + timedelta(seconds=n), 1, 2) for n in range(4))
    tracks = given_file(log, "a.nmea")
    assert len(tracks) == 4
    assert tracks["time"].isna().all()
    assert "no sentence tells the date" in tracks.attrs["problems"][0]
    for day in ("2024-06-09", date(2024, 6, 9)):
        dated = given_file(log, "a.nmea", date=day)
        assert dated["time"].dt.day.tolist() == [9, 9, 10, 10]


def test_checksums_lost_fixes_and_odd_lines():
    when = datetime(2024, 6, 9, 8, tzinfo=UTC)
    moments = [when + timedelta(seconds=n) for n in range(9)]
    lines = [
        rmc(moments[0], 1, 2).replace("*", "*0")[:-3] + "\r\n",  # wrong checksum
        rmc(moments[1], 1, 2).partition("*")[0] + "\r\n",  # none
        rmc(moments[2], 1, 2, status="V") + gga(moments[2], 1, 2),  # void: GGA does not count either
        gga(moments[3], 1, 2, quality=0) + rmc(moments[3], 3, 4),
        gga(moments[4], 1, 2, quality=8),  # simulated
        rmc(moments[5], 0, 0),
        "# comment\nrubbish $GPRMC\n$GPRMC,,V,,,,,,,,,*31\n$GPGGA,,,,,,0,,,,M,,M,,*66\n",
        f"[1571874000000]{rmc(moments[6], 5, 6, talker='GN')}",
        gga(moments[7], 7, 8).replace("\r\n", "") + rmc(moments[7], 7, 8),  # glued together
        gga(moments[8], 7, 8).replace("N", "Q"),
    ]
    read = nmea.decode("".join(lines).encode())
    assert [(lat, lon) for lat, lon in zip(read.lat.round(9).tolist(), read.lon.round(9).tolist(), strict=True)] == [
        (1, 2), (3, 4), (5, 6), (7, 8),
    ]  # fmt: skip
    assert read.left_out == {
        "wrong checksum": 2, "without a fix": 1, "simulated": 1, "(0, 0)": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "true", "word"),
    [(datetime(1980, 1, 6), datetime(1999, 8, 22), "roll-over"), (datetime(1999, 8, 21), datetime(2019, 4, 6), "roll-over"),
     (datetime(2001, 5, 4), datetime(2001, 5, 4), "may be 1024 weeks behind (then 2020-12-18)"), (datetime(2024, 1, 1), datetime(2024, 1, 1), None)],
)  # fmt: skip
def test_the_week_that_rolled_over(told, true, word):
    read = nmea.decode((rmc(told, 1, 2) + rmc(told + timedelta(seconds=1), 1, 2)).encode())
    assert read.time[0].item() == true
    assert (word is None and not read.problems) or word in read.problems[0]


def test_dates_of_receivers_without_a_fix_do_not_count():
    when = datetime(2024, 6, 9, 8)
    lines = rmc(datetime(1980, 1, 6), 0, 0, status="V") + gga(when, 1, 2) + rmc(when, 1, 2)
    read = nmea.decode(lines.encode())
    assert read.time.tolist() == [when]
    assert not any("roll-over" in problem for problem in read.problems)


@given(st.binary(max_size=400))
@settings(max_examples=200)
@example(b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W")
@example(b"$GPGGA,1" + b"9" * 500)
def test_any_bytes_as_nmea(noise):
    nmea.decode(noise)
    nmea.decode(b"$GPRMC," + noise.replace(b"\n", b",") + b"\n$GPGGA," + noise)


def gns(when, lat, lon, height=100.0, mode="AA", talker="GN"):
    clock = when.strftime("%H%M%S.%f")[:-3]
    return sentence(f"{talker}GNS,{clock},{angle(lat, 2, 'NS')},{angle(lon, 3, 'EW')},{mode},13,0.9,{height},46.9,,")


def gll(when, lat, lon, status="A", talker="GP"):
    clock = when.strftime("%H%M%S.%f")[:-3]
    return sentence(f"{talker}GLL,{angle(lat, 2, 'NS')},{angle(lon, 3, 'EW')},{clock},{status},A")


def zda(when, talker="GN"):
    return sentence(f"{talker}ZDA,{when:%H%M%S}.{when.microsecond // 1000:03d},{when:%d,%m,%Y},00,00")


NIGHT = datetime(2022, 12, 31, 23, 59, 58)


@pytest.mark.parametrize("write", [gns, gll, gga, lambda when, lat, lon: gll(when, lat, lon) + gns(when, lat, lon)])
def test_every_sentence_with_a_position_is_one(write):
    moments = [NIGHT + timedelta(seconds=second) for second in range(5)]
    log = "".join(write(when, -33.85, -70.2) + zda(when) for when in moments)
    read = nmea.decode(log.encode())
    assert read.time.tolist() == moments
    assert read.lat.tolist() == pytest.approx([-33.85] * 5)
    assert read.lon.tolist() == pytest.approx([-70.2] * 5)
    assert not read.problems
    assert not read.left_out


@pytest.mark.parametrize("late", [0, 1, 3])
@pytest.mark.parametrize("after", [0, 3, 40])
def test_a_date_that_moves_late_at_midnight(late, after):
    moments = [NIGHT + timedelta(seconds=second) for second in range(2 + max(late, after))]
    lines = []
    for when in moments:
        told = when - timedelta(days=1) if NIGHT.date() < when.date() and when.second < late else when
        lines += [
            gga(when, 1, 2),
            rmc(when, 1, 2).replace(f"{when:%d%m%y}", f"{told:%d%m%y}").partition("*")[0] + "\r\n",
        ]
    read = nmea.decode("".join(lines).encode())
    assert read.time.tolist() == moments
    assert bool(read.problems) == bool(late)


def test_a_date_that_moves_early_or_at_the_midnight_of_a_zone():
    moments = [NIGHT - timedelta(minutes=5) * step for step in range(60, -60, -1)]
    lines = []
    for when in moments:  # the local date, two hours ahead
        told = when + timedelta(hours=2)
        lines.append(rmc(when, 1, 2).replace(f"{when:%d%m%y}", f"{told:%d%m%y}").partition("*")[0] + "\r\n")
    read = nmea.decode("".join(lines).encode())
    assert read.time.tolist() == moments
    assert "dates that jump by a day while the clock goes on were put right: 24" in read.problems


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        ("48.7758,N,9.1829,E", "position not understood"), ("48.7758,N,116.385,E", "position not understood"),
        ("4875.500,N,00911.0,E", "position not understood"), ("-4846.5,N,00911.0,E", "position not understood"),
        ("4846.5,X,00911.0,E", "position not understood"), ("4846.5,N,9.1829,E", "position not understood"),
        ("0000.000,N,00000.000,E", "(0, 0)"), ("0.0,N,0.0,E", "(0, 0)"), ("9900.0,N,00911.0,E", "out of range"),
        ("4846.5,N,18100.0,E", "out of range"), (",,,", "without a fix"),
    ],
)  # fmt: skip
def test_what_is_no_position_in_a_sentence(position, reason):
    for log in (f"$GPRMC,120000,A,{position},0,0,100922,,", f"$GPGGA,120000,{position},1,8,1,5,M,4,M,,",
                f"$GPGLL,{position},120000,A", f"$GNGNS,120000,{position},AN,8,1,5,4,,"):  # fmt: skip
        read = nmea.decode(log.encode())
        assert len(read.lon) == 0
        assert read.left_out == {reason: 1}


@pytest.mark.parametrize(
    ("log", "left_out"),
    [
        ("$GPRMC,120000,V,4846.5,N,00911.0,E,0,0,100922,,", {"without a fix": 1}),
        ("$GPRMC,120000,A,4846.5,N,00911.0,E,0,0,100922,,,N", {"without a fix": 1}),
        ("$GPRMC,120000,A,4846.5,N,00911.0,E,0,0,100922,,,S", {"without a fix": 1}),
        ("$GPGGA,120000,4846.5,N,00911.0,E,8,8,1,5,M,4,M,,", {"simulated": 1}),
        ("$GNGNS,120000,4846.5,N,00911.0,E,NN,8,1,5,4,,", {"without a fix": 1}),
        ("$GNGNS,120000,4846.5,N,00911.0,E,SS,8,1,5,4,,", {"simulated": 1}),
        ("$GPGLL,4846.5,N,00911.0,E,120000,V", {"without a fix": 1}),
        ("$GPGGA,120000,4846.5,N,00911.0,E,1,8,1,5,M,4,M,,\n$GPGLL,4846.5,N,00911.0,E,120000,V", {"without a fix": 1}),
        ("$PGRMF,226,561618,100922,120000,18,4846.5,N,00911.0,E,A,2,0,0,1,1", {"proprietary position": 1}),
        ("$GPGSV,3,1,12,31,27,063,40", {}),
    ],
)  # fmt: skip
def test_moments_without_a_position_and_why(log, left_out):
    read = nmea.decode(log.encode())
    assert len(read.lon) == 0
    assert read.left_out == left_out
    assert bool(read.problems) is ("RMC" not in log)


def test_sentences_of_one_moment_that_lie_apart_are_told():
    when = datetime(2022, 9, 10, 12)
    read = nmea.decode((rmc(when, 48, 9) + gga(when, 50, 9)).encode())
    assert read.lat.tolist() == [48]
    assert read.problems == ["sentences of one moment lie apart, the first was taken: 1"]


@given(
    FIXES, st.datetimes(datetime(2008, 1, 1), datetime(2026, 1, 1)), st.integers(0, 2**32 - 1),
    st.sampled_from(["rmc", "zda", "first"]), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_mixed_sentences_come_back_or_are_counted(fixes, start, seed, dated, odd):
    dice = random.Random(seed)
    when = start.replace(microsecond=start.microsecond // 1000 * 1000)
    lines, expected, lost = [], [], 0
    for number, (lat, lon, _, step) in enumerate(fixes):
        when += timedelta(milliseconds=min(step, 60_000) if dated == "first" else step)
        kinds = dice.sample([gga, gns, gll], dice.randint(1, 3))
        has_date = dated != "first" or number == 0
        if odd and dice.random() < 0.3:  # what is not a position
            lines.append(dice.choice([
                gga(when, lat, lon, quality=0), gga(when, 0, 0), gns(when, lat, lon, mode="NN"), gll(when, lat, lon, status="V"),
                sentence(f"GPGGA,{when:%H%M%S}.{when.microsecond // 1000:03d},{abs(lat) % 90:.5f},N,{abs(lon):.5f},E,1,08,1.0,5,M,,M,,"),
            ]))  # fmt: skip
            lost += 1
        else:
            lines += [kind(when, lat, lon) for kind in kinds]
            high = 100.0 if {gga, gns} & set(kinds) else np.nan
            expected.append((when, lat, lon, high))
        if has_date:
            lines.append(zda(when) if dated == "zda" else rmc(when, lat, lon) if not odd else zda(when))
    read = nmea.decode("".join(lines).encode())
    assert read.time.tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(read.lat, [row[1] for row in expected], atol=1e-8)
    np.testing.assert_allclose(read.lon, [row[2] for row in expected], atol=1e-8)
    np.testing.assert_array_equal(read.altitude, [row[3] for row in expected])
    assert sum(read.left_out.values()) == lost


# Tables


def test_geolife_table():
    tracks = read_track(TRACKS / "geolife_sample.csv.gz")
    table = pd.read_csv(TRACKS / "geolife_sample.csv.gz", sep=";")
    assert len(tracks) == len(table) == 5908
    assert tracks["track_id"].nunique() == 5
    assert (tracks["time"] == pd.to_datetime(table["t"], utc=True)).all()
    assert (tracks.geometry.x == table["X"]).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lat,lon,time\n1.5,2.5,2024-01-02T03:04:05Z\n", "2024-01-02T03:04:05"),
        ("Timestamp;Longitude;Latitude;Alt\n1704164645;2,5;1,5;7\n", "2024-01-02T03:04:05"),
        ("time\tlat\tlng\n1704164645250\t1.5\t2.5\n", "2024-01-02T03:04:05.250"),
        ("time,y,x\n1704164645.125,1.5,2.5\n", "2024-01-02T03:04:05.125"),
        ('"lat","lon","time","name"\n1.5,2.5,2024:01:02 03:04:05,"a, b"\n', "2024-01-02T03:04:05"),
        ("lat,lon\n1.5,2.5\n", None),
        ("\ufefflat,lon,time\n1.5,2.5,\n,3,2024-01-02T03:04:05Z\n", None),
    ],
)
def test_tables(given_file, text, expected):
    tracks = given_file(text, "table.csv")
    assert (tracks.geometry.y[0], tracks.geometry.x[0], len(tracks)) == (1.5, 2.5, 1)
    assert tracks["track_id"][0] == "table"
    assert pd.isna(tracks["time"][0]) if expected is None else tracks["time"][0] == pd.Timestamp(expected, tz="UTC")


def test_formats_are_recognised_by_content(given_file):
    when = datetime(2024, 6, 9, 8)
    log = (rmc(when, 1, 2) + gga(when, 1, 2)).encode()
    assert len(given_file(log, "track.gpx.txt")) == 1
    assert len(given_file(gzip.compress(log), "track.log")) == 1
    assert len(given_file(gpx(f"<trk><trkseg>{point(1, 2)}</trkseg></trk>"), "track.csv")) == 1
    with pytest.raises(FormatError, match="no NMEA sentences"):
        given_file(b"lat,lon\n1,2\n", "a.csv", format="nmea")


# GPX out


def tracks_of(rows):
    columns = list(zip(*rows, strict=True)) if rows else [[], [], [], [], [], []]
    frame = gpd.GeoDataFrame(
        {
            "track_id": pd.array(list(columns[0]), dtype="str"),
            "time": pd.Series(list(columns[1]), dtype="datetime64[us, UTC]"),
            "altitude": np.array(columns[2], dtype=float),
            "kind": pd.array(list(columns[3]), dtype="str"),
        },
        geometry=gpd.points_from_xy(np.array(columns[4], float), np.array(columns[5], float), crs=4326),
    )
    return frames.conform(frame, frames.TRACKS)


POINT = st.tuples(
    # Within a year, since times years apart in one track are a receiver's default date.
    st.one_of(st.none(), st.datetimes(datetime(2023, 1, 2), datetime(2024, 1, 1), timezones=st.just(UTC))),
    st.one_of(st.just(np.nan), st.floats(-500, 9000)),
    st.floats(-180, 180).filter(bool),
    st.floats(-90, 90),
)
NAME = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(st.dictionaries(NAME, st.lists(POINT, min_size=1, max_size=12), max_size=5), st.sampled_from(["track", "route"]))
@settings(max_examples=120)
@example({"<a> & 'b' \"c\"]]>": [(datetime(2024, 1, 1, tzinfo=UTC), 0.1, 1e-7, -0.0)]}, "track")
def test_gpx_comes_back(tmp_path_factory, named, kind):
    rows = [(name, when, height, kind, lon, lat) for name, points in named.items() for when, height, lon, lat in points]
    tracks = tracks_of(rows)
    path = write_track(tracks, tmp_path_factory.getbasetemp() / "out.gpx")
    ET.parse(path)
    back = read_track(path)
    pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(tracks))


def test_way_points_routes_and_tracks_in_the_order_of_the_schema(tmp_path):
    when = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        ("t", when, 1.0, "track", 1, 1),
        ("waypoints", when, np.nan, "waypoint", 2, 2),
        ("r", None, np.nan, "route", 3, 3),
    ]
    path = write_track(tracks_of(rows), tmp_path / "a.gpx.gz")
    root = ET.fromstring(gzip.decompress(path.read_bytes()))
    assert [child.tag.rpartition("}")[2] for child in root] == ["wpt", "rte", "trk"]
    assert root.find("{*}wpt/{*}time").text == "2024-01-01T00:00:00Z"
    assert read_track(path, points="all")["kind"].tolist() == ["waypoint", "route", "track"]


def test_gpxpy_reads_what_we_write(tmp_path):
    gpxpy = pytest.importorskip("gpxpy", reason="gpxpy is not installed")
    tracks = read_track(TRACKS / "josm_1433_leeds.nmea.gz")
    path = write_track(tracks, tmp_path / "leeds.gpx")
    found = gpxpy.parse(path.read_text()).tracks[0].segments[0].points
    assert [point.longitude for point in found] == tracks.geometry.x.tolist()
    assert [point.elevation for point in found] == tracks["altitude"].tolist()
    assert [point.time for point in found] == [when.to_pydatetime() for when in tracks["time"]]


def test_writing_refuses_other_frames_and_endings(tmp_path):
    tracks = tracks_of([("t", None, np.nan, "track", 1, 2)])
    with pytest.raises(FormatError, match="are written as"):
        write_track(tracks, tmp_path / "a.kml")
    with pytest.raises(FrameError, match="altitude"):
        write_track(tracks.drop(columns="altitude"), tmp_path / "a.gpx")
    assert len(read_track(write_track(tracks.head(0), tmp_path / "none.gpx"))) == 0
    control = tracks.assign(track_id=pd.array(["a\x01b\nc"], dtype="str"))
    assert read_track(write_track(control, tmp_path / "control.gpx"))["track_id"].tolist() == ["a b c"]
