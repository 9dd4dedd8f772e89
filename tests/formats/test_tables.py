"""Tables of GPS loggers: columns by their names, in the dialects that loggers write, or refused by name."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError
from mlygeo.formats import tables

NOW_US = int(datetime(2026, 11, 28, tzinfo=UTC).timestamp() * 1e6)

NOON = "2022-09-10T12:00:00"


def decoded(text, **options):
    content = text if isinstance(text, bytes) else text.encode()
    return tables.decode(content, "a.csv", now_us=options.pop("now_us", NOW_US))


def only(points):
    """Return longitude, latitude, altitude and time of the one point."""
    assert len(points.lon) == 1
    return points.lon[0], points.lat[0], points.altitude[0], str(points.time[0].astype("datetime64[ms]"))


QSTARZ = "INDEX,RCR,DATE,TIME,VALID,LATITUDE,N/S,LONGITUDE,E/W,HEIGHT(m),SPEED(km/h)\n1,T,{},SPS,{},512.4 m,3.1 km/h\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (QSTARZ.format("2022/09/10,12:00:00", "33.85,S,70.2,W"), (-70.2, -33.85, 512.4, NOON)),
        (QSTARZ.format("2022/09/10,12:00:00", "33.85,n,70.2,East"), (70.2, 33.85, 512.4, NOON)),
        ("UTC DATE,UTC TIME,LOCAL DATE,LOCAL TIME,MS,LATITUDE,N/S,LONGITUDE,E/W,ALTITUDE\n2022/09/10,12:00:00,2022/09/10,14:00:00,250,33.85,S,70.2,W,9\n", (-70.2, -33.85, 9, NOON + ".250")),
        ("LOCAL DATE,LOCAL TIME,UTC OFFSET,lat,lon\n2022/09/10,14:00:00,+02:00,1,2\n", (2, 1, np.nan, NOON)),
        ("time,timezone,lat,lon\n2022-09-10 17:30:00,5.5,1,2\n", (2, 1, np.nan, NOON)),
        ("INDEX,TAG,DATE,TIME,LATITUDE N/S,LONGITUDE E/W,HEIGHT,SPEED,HEADING,VOX\n1,T,220910,120000,48.7758N,009.1829W,512,0,0,\n",
         (-9.1829, 48.7758, 512, NOON)),
        ('No,Latitude,Longitude,Name,Altitude,Date,Time\n1,48.7,9.1,"a, b",5,2022/09/10,12:00:00\n', (9.1, 48.7, 5, NOON)),
        ("time,lat,lon,elevation,accuracy,timestamp_ms,time_offset,starttimestamp_ms\n2022-09-10T12:00:00.000Z,48.7,9.1,5,4,1662811200000,02:00,1662811100000\n", (9.1, 48.7, 5, NOON)),
        ("time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude_above_seaLevel(feet)\n0,2022-09-10 12:00:00,48.7,9.1,3,1000\n", (9.1, 48.7, 304.8, NOON)),
        ("timestamp [s],position_lat [semicircles],position_long [semicircles]\n1031745600,536870912,-268435456\n",
         (-22.5, 45, np.nan, NOON)),
        ("lat,lon,time,alt_ft\n48.7,9.1,2022-09-10T12:00:00Z,1000\n", (9.1, 48.7, 304.8, NOON)),
        ("Datum;Zeit;lat;lon;alt\n10.09.2022;12:00:00;48,7;9,1;512,5\n", (9.1, 48.7, 512.5, NOON)),
        ("time;lat;lon\n10.09.2022 12:00:00;48,7758N;9,1829E\n", (9.1829, 48.7758, np.nan, NOON)),
        ("date,time,lat,lon\n13/09/2022,12:00:00 AM,48.7,9.1\n", (9.1, 48.7, np.nan, "2022-09-13T00:00:00")),
        ("date,time,lat,lon\n09/13/2022,12:00:00 PM,48.7,9.1\n", (9.1, 48.7, np.nan, "2022-09-13T12:00:00")),
        ("date,time,lat,lon\n20220910,120000,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("date,time,lat,lon\n10-Sep-2022,12:00,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("time,lat,lon\n44814.5,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("time;lat;lon\n44814,50011574;48,7;9,1\n", (9.1, 48.7, np.nan, "2022-09-10T12:00:10")),
        ("julian_date,lat,lon\n2459833.0,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("mjd,lat,lon\n59832.5,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("gps_week,tow,lat,lon\n2226,561618,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("week,tow,lat,lon\n178,561618,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("t,lat,lon\n1662811200,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("t,lat,lon\n1662811200.5,48.7,9.1\n", (9.1, 48.7, np.nan, NOON + ".500")),
        ("t,lat,lon\n1662811200000,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("t,lat,lon\n1662811200000000,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("t,lat,lon\n1662811200000000999,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("year,month,day,hour,minute,second,lat,lon\n2022,9,10,12,0,0,48.7,9.1\n", (9.1, 48.7, np.nan, NOON)),
        ("lat,lon,time\n48°46'30\"N,9°10'30\"W,2022-09-10T12:00:00Z\n", (-9.175, 48.775, np.nan, NOON)),
        ("lat,lon,time\n48.7,9.1,2022-09-10T12:00:00\u221200:30\n", (9.1, 48.7, np.nan, "2022-09-10T12:30:00")),
        ("# made by x\n\n#lat,lon,time\n48.7,9.1,2022-09-10T12:00:00Z\n\n# the end\n", (9.1, 48.7, np.nan, NOON)),
        ("sep=;\nlat;lon;time\n48,7;9,1;2022-09-10T12:00:00Z;\n;;\n", (9.1, 48.7, np.nan, NOON)),
        ("lat|lon|time\r\n48.7|9.1|2022-09-10T12:00:00Z\r\n", (9.1, 48.7, np.nan, NOON)),
        ('"lat", "lon", "time"\r"48,7", "9,1", "2022-09-10T12:00:00Z"\r', (9.1, 48.7, np.nan, NOON)),
        ('lat,lon,time,name\n48.7,9.1,2022-09-10T12:00:00Z,a "b" 5"\n', (9.1, 48.7, np.nan, NOON)),
        ("Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n39.9,116.3,0,100,44814.5,2022-09-10,12:00:00\r\n", (116.3, 39.9, 30.48, NOON)),
        ("OziExplorer Track Point File Version 2.1\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,t,0,0,2,8421376\r\n1\r\n 39.9, 116.3,1,-777.0,44814.5000000, 10-Sep-22, 12:00:00\r\n", (116.3, 39.9, np.nan, NOON)),
    ],
)  # fmt: skip
def test_what_loggers_write(text, expected):
    *place, time = only(decoded(text))
    np.testing.assert_allclose(place, expected[:3], rtol=1e-12)
    assert time == str(np.datetime64(expected[3], "ms"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("lat,n/s,lon,e/w,time\n48.7,Q,9.1,E,2022-09-10T12:00:00Z\n", "n/s says 'Q', which is not N or S"),
        ("LOCAL DATE,LOCAL TIME,lat,lon\n2022/09/10,12:00:00,1,2\n", "LOCAL TIME has local times without an offset"),
        ("time,timezone,lat,lon\n2022-09-10 12:00:00,PST,1,2\n", "timezone says 'PST'"),
        ("time,timezone,lat,lon\n2022-09-10 12:00:00,120,1,2\n", "timezone says '120'"),
        ("date,time,lat,lon\n03/04/2022,12:00:00,1,2\n", "03/04/2022 is day.month.year or month/day/year"),
        ("date,time,lat,lon\n100412,12:00:00,1,2\n", "100412 is day.month.year or"),
        ("time,lat,lon\n0,1,2\n1,1,2\n", "time is not understood as times, such as '0'"),
        ("time,lat,lon\n12:00:00,1,2\n", "time is not understood as times"),
        ("time,lat,lon\n2022-09-10,1,2\n", "time is not understood as times"),
        ("time(ms),lat,lon\n1662811200,1,2\n", "time(ms) is not understood"),
        ("lat,lon,time\n4807.038,01131.0,2022-09-10T12:00:00Z\n", "no coordinates are understood"),
        ("lat,lon,time\n0048.038,00031.0,2022-09-10T12:00:00Z\n", "no coordinates are understood"),
        ("y,x,time\n5403000.5,513000.2,2022-09-10T12:00:00Z\n", "out of range"),
        ("lat (rad),lon (rad),time\n0.8,0.1,2022-09-10T12:00:00Z\n", "(rad) is in 'rad'"),
        ("lat,lon,time\n48,7,9,1,2022-09-10T12:00:00Z\n", "no row has as many cells"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(text, what):
    with pytest.raises(FormatError) as caught:
        decoded(text)
    assert what in str(caught.value)


def test_rows_are_left_out_by_reason():
    head = "lat,lon,time,ele,fix\n"
    rows = [
        "48.7,9.1,2022-09-10T12:00:00Z,5,3D", "0,0,2022-09-10T12:00:00Z,5,3D", "95,9.1,2022-09-10T12:00:00Z,5,3D",
        ",,2022-09-10T12:00:00Z,5,3D", "north,9.1,2022-09-10T12:00:00Z,5,3D", "48.7,9.1,2022-09-10T12:00:00Z,5,No fix",
        "48.7,9.1,PST,high,3D", "48.7,9.1", "48.7,9.1,2022-09-10T12:00:00Z,5,3D,,", head.strip(),
    ]  # fmt: skip
    points = decoded(head + "\n".join(rows))
    assert points.left_out == {
        "(0, 0)": 1, "out of range": 1, "without a position": 1, "position not understood": 1, "without a fix": 1,
        "row of another length": 1, "names of the columns again": 1,
    }  # fmt: skip
    assert (points.senseless, points.unread, points.zoneless) == (1, 1, 0)
    assert len(points.lon) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_encodings(encoding):
    points = decoded("name,lat,lon,time\ncafé,48.7,9.1,2022-09-10T12:00:00Z\n".encode(encoding))
    assert only(points)[:2] == (9.1, 48.7)
    assert points.problems == (["its text is not UTF-8 and was read as Latin-1"] if encoding == "latin-1" else [])


# Tables in a random dialect against what was written into them.

ZONES = {"none": None, "utc": 0, "text": 2, "column": -3}

TIMES = ("iso", "two columns", "german", "epoch", "ms", "days", "am pm", "compact")


@st.composite
def dialects(draw):
    decimal = draw(st.sampled_from(".,"))
    return {
        "decimal": decimal,
        "separator": draw(st.sampled_from(";\t|" if decimal == "," else ",;\t|")),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])),
        "sides": draw(st.sampled_from(["signed", "own column", "in the value", "unnamed column"])),
        "time": draw(st.sampled_from(TIMES)),
        "zone": draw(st.sampled_from(list(ZONES))),
        "feet": draw(st.booleans()),
        "order": draw(st.permutations(["time", "lat", "lon", "altitude", "more"])),
        "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "trailing": draw(st.booleans()),
        "remarks": draw(st.booleans()),
        "capitals": draw(st.booleans()),
    }


POSITIONS = st.lists(
    st.tuples(
        st.integers(0, 86_400 * 300),
        st.integers(-90_000_000, 90_000_000).map(lambda micro: micro / 1e6),
        st.integers(-180_000_000, 180_000_000).map(lambda micro: micro / 1e6),
        st.integers(-4000, 89_000).map(lambda deci: deci / 10),
    ).filter(lambda row: row[1] or row[2]),
    min_size=1, max_size=8,
)  # fmt: skip


def written(rows, dialect):
    """Return a table in a dialect, as bytes."""
    time, zone = dialect["time"], dialect["zone"]
    number = lambda value, form=".6f": format(value, form).replace(".", dialect["decimal"])
    heads = {
        "lat": ["lat"],
        "lon": ["lon"],
        "altitude": ["alt (ft)" if dialect["feet"] else "alt"],
        "more": ["accuracy"],
    }
    stamp = {"utc": "utc_time", "column": "local time"}.get(zone, "time")
    heads["time"] = [stamp]
    if time in ("two columns", "am pm", "compact", "german"):
        heads["time"] = [stamp.replace("time", "date"), stamp]
    if zone == "column":
        heads["time"].append("utc_offset")
    for axis, sides in (("lat", "N/S"), ("lon", "E/W")):
        if dialect["sides"] in ("own column", "unnamed column"):
            heads[axis].append(sides if dialect["sides"] == "own column" else f"{axis} q")
    table = [[name.upper() if dialect["capitals"] else name for part in dialect["order"] for name in heads[part]]]
    for seconds, lat, lon, altitude in rows:
        when = datetime(2022, 1, 15, tzinfo=UTC) + timedelta(seconds=seconds)
        east = 0 if zone == "text" and time == "days" else ZONES[zone] or 0
        local = when.astimezone(timezone(timedelta(hours=east)))
        end = {"text": "+02:00"}.get(zone, "")
        since = local.replace(tzinfo=UTC).timestamp()  # days of a spreadsheet are what its clock shows
        cells = {
            "iso": [f"{local:%Y-%m-%dT%H:%M:%S}{end}"],
            "two columns": [f"{local:%Y/%m/%d}", f"{local:%H:%M:%S}{end}"],
            "german": [f"{local:%d.%m.%Y}", f"{local:%H:%M:%S}{end}"],
            "epoch": [str(int(when.timestamp()))], "ms": [str(int(when.timestamp()) * 1000)],
            "days": [number(since / 86_400 + 25_569, ".8f")],
            "am pm": [f"{local:%d %b %Y}", f"{local:%I:%M:%S %p}{end}"],
            "compact": [f"{local:%Y%m%d}", f"{local:%H%M%S}{end}"],
        }[time]  # fmt: skip
        parts = {"time": cells + (["-03:00"] if zone == "column" else []), "more": ["5"]}
        parts["altitude"] = [number(altitude / 0.3048 if dialect["feet"] else altitude)]
        for axis, value, letters in (("lat", lat, "NS"), ("lon", lon, "EW")):
            side = letters[value < 0]
            parts[axis] = {
                "signed": [number(value)], "in the value": [number(abs(value)) + side],
                "own column": [number(abs(value)), side], "unnamed column": [number(abs(value)), side],
            }[dialect["sides"]]  # fmt: skip
        table.append([cell for part in dialect["order"] for cell in parts[part]] + [""] * dialect["trailing"])
    text = io.StringIO()
    csv.writer(
        text, delimiter=dialect["separator"], quoting=dialect["quoting"], lineterminator=dialect["end"]
    ).writerows(table)
    remark = "# über die Alb" + dialect["end"] if dialect["remarks"] else ""
    return (remark + text.getvalue()).encode(dialect["encoding"])


@given(POSITIONS, dialects())
@settings(deadline=None, max_examples=300)
def test_every_dialect_gives_the_plain_truth(rows, dialect):
    points = decoded(written(rows, dialect))
    np.testing.assert_allclose(points.lat, [row[1] for row in rows], atol=1e-9)
    np.testing.assert_allclose(points.lon, [row[2] for row in rows], atol=1e-9)
    np.testing.assert_allclose(points.altitude, [row[3] for row in rows], atol=1e-5)
    when = [datetime(2022, 1, 15) + timedelta(seconds=row[0]) for row in rows]
    assert points.time.tolist() == when
    says_zone = dialect["time"] in ("epoch", "ms") or dialect["zone"] in ("utc", "column")
    says_zone |= dialect["zone"] == "text" and dialect["time"] != "days"
    assert points.zoneless == (0 if says_zone else len(rows))
    assert (points.senseless, points.unread) == (0, 0)


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: ("lat,lon,time\n" + text).encode("utf-8", "replace"))
)
@settings(deadline=None, max_examples=200)
def test_anything_is_read_or_refused(content):
    try:
        points = decoded(content)
    except FormatError:
        return
    assert (np.abs(points.lat) <= 90).all()
    assert (np.abs(points.lon) <= 180).all()
    assert not ((points.lat == 0) & (points.lon == 0)).any()
