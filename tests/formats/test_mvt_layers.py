"""Vector tiles into tables and frames: real tiles, other decoders, and whatever can be wrong with bytes."""

from __future__ import annotations

import gc
import gzip
import json
import logging
import math
import os
import struct
import subprocess
import sys
import zlib

import mapbox_vector_tile
import mercantile
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import FormatError, InputError
from mlygeo.formats import mvt_layers, mvt_tiles
from mlygeo.providers.mapillary import layers

TILES = DATA / "tiles"
DIETIKON = (TILES / "dietikon" / "mly1_public_8574_5735_14.mvt").read_bytes()
STORED = STUTTGART / "stuttgart_tile_cache" / "mly1_public_8609_5642_14"
AT = (8574, 5735, 14)
COLUMNS = [
    "id", "sequence_id", "captured_at", "compass_angle", "is_pano", "creator_id", "organization_id", "lon", "lat",
]  # fmt: skip

KERNELS = [mvt_layers]
try:
    from mlygeo.formats import mvt_numba
except ImportError:
    pass
else:
    KERNELS.append(mvt_numba)

each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__.rpartition("_")[2])


# A second writer of vector tiles, which can also write what no library would.


def varint(number: int) -> bytes:
    """A number in seven-bit groups."""
    number &= (1 << 64) - 1
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def zigzag(number: int) -> int:
    return number << 1 ^ number >> 63


def field(number: int, content: int | bytes) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(kind: str, content: object) -> bytes:
    """The message of a value, without its own tag."""
    match kind:
        case "string":
            return field(1, content if isinstance(content, bytes) else content.encode())
        case "float":
            return varint(2 << 3 | 5) + struct.pack("<f", content)
        case "double":
            return varint(3 << 3 | 1) + struct.pack("<d", content)
        case "int":
            return field(4, content)
        case "uint":
            return field(5, content)
        case "sint":
            return field(6, zigzag(content))
        case "bool":
            return field(7, int(content))
    raise AssertionError(kind)


def point(*places: tuple[int, int]) -> bytes:
    last, numbers = (0, 0), [len(places) << 3 | 1]
    for place in places:
        numbers += [zigzag(place[0] - last[0]), zigzag(place[1] - last[1])]
        last = place
    return b"".join(map(varint, numbers))


def feature(tags: list[int], geometry: bytes = point((1, 2)), kind: int = 1) -> bytes:
    return field(2, b"".join(map(varint, tags))) + field(3, kind) + field(4, geometry)


def layer(keys, values, features, *, name="image", extent=4096, order=(0, 1, 2, 3, 4, 5)) -> bytes:
    """A layer as a field of the tile; `order` is that of its name, features, keys, values, extent, version."""
    parts = [
        field(1, name.encode()),
        b"".join(field(2, each) for each in features),
        b"".join(field(3, key.encode()) for key in keys),
        b"".join(field(4, each) for each in values),
        field(5, extent),
        field(15, 2),
    ]
    return field(3, b"".join(parts[place] for place in order))


def image(**properties: tuple[str, object]) -> bytes:
    """A tile of one image, each property with its kind."""
    tags = [number for place in range(len(properties)) for number in (place, place)]
    return layer(list(properties), [value(*each) for each in properties.values()], [feature(tags)])


def outcome(data: bytes, kernel, at=AT) -> pa.Table | None:
    """The table, or None for a tile that is refused; anything else is an error of ours."""
    try:
        return layers._decode(data, *at, kernel=kernel)
    except FormatError:
        return None


def same(*tables: pa.Table | None) -> bool:
    """Whether tables agree to the last bit, NaN included."""
    if any(table is None for table in tables):
        return all(table is None for table in tables)
    streams = []
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        streams.append(sink.getvalue().to_pybytes())
    return len(set(streams)) == 1


# Real tiles


