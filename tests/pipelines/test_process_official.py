"""The official client as an oracle: what it makes of a folder of photos, and what we make of it."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from helpers.mapillary_tools_oracle import program
from helpers.photo_folders import LAT, LON, START_MS, STEP, folder_of, picture, tagged
from PIL import Image
from PIL.ExifTags import IFD, Base

import mlygeo
from mlygeo.providers.mapillary.descriptions import read_descriptions

HEADINGS = "MAPCompassHeading"


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))


def theirs(folder, tmp_path, *words):
    """Return the entries that the official client makes, by file name."""
    path = tmp_path / "theirs.json"
    done = subprocess.run(
        [str(program()), "process", str(folder), "--skip_process_errors", "--desc_path", str(path), "--cutoff_distance",
         "600", *map(str, words)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {Path(entry["filename"]).name: entry for entry in json.loads(path.read_text())}


def ours(folder, tmp_path, **options):
    path = tmp_path / "ours.json"
    mlygeo.process(folder, skip_exif_insert=True, desc_path=path, **options)
    return {Path(entry["filename"]).name: entry for entry in json.loads(path.read_text())}


def sequences_of(entries):
    """Return the sets of files that form sequences, whatever the ids."""
    groups = {}
    for name, entry in entries.items():
        if "error" not in entry:
            groups.setdefault(entry["MAPSequenceUUID"], []).append(name)
    return sorted(sorted(names) for names in groups.values())


def test_real_photos(tmp_path):
    """
    Same failures, and time, position, altitude, heading, make, model, orientation of all others.

    On purpose we differ in four: where there is no heading they write 0, and an orientation of 1 where the photo has none;
    we take the zone of a time without one from the same second in XMP, and the decimals of a GPS time of whole seconds
    from the camera's clock, as burst photos need it.
    """
    refined = {
        "Nokia_Lumia_800_cut.jpg": ("2012_06_09_21_23_38_000", "2012_06_09_20_23_38_000"),  # +01:00, in Dublin
        "samsung_SM-N950F_cut.jpg": ("2019_03_30_15_16_04_000", "2019_03_30_15_16_04_025"),
    }
    folder = tmp_path / "in"
    shutil.copytree(DATA / "photos", folder)
    a, b = theirs(folder, tmp_path), ours(folder, tmp_path)
    assert a.keys() == b.keys()
    assert {name for name in a if "error" in a[name]} == {name for name in b if "error" in b[name]}
    compared = 0
    for name, entry in a.items():
        if "error" in entry:
            continue
        mine = b[name]
        for key in set(entry) | set(mine):
            if key in {"md5sum", "MAPSequenceUUID"}:
                continue
            if key == HEADINGS and key not in mine:
                assert entry[key] == {"TrueHeading": 0.0, "MagneticHeading": 0.0}
            elif key == "MAPOrientation" and key not in mine:
                assert entry[key] == 1
            elif key == "MAPCaptureTime" and name in refined:
                assert (entry[key], mine[key]) == refined[name]
            else:
                assert entry[key] == mine[key], (name, key)
                compared += 1
    assert compared > 100
    assert sequences_of(a) == sequences_of(b)


def test_a_gpx_track(tmp_path):
    """Positions agree to a centimetre, headings to 0.15°, and the same photos lie outside the track but one."""
    track = mlygeo.read_track(DATA / "tracks" / "sf_30km_h.gpx")
    times = track["time"].dt.as_unit("ms").astype("int64").to_numpy()
    start, span = int(times[0]), int(times[-1] - times[0])
    folder = tmp_path / "in"
    # Half a second into points of the track, and five photos well outside it.
    folder_of(folder, 30, lon=None, ms=lambda n: start + 500 + span * n // 25)
    a = theirs(folder, tmp_path, "--geotag_source", "gpx", "--geotag_source_path", DATA / "tracks" / "sf_30km_h.gpx")
    b = ours(folder, tmp_path, geotag_source="gpx", geotag_source_path=DATA / "tracks" / "sf_30km_h.gpx")
    lost = {name for name in a if "error" in a[name]}
    # Photo 25 is half a second past the end, up to which a second we extend the track, and they nothing.
    assert lost - {name for name in b if "error" in b[name]} == {"img_00025.jpg"}
    assert lost == {f"img_{number:05}.jpg" for number in range(25, 30)}
    for name in a.keys() - lost:
        assert a[name]["MAPCaptureTime"] == b[name]["MAPCaptureTime"]
        assert a[name]["MAPLatitude"] == pytest.approx(b[name]["MAPLatitude"], abs=1.1e-7)
        assert a[name]["MAPLongitude"] == pytest.approx(b[name]["MAPLongitude"], abs=1.1e-7)
        assert a[name]["MAPAltitude"] == pytest.approx(b[name]["MAPAltitude"], abs=0.0011)
        turn = abs(a[name][HEADINGS]["TrueHeading"] - b[name][HEADINGS]["TrueHeading"]) % 360
        # Theirs is a bearing on a sphere.
        assert min(turn, 360 - turn) < 0.15
    del b["img_00025.jpg"]
    assert sequences_of(a) == sequences_of(b)


@pytest.mark.parametrize("seed", range(3))
def test_sequences_duplicates_and_bursts(tmp_path, seed):
    """Cutting, duplicates and times of bursts, with headings in the photos, from the same options."""
    rng = np.random.default_rng(seed)
    folder = tmp_path / "in"
    count = 120
    step_s = rng.choice([0.0, 1.0, 2.0, 70.0], count, p=[0.25, 0.4, 0.3, 0.05])
    step_m = rng.choice([0.0, 0.3, 8.0], count, p=[0.35, 0.2, 0.45])
    ms = START_MS + (np.cumsum(step_s) * 1000).astype(int)
    lat = LAT + np.cumsum(step_m) / 111_200
    heading = np.round(rng.choice([10.0, 12.0, 30.0], count), 3)
    folder_of(folder, count, ms=lambda n: int(ms[n]), lat=lambda n: float(lat[n]), heading=lambda n: float(heading[n]))
    words = ["--cutoff_time", 60, "--duplicate_distance", 0.5, "--duplicate_angle", 5]
    a = theirs(folder, tmp_path, *words)
    b = ours(folder, tmp_path, cutoff_time=60, duplicate_distance=0.5, duplicate_angle=5)
    result = {name: entry["error"]["type"] for name, entry in a.items() if "error" in entry}
    assert set(result.values()) == {"MapillaryDuplicationError"}
    assert set(result) == {name for name in b if "error" in b[name]}
    assert len(result) > 10
    for name in a.keys() - result.keys():
        assert a[name]["MAPCompassHeading"] == b[name]["MAPCompassHeading"]
        # They cut a fraction of a millisecond off when they write, we when we spread.
        assert a[name]["MAPCaptureTime"][:-2] == b[name]["MAPCaptureTime"][:-2]
    assert sequences_of(a) == sequences_of(b)


@pytest.mark.parametrize("seed", range(3))
def test_duplicates_and_headings_of_photos_without_headings(tmp_path, seed):
    """A camera that stops in the jitter of its GPS: the same photos are kept, and look along those that are kept."""
    rng = np.random.default_rng(seed)
    folder = tmp_path / "in"
    count = 90
    rests = rng.random(count) < 0.5
    lat = LAT + np.cumsum(np.where(rests, 0, 10 / 111_200)) + rng.normal(0, 0.3 / 111_200, count)
    lon = LON + rng.normal(0, 0.3 / 73_000, count)
    heading = np.where(rng.random(count) < 0.2, 5.0, np.nan)
    known = lambda n: None if np.isnan(heading[n]) else float(heading[n])
    folder_of(folder, count, lat=lambda n: float(lat[n]), lon=lambda n: float(lon[n]), heading=known)
    a = theirs(folder, tmp_path, "--duplicate_distance", 1.5)
    b = ours(folder, tmp_path, duplicate_distance=1.5)
    duplicates = {name for name in a if "error" in a[name]}
    assert duplicates == {name for name in b if "error" in b[name]}
    assert len(duplicates) > 20
    for name in a.keys() - duplicates:
        turn = abs(a[name][HEADINGS]["TrueHeading"] - b[name][HEADINGS]["TrueHeading"]) % 360
        # Theirs is a bearing on a sphere.
        assert min(turn, 360 - turn) < 0.2, name


@pytest.mark.parametrize("seed", range(2))
def test_cameras_are_told_apart_alike(tmp_path, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(30):
        size = [(32, 24), (24, 32), (32, 16)][rng.integers(3)]
        exif = Image.Exif()
        exif.get_ifd(IFD.Exif).update({Base.ExifImageWidth: size[0], Base.ExifImageHeight: size[1]})
        out = io.BytesIO()
        Image.open(io.BytesIO(picture(number, size))).save(out, "JPEG", exif=exif)
        content = tagged(out.getvalue(), ms=START_MS + 2000 * number, lon=LON, lat=LAT + number * STEP, heading=0.0)
        (folder / f"IMG_{number}.jpg").write_bytes(content)
    a, b = sequences_of(theirs(folder, tmp_path)), sequences_of(ours(folder, tmp_path))
    assert len(b) == 3
    assert a == b


def test_each_reads_what_the_other_wrote(tmp_path):
    folder = tmp_path / "in"
    folder_of(folder, 20, altitude=lambda n: 100.0 + n, heading=lambda n: n * 10.0)
    theirs_here = theirs(folder, tmp_path)
    read = read_descriptions(tmp_path / "theirs.json")
    mine = mlygeo.process(folder, skip_exif_insert=True, desc_path=tmp_path / "ours.json")
    assert read["captured_at"].tolist() == mine["captured_at"].tolist()
    np.testing.assert_allclose(read["compass_angle"], mine["compass_angle"], atol=1e-3)
    np.testing.assert_allclose(read.geometry.y, mine.geometry.y, atol=1e-7)
    np.testing.assert_allclose(read["altitude"], mine["altitude"], atol=1e-3)
    assert len(theirs_here) == 20
    code = (
        "import sys; from pathlib import Path; from mapillary_tools.serializer.description import DescriptionJSONSerializer as S;"
        "found = S.deserialize(Path(sys.argv[1]).read_bytes()); print(len(found), found[0].lat, found[0].angle)"
    )
    python = program().parent / "python"
    done = subprocess.run([str(python), "-c", code, str(tmp_path / "ours.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, lat, angle = done.stdout.split()
    assert int(count) == 20
    assert float(lat) == pytest.approx(LAT, abs=1e-7)
    assert float(angle) == 0.0


def test_tags_that_we_wrote_are_what_they_read(tmp_path):
    folder = tmp_path / "in"
    folder_of(folder, 10, heading=lambda n: 10.0)
    images = mlygeo.process(folder, offset_angle=90, offset_time=1.25, overwrite_all_exif_tags=True)
    a = theirs(folder, tmp_path)
    for name, row in zip(sorted(a), images.itertuples(), strict=True):
        assert a[name]["MAPCompassHeading"]["TrueHeading"] == pytest.approx(100.0, abs=1e-3)
        assert a[name]["MAPLatitude"] == pytest.approx(row.geometry.y, abs=1e-7)
        assert a[name]["MAPCaptureTime"] == f"{row.captured_at:%Y_%m_%d_%H_%M_%S_%f}"[:-3]
    assert a["img_00000.jpg"]["MAPLongitude"] == LON
    assert STEP > 0
