import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.exiftool_oracle import ExifTool
from helpers.photo_folders import LAT, LON, START_MS, STEP, folder_of, gpx_of, picture, pixels, tagged
from pandas.testing import assert_frame_equal
from pyproj import Geod

import mlygeo
from mlygeo import cli
from mlygeo.errors import FileError, InputError
from mlygeo.formats.exif import Tags
from mlygeo.photos.exif_writer import insert
from mlygeo.providers.mapillary.descriptions import read_descriptions
from mlygeo.readers.photos import read_photos
from mlygeo.spatial import geodesy


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


def run(capsys, *words):
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def stored(folder):
    return mlygeo.read_frame(folder / ".mlygeo" / "images.parquet").sort_values("path", ignore_index=True)


def description_in(path):
    text = read_photos(path)["image_description"].iloc[0]
    return json.loads(text)


def test_photos_become_sequences_frames_descriptions_and_tags(tmp_path):
    paths = folder_of(tmp_path / "in", 12, altitude=lambda number: 100.5 + number)
    before = {path: pixels(path) for path in paths}
    images = mlygeo.process(tmp_path / "in", user_name="jane", device_make="Ricoh", gps_accuracy=3)
    assert images["error"].isna().all()
    assert len(set(images["sequence_id"])) == 1
    # All headings are derived: due north.
    np.testing.assert_allclose((images["compass_angle"] + 180) % 360, 180, atol=1e-6)
    assert images["exif_written"].all()
    assert images["captured_at"].diff().dropna().eq(pd.Timedelta(seconds=2)).all()
    assert_frame_equal(pd.DataFrame(stored(tmp_path / "in")[["path", "captured_at", "sequence_id"]]),
                       pd.DataFrame(images[["path", "captured_at", "sequence_id"]]), check_index_type=False)  # fmt: skip
    sequences = mlygeo.read_frame(tmp_path / "in" / ".mlygeo" / "sequences.parquet")
    assert sequences["images"].tolist() == [12]
    walked = geodesy.distance(LON, LAT, LON, LAT + 11 * STEP)[0]
    assert sequences["length_m"].iloc[0] == pytest.approx(walked, abs=0.001)
    for number, path in enumerate(paths):
        inside = description_in(path)
        assert inside["MAPLatitude"] == pytest.approx(LAT + number * STEP, abs=1e-7)
        assert inside["MAPSettingsUsername"] == "jane"
        assert inside["MAPDeviceMake"] == "Ricoh"
        assert inside["MAPGPSAccuracyMeters"] == 3
        assert inside["MAPFilename"] == path.name
        assert "MAPSequenceUUID" not in inside
        assert pixels(path) == before[path]
    described = read_descriptions(tmp_path / "in" / "mapillary_image_description.json")
    assert described["error"].isna().all()
    assert len(set(described["sequence_id"])) == 1
    assert described["filesize"].tolist() == [path.stat().st_size for path in paths]


def test_real_photos_agree_with_the_reader_and_failures_are_rows(tmp_path, capsys):
    shutil.copytree(DATA / "photos", tmp_path / "in")
    expected = read_photos(tmp_path / "in").set_index("path")
    status, out, err = run(capsys, "process", tmp_path / "in", "--skip-exif-insert", "--json")
    assert status == 3
    summary = json.loads(out)
    images = stored(tmp_path / "in").set_index("path")
    assert set(images.index) == set(expected.index)
    usable = expected["error"].isna() & expected["captured_at"].notna() & expected.geometry.notna()
    assert summary["ready"] == usable.sum() == images["error"].isna().sum()
    assert summary["failed"] == (~usable).sum() == sum(summary["reasons"].values())
    assert set(summary["failed_files"]) == set(usable.index[~usable])
    for column in ("captured_at", "make", "model", "exif_orientation", "compass_angle"):
        pd.testing.assert_series_equal(
            images.loc[usable, column].sort_index(), expected.loc[usable, column].sort_index()
        )
    assert not images["exif_written"].any()
    assert "images.parquet" in err
    assert "cannot be used" in err