@each_kernel
def test_every_image_of_a_real_tile(kernel):
    table = layers._decode(DIETIKON, *AT, kernel=kernel)
    expected = pd.read_parquet(TILES / "dietikon" / "mly1_public_8574_5735_14.image.expected.parquet")
    assert table.column_names == COLUMNS
    for name in ("id", "sequence_id", "compass_angle", "is_pano"):
        assert table[name].to_pylist() == expected[name].tolist()
    assert table["captured_at"].cast(pa.int64()).to_pylist() == expected["captured_at"].tolist()
    assert table["creator_id"].null_count == table["organization_id"].null_count == len(expected)
    corner, next_one = mercantile.xy_bounds(*AT), mercantile.xy_bounds(AT[0] + 1, AT[1] + 1, 14)
    for px, py, lon, lat in zip(expected.px, expected.py, *map(table.__getitem__, ("lon", "lat")), strict=True):
        place = mercantile.lnglat(
            corner.left + (next_one.left - corner.left) * px / 4096,
            corner.top + (next_one.top - corner.top) * py / 4096,
        )
        assert abs(place.lng - lon.as_py()) < 1e-9
        assert abs(place.lat - lat.as_py()) < 1e-9


def test_a_frame_as_the_schema_has_it():
    images = layers.read_tile(DIETIKON, *AT)
    frames.check(images, frames.IMAGES)
    assert_geodataframe_equal(images, frames.from_arrow(layers.decode(DIETIKON, *AT), frames.IMAGES))
    assert list(images.columns) == [*COLUMNS[:-2], "geometry"]
    assert images.attrs == {"attribution": [frames.MAPILLARY], "images_without_id": 0}
    assert images["organization_id"].isna().all()
    west, south, east, north = images.total_bounds
    assert (west, south, east, north) == pytest.approx((8.3936, 47.3984, 8.4155, 47.4132), abs=1e-4)
    for name in images.columns:  # nothing in it is read-only
        images.loc[0, name] = images[name][1]
    images.loc[0, "organization_id"] = 2**60 + 1
    assert images["organization_id"][0] == 2**60 + 1


def test_the_collector_is_left_as_it_was():
    layers.read_tile(DIETIKON, *AT)
    assert gc.isenabled()
    gc.disable()
    try:
        layers.read_tile(DIETIKON, *AT)
        assert not gc.isenabled()
    finally:
        gc.enable()


@each_kernel
@pytest.mark.parametrize(
    ("name", "at", "count"), [("3251_6258", (3251, 6258), 7890), ("3252_6258", (3252, 6258), 4888)]
)
def test_images_without_id_are_counted_and_left_out(name, at, count, kernel, caplog):
    data = (TILES / "grand_junction" / f"mly1_public_{name}_14.mvt").read_bytes()
    with caplog.at_level(logging.WARNING, logger="mlygeo.providers.mapillary.layers"):
        table = layers._decode(data, *at, 14, kernel=kernel)
    assert table.num_rows == 0
    assert table.schema.metadata[b"images_without_id"] == str(count).encode()
    assert f"left out {count} without a usable id" in caplog.text


@each_kernel
@pytest.mark.parametrize("name", ["v3_mapillary_3248_6258_14", "mapillary_empty"])
def test_other_layers_hold_no_images(name, kernel):
    table = layers._decode((TILES / "odd" / f"{name}.mvt").read_bytes(), 3248, 6258, 14, kernel=kernel)
    assert same(table, layers.decode(b"", 3248, 6258))


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), layer([], [], [])], ids=["nothing", "gzip", "no features"])
def test_an_empty_tile_has_the_same_schema(data):
    table = layers.decode(data, *AT)
    assert table.num_rows == 0
    assert table.schema.equals(layers.decode(DIETIKON, *AT).schema, check_metadata=True)
    frames.check(layers.read_tile(data, *AT), frames.IMAGES)


def test_gzip_makes_no_difference():
    assert same(
        layers.decode(gzip.compress(DIETIKON), *AT),
        layers.decode(DIETIKON, *AT),
        layers.decode(bytearray(DIETIKON), *AT),
    )


@pytest.mark.parametrize("number", sorted(path.stem for path in (TILES / "mvt_fixtures").glob("*.mvt")))
def test_tiles_of_every_shape_and_fault(number):
    data = (TILES / "mvt_fixtures" / f"{number}.mvt").read_bytes()
    validity = json.loads((TILES / "mvt_fixtures" / "info.json").read_text())[number]["validity"]
    # The fixtures' layers are not the image layer; under its name they are decoded in full.
    for tile in (data, data.replace(b"\x0a\x05hello", b"\x0a\x05image")):
        results = [outcome(tile, kernel) for kernel in KERNELS]
        assert same(*results)
        if validity["v2"]:
            assert results[0] is not None


# Values


