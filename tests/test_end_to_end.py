"""From a region to pictures with their positions inside, through the verbs and over real sockets."""

import os
import subprocess
from pathlib import Path

from conftest import ROOT, STUTTGART
from helpers.command_line import PROGRAMS
from helpers.exiftool_oracle import ExifTool
from helpers.tokens import TOKEN
from helpers.unix import needs_unix
from PIL import Image

import mlygeo
from mlygeo import cli
from mlygeo.spatial import geodesy
from mlygeo.standin import serve


def test_select_then_download(tmp_path, monkeypatch):
    images = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet", frame="images")
    with serve(images, photos=STUTTGART / "pictures", token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
        monkeypatch.chdir(tmp_path)
        words = ["select", "--bbox", "9.1616,48.7624,9.1759,48.7789"]
        words += ["--streets", str(STUTTGART / "stuttgart_osm_edges.gpkg"), "--interval", "50", "--srid", "25832", "-q"]
        assert cli.main([*words, "-o", "out"]) == 0
        words = ["download", "out/selection.parquet", "--size", "1024", "--exif", "--required-disk-space", "0", "-q"]
        assert cli.main([*words, "-o", "pictures"]) == 0
        assert server.leaks == 0
    selected = images[images["id"].isin(mlygeo.read_frame("out/selection.parquet")["id"])].set_index("id")
    files = {int(path.stem): path for path in Path("pictures").rglob("*.jpg")}
    assert set(files) == set(selected.index)
    with ExifTool() as exiftool:
        for number, path in files.items():
            with Image.open(path) as picture:
                picture.load()
            tags, image = exiftool.read(path.absolute()), selected.loc[number]
            _, off = geodesy.inverse(
                tags["Composite:GPSLongitude"], tags["Composite:GPSLatitude"], image.geometry.x, image.geometry.y
            )
            assert off[0] < 0.001
            assert ("XMP-GPano:ProjectionType" in tags) == image["is_pano"]


@needs_unix("Unix shell")
def test_the_rehearsal_of_the_examples(tmp_path):
    ids = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet")["id"].head(12)
    (tmp_path / "image_ids.txt").write_text("".join(f"{number}\n" for number in ids))
    environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    script = ROOT / "examples" / "rehearsal" / "rehearse.sh"
    found = subprocess.run([script, tmp_path], env=environment, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "12 fetched" in found.stderr
    assert len(list((tmp_path / "pictures").rglob("*.jpg"))) == 12