GEOTAG_COLUMNS = [
    "captured_at",
    "compass_angle",
    "altitude",
    "sequence_id",
    "is_duplicate",
    "make",
    "filename",
    "error",
]


def test_units_one_after_another_are_process(tmp_path):
    folder_of(tmp_path / "a", 20, lon=None, heading=lambda number: 45.0)
    (tmp_path / "a" / "broken.jpg").write_bytes(b"no picture")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    gpx = gpx_of(tmp_path / "ride.gpx", 60)
    options = {"geotag_source": "gpx", "geotag_source_path": gpx, "offset_time": 2, "offset_angle": 90}
    cutting = {"cutoff_distance": 100, "cutoff_time": 120, "duplicate_distance": 0.5, "duplicate_angle": 1}
    whole = mlygeo.process(tmp_path / "a", user_name="jane", device_make="X", private=True, **options, **cutting)
    mlygeo.extract_user_data(tmp_path / "b", user_name="jane", private=True)
    mlygeo.extract_import_meta_data(tmp_path / "b", device_make="X")
    mlygeo.extract_geotag_data(tmp_path / "b", **options)
    mlygeo.extract_sequence_data(tmp_path / "b", offset_angle=90, **cutting)
    mlygeo.extract_upload_params(tmp_path / "b", user_name="jane")
    last = mlygeo.exif_insert(tmp_path / "b")
    names = ["user_name", "private", *GEOTAG_COLUMNS]
    same_ids = dict(zip(last["sequence_id"].dropna(), whole["sequence_id"].dropna(), strict=True))
    last["sequence_id"] = last["sequence_id"].map(same_ids).astype("str")
    assert_frame_equal(pd.DataFrame(last[names]), pd.DataFrame(whole[names]))
    assert (tmp_path / "b" / "mapillary_image_description.json").exists()
    # Photo 0, two seconds ahead of the track's clock, lies before its start.
    assert "before the track starts" in whole["error"].iloc[1]
    assert whole["failed_in"].tolist()[:2] == ["read", "geotag"]


def test_a_unit_is_run_again_from_what_the_photos_said(tmp_path):
    """Neither offsets nor overwritten tags add up."""
    folder_of(tmp_path / "in", 8, heading=lambda number: 10.0)
    for _ in range(3):
        images = mlygeo.process(tmp_path / "in", offset_angle=90, offset_time=2, overwrite_all_exif_tags=True)
        assert images["compass_angle"].tolist() == [100.0] * 8
        assert images["captured_at"].iloc[0].timestamp() * 1000 == START_MS - 2000
    images = mlygeo.process(tmp_path / "in", offset_angle=90, offset_time=2, rerun=True, overwrite_all_exif_tags=True)
    assert images["compass_angle"].tolist() == [100.0] * 8
    read = read_photos(tmp_path / "in")
    assert read["compass_angle"].tolist() == pytest.approx([100.0] * 8)
    assert read["captured_at"].tolist() == images["captured_at"].tolist()
    images = mlygeo.extract_sequence_data(tmp_path / "in", interpolate_directions=True)
    assert (images["compass_angle"] % 360).round(3).isin([0.0, 360.0]).all()
    images = mlygeo.extract_sequence_data(tmp_path / "in")
    assert images["compass_angle"].tolist() == [100.0] * 8
    images = mlygeo.extract_geotag_data(tmp_path / "in")
    assert images["compass_angle"].tolist() == [10.0] * 8
    assert images["sequence_id"].isna().all()


def test_new_changed_and_vanished_photos(tmp_path):
    paths = folder_of(tmp_path / "in", 6)
    mlygeo.process(tmp_path / "in")
    paths[2].write_bytes(tagged(picture(2), ms=START_MS + 500_000, lon=LON, lat=LAT))
    paths[4].unlink()
    (tmp_path / "in" / "new.jpg").write_bytes(tagged(picture(99), ms=START_MS + 600_000, lon=LON, lat=LAT))
    images = mlygeo.process(tmp_path / "in").set_index("path")
    assert len(images) == 6
    assert str(paths[4]) not in images.index
    assert str(paths[4]) not in (tmp_path / "in" / "mapillary_image_description.json").read_text()
    assert images.loc[str(paths[2]), "captured_at"].timestamp() * 1000 == START_MS + 500_000
    assert images["error"].isna().all()
    images = mlygeo.process(tmp_path / "in", rerun=True)
    assert len(images) == 6
    assert images["error"].isna().all()


