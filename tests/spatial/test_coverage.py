import itertools
import json
import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.installed import has
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.spatial import coverage, geodesy, reach

CONFIG = STUTTGART / "stuttgart_config.json"
EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
SRID = 25832


def streets_of(lines, **columns):
    """A streets frame of lines in EPSG:25832."""
    number = np.arange(len(lines))
    return gpd.GeoDataFrame(
        {
            "u": number * 2, "v": number * 2 + 1, "key": np.zeros(len(lines), "int64"),
            "osmid": pd.Series(number.astype(str), dtype="str"),
            "highway": pd.Series(["residential"] * len(lines), dtype="str"),
            "name": pd.Series([None] * len(lines), dtype="str"), "oneway": np.zeros(len(lines), dtype=bool), **columns,
        },
        geometry=gpd.GeoSeries(list(lines), crs=SRID),
    ).to_crs(4326)  # fmt: skip


def images_of(x, y, **columns):
    return gpd.GeoDataFrame({"id": np.arange(len(x)), **columns}, geometry=gpd.points_from_xy(x, y, crs=SRID)).to_crs(
        4326
    )


def stretches(line, places, distance):
    """A plain loop: where circles cut a line, joined; from and to along it."""
    found, along = [], 0.0
    vertices = list(line.coords)
    for (x0, y0), (x1, y1) in itertools.pairwise(vertices):
        length = math.hypot(x1 - x0, y1 - y0)
        for x, y in places:
            if length == 0:
                continue
            middle = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
            beside = ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
            if abs(beside) <= distance:
                half = math.sqrt(distance**2 - beside**2)
                start, stop = max(middle - half, 0), min(middle + half, length)
                if start <= stop:
                    found.append((along + start, along + stop))
        along += length
    joined = []
    for start, stop in sorted(found):
        if joined and start <= joined[-1][1] + 1e-9:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return joined, along


def inside(line, area):
    """Length of a line's segments in an area; GEOS counts what a line passes twice only once."""
    segments = [shapely.LineString(pair) for pair in itertools.pairwise(line.coords)]
    return shapely.length(shapely.intersection(np.array(segments), area)).sum()


def check_against_the_loop(streets, images, distance, srid=SRID):
    """Every street to the millimetre, its gaps too; and between buffers drawn too small and too large."""
    found = mlygeo.street_coverage(streets, images, srid=srid, distance=distance)
    gaps = mlygeo.coverage_gaps(streets, images, srid=srid, distance=distance, min_length=0)
    places = images.to_crs(srid).geometry
    points = list(zip(places.x, places.y, strict=True))
    tree = shapely.STRtree(np.asarray(places))
    for place, (row, line) in enumerate(zip(found.itertuples(), found.to_crs(srid).geometry, strict=True)):
        near = [points[i] for i in tree.query(line.buffer(distance + 1))]
        pieces, length = stretches(line, near, distance)
        covered = sum(stop - start for start, stop in pieces)
        assert row.length_m == pytest.approx(length, abs=1e-3)
        assert row.covered_m == pytest.approx(covered, abs=1e-3), place
        away = np.array([line.distance(shapely.Point(p)) for p in near])
        assert (away <= distance - 1e-6).sum() <= row.images <= (away <= distance + 1e-6).sum()
        small = shapely.union_all([shapely.Point(p).buffer(distance, quad_segs=8) for p in near])
        large = shapely.union_all(
            [shapely.Point(p).buffer(distance / math.cos(math.pi / 32), quad_segs=8) for p in near]
        )
        assert inside(line, small) <= row.covered_m + 1e-3
        assert row.covered_m <= inside(line, large) + 1e-3
        mine = gaps[(gaps["u"] == row.u) & (gaps["v"] == row.v) & (gaps["key"] == row.key)]
        assert mine["length_m"].sum() == pytest.approx(length - covered, abs=1e-3)
    if len(gaps):
        planar = gaps.to_crs(srid).geometry
        assert (planar.length - gaps["length_m"]).abs().max() < 1e-3
        if points:
            ends = shapely.get_point(np.asarray(planar), 0)
            assert (shapely.distance(ends, shapely.MultiPoint(points)) >= distance - 1e-3).all()
            # No image reaches into a gap.
            middles = shapely.line_interpolate_point(np.asarray(planar), 0.5, normalized=True)
            assert (shapely.distance(middles, shapely.MultiPoint(points)) >= distance - 1e-3).all()
    return found


