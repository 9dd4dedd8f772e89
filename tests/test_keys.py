"""Keys of images: their forms, and the order that settles ties."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.small_frames import images_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import frames, keys
from mlygeo.errors import FrameError, InputError

FIRST = "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)
UUIDS = st.uuids().map(str)
NEAR = st.integers(0, 9).map(lambda n: str(uuid.UUID(int=n)))
SHAPED = st.from_regex("[0-9a-oG-O/:@`]{8}-([0f-hG]{4}-){3}[0f-h]{12}", fullmatch=True)
"""Texts of the shape of UUIDs, of which most are none."""


def by_rule(id_: str, provider: str = "", *, numbers: bool) -> tuple[object, ...]:
    """Return what the order of keys compares, in plain Python."""
    return (provider, (int(id_), len(id_)) if numbers else id_.encode())


@given(
    st.lists(WORDS)
    | st.lists(UUIDS)
    | st.lists(NEAR | UUIDS)
    | st.lists(NEAR | SHAPED)
    | st.lists(st.from_regex("[0-9]{1,25}", fullmatch=True))
)
@settings(deadline=None)
def test_ranks_have_the_order_of_keys(ids):
    numbers = bool(ids) and all(id_.isascii() and id_.isdigit() for id_ in ids)
    found = keys.ranks(pd.Series(ids, dtype="str"))
    places = {id_: place for place, id_ in enumerate(sorted(set(ids), key=lambda id_: by_rule(id_, numbers=numbers)))}
    order = {rank: place for place, rank in enumerate(sorted(set(found.tolist())))}
    assert [order[rank] for rank in found.tolist()] == [places[id_] for id_ in ids]


@given(
    st.lists(
        st.tuples(
            UUIDS | NEAR | WORDS | st.integers(1, 99).map(str), st.sampled_from(["mapillary", "panoramax", "own"])
        )
    )
)
@settings(deadline=None)
def test_a_provider_comes_before_the_next(rows):
    ids, providers = [id_ for id_, _ in rows], [provider for _, provider in rows]
    digits = {name: all(i.isascii() and i.isdigit() for i, p in rows if p == name) for name in set(providers)}
    found = keys.ranks(ids, providers).tolist() if rows else []
    expected = sorted(set(rows), key=lambda row: by_rule(*row, numbers=digits[row[1]]))
    assert sorted(range(len(rows)), key=found.__getitem__) == sorted(
        range(len(rows)), key=lambda n: expected.index(rows[n])
    )


@pytest.mark.parametrize("letter", "ghijklmnoz/:@`GO")
def test_texts_of_the_shape_of_uuids_are_told_apart(letter):
    ids = [f"000000{one}-0000-4000-8000-000000000000" for one in ("10", "0" + letter, letter + "0", "0a", "16")]
    found = keys.ranks(pd.Series(ids, dtype="str"))
    assert sorted(ids) == [ids[row] for row in np.argsort(found)]
    assert len(set(found.tolist())) == len(ids)


@given(st.lists(st.tuples(UUIDS | NEAR | SHAPED | WORDS, st.booleans()), min_size=1), st.booleans())
@settings(deadline=None)
def test_uuids_are_the_same_in_upper_and_lower_case(rows, several):
    def is_uuid(id_):
        return keys.UUIDS.find(id_) is not None

    lower = [id_.lower() if is_uuid(id_) else id_ for id_, _ in rows]
    given_ = [id_.upper() if upper and is_uuid(id_) else id_ for id_, upper in rows]
    providers = [f"p{number % 2}" for number in range(len(rows))] if several else None
    assert keys.ranks(given_, providers).tolist() == keys.ranks(lower, providers).tolist()
    assert keys.texts(given_).to_pylist() == lower
    arrays = [pa.array(given_[:1], pa.string()), pa.array(given_[1:], pa.string())]
    found = keys.keyed(lambda: arrays, len(given_), pa.array(providers) if several else None)
    assert found.ids(np.arange(len(given_))).to_pylist() == lower
    assert found.only(np.arange(len(given_))[::-1]).ids(np.arange(len(given_))).to_pylist() == lower[::-1]
    assert keys.uuids_in_lower_case(pd.Series([None, *given_], dtype="str")).tolist()[1:] == lower


@given(
    st.lists(
        st.tuples(st.just("mapillary"), st.integers(1, 2**62).map(str) | st.sampled_from(["7", "07", "12"]))
        | st.tuples(st.sampled_from(["panoramax", "own", "a", "b", None]), NEAR | UUIDS | st.just("12"))
    ),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_numbers_and_uuids_of_several_providers(rows, size):
    """Part after part, as from the row groups of a file, against plain Python."""
    ids, providers = [id_ for _, id_ in rows], pa.array([who for who, _ in rows], pa.string())
    arrays = [pa.array(ids[start : start + size], pa.string()) for start in range(0, len(ids), size)]
    found = keys.keyed(lambda: arrays, len(ids), providers)
    digits = {who: all(i.isdigit() for w, i in rows if w == who) for who, _ in rows}
    expected = sorted(set(rows), key=lambda row: by_rule(row[1], row[0] or "", numbers=digits[row[0]]))
    places = {row: place for place, row in enumerate(expected)}
    order = {rank: place for place, rank in enumerate(sorted(set(found.ranks.tolist())))}
    assert [order[rank] for rank in found.ranks.tolist()] == [places[row] for row in rows]
    assert found.ids(np.arange(len(ids))).to_pylist() == ids
    if found.doubtful is not None:
        several = {row for row in range(len(rows)) if rows.count(rows[row]) > 1}
        assert several <= set(found.doubtful.tolist())


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([" Panoramax", "panoramax", None, "PANORAMAX\n"], ["panoramax", "panoramax", None, "panoramax"]),
        (["My City", "own_1 ", "", "  "], ["My City", "own_1", None, None]),
        (["mapillary", None], ["mapillary", None]),
        ([], []),
    ],
)
def test_names_of_providers_are_the_same_in_upper_and_lower_case(given_, expected):
    column = pd.Series(given_, dtype="str", name="provider")
    found = keys.with_provider_names(column)
    assert found.astype(object).where(found.notna(), None).tolist() == expected
    assert str(found.dtype) == "str"
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        named = keys.provider_names(pa.chunked_array([pa.array(given_, pa.string()).cast(kind)]))
        assert named.to_pylist() == expected
    if given_ == expected:
        assert found is column


def test_whole_numbers_are_their_own_ranks():
    ids = np.array([3, 1, 2**63 - 1])
    assert keys.ranks(ids) is ids
    assert keys.ranks(["3", "1"]).tolist() == [3, 1]


@pytest.mark.parametrize("ids", [["a", None], [" a"], ["a\n"], [""], ["a\u2028b"], [True], [1.5]])
def test_what_cannot_stand_in_a_list_is_no_id(ids):
    with pytest.raises(ValueError, match=r"missing|empty|text or whole"):
        keys.texts(pa.array(ids))


def test_uuids_are_in_lower_case():
    assert keys.UUIDS.find(FIRST.upper()) == FIRST
    assert keys.UUIDS.find(FIRST[:-1]) is None
    assert keys.UUIDS.is_meant(f" {FIRST.upper()} ")
    assert not keys.UUIDS.is_meant("12")
    with pytest.raises(InputError, match="'12' is not an id"):
        keys.UUIDS.parse("12")
    with pytest.raises(InputError, match="'x' is none"):
        keys.UUIDS.column(pd.Series([FIRST, "x"]))
    assert keys.UUIDS.column(pd.Series([FIRST.upper()])).tolist() == [FIRST]


class TestForms:
    """The first form of a frame is Mapillary's alone, the second is of any provider."""

    def test_text_that_is_numbers_is_mapillarys(self):
        found = frames.conform(images_frame().head(2).assign(id=["12", "11"]), frames.IMAGES)
        assert found["id"].tolist() == [12, 11]
        assert str(found["captured_at"].dtype) == "datetime64[ms, UTC]"

    @pytest.mark.parametrize("provider", ["panoramax", "kartaview"])
    def test_another_provider_makes_all_keys_text(self, provider):
        given_ = images_frame().head(2).assign(provider=["mapillary", provider], id=[12, 11])
        found = frames.check(frames.conform(given_, frames.IMAGES), frames.IMAGES)
        assert found["id"].tolist() == ["12", "11"]
        assert {str(found[name].dtype) for name in ("id", "creator_id", "organization_id")} == {"str"}
        assert str(found["captured_at"].dtype) == "datetime64[us, UTC]"

    def test_mapillarys_alone_stay_numbers(self):
        found = frames.conform(images_frame().head(2).assign(provider="mapillary"), frames.IMAGES)
        assert str(found["id"].dtype) == "int64"

    def test_ids_of_ones_own(self):
        assert frames.conform(images_frame().head(2).assign(id=["a7", "b7"]), frames.IMAGES)["id"].tolist() == [
            "a7",
            "b7",
        ]

    @pytest.mark.parametrize("ids", [["007", "8"], ["1.5", "2"], ["1E+14", "2"], ["7", "nan"], ["<NA>", "7"]])
    def test_numbers_of_which_some_are_damaged_are_refused(self, ids):
        with pytest.raises(FrameError, match="'id' does not fit int64") as caught:
            frames.conform(images_frame().head(2).assign(id=ids), frames.IMAGES)
        assert "a column 'provider'" in str(caught.value.hint)

    @pytest.mark.parametrize("ids", [["7", "b7"], ["1e3", "x"], ["7", "8", "9", "x"], ["07", "x", None]])
    def test_numbers_and_texts_are_texts_and_a_warning_says_so(self, ids, caplog):
        given_ = images_frame().head(len(ids)).assign(id=ids)
        with caplog.at_level("WARNING"):
            assert frames.form(frames.IMAGES, given_.columns, given_.__getitem__) is not frames.IMAGES
        assert "are numbers, and others are not, such as" in caplog.text
        if None not in ids:
            assert frames.conform(given_, frames.IMAGES)["id"].tolist() == ids

    def test_a_slip_among_many_numbers_is_refused(self):
        whole = pd.concat([images_frame()] * 101).head(101)
        given_ = whole.set_axis(range(101)).assign(id=[*map(str, range(1, 101)), "4x"])
        with pytest.raises(FrameError, match="'4x' is not a whole number"):
            frames.conform(given_, frames.IMAGES)

    @pytest.mark.parametrize("ids", [["7", "b7"], [FIRST, FIRST], ["a", "b"]])
    def test_rows_that_all_name_mapillary_have_numbers(self, ids):
        with pytest.raises(FrameError, match="'id' does not fit int64"):
            frames.conform(images_frame().head(2).assign(id=ids, provider="mapillary"), frames.IMAGES)

    def test_a_column_of_ones_own_is_not_taken_for_a_providers(self):
        given_ = images_frame().head(2).assign(pitch=["high", "low"], creator=[1, 2])
        found = frames.conform(given_, frames.IMAGES)
        assert found["pitch"].tolist() == ["high", "low"]
        assert found["creator"].tolist() == [1, 2]
