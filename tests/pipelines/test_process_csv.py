import datetime as dt

import numpy as np
import pandas as pd
import pytest
from helpers.photo_folders import LAT, LON, START_MS, STEP, folder_of, pixels
from hypothesis import example, given
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import texts
from mlygeo.readers import image_tables
from mlygeo.readers.photos import read_photos


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


def exif_time(ms):
    moment = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    return f"{moment:%Y:%m:%d %H:%M:%S.%f}"


def test_all_columns_by_file_name(tmp_path, capsys):
    """The first example of the older tools' manual, with heading, altitude and meta data as well."""
    paths = folder_of(tmp_path / "in", 6, lon=None, ms=None)
    before = [pixels(path) for path in paths]
    rows = [
        f"{path.name};{LAT + n * STEP};{LON};{exif_time(START_MS + n * 1500)};{n * 50};{10.5 + n};rain, heavy;{n};{n / 4};{n % 2 == 0}"
        for n, path in enumerate(paths)
    ]
    table = tmp_path / "log.csv"
    table.write_text(
        "\ufeffname;lat;lon;time;heading;alt;weather;lanes;speed;dry\n" + "\n".join(reversed(rows)) + "\n",
        encoding="utf-8",
    )
    status = cli.main(
        ["process_csv", "--import_path", str(tmp_path / "in"), "--csv_path", str(table), "--filename_column", "1",
         "--timestamp_column", "4", "--latitude_column", "2", "--longitude_column", "3", "--heading_column", "5",
         "--altitude_column", "6", "--meta_columns", "7,8,9,10", "--meta_names", "weather,lanes,speed,dry",
         "--meta_types", "string,long,double,boolean", "--delimiter", ";", "--header", "--advanced"]
    )  # fmt: skip
    assert status == 0, capsys.readouterr().err
    read = read_photos(tmp_path / "in")
    assert read["captured_at"].astype("int64").tolist() == [START_MS + n * 1500 for n in range(6)]
    np.testing.assert_allclose(read.geometry.y, LAT + np.arange(6) * STEP, atol=1e-9)
    np.testing.assert_allclose(read["compass_angle"], np.arange(6) * 50, atol=1e-4)
    np.testing.assert_allclose(read["altitude"], 10.5 + np.arange(6))
    assert [pixels(path) for path in paths] == before
    images = mlygeo.process(tmp_path / "in")
    assert images["error"].isna().all()
    inside = read_photos(tmp_path / "in")["image_description"].iloc[2]
    for part in (
        '"rain, heavy"',
        '{"key":"lanes","value":2}',
        '{"key":"speed","value":0.5}',
        '{"key":"dry","value":true}',
    ):
        assert part in inside


def test_in_the_order_of_names(tmp_path):
    """The second example: times and meta data, without a column of names."""
    folder_of(tmp_path / "in", 4)
    table = tmp_path / "log.csv"
    table.write_text("".join(f"{exif_time(START_MS + 60_000 * n)},a,b,c,d,{n}.5,x{n}\n" for n in range(3)))
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=table, timestamp_column=1, meta_columns="6,7", meta_names="random_name1,random_name2",
        meta_types="double,string",
    )  # fmt: skip
    assert images["csv_row"].tolist() == [1, 2, 3, pd.NA]
    assert "3 rows, and this is photo 4" in images["error"].iloc[3]
    read = read_photos(tmp_path / "in")
    assert read["captured_at"].astype("int64").tolist()[:3] == [START_MS, START_MS + 60_000, START_MS + 120_000]
    # Positions that were there stay.
    np.testing.assert_allclose(read.geometry.y, LAT + np.arange(4) * STEP, atol=1e-7)
    assert '"value":"x1"' in read["image_description"].iloc[1]