def test_readme_example_track_two_seconds_off(tmp_path):
    """The camera is 2 s ahead of the GPS device: photo n, at 2 n s, lies where the track was at 2 n - 2 s."""
    folder_of(tmp_path / "in", 10, lon=None)
    gpx = gpx_of(tmp_path / "in" / "ride.gpx", 60)
    for path in (gpx, None):
        images = mlygeo.process(tmp_path / "in", geotag_source="gpx", geotag_source_path=path, offset_time=2)
        placed = images[images["error"].isna()]
        assert len(placed) == 9
        np.testing.assert_allclose(placed.geometry.y, LAT + np.arange(9) * STEP, atol=1e-9)
        np.testing.assert_allclose(placed["altitude"], 200 + 2 * np.arange(9), atol=1e-6)


def test_readme_example_cutoffs(tmp_path):
    """Cut at over 100 m or over 120 s, and 90° between travel and camera."""
    gaps = {5: (0, 101.0), 10: (0, 99.0), 15: (121, 0.0), 20: (119, 0.0)}
    lat = LAT + np.cumsum([gaps.get(n, (0, 10))[1] / 111_200 if n in gaps else 10 / 111_200 for n in range(25)])
    ms = START_MS + np.cumsum([gaps[n][0] * 1000 if n in gaps and gaps[n][0] else 2000 for n in range(25)])
    folder_of(tmp_path / "in", 25, ms=lambda n: int(ms[n]), lat=lambda n: float(lat[n]), heading=lambda n: 20.0)
    images = mlygeo.process(
        tmp_path / "in", cutoff_distance=100, cutoff_time=120, offset_angle=90, keep_duplicates=True
    )
    starts = images["sequence_id"].ne(images["sequence_id"].shift())
    assert np.flatnonzero(starts).tolist() == [0, 5, 15]
    assert images["compass_angle"].tolist() == [110.0] * 25


@pytest.mark.parametrize("angle", [5.0, 180.0])
def test_a_camera_that_stopped_looks_where_it_goes_on(tmp_path, angle):
    """Of a stop of twelve photos the first is kept; it looks along the photos kept, not into the jitter of the GPS."""
    rng = np.random.default_rng(4)
    jitter = rng.normal(0, 3e-6, (12, 2))
    east = lambda n: LON + (float(jitter[n - 5, 0]) if 5 <= n < 17 else 0.0)
    north = lambda n: LAT + (min(n, 5) + max(n - 16, 0)) * STEP + (float(jitter[n - 5, 1]) if 5 <= n < 17 else 0.0)
    folder_of(tmp_path / "in", 22, lon=east, lat=north)
    images = mlygeo.process(tmp_path / "in", duplicate_distance=3, duplicate_angle=angle)
    assert images["is_duplicate"].tolist() == [5 < n < 17 for n in range(22)]
    kept = images[~images["is_duplicate"]]
    turn = (kept["compass_angle"] + 180) % 360 - 180
    assert turn.abs().max() < 5
    expected = Geod(ellps="WGS84").inv(*kept.geometry.iloc[5].coords[0], *kept.geometry.iloc[6].coords[0])[0]
    assert turn.iloc[5] == pytest.approx(expected, abs=1e-3)
    assert images.loc[images["is_duplicate"], "compass_angle"].isna().all()
    everything = mlygeo.process(tmp_path / "in", keep_duplicates=True)
    assert everything["compass_angle"].notna().all()
    assert ((everything["compass_angle"][5:16] + 180) % 360 - 180).abs().max() > 30


