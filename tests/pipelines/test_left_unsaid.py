"""Tests of what once went on unsaid: a place for descriptions, columns of GPX, whose images, whose server."""

import os
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from helpers.cities import DATA
from helpers.photo_folders import folder_of
from helpers.unix import needs_proc

import mlygeo
from mlygeo.errors import ConfigError, CredentialsError, FileError
from mlygeo.providers import SignedIn
from mlygeo.providers.mapillary.accounts import Credentials, User
from mlygeo.providers.mapillary.service import Endpoints
from mlygeo.providers.panoramax import accounts as panoramax
from mlygeo.providers.panoramax.service import Endpoints as OtherEndpoints


def images():
    return gpd.GeoDataFrame(
        {
            "id": [5, 6, 7, 8],
            "sequence_id": ["b", "a", "a", "a"],
            "captured_at": pd.to_datetime([4, 3, 1, 2], unit="s", utc=True).as_unit("ms"),
            "compass_angle": [1.0, 2.0, 3.0, 4.0],
            "is_pano": [True, False, True, False],
        },
        geometry=shapely.points([9, 9.1, 9.2, 9.3], [48.0] * 4),
        crs=4326,
    )


# A place for descriptions


@pytest.fixture
def unwritable(tmp_path):
    if os.geteuid() != 0:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o555)
        return folder
    if not Path("/proc/self").is_dir():
        pytest.skip("this user may write everywhere")
    return Path("/proc/self")


@needs_proc
@pytest.mark.may_skip
def test_a_place_that_cannot_be_written_stops_before_any_photo_is_touched(unwritable, tmp_path):
    photos = tmp_path / "photos"
    folder_of(photos, 2)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*") if path.is_file()}
    for place in (unwritable / "described.json", unwritable):
        with pytest.raises(FileError, match="cannot be written to"):
            mlygeo.process(photos, desc_path=place)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*") if path.is_file()}
    assert after == before


# Tracks of images


@pytest.mark.parametrize("ending", ["gpx", "gpx.gz"])
def test_images_become_the_tracks_of_their_sequences_and_what_is_lost_is_told(ending, tmp_path):
    frame = images()
    frame.loc[3, "geometry"] = None
    found = mlygeo.convert(frame, tmp_path / f"x.{ending}").attrs["summary"]
    assert found["warnings"] == [
        f"x.{ending}: GPX holds tracks, times, altitudes and positions alone, and not 'id', 'compass_angle', 'is_pano'"
    ]
    assert found["left_out"] == {"rows without a position": 1}
    tracks = mlygeo.read_track(tmp_path / f"x.{ending}")
    assert tracks["track_id"].tolist() == ["a", "a", "b"]
    assert [time.timestamp() for time in tracks["time"]] == [1, 3, 4]
    assert tracks.geometry.x.tolist() == [9.2, 9.1, 9.0]


def test_rows_without_a_name_are_one_track(tmp_path):
    frame = images()[["captured_at", "geometry"]]
    mlygeo.convert(frame, tmp_path / "x.gpx")
    assert (tmp_path / "x.gpx").read_text(encoding="utf-8").count("<trk>") == 1


def test_tracks_are_converted_without_a_word(tmp_path):
    mlygeo.convert(images(), tmp_path / "x.gpx")
    tracks = mlygeo.read_track(tmp_path / "x.gpx")
    found = mlygeo.convert(tracks, tmp_path / "y.gpx").attrs["summary"]
    assert found["warnings"] == []
    assert (tmp_path / "y.gpx").read_bytes() == (tmp_path / "x.gpx").read_bytes()


# Whose images


def test_rows_that_name_no_provider_beside_others_are_told(caplog):
    mine = images().assign(creator_id=[1, 2, 3, 4], organization_id=[1, 2, 3, 4])
    theirs = mlygeo.read_frame(DATA / "panoramax" / "search_page.json", frame="images")
    together = pd.concat([mine, theirs], ignore_index=True)
    points = gpd.GeoDataFrame(geometry=[*mine.geometry, *theirs.geometry], crs=4326)
    assert not caplog.text
    found = mlygeo.select(points=points, images=together)
    assert f"4 of {len(together)} rows name no provider, and others do" in caplog.text
    assert found.attrs["summary"]["providers"]["unknown"]["images"] == 4
    assert {*mine["creator_id"].astype(str)} <= {*found["creator_id"].dropna()}
    caplog.clear()
    apart = mlygeo.select(points=points, images=[mine, theirs])
    assert {*apart["provider"]} == {"mapillary", "panoramax"}
    assert "name no provider" not in caplog.text


# Whose server


@pytest.mark.parametrize(
    "variable", ["MAPILLARY_GRAPH_API_ENDPOINT", "MAPILLARY_TILES_ENDPOINT", "MAPILLARY_UPLOAD_ENDPOINT"]
)
@pytest.mark.parametrize(
    "url", ["https://api.panoramax.xyz/api", "https://panoramax.ign.fr", "https://panoramax.example.org"]
)
def test_a_server_of_panoramax_is_none_of_mapillary(variable, url):
    with pytest.raises(ConfigError, match=f"{variable} is {url}, a server of Panoramax") as caught:
        Endpoints.from_environment({variable: url})
    assert caught.value.hint == "`provider='panoramax'`"


@pytest.mark.parametrize("url", ["https://graph.mapillary.com", "tiles.mapillary.com", "https://www.mapillary.com/app"])
def test_a_server_of_mapillary_is_none_of_panoramax(url):
    with pytest.raises(ConfigError, match="a server of Mapillary, and one of Panoramax is needed"):
        OtherEndpoints(url)


def test_other_servers_are_anyones():
    for url in ("https://127.0.0.1:8443", "https://example.org/mapillary", "https://proxy.example.org/panoramax"):
        Endpoints(url, url, url)
        OtherEndpoints(url)


# Whose account


def test_after_the_default_user_is_forgotten_nobody_is_taken_of_several(tmp_path):
    path = tmp_path / "users.json"
    for name in ("ann", "bob", "cid"):
        Credentials(path).keep(User(name, "MLY|1|x", user_name=name))
    assert Credentials(path).find().name == "cid"
    Credentials(path).remove("cid")
    with pytest.raises(CredentialsError, match="several users have signed in: ann, bob") as caught:
        Credentials(path).find()
    assert caught.value.hint == "give `user_name`"
    Credentials(path).remove("ann")
    assert Credentials(path).find().name == "bob"


def test_the_same_at_an_instance_of_panoramax(tmp_path):
    path = tmp_path / "users.json"

    def users():
        return panoramax.Credentials(path, "panoramax.example.org")

    for name in ("ann", "bob", "cid"):
        users().sign_in(name, SignedIn("token", name, name), keyring=False)
    assert users().default == "cid"
    users().remove("cid")
    for ask in (
        lambda: panoramax.upload_token(None, token=None, token_file=None, credentials=users()),
        lambda: users().edit(None, user_key=None, organization=lambda user: (None, {}), default=True),
    ):
        with pytest.raises(
            CredentialsError, match=r"several users have signed in at panoramax\.example\.org: ann, bob"
        ):
            ask()
    users().remove("ann")
    assert panoramax.upload_token(None, token=None, token_file=None, credentials=users())[1].name == "bob"
