import csv
from datetime import datetime, timedelta

import numpy as np
import pytest
from helpers.photo_folders import LAT, LON, START_MS, STEP, folder_of, picture, pixels, tagged
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli
from mlygeo.errors import FormatError, InputError
from mlygeo.readers.photos import read_photos


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


def test_missing_positions(tmp_path, capsys):
    gone = {2, 3, 7, 11}
    paths = folder_of(
        tmp_path / "in", 12, seconds=1, altitude=lambda n: 100.0 + n, lon=lambda n: None if n in gone else LON
    )
    before = {path: pixels(path) for path in paths}
    old = {number: paths[number].read_bytes() for number in (0, 5)}
    status = cli.main(["interpolate", "--data", "missing_gps", "--import_path", str(tmp_path / "in"), "--advanced"])
    assert status == 0, capsys.readouterr().err
    read = read_photos(tmp_path / "in")
    np.testing.assert_allclose(read.geometry.y, LAT + np.arange(12) * STEP, atol=1e-8)
    np.testing.assert_allclose(read["altitude"], 100 + np.arange(12), atol=1e-3)
    np.testing.assert_allclose(read["compass_angle"].iloc[sorted(gone)] % 360, 0, atol=1e-3)
    assert read["captured_at"].astype("int64").tolist() == [START_MS + n * 1000 for n in range(12)]
    for path in paths:
        assert pixels(path) == before[path]
    for number, content in old.items():
        assert paths[number].read_bytes() == content
    frame = mlygeo.read_frame(tmp_path / "in" / ".mlygeo" / "interpolated.parquet")
    assert set(np.flatnonzero(frame["interpolated"])) == gone


def test_max_time_delta(tmp_path):
    """Past the last photo with a position the way goes on for so many seconds, and no further."""
    folder_of(tmp_path / "in", 8, seconds=1, lon=lambda n: LON if n < 4 else None)
    images = mlygeo.interpolate(tmp_path / "in", data="missing_gps", dry_run=True)
    assert images["interpolated"].tolist() == [False] * 4 + [True] + [False] * 3
    assert images["error"].notna().tolist() == [False] * 5 + [True] * 3
    images = mlygeo.interpolate(tmp_path / "in", data="missing_gps", max_time_delta=3, keep_original=True)
    assert images["interpolated"].sum() == 3
    assert read_photos(tmp_path / "in").geometry.notna().sum() == 7
    assert len(list((tmp_path / "in").glob("*_original"))) == 3
    # What was interpolated is what process goes by from then on.
    assert mlygeo.process(tmp_path / "in")["error"].isna().sum() == 7


def test_identical_timestamps(tmp_path):
    """0, 0, 0, 0, 1, 1, 3 → quarters, halves, and the last as it was."""
    seconds = [0, 0, 0, 0, 1, 1, 3]
    folder_of(tmp_path / "in", 7, ms=lambda n: START_MS + seconds[n] * 1000, whole_second=True)
    images = mlygeo.interpolate(tmp_path / "in", data="identical_timestamps")
    expected = [0, 250, 500, 750, 1000, 2000, 3000]
    assert images["captured_at"].astype("int64").tolist() == [START_MS + ms for ms in expected]
    assert read_photos(tmp_path / "in")["captured_at"].astype("int64").tolist() == [START_MS + ms for ms in expected]
    again = mlygeo.interpolate(tmp_path / "in", data="identical-timestamps")
    assert not again["interpolated"].any()


