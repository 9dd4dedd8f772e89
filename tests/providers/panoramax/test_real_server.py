"""Against a real server: every picture by every way, once and the same, and what the server does in odd cases."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import shapely
from helpers.panoramax_server import LICENCE, LICENCE_URL, PICTURES_EACH, SEQUENCES, real_pictures
from helpers.scripted_server import QUICK
from PIL import Image

from mlygeo import store
from mlygeo.errors import InputError, ServiceError
from mlygeo.net.answers import GoneError, PendingError
from mlygeo.net.pictures import Pictures
from mlygeo.providers.panoramax import items
from mlygeo.providers.panoramax.api import Api
from mlygeo.providers.panoramax.export import read_export
from mlygeo.providers.panoramax.layers import images_frame, images_table
from mlygeo.providers.panoramax.provider import PROVIDER
from mlygeo.providers.panoramax.service import Endpoints, Service
from mlygeo.providers.panoramax.tiles import fetch_tiles
from mlygeo.regions import Region

BULK = Region.from_bbox(9.09, 48.69, 9.16, 48.73)
PARIS = Region.from_bbox(2.34, 48.85, 2.36, 48.86)
PEOPLE = ("Ada", "Grace", "Åsa Öberg")
NOBODY = "00000000-0000-4000-8000-000000000000"


def service_of(server) -> Service:
    return Service(endpoints=Endpoints(server.url), retry=QUICK)


@pytest.fixture(scope="module")
def api(panoramax):
    with Api(service_of(panoramax), workers=4) as api:
        yield api


@pytest.fixture(scope="module")
def truth(panoramax):
    """What the database has of the pictures without files, in the order of ids."""
    listed = panoramax.query(
        """SELECT p.id, to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ST_X(geom), ST_Y(geom),
                  heading, a.name, a.id, sp.seq_id, sp.rank, p.metadata->>'originalFileName',
                  p.metadata->>'originalFileSize', p.metadata->>'type' = 'equirectangular', gps_accuracy_m
           FROM pictures p JOIN accounts a ON a.id = p.account_id JOIN sequences_pictures sp ON sp.pic_id = p.id
           WHERE upload_set_id IS NULL ORDER BY p.id"""
    )
    names = [
        "id", "captured_at", "lon", "lat", "compass_angle", "creator", "creator_id", "sequence_id", "sequence_rank",
        "filename", "filesize", "is_pano", "gps_accuracy_m",
    ]  # fmt: skip
    frame = pd.DataFrame([line.split("|") for line in listed.splitlines()], columns=names, dtype="str")
    frame["captured_at"] = pd.to_datetime(frame["captured_at"], utc=True)
    frame["is_pano"] = frame["is_pano"] == "t"
    for name in ("lon", "lat", "compass_angle", "sequence_rank", "filesize", "gps_accuracy_m"):
        frame[name] = pd.to_numeric(frame[name])
    assert len(frame) == SEQUENCES * PICTURES_EACH
    return frame


@pytest.fixture(scope="module")
def searched(api):
    """The frame of a search of all pictures without files."""
    search = api.search(bbox=BULK)
    found = [item for batch in search for item in batch]
    assert search.complete
    assert search.requests > SEQUENCES * PICTURES_EACH / 1000  # the box was split
    problems = {}
    frame = items.images_frame(found, problems=problems)
    assert problems == {}
    return frame


@pytest.fixture(scope="module")
def collected(api):
    """The frame of all items of all collections of the three people."""
    found = []
    for name in PEOPLE:
        search = api.search(creator_username=name)
        hers = [item for batch in search for item in batch]
        assert search.complete
        assert {items.Reading(item).row["creator"] for item in hers} == {name}
        found += hers
    problems = {}
    frame = items.images_frame(found, problems=problems)
    assert problems == {}
    return frame


def same(images, truth, *, digits=None, grid=None):
    """Compare images with the database: each there once, and all that both have of it; positions to so many digits."""
    images = images.sort_values("id", ignore_index=True)
    for name in truth.columns.intersection(images.columns):
        one, other = images[name], truth[name]
        assert one.isna().tolist() == other.isna().tolist(), name
        assert one.dropna().tolist() == other.dropna().tolist(), name
    for name, found in (("lon", images.geometry.x), ("lat", images.geometry.y)):
        if grid is not None:
            assert (abs(found - truth[name]) <= grid).all()
        elif digits is not None:
            assert found.tolist() == [float(f"{value:.{digits}f}") for value in truth[name]]
        else:
            assert found.tolist() == truth[name].tolist()


ITEM_DIGITS = 9
"""Decimals of positions in items."""


def test_all_pictures_by_search(searched, truth):
    same(searched, truth, digits=ITEM_DIGITS)
    assert set(truth.columns) - set(searched.columns) == {"lon", "lat"}
    assert set(searched["licence"]) == {LICENCE}
    assert set(searched["licence_url"]) == {LICENCE_URL}
    assert set(searched["creator"]) == set(PEOPLE)
    assert set(searched["instance"]) == {"127.0.0.1"}


def test_all_pictures_by_tiles(panoramax, truth, tmp_path):
    service = service_of(panoramax)
    tiles = fetch_tiles(BULK, tile_cache=tmp_path, service=service)
    assert set(tiles["status"]) == {"fetched"}
    assert set(tiles["zoom"]) == {15}
    images = images_frame(images_table(map(Path, tiles["path"]), region=BULK))
    same(images, truth, grid=360 / 2**15 / 4096)
    assert {"captured_at", "compass_angle", "creator_id", "sequence_id", "is_pano"} <= set(images.columns)
    assert not {"licence", "creator"} & set(images.columns)  # tiles say neither, and nothing is claimed
    empty = fetch_tiles(Region.from_bbox(-30.01, 40.0, -30.0, 40.01), tile_cache=tmp_path, service=service)
    assert all(Path(path).stat().st_size == 0 for path in empty["path"])  # an empty tile is stored as such
    again = fetch_tiles(BULK, tile_cache=tmp_path, service=replace(service, endpoints=Endpoints(panoramax.url)))
    assert set(again["status"]) == {"cached"}


def test_all_pictures_by_collections(api, collected, searched, truth):
    same(collected, truth, digits=ITEM_DIGITS)
    in_order = [frame.sort_values("id", ignore_index=True) for frame in (collected, searched)]
    pd.testing.assert_frame_equal(*in_order, check_like=True)  # licences and all else, as the search has them
    sequences = {sequence for name in PEOPLE for user in api.user_ids(name) for sequence in api.sequences_of(user)}
    assert sequences == set(truth["sequence_id"])
    one = collected[collected["sequence_id"] == collected["sequence_id"][0]].sort_values("sequence_rank")
    assert api.image_ids(one["sequence_id"].iloc[0]) == one["id"].tolist()
    assert one["sequence_rank"].tolist() == list(range(1, PICTURES_EACH + 1))


def test_all_pictures_by_an_export_of_the_database(truth, tmp_path):
    """Written from the database by PyArrow alone, in the columns that the weekly export is known to have."""
    lon, lat = truth["lon"], truth["lat"]
    licences = [(LICENCE, "etalab-2.0", None)[number % 3] for number in truth["filesize"]]
    columns = {
        "id": truth["id"].tolist(),
        "geometry": shapely.to_wkb(shapely.points(lon, lat)),
        "bbox": [{"xmin": x, "ymin": y, "xmax": x, "ymax": y} for x, y in zip(lon, lat, strict=True)],
        "datetime": pa.array(truth["captured_at"].dt.as_unit("us"), pa.timestamp("us", tz="UTC")),
        "collection": truth["sequence_id"].tolist(),
        "license": licences,
        "providers": [
            [{"name": name, "id": id_, "roles": ["producer"]}]
            for name, id_ in zip(truth["creator"], truth["creator_id"], strict=True)
        ],
        "instance": [{"name": "here", "url": "https://here.example"}] * len(truth),
        "view:azimuth": pa.array(truth["compass_angle"], from_pandas=True),
        "quality:horizontal_accuracy": pa.array(truth["gps_accuracy_m"], from_pandas=True),
        "pers:interior_orientation": [{"field_of_view": 360 if each else 92} for each in truth["is_pano"]],
        "original_file:name": truth["filename"].tolist(),
        "original_file:size": truth["filesize"].tolist(),
        "geovisio:rank_in_collection": truth["sequence_rank"].tolist(),
    }
    geo = {"version": "1.0.0", "primary_column": "geometry",
           "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}}}  # fmt: skip
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    path = tmp_path / "panoramax.parquet"
    pq.write_table(table, path, row_group_size=1000)
    images = read_export(path, region=BULK)
    same(images, truth)
    assert set(truth.columns) - set(images.columns) == {"lon", "lat"}
    assert (
        images.sort_values("id")["licence"].astype(object).where(lambda each: each.notna(), None).tolist() == licences
    )
    part = read_export(path, region=(9.11, 48.705, 9.12, 48.71))
    same(part, truth[lon.between(9.11, 9.12) & lat.between(48.705, 48.71)].reset_index(drop=True))


def test_all_pictures_by_an_export_of_our_own(searched, truth, tmp_path):
    path = store.write_frame(searched, tmp_path / "all.stac.parquet")
    for images in (store.read_frame(path, frame="images"), read_export(path, region=BULK)):
        same(images, truth, digits=ITEM_DIGITS)
        back = images.set_index("id").loc[searched["id"]].reset_index()
        for name in searched.columns:
            assert back[name].equals(searched[name]), name


def test_the_source_of_headings_and_altitudes_of_pictures_without_files(searched):
    number = searched["filename"].str.removesuffix(".jpg").astype(int)
    expected = np.where(number % 50 == 0, None, np.where(number % 3 == 0, "computed", "measured"))
    assert (searched["compass_source"].fillna("-") == pd.Series(expected).fillna("-")).all()
    assert np.allclose(searched["altitude"], number / 10 * np.where(number % 2 == 1, -1, 1))
    assert (searched["is_pano"] == (searched["field_of_view"] == 360)).all()
    assert (searched["tiles_url"].notna() == searched["is_pano"]).all()


def test_pictures_with_files(panoramax, api):
    found = [item for batch in api.search(bbox=PARIS) for item in batch]
    images = items.images_frame(found, problems={}).set_index("filename")
    source = images["compass_source"]
    assert source["measured.jpg"] == source["turned.jpg"] == source["sphere.jpg"] == "measured"
    assert source["computed.jpg"] == source["computed_too.jpg"] == "computed"
    assert images["compass_angle"]["measured.jpg"] == 123
    assert images["altitude"]["measured.jpg"] == pytest.approx(-12.5, abs=0.01)
    assert images["captured_at"]["measured.jpg"] == pd.Timestamp(1_718_000_000_123, unit="ms", tz="UTC")
    assert images["exif_orientation"]["turned.jpg"] == 6
    assert images["is_pano"].to_dict() == {f"{name}.jpg": name == "sphere" for name in
                                           ("measured", "computed", "computed_too", "turned", "sphere")}  # fmt: skip
    assert (images["pitch"]["sphere.jpg"], images["roll"]["sphere.jpg"]) == (2.5, -1.5)
    alone = items.Reading(api.entity(panoramax.ids["alone"])).row
    assert alone["compass_source"] == "computed"
    assert alone["compass_angle"] == 0


def test_hd_is_the_upload_and_the_others_are_upright(panoramax, api):
    uploaded = real_pictures()
    with Pictures(service_of(panoramax)) as pictures:
        for name, id_ in panoramax.ids.items():
            item = api.entity(id_)
            sizes = {size: pictures.get(PROVIDER.pictures.address(item, size), what=name) for size in items.SIZES}
            assert sizes["original"] == uploaded[name]
            assert Image.open(io.BytesIO(sizes["2048"])).width == 2048
            assert Image.open(io.BytesIO(sizes["thumb"])).width == 500
            if name == "turned":
                upright = Image.open(io.BytesIO(sizes["2048"]))
                assert upright.height > upright.width
                assert Image.open(io.BytesIO(sizes["original"])).getexif()[274] == 6
            assert PROVIDER.pictures.rights(item).licence == LICENCE


def test_ids_that_are_gone_and_ids_in_capitals(panoramax, api):
    one = panoramax.ids["alone"]
    batches = list(api.images([one.upper(), one, NOBODY]))
    assert {id_ for batch in batches for id_ in batch.found} == {one}
    assert {id_: why for batch in batches for id_, why in batch.missing.items()} == {NOBODY: "gone (status 404)"}
    with pytest.raises(GoneError):
        api.entity(NOBODY)
    assert api.image_ids(NOBODY) == api.image_ids("no id") == []
    with pytest.raises(InputError, match="has no user 'ada'"):
        list(api.search(creator_username="ada"))
    assert len(api.user_ids("Ada")) == 1
    with pytest.raises(InputError, match="no organizations"):
        api.search(organization_id=1)


def test_a_picture_in_the_works_is_waited_for_and_not_gone(panoramax):
    id_ = panoramax.ids["alone"]
    token = {"Authorization": f"Bearer {panoramax.token}"}
    panoramax.query(f"UPDATE pictures SET status = 'waiting-for-process', preparing_status = 'not-processed'"
                    f" WHERE id = '{id_}'")  # fmt: skip
    try:
        assert requests.get(f"{panoramax.api}/pictures/{id_}", headers=token, timeout=30).status_code == 102
        with Api(service_of(panoramax)) as api, pytest.raises(PendingError, match="still works on it"):
            api.entity(id_)
        with Api(service_of(panoramax)) as api:
            (batch,) = api.images([id_])
            assert "still works on it" in batch.missing[id_]
    finally:
        panoramax.query(f"UPDATE pictures SET status = 'ready', preparing_status = 'prepared' WHERE id = '{id_}'")


def test_a_search_in_time_has_both_ends(api, truth):
    since, until = datetime(2024, 1, 1, 5, tzinfo=UTC), datetime(2024, 1, 1, 5, 30, tzinfo=UTC)
    for start, end in ((since, until), (since, since), (truth["captured_at"][0].to_pydatetime(),) * 2):
        found = [item for batch in api.search(bbox=BULK, since=start, until=end) for item in batch]
        expected = truth[(truth["captured_at"] >= start) & (truth["captured_at"] <= end)]
        assert {item["id"] for item in found} == set(expected["id"])
    until = until.replace(minute=50)
    kinds = {}
    for is_pano in (True, False):
        found = [item for batch in api.search(bbox=BULK, since=since, until=until, is_pano=is_pano) for item in batch]
        assert found
        assert {items.Reading(item).row["is_pano"] for item in found} == {is_pano}
        kinds[is_pano] = len(found)
    assert sum(kinds.values()) == truth["captured_at"].between(since, until).sum()


def test_more_pictures_at_one_place_than_an_answer_holds_are_split_by_time(panoramax, api):
    panoramax.query("""
        INSERT INTO pictures(ts, metadata, account_id, geom, status, preparing_status, visibility, exif)
        SELECT timestamptz '2023-01-01Z' + (CASE WHEN n <= 90 THEN n ELSE 200 END) * interval '1 ms',
          '{"type": "flat"}'::jsonb, (SELECT id FROM accounts WHERE name = 'Ada'),
          ST_SetSRID(ST_MakePoint(-60, 10), 4326), 'ready', 'prepared', 'anyone', '{}'::jsonb
        FROM generate_series(1, 130) n RETURNING id;
        DELETE FROM job_queue;
        INSERT INTO sequences_pictures(seq_id, rank, pic_id)
        SELECT (SELECT id FROM sequences LIMIT 1), 10000 + row_number() OVER (), id FROM pictures
        WHERE ST_X(geom) = -60""")
    try:
        box = (-60.2, 9.9, -59.9, 10.1)
        search = api.search(bbox=box, limit=50)
        assert len([item for batch in search for item in batch]) == 130
        assert search.complete
        search = api.search(bbox=box, limit=30)  # forty are of one instant
        found = [item for batch in search for item in batch]
        assert 120 <= len(found) < 130
        assert "2023-01-01T00:00:00.2" in "".join(search.shortcomings())
        assert not search.complete
    finally:
        panoramax.query("DELETE FROM pictures WHERE ST_X(geom) = -60")


def test_a_server_that_is_not_there(panoramax):
    service = Service(endpoints=Endpoints("http://127.0.0.1:9"), retry=QUICK)
    with Api(service) as api, pytest.raises(ServiceError, match="could not be reached"):
        list(api.search(bbox=(0, 0, 0.1, 0.1)))
    with Api(service_of(panoramax)) as api, pytest.raises(ServiceError):
        api.ask("/nonsense", {}, what="nonsense", read=json.dumps)
