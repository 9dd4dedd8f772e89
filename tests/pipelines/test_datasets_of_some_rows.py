"""Tests of mlygeo.partition with a region and filters: the rows are those that one frame would keep."""

import hashlib
import json
import subprocess
import sys
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.regions import Region
from mlygeo.store.datasets import choosing, layout
from mlygeo.store.datasets.index import read_index
from mlygeo.store.parquet.files import GeoFile

REGIONS = {
    "none": None,
    "box": (9.175, 48.76, 9.185, 48.775),
    "edge": (9.18, 48.77, 9.19, 48.78),
    "antimeridian": (179.99, -90.0, -179.99, 90.0),
    "west": (-180.0, -90.0, -179.0, 90.0),
    "east": (179.0, -90.0, 180.0, 90.0),
    "polygon": shapely.Point(9.18, 48.77).buffer(0.011),
    "nowhere": (100.0, 1.0, 101.0, 2.0),
}

FILTERS = [
    {}, {"pano": True}, {"pano": False}, {"since": "2001-09-09T01:46:40.000Z"}, {"until": "2001", "pano": True},
    {"creator": 5}, {"creator": ["5", "anna"]}, {"organization": [7, 8]}, {"min_quality": 0.5},
    {"min_quality": 0.25, "creator": "b"}, {"where": "quality_score >= 0.25 and (not is_pano or creator_id in (5, 6))"},
]  # fmt: skip


