"""Images of several providers in one call: one frame, ties by the stated order, and each with its licence."""

import shutil

import geopandas as gpd
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers import toy_provider
from shapely import Point

import mlygeo
from mlygeo import providers
from mlygeo.errors import InputError

AREA = (9.165, 48.765, 9.175, 48.775)
CACHE = STUTTGART / "stuttgart_tile_cache"


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """The address of a toy beside Mapillary, whose tiles are in the cache."""
    monkeypatch.setitem(providers.PROVIDERS, "toy", "helpers.toy_provider")
    shutil.copytree(CACHE, tmp_path / "cache")
    with toy_provider.served() as (address, _):
        yield {"endpoint": address, "tile_cache": tmp_path / "cache"}


def test_one_frame_of_both(toy):
    alone = mlygeo.tiles(AREA, tile_cache=CACHE)
    toys = mlygeo.tiles(AREA, provider="toy", **toy)
    both = mlygeo.tiles(AREA, provider=["mapillary", "toy"], **toy)
    assert both["provider"].value_counts().to_dict() == {"mapillary": len(alone), "toy": len(toys)}
    assert both["id"].tolist() == [*map(str, alone["id"]), *map(str, toys["id"])]
    assert str(both["captured_at"].dtype) == "datetime64[us, UTC]"
    assert both["captured_at"].tolist() == [*alone["captured_at"], *toys["captured_at"]]
    licences = both.groupby("provider")["licence"].unique()
    assert licences["mapillary"].tolist() == ["CC-BY-SA-4.0"]
    assert licences["toy"].isna().all()
    assert both.attrs["attribution"] == ["Mapillary, CC BY-SA 4.0", "Toy, CC0"]


def test_the_nearest_of_either(toy, tmp_path):
    both = mlygeo.tiles(AREA, provider=["mapillary", "toy"], **toy)
    grid = [Point(9.1652 + 0.0004 * x, 48.7652 + 0.0004 * y) for x in range(24) for y in range(24)]
    points = gpd.GeoDataFrame({"point_id": range(len(grid))}, geometry=grid, crs=4326)
    found = mlygeo.select(AREA, points=points, provider=["toy", "mapillary"], srid=25832, max_distance=60, **toy)
    assert set(found["provider"]) == {"mapillary", "toy"}
    plane, images = points.to_crs(25832).geometry, both.to_crs(25832).geometry
    order = both.assign(number=both["id"].astype("int64")).sort_values(["provider", "number"]).index
    expected = {}
    for number, point in zip(points["point_id"], plane, strict=True):
        metres = images.distance(point)[order]
        if metres.min() <= 60:
            expected[number] = both.loc[metres.idxmin(), ["provider", "id"]].tolist()
    assert {row.point_id: [row.provider, row.id] for row in found.itertuples()} == expected
    shares = found.attrs["summary"]["providers"]
    assert {name: part["images"] for name, part in shares.items()} == (
        found.drop_duplicates(["provider", "id"])["provider"].value_counts().to_dict()
    )
    assert shares["mapillary"]["licences"] == {"CC-BY-SA-4.0": shares["mapillary"]["images"]}
    assert shares["toy"]["licences"] == {"unknown": shares["toy"]["images"]}


def test_equal_distances_go_by_provider_then_number(toy):
    both = mlygeo.tiles(AREA, provider=["mapillary", "toy"], **toy).head(4)
    same = gpd.GeoDataFrame(
        pd.DataFrame(both.drop(columns="geometry")).assign(
            id=["10", "9", "3", "a"], provider=["mapillary", "mapillary", "toy", "acme"]
        ),
        geometry=[Point(9.17, 48.77)] * 4,
        crs=4326,
    )
    points = gpd.GeoDataFrame({"point_id": [0]}, geometry=[Point(9.1701, 48.77)], crs=4326)
    for rows in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        found = mlygeo.select(points=points, images=same.iloc[rows].reset_index(drop=True), k=4)
        assert found[["provider", "id"]].to_numpy().tolist() == [
            ["acme", "a"], ["mapillary", "9"], ["mapillary", "10"], ["toy", "3"],
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"provider": "panorama"}, "there is no provider 'panorama'"),
        ({"provider": []}, "`provider` names none"),
        ({"endpoint": "https://images.example.org"}, "`endpoint` has no effect for Mapillary"),
        ({"provider": "toy", "token": "x"}, "`token` has no effect to read from The toy"),
        ({"provider": "toy", "computed": True}, "`computed` has no effect for The toy"),
        ({"provider": "mapillary", "service": toy_provider.Service()}, "`service` is of toy"),
        ({"endpoint": "x", "service": toy_provider.Service()}, "`endpoint` has no effect with `service`"),
        ({"provider": "toy", "geojson": True, "dry_run": True}, "`geojson` has no effect for The toy"),
        ({"provider": "panoramax", "geojson": True, "dry_run": True}, "`geojson` has no effect for Panoramax"),
        ({"provider": ["mapillary", "toy"], "geojson": True}, "`geojson` has no effect with several providers"),
    ],
)
def test_what_has_no_effect_is_refused(toy, options, words):
    with pytest.raises(InputError, match=words):
        mlygeo.tiles(AREA, **options)


def test_images_and_provider_both_say_where_to_look(toy, images):
    with pytest.raises(InputError, match="`provider` has no effect with `images`"):
        mlygeo.select(AREA, images=images, points=images.head(1).assign(point_id=0), provider="toy")
