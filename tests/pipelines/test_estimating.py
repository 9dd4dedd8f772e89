"""Estimates of a city with known truth: the verb and the function, what is missing counted, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import STUTTGART
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.cli import program
from mlygeo.errors import FrameError, InputError

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"


@pytest.fixture(scope="module")
def network():
    return mlygeo.street_network(path=EDGES)


@pytest.fixture(scope="module")
def points(network):
    return mlygeo.sample_streets(network, method="stratified", by="highway", n=300, seed=1, srid=25832)


@pytest.fixture(scope="module")
def selection(points, images):
    return mlygeo.select(points=points, images=images, max_distance=20, srid=25832)


def last(estimates):
    return estimates.iloc[-1]


def test_a_share_of_streets_is_that_of_the_coverage(network, points, selection, images):
    """What `coverage` measures exactly lies in the interval; so do the shares of the larger classes."""
    exact = mlygeo.street_coverage(network, images, distance=20, srid=25832)
    found = mlygeo.estimate(points, values=selection, by="highway")
    assert found["highway"].tolist()[:-1] == sorted(set(points["highway"]))
    assert pd.isna(last(found)["highway"])
    truth = exact["covered_m"].sum() / exact["length_m"].sum()
    assert last(found)["low"] < truth < last(found)["high"]
    by_class = exact.groupby("highway")[["covered_m", "length_m"]].sum()
    large = found[found["points"] >= 15]
    inside = large.iloc[:-1].set_index("highway").join(by_class.eval("covered_m / length_m").rename("truth"))
    assert len(inside) >= 3
    assert ((inside["low"] <= inside["truth"]) & (inside["truth"] <= inside["high"])).mean() > 0.7
    assert last(found)["points"] == 300
    assert last(found)["points_missing"] == 0
    assert abs(last(found)["length_m"] - exact["length_m"].sum()) < 0.01


def test_points_without_an_image_are_counted(points, selection):
    with_points = mlygeo.estimate(points, values=selection, column="is_pano")
    alone = mlygeo.estimate(selection, column="is_pano")
    missing = len(points) - selection["point_id"].nunique()
    assert missing > 10
    assert (last(with_points)["points"], last(with_points)["points_missing"]) == (len(points) - missing, missing)
    without = points.loc[~points["point_id"].isin(selection["point_id"]), "weight"].sum()
    assert abs(last(with_points)["length_missing_m"] - without) < 1e-6
    assert last(with_points)["estimate"] == pytest.approx(last(alone)["estimate"])
    assert last(alone)["points_missing"] == 0
    assert alone.attrs["summary"]["selection_alone"]
    assert not with_points.attrs["summary"]["selection_alone"]


def test_categories_add_up_and_numbers_have_a_mean(points):
    kinds = mlygeo.estimate(points, column="highway")
    assert kinds["value"].tolist() == sorted(set(points["highway"]))
    assert kinds["estimate"].sum() == pytest.approx(1)
    steep = points.assign(slope=np.where(points["highway"] == "residential", 2.0, 5.0))
    steep.loc[steep.index[::7], "slope"] = np.nan
    mean = last(mlygeo.estimate(steep, column="slope", level=0.9))
    known = steep[steep["slope"].notna()]
    assert mean["estimate"] == pytest.approx(np.average(known["slope"], weights=known["weight"]))
    assert mean["points_missing"] == len(steep[::7])
    assert pd.isna(mean["value"])


@pytest.mark.parametrize("kind", ["bool", "boolean", "object", "text"])
def test_truth_values_in_every_form(points, kind):
    truths = pd.Series(np.arange(len(points)) % 3 == 0)
    values = {
        "bool": truths,
        "boolean": truths.astype("boolean").where(pd.Series(np.arange(len(points)) % 5 > 0)),
        "object": truths.astype(object).where(pd.Series(np.arange(len(points)) % 5 > 0), None),
        "text": truths.map({True: "yes", False: "no"}),
    }[kind]
    found = mlygeo.estimate(points.assign(wide=values.to_numpy()), column="wide")
    assert found["value"].tolist() == (["no", "yes"] if kind == "text" else ["True"])
    known = values.notna().to_numpy()
    yes = values.isin([True, "yes"]).to_numpy()
    assert last(found)["estimate"] == pytest.approx(points["weight"][yes].sum() / points["weight"][known].sum())


def test_several_images_of_a_point_count_as_one(points, images):
    several = mlygeo.select(points=points, images=images, max_distance=20, srid=25832, k=3)
    found = last(mlygeo.estimate(several, column="is_pano"))
    assert found["points"] == several["point_id"].nunique() < len(several)
    each = several.groupby("point_id").agg({"is_pano": "mean", "weight": "first"})
    assert found["estimate"] == pytest.approx(np.average(each["is_pano"], weights=each["weight"]))
    assert_frame_equal(
        mlygeo.estimate(points, values=several, column="is_pano").drop(columns=["points_missing", "length_missing_m"]),
        mlygeo.estimate(several, column="is_pano").drop(columns=["points_missing", "length_missing_m"]),
        check_exact=False, rtol=0.2,
    )  # fmt: skip


def test_the_verb_prints_what_the_function_returns(points, tmp_path):
    mlygeo.write_frame(points, tmp_path / "points.parquet")
    ids = [*points["point_id"][::2], 17]
    labels = pd.DataFrame({"point_id": ids, "green": np.linspace(0, 1, len(ids))})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    words = ["estimate", tmp_path / "points.parquet", "--values", tmp_path / "labels.csv", "--column", "green"]
    found = CliRunner().invoke(program, [*map(str, words), "--by", "highway"])
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["highway", "value", "estimate", "95%", "interval", "points", "missing"]
    assert lines[-1].startswith("all")
    assert max(map(len, lines)) <= 80
    assert re.search(r"150 points \(\d\.\d km\) without a value left out", found.stderr)
    assert "1 row of the values belongs to no point" in found.stderr
    as_json = CliRunner().invoke(program, [*map(str, words), "--by", "highway", "--json"])
    rows = json.loads(as_json.stdout)["estimates"]
    expected = mlygeo.estimate(points, values=labels, column="green", by="highway")
    told = pd.Series([row["estimate"] for row in rows], dtype="float64")
    assert told.tolist() == pytest.approx(expected["estimate"].tolist(), nan_ok=True)
    assert rows[-1]["highway"] is None


def test_points_from_a_table_of_text_give_the_same(points, tmp_path):
    for ending in (".csv", ".geojson", ".gpkg"):
        mlygeo.write_frame(points, tmp_path / f"points{ending}")
        found = mlygeo.estimate(tmp_path / f"points{ending}", column="highway", by="stratum")
        assert_frame_equal(found, mlygeo.estimate(points, column="highway", by="stratum"), check_exact=False)


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda points: points, {}, InputError, "`column` is missing"),
        (lambda points: points, {"column": "green"}, FrameError, "no column 'green', which `column`"),
        (lambda points: points, {"column": "highway", "by": "zone"}, FrameError, "no column 'zone', which `by`"),
        (lambda points: points, {"column": "highway", "level": 95.0}, InputError, "level"),
        (lambda points: points, {"column": "u"}, FrameError, "holds ids"),
        (lambda points: points.drop(columns="weight"), {"column": "highway"}, FrameError, "how they were drawn"),
        (lambda points: points.assign(weight=-1.0), {"column": "highway"}, FrameError, "not positive numbers"),
        (lambda points: points.assign(day=pd.Timestamp("2024")), {"column": "day"}, FrameError, "neither a share"),
        (lambda points: points.assign(x=np.inf), {"column": "x"}, FrameError, "infinite"),
        (lambda points: points.assign(x=points["point_id"].astype("str")), {"column": "x"}, FrameError, "300 different"),
        (lambda points: points.assign(point_id=1), {"column": "highway"}, FrameError, "different values of 'weight'"),
        (lambda points: points.assign(x=points["u"].astype(complex)), {"column": "x"}, FrameError, "neither a share"),
        (lambda points: points.assign(low="a"), {"column": "highway", "by": "low"}, InputError, "`by` is 'low'"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_refused(points, change, options, error, words):
    with pytest.raises(error, match=words):
        mlygeo.estimate(change(points), **options)


def test_values_of_other_points_are_refused(points):
    with pytest.raises(FrameError, match="no row of `values` belongs to a point"):
        mlygeo.estimate(points, values=pd.DataFrame({"point_id": [1, 2], "x": [1.0, 2.0]}), column="x")
    with pytest.raises(FrameError, match="no column 'point_id'"):
        mlygeo.estimate(points.drop(columns="point_id"), values=pd.DataFrame({"point_id": [1]}))
    with pytest.raises(FrameError, match="the column 'x' twice"):
        mlygeo.estimate(points, values=pd.DataFrame([[1, 2, 3]], columns=["point_id", "x", "x"]), column="x")


def test_rows_of_a_point_that_disagree_are_refused_beside_values_too(points):
    """As in a selection with several images for each point, and for what they have in common they count once."""
    twice = pd.concat([points, points], ignore_index=True)
    twice["kind"] = np.repeat(["first", "second"], len(points))
    values = points[["point_id"]].assign(green=1.0)
    assert_frame_equal(
        mlygeo.estimate(twice, values=values, column="green", by="highway"),
        mlygeo.estimate(points, values=values, column="green", by="highway"),
    )
    with pytest.raises(FrameError, match="different values of 'kind'"):
        mlygeo.estimate(twice, values=values, column="green", by="kind")
    with pytest.raises(FrameError, match="different values of 'weight'"):
        mlygeo.estimate(twice.assign(weight=np.arange(1.0, len(twice) + 1)), values=values, column="green")


def test_columns_may_have_any_name(points):
    """Names that the joining of points and values needs for itself, too."""
    values = points[["point_id"]].assign(green=np.arange(len(points)) % 2 == 0).iloc[::-3]
    plain = mlygeo.estimate(points, values=values, column="green", by="highway")
    for name in ("row", "has a row", "place", "number"):
        for own in (points.assign(**{name: points["highway"]}), points):
            given = values if name in own else values.merge(points[["point_id", "highway"]], on="point_id")
            given = given.rename(columns={"green": name} if name in own else {"highway": name})
            column = name if name in own else "green"
            found = mlygeo.estimate(own, values=given, column=column, by="highway")
            assert_frame_equal(found, plain)
    rows = mlygeo.estimate(points.assign(row="all"), values=values, by="row")
    assert rows["estimate"].tolist() == [last(mlygeo.estimate(points, values=values))["estimate"]] * 2


@pytest.mark.parametrize("empty", ["no rows", "text", "numbers", "truth values"])
def test_nothing_known_is_an_estimate_of_nothing(points, empty):
    values = points[["point_id"]].assign(x=None if empty == "text" else np.nan)
    if empty == "no rows":
        values = values.iloc[:0]
    if empty == "truth values":
        values["x"] = values["x"].astype("boolean")
    found = mlygeo.estimate(points, values=values, column="x", by="highway")
    assert len(found) == points["highway"].nunique() + 1
    assert found[["estimate", "low", "high"]].isna().all(axis=None)
    assert (last(found)["points"], last(found)["points_missing"]) == (0, len(points))
