"""Lists of ids: whose an id is, and what is written comes back."""

import json
import os
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import InputError
from mlygeo.keys import UUIDS, WHOLE_NUMBERS, Texts
from mlygeo.readers import id_lists
from mlygeo.readers.id_lists import Identified, Own

UUID = "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"
SEQUENCE = "3NpXMDuHm9IZbKXc5hYJkQ"

KEYS = st.one_of(
    st.tuples(st.just("mapillary"), st.integers(1, 2**63 - 1)),
    st.tuples(st.just("panoramax"), st.uuids().map(str)),
    st.tuples(st.sampled_from(["kartaview", "my-own"]), st.text("abcDEF019_:-", min_size=1)),
)


@pytest.mark.parametrize(
    ("word", "whose", "key"),
    [
        ("5", "mapillary", 5),
        (5, "mapillary", 5),
        (np.int64(5), "mapillary", 5),
        (UUID, "panoramax", UUID),
        (UUID.upper(), "panoramax", UUID),
        ("kartaview:12345", "kartaview", "12345"),
        ("mapillary:12345", "mapillary", 12345),
        (f"panoramax:{UUID.upper()}", "panoramax", UUID),
        ("kartaview:a:b", "kartaview", "a:b"),
    ],
)
def test_whose_an_id_is(word, whose, key):
    assert id_lists.identified(word) == (whose, key)


@pytest.mark.parametrize(
    "word",
    [
        "abc", "05", UUID[:-1], UUID.replace("-", ""), "mapillary:abc", "panoramax:5", "kartaview:", ":5", "c:5",
        "https://x", "Karta:5", "karta view:5", "", None, 5.0, True, f" {UUID}", "kartaview: 5",
    ],
)  # fmt: skip
def test_words_that_do_not_tell_whose(word):
    assert id_lists.identified(word) is None


def test_the_named_provider_comes_first():
    """A caller who names a provider means its ids, in whatever form they are."""
    assert id_lists.identified("5", Own("toy", WHOLE_NUMBERS)) == ("toy", 5)
    assert id_lists.identified(UUID, Own("toy", WHOLE_NUMBERS)) == ("panoramax", UUID)
    assert id_lists.identified("5", Own("panoramax", UUIDS)) == ("mapillary", 5)
    assert id_lists.identified("toy:5", Own("toy", WHOLE_NUMBERS)) == ("toy", 5)


@given(KEYS)
def test_a_word_comes_back_as_the_image_that_it_was_written_for(image):
    provider, key = image
    assert id_lists.identified(id_lists.word_of(key, provider)) == Identified(provider, key)


@given(st.lists(KEYS, min_size=1, max_size=20), st.sampled_from(["{}\n", "{}  # why\n", "{}, ", "\t{}\r\n"]))
def test_a_list_comes_back(tmp_path_factory, images, form):
    path = tmp_path_factory.mktemp("list") / "a.txt"
    words = [id_lists.word_of(key, provider) for provider, key in images]
    path.write_text("".join(map(form.format, words)), encoding="utf-8", newline="")
    found = id_lists.listed_ids(path)
    expected: dict[str, list] = {}
    for provider, key in images:
        expected.setdefault(provider, []).append(key)
    assert {name: ids.tolist() for name, ids in found.items()} == expected
    distinct = list(dict.fromkeys(images))
    read = id_lists.read_ids(path).tolist()
    alone = all(provider == "mapillary" for provider, _ in images)
    assert read == [key if alone else id_lists.word_of(key, provider) for provider, key in distinct]


def test_a_list_of_mapillary_alone_is_of_whole_numbers(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("5\n3\n5\n")
    assert id_lists.read_ids(path).dtype == np.int64
    path.write_text(f"5\n{UUID.upper()}\n5 kartaview:5\n")
    assert id_lists.read_ids(path).tolist() == ["5", UUID, "kartaview:5"]


def test_json_with_providers(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps([5, "6", {"id": "7"}, {"id": UUID, "provider": "panoramax"}, {"id": 8, "provider": "k"}])
    )
    with pytest.raises(InputError, match="is not an image id"):
        id_lists.read_ids(path)
    path.write_text(json.dumps([5, {"id": UUID, "provider": "panoramax"}, {"id": 8, "provider": "kartaview"}]))
    assert id_lists.read_ids(path).tolist() == ["5", UUID, "kartaview:8"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1).map(str.strip))
