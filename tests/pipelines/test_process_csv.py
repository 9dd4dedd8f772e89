import datetime as dt
import json

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
    rows, reasons, left_out = image_tables.rows_of(paths, names)
    assert rows.tolist() == [1, 0, 2, 4, 6, 8]
    assert left_out == {
        3: "another row fits /other/place/3.jpg better",
        5: "there is no photo x.jpg",
        7: "another row fits 4.jpg better",
    }
    rows, reasons, left_out = image_tables.rows_of(["/in/a/1.jpg", "/in/b/1.jpg", "/in/z.jpg"], ["1.jpg", "y/1.jpg"])
    assert rows.tolist() == [-1, -1, -1], "a name that fits several photos is none of theirs"
    assert reasons == [*["row 2 of the table, y/1.jpg, fits 2 photos"] * 2, "no row of the table names it"]
    assert left_out == {0: "1.jpg fits 2 photos", 1: "y/1.jpg fits 2 photos"}
    rows, _, left_out = image_tables.rows_of(["/in/a/1.jpg"], ["elsewhere/1.jpg", "elsewhere/1.jpg"])
    assert rows.tolist() == [0]
    assert left_out == {1: "elsewhere/1.jpg is in row 1 already"}


@pytest.mark.parametrize(
    ("paths", "names", "expected"),
    [
        (["/in/1.JPG", "/in/11.JPG", "/in/IMG_1.JPG"], ["1.jpg"], [0, -1, -1]),  # an end of a name is not a name
        (["/in/1.JPG", "/in/1.jpg"], ["1.jpg", "1.JPG"], [1, 0]),  # case tells, where it has to
        (["/in/1.JPG", "/in/1.jpg"], ["1.Jpg"], [-1, -1]),
        (["/in/100GOPRO/G1.JPG", "/in/101GOPRO/G1.JPG"], ["G1.JPG", "101gopro/g1.jpg"], [-1, 1]),
        (["/in/100GOPRO/G1.JPG", "/in/101GOPRO/G1.JPG"], [r"D:\DCIM\100GOPRO\G1.JPG"], [0, -1]),
        (["/in/100GOPRO/G1.JPG", "/in/101GOPRO/G1.JPG"], ["/media/card/101GOPRO/G1.JPG"], [-1, 0]),
        (["/in/100GOPRO/G1.JPG", "/in/101GOPRO/G1.JPG"], ["./101GOPRO/G1"], [-1, 0]),
        (["/in/a/x/1.jpg", "/in/b/x/1.jpg"], ["x/1.jpg"], [-1, -1]),
        (["/in/a/x/1.jpg", "/in/b/x/1.jpg"], ["/old/b/x/1.jpg"], [-1, 0]),
        (["/in/1.jpg"], ["C:1.jpg"], [-1]),
        (["/in/1.jpg"], ["C:\\1.jpg"], [0]),
        (["/in/1.jpg"], ["a/1.jpg", "b/1.jpg"], [-1]),  # which of the two is it?
        (["/in/1.jpg"], ["a/1.jpg", "1.jpg"], [1]),
        (["/in/1.jpg", "/in/1.png"], ["1"], [-1, -1]),
        (["/in/1.jpg", "/in/1.png"], ["1.jpeg", "1.png"], [-1, 1]),
        (["/in/\u00e9.jpg"], ["e\u0301.jpg"], [0]),  # as macOS and others write it
        (["/in/1.jpg"], ["", "1.jpg"], [1]),
    ],
)
def test_the_longest_end_that_only_one_photo_has(paths, names, expected):
    rows, reasons, left_out = image_tables.rows_of(paths, names)
    assert rows.tolist() == expected
    assert [reason is None for reason in reasons] == [row >= 0 for row in expected]
    assert left_out.keys() == set(range(len(names))) - set(expected), "each row is in a photo, or said to be left out"


