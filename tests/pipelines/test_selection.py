import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
from importlib.metadata import version

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.unix import needs_unix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames, store
from mlygeo.errors import FileError, FrameError, InputError, RegionError
from mlygeo.pipelines.job import body_of
from mlygeo.store.atomic import clear_leftovers

CONFIG = STUTTGART / "stuttgart_config.json"
EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
COMMON = ["-c", str(CONFIG), "--streets", str(EDGES)]


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("interval", [50, 20, 10])
def test_the_verb_gives_what_the_original_scripts_and_postgis_gave(capsys, tmp_path, interval):
    status, _, err = run(
        capsys, "select", *COMMON, "--interval", interval, "--srid", 25832, "--method", "percept", "-o", tmp_path
    )
    assert status == 0, err
    points = gpd.read_parquet(tmp_path / "street_points.parquet")
    expected = pd.read_csv(DATA / "expected" / f"stuttgart_{interval}m_street_points.csv")
    assert points["point_id"].tolist() == expected["point_id"].tolist()
    there = gpd.GeoSeries.from_xy(expected["lon"], expected["lat"], crs=4326).to_crs(25832)
    assert points.geometry.to_crs(25832).distance(there).max() < 0.001

    selection = gpd.read_parquet(tmp_path / "selection.parquet")
    chosen = pd.read_csv(DATA / "expected" / f"stuttgart_{interval}m_selection.csv")
    assert list(zip(selection["point_id"], selection["id"], strict=True)) == list(
        zip(chosen["point_id"], chosen["id"], strict=True)
    )
    assert (selection["distance_m"] - chosen["distance_m"]).abs().max() < 0.001
    frames.check(selection, frames.SELECTION)

    ids = [int(line) for line in (tmp_path / "image_ids.txt").read_text().splitlines()]
    assert sorted(ids) == sorted(set(chosen["id"]))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["points"] == len(expected)
    assert summary["points_covered"] == len(chosen)
    assert summary["distance_m"]["median"] == pytest.approx(chosen["distance_m"].median(), abs=0.001)
    assert summary["captured"] == {"2024": len(chosen)}
    assert summary["images"] == chosen["id"].nunique()
    assert summary["street_points"]["share_without_point"] == pytest.approx(
        {50: 0.337, 20: 0.126, 10: 0.029}[interval], abs=0.001
    )


def test_a_selection_tells_of_the_streets_of_its_points(tmp_path):
    body_of(mlygeo.select)(str(CONFIG), streets=str(EDGES), interval=50, srid=25832).write(tmp_path)
    selection = gpd.read_parquet(tmp_path / "selection.parquet")
    points = gpd.read_parquet(tmp_path / "street_points.parquet").set_index("point_id")
    frames.check(selection, frames.SELECTION)
    for name, carried in frames.OF_POINTS.items():
        expected = points[name].loc[selection["point_id"]].set_axis(selection.index)
        pd.testing.assert_series_equal(selection[carried], expected, check_names=False)
    assert selection["point_name"].notna().any()


def test_the_verb_says_what_it_did(capsys, tmp_path):
    status, out, err = run(
        capsys, "select", *COMMON, "--interval", 50, "--srid", 25832, "--method", "percept", "-o", tmp_path / "out"
    )
    assert status == 0
    assert out == ""
    assert "94 street points, 87 with an image within 100 m (median 3.6 m), all from 2024, 44% panoramas" in err
    assert err.splitlines()[-1].split("  ") == [
        str(tmp_path / "out" / name)
        for name in (
            "selection.parquet",
            "image_ids.txt",
            "street_points.parquet",
            "selection.lock.json",
            "summary.json",
        )
    ]


def test_function_and_verb_are_twins(capsys, tmp_path):
    run(capsys, "select", *COMMON, "--interval", 30, "--max-distance", 40, "--k", 2, "--pano", "-o", tmp_path)
    frame = mlygeo.select(CONFIG, streets=EDGES, interval=30, max_distance=40, k=2, pano=True)
    written = mlygeo.read_frame(tmp_path / "selection.parquet")
    assert_geodataframe_equal(frame[written.columns], written)
    assert frame.attrs["summary"] == json.loads((tmp_path / "summary.json").read_text())
    assert frame.attrs["attribution"] == [frames.MAPILLARY, frames.OPENSTREETMAP]
    assert frame["is_pano"].all()