def test_photos_of_one_second_are_in_the_order_of_their_numbers(tmp_path):
    for number in range(1, 13):
        (path,) = folder_of(tmp_path / "one", 1, ms=START_MS, lat=LAT + number * 1e-5, heading=0.0, whole_second=True)
        (tmp_path / "in").mkdir(exist_ok=True)
        path.rename(tmp_path / "in" / f"IMG_{number}.jpg")
    images = mlygeo.process(tmp_path / "in")
    assert images["captured_at"].is_monotonic_increasing
    assert images.geometry.y.is_monotonic_increasing
    assert (images["captured_at"].diff().dropna().dt.total_seconds() > 0.08).all()


def test_a_photo_without_a_fraction_of_its_second_stays_in_its_burst(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(8, 14):
        content = tagged(
            picture(number), ms=START_MS + 150 * (number - 8), lon=LON, lat=LAT + number * 1e-5,
            heading=0.0, whole_second=number == 11,
        )  # fmt: skip
        (tmp_path / "in" / f"IMG_{number}.jpg").write_bytes(content)
    images = mlygeo.process(tmp_path / "in")
    assert [path[-6:-4] for path in images.sort_values("captured_at")["path"]] == ["_8", "_9", "10", "11", "12", "13"]
    assert images["warning"].notna().tolist() == [number == 11 for number in range(8, 14)]
    assert "no fraction of a second" in images["warning"].iloc[3]
    assert (images["captured_at"] - images["captured_at"].iloc[0]).dt.total_seconds().tolist()[3] == 0.45


def test_cameras_of_one_folder_differ_in_the_size_of_their_pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8):
        size = (32, 24) if number % 2 else (24, 32)
        content = tagged(picture(number, size), ms=START_MS + 1000 * number, lon=LON, lat=LAT + number * STEP)
        (folder / f"IMG_{number}.jpg").write_bytes(content)
    images = mlygeo.process(folder)
    assert images["sequence_id"].nunique() == 2
    assert images.groupby("sequence_id")["width"].nunique().max() == 1


def test_false_duplicates(tmp_path):
    """720 photos at 1 s of a slow camera are no duplicates, before and after a write and a read; 59 of 60 at rest are."""
    folder_of(tmp_path / "moving", 720, seconds=1, step=0.2 / 111_200)
    images = mlygeo.process(tmp_path / "moving", overwrite_all_exif_tags=True)
    assert not images["is_duplicate"].any()
    shutil.copytree(tmp_path / "moving", tmp_path / "again", ignore=shutil.ignore_patterns(".mlygeo"))
    images = mlygeo.process(tmp_path / "again", skip_exif_insert=True)
    assert not images["is_duplicate"].any()
    folder_of(tmp_path / "rest", 60, step=0, heading=lambda number: 45.0)
    images = mlygeo.process(tmp_path / "rest")
    assert images["is_duplicate"].sum() == 59
    assert images["duplicate_of"].dropna().unique().tolist() == [images["path"].iloc[0]]
    # Duplicates are not written into, and stand as such in the description file.
    assert images["exif_written"].sum() == 1
    assert read_descriptions(tmp_path / "rest" / "mapillary_image_description.json")["is_duplicate"].sum() == 59
    assert not mlygeo.process(tmp_path / "rest", keep_duplicates=True)["is_duplicate"].any()


def test_bursts_within_a_second_are_spread(tmp_path):
    folder_of(tmp_path / "in", 15, seconds=0.2, ms=lambda n: START_MS + n // 5 * 1000, whole_second=True)
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    offsets = (images["captured_at"] - images["captured_at"].iloc[0]).dt.total_seconds()
    np.testing.assert_allclose(offsets, np.arange(15) * 0.2, atol=1e-9)
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True, sub_second_interval=0.2)
    np.testing.assert_allclose(images["captured_at"].diff().dropna().dt.total_seconds(), 0.2, atol=0.0011)