@each_kernel
@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        *[(kind, number, number) for kind in ("int", "uint", "sint") for number in (0, 1, 127, 128, 2**31, 2**53 + 1)],
        *[(kind, 2**63 - 1, 2**63 - 1) for kind in ("int", "uint", "sint")],
        ("int", -5, -5),
        ("sint", -(2**63), -(2**63)),
        ("uint", 2**63, None),
        ("double", 2.0**53 - 1, 2**53 - 1),
        ("double", 2.0**53, None),
        ("double", 1.5, None),
        ("double", math.nan, None),
        ("double", -math.inf, None),
        ("float", 2.0**24 - 1, 2**24 - 1),
        ("float", 2.0**24, None),
        ("string", "9007199254740993", 2**53 + 1),
        ("string", "9223372036854775808", None),
        ("string", "", None),
        ("string", "12a", None),
        ("string", "١٢", None),
        ("bool", True, None),
    ],
)
def test_ids_are_exact_or_unknown(kind, content, expected, kernel):
    table = layers._decode(image(id=("uint", 7), organization_id=(kind, content)), *AT, kernel=kernel)
    assert table["organization_id"].to_pylist() == [expected]
    table = layers._decode(image(id=(kind, content)), *AT, kernel=kernel)
    assert table["id"].to_pylist() == ([] if expected is None else [expected])
    assert table.schema.metadata[b"images_without_id"] == (b"1" if expected is None else b"0")


@each_kernel
@pytest.mark.parametrize(
    ("name", "kind", "content", "expected"),
    [
        ("captured_at", "uint", 1_557_535_457_401, 1_557_535_457_401),
        ("captured_at", "sint", -1, -1),
        ("captured_at", "double", 1_557_535_457_401.75, 1_557_535_457_401),
        ("captured_at", "string", "1557535457401", 1_557_535_457_401),
        ("captured_at", "uint", 2**62, None),
        ("captured_at", "string", "", None),
        ("compass_angle", "double", 29.87899474976217, 29.87899474976217),
        ("compass_angle", "float", 0.1, float(np.float32(0.1))),
        ("compass_angle", "int", 359, 359.0),
        ("compass_angle", "uint", 360, 0.0),
        ("compass_angle", "sint", -90, 270.0),
        ("compass_angle", "double", -1e-20, 0.0),
        ("compass_angle", "double", math.inf, None),
        ("compass_angle", "string", "", None),
        ("is_pano", "bool", True, True),
        ("is_pano", "bool", False, False),
        ("is_pano", "int", 1, True),
        ("is_pano", "uint", 0, False),
        ("is_pano", "string", "", None),
        ("is_pano", "string", "true", None),
        ("sequence_id", "string", "aE5o7bTMH0UtscOYxhVwID", "aE5o7bTMH0UtscOYxhVwID"),
        ("sequence_id", "string", "Zürich", "Zürich"),
        ("sequence_id", "string", "", None),
        ("sequence_id", "int", 5, None),
        ("creator_id", "string", "", None),
    ],
)
def test_properties_of_every_kind(name, kind, content, expected, kernel):
    table = layers._decode(image(id=("uint", 7), **{name: (kind, content)}), *AT, kernel=kernel)
    column = table[name].cast(pa.int64()) if name == "captured_at" else table[name]
    found = column.to_pylist()[0]
    assert (None if isinstance(found, float) and math.isnan(found) else found) == expected


@each_kernel
def test_the_quality_is_there_if_some_image_has_it(kernel):
    without = layers._decode(image(id=("uint", 7)), *AT, kernel=kernel)
    assert "quality_score" not in without.column_names
    scored = image(id=("uint", 8), quality_score=("float", 0.5), foot=("bool", True))
    table = layers._decode(image(id=("uint", 7)) + scored, *AT, kernel=kernel)
    assert table.column_names == [*COLUMNS[:-2], "quality_score", "lon", "lat"]
    np.testing.assert_array_equal(table["quality_score"].to_numpy(), [np.nan, 0.5])
    assert table["id"].to_pylist() == [7, 8]
    images = layers._read_tile(image(id=("uint", 7)) + scored, *AT, kernel=kernel)
    assert_geodataframe_equal(images, frames.from_arrow(table, frames.IMAGES))


