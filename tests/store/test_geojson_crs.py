"""The member `crs` of GeoJSON: known ones are honoured, and what is not known is not a reason to take degrees."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo import store
from mlygeo.errors import FormatError, FrameError, MlygeoError
from mlygeo.store import geojson


def name(text):
    return {"type": "name", "properties": {"name": text}}


KNOWN = [
    (name("urn:ogc:def:crs:OGC:1.3:CRS84"), 4326), (name("urn:ogc:def:crs:OGC::CRS84"), 4326),
    (name("OGC:CRS84"), 4326), (name("EPSG:4326"), 4326), (name("urn:ogc:def:crs:EPSG::4326"), 4326),
    (name("urn:ogc:def:crs:EPSG::25832"), 25832), (name("urn:ogc:def:crs:EPSG:6.9:25832"), 25832),
    (name("EPSG:25832"), 25832), (name("http://www.opengis.net/def/crs/EPSG/0/25832"), 25832),
    ({"type": "EPSG", "properties": {"code": 25832}}, 25832),
    ({"type": "OGC", "properties": {"urn": "urn:ogc:def:crs:EPSG::25832"}}, 25832),
]  # fmt: skip

UNKNOWN = [
    name("foo"), name("EPSG:99999"), name(""), name(None), name(25832), name({}), {"type": "name"}, {},
    {"type": "name", "properties": []}, {"properties": {"name": "EPSG:25832"}}, {"type": 5}, [], "EPSG:25832", 25832, True,
    {"type": "EPSG", "properties": {"code": "x"}}, {"type": "EPSG", "properties": {"code": True}},
    {"type": "link", "properties": {"href": "http://127.0.0.1:9/crs", "type": "proj4"}}, name("x" * 3000),
]  # fmt: skip

FEATURE = {
    "type": "Feature",
    "properties": {"id": 1, "crs": 'a "crs": {[ \\', "n": "\\"},
    "geometry": {"type": "Point", "coordinates": [9, 48]},
}


def collection(crs, where="before"):
    features = {"features": [FEATURE, FEATURE]}
    return {"type": "FeatureCollection"} | ({"crs": crs} | features if where == "before" else features | {"crs": crs})


def held(crs, kind, folder):
    if kind == "dict":
        return collection(crs)
    if kind == "lines":
        path = folder / "held.geojsonl"
        path.write_text("".join(json.dumps({"crs": crs} | FEATURE) + "\n" for _ in range(2)))
        return path
    if kind == "geometry":
        path = folder / "held.json"
        path.write_text(json.dumps(FEATURE["geometry"] | {"crs": crs}))
        return path
    path = folder / "held.geojson"
    path.write_text(json.dumps(collection(crs, kind), indent=1))
    return path


KINDS = ["before", "after", "dict", "lines", "geometry"]


@pytest.mark.parametrize("kind", KINDS)
def test_known_ones_are_honoured(tmp_path, kind):
    for crs, code in KNOWN:
        found = store.as_frame(held(crs, kind, tmp_path))
        assert found.crs.to_epsg() == code, crs
        assert found.geometry.iloc[0].coords[0] == (9, 48)


@pytest.mark.parametrize("kind", KINDS)
def test_others_are_refused_by_name(tmp_path, kind):
    for crs in UNKNOWN:
        with pytest.raises((FormatError, FrameError), match="in a CRS that is not known") as caught:
            store.as_frame(held(crs, kind, tmp_path))
        assert len(str(caught.value)) < 300
        assert json.dumps(crs)[:40] in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_no_crs(tmp_path, kind):
    value = held(None, kind, tmp_path)
    assert store.as_frame(value).crs is None
    with pytest.raises(MlygeoError, match="has no CRS"):
        mlygeo.select(points=value, images=value)


def test_several_that_differ_are_refused(tmp_path):
    path = tmp_path / "held.geojsonl"
    path.write_text("".join(json.dumps({"crs": name(code)} | FEATURE) + "\n" for code in ("EPSG:4326", "EPSG:25832")))
    with pytest.raises(FormatError, match="names several CRS"):
        mlygeo.read_frame(path)


def test_without_the_member_coordinates_are_degrees(tmp_path):
    path = tmp_path / "held.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [FEATURE]}))
    assert mlygeo.read_frame(path).crs.to_epsg() == 4326


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='crs"\\{}[]:, é', max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["crs", "a", '"crs"', "\\"]), inside),
    max_leaves=20,
)


@given(
    value=st.dictionaries(st.sampled_from(["crs", "a", "b", '\\"crs"']), JSON), indent=st.sampled_from([None, 2]),
    piece=st.integers(1, 40),
)  # fmt: skip
def test_only_the_outermost_member_counts(value, indent, piece):
    content = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    before, geojson._PIECE = geojson._PIECE, piece
    try:
        assert list(geojson._members(io.BytesIO(content))) == ([value["crs"]] if "crs" in value else [])
    finally:
        geojson._PIECE = before


def test_ids_that_repeat_are_not_called_altered(tmp_path, caplog):
    path = tmp_path / "held.geojson"
    again = FEATURE | {"properties": {"id": 5}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [again, again]}))
    assert mlygeo.read_frame(path)["id"].tolist() == [5, 5]
    assert caplog.text == ""
