"""Tests of tiles that become a dataset: its rows are those of the images frame, however it came about."""

import hashlib
import json
import random
import subprocess
import sys
import time
import uuid

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers import vector_tiles
from helpers.command_line import run
from helpers.processes import killed_at
from helpers.unix import needs_unix
from hypothesis import given, settings
from hypothesis import strategies as st
from mercantile import Tile

import mlygeo
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.net.http import Retry
from mlygeo.pipelines import tile_datasets
from mlygeo.providers.mapillary.service import Service
from mlygeo.providers.panoramax.tile_cache import tile_set as panoramax_tiles
from mlygeo.regions import Region
from mlygeo.spatial import cells
from mlygeo.standin import Faults, Imagery, serve
from mlygeo.store.datasets import layout
from mlygeo.store.datasets.index import read_index

X, Y = 8608, 5641
"""The first of the tiles of zoom 14 that the tests have, in Stuttgart."""


def box(columns, rows, *, x=X, y=Y, zoom=14):
    """The box around tiles, a little less."""
    west, east = ((each / 2**zoom) * 360 - 180 for each in (x, x + columns))
    north, south = (np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * each / 2**zoom)))) for each in (y, y + rows))
    return west + 1e-9, float(south) + 1e-9, east - 1e-9, float(north) - 1e-9


def mapillary_row(rng, pool):
    row = {"id": int(rng.integers(1, pool)) + 2**40, "at": tuple(rng.integers(0, 4157, 2).tolist())}
    row |= {"captured_at": int(rng.integers(1_600_000_000, 1_700_000_000)) * 1000, "is_pano": bool(rng.random() < 0.4)}
    if rng.random() < 0.8:
        row |= {"compass_angle": float(rng.integers(0, 359)), "sequence_id": f"s{rng.integers(0, 9)}"}
    if rng.random() < 0.5:
        row |= {"creator_id": int(rng.integers(1, 4)), "quality_score": float(rng.random())}
    if rng.random() < 0.05:
        del row["id"]
    return row


def panoramax_row(rng, pool):
    row = {"id": str(uuid.UUID(int=int(rng.integers(1, pool)))), "at": tuple(rng.integers(0, 4157, 2).tolist())}
    row |= {
        "ts": f"2024-05-{rng.integers(10, 28)}T10:00:00Z",
        "type": "flat" if rng.random() < 0.5 else "equirectangular",
    }
    if rng.random() < 0.5:
        row |= {"heading": float(rng.integers(0, 359)), "account_id": str(uuid.UUID(int=int(rng.integers(1, 4))))}
    return row


def filled(cache, rng, *, columns, rows, pool, most=12, provider="mapillary"):
    """Write tiles whose images stand in several of them, with several values; some tiles have none."""
    cache.mkdir(exist_ok=True)
    factor = 1 if provider == "mapillary" else 2
    for x in range(X * factor, (X + columns) * factor):
        for y in range(Y * factor, (Y + rows) * factor):
            some = range(int(rng.integers(0, most)))
            if provider == "mapillary":
                name, layers = f"mly1_public_{x}_{y}_14", {"image": [mapillary_row(rng, pool) for _ in some]}
            else:
                endpoints = mlygeo.providers.provider("panoramax").service().endpoints
                name = panoramax_tiles(endpoints).name(Tile(x, y, 15))
                layers = {"pictures": [panoramax_row(rng, pool) for _ in some]}
            content = vector_tiles.tile(layers) if some else b""
            (cache / f"{name}.mvt").write_bytes(content)


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def in_order(frame):
    """The rows of a frame in the order of their providers and ids."""
    found = frame.assign(**{"/": frame["id"].astype("str").str.zfill(36)})
    by = ["provider", "/"] if "provider" in found.columns else ["/"]
    return found.sort_values(by).drop(columns="/").reset_index(drop=True)


def same_rows(dataset, frame):
    """Whether a dataset has the rows of an images frame, to the bit."""
    return same_rows_of(mlygeo.read_frame(dataset), frame)


