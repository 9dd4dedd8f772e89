"""Ids of GeoJSON's features: whole numbers are ids as text is, and numbers of rows are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlygeo

IMAGE = {"captured_at": "2024-05-01T12:00:00Z", "is_pano": False}
KINDS = ["geojson", "json", "geojsonl", "geojsons", "dict"]


def features(ids, **properties):
    found = []
    for number, id_ in enumerate(ids):
        point = {"type": "Point", "coordinates": [9 + number / 100, 48.7]}
        own = {} if id_ is None else {"id": id_}
        found.append({"type": "Feature", **own, "geometry": point, "properties": IMAGE | properties})
    return found


def held(found, kind, folder):
    whole = {"type": "FeatureCollection", "features": found}
    if kind == "dict":
        return whole
    path = folder / f"images.{kind}"
    if kind in {"geojsonl", "geojsons"}:
        before = "\x1e" if kind == "geojsons" else ""
        path.write_text("".join(f"{before}{json.dumps(each)}\n" for each in found))
    else:
        path.write_text(json.dumps(whole))
    return path


def ids_of(found):
    return None if "id" not in found else found["id"].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([498763468214164, 123456789012345], [498763468214164, 123456789012345]),
        ([2**53 + 1, 2**62], [2**53 + 1, 2**62]),
        ([7, 7], [7, 7]),
        (["498763468214164", 5], [498763468214164, 5]),
        ([7, "x8"], ["7", "x8"]),
        (["x8", 7], ["x8", "7"]),
        ([12.0, 13], [12, 13]),
        ([0, 1], None),
        ([1, 2], None),
        (["0", "1"], None),
        ([1, 0], [1, 0]),
        ([None, None], None),
    ],
)
def test_ids_of_features(ids, expected, kind, tmp_path):
    found = mlygeo.read_frame(path) if (path := held(features(ids), kind, tmp_path)) and kind != "dict" else None
    found = mlygeo.convert(path, tmp_path / "out.parquet") if found is None else found
    assert ids_of(found) == expected
    assert len(found) == len(ids)
    assert found.geometry.x.tolist() == pytest.approx([9, 9.01])


@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_property_counts_before_the_number_of_a_row(kind, tmp_path):
    path = held(features([7, 8], id=498763468214164), kind, tmp_path)
    assert ids_of(mlygeo.read_frame(path)) == [498763468214164] * 2


@pytest.mark.parametrize("kind", KINDS[:4])
def test_parts_of_a_file_have_the_ids_of_their_rows(kind, tmp_path):
    path = held(features(range(1000, 1020), name="n"), kind, tmp_path)
    assert ids_of(mlygeo.read_frame(path, bbox=(9.045, 48, 9.085, 49))) == [1005, 1006, 1007, 1008]
    assert ids_of(mlygeo.read_frame(path, columns=["id"])) == list(range(1000, 1020))
    assert ids_of(mlygeo.read_frame(path, columns=["name"])) is None


def test_damaged_lines_cost_the_others_no_ids(tmp_path):
    path = held(features([1000, 1001]), "geojsonl", tmp_path)
    path.write_text(path.read_text() + '{"type": "Feature", "id": 5, "geo\n' + json.dumps(features([1002])[0]) + "\n")
    found = mlygeo.read_frame(path)
    assert ids_of(found) == [1000, 1001, 1002]
    assert sum(found.attrs["left_out"].values()) == 1


def test_images_are_selected_by_them(tmp_path):
    path = held(features([498763468214164, 123456789012345], compass_angle=3.5), "geojson", tmp_path)
    points = mlygeo.read_frame(path)[["geometry"]].assign(point_id=[0, 1])
    found = mlygeo.select(images=path, points=points, srid=25832)
    assert found["id"].tolist() == [498763468214164, 123456789012345]
    assert found["id"].dtype == "int64"


@given(ids=st.lists(st.one_of(st.integers(0, 2**62), st.none()), min_size=1, max_size=6))
def test_no_number_is_altered(ids, tmp_path_factory):
    path = held(features(ids), "geojson", tmp_path_factory.mktemp("ids"))
    found = mlygeo.read_frame(path)
    counts = ids in (list(range(len(ids))), list(range(1, len(ids) + 1)))
    if counts or not any(id_ is not None for id_ in ids):
        assert "id" not in found
    else:
        assert [
            None if id_ is None else int(id_) for id_ in found["id"].astype(object).where(found["id"].notna(), None)
        ] == ids