@pytest.mark.parametrize(
    ("texts", "options", "expected"),
    [
        (["1718000000", "1718000000.25"], {"convert_utc_time": True}, [1_718_000_000_000, 1_718_000_000_250]),
        (["1718000000000", "1718000000250.4"], {"convert_utc_time": True}, [1_718_000_000_000, 1_718_000_000_250]),
        # GPS is 18 s ahead of UTC in 2024: 1402035218 s since 1980 (gpstime, NIST).
        (["1402035218.5"], {"convert_gps_time": True}, [1_718_000_000_500]),
        # The same as week 2318 and its second.
        (
            ["2318,108818.5"],
            {"convert_gps_time": True, "gps_week_column": 1, "timestamp_column": 2},
            [1_718_000_000_500],
        ),
        (["10.06.2024 06:13:20"], {"time_format": "%d.%m.%Y %H:%M:%S"}, [1_718_000_000_000]),
    ],
)
def test_times(tmp_path, texts, options, expected):
    folder_of(tmp_path / "in", len(texts), ms=None)
    table = tmp_path / "log.csv"
    table.write_text("\n".join(texts))
    images = mlygeo.process_csv(tmp_path / "in", csv_path=table, **{"timestamp_column": 1, **options})
    assert images["error"].isna().all()
    assert read_photos(tmp_path / "in")["captured_at"].astype("int64").tolist() == expected


@example(dt.datetime(2017, 1, 1))
@example(dt.datetime(2016, 12, 31, 23, 59, 59, 999_000))
@example(dt.datetime(1981, 7, 1))
@given(st.datetimes(dt.datetime(1980, 1, 7), dt.datetime(2040, 1, 1)))
def test_gps_time_equals_a_plain_count_of_leap_seconds(moment):
    leaps = sum(moment >= dt.datetime.fromisoformat(day) for day in texts.LEAPS)
    utc_ms = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(milliseconds=1)
    gps_ms = utc_ms - (dt.datetime(1980, 1, 6) - dt.datetime(1970, 1, 1)) // dt.timedelta(milliseconds=1)
    assert texts.gps_to_utc_ms(np.array([gps_ms + leaps * 1000]))[0] == utc_ms


def test_rows_find_their_photos():
    paths = ["/in/a/1.jpg", "/in/b/1.jpg", "/in/b/2.JPG", "/in/c/3.jpg", "/in/c/4.jpg", "/in/c/5.jpg"]
    names = ["b/1.jpg", "a\\1.jpg", "2", "/other/place/3.jpg", "3.jpg", "x.jpg", "c/4.jpg", "4.jpg", "5.png"]
    rows, reasons = image_tables.rows_of(paths, names)
    assert rows.tolist() == [1, 0, 2, 4, 6, 8]
    rows, reasons = image_tables.rows_of(["/in/a/1.jpg", "/in/b/1.jpg", "/in/z.jpg"], ["1.jpg", "y/1.jpg"])
    assert rows.tolist() == [0, 0, -1]
    assert reasons[2] == "no row of the table names it"
    rows, reasons = image_tables.rows_of(["/in/a/1.jpg", "/in/b/1.jpg"], ["x/1.jpg"])
    assert rows.tolist() == [-1, -1]
    assert "names its folder" in reasons[0]
    rows, _ = image_tables.rows_of(["/in/a/1.jpg"], ["elsewhere/1.jpg", "elsewhere/1.jpg"])
    assert rows.tolist() == [0]


def test_values_that_make_no_sense_are_rows_and_touch_nothing(tmp_path):
    paths = folder_of(tmp_path / "in", 8)
    before = [path.read_bytes() for path in paths]
    bad = ["91,9,0", "x,9,0", "48,,0", "0,0,0", "48,9,361", "48,181,0", "48,9,nan"]
    table = tmp_path / "log.csv"
    table.write_text("\n".join(f"{path.name},{row}" for path, row in zip(paths, bad, strict=False)))
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=table, filename_column=1, latitude_column=2, longitude_column=3, heading_column=4
    )
    assert images["error"].notna().all()
    for word, error in zip(
        ["latitude cannot be: 91", "latitude is no number", "half a position", "(0, 0)", "heading cannot be", "longitude cannot be", "heading is no", "no row"],
        images["error"], strict=True,
    ):  # fmt: skip
        assert word in error
    assert [path.read_bytes() for path in paths] == before


