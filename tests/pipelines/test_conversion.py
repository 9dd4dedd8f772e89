"""Frames from one format to another, as a function and as a verb; select and coverage write layers of one file."""

from __future__ import annotations

import json

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from conftest import DATA
from helpers.command_line import run
from helpers.installed import needs
from helpers.unix import needs_symlinks

import mlygeo
from mlygeo import store
from mlygeo.errors import FileError, FormatError, FrameError, InputError, RegionError
from mlygeo.store.columns import must_be_same

FORMATS = (".parquet", ".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv")


@pytest.fixture
def frame():
    return gpd.GeoDataFrame(
        {
            "id": [2**60 + 1, 2, 3], "name": ["Käse", None, "=1"], "n": pd.array([1, None, 3], dtype="Int64"),
            "captured_at": pd.to_datetime(["2024-06-09T08:00:00.123Z"] * 3).as_unit("ms"), "is_pano": [True, False, True],
        },
        geometry=[shapely.Point(9.1, 48.1), None, shapely.Point(179.9, 1 / 3)],
        crs=4326,
    )  # fmt: skip


@pytest.mark.parametrize("source", FORMATS)
def test_any_format_becomes_any_other(tmp_path, frame, source):
    path = store.write_frame(frame, tmp_path / f"a{source}")
    for target in FORMATS:
        output = tmp_path / f"b{target}"
        found = mlygeo.convert(path, output)
        must_be_same(frame, found, "found")
        must_be_same(frame, store.read_frame(output), output.name)


def test_parts_of_a_frame(tmp_path, frame):
    for given in (frame, store.write_frame(frame, tmp_path / "a.gpkg")):
        found = mlygeo.convert(given, tmp_path / "b.geojson", bbox=(179, 0, -179, 1), columns=["n"])
        assert found["n"].tolist() == [3]
        assert list(store.read_frame(tmp_path / "b.geojson").columns) == ["n", "geometry"]
        with pytest.raises(FrameError, match="no column wrong"):
            mlygeo.convert(given, tmp_path / "c.geojson", columns=["wrong"])
        with pytest.raises(RegionError):
            mlygeo.convert(given, tmp_path / "c.geojson", bbox=(0, 1, 1, 0))
    assert not (tmp_path / "c.geojson").exists()


def test_several_frames_become_layers(tmp_path, frame):
    one, other = (store.write_frame(frame, tmp_path / name / "a.fgb") for name in ("x", "y"))
    mlygeo.convert([one, other, frame], tmp_path / "all.gpkg")
    for layer in ("a", "a_2", "frame_3"):
        must_be_same(frame, store.read_frame(f"{tmp_path / 'all.gpkg'}:{layer}"), layer)
    with pytest.raises(InputError, match="3 frames go into one file only where it has layers"):
        mlygeo.convert([one, other, frame], tmp_path / "all.csv")
    with pytest.raises(InputError, match="no frame"):
        mlygeo.convert([], tmp_path / "all.gpkg")


@needs_symlinks
def test_nothing_is_converted_into_itself(tmp_path, frame):
    path = store.write_layers({"a": frame, "b": frame}, tmp_path / "a.gpkg")
    before = path.read_bytes()
    (tmp_path / "link.gpkg").symlink_to(path)
    for given, output in (
        (path, path),
        (f"{path}:a", path),
        (path, tmp_path / "link.gpkg"),
        (tmp_path / "link.gpkg", path),
    ):
        with pytest.raises(InputError, match="is read as `frame`, and would be replaced"):
            mlygeo.convert(given, output)
    assert path.read_bytes() == before


