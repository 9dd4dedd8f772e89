"""What is written is on this machine; addresses, which inputs may be, are refused as outputs."""

import geopandas as gpd
import pytest
from helpers.command_line import run

import mlygeo
from mlygeo.errors import FileError


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = gpd.GeoDataFrame({"id": [1, 2]}, geometry=gpd.points_from_xy([9.1, 9.2], [48.1, 48.2]), crs=4326)
    return mlygeo.write_frame(frame, "images.parquet")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["partition", "images.parquet", "-o", "s3://bucket/images"],
         "aws s3 sync images s3://bucket/images"),
        (["select", "--points", "images.parquet", "--images", "images.parquet", "-o", "gs://bucket/out"],
         "gcloud storage rsync -r out gs://bucket/out"),
        (["convert", "images.parquet", "-o", "s3://bucket/images.gpkg"],
         "aws s3 cp images.gpkg s3://bucket/images.gpkg"),
        (["download", "--imgid-file", "ids.txt", "-o", "https://example.org/pictures"], "copy it there afterwards"),
        (["map", "images.parquet", "-o", "s3://bucket/map.html"], "aws s3 cp map.html s3://bucket/map.html"),
    ],
)  # fmt: skip
def test_an_address_as_output_is_refused_and_makes_no_folder(tmp_path, capsys, words, hint):
    (tmp_path / "ids.txt").write_text("1\n")
    status, _, err = run(capsys, *words)
    assert status
    assert words[-1] in err
    assert hint in " ".join(err.split())
    assert {path.name for path in tmp_path.iterdir()} == {"images.parquet", "ids.txt"}


def test_so_is_it_in_python(images):
    with pytest.raises(FileError, match="s3://bucket/images is an address"):
        mlygeo.partition(images, "s3://bucket/images")


@pytest.mark.parametrize(
    "words",
    [
        ["cut", "images.parquet", "-o", "made"],
        ["streets", "--streets", "images.parquet", "--srid", "25832", "-o", "made"],
        ["tiles", "--bbox", "9.1,48.7,9.2,48.8", "--tile-cache", "cache", "-o", "made"],
    ],
)
def test_a_name_without_ending_may_be_a_file_or_a_dataset(tmp_path, capsys, words):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "made has no ending, and may be meant as a file or as the folder of a dataset" in err
    assert "made/ with a slash at its end for a dataset, made.parquet for a file" in err
    assert {path.name for path in tmp_path.iterdir()} == {"images.parquet"}