@each_kernel
def test_what_is_no_point_is_left_out_and_counted(kernel):
    line = point((1, 1)) + varint(1 << 3 | 2) + varint(2) + varint(2)
    shapes = [
        feature([0, 0], point((5, 6), (7, 8))),  # two points: the first counts
        feature([0, 0], line, kind=2),
        feature([0, 0], kind=0),
        feature([0, 0], b""),
        feature([0, 0], varint(1 << 3 | 1) + varint(3)),  # half a position
        feature([0, 0], varint(1 << 3 | 2) + varint(3) + varint(3)),  # no "move to"
        field(2, b"\0\0") + field(4, point((1, 2))),  # no type
        b"",
    ]
    table = layers._decode(layer(["id"], [value("uint", 9)], shapes), 0, 0, 0, kernel=kernel)
    assert table.num_rows == 1
    assert table["lon"].to_pylist() == pytest.approx([5 / 4096 * 360 - 180])
    assert table.schema.metadata == {b"images_without_id": b"0", b"images_without_position": b"7"}


@each_kernel
def test_positions_use_the_extent_and_cross_the_antimeridian(kernel):
    places = [(0, 0), (512, 512), (-1, 5), (1025, 1023), (600, 1030)]
    tile = layer(["id"], [value("uint", 9)], [feature([0, 0], point(place)) for place in places], extent=1024)
    table = layers._decode(tile, 0, 5, 4, kernel=kernel)
    for (px, py), lon, lat in zip(places, table["lon"].to_pylist(), table["lat"].to_pylist(), strict=True):
        x, y = (0 + px / 1024) / 16, (5 + py / 1024) / 16
        wrapped = (x * 360) % 360 - 180
        assert lon == pytest.approx(wrapped, abs=1e-9)
        assert lat == pytest.approx(math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y)))), abs=1e-9)


@each_kernel
def test_lists_in_pieces_and_numbers_of_any_length(kernel):
    """What the format allows and libraries do not write: unpacked lists, pieces, padded numbers, unknown fields."""
    loose = (
        b"".join(field(2, number) for number in (0, 0, 1, 1)) + field(3, 1) + b"".join(field(4, n) for n in (9, 4, 6))
    )
    pieces = (
        field(2, b"\0")
        + field(2, b"\0\x01")
        + field(4, b"\x09\x04")
        + field(2, b"\x01")
        + field(4, b"\x06")
        + field(3, 1)
    )
    tags = b"\x80\x00" + b"\x80" * 9 + b"\x00" + b"\x81\x80\x80\x80\x80\x00" + b"\x01"
    padded = field(2, tags) + field(3, 1) + field(4, b"\x89\x00\x04\x06")
    twice = field(2, b"\0\x01\0\0\x01\x01") + field(3, 2) + field(3, 1) + field(4, b"\x09\x04\x06")
    others = (
        field(1, 2**63) + field(99, b"xyz") + varint(98 << 3 | 1) + bytes(8) + varint(97 << 3 | 5) + bytes(4) + twice
    )
    many = b"".join(field(99, 1) for _ in range(40)) + twice
    values = [value("uint", 2**60 + 1) + field(99, 5), field(12, b"?") + value("int", 3) + value("uint", 42)]
    features = [loose, pieces, padded, twice, others, many]
    table = layers._decode(layer(["id", "creator_id"], values, features), 0, 0, 0, kernel=kernel)
    assert table["id"].to_pylist() == [2**60 + 1] * 6
    assert table["creator_id"].to_pylist() == [42] * 6
    assert table["lon"].to_pylist() == pytest.approx([2 / 4096 * 360 - 180] * 6)


def test_there_is_no_tile_outside_the_world():
    for at in ((-1, 0, 14), (0, 2**14, 14), (1, 0, 0), (0, 0, -1)):
        with pytest.raises(InputError, match="there is no tile"):
            layers.decode(b"", *at)


# Against another decoder