def same_rows_of(found, wanted):
    found, wanted = in_order(found), in_order(wanted)
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    assert (found.geometry.to_wkb() == wanted.geometry.to_wkb()).all()
    return True


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "pano": st.booleans(),
        "since": st.sampled_from(["2021-06-01", "2023-01-01", "2030-01-01"]),
        "creator": st.sampled_from([1, [1, 2]]),
    },
)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**16),
    columns=st.integers(1, 4),
    rows=st.integers(1, 3),
    pool=st.sampled_from([5, 60, 10**6]),
    at_once=st.integers(1, 3000),
    most=st.integers(1, 50),
    options=OPTIONS,
    cut=st.booleans(),
    provider=st.sampled_from(["mapillary", "panoramax", ["mapillary", "panoramax"], ["panoramax", "mapillary"]]),
)
def test_the_rows_are_those_of_the_images_frame(
    tmp_path_factory, seed, columns, rows, pool, at_once, most, options, cut, provider
):
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(seed)
    names = [provider] if isinstance(provider, str) else provider
    for name in names:
        filled(folder / "cache", rng, columns=columns, rows=rows, pool=pool, provider=name)
    if "panoramax" in names:
        options.pop("creator", None)
    region = box(columns, rows)
    if cut:
        middle = shapely.Point((region[0] + region[2]) / 2, (region[1] + region[3]) / 2)
        region = middle.buffer(0.012).intersection(shapely.box(*region))
    given = {"tile_cache": folder / "cache", "provider": provider, **options}
    frame = mlygeo.tiles(region, **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_datasets, "BYTES_AT_ONCE", at_once)
        parts = mlygeo.tiles(region, folder / "set", rows_per_part=most, **given)

    assert same_rows(folder / "set", frame)
    del frame.attrs["record"]  # which `partition` keeps
    mlygeo.write_frame(frame, folder / "frame.parquet")
    mlygeo.partition(folder / "frame.parquet", folder / "once", rows_per_part=most)
    assert digests(folder / "set") == digests(folder / "once")
    told, of_frame = parts.attrs["summary"], frame.attrs["summary"]
    for name in of_frame:
        assert told[name] == of_frame[name], name
    assert (told["rows"], told["parts"]) == (len(frame), len(parts))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["cache", "frame.parquet", *(f"{name}{end}" for name in ("set", "once") for end in ("", layout.INDEX_ENDING))]
    )


@pytest.mark.parametrize("at_once", [1, 10**6])
@pytest.mark.parametrize("ids_at_once", [1, 10**6])
def test_a_provider_whose_images_other_tiles_contradict_is_not_credited(tmp_path, monkeypatch, at_once, ids_at_once):
    """Two images of Panoramax are flat in one tile and panoramas in a later one; what the first says counts."""
    cache = tmp_path / "cache"
    for provider in ("mapillary", "panoramax"):  # tiles without images
        filled(cache, np.random.default_rng(1), columns=1, rows=1, pool=9, most=1, provider=provider)
    one = {"id": 2**40, "at": (2000, 2000), "captured_at": 1_650_000_000_000, "is_pano": True}
    (cache / f"mly1_public_{X}_{Y}_14.mvt").write_bytes(vector_tiles.tile({"image": [one]}))
    for column, kind in enumerate(("flat", "equirectangular")):
        some = [
            {"id": str(uuid.UUID(int=number)), "at": (2000, 2000), "ts": "2024-05-10T10:00:00Z", "type": kind}
            for number in (1, 2)
        ]
        endpoints = mlygeo.providers.provider("panoramax").service().endpoints
        name = panoramax_tiles(endpoints).name(Tile(2 * X + column, 2 * Y, 15))
        (cache / f"{name}.mvt").write_bytes(vector_tiles.tile({"pictures": some}))
    given = {"tile_cache": cache, "provider": ["mapillary", "panoramax"]}
    monkeypatch.setattr(tile_datasets, "BYTES_AT_ONCE", at_once)
    monkeypatch.setattr(tile_datasets, "IDS_AT_ONCE", ids_at_once)
    for number, (pano, rows) in enumerate([(True, 1), (False, 2), (None, 3)]):
        frame = mlygeo.tiles(box(1, 1), pano=pano, **given)
        parts = mlygeo.tiles(box(1, 1), tmp_path / f"set{number}", pano=pano, **given)
        assert len(frame) == rows
        assert same_rows(tmp_path / f"set{number}", frame)
        for name, told in frame.attrs["summary"].items():
            assert parts.attrs["summary"][name] == told, name
        assert any("Panoramax" in line for line in frame.attrs["attribution"]) == (pano is not True)
        assert mlygeo.read_frame(tmp_path / f"set{number}").attrs["attribution"] == frame.attrs["attribution"]