@given(
    photos=st.lists(
        st.tuples(st.sampled_from(["a", "A", "b", "b/a"]), st.sampled_from(["1.jpg", "1.JPG", "2.jpg", "1.png"])),
        unique=True, max_size=8,
    ),
    names=st.lists(
        st.tuples(st.sampled_from(["", "a/", "b\\", "x/a/", "C:\\b\\a\\"]), st.sampled_from(["1.jpg", "1", "2.JPG"])),
        max_size=8,
    ),
)  # fmt: skip
def test_every_row_and_every_photo_is_accounted_for(photos, names):
    paths = [f"/in/{folder}/{name}" for folder, name in photos]
    texts = ["".join(parts) for parts in names]
    rows, reasons, left_out = image_tables.rows_of(paths, texts)
    taken = [row for row in rows.tolist() if row >= 0]
    assert len(taken) == len(set(taken)), "no row goes to two photos"
    assert set(taken) | left_out.keys() == set(range(len(texts)))
    assert not set(taken) & left_out.keys()
    assert [reason is None for reason in reasons] == (rows >= 0).tolist()
    for path, row in zip(paths, rows.tolist(), strict=True):
        if row >= 0:
            end = texts[row].replace("\\", "/").rpartition("/")[2].casefold().partition(".")[0]
            assert path.rpartition("/")[2].casefold().partition(".")[0] == end


def gps_of(utc):
    """GPS week and second of a time in UTC, by a plain count."""
    moment = dt.datetime.fromisoformat(utc)
    leaps = sum(moment >= dt.datetime.fromisoformat(day) for day in texts.LEAPS)
    return divmod((moment - dt.datetime(1980, 1, 6)).total_seconds() + leaps, 7 * 86_400)


@pytest.mark.parametrize(
    ("utc", "own", "rolled", "expected"),
    [
        ("2023-12-31T12:00:00", None, True, "2023-12-31T12:00:00"),  # week 247 of the third cycle
        ("2023-12-31T12:00:00", "2024-01-01T00:00:00", True, "2023-12-31T12:00:00"),
        ("2004-05-16T12:00:00", "2004-05-16T13:00:00", True, "2004-05-16T12:00:00"),  # week 247 of the second
        ("2004-05-16T12:00:00", None, False, "2004-05-16T12:00:00"),  # 1271 says all
        ("2023-12-31T12:00:00", "2004-05-16T13:00:00", False, "2023-12-31T12:00:00"),
        ("1998-03-01T00:00:00", "1998-03-01T00:00:00", True, "1998-03-01T00:00:00"),
        ("1998-03-01T00:00:00", None, False, "2017-10-15T00:00:00"),  # below 1024 a whole number looks rolled over
    ],
)
def test_gps_weeks_roll_over(tmp_path, utc, own, rolled, expected):
    week, second = gps_of(utc)
    paths = folder_of(
        tmp_path / "in",
        1,
        ms=None if own is None else lambda _: round(dt.datetime.fromisoformat(own + "+00:00").timestamp() * 1000),
    )
    table = tmp_path / "log.csv"
    table.write_text(f"{paths[0].name},{week % 1024 if rolled else week:.0f},{second}")
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=table, filename_column=1, convert_gps_time=True, gps_week_column=2, timestamp_column=3
    )
    assert abs(read_photos(tmp_path / "in")["captured_at"].iloc[0] - pd.Timestamp(expected, tz="UTC")) < pd.Timedelta(
        "20s"
    )
    assert ("counted modulo 1024" in str(images["warning"].iloc[0])) is (rolled or week < 1024)


