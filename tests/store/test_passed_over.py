"""What GDAL passes over in a file is counted, or said."""

import geopandas as gpd
import numpy as np
import pytest

import mlygeo
from mlygeo.errors import FormatError

POINTS = gpd.GeoDataFrame({"id": [1, 2]}, geometry=gpd.points_from_xy([9.1, 9.2], [48.7, 48.8]), crs=4326)
FEATURE = '{{"type":"Feature","properties":{{"id":{0}}},"geometry":{{"type":"Point","coordinates":[9.{0},48]}}}}'

LINES = {
    "damaged": ([FEATURE.format(1), "{damaged", FEATURE.format(2)], 1),
    "cut off": ([FEATURE.format(1), FEATURE.format(2), FEATURE.format(3)[:30]], 1),
    "blank lines": ([FEATURE.format(1), "", "  ", FEATURE.format(2), ""], 0),
    "one feature": ([FEATURE.format(1)], 0),
}


@pytest.mark.parametrize("kind", sorted(LINES))
@pytest.mark.parametrize("bbox", [None, (9, 47, 9.15, 49)])
def test_lines_that_are_no_features_are_counted(tmp_path, caplog, kind, bbox):
    lines, lost = LINES[kind]
    path = tmp_path / "lines.geojsonl"
    path.write_text("\n".join(lines) + "\n")
    found = mlygeo.read_frame(path, bbox=bbox)
    assert found["id"].tolist() == [1, 2][: 1 if bbox or kind == "one feature" else 2]
    assert found.attrs.get("left_out", {}) == ({"lines that are no features": lost} if lost else {})
    assert ("1 line was left out" in caplog.text) == bool(lost)


def test_separators_are_no_lines(tmp_path):
    path = tmp_path / "separated.geojsons"
    path.write_text("".join(f"\x1e{FEATURE.format(number)}\n" for number in (1, 2)))
    found = mlygeo.read_frame(path)
    assert found["id"].tolist() == [1, 2]
    assert "left_out" not in found.attrs


def test_a_line_that_another_program_added_is_read(tmp_path):
    path = tmp_path / "ours.geojsonl"
    mlygeo.write_frame(POINTS, path)
    path.write_text(path.read_text() + FEATURE.format(3) + "\n")
    assert mlygeo.read_frame(path)["id"].tolist() == [1, 2, 3]
    path.write_text(path.read_text() + "{damaged\n")
    with pytest.raises(FormatError, match=r"ours\.geojsonl cannot be read"):
        mlygeo.read_frame(path)


def gpx(*parts):
    return f'<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">{"".join(parts)}</gpx>'


WAY_POINT = '<wpt lat="48" lon="9"/>'
TRACK = '<trk><trkseg><trkpt lat="48" lon="9"/><trkpt lat="48.1" lon="9"/></trkseg></trk>'


def test_points_of_gpx_that_were_not_read_are_named(tmp_path, caplog):
    path = tmp_path / "ride.gpx"
    path.write_text(gpx(WAY_POINT, TRACK))
    assert len(mlygeo.read_frame(path)) == 1
    said = "only its waypoints were read; it has 2 track points, too: ride.gpx:track_points reads them"
    assert said in caplog.text
    assert len(mlygeo.read_frame(f"{path}:track_points")) == 2


ROUTE = '<rte><rtept lat="48" lon="9"/></rte>'


def test_points_of_gpx_that_were_not_read_are_counted(tmp_path, monkeypatch, capsys):
    """In files that are read as a whole and some rows at a time, and once: not again of what is made of them."""
    path = tmp_path / "ride.gpx"
    path.write_text(gpx(WAY_POINT, ROUTE, TRACK, WAY_POINT.replace("lat", "at")))
    beside = {"track points beside its waypoints": 2, "route points beside its waypoints": 1}
    left_out = {**beside, "points without latitude and longitude": 1}
    assert mlygeo.read_frame(path).attrs["left_out"] == left_out
    assert "left_out" not in mlygeo.read_frame(path, layer="tracks").attrs
    for long_bytes in (32_000_000, 0):
        with monkeypatch.context() as patched:
            patched.setattr("mlygeo.store.datasets.sources.LONG_BYTES", long_bytes)
            made = mlygeo.partition(path, tmp_path / f"parts-{long_bytes}")
        assert made.attrs["summary"]["left_out"] == left_out
    summary = mlygeo.convert(path, tmp_path / "points.parquet").attrs["summary"]
    assert summary["left_out"] == left_out
    assert mlygeo.convert(tmp_path / "points.parquet", tmp_path / "points.geojson").attrs["summary"]["left_out"] == {}


@pytest.mark.parametrize(
    ("name", "text", "left_out"),
    [
        ("rows.geojsonl", f"{FEATURE.format(1)}\nno feature\n", {"lines that are no features": 1}),
        ("rows.csv", "id,geometry\n1,POINT (9 48)\n2,POINT (9 48\n", {"rows with damaged geometry": 1}),
    ],
)
@pytest.mark.parametrize("long_bytes", [32_000_000, 0])
def test_what_is_passed_over_is_counted_in_datasets(tmp_path, monkeypatch, name, text, left_out, long_bytes):
    (tmp_path / name).write_text(text)
    monkeypatch.setattr("mlygeo.store.datasets.sources.LONG_BYTES", long_bytes)
    summary = mlygeo.partition(tmp_path / name, tmp_path / "parts").attrs["summary"]
    assert (summary["rows"], summary["left_out"]) == (1, left_out)


def test_a_region_of_gpx_has_lines_of_one_point_too(tmp_path):
    """A route, or a track, of one point is a place and no line."""
    path = tmp_path / "ride.gpx"
    path.write_text(gpx(ROUTE))
    alone = mlygeo.Region.from_file(path, buffer=100)
    path.write_text(gpx(WAY_POINT))
    assert alone.geometry.equals_exact(mlygeo.Region.from_file(path, buffer=100).geometry, 1e-9)
    far = ROUTE.replace("48", "47")
    path.write_text(gpx(TRACK, far, far.replace("</rte>", '<rtept lat="47" lon="9.1"/></rte>'), WAY_POINT))
    region = mlygeo.Region.from_file(path, buffer=100)
    assert region.contains(*np.array([[9.0, 9.05, 9.0], [47.0, 47.0, 48.05]])).all()
    assert region.left_out == {}


@pytest.mark.parametrize("part", [WAY_POINT, TRACK])
def test_nothing_is_said_where_all_were_read(tmp_path, caplog, part):
    path = tmp_path / "ride.gpx"
    path.write_text(gpx(part))
    assert len(mlygeo.read_frame(path)) == part.count("lat=")
    assert not caplog.records
