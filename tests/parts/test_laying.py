"""Points laid along streets part by part are those of all streets at once, to the last bit."""

import json
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from conftest import DATA
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import run
from helpers.datasets import write_dataset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import CrsError, FileError, FrameError, InputError, MlygeoError, RegionError
from mlygeo.parts import laying, plan
from mlygeo.pipelines import networks
from mlygeo.pipelines.job import body_of
from mlygeo.readers import street_rows
from mlygeo.readers.streets import read_streets

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


def town(seed, *, around=(9.0, 48.75), number=60, odd=False):
    """Return streets in all directions, both ways and one, some of them long, on borders of cells, or no lines."""
    rng = np.random.default_rng(seed)
    nodes = np.array(around) + rng.integers(0, 40, (30, 2)) * 5e-4
    u, v = rng.integers(0, len(nodes), (2, number))
    bend = rng.normal(0, 2e-4, (number, 2))
    lines = [shapely.LineString([a, (a + b) / 2 + c, b]) for a, b, c in zip(nodes[u], nodes[v], bend, strict=True)]
    frame = gpd.GeoDataFrame(
        {
            "u": u, "v": v, "key": 0,
            "osmid": [str(number) if number % 5 else None for number in range(number)],
            "highway": rng.choice(["residential", "service", ""], number),
            "name": pd.Series(rng.choice([None, "Königstraße", "[A]"], number), dtype="str"),
            "length": rng.random(number),
        },
        geometry=lines, crs=4326,
    )  # fmt: skip
    again = frame.iloc[::3].copy()
    again[["u", "v"]] = again[["v", "u"]].to_numpy()
    again["geometry"] = again.geometry.reverse()
    frame = pd.concat([frame, again, frame.iloc[:4].assign(key=1)], ignore_index=True)
    frame["geometry"] = [
        shapely.transform(line, lambda xy: np.column_stack(((xy[:, 0] + 180) % 360 - 180, xy[:, 1])))
        for line in frame.geometry
    ]
    width = frame.geometry.bounds["maxx"] - frame.geometry.bounds["minx"]
    frame = frame[width < 180].reset_index(drop=True)
    if odd:
        frame.loc[[2, 5], "geometry"] = [None, shapely.Point(*around)]
        frame.loc[7, "geometry"] = shapely.MultiLineString([frame.geometry[7], frame.geometry[8]])
    return frame


def images_in(streets, seed, number=200):
    rng = np.random.default_rng(seed)
    west, south, east, north = streets.total_bounds
    if east - west > 180:
        west, east = 179.99, 180.01
    lon, lat = (
        (west + rng.random(number) * (east - west) + 180) % 360 - 180,
        south + rng.random(number) * (north - south),
    )
    captured = pd.to_datetime(rng.integers(1.5e9, 1.7e9, number), unit="s", utc=True).as_unit("ms")
    columns = {"id": rng.permutation(number) + 1, "captured_at": captured, "compass_angle": rng.random(number) * 360}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat), crs=4326)


def written(streets, folder, files, group):
    folder.mkdir()
    cuts = np.linspace(0, len(streets), files + 1).astype(int)
    for number in range(files):
        some = streets.iloc[cuts[number] : cuts[number + 1]]
        some.to_parquet(folder / f"{number:03}.parquet", row_group_size=group, index=False)
    return folder if files > 1 else folder / "000.parquet"


def laid_in_parts(patch, *, places=100, rows=30):
    """Let even small networks be laid in parts."""
    patch.setattr(networks, "HELD_STREETS", 0)
    patch.setattr(networks, "HELD_POINTS", 0)
    patch.setattr(networks, "ROWS_AT_ONCE", rows)
    patch.setattr(street_rows, "ROWS_AT_ONCE", rows)
    patch.setattr(laying, "PLACES_PER_TASK", places)


def outcome(**options):
    """Return what is selected, or the error."""
    try:
        return mlygeo.select(**options), None
    except MlygeoError as error:
        return None, str(error)


def told(frame):
    return {key: value for key, value in frame.attrs["summary"].items() if key not in {"inputs", "run"}}