@pytest.mark.parametrize(
    ("row", "options", "word"),
    [
        ("-1,5", {"gps_week_column": 1}, "its GPS week is none"),
        ("2318.5,5", {"gps_week_column": 1}, "its GPS week is none"),
        ("5000,5", {"gps_week_column": 1}, "or in the future"),
        ("2318,604801", {"gps_week_column": 1}, "a week has no second"),
        ("2318,x", {"gps_week_column": 1}, "its time is none"),
    ],
)
def test_gps_times_out_of_range_are_refused_and_counted(tmp_path, row, options, word):
    paths = folder_of(tmp_path / "in", 2)
    before = paths[0].read_bytes()
    table = tmp_path / "log.csv"
    table.write_text(f"{row}\n2318,108818.5\n")
    images = mlygeo.process_csv(tmp_path / "in", csv_path=table, convert_gps_time=True, timestamp_column=2, **options)
    assert word in images["error"].iloc[0]
    assert paths[0].read_bytes() == before
    assert images.attrs["left_out"] == {"rows with a value that cannot be": 1}
    assert images["error"].isna().iloc[1]


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        (["45453.25", "45453.5"], {"convert_utc_time": True}, ("column 1", "spreadsheet")),
        (["45453.25", "45453.5"], {}, ("column 1", "45453.25")),
        (["1718000000", "1718000001000"], {"convert_utc_time": True}, ("column 1", "seconds", "milliseconds")),
        (["108818.5", "108819.5"], {"convert_gps_time": True}, ("seconds of an unknown week", "`gps_week_column`")),
        (["10.06.2024 06:13:20"], {}, ("column 1", "10.06.2024")),
        (["2024-06-10"], {}, ("column 1",)),  # a day is not a time
        (["2024-06-10 06:13:20 PST"], {}, ("column 1",)),
        (["north"], {"latitude_column": 1, "longitude_column": 1, "timestamp_column": None}, ("column 1", "latitude")),
        (["x"], {"altitude_column": 1, "timestamp_column": None}, ("column 1", "altitude")),
    ],
)
def test_a_column_that_is_not_understood_is_refused_by_its_number(tmp_path, texts, options, words):
    paths = folder_of(tmp_path / "in", len(texts))
    before = [path.read_bytes() for path in paths]
    table = tmp_path / "log.csv"
    table.write_text("".join(f"{text}\n" for text in texts))
    with pytest.raises(FormatError) as caught:
        mlygeo.process_csv(tmp_path / "in", csv_path=table, **{"timestamp_column": 1, **options})
    for word in words:
        assert word in f"{caught.value} {caught.value.hint}"
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("2024:06:10 06:13:20", {}, "2024-06-10T06:13:20"),
        ("2024-06-10T06:13:20.25Z", {}, "2024-06-10T06:13:20.250"),
        ("2024-06-10T08:13:20+02:00", {}, "2024-06-10T06:13:20"),
        ("2024-06-10T08:13:20\u22120200", {}, "2024-06-10T10:13:20"),
        ("2024-06-10 06:13:20 PM", {}, "2024-06-10T18:13:20"),
        ("2016-12-31T23:59:60Z", {}, "2017-01-01T00:00:00"),
        ("31.12.2016 23:59:60", {"time_format": "%d.%m.%Y %H:%M:%S"}, "2017-01-01T00:00:00"),
        ("1718000000250000", {"convert_utc_time": True}, "2024-06-10T06:13:20.250"),
        ("1718000000250000000", {"convert_utc_time": True}, "2024-06-10T06:13:20.250"),
    ],
)
def test_forms_of_times(tmp_path, text, options, expected):
    folder_of(tmp_path / "in", 1, ms=None)
    table = tmp_path / "log.csv"
    table.write_text(text, encoding="utf-8")
    mlygeo.process_csv(tmp_path / "in", csv_path=table, timestamp_column=1, **options)
    assert read_photos(tmp_path / "in")["captured_at"].iloc[0] == pd.Timestamp(expected, tz="UTC")


def test_positions_as_people_write_them(tmp_path):
    folder_of(tmp_path / "in", 4, lon=None)
    table = tmp_path / "log.csv"
    table.write_text(
        "-33,25;-70,5;12,5\n33.25S;70.5W;12.5\nS 33 15 0;70\u00b030'0\"W;12.5\n33.25 E;70.5;0\n", encoding="utf-8"
    )
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=table, delimiter=";", latitude_column=1, longitude_column=2, altitude_column=3
    )
    read = read_photos(tmp_path / "in").iloc[:3]
    np.testing.assert_allclose(read.geometry.y, -33.25, atol=1e-9)
    np.testing.assert_allclose(read.geometry.x, -70.5, atol=1e-9)
    np.testing.assert_allclose(read["altitude"], 12.5)
    assert "latitude is not a number" in images["error"].iloc[3]


def test_what_is_left_out_is_counted_and_named(tmp_path, capsys):
    paths = folder_of(tmp_path / "in", 2)
    twin = tmp_path / "in" / "more" / paths[0].name
    twin.parent.mkdir()
    twin.write_bytes(paths[0].read_bytes())
    before = [path.read_bytes() for path in (*paths, twin)]
    table = tmp_path / "log.csv"
    table.write_text(f"{paths[0].name},10\nno.jpg,20\n{paths[1].name.upper()},30\n")
    status = cli.main(["process-csv", str(tmp_path / "in"), "--csv-path", str(table), "--filename-column", "1",
                       "--heading-column", "2", "--json"])  # fmt: skip
    said = capsys.readouterr()
    assert status == 3, said.err
    summary = json.loads(said.out)
    assert summary["left_out"] == {"rows without a photo": 2, "photos without a row": 2}
    assert summary["rows_left_out"] == {"1": f"{paths[0].name} fits 2 photos", "2": "there is no photo no.jpg"}
    assert [path.read_bytes() == old for path, old in zip((*paths, twin), before, strict=True)] == [True, False, True]
    assert read_photos(paths[1])["compass_angle"].tolist() == [30]


