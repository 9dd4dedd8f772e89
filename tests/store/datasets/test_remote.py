"""Files on servers and in object stores: the rows of the file here, by few requests, and no two files mixed."""

import hashlib
import os
import pickle
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.range_server import serving
from helpers.s3_server import s3_server
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo import store
from mlygeo.errors import FileError, InputError, MlygeoError, NetworkError, ServiceError
from mlygeo.net.ranges import TAIL
from mlygeo.store.datasets import layout, reading, remote
from mlygeo.store.datasets.index import Index, Part, write_index
from mlygeo.store.points import open_points

ROWS = 120_000
BOX = (9.30, 47.0, 9.34, 49.0)


def frame(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return gpd.GeoDataFrame(
        {
            "id": rng.integers(1, 2**60, rows),
            "captured_at": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s", utc=True).as_unit("ms"),
            "camera": [f"camera {value}" for value in rng.integers(0, 10**9, rows)],
        },
        geometry=gpd.points_from_xy(np.sort(rng.uniform(9, 10, rows)), rng.uniform(48, 48.1, rows)),
        crs=4326,
    )


def content(rows, path):
    rows.to_parquet(path, row_group_size=6_000, write_covering_bbox=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file of many row groups: its frame and its bytes."""
    rows = frame()
    return rows, content(rows, tmp_path_factory.mktemp("made") / "x.parquet")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3, monkeypatch, request):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return "bucket-" + hashlib.sha1(request.node.name.encode()).hexdigest()[:10]


def in_box(rows, box=BOX):
    return store.part_of(rows, bbox=box)


def test_a_box_of_a_file_on_a_server(made):
    rows, whole = made
    expected = in_box(rows)
    with serving(whole) as (url, asked, state):
        assert_frame_equal(store.read_frame(url, bbox=BOX), expected)
    groups = 2
    needed = len(whole) * groups * 6_000 / ROWS + TAIL
    assert len(asked) <= 8
    assert state["sent"] <= 1.1 * needed, (state["sent"], needed)
    assert asked[0] == f"bytes=-{TAIL}"


def test_points_read_what_is_asked_for(made):
    rows, whole = made
    expected = in_box(rows)
    with serving(whole) as (url, asked, state):
        points = reading.open(url).points(BOX)
        assert points.arrow("id").to_pylist() == expected["id"].tolist()
        assert (points.lonlat[0] == expected.geometry.x.to_numpy()).all()
        assert len(asked) <= 8
        before = state["sent"]
        some = points.take(np.array([5, 1, 5]), ["camera"])
        assert some["camera"].to_pylist() == expected["camera"].iloc[[5, 1, 5]].tolist()
        assert state["sent"] - before < 0.1 * len(whole)


def test_a_whole_file_and_a_selection_from_it(made):
    rows, whole = made
    with serving(whole) as (url, _, _):
        assert_frame_equal(store.read_frame(url), rows)
        points = gpd.GeoDataFrame({"point_id": np.arange(9)}, geometry=rows.geometry[:9].translate(1e-5), crs=4326)
        found = mlygeo.select(points=points, images=url)
    assert_frame_equal(found, mlygeo.select(points=points, images=rows))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"parts": False}, "sends no parts of files"), ({"status": 404}, r"panoramax\.parquet does not exist"),
        ({"status": 403}, "may not be read: the server answered 403"), ({"status": 401}, "may not be read"),
        ({"short": 9}, "broke off"), ({"wrong": True}, "another part than it says"), ({"redirects": 9}, "redirected too often"),
    ],
)  # fmt: skip
def test_what_a_server_does_wrong_is_one_line(made, how, words, monkeypatch):
    monkeypatch.setattr(remote._client()._service.retry.__class__, "wait_after", lambda *_, **__: 0.0)
    with serving(made[1], **how) as (url, _, _), pytest.raises(MlygeoError, match=words) as caught:
        store.read_frame(f"{url}?signature=S3CRET", bbox=BOX)
    assert "S3CRET" not in f"{caught.value} {caught.value.hint}"
    assert "\n" not in str(caught.value)
    if how == {"parts": False}:
        assert isinstance(caught.value, ServiceError)


@pytest.mark.parametrize("how", [{}, {"obeys": False}, {"tag": 'W/"{}"', "obeys": False}, {"tag": None}])
@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_file_replaced_in_the_middle_is_never_mixed(made, tmp_path, how, after):
    rows, whole = made
    changed = rows.assign(id=rows["id"].to_numpy()[::-1])
    other = content(changed, tmp_path / "y.parquet")
    with serving(whole, **how) as (url, asked, state):

        def swap(number):
            if number == after:
                state["content"] = other

        state["after"] = swap
        try:
            points = reading.open(url).points(BOX)
            found = points.arrow("id").to_pylist()
            places = points.lonlat[0].tolist()
        except FileError as error:
            said = str(error)
            assert len(asked) >= after
        else:
            assert (found, places) in [
                (one["id"].tolist(), one.geometry.x.tolist()) for one in (in_box(rows), in_box(changed))
            ]
            said = "panoramax.parquet was replaced while it was read"
            assert len(asked) < after
        assert said == "panoramax.parquet was replaced while it was read"


def test_addresses_that_are_not_read():
    with pytest.raises(InputError, match="unencrypted"):
        store.read_frame("http://example.org/x.parquet")
    with pytest.raises(InputError, match="password") as caught:
        store.read_frame("https://user:S3CRET@example.org/x.parquet")
    assert "S3CRET" not in str(caught.value)
    with pytest.raises(FileError, match="only GeoParquet is read from there"):
        store.read_frame("https://example.org/x.gpkg")
    with pytest.raises(FileError, match="address of the web"):
        store.read_frame("ftp://example.org/x.parquet")
    with pytest.raises(NetworkError):
        store.read_frame("http://127.0.0.1:9/x.parquet")


def dataset(folder):
    """Write a dataset with an index; return its frame."""
    rows = frame(3_000, 4).sort_values("id").reset_index(drop=True)
    parts = []
    for number in range(3):
        some = rows[rows.geometry.x.between(9 + number / 3, 9 + (number + 1) / 3)].reset_index(drop=True)
        path = folder / f"cell=q{number}/part-0.parquet"
        path.parent.mkdir(parents=True)
        store.write_frame(some, path)
        west, south, east, north = map(float, some.total_bounds)
        parts.append(
            Part(
                f"{number}",
                f"cell=q{number}/part-0.parquet",
                len(some),
                1,
                path.stat().st_size,
                west,
                south,
                east,
                north,
                1,
                2,
                None,
                None,
                "0" * 64,
            )
        )
    write_index(Index(tuple(parts), np.arange(3), np.array([part.rows for part in parts])), layout.index_of(folder))
    return rows


def test_a_dataset_on_a_server_is_found_by_its_index(tmp_path):
    rows = dataset(tmp_path / "ds")
    there = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    expected = in_box(rows).sort_values("id")["id"].tolist()
    with serving({"ds": b"", **there}) as (url, asked, _):
        assert sorted(store.read_frame(url, bbox=BOX)["id"]) == expected
        assert len(asked) <= 8
        assert sorted(store.read_frame(f"{url}/")["id"]) == rows["id"].tolist()
        state = {**there}
        del state["ds.partitions.parquet"]
    with serving({"ds": b"", **state}) as (url, _, _), pytest.raises(FileError, match="lists no files"):
        store.read_frame(url)
    with serving({"ds/a.parquet": b""}) as (url, _, _), pytest.raises(FileError, match="is a pattern, and a server"):
        store.read_frame(f"{url}/ds/*.parquet")


def test_an_object_store_is_read_like_a_folder(s3, bucket, tmp_path, made):
    rows, whole = made
    other = content(frame(100, 5), tmp_path / "y.parquet")
    s3.put(
        bucket,
        {
            "t/year=2023/x.parquet": whole,
            "t/year=2024/y.parquet": other,
            "t/_SUCCESS": b"",
            "t/.x.parquet": b"x",
            "u/z.parquet": other,
        },
    )
    before = len(s3.requests())
    assert_frame_equal(store.read_frame(f"s3://{bucket}/t/year=2023/x.parquet", bbox=BOX), in_box(rows))
    asked = s3.requests()[before:]
    assert sum(method == "GET" for method, _ in asked) <= 8
    assert len(asked) <= 12
    assert store.read_frame(f"s3://{bucket}/t").groupby("year").size().to_dict() == {2023: ROWS, 2024: 100}
    assert [file.name for file in reading.open(f"s3://{bucket}/t/").files] == [
        "year=2023/x.parquet",
        "year=2024/y.parquet",
    ]
    assert len(store.read_frame(f"s3://{bucket}/*/*/y.parquet")) == 100
    assert len(store.read_frame(f"s3://{bucket}/u*")) == 100
    assert [file.name for file in reading.open(f"s3://{bucket}/**/[yz].parquet").files] == [
        "t/year=2024/y.parquet",
        "u/z.parquet",
    ]
    both = open_points([f"s3://{bucket}/u/z.parquet", tmp_path / "y.parquet"], name="x")
    assert len(both) == 200
    points = reading.open(f"s3://{bucket}/t").points(BOX)
    assert len(points) == len(in_box(rows)) + len(in_box(frame(100, 5)))


def test_a_dataset_in_an_object_store(s3, bucket, tmp_path):
    rows = dataset(tmp_path / "ds")
    s3.put(bucket, {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.parquet")})
    before = len(s3.requests())
    box = (9.1, 47.0, 9.2, 49.0)
    found = store.read_frame(f"s3://{bucket}/ds", bbox=box)
    assert sorted(found["id"]) == sorted(in_box(rows, box)["id"])
    opened = {path for _, path in s3.requests()[before:] if "part-0" in path}
    assert len(opened) == 1
    s3.client.delete_object(Bucket=bucket, Key="ds/cell=q0/part-0.parquet")
    with pytest.raises(MlygeoError, match=r"names cell=q0/part-0.parquet, which ds does not have"):
        store.read_frame(f"s3://{bucket}/ds")


def test_what_is_missing_in_an_object_store_or_refused(s3, bucket, made, monkeypatch):
    s3.put(bucket, {"x.parquet": made[1]})
    for address in (f"s3://{bucket}/no.parquet", "s3://there-is-no-such/x.parquet", f"s3://{bucket}/no/"):
        with pytest.raises(FileError, match="does not exist"):
            store.read_frame(address)
    with pytest.raises(FileError, match="a pattern that no file matches"):
        store.read_frame(f"s3://{bucket}/no*.parquet")
    s3.refuse_from_now()
    try:
        with pytest.raises(FileError, match="the store refuses the credentials") as caught:
            store.read_frame(f"s3://{bucket}/x.parquet")
    finally:
        s3.accept_all()
    assert "\n" not in str(caught.value)
    assert "AWS_PROFILE" in caught.value.hint
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NetworkError):
        store.read_frame(f"s3://{bucket}/x.parquet")


def test_an_object_replaced_in_the_middle_is_told(s3, bucket, tmp_path, made):
    rows, whole = made
    s3.put(bucket, {"x.parquet": whole})
    points = reading.open(f"s3://{bucket}/x.parquet").points()
    other = content(rows.assign(id=rows["id"].to_numpy()[::-1]), tmp_path / "y.parquet")
    s3.client.put_object(Bucket=bucket, Key="x.parquet", Body=other)
    with pytest.raises(FileError, match=r"x\.parquet was replaced while it was read"):
        points.arrow("id")


def test_a_public_bucket_needs_no_credentials(s3, bucket, made, monkeypatch, tmp_path):
    s3.put(bucket, {})
    s3.client.put_object(Bucket=bucket, Key="x.parquet", Body=made[1], ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(store.read_frame(f"s3://{bucket}/x.parquet", bbox=BOX)) == len(in_box(made[0]))


def test_a_file_elsewhere_goes_to_another_process(made):
    with serving(made[1]) as (url, _, _):
        again = pickle.loads(pickle.dumps(reading.open(url)))
        assert len(again.points(BOX)) == len(in_box(made[0]))


def test_ranges_near_each_other_are_asked_for_together():
    near, far = remote.NEAR, 10 * remote.NEAR
    assert remote._together([(0, 10), (10 + near, 20 + near), (far, far + 5), (5, 8), (3, 3)], near) == [
        (0, 20 + near),
        (far, far + 5),
    ]


@pytest.mark.parametrize("text", ["s3:/b/x", "s3://b/x", "S3://b/x"])
def test_a_path_has_swallowed_a_slash(text):
    from mlygeo.store.paths import address_of

    assert address_of(text) == "s3://b/x"
    assert address_of(re.sub("^[sS]3", "file", text)) is None
    assert os.fspath(address_of(text))