def test_local_time(tmp_path, monkeypatch):
    import time

    folder_of(tmp_path / "in", 2)
    for path in sorted((tmp_path / "in").glob("*.jpg")):
        name = f"2024_06_10_08_13_2{path.stem[-1]}_000.jpg"
        path.write_bytes(tagged(picture(1), lon=LON, lat=LAT))
        path.rename(path.with_name(name))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        local = mlygeo.process(tmp_path / "in", skip_exif_insert=True, local_time=True)
        assert local["captured_at"].iloc[0] == pd.Timestamp("2024-06-10T06:13:20Z")
        direct = read_photos(tmp_path / "in", local_time=True)
        assert local["captured_at"].tolist() == direct["captured_at"].tolist()
        plain = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
        assert plain["captured_at"].iloc[0] == pd.Timestamp("2024-06-10T08:13:20Z")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_meta_data_options(tmp_path):
    folder_of(tmp_path / "in" / "sub", 2)
    images = mlygeo.process(
        tmp_path / "in", device_model="Z1", orientation=90, camera_uuid="left", add_file_name=True,
        exclude_import_path=True, windows_path=True, add_import_date=True,
        custom_meta_data="weather,string,rain, heavy;lanes,long,2;speed,double,13.5;dry,boolean,false;day,date,2024-06-09",
        organization_key="123", private=True,
    )  # fmt: skip
    inside = description_in(tmp_path / "in" / "sub" / "img_00000.jpg")
    assert inside["MAPOrientation"] == 8
    assert inside["MAPCameraUUID"] == "left"
    assert inside["MAPFilename"] == "sub\\img_00000.jpg"
    assert inside["MAPOrganizationKey"] == "123"
    assert inside["MAPPrivate"] is True
    tags = inside["MAPMetaTags"]
    assert tags["strings"] == [{"key": "weather", "value": "rain, heavy"}]
    assert tags["longs"] == [{"key": "lanes", "value": 2}]
    assert tags["doubles"] == [{"key": "speed", "value": 13.5}]
    assert tags["booleans"] == [{"key": "dry", "value": False}]
    assert tags["dates"][1] == {"key": "day", "value": 1_717_891_200_000}
    assert tags["dates"][0]["key"] == "import_date"
    assert images["exif_orientation"].tolist() == [8, 8]
    images = mlygeo.extract_import_meta_data(tmp_path / "in", add_file_name=True, exclude_path=str(tmp_path))
    assert images["filename"].iloc[0] == "in/sub/img_00000.jpg"


def test_meta_data_in_photos_stays_and_the_last_word_counts(tmp_path):
    folder_of(tmp_path / "in", 1)
    mlygeo.process(tmp_path / "in", custom_meta_data="lanes,long,2;dry,boolean,true")
    (tmp_path / "in" / ".mlygeo" / "photos.parquet").unlink()
    mlygeo.process(tmp_path / "in", custom_meta_data="lanes,long,3")
    tags = description_in(tmp_path / "in" / "img_00000.jpg")["MAPMetaTags"]
    assert tags == {"longs": [{"key": "lanes", "value": 3}], "booleans": [{"key": "dry", "value": True}]}


def test_two_cameras_in_a_folder_stay_two(tmp_path):
    paths = folder_of(tmp_path / "in", 10)
    for number, path in enumerate(paths):
        path.write_bytes(insert(path.read_bytes(), Tags(exif={"Make": "Ricoh", "Model": "ab"[number % 2]})))
    images = mlygeo.process(tmp_path / "in", device_model="one for both", skip_exif_insert=True)
    assert images["model"].unique().tolist() == ["one for both"]
    assert images["sequence_id"].nunique() == 2
    assert len(set(images["sequence_id"].iloc[::2])) == 1


def test_hidden_tracks_are_not_found(tmp_path):
    folder_of(tmp_path / "in", 2)
    (tmp_path / "in" / ".trash").mkdir()
    gpx_of(tmp_path / "in" / ".trash" / "old.gpx", 9)
    with pytest.raises(FileError, match=r"no \.gpx or \.gpx\.gz file"):
        mlygeo.process(tmp_path / "in", geotag_source="gpx")


def test_keep_original_writes_copies(tmp_path):
    paths = folder_of(tmp_path / "in" / "day 1", 3)
    before = [path.read_bytes() for path in paths]
    images = mlygeo.process(tmp_path / "in", keep_original=True)
    assert images["exif_written"].all()
    assert [path.read_bytes() for path in paths] == before
    copies = sorted((tmp_path / "in" / ".mlygeo" / "processed_images" / "day 1").glob("*.jpg"))
    assert [copy.name for copy in copies] == [path.name for path in paths]
    assert description_in(copies[0])["MAPFilename"] == "img_00000.jpg"
    # They are hidden, and not read as further photos.
    assert len(mlygeo.process(tmp_path / "in", keep_original=True)) == 3


