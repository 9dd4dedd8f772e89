"""Tests of files of images that are no frames: an error says what they are and what reads them, not GDAL's words."""

import json
import shutil

import pytest
from helpers.cities import DATA

import mlygeo
from mlygeo.errors import FormatError

RECORD = {"id": "1", "captured_at": 1700000000000, "compass_angle": 1.5, "sequence": "a"}

CONTENTS = {
    "answer": ({"data": [RECORD]}, "what the Graph API of Mapillary says of images"),
    "record": (RECORD, "what the Graph API of Mapillary says of images"),
    "records": ([RECORD, RECORD], "what the Graph API of Mapillary says of images"),
    "ids": ({"data": [{"id": "1"}, {"id": "2"}]}, "a list of ids"),
    "numbers": ([1, 2, 3], "a list of ids"),
    "descriptions": ([{"MAPLatitude": 1.0, "filename": "a.jpg"}], "an image description file"),
    "refused": ({"error": {"message": "no such image", "code": 100}}, r"a service that refused \('no such image'\)"),
    "collection": ({"type": "Collection", "id": "x", "links": []}, "a STAC collection"),
    "user": ({"username": "jane", "id": "5"}, r"JSON of another kind \(its keys are 'username', 'id'\)"),
    "text": ("hello", "JSON of another kind|list of ids"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_json_that_is_no_frame(name, tmp_path):
    content, what = CONTENTS[name]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    for read in (
        mlygeo.read_frame,
        lambda path: mlygeo.street_network(path=path),
        lambda path: mlygeo.convert(path, "x.csv"),
    ):
        with pytest.raises(FormatError, match=rf"{name}\.json is .*{what}.*, not a frame") as caught:
            read(path)
        assert caught.value.hint
        assert "driver" not in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "whose"),
    [("tiles/grand_junction", "Mapillary"), ("panoramax", "Panoramax")],
    ids=["Mapillary", "Panoramax"],
)
def test_vector_tiles_are_named(folder, whose, tmp_path):
    path = tmp_path / "tile.mvt"
    shutil.copy(next((DATA / folder).glob("*.mvt")), path)
    for layer in ("", ":image", ":pictures"):
        with pytest.raises(FormatError, match=rf"tile\.mvt is a vector tile of {whose}, not a frame") as caught:
            mlygeo.read_frame(f"{path}{layer}")
        assert "mlygeo tiles" in caught.value.hint


def test_damaged_json_is_said_as_before(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"type": "FeatureCollection", "features": [', encoding="utf-8")
    with pytest.raises(FormatError, match="cannot be read"):
        mlygeo.read_frame(path)