WHOLE = st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1), st.integers(2**53, 2**56))
ID = st.one_of(
    WHOLE.map(lambda number: ("int", number)),
    WHOLE.map(lambda number: ("sint", number)),
    st.integers(0, 2**64 - 1).map(lambda number: ("uint", number)),
    st.integers(2**50, 2**62).map(lambda number: ("uint", number)),
    st.integers(-(2**53) + 1, 2**53 - 1).map(lambda number: ("double", float(number))),
    st.floats().map(lambda number: ("double", number)),
    st.integers(0, 2**24 - 1).map(lambda number: ("float", float(number))),
    st.integers(-(2**64), 2**64).map(lambda number: ("string", str(number))),
    st.text(max_size=8).map(lambda text: ("string", text)),
    st.booleans().map(lambda truth: ("bool", truth)),
)
IMAGE = st.fixed_dictionaries(
    {},
    optional={
        "id": ID,
        "sequence_id": st.text("abcdefg-_", max_size=22).map(lambda text: ("string", text)),
        "captured_at": st.integers(0, 2**42).map(lambda number: ("uint", number)),
        "compass_angle": st.floats(0, 359.9).map(lambda angle: ("double", angle)),
        "is_pano": st.booleans().map(lambda truth: ("bool", truth)),
        "creator_id": ID,
        "organization_id": ID,
        "quality_score": st.floats(0, 1).map(lambda score: ("double", score)),
        "foot": st.booleans().map(lambda truth: ("bool", truth)),
    },
)


def exact_id(number: object) -> int | None:
    if isinstance(number, bool):
        return None
    if isinstance(number, str):
        digits = number.removeprefix("-")
        number = int(number) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    if isinstance(number, float):
        number = int(number) if math.isfinite(number) and number.is_integer() and abs(number) < 2**53 else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


@st.composite
def tiles(draw):
    images = draw(st.lists(st.tuples(IMAGE, st.integers(-5000, 9000), st.integers(-5000, 9000)), max_size=12))
    keys = draw(st.permutations(["id", "sequence_id", "captured_at", "compass_angle", "is_pano", "creator_id",
                                 "organization_id", "quality_score", "foot"]))  # fmt: skip
    values, features = [], []
    share = draw(st.booleans())
    for properties, px, py in images:
        tags = []
        for name in draw(st.permutations(sorted(properties))):
            message = value(*properties[name])
            if message not in values or not share:
                values.append(message)
            tags += [keys.index(name), len(values) - 1 if not share else values.index(message)]
        features.append(feature(tags, point((px, py))))
    extent = draw(st.sampled_from([256, 512, 4096, 8192]))
    order = draw(st.permutations(range(6)))
    return draw(st.booleans()), layer(keys, values, features, extent=extent, order=order), extent


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tiles())
def test_the_same_images_as_mapbox_vector_tile(tile):
    before, data, extent = tile
    other = layer(["id"], [value("string", "x")], [feature([0, 0])], name="sequence")
    data = other + data if before else data + other
    tables = [layers._decode(data, 5, 9, 4, kernel=kernel) for kernel in KERNELS]
    assert same(*tables)
    for kernel in KERNELS:
        images = layers._read_tile(data, 5, 9, 4, kernel=kernel)
        assert_geodataframe_equal(images, frames.from_arrow(tables[0], frames.IMAGES))
    found = tables[0].to_pylist()
    decoded = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})["image"]["features"]
    expected = [each for each in decoded if exact_id(each["properties"].get("id")) is not None]
    assert int(tables[0].schema.metadata[b"images_without_id"]) == len(decoded) - len(expected)
    assert len(found) == len(expected)
    for row, each in zip(found, expected, strict=True):
        properties = each["properties"]
        for name in ("id", "creator_id", "organization_id"):
            assert row[name] == exact_id(properties.get(name))
            assert type(row[name]) is (int if row[name] is not None else type(None))
        assert row["sequence_id"] == (properties.get("sequence_id") or None)
        assert row["is_pano"] is properties.get("is_pano")
        moment = row["captured_at"]
        assert (None if moment is None else round(moment.timestamp() * 1000)) == properties.get("captured_at")
        np.testing.assert_equal(row["compass_angle"], properties.get("compass_angle", math.nan))
        np.testing.assert_equal(row.get("quality_score", math.nan), properties.get("quality_score", math.nan))
        px, py = each["geometry"]["coordinates"]
        lon = (5 + px / extent) / 16 * 360 - 180
        lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (9 + py / extent) / 16))))
        assert row["lon"] == pytest.approx((lon + 180) % 360 - 180, abs=1e-9)
        assert row["lat"] == pytest.approx(lat, abs=1e-9)


