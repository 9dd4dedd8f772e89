"""What each verb exports: commands on bundled data and a stand-in, and the files with a frame that each leaves."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from conftest import STUTTGART
from helpers import video_files
from helpers.photo_folders import LAT, LON, STEP, folder_of, gpx_of
from helpers.small_frames import districts_frame
from helpers.upload_folders import USER_TOKEN

import mlygeo
from mlygeo import cli, store
from mlygeo.cli.verbs import VERBS
from mlygeo.standin import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

BOX = "9.1616,48.7624,9.1759,48.7789"
PICTURE = 1138211467256565
"""The image whose picture is bundled."""

TOKEN = ("--token-file", "token.txt")
RIDE = ("--geotag-source", "gpx", "--geotag-source-path", "t.gpx")
IMAGES = ("--streets", "edges.gpkg", "--images", "images.parquet")
VIDEO = ("video/drive.mp4", "--video-sample-interval", "1")

COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tiles": (
        ("--bbox", BOX, "--tile-cache", "cache", *TOKEN, "-o", "tiles/images.gpkg"),
        ("--bbox", BOX, "--tile-cache", "cache", *TOKEN, "--tiles-only", "-o", "tiles/tiles.fgb"),
    ),
    "streets": (
        ("--streets", "edges.gpkg", "--interval", "100", "-o", "streets/points.geojson"),
        ("--streets", "edges.gpkg", "--method", "stratified", "--n", "60", "--by", "highway", "-o", "streets/drawn.gpkg"),
    ),
    "select": (
        (*IMAGES, "--interval", "50", "-o", "select/selection.gpkg"),
        (*IMAGES, "--interval", "50", "-o", "select/folder"),
        ("--towards", "things.gpkg", "--images", "images.parquet", "--max-distance", "80", "--field-of-view", "70", "-o", "select/towards.gpkg"),
    ),
    "metadata": (("few.parquet", *TOKEN, "--fields", "altitude,camera_type,computed_rotation", "-o", "metadata/few.sqlite"),),
    "find-sequences": (("--bbox", BOX, *TOKEN, "-o", "sequences"),),
    "views": (("one.parquet", "--pictures", "pictures", "--relative-to", "north", "--size", "64x48", "--required-disk-space", "0", "-o", "views"),),
    "coverage": (
        (*IMAGES, "--districts", "districts.gpkg", "--cells", "quadkey17", "--compare", "../2023", "--compare", "2024/..", "-o", "coverage/coverage.gpkg"),
    ),
    "quality": (("one.parquet", "--pictures", "pictures", "-o", "quality/one.geojsonl"),),
    "tracks": (("t.gpx", "-o", "tracks/track.gpx"), ("t.gpx", "-o", "tracks/track.gpkg")),
    "sample-video": ((*VIDEO, "-o", "sampled/frames.gpkg"),),
    "convert": (("images.parquet", "convert/images.gpkg"), ("edges.gpkg", "convert/edges.fgb")),
    "partition": (("few.parquet", "-o", "partition"),),
    "process": (("process", *RIDE),),
    "extract-user-data": (("units", "--user-name", "jane"),),
    "extract-import-meta-data": (("units", "--device-make", "GoPro"),),
    "extract-geotag-data": (("units", *RIDE),),
    "extract-sequence-data": (("units",),),
    "extract-upload-params": (("units", "--user-name", "jane"),),
    "exif-insert": (("units",),),
    "geotag": (("photos", *RIDE, "-o", "geotag/images.fgb"),),
    "cut": (("photos", "-o", "cut/images.geojson"),),
    "interpolate": (("interpolate", "--data", "identical_timestamps"),),
    "process-csv": (("csv", "--csv-path", "log.csv", "--filename-column", "1", "--latitude-column", "2", "--longitude-column", "3"),),
    "process-and-upload": (("both", *TOKEN),),
    "video-process": ((*VIDEO, "--import-path", "frames"),),
    "video-process-and-upload": ((*VIDEO, "--import-path", "frames_up", *TOKEN),),
    "demo": (("-o", "demo"),),
}  # fmt: skip
"""Verb -> its commands, in the folder that `working_folder` makes, in an order in which each finds what it needs."""

WITHOUT_A_FRAME = {
    "download": "writes photos, whose places QGIS reads from their EXIF",
    "download-originals": "writes photos",
    "map": "writes pictures and pages",
    "post-process": "lists and moves photos",
    "upload": "writes the history of uploads, which has no places",
    "zip": "writes archives of photos",
}
"""Verbs with -o that export nothing that a GIS opens as a layer -> why."""


def verbs_without_commands() -> set[str]:
    """Return the verbs that export something and are not looked at here; there must be none."""
    return {verb.name for verb in VERBS if verb.output is not None} - COMMANDS.keys() - WITHOUT_A_FRAME.keys()


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Put what the commands read into a folder, go there, and serve what they ask for."""
    folder.mkdir()
    shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", folder / "edges.gpkg")
    shutil.copy(STUTTGART / "stuttgart_images.parquet", folder / "images.parquet")
    shutil.copytree(STUTTGART / "pictures", folder / "pictures")
    images = mlygeo.read_frame(folder / "images.parquet", frame="images")
    mlygeo.write_frame(images[images["id"] == PICTURE], folder / "one.parquet")
    mlygeo.write_frame(images[::40], folder / "few.parquet")
    mlygeo.write_frame(districts_frame(), folder / "districts.gpkg")
    mlygeo.write_frame(districts_frame().assign(name="a thing"), folder / "things.gpkg")
    for name in ("photos", "process", "units", "interpolate", "both"):
        folder_of(folder / name, 4)
    paths = folder_of(folder / "csv", 3, lon=None)
    (folder / "log.csv").write_text("".join(f"{path.name},{LAT + n * STEP},{LON}\n" for n, path in enumerate(paths)))
    gpx_of(folder / "t.gpx", 40)
    (folder / "token.txt").write_text(USER_TOKEN)
    (folder / "video").mkdir()
    video_files.with_track(video_files.pictures(folder / "plain.mp4"), folder / "video")
    with (
        serve(images, photos=STUTTGART / "pictures", store=folder / "store", token=USER_TOKEN) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("MLYGEO_UPLOAD_HISTORY", str(folder / "history"))
        for name in ("GRAPH_API", "TILES"):
            patch.setenv(f"MAPILLARY_{name}_ENDPOINT", server.url)
        patch.setenv("MAPILLARY_UPLOAD_ENDPOINT", f"{server.url}/upload")
        yield


def run(verb: str, folder: Path) -> tuple[list[Path], list[str]]:
    """Run the commands of a verb; return the files of frames that are new, and the commands that failed."""
    before = _files(folder)
    failed = [" ".join([verb, *words]) for words in COMMANDS[verb] if cli.main([verb, *words, "-q"]) != 0]
    changed = {path: time for path, time in _files(folder).items() if before.get(path) != time}
    return sorted(changed), failed


def _files(folder: Path) -> dict[Path, int]:
    """Return the files that hold a frame, and when each was written."""
    passed_over = {"cache", "store", "history"}
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in passed_over]
        for path in (Path(place, name) for name in names):
            if path.suffix == ".gpx" or (path.suffix in store.FORMATS and _holds_a_frame(path)):
                found[path] = path.stat().st_mtime_ns
    return found


def _holds_a_frame(path: Path) -> bool:
    if path.suffix == ".json":
        return False  # summaries and lists
    if path.suffix == ".sqlite":
        return ".mlygeo" not in path.parts  # where what a run has done is noted
    return path.suffix not in store.PARQUET or b"geo" in (pq.read_schema(path).metadata or {})