def test_old_command_line(tmp_path, capsys):
    folder_of(tmp_path / "in", 5, lon=None)
    gpx = gpx_of(tmp_path / "ride.gpx", 30)
    status, _, err = run(
        capsys, "process", "--advanced", "--import_path", tmp_path / "in", "--user_name", "jane", "--geotag_source",
        "gpx", "--geotag_source_path", gpx, "--offset_time", 0, "--flag_duplicates", "--overwrite_EXIF_gps_tag",
        "--GPS_accuracy", "3", "--verbose", "--rerun", "--skip_subfolders",
    )  # fmt: skip
    assert status == 0, err
    assert read_photos(tmp_path / "in").geometry.notna().all()
    capsys.readouterr()
    status, _, err = run(capsys, "exif_insert", f"--import_path={tmp_path / 'in'}", "--skip_EXIF_insert", "-q")
    assert (status, err) == (0, "")
    status, _, err = run(
        capsys, "process", "--import_path", tmp_path / "in", "--gps_source", "gpx", "--gps_source_path", gpx, "-q"
    )
    assert status == 0, err


def test_dry_run_writes_nothing(tmp_path, capsys):
    paths = folder_of(tmp_path / "in", 3)
    before = {path.name: path.read_bytes() for path in paths}
    status, out, _ = run(capsys, "process", tmp_path / "in", "--dry-run", "--json")
    assert status == 0
    assert json.loads(out)["ready"] == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


def test_output_elsewhere_and_desc_path(tmp_path):
    folder_of(tmp_path / "in", 3)
    mlygeo.process(tmp_path / "in", output=tmp_path / "out", desc_path=tmp_path / "d.json", skip_exif_insert=True)
    assert {path.name for path in (tmp_path / "in").iterdir()} == {f"img_{n:05}.jpg" for n in range(3)}
    assert len(mlygeo.read_frame(tmp_path / "out" / "images.parquet")) == 3
    assert len(json.loads((tmp_path / "d.json").read_text())) == 3


def test_a_wrong_clock_is_named(tmp_path, capsys):
    folder_of(tmp_path / "in", 5, lon=None, ms=lambda n: START_MS + 7_200_000 + n * 2000)
    gpx = gpx_of(tmp_path / "ride.gpx", 30)
    status, out, err = run(
        capsys, "process", tmp_path / "in", "--geotag-source", "gpx", "--geotag-source-path", gpx, "--json"
    )
    assert status == 3
    assert json.loads(out)["reasons"] == {"outside the track": 5}
    assert "--offset-time 7200" in err
    assert (
        mlygeo.process(tmp_path / "in", geotag_source="gpx", geotag_source_path=gpx, offset_time=7200)["error"]
        .isna()
        .all()
    )


def test_gps_start_time(tmp_path):
    folder_of(tmp_path / "in", 5, lon=None, ms=lambda n: 1_000_000_000_000 + n * 2000)
    gpx = gpx_of(tmp_path / "ride.gpx", 30)
    images = mlygeo.process(tmp_path / "in", geotag_source="gpx", geotag_source_path=gpx, use_gps_start_time=True)
    np.testing.assert_allclose(images.geometry.y, LAT + np.arange(5) * STEP, atol=1e-9)
    assert images["captured_at"].iloc[0].timestamp() * 1000 == START_MS