def test_processed_photos_are_read_anew(tmp_path):
    folder_of(tmp_path / "in", 6, ms=lambda n: START_MS + n // 3 * 60_000, whole_second=True)
    mlygeo.process(tmp_path / "in")
    mlygeo.interpolate(tmp_path / "in", data="identical_timestamps")
    images = mlygeo.process(tmp_path / "in")
    assert images["captured_at"].astype("int64").tolist() == [START_MS + n * 20_000 for n in range(6)]


def test_a_photo_without_a_time_is_reported(tmp_path):
    folder_of(tmp_path / "in", 2)
    (tmp_path / "in" / "z.jpg").write_bytes(tagged(picture(3)))
    assert cli.main(["interpolate", str(tmp_path / "in"), "--data", "identical_timestamps", "-q"]) == 3


def rows_of(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_a_table(tmp_path, capsys):
    table = tmp_path / "log.csv"
    lines = ["name,time,note", *(f'{n}.jpg,2024-06-10T06:13:{20 + n // 2}.000Z,"a, {n}"' for n in range(6))]
    table.write_text("\n".join(lines) + "\n")
    words = [
        "interpolate",
        "--data",
        "identical_timestamps",
        "--file_in_path",
        str(table),
        "--time_column",
        "1",
        "--header",
    ]
    assert cli.main([*words, "--keep_original"]) == 0, capsys.readouterr().err
    assert table.read_text() == "\n".join(lines) + "\n"
    rows = rows_of(tmp_path / "log_processed.csv")
    assert rows[0] == ["name", "time", "note"]
    assert [row[1] for row in rows[1:]] == [
        f"2024-06-10T06:13:{20 + n // 2}.{n % 2 * 500:03}Z" for n in range(6)
    ]  # fmt: skip
    assert [row[2] for row in rows[1:]] == [f"a, {n}" for n in range(6)]
    assert cli.main(words) == 0
    assert rows_of(table) == rows


def test_epochs_in_a_table(tmp_path):
    table = tmp_path / "log.csv"
    table.write_text("\n".join(f"{time};x" for time in (1_718_000_000_000, 1_718_000_000_000, 1_718_000_001_000)))
    mlygeo.interpolate(data="identical_timestamps", file_in_path=table, time_utc=True, delimiter=";")
    assert [row[0] for row in rows_of(table, ";")] == ["1718000000000", "1718000000500", "1718000001000"]


@pytest.mark.parametrize(
    ("times", "options", "expected"),
    [
        # The form that came in, where it can hold the value …
        (["1718000000.0", "1718000000.0", "1718000001.0"], {"time_utc": True}, "1718000000.5"),
        (["1718000000000000", "1718000000000000", "1718000001000000"], {"time_utc": True}, "1718000000500000"),
        (["1718000000", "1718000000", "1718000060"], {"time_utc": True}, "1718000030"),
        (["2024:06:10 06:13:20.00"] * 2 + ["2024:06:10 06:13:21.00"], {}, "2024:06:10 06:13:20.50"),
        (["2024-06-10 06:13:20,000+02:00"] * 2 + ["2024-06-10 06:13:21,000+02:00"], {}, "2024-06-10 06:13:20,500+02:00"),
        (["2024-06-10T06:13:20.000000-0330"] * 2 + ["2024-06-10T06:13:21.000000-0330"], {}, "2024-06-10T06:13:20.500000-0330"),
        (["20240610061320"] * 2 + ["20240610061400"], {}, "20240610061340"),
        (["2024.06.10 06:13:20"] * 2 + ["2024.06.10 06:13:22"], {}, "2024.06.10 06:13:21"),
        (["10.06.2024 06:13:20.0"] * 2 + ["10.06.2024 06:13:21.0"], {"time_format": "%d.%m.%Y %H:%M:%S.%f"}, "10.06.2024 06:13:20.5"),
        (["6/1/2024 6:13:20"] * 2 + ["6/1/2024 6:13:22"], {"time_format": "%m/%d/%Y %H:%M:%S"}, "6/1/2024 6:13:21"),
        (["10.06.2024 06:13 +0200"] * 2 + ["10.06.2024 06:15 +0200"], {"time_format": "%d.%m.%Y %H:%M %z"}, "10.06.2024 06:14 +0200"),
        # … else nothing.
        (["1718000000", "1718000000", "1718000001"], {"time_utc": True}, None),
        (["1718000000.0"] * 3 + ["1718000001.0"], {"time_utc": True}, None),
        (["2024-06-10T06:13:20Z"] * 2 + ["2024-06-10T06:13:21Z"], {}, None),
        (["2024-06-10T06:13Z"] * 3 + ["2024-06-10T06:14Z"], {}, None),
        (["10.06.2024 06:13:20"] * 2 + ["10.06.2024 06:13:21"], {"time_format": "%d.%m.%Y %H:%M:%S"}, None),
        (["1718000000", "1718000000", "1718000001000"], {"time_utc": True}, None),
        (["45453.25", "45453.25", "45453.5"], {"time_utc": True}, None),
    ],
)  # fmt: skip
def test_the_column_keeps_its_form_or_the_file_is_left_alone(tmp_path, times, options, expected):
    table = tmp_path / "log.csv"
    text = "".join(f'{time};"a;b";{n}\r\n' for n, time in enumerate(times))
    table.write_bytes(text.encode("utf-8-sig"))
    call = {"data": "identical_timestamps", "file_in_path": table, "delimiter": ";", **options}
    if expected is None:
        with pytest.raises(FormatError, match=r"row|spreadsheet"):
            mlygeo.interpolate(**call)
        assert table.read_bytes() == text.encode("utf-8-sig")
        return
    mlygeo.interpolate(**call)
    written = table.read_bytes()
    row = 1 if times.count(times[0]) == 2 else 2
    assert written == text.replace(f'{times[row]};"a;b";1', f'{expected};"a;b";1').encode("utf-8-sig")
    mlygeo.interpolate(**call)
    assert table.read_bytes() == written, "a second run finds nothing to do"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_keeps_its_encoding(tmp_path, encoding):
    table = tmp_path / "log.csv"
    text = "".join(f"K\u00f6ln {n},2024-06-10 06:13:{20 + n // 2}.0\r\n" for n in range(4))
    table.write_bytes(text.encode(encoding))
    mlygeo.interpolate(data="identical_timestamps", file_in_path=table, time_column=1)
    expected = "".join(f"K\u00f6ln {n},2024-06-10 06:13:{20 + n // 2}.{n % 2 * 5}\r\n" for n in range(4))
    assert table.read_bytes() == expected.encode(encoding)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.integers(0, 4), min_size=2, max_size=12),
    form=st.sampled_from(["iso", "exif", "space", "comma", "compact", "day first", "epoch", "decimal"]),
    digits=st.sampled_from([0, 1, 2, 3, 6]),
    offset=st.sampled_from([None, "Z", "+02:00", "-0330"]),
)
def test_what_is_written_is_read_again_in_one_form_and_stays(tmp_path_factory, steps, form, digits, offset):
    import re

    start = datetime(2024, 6, 10, 6, 13, 20)
    moments = [start + timedelta(seconds=int(total)) for total in np.cumsum(steps)]
    part = ("," if form == "comma" else ".") + "0" * digits if digits else ""
    patterns = {
        "iso": "%Y-%m-%dT%H:%M:%S", "exif": "%Y:%m:%d %H:%M:%S", "space": "%Y-%m-%d %H:%M:%S",
        "comma": "%Y-%m-%d %H:%M:%S", "compact": "%Y%m%dT%H%M%S", "day first": "%d.%m.%Y %H:%M:%S",
    }  # fmt: skip
    options = {}
    if form in patterns:
        zone = "" if form == "day first" else offset or ""
        texts = [moment.strftime(patterns[form]) + part + zone for moment in moments]
        if form == "day first":
            options["time_format"] = patterns[form] + (".%f" if digits else "")
    else:
        scale = 1 if form == "decimal" else 1000
        texts = [f"{(moment - datetime(1970, 1, 1)).total_seconds() * scale:.{digits}f}" for moment in moments]
        options["time_utc"] = True
    table = tmp_path_factory.mktemp("table") / "log.csv"
    table.write_text("".join(f"{text};{n}\n" for n, text in enumerate(texts)))
    before = table.read_bytes()
    call = {"data": "identical_timestamps", "file_in_path": table, "delimiter": ";", **options}
    try:
        images = mlygeo.interpolate(**call)
    except FormatError:
        assert table.read_bytes() == before
        return
    rows = [row[0] for row in rows_of(table, ";")]
    shapes = {re.sub(r"\d", "0", row) for row in rows}
    assert shapes == {re.sub(r"\d", "0", text) for text in texts}, "one form in the whole column, the one that came in"
    assert [row for row, old in zip(rows, texts, strict=True) if row != old] == [
        row for row, is_new in zip(rows, images["interpolated"], strict=True) if is_new
    ]
    from mlygeo.readers import image_tables

    found = image_tables.times_of(rows, utc_time="time_utc" in options, time_format=options.get("time_format"))
    assert found.time_ms.tolist() == images["captured_at"].astype("int64").tolist()
    after = table.read_bytes()
    mlygeo.interpolate(**call)
    assert table.read_bytes() == after


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_times_of_a_table_equal_a_plain_loop(steps):
    """n rows of one time, and then one at t', get t + k (t' - t) / n; the last ones take the interval before theirs."""
    from mlygeo.pipelines.photos import _table_frame

    times = (START_MS + np.cumsum(steps) * 1000).tolist()
    runs = []
    for time in times:
        if runs and runs[-1][0] == time:
            runs[-1][1] += 1
        else:
            runs.append([time, 1])
    expected = []
    for at, (time, count) in enumerate(runs):
        lone = time - runs[at - 1][0] if at else 1000
        room = runs[at + 1][0] - time if at + 1 < len(runs) else lone
        expected += [time + k * room // count for k in range(count)]
    from pathlib import Path

    found = _table_frame(Path("log.csv"), np.array(times, dtype=np.int64))
    assert found["captured_at"].astype("int64").tolist() == expected


@pytest.mark.parametrize(
    ("options", "kind", "word"),
    [
        ({"data": "colours"}, InputError, "colours"),
        ({"data": "missing_gps"}, InputError, "not in a table"),
        ({"file_format": "xls"}, InputError, "xls"),
        ({"time_column": 7}, FormatError, "no column 7"),
        ({"time_format": "%d.%m.%Y"}, FormatError, "row 1"),
        ({"delimiter": ""}, InputError, "`delimiter` is empty"),
    ],
)
def test_calls_that_make_no_sense(tmp_path, options, kind, word):
    table = tmp_path / "log.csv"
    table.write_text("x,2024-06-10T06:13:20Z\n")
    with pytest.raises(kind, match=word):
        mlygeo.interpolate(**{"data": "identical_timestamps", "file_in_path": table, **options})
    with pytest.raises(InputError, match="no folder"):
        mlygeo.interpolate(data="missing_gps")