@pytest.mark.parametrize("distance", [3, 20, 40])
def test_stuttgart_is_what_a_plain_loop_finds(images, edges, distance):
    found = check_against_the_loop(edges, images, distance)
    assert len(found) == 190


def test_a_whole_tile_of_amsterdam():
    """24,060 images on streets where most have several, and many none."""
    images = gpd.read_parquet(DATA / "amsterdam" / "amsterdam_mapillary_images.parquet")
    random = np.random.default_rng(7)
    places = np.column_stack([images.to_crs(28992).geometry.x, images.to_crs(28992).geometry.y])
    start = places[random.integers(0, len(places), 25)] + random.normal(0, 30, (25, 2))
    lines = [shapely.LineString(np.cumsum(np.vstack([at, random.normal(0, 40, (4, 2))]), axis=0)) for at in start]
    streets = streets_of(gpd.GeoSeries(lines, crs=28992).to_crs(SRID))
    check_against_the_loop(streets, images, 15, srid=28992)


coordinates = st.integers(0, 300).map(float) | st.floats(0, 300, allow_nan=False, width=32)
place = st.tuples(coordinates, coordinates)


@settings(max_examples=40)
@given(
    lines=st.lists(st.lists(place, min_size=2, max_size=6), min_size=1, max_size=6),
    points=st.lists(place, max_size=25),
    distance=st.sampled_from([0.5, 5.0, 20.0, 200.0]),
)
@example(lines=[[(0, 0), (0, 0)]], points=[(0, 0)], distance=5.0)
@example(lines=[[(0, 0), (50, 0), (0, 0)]], points=[(25, 4)], distance=5.0)
@example(lines=[[(0, 0), (10, 0), (20, 0)]], points=[(10, 0)], distance=20.0)
def test_any_streets_and_images(lines, points, distance):
    """Lines that cross, fold back or have no length; images on top of each other, on them and far off."""
    origin = np.array([512_000.0, 5_402_000.0])
    streets = streets_of([shapely.LineString(np.array(line) + origin) for line in lines])
    places = np.array(points).reshape(-1, 2) + origin
    check_against_the_loop(streets, images_of(places[:, 0], places[:, 1]), distance)


@settings(max_examples=50)
@given(pieces=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=40))
def test_joining_stretches(pieces):
    """Against marks on a line of single metres."""
    owner = np.array([piece[0] for piece in pieces])
    start = np.array([float(min(piece[1:])) for piece in pieces])
    stop = np.array([float(max(piece[1:])) for piece in pieces])
    joined = reach.join(owner, start, stop, np.full(4, 100.0))
    for line in range(4):
        marked = np.zeros(100, dtype=bool)
        for number, low, high in zip(owner, start, stop, strict=True):
            if number == line:
                marked[int(low) : int(high)] = True
        mine = joined.line == line
        assert (joined.stop - joined.start)[mine].sum() == marked.sum()
        assert (np.diff(joined.start[mine]) > 0).all()
        assert (joined.start[mine][1:] > joined.stop[mine][:-1]).all()


