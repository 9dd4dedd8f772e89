"""
Random histories of photos: processed, moved, renamed, copied, retagged, zipped and uploaded, in any order.

In the end each picture must be at the stand-in exactly once. Pictures are compared by their bytes from the first
scan on, which is all that this module knows of JPEG.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from helpers.photo_folders import LAT, LON, START_MS, STEP, tagged
from helpers.upload_folders import USER_TOKEN, clusters_of, service_of
from PIL import Image

import mlygeo
from mlygeo.errors import InputError
from mlygeo.standin import serve

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = (
    {},
    {"overwrite_all_exif_tags": True},
    {"overwrite_all_exif_tags": True, "offset_time": 3600.0},
    {"overwrite_exif_time_tag": True, "offset_time": -2.5},
    {"overwrite_exif_gps_tag": True},
    {"overwrite_exif_direction_tag": True, "offset_angle": 90.0, "interpolate_directions": True},
    {"overwrite_exif_orientation_tag": True, "orientation": 90},
    {"skip_exif_insert": True},
    {"keep_original": True},
    {"rerun": True, "add_file_name": True, "add_import_date": True},
    {"device_make": "Other", "device_model": "Camera", "gps_accuracy": 3.0},
    {"user_name": "jane", "custom_meta_data": "weather,string,rain"},
)

RETAGGED = (
    ("-Artist=jane", "-Copyright=jane", "-XMP:Rating=4"),
    ("-Orientation#=6", "-IPTC:Keywords=street"),
    ("-P", "-UserComment=a holiday"),
    ("-GPSAltitude=100", "-GPSImgDirection=10"),
    ("-all=", "-tagsFromFile", "@", "-time:all", "-gps:all", "-ImageDescription", "-ImageUniqueID"),
    ("-XMP:all=", "-DateTimeOriginal+=0:0:0 0:0:1"),
)
"""What ExifTool does to photos. Of the two times in a photo at least one stays."""

BLACK = 5
"""Every so many photos one is black: all of these have equal pictures, and differ by their times."""


def photo(number, rng):
    if number % BLACK == 0:
        pixels = np.zeros((24, 32, 3), dtype=np.uint8)
    else:
        pixels = np.random.default_rng(rng.getrandbits(32)).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return tagged(out.getvalue(), ms=START_MS + number * 2000, lon=LON, lat=LAT + number * STEP)


def scan(jpeg):
    start = jpeg.rindex(b"\xff\xda")
    return jpeg[start : jpeg.index(b"\xff\xd9", start)]


class History:
    """
    One history.

    Parameters
    ----------
    work
        An empty folder.
    seed
        The seed of everything random.
    photos
        How many.
    """

    def __init__(self, work: Path, seed: int, photos: int) -> None:
        self.rng = random.Random(seed)
        self.work, self.done = work, []
        self.number = 0
        self.folders = []
        self.wanted = Counter()
        parts = self.rng.randint(1, 3)
        for part in range(parts):
            folder = work / f"card{part}"
            folder.mkdir(parents=True)
            self.folders.append(folder)
        for number in range(photos):
            content = photo(number, self.rng)
            (self.folders[number * parts // photos] / f"IMG_{number:04}.JPG").write_bytes(content)
            self.wanted[scan(content)] += 1
        shutil.copytree(work, work / "card", dirs_exist_ok=False, ignore=shutil.ignore_patterns("card"))
        self.has_exiftool = shutil.which("exiftool") is not None

    def run(self, server, steps: int) -> None:
        """Do random things, and upload everything in the end."""
        self.server = server
        actions = [
            self.process, self.process, self.upload, self.upload, self.zip, self.rename, self.move, self.copy,
            self.copy_all, self.retag, self.repack, self.forget, self.take_again,
        ]  # fmt: skip
        for _ in range(steps):
            action = self.rng.choice(actions)
            self.done.append(action.__name__)
            action(self.rng.choice(self.folders))
        for folder in self.folders:
            mlygeo.process(folder, keep_duplicates=True)
        self.upload(*self.folders)

    def check(self) -> None:
        """Raise unless each picture is at the stand-in exactly once."""
        there = Counter(map(scan, self.at_the_stand_in()))
        assert there == self.wanted, (
            f"{self.done}: {sum((self.wanted - there).values())} missing, {sum((there - self.wanted).values())} twice"
        )

    def at_the_stand_in(self):
        store = self.server.store
        for cluster in clusters_of(store):
            if cluster["file_type"] == "zip":
                with zipfile.ZipFile(store / "files" / cluster["file"]) as archive:
                    yield from map(archive.read, archive.namelist())
            else:
                yield from ((store / image["file"]).read_bytes() for image in cluster["images"])

    def new(self, name: str) -> str:
        self.number += 1
        return f"{name} {self.number}"

    def photos(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.suffix == ".JPG" and ".mlygeo" not in path.parts)

    def process(self, folder: Path) -> None:
        mlygeo.process(folder, keep_duplicates=True, **self.rng.choice(OPTIONS))

    def upload(self, *folders: Path) -> None:
        try:
            mlygeo.upload(list(folders), service=service_of(self.server))
        except InputError:  # nothing of it was processed yet
            self.process(folders[0])
            mlygeo.upload(list(folders), service=service_of(self.server))

    def zip(self, folder: Path) -> None:
        self.process(folder)
        zips = self.work / self.new("zips")
        if len(mlygeo.zip_sequences(folder, output=zips)):
            mlygeo.upload(zips, service=service_of(self.server))

    def rename(self, folder: Path) -> None:
        self.folders[self.folders.index(folder)] = folder.rename(self.work / self.new("renamed"))

    def move(self, folder: Path) -> None:
        to = self.rng.choice(self.folders)
        place = to / self.rng.choice(["", "sub", "sub/deeper"])
        place.mkdir(parents=True, exist_ok=True)
        some = self.photos(folder)
        for path in self.rng.sample(some, min(len(some) - 1, self.rng.randint(1, 5))):
            path.rename(place / f"{self.new('P')}.JPG")

    def copy(self, folder: Path) -> None:
        copy = self.rng.choice([shutil.copy, shutil.copy2])
        path = self.rng.choice(self.photos(folder))
        copy(path, path.with_name(f"{self.new('copy')}.JPG"))

    def copy_all(self, folder: Path) -> None:
        if len(self.folders) > 4:
            return
        left = shutil.ignore_patterns(*self.rng.choice([(), (".mlygeo",), (".mlygeo", "*.json")]))
        copy = self.rng.choice([shutil.copy, shutil.copy2])
        self.folders.append(shutil.copytree(folder, self.work / self.new("copied"), ignore=left, copy_function=copy))

    def take_again(self, _: Path) -> None:
        """Copy the photos from the card again."""
        if len(self.folders) > 4:
            return
        self.folders.append(shutil.copytree(self.work / "card", self.work / self.new("from the card")))

    def retag(self, folder: Path) -> None:
        if self.has_exiftool:
            words = self.rng.choice(RETAGGED)
            # The time of a black frame is all that tells it from the others.
            some = [str(path) for path in self.photos(folder) if self.wanted[scan(path.read_bytes())] == 1]
            if some:
                subprocess.run(["exiftool", "-q", "-m", "-overwrite_original", *words, *some], check=True)

    def repack(self, folder: Path) -> None:
        """Put photos into an archive, and take them out again: with other times of change, in other files."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path in self.photos(folder):
                archive.write(path, path.relative_to(folder).as_posix())
                path.unlink()
        with zipfile.ZipFile(content) as archive:
            archive.extractall(folder)

    def forget(self, folder: Path) -> None:
        """Remove what earlier runs left beside the photos."""
        shutil.rmtree(folder / ".mlygeo", ignore_errors=True)
        (folder / "mapillary_image_description.json").unlink(missing_ok=True)


def run(work: Path, seed: int, *, photos: int, steps: int) -> None:
    """Run one history against a stand-in of its own, and check it."""
    os.environ["MLYGEO_UPLOAD_HISTORY"] = str(work / "history")
    with serve(store=work / "store", token=USER_TOKEN) as server:
        os.environ["MAPILLARY_GRAPH_API_ENDPOINT"] = server.url
        history = History(work / "photos", seed, photos)
        history.run(server, steps)
        history.check()