@example("a b")
@example("//a")
@example("7,8")
@example("a#b")
@example("100%23")
@example("a\u3000b")
def test_ids_of_any_text_come_back_from_a_list(tmp_path_factory, key):
    assume(key)
    path = tmp_path_factory.mktemp("list") / "a.txt"
    path.write_text(f"{id_lists.word_of(key, 'own')}\n{id_lists.word_of('7', 'own')}\n", encoding="utf-8")
    assert id_lists.listed_ids(path)["own"].tolist() == [key, "7"]


@pytest.mark.parametrize("name", [None, "", "Panoramax", " panoramax", "#x", "my provider", "1", "unknown"])
def test_an_image_of_nobody_known_is_asked_about(tmp_path, name):
    """No name with which a list could not be read stands in it, and none that means another provider."""
    path = tmp_path / "a.txt"
    path.write_text(f"5\n{id_lists.word_of(UUID, name)}\n")
    with pytest.raises(InputError, match=rf"a\.txt, line 2: nothing tells of which provider the image '{UUID}' is"):
        id_lists.listed_ids(path)
    found = id_lists.listed_ids(path, own=Own("panoramax", UUIDS))
    assert {who: ids.tolist() for who, ids in found.items()} == {"mapillary": [5], "panoramax": [UUID]}
    with pytest.raises(InputError, match="is not an image id"):
        id_lists.listed_ids(path, own=Own("mapillary", WHOLE_NUMBERS))


@pytest.mark.parametrize("name", [None, "", "unknown"])
def test_an_image_of_nobody_known_in_json_is_asked_about(tmp_path, name):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"id": UUID, "provider": name}]))
    with pytest.raises(InputError, match="nothing tells of which provider the image"):
        id_lists.listed_ids(path)
    assert id_lists.listed_ids(path, own=Own("panoramax", UUIDS))["panoramax"].tolist() == [UUID]
    path.write_text(json.dumps([{"id": "a b#%23", "provider": "own"}]))
    assert id_lists.listed_ids(path)["own"].tolist() == ["a b#%23"]


