"""Frames of Dask in and out: rows are those of the step in memory, whatever the partitions, and come when asked for."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from geopandas.testing import assert_geodataframe_equal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.parts import lazy

dask = pytest.importorskip("dask")
dask_geopandas = pytest.importorskip("dask_geopandas")

quick = settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target])


def country(seed, *, images=200, points=50, text=False, west=9.0):
    """Return points and images with ties, repeated ids and rows without a position, perhaps across the antimeridian."""
    rng = np.random.default_rng(seed)
    lon = (west + rng.integers(0, 40, images) * 1e-3 + 180) % 360 - 180
    number = rng.permutation(images) + 1
    number[: images // 10] = number[images // 10 : 2 * (images // 10)]
    frame = gpd.GeoDataFrame(
        {
            "id": number,
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.5e9 + 900, images), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.3, np.nan, rng.integers(0, 360, images)),
            "is_pano": rng.random(images) < 0.3,
            "sequence_id": pd.Series(np.char.add("s", rng.integers(0, 9, images).astype(str)), dtype="str"),
            "folder": pd.Series(np.char.add("f", rng.integers(0, 4, images).astype(str)), dtype="str"),
            "creator_id": pd.array(rng.integers(1, 4, images), dtype="Int64"),
            "organization_id": pd.array([pd.NA] * images, dtype="Int64"),
        },
        geometry=gpd.points_from_xy(lon, 48 + rng.integers(0, 40, images) * 1e-3),
        crs=4326,
    )
    frame.loc[rng.random(images) < 0.05, "geometry"] = None
    frame.loc[rng.random(images) < 0.05, "sequence_id"] = None
    if text:
        provider = rng.choice(["mapillary", "panoramax", "own"], images)
        letter = np.where((provider != "mapillary") & (rng.random(images) < 0.1), "a", "")
        frame["id"] = pd.Series(np.char.add(letter, number.astype(str)), dtype="str")
        frame["provider"] = pd.Series(provider, dtype="str")
        frame = frame.drop(columns=["creator_id", "organization_id"])
    at = gpd.GeoDataFrame(
        {"point_id": rng.permutation(points) * 3, "bearing": rng.integers(0, 360, points).astype(float)},
        geometry=gpd.points_from_xy(
            (west + rng.integers(0, 80, points) * 5e-4 + 180) % 360 - 180, 48 + rng.integers(0, 80, points) * 5e-4
        ),
        crs=4326,
    )
    return at, frame


def parted(frame, cuts):
    """Return a frame of Dask whose partitions begin at some rows; two cuts alike make one without rows."""
    ends = [0, *sorted(cut % (len(frame) + 1) for cut in cuts), len(frame)]
    parts = [dask.delayed(frame.iloc[start:stop]) for start, stop in itertools.pairwise(ends)]
    return dask.dataframe.from_delayed(parts, meta=frame.iloc[:0], verify_meta=False)


def in_order(selection):
    return selection.sort_values(["point_id", "rank"], ignore_index=True)


CUTS = st.lists(st.integers(0, 300), max_size=6)
OPTIONS = st.sampled_from(
    [{}, {"k": 3}, {"max_distance": 500, "k": 2}, {"max_heading_difference": 40}, {"srid": 3857}, {"srid": 25832, "force_srid": True}]
)  # fmt: skip


@quick
@given(seed=st.integers(0, 2**32), cuts=CUTS, point_cuts=CUTS, options=OPTIONS, text=st.booleans(),
       west=st.sampled_from([9.0, 11.98, 179.98]), known=st.booleans(), held=st.booleans())  # fmt: skip
def test_the_nearest_are_those_of_frames_in_memory(seed, cuts, point_cuts, options, text, west, known, held):
    points, images = country(seed, text=text, west=west)
    if west > 100:
        options = {name: value for name, value in options.items() if "srid" not in name}
    expected = mlygeo.select_nearest(points, images, **options)
    lazily, target = parted(images, cuts), points if held else parted(points, point_cuts)
    if known:
        lazily.calculate_spatial_partitions()
    found = mlygeo.select_nearest(target, lazily, **options)
    assert isinstance(found, dask_geopandas.GeoDataFrame)
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    if not held:
        assert found.npartitions == target.npartitions
    assert_geodataframe_equal(in_order(found.compute(scheduler="sync")), in_order(expected))


@quick
@given(seed=st.integers(0, 2**32), cuts=CUTS, text=st.booleans())
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flag_duplicates", {"duplicate_distance": 80, "duplicate_angle": 90}), ("cut_sequences", {"cutoff_distance": 900}),
        ("check_images", {"max_speed": 10, "now": "2017-07-14T02:50:00Z"}), ("interpolate_times", {}),
        ("spread_subseconds", {}), ("interpolate_positions", {}),
        ("sun_position", {"field_of_view": 80}),
        ("interpolate_directions", {"overwrite": True}), ("split_sequences", {"max_images": 5}), ("summarise", {}),
        ("filter_images", {"pano": True, "since": "2017-07-14T02:45:00Z"}),
        ("filter_images", {"where": "compass_angle > 180 and captured_at >= '2017-07-14' or sequence_id = 's1' or is_pano"}),
    ],
)  # fmt: skip
def test_steps_give_the_rows_of_frames_in_memory(name, options, seed, cuts, text):
    images = country(seed, images=120)[1]
    if text and name != "filter_images":
        images.insert(5, "provider", pd.Series(np.where(images["id"] % 2, "mapillary", "panoramax"), dtype="str"))
    step = getattr(mlygeo, name)
    expected = step(images, **options)
    found = step(parted(images, cuts), **options)
    assert isinstance(found, dask_geopandas.GeoDataFrame)
    # Where all rows tell a dtype, it is the one that holds any of them.
    wide = (
        {
            "sun_position": {"against_light": "boolean"},
            "interpolate_times": {"captured_at": found["captured_at"].dtype},
            "spread_subseconds": {"captured_at": found["captured_at"].dtype},
        }
        if "captured_at" in found.columns
        else {}
    )
    expected = expected.astype(wide.get(name, {}))
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    try:
        computed = found.compute(scheduler="sync")
    except FrameError as error:
        if "agree in path, id, time and device" not in str(error):
            raise
        return
    if name == "summarise":
        key = ["start", "sequence_id", *(["provider"] if "provider" in computed else [])]
        computed, expected = (each.sort_values(key, ignore_index=True) for each in (computed, expected))
    assert_frame_equal(pd.DataFrame(computed.sort_index()), pd.DataFrame(expected.sort_index()))


@pytest.mark.parametrize(("name", "column"), [("cut_sequences", "folder"), ("split_sequences", "sequence_id")])
def test_sequences_whose_first_images_agree_are_refused_where_a_part_does_not_number_them(name, column):
    images = country(1, images=120)[1]
    copies = images.assign(**{each: "copy of " + images[each] for each in ("folder", "sequence_id")})
    twice, step = pd.concat([images, copies], ignore_index=True), getattr(mlygeo, name)
    options = {"max_images": 3} if name == "split_sequences" else {}
    found = step(parted(twice, [50, 90, 200]), **options)
    with pytest.raises(FrameError, match=f"sequences of several `{column}` agree in path, id, time and device"):
        found.compute(scheduler="sync")
    for told_apart, cuts in ((twice.assign(path=[f"{number}.jpg" for number in twice.index]), [50, 90]), (twice, [])):
        computed = step(parted(told_apart, cuts), **options).compute(scheduler="sync")
        assert computed["sequence_id"].sort_index().tolist() == step(told_apart, **options)["sequence_id"].tolist()


def test_nothing_but_places_is_computed_before_it_is_asked_for():
    points, images = country(1)
    asked = []

    def part(frame, number):
        asked.append((number, [*frame.columns]))
        return frame

    def lazily(frame):
        return parted(frame, [60, 120]).map_partitions(
            lambda rows: (asked.append([*rows.columns]), rows)[1], meta=frame.iloc[:0]
        )

    known = parted(images, [60, 120])
    known.calculate_spatial_partitions()
    mlygeo.filter_images(lazily(images), pano=True)
    mlygeo.flag_duplicates(lazily(images))
    assert asked == []
    # Without boxes, positions are computed, of all partitions once.
    mlygeo.select_nearest(points, lazily(images))
    assert len(asked) == 3


def test_partitions_out_of_reach_are_not_computed():
    points, images = country(2)
    far = images.assign(geometry=images.translate(1.0)).set_crs(4326)
    asked = []

    def seen(part):
        if len(part):
            asked.append(float(part.geometry.x.mean()))
        return part

    both = parted(pd.concat([images, far], ignore_index=True), [200])
    both.calculate_spatial_partitions()
    boxes = both.spatial_partitions
    both = both.map_partitions(seen, meta=images.iloc[:0])
    both.spatial_partitions = boxes
    found = mlygeo.select_nearest(points, both).compute(scheduler="sync")
    assert_geodataframe_equal(in_order(found), in_order(mlygeo.select_nearest(points, images)))
    assert asked
    assert max(asked) < 9.5


def test_frames_in_the_crs_to_measure_in(recwarn):
    points, images = country(3)
    points, images = points.to_crs(25832), images.to_crs(25832)
    expected = mlygeo.select_nearest(points, images, srid=25832, k=2)
    found = mlygeo.select_nearest(parted(points, [20]), parted(images, [50, 100]), srid=25832, k=2)
    assert_geodataframe_equal(in_order(found.compute()), in_order(expected))


def test_many_points_in_memory_are_parted_by_place(monkeypatch):
    monkeypatch.setattr(lazy, "POINTS_AT_ONCE", 20)
    points, images = country(4)
    found = mlygeo.select_nearest(points, parted(images, [100]))
    assert found.npartitions == 3
    assert_geodataframe_equal(in_order(found.compute()), in_order(mlygeo.select_nearest(points, images)))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("select_nearest", {"unique": True}, "`unique` is not possible with a frame of Dask"),
        ("select_nearest", {"max_distance": None}, "`max_distance=None` is not possible with a frame of Dask"),
        ("select_nearest", {"k": 0}, "`k`"), ("select_nearest", {"srid": "x"}, "`srid`"),
        ("select_nearest", {"max_distance": -1}, "`max_distance`"), ("filter_images", {"min_quality": 3}, "`min_quality`"),
        ("flag_duplicates", {"duplicate_distance": -1}, "`duplicate_distance`"),
    ],
)  # fmt: skip
def test_what_a_part_does_not_tell_is_refused_at_once(name, options, words):
    points, images = country(5)
    given = [parted(points, [20])] if name == "select_nearest" else []
    with pytest.raises(InputError, match=words) as caught:
        getattr(mlygeo, name)(*given, parted(images.assign(quality_score=1.0), [50]), **options)
    if "Dask" in words:
        assert "mlygeo partition" in caught.value.hint


def test_other_mistakes_are_those_of_frames_in_memory():
    points, images = country(6)
    with pytest.raises(InputError, match="`cut_sequences` of a frame of Dask needs a column `folder`"):
        mlygeo.cut_sequences(parted(images.drop(columns="folder"), [50]))
    with pytest.raises(CrsError, match="EPSG:2056 covers"):
        mlygeo.select_nearest(
            parted(points, [20]), parted(images.set_geometry(images.translate(40.0)), [50]), srid=2056
        )
    with pytest.raises(FrameError, match="captured_at"):
        mlygeo.flag_duplicates(parted(images.drop(columns="captured_at"), [50]))
    twice = parted(points.assign(point_id=np.arange(len(points)) % 40), [20])
    with pytest.raises(FrameError, match="point_id is not unique"):
        mlygeo.select_nearest(twice, parted(images, [50])).compute(scheduler="sync")
    lines = gpd.GeoDataFrame({"u": [1]}, geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9 48, 9 48.1)"]), crs=4326)
    with pytest.raises(InputError, match="`method=percept` is not possible with a frame of Dask"):
        mlygeo.street_points(parted(lines, []), method="percept")


def test_seconds_of_a_camera_are_estimated_folder_by_folder():
    images = country(1, images=40)[1].assign(folder=["a", "b"] * 20)
    seconds = 1.5e9 + np.arange(40) // 4
    images["captured_at"] = pd.to_datetime(seconds, unit="s", utc=True).as_unit("ms")
    expected = mlygeo.estimate_subseconds(images, sub_second_interval=0.5)
    assert not expected["captured_at"].equals(images["captured_at"])
    found = mlygeo.estimate_subseconds(parted(images, [3, 20, 31]), sub_second_interval=0.5)
    assert_frame_equal(pd.DataFrame(found.compute(scheduler="sync").sort_index()), pd.DataFrame(expected))


def test_a_track_in_memory_or_not_is_what_images_are_compared_with():
    images = country(2, images=60)[1]
    track = gpd.GeoDataFrame(
        {
            "track_id": pd.Series(["t"] * 9, dtype="str"),
            "time": pd.to_datetime(1.5e9 + np.arange(9) * 30, unit="s", utc=True).as_unit("us"),
            "altitude": np.zeros(9),
        },
        geometry=gpd.points_from_xy(9 + np.arange(9) * 1e-3, np.full(9, 48.0)), crs=4326,
    )  # fmt: skip
    expected = mlygeo.check_images(images, track=track)
    assert expected["problem"].notna().any()
    for given_track in (track, parted(track, [4])):
        found = mlygeo.check_images(parted(images, [20]), track=given_track)
        assert_frame_equal(pd.DataFrame(found.compute(scheduler="sync").sort_index()), pd.DataFrame(expected))
    of_all = mlygeo.check_images(images, track=parted(track, [4]))
    assert_frame_equal(pd.DataFrame(of_all.compute(scheduler="sync").sort_index()), pd.DataFrame(expected))
