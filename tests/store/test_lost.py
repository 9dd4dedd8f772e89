"""What GDAL loses of a file in silence is restored, told or counted."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
from helpers.small_frames import images_frame
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo import frames
from mlygeo.errors import FormatError, FrameError
from mlygeo.store import lost

HEAD = '<?xml version="1.0"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">'
LONG = sorted({column.name for schema in frames.SCHEMAS.values() for column in schema.columns if len(column.name) > 10})


def shapefile(frame, path):
    plain = frame.assign(**{name: frame[name].astype("str") for name in frame if "datetime" in str(frame[name].dtype)})
    pyogrio.write_dataframe(plain, path)
    return path


@pytest.mark.filterwarnings("ignore:Normalized/laundered", "ignore:Column names longer")
def test_known_names_of_a_shapefile_are_restored(tmp_path, caplog):
    images = images_frame()
    path = shapefile(images, tmp_path / "images.shp")
    found = mlygeo.read_frame(path, frame="images")
    assert set(found.columns) == set(images.columns)
    for name in images.columns:
        assert found[name].equals(images[name]) or found[name].isna().equals(images[name].isna()), name
    assert (found["captured_at"] == images["captured_at"]).all()
    assert (
        "images.shp: its format cuts names at ten letters: sequence_i is read as sequence_id, captured_a is"
        in caplog.text
    )
    assert list(mlygeo.read_frame(path, columns=["captured_at"])) == ["captured_at", "geometry"]
    with pytest.raises(FrameError, match=r"no column captured_a \(it has id, sequence_id, captured_at"):
        mlygeo.read_frame(path, columns=["captured_a"])


@pytest.mark.filterwarnings("ignore:Normalized/laundered", "ignore:Column names longer")
@pytest.mark.parametrize("order", [("captured_at", "captured_ago"), ("captured_ago", "captured_at")])
def test_names_that_begin_alike_are_told(tmp_path, caplog, order):
    frame = gpd.GeoDataFrame({name: [name] for name in order}, geometry=gpd.points_from_xy([9], [48], crs=4326))
    found = mlygeo.read_frame(shapefile(frame, tmp_path / "odd.shp"))
    assert list(found) == ["captured_a", "captured_1", "geometry"]
    assert "odd.shp: its format cuts names at ten letters: captured_a may be captured_at" in caplog.text


@given(st.sets(st.sampled_from(LONG), max_size=5), st.sets(st.sampled_from(["a", "captured_x", "captured", "x_1"])))
def test_only_cut_names_that_are_known_are_restored(whole, others):
    fields = [*(name[:10] for name in sorted(whole)), *sorted(others)]
    assert lost.whole_names(fields, "a.shp") == dict(zip([*sorted(whole), *sorted(others)], fields, strict=True))


LAYERS = {"waypoints": "{}", "track_points": "<trk><trkseg>{}</trkseg></trk>", "route_points": "<rte>{}</rte>"}
ELEMENTS = {"waypoints": "wpt", "track_points": "trkpt", "route_points": "rtept"}
ODD = ['lat="48"', 'lon="9"', "", 'lat="" lon="9"', 'lat="abc" lon="9"', 'lat="48,5" lon="9"', "lat='x' lon='9'"]


def gpx(path, layer, positions, prefix=""):
    points = "".join(f"<{prefix}{ELEMENTS[layer]} {position}><ele>{n}</ele></{prefix}{ELEMENTS[layer]}>"
                     for n, position in enumerate(positions))  # fmt: skip
    path.write_text(HEAD + LAYERS[layer].format(points) + "</gpx>")
    return path


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("odd", ODD)
def test_points_without_a_position_are_counted(tmp_path, caplog, layer, odd):
    path = gpx(tmp_path / "a.gpx", layer, ['lat="48" lon="9"', odd, 'lat="-0.5e1" lon="+9."'])
    found = mlygeo.read_frame(path)
    assert np.column_stack(frames.lonlat(found)).tolist() == [[9, 48], [9, -5]]
    assert found["ele"].tolist() == [0, 2]
    assert found.attrs["left_out"] == {"points without latitude and longitude": 1}
    assert "a.gpx: 1 point left out, without latitude and longitude" in caplog.text


@pytest.mark.parametrize("layer", LAYERS)
def test_files_in_order_lose_nothing(tmp_path, layer):
    path = gpx(tmp_path / "a.gpx", layer, ['lat="48" lon="9"', "lon='9'\n lat = '49'"])
    found = mlygeo.read_frame(path)
    assert len(found) == 2
    assert found.attrs == {}
    path.write_text(path.read_text().replace("</gpx>", "<!-- <wpt lat='1'/> <trkpt/> --></gpx>"))
    assert mlygeo.read_frame(path).attrs == {}


def test_a_line_through_a_point_that_is_none_is_refused(tmp_path):
    path = gpx(tmp_path / "a.gpx", "track_points", ['lat="48" lon="9"', 'lat="abc" lon="9"', 'lat="49" lon="9"'])
    with pytest.raises(FormatError, match="tracks have points whose latitude or longitude is not a number"):
        mlygeo.read_frame(path, layer="tracks")
    path = gpx(tmp_path / "b.gpx", "track_points", ['lat="48" lon="9"', 'lat="48.5"', 'lat="49" lon="9"'])
    found = mlygeo.read_frame(path, layer="tracks")
    assert found.attrs["left_out"] == {"points without latitude and longitude": 1}
