"""Panoramax's vector tiles: what a server sends, what none should, and tiles of another provider."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.vector_tiles import tile
from hypothesis import given
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import FormatError, InputError
from mlygeo.providers import provider
from mlygeo.providers.foreign import ForeignError
from mlygeo.providers.mapillary import layers as mapillary
from mlygeo.providers.panoramax.layers import decode, images_table, read_tile
from mlygeo.providers.panoramax.service import Endpoints
from mlygeo.providers.panoramax.tile_cache import host_of_name, tile_set
from mlygeo.regions import Region

STUTTGART = (DATA / "panoramax" / "map_15_17218_11285.mvt").read_bytes()
SEQUENCES = (DATA / "panoramax" / "map_14_8609_5642.mvt").read_bytes()
MAPILLARY = (DATA / "tiles" / "dietikon" / "mly1_public_8574_5735_14.mvt").read_bytes()
AT = (17218, 11285)
ID = "e2cc3543-849b-4242-900e-057d834a095a"
OTHER = "0c672e07-2acb-496d-bc36-1124c7aa1b91"


def picture(**said):
    return decode(tile({"pictures": [{"id": ID, **said}]}), *AT).to_pylist()[0]


def test_a_tile_of_a_server():
    images = read_tile(STUTTGART, *AT)
    frames.check(images.assign(is_pano=images["is_pano"].astype(bool)), frames.IMAGES)
    assert len(images) == 5
    one = images.set_index("id").loc[ID]
    assert one["captured_at"] == pd.Timestamp("2024-07-09 01:21:42.691Z")
    assert one["sequence_id"] == "a18bd291-72ab-4a39-bbfa-9ed0de5084ad"
    assert one["creator_id"] == "21ed5d7b-3332-4e73-b8d2-d9c5760ea725"
    assert (one["compass_angle"], one["is_pano"], one["pixel_density"]) == (69.0, True, 6.0)
    assert one["provider"] == "panoramax"
    assert math.dist((one.geometry.x, one.geometry.y), (9.165623188, 48.763508931)) < 5e-6  # the grid of the tile


def test_an_empty_tile_is_an_empty_table_and_gzip_makes_no_difference():
    assert decode(b"", *AT).num_rows == 0
    assert decode(b"", *AT).schema.equals(decode(STUTTGART, *AT).schema)
    assert decode(gzip.compress(STUTTGART), *AT).to_pandas().equals(decode(STUTTGART, *AT).to_pandas())
    assert len(read_tile(b"", *AT)) == 0


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-07-09 01:21:42.691+00", "2024-07-09T01:21:42.691Z"),
        ("2024-07-09 01:21:42+00", "2024-07-09T01:21:42Z"),
        ("2024-07-09 01:21:42.123456+02", "2024-07-08T23:21:42.123456Z"),
        ("2024-07-09 01:21:42-03:30", "2024-07-09T04:51:42Z"),
        ("2024-07-09T01:21:42Z", "2024-07-09T01:21:42Z"),
        ("1969-12-31 23:59:59.999999+00", "1969-12-31T23:59:59.999999Z"),
        ("2024-02-30 00:00:00+00", None),
        ("2024-07-09 01:21:42", None),  # in which zone?
        ("2024-07-09", None),
        ("0000-01-01 00:00:00+00", None),
        ("yesterday", None),
        ("", None),
        (1720488102691, None),
    ],
)
def test_times_of_tiles(text, time):
    found = picture(ts=text)["captured_at"]
    assert found == (None if time is None else pd.Timestamp(time))


@pytest.mark.parametrize(
    ("heading", "angle"),
    [(0, 0), (359, 359), (360, 0), (-90.0, 270), (725.0, 5), (1e300, math.nan), ("90", math.nan), (True, math.nan)],
)
def test_headings_of_tiles(heading, angle):
    assert np.array_equal(picture(heading=heading)["compass_angle"], angle, equal_nan=True)


@pytest.mark.parametrize(
    ("said", "is_pano", "camera"),
    [
        ({"type": "equirectangular"}, True, "equirectangular"),
        ({"type": "flat"}, False, None),
        ({"type": "cubemap"}, None, None),
        ({"type": 360}, None, None),
        ({}, None, None),
    ],
)
def test_a_kind_that_is_not_known_is_not_flat(said, is_pano, camera):
    found = picture(**said)
    assert (found["is_pano"], found["camera_type"]) == (is_pano, camera)
    frame = read_tile(tile({"pictures": [{"id": ID, **said}]}), *AT)
    assert pd.isna(frame["is_pano"][0]) if is_pano is None else frame["is_pano"][0] == is_pano


@pytest.mark.parametrize(
    ("said", "sequence"),
    [
        ({"first_sequence": OTHER}, OTHER),
        ({"sequences": f'["{OTHER}", "{ID}"]'}, OTHER),
        ({"first_sequence": "", "sequences": f'["{OTHER.upper()}"]'}, OTHER),
        ({"sequences": "[]"}, None),
        ({"sequences": "[1]"}, None),
        ({"sequences": f'{{"0": "{OTHER}"}}'}, None),
        ({"sequences": "[" * 5_000}, None),
        ({"first_sequence": "x", "sequences": "no list"}, None),
    ],
)
def test_the_sequence_is_in_a_list_in_a_text(said, sequence):
    assert picture(**said)["sequence_id"] == sequence


def test_pictures_without_an_id_or_hidden_are_left_out_and_counted():
    rows = [
        {"id": ID.upper()},
        {"id": "7"},
        {"id": 7},
        {},
        {"id": OTHER, "hidden": True},
        {"id": OTHER, "hidden": False},
    ]
    found = decode(tile({"pictures": rows}), *AT)
    assert found["id"].to_pylist() == [ID, OTHER]
    counts = {name.decode(): int(count) for name, count in found.schema.metadata.items()}
    assert counts == {"images_without_id": 3, "images_without_position": 0, "images_hidden": 1}


SAID = st.one_of(
    st.text(max_size=80),
    st.integers(0, 2**63),
    st.floats(),
    st.booleans(),
    st.just(ID),
    st.just("[[[["),
    st.just("1e999"),
)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "ts",
                    "heading",
                    "account_id",
                    "type",
                    "model",
                    "gps_accuracy",
                    "h_pixel_density",
                    "first_sequence",
                    "sequences",
                    "hidden",
                ]
            ),
            SAID,
        ),
        max_size=5,
    )
)
def test_any_properties_give_a_frame(rows):
    images = read_tile(tile({"pictures": rows}), *AT)
    assert images["id"].is_unique or len(images) > 1
    assert images["compass_angle"].dropna().between(0, 360, inclusive="left").all()
    assert not (images["gps_accuracy_m"] < 0).any()


@given(st.binary(max_size=60), st.integers(0, len(STUTTGART)))
def test_damaged_tiles_are_a_format_error(noise, place):
    for data in (noise, STUTTGART[:place], STUTTGART[:place] + noise + STUTTGART[place + len(noise) :]):
        try:
            decode(data, *AT)
        except FormatError:
            continue


def test_a_tile_of_another_provider_is_refused_by_name():
    with pytest.raises(ForeignError, match=r"is a tile of Mapillary .*Panoramax is needed"):
        decode(MAPILLARY, *AT)
    with pytest.raises(ForeignError, match=r"is a tile of Panoramax .*Mapillary is needed"):
        mapillary.decode(STUTTGART, *AT, 15)
    with pytest.raises(ForeignError, match="Panoramax"):
        mapillary.decode(SEQUENCES, 8609, 5642)
    with pytest.raises(ForeignError, match="not a tile of Panoramax: its layers are roads"):
        decode(tile({"roads": [{"name": "x"}]}), *AT)


def test_a_tile_of_a_lower_zoom_has_no_pictures_and_says_so():
    with pytest.raises(InputError, match="zoom 15"):
        decode(SEQUENCES, 8609, 5642, 14)
    with pytest.raises(InputError, match="there is no tile 16/"):
        decode(b"", 0, 0, 16)


@pytest.mark.parametrize("damaged", [None, []])
def test_files_of_another_provider_are_refused_even_where_damage_is_passed_over(tmp_path, damaged):
    paths = {
        "mly1_public_8574_5735_14.mvt": MAPILLARY,  # a name of Mapillary's
        "panoramax_a.example_17218_11285_15.mvt": MAPILLARY,  # its content under our name
    }
    for name, content in paths.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ForeignError, match="Mapillary"):
            images_table([tmp_path / name], damaged=damaged)
    for name in ("panoramax_a.example_17218_11285_15.mvt", "mly1_public_17218_11285_15.mvt"):
        (tmp_path / name).write_bytes(STUTTGART)
        with pytest.raises(ForeignError, match="Panoramax"):
            mapillary.images_table([tmp_path / name], damaged=damaged)


def test_damaged_files_are_collected_and_files_of_one_picture_count_once(tmp_path):
    good = tmp_path / "panoramax_a.example_17218_11285_15.mvt"
    twice = tmp_path / "panoramax_b.example_17218_11285_15.mvt"
    bad = tmp_path / "panoramax_a.example_17219_11285_15.mvt"
    for path, content in ((good, STUTTGART), (twice, STUTTGART), (bad, STUTTGART[:50])):
        path.write_bytes(content)
    damaged = []
    found = images_table([good, twice, bad], damaged=damaged)
    assert damaged == [bad]
    assert found.num_rows == 5
    assert found["id"].to_pylist() == sorted(found["id"].to_pylist())
    assert set(found["instance"].to_pylist()) == {"a.example"}
    region = Region.from_bbox(9.16, 48.76, 9.17, 48.767)
    assert images_table([good], region=region).num_rows < 5
    with pytest.raises(FormatError, match="is damaged"):
        images_table([bad])


@pytest.mark.parametrize(
    ("endpoint", "name", "instance"),
    [
        ("https://api.panoramax.xyz/api", "panoramax_api.panoramax.xyz_1_2_15", None),
        ("https://panoramax.ign.fr", "panoramax_panoramax.ign.fr_1_2_15", "panoramax.ign.fr"),
        ("http://127.0.0.1:5055/api", "panoramax_127.0.0.1+5055_1_2_15", "127.0.0.1"),
        ("https://Example.org/street/api", "panoramax_example.org+street+api_1_2_15", "example.org"),
    ],
)
def test_files_are_named_by_the_server(endpoint, name, instance):
    assert tile_set(Endpoints(endpoint)).name(provider_tile(1, 2)) == name
    assert host_of_name(f"{name}.mvt") == (instance, 1, 2)


def provider_tile(x, y):
    from mercantile import Tile

    return Tile(x, y, 15)


def test_names_that_are_none():
    for name in (
        "panoramax_a_1_2_14.mvt",
        "panoramax_a_40000_2_15.mvt",
        "mly1_public_1_2_14.mvt",
        "panoramax_1_2_15.mvt",
    ):
        assert host_of_name(name) is None


def test_what_the_tiles_do_not_have_is_an_error():
    tiles = provider("panoramax").tiles
    with pytest.raises(InputError, match="no positions computed"):
        tiles.name(1, 2, computed=True)
