"""
For each option of the verbs of photos and videos a call in which it changes what comes out: frame, summary or files.

What changes nothing there would be silent everywhere; what changes nothing beside others is refused, see
`test_no_silent_options`. A third of the options is tried, the same in each run; MLYGEO_WHOLE_SWEEP=1 tries all.
"""

import functools
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import pandas as pd
import pytest
from helpers import video_files
from helpers.photo_folders import START_MS, folder_of, gpx_of

import mlygeo

NEXT_RUN = "shows in a run after another one, see test_processing"

ELSEWHERE = {
    "progress": "shows, and changes nothing",
    "rerun": NEXT_RUN,
    "file_types": "of mixed folders, see test_process_official",
    "video_geotag_source": "of videos beside photos, see test_process_official",
    "local_time": "of clocks without a zone, see test_photos",
    "push_images": "says that it has none",
    "hardware": "there is none in tests",
    "decoder": "the same pictures",
    "move_uploaded": "after an upload, see test_sorting",
    "reupload": "after an upload, see tests of uploads",
    "undo": NEXT_RUN,
    "video_import_path": "another name of what is processed",
    "preset": "of Panoramax's rules, see spatial/test_dispatch and providers/panoramax/test_uploads",
    **dict.fromkeys(("workers", "executor", "client", "scheduler", "part"), "of datasets, see parts/test_sequences"),
    "endpoint": "of an instance, see providers/panoramax/test_uploads",
}
"""Options whose effect needs what these calls have not, and where it is tested."""


def photos(folder):
    folder_of(folder / "in", 6, heading=lambda n: 90.0 + n, whole_second=True, seconds=0.5)
    # Two at one place, then faster than a car.
    folder_of(folder / "in" / "sub", 4, seconds=1.0, lat=lambda n: 48.8 + (0 if n < 2 else n * 1e-2), heading=0.0)
    gpx_of(folder / "t.gpx", 40, start_ms=START_MS - 3000)
    (folder / "goal").mkdir()


def described(folder):
    photos(folder)
    mlygeo.process(folder / "in", desc_path=folder / "d.json", skip_exif_insert=True)
    (folder / "d.json").write_text(json.dumps(json.loads((folder / "d.json").read_text())[:3]))
    mlygeo.process(folder / "in")


def processed(folder):
    photos(folder)
    mlygeo.process(folder / "in")


TRACK = {"geotag_source": "gpx", "geotag_source_path": "{}/t.gpx"}

FOR_PHOTOS = {
    "output": ({}, "{}/out"), "skip_subfolders": ({}, True), "user_name": ({}, "jane"), "organization_name": ({}, "o"),
    "organization_key": ({}, "5"), "private": ({}, True), "device_make": ({}, "m"), "device_model": ({}, "m"),
    "add_file_name": ({}, True), "exclude_import_path": ({"add_file_name": True}, True),
    "exclude_path": ({"add_file_name": True}, "{}/in"), "windows_path": ({"add_file_name": True}, True),
    "add_import_date": ({}, True), "orientation": ({}, 90), "gps_accuracy": ({}, 3.0), "camera_uuid": ({}, "c"),
    "custom_meta_data": ({}, "a,string,b"), "geotag_source": ({"geotag_source_path": "{}/t.gpx"}, "gpx"),
    "geotag_source_path": ({"geotag_source": "gpx"}, "{}/t.gpx"), "sub_second_interval": ({"skip_subfolders": True}, 0.45),
    "offset_time": ({}, 1.0), "offset_angle": ({}, 3.0), "interpolation_offset_time": (TRACK, 1.0),
    "use_gps_start_time": (TRACK, True), "max_gap": (TRACK, 0.1), "cutoff_distance": ({}, 5.0), "cutoff_time": ({}, 0.7),
    "max_images": ({}, 2), "interpolate_directions": ({}, True), "keep_duplicates": ({}, True),
    "duplicate_distance": ({}, 15.0), "duplicate_angle": ({"duplicate_distance": 15.0}, 0.5), "max_speed": ({}, 20.0),
    "skip_exif_insert": ({}, True), "keep_original": ({}, True), "overwrite_all_exif_tags": ({}, True),
    "overwrite_exif_time_tag": ({}, True), "overwrite_exif_gps_tag": (TRACK, True),
    "overwrite_exif_direction_tag": ({"offset_angle": 3.0}, True),
    "overwrite_exif_orientation_tag": ({"orientation": 90}, True), "desc_path": ({}, "{}/d.json"),
    "summarize": ({"save_as_json": True, "list_file_status": True}, True), "list_file_status": ({}, True),
    "save_as_json": ({"summarize": True}, True), "save_local_mapping": ({}, True), "move_all_images": ({}, True),
    "move_duplicates": ({}, True), "move_sequences": ({}, True),
    "split_import_path": ({"move_all_images": True}, "{}/goal"), "dry_run": ({}, True),
}  # fmt: skip
"""For each option what is given beside it, and its value."""

