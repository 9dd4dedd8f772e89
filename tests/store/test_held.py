"""What a user holds becomes the frame that its file is."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from shapely import Point, box

import mlygeo
from mlygeo import store
from mlygeo.errors import FrameError
from mlygeo.regions import as_region

POINTS = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=gpd.points_from_xy([9.1, 9.2, 9.3], [48.7, 48.8, 48.9]), crs=4326)

ARROW = {
    "wkb": lambda frame, _: pa.table(frame.to_arrow(index=False)),
    "native": lambda frame, _: pa.table(frame.to_arrow(index=False, geometry_encoding="geoarrow")),
    "file": lambda frame, folder: (frame.to_parquet(folder / "held.parquet"), pq.read_table(folder / "held.parquet"))[
        1
    ],
}


@pytest.mark.parametrize("wrapping", sorted(ARROW))
@pytest.mark.parametrize("crs", [4326, 4258, 25832, 3857, 31467, 32632, 4807])
def test_an_arrow_table_has_the_crs_that_it_names(tmp_path, crs, wrapping):
    frame = POINTS.to_crs(crs)
    held = store.as_frame(ARROW[wrapping](frame, tmp_path))
    assert_geodataframe_equal(held, frame, check_crs=False)
    assert held.crs == frame.crs


@pytest.mark.parametrize("wrapping", sorted(ARROW))
def test_a_region_across_the_antimeridian_is_the_same_as_a_table(tmp_path, wrapping):
    frame = gpd.GeoDataFrame(geometry=[box(3_300_000, -1_900_000, 3_400_000, -1_800_000)], crs=3832)
    assert as_region(ARROW[wrapping](frame, tmp_path)).bounds == as_region(frame).bounds


def in_dataframe(shapes):
    return pd.DataFrame({"id": range(len(shapes)), "geometry": pd.Series(list(shapes), dtype=object)})


def in_arrow(shapes):
    return pa.table({"id": range(len(shapes)), "geometry": pa.array(list(shapes), pa.binary())})


@pytest.mark.parametrize("table", [in_dataframe, in_arrow])
def test_shapes_that_name_their_crs_are_in_it(table):
    shapes = shapely.set_srid(POINTS.to_crs(25832).geometry.to_numpy(), 25832)
    held = store.as_frame(table(shapely.to_wkb(shapes, include_srid=True)))
    assert held.crs == "EPSG:25832"
    assert held.geometry.iloc[0].equals(Point(shapes[0].x, shapes[0].y))


@pytest.mark.parametrize("table", [in_dataframe, in_arrow])
def test_damaged_shapes_are_left_out_and_counted(caplog, table):
    shapes = [*shapely.to_wkb(POINTS.geometry.to_numpy()), None, b"\x01\x02\x00"]
    held = store.as_frame(table(shapes), name="my table")
    assert held["id"].tolist() == [0, 1, 2, 3]
    assert held.geometry.isna().tolist() == [False, False, False, True]
    assert held.attrs["left_out"] == {"rows with damaged geometry": 1}
    assert "my table: 1 row was left out, since the geometry is damaged; first row 5" in caplog.text


def test_a_dataframe_and_its_csv_leave_out_the_same_rows(tmp_path):
    table = pd.DataFrame({"id": [1, 2, 3], "wkt": ["POINT (9 48)", "POINT (9", "POINT (9 49)"]})
    table.to_csv(tmp_path / "held.csv", index=False)
    from_table, from_file = store.as_frame(table), store.as_frame(tmp_path / "held.csv")
    assert_geodataframe_equal(from_table, from_file)
    assert from_table.attrs["left_out"] == from_file.attrs["left_out"]


def test_a_column_with_nothing_but_damaged_shapes_is_refused():
    with pytest.raises(FrameError, match="'geometry' is not a geometry"):
        store.as_frame(in_dataframe([b"\x01\x02", None]))


def test_what_names_no_crs_has_to_be_degrees():
    shapes = shapely.to_wkb(POINTS.to_crs(25832).geometry.to_numpy())
    for table in (in_dataframe, in_arrow):
        with pytest.raises(FrameError, match="no longitude and latitude"):
            store.as_frame(table(shapes))


@pytest.mark.parametrize("ending", [".gpkg", ".parquet", None])
@pytest.mark.parametrize(("x", "y"), [(9, 95), (9, -90.5), (512_000, 5_400_000), (400, 48)])
def test_metres_that_are_called_degrees_are_refused(tmp_path, ending, x, y):
    wrong = POINTS.set_geometry([Point(x, y), *POINTS.geometry[1:]], crs=4326)
    if ending is not None:
        wrong = mlygeo.write_frame(wrong, tmp_path / f"wrong{ending}")
    with pytest.raises(FrameError, match=f"row 1 lies at {x}, {y}, which is no longitude and latitude"):
        mlygeo.select(points=POINTS.rename(columns={"id": "point_id"}), images=wrong)


def test_longitudes_from_0_to_360_are_the_same_places():
    points = gpd.GeoDataFrame({"point_id": [1]}, geometry=[Point(190, 48)], crs=4326)
    images = gpd.GeoDataFrame({"id": [1]}, geometry=[Point(-170, 48)], crs=4326)
    assert np.allclose(mlygeo.select(points=points, images=images)["distance_m"], 0, atol=1e-6)


@pytest.mark.parametrize("ending", [".gpkg", ".parquet", ".csv", None])
def test_a_download_needs_ids_and_no_positions(tmp_path, ending):
    images = POINTS.set_geometry([shapely.MultiPoint([point]) for point in POINTS.geometry], crs=4326)
    held = images if ending is None else mlygeo.write_frame(images, tmp_path / f"images{ending}")
    assert mlygeo.download(held, dry_run=True, output=tmp_path, token="x").attrs["summary"]["images"] == 3


def test_an_empty_series_is_an_empty_region():
    with pytest.raises(mlygeo.errors.RegionError, match="is empty and covers no area"):
        as_region(gpd.GeoSeries([], crs=4326))


SITE = 'LOCAL_CS["building site",UNIT["metre",1]]'
MOON = (
    'GEOGCS["Moon 2000",DATUM["D_Moon_2000",SPHEROID["Moon_2000_IAU_IAG",1737400,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
)
BOX = (9.0, 48.0, 10.0, 49.0)
LINES = gpd.GeoDataFrame(geometry=[shapely.LineString([(9.1, 48.7), (9.11, 48.7)])], crs=4326)

MEASURING = {
    "select": lambda held, _: mlygeo.select(points=POINTS.rename(columns={"id": "point_id"}), images=held),
    "points": lambda held, _: mlygeo.select(points=held, images=POINTS),
    "streets": lambda held, _: mlygeo.streets(BOX, streets=LINES.set_crs(held.crs, allow_override=True)),
    "coverage": lambda held, _: mlygeo.coverage(BOX, streets=LINES, images=held),
    "several": lambda held, _: store.as_frame([POINTS, held]),
    "several, the first": lambda held, _: store.as_frame([held, POINTS]),
    "frame of a kind": lambda held, _: store.as_frame(held, frame="images"),
    "plot": lambda held, _: mlygeo.plot(held, dpi=20),
    "csv": lambda held, folder: mlygeo.convert(held, folder / "to.csv"),
    "geojson": lambda held, folder: mlygeo.convert(held, folder / "to.geojson"),
    "box of parquet": lambda held, folder: mlygeo.read_frame(mlygeo.write_frame(held, folder / "a.parquet"), bbox=BOX),
    "box of gpkg": lambda held, folder: mlygeo.read_frame(mlygeo.write_frame(held, folder / "a.gpkg"), bbox=BOX),
    "box of fgb": lambda held, folder: mlygeo.read_frame(mlygeo.write_frame(held, folder / "a.fgb"), bbox=BOX),
    "region": lambda held, _: as_region(
        held.set_geometry(list(shapely.buffer(held.geometry.to_numpy(), 1)), crs=held.crs)
    ),
}


@pytest.mark.parametrize("crs", [SITE, MOON, 4978, 5703], ids=["site", "moon", "geocentric", "heights"])
@pytest.mark.parametrize("use", sorted(MEASURING))
def test_coordinates_that_are_no_places_on_the_earth_are_refused(tmp_path, use, crs):
    held = POINTS.set_crs(crs, allow_override=True)
    with pytest.raises(mlygeo.errors.MlygeoError, match=r"not a map of the earth|cannot (be turned|transform)"):
        MEASURING[use](held, tmp_path)


@pytest.mark.parametrize("ending", [".parquet", ".gpkg", ".fgb"])
def test_they_are_kept_where_nothing_is_measured(tmp_path, ending):
    held = POINTS.set_crs(SITE, allow_override=True)
    assert_geodataframe_equal(
        mlygeo.read_frame(mlygeo.write_frame(held, tmp_path / f"site{ending}")), held, check_like=True, check_crs=False
    )


NO_CRS = {
    "frame": lambda frame, _: frame,
    **ARROW,
    "parquet": lambda frame, folder: mlygeo.write_frame(frame, folder / "none.parquet"),
    "gpkg": lambda frame, folder: mlygeo.write_frame(frame, folder / "none.gpkg"),
    "fgb": lambda frame, folder: mlygeo.write_frame(frame, folder / "none.fgb"),
}


@pytest.mark.parametrize("wrapping", sorted(NO_CRS))
def test_geometry_without_a_crs_is_refused_in_every_wrapping(tmp_path, wrapping):
    held = NO_CRS[wrapping](POINTS.set_crs(None, allow_override=True), tmp_path)
    assert store.as_frame(held).crs is None
    with pytest.raises(FrameError, match="has no CRS"):
        store.as_frame(held, frame="tracks")
    with pytest.raises(mlygeo.errors.MlygeoError, match="has no CRS"):
        mlygeo.select(points=held, images=POINTS)
    with pytest.raises(mlygeo.errors.MlygeoError, match="has no CRS"):
        as_region(held)


@pytest.mark.parametrize(
    "damage",
    [b"{", b"[]", b'{"columns": []}', b'{"columns": {"geometry": 5}}', b'{"columns": {"geometry": {"encoding": "GML"}}}',
     b'{"columns": {"geometry": {"encoding": "WKB", "crs": "foo"}}}', b'{"columns": {"geometry": {"encoding": "WKB", "crs": 5}}}'],
    ids=range(7),
)  # fmt: skip
def test_damaged_metadata_of_a_table_are_named_and_no_degrees(damage):
    table = pa.table({"geometry": pa.array(shapely.to_wkb(POINTS.geometry.to_numpy()), pa.binary())})
    with pytest.raises(FrameError, match=r"my table (are|do|encodes)|in my table|of my table|my table encodes"):
        store.as_frame(table.replace_schema_metadata({b"geo": damage}), name="my table")


def test_a_table_with_the_index_of_pandas_is_read(tmp_path):
    POINTS.set_axis(["a", "b", "c"]).to_parquet(tmp_path / "held.parquet")
    held = store.as_frame(pq.read_table(tmp_path / "held.parquet"))
    assert_geodataframe_equal(held, POINTS)


def test_numbers_in_another_byte_order_are_those_of_this_machine(tmp_path):
    """As tables of FITS and of other machines have them; pandas sorts and Arrow writes none of these."""
    swapped = POINTS.assign(value=np.array([3, 1, 2], dtype=">f8"), number=np.array([1, 2, 3], dtype=">i4"))
    native = POINTS.assign(value=np.array([3, 1, 2], dtype="f8"), number=np.array([1, 2, 3], dtype="i4"))
    assert_geodataframe_equal(store.as_frame(swapped), native)
    assert swapped["value"].dtype == ">f8", "the caller's own is not changed"
    for name in ("frame.parquet", "frame.gpkg"):
        back = store.read_frame(store.write_frame(swapped, tmp_path / name))
        assert back["value"].tolist() == [3, 1, 2]


def test_a_step_takes_images_in_another_byte_order(images):
    swapped = images.assign(
        id=images["id"].to_numpy().astype(">i8"), compass_angle=images["compass_angle"].astype(">f8")
    )
    found = mlygeo.select(points=images.head(3)[["geometry"]], images=swapped)
    expected = mlygeo.select(points=images.head(3)[["geometry"]], images=images)
    assert found["id"].tolist() == expected["id"].tolist()
