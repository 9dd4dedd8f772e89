"""What `select` prefers to the nearest image: its columns, its summary, and what is unknown."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.command_line import run

import mlygeo
from mlygeo import frames
from mlygeo.errors import FrameError, InputError

SRID = 25832

RULE = '{"weights": {"distance": 0.5, "age": 0.2, "resolution": 0.2, "panorama": 0.1}}'


def placed(east, north, **columns):
    """Return points some metres east and north of a place."""
    geometry = gpd.points_from_xy(513_000.0 + np.array(east), 5_402_000.0 + np.array(north), crs=SRID)
    return gpd.GeoDataFrame(columns, geometry=geometry)


@pytest.fixture
def street():
    """A point on a street that runs east, and images near it: near and old, far and new, beside, unknown."""
    points = placed([0.0], [0.0], point_id=[7], bearing=[90.0], name=["Ring"])
    # Grid north is off true north by 0.2 degrees here, 5 mm at 20 m.
    images = placed(
        [1.0, 20.0, 0.0, -2.0], [0.0, 0.0, 30.0, 0.0], id=np.array([1, 2, 3, 4]),
        captured_at=pd.to_datetime(["2014-06-30T12:00Z", "2024-06-30T12:00Z", "2022-05-01T00:00Z", None], utc=True).as_unit("ms"),
        width=pd.array([2048, 16_384, 8192, None], dtype="Int64"), is_pano=[False, True, True, False],
        compass_angle=[90.0, 0.0, 0.0, np.nan], sequence_id=["a", "b", "b", None],
        creator_id=pd.array([5, 6, 6, 6], dtype="Int64"),
    )  # fmt: skip
    return points, images


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"max_along": 5}, "leave out `max_along`, or"),
        ({"max_across": 5}, "leave out `max_across`, or"),
        ({"prefer": "heading.json"}, "leave out the term 'heading' of the weights in `prefer`, or"),
        (
            {"prefer": "heading.json", "max_along": 5},
            "leave out `max_along` and the term 'heading' of the weights in `prefer`, or",
        ),
    ],
)
def test_where_bearings_are_missing_the_hint_names_what_was_given(street, tmp_path, monkeypatch, given, named):
    points, images = street
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heading.json").write_text('{"weights": {"heading": 1}}')
    with pytest.raises(FrameError, match="no column 'bearing'") as caught:
        mlygeo.select(points=points.drop(columns="bearing"), images=images, srid=SRID, **given)
    assert caught.value.hint.startswith(named)


def test_scores_terms_and_the_record(street, tmp_path):
    points, images = street
    (tmp_path / "rule.json").write_text(RULE)
    found = mlygeo.select(points=points, images=images, srid=SRID, prefer=tmp_path / "rule.json", k=4)
    frames.check(found, frames.SELECTION)
    terms = found.set_index("id")
    assert terms["term_distance"].to_dict() == pytest.approx(
        {1: 0.904837, 2: 0.135335, 3: 0.049787, 4: 0.818731}, abs=1e-6
    )
    # Ten years before the newest image are 3653 days; of image 4 neither time nor size is known.
    age = {1: np.exp(-3653 / 365.25 / 5), 2: 1.0, 3: np.exp(-791.5 / 365.25 / 5), 4: 0.0}
    assert terms["term_age"].to_dict() == pytest.approx(age, abs=1e-9)
    assert terms["term_resolution"].to_dict() == {1: 0.125, 2: 1.0, 3: 0.5, 4: 0.0}
    assert terms["term_panorama"].to_dict() == {1: 0.0, 2: 1.0, 3: 1.0, 4: 0.0}
    weights = {"distance": 0.5, "age": 0.2, "resolution": 0.2, "panorama": 0.1}
    summed = sum(weight * terms[f"term_{name}"] for name, weight in weights.items())
    assert terms["score"].to_dict() == pytest.approx(summed.to_dict())
    assert found["score"].is_monotonic_decreasing
    assert found["id"].tolist() == [2, 1, 4, 3]
    summary = found.attrs["summary"]
    assert summary["prefer"]["weights"] == weights
    assert summary["as_of"] == "2024-06-30T12:00:00.000000Z"
    assert summary["problems"] == {
        "images without 'captured_at', whose term age is 0": 1, "images without 'width', whose term resolution is 0": 1,
    }  # fmt: skip


def test_ages_count_from_a_date_that_is_given(street):
    points, images = street
    found = mlygeo.select(points=points, images=images, srid=SRID, prefer="newest", as_of="2022", k=3).set_index("id")
    assert found.index.tolist() == [2, 3, 1]
    assert found["term_age"][2] == 1.0
    assert found["term_age"][3] == pytest.approx(np.exp(-245 / 365.25 / 5))
    assert found.attrs["summary"]["as_of"] == "2023-01-01T00:00:00.000000Z"
    assert found.attrs["summary"]["problems"]["images taken after `as_of`, whose term age is 1"] == 1


@pytest.mark.parametrize(
    ("words", "chosen"), [(["--max-along", "inf"], 1), (["--max-across", "inf", "--prefer", "newest"], 2)]
)
def test_an_endless_limit_is_none(street, tmp_path, capsys, words, chosen):
    for frame, name in zip(street, ("points", "images"), strict=True):
        mlygeo.write_frame(frame.to_crs(4326), tmp_path / f"{name}.parquet")
    words = ["--points", tmp_path / "points.parquet", "--images", tmp_path / "images.parquet", "--srid", SRID, *words]
    status, _, err = run(capsys, "select", *words, "-o", tmp_path / "out")
    assert status == 0, err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"max_along_m": None, "max_across_m": None}.items() <= summary.items()
    assert mlygeo.read_frame(tmp_path / "out" / "selection.parquet")["id"].tolist() == [chosen]


def test_limits_along_and_across_the_street(street):
    points, images = street
    beside = mlygeo.select(points=points, images=images, srid=SRID, max_across=5.0, k=9)
    assert beside["id"].tolist() == [1, 4, 2]
    assert beside["along_m"].tolist() == pytest.approx([1, -2, 20], abs=0.01)
    assert beside["across_m"].abs().max() < 0.1
    near = mlygeo.select(points=points, images=images, srid=SRID, max_along=1.5, k=9)
    assert near["id"].tolist() == [1, 3]
    assert near["across_m"].tolist() == pytest.approx([0, -30], abs=0.1)
    assert "score" not in near.columns
    unknown = mlygeo.select(points=points.assign(bearing=np.nan), images=images, srid=SRID, max_along=1.5)
    assert not len(unknown)
    assert unknown.attrs["summary"]["problems"] == {"points without a bearing, which get no image": 1}


@pytest.mark.parametrize(
    ("per", "expected", "gaps"),
    [("year", [1, 2, 3], 1), ("month", [1, 2, 3], 1), ("sequence", [1, 2], 1), ("creator", [1, 4], 0)],
)
def test_images_are_counted_by_groups(street, per, expected, gaps):
    points, images = street
    found = mlygeo.select(points=points, images=images, srid=SRID, per=per)
    assert found["id"].tolist() == expected
    assert found["rank"].tolist() == [*range(1, len(expected) + 1)]
    left_out = found.attrs["summary"]["left_out"]
    assert sum(count for reason, count in left_out.items() if "`per` counts by" in reason) == gaps


def test_what_has_no_effect_or_makes_no_sense_is_refused(street):
    points, images = street
    for options, message in [
        ({"as_of": "2024"}, "`as_of` has no effect without `prefer`"),
        ({"as_of": "2024", "per": "year"}, "`as_of` has no effect without a rule"),
        ({"prefer": "newest", "unique": True}, "`unique` is not possible with `prefer`"),
        ({"max_along": 3.0, "per": "year", "max_distance": None}, "`max_along` and `per` need a largest distance"),
        ({"max_across": -1.0}, "`max_across` must be 0"),
    ]:
        with pytest.raises(InputError, match=message):
            mlygeo.select(points=points, images=images, srid=SRID, **options)
    with pytest.raises(FrameError, match="no column 'sequence_id'"):
        mlygeo.select(points=points, images=images.drop(columns="sequence_id"), srid=SRID, prefer="project-sidewalk")


def test_the_published_rule_keeps_to_the_sequence_of_the_neighbour():
    # Two images at each place, equal but for their sequence; only at the first is one of them nearer.
    points = placed([0.0, 30.0], [0.0, 0.0], point_id=[1, 2])
    images = placed(
        [1.0, 2.0, 31.0, 31.0], [0.0, 0.0, 0.0, 0.0], id=[10, 11, 12, 13], sequence_id=["b", "a", "a", "b"],
        width=[4096] * 4, captured_at=pd.to_datetime(["2024-01-01T00:00Z"] * 4).as_unit("ms"), is_pano=[True] * 4,
    )  # fmt: skip
    plain = mlygeo.select(points=points, images=images, srid=SRID)
    assert plain["id"].tolist() == [10, 12]
    found = mlygeo.select(points=points, images=images, srid=SRID, prefer="project-sidewalk")
    # The neighbour of point 2 has an image of sequence b; that of point 1 got, as the lower id, one of sequence a,
    # whose image at point 1 would gain 0.05 and lose 0.45 * (exp(-0.1) - exp(-0.2)) = 0.039.
    assert found["id"].tolist() == [11, 13]
    assert found["term_same_sequence"].tolist() == [1.0, 1.0]