def images(rows, *, seed=0, text=False):
    rng = np.random.default_rng(seed)
    lon = rng.choice([9.18, 180.0, -180.0, 179.9999], rows) + np.round(rng.normal(0, 0.01, rows), 3) * (seed % 2)
    lat = rng.choice([48.77, 0.0], rows) + np.round(rng.normal(0, 0.01, rows), 3)
    lon = np.where(lon > 180, lon - 360, np.where(lon < -180, lon + 360, lon))
    points = shapely.points(lon, lat)
    points[rng.random(rows) < 0.05] = None
    ids = rng.integers(1, max(2, 2 * rows // 3), rows)
    creators, organizations = rng.choice([5, 6, 7], rows), rng.choice([7, 9], rows)
    times = pd.Series(pd.to_datetime(rng.integers(9, 12, rows) * 10**11 + 1, unit="ms", utc=True))
    columns = {
        "id": [f"x{id_}" for id_ in ids] if text else ids,
        "captured_at": times.where(rng.random(rows) > 0.1).dt.as_unit("us" if text else "ms"),
        "is_pano": pd.array(rng.choice([True, False, None], rows), dtype="boolean"),
        "creator_id": pd.array(creators.astype(str), dtype="str") if text else pd.array(creators, dtype="Int64"),
        "creator_username": pd.array(rng.choice(["anna", "b"], rows), dtype="str"),
        "organization_id": pd.array(
            organizations.astype(str) if text else organizations, dtype="str" if text else "Int64"
        ),
        "sequence_id": [f"s{number // 3}" for number in range(rows)],
        "compass_angle": rng.choice([np.nan, 90.0], rows),
        "quality_score": np.where(rng.random(rows) < 0.2, np.nan, rng.choice([0.25, 0.5, 1.0], rows)),
    }
    return gpd.GeoDataFrame(columns, geometry=points, crs=4326)


def in_one_frame(frame, region, filters):
    kept = mlygeo.filter_images(frame, **filters)
    if region is None:
        return kept
    area = Region.from_bbox(*region) if isinstance(region, tuple) else Region.from_geometry(region)
    return kept[area.contains(kept.geometry.x.to_numpy(), kept.geometry.y.to_numpy())]


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def said(parts, *names):
    return {name: parts.attrs["summary"][name] for name in names}


@settings(deadline=None, max_examples=8)
@given(
    rows=st.integers(1, 120),
    seed=st.integers(0, 2**16),
    text=st.booleans(),
    where=st.sampled_from(list(REGIONS)),
    filters=st.sampled_from(FILTERS),
    cuts=st.lists(st.integers(0, 120), max_size=3),
    of_dataset=st.booleans(),
)
def test_the_rows_are_those_of_one_frame(tmp_path_factory, rows, seed, text, where, filters, cuts, of_dataset):
    folder = tmp_path_factory.mktemp("some")
    frame = images(rows, seed=seed, text=text)
    region = REGIONS[where]
    expected = in_one_frame(frame, region, filters)
    whole = frame
    if of_dataset:
        mlygeo.partition(frame, folder / "all", rows_per_part=40)
        whole = mlygeo.read_frame(folder / "all", frame="images")[list(frame.columns)]
        del whole.attrs["record"]  # which a copy keeps
        expected = in_one_frame(whole, region, filters)
        given_ = folder / "all"
    else:
        given_ = []
        rng = np.random.default_rng(seed)
        shuffled = frame.sample(frac=1, random_state=seed)
        for number, some in enumerate(np.split(np.arange(rows), sorted(min(cut, rows) for cut in cuts))):
            path = folder / f"{number}.parquet"
            if number % 2:
                shuffled.iloc[some].to_parquet(path, row_group_size=int(rng.integers(1, 30)), write_covering_bbox=True)
            else:
                mlygeo.write_frame(shuffled.iloc[some], path)
            given_.append(path)

    parts = mlygeo.partition(given_, folder / "some", region=region, rows_per_part=30, **filters)
    other = mlygeo.partition(expected, folder / "other", rows_per_part=30)

    assert digests(folder / "some") == digests(folder / "other")
    assert said(parts, "rows", "parts", "placeless", "problems") == said(
        other, "rows", "parts", "placeless", "problems"
    )
    cut = {
        reason: count
        for reason, count in parts.attrs["summary"]["left_out"].items()
        if reason in {choosing.OUTSIDE, choosing.FILTERED} or reason.startswith("without ")
    }
    assert sum(cut.values()) == len(whole) - len(expected)
    if region is not None:
        assert cut.get(choosing.OUTSIDE, 0) == len(whole) - len(in_one_frame(whole, region, {}))


def two_places(rows=60):
    frame = images(rows, seed=2)
    frame["id"] = range(1, rows + 1)
    far = np.arange(rows) >= rows // 2
    frame.geometry = shapely.points(np.where(far, 100.0, 9.18) + np.arange(rows) * 1e-4, 48.77)
    return frame


def spoil(path, start, stop):
    content = bytearray(path.read_bytes())
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


def test_row_groups_elsewhere_are_not_read_and_counted(tmp_path):
    frame = two_places()
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=30, write_covering_bbox=True)
    second = GeoFile(tmp_path / "a.parquet").file.metadata.row_group(1)
    first, last = second.column(0), second.column(second.num_columns - 1)
    spoil(tmp_path / "a.parquet", first.dictionary_page_offset or first.data_page_offset, last.data_page_offset + 9)
    with pytest.raises(FormatError):
        mlygeo.partition(tmp_path / "a.parquet", tmp_path / "whole")

    parts = mlygeo.partition(tmp_path / "a.parquet", tmp_path / "some", region=(9, 48, 10, 49))

    assert said(parts, "rows", "left_out") == {"rows": 30, "left_out": {choosing.OUTSIDE: 30}}


def test_parts_elsewhere_are_not_opened_and_counted(tmp_path):
    mlygeo.partition(two_places(), tmp_path / "all", rows_per_part=30)
    parts = read_index(layout.index_of(tmp_path / "all")).parts
    for part in parts:
        if part.west > 50:
            spoil(tmp_path / "all" / part.path, 0, part.bytes)

    found = mlygeo.partition(tmp_path / "all", tmp_path / "some", region=(9, 48, 10, 49), pano=True)

    left_out = found.attrs["summary"]["left_out"]
    assert left_out[choosing.OUTSIDE] == 30
    assert found.attrs["summary"]["rows"] + sum(left_out.values()) == 60
    # Of a dataset that lies elsewhere as a whole one part tells the columns.
    with pytest.raises(FormatError):
        mlygeo.partition(tmp_path / "all", tmp_path / "none", region=(100, 48, 101, 49))


def test_added_rows_alone_are_chosen_from(tmp_path):
    old, new = images(50, seed=1), images(50, seed=2)
    old["id"], new["id"] = range(50), range(25, 75)
    mlygeo.partition(old, tmp_path / "set", rows_per_part=20)

    added = mlygeo.partition(new, tmp_path / "set", add=True, pano=True)

    kept = mlygeo.filter_images(new, pano=True)
    mlygeo.partition(old, tmp_path / "other", rows_per_part=20)
    mlygeo.partition(kept, tmp_path / "other", add=True)
    assert digests(tmp_path / "set") == digests(tmp_path / "other")
    left_out = added.attrs["summary"]["left_out"]
    assert left_out["without is_pano, by which the filters go"] == int(new["is_pano"].isna().sum())
    assert left_out[choosing.FILTERED] == int((new["is_pano"] == False).sum())  # noqa: E712 - not of what is unknown


def test_the_names_of_people_are_those_of_what_is_added(tmp_path):
    new = images(20, seed=3).rename(columns={"creator_username": "creator"})
    mlygeo.partition(images(20, seed=1), tmp_path / "set")

    added = mlygeo.partition(new, tmp_path / "set", add=True, creator="anna")

    assert added.attrs["summary"]["left_out"][choosing.FILTERED] == int((new["creator"] != "anna").sum())


def test_a_killed_run_with_other_filters_is_not_gone_on_with(tmp_path):
    frame = images(4000, seed=5)
    frame.to_parquet(tmp_path / "a.parquet")
    command = [sys.executable, "-m", "mlygeo", "partition", "a.parquet", "--rows-per-part", "20", "-q", "--pano"]
    running = subprocess.Popen([*command, "-o", "set"], cwd=tmp_path)
    run = tmp_path / ".set.partition"
    end = time.monotonic() + 60
    while not list(run.glob("scatter-*.json")) and time.monotonic() < end:
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert list(run.glob("scatter-*.json"))

    mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", rows_per_part=20, pano=False)

    mlygeo.partition(tmp_path / "a.parquet", tmp_path / "other", rows_per_part=20, pano=False)
    assert digests(tmp_path / "set") == digests(tmp_path / "other")
    assert not run.exists()
    with pytest.raises(FileError, match="is a dataset of other inputs already"):
        mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", rows_per_part=20, pano=True)


def test_a_rehearsal_counts_what_a_run_writes(tmp_path):
    images(200, seed=7).to_parquet(tmp_path / "a.parquet")
    asked = {"region": (9.175, 48.76, 9.19, 48.78), "min_quality": 0.5}

    tried = mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", dry_run=True, **asked).attrs["summary"]

    cut = dict(tried["left_out"])
    whole = mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", **asked).attrs["summary"]
    assert tried["rows"] + sum(cut.values()) == 200
    assert cut.items() <= whole["left_out"].items()
    assert tried["filters"] == whole["filters"] == {"min_quality": 0.5}
    assert tried["region"] == whole["region"]


def test_a_filter_without_its_column_is_refused_before_anything_is_written(tmp_path):
    images(20).drop(columns="quality_score").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FrameError, match="no column 'quality_score', which the filters ask for"):
        mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", min_quality=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("option", [{"region": (9, 48, 10, 49)}, {"pano": True}])