def test_a_circle_that_touches_a_street_covers_nothing_and_leaves_one_gap():
    streets = streets_of([shapely.LineString([(500_000, 5.4e6), (500_100, 5.4e6)])])
    x, y = geodesy.projection(SRID).forward(*shapely.get_coordinates(streets.geometry.values).T)
    del x
    images = images_of([500_050.0], [y[0] + 20.0])
    gaps = mlygeo.coverage_gaps(streets, images, srid=SRID, distance=20)
    assert len(gaps) == 1
    assert gaps["length_m"].iloc[0] == pytest.approx(100, abs=0.01)


def test_both_directions_of_an_edge_are_one_street(edges, images):
    back = edges.assign(u=edges["v"], v=edges["u"], geometry=shapely.reverse(np.asarray(edges.geometry)))
    both = pd.concat([edges, back], ignore_index=True)
    plain, doubled = (mlygeo.street_coverage(streets, images, srid=SRID) for streets in (edges, both))
    assert len(doubled) == len(plain)
    assert doubled["covered_m"].sum() == pytest.approx(plain["covered_m"].sum(), abs=1e-6)


def test_the_order_of_rows_does_not_matter(edges, images):
    expected = mlygeo.street_coverage(edges, images, srid=SRID)
    shuffled = mlygeo.street_coverage(
        edges.sample(frac=1, random_state=3), images.sample(frac=1, random_state=4), srid=SRID
    )
    assert_geodataframe_equal(shuffled, expected)