def test_a_zero_is_a_value(tmp_path):
    """On the equator or the prime meridian, at sea level, due north."""
    folder_of(tmp_path / "in", 1, lon=None)
    table = tmp_path / "log.csv"
    table.write_text("0,9.5,0,0")
    mlygeo.process_csv(
        tmp_path / "in", csv_path=table, latitude_column=1, longitude_column=2, heading_column=3, altitude_column=4
    )
    row = read_photos(tmp_path / "in").iloc[0]
    assert (row.geometry.x, row.geometry.y) == (9.5, 0.0)
    assert (row["compass_angle"], row["altitude"]) == (0.0, 0.0)


def test_processed_photos_are_read_anew_after_a_table(tmp_path):
    folder_of(tmp_path / "in", 3)
    mlygeo.process(tmp_path / "in", overwrite_all_exif_tags=True)
    table = tmp_path / "log.csv"
    table.write_text("\n".join(f"{50 + n},10" for n in range(3)))
    mlygeo.process_csv(tmp_path / "in", csv_path=table, latitude_column=1, longitude_column=2, keep_original=True)
    assert len(list((tmp_path / "in").glob("*.jpg_original"))) == 3
    images = mlygeo.process(tmp_path / "in")
    assert images.geometry.y.round(6).tolist() == [50.0, 51.0, 52.0]


def test_dry_run(tmp_path):
    paths = folder_of(tmp_path / "in", 1)
    before = paths[0].read_bytes()
    (tmp_path / "log.csv").write_text("50,10")
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=tmp_path / "log.csv", latitude_column=1, longitude_column=2, dry_run=True
    )
    assert images.geometry.y.tolist() == [50.0]
    assert paths[0].read_bytes() == before
    assert not (tmp_path / "in" / ".mlygeo").exists()


@pytest.mark.parametrize(
    ("options", "kind", "word"),
    [
        ({}, InputError, "nothing to take"),
        ({"filename_column": 1}, InputError, "nothing to take"),
        ({"timestamp_column": 0}, InputError, "count from 1"),
        ({"latitude_column": 1}, InputError, "longitude"),
        ({"timestamp_column": 1, "gps_week_column": 2}, InputError, "`convert_gps_time`"),
        ({"latitude_column": 1, "longitude_column": 2, "convert_utc_time": True}, InputError, "`timestamp_column`"),
        ({"timestamp_column": 1, "convert_utc_time": True, "convert_gps_time": True}, InputError, "two things"),
        ({"meta_columns": "1"}, InputError, "all three"),
        ({"meta_columns": "1,2", "meta_names": "a", "meta_types": "string"}, InputError, "differ in number"),
        ({"meta_columns": "x", "meta_names": "a", "meta_types": "string"}, InputError, "no numbers"),
        ({"meta_columns": "1", "meta_names": "a", "meta_types": "colour"}, InputError, "colour"),
        ({"timestamp_column": 9}, FormatError, "row 1 has 2 columns"),
        ({"timestamp_column": 1, "delimiter": ";;"}, InputError, "one letter"),
    ],
)
def test_calls_that_make_no_sense(tmp_path, options, kind, word):
    folder_of(tmp_path / "in", 1)
    (tmp_path / "log.csv").write_text("1,2\n")
    with pytest.raises(kind) as caught:
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "log.csv", **options)
    assert word in f"{caught.value} {caught.value.hint}"


def test_tables_that_are_none(tmp_path):
    folder_of(tmp_path / "in", 1)
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "no.csv", timestamp_column=1)
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe1,2")
    with pytest.raises(FormatError, match="UTF-8"):
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "log.csv", timestamp_column=1)