def test_a_layer_longer_than_the_blocks_of_the_kernels():
    """Runs of messages, windows and blocks: 20,000 features of uneven length, as another encoder writes them."""
    rng = np.random.default_rng(3)
    count = 20_000
    features = [
        {
            "geometry": f"POINT({px} {py})",
            "properties": {"id": int(number), "sequence_id": "s" * int(1 + number % 60), "n": 0x12121212 * (row % 9)}
            | ({"organization_id": int(number) // 7} if row % 3 else {}),
        }
        for row, (px, py, number) in enumerate(
            zip(*rng.integers(0, 4096, (2, count)), rng.integers(0, 2**62, count), strict=True)
        )
    ]
    data = mapbox_vector_tile.encode(
        [{"name": "image", "features": features}], default_options={"y_coord_down": True, "extents": 4096}
    )
    tables = [layers._decode(data, *AT, kernel=kernel) for kernel in KERNELS]
    assert same(*tables)
    for name in ("id", "sequence_id", "organization_id"):
        assert tables[0][name].to_pylist() == [each["properties"].get(name) for each in features]


@each_kernel
@pytest.mark.parametrize("count", [*range(60, 68), 127, 128, 129, 193])
def test_the_keys_may_begin_wherever_a_run_of_values_ends(count, kernel):
    values = [value("uint", number) for number in range(count)]
    data = layer(["id", "creator_id"], values, [feature([0, count - 1, 1, 7])], order=(0, 1, 3, 2, 4, 5))
    table = layers._decode(data, 0, 0, 0, kernel=kernel)
    assert table["id"].to_pylist() == [count - 1]
    assert table["creator_id"].to_pylist() == [7]


# Bytes that are no tile


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE html><html><head><title>Login</title>", "a web page or XML"),
        (b'\n {"type": "FeatureCollection"}', "JSON, not a vector tile"),
        (b"\xff" * 40, "longer than 64 bits"),
        (b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "of which 0 are there"),
        (b"\x1a\x05abc", "has 5 bytes, of which 3 are there"),
        (b"\x1b", "unknown wire type 3"),
        (b"\x00\x00", "starts no field"),
        (b"\x1f\x8b" + b"nonsense" * 9, "gzip is broken"),
        (b"\x1f\x8b", "gzip is cut off"),
        (gzip.compress(DIETIKON)[:-30], "gzip is cut off"),
        (gzip.compress(DIETIKON) + b"more", "bytes follow"),
        (layer(["id"], [value("uint", 1)], [feature([0])]), "pairs"),
        (layer(["id"], [value("uint", 1)], [feature([0, 1])]), "not there"),
        (layer(["id"], [value("uint", 1)], [feature([1, 0])]), "not there"),
        (layer(["id"], [], [feature([0, 0])]), "not there"),
        (layer(["id"], [value("uint", 1)], [feature([0, 0] * 300)]), "more than 256 properties"),
        (layer(["id"], [value("uint", 1)], [feature([0, 0])], extent=0), "an extent of 0"),
        (layer(["id"], [value("uint", 1)], [feature([0, 0]) + b"\x22\x05\x09"]), "cut off"),
        (layer(["id"], [value("uint", 1)], [field(2, b"\0\x80") + field(3, 1)]), "number|cut off"),
        (layer(["id"], [value("uint", 1)], [field(4, b"\x09\x02\x80") + field(3, 1)]), "number|cut off"),
        (layer(["id"], [value("uint", 1)], [feature([0, 0], b"\x09" + varint(2**40) * 2)]), "32 bits"),
        (layer(["id"], [b"\x28\x80"], []), "cut off"),
        (layer(["id"], [value("string", b"\xff\xfe")], [feature([0, 0])]), "not UTF-8"),
        (image(id=("uint", 1), sequence_id=("string", "s" * 65)), "a text of 65 bytes"),
        (layer([], [], [bytes(2 << 20)]), "a feature of 2097152 bytes"),
        (layer(["k"] * 70_000, [], []), "65536 keys"),
    ],
)
@each_kernel
def test_bytes_that_are_no_tile(data, message, kernel):
    with pytest.raises(FormatError, match=message) as caught:
        layers._decode(data, *AT, kernel=kernel)
    assert "tile 14/8574/5735 is " in str(caught.value)
    assert caught.value.hint


def test_a_decompression_bomb_is_not_inflated():
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(300)) + packer.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(FormatError, match="more than 64 MiB"):
        layers.decode(bomb, *AT)


@each_kernel
def test_millions_of_empty_messages_are_refused(kernel):
    for tag in (b"\x12\x00", b"\x22\x00"):
        with pytest.raises(FormatError, match="more than 1000000 features or values"):
            layers._decode(field(3, tag * 1_000_001), *AT, kernel=kernel)