def test_a_table_in_a_plane(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,n\n513000.5,5403000.25,7\n")
    with pytest.raises(FormatError, match="no longitude and latitude"):
        mlygeo.convert(tmp_path / "a.csv", tmp_path / "a.gpkg")
    found = mlygeo.convert(tmp_path / "a.csv", tmp_path / "a.gpkg", srid="EPSG:25832")
    assert store.read_frame(tmp_path / "a.gpkg").crs.to_epsg() == 25832
    assert found["n"].tolist() == [7]


def test_tracks_become_gpx(tmp_path):
    times = pd.to_datetime(["2024-06-09T08:00:00Z", "2024-06-09T08:00:01Z"]).as_unit("us")
    track = gpd.GeoDataFrame({"track_id": "a", "time": times, "altitude": [1.5, 2.5]}, geometry=shapely.points([9, 9.1], [48, 48.1]), crs=4326)  # fmt: skip
    mlygeo.convert(store.write_frame(track, tmp_path / "a.csv"), tmp_path / "a.gpx")
    back = mlygeo.read_track(tmp_path / "a.gpx")
    assert back["time"].tolist() == list(times)
    assert back["altitude"].tolist() == [1.5, 2.5]
    with pytest.raises(FrameError, match="tracks"):
        mlygeo.convert(
            track.drop(columns=["time", "track_id", "altitude"]).set_crs(None, allow_override=True), tmp_path / "b.gpx"
        )


def test_the_verb(tmp_path, frame, capsys):
    a, b = store.write_frame(frame, tmp_path / "a.parquet"), tmp_path / "b.gpkg"
    status, _, err = run(capsys, "convert", a, b)
    assert (status, err.splitlines()[-1]) == (0, "3 rows of 6 columns in b.gpkg")
    must_be_same(frame, store.read_frame(b), "b.gpkg")
    assert run(capsys, "convert", a, "-o", tmp_path / "c.csv")[0] == 0
    status, out, _ = run(capsys, "convert", a, b, "-o", tmp_path / "d.gpkg", "--json", "--columns", "n")
    assert status == 0
    assert json.loads(out)["layers"] == ["a", "b"]
    assert run(capsys, "convert", a, "--bbox=179,0,-179,1", tmp_path / "e.fgb")[0] == 0
    assert len(store.read_frame(tmp_path / "e.fgb")) == 1


def test_files_beside_the_target_are_named(tmp_path, frame, images, capsys):
    for path, target, beside in (
        (store.write_frame(frame, tmp_path / "a.parquet"), "c.csv", "c.csv-metadata.json"),
        (store.write_frame(images, tmp_path / "b.parquet"), "i.stac.parquet", "i.collection.json"),
    ):
        status, out, err = run(capsys, "convert", path, tmp_path / target, "--json")
        assert status == 0
        assert err.splitlines()[-1].endswith(f" in {target} and {beside}")
        assert json.loads(out)["beside"] == [str(tmp_path / beside)]
        assert (tmp_path / beside).exists()
    status, out, _ = run(capsys, "convert", path, tmp_path / "c.gpkg", "--json")
    assert (status, json.loads(out)["beside"]) == (0, [])


@pytest.mark.parametrize("name", ["a.parquet", "a.gpkg"])
def test_a_box_without_rows_is_said(tmp_path, frame, capsys, name):
    a = store.write_frame(frame, tmp_path / name)
    status, out, err = run(capsys, "convert", a, tmp_path / "b.parquet", "--bbox", "48.77,9.16,48.78,9.17", "--json")
    assert status == 0
    assert json.loads(out)["rows"] == 0
    (said,) = [each for each in json.loads(out)["warnings"] if "is in the box" in each]
    assert said.startswith("no row of a is in the box")
    assert "9.16–9.17°N, 48.77–48.78°E" in said
    assert said in err


@needs("osm")
@pytest.mark.parametrize("ending", [".parquet", ".gpkg"])
def test_a_box_without_streets_of_an_openstreetmap_file(tmp_path, capsys, ending):
    streets, target = DATA / "osm" / "helsinki_centre.osm.pbf", tmp_path / f"none{ending}"
    status, _, err = run(capsys, "convert", streets, target, "--bbox", "60,24,61,25")
    assert status == 0
    assert "in the box, which is 24–25°N, 60–61°E" in err
    assert len(gpd.read_file(target) if ending == ".gpkg" else gpd.read_parquet(target)) == 0
    assert len(store.read_frame(target)) == 0


def test_what_is_renamed_and_left_out_is_said(tmp_path, frame, capsys):
    a = store.write_frame(frame.assign(fid=[5, 6, 7]), tmp_path / "a.parquet")
    status, out, err = run(capsys, "convert", a, tmp_path / "b.gpkg", "--json")
    assert status == 0
    assert "column 'fid' as 'fid_1'" in err
    assert "column 'fid' as 'fid_1'" in json.loads(out)["warnings"][0]
    must_be_same(frame.assign(fid=[5, 6, 7]), store.read_frame(tmp_path / "b.gpkg"), "b.gpkg")
    (tmp_path / "c.csv").write_text("n,geometry\n1,POINT (9 48)\n2,POINT (9\n")
    status, out, err = run(capsys, "convert", tmp_path / "c.csv", tmp_path / "d.gpkg", "--json")
    assert json.loads(out)["left_out"] == {"rows with damaged geometry": 1}
    assert "left out: rows with damaged geometry (1)" in err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["a.parquet"], 2, "the only file"), (["a.parquet", "x.shp"], 2, "shapefile"), (["a.parquet", "x"], 2, "cannot be written"),
        (["no.parquet", "x.gpkg"], 1, "does not exist"), (["a.parquet", "x.gpkg", "--layer", "b"], 2, "no layers"),
        (["a.parquet", "b.gpkg", "c.gpkg"], 2, "is there already"), (["a.parquet", "https://example.org/x.gpkg"], 1, "address"),
        (["a.parquet", "x.gpkg", "--bbox", "1,2,3"], 2, "bounding box"), (["a.parquet", "x.gpkg", "--srid", "1"], 2, "--srid"),
        (["y", "x.gpkg"], 1, "no file with a frame"), (["*.fgb", "x.gpkg"], 1, "pattern"), (["a.parquet", "y/"], 2, "cannot be written"),
    ],
)  # fmt: skip
def test_wrong_words(tmp_path, frame, capsys, monkeypatch, words, status, said):
    monkeypatch.chdir(tmp_path)
    store.write_frame(frame, "a.parquet")
    (tmp_path / "y").mkdir()
    for name in ("b.gpkg", "c.gpkg"):
        store.write_frame(frame, name)
    found, _, err = run(capsys, "convert", *words)
    assert (found, said in err) == (status, True), err
    assert "Traceback" not in err
    assert {each.name for each in tmp_path.iterdir()} == {"a.parquet", "b.gpkg", "c.gpkg", "y"}