def written_in(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**16),
    pool=st.sampled_from([40, 10**6]),
    at_once=st.integers(1, 3000),
    most=st.integers(1, 50),
    first=OPTIONS,
    then=OPTIONS,
    moved=st.sampled_from([0, 1, 2, 9]),
)
def test_adding_replaces_the_images_of_the_region(tmp_path_factory, seed, pool, at_once, most, first, then, moved):
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(seed)
    cache = folder / "cache"
    filled(cache, rng, columns=3, rows=2, pool=pool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_datasets, "BYTES_AT_ONCE", at_once)
        mlygeo.tiles(box(2, 2), folder / "set", tile_cache=cache, rows_per_part=most, **first)
        there = mlygeo.read_frame(folder / "set")
        anew = rng.choice(sorted(cache.iterdir()), 3, replace=False)
        kept = {path: path.read_bytes() for path in sorted(cache.iterdir()) if path not in anew}
        filled(cache, rng, columns=3, rows=2, pool=pool)
        for path, content in kept.items():
            path.write_bytes(content)
        region = box(moved or 1, 2, x=X + (1 if moved else 0)) if moved != 9 else box(2, 1, x=X + 40)
        if moved == 9:
            filled(cache, rng, columns=42, rows=1, pool=pool)
        frame = mlygeo.tiles(region, tile_cache=cache, **then)
        parts = mlygeo.tiles(region, folder / "set", tile_cache=cache, add=True, **then)
        before = written_in(folder / "set")
        again = mlygeo.tiles(region, folder / "set", tile_cache=cache, add=True, **then)
        assert written_in(folder / "set") == before

    inside = there.index.isin(there.index[Region.from_bbox(*region).contains(there.geometry.x, there.geometry.y)])
    asked = there.index.isin(mlygeo.filter_images(there.reset_index(names="/"), **then)["/"])
    comes = there["id"].isin(frame["id"])
    stay = there[~comes & ~(inside & asked)]
    expected = pd.concat([frame, stay.reindex(columns=frame.columns)]) if len(stay) else frame
    mlygeo.write_frame(expected.reset_index(drop=True), folder / "frame.parquet")
    wanted = mlygeo.read_frame(folder / "frame.parquet")
    found = mlygeo.read_frame(folder / "set")
    shared = [name for name in found.columns if name in wanted.columns]
    assert same_rows_of(found[shared], wanted[shared])
    told = parts.attrs["summary"]["left_out"]
    assert told.get("that are gone from what was added", 0) == int((~comes & inside & asked).sum())
    assert again.attrs["summary"]["left_out"] == told


# Kills, and what a service does


def spread_images(rows, *, columns=6, lines=5, seed=0):
    """Images in a block of tiles, those of the border in two of them."""
    rng = np.random.default_rng(seed)
    west, south, east, north = box(columns, lines)
    frame = gpd.GeoDataFrame(
        {
            "id": rng.permutation(rows) + 2**50,
            "sequence_id": [f"s{row // 50}" for row in range(rows)],
            "captured_at": pd.to_datetime(rng.integers(1, 4, rows) * 10**11, unit="ms", utc=True).as_unit("ms"),
            "compass_angle": rng.integers(0, 360, rows).astype(float),
            "is_pano": rng.random(rows) < 0.3,
            "creator_id": rng.integers(1, 9, rows),
        },
        geometry=gpd.points_from_xy(rng.uniform(west, east, rows), rng.uniform(south, north, rows)),
        crs=4326,
    )
    return mlygeo.frames.conform(frame, mlygeo.frames.IMAGES)


PASSING = Faults(server_error=0.1, drop=0.1, truncate=0.1, html=0.05, latency=0.01, seed=3)


def command_of(folder, dataset, *more, columns=6, lines=5):
    west, south, east, north = box(columns, lines)
    return [
        "tiles", f"--bbox={west},{south},{east},{north}", "--tile-cache", folder / "cache", "--rows-per-part", "300",
        "--quiet", "-o", f"{folder / dataset}/", *more,
    ]  # fmt: skip


def asked_of(server):
    """The tiles that a server was asked for."""
    return {"mly1_public_{2}_{3}_{1}.mvt".format(*request.path.split("/")[-4:]) for request in server.requests}