@each_kernel
def test_a_tile_cut_off_anywhere(kernel):
    features = [{"geometry": "POINT(5 6)", "properties": {"id": 2**60 + row, "sequence_id": "s"}} for row in range(4)]
    small = mapbox_vector_tile.encode([{"name": "image", "features": features}])
    assert layers._decode(small, *AT, kernel=kernel).num_rows == 4
    for length in range(1, len(small)):
        with pytest.raises(FormatError):
            layers._decode(small[:length], *AT, kernel=kernel)


EXCERPT = layer(
    ["id", "sequence_id", "captured_at", "compass_angle", "is_pano"],
    [value("uint", 2**55 + 1), value("string", "Jb2UrJvcrPiROdFuXbhl2A"), value("uint", 1_470_050_351_299),
     value("double", 219.9), value("bool", False), value("sint", -3), value("float", 2.5), value("string", "12")],
    [feature([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], point((9 * row, 4000 - row))) for row in range(9)]
    + [field(1, 300) + feature([0, 7, 1, 1, 2, 5, 3, 6])],
)  # fmt: skip


@settings(max_examples=400)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(EXCERPT) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.one_of(st.none(), st.integers(0, len(EXCERPT))),
)
def test_changed_bytes_give_a_table_or_a_format_error(changes, cut):
    data = bytearray(EXCERPT)
    for place, byte in changes:
        data[place] = byte
    assert same(*(outcome(bytes(data[:cut]), kernel) for kernel in KERNELS))


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(DIETIKON) - 1), st.integers(0, 255)), min_size=1, max_size=30),
    cut=st.one_of(st.none(), st.integers(0, len(DIETIKON))),
)
def test_changed_bytes_of_a_real_tile(changes, cut):
    data = bytearray(DIETIKON)
    for place, byte in changes:
        data[place] = byte
    results = [outcome(bytes(data[:cut]), kernel) for kernel in KERNELS]
    assert same(*results)
    if results[0] is not None:
        expected = frames.from_arrow(results[0], frames.IMAGES)
        for kernel in KERNELS:
            images = layers._read_tile(bytes(data[:cut]), *AT, kernel=kernel)
            assert_geodataframe_equal(images, expected)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert same(*(outcome(data, kernel) for kernel in KERNELS))
    body = field(1, b"image") + data
    assert same(*(outcome(field(3, body), kernel) for kernel in KERNELS))


# Tiles stored as GeoJSON


def collection(*features: dict) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def stored(geometry: object = {"type": "Point", "coordinates": [9.1, 48.7]}, **properties) -> dict:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_a_tile_of_the_older_cache():
    table = layers.read_geojson_tile(STORED.read_bytes())
    assert table.schema.equals(layers.decode(b"", 0, 0).schema, check_metadata=True)
    features = json.loads(STORED.read_text())["features"]
    assert table.num_rows == len(features) == 1298
    for row, each in zip(table.to_pylist(), features, strict=True):
        assert [row["lon"], row["lat"]] == each["geometry"]["coordinates"]
        assert round(row.pop("captured_at").timestamp() * 1000) == each["properties"].pop("captured_at")
        expected = {"organization_id": None, **each["properties"]}
        assert {name: row[name] for name in expected} == expected
    frames.check(frames.from_arrow(table, frames.IMAGES), frames.IMAGES)