def test_where_nothing_is_chosen_a_choice_is_refused(tmp_path, option):
    (tmp_path / "a.osm").write_text("<osm/>")
    name = next(iter(option))
    with pytest.raises(InputError, match=f"`{name}` has no effect with `verify`"):
        mlygeo.partition(tmp_path, verify=True, **option)
    with pytest.raises(InputError, match=f"`{name}` has no effect for the streets"):
        mlygeo.partition(tmp_path / "a.osm", tmp_path / "set", **option)


def test_on_the_command_line_the_region_of_a_project_does_not_choose(tmp_path):
    frame = images(40, seed=2)
    frame["id"] = range(40)
    frame.to_parquet(tmp_path / "a.parquet")
    box = {"west": 9.17, "south": 48.7, "east": 9.18, "north": 48.8}
    (tmp_path / "mlygeo.json").write_text(json.dumps({"bounding_box": box}))

    def run(*words):
        command = [sys.executable, "-m", "mlygeo", "partition", "a.parquet", "--json", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    assert run("-o", "whole")["rows"] == 40
    summary = run("-o", "some", "--bbox", "9.17,48.7,9.18,48.8", "--since", "2001-09")
    kept = in_one_frame(frame, (9.17, 48.7, 9.18, 48.8), {"since": "2001-09"})
    assert summary["rows"] == len(kept)
    assert summary["rows"] + sum(summary["left_out"].values()) == 40