def test_dates_of_a_receiver_from_before_the_roll_over(tmp_path):
    folder_of(tmp_path / "in", 2, ms=lambda n: START_MS + n * 1000)
    table = tmp_path / "log.csv"
    early = [START_MS + n * 1000 - 1024 * 7 * 86_400_000 for n in range(2)]
    table.write_text("".join(f"{exif_time(ms)}\n" for ms in early))
    images = mlygeo.process_csv(tmp_path / "in", csv_path=table, timestamp_column=1)
    assert images["warning"].str.startswith("1024 weeks were added").all()
    assert read_photos(tmp_path / "in")["captured_at"].astype("int64").tolist() == [START_MS, START_MS + 1000]


def test_rows_go_to_photos_as_cameras_count(tmp_path):
    for number, path in zip((2, 10, 1), folder_of(tmp_path / "in", 3), strict=True):
        path.rename(path.with_name(f"IMG_{number}.JPG"))
    (tmp_path / "log.csv").write_text("10\n20\n30\n")
    images = mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "log.csv", heading_column=1)
    by_name = {
        path.rpartition("/")[2]: angle for path, angle in zip(images["path"], images["compass_angle"], strict=True)
    }
    assert by_name == {"IMG_1.JPG": 10, "IMG_2.JPG": 20, "IMG_10.JPG": 30}


def test_altitudes_in_other_units_are_refused(tmp_path):
    folder_of(tmp_path / "in", 2)
    (tmp_path / "log.csv").write_text("48,9,314000\n48,9,314\n")
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=tmp_path / "log.csv", latitude_column=1, longitude_column=2, altitude_column=3
    )
    assert "altitude cannot be: 314000" in images["error"].iloc[0]
    assert images["error"].isna().iloc[1]


def test_times_that_are_in_doubt_are_said(tmp_path):
    folder_of(tmp_path / "in", 3)
    table = tmp_path / "log.csv"
    table.write_text("1984-09-30 12:00:00\n2099-01-01T00:00:00Z\n2024-06-10 06:13:20\n")
    images = mlygeo.process_csv(tmp_path / "in", csv_path=table, timestamp_column=1)
    assert "is before 1995" in images["warning"].iloc[0]
    assert "is in the future" in images["warning"].iloc[1]
    assert all("its own time is" in text for text in images["warning"].iloc[:2])
    assert images["warning"].isna().iloc[2]


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
        ["latitude cannot be: 91", "latitude is not a number", "half a position", "(0, 0)", "heading cannot be", "longitude cannot be", "heading is no", "no row"],
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
        ({"timestamp_column": 9}, FormatError, "row 1 has only 2 columns"),
        ({"timestamp_column": 1, "delimiter": ";;"}, InputError, "one letter"),
    ],
)
def test_calls_that_make_no_sense(tmp_path, options, kind, word):
    folder_of(tmp_path / "in", 1)
    (tmp_path / "log.csv").write_text("1,2\n")
    with pytest.raises(kind) as caught:
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "log.csv", **options)
    assert word in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_other_programs(tmp_path, encoding):
    (path,) = folder_of(tmp_path / "in", 1)
    path.rename(path.with_name("K\u00f6ln.jpg"))
    (tmp_path / "log.csv").write_bytes("name;heading\r\nK\u00f6ln.jpg;12,5\r\n".encode(encoding))
    images = mlygeo.process_csv(
        tmp_path / "in", csv_path=tmp_path / "log.csv", delimiter=";", header=True, filename_column=1, heading_column=2
    )
    assert images["compass_angle"].tolist() == [12.5]


def test_tables_that_are_none(tmp_path):
    folder_of(tmp_path / "in", 1)
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "no.csv", timestamp_column=1)
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe1,2")
    with pytest.raises(FormatError, match="UTF-8"):
        mlygeo.process_csv(tmp_path / "in", csv_path=tmp_path / "log.csv", timestamp_column=1)