def test_ids_of_geojson_are_exact():
    table = layers.read_geojson_tile(
        collection(
            stored(id=2**53 + 1, creator_id="9007199254740993", organization_id=None),
            stored(id="9007199254740995", creator_id=12.0, captured_at=1.5e12, compass_angle=-1, is_pano=1),
            stored(id=12.5), stored(id=True), stored(id=2**63), stored(), stored(id=""),
            stored(None, id=4), stored({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, id=5),
            stored({"type": "MultiPoint", "coordinates": [[180.5, 2], [3, 4]]}, id=6, quality_score=0.25),
            {"type": "Feature", "geometry": None, "properties": None},
        )
    )  # fmt: skip
    assert table["id"].to_pylist() == [2**53 + 1, 2**53 + 3, 6]
    assert table["creator_id"].to_pylist() == [2**53 + 1, 12, None]
    assert table["organization_id"].null_count == 3
    assert table["captured_at"].cast(pa.int64()).to_pylist() == [None, 1_500_000_000_000, None]
    np.testing.assert_array_equal(table["compass_angle"].to_numpy(), [np.nan, 359, np.nan])
    assert table["is_pano"].to_pylist() == [None, True, None]
    assert table["lon"].to_pylist() == [9.1, 9.1, -179.5]
    assert table["quality_score"].to_pylist()[2] == 0.25
    assert table.schema.metadata == {b"images_without_id": b"5", b"images_without_position": b"3"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"a": ' + b"9" * 9000 + b"}", "not JSON"),
        (collection(stored(id=1))[:-9], "not JSON"),
        (b"[]", "not a FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "not a FeatureCollection"),
        (b'{"features": [1]}', "not a FeatureCollection"),
        (b'{"features": [{"properties": [1]}]}', "properties are no object"),
        (collection(stored(id=2.0**60)), "past 2\\^53"),
        (collection(stored({"type": "Point", "coordinates": ["a", "b"]}, id=1)), "two numbers"),
        (collection(stored({"type": "Point", "coordinates": [513000.0, 5400000.0]}, id=1)), "not degrees"),
        (collection(stored({"type": "Point", "coordinates": [math.nan, 1]}, id=1)), "not degrees"),
        (collection(stored(id=1, sequence_id="\ud800")), "not text"),
    ],
)
def test_geojson_that_cannot_be_used(data, message):
    with pytest.raises(FormatError, match=message) as caught:
        layers.read_geojson_tile(data)
    assert len(str(caught.value)) < 400
    assert caught.value.hint


MEMBERS = st.sampled_from(["features", "geometry", "properties", "coordinates", "type", *layers.PROPERTIES])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(JSON, st.lists(JSON, max_size=3), st.dictionaries(st.sampled_from(layers.PROPERTIES), JSON))
def test_any_json_gives_a_table_or_a_format_error(anything, features, properties):
    for content in (anything, {"features": features}, {"features": [stored(**properties)]}):
        try:
            table = layers.read_geojson_tile(json.dumps(content).encode())
        except FormatError:
            continue
        frames.check(frames.from_arrow(table, frames.IMAGES), frames.IMAGES)


# Without Numba, and without a folder for its cache

SCRIPT = """
import sys
{before}
from pathlib import Path
from mlygeo.formats import mvt_tiles
from mlygeo.providers.mapillary import layers
table = layers.decode(Path(sys.argv[1]).read_bytes(), 8574, 5735)
print(mvt_tiles.kernel().__name__, table.num_rows)
"""
HIDDEN = """
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "numba":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""
BROKEN = """
class Break:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.3 or less")
sys.meta_path.insert(0, Break())
"""


def run(before: str) -> str:
    path = TILES / "dietikon" / "mly1_public_8574_5735_14.mvt"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("before", [HIDDEN, BROKEN], ids=["not installed", "does not suit NumPy"])
def test_without_numba(before):
    assert run(before) == "mlygeo.formats.mvt_layers 3012"


@pytest.mark.skipif(len(KERNELS) < 2, reason="Numba is not installed")
def test_numba_without_a_folder_for_its_cache():
    code = """
import numpy as np
from mlygeo.formats import mvt_numba
assert not mvt_numba._values.stats.cache_path
print(mvt_numba.values(bytes([0x28, 5]) + bytes(256), (np.array([0]), np.array([2]))))
"""
    environment = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "_IPythonCacheLocator"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "array([5, 0], dtype=uint64)" in done.stdout


@pytest.mark.skipif(len(KERNELS) < 2, reason="Numba is not installed")
def test_numba_is_used_where_it_is_installed():
    assert mvt_tiles.kernel().__name__ == "mlygeo.formats.mvt_numba"


@pytest.mark.skipif(len(KERNELS) < 2, reason="Numba is not installed")
def test_a_folder_of_coverage_is_no_package_for_numba(tmp_path):
    (tmp_path / "coverage").mkdir()
    code = "from mlygeo.spatial import knn; from mlygeo.formats import mvt_tiles; print(knn.has_kernel(), mvt_tiles.kernel().__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "mlygeo.formats.mvt_numba"], done.stderr


def test_nothing_heavy_is_imported_beforehand():
    code = "import sys, mlygeo.providers.mapillary.layers; print(sorted({'numba', 'pandas', 'geopandas', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