SORTED = {
    name: FOR_PHOTOS[name]
    for name in ("skip_subfolders", "summarize", "list_file_status", "save_as_json", "save_local_mapping",
                 "move_all_images", "split_import_path")
}  # fmt: skip

VERBS = {
    "process": (photos, {"import_path": "{}/in"}, FOR_PHOTOS),
    "post_process": (
        processed,
        {"import_path": "{}/in"},
        SORTED | {"output": ({"summarize": True}, "{}/out"), "dry_run": ({"move_all_images": True}, True)},
    ),
    "geotag_photos": (
        photos,
        {"images": "{}/in"},
        {name: FOR_PHOTOS[name] for name in ("skip_subfolders", "geotag_source", "geotag_source_path", "offset_time",
         "sub_second_interval", "offset_angle", "interpolation_offset_time", "use_gps_start_time", "max_gap")},
    ),
    "cut": (
        photos,
        {"images": "{}/in"},
        {name: FOR_PHOTOS[name] for name in ("skip_subfolders", "cutoff_distance", "cutoff_time", "max_images",
         "interpolate_directions", "offset_angle", "keep_duplicates", "duplicate_distance", "duplicate_angle", "max_speed")}
        | {"offset_angle": ({"interpolate_directions": True}, 3.0)},
    ),
    "zip_sequences": (
        described,
        {"import_path": "{}/in", "output": "{}/zips"},
        {"output": ({}, "{}/out"), "desc_path": ({}, "{}/d.json"), "skip_subfolders": ({}, True), "private": ({}, True)},
    ),
}  # fmt: skip


@functools.cache
def video():
    """The bytes of a video; made again they differ, for it notes when it was made."""
    with tempfile.TemporaryDirectory() as folder:
        return video_files.pictures(Path(folder) / "a.mp4", seconds=3.0, rate=10, size=(64, 48)).read_bytes()


def filmed(folder):
    for place in (folder / "in", folder / "in" / "sub"):
        place.mkdir(parents=True)
        (place / "a.mp4").write_bytes(video())
    gpx_of(folder / "t.gpx", 40, start_ms=1_714_903_200_000)


VERBS["sample_video"] = (
    filmed,
    {"videos": "{}/in", "import_path": "{}/frames"},
    {
        "import_path": ({}, "{}/others"), "video_sample_interval": ({}, 1.0), "track": ({}, "{}/t.gpx"),
        "video_sample_distance": ({"track": "{}/t.gpx"}, 5.0), "video_start_time": ({"skip_subfolders": True}, 1_718_000_000_000),
        "video_duration_ratio": ({}, 0.5), "skip_subfolders": ({}, True),
    },
)  # fmt: skip


def outcome(name, arguments, folder):
    """What comes out of a call in a new folder: the frame, its summary, and the files with what is in them."""
    prepare = VERBS[name][0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    prepare(folder)
    for path in folder.rglob("*"):  # a video without a time of its own has that of its file
        os.utime(path, (1_700_000_000, 1_700_000_000))
    given = {key: each.format(folder) if isinstance(each, str) else each for key, each in arguments.items()}
    found = getattr(mlygeo, name)(**given)
    files = {}
    results = (each for each in folder.rglob("*") if each.is_file() and "lock" not in each.parts)
    for path in sorted(
        each for each in results if not each.name.startswith(".")
    ):  # what a run notes for itself is none
        files[path.relative_to(folder).as_posix()] = (
            pd.read_parquet(path).drop(columns="modified_ns", errors="ignore").map(repr).to_csv()
            if path.suffix == ".parquet"
            else hashlib.md5(path.read_bytes()).hexdigest()
        )
    plain = found.drop(columns=["modified_ns"], errors="ignore").map(repr).to_csv()
    return plain, json.dumps(found.attrs.get("summary"), default=str, sort_keys=True), files


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    return tmp_path / "work"


@pytest.mark.parametrize("name", VERBS)
def test_each_option_has_an_effect(name, home):
    _, base, options = VERBS[name]
    parameters = set(inspect.signature(getattr(mlygeo, name)).parameters)
    assert parameters - options.keys() - ELSEWHERE.keys() - FOR_PHOTOS.keys() <= base.keys(), "each has its call"
    assert options.keys() <= parameters
    without, silent = {}, []
    for option, (beside, value) in options.items():
        if "MLYGEO_WHOLE_SWEEP" not in os.environ and zlib.crc32(f"{name} {option}".encode()) % 3:
            continue
        call = {each: given for each, given in (base | beside).items() if each != option or option in base}
        key = json.dumps(call)
        if key not in without:
            try:
                without[key] = outcome(name, call, home)
            except mlygeo.errors.MlygeoError as error:
                without[key] = str(error)
        if outcome(name, call | {option: value}, home) == without[key]:
            silent.append(option)
    assert not silent


def test_the_same_call_gives_the_same(home):
    """Otherwise anything would seem to have an effect."""
    for name in ("process", "zip_sequences", "sample_video"):
        base = VERBS[name][1]
        assert outcome(name, base, home) == outcome(name, base, home), name