@needs_unix("signals of Unix")
def test_a_killed_run_is_gone_on_with_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "MLY|1|x")
    chance = random.Random(1)
    with serve(Imagery(spread_images(3000), buffer=200), faults=PASSING) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        (tmp_path / "whole").mkdir()
        mlygeo.tiles(box(6, 5), tmp_path / "whole" / "set", tile_cache=tmp_path / "whole" / "cache", rows_per_part=300)
        command = [sys.executable, "-m", "mlygeo", *map(str, command_of(tmp_path, "set"))]
        start = time.monotonic()
        for kill in range(6):
            server.forget()
            had = {path.name for path in (tmp_path / "cache").glob("*.mvt")}
            if kill == 3:
                killed_at("os.rename", ".json", command_of(tmp_path, "set"), times=2)
            elif kill == 4:
                killed_at("os.rename", "part-0.parquet", command_of(tmp_path, "set"), times=3)
            elif kill == 5:
                killed_at("os.rename", "set.partition/index.parquet", command_of(tmp_path, "set"))
            else:
                running = subprocess.Popen(command)
                until = len(had) + chance.randint(1, 12)
                while len(list((tmp_path / "cache").glob("*.mvt"))) < min(until, 30) and time.monotonic() < start + 100:
                    time.sleep(0.005)
                running.kill()
                running.wait()
            assert not asked_of(server) & had
        server.forget()
        had = {path.name for path in (tmp_path / "cache").glob("*.mvt")}
        subprocess.run(command, check=True, timeout=120)
        assert not asked_of(server) & had
    assert digests(tmp_path / "set") == digests(tmp_path / "whole" / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "set", "set.partitions.parquet", "whole"]
    one, other = (read_index(layout.index_of(folder / "set")) for folder in (tmp_path, tmp_path / "whole"))
    # One was asked for on the command line, the other in Python, which name the box otherwise.
    assert [{**each.more, "records": len(each.records)} for each in (one, other)] == [{**one.more, "records": 1}] * 2
    assert one.parts == other.parts


def test_tiles_that_fail_keep_their_images_and_what_is_gone_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "MLY|1|x")
    first = spread_images(2000)
    given = {"tile_cache": tmp_path / "cache", "rows_per_part": 100}
    with serve(first) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        mlygeo.tiles(box(6, 5), tmp_path / "set", **given)
    before, parts_before = mlygeo.read_frame(tmp_path / "set"), written_in(tmp_path / "set")

    rest = first.drop(index=first.index[first.index % 10 == 0])
    with serve(rest, faults=Faults(not_found=0.3, seed=5)) as server:
        service = Service(endpoints=server.endpoints, token="MLY|1|x", retry=Retry(attempts=1))
        parts = mlygeo.tiles(box(6, 5), tmp_path / "set", tile_cache=tmp_path / "later", add=True, service=service)
    told = parts.attrs["summary"]
    failed = [tuple(map(int, name.split("_")[2:4])) for name in told["tiles"]["failed_tiles"]]
    assert 0 < len(failed) < 30
    x, y = cells.tiles(before.geometry.x, before.geometry.y, 14)
    lies_there = pd.Series(zip(x.tolist(), y.tolist(), strict=True)).isin(failed).to_numpy()
    assert same_rows_of(mlygeo.read_frame(tmp_path / "set"), before[before["id"].isin(rest["id"]) | lies_there])
    gone = int((~before["id"].isin(rest["id"]) & ~lies_there).sum())
    assert told["left_out"] == {"that are gone from what was added": gone}
    assert (tmp_path / "failed_tiles.txt").read_text().split() == told["tiles"]["failed_tiles"]
    changed = {path for path, at in written_in(tmp_path / "set").items() if parts_before.get(path) != at}
    assert len(changed) == told["written"]

    with serve(rest) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        last = mlygeo.tiles(box(6, 5), tmp_path / "set", tile_cache=tmp_path / "later")
        assert asked_of(server) == {f"{name}.mvt" for name in told["tiles"]["failed_tiles"]}
    assert same_rows_of(mlygeo.read_frame(tmp_path / "set"), before[before["id"].isin(rest["id"])])
    assert last.attrs["summary"]["images"] == len(rest)


def test_a_dataset_of_one_tile_and_one_without_images(tmp_path):
    filled(tmp_path / "cache", np.random.default_rng(0), columns=2, rows=1, pool=100)
    for path in (tmp_path / "cache").glob(f"*_{X + 1}_*"):
        path.write_bytes(b"")
    for number in (0, 1):
        region = box(1, 1, x=X + number)
        parts = mlygeo.tiles(region, tmp_path / f"set{number}", tile_cache=tmp_path / "cache")
        frame = mlygeo.tiles(region, tile_cache=tmp_path / "cache")
        assert len(parts) == 1
        assert same_rows(tmp_path / f"set{number}", frame)
    # What has no rows is added to, and loses all.
    more = mlygeo.tiles(box(2, 1), tmp_path / "set1", tile_cache=tmp_path / "cache", add=True)
    assert same_rows(tmp_path / "set1", mlygeo.tiles(box(2, 1), tile_cache=tmp_path / "cache"))
    assert more.attrs["summary"]["rows"] > 0
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(b"")
    less = mlygeo.tiles(box(2, 1), tmp_path / "set1", tile_cache=tmp_path / "cache")
    assert less.attrs["summary"]["rows"] == 0
    assert less.attrs["summary"]["left_out"]["that are gone from what was added"] == more.attrs["summary"]["rows"]
    assert len(mlygeo.read_frame(tmp_path / "set1")) == 0


