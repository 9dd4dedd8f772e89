"""`mlygeo mapillary_tools`: the documented commands of mapillary_tools 0.14.7 and what comes of them."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import jsonschema
import pytest
from conftest import DATA
from helpers.photo_folders import folder_of, gpx_of
from helpers.video_files import pictures

from mlygeo import cli

OFFICIAL = frozenset(
    {
        "MAPLatitude", "MAPLongitude", "MAPAltitude", "MAPCaptureTime", "MAPCompassHeading", "MAPSequenceUUID",
        "MAPMetaTags", "MAPDeviceMake", "MAPDeviceModel", "MAPGPSAccuracyMeters", "MAPCameraUUID", "MAPFilename",
        "MAPOrientation",
    }
)  # fmt: skip
"""The MAP… fields of images in image_description_schema.json of mapillary_tools 0.14.7."""

NUMBER = {"type": "number"}

ENTRIES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["filename", "filetype"],
        "oneOf": [
            {
                "required": ["MAPLatitude", "MAPLongitude", "MAPCaptureTime"],
                "properties": {
                    **{name: {} for name in OFFICIAL},
                    "MAPLatitude": {"type": "number", "minimum": -90, "maximum": 90},
                    "MAPLongitude": {"type": "number", "minimum": -180, "maximum": 180},
                    "MAPAltitude": NUMBER,
                    "MAPCaptureTime": {"type": "string", "pattern": "^[0-9]{4}(_[0-9]{2}){5}_[0-9]+$"},
                    "MAPCompassHeading": {
                        "type": "object",
                        "properties": {"TrueHeading": NUMBER, "MagneticHeading": NUMBER},
                        "required": ["TrueHeading", "MagneticHeading"],
                        "additionalProperties": False,
                    },
                    "MAPOrientation": {"type": "integer"},
                    "filename": {"type": "string"},
                    "filetype": {"enum": ["image"]},
                    "filesize": {"type": ["number", "null"]},
                    "md5sum": {"type": ["string", "null"]},
                },
                "additionalProperties": False,
            },
            {
                "required": ["MAPGPSTrack"],
                "properties": {
                    "MAPGPSTrack": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "array",
                            "prefixItems": [NUMBER] * 3 + [{"type": ["number", "null"]}] * 3,
                            "minItems": 6,
                            "maxItems": 6,
                        },
                    },
                    **{name: {"type": "string"} for name in ("MAPDeviceMake", "MAPDeviceModel", "MAPCameraUUID")},
                    "filename": {"type": "string"},
                    "filetype": {"enum": ["camm", "gopro", "blackvue", "video"]},
                    "filesize": {"type": ["number", "null"]},
                    "md5sum": {"type": ["string", "null"]},
                },
                "additionalProperties": False,
            },
            {
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["type", "message"],
                        "properties": {"type": {"type": "string"}, "message": {"type": "string"}, "vars": {}},
                        "additionalProperties": False,
                    },
                    "filename": {"type": "string"},
                    "filetype": {"type": "string"},
                },
                "additionalProperties": False,
            },
        ],
    },
}
"""What mapillary_tools 0.14.7 takes as a description file (serializer/description.py), in our words."""


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))


@pytest.fixture
def videos(tmp_path):
    """A video without positions, and one of a GoPro Max."""
    (tmp_path / "V").mkdir()
    pictures(tmp_path / "V" / "plain.mp4", seconds=5.0, created=None)
    shutil.copy(DATA / "video" / "gopro_max-heromode.mp4", tmp_path / "V" / "gopro.mp4")
    return tmp_path / "V"


def run(capsys, *words):
    capsys.readouterr()
    status = cli.main(["mapillary_tools", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def described(capsys, *words):
    """Return status and entries by name of a `process`."""
    status, out, err = run(capsys, "process", "--desc_path", "-", *words)
    assert out, err
    entries = json.loads(out)
    jsonschema.Draft202012Validator(ENTRIES).validate(entries)
    return status, {Path(entry["filename"]).name: entry for entry in entries}


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("--video_sample_distance -1 --video_sample_interval 2 --video_start_time 2021_10_10_10_10_10_123", 3),
        ("--video_sample_distance=-1 --video_sample_interval=1 --video_start_time=1633860610123", 5),
    ],
)
def test_frames_by_time(capsys, videos, words, count):
    assert run(capsys, "sample_video", videos / "plain.mp4", "SAMPLES", *words.split())[0] == 0
    frames = sorted(Path("SAMPLES/plain.mp4").glob("*.jpg"))
    assert [frame.name for frame in frames] == [f"plain_{number + 1:06}.jpg" for number in range(count)]
    status, entries = described(capsys, "SAMPLES", "--skip_process_errors")
    assert status == 0
    assert len(entries) == count


@pytest.mark.parametrize("words", ["", "--video_sample_interval 2", "--video_sample_distance -1"])
def test_of_distance_and_interval_just_one_counts(capsys, videos, words):
    wrong = bool(words)
    with_start = "--skip_sample_errors" if not wrong else "--rerun"
    status, _, err = run(capsys, "sample_video", videos, "SAMPLES", with_start, *words.split())
    assert (status == 2) == wrong, err


def test_photos_and_videos_together(capsys, videos):
    folder_of(Path("DIR"), 3)
    status, entries = described(capsys, "DIR", *sorted(videos.glob("*.mp4")))
    assert status == 6  # one video has no positions
    assert {name: entry["filetype"] for name, entry in entries.items() if "error" not in entry} == {
        **{path.name: "image" for path in Path("DIR").glob("*.jpg")},
        "gopro.mp4": "gopro",
    }
    gopro = entries["gopro.mp4"]
    assert (gopro["MAPDeviceMake"], gopro["MAPDeviceModel"], len(gopro["MAPGPSTrack"])) == ("GoPro", "GoPro Max", 191)
    assert gopro["MAPGPSTrack"][0][:4] == [0, -117.3273436, 33.12677, -22.959]
    assert entries["plain.mp4"]["error"]["type"] == "MapillaryVideoGPSNotFoundError"
    status, again = described(capsys, "--skip_process_errors", "DIR", "DIR", *videos.glob("*.mp4"), videos)
    assert (status, again) == (0, entries)
    status, few = described(capsys, "--filetypes", "image", "DIR", videos)
    assert (status, set(few)) == (0, {path.name for path in Path("DIR").glob("*.jpg")})


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("--video_geotag_source gpx", "MapillaryVideoGPSNotFoundError"),
        ("--filetypes blackvue --geotag_source native", "MapillaryVideoGPSNotFoundError"),
        ('--geotag_source {"source":"exiftool_xml","pattern":"%g.xml"}', "MapillaryExifToolXMLNotFoundError"),
        ('--geotag_source {"source":"exiftool_xml","pattern":"%g.xml"} --geotag_source native', None),
    ],
)
def test_sources_of_videos(capsys, videos, words, kind):
    _, entries = described(capsys, *words.split(), videos / "gopro.mp4")
    assert entries["gopro.mp4"].get("error", {}).get("type") == kind


def test_a_log_beside_a_video_is_paired_by_the_clock(capsys, videos):
    """The plain video knows no time, and the GoPro that its own GPS was there in another year."""
    for name in ("plain", "gopro"):
        gpx_of(videos / f"{name}.gpx", 40)
    status, entries = described(capsys, "--video_geotag_source", "gpx", videos)
    track = entries["plain.mp4"]["MAPGPSTrack"]
    assert track[0][0] == 0
    assert 5_000 <= track[-1][0] <= 8_000  # the video lasts 5 s
    assert entries["gopro.mp4"]["error"]["type"] == "MapillaryOutsideGPXTrackError", entries["gopro.mp4"]
    assert "by its GPS" in entries["gopro.mp4"]["error"]["message"]
    assert status == 6
    together = '{"source":"gpx","interpolation_use_gpx_start_time":true}'
    status, entries = described(capsys, "--video_geotag_source", together, videos)
    assert entries["gopro.mp4"]["MAPGPSTrack"][0][0] == 0
    assert status == 0


def test_a_log_of_two_tracks_at_once_places_no_video(capsys, videos):
    log, other = gpx_of(videos / "plain.gpx", 40), gpx_of(videos / "other.gpx", 40)
    track = re.search("<trk>.*</trk>", other.read_text().replace('lat="48.', 'lat="50.').replace(".000Z", ".500Z"))
    other.unlink()
    log.write_text(log.read_text().replace("</gpx>", f"{track[0]}</gpx>"))
    status, entries = described(capsys, "--video_geotag_source", "gpx", videos / "plain.mp4")
    assert "2 tracks overlap in time" in entries["plain.mp4"]["error"]["message"]
    assert status == 6


def test_the_sign_of_an_offset(capsys):
    folder_of(Path("DIR"), 2)
    _, plain = described(capsys, "DIR")
    _, moved = described(capsys, "DIR", "--offset_time=2.5")
    for name, entry in plain.items():
        before, after = (each["MAPCaptureTime"] for each in (entry, moved[name]))
        assert int(after[-6:].replace("_", "")) - int(before[-6:].replace("_", "")) in {2500, -57500}
    assert cli.main(["process", "DIR", "--offset_time=2.5", "--desc_path", "-"]) == 0
    out, err = capsys.readouterr()
    assert all(
        entry["MAPCaptureTime"] < plain[Path(entry["filename"]).name]["MAPCaptureTime"] for entry in json.loads(out)
    )
    assert "subtracted" in err


def test_photos_stay_as_they_are_unless_asked(capsys):
    folder_of(Path("DIR"), 2)
    before = {path: path.read_bytes() for path in Path("DIR").glob("*.jpg")}
    assert run(capsys, "process", "DIR")[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    assert run(capsys, "process", "DIR", "--overwrite_all_EXIF_tags")[0] == 0
    assert all(path.read_bytes() != content for path, content in before.items())


def test_archives_go_where_the_second_path_says(capsys):
    folder_of(Path("IN"), 3)
    assert run(capsys, "zip", "IN", "OUT")[0] == 3  # nothing is described yet
    cli.main(["process", "IN", "--user_name", "jane", "--organization_key", "7", "-q"])
    assert run(capsys, "zip", "IN", "OUT")[0] == 0
    assert not Path("zips").exists()
    [archive] = Path("OUT").glob("mly_tools_*.zip")
    from mlygeo.providers import descriptions
    from mlygeo.uploads.archives import descriptions_in

    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            with opened.open(name) as file:
                inside = descriptions().inside(file)
            assert inside.keys() <= OFFICIAL
            entry = {**inside, "filename": name, "filetype": "image"}
            jsonschema.Draft202012Validator(ENTRIES).validate([entry])
    found = descriptions_in(archive)
    assert set(found["organization_key"]) == {"7"}
    assert set(found["user_name"]) == {"jane"}


def test_descriptions_from_standard_input(capsys, monkeypatch):
    folder_of(Path("IN"), 3)
    _, out, _ = run(capsys, "process", "IN", "--desc_path", "-")
    shutil.rmtree("IN/.mlygeo")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out.encode())))
    assert run(capsys, "zip", "IN", "OUT", "--desc_path", "-")[0] == 0
    [archive] = Path("OUT").glob("*.zip")
    assert len(zipfile.ZipFile(archive).namelist()) == 3


def test_two_folders_of_photos_are_ambiguous(capsys):
    for name in ("A", "B"):
        folder_of(Path(name), 2)
        cli.main(["process", name, "-q"])
    capsys.readouterr()
    assert cli.main(["zip", "A", "B"]) == 2
    assert "-o" in capsys.readouterr().err
    assert cli.main(["zip", "A", "B", "-o", "OUT"]) == 0
    assert len(list(Path("OUT").glob("*.zip"))) >= 1


def test_private_images_say_so_in_archives(capsys):
    folder_of(Path("IN"), 2)
    cli.main(["process", "IN", "--user_name", "jane", "--organization_key", "7", "--private", "-q"])
    assert run(capsys, "zip", "IN", "OUT")[0] == 0
    from mlygeo.uploads.archives import descriptions_in

    found = descriptions_in(next(Path("OUT").glob("*.zip")))
    assert set(found["private"]) == {True}
    assert set(found["organization_key"]) == {"7"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("process nowhere", 3, "nowhere does not exist"),
        ("process", 2, "takes 1 or more paths, not 0"),
        ("process DIR --no_such_option", 2, "--no_such_option"),
        ("process DIR --user_name jane", 2, "--user_name"),
        ("process DIR --geotag_source gps", 2, "'gps'"),
        ("process DIR --geotag_source {", 2, "JSON"),
        ('process DIR --geotag_source {"source":"gpx","file":"x"}', 2, "'file'"),
        ("process DIR --geotag_source gpx --offset_time 2", 2, "--offset_time"),
        ("process DIR --desc_path x.gpx", 2, "JSON"),
        ("zip DIR", 2, "takes 2 paths, not 1"),
        ("sample_video A B C", 2, "takes 1 to 2 paths, not 3"),
        ("publish DIR", 2, "publish"),
        ("sample_video V --video_start_time noon", 2, "noon"),
        ("sample_video V --video_start_time 2021-10-10T10:10:10", 2, "offset from UTC"),
        ("--version", 0, ""),
        ("--help", 0, ""),
    ],
)
def test_what_is_not_taken_is_an_error_that_names_it(capsys, words, status, said):
    folder_of(Path("DIR"), 2)
    Path("V").mkdir()
    result, _, err = run(capsys, *words.split())
    assert result == status, err
    assert said in err


def test_settings_of_the_environment(capsys, monkeypatch):
    folder_of(Path("DIR"), 6)
    monkeypatch.setenv("MAPILLARY_TOOLS_MAX_SEQUENCE_LENGTH", "2")
    _, entries = described(capsys, "DIR")
    assert len({entry["MAPSequenceUUID"] for entry in entries.values()}) == 3
    monkeypatch.setenv("MAPILLARY_TOOLS_GOPRO_GPS_FIXES", "0")
    status, _, err = run(capsys, "process", "DIR")
    assert status == 2
    assert "MAPILLARY_TOOLS_GOPRO_GPS_FIXES" in err


@pytest.mark.parametrize("source", ["exiftool_runtime", "exiftool_runtime,native"])
def test_without_exiftool(capsys, monkeypatch, source):
    monkeypatch.setenv("MAPILLARY_TOOLS_EXIFTOOL_PATH", "no-such-program")
    folder_of(Path("DIR"), 2)
    status, entries = described(capsys, "--geotag_source", source, "DIR")
    kinds = {entry.get("error", {}).get("type") for entry in entries.values()}
    assert (status, kinds) == ((6, {"MapillaryExiftoolNotFoundError"}) if source == "exiftool_runtime" else (0, {None}))


def test_an_error_that_is_skipped_keeps_the_status(capsys):
    folder_of(Path("DIR"), 2, lat=None, lon=None)
    assert run(capsys, "process", "DIR")[0] == 6
    assert run(capsys, "process", "DIR", "--skip_process_errors")[0] == 0
    entries = json.loads(Path("DIR/mapillary_image_description.json").read_text())
    assert {entry["error"]["type"] for entry in entries} == {"MapillaryGeoTaggingError"}
