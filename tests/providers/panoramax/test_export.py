"""STAC-GeoParquet: the export by box from a server and from disk, tables of others, and what is none."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from conftest import DATA
from helpers.range_server import serving
from helpers.scripted_server import QUICK
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo import store
from mlygeo.errors import FileError, FormatError, InputError, ServiceError
from mlygeo.net.answers import RefusedError
from mlygeo.net.http import Client
from mlygeo.net.ranges import RangeFile
from mlygeo.providers.panoramax import items
from mlygeo.providers.panoramax.export import read_export
from mlygeo.providers.panoramax.service import Endpoints, Service
from mlygeo.store import stac

LOCAL = Service(endpoints=Endpoints("http://127.0.0.1:1"), retry=QUICK)
COUNT = 4_000


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def table(count: int = COUNT, *, assets: str = "list") -> pa.Table:
    """A table as the export is said to be: from west to east, the instances and licences by turns."""
    lon, lat = np.linspace(0, 40, count), np.linspace(40, 50, count)
    each = range(count)
    hd = [{"href": f"https://a.example/{n}/hd.jpg", "roles": ["data"], "type": "image/jpeg"} for n in each]
    sd = [{"href": f"https://a.example/{n}/sd.jpg", "roles": ["visual"], "type": "image/jpeg"} for n in each]
    columns = {
        "id": [uuid(n) for n in each],
        "geometry": shapely.to_wkb(shapely.points(lon, lat)),
        "bbox": [{"xmin": x, "ymin": y, "xmax": x, "ymax": y} for x, y in zip(lon, lat, strict=True)],
        "datetime": pa.array((np.arange(count) * 1_000_001 + 1_700_000_000_000_001).astype("datetime64[us]"),
                             pa.timestamp("us", tz="UTC")),
        "collection": [uuid(n // 10) for n in each],
        "license": [("etalab-2.0", "CC-BY-SA-4.0", "[CC-BY-SA-4.0]", None)[n % 4] for n in each],
        "providers": [[{"name": f"person {n % 3}", "id": uuid(n % 3), "roles": ["producer"]}] for n in each],
        "instance": [{"name": ("ign", "osm-fr")[n % 2], "url": "https://x.example"} for n in each],
        "view:azimuth": [None if n % 5 == 0 else n % 361 for n in each],
        "pers:interior_orientation": [{"field_of_view": (360, 92, None)[n % 3], "camera_model": "Max"} for n in each],
        "semantics": [[{"key": "a", "value": "b"}] for n in each],
        "assets": [list(pair) for pair in zip(hd, sd, strict=True)] if assets == "list"
        else [{"hd": one, "sd": two} for one, two in zip(hd, sd, strict=True)],
    }  # fmt: skip
    geo = {"version": "1.0.0", "primary_column": "geometry",
           "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}}}  # fmt: skip
    return pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "panoramax.parquet"
    pq.write_table(table(), path, row_group_size=100)
    return path


def expected(box):
    lon, lat = np.linspace(0, 40, COUNT), np.linspace(40, 50, COUNT)
    west, south, east, north = box
    return [uuid(n) for n in np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))]


@pytest.mark.parametrize("box", [(10, 40, 12, 50), (39.9, 49, 50, 60), (-20, -20, -10, -10)])
def test_a_box_of_the_export_over_the_network_and_from_disk(export, box):
    with serving(export.read_bytes()) as (url, asked, _):
        images = read_export(url, region=box, service=LOCAL)
    assert sorted(images["id"]) == expected(box)
    assert len(asked) < 15
    assert sorted(read_export(export, region=box)["id"]) == expected(box)


def test_only_the_row_groups_of_a_box_are_read(tmp_path):
    path = tmp_path / "large.parquet"
    big = table(1_000)
    random = np.random.default_rng(1)
    noise = pa.array([random.bytes(4_000).hex() for _ in range(1_000)])
    pq.write_table(big.append_column("license_text", noise), path, row_group_size=50)
    content = path.read_bytes()
    with serving(content) as (url, asked, _):
        images = read_export(url, region=(20, 40, 20.1, 50), service=LOCAL)
    assert len(images) in {2, 3}
    spans = [each.removeprefix("bytes=").split("-") for each in asked]
    read = sum(int(stop) - int(start) + 1 if start else int(stop) for start, stop in spans)
    assert read < len(content) / 4


def test_values_of_the_export(export):
    images = read_export(export).set_index("id")
    assert len(images) == COUNT
    one = images.loc[uuid(1)]
    assert one["captured_at"] == pd.Timestamp(1_700_000_001_000_002, unit="us", tz="UTC")
    assert (one["instance"], one["licence"], one["creator"], one["creator_id"]) == (
        "osm-fr", "CC-BY-SA-4.0", "person 1", uuid(1))  # fmt: skip
    assert (one["hd_url"], one["sd_url"]) == ("https://a.example/1/hd.jpg", "https://a.example/1/sd.jpg")
    assert images["compass_angle"].isna().sum() == COUNT // 5
    assert images.loc[uuid(361), "compass_angle"] == 0
    assert images.loc[uuid(2), "licence"] == "[CC-BY-SA-4.0]"
    assert pd.isna(images.loc[uuid(3), "licence"])
    kinds = [images.loc[uuid(n), "is_pano"] for n in range(3)]
    assert kinds[:2] == [True, False]
    assert pd.isna(kinds[2])
    assert set(images["provider"]) == {"panoramax"}
    assert "compass_source" not in images.columns  # the export does not say it
    assert images.attrs["attribution"] == ["Panoramax, licence by picture"]


def boxed(table: pa.Table, boxes: list[object], kind: pa.DataType) -> pa.Table:
    """A table with other boxes of its rows, which its metadata name."""
    place = table.schema.get_field_index("bbox")
    column = pa.array(boxes, pa.struct([(side, kind) for side in ("xmin", "ymin", "xmax", "ymax")]))
    geo = json.loads(table.schema.metadata[b"geo"])
    geo["version"] = "1.1.0"
    geo["columns"]["geometry"]["covering"] = {
        "bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    }
    return table.set_column(place, "bbox", column).replace_schema_metadata({"geo": json.dumps(geo)})


@pytest.mark.parametrize("rows", [7, 50])
@pytest.mark.parametrize("nulls", ["some", "all", "sides"])
def test_rows_without_a_box_are_found_by_their_place(tmp_path, rows, nulls):
    path, whole = tmp_path / "x.parquet", table(50)
    boxes = whole["bbox"].to_pylist()
    unknown = dict.fromkeys(("xmin", "ymin", "xmax", "ymax")) if nulls == "sides" else None
    for number in range(50) if nulls == "all" else range(20, 50, 3):
        boxes[number] = unknown
    pq.write_table(boxed(whole, boxes, pa.float64()), path, row_group_size=rows)
    lon = np.linspace(0, 40, 50)
    wanted = [uuid(n) for n in np.flatnonzero((lon >= 19) & (lon <= 30))]
    assert sorted(read_export(path, region=(19, 40, 30, 50))["id"]) == wanted
    with serving(path.read_bytes()) as (url, *_):
        assert sorted(read_export(url, region=(19, 40, 30, 50), service=LOCAL)["id"]) == wanted


def test_boxes_that_were_rounded_to_nearest_lose_no_picture_on_the_edge(tmp_path):
    path, whole = tmp_path / "x.parquet", table(50)
    lon, lat = np.linspace(0, 40, 50), np.linspace(40, 50, 50)
    boxes = [{"xmin": x, "ymin": y, "xmax": x, "ymax": y} for x, y in zip(lon, lat, strict=True)]
    pq.write_table(boxed(whole, boxes, pa.float32()), path, row_group_size=7)
    for first, last in [(3, 9), (10, 11), (7, 41), (14, 20)]:
        region = (lon[first], lat[first], lon[last], lat[last])
        wanted = [uuid(n) for n in range(first, last + 1)]
        assert sorted(read_export(path, region=region)["id"]) == wanted
        with serving(path.read_bytes()) as (url, *_):
            assert sorted(read_export(url, region=region, service=LOCAL)["id"]) == wanted


@pytest.mark.parametrize(
    ("ids", "kept", "left_out"),
    [
        (["abc", "ABC", " abc "], ["abc", "ABC"], {"there twice": 1}),
        ([uuid(10), uuid(10).upper(), uuid(11)], [uuid(10), uuid(11)], {"there twice": 1}),
        ([[uuid(1)], [uuid(2)], [uuid(3)]], [], {"without an id": 3}),
        ([None, " ", "x"], ["x"], {"without an id": 2}),
    ],
)
def test_ids_of_a_table(tmp_path, ids, kept, left_out):
    path, whole = tmp_path / "x.parquet", table(3)
    pq.write_table(whole.set_column(0, "id", pa.array(ids)), path)
    images = store.read_frame(path, frame="images")
    assert images["id"].tolist() == kept
    assert images.attrs.get("left_out", {}) == left_out


def test_a_column_that_cannot_be_used_is_said_once(tmp_path):
    path, whole = tmp_path / "x.parquet", table(3)
    place = whole.schema.get_field_index("pers:interior_orientation")
    pq.write_table(whole.set_column(place, "pers:interior_orientation", pa.array([[1, 2]] * 3)), path)
    images = store.read_frame(path, frame="images")
    assert (images["warning"].str.count("pers:interior_orientation") == 1).all()


@pytest.mark.parametrize("assets", ["list", "struct"])
def test_assets_of_a_table_are_a_list_or_an_object(tmp_path, assets):
    path = tmp_path / "x.parquet"
    pq.write_table(table(10, assets=assets), path)
    images = store.read_frame(path, frame="images")
    assert images["hd_url"].tolist() == [f"https://a.example/{n}/hd.jpg" for n in range(10)]


@pytest.mark.parametrize(
    "dropped",
    ["bbox", "datetime*", "license", "providers", "instance", "view:azimuth", "pers:interior_orientation", "assets"],
)
def test_a_column_that_is_missing_is_unknown(tmp_path, dropped):
    path = tmp_path / "x.parquet"
    whole = table(30)
    if dropped == "datetime*":  # unusable
        place = whole.schema.get_field_index("datetime")
        whole = whole.set_column(place, "datetime", pa.array(["soon"] * 30))
    else:
        whole = whole.drop_columns([dropped])
    pq.write_table(whole, path)
    with serving(path.read_bytes()) as (url, *_):
        for images in (read_export(path), read_export(url, region=(-1, 39, 41, 51), service=LOCAL)):
            assert len(images) == 30
            if dropped == "datetime*":
                assert images["captured_at"].isna().all()
                assert images["warning"].str.contains("datetime").all()


SERVICE = [
    "instance", "view:azimuth", "pers:interior_orientation", "geovisio:status", "quality:horizontal_accuracy",
]  # fmt: skip


@pytest.mark.parametrize("assets", ["list", "struct", "map"])
def test_whose_pictures_are_is_known_without_columns_of_the_service(tmp_path, assets):
    whole = table(30, assets="list" if assets == "list" else "struct")
    whole = whole.drop_columns([name for name in SERVICE if name in whole.column_names])
    if assets == "map":
        whole = as_map(whole)
    path = tmp_path / "x.parquet"
    pq.write_table(whole, path)
    with serving(path.read_bytes()) as (url, *_):
        for images in (
            store.read_frame(path, frame="images"),
            read_export(path),
            read_export(url, region=(-1, 39, 41, 51), service=LOCAL),
        ):
            assert set(images["provider"]) == {"panoramax"}
            assert images["hd_url"].str.endswith("/hd.jpg").all()
            assert images["sd_url"].str.endswith("/sd.jpg").all()
            assert "warning" not in images.columns


def as_map(whole):
    """A table whose assets are a map of Parquet, which has no names of fields."""
    kind = pa.map_(pa.string(), pa.struct({"href": pa.string(), "roles": pa.list_(pa.string()), "type": pa.string()}))
    maps = pa.array([list(each.items()) for each in whole["assets"].to_pylist()], kind)
    return whole.set_column(whole.schema.get_field_index("assets"), "assets", maps)


@pytest.mark.parametrize("reader", [read_export, lambda path: store.read_frame(path, frame="images")])
def test_maps_text_numbers_and_nanoseconds(tmp_path, reader):
    whole = as_map(table(6, assets="struct"))
    ns = np.array([0, 1000, 1, 999, 1500, 2000]) + 1_700_000_000_000_000_000
    cameras = [{"field_of_view": text} for text in ("360", "360.0", "92", "wide", None, " 360 ")]
    for name, values in {
        "datetime": pa.array(ns, pa.timestamp("ns", tz="UTC")), "pers:interior_orientation": pa.array(cameras),
    }.items():  # fmt: skip
        whole = whole.set_column(whole.schema.get_field_index(name), name, values)
    path = tmp_path / "x.parquet"
    pq.write_table(whole, path)
    images = reader(path).sort_values("id", ignore_index=True)
    assert images["hd_url"].tolist() == [f"https://a.example/{n}/hd.jpg" for n in range(6)]
    assert images["is_pano"].tolist() == [True, True, False, pd.NA, pd.NA, True]
    assert images["field_of_view"].fillna(0).tolist() == [360, 360, 92, 0, 0, 360]
    rounded = images["warning"].str.contains("its datetime is rounded to microseconds").fillna(value=False)
    assert rounded.tolist() == [False, False, True, True, True, False]
    assert (np.abs(images["captured_at"].astype("int64").to_numpy() * 1000 - ns) <= 500).all()
    assert "field_of_view" in images["warning"][3] or "interior_orientation" in images["warning"][3]


@pytest.mark.parametrize("assets", [["https://a.example/hd.jpg"], "https://a.example/hd.jpg", [["hd", "x"]]])
def test_assets_of_another_shape_are_named(tmp_path, assets):
    whole = table(2)
    whole = whole.set_column(whole.schema.get_field_index("assets"), "assets", pa.array([assets] * 2))
    pq.write_table(whole, tmp_path / "x.parquet")
    images = read_export(tmp_path / "x.parquet")
    assert images["warning"].str.contains("its assets cannot be used").all()


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("id", ["a", "b"], "'a' is not an id of Panoramax"),
        ("id", ["498763468214164", "5"], "'498763468214164' is not an id of Panoramax"),
        ("provider", ["kartaview", None], "has images of kartaview"),
    ],
)
def test_an_export_of_others_is_refused_by_name(tmp_path, column, values, said):
    whole = table(2)
    whole = whole.drop_columns([column] if column in whole.column_names else []).append_column(column, pa.array(values))
    pq.write_table(whole, tmp_path / "x.parquet")
    with pytest.raises(FormatError, match=said):
        read_export(tmp_path / "x.parquet")


def test_items_of_others_are_not_of_panoramax(tmp_path):
    whole = table(4).drop_columns(["instance", "view:azimuth", "pers:interior_orientation"])
    assets = pa.array([[{"href": f"https://a.example/{n}.jpg", "roles": ["data"]}] for n in range(4)])
    whole = whole.set_column(whole.schema.get_field_index("assets"), "assets", assets)
    pq.write_table(whole, tmp_path / "x.parquet")
    images = store.read_frame(tmp_path / "x.parquet", frame="images")
    assert "provider" not in images.columns


def test_an_export_that_is_replaced_while_it_is_read():
    content = bytes(1 << 20)
    with serving(content) as (url, _, state), Client(LOCAL) as client:
        remote = RangeFile(client, url, what="export")
        assert remote.read(100) == bytes(100)
        state["content"] = content + b"x"
        with pytest.raises(FileError, match="was replaced while it was read"):
            remote.read(100)


def test_servers_without_parts_and_with_wrong_ones(export):
    content = export.read_bytes()
    with serving(content, parts=False) as (url, *_), pytest.raises(ServiceError, match="sends no parts"):
        read_export(url, region=(0, 0, 1, 1), service=LOCAL)
    with serving(content, wrong=True) as (url, *_), pytest.raises(ServiceError, match="another part"):
        read_export(url, region=(0, 0, 1, 1), service=LOCAL)
    with serving(content, redirects=2) as (url, *_):
        assert len(read_export(url, region=(10, 40, 12, 50), service=LOCAL)) == len(expected((10, 40, 12, 50)))
    with serving(content, redirects=9) as (url, *_), pytest.raises(ServiceError, match="too often"):
        read_export(url, region=(0, 0, 1, 1), service=LOCAL)
    for token in (None, "a.b.c"):  # none is sent, so none is refused
        with serving(content, status=403) as (url, *_), pytest.raises(RefusedError, match=r"answered 403$") as refused:
            read_export(url, region=(0, 0, 1, 1), service=replace(LOCAL, token=token))
        assert refused.value.hint is None
    with serving(b"<html>no export</html>") as (url, *_), pytest.raises(FormatError, match="not a Parquet file"):
        read_export(url, region=(0, 0, 1, 1), service=LOCAL)
    with serving(content) as (url, *_), pytest.raises(InputError, match="whole world"):
        read_export(url, service=LOCAL)


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
def test_a_damaged_export_is_refused_over_the_network_too(tmp_path, compression):
    path = tmp_path / "panoramax.parquet"
    pq.write_table(table(200), path, row_group_size=100, compression=compression)
    content = path.read_bytes()
    bad = [
        content[:at] + bytes(400) + content[at + 400 :] for at in range(200, len(content) - 8_000, len(content) // 6)
    ]
    with serving(content) as (url, _, state):
        for state["content"] in bad:
            path.write_bytes(state["content"])
            for source in (path, url):
                with contextlib.suppress(FileError):
                    read_export(source, region=(0, 40, 40, 50), service=LOCAL)
        described = pq.read_table(pa.BufferReader(content)).schema.metadata
        pq.write_table(table(200).replace_schema_metadata({**described, b"pandas": b"{\x01"}), path)
        state["content"] = path.read_bytes()
        with pytest.raises(FormatError, match=r"panoramax\.parquet"):
            read_export(url, region=(0, 40, 40, 50), service=LOCAL)


@pytest.mark.parametrize("box", [(179, -5, 180, 5), (-180, -5, -179, 5), (179, -5, -179, 5), (-180, -90, 180, 90)])
def test_the_antimeridian_has_two_longitudes(tmp_path, box):
    path = tmp_path / "panoramax.parquet"
    frame = gpd.GeoDataFrame(
        {"id": [uuid(n) for n in range(3)], "provider": "panoramax", "is_pano": False},
        geometry=gpd.points_from_xy([180, -180, 0], [0, 0, 0], crs=4326),
    )
    store.write_frame(frame, tmp_path / "panoramax.stac.parquet")
    (tmp_path / "panoramax.stac.parquet").rename(path)
    expected = {uuid(0), uuid(1)} | ({uuid(2)} if box[0] == -180 and box[2] == 180 else set())
    with serving(path.read_bytes()) as (url, *_):
        for source in (path, url):
            assert set(read_export(source, region=box, service=LOCAL)["id"]) == expected


def test_convert_reads_a_part_of_an_export_over_the_network(export, tmp_path):
    box = (10, 40, 12, 50)
    with serving(export.read_bytes()) as (url, *_):
        images = mlygeo.convert(url, tmp_path / "town.parquet", bbox=box)
        with pytest.raises(InputError, match="whole world"):
            mlygeo.convert(url, tmp_path / "world.parquet")
        with pytest.raises(InputError, match="`srid` has no effect"):
            mlygeo.convert(url, tmp_path / "town.parquet", bbox=box, srid=4326)
    assert sorted(images["id"]) == expected(box)
    assert sorted(store.read_frame(tmp_path / "town.parquet", frame="images")["id"]) == expected(box)
    with pytest.raises(FileError, match="only GeoParquet is read from there"):
        mlygeo.convert("https://example.org/images.gpkg", tmp_path / "x.parquet")
    with pytest.raises(InputError, match="not encrypted"):
        mlygeo.convert("http://example.org/panoramax.parquet", tmp_path / "x.parquet", bbox=box)
    with pytest.raises(InputError, match="unencrypted"):
        mlygeo.convert("http://example.org/images.parquet", tmp_path / "x.parquet", bbox=box)


def test_images_of_mapillary_are_no_export(images, tmp_path):
    path = store.write_frame(images, tmp_path / "theirs.parquet")
    with pytest.raises(FormatError, match="images of Mapillary"):
        read_export(path)
    with serving(path.read_bytes()) as (url, *_), pytest.raises(FormatError, match="images of Mapillary"):
        read_export(url, region=(9, 48, 10, 49), service=LOCAL)


def test_images_of_mapillary_written_as_items_come_back(images, tmp_path):
    path = store.write_frame(images, tmp_path / "theirs.stac.parquet")
    back = store.read_frame(path, frame="images").sort_values("id", ignore_index=True)
    ours = images.sort_values("id", ignore_index=True)
    for name in ours.columns:
        assert back[name].equals(ours[name]), name
    assert "provider" not in back.columns


def test_both_providers_in_one_table(images, tmp_path):
    page = json.loads((DATA / "panoramax" / "search_page.json").read_text())
    ours = items.images_frame(page["features"])
    theirs = images.head(20).assign(provider="mapillary")
    both = pd.concat([ours, theirs.assign(id=theirs["id"].astype("str"), creator_id=theirs["creator_id"].astype("str"),
                                          organization_id=theirs["organization_id"].astype("str"),
                                          captured_at=theirs["captured_at"].astype("datetime64[us, UTC]"))])  # fmt: skip
    path = store.write_frame(gpd.GeoDataFrame(both, crs=4326), tmp_path / "both.stac.parquet")
    back = store.read_frame(path, frame="images")
    assert back["provider"].value_counts().to_dict() == {"mapillary": 20, "panoramax": len(ours)}
    assert set(back["id"]) == set(both["id"])
    assert back.set_index("id")["is_pano"].to_dict() == both.set_index("id")["is_pano"].to_dict()


def test_a_table_of_items_selects(export, tmp_path):
    places = np.column_stack([np.linspace(0, 40, COUNT), np.linspace(40, 50, COUNT)])[[1_000, 2_000]]
    points = gpd.GeoDataFrame({"point_id": [0, 1]}, geometry=gpd.points_from_xy(*places.T), crs=4326)
    where = store.write_frame(points, tmp_path / "points.parquet")
    chosen = mlygeo.select(images=export, points=where, srid=3857, max_distance=5_000)
    ids = set(np.asarray(chosen["id"]))
    assert ids == {uuid(1_000), uuid(2_000)}


@pytest.mark.parametrize(
    ("columns", "is_one"),
    [
        (["id", "datetime", "collection", "assets", "geometry"], True),
        (["id", "datetime", "stac_version", "geometry"], True),
        (["id", "datetime", "geometry"], False),
        (["id", "captured_at", "datetime", "collection", "assets"], False),
        (["point_id", "datetime", "collection", "links"], False),
    ],
)
def test_what_is_a_table_of_items(columns, is_one):
    assert stac.is_stac(columns) is is_one


def test_rows_without_an_id_or_twice_are_left_out_and_counted(tmp_path):
    frame = gpd.GeoDataFrame(
        {"id": [uuid(1), None, uuid(1).upper(), ""], "datetime": pd.Timestamp("2024-01-01", tz="UTC"),
         "collection": "c", "license": "x"},
        geometry=gpd.points_from_xy([1, 2, 3, 4], [1, 2, 3, 4]), crs=4326,
    )  # fmt: skip
    path = tmp_path / "x.parquet"
    frame.to_parquet(path)
    images = store.read_frame(path, frame="images")
    assert images["id"].tolist() == [uuid(1)]
    assert images.attrs["left_out"] == {"without an id": 2, "there twice": 1}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["href", "roles", "rel", "name", "id", "url", "field_of_view"]), inner)
    ),
    max_leaves=5,
)
NAMES = [
    "datetime", "collection", "license", "providers", "instance", "links", "assets", "view:azimuth", "pers:pitch",
    "pers:interior_orientation", "geovisio:rank_in_collection", "original_file:name", "created", "geovisio:producer",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, min_size=3, max_size=3)))
def test_any_values_of_a_table_give_a_frame(said):
    columns = {"datetime": [None] * 3, "collection": [None] * 3, "license": [None] * 3, **said}
    series = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    frame = gpd.GeoDataFrame(
        {"id": [uuid(n) for n in range(3)], **series}, geometry=gpd.points_from_xy([1] * 3, [2] * 3)
    )
    images = stac.to_images(frame)
    assert images["id"].tolist() == [uuid(n) for n in range(3)]
    assert not (images["compass_angle"] >= 360).any()
    assert not np.isinf(images["compass_angle"]).any()