def test_what_looks_wrong_is_reported(tmp_path, capsys):
    folder_of(tmp_path / "in", 12, lat=lambda n: LAT + n * STEP + (0.005 if n == 8 else 0))
    status, out, _ = run(capsys, "process", tmp_path / "in", "--max-speed", "200", "--skip-exif-insert", "--json")
    assert status == 0
    problems = json.loads(out)["problems"]
    assert problems["too fast"] == 2
    assert problems["zig-zag"] == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"orientation": 45}, "orientation"),
        ({"cutoff_time": -1}, "`cutoff_time`"),
        ({"max_images": 0}, "`max_images`"),
        ({"offset_time": float("nan")}, "`offset_time`"),
        ({"use_gps_start_time": True}, "`use_gps_start_time`"),
        ({"geotag_source_path": "x.gpx"}, "`geotag_source_path`"),
        ({"custom_meta_data": "a,b"}, "three parts"),
        ({"custom_meta_data": "a,long,x"}, "no long"),
        ({"gps_accuracy": -1}, "`gps_accuracy`"),
        ({"sub_second_interval": -1}, "`sub_second_interval`"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, word):
    folder_of(tmp_path / "in", 1)
    with pytest.raises(InputError, match=word):
        mlygeo.process(tmp_path / "in", **options)