@pytest.mark.parametrize(("by", "column"), [("year", "year"), ("pano", "is_pano"), ("creator", "creator_id")])
def test_telling_images_apart_is_measuring_them_alone(edges, images, by, column):
    random = np.random.default_rng(5)
    times = pd.to_datetime(random.integers(1.5e12, 1.72e12, len(images)), unit="ms", utc=True).as_unit("ms")
    images = images.assign(captured_at=times)
    images.loc[::7, "captured_at"] = pd.NaT
    images.loc[::5, "creator_id"] = pd.NA
    apart = mlygeo.street_coverage(edges, images, srid=SRID, by=by)
    value = images["captured_at"].dt.year.astype("Int64") if by == "year" else images[column]
    for one in value.unique():
        mine = value.isna() if pd.isna(one) else (value == one).fillna(value=False).astype(bool)
        alone = mlygeo.street_coverage(edges, images[mine], srid=SRID)
        alone = alone[alone["images"] > 0].set_index(["u", "v", "key"])
        here = apart[apart[column].isna() if pd.isna(one) else (apart[column] == one).fillna(value=False)]
        here = here.set_index(["u", "v", "key"])
        assert here.index.equals(alone.index)
        assert here["images"].equals(alone["images"])
        assert (here["covered_m"] - alone["covered_m"]).abs().max() < 1e-6
    assert (
        apart.groupby(["u", "v", "key"])["images"]
        .sum()
        .equals(
            mlygeo.street_coverage(edges, images, srid=SRID).set_index(["u", "v", "key"]).query("images > 0")["images"]
        )
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "solar"])
@pytest.mark.parametrize("name", ["season", "weekday", "hour"])
def test_telling_local_times_apart_is_measuring_them_alone(edges, images, name, zone):
    images = images.assign(captured_at=images["captured_at"] + pd.to_timedelta(np.arange(len(images)) * 11, unit="h"))
    images["captured_at"] = images["captured_at"].astype(frames.MS_UTC).mask(np.arange(len(images)) % 50 == 0)
    found = mlygeo.street_coverage(edges, images, srid=SRID, by=name, time_zone=zone)
    local = images["captured_at"].dt.tz_convert("Europe/Berlin")
    if zone == "solar":
        local = images["captured_at"] + pd.to_timedelta(images.geometry.x * 240_000, unit="ms")
    season = local.dt.month.map({m: ("winter", "spring", "summer", "autumn")[m % 12 // 3] for m in range(1, 13)})
    value = {"hour": local.dt.hour, "weekday": local.dt.day_name(), "season": season}[name]
    for each in [None, *value.dropna().unique()]:
        alone = mlygeo.street_coverage(edges, images[value.isna() if each is None else value == each], srid=SRID)
        mine = found[found[name].isna() if each is None else found[name] == each]
        assert mine["images"].tolist() == alone["images"][alone["images"] > 0].tolist()
        assert mine["covered_m"].to_numpy() == pytest.approx(
            alone["covered_m"][alone["images"] > 0].to_numpy(), abs=1e-6
        )
    table = mlygeo.coverage(streets=edges, images=images, srid=SRID, by=[name], time_zone=zone).attrs["summary"]
    assert table["time_zone"] == zone
    values = [row["value"] for row in table["by"][name]]
    order = {"hour": [f"{each:02d}" for each in range(24)], "season": ["winter", "spring", "summer", "autumn"],
             "weekday": list(pd.date_range("2024-01-01", periods=7).day_name())}[name]  # fmt: skip
    assert values == [*(each for each in order if each in values), None]


def test_the_zone_of_a_place_is_the_default_and_none_is_given_in_vain(edges, images):
    default = mlygeo.street_coverage(edges, images, by="hour")
    named = mlygeo.street_coverage(edges, images, by="hour", time_zone="Europe/Berlin")
    assert default.drop(columns="geometry", errors="ignore").equals(named.drop(columns="geometry", errors="ignore"))
    summary = mlygeo.coverage(streets=edges, images=images, by=["year", "hour"]).attrs["summary"]
    assert summary["time_zone"] == "local"
    assert (
        summary["by"]["hour"]
        == (
            mlygeo.coverage(streets=edges, images=images, by=["hour"], time_zone="Europe/Berlin").attrs["summary"][
                "by"
            ]["hour"]
        )
    )
    with pytest.raises(InputError, match="`time_zone` has no effect without season, weekday or hour in `by`"):
        mlygeo.street_coverage(edges, images, by="year", time_zone="UTC")
    assert {*mlygeo.coverage(streets=edges, images=images).attrs["summary"]["by"]}.isdisjoint({"season", "hour"})
    found = mlygeo.coverage(streets=edges, images=images, time_zone="UTC").attrs["summary"]["by"]
    assert list(found) == ["highway", "year", "season", "weekday", "hour", "pano", "creator"]


def test_seasons_between_the_tropics_are_told(caplog):
    street = streets_of([shapely.LineString([(500_000, 5_000_000), (500_100, 5_000_000)])])
    street.geometry = [shapely.LineString([(9.0, 3.0), (9.001, 3.0)])]
    images = gpd.GeoDataFrame({"id": [1], "captured_at": pd.to_datetime(["2024-01-01"], utc=True).as_unit("ms")},
                              geometry=gpd.points_from_xy([9.0], [3.0]), crs=4326)  # fmt: skip
    summary = mlygeo.coverage(streets=street, images=images, time_zone="UTC").attrs["summary"]
    assert summary["between_tropics"]
    assert "between the tropics" in caplog.text


def test_the_concentration_of_contributors(edges, images):
    summary = mlygeo.coverage(streets=edges, images=images, srid=SRID).attrs["summary"]
    counts = np.array([row["images"] for row in summary["by"]["creator"]])
    shares = counts / counts.sum()
    found = summary["concentration"]["images"]
    assert found["contributors"] == 3
    assert found["effective_number"] == pytest.approx(1 / (shares**2).sum(), abs=1e-6)
    differences = np.abs(counts[:, None] - counts).mean()
    assert found["gini"] == pytest.approx(differences / 2 / counts.mean(), abs=1e-6)
    unknown = images.assign(creator_id=images["creator_id"].astype("Int64").mask(images["is_pano"]))
    some = mlygeo.coverage(streets=edges, images=unknown, srid=SRID).attrs["summary"]
    assert some["concentration"]["images"]["contributors"] == 2
    assert [row["images"] for row in some["by"]["creator"] if row["value"] is None] == [images_near(edges, images)]


def images_near(edges, images):
    table = mlygeo.coverage(streets=edges, images=images, srid=SRID, by="pano").attrs["summary"]["by"]["pano"]
    return next(row["images"] for row in table if row["value"] == "True")


def test_the_nearest_street_of_each_image_is_that_of_geos(edges, images):
    columns = {"sequence_id": images["sequence_id"]}
    measured = coverage.measure(
        edges, frames.lonlat(images), columns, srid=SRID, distance=30, by=(), nearest=True, force_srid=False
    )
    (places,) = measured.places()
    streets = np.asarray(measured.streets.to_crs(SRID).geometry)
    points = gpd.GeoSeries(gpd.points_from_xy(places.lon, places.lat), crs=4326).to_crs(SRID)
    away = shapely.distance(np.asarray(points)[:, None], streets[None, :])
    assert len(places.lon) == (away.shape[0]) == measured.facts()["images_near"]
    mine = away[np.arange(len(points)), places.street]
    assert np.abs(mine - away.min(axis=1)).max() < 1e-6
    # Where two streets are equally near, as at a crossing, it is the first.
    ties = np.abs(away - away.min(axis=1)[:, None]) < 1e-9
    assert (places.street == ties.argmax(axis=1)).mean() > 0.95
    near = images.iloc[np.flatnonzero(np.isin(images["id"], images["id"]))]
    assert len(np.unique(places.sequence)) <= near["sequence_id"].nunique()


def test_the_newest_image_of_a_street(edges, images):
    found = mlygeo.street_coverage(edges, images, srid=SRID)
    lines, places = found.to_crs(SRID).geometry, images.to_crs(SRID).geometry
    for line, newest in zip(lines, found["newest"], strict=True):
        assert newest == images.loc[places.distance(line) <= 20, "captured_at"].max()
    assert str(found["newest"].dtype) == frames.MS_UTC
    frames.check(found, coverage.COVERAGE)


def test_gaps_and_coverage_make_the_whole(edges, images):
    found = mlygeo.street_coverage(edges, images, srid=SRID, distance=10)
    gaps = mlygeo.coverage_gaps(edges, images, srid=SRID, distance=10, min_length=0)
    frames.check(gaps, coverage.GAPS)
    assert found["length_m"].sum() == pytest.approx(found["covered_m"].sum() + gaps["length_m"].sum(), abs=1e-3)
    on_street = gaps.merge(found[["u", "v", "key", "geometry"]], on=["u", "v", "key"], suffixes=("", "_street"))
    away = shapely.hausdorff_distance(
        np.asarray(on_street.geometry), shapely.intersection(
            np.asarray(on_street["geometry_street"]), shapely.buffer(np.asarray(on_street.geometry), 1e-8)
        )
    )  # fmt: skip
    assert np.nanmax(away) < 1e-6
    long = mlygeo.coverage_gaps(edges, images, srid=SRID, distance=10, min_length=30)
    assert len(long) == (gaps["length_m"] >= 30).sum()


def test_chunks_do_not_show(edges, images, monkeypatch):
    whole = mlygeo.street_coverage(edges, images, srid=SRID, by="creator")
    monkeypatch.setattr(reach, "CHUNK_SEGMENTS", 3)
    monkeypatch.setattr(reach, "CHUNK_PAIRS", 10)
    assert_geodataframe_equal(mlygeo.street_coverage(edges, images, srid=SRID, by="creator"), whole)


def test_many_coordinates_go_by_the_same_polynomial():
    """More than 100,000 images, so that no coordinate goes through PROJ itself; still the plain loop's answer."""
    random = np.random.default_rng(2)
    x, y = 512_000 + random.uniform(0, 6000, 120_000), 5_402_000 + random.uniform(0, 6000, 120_000)
    start = random.uniform(0, 6000, (12, 2)) + np.array([512_000, 5_402_000])
    lines = [shapely.LineString([at, at + random.normal(0, 80, 2), at + random.normal(0, 80, 2)]) for at in start]
    check_against_the_loop(streets_of(lines), images_of(x, y), 8)


def test_across_the_antimeridian():
    streets = gpd.GeoDataFrame(
        {"u": [0], "v": [1], "key": [0], "oneway": [False],
         **{name: pd.Series([None], dtype="str") for name in ("osmid", "highway", "name")}},
        geometry=[shapely.LineString([(179.999, -16.5), (-179.999, -16.5)])], crs=4326,
    )  # fmt: skip
    images = gpd.GeoDataFrame({"id": [1, 2]}, geometry=gpd.points_from_xy([180.0, -179.9992], [-16.5, -16.5], crs=4326))
    found = mlygeo.street_coverage(streets, images, distance=20)
    assert found["length_m"].iloc[0] == pytest.approx(213.5, abs=0.5)
    assert found["covered_m"].iloc[0] == pytest.approx(80, abs=0.01)
    gaps = mlygeo.coverage_gaps(streets, images, distance=20, min_length=0)
    assert len(gaps) == 3
    assert gaps["length_m"].sum() == pytest.approx(213.5 - 80, abs=0.5)
    assert shapely.get_coordinates(gaps.geometry.values)[:, 0].min() < -179.99


def test_nothing_to_measure(edges, images):
    none = mlygeo.street_coverage(edges, images.iloc[:0], srid=SRID)
    assert none["covered_m"].sum() == 0
    assert none["newest"].isna().all()
    assert len(mlygeo.coverage_gaps(edges, images.iloc[:0], srid=SRID, min_length=0)) == 190
    empty = mlygeo.street_coverage(edges.iloc[:0], images)
    frames.check(empty, coverage.COVERAGE)
    assert len(empty) == 0
    assert len(mlygeo.street_coverage(edges.iloc[:0], images, by="year")) == 0
    frames.check(mlygeo.coverage_gaps(edges.iloc[:0], images), coverage.GAPS)
    nowhere = images.assign(geometry=gpd.GeoSeries([None] * len(images), crs=4326))
    assert mlygeo.street_coverage(edges, nowhere)["images"].sum() == 0


def test_bad_calls_are_named(edges, images):
    for distance in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="`distance`"):
            mlygeo.street_coverage(edges, images, distance=distance)
    with pytest.raises(InputError, match="`min_gap`"):
        mlygeo.coverage_gaps(edges, images, min_length=-1)
    with pytest.raises(InputError, match="'month'"):
        mlygeo.street_coverage(edges, images, by="month")
    with pytest.raises(FrameError, match="no creator_id"):
        mlygeo.street_coverage(edges, images.drop(columns="creator_id"), by="creator")
    with pytest.raises(FrameError, match="captured_at"):
        mlygeo.street_coverage(edges, images.assign(captured_at=1))
    with pytest.raises(CrsError, match="covers the Netherlands"):
        mlygeo.street_coverage(edges, images, srid=28992)
    with pytest.raises(InputError, match="'month'"):
        mlygeo.coverage(CONFIG, streets=EDGES, images=images, by=["month"])
    with pytest.raises(FrameError, match="`by='creator'`"):
        mlygeo.coverage(CONFIG, streets=EDGES, images=images.drop(columns="creator_id"), by=["creator"])


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_verb_writes_frames_summary_and_map(capsys, tmp_path, images, edges):
    status, out, err = run(capsys, "coverage", "-c", CONFIG, "--streets", EDGES, "--srid", SRID, "-o", tmp_path / "c")
    assert status == 0, err
    files = [tmp_path / "c" / name for name in ("coverage.parquet", "gaps.parquet", "summary.json", "coverage.png")]
    assert err.splitlines()[-1].split("  ") == [str(file) for file in files[: None if has("plot") else -1]]
    direct = mlygeo.street_coverage(edges, images, srid=SRID)
    assert_geodataframe_equal(mlygeo.read_frame(files[0]), direct, check_like=True)
    assert_geodataframe_equal(mlygeo.read_frame(files[1]), mlygeo.coverage_gaps(edges, images, srid=SRID))
    assert not has("plot") or files[3].read_bytes().startswith(b"\x89PNG")
    summary = json.loads(files[2].read_text())
    assert summary["covered_m"] == pytest.approx(direct["covered_m"].sum(), abs=1e-3)
    assert summary["attribution"] == [frames.MAPILLARY, frames.OPENSTREETMAP]
    by = summary["by"]
    assert sum(row["length_m"] for row in by["highway"]) == pytest.approx(summary["length_m"], abs=1e-3)
    assert sum(row["covered_m"] for row in by["highway"]) == pytest.approx(summary["covered_m"], abs=1e-3)
    assert by["year"][0]["covered_m"] == pytest.approx(summary["covered_m"], abs=1e-3)
    alone = mlygeo.street_coverage(edges, images[images["is_pano"]], srid=SRID)["covered_m"].sum()
    assert next(row for row in by["pano"] if row["value"] == "True")["covered_m"] == pytest.approx(alone, abs=1e-3)
    assert [row["value"] for row in by["creator"]] == ["104948002204624", "102609045317136", "968317788412627"]
    for word in ("residential", "2024", "panoramas", "contributor", "78.9%"):
        assert word in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "6.12 of 7.75 km of streets (78.9%) within 20 m of an image" in err


def test_function_and_verb_are_twins(capsys, tmp_path):
    options = ["--distance", 8, "--pano", "--by", "year", "--by", "highway", "--min-gap", 50]
    status, out, err = run(capsys, "coverage", "-c", CONFIG, "--streets", EDGES, *options, "--json", "-o", tmp_path)
    assert status == 0, err
    frame = mlygeo.coverage(CONFIG, streets=EDGES, distance=8, pano=True, by=["year", "highway"], min_gap=50)
    assert json.loads(out) == frame.attrs["summary"]
    assert list(frame.attrs["summary"]["by"]) == ["year", "highway"]
    written = mlygeo.read_frame(tmp_path / "coverage.parquet")
    assert_geodataframe_equal(frame[written.columns], written)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(distance=st.floats(1, 60))
def test_more_distance_covers_more(edges, images, distance):
    less, more = (mlygeo.street_coverage(edges, images, srid=SRID, distance=d) for d in (distance, distance + 1))
    assert (more["covered_m"] >= less["covered_m"] - 1e-6).all()
    assert (more["covered_m"] <= more["length_m"] + 1e-9).all()


def test_images_beyond_the_border_of_the_region_count(images, edges):
    """A street at the border is seen by images on the other side of it."""
    west, south, _, north = images.total_bounds
    left = images.geometry.x.median()
    region = (west - 0.001, south - 0.001, left, north + 0.001)
    inside = edges[edges.geometry.bounds["maxx"] < left]
    found = mlygeo.coverage(region, streets=inside.reset_index(drop=True), images=images, srid=SRID)
    expected = mlygeo.street_coverage(inside, images, srid=SRID)
    assert found["covered_m"].sum() == pytest.approx(expected["covered_m"].sum(), abs=1e-6)


@pytest.mark.parametrize(("lon", "said"), [(103.8, True), (9.1, False)])
def test_images_that_are_far_from_all_streets_are_said(caplog, lon, said):
    streets = gpd.GeoDataFrame(geometry=[shapely.LineString([(9.1, 48.7), (9.11, 48.7)])], crs=4326)
    images = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.Point(lon, 48.7)], crs=4326)
    found = mlygeo.coverage((9, 48, 10, 49), streets=streets, images=images)
    assert (found["covered_m"].sum() == 0) == said
    assert ("no image lies within 20 m of a street" in caplog.text) == said
