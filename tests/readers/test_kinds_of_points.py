"""Tracks, routes and way points of one file: which are read, how many are not, and what a table keeps of them."""

from __future__ import annotations

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.readers.tracks import read_track

ROWS = {
    "gpx": '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="9" lon="9"/>'
    '<trk><trkseg><trkpt lat="1" lon="2"/><trkpt lat="1" lon="3"/></trkseg></trk></gpx>',
    "csv": "kind,lat,lon\nwaypoint,9,9\ntrack,1,2\ntrack,1,3\n",
}


def test_a_tracks_frame_comes_back_from_a_table(tmp_path):
    """Kinds and what made it, too; a table that was changed since does not say what made it."""
    path = tmp_path / "table.csv"
    path.write_text("track_id,kind,lat,lon,time\na,track,1,2,2024-01-02T03:04:05Z\nb,waypoint,3,4,\nc,route,5,6,\n")
    tracks = read_track(path, points="all")
    assert tracks["kind"].tolist() == ["track", "waypoint", "route"]
    tracks.attrs["record"] = {"verb": "convert"}
    written = mlygeo.write_frame(tracks, tmp_path / "written.csv")
    back = read_track(written, points="all")
    assert_frame_equal(pd.DataFrame(back), pd.DataFrame(tracks))
    assert back.attrs["record"] == {"verb": "convert"}
    written.write_text(written.read_text().replace("2.0", "2.5"))
    assert "record" not in read_track(written).attrs


@pytest.mark.parametrize("ending", sorted(ROWS))
def test_points_of_other_kinds_are_counted_and_chosen(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    path.write_text(ROWS[ending])
    tracks = read_track(path)
    assert (tracks["kind"].unique().tolist(), len(tracks)) == (["track"], 2)
    assert tracks.attrs["left_out"] == {"of another kind": 1}
    assert "1 point left out: a route or way point beside tracks" in tracks.attrs["problems"][0]
    tracks = read_track(path, points="waypoints")
    assert (tracks["kind"].tolist(), tracks.attrs["left_out"]) == (["waypoint"], {})


def test_a_kind_of_something_else_is_none_of_points(tmp_path):
    (tmp_path / "table.csv").write_text("kind,lat,lon\nasphalt,1,2\n")
    assert read_track(tmp_path / "table.csv")["kind"].tolist() == ["track"]
