"""Tests of tiles that become a dataset: its rows are those of the images frame, however it came about."""

import hashlib
import uuid

import numpy as np
import pandas as pd
import pytest
import shapely
from helpers import vector_tiles
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mercantile import Tile

import mlygeo
from mlygeo.pipelines import tile_datasets
from mlygeo.providers.panoramax.tile_cache import tile_set as panoramax_tiles
from mlygeo.regions import Region
from mlygeo.store.datasets import layout

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
    # Where images that are left out stand for all others of a provider, the types are still those of its images.
    assume(pool > 5 or "panoramax" not in names or "panoramax" in set(frame["provider"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_datasets, "BYTES_AT_ONCE", at_once)
        parts = mlygeo.tiles(region, folder / "set", rows_per_part=most, **given)

    assert same_rows(folder / "set", frame)
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
