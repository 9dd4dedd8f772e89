"""Features of a collection one by one are those of its JSON, however it is written and cut into pieces."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.store import feature_sequences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False)
    | st.text(alphabet='id"\\{}[]:, é😀', max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["id", "a", "features"]), inside),
    max_leaves=8,
)  # fmt: skip
FEATURES = st.builds(
    lambda properties, more: {"type": "Feature", "properties": properties, "geometry": None} | more,
    st.dictionaries(st.sampled_from(["a", "b", "features"]), VALUES), st.dictionaries(st.just("bbox"), VALUES),
)  # fmt: skip
COLLECTIONS = st.builds(
    lambda features, more, is_first: (
        ({"features": features} if is_first else {}) | {"type": "FeatureCollection"} | more | {"features": features}
    ),
    st.lists(FEATURES, min_size=1, max_size=5), st.dictionaries(st.sampled_from(["name", "crs", "links"]), VALUES),
    st.booleans(),
)  # fmt: skip


def written(path, folder, *, is_described=False):
    told = feature_sequences.write(path, folder / "features", is_described=is_described)
    if told is None:
        return None, None
    text = (folder / "features").read_bytes()
    return told, [json.loads(record) for record in text.split(b"\x1e") if record.strip()]


@given(collection=COLLECTIONS, indent=st.sampled_from([None, 1]), as_ascii=st.booleans(), piece=st.integers(1, 60))
def test_features_of_a_collection(tmp_path_factory, collection, indent, as_ascii, piece):
    folder = tmp_path_factory.mktemp("pieces")
    path = folder / "rows.geojson"
    path.write_text(json.dumps(collection, indent=indent, ensure_ascii=as_ascii), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_sequences, "PIECE", piece)
        told, found = written(path, folder)
    texts, fractions = (
        {
            name
            for each in collection["features"]
            for name, value in each["properties"].items()
            if isinstance(value, kind)
        }
        for kind in (str, float)
    )
    if texts & fractions:
        assert told is None
        return
    assert found == collection["features"]
    assert told == (len(found), 0, False)


@given(
    collection=COLLECTIONS,
    cut=st.integers(0, 200),
    put=st.sampled_from(["", "]", "}", ",", ' "features": []', "1" * 20, "\x1e"]),
    piece=st.integers(1, 60),
)
def test_what_is_no_collection_is_not_taken_for_one(tmp_path_factory, collection, cut, put, piece):
    folder = tmp_path_factory.mktemp("pieces")
    text = json.dumps(collection)
    cut %= len(text)
    text = text[:cut] + put + text[cut + (not put) :]
    path = folder / "rows.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_sequences, "PIECE", piece)
        _, found = written(path, folder)
    if found is not None:
        assert json.loads(text)["features"] == found


@pytest.mark.parametrize("number", ["1", "-6.5", "4.25e+16", "1E-3", "0.0"])
@pytest.mark.parametrize("piece", range(1, 40))
def test_a_number_may_be_cut_anywhere(tmp_path, monkeypatch, number, piece):
    monkeypatch.setattr(feature_sequences, "PIECE", piece)
    feature = {"type": "Feature", "properties": {"a": 1}, "geometry": None}
    path = tmp_path / "rows.geojson"
    path.write_text(f'{{"type": "FeatureCollection", "epoch": {number}, "features": [{json.dumps(feature)}]}}')
    assert written(path, tmp_path)[1] == [feature]


def test_a_word_in_each_column_of_texts_follows_the_features_of_a_frame(tmp_path):
    features = [{"type": "Feature", "id": 7, "properties": {"day": "2024-05-01", "n": 5}, "geometry": None}]
    path = tmp_path / "rows.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    told, found = written(path, tmp_path, is_described=True)
    assert told == (1, 1, False)
    assert found == [*features, {"type": "Feature", "properties": {"day": "word"}, "geometry": None}]


def test_a_feature_longer_than_others_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_sequences, "PIECE", 100)
    monkeypatch.setattr(feature_sequences, "LONGEST", 5000)
    path = tmp_path / "rows.geojson"
    for size, is_read in ((3000, True), (20_000, False)):
        feature = {"type": "Feature", "properties": {"a": "x" * size}, "geometry": None}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
        _, found = written(path, tmp_path)
        assert (found == [feature]) is is_read