def test_folders_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no photo"):
        mlygeo.process(tmp_path / "empty")
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.process(tmp_path / "nowhere")
    folder_of(tmp_path / "in", 1)
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.process(tmp_path / "in", geotag_source="gpx", geotag_source_path=tmp_path / "no.gpx")
    with pytest.raises(FileError, match=r"no \.log or .* file"):
        mlygeo.process(tmp_path / "in", geotag_source="nmea")
    for unit in (mlygeo.exif_insert, lambda path: mlygeo.extract_upload_params(path, user_name="x")):
        with pytest.raises(InputError, match="nothing was processed"):
            unit(tmp_path / "in")
    (tmp_path / "in" / ".mlygeo").mkdir(exist_ok=True)
    (tmp_path / "in" / ".mlygeo" / "photos.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FileError, match="damaged"):
        mlygeo.process(tmp_path / "in")


def test_geotag_and_cut_on_frames(tmp_path, capsys):
    folder_of(tmp_path / "in", 10, lon=None)
    gpx = gpx_of(tmp_path / "ride.gpx", 60)
    tagged_frame = mlygeo.geotag_photos(tmp_path / "in", geotag_source="gpx", geotag_source_path=gpx)
    whole = mlygeo.process(tmp_path / "in", geotag_source="gpx", geotag_source_path=gpx)
    assert tagged_frame.geometry.geom_equals(whole.geometry).all()
    status, _, err = run(
        capsys,
        "geotag",
        tmp_path / "in",
        "--geotag_source",
        "gpx",
        "--geotag_source_path",
        gpx,
        "-o",
        tmp_path / "t.parquet",
    )
    assert status == 0, err
    status, _, err = run(capsys, "cut", tmp_path / "t.parquet", "--max-images", 4, "-o", tmp_path / "c.parquet")
    assert status == 0, err
    assert "3 sequences" in err
    cut = mlygeo.read_frame(tmp_path / "c.parquet")
    assert cut.groupby("sequence_id").size().tolist().count(4) == 2
    assert mlygeo.cut(tagged_frame)["sequence_id"].tolist() == whole["sequence_id"].tolist()


def test_videos_as_the_source_of_positions(tmp_path):
    track = mlygeo.read_video(DATA / "video" / "camm_from_gopro_max.mp4")
    times = track["time"].dt.as_unit("ms").astype("int64").to_numpy()
    chosen = times[:: max(1, len(times) // 6)][:6]
    folder_of(tmp_path / "in", 6, lon=None, ms=lambda n: int(chosen[n]))
    images = mlygeo.process(
        tmp_path / "in", geotag_source="camm_videos", geotag_source_path=DATA / "video" / "camm_from_gopro_max.mp4"
    )
    assert images["error"].isna().all()
    lon, lat = images.geometry.x.to_numpy(), images.geometry.y.to_numpy()
    at = np.searchsorted(times, chosen)
    near = geodesy.distance(lon, lat, track.geometry.x.to_numpy()[at], track.geometry.y.to_numpy()[at])
    assert near.max() < 0.5


def test_a_job_runs_once_in_a_folder(tmp_path):
    from mlygeo.locks import FolderLock

    folder_of(tmp_path / "in", 1)
    with FolderLock(tmp_path / "in"), pytest.raises(FileError, match="another run"):
        mlygeo.process(tmp_path / "in")


def test_what_is_processed_can_be_uploaded(tmp_path):
    from helpers.upload_folders import USER_TOKEN, clusters_of, described, service_of

    from mlygeo.standin import serve

    folder = tmp_path / "in"
    folder_of(folder, 9, lat=lambda n: LAT + min(n, 6) * STEP, heading=lambda n: 0.0)
    (folder / "broken.jpg").write_bytes(b"no")
    images = mlygeo.process(folder, device_make="Ricoh", camera_uuid="left")
    assert images["is_duplicate"].sum() == 2
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        mlygeo.upload(folder, service=service_of(server))
        (cluster,) = clusters_of(tmp_path / "store")
        uploaded = described(cluster)
        assert [each["MAPFilename"] for each in uploaded] == [f"img_{n:05}.jpg" for n in range(7)]
        assert {each["MAPDeviceMake"] for each in uploaded} == {"Ricoh"}
        assert uploaded[3]["MAPLatitude"] == pytest.approx(LAT + 3 * STEP, abs=1e-7)
        status = mlygeo.post_process(folder)["status"].value_counts()
        assert status.to_dict() == {"uploaded": 7, "duplicate": 2, "failed": 1}
        mlygeo.process(folder, rerun=True)
        mlygeo.upload(folder, service=service_of(server))
        assert len(clusters_of(tmp_path / "store")) == 1


def test_a_folder_in_which_nothing_can_be_used(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"no")
    (tmp_path / "in" / "b.jpg").write_bytes(picture(1))
    (tmp_path / "in" / "c.png").write_bytes(b"another kind")
    status, out, _ = run(capsys, "process", tmp_path / "in", "--json")
    assert status == 3
    result = json.loads(out)
    assert (result["ready"], result["failed"], result["sequences"], result["pictures_of_other_kinds"]) == (0, 2, 0, 1)
    assert len(stored(tmp_path / "in")) == 2
    assert mlygeo.process(tmp_path / "in" / "b.jpg", dry_run=True)["error"].tolist() == ["no capture time in the photo"]


@pytest.mark.parametrize(
    ("options", "zone", "expected"),
    [
        ({}, "UTC", "2024:06:10 06:13:20+00:00"),
        ({}, "Europe/Berlin", "2024:06:10 06:13:20+00:00"),
        ({"local_time": True}, "Europe/Berlin", "2024:06:10 06:13:20+02:00"),
        ({"offset_time": 30}, "UTC", "2024:06:10 06:12:50.000+00:00"),
    ],
)
def test_the_clock_that_the_camera_showed_stays_in_its_photo(tmp_path, monkeypatch, options, zone, expected):
    (path,) = folder_of(tmp_path / "in", 1, ms=None)
    clock = Tags(exif={"DateTimeOriginal": "2024:06:10 06:13:20", "CreateDate": "2024:06:10 06:13:20"})
    path.write_bytes(insert(path.read_bytes(), clock))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        images = mlygeo.process(tmp_path / "in", overwrite_exif_time_tag=True, **options)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert images["exif_written"].all()
    with ExifTool() as tool:
        found = tool.read(path)
    for name in ("DateTimeOriginal", "CreateDate"):
        assert found.get(f"Composite:SubSec{name}") == expected
    again = read_photos(path)["captured_at"]
    assert again.tolist() == images["captured_at"].tolist()


@pytest.mark.parametrize(("types", "name"), [("video", "img_00000.jpg"), ("image", "clip.mp4")])
def test_a_file_of_another_type_than_asked_for_is_counted(tmp_path, capsys, types, name):
    folder_of(tmp_path / "in", 1)
    shutil.copy(DATA / "video" / "camm_from_gopro_max.mp4", tmp_path / "in" / "clip.mp4")
    status, _, err = run(capsys, "process", tmp_path / "in" / name, "--file-types", types)
    assert status == 0
    assert "left out: files of another type than asked for (1)" in err
    assert not (tmp_path / "in" / ".mlygeo").exists()
