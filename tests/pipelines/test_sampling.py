"""Points drawn along streets: the verb and the function, what has no effect refused, and what a summary says."""

from __future__ import annotations

import hashlib
import json

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner
from conftest import STUTTGART
from geopandas.testing import assert_geodataframe_equal
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.cli import program
from mlygeo.errors import FileError, FrameError, InputError

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
CONFIG = STUTTGART / "stuttgart_config.json"


@pytest.fixture
def districts(tmp_path):
    shapes = [shapely.box(9.16, 48.76, 9.168, 48.768), shapely.box(9.16, 48.768, 9.168, 48.775)]
    frame = gpd.GeoDataFrame({"zone": ["south", "north"]}, geometry=shapes, crs=4326)
    path = tmp_path / "districts.geojson"
    frame.to_file(path)
    return path


def run(*words):
    return CliRunner().invoke(program, ["streets", "--streets", str(EDGES), "-S", "25832", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--method", "random", "--n", 30, "--seed", 4], {"method": "random", "n": 30, "seed": 4}),
        (["--method", "stratified", "--by", "highway", "--n", 30], {"method": "stratified", "by": "highway", "n": 30}),
        (["--method", "grid", "--cell", "150", "--n", 1], {"method": "grid", "cell": 150, "n": 1}),
        (["--method", "grid", "--cell", "quadkey17"], {"method": "grid", "cell": "quadkey17"}),
        (["--method", "per-street", "--n-streets", 9], {"method": "per-street", "n_streets": 9}),
    ],
)
def test_the_verb_writes_what_the_functions_return(tmp_path, words, options):
    found = run(*words, "-o", tmp_path / "points.parquet")
    assert found.exit_code == 0, found.output
    written = mlygeo.read_frame(tmp_path / "points.parquet", frame="street_points")
    expected = mlygeo.streets(streets=EDGES, srid=25832, **options)
    own = ["stratum", "inclusion_probability", "weight"]
    by_id = written.sort_values("point_id", ignore_index=True)
    assert_geodataframe_equal(by_id[["point_id", *own, "geometry"]], expected[["point_id", *own, "geometry"]])
    step = mlygeo.sample_streets(mlygeo.street_network(path=EDGES), srid=25832, **options)
    assert step["point_id"].tolist() == expected["point_id"].tolist()
    assert f"{len(expected)} points drawn on 7.8 km of streets" in found.output
    assert expected.attrs["summary"]["street_points"]["seed"] == options.get("seed", 0)


def test_polygons_and_numbers_by_stratum_come_from_files(tmp_path, districts):
    (tmp_path / "n.csv").write_text("stratum,n\nnorth,5\nsouth,7\n")
    words = ["--method", "stratified", "--strata", districts, "--by", "zone", "--allocation", tmp_path / "n.csv"]
    found = run(*words, "-o", tmp_path / "points.parquet", "--json")
    assert found.exit_code == 0, found.output
    summary = json.loads(found.stdout)
    facts = summary["street_points"]
    assert {name: each["points"] for name, each in facts["by_stratum"].items()} == {"north": 5, "south": 7}
    assert "lie in no stratum, and are left out" in found.stderr
    hashed = hashlib.sha256((tmp_path / "n.csv").read_bytes()).hexdigest()
    assert summary["inputs"]["allocation"]["sha256"] == hashed
    assert "strata" in summary["inputs"]
    held = mlygeo.streets(
        streets=EDGES, method="stratified", strata=mlygeo.read_frame(districts), by="zone",
        allocation={"north": 5, "south": 7}, srid=25832,
    )  # fmt: skip
    assert sorted(held["point_id"]) == sorted(mlygeo.read_frame(tmp_path / "points.parquet")["point_id"])


REFUSED = [
    ({"interval": 20.0, "method": "random", "n": 4}, "`interval` has no effect with `method=random`"),
    ({"seed": 0}, "`seed` has no effect with `method=even`"),
    ({"method": "percept", "n": 5, "cell": 3.0}, "`n` and `cell` have no effect with `method=percept`"),
    ({"method": "grid", "cell": 100.0, "by": "highway"}, "`by` has no effect with `method=grid`"),
    ({"method": "random"}, "`n` is missing"),
    ({"method": "random", "n": 4, "output": "points"}, "`method=random` draws its points from all streets"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_what_has_no_effect_is_refused_before_streets_are_asked_for(options, words, tmp_path):
    """No network is in reach of a test: a call that came as far would say so."""
    if "output" in options:
        options = options | {"output": tmp_path / "points"}
    with pytest.raises(InputError, match=words) as caught:
        mlygeo.streets(CONFIG, **options)
    if "seed" in options:
        assert "drawn with `method=random`" in caught.value.hint


def test_what_cannot_be_read_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileError, match="proportionl does not exist"):
        mlygeo.streets(streets=EDGES, method="stratified", by="highway", n=30, allocation="proportionl")
    with pytest.raises(FileError):
        mlygeo.streets(streets=EDGES, method="stratified", strata=tmp_path / "none.gpkg", n=30)
    with pytest.raises(FrameError, match="not valid polygons"):
        mlygeo.streets(streets=EDGES, method="stratified", strata=EDGES, n=30)


@pytest.fixture(scope="module")
def drawn():
    return mlygeo.streets(streets=EDGES, method="per-street", n=3, n_streets=25, srid=25832, seed=8)


def test_a_selection_has_the_weights_of_its_points(drawn, images, tmp_path):
    own = images.assign(weight="heavy", cluster=5)
    selection = mlygeo.select(points=drawn, images=own, max_distance=40, k=2)
    columns = ["stratum", "cluster", "inclusion_probability", "weight"]
    expected = drawn.set_index("point_id").loc[selection["point_id"], columns].reset_index(drop=True)
    assert_frame_equal(pd.DataFrame(selection[columns]), pd.DataFrame(expected))
    step = mlygeo.select_nearest(drawn, own, max_distance=40, k=2)
    assert_frame_equal(pd.DataFrame(step[columns]), pd.DataFrame(expected))
    assert selection.attrs["record"]["options"]["points"] == "a frame"  # though it has a column `name`
    plain = mlygeo.select(points=drawn.drop(columns=columns), images=own, max_distance=40, k=2)
    assert set(plain["weight"]) == {"heavy"}
    assert "stratum" not in plain.columns


@pytest.mark.parametrize("unique", [False, True])
def test_a_selection_over_parts_has_the_same_weights(drawn, images, tmp_path, unique):
    mlygeo.partition(images, tmp_path / "images", rows_per_part=400)
    options = {"points": drawn, "max_distance": 40, "unique": unique, "k": 2}
    whole = mlygeo.select(images=images, **options)
    parts = mlygeo.select(images=tmp_path / "images", **options)
    assert_frame_equal(pd.DataFrame(parts.drop(columns="geometry")), pd.DataFrame(whole.drop(columns="geometry")))
    assert parts["weight"].notna().all()


def test_weights_that_are_no_numbers_are_refused(drawn, images):
    with pytest.raises(FrameError, match="weight"):
        mlygeo.select(points=drawn.assign(weight="heavy"), images=images)