def test_on_the_command_line_a_slash_or_a_dataset_that_is_there_says_dataset(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    filled(tmp_path / "cache", np.random.default_rng(0), columns=2, rows=1, pool=10**6)
    west, south, east, north = box(2, 1)
    words = ["tiles", f"--bbox={west},{south},{east},{north}", "--tile-cache", "cache", "--no-config", "-o"]
    status, out, said = run(capsys, *words, "set/", "--json")
    assert (status, json.loads(out)["parts"]) == (0, 1), said
    assert "in 1 part; the box is" in said
    assert "\nset  set.partitions.parquet" in said
    status, out, said = run(capsys, *words, "set", "--json")
    assert (status, json.loads(out)["written"], "0 of them written anew" in said) == (0, 0, True)
    assert run(capsys, *words, "one.parquet")[0] == 0
    assert same_rows("set", mlygeo.read_frame("one.parquet"))
    status, _, said = run(capsys, *words, "other.parquet", "--add")
    assert (status, "--add has no effect" in said) == (2, True)
    status, _, said = run(capsys, *words, "set/", "--pano", "--dry-run")
    assert (status, "is a dataset of other inputs already" in said) == (1, True)
    status, _, said = run(capsys, *words, "new/", "--dry-run")
    assert (status, "the dataset becomes about" in said, (tmp_path / "new").exists()) == (0, True, False)
    status, _, said = run(capsys, *words, "new/", "--add")
    assert (status, "is not there yet" in said) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "one.parquet", "set", "set.partitions.parquet"]
    mlygeo.partition(mlygeo.read_frame("one.parquet").drop(columns="id").assign(point_id=1), "points")
    status, _, said = run(capsys, *words, "points", "--add")
    assert (status, "points is not a dataset of images" in said) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows_per_part": 0}, "at least one row"),
        ({"tiles_only": True}, "`output` has no effect with `tiles_only`"),
        ({"output": "set.parquet"}, "the name of a file"),
    ],
)
def test_what_makes_no_dataset_is_refused(tmp_path, options, words):
    with pytest.raises((InputError, FormatError), match=words):
        mlygeo.tiles(box(1, 1), **{"output": tmp_path / "set", "tile_cache": tmp_path, **options})
    assert not list(tmp_path.iterdir())


def test_images_that_come_beside_those_of_other_providers_keep_their_licence(tmp_path):
    both = ["mapillary", "panoramax"]
    for provider in both:
        filled(tmp_path / "cache", np.random.default_rng(0), columns=1, rows=1, pool=10**6, provider=provider)
    mlygeo.tiles(box(1, 1), tmp_path / "set", tile_cache=tmp_path / "cache", provider=both)
    before = mlygeo.read_frame(tmp_path / "set")
    again = mlygeo.tiles(box(1, 1), tmp_path / "set", tile_cache=tmp_path / "cache", add=True)
    assert again.attrs["summary"]["written"] == 0
    assert_geodataframe_equal(mlygeo.read_frame(tmp_path / "set"), before)


def test_other_positions_are_not_mixed_with_those_that_are_there(tmp_path):
    filled(tmp_path / "cache", np.random.default_rng(0), columns=1, rows=1, pool=100)
    mlygeo.tiles(box(1, 1), tmp_path / "set", tile_cache=tmp_path / "cache")
    name = next((tmp_path / "cache").iterdir())
    name.rename(name.with_name(name.name.replace("mly1_", "mly1_computed_")))
    before = digests(tmp_path)
    with pytest.raises(InputError, match="has original positions, and these tiles have computed ones"):
        mlygeo.tiles(box(1, 1), tmp_path / "set", tile_cache=tmp_path / "cache", computed=True, add=True)
    assert digests(tmp_path) == before


def test_a_dataset_of_something_else_is_refused_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "MLY|1|x")
    with serve(spread_images(50)) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        mlygeo.partition(spread_images(10), tmp_path / "set")
        before = digests(tmp_path)
        with pytest.raises(FileError, match="a dataset of other inputs"):
            mlygeo.tiles(box(6, 5), tmp_path / "set", tile_cache=tmp_path / "cache")
        assert server.count() == 0
    assert digests(tmp_path) == before