@given(
    seed=st.integers(0, 10**6), files=st.integers(0, 4), group=st.sampled_from([20, 10**6]),
    rows=st.sampled_from([7, 50, 10**6]), places=st.sampled_from([60, 150, 10**6]), task=st.sampled_from([80, 10**6]),
    interval=st.sampled_from([9.0, 25.0, 130.0]), region=st.booleans(), odd=st.booleans(), unique=st.booleans(),
    place=st.sampled_from([((9.0, 48.75), 25832), ((5.99, 50.0), None), ((179.99, -17.0), 3832), ((3.0, -0.01), None)]),
    crs=st.sampled_from([4326, 4326, 3857]),
)  # fmt: skip
@settings(deadline=None, max_examples=6, phases=PHASES)
def test_a_selection_along_streets_laid_in_parts_is_that_of_one_run(
    seed, files, group, rows, places, task, interval, region, odd, unique, place, crs
):
    around, srid = place
    streets = town(seed, around=around, odd=odd)
    images = images_in(streets, seed)
    streets = streets.to_crs(crs)
    options = {"interval": interval, "srid": srid, "max_distance": 60.0, "unique": unique}
    if region:
        west, south = around
        options["region"] = (west + 0.004, south + 0.003, (west + 0.015 + 180) % 360 - 180, south + 0.018)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        given_streets = written(streets, Path(folder) / "streets", files, group) if files else streets
        dataset = write_dataset(images, Path(folder) / "images", 60)
        whole, error = outcome(streets=given_streets, images=images, **options)
        if error:
            laid_in_parts(patch, rows=rows)
            assert outcome(streets=given_streets, images=dataset, **options) == (None, error)
            return
        expected = body_of(mlygeo.select)(streets=given_streets, images=images, **options)
        expected.write(Path(folder) / "expected")
        patch.setattr(plan, "ROWS_PER_TASK", task)
        laid_in_parts(patch, places=places, rows=rows)
        parts = mlygeo.select(streets=given_streets, images=dataset, **options)
        assert told(parts) == told(whole)
        for each in (whole, parts):
            del each.attrs["summary"], each.attrs["run"], each.attrs["record"]
        assert_geodataframe_equal(parts, whole)
        assert parts.attrs == whole.attrs
        body_of(mlygeo.select)(streets=given_streets, images=dataset, **options).write(Path(folder) / "out")
        files = [pq.ParquetFile(Path(folder) / name / "street_points.parquet") for name in ("expected", "out")]
        one, other = (file.read() for file in files)
        assert one.equals(other) or one.to_pandas().equals(other.to_pandas())
        attrs = [json.loads(file.metadata.metadata[b"pandas"])["attributes"] for file in files]
        assert [{**each, "run": None} for each in attrs] == [{**attrs[0], "run": None}] * 2
        assert [path.name for path in (Path(folder) / "out").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("retain_all", [False, True])
def test_a_selection_along_the_streets_of_an_openstreetmap_file_is_that_of_one_run(tmp_path, monkeypatch, retain_all):
    extract = DATA / "osm" / "helsinki_centre.osm.pbf"
    streets = read_streets(extract, retain_all=True)
    images = images_in(streets, 3)
    dataset = write_dataset(images, tmp_path / "images", 300)
    options = {"streets": extract, "interval": 40, "srid": 3067, "max_distance": 60.0, "retain_all": retain_all}
    whole = mlygeo.select(images=images, **options)
    laid_in_parts(monkeypatch, places=800, rows=1000)
    parts = mlygeo.select(images=dataset, **options)
    assert told(parts) == told(whole)
    for each in (whole, parts):
        del each.attrs["summary"], each.attrs["run"], each.attrs["record"]
    assert_geodataframe_equal(parts, whole)
    assert parts.attrs == whole.attrs


@given(seed=st.integers(0, 10**6), places=st.sampled_from([40, 200]))
@settings(deadline=None, max_examples=6, phases=PHASES)
def test_where_streets_near_a_part_leave_points_undecided_more_are_read(seed, places):
    streets = town(seed)
    images = images_in(streets, seed)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        dataset = write_dataset(images, Path(folder) / "images")
        whole = mlygeo.select(streets=streets, images=images, interval=60, srid=25832, max_distance=40.0)
        laid_in_parts(patch, places=places)
        patch.setattr(laying, "HALO", 0.01)
        parts = mlygeo.select(streets=streets, images=dataset, interval=60, srid=25832, max_distance=40.0)
        assert told(parts) == told(whole)
        assert parts.drop(columns="geometry").equals(whole.drop(columns="geometry"))


def test_streets_without_nodes_are_read_as_a_whole(tmp_path, monkeypatch):
    streets = town(1)
    images = images_in(streets, 1)
    dataset = write_dataset(images, tmp_path / "images")
    laid_in_parts(monkeypatch)
    for number, some in enumerate([streets.drop(columns=["u", "v", "key"]), streets.assign(osmid=1.5)]):
        path = written(some, tmp_path / f"streets-{number}", 1, 20)
        assert street_rows.opened(path, None, retain_all=False, least=0) is None
        whole = mlygeo.select(streets=path, images=images, srid=25832)
        parts = mlygeo.select(streets=path, images=dataset, srid=25832)
        assert told(parts) == told(whole)
        assert parts["id"].equals(whole["id"])


def test_what_is_wrong_is_said_as_in_one_run(tmp_path, monkeypatch):
    streets = town(2)
    images = images_in(streets, 2)
    dataset = write_dataset(images, tmp_path / "images")
    points = streets.set_geometry(shapely.centroid(streets.geometry.to_numpy()), crs=4326)
    cases = [
        (streets, {"srid": 28992}, CrsError), (streets, {"region": (1.0, 1.0, 1.1, 1.1)}, RegionError),
        (points, {}, FrameError), (streets, {"interval": -1.0}, InputError),
    ]  # fmt: skip
    for number, (some, options, kind) in enumerate(cases):
        path = written(some, tmp_path / f"streets-{number}", 2, 20)
        said = []
        for found in (images, dataset):
            with pytest.MonkeyPatch.context() as patch:
                if found is dataset:
                    laid_in_parts(patch)
                with pytest.raises(kind) as caught:
                    mlygeo.select(streets=path, images=found, **options)
                said.append(str(caught.value).replace("streets-", ""))
        assert said[0] == said[1]
    laid_in_parts(monkeypatch)
    with pytest.raises(InputError, match="first row in each is kept"):
        mlygeo.select(streets=streets, images=dataset, method="percept")


def test_shares_of_the_work_lay_the_points_once(tmp_path, monkeypatch):
    streets = town(3)
    images = images_in(streets, 3)
    path = written(streets, tmp_path / "streets", 2, 20)
    dataset = write_dataset(images, tmp_path / "images", 40)
    whole = mlygeo.select(streets=path, images=images, srid=25832)
    laid_in_parts(monkeypatch)
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 50)
    job = body_of(mlygeo.select)
    for part in ("1/2", "2/2"):
        job(streets=path, images=dataset, srid=25832, part=part).write(tmp_path / "out")
    assert len([*(tmp_path / "out" / ".mlygeo").glob("laying-*")]) == 1
    job(streets=path, images=dataset, srid=25832).write(tmp_path / "out")
    found = mlygeo.read_frame(tmp_path / "out" / "selection")
    assert sorted(found["id"]) == sorted(whole["id"])
    rehearsed = mlygeo.select(streets=path, images=dataset, srid=25832, dry_run=True)
    assert rehearsed["points"].sum() == whole.attrs["summary"]["points"]


