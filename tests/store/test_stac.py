"""Items that are written are items for others: stac-geoparquet reads them, and they pass the schema of STAC."""

import json
import subprocess

import geopandas as gpd
import pandas as pd
import pytest
from conftest import DATA, ROOT
from helpers.validators import stac_environment

from mlygeo import frames, store
from mlygeo.providers.panoramax import items
from mlygeo.store import stac


def validated(path):
    words = [str(stac_environment() / "python"), str(ROOT / "tests" / "helpers" / "validate_stac.py"), str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of_panoramax():
    page = json.loads((DATA / "panoramax" / "search_page.json").read_text())
    return items.images_frame(page["features"])


@pytest.mark.parametrize("kind", ["mapillary", "panoramax", "bare"])
def test_what_is_written_is_read_by_stac_geoparquet_and_valid(images, tmp_path, kind):
    images = images.head(40).reset_index(drop=True)
    frame = {
        "mapillary": images,
        "panoramax": of_panoramax(),
        "bare": images[[column.name for column in frames.IMAGES.required] + ["geometry"]],
    }[kind]
    path = store.write_frame(frame, tmp_path / "images.stac.parquet")
    found = validated(path)
    ids = sorted(frame["id"].astype("str"))
    assert {name: found[name] for name in ("rows", "valid", "ids")} == {
        "rows": len(frame),
        "valid": len(frame),
        "ids": ids,
    }
    assert (found["version"], found["beside"]) == ("1.1.0", ["images"])
    assert [*found["collections"]] == ["images"]
    back = store.read_frame(path, frame="images").set_index("id").loc[frame["id"]].reset_index()
    for name in frame.columns:
        assert back[name].astype("str").tolist() == frame[name].astype("str").tolist(), name


def collection_of(path):
    return json.loads(path.with_name(path.name.replace(".stac.parquet", ".collection.json")).read_text())


def test_the_collection_says_what_it_covers_and_whose_it_is(images, tmp_path):
    path = store.write_frame(images, tmp_path / "ulm.stac.parquet")
    found = collection_of(path)
    west, south, east, north = images.total_bounds.tolist()
    first, last = (each.isoformat().replace("+00:00", "Z") for each in images["captured_at"].agg(["min", "max"]))
    assert found["id"] == "ulm"
    assert found["extent"] == {
        "spatial": {"bbox": [[west, south, east, north]]}, "temporal": {"interval": [[first, last]]}
    }  # fmt: skip
    assert found["license"] == "CC-BY-SA-4.0"
    assert found["links"] == [{"rel": "license", "href": "https://creativecommons.org/licenses/by-sa/4.0/"}]
    assert found["providers"] == [{"name": "Mapillary", "roles": ["host"], "url": "https://www.mapillary.com"}]
    assert "Mapillary, CC BY-SA 4.0" in found["description"]
    assert store.files_beside(path) == [tmp_path / "ulm.collection.json"]
    assert len(store.read_frame(tmp_path / "ulm.stac.parquet")) == len(images)
    assert len(store.read_frame(str(tmp_path))) == len(images), "the folder has one frame"


def test_the_collection_of_two_providers_has_both_and_several_licences(images, tmp_path):
    both = pd.concat(
        [
            images.head(3).assign(id=["1", "2", "3"], provider="mapillary"),
            of_panoramax().head(4).assign(licence="etalab-2.0", licence_url=None),
        ]
    )
    frame = frames.conform(both.reset_index(drop=True), frames.IMAGES.of_any_provider)
    found = collection_of(store.write_frame(frame, tmp_path / "both.stac.parquet"))
    assert found["license"] == "various"
    assert found["providers"][0]["name"] == "Mapillary"
    assert any(each["name"].startswith("Panoramax") for each in found["providers"])
    assert [each["href"].split("/")[2] for each in found["links"]] == ["creativecommons.org", "www.etalab.gouv.fr"]


def test_places_across_180_degrees_and_what_is_unknown(images, tmp_path):
    some = images.head(3).reset_index(drop=True)
    across = some.set_geometry(gpd.points_from_xy([179.5, -179.5, -179.25], [-17.0, -17.5, -16.0]), crs=4326)
    found = collection_of(store.write_frame(across, tmp_path / "fiji.stac.parquet"))
    assert found["extent"]["spatial"]["bbox"] == [[179.5, -17.5, -179.25, -16.0]]
    unknown = some.set_geometry(gpd.GeoSeries([None] * 3, crs=4326)).assign(captured_at=pd.NaT)
    found = collection_of(store.write_frame(unknown, tmp_path / "unknown.stac.parquet"))
    assert found["extent"] == {
        "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]}, "temporal": {"interval": [[None, None]]}
    }  # fmt: skip


def test_a_collection_of_others_stays_as_it_is(images, tmp_path, caplog):
    (tmp_path / "a.collection.json").write_text('{"type": "Collection", "id": "theirs"}')
    path = store.write_frame(images.head(2), tmp_path / "a.stac.parquet")
    assert (tmp_path / "a.collection.json").read_text() == '{"type": "Collection", "id": "theirs"}'
    assert "stays as it is" in caplog.text
    assert store.files_beside(path) == []


def test_items_that_are_written_to_another_file_link_to_its_collection(images, tmp_path):
    """Theirs lies beside the first file, which is not where the second may be."""
    licences = [f"https://licences.example/{number}" for number in range(4)]
    first = store.write_frame(images.head(4).assign(licence_url=licences), tmp_path / "a.stac.parquet")
    items_ = store.read_frame(first)
    (tmp_path / "there").mkdir()
    second = store.write_frame(items_.iloc[1:], tmp_path / "there" / "b.stac.parquet")
    found = validated(second)
    assert (found["valid"], found["beside"], [*found["collections"]]) == (3, ["b"], ["b"])
    assert collection_of(second)["description"].startswith("Street-level imagery: 3 images.")
    written = store.read_frame(second)
    assert {each["href"] for row in written["links"] for each in row if each["rel"] == "collection"} == {
        "./b.collection.json"
    }
    same = [name for name in items_.columns if name not in {"links", "collection", "geometry"}]
    assert written[same].astype("str").equals(items_.iloc[1:][same].astype("str").reset_index(drop=True))
    assert store.read_frame(second, frame="images")["licence_url"].tolist() == licences[1:]


def test_images_without_pictures_are_not_in_doubt(images, tmp_path):
    bare = images[[column.name for column in frames.IMAGES.required] + ["geometry"]].head(3)
    back = store.read_frame(store.write_frame(bare, tmp_path / "a.stac.parquet"), frame="images")
    assert "warning" not in back.columns
    odd = store.read_frame(tmp_path / "a.stac.parquet").assign(assets=[["x"], "x", {"hd": 1}])
    assert stac.to_images(odd)["warning"].tolist() == ["its assets cannot be used"] * 3


def test_a_collection_does_not_outlive_its_items(images, tmp_path):
    path = store.write_frame(images.head(4), tmp_path / "a.stac.parquet")
    theirs = store.read_frame(path).assign(links=[[]] * 4, collection="theirs")
    store.write_frame(theirs, path)
    assert store.files_beside(path) == []
    assert [each.name for each in tmp_path.iterdir()] == ["a.stac.parquet"]
    assert store.read_frame(path)["collection"].tolist() == ["theirs"] * 4


def test_the_sequences_of_images_are_theirs_and_not_the_file(images, tmp_path):
    without = images.head(5).drop(columns="sequence_id").reset_index(drop=True)
    back = store.read_frame(store.write_frame(without, tmp_path / "a.stac.parquet"), frame="images")
    assert "sequence_id" not in back.columns or back["sequence_id"].isna().all()
    assert "collection" not in back.columns


def test_the_validator_finds_what_is_wrong(images, tmp_path):
    frame = images.head(3).reset_index(drop=True)
    path = store.write_frame(frame.assign(captured_at=pd.NaT), tmp_path / "images.stac.parquet")
    assert validated(path)["rows"] == 3
    assert "valid" not in validated(path)