@pytest.fixture(scope="module")
def stuttgart(tmp_path_factory, images, edges):
    folder = tmp_path_factory.mktemp("stuttgart")
    layers = {
        "images": images,
        "streets": edges.to_crs(4326),
        "points": mlygeo.street_points(edges, interval=50, srid=25832),
    }
    return store.write_layers(layers, folder / "all.gpkg")


def test_select_writes_layers(tmp_path, capsys, stuttgart):
    inputs = ("select", "--images", f"{stuttgart}:images", "--points", f"{stuttgart}:points", "--srid", "25832")
    assert run(capsys, *inputs, "-o", tmp_path / "out")[0] == 0
    status, _, err = run(capsys, *inputs, "-o", tmp_path / "sel.gpkg")
    assert (status, err.splitlines()[-1]) == (0, str(tmp_path / "sel.gpkg"))
    assert (tmp_path / "sel.gpkg").is_file()
    for name in ("selection", "street_points"):
        wanted = store.read_frame(tmp_path / "out" / f"{name}.parquet")
        must_be_same(wanted, store.read_frame(f"{tmp_path / 'sel.gpkg'}:{name}"), name)
    for ending in (".parquet", ".geojson", ".csv"):
        assert run(capsys, *inputs, "-o", tmp_path / f"sel{ending}")[0] == 0
        found = store.read_frame(tmp_path / f"sel{ending}", frame="selection")
        assert found["id"].tolist() == store.read_frame(f"{tmp_path / 'sel.gpkg'}:selection")["id"].tolist()


def test_coverage_writes_layers(tmp_path, capsys, stuttgart):
    inputs = ("coverage", "--images", f"{stuttgart}:images", "--streets", f"{stuttgart}:streets", "--srid", "25832")
    status, _, err = run(capsys, *inputs, "-o", tmp_path / "cov.gpkg")
    assert status == 0, err
    covered, gaps = (store.read_frame(f"{tmp_path / 'cov.gpkg'}:{name}") for name in ("coverage", "gaps"))
    assert len(covered) > 100
    assert set(gaps.geom_type) == {"LineString"}
    assert [each.name for each in tmp_path.iterdir()] == ["cov.gpkg"]


@pytest.mark.parametrize(
    "words",
    [
        ("find-sequences", "jane"), ("zip", "photos"), ("process", "photos"), ("download", "1"),
        ("video-process", "x.mp4"), ("download-originals", "photos"),
    ],
)  # fmt: skip
def test_a_file_in_place_of_a_folder_is_refused(tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *words, "-o", "x.gpkg")
    assert status in {1, 2}
    assert "x.gpkg is the name of a file, and -o names a folder here" in err
    assert not (tmp_path / "x.gpkg").exists()


def test_an_old_folder_of_that_name_stays_a_folder(tmp_path, capsys, stuttgart):
    (tmp_path / "sel.gpkg").mkdir()
    inputs = ("select", "--images", f"{stuttgart}:images", "--points", f"{stuttgart}:points", "--srid", "25832")
    assert run(capsys, *inputs, "-o", tmp_path / "sel.gpkg")[0] == 0
    assert (tmp_path / "sel.gpkg" / "selection.parquet").is_file()


def test_two_layers_of_one_name_are_refused(tmp_path, frame):
    with pytest.raises(FrameError, match="one name"):
        store.write_layers({"a": frame, "A": frame}, tmp_path / "x.gpkg")
    with pytest.raises(FileError):
        store.write_layers({"a": frame}, "https://example.org/x.gpkg")
    with pytest.raises(FrameError, match="odd"):
        store.write_layers(
            {"a": frame, "b": frame.assign(odd=pd.period_range("2024", periods=3, freq="Y"))}, tmp_path / "x.gpkg"
        )
    assert list(tmp_path.iterdir()) == []