def test_ids_only_and_json(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, _ = run(capsys, "select", *COMMON, "--ids-only", "-q")
    frame = mlygeo.select(CONFIG, streets=EDGES)
    assert [int(line) for line in out.splitlines()] == frame["id"].drop_duplicates().tolist()
    assert list(tmp_path.iterdir()) == [], "ids alone leave no files"
    status, out, err = run(capsys, "select", *COMMON, "--json", "-q", "-o", tmp_path / "out")
    assert status == 0
    assert err == ""
    assert json.loads(out) == frame.attrs["summary"]


def test_images_and_points_at_hand(capsys, tmp_path, images, edges):
    points = mlygeo.street_points(edges, interval=50, srid=25832)
    for ending in (".parquet", ".gpkg", ".geojson", ".csv", ".fgb"):
        image_file = mlygeo.write_frame(images, tmp_path / f"images{ending}")
        point_file = mlygeo.write_frame(points, tmp_path / f"points{ending}")
        from_files = mlygeo.select(images=image_file, points=point_file, srid=25832)
        from_frames = mlygeo.select(images=images, points=points, srid=25832)
        assert_geodataframe_equal(from_files[from_frames.columns], from_frames)
    direct = mlygeo.select_nearest(points, images, srid=25832)
    assert from_frames[["point_id", "id", "distance_m", "rank"]].equals(
        direct[["point_id", "id", "distance_m", "rank"]]
    )


def test_points_of_a_gpx_file(tmp_path, images):
    first = images.geometry.iloc[0]
    gpx = f'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="{first.y}" lon="{first.x}"/></gpx>'
    (tmp_path / "x.gpx").write_text(gpx)
    selection = mlygeo.select(images=images, points=tmp_path / "x.gpx")
    assert selection["point_id"].tolist() == [0]
    assert selection["distance_m"].iloc[0] < 1e-3


def test_a_polygon_region_drops_what_lies_outside(images):
    west, south, east, north = images.total_bounds
    triangle = shapely.Polygon([(west, south), (east, south), (west, north)])
    selection = mlygeo.select(triangle, images=images, streets=EDGES, max_distance=None)
    assert shapely.intersects(triangle, np.asarray(selection.geometry)).all()
    assert selection["id"].nunique() < mlygeo.select(CONFIG, images=images, streets=EDGES)["id"].nunique()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_input_does_not_matter(images, edges, seed):
    def shuffled(frame):
        return frame.sample(frac=1, random_state=seed).reset_index(drop=True)

    expected = mlygeo.select(images=images, streets=edges, interval=10, srid=25832, k=2)
    found = mlygeo.select(images=shuffled(images), streets=shuffled(edges), interval=10, srid=25832, k=2)
    assert_geodataframe_equal(found, expected)


def test_unique_images(images):
    selection = mlygeo.select(CONFIG, images=images, streets=EDGES, interval=10, unique=True)
    assert selection["id"].is_unique
    assert not mlygeo.select(CONFIG, images=images, streets=EDGES, interval=10)["id"].is_unique


def test_headings(images):
    selection = mlygeo.select(CONFIG, images=images, streets=EDGES, interval=10, max_heading_difference=20, pano=False)
    assert selection["heading_difference"].max() <= 20
    assert len(selection)


def test_no_images_is_an_empty_selection(capsys, tmp_path, images):
    none = mlygeo.select(CONFIG, images=images, streets=EDGES, since="2030-01-01")
    frames.check(none, frames.SELECTION)
    assert len(none) == 0
    status, _, err = run(capsys, "select", *COMMON, "--since", "2030-01-01", "-o", tmp_path)
    assert status == 0
    assert "the filters leave out all of the images" in err
    assert len(mlygeo.read_frame(tmp_path / "selection.parquet")) == 0
    assert (tmp_path / "image_ids.txt").read_text() == ""


def test_an_image_at_the_maximum_distance_counts():
    points = gpd.GeoDataFrame({"point_id": [0]}, geometry=gpd.points_from_xy([500000.0], [5400000.0], crs=25832))
    images = gpd.GeoDataFrame({"id": [7]}, geometry=gpd.points_from_xy([500000.0], [5400060.0], crs=25832))
    distance = mlygeo.select(points=points, images=images, srid=25832, max_distance=None)["distance_m"].iloc[0]
    assert distance == pytest.approx(60, abs=1e-6)
    assert len(mlygeo.select(points=points, images=images, srid=25832, max_distance=distance)) == 1
    assert len(mlygeo.select(points=points, images=images, srid=25832, max_distance=distance - 1e-9)) == 0


def test_a_region_across_the_antimeridian():
    lon = np.array([179.9995, -179.9995])
    images = gpd.GeoDataFrame({"id": [1, 2]}, geometry=gpd.points_from_xy(lon, [-16.5, -16.5], crs=4326))
    points = gpd.GeoDataFrame(
        {"point_id": [0, 1]}, geometry=gpd.points_from_xy([-179.9999, 180.0], [-16.5, -16.5], crs=4326)
    )
    selection = mlygeo.select((179.9, -17, -179.9, -16), images=images, points=points)
    assert selection["id"].tolist() == [2, 1]
    assert selection["distance_m"].tolist() == pytest.approx([42.7, 53.4], abs=0.2)


def test_a_region_near_the_pole():
    images = gpd.GeoDataFrame({"id": [1, 2]}, geometry=gpd.points_from_xy([10.0, -170.0], [89.9995, 89.9995], crs=4326))
    points = gpd.GeoDataFrame({"point_id": [0]}, geometry=gpd.points_from_xy([11.0], [89.9999], crs=4326))
    selection = mlygeo.select(images=images, points=points)
    assert selection["id"].tolist() == [1]
    assert selection["distance_m"].iloc[0] == pytest.approx(44.7, abs=0.5)


def test_images_without_ids(capsys, tmp_path, images):
    path = mlygeo.write_frame(images.drop(columns="id"), tmp_path / "x.parquet")
    status, _, err = run(capsys, "select", *COMMON, "--images", path, "-o", tmp_path / "out")
    assert status == 2
    assert "x.parquet has no column 'id'" in err
    assert not (tmp_path / "out").exists()
    with pytest.raises(FrameError, match="contains no ids"):
        mlygeo.select(CONFIG, streets=EDGES, images=images.assign(id=None))


def test_images_elsewhere(images):
    with pytest.raises(RegionError, match="no image of the images lies in") as caught:
        mlygeo.select(
            (4.8, 52.3, 4.9, 52.4),
            images=images,
            points=gpd.GeoDataFrame(geometry=gpd.points_from_xy([4.85], [52.35], crs=4326)),
        )
    assert "`region=(9.1" in caught.value.hint


def test_swapped_coordinates_are_named(images):
    with pytest.raises(RegionError) as caught:
        mlygeo.select((48.7624, 9.1616, 48.7789, 9.1759), images=images, streets=EDGES)
    assert "swapped" in caught.value.hint
    assert "(9.1616, 48.7624, 9.1759, 48.7789)" in caught.value.hint


def test_conflicting_options(images):
    with pytest.raises(InputError, match="`points` and `streets`"):
        mlygeo.select(CONFIG, images=images, streets=EDGES, points=images)
    with pytest.raises(RegionError, match="no region"):
        mlygeo.select(images=images)
    with pytest.raises(FrameError, match="contains LineString"):
        mlygeo.select(points=mlygeo.read_frame(EDGES), images=images)


# The files of a run are a set, and its summary is a record.


def test_the_files_of_a_run_name_it_and_the_summary_comes_last(capsys, tmp_path):
    status, _, err = run(capsys, "select", *COMMON, "--interval", 50, "--srid", 25832, "-o", tmp_path)
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    for name in ("selection.parquet", "street_points.parquet"):
        assert mlygeo.read_frame(tmp_path / name).attrs["run"] == summary["run"]
    again = mlygeo.select(CONFIG, streets=EDGES, interval=50, srid=25832).attrs
    assert again["run"] == again["summary"]["run"] == summary["run"], "the same run has the same name"
    assert mlygeo.select(CONFIG, streets=EDGES, interval=20, srid=25832).attrs["run"] != summary["run"]


SETS = {
    "select": ("selection.parquet", "street_points.parquet", "image_ids.txt", "summary.json"),
    "coverage": ("coverage.parquet", "gaps.parquet", "coverage.png", "summary.json"),
}


def whose(folder, verb):
    """The run whose files a folder has, all of them; None without a summary."""
    if not (folder / "summary.json").exists():
        return None
    run_name = json.loads((folder / "summary.json").read_text())["run"]
    frame, other, text, _ = SETS[verb]
    assert {mlygeo.read_frame(folder / name).attrs["run"] for name in (frame, other)} == {run_name}
    if verb == "select":
        ids = set(map(str, mlygeo.read_frame(folder / frame)["id"]))
        assert set((folder / text).read_text().split()) == ids
    return run_name


KILLED = """
import os, signal, sys
import mlygeo
from mlygeo.pipelines.job import body_of
from pathlib import Path
verb, folder, steps, interval = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
images, streets = sys.argv[5:]
options = {"interval": interval} if verb == "select" else {"distance": interval}
done = 0
def count(event, arguments):
    global done
    if event in ("os.rename", "os.remove") and folder == Path(str(arguments[event == "os.rename"])).parent:
        done += 1
        if done > steps:
            os.kill(os.getpid(), signal.SIGKILL)
job = body_of(getattr(mlygeo, verb))(streets=streets, images=images, srid=25832, **options)
sys.addaudithook(count)
job.write(folder)
sys.exit(7)
"""
"""A run that dies before a file appears under its name, or goes."""


@needs_unix("such signal")
def test_a_killed_run_leaves_the_files_of_one_run_or_no_summary(tmp_path, images):
    verb = "select"
    mlygeo.write_frame(images.iloc[::7], tmp_path / "images.parquet")
    mlygeo.write_frame(mlygeo.read_frame(EDGES).iloc[::20], tmp_path / "streets.parquet")
    out, inputs = tmp_path / "out", [str(tmp_path / "images.parquet"), str(tmp_path / "streets.parquet")]

    def ended(steps, interval):
        words = [sys.executable, "-c", KILLED, verb, str(out), str(steps), str(interval), *inputs]
        return subprocess.run(words, capture_output=True, text=True).returncode

    assert ended(10**9, 50) == 7
    names, first = sorted(path.name for path in out.iterdir()), whose(out, verb)
    assert ended(0, 30) == -signal.SIGKILL
    assert whose(out, verb) == first, "until all is complete, the old files are there"
    for steps in (1, 3):
        assert ended(steps, 30) == -signal.SIGKILL
        assert whose(out, verb) is None
    assert ended(10**9, 30) == 7, "what was left is not an obstacle"
    assert whose(out, verb) not in {None, first}
    assert sorted(path.name for path in out.iterdir()) == names, "nothing is left of what was killed"


def test_files_that_are_not_ours_in_a_folder_of_results(capsys, tmp_path):
    """A picture of streets, a list of other tiles: a run has no word to say on them."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "failed_tiles.txt").write_text("mly1_public_1_1_14\n")
    assert run(capsys, "select", *COMMON, "--srid", 25832, "-o", tmp_path)[0] == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "failed_tiles.txt").exists(), "that of an earlier run"


@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb, names in SETS.items() for name in (*names, "failed_tiles.txt")]
)
def test_a_file_of_the_users_own_is_not_replaced(capsys, tmp_path, images, verb, name):
    """Refused before anything slow: the inputs do not even exist."""
    mine = tmp_path / name
    if name.endswith(".parquet"):
        mlygeo.write_frame(images.iloc[:3], mine)
    else:
        mine.write_text('{"run": 5}' if name.endswith(".json") else "my notes")
    before = mine.read_bytes()
    status, out, err = run(capsys, verb, "--streets", "no.gpkg", "--images", "no.parquet", "-o", tmp_path)
    assert (status, out) == (1, "")
    assert f"error: {mine} was not written by an earlier run" in err
    assert "hint: give another place as -o" in err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert mine.read_bytes() == before
    mine.unlink()
    mine.mkdir()
    assert run(capsys, verb, "--streets", "no.gpkg", "--images", "no.parquet", "-o", tmp_path)[0] == 1
    assert mine.is_dir()


def test_what_python_writes_is_as_careful(tmp_path):
    (tmp_path / "summary.json").write_text('{"mine": true}')
    job = body_of(mlygeo.select)(CONFIG, streets=EDGES, interval=200, srid=25832)
    with pytest.raises(FileError, match="was not written by an earlier run"):
        job.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_what_killed_runs_left_is_removed(capsys, tmp_path):
    left = tmp_path / ".selection.parquet.abcd_123.part"
    program = (
        "import os, sys; from pathlib import Path; from mlygeo import store\n"
        "with store.atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    for name in ("selection.parquet", "summary.json"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.glob(".*.part"))) == 1, "the second removed what the first one left"
    strange = tmp_path / ".other.parquet.strange1.part"
    strange.mkdir()
    (strange / "mine.jpg").write_text("x")
    left.mkdir()
    os.utime(left, (0, 0))
    with store.atomic(tmp_path / "other.parquet") as temporary:
        alive = temporary.parent
        temporary.write_text("whole")
        clear_leftovers(tmp_path)
        assert alive.is_dir()
        assert sorted(tmp_path.glob(".*.part")) == sorted([alive, strange])
    assert run(capsys, "select", *COMMON, "--interval", 50, "--srid", 25832, "-o", tmp_path)[0] == 0
    assert list(tmp_path.glob(".*")) == [strange]


def test_a_selection_for_points_loads_nothing_for_shapes(tmp_path, images):
    """Start-up is part of every run: GEOS is loaded, and named, only where lines or areas take part."""
    mlygeo.write_frame(images, tmp_path / "images.parquet")
    mlygeo.write_frame(images[["geometry"]].assign(point_id=range(len(images))), tmp_path / "points.parquet")
    code = (
        "import sys; from mlygeo import cli;"
        "cli.main(['select', '--points', 'points.parquet', '--images', 'images.parquet', '-o', 'out', '-q']);"
        "print(sorted({'shapely', 'geopandas', 'pyogrio', 'sqlite3', 'av'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "GEOS" not in summary["software"]
    # What other code of the process has loaded says nothing of the run.
    again = mlygeo.select(points=tmp_path / "points.parquet", images=tmp_path / "images.parquet")
    assert again.attrs["summary"]["run"] == summary["run"]


def test_a_summary_records_what_was_asked(tmp_path, images):
    path = tmp_path / "images.parquet"
    mlygeo.write_frame(images, path)
    options = {"k": 2, "unique": True, "max_heading_difference": 30.0, "since": "2024-01-01", "creator": [5, 6]}
    with_all = mlygeo.select(CONFIG, streets=EDGES, images=path, srid=25832, **options).attrs["summary"]
    assert {name: with_all[name] for name in ("k", "unique", "max_heading_difference")} == {
        "k": 2, "unique": True, "max_heading_difference": 30.0,
    }  # fmt: skip
    assert with_all["filters"]["since"].startswith("2024-01-01")
    assert with_all["filters"]["creator"] == ["5", "6"]
    known = with_all["inputs"]["images"]
    assert (known["source"], known["rows"]) == ("images.parquet", len(images))
    assert known["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert with_all["inputs"]["streets"]["source"] == "stuttgart_osm_edges.gpkg"
    assert {"mlygeo", "Python", "PROJ", "GEOS"} <= with_all["software"].keys()
    libraries = mlygeo.info()
    assert with_all["software"] == {
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "geopandas", "pyarrow")},
        **{name: libraries[name] for name in ("mlygeo", "PROJ", "GEOS")},
    }
    of_tiles = mlygeo.select(CONFIG, streets=EDGES, srid=25832).attrs["summary"]["tiles"]
    assert of_tiles["written"]["oldest"] <= of_tiles["written"]["newest"]
    covered = mlygeo.coverage(CONFIG, streets=EDGES, images=path, srid=25832, pano=True).attrs["summary"]
    assert covered["filters"] == {"pano": True}
    assert covered["inputs"]["images"]["sha256"] == known["sha256"]
    listed = mlygeo.tiles(CONFIG, pano=True).attrs["summary"]
    assert listed["filters"] == {"pano": True}


def test_only_known_sources_are_credited(tmp_path, images):
    bare = images.copy()
    bare.attrs = {}
    theirs = images.copy()
    theirs.attrs = {"attribution": ["the city, CC0"]}
    for some, names in ((bare, []), (theirs, ["the city, CC0"])):
        chosen = mlygeo.select(CONFIG, streets=EDGES, images=some, srid=25832)
        assert chosen.attrs["attribution"] == [*names, frames.OPENSTREETMAP]
        covered = mlygeo.coverage(CONFIG, streets=EDGES, images=some, srid=25832)
        assert covered.attrs["attribution"] == [*names, frames.OPENSTREETMAP]
        assert covered.attrs["summary"]["attribution"] == [*names, frames.OPENSTREETMAP]


def test_several_files_are_all_read(capsys, tmp_path, images):
    points = mlygeo.streets(CONFIG, streets=EDGES, interval=40, srid=25832)
    half, ends = len(images) // 2, len(points) // 3
    files = {
        "a.parquet": images[:half],
        "b.gpkg": images[half:],
        "p.parquet": points[:ends],
        "q.parquet": points[ends:],
    }
    for name, frame in files.items():
        mlygeo.write_frame(frame, tmp_path / name)
    a, b, p, q = (tmp_path / name for name in files)
    whole = mlygeo.select(points=points, images=images, srid=25832)
    words = ["--images", a, "--images", b, "--points", p, "--points", q, "--srid", 25832, "-o", tmp_path / "out"]
    status, _, err = run(capsys, "select", *words)
    assert status == 0, err
    for found in (
        mlygeo.read_frame(tmp_path / "out" / "selection.parquet"),
        mlygeo.select(points=[p, q], images=[a, b], srid=25832),
        mlygeo.select(points=[p, points[ends:]], images=(images[:half], b), srid=25832),
    ):
        assert found["id"].tolist() == whole["id"].tolist()
        assert found["point_id"].tolist() == whole["point_id"].tolist()
    one = mlygeo.select(points=points, images=[a], srid=25832)
    assert one["id"].tolist() != whole["id"].tolist(), "half of the images are another answer"
    assert mlygeo.coverage(streets=EDGES, images=[a, b], srid=25832).attrs["summary"]["images_considered"] == len(
        images
    )


# Odd frames of images and points: the answer is right, or an error says what is wrong; what is left out is counted.


def odd(images, **columns):
    return images.iloc[:40].reset_index(drop=True).assign(**columns)


def test_rows_without_a_place_are_counted(images, tmp_path):
    points = mlygeo.streets(CONFIG, streets=EDGES, interval=40, srid=25832)
    missing, empty = images.geometry.copy(), images.geometry.copy()
    missing[::2] = None
    empty[::2] = shapely.Point()
    whole = mlygeo.select(points=points, images=images.iloc[1::2], srid=25832)
    for number, geometry in enumerate((missing, empty)):
        gone = images.set_geometry(geometry)
        path = tmp_path / f"{number}.parquet"
        gone.to_parquet(path)
        for some in (gone, path):
            found = mlygeo.select(points=points, images=some, srid=25832)
            assert found["id"].tolist() == whole["id"].tolist()
            left = found.attrs["summary"]["left_out"]
            assert left == {"images without a position": (len(images) + 1) // 2}
    lost = points.set_geometry(points.geometry.where(points.index > 4))
    found = mlygeo.select(points=lost, images=images, srid=25832)
    assert found.attrs["summary"]["left_out"] == {"points without a position": 5}
    assert found["point_id"].min() >= 5
    found = mlygeo.select((9.16, 48.76, 9.18, 48.78), points=lost, images=images, srid=25832)
    assert found.attrs["summary"]["left_out"]["points without a position"] == 5


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (lambda n: [1.5] * n, "id"),
        (lambda n: [*(["1.5"] * (n // 2)), *range(n // 2)], "id"),
        (lambda n: ["x"] * (n - 1) + [" y"], "spaces"),
        (lambda n: [None, *range(1, n)], "id"),
        (lambda n: [f"00{i}" for i in range(1, n + 1)], "id"),
        (lambda n: [True] * n, "id"),
    ],
)
def test_ids_that_are_none_are_an_error(images, ids, words):
    with pytest.raises(FrameError, match=words):
        mlygeo.select(CONFIG, streets=EDGES, images=odd(images, id=ids(40)), srid=25832)


def test_ids_of_which_half_are_numbers_are_text(images, caplog):
    ids = [number if number % 2 else f"x{number}" for number in range(40)]
    expected = mlygeo.select(CONFIG, streets=EDGES, images=odd(images, id=[f"x{id_}" for id_ in ids]), srid=25832)
    found = mlygeo.select(CONFIG, streets=EDGES, images=odd(images, id=ids), srid=25832)
    assert found["id"].tolist() == [id_[1:] for id_ in expected["id"]]
    assert "20 of 40 values of 'id' are numbers, and others are not, such as 'x0'" in caplog.text


@pytest.mark.parametrize("kind", ["str", "float64", "uint64", "Int64", "int32"])
def test_ids_of_any_dtype_are_the_same_ids(images, kind):
    plain = odd(images, id=np.arange(1, 41))
    cast = plain.assign(id=plain["id"].astype(kind))
    expected = mlygeo.select(CONFIG, streets=EDGES, images=plain, srid=25832)
    found = mlygeo.select(CONFIG, streets=EDGES, images=cast, srid=25832)
    assert found["id"].tolist() == expected["id"].tolist()


@pytest.mark.parametrize(
    "point_id", [lambda n: [7] * n, lambda n: ["a"] * n, lambda n: [None] * n, lambda n: [0.5] * n]
)
def test_points_whose_ids_are_none_are_an_error(images, point_id):
    points = mlygeo.streets(CONFIG, streets=EDGES, interval=90, srid=25832)
    with pytest.raises(FrameError, match="point_id"):
        mlygeo.select(points=points.assign(point_id=point_id(len(points))), images=images, srid=25832)


def test_limits_at_their_ends(images):
    points = mlygeo.streets(CONFIG, streets=EDGES, interval=90, srid=25832)
    exact = points.assign(point_id=range(len(points))).set_geometry(
        images.geometry.iloc[: len(points)].set_axis(points.index)
    )
    at_zero = mlygeo.select(points=exact, images=images, srid=25832, max_distance=0)
    assert (at_zero["distance_m"] == 0).all()
    assert len(at_zero) == len(points)
    every = mlygeo.select(points=points, images=images.iloc[:5], srid=25832, max_distance=float("inf"), k=99)
    assert len(every) == 5 * len(points)
    for wrong in ({"max_distance": -1}, {"max_distance": float("nan")}, {"k": 0}, {"interval": 0}, {"interval": 1e-9}):
        with pytest.raises(InputError, match=f"`{next(iter(wrong))}`"):
            mlygeo.select(CONFIG, streets=EDGES, images=images, srid=25832, **wrong)
    few = mlygeo.streets(CONFIG, streets=EDGES, interval=1e9, srid=25832)
    assert 0 < len(few) < len(points)
