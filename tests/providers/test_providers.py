"""A provider is a folder and a line: a toy one, whose images are found, selected and downloaded like any other's."""

import importlib
import json
import sys

import geopandas as gpd
import pandas as pd
import pytest
from helpers import toy_provider
from PIL import Image
from shapely import Point

import mlygeo
from mlygeo import keys, providers
from mlygeo.attribution import Rights
from mlygeo.errors import InputError

CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
AREA = (9.165, 48.765, 9.175, 48.775)


@pytest.fixture
def toy(monkeypatch):
    """The service of a toy, in a house that has no other provider."""
    monkeypatch.setattr(providers, "PROVIDERS", {"toy": "helpers.toy_provider"})
    for name in [name for name in sys.modules if name.startswith("mlygeo.providers.mapillary")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "mlygeo.providers.mapillary", None)
    with pytest.raises(ImportError):
        importlib.import_module("mlygeo.providers.mapillary.provider")
    with toy_provider.served() as (address, asked):
        yield toy_provider.Service(address=address), asked


def test_tiles_of_a_toy(toy, tmp_path):
    service, asked = toy
    images = mlygeo.tiles(AREA, tile_cache=tmp_path, service=service)
    assert images["id"].tolist() == list(range(1, 13))
    assert images.attrs["attribution"] == ["Toy, CC0"]
    mlygeo.tiles(AREA, tile_cache=tmp_path, service=service)
    assert asked == ["/area/0"]


def test_a_selection_of_a_toy(toy, tmp_path):
    service, _ = toy
    points = gpd.GeoDataFrame({"point_id": [0, 1]}, geometry=[Point(9.1703, 48.77), Point(9.1708, 48.77)], crs=4326)
    chosen = mlygeo.select(AREA, points=points, tile_cache=tmp_path, service=service)
    assert chosen["id"].tolist() == [3, 8]
    assert chosen.attrs["attribution"] == ["Toy, CC0"]


@pytest.mark.parametrize("layout", ["sequence", "flat"])
def test_downloads_of_a_toy(toy, tmp_path, layout):
    service, _ = toy
    rows = mlygeo.download(
        region=AREA, tile_cache=tmp_path / "tiles", output=tmp_path / "out", layout=layout, service=service,
        required_disk_space=0,
    )  # fmt: skip
    assert rows["status"].tolist() == ["done"] * 11 + ["gone"]
    assert rows["reason"].iloc[-1] == "gone from the toy"
    folder = tmp_path / "out" / ("ride" if layout == "sequence" else "images")
    for number in range(1, 12):
        assert (folder / f"{number}.jpg").read_bytes() == toy_provider.picture(number)
    assert rows["licence"].fillna("").tolist() == ["CC0-1.0"] * 11 + [""]
    pd.testing.assert_frame_equal(mlygeo.transfers(tmp_path / "out"), rows)


def test_what_a_file_says_of_a_toys_picture(toy, tmp_path):
    service, _ = toy
    mlygeo.download([5], output=tmp_path, exif=True, service=service, required_disk_space=0)
    with Image.open(tmp_path / "ride" / "5.jpg") as picture:
        assert picture.getexif()[0x8298] == f"jane via toy, CC0-1.0 {CC0}"


def test_the_summary_counts_licences_of_what_is_there(toy, tmp_path, monkeypatch):
    service, asked = toy
    licences = {1: "CC0-1.0", 2: "[CC-BY-4.0]", 3: None}
    monkeypatch.setattr(
        toy_provider.Pictures,
        "rights",
        lambda _, record: Rights(
            creator="jane", provider="toy", instance="a", licence=licences.get(record["no"], "etalab-2.0")
        ),
    )

    def summary(*ids):
        rows = mlygeo.download(ids, output=tmp_path, service=service, required_disk_space=0)
        return {name: rows.attrs["summary"][name] for name in ("licences", "attribution")}

    assert summary(1, 2) == {
        "licences": {"CC0-1.0": 1, "[CC-BY-4.0]": 1},
        "attribution": [f"jane via toy (a), CC0-1.0 {CC0}", "jane via toy (a), [CC-BY-4.0]"],
    }
    del asked[:]
    assert summary(1, 2)["licences"] == {"CC0-1.0": 1, "[CC-BY-4.0]": 1}, "they are known of an earlier run"
    assert not asked
    assert summary(2, 3, 4, 5, 12) == {
        "licences": {"etalab-2.0": 2, "[CC-BY-4.0]": 1, "unknown": 1},
        "attribution": [
            "jane via toy (a), etalab-2.0 https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
            "jane via toy (a)",
            "jane via toy (a), [CC-BY-4.0]",
        ],
    }


def test_a_sidecar_of_a_toys_picture_says_whose_it_is(toy, tmp_path):
    service, _ = toy
    mlygeo.download([5], output=tmp_path, layout="flat", service=service, required_disk_space=0)
    [sidecar] = tmp_path.rglob("5.json")
    assert json.loads(sidecar.read_text())["attribution"] == f"jane via toy, CC0-1.0 {CC0}"


def test_what_a_provider_cannot_is_said(toy, tmp_path):
    service, _ = toy
    assert providers.provider_of(service).uploads is None
    with pytest.raises(InputError, match="The toy has no uploads"):
        mlygeo.upload(tmp_path, service=service)


def test_a_service_of_another_provider_is_refused_by_name():
    mapillary = providers.provider("mapillary")
    with pytest.raises(InputError, match="a service of toy, and Mapillary's is needed"):
        mapillary.records.open(toy_provider.Service())
    with pytest.raises(InputError, match="there is no provider 'panorama'"):
        providers.provider("panorama")


def test_every_provider_that_is_registered_can_be_had():
    for name in providers.PROVIDERS:
        assert providers.provider(name).name == name


@pytest.mark.parametrize("word", [0, -1, True, None, 2**63, 1.0, "0", "-1", "1.5", "a", "٣", "9" * 5000, " 5"])
def test_words_that_are_no_key(word):
    assert keys.WHOLE_NUMBERS.find(word) is None
    with pytest.raises(InputError, match="is not an id"):
        keys.WHOLE_NUMBERS.parse(word)


def test_whole_numbers_are_their_own_ranks():
    ids = keys.WHOLE_NUMBERS.array([2**63 - 1, 1, 5])
    assert keys.ranks(ids) is ids
    assert ids.tolist() == [2**63 - 1, 1, 5]