def test_a_word_that_does_not_tell_whose_is_asked_about(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(f"5\n{UUID[:-1]}\n")
    with pytest.raises(InputError, match=r"a\.txt, line 2: 'fc4bd9cd.*' is not an image id") as caught:
        id_lists.read_ids(path)
    assert "provider:id" in caught.value.hint


def test_failed_lists_of_several_providers_are_merged(tmp_path):
    path = tmp_path / "failed.txt"
    id_lists.merge_failed(path, {5: "gone"}, np.array([5]))
    id_lists.merge_failed(path, {UUID: "gone"}, np.array([UUID], dtype=object), provider="panoramax")
    id_lists.merge_failed(path, {"5": "lost", "10": "lost"}, np.array(["5"], dtype=object), provider="kartaview")
    assert path.read_text() == f"5  # gone\n{UUID}  # gone\nkartaview:5  # lost\nkartaview:10  # lost\n"
    id_lists.merge_failed(path, {}, np.array(["5"], dtype=object), provider="kartaview")
    id_lists.merge_failed(path, {}, np.array([5]))
    assert path.read_text() == f"{UUID}  # gone\nkartaview:10  # lost\n"
    id_lists.merge_failed(path, {UUID: "again"}, np.array([UUID], dtype=object), provider="panoramax")
    assert path.read_text() == f"kartaview:10  # lost\n{UUID}  # again\n"


def test_sequences_by_provider():
    words = [SEQUENCE, f"panoramax:{UUID.upper()}", f"mapillary:{UUID}", "kartaview:99"]
    assert id_lists.sequences_by_provider(words) == {
        "mapillary": [SEQUENCE, UUID], "panoramax": [UUID], "kartaview": ["99"],
    }  # fmt: skip
    assert id_lists.sequences_by_provider([UUID], Own("panoramax", UUIDS)) == {"panoramax": [UUID]}
    assert id_lists.sequences_by_provider([UUID], Own("mapillary", WHOLE_NUMBERS)) == {"mapillary": [UUID]}
    with pytest.raises(InputError, match="may be one of Mapillary or of Panoramax") as caught:
        id_lists.sequences_by_provider([UUID])
    assert f"panoramax:{UUID}" in caught.value.hint


@given(st.sampled_from(["mapillary", "panoramax", "kartaview"]), st.one_of(st.just(SEQUENCE), st.uuids().map(str)))
def test_a_sequence_comes_back(provider, sequence):
    word = id_lists.sequence_word(sequence, provider)
    assert id_lists.sequences_by_provider([word]) == {provider: [sequence]}


def test_frames_of_sequences_tell_whose_they_are(tmp_path):
    import geopandas as gpd

    frame = gpd.GeoDataFrame(
        {"sequence_id": [SEQUENCE, UUID, None], "provider": ["mapillary", "panoramax", "panoramax"]},
        geometry=[None] * 3, crs=4326,
    )  # fmt: skip
    mlygeo.write_frame(frame, tmp_path / "s.parquet")
    assert id_lists.read_sequences(tmp_path / "s.parquet") == [SEQUENCE, f"panoramax:{UUID}"]


def test_keys_of_ones_own(tmp_path):
    import re

    path = tmp_path / "a.txt"
    path.write_text("a b a\n")
    assert id_lists.read_ids(path, keys=Texts(re.compile("[a-z]"), "letters")).tolist() == ["a", "b"]


def test_a_million_ids_are_sorted_out_quickly():
    """What goes by comparing each with each would take hours."""
    from mlygeo import keys

    rng = np.random.default_rng(0)
    ids = np.array([str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(200_000)], dtype=object)
    begun = time.process_time()
    assert keys.is_in(ids, ids[::2]).sum() == 100_000
    assert len(id_lists.distinct(np.concatenate([ids, ids]))) == len(ids)
    assert len(id_lists.repeated(np.concatenate([ids, ids]))) == len(ids)
    order = keys.in_order(ids)
    assert (ids[order] == np.sort(ids)).all()
    assert time.process_time() - begun < 10


@pytest.mark.skipif(os.name == "nt" or not Path("/dev/fd").exists(), reason="a system without names of pipes")
@pytest.mark.parametrize("words", [["5", "7"], [UUID, "5"], ["5", UUID, "toy:3"]])
def test_a_list_from_a_pipe_says_what_the_file_does(tmp_path, words):
    file = tmp_path / "ids.txt"
    file.write_text("\n".join(words))
    source, sink = os.pipe()
    os.write(sink, file.read_bytes())
    os.close(sink)
    found = id_lists.listed_ids(f"/dev/fd/{source}")
    os.close(source)
    expected = id_lists.listed_ids(file)
    assert {name: ids.tolist() for name, ids in found.items()} == {name: ids.tolist() for name, ids in expected.items()}
    assert sum(map(len, found.values())) == len(words)


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_no_list(tmp_path, content):
    (tmp_path / "ids.txt").write_text(content)
    with pytest.raises(InputError, match="which is empty"):
        id_lists.listed_ids(tmp_path / "ids.txt")


@given(
    st.lists(
        st.tuples(
            st.text(max_size=5) | st.uuids().map(str) | st.integers(0, 2**65).map(str) | st.sampled_from(["01", "/a"]),
            st.sampled_from(["mapillary", "panoramax", "own", "My City", None]),
        )
    )
)
@settings(deadline=None)
def test_words_of_many_ids_are_those_of_each(rows):
    ids, providers = pa.array([id_ for id_, _ in rows], pa.string()), pa.array([who for _, who in rows], pa.string())
    found = id_lists.words_of(pa.chunked_array([ids]), providers)
    assert found == [id_lists.word_of(id_, who) for id_, who in rows]