def test_points_of_streets_become_a_dataset(tmp_path, monkeypatch):
    streets = town(4)
    path = written(streets, tmp_path / "streets", 2, 20)
    whole = mlygeo.streets(streets=path, interval=25, srid=25832)
    for rows, name in ((0, "few"), (10**6, "many")):
        laid_in_parts(monkeypatch)
        monkeypatch.setattr(networks, "HELD_STREETS", rows)
        parts = mlygeo.streets(output=tmp_path / name, streets=path, interval=25, srid=25832, workers=1)
        assert parts["rows"].sum() == len(whole)
        assert told(parts)["street_points"] == told(whole)["street_points"]
        assert told(parts)["streets"] == told(whole)["streets"]
        found = mlygeo.read_frame(tmp_path / name).sort_values("point_id", ignore_index=True)
        assert_geodataframe_equal(found[whole.columns], whole, check_like=False)
        again = mlygeo.streets(output=tmp_path / name, streets=path, interval=25, srid=25832)
        assert again["sha256"].tolist() == parts["sha256"].tolist()
        with pytest.raises(FileError, match="something else already"):
            mlygeo.streets(output=tmp_path / name, streets=path, interval=26, srid=25832)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "few", "few.partitions.parquet", "many", "many.partitions.parquet", "streets",
    ]  # fmt: skip
    with pytest.raises(InputError, match="first row in each is kept"):
        mlygeo.streets(output=tmp_path / "other", streets=path, method="percept")
    images = images_in(streets, 4)
    dataset = write_dataset(images, tmp_path / "images")
    one, other = (mlygeo.select(points=some, images=dataset, srid=25832) for some in (whole, tmp_path / "many"))
    assert sorted(one["id"]) == sorted(other["id"])


def test_the_command_writes_a_dataset_of_points(tmp_path, capsys):
    path = written(town(5), tmp_path / "streets", 1, 20)
    status, out, err = run(capsys, "streets", "--streets", path, "-I", 40, "-S", 25832, "-o", f"{tmp_path}/points/")
    assert (status, "street points on" in out + err) == (0, True)
    assert len(mlygeo.read_frame(tmp_path / "points")) > 100
